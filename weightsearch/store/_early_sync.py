"""Bringing a file to the disk while it is written."""

from __future__ import annotations

import os
from collections.abc import Callable

from weightsearch.store._later import Later

__all__ = ["EarlySync"]

_EARLY_BYTES = 32 << 20
"""Written since the disk was last asked."""

_fdatasync: Callable[[int], None] | None = getattr(os, "fdatasync", None)


class EarlySync:
    """Asks the disk for a file in another thread, each time that much has been written.

    So the disk works while the processor does, and there is little to wait for at the
    end. Nothing is promised: that is up to whoever syncs the file then. Where the
    system lacks ``fdatasync``, nothing happens.

    Parameters
    ----------
    handle : int
        Of the open file. It must stay open until :meth:`wait` has been called.
    wanted : bool, default=True
        Whether the file is to be on the disk in the end; otherwise nothing happens.
    """

    def __init__(self, handle: int, *, wanted: bool = True):
        self._handle = handle
        self._wanted = wanted
        self._since = 0
        self._asked: Later[None] | None = None
        self._error: OSError | None = None

    def wrote(self, nbytes: int) -> None:
        """Note that so many bytes were written."""
        self._since += nbytes
        if self._since < _EARLY_BYTES or _fdatasync is None or not self._wanted:
            return
        if self._error is None and (self._asked is None or self._asked.done):
            self._since = 0
            self._asked = Later(self._ask)

    def wait(self) -> None:
        """Wait for the disk if it is being asked.

        Raises
        ------
        OSError
            What the disk has said since the last call. It says so only once, so a sync
            that follows would find nothing wrong.
        """
        if self._asked is not None:
            self._asked.result()
        self._asked = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _ask(self) -> None:
        assert _fdatasync is not None
        try:
            _fdatasync(self._handle)
        except OSError as error:
            self._error = error

"""Work that goes on in another thread while this one does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Later"]

T = TypeVar("T")


class Later(Generic[T]):
    """What another thread computes.

    A thread of its own for each, since a pool's threads would be missing after a
    fork; so it is for work of a millisecond or more.

    Parameters
    ----------
    compute : callable
        Takes nothing. Whatever it raises, :meth:`result` raises.
    """

    def __init__(self, compute: Callable[[], T]):
        self._compute = compute
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value.append(self._compute())
        except BaseException as error:
            self._error = error

    @property
    def done(self) -> bool:
        """Whether it has come to its end."""
        return not self._thread.is_alive()

    def result(self) -> T:
        """Wait for it."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value[0]

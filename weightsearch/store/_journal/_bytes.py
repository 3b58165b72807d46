"""The journal's append-only file of bytes, written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from weightsearch.store._early_sync import EarlySync
from weightsearch.store._journal import _format as fmt
from weightsearch.store._journal._arrays import Record

__all__ = ["ByteLog"]

_COALESCE = 1 << 20
"""Smaller pieces are put together up to this many bytes before they are written."""

_PWRITE: Callable[[int, Any, int], int] | None = getattr(os, "pwrite", None)
"""Seeking and writing in one call, where the system has it."""


class ByteLog:
    """A new file that records are appended to.

    Parameters
    ----------
    path : Path
        Where there is no file yet.
    durable : bool
        Whether it will be synced.

    Attributes
    ----------
    end : int
        Where the next record starts; what lies behind it does not count.
    """

    def __init__(self, path: Path, *, durable: bool):
        self._file = path.open("xb", buffering=0)
        self._early = EarlySync(self._file.fileno(), wanted=durable)
        self.end = 0

    def append(self, kind: int, number: int, record: Record | None) -> int:
        """Write a record's frame and bytes.

        Returns
        -------
        int
            Position of the record's first byte.
        """
        nbytes = 0 if record is None else record.nbytes
        head = fmt.pack_frame(kind, number, nbytes)
        start = self.end
        place = start
        try:
            for piece in _coalesce(head, [] if record is None else record.pieces):
                place = self._write(piece, place)
        except BaseException:
            self.take_back(start)
            raise
        self.end = start + len(head) + nbytes
        self._early.wrote(nbytes)
        return start + len(head)

    def confirm(self, position: int) -> None:
        """Note at a record that its row is committed, so that its loss shows."""
        # The row counts with or without it.
        with contextlib.suppress(OSError):
            self._write(fmt.CONFIRMED, position - len(fmt.CONFIRMED))

    def _write(self, piece: Any, place: int) -> int:
        """Write all of a piece at a place, and give where it ends."""
        rest = memoryview(piece)
        end = place + rest.nbytes
        while place < end:
            if _PWRITE is None:
                self._file.seek(place)
                written = self._file.write(rest)
            else:
                written = _PWRITE(self._file.fileno(), rest, place)
            place += written
            if place < end:
                # A signal, a full disk or a system's limit has cut it short.
                rest = rest.cast("B")[written:]
        return end

    def take_back(self, end: int) -> None:
        """Forget what was written from a position on."""
        self.end = end
        # The bytes do no harm where they are; taking them away only makes room.
        with contextlib.suppress(OSError):
            self._file.truncate(end)

    def sync(self) -> None:
        """Wait until all is on the disk."""
        self._early.wait()
        os.fsync(self._file.fileno())

    def close(self, kind: int, n_fits: int, *, durable: bool) -> None:
        """Write the last frame and close the file."""
        with self._file:
            try:
                self._early.wait()
                self._file.seek(self.end)
                self._file.write(fmt.pack_frame(kind, n_fits, 0))
                self._file.truncate(self.end + fmt.FRAME.size)
                if durable:
                    self.sync()
            except OSError:
                # It only helps to notice damage; without room it is missing.
                self.take_back(self.end)

    def abandon(self) -> None:
        """Close the file as it is."""
        with self._file, contextlib.suppress(OSError):
            self._early.wait()


def _coalesce(head: bytes, pieces: Sequence[Any]) -> Iterator[Any]:
    """Put small pieces together, so that a record of many arrays is a few writes."""
    small: list[Any] = [head]
    size = len(head)
    for piece in pieces:
        if size + piece.nbytes > _COALESCE:
            yield b"".join(small)
            small, size = [], 0
        if piece.nbytes > _COALESCE:
            yield piece
        else:
            small.append(piece)
            size += piece.nbytes
    if small:
        yield b"".join(small)

"""Any binary file object that can be sought, as HDF5 reads it."""

from __future__ import annotations

import io
from typing import Any, NoReturn

from weightsearch.exceptions import StoreError

__all__ = ["FileObject", "name_of"]


def name_of(source: Any) -> str:
    """Name of a file object, for messages; empty where it has none."""
    names = (getattr(source, attribute, "") for attribute in ("name", "path"))
    # The name of a file that was opened by its descriptor is a number.
    return next((name for name in names if name and isinstance(name, str)), "")


class FileObject:
    """A file object of any origin, which says itself what goes wrong with it.

    What a network's library raises in the middle of a read would else be taken for
    a damaged store, or come out of HDF5 as something that nobody understands.

    Parameters
    ----------
    source : binary file object
        With ``seek``, ``tell`` and ``read`` or ``readinto``. It is not closed here.

    Raises
    ------
    StoreError
        If it is none, or is closed, or cannot be read or sought.
    """

    def __init__(self, source: Any):
        self._source = source
        self._name = name_of(source)
        kind = type(source).__name__
        missing = [name for name in ("seek", "tell") if not hasattr(source, name)]
        if missing or not (hasattr(source, "read") or hasattr(source, "readinto")):
            hint = ""
            if hasattr(source, "open") or hasattr(source, "__enter__"):
                hint = ". Open it first: with it as file: WeightStore(file)"
            raise StoreError(
                f"A store is a path or an open binary file, and {kind} is neither{hint}"
            )
        if isinstance(source, io.TextIOBase):
            self._fail(f"this {kind} reads text: open it in mode 'rb'")
        self.seek(0)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            self._source.seek(offset, whence)
            return int(self._source.tell())
        except Exception as error:
            self._fail(f"cannot be sought: {_text(error)}", error)

    def tell(self) -> int:
        return self.seek(0, io.SEEK_CUR)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there is something; fewer bytes mean the end."""
        view = memoryview(buffer).cast("B")
        done = 0
        try:
            while done < len(view):
                # Raw files and sockets give less than they are asked for.
                count = self._read(view[done:])
                if not count:
                    break
                done += count
        except Exception as error:
            self._fail(f"cannot be read: {_text(error)}", error)
        return done

    def read(self, size: int) -> bytes:
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(buffer)])

    def _read(self, view: memoryview) -> int:
        if hasattr(self._source, "readinto"):
            return self._source.readinto(view) or 0
        content = self._source.read(len(view))
        view[: len(content)] = content
        return len(content)

    def _fail(self, reason: str, error: Exception | None = None) -> NoReturn:
        # Whatever it is that a foreign file raises, the store cannot be used.
        where = self._name or f"The {type(self._source).__name__}"
        raise StoreError(f"{where}: {reason}", self._name) from error


def _text(error: Exception) -> str:
    if isinstance(error, io.UnsupportedOperation) and str(error).isidentifier():
        return f"{error} is not supported"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

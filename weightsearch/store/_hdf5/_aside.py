"""A file written aside and renamed into place, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from weightsearch.exceptions import StoreError, StoreWriteError
from weightsearch.store import _steps
from weightsearch.store._early_sync import EarlySync

__all__ = ["AsideFile", "sync_file", "sync_folder", "write_error", "written_aside"]

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


class AsideFile(io.RawIOBase):
    """The file that HDF5 writes to, which never lets HDF5 see an error.

    An HDF5 file that cannot be closed, since what it has in memory cannot be
    written, stays open until the process ends, and may take it down then. So the
    first error is kept in :attr:`error`, all later writes are dropped, and whoever
    wrote looks at the error after closing.
    """

    def __init__(self, path: Path, *, durable: bool):
        self._file = io.FileIO(path, "x+")
        self._early = EarlySync(self._file.fileno(), wanted=durable)
        self.error: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write all of the data, or keep the error."""
        view = memoryview(data)
        total = view.nbytes
        try:
            while self.error is None and view.nbytes:
                view = view[self._file.write(view) :]
        except OSError as exc:
            self.error = exc
        self._early.wrote(total)
        return total

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer as far as the file goes."""
        return self._file.readinto(buffer) or 0

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a place in the file."""
        return self._file.seek(offset, whence)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the file's size, or keep the error."""
        size = self._file.tell() if size is None else size
        try:
            if self.error is None:
                self._file.truncate(size)
        except OSError as exc:
            self.error = exc
        return size

    def sync(self) -> None:
        """Wait until the content is on the disk."""
        self._early.wait()
        _sync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        try:
            self._early.wait()
        finally:
            self._file.close()
        super().close()

    def readable(self) -> bool:
        """Tell that HDF5 may read back what it wrote."""
        return True

    def writable(self) -> bool:
        """Tell that HDF5 may write."""
        return True

    def seekable(self) -> bool:
        """Tell that HDF5 may write anywhere."""
        return True


@contextlib.contextmanager
def written_aside(path: Path, *, durable: bool) -> Iterator[AsideFile]:
    """Give a new file beside `path` and, if all went well, put it in its place.

    Parameters
    ----------
    path : Path
        A link is followed: the file that it leads to is replaced.
    durable : bool
        Whether content and name are on the disk before this returns.

    Raises
    ------
    StoreWriteError
        The file cannot be written. What was at `path` is untouched, and nothing is
        left beside it.
    """
    path = Path(os.path.realpath(path))
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        remove_leftovers(path)
        file = AsideFile(aside, durable=durable)
    except OSError as exc:
        raise write_error(exc, path) from exc
    try:
        with contextlib.closing(file):
            yield file
            if file.error is not None:
                raise file.error
            if durable:
                file.sync()
        if path.exists():
            shutil.copymode(path, aside)
        _steps.reached(_steps.FILE_WRITTEN)
        aside.replace(path)
        if durable:
            sync_folder(path.parent)
    except BaseException as exc:
        aside.unlink(missing_ok=True)
        if file.error is not None:
            # What HDF5 or the caller made of it is only a consequence.
            raise write_error(file.error, path) from file.error
        if isinstance(exc, OSError) and not isinstance(exc, StoreError):
            raise write_error(exc, path) from exc
        raise


def write_error(exc: OSError, path: Path) -> StoreWriteError:
    """Say that a store cannot be written, what is safe, and how to go on."""
    safe = (
        "The store that was there is untouched, and finished fits stay in its journal."
    )
    if exc.errno in _FULL:
        way_out = "Make room (or raise the limit) and make the same call again."
    elif isinstance(exc, PermissionError) and os.name == "nt":
        way_out = (
            "Another program has the store open, and Windows replaces no open file: "
            "close it there and make the same call again."
        )
    else:
        way_out = "Make the place writable and make the same call again."
    reason = exc.strerror or str(exc)
    return StoreWriteError(f"{path}: cannot be written: {reason}. {safe} {way_out}")


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk; nobody else may be writing it."""
    # Windows flushes only what is open for writing.
    with path.open("r+b", buffering=0) as file:
        _sync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can."""
    if os.name == "nt":  # Windows opens no folders; NTFS keeps renames in its journal.
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as exc:
        # Some network and FUSE file systems know no fsync of folders.
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def _sync(handle: int) -> None:
    if sys.platform == "darwin":
        # There, fsync leaves the data in the drive's own memory.
        import fcntl

        with contextlib.suppress(OSError):  # Not every file system has it.
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def remove_leftovers(path: Path) -> None:
    """Remove what a killed writer left; there is one writer at a time."""
    pattern = re.compile(re.escape(path.name) + r"\.[0-9a-f]{16}\.tmp")
    for other in path.parent.iterdir():
        if pattern.fullmatch(other.name):
            other.unlink(missing_ok=True)

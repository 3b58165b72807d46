"""Creating and opening files beside the store, and no others.

A new file is created exclusively, and has the store's mode, owner and group before its
first byte. A file that is there already is opened only if it is a plain file with one
name: never through a link, a FIFO or a folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from pathlib import Path

from weightsearch.exceptions import StoreWriteError

STEPS = (
    "fit written",
    "run finished",
    "consolidation begun",
    "append written",
    "redo written",
    "pages written",
    "redo removed",
    "file written",
    "file renamed",
    "log removed",
)
"""Steps of the commit protocol. A process may die between any two."""


def reached(step: str) -> None:
    """Do nothing; called after each step, for tests to die there."""


_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}

_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)


def create_beside(path: Path, store: Path) -> int:
    """Create a file, open for reading and writing, with the store's mode and owner.

    A FileExistsError where anything has that name, even a dangling link.
    """
    mode = 0o600 if store.exists() else 0o666
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _PLAIN, mode)
    try:
        protect(handle, store)
    except BaseException:
        os.close(handle)
        path.unlink(missing_ok=True)
        raise
    return handle


def protect(handle: int, store: Path) -> None:
    """Give an open file the mode, owner and group of the store, if there is one."""
    if hasattr(os, "fchmod"):
        with contextlib.suppress(FileNotFoundError):
            os.fchmod(handle, _take_over(handle, store.stat()))


def _take_over(handle: int, like: os.stat_result) -> int:
    """Give a file another one's owner and group; return the mode that suits it."""
    mode = stat.S_IMODE(like.st_mode) & 0o666
    own = os.fstat(handle)
    if own.st_uid != like.st_uid:
        with contextlib.suppress(PermissionError):
            os.fchown(handle, like.st_uid, -1)
    if own.st_gid != like.st_gid:
        try:
            os.fchown(handle, -1, like.st_gid)
        except PermissionError:
            # Permissions of the store's group are not meant for this process's group.
            mode &= ~0o060
    return mode


def open_ours(path: Path, *, write: bool = True, names: int = 1) -> int:
    """Open a file that an earlier writer has left beside the store.

    A StoreWriteError where it is not a plain file with at most so many names.
    """
    flags = (os.O_RDWR if write else os.O_RDONLY) | _PLAIN | _NO_WAIT
    if not is_plain(os.lstat(path), names):
        raise in_the_way(path)
    handle = os.open(path, flags)
    if not is_plain(os.fstat(handle), names):
        os.close(handle)
        raise in_the_way(path)
    return handle


def is_at(handle: int, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except OSError:
        return False


def is_plain(status: os.stat_result, names: int = 1) -> bool:
    """Whether a file is a plain one with at most so many names."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink <= names


def in_the_way(path: Path) -> StoreWriteError:
    """Return the error for something that is where a store's file belongs."""
    return StoreWriteError(
        f"{path} is in the way: it is a link, a folder or another special file, and "
        "the store needs a plain file of that name. Move it, or choose another store.",
        str(path),
    )


def random_beside(store: Path, suffix: str) -> Path:
    """Return an unpredictable path beside the store."""
    return store.with_name(f"{store.name}.{secrets.token_hex(8)}{suffix}")


def sync_data(handle: int) -> None:
    """Wait until a file's content is on the disk."""
    getattr(os, "fdatasync", os.fsync)(handle)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        # Some network drives cannot sync a folder.
        pass
    finally:
        os.close(handle)


def place_new(aside: Path, path: Path) -> None:
    """Rename a file, but never over another one: that is a FileExistsError."""
    try:
        os.link(aside, path, follow_symlinks=False)
    except (OSError, NotImplementedError) as exc:
        if isinstance(exc, FileExistsError) or os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "File exists", str(path)) from exc
        # Some file systems have no second names; nobody else has the lock.
        aside.rename(path)
    else:
        aside.unlink()


def remove_leftovers(store: Path) -> None:
    """Remove a crashed writer's temporary files; there is one writer at a time."""
    pattern = re.compile(re.escape(store.name) + r"\.[0-9a-f]{16}\.tmp")
    for other in store.parent.iterdir():
        if pattern.fullmatch(other.name):
            other.unlink(missing_ok=True)


def write_error(exc: OSError, path: Path, safe: str = "") -> StoreWriteError:
    """Return the error for a store that cannot be written, and what to do."""
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
    safe = safe or "The store is as it was."
    return StoreWriteError(
        f"{path}: cannot be written: {reason}. {safe} {way_out}", str(path)
    )

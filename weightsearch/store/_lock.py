"""One writer at a time: a lock that the operating system drops with its holder.

The lock is an exclusive transaction on an empty SQLite file. SQLite locks with what
each system has (POSIX record locks, ``LockFileEx``), keeps the threads of one process
apart, and is not fooled by a fork: a child neither owns its parent's lock nor can it
release it. ``flock`` would live on in forked workers after their parent's death.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import getpass
import json
import os
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

from weightsearch.exceptions import StoreError, StoreLockedError, StoreWriteError
from weightsearch.store._beside import (
    create_beside,
    in_the_way,
    is_plain,
    random_beside,
)

_TRIES = 20
_PAUSE_SECONDS = 0.005
_HOLDER_LIMIT = 10_000
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_MAKING = threading.Lock()
"""Held while a lock's file is made: closing a file drops every POSIX lock that its
process has on it, and another thread might have it by then."""


class StoreLock:
    """The right to write to a store, for one object in one process."""

    def __init__(self, store: Path):
        self.store = store
        self._lock = store.with_name(f"{store.name}.wslock")
        self._holder = store.with_name(f"{store.name}.wsholder")
        self._connection: sqlite3.Connection | None = None
        self._pid = 0

    def acquire(self) -> None:
        """Take the lock, or raise an error at once that names its holder."""
        if self._connection is not None:
            raise RuntimeError("This lock is held already.")
        failure: sqlite3.Error | None = None
        for attempt in range(_TRIES):
            if attempt:
                # A reader that asks whether the lock is held, or a holder that
                # is just removing it, is gone in a moment.
                time.sleep(_PAUSE_SECONDS)
            connection: sqlite3.Connection | None = None
            try:
                with _MAKING:
                    before = self._make()
                    connection = _connect(self._lock, "rw")
                # Without it, SQLite would keep a file beside the lock.
                connection.execute("PRAGMA journal_mode=MEMORY")
                connection.execute("BEGIN EXCLUSIVE")
            except OSError as error:
                raise self._unwritable(error) from error
            except sqlite3.Error as error:
                failure = error
                if connection is not None:
                    connection.close()
                if _is_busy(error) and attempt >= 3:
                    break
                continue
            if before is not None and before == _identity(self._lock):
                self._connection = connection
                self._pid = os.getpid()
                self._write_holder()
                return
            # The last holder has removed the file that we have locked.
            connection.close()
        raise self._refusal(failure)

    def release(self) -> None:
        """Give the lock back, and remove its files."""
        connection, self._connection = self._connection, None
        if connection is None or self._pid != os.getpid():
            return
        try:
            self._holder.unlink(missing_ok=True)
            if os.name == "posix":
                # While it is held, so that nobody can lock a file that is going.
                self._lock.unlink(missing_ok=True)
        finally:
            connection.close()
        if os.name != "posix":
            # Another fit may have it open by now, which is fine.
            with contextlib.suppress(OSError):
                self._lock.unlink(missing_ok=True)

    def _make(self) -> tuple[int, int] | None:
        """Make the lock's file if there is none; return which one it is."""
        try:
            os.close(create_beside(self._lock, self.store))
        except FileExistsError:
            try:
                if not is_plain(os.lstat(self._lock)):
                    raise in_the_way(self._lock) from None
            except FileNotFoundError:
                # Removed by a holder that ended at this moment.
                pass
        return _identity(self._lock)

    def _write_holder(self) -> None:
        holder = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "user": _user(),
            "started": datetime.datetime.now(datetime.UTC).isoformat(
                timespec="seconds"
            ),
            "program": Path(sys.argv[0]).name if sys.argv else "",
        }
        try:
            aside = random_beside(self.store, ".tmp")
            with os.fdopen(create_beside(aside, self.store), "wb") as file:
                file.write(json.dumps(holder).encode())
            # Takes the place of a link, too, instead of following it.
            aside.replace(self._holder)
        except OSError as error:
            self.release()
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StoreError:
        if isinstance(error, StoreError):
            return error
        return StoreWriteError(
            f"The store {self.store} cannot be written: {error}. Choose a folder that "
            "exists and that you may write to, and make room if its disk is full.",
            str(self.store),
        )

    def _refusal(self, failure: sqlite3.Error | None) -> StoreError:
        store, holder = self.store, ""
        reason = _cannot_lock(store.parent)
        if reason:
            what = (
                f"cannot be locked: its file system has no locks ({reason}), as some "
                "network drives have none. Put the store on a local disk, and copy the "
                "file when the search has ended (save_store)."
            )
        elif failure is not None and not _is_busy(failure):
            what = (
                f"cannot be locked ({failure}). Its file system may not lock files, as "
                "some network drives do not: put the store on a local disk. Or "
                f"{self._lock} is another program's file: move it."
            )
        elif holder := read_holder(store):
            what = (
                f"is being written by another fit: {holder}. Wait until it has ended, "
                "or give this fit another store."
            )
        else:
            what = (
                "is locked by an unknown process: another fit is just starting or "
                "ending (try again), or its file system locks files badly, as some "
                "network drives do (put the store on a local disk)."
            )
        return StoreLockedError(f"The store {store} {what}", str(store), holder)


def is_locked(store: Path) -> bool:
    """Whether a fit is writing to the store; asks without changing anything."""
    lock = store.with_name(f"{store.name}.wslock")
    try:
        if not is_plain(os.lstat(lock)):
            return False
        connection = _connect(lock, "ro")
    except (OSError, sqlite3.Error):
        # There is none, or it has gone since.
        return False
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        return _is_busy(error)
    finally:
        connection.close()
    return False


def read_holder(store: Path) -> str:
    """Return who holds a store, in words; empty where that is not known."""
    path = store.with_name(f"{store.name}.wsholder")
    try:
        if not is_plain(os.lstat(path)):
            return ""
        with path.open("rb") as file:
            holder = json.loads(file.read(_HOLDER_LIMIT))
    except (OSError, ValueError):
        return ""
    if not isinstance(holder, dict):
        return ""
    program = f"{holder['program']}, " if holder.get("program") else ""
    user = f" of {holder['user']}" if holder.get("user") else ""
    return (
        f"{program}process {holder.get('pid')}{user} on {holder.get('host')}, "
        f"since {holder.get('started')}"
    )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a file that is there, by SQLite alone."""
    text = path.absolute().as_posix()
    # Windows: C:/x needs a slash in front; //server/share must not lose its own.
    text = text if text.startswith("/") else "/" + text
    return sqlite3.connect(
        f"file://{quote(text)}?mode={mode}",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )


def _cannot_lock(folder: Path) -> str:
    """Return why no file in a folder can be locked; empty where one can be.

    SQLite calls this "busy", as if somebody had the lock.
    """
    try:
        import fcntl
    except ImportError:  # Windows, whose locks do not depend on the file system
        return ""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return str(error) if error.errno in _NO_LOCKS else ""
    return ""


def _is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) or 0
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        # A process in a container may run as nobody that the system knows.
        return ""

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
import stat
import sys
import tempfile
import time
from pathlib import Path

from weightsearch.exceptions import StoreError, StoreLockedError, StoreWriteError
from weightsearch.store._journal._format import HOLDER, LOCK, file_uri, journal_path

__all__ = ["StoreLock", "is_locked"]

_TRIES = 20
_PAUSE = 0.005
_HOLDER_LIMIT = 10_000
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class StoreLock:
    """The right to write to a store, for one object in one process.

    Parameters
    ----------
    store : Path
        The store's resolved path; the lock lies in the journal's folder beside it.
    """

    def __init__(self, store: Path):
        self.store = store
        self._folder = journal_path(store)
        self._connection: sqlite3.Connection | None = None
        self._pid = 0

    def acquire(self) -> None:
        """Take the lock, or say at once who has it.

        Raises
        ------
        StoreLockedError
            If another fit holds the lock, or the file system cannot lock.
        StoreWriteError
            If nothing can be written beside the store.
        """
        if self._connection is not None:
            raise RuntimeError("This lock is held already.")
        lock = self._folder / LOCK
        failure: sqlite3.Error | None = None
        for attempt in range(_TRIES):
            if attempt:
                # A reader that asks whether the lock is held, or a holder that
                # is just removing it, is gone in a moment.
                time.sleep(_PAUSE)
            self._make_folder()
            connection: sqlite3.Connection | None = None
            try:
                before = _identity(lock)
                if before is None:
                    # Never opened but by SQLite: closing a file drops every POSIX
                    # lock that its process has on it.
                    sqlite3.connect(lock).close()
                    before = _identity(lock)
                connection = sqlite3.connect(
                    lock, timeout=0, isolation_level=None, check_same_thread=False
                )
                # Without it, SQLite would keep a file beside the lock.
                connection.execute("PRAGMA journal_mode=MEMORY")
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.Error as error:
                failure = error
                if connection is not None:
                    connection.close()
                if _is_busy(error) and attempt >= 3:
                    break
                continue
            if before is not None and before == _identity(lock):
                self._connection = connection
                self._pid = os.getpid()
                self._write_holder()
                return
            # The last holder has removed the file that we have locked.
            connection.close()
        raise self._refusal(failure)

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back.

        Parameters
        ----------
        remove : bool, default=False
            Remove the lock's files and the folder too, if nothing else is in it.
        """
        connection, self._connection = self._connection, None
        if connection is None or self._pid != os.getpid():
            return
        (self._folder / HOLDER).unlink(missing_ok=True)
        if remove and os.name == "posix":
            # While the lock is held, so that nobody can lock a file that is going.
            (self._folder / LOCK).unlink(missing_ok=True)
        connection.close()
        if remove:
            # Another fit may have its own files there by now, which is fine.
            with contextlib.suppress(OSError):
                if os.name != "posix":
                    (self._folder / LOCK).unlink(missing_ok=True)
                self._folder.rmdir()

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(exist_ok=True)
        except FileExistsError as error:
            try:
                other = not stat.S_ISDIR(self._folder.stat().st_mode)
            except FileNotFoundError:
                other = False
            if not other:
                # Removed by a holder that ended, or made anew, at this moment.
                return
            raise StoreWriteError(
                f"{self._folder} is in the way: the store {self.store} needs a folder "
                "of that name for its journal. Move the file, or choose another store.",
                str(self.store),
            ) from error
        except OSError as error:
            raise StoreWriteError(
                f"The store {self.store} cannot be written: {error}. Choose a folder "
                "that exists and that you may write to.",
                str(self.store),
            ) from error

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
        path = self._folder / HOLDER
        aside = path.with_suffix(".new")
        try:
            aside.write_text(json.dumps(holder), encoding="utf-8")
            aside.replace(path)
        except OSError as error:
            self.release()
            raise StoreWriteError(
                f"The store {self.store} cannot be written: {error}. Make room, or "
                "choose another folder.",
                str(self.store),
            ) from error

    def _refusal(self, failure: sqlite3.Error | None) -> StoreError:
        store = self.store
        reason = _cannot_lock(self._folder)
        if reason:
            return StoreLockedError(
                f"The store {store} cannot be locked: its file system has no locks "
                f"({reason}), as some network drives have none. Put the store on a "
                "local disk, and copy the file when the search has ended "
                "(save_store).",
                str(store),
            )
        if failure is None or _is_busy(failure):
            holder = read_holder(store)
            if holder:
                return StoreLockedError(
                    f"The store {store} is being written by another fit: {holder}. "
                    "Wait until it has ended, or give this fit another store.",
                    str(store),
                    holder,
                )
            return StoreLockedError(
                f"The store {store} is locked, and nothing tells by whom: another fit "
                "is just starting or ending (try again), or its file system locks "
                "files badly, as some network drives do (put the store on a local "
                "disk).",
                str(store),
            )
        if "unable to open" in str(failure) or "readonly" in str(failure):
            return StoreWriteError(
                f"The store {store} cannot be written: nothing can be written to "
                f"{self._folder} ({failure}). Choose a folder that you may write to.",
                str(store),
            )
        return StoreLockedError(
            f"The store {store} cannot be locked ({failure}). Its file system may not "
            "lock files, as some network drives do not: put the store on a local disk.",
            str(store),
        )


def is_locked(store: Path) -> bool:
    """Whether a fit is writing to the store; asks without changing anything."""
    lock = journal_path(store) / LOCK
    if not lock.exists():
        return False
    try:
        connection = sqlite3.connect(
            file_uri(lock, "mode=ro"), uri=True, timeout=0, isolation_level=None
        )
    except sqlite3.Error:
        # It has gone since.
        return False
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        return _is_busy(error)
    finally:
        connection.close()
    return False


def read_holder(store: Path) -> str:
    """Return who holds a store, in words; empty where it is not known."""
    path = journal_path(store) / HOLDER
    try:
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


def _cannot_lock(folder: Path) -> str:
    """Tell why no file in a folder can be locked; empty where one can be.

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
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        # A process in a container may run as nobody that the system knows.
        return ""

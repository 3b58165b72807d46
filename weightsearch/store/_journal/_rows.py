"""The journal's database, written: one function an operation."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from weightsearch.exceptions import StoreWriteError
from weightsearch.store import _json
from weightsearch.store._journal import _format as fmt

__all__ = [
    "begin_log",
    "blocks",
    "checkpoint",
    "connect",
    "has_fit",
    "insert",
    "next_id",
    "remove_journal",
    "set_meta",
    "writer_version",
]

_PARAMS_BYTES = 1 << 20
"""Params in one row."""
_PAGE_BYTES = 2048
"""Each commit writes at least one page; from here on down it gets no faster."""


def connect(path: Path, *, durable: bool) -> sqlite3.Connection:
    """Open a journal's database for writing.

    Raises
    ------
    StoreWriteError
        If the file system has no place for a write-ahead log.
    """
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        # Before all else: making a file waits for the disk too.
        level = "NORMAL" if durable else "OFF"
        database.execute(f"PRAGMA synchronous={level}")
        database.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        (mode,) = database.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise StoreWriteError(
                f"{path.parent} lies on a file system that SQLite cannot keep a "
                "write-ahead log on, as some network drives; put the store on a "
                "local disk.",
                str(path.parent),
            )
        if durable:
            # Checkpoints come when the bytes are on the disk, not before.
            database.execute("PRAGMA wal_autocheckpoint=0")
    except BaseException:
        database.close()
        raise
    return database


def begin_log(database: sqlite3.Connection) -> None:
    """Make the log of a database that has none, without waiting for the disk.

    SQLite would wait for it twice here, lest frames of an earlier log be taken for
    this one's after a power cut; there was no earlier one, and nothing in the log is
    to outlive a power cut before the first checkpoint.
    """
    (level,) = database.execute("PRAGMA synchronous").fetchone()
    database.execute("PRAGMA synchronous=OFF")
    set_meta(database, fmt.M_SYNCED, 0)
    database.execute(f"PRAGMA synchronous={level}")


def remove_journal(folder: Path) -> bool:
    """Remove a journal's files, but not the lock.

    Returns
    -------
    bool
        False if a file is still in use (Windows); the next writer removes it.
    """
    # The database goes first: without it, the other files mean nothing.
    for name in (
        fmt.DATABASE,
        fmt.DATABASE + "-wal",
        fmt.DATABASE + "-shm",
        fmt.ARRAYS,
        fmt.NEW_DATABASE,
        fmt.NEW_DATABASE + "-wal",
        fmt.NEW_DATABASE + "-shm",
        fmt.NEW_DATABASE + "-journal",
    ):
        try:
            (folder / name).unlink(missing_ok=True)
        except PermissionError:
            return False
    return True


def insert(database: sqlite3.Connection, table: str, values: tuple[Any, ...]) -> None:
    """Insert a row, without its checksum in ``values``."""
    database.execute(_INSERTS[table], (*values, fmt.row_crc(table, values)))


def next_id(database: sqlite3.Connection, table: str) -> int:
    """Return the id of a table's next row."""
    (last,) = database.execute(f"SELECT max(id) FROM {table}").fetchone()
    return 0 if last is None else int(last) + 1


def has_fit(database: sqlite3.Connection, number: int) -> bool:
    """Tell whether a fit's row is committed."""
    try:
        found = database.execute("SELECT 1 FROM fit WHERE id=?", (number,)).fetchone()
    except sqlite3.Error:
        # A row without its bytes, if there is one, does not count either.
        return False
    return found is not None


_INSERTS = {
    table: f"INSERT INTO {table} VALUES({','.join('?' * statement.count(','))},?)"
    for table, statement in fmt.TABLES.items()
}


def set_meta(database: sqlite3.Connection, name: str, value: Any) -> None:
    """Set a name of the table ``meta`` to a value."""
    number = fmt.META_IDS[name]
    row = (number, name, _json.dumps(value))
    database.execute(
        "INSERT OR REPLACE INTO meta VALUES(?,?,?,?)", (*row, fmt.row_crc("meta", row))
    )


def checkpoint(database: sqlite3.Connection) -> None:
    """Bring the log into the database, as far as no reader is in the way."""
    database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def blocks(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Cut texts into blocks of limited size; yields position and texts."""
    first = size = 0
    for number, text in enumerate(texts):
        if size and size + len(text) > _PARAMS_BYTES:
            yield first, texts[first:number]
            first, size = number, 0
        size += len(text)
    if first < len(texts):
        yield first, texts[first:]


def writer_version() -> str:
    """Return the version of this package."""
    try:
        return version("weightsearch")
    except PackageNotFoundError:
        return ""

"""The journal's database and bytes, opened without changing anything."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from weightsearch._records import Array
from weightsearch.exceptions import CorruptStoreError, StoreError, StoreVersionError
from weightsearch.store._hdf5._layout import MAX_JSON_BYTES
from weightsearch.store._journal import _format as fmt

__all__ = ["ROWS_AHEAD", "ByteFile", "Database", "Row"]

Row = tuple[Any, ...]
"""A row without its checksum; text as UTF-8 bytes."""

ROWS_AHEAD = 128
"""Rows to fetch at once for who goes through them one after the other."""

_BYTES_AHEAD = 1 << 20
"""Their texts and blobs, at most one row more."""

_WAIT_SECONDS = 5.0
_PAUSE_SECONDS = 0.002


class Database:
    """A journal's database, read only, also while another process writes it.

    Parameters
    ----------
    folder : Path
        The journal's folder.

    Raises
    ------
    FileNotFoundError
        If there is no journal.
    CorruptStoreError, StoreVersionError, StoreError
        If it is damaged, too new, or cannot be read.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self.path = folder / fmt.DATABASE
        self._wal = folder / (fmt.DATABASE + "-wal")
        self._shm = folder / (fmt.DATABASE + "-shm")
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._immutable = False
        self.version = 0
        self._connection: sqlite3.Connection | None = None
        self._open()

    @property
    def stale(self) -> bool:
        """Whether it was opened as a finished one and has been written to since."""
        return self._immutable and _is_log(self._wal)

    def has_table(self, name: str) -> bool:
        """Whether journals of this version have a table."""
        return all(
            name not in tables or self.version >= since
            for since, tables in fmt.NEW_TABLES.items()
        )

    def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if self._copy is not None:
            self._copy.cleanup()
            self._copy = None

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """See one state of the database within."""
        with self._translating("its database"):
            connection = self._get()
            connection.execute("BEGIN")
            try:
                yield
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def rows(
        self, table: str, where: str = "1", values: tuple[Any, ...] = ()
    ) -> Iterator[tuple[int, Row | None]]:
        """Yield the rows of a table in order of their ids.

        Yields
        ------
        id : int
        row : tuple or None
            None where the row does not agree with its checksum.
        """
        with self._translating(f"table {table}"):
            query = f"SELECT * FROM {table} WHERE {where} ORDER BY id"
            for *row, crc in self._execute(query, values):
                try:
                    right = fmt.row_crc(table, row) == crc
                except (ValueError, TypeError, struct.error):
                    right = False
                yield row[0], tuple(row) if right else None

    def rows_ahead(
        self, table: str, first: int, end: int
    ) -> tuple[dict[int, Row | None], int]:
        """Fetch rows of a table by their ids, as far as they are sound and not large.

        Returns
        -------
        found : dict of int -> tuple or None
            As :meth:`rows` gives them.
        end : int
            Id up to which all that there is was found: `first` where there is damage
            at once, which is left to whoever asks for that very row.
        """
        sized = [place for place, kind in enumerate(fmt.COLUMNS[table]) if kind != "i"]
        found: dict[int, Row | None] = {}
        size, reached = 0, first
        with contextlib.suppress(CorruptStoreError):
            for at, row in self.rows(table, "id>=? AND id<?", (first, end)):
                found[at], reached = row, at + 1
                if row is not None:
                    size += sum(len(row[place] or b"") for place in sized)
                if size > _BYTES_AHEAD:
                    return found, reached
            reached = end
        return found, reached

    def row(self, table: str, number: int) -> Row | None:
        """Return one row by its id; None where it is missing or damaged."""
        found = list(self.rows(table, "id=?", (number,)))
        return found[0][1] if found else None

    def blocks(self, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        """Yield id, position, layout and checksums of fits that have arrays.

        Rows are not compared with their checksums: a wrong place, or wrong checksums
        of the arrays, shows when the arrays are compared.

        Parameters
        ----------
        first, last : int
            Ids to begin and to end with.
        """
        with self._translating("table fit"):
            query = (
                "SELECT id, position, layout, crcs FROM fit "
                "WHERE id BETWEEN ? AND ? AND layout IS NOT NULL"
            )
            yield from self._execute(query, (first, last))

    def problems(self) -> list[str]:
        """Return what SQLite's own check finds."""
        with self._translating("its database"):
            rows = self._execute("PRAGMA integrity_check(20)").fetchall()
        texts = [bytes(text).decode("utf-8", "replace") for (text,) in rows]
        return [] if texts == ["ok"] else texts

    def corrupt(self, place: str, what: str) -> CorruptStoreError:
        """Make the error for damage at a place."""
        return CorruptStoreError(
            f"The journal {self._folder} is damaged at {place}: {what}.",
            str(self._folder),
            place,
        )

    def _open(self) -> None:
        _require_file(self.path)
        has_log = _is_log(self._wal)
        if has_log and not self._shm.exists():
            # SQLite would make the missing file; a copy leaves the journal alone.
            self._copy = tempfile.TemporaryDirectory(prefix="weightsearch-journal-")
            for path in (self.path, self._wal):
                shutil.copyfile(path, Path(self._copy.name) / path.name)
            uri = fmt.file_uri(Path(self._copy.name) / fmt.DATABASE, "mode=ro")
        elif has_log:
            _require_file(self._shm)
            uri = fmt.file_uri(self.path, "mode=ro&readonly_shm=1")
        else:
            # As long as there is no log, the main file is not written to.
            uri = fmt.file_uri(self.path, "mode=ro&immutable=1")
        self._immutable = "immutable" in uri
        try:
            with self._translating("its database"):
                self._connection = self._connect(uri)
                self._check()
        except BaseException:
            self.close()
            raise

    def _connect(self, uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri,
            uri=True,
            timeout=_WAIT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        # What a stranger wrote must not run anything or ask for too much.
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * MAX_JSON_BYTES)
        connection.text_factory = bytes
        for pragma in ("query_only=1", "trusted_schema=0", "cell_size_check=1"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _check(self) -> None:
        (application,) = self._execute("PRAGMA application_id").fetchone()
        (version,) = self._execute("PRAGMA user_version").fetchone()
        if application != fmt.APPLICATION_ID:
            raise self.corrupt("its header", "it is no journal of weightsearch")
        if version > fmt.JOURNAL_VERSION:
            raise StoreVersionError(
                f"The journal {self._folder} has version {version}; this weightsearch "
                f"reads {fmt.JOURNAL_VERSION}: upgrade it "
                "(pip install -U weightsearch).",
                str(self._folder),
            )
        found = {
            (kind, name, sql)
            for kind, name, sql in self._execute(
                "SELECT type, name, sql FROM sqlite_master"
            )
        }
        self.version = int(version)
        expected = {
            (b"table", name.encode(), sql.encode())
            for name, sql in fmt.TABLES.items()
            if self.has_table(name)
        }
        if found != expected or version < 1:
            raise self.corrupt("its schema", "the tables are not those of a journal")

    def _execute(self, query: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Run a query, again where the writer was just changing the index."""
        until = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                return self._get().execute(query, values)
            except sqlite3.OperationalError as error:
                if _code(error) not in _PASSING or time.monotonic() > until:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def _get(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(
                f"The journal {self._folder} is closed.", str(self._folder)
            )
        return self._connection

    @contextlib.contextmanager
    def _translating(self, place: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if _code(error) in _OUTER_TROUBLE:
                raise StoreError(
                    f"The journal {self._folder} cannot be read: {error}.",
                    str(self._folder),
                ) from error
            raise self.corrupt(place, str(error)) from error
        except (OverflowError, UnicodeDecodeError) as error:
            # SQLite's message may quote damaged bytes.
            raise self.corrupt(place, str(error)) from error


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


# A reader that may not write to the shared index gets these while a writer does.
_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL}
_OUTER_TROUBLE = _PASSING | {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
}


_FADVISE: Callable[[int, int, int, int], None] | None
_FADVISE = getattr(os, "posix_fadvise", None)


class ByteFile:
    """The journal's bytes, for reading from any thread.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path):
        _require_file(path)
        self._file = path.open("rb", buffering=0)
        self._mutex = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes that are there now."""
        return os.fstat(self._file.fileno()).st_size

    def read(self, start: int, count: int) -> Array:
        """Return bytes as an array of shape (n,) and type uint8.

        Fewer than ``count`` come back where the file ends; nothing is allocated for
        what is not there.
        """
        raw = np.empty(max(0, min(count, self.size - start)), np.uint8)
        return raw[: self.read_into(raw, start)]

    def read_into(self, raw: Array, start: int) -> int:
        """Fill an array of bytes as far as the file goes, and tell how far."""
        view = raw.data
        done = 0
        if start >= self.size:
            return done
        with self._mutex:
            self._file.seek(start)
            while done < len(raw):
                step = self._file.readinto(view[done:])
                if not step:
                    break
                done += step
        return done

    def forget(self, start: int, count: int) -> None:
        """Tell the system that these bytes will not be read again soon."""
        if _FADVISE is not None:
            _FADVISE(self._file.fileno(), start, count, os.POSIX_FADV_DONTNEED)

    def frame(self, start: int) -> fmt.Frame | None:
        """Return the frame whose header starts at a position, if there is one."""
        if start < 0:
            return None
        return fmt.unpack_frame(self.read(start, fmt.FRAME.size).tobytes())

    def last_frame(self) -> fmt.Frame | None:
        """Return the frame at the file's very end, which a closed journal has."""
        return self.frame(self.size - fmt.FRAME.size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _is_log(path: Path) -> bool:
    """Tell whether a write-ahead log holds anything that SQLite would read.

    With read-only shared memory, SQLite tries for ten seconds and then fails with
    "locking protocol" where a log has no valid header, or nothing behind it. See
    https://sqlite.org/fileformat2.html#the_write_ahead_log for the checksum.
    """
    try:
        _require_file(path)
        with path.open("rb") as file:
            head = file.read(_LOG_HEADER.size + 1)
    except FileNotFoundError:
        return False
    if len(head) <= _LOG_HEADER.size:
        return False
    magic, version, *_, first, second = _LOG_HEADER.unpack(head[:-1])
    if magic not in _LOG_MAGIC or version != _LOG_VERSION:
        return False
    words = struct.unpack(">6I" if magic & 1 else "<6I", head[:24])
    sums = [0, 0]
    for left, right in zip(words[::2], words[1::2], strict=True):
        sums[0] = (sums[0] + left + sums[1]) % 2**32
        sums[1] = (sums[1] + right + sums[0]) % 2**32
    return sums == [first, second]


_LOG_HEADER = struct.Struct(">8I")
_LOG_MAGIC = (0x377F0682, 0x377F0683)
_LOG_VERSION = 3007000


def _require_file(path: Path) -> None:
    """Refuse links, pipes and devices in a file's place."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise CorruptStoreError(
            f"{path} is no plain file, as a journal's file must be.",
            str(path.parent),
            path.name,
        )

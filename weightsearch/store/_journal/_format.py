"""The journal's files, tables and frames; ``docs/journal.md`` is the normative page.

What the writing and the reading side must agree on, and nothing else.

How to bump the format: raise :data:`JOURNAL_VERSION` when a reader of the old number
would misread the new journal, keep the old reading side beside the new one, and say
in ``docs/journal.md`` what differs.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

__all__ = [
    "APPLICATION_ID",
    "ARRAYS",
    "DATABASE",
    "FORMAT",
    "FRAME",
    "HOLDER",
    "JOURNAL_VERSION",
    "LOCK",
    "NEW_TABLES",
    "TABLES",
    "Frame",
    "file_uri",
    "journal_path",
    "pack_frame",
    "row_crc",
    "unpack_frame",
]

FORMAT: Final = "weightsearch-journal"
JOURNAL_VERSION: Final = 2
APPLICATION_ID: Final = 0x57534A31
"""``WSJ1`` in the database's header."""

SUFFIX: Final = ".journal"
DATABASE: Final = "journal.sqlite"
NEW_DATABASE: Final = "journal.new"
ARRAYS: Final = "arrays.bin"
LOCK: Final = "lock"
HOLDER: Final = "holder.json"

# Names in the table meta.
M_FORMAT: Final = "format"
M_VERSION: Final = "journal_version"
M_WRITER: Final = "writer_version"
M_HEADER: Final = "header"
M_SPLITS: Final = "n_splits_kept"
M_SYNCED: Final = "synced_fits"
M_FINISH: Final = "finish"
META_IDS: Final = {
    name: number
    for number, name in enumerate(
        (M_FORMAT, M_VERSION, M_WRITER, M_HEADER, M_SPLITS, M_SYNCED, M_FINISH)
    )
}
"""Id of each name: a row a name, in this order."""

# Names in the table part.
P_SPLITS: Final = "splits"
P_CV_RESULTS: Final = "cv_results"
P_BEST: Final = "best"

# No index and no WITHOUT ROWID: there is nothing then that could contradict a table.
TABLES: Final = {
    "meta": "CREATE TABLE meta(id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
    " value TEXT NOT NULL, crc INTEGER NOT NULL)",
    "params": "CREATE TABLE params(id INTEGER PRIMARY KEY, start INTEGER NOT NULL,"
    " encoded TEXT NOT NULL, crc INTEGER NOT NULL)",
    "layout": "CREATE TABLE layout(id INTEGER PRIMARY KEY, spec TEXT NOT NULL,"
    " crc INTEGER NOT NULL)",
    "part": "CREATE TABLE part(id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
    " layout INTEGER NOT NULL, position INTEGER NOT NULL, crcs BLOB NOT NULL,"
    " crc INTEGER NOT NULL)",
    "fit": "CREATE TABLE fit(id INTEGER PRIMARY KEY, candidate INTEGER NOT NULL,"
    " split INTEGER NOT NULL, failed INTEGER NOT NULL, weights INTEGER NOT NULL,"
    " ended INTEGER NOT NULL, fit_key TEXT, position INTEGER NOT NULL,"
    " layout INTEGER, crcs BLOB, result TEXT, source_uid TEXT, source_row INTEGER,"
    " crc INTEGER NOT NULL)",
    "blob": "CREATE TABLE blob(id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
    " position INTEGER NOT NULL, nbytes INTEGER NOT NULL, content INTEGER NOT NULL,"
    " crc INTEGER NOT NULL)",
    "state": "CREATE TABLE state(id INTEGER PRIMARY KEY, encoded TEXT NOT NULL,"
    " blobs TEXT NOT NULL, crc INTEGER NOT NULL)",
}
NEW_TABLES: Final = {2: ("blob", "state")}
"""Tables that came with a version; those before have not got them."""

COLUMNS: Final = {
    "meta": "itt",
    "params": "iit",
    "layout": "it",
    "part": "itiib",
    "fit": "iiiiiitiibtti",
    "blob": "itiii",
    "state": "itt",
}
"""Kinds of the columns before ``crc``: integer, text, blob."""

FRAME: Final = struct.Struct("<4sIQQII")
"""Magic, kind, number, bytes of payload, CRC of what is before it, confirmed."""
_MAGIC: Final = b"WSJF"
_CRC_SIZE: Final = 24

FIT: Final = 1
"""Frame of a fit; its number is the fit's id."""
PART: Final = 2
"""Frame of a part; its number is the part's id."""
CLOSED: Final = 3
"""Last frame of a journal that was closed unfinished; its number counts the fits."""
FINISHED: Final = 4
"""Last frame of a finished journal; its number counts the fits."""
BEGIN: Final = 5
"""First frame, of number 0: its payload is the run's uid."""
BLOB: Final = 6
"""Frame of a blob; its number is the blob's id."""
_KINDS: Final = (FIT, PART, CLOSED, FINISHED, BEGIN, BLOB)

CONFIRMED: Final = struct.pack("<I", 1)
"""Last bytes of a frame's header once the row of its record is committed."""

Frame = tuple[int, int, int, bool]
"""Kind, number, bytes of payload, confirmed."""


def journal_path(store: Path) -> Path:
    """Return the journal's folder of a store."""
    return store.with_name(store.name + SUFFIX)


def file_uri(path: Path, options: str) -> str:
    """Return a path as SQLite's URI.

    Parameters
    ----------
    path : Path
        Absolute.
    options : str
        What follows the question mark.
    """
    text = path.absolute().as_posix()
    # Windows: C:/x needs a slash in front; //server/share must not lose its own.
    text = text if text.startswith("/") else "/" + text
    return f"file://{quote(text)}?{options}"


def pack_frame(kind: int, number: int, nbytes: int) -> bytes:
    """Return the header that stands before the bytes of a record."""
    head = FRAME.pack(_MAGIC, kind, number, nbytes, 0, 0)
    return FRAME.pack(_MAGIC, kind, number, nbytes, zlib.crc32(head[:_CRC_SIZE]), 0)


def unpack_frame(head: bytes) -> Frame | None:
    """Read a frame's header; None where there is none."""
    if len(head) != FRAME.size:
        return None
    magic, kind, number, nbytes, crc, confirmed = FRAME.unpack(head)
    if (magic, crc) != (_MAGIC, zlib.crc32(head[:_CRC_SIZE])) or kind not in _KINDS:
        return None
    return kind, number, nbytes, bool(confirmed)


def row_crc(table: str, values: Sequence[int | str | bytes | None]) -> int:
    """Checksum of a row: CRC-32 over its values in order of the table's columns.

    Each value is written as a letter (``n`` NULL, ``i`` integer, ``t`` text, ``b``
    blob), the number of its bytes as 8 bytes, little endian, and its bytes:
    integers as 8 bytes, little endian, signed; text as UTF-8.

    Parameters
    ----------
    table : str
    values : sequence
        The row without its checksum; text may be given as its UTF-8 bytes.

    Raises
    ------
    ValueError, TypeError, struct.error
        If a value is not of its column's kind.
    """
    pieces: list[bytes] = []
    for kind, value in zip(COLUMNS[table], values, strict=True):
        if value is None:
            pieces.append(_NULL)
        elif kind == "i":
            pieces.append(_INTEGER.pack(b"i", 8, value))
        else:
            raw = value.encode() if isinstance(value, str) else bytes(value)
            pieces += (_HEAD.pack(kind.encode(), len(raw)), raw)
    return zlib.crc32(b"".join(pieces))


_HEAD = struct.Struct("<cQ")
_INTEGER = struct.Struct("<cQq")
_NULL = _HEAD.pack(b"n", 0)

"""A journal's content: tables checked row by row, and arrays of its bytes."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weightsearch._records import Array, RunHeader, Weights
from weightsearch.exceptions import CorruptStoreError, WeightsNotFoundError
from weightsearch.store import _json
from weightsearch.store._journal import _format as fmt
from weightsearch.store._journal._arrays import Layout
from weightsearch.store._journal._columns import Columns
from weightsearch.store._journal._database import (
    ROWS_AHEAD,
    ByteFile,
    Database,
    Row,
)
from weightsearch.store._journal._meta import check_meta, parse_header

__all__ = ["Block", "JournalContent"]

_LAYOUTS_KEPT = 256
_SMALL_RECORD = 1 << 20


@dataclass(frozen=True, slots=True)
class Block:
    """Where the arrays of a fit or of a part lie."""

    place: str
    layout: int
    position: int
    crcs: bytes

    @classmethod
    def of_fit(cls, row: Row) -> Block:
        """Return the block of a row of the table ``fit`` that has one."""
        return cls(f"fit {row[0]}", row[8], row[7], row[9] or b"")


class JournalContent:
    """What a journal's files hold, as far as it was committed at the last refresh.

    Parameters
    ----------
    folder : Path
    salvage : bool
        Count damaged rows of the table ``fit`` in :attr:`n_lost` and go on, instead
        of raising an error.

    Attributes
    ----------
    header : RunHeader
        As it was when the run began.
    columns : Columns
    n_lost : int
    """

    header: RunHeader

    def __init__(self, folder: Path, *, salvage: bool = False):
        self.folder = folder
        self.n_lost = 0
        self.columns = Columns()
        self.params: list[str] = []
        self._salvage = salvage
        self._mutex = threading.RLock()
        self._layouts: OrderedDict[int, Layout] = OrderedDict()
        self._meta: dict[str, Any] = {}
        self._n_params_rows = 0
        self._n_seen = 0
        self._n_whole = 0
        self._last = -1
        self._ahead: dict[int, Row] = {}
        self.database = Database(folder)
        try:
            self.file = self._open_file()
        except BaseException:
            self.database.close()
            raise
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files."""
        with self._mutex:
            self.database.close()
            self.file.close()

    def corrupt(self, place: str, what: str) -> CorruptStoreError:
        """Make the error for damage at a place."""
        return self.database.corrupt(place, what)

    @property
    def n_seen(self) -> int:
        """Fits that were there when the rows were last read; ids are below it."""
        return self._n_seen

    @property
    def synced(self) -> int:
        """Fits whose bytes were on the disk; a power cut may have torn later ones."""
        return int(self._meta.get(fmt.M_SYNCED, 0))

    @property
    def finish(self) -> dict[str, Any] | None:
        """What was noted at the end; None while the run goes on."""
        return self._meta.get(fmt.M_FINISH)

    @property
    def n_splits(self) -> int | None:
        """Number of splits that are kept here; None where none are."""
        return self._meta.get(fmt.M_SPLITS)

    # -- loading --------------------------------------------------------------

    def _open_file(self) -> ByteFile:
        try:
            return ByteFile(self.folder / fmt.ARRAYS)
        except FileNotFoundError as error:
            if not self.database.path.exists():
                # The database goes first when a journal is removed.
                raise
            raise self.corrupt(fmt.ARRAYS, "the file is missing") from error

    def refresh(self) -> None:
        """See what was committed until now."""
        with self._mutex:
            # Before the rows: what the last frame counts was committed before it.
            last = self.file.last_frame()
            with self.database.snapshot():
                self._load_meta()
                self._load_params()
                self._load_fits()
            self._drop_torn_tail()
            if not self._salvage:
                self._check_first()
                if last is not None:
                    self._check_last(last)

    def _load_meta(self) -> None:
        meta: dict[str, Any] = {}
        for number, row in self.database.rows("meta"):
            if row is None:
                raise self.corrupt(f"meta {number}", "its checksum is wrong")
            name = row[1].decode("utf-8", "replace")
            meta[name] = self.json(row[2], f"meta {name}")
        try:
            check_meta(meta)
            self.header = parse_header(meta.get(fmt.M_HEADER))
        except (KeyError, TypeError, ValueError) as error:
            raise self.corrupt("meta", str(error)) from error
        self._meta = meta

    def _load_params(self) -> None:
        for number, row in self.database.rows(
            "params", "id>=?", (self._n_params_rows,)
        ):
            place = f"params {number}"
            if row is None or number != self._n_params_rows:
                raise self.corrupt(place, "a row is missing or its checksum is wrong")
            texts, start = self.json(row[2], place), row[1]
            if not (
                isinstance(texts, list) and all(isinstance(text, str) for text in texts)
            ):
                raise self.corrupt(place, "it is no list of texts")
            if not 0 <= start <= len(self.params):
                raise self.corrupt(place, f"candidates before {start} are missing")
            self.params[start : start + len(texts)] = texts
            self._n_params_rows = number + 1

    def _load_fits(self) -> None:
        try:
            for number, row in self.database.rows("fit", "id>=?", (self._n_seen,)):
                if row is not None and row[1] >= len(self.params):
                    # A fit that was taken over before its params were written.
                    return
                good = row is not None and number == self._n_seen
                if not good and not self._salvage:
                    raise self.corrupt(
                        f"fit {self._n_seen}", "it is missing or its checksum is wrong"
                    )
                self.n_lost += number - self._n_seen + (row is None)
                if row is not None:
                    self.columns.add(row)
                self._n_seen = number + 1
        except (TypeError, ValueError) as error:
            raise self.corrupt(f"fit {self._n_seen}", str(error)) from error
        except CorruptStoreError:
            if not self._salvage:
                raise
            # SQLite cannot go on from here: what came before is what is left.
            self.n_lost += 1

    def _drop_torn_tail(self) -> None:
        """Forget rows whose bytes a power cut has cost; they are always the last."""
        # Asked for after the rows were read, so that it is not older than they are.
        size = self.file.size
        while len(self.columns):
            if self._n_whole == len(self.columns):
                return
            record = self.row(len(self.columns) - 1)
            end = record[7]
            if record[8] is not None:
                end += self.layout(record[8]).nbytes
            if end <= size:
                self._n_whole = len(self.columns)
                return
            if record[0] < self.synced and not self._salvage:
                raise self.corrupt(f"fit {record[0]}", "its arrays are cut off")
            self.columns.drop([len(self.columns) - 1])
            self.n_lost += 1

    def _check_first(self) -> None:
        uid = self.header.uid.encode()
        first = self.file.read(0, fmt.FRAME.size + len(uid)).tobytes()
        if first != fmt.pack_frame(fmt.BEGIN, 0, len(uid)) + uid:
            raise self.corrupt(fmt.ARRAYS, "it does not begin with this run's uid")

    def _check_last(self, last: fmt.Frame) -> None:
        kind, number = last[:2]
        if kind not in (fmt.CLOSED, fmt.FINISHED):
            return
        if self._n_seen < number and self.database.row("fit", number - 1) is None:
            raise self.corrupt(f"fit {number - 1}", "it is missing")
        if kind == fmt.FINISHED and self.finish is None:
            raise self.corrupt("meta finish", "the row is missing")

    def frames(self, position: int = 0) -> dict[int, fmt.Frame]:
        """Return frames by the position of their first byte, as far as they go on.

        Parameters
        ----------
        position : int
            Where the header of the first one lies.
        """
        frames: dict[int, fmt.Frame] = {}
        while (frame := self.file.frame(position)) is not None:
            position += fmt.FRAME.size
            frames[position] = frame
            position += frame[2]
        return frames

    def n_rows_lost(self, frames: Iterable[fmt.Frame]) -> int:
        """Count the fits whose row was committed and is not there any more.

        A power cut may cost the last rows, and so may damage to SQLite's log.
        """
        n_rows = self._n_seen
        for number, _ in self.database.rows("fit", "id>=?", (n_rows,)):
            n_rows = number + 1
        found = {f[1]: f[3] for f in frames if f[0] == fmt.FIT and f[1] >= n_rows}
        # No fit was begun before the row of the one before it was there.
        return sum(found[n] or n < max(found) for n in found)

    @property
    def end(self) -> int:
        """Where the record of the last fit ends."""
        if not len(self.columns):
            return 0
        row = self.row(len(self.columns) - 1)
        return int(row[7] + (0 if row[8] is None else self.layout(row[8]).nbytes))

    def id_of(self, row: int) -> int:
        """Return the id of the fit that is a row of :attr:`columns`."""
        if not 0 <= row < len(self.columns):
            raise WeightsNotFoundError(
                f"There is no fit {row}; this run has {len(self.columns)}."
            )
        return int(self.columns.ids[row])

    def row(self, row: int) -> Row:
        """Return the row of the table ``fit`` that is a row of :attr:`columns`."""
        with self._mutex:
            number = self.id_of(row)
            found = self._ahead.get(number)
            if found is None:
                found = self._fetch(number)
            self._last = number
            return found

    def _fetch(self, number: int) -> Row:
        """Fetch a row of the table ``fit``, and those behind it if they come next."""
        self._ahead = {}
        if number == self._last + 1:
            found, _ = self.database.rows_ahead("fit", number, number + ROWS_AHEAD)
            self._ahead = {at: row for at, row in found.items() if row is not None}
        if number not in self._ahead:
            row = self.database.row("fit", number)
            if row is None:
                raise self.corrupt(f"fit {number}", "its checksum is wrong")
            self._ahead = {number: row}
        return self._ahead[number]

    def layout(self, number: int) -> Layout:
        """Return a layout by its id."""
        with self._mutex:
            layout = self._layouts.get(number)
            if layout is None:
                row = self.database.row("layout", number)
                place = f"layout {number}"
                if row is None:
                    raise self.corrupt(place, "it is missing or its checksum is wrong")
                layout = Layout.parse(row[1], path=str(self.folder), place=place)
                self._layouts[number] = layout
                if len(self._layouts) > _LAYOUTS_KEPT:
                    self._layouts.popitem(last=False)
            return layout

    def part(self, name: str) -> Block:
        """Return the block of a part by its name."""
        with self._mutex:
            found = list(self.database.rows("part", "name=?", (name,)))
        if len(found) != 1 or found[0][1] is None:
            raise self.corrupt(f"part {name}", "it is missing or its checksum is wrong")
        _, _, layout, position, crcs = found[0][1]
        return Block(f"part {name}", layout, position, crcs)

    def read(self, block: Block, name: str) -> Array:
        """Return one array of a block, compared with its checksum."""
        layout = self.layout(block.layout)
        number = layout.index.get(layout.specs.ties.get(name, name))
        if number is None:
            known = ", ".join(list(layout.index)[:10])
            raise WeightsNotFoundError(
                f"There is no weight {name!r}; there are {known}."
            )
        start, count = layout.extent(number)
        raw = self.file.read(block.position + start, count)
        self._check(block, layout, number, raw)
        return layout.array(number, raw)

    def read_all(self, block: Block) -> Weights:
        """Return all arrays of a block, compared with their checksums."""
        layout = self.layout(block.layout)
        arrays = {name: array for name, array in self._arrays(block, layout)}
        return Weights(arrays, ties=layout.specs.ties, encodings=layout.specs.encodings)

    def _arrays(self, block: Block, layout: Layout) -> Iterator[tuple[str, Array]]:
        together = None
        if layout.nbytes <= _SMALL_RECORD:
            together = self.file.read(block.position, layout.nbytes)
        for name, number in layout.index.items():
            start, count = layout.extent(number)
            if together is None:
                raw = self.file.read(block.position + start, count)
            else:
                # A copy, so that it is aligned and holds no other array in memory.
                raw = together[start : start + count].copy()
            self._check(block, layout, number, raw)
            yield name, layout.array(number, raw)

    def check_bytes(self, block: Block) -> None:
        """Compare all arrays of a block with their checksums."""
        for _ in self._arrays(block, self.layout(block.layout)):
            pass

    def _check(self, block: Block, layout: Layout, number: int, raw: Array) -> None:
        crcs = np.frombuffer(block.crcs, "<u4")
        name = layout.specs.arrays[number].name
        if len(crcs) != len(layout.stored):
            raise self.corrupt(block.place, "a checksum is missing")
        if len(raw) != layout.extent(number)[1]:
            raise self.corrupt(block.place, f"array {name!r} is cut off")
        if zlib.crc32(raw.data) != crcs[number]:
            raise self.corrupt(block.place, f"the checksum of array {name!r} is wrong")

    def json(self, text: bytes, place: str) -> Any:
        """Read a JSON text of the database."""
        return _json.loads(text, path=str(self.folder), place=place)

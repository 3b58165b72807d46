"""Index of a store: its runs, and every fit that can be reused.

Two tables that grow at their end, so that opening a store or looking for a fit
reads two datasets, however many runs there are. All of it is in the runs too: where
a record is damaged, the run is found by its group.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from h5py import h5d, h5g, h5p, h5s, h5t

from weightsearch._records import Array, FitTable, RunHeader
from weightsearch.exceptions import CorruptStoreError, StoreError
from weightsearch.store import _schema as names
from weightsearch.store._checked import CheckedGroup, as_bytes, crc32
from weightsearch.store._columns import append_block
from weightsearch.store._names import from_path, to_flat

REMOVED, COMPLETE, INTERRUPTED, KEPT = range(4)
"""Values of the field ``status``."""
_STATUS = {COMPLETE: "complete", INTERRUPTED: "interrupted", KEPT: "kept"}

RUN = np.dtype(
    [
        (names.F_UID, "S32"),
        (names.F_NAME, f"S{names.MAX_RUN_NAME_BYTES}"),
        (names.F_STARTED, "S32"),
        (names.F_FINGERPRINT, "S32"),
        (names.F_STATUS, "u1"),
        (names.F_REFERRERS, "<i8"),
        (names.F_NBYTES, "<i8"),
        (names.F_FIRST, "<i8"),
        (names.F_COUNT, "<i8"),
        (names.F_FITS_CRC32, "<u4"),
        (names.F_CRC32, "<u4"),
    ]
)
FIT = np.dtype([(names.F_KEY, "S32"), (names.F_ROW, "<i8"), (names.F_WEIGHTS, "u1")])
_CHUNKS = {names.D_INDEX_RUNS: 8, names.D_INDEX_FITS: 64}


@dataclass(slots=True)
class CatalogEntry:
    """What the index has of a run; texts as in the run's header."""

    uid: str
    name: str
    started: str
    """Cut to 32 bytes."""
    status: str
    """``"complete"``, ``"interrupted"`` or ``"kept"``: deleted, but referred to."""
    fingerprint: str = ""
    referrers: int = 0
    """Number of other runs that refer to fits of this one."""
    nbytes: int = 0
    """Bytes that the file grew by when the run was added."""
    first: int = 0
    count: int = 0
    fits_crc32: int = 0
    number: int = -1
    """Its record; -1 where the run was found by its group."""

    @property
    def place(self) -> str:
        """The path of the run's group."""
        if self.status == "kept":
            return f"{names.G_KEPT}/{self.uid}"
        return f"{names.G_RUNS}/{to_flat(self.name)}"

    def to_record(self) -> Array:
        """Return the record, an array of one element."""
        status = next(code for code, text in _STATUS.items() if text == self.status)
        record = np.zeros(1, RUN)
        record[0] = (
            *(text.encode() for text in (self.uid, to_flat(self.name))),
            self.started.encode()[:32],
            self.fingerprint.encode(),
            status,
            *(self.referrers, self.nbytes, self.first, self.count, self.fits_crc32),
            0,
        )
        return _with_crc(record)


def entry_of(header: RunHeader, status: str) -> CatalogEntry:
    """Return the entry of a run that is about to be written."""
    fingerprint = header.fingerprint or ""
    if len(fingerprint.encode()) > 32:
        fingerprint = ""
    return CatalogEntry(header.uid, header.name, header.started, status, fingerprint)


def fit_records(fits: FitTable) -> Array:
    """Return the records of the fits and models that can be reused."""
    of_fits = np.flatnonzero(~fits.failed & (fits.key != b""))
    of_models = np.flatnonzero(
        ~fits.failed & fits.has_weights & (fits.model_key != b"")
    )
    rows = np.concatenate([of_fits, of_models])
    records = np.zeros(len(rows), FIT)
    records[names.F_KEY] = np.concatenate(
        [fits.key[of_fits], fits.model_key[of_models]]
    )
    records[names.F_ROW] = rows
    records[names.F_WEIGHTS] = fits.has_weights[rows]
    return records


class Catalog:
    """The index of a store, read whole.

    Its entries are the oldest first, with the kept ones; its counts are those of the
    records in the two tables, with those of removed runs; its problem is what was
    wrong with the index, if something was.
    """

    def __init__(self, root: CheckedGroup):
        self._root = root
        self.problem: StoreError | None = None
        self.entries: list[CatalogEntry] = []
        self.n_records = self.n_fits = 0
        try:
            self._read()
        except CorruptStoreError as exc:
            self.problem = exc
        self._find_others()
        self.entries.sort(key=lambda entry: (entry.started, entry.name))

    def _read(self) -> None:
        index = self._root.group(names.G_INDEX)
        self._fits = index.dataset(names.D_INDEX_FITS, FIT)
        runs = index.dataset(names.D_INDEX_RUNS, RUN)
        if len(runs.shape) != 1 or len(self._fits.shape) != 1:
            raise runs.refuse("is not a table")
        (self.n_records,), (self.n_fits,) = runs.shape, self._fits.shape
        records = runs.read()
        raw, end = as_bytes(records), RUN.itemsize - 4
        crcs = records[names.F_CRC32].tolist()
        starts = range(0, records.nbytes, RUN.itemsize)
        for number, (start, crc) in enumerate(zip(starts, crcs, strict=True)):
            if zlib.crc32(raw[start : start + end]) != crc:
                self.problem = runs.refuse(
                    f"record {number} does not match its checksum"
                )
                records[names.F_STATUS][number] = REMOVED
        try:
            for number in np.flatnonzero(records[names.F_STATUS] != REMOVED).tolist():
                uid, name, started, mark, status, *rest = records[number].item()
                texts = uid.decode(), from_path(name.decode()), started.decode()
                self.entries.append(
                    CatalogEntry(*texts, _STATUS[status], mark.decode(), *rest[:-1])
                )
                self.entries[-1].number = number
        except (KeyError, UnicodeDecodeError) as exc:
            raise runs.refuse(f"record {number} is not valid") from exc

    def _find_others(self) -> None:
        """Add the runs that have no record, or a damaged one."""
        for folder, kept in ((names.G_RUNS, False), (names.G_KEPT, True)):
            group = self._root.group(folder)
            listed = [e for e in self.entries if (e.status == "kept") == kept]
            if self.problem is None and group.gid.get_num_objs() == len(listed):
                continue
            known = {entry.place.rsplit("/", 1)[1] for entry in listed}
            for name in group.names(names.MAX_RUNS):
                if name in known:
                    continue
                try:
                    run = group.group(name)
                    texts = (names.A_UID, names.A_STARTED, names.A_STATUS)
                    uid, started, status = map(run.text, texts)
                    shown = from_path(name)
                except (CorruptStoreError, ValueError):
                    uid, started, status, shown = "", "", "interrupted", name
                status = "kept" if kept else status
                self.entries.append(CatalogEntry(uid, shown, started, status))

    def fits(self) -> list[tuple[str, Array]]:
        """Read the reusable fits of each visible run, in the order of the commits.

        Returns uids and records; what does not match its checksum is left out.
        """
        visible = [
            e for e in self.entries if e.status != "kept" and e.number >= 0 and e.count
        ]
        table = self._fits.read() if visible else np.zeros(0, FIT)
        found = []
        for entry in sorted(visible, key=lambda entry: entry.number):
            records = table[max(entry.first, 0) : entry.first + entry.count]
            if len(records) == entry.count and crc32(records) == entry.fits_crc32:
                found.append((entry.uid, records))
        return found

    def problems(self) -> Iterator[StoreError]:
        """Yield what is wrong with the index."""
        if self.problem is not None:
            yield self.problem
            return
        for entry in self.entries:
            if entry.number < 0:
                yield self._root.refuse(f"/{entry.place} has no record in the index")
        indexed = {uid for uid, _ in self.fits()}
        for entry in self.entries:
            if entry.status != "kept" and entry.count and entry.uid not in indexed:
                yield self._root.refuse(f"the index of {entry.place}'s fits is bad")


class CatalogWriter:
    """The index of a store that is being written, with so many records in it."""

    def __init__(self, index: h5g.GroupID, n_records: int = 0, n_fits: int = 0):
        self._runs = h5d.open(index, names.D_INDEX_RUNS.encode())
        self._fits = h5d.open(index, names.D_INDEX_FITS.encode())
        self._n_records = n_records
        self._n_fits = n_fits

    @classmethod
    def create(cls, root: h5g.GroupID) -> CatalogWriter:
        """Make the index of a new store."""
        index = h5g.create(root, names.G_INDEX.encode())
        for name, dtype in ((names.D_INDEX_RUNS, RUN), (names.D_INDEX_FITS, FIT)):
            dcpl = h5p.create(h5p.DATASET_CREATE)
            dcpl.set_obj_track_times(False)
            dcpl.set_chunk((_CHUNKS[name],))
            space = h5s.create_simple((0,), (h5s.UNLIMITED,))
            kind = h5t.py_create(dtype, logical=True)
            h5d.create(index, name.encode(), kind, space, dcpl)
        return cls(index)

    def add(self, entry: CatalogEntry, fits: Array) -> None:
        """Add a run, and the records of its fits."""
        entry.number = self._n_records
        entry.first, entry.count = self._n_fits, len(fits)
        entry.fits_crc32 = zlib.crc32(as_bytes(fits))
        self._n_records += 1
        self._n_fits += len(fits)
        self._fits.set_extent((self._n_fits,))
        append_block(self._fits, fits, entry.first)
        self._runs.set_extent((self._n_records,))
        self.update(entry)

    def update(self, entry: CatalogEntry) -> None:
        """Write a run's record again."""
        append_block(self._runs, entry.to_record(), entry.number)

    def remove(self, entry: CatalogEntry) -> None:
        """Mark a run as removed."""
        append_block(self._runs, _with_crc(np.zeros(1, RUN)), entry.number)


def _with_crc(record: Array) -> Array:
    record[names.F_CRC32] = zlib.crc32(as_bytes(record)[:-4])
    return record

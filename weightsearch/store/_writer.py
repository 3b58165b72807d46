"""Writing runs into a store's file, removing them, and rewriting the file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5f, h5g, h5o

from weightsearch._records import Array, FitTable, RunHeader, RunSource, Splits
from weightsearch.exceptions import StoreError, StoreWriteError
from weightsearch.store import _json
from weightsearch.store import _schema as names
from weightsearch.store._append import (
    AppendFile,
    new_file,
    opened_for_append,
    recover,
)
from weightsearch.store._catalog import (
    CatalogEntry,
    CatalogWriter,
    entry_of,
    fit_records,
)
from weightsearch.store._checked import (
    TROUBLE,
    CheckedGroup,
    dangers,
    guarded,
    translate,
)
from weightsearch.store._columns import (
    Filters,
    check_compression,
    write_attribute,
    write_column,
    write_named_columns,
    write_text,
    write_texts,
)
from weightsearch.store._dtypes import check_storable
from weightsearch.store._names import to_flat
from weightsearch.store._reader import Hdf5Store, StoreView
from weightsearch.store._run import Referring
from weightsearch.store._snapshots import write_snapshots
from weightsearch.store._splits import NUMBERS, pack_splits
from weightsearch.store._stacks import plan, write_architecture
from weightsearch.store._states import write_states
from weightsearch.store._stored_run import Hdf5Run

_LIBVER = ("v110", "v110")
"""Every structure has a checksum, and HDF5 1.10 (2016) and later read it."""
_SMALL_BYTES = 2**20
"""A file is not rewritten for less than this."""


def append_runs(
    path: Path,
    runs: Iterable[RunSource],
    *,
    store_uid: str,
    remove: Collection[str] = (),
    durable: bool = True,
    compression: str | Mapping[str, Any] | None = None,
) -> None:
    """Add runs to a store and remove others, all in one commit.

    The store's lock must be held. Where more than half of the file is unused
    afterwards, it is written again, if there is room for that.

    Parameters
    ----------
    path : Path
        The store's file; created if there is none.
    runs : iterable of RunSource
        Their arrays pass through in blocks of bounded size. A row whose origin is
        another run of the file, or one before it here, is stored as a reference;
        where the origin is neither, the fit is written. A run that is still running
        is stored as interrupted; one whose name is taken gets another; one that the
        store has already is left out.
    store_uid : str
        Uid of a store that is created: unique, 32 hexadecimal digits.
    remove : collection of str
        Uids of runs to remove; those that are not there are ignored. What other runs
        refer to is kept, hidden.
    durable : bool, default=True
        Whether to wait until everything is on the disk.
    compression : None, "gzip", "lzf" or mapping
        Of the weights, as ``check_compression`` takes it.

    Raises
    ------
    StoreWriteError
        The file cannot be written; it is as it was, or as the message says.
    CorruptStoreError
        A run to add, or the file, is damaged.
    """
    filters = check_compression(compression)
    path = Path(os.path.realpath(path))
    new = not path.exists()
    opened = (
        new_file(path, durable=durable, replace=False)
        if new
        else opened_for_append(path, durable=durable)
    )
    with opened as file:
        with _hdf5(file, str(path), new=new) as hdf5:
            root = h5g.open(hdf5, b"/")
            if new:
                _begin(root, store_uid)
            writer = _Writer(CheckedGroup(root, str(path), "/"), file, hdf5, filters)
            for run in runs:
                writer.add(run)
            for uid in remove:
                writer.remove(uid)
            used, size = writer.n_used, file.size
    if remove and size > _SMALL_BYTES and used < size // 2:
        with contextlib.suppress(StoreError):
            rewrite(path, durable=durable)


def rewrite(path: Path, *, durable: bool = True) -> None:
    """Rewrite a store's file without what is unused, and replace it.

    The store's lock must be held. Whatever is raised, the file that was there is
    untouched, and no other is left beside it.
    """
    path = Path(os.path.realpath(path))
    recover(path)
    with (
        new_file(path, durable=durable, replace=True) as file,
        _hdf5(file, str(path), new=True) as hdf5,
        Hdf5Store(path) as store,
    ):
        root = h5g.open(hdf5, b"/")
        _begin(root, store.uid)
        writer = _Writer(CheckedGroup(root, str(path), "/"), file, hdf5, None)
        moved: dict[tuple[bytes, int], tuple[str, int]] = {}
        kept = {e.uid.encode() for e in store.catalog.entries if e.status == "kept"}
        for run in store.runs.values():
            origins = set(run.fits().origin.tolist())
            if origins & kept:
                writer.filters = _filters_of_run(run)
                writer.add(_Moved(run, kept, moved))
            else:
                writer.copy(run)
        store.close()


@contextlib.contextmanager
def _hdf5(file: AppendFile, path: str, *, new: bool) -> Iterator[h5f.FileID]:
    """Open the file with HDF5, so that HDF5 can always close it."""
    # Space that is given up is not used again while the file is open: new bytes all
    # go to its end.
    with guarded(path, "/"):
        opened = (
            h5py.File(file, "w", libver=_LIBVER, fs_strategy="none")
            if new
            else h5py.File(file, "r+", libver=_LIBVER)
        )
    try:
        yield opened.id
    except BaseException as exc:
        # Nothing more is written, and nothing is committed.
        if file.error is None:
            file.error = exc
        with contextlib.suppress(*TROUBLE):
            opened.close()
        if isinstance(exc, (RuntimeError, KeyError)):
            # Of HDF5, over a file that is damaged.
            raise translate(exc, path, "/") from exc
        raise
    opened.close()


def _begin(root: h5g.GroupID, uid: str) -> None:
    write_attribute(root, names.A_FORMAT, names.FORMAT)
    write_attribute(root, names.A_FORMAT_VERSION, names.FORMAT_VERSION)
    write_attribute(root, names.A_WRITER_VERSION, _version())
    write_attribute(root, names.A_STORE_UID, uid)
    h5g.create(root, names.G_RUNS.encode())
    h5g.create(root, names.G_KEPT.encode())
    CatalogWriter.create(root)


class _Writer:
    """A store's file that is open for writing."""

    def __init__(
        self, root: CheckedGroup, file: AppendFile, hdf5: h5f.FileID, filters: Filters
    ):
        self._root = root
        self._file = file
        self._hdf5 = hdf5
        self.filters = filters
        self._view = StoreView(root)
        self._entries = {entry.uid: entry for entry in self._view.catalog.entries}
        self._runs = h5g.open(root.gid, names.G_RUNS.encode())
        catalog = self._view.catalog
        if catalog.problem is None and all(e.number >= 0 for e in catalog.entries):
            index = h5g.open(root.gid, names.G_INDEX.encode())
            self._index = CatalogWriter(index, catalog.n_records, catalog.n_fits)
        else:
            self._index = self._repaired()

    @property
    def n_used(self) -> int:
        """Approximate number of bytes that runs take."""
        return sum(entry.nbytes for entry in self._entries.values())

    def add(self, run: RunSource) -> None:
        """Write a run, unless it is there already."""
        header = run.header
        known = self._entries.get(header.uid)
        if known is not None:
            if known.status == "kept":
                self._show(known, header)
            return
        if (
            isinstance(run, Hdf5Run)
            and not (run.fits().origin != b"").any()
            and self._free_name(run.name) == run.name
        ):
            self.copy(run)
            return
        if header.status == "running":
            header = replace(header, status="interrupted")
        header = replace(header, name=self._free_name(header.name))
        group, entry = self._begun(header)
        before = self._hdf5.get_filesize()
        fits = self._flattened(run.fits(), header.uid)
        _write_run(group, run, header, fits, self.filters)
        self._finished(entry, fits, before)

    def copy(self, run: Hdf5Run) -> None:
        """Copy a run of another file without decoding it."""
        # Links of an untrusted file must not be copied; content keeps its checksums.
        for danger in dangers(run.group):
            raise danger
        name = to_flat(run.name).encode()
        before = self._hdf5.get_filesize()
        h5o.copy(run.group.gid, b".", self._runs, name)
        self._finished(entry_of(run.header, run.header.status), run.fits(), before)

    def remove(self, uid: str) -> None:
        """Remove a run; hide it while others refer to it."""
        entry = self._entries.get(uid)
        if entry is None or entry.status == "kept":
            return
        if entry.referrers:
            self._move(entry, "kept")
        else:
            self._unlink(entry)

    def _show(self, entry: CatalogEntry, header: RunHeader) -> None:
        """Show a run again that was removed, but kept."""
        if self._free_name(entry.name) == entry.name:
            self._move(entry, header.status)

    def _move(self, entry: CatalogEntry, status: str) -> None:
        before, entry.status = entry.place.encode(), status
        self._root.gid.links.move(before, self._root.gid, entry.place.encode())
        self._index.update(entry)

    def _unlink(self, entry: CatalogEntry) -> None:
        run = self._view.by_uid(entry.uid)
        holders = _holders(run.fits()) if run is not None else set()
        self._root.gid.unlink(entry.place.encode())
        self._index.remove(entry)
        del self._entries[entry.uid]
        for uid in holders - {entry.uid}:
            holder = self._entries.get(uid)
            if holder is None:
                continue
            holder.referrers -= 1
            if holder.referrers <= 0 and holder.status == "kept":
                self._unlink(holder)
            else:
                self._index.update(holder)

    def _begun(self, header: RunHeader) -> tuple[h5g.GroupID, CatalogEntry]:
        if len(to_flat(header.name).encode()) > names.MAX_RUN_NAME_BYTES:
            raise ValueError(
                f"the run's name {header.name[:40]!r}... has more than "
                f"{names.MAX_RUN_NAME_BYTES} bytes"
            )
        group = h5g.create(self._runs, to_flat(header.name).encode())
        return group, entry_of(header, header.status)

    def _finished(self, entry: CatalogEntry, fits: FitTable, before: int) -> None:
        if self._file.error is not None:
            raise StoreWriteError(str(self._file.error))
        entry.nbytes = max(0, self._hdf5.get_filesize() - before)
        self._index.add(entry, fit_records(fits))
        self._entries[entry.uid] = entry
        for uid in _holders(fits) - {entry.uid}:
            self._entries[uid].referrers += 1
            self._index.update(self._entries[uid])

    def _flattened(self, fits: FitTable, own_uid: str) -> FitTable:
        """Return the fits with origins that hold them, and are in this file."""
        origin, row = fits.origin.copy(), fits.origin_row.copy()
        # A run's references to its own rows come last: where those are is known then.
        for uid in sorted(_holders(fits), key=own_uid.__eq__):
            of_it = np.flatnonzero(origin == uid.encode())
            run = self._view.by_uid(uid) if uid in self._entries else None
            if run is None and uid not in (*self._entries, own_uid):
                origin[of_it], row[of_it] = b"", -1
                continue
            if uid == own_uid or run is not None:
                there = (origin, row) if run is None else _origins(run.fits())
                of_it = of_it[there[0][row[of_it]] != b""]
                further = there[0][row[of_it]], there[1][row[of_it]]
                origin[of_it], row[of_it] = further
        return replace(fits, origin=origin, origin_row=row)

    def _free_name(self, name: str) -> str:
        taken = {e.name for e in self._entries.values() if e.status != "kept"}
        return free_name(name, taken)

    def _repaired(self) -> CatalogWriter:
        """Rebuild a damaged index from what can be read of the runs."""
        self._root.gid.unlink(names.G_INDEX.encode())
        index = CatalogWriter.create(self._root.gid)
        referrers: dict[str, int] = {}
        for uid in list(self._entries):
            run = self._view.by_uid(uid)
            entry = self._entries[uid]
            try:
                assert run is not None
                fits = run.fits()
                entry.fingerprint = run.header.fingerprint or ""
            except StoreError:
                kinds = ("i8", "i8", "?", "?", "S32")
                fits = FitTable(*(np.zeros(0, kind) for kind in kinds))
            index.add(entry, fit_records(fits))
            for holder in _holders(fits) - {uid}:
                referrers[holder] = referrers.get(holder, 0) + 1
        for entry in self._entries.values():
            entry.referrers = referrers.get(entry.uid, 0)
            index.update(entry)
        return index


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a run's name, with a number if it is taken."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _holders(fits: FitTable) -> set[str]:
    return {uid.decode("ascii", "replace") for uid in fits.origin.tolist() if uid}


def _origins(fits: FitTable) -> tuple[Array, Array]:
    return fits.origin, fits.origin_row


def _write_run(
    group: h5g.GroupID,
    run: RunSource,
    header: RunHeader,
    fits: FitTable,
    filters: Filters,
) -> None:
    params, best = run.params(), run.best_index()
    write_attribute(group, names.A_UID, header.uid)
    write_attribute(group, names.A_STATUS, header.status)
    write_attribute(group, names.A_STARTED, header.started)
    write_attribute(group, names.A_FINISHED, header.finished)
    write_attribute(group, names.A_N_CANDIDATES, len(params))
    write_attribute(group, names.A_N_SPLITS, int(header.settings.get("n_splits") or 0))
    write_attribute(group, names.A_BEST_INDEX, -1 if best is None else int(best))
    write_text(group, names.D_HEADER, _json.dumps(asdict(header)))
    write_texts(group, names.D_PARAMS, params)
    _write_cv_results(group, run.cv_results())
    _write_fits(group, run, fits, filters)
    if splits := run.splits():
        _write_splits(h5g.create(group, names.G_SPLITS.encode()), splits)


def _write_splits(group: h5g.GroupID, splits: Iterable[Splits]) -> None:
    for index, one in enumerate(splits):
        target = h5g.create(group, str(index).encode())
        numbers = one.first, one.count, one.n_rows, len(one.pairs)
        for name, number in zip(NUMBERS, numbers, strict=True):
            write_attribute(target, name, number)
        for name, column in pack_splits(one.pairs, one.n_rows).items():
            write_column(target, name, column)


def _write_cv_results(group: h5g.GroupID, found: Mapping[str, Array]) -> None:
    columns = {name: np.asarray(values) for name, values in found.items()}
    for name, column in columns.items():
        if column.dtype.kind not in "biuf" or column.ndim != 1:
            raise TypeError(
                f"cv_results_[{name!r}] must be a 1-D array of numbers, not "
                f"{column.dtype} of shape {column.shape}"
            )
        check_storable(column.dtype, 1, name)
    write_named_columns(group, names.G_CV_RESULTS, names.D_CV_COLUMNS, columns)


def _write_fits(
    group: h5g.GroupID, run: RunSource, fits: FitTable, filters: Filters
) -> None:
    own = fits.origin == b""
    architectures = h5g.create(group, names.G_ARCHITECTURES.encode())
    number_of = np.full(len(fits), -1, "<i8")
    row_in = np.full(len(fits), -1, "<i8")
    planned = plan(
        (row, specs)
        for row in np.flatnonzero(fits.has_weights & own).tolist()
        if (specs := run.specs(row)) is not None
    )
    for index, one in enumerate(planned):
        number_of[one.rows] = index
        row_in[one.rows] = np.arange(len(one.rows))
        target = h5g.create(architectures, str(index).encode())
        write_architecture(target, one, run, filters)
    table = h5g.create(group, names.G_FITS.encode())
    write_column(table, names.D_CANDIDATE, fits.candidate.astype("<i8"))
    write_column(table, names.D_SPLIT, fits.split.astype("<i8"))
    write_column(table, names.D_FAILED, fits.failed.astype(bool))
    write_column(table, names.D_KEY, fits.key.astype("S32"))
    if (fits.model_key != b"").any():
        write_column(table, names.D_MODEL_KEY, fits.model_key.astype("S32"))
    write_column(table, names.D_ARCHITECTURE, number_of)
    write_column(table, names.D_ROW, row_in)
    if not own.all():
        write_column(table, names.D_HAS_WEIGHTS, fits.has_weights.astype(bool))
        write_column(table, names.D_ORIGIN, fits.origin.astype("S32"))
        write_column(table, names.D_ORIGIN_ROW, fits.origin_row.astype("<i8"))
    texts = (
        run.result_text(row) if own[row] else run.own_result_text(row)
        for row in range(len(fits))
    )
    write_texts(table, names.D_RESULT, texts)
    write_states(group, table, run, own)
    write_snapshots(group, table, run, own, filters)


class _Moved(Referring):
    """A run that takes over fits of deleted runs, unless another one has (`moved`)."""

    def __init__(
        self,
        run: Hdf5Run,
        kept: Collection[bytes],
        moved: dict[tuple[bytes, int], tuple[str, int]],
    ):
        fits = run.fits()
        origin, row = fits.origin.copy(), fits.origin_row.copy()
        self._elsewhere: set[int] = set()
        for index in np.flatnonzero(np.isin(origin, list(kept))).tolist():
            place = bytes(origin[index]), int(row[index])
            if place in moved:
                origin[index], row[index] = moved[place]
                self._elsewhere.add(index)
            else:
                moved[place] = run.uid, index
                origin[index], row[index] = b"", -1
        super().__init__(run, replace(fits, origin=origin, origin_row=row))

    def own_result_text(self, row: int) -> str:
        """The result of a row, if it may not be that of its new origin."""
        if row in self._elsewhere:
            return self._run.result_text(row)
        return self._run.own_result_text(row)


def _filters_of_run(run: Hdf5Run) -> Filters:
    """Return the filters of the first weight of a run, or of one it refers to."""
    for source in (run, *run.others()):
        if isinstance(source, Hdf5Run) and source.n_architectures:
            found = source.architecture(0).filters()
            if found is not None:
                return found
    return None


def _version() -> str:
    try:
        return version("weightsearch")
    except PackageNotFoundError:  # Run from a folder that is not installed.
        return "unknown"

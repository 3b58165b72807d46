"""Writing a complete store: aside, then renamed into place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5g, h5o

from weightsearch._records import RunHeader, RunResults, RunSource, Weights, WeightSpec
from weightsearch.exceptions import StoreWriteError
from weightsearch.store import _json
from weightsearch.store._hdf5 import _layout as names
from weightsearch.store._hdf5._aside import written_aside
from weightsearch.store._hdf5._codec import (
    check_storable,
    dtype_text,
    stored_as,
    to_stored,
)
from weightsearch.store._hdf5._columns import (
    write_array,
    write_attribute,
    write_column,
    write_text,
    write_texts,
)
from weightsearch.store._hdf5._filters import check_compression
from weightsearch.store._hdf5._layout_writer import spec_json, write_layout
from weightsearch.store._hdf5._names import to_flat, to_paths
from weightsearch.store._hdf5._plan import plan
from weightsearch.store._hdf5._reader import Hdf5Run
from weightsearch.store._hdf5._state_writer import write_states

__all__ = ["write_store"]

_LIBVER = ("v110", "v110")
"""Every structure has a checksum, and HDF5 1.10 (2016) and later read it."""


def write_store(
    path: Path,
    *,
    store_uid: str,
    keep: Iterable[RunSource],
    add: Iterable[RunSource],
    results: Mapping[str, RunResults],
    durable: bool,
    compression: str | Mapping[str, Any] | None,
) -> None:
    """Write a store with all its runs and put it in the place of the one before.

    Parameters
    ----------
    path : Path
        Where the store lies; what is there may be open for reading.
    store_uid : str
        Unique for ever, 32 hexadecimal digits.
    keep : iterable of RunSource
        Runs that go into the new file as they are. Those of an open
        :class:`~weightsearch.store._hdf5._reader.Hdf5Store` are copied as HDF5 objects,
        without decoding.
    add : iterable of RunSource
        Runs to write. Their arrays pass through in blocks of bounded size.
    results : mapping of str -> RunResults
        By the run's uid; the runs that have ended. A run without results that was
        running is stored as interrupted.
    durable : bool
        Whether the file is on the disk before this returns.
    compression : None, "gzip", "lzf" or mapping
        Of the weights, as ``_filters.check_compression`` takes it.

    Raises
    ------
    StoreWriteError
        The file cannot be written, or another program holds it (Windows). The file
        that was there is untouched, and no other is left beside it.
    CorruptStoreError
        A run to keep or to add is damaged, or holds what a store must not hold.
    TypeError
        A weight of a type that a store does not hold.
    ValueError
        An unknown compression, or two runs of one name.
    """
    filters = check_compression(compression)
    with written_aside(Path(path), durable=durable) as aside:
        # Nobody else knows this file, and some network drives cannot lock any.
        with h5py.File(aside, "w", libver=_LIBVER, locking=False) as file:
            root = h5g.open(file.id, b"/")
            write_attribute(root, names.A_FORMAT, names.FORMAT)
            write_attribute(root, names.A_FORMAT_VERSION, names.FORMAT_VERSION)
            write_attribute(root, names.A_WRITER_VERSION, _version())
            write_attribute(root, names.A_STORE_UID, store_uid)
            runs = h5g.create(root, names.G_RUNS.encode())
            for run in keep:
                _check_name(runs, run.header.name, path)
                if isinstance(run, Hdf5Run):
                    _copy_run(runs, run)
                else:
                    _write_run(runs, run, results.get(run.header.uid), filters)
                _stop_if_failed(aside)
            for run in add:
                _check_name(runs, run.header.name, path)
                _write_run(runs, run, results.get(run.header.uid), filters)
                _stop_if_failed(aside)


def _copy_run(runs: h5g.GroupID, run: Hdf5Run) -> None:
    # A stranger's links must not be carried over; content goes on being held to its
    # checksums wherever it lies.
    run.check_safe()
    h5o.copy(run.group.gid, b".", runs, to_flat(run.header.name).encode())


def _write_run(
    runs: h5g.GroupID,
    run: RunSource,
    results: RunResults | None,
    filters: dict[str, Any] | None,
) -> None:
    header = _final_header(run.header, results)
    if results is None:
        results = _results_of(run)
    params = run.params()
    group = h5g.create(runs, to_flat(header.name).encode())
    best = -1 if results.best_index is None else int(results.best_index)
    n_splits = header.settings.get("n_splits")
    write_attribute(group, names.A_UID, header.uid)
    write_attribute(group, names.A_STATUS, header.status)
    write_attribute(group, names.A_STARTED, header.started)
    write_attribute(group, names.A_FINISHED, header.finished)
    write_attribute(group, names.A_N_CANDIDATES, len(params))
    write_attribute(group, names.A_N_SPLITS, int(n_splits or 0))
    write_attribute(group, names.A_BEST_INDEX, best)
    write_text(group, names.D_HEADER, _json.dumps(asdict(header)))
    write_texts(group, names.D_PARAMS, params)
    _write_cv_results(group, results)
    _write_fits(group, run, filters)
    if results.best_weights is not None:
        _write_best(group, results.best_weights)
    splits = run.splits()
    if splits is not None:
        folds = h5g.create(group, names.G_SPLITS.encode())
        for index, (train, test) in enumerate(splits):
            fold = h5g.create(folds, str(index).encode())
            write_column(fold, names.D_TRAIN, np.asarray(train))
            write_column(fold, names.D_TEST, np.asarray(test))


def _final_header(header: RunHeader, results: RunResults | None) -> RunHeader:
    if results is not None and header.status == "running":
        return replace(header, status="complete")
    if header.status == "running":
        return replace(header, status="interrupted")
    return header


def _results_of(run: RunSource) -> RunResults:
    best = None
    specs = run.best_specs()
    if specs is not None:
        best = Weights(
            ((spec.name, run.read_best(spec.name)) for spec in specs.arrays),
            ties=specs.ties,
            encodings=specs.encodings,
        )
    return RunResults(run.cv_results(), run.best_index(), best)


def _write_cv_results(group: h5g.GroupID, results: RunResults) -> None:
    columns = h5g.create(group, names.G_CV_RESULTS.encode())
    order = []
    for name, column in results.cv_results.items():
        column = np.asarray(column)
        if column.dtype.kind not in "biuf" or column.ndim != 1:
            raise TypeError(
                f"cv_results_[{name!r}] must be a 1-D array of numbers, not "
                f"{column.dtype} of shape {column.shape}"
            )
        check_storable(column.dtype, 1, name)
        order.append({names.J_NAME: name, names.J_PATH: to_flat(name)})
        write_column(columns, to_flat(name), column)
    write_text(group, names.D_CV_COLUMNS, _json.dumps(order))


def _write_fits(
    group: h5g.GroupID, run: RunSource, filters: dict[str, Any] | None
) -> None:
    fits = run.fits()
    layouts = h5g.create(group, names.G_LAYOUTS.encode())
    layout_of = np.full(len(fits), -1, "<i8")
    row_in = np.full(len(fits), -1, "<i8")
    planned = plan(
        (row, specs)
        for row in np.flatnonzero(fits.has_weights).tolist()
        if (specs := run.specs(row)) is not None
    )
    for index, layout in enumerate(planned):
        layout_of[layout.rows] = index
        row_in[layout.rows] = np.arange(len(layout.rows))
        target = h5g.create(layouts, str(index).encode())
        write_layout(target, layout, run, fits, filters)
    table = h5g.create(group, names.G_FITS.encode())
    write_column(table, names.D_CANDIDATE, fits.candidate.astype("<i8"))
    write_column(table, names.D_SPLIT, fits.split.astype("<i8"))
    write_column(table, names.D_FAILED, fits.failed.astype(bool))
    write_column(table, names.D_KEY, fits.key.astype("S32"))
    write_column(table, names.D_LAYOUT, layout_of)
    write_column(table, names.D_ROW, row_in)
    write_texts(
        table,
        names.D_RESULT,
        map(run.result_text, range(len(fits))),
    )
    write_states(group, table, run, len(fits))


def _write_best(group: h5g.GroupID, weights: Weights) -> None:
    best = h5g.create(group, names.G_BEST.encode())
    paths = to_paths(weights)
    arrays = []
    for path, (name, array) in zip(paths, weights.items(), strict=True):
        check_storable(array.dtype, array.ndim, name)
        order = "C" if array.flags.c_contiguous or not array.flags.f_contiguous else "F"
        arrays.append(WeightSpec(name, array.shape, dtype_text(array.dtype), order))
        write_array(best, path, to_stored(array, stored_as(array.dtype)))
    text = spec_json(names.STACKED, arrays, paths, weights.ties, weights.encodings)
    write_text(group, names.D_BEST_SPEC, text)


def _check_name(runs: h5g.GroupID, name: str, path: Path) -> None:
    if runs.links.exists(to_flat(name).encode()):
        raise ValueError(f"{path}: two runs are named {name!r}")


def _stop_if_failed(aside: Any) -> None:
    if aside.error is not None:
        raise StoreWriteError(str(aside.error))


def _version() -> str:
    try:
        return version("weightsearch")
    except PackageNotFoundError:  # Run from a folder that is not installed.
        return "unknown"

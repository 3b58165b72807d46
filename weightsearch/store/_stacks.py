"""Layouts: the weights of many fits in one dataset per weight.

**Stacked**: every row has every array, all of one shape; the dataset has shape
``(n, *shape)``. **Ragged**: rows differ in shape, or lack arrays; the dataset is 1-D
and holds the elements of all rows concatenated. Each array of each row has a checksum.
"""

from __future__ import annotations

import itertools
import math
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
from h5py import h5d, h5g, h5t

from weightsearch._records import Array, RunSource, Weights, WeightSpec, WeightSpecs
from weightsearch.exceptions import CorruptStoreError, WeightsNotFoundError
from weightsearch.store import _schema as names
from weightsearch.store._checked import CheckedDataset, CheckedGroup, as_bytes
from weightsearch.store._columns import (
    Filters,
    append_block,
    create_dataset,
    filters_of,
    read_column,
    read_text,
    write_column,
    write_text,
)
from weightsearch.store._dtypes import (
    Stored,
    check_storable,
    from_stored,
    parse_dtype,
    stored_as,
    to_stored,
)
from weightsearch.store._names import to_paths
from weightsearch.store._plan import Layout
from weightsearch.store._specs import parse_specs, specs_json

__all__ = ["StoredLayout", "write_layout"]

SPARSE = 8
"""Rows are read alone where all between the first and the last are so many more."""
PARALLEL_BYTES = 2**23
"""From here on, comparing checksums in several threads pays."""
MAX_THREADS = 4


def write_layout(
    group: h5g.GroupID, layout: Layout, run: RunSource, filters: Filters
) -> None:
    """Write the rows of one layout."""
    arrays, rows = layout.arrays, layout.rows
    paths = to_paths(spec.name for spec in arrays)
    stored = [_stored(run, rows, spec) for spec in arrays]
    weights = h5g.create(group, names.G_WEIGHTS.encode())
    stacked = layout.kind == names.STACKED
    if stacked:
        shapes = [(len(rows), *spec.shape) for spec in arrays]
    else:
        offset, shape, totals = _extents(layout, run)
        write_column(group, names.D_OFFSET, offset)
        write_column(group, names.D_SHAPE, shape)
        shapes = [(total,) for total in totals]
    datasets = [
        _create(weights, path, (*shape, *how.extra), how, filters)
        for path, shape, how in zip(paths, shapes, stored, strict=True)
    ]
    write = _write_stacked if stacked else _write_ragged
    crcs = write(layout, run, stored, datasets)
    specs = WeightSpecs(tuple(arrays), layout.ties, layout.encodings)
    write_text(group, names.D_SPEC, specs_json(specs, kind=layout.kind, paths=paths))
    write_column(group, names.D_ROW_CRC32, crcs)


def _stored(run: RunSource, rows: list[int], spec: WeightSpec) -> Stored:
    try:
        true = parse_dtype(spec.dtype)
    except ValueError:
        raise TypeError(
            f"{spec.name!r} is of type {spec.dtype}, which a store does not hold"
        ) from None
    if true is None:
        # A type that is not installed here: its bytes pass through as they are.
        first = next(
            row for row in rows if any(o.name == spec.name for o in _arrays(run, row))
        )
        return Stored(None, run.read(first, spec.name).dtype)
    check_storable(true, len(spec.shape), spec.name)
    return stored_as(true)


def _arrays(run: RunSource, row: int) -> tuple[WeightSpec, ...]:
    specs = run.specs(row)
    return () if specs is None else specs.arrays


def _create(
    group: h5g.GroupID,
    path: str,
    shape: tuple[int, ...],
    stored: Stored,
    filters: Filters,
) -> h5d.DatasetID:
    kind = h5t.py_create(stored.storage, logical=True)
    return create_dataset(group, path, shape, kind, filters)


def _write_stacked(
    layout: Layout, run: RunSource, stored: list[Stored], datasets: list[h5d.DatasetID]
) -> Array:
    arrays = layout.arrays
    crcs = np.zeros((len(layout.rows), len(arrays)), "<u4")
    row_bytes = sum(
        math.prod(spec.shape) * how.itemsize
        for spec, how in zip(arrays, stored, strict=True)
    )
    step = max(1, names.BLOCK_BYTES // max(row_bytes, 1))
    with ThreadPoolExecutor(1) as pool:
        for start in range(0, len(layout.rows), step):
            rows = layout.rows[start : start + step]
            for index, (spec, how) in enumerate(zip(arrays, stored, strict=True)):
                block = run.stack(spec.name, rows)
                shape = (len(rows), *spec.shape)
                if block.dtype != (how.true or how.storage) or block.shape != shape:
                    raise _wrong(block.dtype, block.shape[1:], spec)
                raw = to_stored(block, how)
                # zlib lets other threads run.
                later = pool.submit(_row_crcs, raw)
                append_block(datasets[index], raw, start)
                crcs[start : start + len(rows), index] = later.result()
    return crcs


def _extents(layout: Layout, run: RunSource) -> tuple[Array, Array, list[int]]:
    """Return where each array of each row begins, its shape, and the totals."""
    index_of = {spec.name: index for index, spec in enumerate(layout.arrays)}
    axis_of = [0, *itertools.accumulate(len(spec.shape) for spec in layout.arrays)]
    offset = np.full((len(layout.rows), len(layout.arrays)), -1, "<i8")
    shape = np.full((len(layout.rows), axis_of[-1]), -1, "<i8")
    totals = [0] * len(layout.arrays)
    for place, row in enumerate(layout.rows):
        for spec in _arrays(run, row):
            index = index_of[spec.name]
            offset[place, index] = totals[index]
            shape[place, axis_of[index] : axis_of[index + 1]] = spec.shape
            totals[index] += math.prod(spec.shape)
    return offset, shape, totals


def _write_ragged(
    layout: Layout, run: RunSource, stored: list[Stored], datasets: list[h5d.DatasetID]
) -> Array:
    crcs = np.zeros((len(layout.rows), len(layout.arrays)), "<u4")
    index_of = {spec.name: index for index, spec in enumerate(layout.arrays)}
    written = [0] * len(datasets)
    parts: dict[int, list[Array]] = {}
    size = 0

    def flush() -> None:
        for index, pieces in parts.items():
            # As bytes: numpy does not copy the padding of structured types.
            raw = np.concatenate([piece.reshape(-1).view(np.uint8) for piece in pieces])
            block = raw.view(pieces[0].dtype).reshape(-1, *pieces[0].shape[1:])
            append_block(datasets[index], block, written[index])
            written[index] += len(block)
        parts.clear()

    for place, row in enumerate(layout.rows):
        for spec, array in _each(run, row):
            index = index_of[spec.name]
            how = stored[index]
            if array.dtype != (how.true or how.storage) or array.shape != spec.shape:
                raise _wrong(array.dtype, array.shape, spec)
            raw = to_stored(array, how).reshape(-1, *how.extra)
            crcs[place, index] = zlib.crc32(as_bytes(raw))
            parts.setdefault(index, []).append(raw)
            size += raw.nbytes
            if size >= names.BLOCK_BYTES:
                flush()
                size = 0
    flush()
    return crcs


def _each(run: RunSource, row: int) -> Iterator[tuple[WeightSpec, Array]]:
    arrays = _arrays(run, row)
    # One call for all is faster, where they fit in a block.
    dtypes = (np.dtype(parse_dtype(spec.dtype) or "u8").itemsize for spec in arrays)
    sizes = (math.prod(s.shape) * n for s, n in zip(arrays, dtypes, strict=True))
    whole = run.read_all(row) if sum(sizes) <= names.BLOCK_BYTES else None
    for spec in arrays:
        yield spec, run.read(row, spec.name) if whole is None else whole[spec.name]


def _wrong(dtype: Any, shape: tuple[int, ...], spec: WeightSpec) -> ValueError:
    return ValueError(
        f"{spec.name!r} is {dtype} of shape {shape}, but was announced as "
        f"{spec.dtype} of shape {spec.shape}"
    )


def _row_crcs(rows: Array) -> Array:
    """Return the checksum of each row of a C-contiguous array."""
    step = rows.nbytes // max(len(rows), 1)
    if not step:
        return np.zeros(len(rows), np.uint32)
    view, crc = as_bytes(rows), zlib.crc32
    starts = range(0, rows.nbytes, step)
    return np.fromiter((crc(view[at : at + step]) for at in starts), np.uint32)


class StoredLayout:
    """One group of ``layouts/``, for reading.

    Its specs are those of all rows; in a ragged layout without shapes.
    """

    def __init__(self, group: CheckedGroup):
        self.group = group
        text = read_text(group, names.D_SPEC)
        kind, self.specs = parse_specs(
            text, path=group.path, place=group.at(names.D_SPEC)
        )
        arrays = self.specs.arrays
        self.ragged = kind == names.RAGGED
        self._paths = to_paths(spec.name for spec in arrays)
        self._index = {spec.name: at for at, spec in enumerate(arrays)}
        self._weights = group.group(names.G_WEIGHTS)
        self._open: dict[int, tuple[CheckedDataset, Stored]] = {}
        self.crcs = read_column(group, names.D_ROW_CRC32, "<u4")
        if self.crcs.ndim != 2 or self.crcs.shape[1] != len(arrays):
            raise group.refuse("has no checksum per row and weight", names.D_ROW_CRC32)
        self.count: int = self.crcs.shape[0]
        self._axis_of = [0, *itertools.accumulate(len(spec.shape) for spec in arrays)]

    @cached_property
    def _offset(self) -> Array:
        return read_column(self.group, names.D_OFFSET, "<i8", self.crcs.shape)

    @cached_property
    def _shape(self) -> Array:
        shape = (self.count, self._axis_of[-1])
        return read_column(self.group, names.D_SHAPE, "<i8", shape)

    def specs_of(self, row: int) -> WeightSpecs:
        """Names, shapes and types of a row's weights."""
        if not self.ragged:
            return self.specs
        arrays = []
        for index in np.flatnonzero(self._offset[row] >= 0).tolist():
            spec = self.specs.arrays[index]
            shape = self._shape_of(row, index)
            arrays.append(WeightSpec(spec.name, shape, spec.dtype, spec.order))
        return WeightSpecs(tuple(arrays), self.specs.ties, self.specs.encodings)

    def read(self, row: int, name: str) -> Array:
        """Read one array of a row."""
        return self._read(row, self._find(row, name))

    def read_all(self, row: int) -> Weights:
        """Read all arrays of a row."""
        specs = self.specs_of(row)
        return Weights(
            (
                (one.name, self._read(row, self._index[one.name]))
                for one in specs.arrays
            ),
            ties=specs.ties,
            encodings=specs.encodings,
        )

    def kind_of(self, row: int, name: str) -> tuple[Stored, tuple[int, ...]]:
        """Type and shape of one array of a row."""
        index = self._find(row, name)
        return self._dataset(index)[1], self._interval(row, index)[2]

    def read_many(self, rows: Array, name: str, out: Array) -> None:
        """Read one array of many rows, all of one shape, into the dataset's type."""
        index = self._index[self.specs.ties.get(name, name)]
        if out.size == 0:
            return
        dataset, _ = self._dataset(index)
        starts, step = rows, 1
        if self.ragged:
            intervals = [self._interval(row, index) for row in rows.tolist()]
            starts = np.array([start for start, _, _ in intervals], np.int64)
            step = intervals[0][1]
        # Bytes, since numpy does not copy the padding of structured types.
        raw = out.reshape(-1).view(np.uint8).reshape(len(out), -1)
        _read_rows(dataset, starts, step, raw)
        bad = np.flatnonzero(_crcs_of(raw) != self.crcs[rows, index])
        if len(bad):
            raise self._damaged(int(rows[bad[0]]), index)

    def filters(self) -> Filters:
        """Filters of the first weight, as the writer takes them."""
        if not self.specs.arrays:
            return None
        return filters_of(self._dataset(0)[0].did)

    def verify(self) -> list[CorruptStoreError]:
        """Read everything and list what is wrong, a problem per weight."""
        problems: list[CorruptStoreError] = []
        for index in range(len(self.specs.arrays)):
            bad: list[CorruptStoreError] = []
            try:
                rows: Any = range(self.count)
                if self.ragged:
                    rows = np.flatnonzero(self._offset[:, index] >= 0).tolist()
                for row in rows:
                    try:
                        self._read_raw(row, index)
                    except CorruptStoreError as exc:
                        bad.append(exc)
            except CorruptStoreError as exc:
                bad.append(exc)
            if bad:
                more = f" (and {len(bad) - 1} more rows)" if len(bad) > 1 else ""
                message = f"{bad[0]}{more}"
                problems.append(CorruptStoreError(message, bad[0].path, bad[0].place))
        return problems

    def _find(self, row: int, name: str) -> int:
        index = self._index.get(self.specs.ties.get(name, name))
        if index is None or (self.ragged and self._offset[row, index] < 0):
            known = [spec.name for spec in self.specs_of(row).arrays]
            more = ", ..." if len(known) > 8 else ""
            raise WeightsNotFoundError(
                f"no weight {name!r} here; there are "
                f"{', '.join(map(repr, known[:8]))}{more}"
            )
        return index

    def _read(self, row: int, index: int) -> Array:
        raw, stored = self._read_raw(row, index)
        spec = self.specs.arrays[index]
        array = from_stored(raw, stored, spec.name)
        return np.asfortranarray(array) if spec.order == "F" else array

    def _read_raw(self, row: int, index: int) -> tuple[Array, Stored]:
        dataset, stored = self._dataset(index)
        start, count, shape = self._interval(row, index)
        raw = dataset.read(start, count).reshape(shape + stored.extra)
        if zlib.crc32(as_bytes(raw)) != self.crcs[row, index]:
            raise self._damaged(row, index)
        return raw, stored

    def _interval(self, row: int, index: int) -> tuple[int, int, tuple[int, ...]]:
        """First element, number of elements and shape."""
        if not self.ragged:
            return row, 1, self.specs.arrays[index].shape
        shape = self._shape_of(row, index)
        start, count = int(self._offset[row, index]), math.prod(shape)
        dataset = self._dataset(index)[0]
        if min(shape, default=0) < 0 or start < 0 or start + count > dataset.shape[0]:
            raise dataset.refuse(f"row {row} reaches out of the dataset")
        return start, count, shape

    def _shape_of(self, row: int, index: int) -> tuple[int, ...]:
        first, last = self._axis_of[index : index + 2]
        return tuple(self._shape[row, first:last].tolist())

    def _dataset(self, index: int) -> tuple[CheckedDataset, Stored]:
        found = self._open.get(index)
        if found is None:
            shape = (self.count, *self.specs.arrays[index].shape)
            found = _open_array(
                self._weights,
                self._paths[index],
                self.specs.arrays[index],
                None if self.ragged else shape,
            )
            self._open[index] = found
        return found

    def _damaged(self, row: int, index: int) -> CorruptStoreError:
        return self._weights.refuse(
            "the content does not match its checksum", f"{self._paths[index]}[{row}]"
        )


def _open_array(
    group: CheckedGroup, path: str, spec: WeightSpec, shape: tuple[int, ...] | None
) -> tuple[CheckedDataset, Stored]:
    """Open the dataset of an array and check type and shape.

    `shape` lacks the axis of a stand-in; None for one axis of any length.
    """
    true = parse_dtype(spec.dtype)
    if true is None:
        dataset = group.dataset(path)
        if dataset.dtype.kind != "u":
            raise dataset.refuse(f"{spec.dtype} must be kept as unsigned integers")
        stored = Stored(None, dataset.dtype)
    else:
        stored = stored_as(true)
        dataset = group.dataset(path, stored.storage)
    found = dataset.shape
    expected = (found[:1] if shape is None else shape) + stored.extra
    if found != expected or (not found and shape is None):
        raise dataset.refuse(f"has shape {found} instead of {expected}")
    return dataset, stored


def _read_rows(dataset: CheckedDataset, starts: Array, step: int, raw: Array) -> None:
    """Read rows of `step` elements each, in any order, as (n, nbytes) bytes."""
    order = np.argsort(starts, kind="stable")
    starts = starts[order]
    straight = bool((order[1:] > order[:-1]).all())
    span = int(starts[-1]) + step - int(starts[0])
    if span == step * len(starts) and straight and (np.diff(starts) == step).all():
        out = raw.reshape(-1).view(dataset.dtype)
        dataset.read_into(out.reshape(-1, *dataset.shape[1:]), int(starts[0]))
        return
    row_bytes = raw.shape[1]
    most = max(names.BLOCK_BYTES // row_bytes, 1) * step
    sparse = span > SPARSE * step * len(starts)
    at = 0
    while at < len(starts):
        low = int(starts[at])
        stop = int(np.searchsorted(starts, low + most - step, side="right"))
        stop = at + 1 if sparse else max(stop, at + 1)
        high = int(starts[stop - 1]) + step
        block = as_bytes(dataset.read(low, high - low))
        item = row_bytes // step
        for place, start in zip(order[at:stop], starts[at:stop].tolist(), strict=True):
            first = (start - low) * item
            raw[place] = np.frombuffer(block[first : first + row_bytes], np.uint8)
        at = stop


def _crcs_of(raw: Array) -> Array:
    """Return the checksums of rows, in several threads where they are large."""
    threads = min(MAX_THREADS, os.cpu_count() or 1)
    if raw.nbytes < PARALLEL_BYTES or threads == 1:
        return _row_crcs(raw)
    # zlib lets other threads run.
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(_row_crcs, np.array_split(raw, threads))))

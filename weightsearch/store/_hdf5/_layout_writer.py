"""Writing one layout: its arrays in blocks, then checksums and spec."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from h5py import h5d, h5g, h5s, h5t

from weightsearch._records import Array, FitTable, RunSource, WeightSpec
from weightsearch.store import _json
from weightsearch.store._hdf5 import _layout as names
from weightsearch.store._hdf5._codec import (
    Stored,
    check_storable,
    parse_dtype,
    stored_as,
    to_stored,
)
from weightsearch.store._hdf5._columns import create_dataset, write_column, write_text
from weightsearch.store._hdf5._crc import as_bytes
from weightsearch.store._hdf5._names import to_paths
from weightsearch.store._hdf5._plan import Layout
from weightsearch.store._later import Later

__all__ = ["spec_json", "write_layout"]

_LARGE_BYTES = 4 * 2**20
"""From here on another thread for the checksums pays."""


def spec_json(
    kind: str,
    arrays: Sequence[WeightSpec],
    paths: Sequence[str],
    ties: Mapping[str, str],
    encodings: Mapping[str, str],
) -> str:
    """Write the spec of a layout, or of the best estimator's weights."""
    listed = []
    for spec, path in zip(arrays, paths, strict=True):
        dtype: Any = spec.dtype
        item: dict[str, Any] = {
            names.J_NAME: spec.name,
            names.J_PATH: path,
            names.J_DTYPE: _json.loads(dtype) if dtype.startswith("{") else dtype,
            names.J_ORDER: spec.order,
        }
        if kind == names.STACKED:
            item[names.J_SHAPE] = list(spec.shape)
        else:
            item[names.J_NDIM] = len(spec.shape)
        listed.append(item)
    return _json.dumps(
        {
            names.J_KIND: kind,
            names.J_ARRAYS: listed,
            names.J_TIES: dict(ties),
            names.J_ENCODINGS: dict(encodings),
        }
    )


def write_layout(
    group: h5g.GroupID,
    layout: Layout,
    run: RunSource,
    fits: FitTable,
    filters: dict[str, Any] | None,
) -> None:
    """Write the rows of one layout.

    Raises
    ------
    TypeError
        An array is of a type that a store does not hold.
    ValueError
        An array is not what its spec says.
    """
    paths = to_paths(spec.name for spec in layout.arrays)
    stored = [_stored(run, layout.rows, spec) for spec in layout.arrays]
    weights = h5g.create(group, names.G_WEIGHTS.encode())
    if layout.kind == names.STACKED:
        crcs = _write_stacked(weights, layout, run, paths, stored, filters)
    else:
        crcs = _write_ragged(group, weights, layout, run, paths, stored, filters)
    text = spec_json(layout.kind, layout.arrays, paths, layout.ties, layout.encodings)
    write_text(group, names.D_SPEC, text)
    write_column(group, names.D_CANDIDATE, fits.candidate[layout.rows].astype("<i8"))
    write_column(group, names.D_SPLIT, fits.split[layout.rows].astype("<i8"))
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
            row
            for row in rows
            for other in getattr(run.specs(row), "arrays", ())
            if other.name == spec.name
        )
        return Stored(None, run.read(first, spec.name).dtype)
    check_storable(true, len(spec.shape), spec.name)
    return stored_as(true)


def _write_stacked(
    group: h5g.GroupID,
    layout: Layout,
    run: RunSource,
    paths: list[str],
    stored: list[Stored],
    filters: dict[str, Any] | None,
) -> Array:
    count = len(layout.rows)
    crcs = np.zeros((count, len(paths)), "<u4")
    datasets = [
        _create(group, path, (count, *spec.shape, *how.extra), how, filters)
        for path, spec, how in zip(paths, layout.arrays, stored, strict=True)
    ]
    row_bytes = sum(
        math.prod(spec.shape) * how.itemsize
        for spec, how in zip(layout.arrays, stored, strict=True)
    )
    step = max(1, names.BLOCK_BYTES // max(row_bytes, 1))
    mover = _Mover(run, layout.arrays, stored)
    for start in range(0, count, step):
        rows = layout.rows[start : start + step]
        if mover.move(rows, datasets, start, crcs):
            continue
        if row_bytes > names.BLOCK_BYTES:
            # Not even one row's arrays are in memory together.
            for index, spec in enumerate(layout.arrays):
                array = _check(run.read(rows[0], spec.name), spec, stored[index])
                block = to_stored(array, stored[index])[None]
                crcs[start, index] = zlib.crc32(as_bytes(block))
                _append(datasets[index], block, start)
            continue
        blocks = [
            np.empty((len(rows), *spec.shape), how.true or how.storage)
            for spec, how in zip(layout.arrays, stored, strict=True)
        ]
        for place, row in enumerate(rows):
            arrays = run.read_all(row)
            for block, spec, how in zip(blocks, layout.arrays, stored, strict=True):
                block[place] = _check(arrays[spec.name], spec, how)
        for index, block in enumerate(blocks):
            raw = to_stored(block, stored[index])
            crcs[start : start + len(rows), index] = _row_crcs(raw)
            _append(datasets[index], raw, start)
    return crcs


class _Mover:
    """Moves arrays that their source has as the bytes that the file is to have."""

    def __init__(
        self, run: RunSource, arrays: Sequence[WeightSpec], stored: Sequence[Stored]
    ):
        self._run = run
        self._arrays = arrays
        self._stored = stored
        self._memory = np.empty(0, np.uint8)

    def move(
        self,
        rows: Sequence[int],
        datasets: Sequence[h5d.DatasetID],
        start: int,
        crcs: Array,
    ) -> bool:
        """Write rows from `start` on, and their checksums; False if that cannot be."""
        source = self._run.open_rows(rows, self._arrays, 2 * names.BLOCK_BYTES)
        if source is None:
            return False
        for index, (spec, how) in enumerate(
            zip(self._arrays, self._stored, strict=True)
        ):
            row_bytes = math.prod(spec.shape) * how.itemsize
            raw = self._scratch(len(rows) * row_bytes).reshape(len(rows), row_bytes)
            source.read(index, raw)
            shape = (len(rows), *spec.shape, *how.extra)
            block = raw.reshape(-1).view(how.storage).reshape(shape)
            if raw.nbytes < _LARGE_BYTES:
                checked = source.check(index, raw)
                _append(datasets[index], block, start)
            else:
                later = Later(partial(source.check, index, raw))
                try:
                    _append(datasets[index], block, start)
                finally:
                    # Nobody else may use the memory before.
                    checked = later.result()
            crcs[start : start + len(rows), index] = checked
        return True

    def _scratch(self, nbytes: int) -> Array:
        """Give memory that the last call gave too: new pages cost more than bytes."""
        if len(self._memory) < nbytes:
            self._memory = np.empty(nbytes, np.uint8)
        return self._memory[:nbytes]


def _write_ragged(
    group: h5g.GroupID,
    weights: h5g.GroupID,
    layout: Layout,
    run: RunSource,
    paths: list[str],
    stored: list[Stored],
    filters: dict[str, Any] | None,
) -> Array:
    arrays = layout.arrays
    index_of = {spec.name: index for index, spec in enumerate(arrays)}
    axis_of = np.cumsum([0] + [len(spec.shape) for spec in arrays]).tolist()
    offset = np.full((len(layout.rows), len(arrays)), -1, "<i8")
    shape = np.full((len(layout.rows), axis_of[-1]), -1, "<i8")
    crcs = np.zeros(offset.shape, "<u4")
    totals = [0] * len(arrays)
    for place, row in enumerate(layout.rows):
        for spec in getattr(run.specs(row), "arrays", ()):
            index = index_of[spec.name]
            offset[place, index] = totals[index]
            shape[place, axis_of[index] : axis_of[index + 1]] = spec.shape
            totals[index] += math.prod(spec.shape)
    datasets = [
        _create(weights, path, (total, *how.extra), how, filters)
        for path, total, how in zip(paths, totals, stored, strict=True)
    ]
    written = [0] * len(arrays)
    for parts in _ragged_blocks(run, layout, index_of, stored, crcs):
        for index, pieces in parts.items():
            block = _joined(pieces)
            _append(datasets[index], block, written[index])
            written[index] += len(block)
    write_column(group, names.D_OFFSET, offset)
    write_column(group, names.D_SHAPE, shape)
    return crcs


def _ragged_blocks(
    run: RunSource,
    layout: Layout,
    index_of: Mapping[str, int],
    stored: list[Stored],
    crcs: Array,
) -> Iterator[dict[int, list[Array]]]:
    """Read rows until a block is full; give each weight's elements, in order."""
    parts: dict[int, list[Array]] = {}
    size = 0
    for place, row in enumerate(layout.rows):
        specs = getattr(run.specs(row), "arrays", ())
        row_bytes = sum(
            math.prod(spec.shape) * stored[index_of[spec.name]].itemsize
            for spec in specs
        )
        # One call for all arrays of a row is faster, where they fit in a block.
        whole = run.read_all(row) if row_bytes <= names.BLOCK_BYTES else None
        for spec in specs:
            index = index_of[spec.name]
            how = stored[index]
            array = run.read(row, spec.name) if whole is None else whole[spec.name]
            raw = to_stored(_check(array, spec, how), how).reshape(-1, *how.extra)
            crcs[place, index] = zlib.crc32(as_bytes(raw))
            parts.setdefault(index, []).append(raw)
            size += raw.nbytes
            if size >= names.BLOCK_BYTES:
                yield parts
                parts, size = {}, 0
    yield parts


def _joined(pieces: list[Array]) -> Array:
    """Put arrays together along their first axis, padding of structured ones too."""
    raw = np.concatenate([piece.reshape(-1).view(np.uint8) for piece in pieces])
    return raw.view(pieces[0].dtype).reshape(-1, *pieces[0].shape[1:])


def _check(array: Array, spec: WeightSpec, stored: Stored) -> Array:
    expected = stored.true if stored.true is not None else stored.storage
    if array.dtype != expected or array.shape != spec.shape:
        raise ValueError(
            f"{spec.name!r} is {array.dtype} of shape {array.shape}, but was announced "
            f"as {spec.dtype} of shape {spec.shape}"
        )
    return array


def _create(
    group: h5g.GroupID,
    path: str,
    shape: tuple[int, ...],
    stored: Stored,
    filters: dict[str, Any] | None,
) -> h5d.DatasetID:
    kind = h5t.py_create(stored.storage, logical=True)
    return create_dataset(group, path, shape, kind, filters)


def _append(dataset: h5d.DatasetID, block: Array, start: int) -> None:
    if block.size == 0:
        return
    space = dataset.get_space()
    space.select_hyperslab((start,) + (0,) * (block.ndim - 1), block.shape)
    dataset.write(h5s.create_simple(block.shape), space, block, dataset.get_type())


def _row_crcs(block: Array) -> Array:
    """Give the checksum of each row."""
    step = block.nbytes // len(block)
    view = as_bytes(block)
    return np.fromiter(
        (
            zlib.crc32(view[start : start + step])
            for start in range(0, step * len(block), step or 1)
        )
        if step
        else [0] * len(block),
        np.uint32,
        len(block),
    )

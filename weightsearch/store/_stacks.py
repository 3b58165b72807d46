"""Architectures in the file: the weights of many fits in one dataset per weight.

**Stacked**: every row has every array, all of one shape; the dataset has shape
``(n, *shape)``. **Ragged**: rows differ in shape, or lack arrays; the dataset is 1-D
and holds the elements of all rows concatenated. Each array of each row has a checksum.

Fits whose weights agree in names, types, shapes and memory order are stacked. Where
that would make many stacks (nearly every decision tree has its own shapes, ensembles
that stop early their own names), ragged architectures take them together. So the number
of datasets does not grow with the number of candidates.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from h5py import Dataset, h5d, h5g, h5t

from weightsearch._records import Array, Weights, WeightSpec, WeightSpecs
from weightsearch.exceptions import CorruptStoreError, WeightsNotFoundError
from weightsearch.store import _schema as names
from weightsearch.store._checked import CheckedDataset, CheckedGroup, as_bytes
from weightsearch.store._columns import (
    Filters,
    append_block,
    create_dataset,
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
)
from weightsearch.store._names import to_paths
from weightsearch.store._run import unlike
from weightsearch.store._specs import (
    StoredArray,
    as_array,
    parse_specs,
    specs_json,
    stored_spec,
)

_FAR = 8
"""Rows further apart than so many others are not read in one block."""
_LARGE = 2**20
"""Arrays from so many bytes on are written one by one."""
_AHEAD_BYTES = 2**18
"""Of one weight, to be read at once for sequential access."""


class RowSource(Protocol):
    """Rows of weights to be written: fits, or snapshots of fits."""

    def specs(self, row: int) -> WeightSpecs | None: ...

    def stored(self, row: int) -> Iterable[StoredArray]: ...


StoredRows = tuple[WeightSpec, Array, Array]
"""One array of consecutive rows: its spec, the bytes of all, a checksum per row."""


# -- planning ----------------------------------------------------------------------


@dataclass
class Architecture:
    """Fits that share datasets.

    `rows` are those of the table of fits, in the order in which they are stored. The
    shapes of ragged arrays are -1 for each axis.
    """

    kind: str
    specs: WeightSpecs
    rows: list[int]


def plan(specs: Iterable[tuple[int, WeightSpecs]]) -> list[Architecture]:
    """Group rows that have weights into architectures, by their first rows."""
    found: dict[Any, Architecture] = {}
    # Neighbours that share the very object are not compared name by name.
    last: WeightSpecs | None = None
    rows: list[int] = []
    for row, one in specs:
        if one is not last:
            key = one.arrays, tuple(one.ties.items()), tuple(one.encodings.items())
            new = Architecture(names.STACKED, one, [])
            last, rows = one, found.setdefault(key, new).rows
        rows.append(row)
    if len(found) <= names.MAX_STACKS:
        return list(found.values())
    return sorted(_ragged(found.values()), key=lambda one: one.rows[0])


def _ragged(stacks: Iterable[Architecture]) -> list[Architecture]:
    """Put stacks together as long as no name means two things."""
    unions: list[Architecture] = []
    for stack in stacks:
        ties, encodings = stack.specs.ties, stack.specs.encodings
        arrays = [
            WeightSpec(spec.name, (-1,) * len(spec.shape), spec.dtype, spec.order)
            for spec in stack.specs.arrays
        ]
        for union in unions:
            merged = _merged(union.specs.arrays, arrays)
            extra = union.specs.ties, union.specs.encodings
            if merged is not None and extra == (ties, encodings):
                union.specs = WeightSpecs(merged, ties, encodings)
                union.rows = sorted(union.rows + stack.rows)
                break
        else:
            specs = WeightSpecs(tuple(arrays), ties, encodings)
            unions.append(Architecture(names.RAGGED, specs, stack.rows))
    return unions


def _merged(
    known: Sequence[WeightSpec], more: Sequence[WeightSpec]
) -> tuple[WeightSpec, ...] | None:
    """Return both in an order that suits both; None if there is none."""
    place = {spec.name: index for index, spec in enumerate(known)}
    last = -1
    new: dict[int, list[WeightSpec]] = {}
    for spec in more:
        index = place.get(spec.name)
        if index is None:
            new.setdefault(last, []).append(spec)
        elif known[index] != spec or index < last:
            return None
        else:
            last = index
    merged = new.get(-1, [])
    for index, spec in enumerate(known):
        merged += [spec, *new.get(index, ())]
    return tuple(merged)


# -- writing -----------------------------------------------------------------------


def write_architecture(
    group: h5g.GroupID,
    planned: Architecture,
    run: RowSource,
    filters: Filters,
    blocks: Iterable[tuple[int, Iterable[StoredArray | StoredRows]]] | None = None,
) -> None:
    """Write the rows of one architecture.

    With `blocks`, several rows at once: their number and arrays.
    """
    arrays, rows = planned.specs.arrays, planned.rows
    paths = to_paths(spec.name for spec in arrays)
    stored = [_stored(run, rows, spec) for spec in arrays]
    weights = h5g.create(group, names.G_WEIGHTS.encode())
    if planned.kind == names.STACKED:
        shapes = [(len(rows), *spec.shape) for spec in arrays]
    else:
        shapes = [(total,) for total in _write_extents(group, planned, run)]
    datasets = [
        create_dataset(
            weights,
            path,
            (*shape, *how.extra),
            h5t.py_create(how.storage, logical=True),
            filters,
        )
        for path, shape, how in zip(paths, shapes, stored, strict=True)
    ]
    if blocks is None:
        blocks = ((1, run.stored(row)) for row in rows)
    crcs = _write_rows(planned, blocks, stored, datasets)
    text = specs_json(planned.specs, kind=planned.kind, paths=paths)
    write_text(group, names.D_SPEC, text)
    write_column(group, names.D_ROW_CRC32, crcs)


def _stored(run: RowSource, rows: list[int], spec: WeightSpec) -> Stored:
    try:
        true = parse_dtype(spec.dtype)
    except ValueError:
        raise TypeError(
            f"{spec.name!r} is of type {spec.dtype}, which a store does not hold"
        ) from None
    if true is not None:
        check_storable(true, len(spec.shape), spec.name)
        return stored_as(true)
    return next(
        stored_spec(one, raw.nbytes)
        for row in rows
        for one, raw, _ in run.stored(row)
        if one.name == spec.name
    )


def _write_extents(
    group: h5g.GroupID, planned: Architecture, run: RowSource
) -> list[int]:
    """Write where each array of each row begins and its shape; return the totals."""
    arrays = planned.specs.arrays
    index_of = {spec.name: index for index, spec in enumerate(arrays)}
    axis_of = [0, *itertools.accumulate(len(spec.shape) for spec in arrays)]
    offset = np.full((len(planned.rows), len(arrays)), -1, "<i8")
    shape = np.full((len(planned.rows), axis_of[-1]), -1, "<i8")
    totals = [0] * len(arrays)
    for place, row in enumerate(planned.rows):
        specs = run.specs(row)
        for spec in () if specs is None else specs.arrays:
            index = index_of[spec.name]
            offset[place, index] = totals[index]
            shape[place, axis_of[index] : axis_of[index + 1]] = spec.shape
            totals[index] += math.prod(spec.shape)
    write_column(group, names.D_OFFSET, offset)
    write_column(group, names.D_SHAPE, shape)
    return totals


def _write_rows(
    planned: Architecture,
    blocks: Iterable[tuple[int, Iterable[StoredArray | StoredRows]]],
    stored: list[Stored],
    datasets: list[h5d.DatasetID],
) -> Array:
    """Write all arrays in blocks of bounded size; return their checksums."""
    announced = planned.specs.arrays
    crcs = np.zeros((len(planned.rows), len(datasets)), "<u4")
    index_of = {spec.name: index for index, spec in enumerate(announced)}
    parts: list[list[Array]] = [[] for _ in datasets]
    written = [0] * len(datasets)
    seen: list[WeightSpec | None] = [None] * len(datasets)
    size = 0

    def flush() -> None:
        for index, pieces in enumerate(parts):
            if len(pieces) > 1 and pieces[0].nbytes < _LARGE:
                pieces[:] = [np.concatenate(pieces)]
            for raw in pieces:
                block = raw.view(stored[index].storage)
                block = block.reshape(-1, *datasets[index].shape[1:])
                append_block(datasets[index], block, written[index])
                written[index] += len(block)
            pieces.clear()

    place = 0
    for count, arrays in blocks:
        for spec, raw, of_rows in arrays:
            index = index_of[spec.name]
            if spec is not seen[index]:
                _check(spec, raw.nbytes // count, announced[index], planned.kind)
                seen[index] = spec
            crcs[place : place + count, index] = of_rows
            if raw.nbytes:
                parts[index].append(raw)
                size += raw.nbytes
            if size >= names.BLOCK_BYTES:
                flush()
                size = 0
        place += count
    flush()
    return crcs


def _check(spec: WeightSpec, n_bytes: int, wanted: WeightSpec, kind: str) -> None:
    stored_spec(spec, n_bytes)
    if spec.dtype != wanted.dtype or (
        kind == names.STACKED and spec.shape != wanted.shape
    ):
        raise ValueError(
            f"{spec.name!r} is {spec.dtype} of shape {spec.shape}, but was announced "
            f"as {wanted.dtype} of shape {wanted.shape}"
        )


# -- reading -----------------------------------------------------------------------


def row_crcs(rows: Array) -> Array:
    """Return the checksum of each row of bytes."""
    count, size = rows.shape
    if not size:
        return np.zeros(count, np.uint32)
    # Slices of one buffer are cheaper than arrays.
    whole = np.ascontiguousarray(rows).reshape(-1).data
    parts = (whole[start : start + size] for start in range(0, count * size, size))
    return np.fromiter(map(zlib.crc32, parts), np.uint32, count)


class StoredArchitecture:
    """One group of ``architectures/``, for reading.

    Its specs are those of all rows; of a ragged one without shapes.
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
        # First element, where the last read ended, and the block, by weight.
        self._ahead: dict[int, tuple[int, int, Array | None]] = {}
        self._ahead_bytes = min(_AHEAD_BYTES, names.BLOCK_BYTES // max(len(arrays), 1))
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
        indexes = np.flatnonzero(self._offset[row] >= 0).tolist()
        arrays = tuple(self._spec_of(row, index) for index in indexes)
        return WeightSpecs(arrays, self.specs.ties, self.specs.encodings)

    def has(self, rows: Array, name: str) -> Array:
        """Whether each of some rows has an array, bool."""
        index = self._index.get(name)
        if index is None or not self.ragged:
            return np.full(len(rows), index is not None)
        found: Array = self._offset[rows, index] >= 0
        return found

    def stored(self, row: int) -> Iterator[StoredArray]:
        """Yield the arrays of a row as they are kept, compared with their checksums."""
        for spec in self.specs_of(row).arrays:
            index = self._index[spec.name]
            raw = self._read_raw(row, index).reshape(-1).view(np.uint8)
            yield spec, raw, int(self.crcs[row, index])

    def read(self, row: int, name: str) -> Array:
        """Read one array of a row."""
        return self._read(row, self._find(row, name))

    def read_all(self, row: int) -> Weights:
        """Read all arrays of a row."""
        specs = self.specs_of(row)
        index = self._index
        return Weights(
            ((one.name, self._read(row, index[one.name])) for one in specs.arrays),
            ties=specs.ties,
            encodings=specs.encodings,
        )

    def stack(self, name: str, rows: Array) -> Array:
        """Read one array of many rows, all of one shape."""
        index = self._find(int(rows[0]), name)
        dataset, stored = self._dataset(index)
        _, step, shape = self._interval(int(rows[0]), index)
        starts = rows
        if self.ragged:
            intervals = [self._interval(row, self._find(row, name)) for row in rows]
            for _, _, other in intervals:
                if other != shape:
                    raise unlike(name, f"{shape} and {other}")
            starts = np.array([start for start, _, _ in intervals], np.int64)
        out = np.empty((len(rows), *shape, *stored.extra), stored.storage)
        if out.size:
            # Bytes, since numpy does not copy the padding of structured types.
            raw = out.reshape(-1).view(np.uint8).reshape(len(out), -1)
            _read_rows(dataset, starts, step, raw)
            bad = np.flatnonzero(row_crcs(raw) != self.crcs[rows, index])
            if len(bad):
                raise self._damaged(int(rows[bad[0]]), index)
        return from_stored(out, stored, name)

    def filters(self) -> Filters:
        """Filters of the first weight, as the writer takes them."""
        if not self.specs.arrays:
            return None
        dataset = Dataset(self._dataset(0)[0].did)
        options = ("compression", "compression_opts", "shuffle", "fletcher32")
        found = {name: getattr(dataset, name) for name in options}
        return found if any(found.values()) else None

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

    def _spec_of(self, row: int, index: int) -> WeightSpec:
        spec = self.specs.arrays[index]
        if not self.ragged:
            return spec
        return WeightSpec(spec.name, self._shape_of(row, index), spec.dtype, spec.order)

    def _read(self, row: int, index: int) -> Array:
        raw = self._read_raw(row, index)
        return as_array(raw, self._spec_of(row, index), self._dataset(index)[1])

    def _read_raw(self, row: int, index: int) -> Array:
        start, count, _ = self._interval(row, index)
        raw = self._elements(index, start, count)
        if zlib.crc32(as_bytes(raw)) != self.crcs[row, index]:
            raise self._damaged(row, index)
        return raw

    def _elements(self, index: int, start: int, count: int) -> Array:
        """Read elements of a weight, ahead where the last read ended at `start`."""
        dataset = self._dataset(index)[0]
        first, end, block = self._ahead.get(index, (0, -1, None))
        stop = start + count
        if block is None or not first <= start <= stop <= first + len(block):
            first, block = start, None
            size = max(dataset.nbytes // max(dataset.shape[0], 1), 1)
            most = min(self._ahead_bytes // size, dataset.shape[0] - start)
            if start == end and most > count:
                # Damage that is further on must not cost these elements.
                with contextlib.suppress(CorruptStoreError):
                    block = dataset.read(start, most)
        self._ahead[index] = first, stop, block
        if block is None:
            return dataset.read(start, count)
        out = np.empty((count, *dataset.shape[1:]), dataset.dtype)
        if out.size:
            # Bytes, since numpy does not copy the padding of structured types.
            as_bytes(out)[:] = as_bytes(block[start - first : stop - first])
        return out

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
        """Open the dataset of an array and check type and shape."""
        found = self._open.get(index)
        if found is None:
            spec, path = self.specs.arrays[index], self._paths[index]
            true = parse_dtype(spec.dtype)
            stored = stored_as(true) if true is not None else None
            dataset = self._weights.dataset(path, stored.storage if stored else None)
            if stored is None:
                if dataset.dtype.kind != "u":
                    raise dataset.refuse(
                        f"{spec.dtype} must be kept as unsigned integers"
                    )
                stored = Stored(None, dataset.dtype)
            shape = dataset.shape[:1] if self.ragged else (self.count, *spec.shape)
            shape += stored.extra
            if dataset.shape != shape or not shape:
                raise dataset.refuse(f"has shape {dataset.shape} instead of {shape}")
            found = self._open[index] = dataset, stored
        return found

    def _damaged(self, row: int, index: int) -> CorruptStoreError:
        return self._weights.refuse(
            "the content does not match its checksum", f"{self._paths[index]}[{row}]"
        )


def _read_rows(dataset: CheckedDataset, starts: Array, step: int, raw: Array) -> None:
    """Read rows of `step` elements each, in any order, as (n, nbytes) bytes."""
    if (np.diff(starts) == step).all():
        out = raw.reshape(-1).view(dataset.dtype)
        dataset.read_into(out.reshape(-1, *dataset.shape[1:]), int(starts[0]))
        return
    order = np.argsort(starts, kind="stable")
    row_bytes = raw.shape[1]
    # Rows of a block are near each other, and fit into memory together.
    most = max(names.BLOCK_BYTES // row_bytes, 1) * step
    far = np.diff(starts[order]) > _FAR * step
    beyond = np.diff(starts[order] // most) > 0
    for places in np.split(order, np.flatnonzero(far | beyond) + 1):
        low, high = int(starts[places[0]]), int(starts[places[-1]]) + step
        flat = dataset.read(low, high - low).reshape(-1).view(np.uint8)
        for place in places.tolist():
            first = (int(starts[place]) - low) * (row_bytes // step)
            raw[place] = flat[first : first + row_bytes]

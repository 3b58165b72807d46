"""Snapshots of fits while they trained, in the log and in the file.

A snapshot is a row of an architecture, as a fit is; it has the arrays that are not as
in the snapshot before it. So what does not change is stored once, and a weight of all
snapshots of many fits is one dataset.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate

import numpy as np
from h5py import h5g

from weightsearch._records import (
    OPTIMIZER_KEPT,
    Array,
    FitSnapshots,
    RunSource,
    WeightSpec,
    WeightSpecs,
)
from weightsearch.exceptions import CorruptStoreError, StoreError
from weightsearch.store import _json
from weightsearch.store import _schema as names
from weightsearch.store._checked import CheckedGroup
from weightsearch.store._columns import (
    Filters,
    read_column,
    read_json,
    write_column,
    write_text,
)
from weightsearch.store._log_file import LogArrays, LogFile
from weightsearch.store._names import to_flat
from weightsearch.store._run import stack_of
from weightsearch.store._specs import StoredArray, as_array
from weightsearch.store._stacks import (
    StoredArchitecture,
    StoredRows,
    plan,
    row_crcs,
    write_architecture,
)

__all__ = [
    "LoggedSnapshots",
    "StoredSnapshots",
    "check_snapshots",
    "has_optimizer",
    "write_snapshots",
]

METRICS, WEIGHTS, CHANGED = "metrics/", "weights/", "changed/"
"""Prefixes of the arrays of a block."""

_NUMBERS = {names.D_EPOCH: "<i8", names.D_STEP: "<i8", names.D_TIME: "<f8"}


def has_optimizer(found: FitSnapshots) -> bool:
    """Whether the state of the optimizer was wanted when they were taken."""
    specs = found.specs(0) if len(found) else None
    return specs is not None and specs.find(OPTIMIZER_KEPT) is not None


def check_snapshots(found: FitSnapshots | None) -> None:
    """Read all snapshots of a fit and compare them with their checksums."""
    if found is not None:
        for index in range(len(found)):
            for _ in found.stored(index):
                pass


# -- in the log ----------------------------------------------------------------------


class _Block:
    """The snapshots of one frame of a log."""

    def __init__(self, file: LogFile, arrays: LogArrays):
        self.file = file
        self.arrays = arrays
        specs = arrays.packing.specs.arrays
        self.columns: dict[str, Array] = {
            spec.name: self._column(spec.name, "iuf")
            for spec in specs
            if not spec.name.startswith((WEIGHTS, CHANGED))
        }
        lengths = {len(column) for column in self.columns.values()}
        if not _NUMBERS.keys() <= self.columns.keys() or len(lengths) != 1:
            raise file.corrupt(arrays.place, "it lacks columns of one length")
        (self.count,) = lengths
        self.specs: dict[str, WeightSpec] = {}
        self.changed: dict[str, Array] = {}
        always = np.ones(self.count, bool)
        for spec in specs:
            if not spec.name.startswith(WEIGHTS):
                continue
            name = spec.name.removeprefix(WEIGHTS)
            changed = always
            if CHANGED + name in arrays.packing.index:
                changed = self._column(CHANGED + name, "b")
            if spec.shape[:1] != (changed.sum(),) or len(changed) != self.count:
                raise file.corrupt(arrays.place, f"{spec.name!r} has another length")
            self.specs[name] = WeightSpec(name, spec.shape[1:], spec.dtype)
            self.changed[name] = changed

    def _column(self, name: str, kinds: str) -> Array:
        column = self.file.read(self.arrays, name)
        if column.ndim != 1 or column.dtype.kind not in kinds:
            raise self.file.corrupt(self.arrays.place, f"{name!r} is not a column")
        return column

    @cached_property
    def _partly(self) -> dict[str, list[bool]]:
        """In which snapshots weights changed that did not in all."""
        return {
            name: changed.tolist()
            for name, changed in self.changed.items()
            if not changed.all()
        }

    @cached_property
    def _every(self) -> tuple[str, ...]:
        return tuple(self.specs)

    def changes(self, at: int) -> tuple[str, ...]:
        """Names of the weights that changed in a snapshot."""
        partly = self._partly
        if not partly:
            return self._every
        return tuple(
            name for name in self.specs if name not in partly or partly[name][at]
        )

    @cached_property
    def _raw(self) -> dict[str, Array]:
        """The bytes of each weight, compared with their checksums."""
        return {
            spec.name.removeprefix(WEIGHTS): raw
            for spec, raw, _ in self.file.stored(self.arrays)
            if spec.name.startswith(WEIGHTS)
        }

    def rows(self, at: int, count: int) -> Iterator[StoredRows]:
        """Yield the arrays of consecutive snapshots in which the same changed."""
        for name in self.changes(at):
            changed = self.changed[name]
            first = np.count_nonzero(changed[:at])
            raw = self._raw[name]
            size = raw.nbytes // np.count_nonzero(changed)
            part = raw[first * size : (first + count) * size]
            yield self.specs[name], part, row_crcs(part.reshape(count, size))

    def forget(self) -> None:
        """Free the bytes."""
        vars(self).pop("_raw", None)

    def read(self, name: str, at: Array) -> Array:
        """Return a weight in snapshots in which it changed."""
        number = self.arrays.packing.index[WEIGHTS + name]
        spec = self.arrays.packing.specs.arrays[number]
        stored = self.arrays.packing.stored[number]
        whole = as_array(self._raw[name].copy(), spec, stored)
        found: Array = whole[np.cumsum(self.changed[name])[at] - 1]
        return found


class LoggedSnapshots:
    """The snapshots of one fit in a log; see :class:`FitSnapshots`."""

    def __init__(self, file: LogFile, n_epochs: int, blocks: Sequence[LogArrays]):
        self.n_epochs = n_epochs
        self._blocks = [_Block(file, arrays) for arrays in blocks]
        self._starts = [0, *accumulate(block.count for block in self._blocks)]
        self._specs: dict[tuple[str, ...], WeightSpecs] = {}
        self._at = -1

    @cached_property
    def columns(self) -> Mapping[str, Array]:
        """A value per snapshot."""
        found = {
            name: np.full(len(self), np.nan if kind == "<f8" else -1, kind)
            for name, kind in {
                **_NUMBERS,
                **{name: "<f8" for block in self._blocks for name in block.columns},
                **_NUMBERS,
            }.items()
        }
        for block, start in zip(self._blocks, self._starts, strict=False):
            for name, column in block.columns.items():
                found[name][start : start + block.count] = column
        return found

    def __len__(self) -> int:
        return self._starts[-1]

    def changed(self, name: str) -> Array:
        """Snapshots in which a weight is not as in the one before."""
        parts = [
            block.changed.get(name, np.zeros(block.count, bool))
            for block in self._blocks
        ]
        return np.concatenate(parts) if parts else np.zeros(0, bool)

    def specs(self, index: int) -> WeightSpecs | None:
        """Weights that changed in a snapshot; None where none did."""
        block, at = self._find(index)
        known = block.changes(at)
        if not known:
            return None
        if known not in self._specs:
            self._specs[known] = WeightSpecs(tuple(block.specs[n] for n in known))
        return self._specs[known]

    def stored(self, index: int) -> Iterator[StoredArray]:
        """Yield them as they are kept."""
        for _, arrays in self.rows(index, 1):
            for spec, raw, (crc,) in arrays:
                yield spec, raw, int(crc)

    def rows(
        self, first: int, count: int
    ) -> Iterator[tuple[int, Iterator[StoredRows]]]:
        """Yield consecutive snapshots with equal specs, several at once."""
        end = first + count
        while first < end:
            block, at = self._find(first)
            count = min(end - first, block.count - at)
            yield count, block.rows(at, count)
            first += count

    def stack(self, name: str, indexes: Array) -> Array:
        """Return a weight in snapshots in which it changed."""
        parts = []
        numbers = np.searchsorted(self._starts, indexes, "right") - 1
        for number in np.unique(numbers).tolist():
            places = np.flatnonzero(numbers == number)
            block = self._block(number)
            parts.append(
                (block.read(name, indexes[places] - self._starts[number]), places)
            )
        return stack_of(name, parts)

    def _find(self, index: int) -> tuple[_Block, int]:
        number = bisect.bisect_right(self._starts, index) - 1
        return self._block(number), index - self._starts[number]

    def _block(self, number: int) -> _Block:
        # The bytes of one block are in memory at once.
        if number != self._at and self._at >= 0:
            self._blocks[self._at].forget()
        self._at = number
        return self._blocks[number]


# -- in the file ---------------------------------------------------------------------


class _Source:
    """Snapshots of many fits as the rows of architectures, for writing."""

    def __init__(self, fits: Sequence[FitSnapshots]):
        self._rows = [(one, index) for one in fits for index in range(len(one))]

    def __len__(self) -> int:
        return len(self._rows)

    def specs(self, row: int) -> WeightSpecs | None:
        one, index = self._rows[row]
        return one.specs(index)

    def stored(self, row: int) -> Iterable[StoredArray]:
        one, index = self._rows[row]
        return one.stored(index)

    def blocks(
        self, rows: Sequence[int]
    ) -> Iterator[tuple[int, Iterable[StoredArray | StoredRows]]]:
        """Yield the arrays of rows, many at once where they come from a log."""
        start = 0
        while start < len(rows):
            one, index = self._rows[rows[start]]
            specs, end = one.specs(index), start + 1
            if isinstance(one, LoggedSnapshots):
                while end < len(rows):
                    other, at = self._rows[rows[end]]
                    if other is not one or at != index + end - start:
                        break
                    if one.specs(at) is not specs:
                        break
                    end += 1
                yield from one.rows(index, end - start)
            else:
                yield 1, one.stored(index)
            start = end


def write_snapshots(
    group: h5g.GroupID,
    table: h5g.GroupID,
    run: RunSource,
    own: Array,
    filters: Filters,
) -> None:
    """Write the snapshots of a run's own fits; nothing where there are none."""
    n_epochs = np.full(len(own), -1, "<i8")
    rows, fits = [], []
    for row in np.flatnonzero(own).tolist():
        found = run.snapshots(row)
        if found is not None:
            n_epochs[row] = found.n_epochs
            rows.append(row)
            fits.append(found)
    if not rows:
        return
    write_column(table, names.D_N_EPOCHS, n_epochs)
    target = h5g.create(group, names.G_SNAPSHOTS.encode())
    source = _Source(fits)
    number_of = np.full(len(source), -1, "<i8")
    row_in = np.full(len(source), -1, "<i8")
    architectures = h5g.create(target, names.G_ARCHITECTURES.encode())
    changing = (
        (row, specs)
        for row in range(len(source))
        if (specs := source.specs(row)) is not None
    )
    for index, one in enumerate(plan(changing)):
        number_of[one.rows] = index
        row_in[one.rows] = np.arange(len(one.rows))
        place = h5g.create(architectures, str(index).encode())
        write_architecture(place, one, source, filters, source.blocks(one.rows))
    write_column(
        target, names.D_FIT, np.repeat(np.array(rows, "<i8"), [*map(len, fits)])
    )
    write_column(target, names.D_ARCHITECTURE, number_of)
    write_column(target, names.D_ROW, row_in)
    _write_columns(target, fits)


def _write_columns(target: h5g.GroupID, fits: Sequence[FitSnapshots]) -> None:
    for name, kind in _NUMBERS.items():
        parts = [one.columns[name] for one in fits]
        write_column(target, name, np.concatenate(parts).astype(kind))
    known = dict.fromkeys(name for one in fits for name in one.columns)
    metrics = h5g.create(target, names.G_METRICS.encode())
    order = []
    for name in known:
        if name.startswith(METRICS):
            plain = name.removeprefix(METRICS)
            order.append({names.J_NAME: plain, names.J_PATH: to_flat(plain)})
            parts = [
                one.columns.get(name, np.full(len(one), np.nan)).astype("<f8")
                for one in fits
            ]
            write_column(metrics, to_flat(plain), np.concatenate(parts))
    write_text(target, names.D_METRIC_COLUMNS, _json.dumps(order))


class StoredSnapshots:
    """The snapshots of all fits of a run in the file."""

    def __init__(self, run: CheckedGroup, table: CheckedGroup, n_fits: int):
        self._run = run
        self._table = table
        self._n_fits = n_fits
        self._architectures: dict[int, StoredArchitecture] = {}

    def of_fit(self, row: int) -> FitSnapshots | None:
        """Return those of one fit; None where none were wanted."""
        if not len(self._n_epochs) or self._n_epochs[row] < 0:
            return None
        first = int(np.searchsorted(self._fit, row, "left"))
        last = int(np.searchsorted(self._fit, row, "right"))
        return _OfFit(self, int(self._n_epochs[row]), slice(first, last))

    def architecture(self, number: int) -> StoredArchitecture:
        """Return one of the architectures."""
        if number not in self._architectures:
            group = self._group.group(f"{names.G_ARCHITECTURES}/{number}")
            found = StoredArchitecture(group)
            rows = self.places[self.places[:, 0] == number, 1]
            if not 0 <= rows.min(initial=0) <= rows.max(initial=0) < found.count:
                raise self._group.refuse("points out of its architecture", names.D_ROW)
            self._architectures[number] = found
        return self._architectures[number]

    @cached_property
    def columns(self) -> dict[str, Array]:
        """A value per snapshot."""
        shape = (len(self._fit),)
        found = {
            name: read_column(self._group, name, kind, shape)
            for name, kind in _NUMBERS.items()
        }
        metrics = self._group.group(names.G_METRICS)
        for item in read_json(self._group, names.D_METRIC_COLUMNS, list):
            try:
                name, path = str(item[names.J_NAME]), str(item[names.J_PATH])
            except (TypeError, KeyError) as exc:
                raise self._group.refuse(
                    "is not a list of names and paths", names.D_METRIC_COLUMNS
                ) from exc
            found[METRICS + name] = read_column(metrics, path, "<f8", shape)
        return found

    @cached_property
    def places(self) -> Array:
        """Architecture and row of each snapshot; -1 where nothing changed."""
        shape = (len(self._fit),)
        columns = [
            read_column(self._group, name, "<i8", shape)
            for name in (names.D_ARCHITECTURE, names.D_ROW)
        ]
        places = np.stack(columns, axis=1)
        count = len(self._group.group(names.G_ARCHITECTURES).names(names.MAX_ARRAYS))
        if places.min(initial=0) < -1 or places[:, 0].max(initial=-1) >= count:
            raise self._group.refuse(
                "points at an architecture that is not there", names.D_ARCHITECTURE
            )
        return places

    def problems(self) -> Iterator[StoreError]:
        """Read all of it, and yield what is wrong."""
        try:
            if not len(self._n_epochs):
                return
            _ = self.columns
            places = self.places
            for number in np.unique(places[places[:, 0] >= 0, 0]).tolist():
                found = self.architecture(number)
                rows = np.sort(places[places[:, 0] == number, 1])
                if not np.array_equal(rows, np.arange(found.count)):
                    yield found.group.refuse("has rows that no snapshot points at")
                yield from found.verify()
        except CorruptStoreError as error:
            yield error

    @cached_property
    def _group(self) -> CheckedGroup:
        return self._run.group(names.G_SNAPSHOTS)

    @cached_property
    def _n_epochs(self) -> Array:
        if names.D_N_EPOCHS not in self._table:
            return np.empty(0, np.int64)
        return read_column(self._table, names.D_N_EPOCHS, "<i8", (self._n_fits,))

    @cached_property
    def _fit(self) -> Array:
        fit = read_column(self._group, names.D_FIT, "<i8")
        if fit.ndim != 1 or (np.diff(fit) < 0).any():
            raise self._group.refuse("is not in order", names.D_FIT)
        return fit


class _OfFit:
    """The snapshots of one fit in the file; see :class:`FitSnapshots`."""

    def __init__(self, whole: StoredSnapshots, n_epochs: int, part: slice):
        self.n_epochs = n_epochs
        self._whole = whole
        self._part = part

    def __len__(self) -> int:
        return self._part.stop - self._part.start  # type: ignore[no-any-return]

    @cached_property
    def columns(self) -> Mapping[str, Array]:
        """A value per snapshot."""
        columns = self._whole.columns
        return {name: column[self._part] for name, column in columns.items()}

    @cached_property
    def _places(self) -> Array:
        return self._whole.places[self._part]

    def changed(self, name: str) -> Array:
        """Snapshots in which a weight is not as in the one before."""
        found = np.zeros(len(self), bool)
        for number in np.unique(self._places[:, 0]).tolist():
            if number >= 0:
                here = np.flatnonzero(self._places[:, 0] == number)
                architecture = self._whole.architecture(number)
                found[here] = architecture.has(self._places[here, 1], name)
        return found

    def specs(self, index: int) -> WeightSpecs | None:
        """Weights that changed in a snapshot; None where none did."""
        number, row = self._places[index].tolist()
        return None if number < 0 else self._whole.architecture(number).specs_of(row)

    def stored(self, index: int) -> Iterable[StoredArray]:
        """Yield them as they are kept."""
        number, row = self._places[index].tolist()
        return () if number < 0 else self._whole.architecture(number).stored(row)

    def stack(self, name: str, indexes: Array) -> Array:
        """Return a weight in snapshots in which it changed."""
        parts = []
        wanted = self._places[indexes]
        for number in np.unique(wanted[:, 0]).tolist():
            places = np.flatnonzero(wanted[:, 0] == number)
            architecture = self._whole.architecture(number)
            parts.append((architecture.stack(name, wanted[places, 1]), places))
        return stack_of(name, parts)

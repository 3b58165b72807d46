"""Reading arrays of one layout, each held to its checksum."""

from __future__ import annotations

import math
import zlib
from functools import cached_property
from typing import Any

import numpy as np

from weightsearch._records import Array, Weights, WeightSpec, WeightSpecs
from weightsearch.exceptions import CorruptStoreError, WeightsNotFoundError
from weightsearch.store._hdf5 import _layout as names
from weightsearch.store._hdf5._codec import Stored, from_stored
from weightsearch.store._hdf5._columns import read_column
from weightsearch.store._hdf5._crc import as_bytes
from weightsearch.store._hdf5._guard import corrupt
from weightsearch.store._hdf5._rows import read_rows
from weightsearch.store._hdf5._safe import SafeGroup
from weightsearch.store._hdf5._safe_dataset import SafeDataset
from weightsearch.store._hdf5._specs import open_array, read_spec

__all__ = ["StoredLayout"]


class StoredLayout:
    """One group of ``layouts/``.

    Parameters
    ----------
    group : SafeGroup

    Attributes
    ----------
    specs : WeightSpecs
        Of all rows; in a ragged layout without shapes, see :meth:`specs_of`.
    """

    def __init__(self, group: SafeGroup):
        self.group = group
        spec = read_spec(group, names.D_SPEC)
        self.ragged = spec.kind == names.RAGGED
        self.specs: WeightSpecs = spec.weights
        self._paths = spec.paths
        self._index = {one.name: at for at, one in enumerate(spec.weights.arrays)}
        self._weights = group.group(names.G_WEIGHTS)
        self._open: dict[int, tuple[SafeDataset, Stored]] = {}
        self.crcs = read_column(group, names.D_ROW_CRC32, "<u4")
        if self.crcs.ndim != 2 or self.crcs.shape[1] != len(spec.weights.arrays):
            raise corrupt(
                "has no checksum a row and weight",
                group.path,
                group.at(names.D_ROW_CRC32),
            )
        self.count: int = self.crcs.shape[0]

    @cached_property
    def candidate(self) -> Array:
        """Candidate of each row, int64."""
        return read_column(self.group, names.D_CANDIDATE, "<i8", (self.count,))

    @cached_property
    def split(self) -> Array:
        """Split of each row, int64."""
        return read_column(self.group, names.D_SPLIT, "<i8", (self.count,))

    @cached_property
    def _offset(self) -> Array:
        shape = self.crcs.shape
        return read_column(self.group, names.D_OFFSET, "<i8", shape)

    @cached_property
    def _axis_of(self) -> list[int]:
        axes = [len(spec.shape) for spec in self.specs.arrays]
        return [0, *np.cumsum(axes, dtype=int).tolist()]

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
        """Read one array of a row.

        Raises
        ------
        WeightsNotFoundError
            The row has no weight of that name.
        CorruptStoreError
        """
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
        """Give type and shape of one array of a row."""
        index = self._find(row, name)
        return self._dataset(index)[1], self._interval(row, index)[2]

    def read_many(self, rows: Array, name: str, out: Array) -> None:
        """Read one array of many rows, all of one shape.

        Parameters
        ----------
        rows : ndarray of shape (n,), int64
        name : str
        out : ndarray of shape (n, *shape, *extra)
            C-contiguous, of the type of the dataset.
        """
        index = self._index[self.specs.ties.get(name, name)]
        dataset, _ = self._dataset(index)
        starts, step = rows, 1
        if self.ragged:
            starts = self._offset[rows, index]
            step = self._interval(int(rows[0]), index)[1]
        bad = read_rows(dataset, starts, step, self.crcs[rows, index], out)
        if bad is not None:
            raise self._damaged(int(rows[bad]), index)

    def verify(self) -> list[CorruptStoreError]:
        """Read everything and list what is wrong."""
        problems: list[CorruptStoreError] = []
        for index in range(len(self.specs.arrays)):
            try:
                self._verify_array(index)
            except CorruptStoreError as exc:
                problems.append(exc)
        return problems

    def _verify_array(self, index: int) -> None:
        rows: Any = range(self.count)
        if self.ragged:
            rows = np.flatnonzero(self._offset[:, index] >= 0).tolist()
        bad = []
        for row in rows:
            try:
                self._read_raw(row, index)
            except CorruptStoreError as exc:
                bad.append(exc)
        if bad:
            more = f" (and {len(bad) - 1} more rows)" if len(bad) > 1 else ""
            raise CorruptStoreError(f"{bad[0]}{more}", bad[0].path, bad[0].place)

    def _find(self, row: int, name: str) -> int:
        index = self._index.get(self.specs.ties.get(name, name))
        if index is None or (self.ragged and self._offset[row, index] < 0):
            raise WeightsNotFoundError(f"no weight {name!r} here; {self._known(row)}")
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
        """Give first element, number of elements and shape."""
        if not self.ragged:
            return row, 1, self.specs.arrays[index].shape
        shape = self._shape_of(row, index)
        start, count = int(self._offset[row, index]), math.prod(shape)
        dataset = self._dataset(index)[0]
        if min(shape, default=0) < 0 or start < 0 or start + count > dataset.shape[0]:
            raise corrupt(
                f"row {row} reaches out of the dataset", dataset.path, dataset.place
            )
        return start, count, shape

    def _shape_of(self, row: int, index: int) -> tuple[int, ...]:
        first, last = self._axis_of[index : index + 2]
        return tuple(self._shape[row, first:last].tolist())

    def _dataset(self, index: int) -> tuple[SafeDataset, Stored]:
        found = self._open.get(index)
        if found is None:
            spec = self.specs.arrays[index]
            shape = None if self.ragged else (self.count, *spec.shape)
            found = open_array(self._weights, self._paths[index], spec, shape)
            self._open[index] = found
        return found

    def _damaged(self, row: int, index: int) -> CorruptStoreError:
        place = f"{self._weights.at(self._paths[index])}[{row}]"
        return corrupt(
            "the content does not match its checksum", self.group.path, place
        )

    def _known(self, row: int) -> str:
        known = [spec.name for spec in self.specs_of(row).arrays]
        more = ", ..." if len(known) > 8 else ""
        return f"there are {', '.join(map(repr, known[:8]))}{more}"

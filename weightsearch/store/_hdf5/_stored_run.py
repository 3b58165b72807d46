"""Reading one run of a store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from weightsearch._records import (
    Array,
    FitTable,
    RunHeader,
    Weights,
    WeightSpec,
    WeightSpecs,
)
from weightsearch.exceptions import WeightsNotFoundError
from weightsearch.store import _json
from weightsearch.store._hdf5 import _layout as names
from weightsearch.store._hdf5._codec import from_stored
from weightsearch.store._hdf5._columns import (
    read_column,
    read_dataset,
    read_texts,
)
from weightsearch.store._hdf5._guard import corrupt
from weightsearch.store._hdf5._names import from_path
from weightsearch.store._hdf5._safe import SafeGroup, dangers
from weightsearch.store._hdf5._specs import Spec, open_array, read_json, read_spec
from weightsearch.store._hdf5._stored_layout import StoredLayout
from weightsearch.store._hdf5._stored_states import StoredStates

__all__ = ["Hdf5Run"]

_HEADER: dict[str, Any] = {
    "uid": str,
    "name": str,
    "status": str,
    "started": str,
    "finished": str,
    "environment": dict,
    "estimator": dict,
    "settings": dict,
    "fingerprint": (str, type(None)),
    "identity": dict,
}


class Hdf5Run:
    """One run of an open store; a :class:`~weightsearch._records.RunSource`.

    All methods raise :class:`~weightsearch.exceptions.CorruptStoreError`, naming the
    place, where the file is not what it should be.

    Parameters
    ----------
    group : SafeGroup
        The run's group.

    Attributes
    ----------
    uid, name, started : str
    """

    def __init__(self, group: SafeGroup):
        self.group = group
        self.path = group.path
        self.uid = group.text(names.A_UID)
        self.name = from_path(group.place.rsplit("/", 1)[1])
        self.started = group.text(names.A_STARTED)
        self._layouts: dict[int, StoredLayout] = {}

    def check_safe(self) -> None:
        """Look at all that the run holds and refuse what a store must not hold."""
        for danger in dangers(self.group.gid, self.path, self.group.place):
            raise danger

    @cached_property
    def header(self) -> RunHeader:
        """What is known of the run."""
        value = read_json(self.group, names.D_HEADER, dict)
        place = self.group.at(names.D_HEADER)
        wrong = [
            key for key, kind in _HEADER.items() if not isinstance(value.get(key), kind)
        ]
        if wrong:
            raise corrupt(f"lacks {wrong}, or has them wrong", self.path, place)
        if value["uid"] != self.uid or value["name"] != self.name:
            raise corrupt("belongs to another run", self.path, place)
        return RunHeader(**{key: value[key] for key in _HEADER})

    @cached_property
    def n_candidates(self) -> int:
        """Rows of ``cv_results_``."""
        return self.group.integer(names.A_N_CANDIDATES)

    @cached_property
    def _params(self) -> list[str]:
        return read_texts(self.group, names.D_PARAMS, self.n_candidates)

    def params(self) -> Sequence[str]:
        """Params of every candidate, encoded as JSON."""
        return self._params

    @cached_property
    def _table(self) -> SafeGroup:
        return self.group.group(names.G_FITS)

    @cached_property
    def _n_layouts(self) -> int:
        group = self.group.group(names.G_LAYOUTS)
        found = set(group.names(names.MAX_LAYOUTS))
        if found != {str(index) for index in range(len(found))}:
            raise corrupt("layouts are not numbered from 0", self.path, group.place)
        return len(found)

    @cached_property
    def _places(self) -> Array:
        """Layout and row in it of each fit, (n_fits, 2); -1 without weights."""
        count = len(self.fits())
        columns = [
            read_column(self._table, name, "<i8", (count,))
            for name in (names.D_LAYOUT, names.D_ROW)
        ]
        places = np.stack(columns, axis=1)
        low, high = places.min(initial=0), places[:, 0].max(initial=-1)
        if low < -1 or high >= self._n_layouts:
            raise corrupt(
                "points at a layout that is not there",
                self.path,
                self._table.at(names.D_LAYOUT),
            )
        return places

    @cached_property
    def _fits(self) -> FitTable:
        table = self._table
        candidate = read_column(table, names.D_CANDIDATE, "<i8")
        if candidate.ndim != 1:
            raise corrupt("is no column", self.path, table.at(names.D_CANDIDATE))
        shape = candidate.shape
        layout = read_column(table, names.D_LAYOUT, "<i8", shape)
        columns = (
            candidate.astype(np.int64, copy=False),
            read_column(table, names.D_SPLIT, "<i8", shape).astype(
                np.int64, copy=False
            ),
            read_column(table, names.D_FAILED, bool, shape),
            layout >= 0,
            read_column(table, names.D_KEY, "S32", shape),
        )
        for column in columns:
            column.flags.writeable = False
        return FitTable(*columns)

    def fits(self) -> FitTable:
        """All stored fits."""
        return self._fits

    @cached_property
    def _results(self) -> list[str]:
        return read_texts(self._table, names.D_RESULT, len(self.fits()))

    def result(self, row: int) -> dict[str, Any]:
        """Scores, times and errors of a row."""
        self._check_row(row)
        place = f"{self._table.at(names.D_RESULT)}[{row}]"
        value = _json.loads(self._results[row], path=self.path, place=place)
        if not isinstance(value, dict):
            raise corrupt("is no JSON object", self.path, place)
        return value

    def result_text(self, row: int) -> str:
        """Scores, times and errors of a row as JSON text."""
        self._check_row(row)
        return self._results[row]

    def specs(self, row: int) -> WeightSpecs | None:
        """Names, shapes and types of a row's weights; None where it has none."""
        self._check_row(row)
        if not self._fits.has_weights[row]:
            return None
        layout, at = self._find(row)
        return layout.specs_of(at)

    def alike(self, rows: Array) -> list[tuple[WeightSpecs, Array]]:
        """Put rows together whose weights are alike.

        Parameters
        ----------
        rows : ndarray of shape (n,), int

        Returns
        -------
        list of (WeightSpecs, ndarray)
            What rows have, and which places in `rows` have it, in order of their
            first places. Rows without weights are in none.
        """
        numbers = self._places[rows, 0]
        found = []
        for number in dict.fromkeys(numbers[numbers >= 0].tolist()):
            of_it = np.flatnonzero(numbers == number)
            # All rows of a stacked layout are alike, those of a ragged one are not.
            ragged = self.layout(number).ragged
            parts = np.split(of_it, len(of_it)) if ragged else [of_it]
            for part in parts:
                specs = self.specs(int(rows[part[0]]))
                if specs is not None:
                    found.append((specs, part))
        return sorted(found, key=lambda item: int(item[1][0]))

    def read(self, row: int, name: str) -> Array:
        """Read one array of a row."""
        layout, at = self._find(row)
        return layout.read(at, name)

    def read_all(self, row: int) -> Weights:
        """Read all arrays of a row."""
        layout, at = self._find(row)
        return layout.read_all(at)

    def open_rows(
        self, rows: Sequence[int], arrays: Sequence[WeightSpec], max_bytes: int
    ) -> None:
        """Say that these rows are read one by one; whole runs are copied by HDF5."""

    def stack(self, name: str, rows: Sequence[int]) -> Array:
        """Read the arrays of one name in many rows, of equal shape and type.

        Parameters
        ----------
        name : str
        rows : sequence of int
            At least one.

        Returns
        -------
        ndarray of shape (len(rows), *shape)
            C-contiguous, whatever the order of each array was.

        Raises
        ------
        WeightsNotFoundError
            A row has no weight of that name.
        ValueError
            No rows, or arrays of different shapes or types.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        if wanted.ndim != 1 or not len(wanted):
            raise ValueError("rows must be a sequence of at least one row")
        for end in (int(wanted.min()), int(wanted.max())):
            self._check_row(end)
        places = self._places[wanted]
        groups: list[tuple[StoredLayout, Array]] = []
        for number in dict.fromkeys(places[:, 0].tolist()):
            of_it = np.flatnonzero(places[:, 0] == number)
            layout, _ = self._find(int(wanted[of_it[0]]))
            at = places[of_it, 1]
            if at.min() < 0 or at.max() >= layout.count:
                raise self._out_of_layout()
            groups.append((layout, of_it))
        layout, of_it = groups[0]
        stored, shape = layout.kind_of(int(places[of_it[0], 1]), name)
        for layout, of_it in groups:
            # All rows of a stacked layout are alike, those of a ragged one are not.
            looked_at = of_it if layout.ragged else of_it[:1]
            for at in places[looked_at, 1].tolist():
                kind = layout.kind_of(at, name)
                if kind != (stored, shape):
                    raise ValueError(
                        f"{name!r} is not alike in all rows: {shape} and {kind[1]} of "
                        f"{stored.true or stored.storage} and "
                        f"{kind[0].true or kind[0].storage}; select rows of one shape"
                    )
        whole = (len(wanted), *shape, *stored.extra)
        if len(groups) == 1:
            out = np.empty(whole, stored.storage)
            layout.read_many(places[:, 1], name, out)
            return from_stored(out, stored, name)
        out = np.empty(whole, stored.storage)
        for layout, of_it in groups:
            part = np.empty((len(of_it), *whole[1:]), stored.storage)
            layout.read_many(places[of_it, 1], name, part)
            out[of_it] = part
        return from_stored(out, stored, name)

    def cv_results(self) -> dict[str, Array]:
        """Numeric columns of ``cv_results_``."""
        group = self.group.group(names.G_CV_RESULTS)
        columns = {}
        for item in read_json(self.group, names.D_CV_COLUMNS, list):
            try:
                name, path = str(item[names.J_NAME]), str(item[names.J_PATH])
            except (TypeError, KeyError) as exc:
                raise corrupt(
                    "is no list of names and paths",
                    self.path,
                    self.group.at(names.D_CV_COLUMNS),
                ) from exc
            columns[name] = read_column(group, path, shape=(self.n_candidates,))
        return columns

    def best_index(self) -> int | None:
        """Row of the best candidate."""
        index = self.group.integer(names.A_BEST_INDEX)
        if not -1 <= index < max(self.n_candidates, 1):
            raise corrupt(f"best_index is {index}", self.path, self.group.place)
        return None if index == -1 else index

    @cached_property
    def _best(self) -> Spec | None:
        if names.D_BEST_SPEC not in self.group:
            return None
        return read_spec(self.group, names.D_BEST_SPEC)

    def best_specs(self) -> WeightSpecs | None:
        """Names, shapes and types of the best estimator's weights."""
        return None if self._best is None else self._best.weights

    def read_best(self, name: str) -> Array:
        """Read one array of the best estimator."""
        best = self._best
        if best is None:
            raise WeightsNotFoundError("the run has no best estimator's weights")
        name = best.weights.ties.get(name, name)
        for spec, path in zip(best.weights.arrays, best.paths, strict=True):
            if spec.name == name:
                group = self.group.group(names.G_BEST)
                dataset, stored = open_array(group, path, spec, spec.shape)
                array = from_stored(read_dataset(dataset), stored, name)
                return np.asfortranarray(array) if spec.order == "F" else array
        raise WeightsNotFoundError(f"the best estimator has no weight {name!r}")

    def splits(self) -> list[tuple[Array, Array]] | None:
        """(train, test) indices, where the run kept them."""
        if names.G_SPLITS not in self.group:
            return None
        group = self.group.group(names.G_SPLITS)
        found = []
        for index in range(len(group.names(names.MAX_LAYOUTS))):
            fold = group.group(str(index))
            found.append(
                (read_column(fold, names.D_TRAIN), read_column(fold, names.D_TEST))
            )
        return found

    @cached_property
    def states(self) -> StoredStates:
        """What besides weights the run has of its models."""
        return StoredStates(self.group, self._table, len(self._fits))

    def state(self, row: int) -> tuple[str, tuple[str, ...]] | None:
        """What besides weights a row has of its model."""
        self._check_row(row)
        return self.states.state(row)

    def has_blob(self, name: str) -> bool:
        """Whether a state of the run has a content of that name."""
        return name in self.states

    def blob(self, name: str) -> bytes:
        """One content of the states."""
        return self.states.blob(name)

    def blob_size(self, name: str) -> int:
        """Bytes of one content."""
        return self.states.nbytes(name)

    def layout(self, number: int) -> StoredLayout:
        """Give one of the run's layouts."""
        found = self._layouts.get(number)
        if found is None:
            group = self.group.group(f"{names.G_LAYOUTS}/{number}")
            found = self._layouts[number] = StoredLayout(group)
        return found

    @property
    def n_layouts(self) -> int:
        """Number of layouts."""
        return self._n_layouts

    def place(self, row: int) -> tuple[int, int]:
        """Layout and row in it of a fit, (-1, -1) without weights."""
        number, at = self._places[row].tolist()
        return number, at

    def _check_row(self, row: int) -> None:
        if not 0 <= row < len(self._fits):
            raise WeightsNotFoundError(
                f"no fit {row}; the run has {len(self._fits)} of them"
            )

    def _find(self, row: int) -> tuple[StoredLayout, int]:
        self._check_row(row)
        number, at = self._places[row].tolist()
        if number < 0:
            raise WeightsNotFoundError(f"fit {row} has no weights")
        layout = self.layout(number)
        if not 0 <= at < layout.count:
            raise self._out_of_layout()
        return layout, at

    def _out_of_layout(self) -> Exception:
        return corrupt(
            "points out of its layout", self.path, self._table.at(names.D_ROW)
        )

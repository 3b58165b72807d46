"""One run of a store's file, for reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from weightsearch._records import (
    REFIT,
    Array,
    FitTable,
    RunHeader,
    RunSource,
    Splits,
    Weights,
    WeightSpecs,
)
from weightsearch.exceptions import StoreError, WeightsNotFoundError
from weightsearch.store import _json
from weightsearch.store import _schema as names
from weightsearch.store._catalog import CatalogEntry
from weightsearch.store._checked import CheckedGroup, dangers
from weightsearch.store._columns import read_column, read_json, read_texts
from weightsearch.store._dtypes import from_stored
from weightsearch.store._splits import unpack_splits
from weightsearch.store._stacks import StoredLayout
from weightsearch.store._states import StoredStates

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


_SPLIT_COLUMNS = {
    *(names.D_FOLD, names.D_TRAIN, names.D_TRAIN_OFFSET),
    *(names.D_TEST, names.D_TEST_OFFSET),
}


class Hdf5Run:
    """One run of an open store; a :class:`~weightsearch._records.RunSource`.

    All methods raise :class:`~weightsearch.exceptions.CorruptStoreError`, naming the
    place, where the file is not what it should be. The run's group is opened when
    something is asked for; `resolve` returns the run of a uid, or None.
    """

    def __init__(
        self,
        entry: CatalogEntry,
        open_group: Callable[[], CheckedGroup],
        resolve: Callable[[str], RunSource | None],
    ):
        self.entry = entry
        self.name = entry.name
        self._open_group = open_group
        self._resolve = resolve
        self._layouts: dict[int, StoredLayout] = {}

    @cached_property
    def group(self) -> CheckedGroup:
        """The run's group."""
        return self._open_group()

    @cached_property
    def uid(self) -> str:
        """Unique for ever."""
        return self.entry.uid or self.group.text(names.A_UID)

    @property
    def path(self) -> str:
        """The store's file, for errors."""
        return self.group.path

    def check_safe(self) -> None:
        """Look at all that the run holds and refuse what a store must not hold."""
        for danger in dangers(self.group.gid, self.path, self.group.place):
            raise danger

    @cached_property
    def header(self) -> RunHeader:
        """What is known of the run."""
        value = read_json(self.group, names.D_HEADER, dict)
        wrong = [
            key for key, kind in _HEADER.items() if not isinstance(value.get(key), kind)
        ]
        if wrong:
            raise self.group.refuse(f"lacks {wrong}, or has them wrong", names.D_HEADER)
        uids = {value["uid"], self.uid, self.group.text(names.A_UID)}
        if len(uids) > 1 or value["name"] != self.name:
            raise self.group.refuse("belongs to another run", names.D_HEADER)
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

    # -- fits -----------------------------------------------------------------

    @cached_property
    def table(self) -> CheckedGroup:
        """The group of the table of fits."""
        return self.group.group(names.G_FITS)

    @cached_property
    def n_layouts(self) -> int:
        """Number of layouts."""
        group = self.group.group(names.G_LAYOUTS)
        found = set(group.names(names.MAX_LAYOUTS))
        if found != {str(index) for index in range(len(found))}:
            raise group.refuse("layouts are not numbered from 0")
        return len(found)

    @cached_property
    def places(self) -> Array:
        """Layout and row in it of each fit, (n_fits, 2); -1 without own weights."""
        shape = (len(self._fits),)
        columns = [
            read_column(self.table, name, "<i8", shape)
            for name in (names.D_LAYOUT, names.D_ROW)
        ]
        places = np.stack(columns, axis=1)
        low, high = places.min(initial=0), places[:, 0].max(initial=-1)
        if low < -1 or high >= self.n_layouts:
            raise self.table.refuse(
                "points at a layout that is not there", names.D_LAYOUT
            )
        return places

    @cached_property
    def _fits(self) -> FitTable:
        table = self.table
        candidate = read_column(table, names.D_CANDIDATE, "<i8")
        if candidate.ndim != 1:
            raise table.refuse("is not a column", names.D_CANDIDATE)
        shape = candidate.shape

        def column(name: str, dtype: Any) -> Array:
            return read_column(table, name, dtype, shape)

        columns = [
            candidate,
            column(names.D_SPLIT, "<i8"),
            column(names.D_FAILED, bool),
            column(names.D_LAYOUT, "<i8") >= 0,
            column(names.D_KEY, "S32"),
        ]
        if names.D_ORIGIN in table:
            columns[3] = column(names.D_HAS_WEIGHTS, bool)
            columns.append(column(names.D_ORIGIN, "S32"))
            columns.append(column(names.D_ORIGIN_ROW, "<i8"))
        fits = FitTable(*columns)
        if names.D_MODEL_KEY in table:
            fits = replace(fits, model_key=column(names.D_MODEL_KEY, "S32"))
        for values in vars(fits).values():
            values.flags.writeable = False
        return fits

    def fits(self) -> FitTable:
        """All stored fits."""
        return self._fits

    def holder(self, row: int) -> tuple[RunSource, int]:
        """Return the run that holds a row's fit, and its row there."""
        self._check_row(row)
        origin = self._fits.origin[row].decode("ascii", "replace")
        if not origin:
            return self, row
        run, at = self._resolve(origin), int(self._fits.origin_row[row])
        if run is None or not 0 <= at < len(run.fits()) or run.fits().origin[at]:
            raise self.table.refuse(
                f"fit {row} points at fit {at} of run {origin}, which does not hold it",
                names.D_ORIGIN,
            )
        return run, at

    @cached_property
    def _results(self) -> list[str]:
        return read_texts(self.table, names.D_RESULT, len(self._fits))

    def result(self, row: int) -> dict[str, Any]:
        """Scores, times and errors of a row."""
        text = self.result_text(row)
        place = f"{self.table.at(names.D_RESULT)}[{row}]"
        value = _json.loads(text, path=self.path, place=place)
        if not isinstance(value, dict):
            raise self.table.refuse("is not a JSON object", f"{names.D_RESULT}[{row}]")
        return value

    def result_text(self, row: int) -> str:
        """Scores, times and errors of a row as JSON text."""
        self._check_row(row)
        if not self._results[row] and self._fits.origin[row]:
            run, at = self.holder(row)
            return run.result_text(at)
        return self._results[row]

    def own_result_text(self, row: int) -> str:
        """The same for a row whose model another run holds, if it has its own."""
        self._check_row(row)
        return self._results[row] if self._fits.origin[row] else ""

    # -- weights --------------------------------------------------------------

    def specs(self, row: int) -> WeightSpecs | None:
        """Names, shapes and types of a row's weights; None where it has none."""
        run, at = self.holder(row)
        if run is not self:
            return run.specs(at)
        if not self._fits.has_weights[row]:
            return None
        layout, place = self._find(row)
        return layout.specs_of(place)

    def alike(self, rows: Array) -> list[tuple[WeightSpecs, Array]]:
        """Return what rows have, each with the places in `rows` that have it."""
        found = []
        for run, at, of_it in self._by_holder(np.asarray(rows, np.int64)):
            if run is not self:
                found += [(specs, of_it[part]) for specs, part in run.alike(at)]
                continue
            numbers = self.places[at, 0]
            for number in dict.fromkeys(numbers[numbers >= 0].tolist()):
                same = np.flatnonzero(numbers == number)
                # All rows of a stacked layout are alike, those of a ragged one not.
                ragged = self.layout(number).ragged
                for part in np.split(same, len(same)) if ragged else [same]:
                    specs = self.specs(int(at[part[0]]))
                    if specs is not None:
                        found.append((specs, of_it[part]))
        return sorted(found, key=lambda item: int(item[1][0]))

    def read(self, row: int, name: str) -> Array:
        """Read one array of a row."""
        run, at = self.holder(row)
        if run is not self:
            return run.read(at, name)
        layout, place = self._find(row)
        return layout.read(place, name)

    def read_all(self, row: int) -> Weights:
        """Read all arrays of a row."""
        run, at = self.holder(row)
        if run is not self:
            return run.read_all(at)
        layout, place = self._find(row)
        return layout.read_all(place)

    def stack(self, name: str, rows: Sequence[int]) -> Array:
        """Read the arrays of one name in many rows, of equal shape and type.

        The stack is C-contiguous, whatever the order of each array was.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        if wanted.ndim != 1 or not len(wanted):
            raise ValueError("rows must be a sequence of at least one row")
        for end in (int(wanted.min()), int(wanted.max())):
            self._check_row(end)
        parts = [
            (run._stack_own(name, at) if run is self else run.stack(name, at), of_it)
            for run, at, of_it in self._by_holder(wanted)
        ]
        return _joined(name, len(wanted), parts)

    def _stack_own(self, name: str, rows: Array) -> Array:
        places = self.places[rows]
        parts = []
        for number in dict.fromkeys(places[:, 0].tolist()):
            of_it = np.flatnonzero(places[:, 0] == number)
            layout, _ = self._find(int(rows[of_it[0]]))
            at = places[of_it, 1]
            if at.min() < 0 or at.max() >= layout.count:
                raise self.table.refuse("points out of its layout", names.D_ROW)
            stored, shape = layout.kind_of(int(at[0]), name)
            # All rows of a stacked layout are alike, those of a ragged one are not.
            for place in at.tolist() if layout.ragged else ():
                other = layout.kind_of(place, name)[1]
                if other != shape:
                    raise _unlike(name, f"{shape} and {other}")
            out = np.empty((len(at), *shape, *stored.extra), stored.storage)
            layout.read_many(at, name, out)
            parts.append((from_stored(out, stored, name), of_it))
        return _joined(name, len(rows), parts)

    def _by_holder(self, rows: Array) -> Iterator[tuple[Any, Array, Array]]:
        """Yield each run that holds rows, which of its rows, and their places."""
        origins = self._fits.origin[rows]
        own = np.flatnonzero(origins == b"")
        if len(own):
            yield self, rows[own], own
        for origin in dict.fromkeys(origins[origins != b""].tolist()):
            of_it = np.flatnonzero(origins == origin)
            holders = [self.holder(row) for row in rows[of_it].tolist()]
            yield holders[0][0], np.array([at for _, at in holders], np.int64), of_it

    def layout(self, number: int) -> StoredLayout:
        """Return one of the run's layouts."""
        found = self._layouts.get(number)
        if found is None:
            group = self.group.group(f"{names.G_LAYOUTS}/{number}")
            found = self._layouts[number] = StoredLayout(group)
        return found

    def _check_row(self, row: int) -> None:
        if not 0 <= row < len(self._fits):
            raise WeightsNotFoundError(
                f"no fit {row}; the run has {len(self._fits)} of them"
            )

    def _find(self, row: int) -> tuple[StoredLayout, int]:
        number, at = self.places[row].tolist()
        if number < 0:
            raise WeightsNotFoundError(f"fit {row} has no weights")
        layout = self.layout(number)
        if not 0 <= at < layout.count:
            raise self.table.refuse("points out of its layout", names.D_ROW)
        return layout, at

    # -- states ---------------------------------------------------------------

    @cached_property
    def states(self) -> StoredStates:
        """What besides weights the run has of its models."""
        return StoredStates(self.group, self.table, len(self._fits))

    def state(self, row: int) -> tuple[str, tuple[str, ...]] | None:
        """What besides weights a row has of its model."""
        run, at = self.holder(row)
        return self.states.state(row) if run is self else run.state(at)

    def has_blob(self, name: str) -> bool:
        """Whether a state of the run has a content of that name."""
        return name in self.states or any(run.has_blob(name) for run in self._others)

    def blob(self, name: str) -> bytes:
        """One content of the states."""
        found: bytes = self._with_blob(name).blob(name)
        return found

    def blob_size(self, name: str) -> int:
        """Bytes of one content."""
        found: int = self._with_blob(name).blob_size(name)
        return found

    def _with_blob(self, name: str) -> Any:
        if name in self.states:
            return self.states
        return next((run for run in self._others if run.has_blob(name)), self.states)

    @cached_property
    def _others(self) -> list[RunSource]:
        """The runs that hold some of the fits."""
        origins = np.unique(self._fits.origin[self._fits.origin != b""])
        found = (self._resolve(uid.decode("ascii", "replace")) for uid in origins)
        return [run for run in found if run is not None]

    # -- results --------------------------------------------------------------

    def cv_results(self) -> dict[str, Array]:
        """Numeric columns of ``cv_results_``."""
        group = self.group.group(names.G_CV_RESULTS)
        columns = {}
        for item in read_json(self.group, names.D_CV_COLUMNS, list):
            try:
                name, path = str(item[names.J_NAME]), str(item[names.J_PATH])
            except (TypeError, KeyError) as exc:
                raise self.group.refuse(
                    "is not a list of names and paths", names.D_CV_COLUMNS
                ) from exc
            columns[name] = read_column(group, path, shape=(self.n_candidates,))
        return columns

    def best_index(self) -> int | None:
        """Row of the best candidate."""
        index = self.group.integer(names.A_BEST_INDEX)
        if not -1 <= index < max(self.n_candidates, 1):
            raise self.group.refuse(f"best_index is {index}")
        return None if index == -1 else index

    @cached_property
    def _best_row(self) -> int | None:
        fits = self._fits
        best = self.best_index()
        if best is None:
            return None
        rows = np.flatnonzero((fits.candidate == best) & (fits.split == REFIT))
        rows = rows[fits.has_weights[rows]]
        return int(rows[-1]) if len(rows) else None

    def best_specs(self) -> WeightSpecs | None:
        """Names, shapes and types of the best estimator's weights."""
        return None if self._best_row is None else self.specs(self._best_row)

    def read_best(self, name: str) -> Array:
        """Read one array of the best estimator."""
        if self._best_row is None:
            raise WeightsNotFoundError("the run has no best estimator's weights")
        return self.read(self._best_row, name)

    def splits(self) -> list[Splits]:
        """The splits; several where candidates were evaluated on different ones."""
        if names.G_SPLITS not in self.group:
            return []
        group = self.group.group(names.G_SPLITS)
        found = []
        for index in range(len(group.names(names.MAX_LAYOUTS))):
            one = group.group(str(index))
            first, count, n_rows, n_splits = (
                one.integer(name)
                for name in (
                    names.A_FIRST_CANDIDATE,
                    names.A_COUNT,
                    names.A_N_ROWS,
                    names.A_N_SPLITS,
                )
            )
            if min(first, count, n_rows, n_splits) < 0:
                raise one.refuse("has negative numbers")
            columns = set(one.names(names.MAX_ARRAYS)) & _SPLIT_COLUMNS
            packed = {name: read_column(one, name) for name in sorted(columns)}
            try:
                pairs = unpack_splits(packed, n_splits, n_rows)
            except (KeyError, ValueError) as exc:
                raise one.refuse(f"are not splits: {exc}") from exc
            found.append(Splits(first, count, n_rows, pairs))
        return found

    def problems(self) -> Iterator[StoreError]:
        """Yield an error for each fit whose holder is not there."""
        for row in np.flatnonzero(self._fits.origin != b"").tolist():
            try:
                self.holder(row)
            except StoreError as exc:
                yield exc


def _joined(name: str, count: int, parts: list[tuple[Array, Array]]) -> Array:
    """Put the stacks of some rows together, each with its places."""
    first = parts[0][0]
    if len(parts) == 1:
        return first
    for other, _ in parts:
        if (other.dtype, other.shape[1:]) != (first.dtype, first.shape[1:]):
            shapes = f"{first.shape[1:]} and {other.shape[1:]}"
            raise _unlike(name, f"{shapes} of {first.dtype} and {other.dtype}")
    out = np.empty((count, *first.shape[1:]), first.dtype)
    for part, of_it in parts:
        out[of_it] = part
    return out


def _unlike(name: str, kinds: str) -> ValueError:
    return ValueError(
        f"{name!r} is not alike in all rows: {kinds}; select rows of one shape"
    )

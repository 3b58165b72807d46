"""One run of a store's file, for reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from weightsearch._records import (
    Array,
    FitSnapshots,
    FitTable,
    RunHeader,
    Splits,
    Weights,
    WeightSpecs,
)
from weightsearch.exceptions import StoreError, WeightsNotFoundError
from weightsearch.store import _schema as names
from weightsearch.store._catalog import CatalogEntry
from weightsearch.store._checked import CheckedGroup, dangers
from weightsearch.store._columns import read_column, read_json, read_texts
from weightsearch.store._run import Resolve, Run, StoredArray, parse_header, stack_of
from weightsearch.store._snapshots import StoredSnapshots
from weightsearch.store._splits import unpack_splits
from weightsearch.store._stacks import StoredArchitecture
from weightsearch.store._states import StoredStates

__all__ = ["Hdf5Run"]

_SPLIT_COLUMNS = {
    *(names.D_FOLD, names.D_TRAIN, names.D_TRAIN_OFFSET),
    *(names.D_TEST, names.D_TEST_OFFSET),
}


class Hdf5Run(Run):
    """One run of an open store.

    All methods raise :class:`~weightsearch.exceptions.CorruptStoreError`, naming the
    place, where the file is not what it should be. The run's group is opened when
    something is asked for; `resolve` returns the run of a uid, or None.
    """

    def __init__(
        self,
        entry: CatalogEntry,
        open_group: Callable[[], CheckedGroup],
        resolve: Resolve,
    ):
        self.entry = entry
        self.name = entry.name
        self._open_group = open_group
        self._resolve = resolve
        self._architectures: dict[int, StoredArchitecture] = {}

    @cached_property
    def group(self) -> CheckedGroup:
        """The run's group."""
        return self._open_group()

    @cached_property
    def uid(self) -> str:  # type: ignore[override]
        """Unique permanently."""
        return self.entry.uid or self.group.text(names.A_UID)

    @property
    def path(self) -> str:  # type: ignore[override]
        """The store's file, for errors."""
        return self.group.path

    def check_safe(self) -> None:
        """Look at all that the run holds and refuse what a store must not hold."""
        for danger in dangers(self.group):
            raise danger

    @cached_property
    def header(self) -> RunHeader:
        """What is known of the run."""
        try:
            header = parse_header(read_json(self.group, names.D_HEADER, dict))
        except ValueError as exc:
            raise self.group.refuse(str(exc), names.D_HEADER) from exc
        uids = {header.uid, self.uid, self.group.text(names.A_UID)}
        if len(uids) > 1 or header.name != self.name:
            raise self.group.refuse("belongs to another run", names.D_HEADER)
        return header

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
    def n_architectures(self) -> int:
        """Number of architectures."""
        group = self.group.group(names.G_ARCHITECTURES)
        found = set(group.names(names.MAX_ARCHITECTURES))
        if found != {str(index) for index in range(len(found))}:
            raise group.refuse("architectures are not numbered from 0")
        return len(found)

    @cached_property
    def places(self) -> Array:
        """Architecture of each fit and row in it, (n_fits, 2); -1 without weights."""
        shape = (len(self._fits),)
        columns = [
            read_column(self.table, name, "<i8", shape)
            for name in (names.D_ARCHITECTURE, names.D_ROW)
        ]
        places = np.stack(columns, axis=1)
        low, high = places.min(initial=0), places[:, 0].max(initial=-1)
        if low < -1 or high >= self.n_architectures:
            raise self.table.refuse(
                "points at an architecture that is not there", names.D_ARCHITECTURE
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
            column(names.D_ARCHITECTURE, "<i8") >= 0,
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

    def held(self, row: int) -> tuple[Run, int]:
        """Return the run that holds a row's fit, and its row there."""
        if not 0 <= row < len(self._fits):
            raise WeightsNotFoundError(
                f"There is no fit {row} in this run; it has {len(self._fits)}."
            )
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

    def place(self, row: int) -> str:
        """Where a row of this run is, for errors."""
        return f"{self.table.at(names.D_RESULT)}[{row}]"

    def others(self) -> Iterator[Run]:
        """Yield the runs that hold some of the fits."""
        for uid in set(self._fits.origin.tolist()) - {b""}:
            run = self._resolve(uid.decode("ascii", "replace"))
            if run is not None:
                yield run

    @cached_property
    def _results(self) -> list[str]:
        return read_texts(self.table, names.D_RESULT, len(self._fits))

    def own_text(self, row: int) -> str:
        """The result as JSON text; empty where it is that of another run's row."""
        return self._results[row]

    # -- weights --------------------------------------------------------------

    def own_specs(self, row: int) -> WeightSpecs | None:
        """Names, shapes and types of the weights; None where there are none."""
        if not self._fits.has_weights[row]:
            return None
        architecture, place = self._find(row)
        return architecture.specs_of(place)

    def own_stored(self, row: int) -> Iterator[StoredArray]:
        """Yield the weights as they are kept, compared with their checksums."""
        architecture, place = self._find(row)
        return architecture.stored(place)

    def own_array(self, row: int, name: str) -> Array:
        """One array of a row."""
        architecture, place = self._find(row)
        return architecture.read(place, name)

    def own_weights(self, row: int) -> Weights:
        """All arrays of a row."""
        architecture, place = self._find(row)
        return architecture.read_all(place)

    def alike(self, rows: Array) -> list[tuple[WeightSpecs, Array]]:
        """What rows have, each with the places in `rows` of some that have it."""
        found = []
        for run, at, places in self._by_holder(np.asarray(rows, np.int64)):
            if run is not self:
                found += [(specs, places[part]) for specs, part in run.alike(at)]
                continue
            numbers = self.places[at, 0]
            for number in dict.fromkeys(numbers[numbers >= 0].tolist()):
                same = np.flatnonzero(numbers == number)
                # All rows of a stacked architecture are alike, ragged ones are not.
                ragged = self.architecture(number).ragged
                for part in np.split(same, len(same)) if ragged else [same]:
                    specs = self.specs(int(at[part[0]]))
                    if specs is not None:
                        found.append((specs, places[part]))
        return sorted(found, key=lambda item: int(item[1][0]))

    def stack(self, name: str, rows: Sequence[int]) -> Array:
        """The arrays of one name in many rows, of equal shape and type, stacked."""
        parts = []
        for run, at, places in self._by_holder(np.asarray(rows, np.int64)):
            if run is not self:
                parts.append((run.stack(name, at), places))
                continue
            numbers = self.places[at, 0]
            for number in dict.fromkeys(numbers.tolist()):
                same = np.flatnonzero(numbers == number)
                found = [self._find(row) for row in at[same].tolist()]
                stack = found[0][0].stack(name, np.array([row for _, row in found]))
                parts.append((stack, places[same]))
        return stack_of(name, parts)

    def _by_holder(self, rows: Array) -> Iterator[tuple[Any, Array, Array]]:
        """Yield each run that holds rows, which of its rows, and their places."""
        if len(rows):
            self.held(int(rows.min()))
            self.held(int(rows.max()))
        origins = self._fits.origin[rows]
        for origin in dict.fromkeys(origins.tolist()):
            places = np.flatnonzero(origins == origin)
            if not origin:
                yield self, rows[places], places
                continue
            held = [self.held(row) for row in rows[places].tolist()]
            yield held[0][0], np.array([at for _, at in held], np.int64), places

    def architecture(self, number: int) -> StoredArchitecture:
        """Return one of the run's architectures."""
        found = self._architectures.get(number)
        if found is None:
            group = self.group.group(f"{names.G_ARCHITECTURES}/{number}")
            found = self._architectures[number] = StoredArchitecture(group)
        return found

    def _find(self, row: int) -> tuple[StoredArchitecture, int]:
        number, at = self.places[row].tolist()
        if number < 0:
            raise WeightsNotFoundError(f"Fit {row} has no weights.")
        found = self.architecture(number)
        if not 0 <= at < found.count:
            raise self.table.refuse("points out of its architecture", names.D_ROW)
        return found, at

    # -- states ---------------------------------------------------------------

    @cached_property
    def states(self) -> StoredStates:
        """What besides weights the run has of its models."""
        return StoredStates(self.group, self.table, len(self._fits))

    def own_state(self, row: int) -> tuple[str, tuple[str, ...]] | None:
        """The text of the model's state, and the names of its contents."""
        return self.states.state(row)

    def own_blob(self, name: str) -> bytes | None:
        """One content; None if another run has it."""
        return self.states.blob(name) if name in self.states else None

    def own_blob_size(self, name: str) -> int | None:
        """Bytes of one content; None if another run has it."""
        return self.states.blob_size(name) if name in self.states else None

    # -- snapshots ------------------------------------------------------------

    @cached_property
    def all_snapshots(self) -> StoredSnapshots:
        """Weights of the run's own fits while they trained."""
        return StoredSnapshots(self.group, self.table, len(self._fits))

    def own_snapshots(self, row: int) -> FitSnapshots | None:
        """Weights of a row while it trained; None where none were wanted."""
        return self.all_snapshots.of_fit(row)

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

    def splits(self) -> list[Splits]:
        """The splits; several where candidates were evaluated on different ones."""
        if names.G_SPLITS not in self.group:
            return []
        group = self.group.group(names.G_SPLITS)
        found = []
        for index in range(len(group.names(names.MAX_ARCHITECTURES))):
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
                self.held(row)
            except StoreError as exc:
                yield exc

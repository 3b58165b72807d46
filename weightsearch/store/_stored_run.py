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
    WeightSpecs,
)
from weightsearch.exceptions import StoreError, WeightsNotFoundError
from weightsearch.store import _schema as names
from weightsearch.store._catalog import CatalogEntry
from weightsearch.store._checked import CheckedGroup
from weightsearch.store._columns import (
    read_column,
    read_json,
    read_named_columns,
    read_texts,
)
from weightsearch.store._run import Resolve, Run, parse_header, stack_of
from weightsearch.store._snapshots import StoredSnapshots
from weightsearch.store._splits import COLUMNS, NUMBERS, unpack_splits
from weightsearch.store._stacks import StoredArchitecture
from weightsearch.store._states import StoredStates


class Hdf5Run(Run):
    """One run of an open store.

    All methods raise :class:`~weightsearch.exceptions.CorruptStoreError`, naming the
    place, where the file is not what it should be. The run's group is opened when
    something is asked for; `resolve` returns the run of a uid, or None.
    """

    def __init__(
        self,
        entry: CatalogEntry,
        open_group: Callable[[str], CheckedGroup],
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
        return self._open_group(self.entry.place)

    @cached_property
    def uid(self) -> str:  # type: ignore[override]
        """Unique permanently."""
        return self.entry.uid or self.group.text(names.A_UID)

    @property
    def path(self) -> str:  # type: ignore[override]
        """The store's file, for errors."""
        return self.group.path

    @cached_property
    def header(self) -> RunHeader:
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

        def column(name: str, dtype: Any) -> Array:
            return read_column(table, name, dtype, candidate.shape)

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
        return self._fits

    def held(self, row: int) -> tuple[Run, int]:
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
        return f"{self.table.at(names.D_RESULT)}[{row}]"

    def others(self) -> Iterator[Run]:
        for uid in set(self._fits.origin.tolist()) - {b""}:
            run = self._resolve(uid.decode("ascii", "replace"))
            if run is not None:
                yield run

    @cached_property
    def _results(self) -> list[str]:
        return read_texts(self.table, names.D_RESULT, len(self._fits))

    def own_text(self, row: int) -> str:
        return self._results[row]

    # -- weights --------------------------------------------------------------

    def own_arrays(self, row: int) -> tuple[StoredArchitecture, int] | None:
        number, at = self.places[row].tolist()
        return None if number < 0 else (self.architecture(number), at)

    def architecture(self, number: int) -> StoredArchitecture:
        """Return one of the run's architectures."""
        found = self._architectures.get(number)
        if found is None:
            group = self.group.group(f"{names.G_ARCHITECTURES}/{number}")
            found = StoredArchitecture(group)
            rows = self.places[self.places[:, 0] == number, 1]
            if rows.min(initial=0) < 0 or rows.max(initial=-1) >= found.count:
                raise found.group.refuse("lacks a row that a fit points at")
            self._architectures[number] = found
        return found

    def alike(self, rows: Array) -> list[tuple[WeightSpecs, Array]]:
        found = []
        for run, at, places in self._by_holder(np.asarray(rows, np.int64)):
            if run is not self:
                found += [(specs, places[part]) for specs, part in run.alike(at)]
                continue
            for number, same in self._by_architecture(at):
                # All rows of a stacked architecture are alike, ragged ones are not.
                ragged = self.architecture(number).ragged
                for part in np.split(same, len(same)) if ragged else [same]:
                    specs = self.specs(int(at[part[0]]))
                    if specs is not None:
                        found.append((specs, places[part]))
        return sorted(found, key=lambda item: int(item[1][0]))

    def stack(self, name: str, rows: Sequence[int]) -> Array:
        parts = []
        for run, at, places in self._by_holder(np.asarray(rows, np.int64)):
            if run is not self:
                parts.append((run.stack(name, at), places))
                continue
            for row in at[self.places[at, 0] < 0].tolist():
                raise WeightsNotFoundError(f"Fit {row} has no weights.")
            for number, same in self._by_architecture(at):
                stack = self.architecture(number).stack(name, self.places[at[same], 1])
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

    def _by_architecture(self, rows: Array) -> Iterator[tuple[int, Array]]:
        """Yield each architecture of rows that this run holds, and their places."""
        numbers = self.places[rows, 0]
        for number in dict.fromkeys(numbers[numbers >= 0].tolist()):
            yield number, np.flatnonzero(numbers == number)

    # -- states and snapshots -------------------------------------------------

    @cached_property
    def states(self) -> StoredStates:
        """What besides weights the run has of its models."""
        return StoredStates(self.group, self.table, len(self._fits))

    def own_state(self, row: int) -> tuple[str, tuple[str, ...]] | None:
        return self.states.state(row)

    def own_blob_size(self, name: str) -> int | None:
        return self.states.blob_size(name)

    def own_blob(self, name: str) -> bytes:
        return self.states.blob(name)

    @cached_property
    def all_snapshots(self) -> StoredSnapshots:
        """Weights of the run's own fits while they trained."""
        return StoredSnapshots(self.group, self.table, len(self._fits))

    def own_snapshots(self, row: int) -> FitSnapshots | None:
        return self.all_snapshots.of_fit(row)

    # -- results --------------------------------------------------------------

    def cv_results(self) -> dict[str, Array]:
        return read_named_columns(
            self.group, names.G_CV_RESULTS, names.D_CV_COLUMNS, self.n_candidates
        )

    def best_index(self) -> int | None:
        index = self.group.integer(names.A_BEST_INDEX)
        if not -1 <= index < max(self.n_candidates, 1):
            raise self.group.refuse(f"best_index is {index}")
        return None if index == -1 else index

    def splits(self) -> list[Splits]:
        if names.G_SPLITS not in self.group:
            return []
        group = self.group.group(names.G_SPLITS)
        found = []
        for index in range(len(group.names(names.MAX_ARCHITECTURES))):
            one = group.group(str(index))
            first, count, n_rows, n_splits = map(one.integer, NUMBERS)
            if min(first, count, n_rows, n_splits) < 0:
                raise one.refuse("has negative numbers")
            columns = set(one.names(names.MAX_ARRAYS)) & COLUMNS
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

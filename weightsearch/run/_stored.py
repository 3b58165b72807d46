"""What every run has: its candidates and their weights, read when asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._display import MAX_ROWS, cut, escape, table
from weightsearch._params import ParamsKey, ParamsMapping, number_alike
from weightsearch._records import (
    REFIT,
    Array,
    FitTable,
    RunSource,
    Weights,
    WeightSpec,
    WeightSpecs,
)
from weightsearch.exceptions import UnequalWeightsError, WeightsNotFoundError
from weightsearch.run._candidates import candidates_frame, main_column
from weightsearch.run._query import evaluate_query
from weightsearch.run._showing import best_first, brief_columns, cell_text
from weightsearch.run._weights import StoredWeights

__all__ = ["StoredRun"]


class StoredRun:
    """Candidates of one ``fit`` and their weights."""

    def __init__(self, source: RunSource):
        self._source = source

    # -- what it is -------------------------------------------------------------

    @property
    def uid(self) -> str:
        """The run's own name for ever, 32 hexadecimal digits."""
        return self._source.header.uid

    @property
    def name(self) -> str:
        """The run's name in its store."""
        return self._source.header.name

    @property
    def status(self) -> str:
        """``"complete"``, ``"interrupted"``, or ``"running"`` while its fit goes on."""
        return self._source.header.status

    @property
    def started(self) -> str:
        """When the first fit started: UTC, ISO 8601."""
        return self._source.header.started

    @property
    def environment(self) -> Mapping[str, str]:
        """Versions of Python, the platform and the libraries that were used."""
        return self._source.header.environment

    @property
    def estimator(self) -> Mapping[str, Any]:
        """Class and params of the estimator, as text."""
        return self._source.header.estimator

    @property
    def settings(self) -> Mapping[str, Any]:
        """The search's own params, as text where they are no plain values."""
        settings = self._source.header.settings
        # The state of a random generator helps who goes on, and nobody who reads.
        return {name: settings[name] for name in settings if name != "drawn_from"}

    def __repr__(self) -> str:
        name = cut(str(self.estimator.get("class", "")).rpartition(".")[2])
        return f"<Run {cut(self.name)}: {name}, {len(self)} candidates, {self.status}>"

    def _repr_html_(self) -> str:
        columns = brief_columns(self.candidates.columns)
        first = best_first(self.candidates[columns], self.settings).head(MAX_ROWS)
        rows = (map(cell_text, row) for row in first.itertuples(name=None))
        shown = table(["candidate", *columns], rows, len(self))
        return f"<p>{escape(repr(self), 400)}</p>{shown}"

    def __len__(self) -> int:
        """Number of candidates."""
        return self._n_candidates

    @property
    def n_with_weights(self) -> int:
        """Number of candidates that have weights, of their refit or of a split."""
        fits = self._table
        return len(np.unique(fits.candidate[fits.has_weights]))

    @cached_property
    def _n_candidates(self) -> int:
        # After the table, as the params themselves; see there.
        _ = self._table
        return len(self._source.params())

    # -- candidates ---------------------------------------------------------------

    @cached_property
    def _keys(self) -> list[ParamsKey]:
        # While a search goes on, params come before fits: read in the other order,
        # every fit has its params.
        n_candidates = self._n_candidates
        encoded = list(self._source.params())[:n_candidates]
        keys = [ParamsKey.from_json(text) for text in encoded]
        number_alike(keys)
        return keys

    def params(self, candidate: int) -> ParamsKey:
        """Params of a candidate, as a read-only and hashable dict."""
        return self._keys[self._number(candidate)]

    @property
    def best_index(self) -> int | None:
        """The best candidate; None where none was chosen."""
        return self._source.best_index()

    @cached_property
    def candidates(self) -> pd.DataFrame:
        """One row a candidate.

        Columns: the params under their own names, every column of ``cv_results_``
        and ``status``: ``"ok"``, ``"failed"`` where a fit failed, ``"no refit"``
        where nothing failed and no refit is stored. The index is the candidate's
        number. A param whose name is a column's already is called ``param_<name>``.
        """
        return candidates_frame(self._keys, self._table, self._source)

    def query(self, expression: str) -> pd.DataFrame:
        """Candidates for which an expression holds.

        Parameters
        ----------
        expression : str
            Comparisons (``== != < <= > >= in``) of columns of :attr:`candidates`,
            and ``is missing``, joined by ``and``, ``or``, ``not``:
            ``"mean_test_score > 0.9 and activation == 'relu'"``. A param may be named
            ``param_<name>`` too, and ``rank`` is the rank of the main score. Names
            that are no names in Python stand in backticks. ``alpha is missing`` finds
            the candidates without the param, ``alpha == None`` those where it is None.
            A missing value equals nothing and is in no order. An object equals the
            text that shows it: ``kernel == 'RBF(length_scale=2)'``. Nothing in it is
            ever executed.

        Returns
        -------
        candidates : DataFrame
            The rows of :attr:`candidates` that agree.

        Raises
        ------
        QueryError
            If it is no such expression, or names a column that is not there.
        """
        frame = self.candidates

        def column(name: str) -> pd.Series | None:
            for known in (name, name.removeprefix("param_")):
                if known in frame.columns:
                    return frame[known]
            if name == "rank":
                rank = main_column("rank_test_", frame.columns, self.settings)
                return None if rank is None else frame[rank]
            return None

        mask = evaluate_query(expression, column, [*frame.columns, "rank"])
        # A copy that says so: before pandas 3, adding columns would warn.
        return frame[mask].copy()

    def splits(
        self, candidate: int | Mapping[str, Any] | None = None
    ) -> list[tuple[Array, Array]]:
        """Return the splits of cross-validation.

        Parameters
        ----------
        candidate : int or dict, default=None
            The candidate's number, or its params. Needed only where candidates were
            evaluated on different splits, as in the iterations of a halving search.

        Returns
        -------
        splits : list of (train, test)
            Row numbers of the data, int64 arrays: ``splits[2]`` are the rows that the
            models of split 2 were fitted and scored on.

        Raises
        ------
        WeightsNotFoundError
            If the splits were not kept.
        ValueError
            If candidates have different splits, and none is named.
        """
        number = None if candidate is None else self._number(candidate)
        found = self._source.splits()
        if number is not None:
            found = [one for one in found if 0 <= number - one.first < one.count]
        if not found:
            of_it = "" if number is None else f" of candidate {number}"
            raise WeightsNotFoundError(
                f"Run {self.name} does not have the splits{of_it}: they were not row "
                "numbers, or the log was damaged. Pass the search's own splitter."
            )
        if len(found) > 1:
            raise ValueError(
                f"Run {self.name} has {len(found)} different sets of splits, the first "
                f"for {found[0].count} candidates. Name the candidate: "
                "run.splits(candidate)."
            )
        return list(found[0].pairs)

    # -- weights ------------------------------------------------------------------

    def weights(
        self, candidate: int | Mapping[str, Any], split: int | None = None
    ) -> StoredWeights:
        """Weights of a candidate.

        Parameters
        ----------
        candidate : int or dict
            The candidate's number, or its params.
        split : int, default=None
            The cross-validation split whose model is meant; None: the refit on all
            the data.

        Returns
        -------
        weights : StoredWeights
            Lazy mapping of name -> ndarray.

        Raises
        ------
        WeightsNotFoundError
            If there is no such candidate, or no weights of it were kept; says why.
        """
        number = self._number(candidate)
        row = self._row(number, REFIT if split is None else split)
        specs = None if row is None else self._source.specs(row)
        if row is None or specs is None:
            raise WeightsNotFoundError(self._why_missing(number, split))
        source = self._source
        return StoredWeights(
            specs, lambda name: source.read(row, name), lambda: source.read_all(row)
        )

    def best_weights(self) -> StoredWeights:
        """Weights of the search's ``best_estimator_``."""
        specs = self._source.best_specs()
        if specs is None:
            raise WeightsNotFoundError(
                f"Run {self.name} has no best estimator: its status is "
                f"{self.status!r} and refit was {self.settings.get('refit')!r}."
            )
        source = self._source

        def read_all() -> Weights:
            arrays = {spec.name: source.read_best(spec.name) for spec in specs.arrays}
            return Weights(arrays, ties=specs.ties, encodings=specs.encodings)

        return StoredWeights(specs, source.read_best, read_all)

    def weights_by_params(
        self,
        split: int | None = None,
        *,
        live_params: Sequence[Mapping[str, Any]] | None = None,
    ) -> ParamsMapping[StoredWeights]:
        """Weights of all candidates that have some, found by their params.

        Parameters
        ----------
        split : int, default=None
            The split whose models are meant; None: the refits.
        live_params : sequence of dict, default=None
            The candidates' params as objects, where the caller has them: keys then
            show functions and classes themselves, not their names.

        Returns
        -------
        weights_by_params : ParamsMapping
            Read-only, lazy. Keys are hashable and equal to the plain dict of params;
            ``mapping.where(alpha=0.1)`` is the part whose params agree.
        """
        numbers = self._with_weights(split)
        keys = self._keys
        if live_params is not None:
            keys = [ParamsKey(params) for params in live_params]
            number_alike(keys)
        missing = {
            keys[n]: self._why_missing(n, split)
            for n in sorted(set(range(len(self))).difference(numbers))
        }
        chosen = self._last_of_each(numbers)
        return ParamsMapping(
            [keys[number] for number in chosen],
            lambda position: self.weights(chosen[position], split),
            missing=missing,
        )

    def stack(
        self, name: str, split: int | None = None
    ) -> tuple[Array, np.ndarray[Any, np.dtype[np.int64]]]:
        """One weight of all candidates in one array.

        Parameters
        ----------
        name : str
            The weight's name.
        split : int, default=None
            The split whose models are meant; None: the refits.

        Returns
        -------
        arrays : ndarray of shape (n, ...)
            The weight of each candidate that has it.
        candidates : ndarray of shape (n,), int
            Their numbers.

        Raises
        ------
        WeightsNotFoundError
            If no candidate has such a weight.
        UnequalWeightsError
            If it has different shapes or types among them.
        """
        wanted = REFIT if split is None else split
        candidates, rows = self._newest(wanted)
        has_it = np.zeros(len(rows), bool)
        kinds: dict[tuple[tuple[int, ...], str], int] = {}
        for specs, of_it in self._source.alike(rows):
            spec = _spec_of(specs, name)
            if spec is not None:
                has_it[of_it] = True
                kinds.setdefault((spec.shape, spec.dtype), int(candidates[of_it[0]]))
        if not kinds:
            raise WeightsNotFoundError(
                f"No candidate of run {self.name} has a weight {name!r}"
                + ("." if split is None else f" in split {split}.")
            )
        if len(kinds) > 1:
            shown = "; ".join(
                f"{shape} {dtype} (candidate {number})"
                for (shape, dtype), number in list(kinds.items())[:4]
            )
            raise UnequalWeightsError(
                f"{name!r} differs among the candidates, so it cannot be stacked: "
                f"{shown}. Read them one by one with run.weights(candidate)."
            )
        return self._source.stack(name, rows[has_it].tolist()), candidates[has_it]

    # -- finding things -------------------------------------------------------------

    @cached_property
    def _table(self) -> FitTable:
        return self._source.fits()

    @cached_property
    def _rows(self) -> dict[tuple[int, int], int]:
        # Later rows win, as a dict has it.
        table = self._table
        pairs = zip(table.candidate.tolist(), table.split.tolist(), strict=True)
        return {pair: row for row, pair in enumerate(pairs)}

    def _newest(self, split: int) -> tuple[Array, Array]:
        """Give the candidates that have weights of a split, and their rows."""
        table = self._table
        of_split = np.flatnonzero(table.split == split)
        # From the last row on, so that the first of a candidate is the one that counts.
        candidates, last = np.unique(table.candidate[of_split][::-1], return_index=True)
        rows = of_split[::-1][last]
        kept = table.has_weights[rows]
        return candidates[kept].astype(np.int64), rows[kept]

    def _row(self, candidate: int, split: int) -> int | None:
        return self._rows.get((candidate, split))

    @cached_property
    def _numbers(self) -> ParamsMapping[int]:
        # Of equal params the refit ones count, and the last iteration's.
        refit = [n for n in range(len(self)) if self._row(n, REFIT) is not None]
        chosen = self._last_of_each([*range(len(self)), *refit])
        return ParamsMapping([self._keys[n] for n in chosen], chosen.__getitem__)

    def _last_of_each(self, numbers: Sequence[int]) -> list[int]:
        """One candidate for all that have equal params."""
        return sorted({self._keys[n].exact: n for n in numbers}.values())

    def _with_weights(self, split: int | None) -> list[int]:
        """Candidates that have weights of a split, or of the refit."""
        wanted = REFIT if split is None else split
        return [
            number
            for number in range(len(self))
            if (row := self._row(number, wanted)) is not None
            and self._table.has_weights[row]
        ]

    def _number(self, candidate: int | Mapping[str, Any]) -> int:
        if isinstance(candidate, Mapping):
            return self._numbers[candidate]
        number = int(candidate)
        if not 0 <= number < len(self):
            raise WeightsNotFoundError(
                f"Run {self.name} has no candidate {candidate}: they are numbered "
                f"from 0 to {len(self) - 1}."
            )
        return number

    def _why_missing(self, candidate: int, split: int | None) -> str:
        what = f"Candidate {candidate} has no weights of " + (
            "its refit" if split is None else f"split {split}"
        )
        row = self._row(candidate, REFIT if split is None else split)
        if row is not None and self._table.failed[row]:
            return f"{what}: that fit failed with {self._fit_error(row)!r}."
        if split is None and row is None:
            other = self._numbers[self._keys[candidate]]
            if self._row(other, REFIT) is not None:
                return f"{what}: its params were refit as candidate {other}."
            mine = np.flatnonzero(self._table.candidate == candidate)
            if len(mine) and self._table.failed[mine].all():
                return (
                    f"{what}: it was not refit, since its fits failed in every split, "
                    f"with {self._fit_error(int(mine[-1]))!r}."
                )
        names = ("capture", "keep", "refit", "refit_iterations")
        chosen = {n: self.settings[n] for n in names if n in self.settings}
        told = ", ".join(f"{name}={value!r}" for name, value in chosen.items())
        return f"{what}: the search ran with {told}, and the run is {self.status}."

    def _fit_error(self, row: int) -> str:
        """Return the last line of the error of a fit that failed."""
        error = str(self._source.result(row).get("fit_error") or "")
        return (error.strip().splitlines() or ["unknown error"])[-1]


def _spec_of(specs: WeightSpecs, name: str) -> WeightSpec | None:
    name = specs.ties.get(name, name)
    return next((spec for spec in specs.arrays if spec.name == name), None)

"""One run of a store: its candidates, their weights and their models."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from weightsearch._display import (
    MAX_ROWS,
    cut,
    distinct,
    pairs_table,
    section,
    table,
    text_table,
    view,
)
from weightsearch._params import ParamsKey, ParamsMapping, number_alike
from weightsearch._records import (
    REFIT,
    Array,
    FitTable,
    RunSource,
    Weights,
)
from weightsearch.compare import (
    STATISTICS,
    Clustering,
    Method,
    Metric,
    aligned_distances,
    cluster,
    compare,
    layer_similarity,
    param_importance,
    score_correlation,
    stacked_distances,
    statistics_of,
    variance_explained,
)
from weightsearch.compare import align as align_to
from weightsearch.exceptions import (
    QueryError,
    SnapshotError,
    StoreError,
    UnequalWeightsError,
    WeightsNotFoundError,
)
from weightsearch.run._architectures import architectures
from weightsearch.run._candidates import (
    best_first,
    brief_columns,
    candidates_frame,
    cell_text,
    comparable_rows,
    fit_counts,
    known_names,
    main_column,
    metric_column,
    param_columns,
    varying_params,
)
from weightsearch.run._export import export_weights
from weightsearch.run._mlflow import log_run
from weightsearch.run._query import evaluate_query
from weightsearch.run._rebuilding import StoredModel, Trusted, iter_models, read_model
from weightsearch.run._scoring import line_table, score_table
from weightsearch.run._soup import mean_of
from weightsearch.run._trajectories import (
    Trajectory,
    cut_model,
    optimizer_at,
    resumable,
    stack_at,
    weights_at,
)
from weightsearch.run._weights import StoredWeights
from weightsearch.run._zoo import Zoo, export_zoo, read_zoo
from weightsearch.store import UnfinishedFit

if TYPE_CHECKING:
    from weightsearch.evaluate._agreement import Agreement
    from weightsearch.evaluate._bootstrap import BiasCorrectedScore
    from weightsearch.evaluate._greedy import Selection
    from weightsearch.evaluate._score_tests import ScoreComparison

__all__ = ["BestCandidate", "Candidate", "Run"]

Spooled = Mapping[tuple[int, int], UnfinishedFit]
"""Fits that have not ended, by candidate and split."""

Candidate = int | Mapping[str, Any]
"""A candidate's number, or its params."""

Params = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Values that a store cannot hold: of all candidates, or one dict for each."""

_BRIEF = 5
"""Candidates that print(run) shows."""

_STATS_COLUMNS = ("candidate", "name", "shape", "count", *STATISTICS, "stat", "value")


@dataclass(frozen=True)
class BestCandidate:
    """The candidate that the search chose.

    Attributes
    ----------
    number : int
        Its number, the row in ``cv_results_``.
    params : ParamsKey
        Its params, a read-only dict.
    score : float or None
        Its mean test score, of the metric that the search refits by; None where no
        score is stored.
    """

    number: int
    params: ParamsKey
    score: float | None
    _load: Callable[..., Any] = field(repr=False, compare=False)

    def load(self, estimator: Any = None, **options: Any) -> Any:
        """Load the fitted estimator; see :meth:`Run.load_estimator`."""
        return self._load(self.number, estimator, **options)


class Run:
    """One call of a search's ``fit`` as it is stored.

    Not created directly: see :attr:`WeightStore.runs` and ``search.run_``. Weights are
    read when they are asked for.
    """

    def __init__(
        self,
        source: RunSource,
        closed: Callable[[], bool] | None = None,
        spooled: Callable[[str], Spooled] | None = None,
    ):
        self._source = source
        self._closed = closed
        self._spooled = spooled

    def _check_open(self) -> None:
        # Early, where the traceback is short.
        if self._closed is not None and self._closed():
            raise StoreError(
                "The run's store has been closed: open it again with WeightStore(...)."
            )

    # -- description ------------------------------------------------------------

    @property
    def uid(self) -> str:
        """The run's permanent identifier, 32 hexadecimal digits."""
        return self._source.header.uid

    @property
    def name(self) -> str:
        """The run's name in its store."""
        return self._source.header.name

    @property
    def status(self) -> str:
        """``"complete"``, ``"interrupted"``, or ``"running"`` while it is fitted."""
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
        """The search's own params; those that are not plain values as text."""
        settings = self._source.header.settings
        # The random state is of use to a resumed search, not to readers.
        return {name: settings[name] for name in settings if name != "drawn_from"}

    def __repr__(self) -> str:
        name = cut(str(self.estimator.get("class", "")).rpartition(".")[2])
        return f"<Run {cut(self.name)}: {name}, {len(self)} candidates, {self.status}>"

    def __str__(self) -> str:
        lines = [repr(self)[1:-1], self._fits_text(), "", *self._best_lines(_BRIEF)]
        return "\n".join(lines)

    def _best_lines(self, limit: int, width: int = 80) -> list[str]:
        """Return the best candidates as lines of a table."""
        first = best_first(self.candidates, self.settings).head(limit)
        columns = [
            name
            for name in brief_columns(first.columns)
            # The order tells the rank.
            if not name.startswith("rank_")
            and (name != "status" or "failed" in first["status"].tolist())
        ]
        rows = [
            list(map(cell_text, row)) for row in first[columns].itertuples(name=None)
        ]
        # Without the steps that they are params of, where that is plain.
        ends = [name.rpartition("__")[2] for name in columns]
        pairs = zip(ends, columns, strict=True)
        heads = [e if ends.count(e) == 1 else n for e, n in pairs]
        lines = text_table(["candidate", *heads], rows, width)
        if len(self) > len(rows):
            lines.append(f"... and {len(self) - len(rows)} more")
        return lines

    def _fit_counts(self) -> tuple[int, int | None, int]:
        return fit_counts(self._table, self._source)

    def _fits_text(self) -> str:
        """Return how many fits there are, such as ``12/18 fits, 6 refits``."""
        done, planned, refits = self._fit_counts()
        of = f"/{planned}" if planned is not None and planned > done else ""
        return f"{done}{of} fits, {refits} refit{'' if refits == 1 else 's'}"

    def _repr_html_(self) -> str:
        columns = brief_columns(self.candidates.columns)
        first = best_first(self.candidates[columns], self.settings).head(MAX_ROWS)
        rows = (map(cell_text, row) for row in first.itertuples(name=None))
        shown = table(["candidate", *columns], rows, len(self))
        estimator = self.estimator
        parts = {
            "Settings of the search": self.settings,
            f"Params of {estimator.get('class', '')}": estimator.get("params", {}),
            "Versions": self.environment,
        }
        return view(
            f"{repr(self)[1:-1]}, {self._fits_text()}",
            section("Candidates, the best first", shown, is_open=True),
            *(section(title, pairs_table(pairs)) for title, pairs in parts.items()),
        )

    # -- candidates -------------------------------------------------------------

    def __len__(self) -> int:
        """Number of candidates."""
        self._check_open()
        return self._n_candidates

    @property
    def n_with_weights(self) -> int:
        """Number of candidates that have weights, of their refit or of a split."""
        self._check_open()
        fits = self._table
        return len(np.unique(fits.candidate[fits.has_weights]))

    def params(self, candidate: Candidate) -> ParamsKey:
        """Params of a candidate, as a read-only and hashable dict."""
        return self._keys[self._number(candidate)]

    @property
    def best_index(self) -> int | None:
        """Number of the best candidate; None where none was chosen."""
        self._check_open()
        return self._source.best_index()

    @property
    def best(self) -> BestCandidate:
        """The best candidate: its number, params and score, and ``load()``.

        Raises
        ------
        WeightsNotFoundError
            If the search has not chosen one.
        """
        number = self.best_index
        if number is None:
            raise WeightsNotFoundError(
                f"Run {self.name} has no best candidate: it is {self.status}, and "
                f"refit was {self.settings.get('refit')!r}."
            )
        column = self._main_column("mean_test_")
        score = None if column is None else float(self.candidates[column][number])
        return BestCandidate(number, self.params(number), score, self.load_estimator)

    @cached_property
    def candidates(self) -> pd.DataFrame:
        """One row per candidate.

        Columns: score and rank of the main metric, every other column of
        ``cv_results_``, ``status`` and the params under their own names. The status is
        ``"ok"``, ``"failed"`` where a fit failed, ``"no refit"`` where nothing failed
        and no refit is stored. The index is the candidate's number. A param named like
        another column is called ``param_<name>``.
        """
        self._check_open()
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
            that are not valid in Python are written in backticks. ``alpha is missing``
            finds the candidates without the param, ``alpha == None`` those where it is
            None. A missing value is equal to nothing and not ordered. An object is
            equal to the text that shows it: ``kernel == 'RBF(length_scale=2)'``.
            Nothing in the expression is ever executed.

        Returns
        -------
        candidates : DataFrame
            The matching rows of :attr:`candidates`.

        Raises
        ------
        QueryError
            If the expression is not valid, or names a column that does not exist.
        """
        frame = self.candidates

        def column(name: str) -> pd.Series | None:
            for known in (name, name.removeprefix("param_")):
                if known in frame.columns:
                    return frame[known]
            rank = self._main_column("rank_test_") if name == "rank" else None
            return None if rank is None else frame[rank]

        mask = evaluate_query(expression, column, [*frame.columns, "rank"])
        # An explicit copy: before pandas 3, adding columns to a slice would warn.
        return frame[mask].copy()

    def splits(self, candidate: Candidate | None = None) -> list[tuple[Array, Array]]:
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
        self._check_open()
        number = None if candidate is None else self._number(candidate)
        found = self._source.splits()
        if number is not None:
            found = [one for one in found if one.hold_for(number)]
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

    # -- weights ----------------------------------------------------------------

    def weights(self, candidate: Candidate, split: int | None = None) -> StoredWeights:
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
            If there is no such candidate, or its weights were not kept; says why.
        """
        number = self._number(candidate)
        row = self._row(number, split)
        specs = None if row is None else self._source.specs(row)
        if row is None or specs is None:
            raise WeightsNotFoundError(self._why_missing(number, split))

        def read(name: str) -> Array:
            self._check_open()
            return self._source.read(row, name)

        def read_all() -> Weights:
            self._check_open()
            return self._source.read_all(row)

        return StoredWeights(specs, read, read_all)

    def best_weights(self) -> StoredWeights:
        """Weights of the search's ``best_estimator_``.

        Raises
        ------
        WeightsNotFoundError
            If the run has no best estimator.
        """
        self._check_open()
        specs = self._source.best_specs()
        if specs is None:
            raise WeightsNotFoundError(
                f"Run {self.name} has no best estimator: its status is "
                f"{self.status!r} and refit was {self.settings.get('refit')!r}."
            )

        def read(name: str) -> Array:
            self._check_open()
            return self._source.read_best(name)

        def read_all() -> Weights:
            arrays = {spec.name: read(spec.name) for spec in specs.arrays}
            return Weights(arrays, ties=specs.ties, encodings=specs.encodings)

        return StoredWeights(specs, read, read_all)

    def weights_by_params(
        self,
        split: int | None = None,
        *,
        live_params: Sequence[Mapping[str, Any]] | None = None,
    ) -> ParamsMapping[StoredWeights]:
        """Weights of all candidates that have any, looked up by their params.

        Parameters
        ----------
        split : int, default=None
            The split whose models are meant; None: the refits.
        live_params : sequence of dict, default=None
            The candidates' params as objects, where the caller has them: keys then
            contain the functions and classes themselves, not their names.

        Returns
        -------
        weights_by_params : ParamsMapping
            Read-only, lazy. Keys are hashable and equal to the plain dict of params;
            ``mapping.where(alpha=0.1)`` is the part whose params match.
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

    @property
    def unfinished_fits(self) -> list[tuple[int, int | None]]:
        """Fits of which there are snapshots already, although they have not ended.

        Candidate and split of each, None for the refit: fits under way, and those whose
        process has died. Their :meth:`trajectory` goes as far as they got.
        """
        return [
            (candidate, None if split == REFIT else split)
            for candidate, split in sorted(self._unfinished())
        ]

    def _unfinished(self) -> Spooled:
        self._check_open()
        if self._spooled is None or self.status == "complete":
            return {}
        fits = self._table
        ended = set(zip(fits.candidate.tolist(), fits.split.tolist(), strict=True))
        spooled = self._spooled(self.uid)
        return {
            place: spooled[place]
            for place in spooled
            if place not in ended and place[0] < len(self)
        }

    def trajectory(self, candidate: Candidate, split: int | None = None) -> Trajectory:
        """Weights of a candidate's fit over time, read on access.

        Parameters
        ----------
        candidate : int or dict
            The candidate's number, or its params.
        split : int, default=None
            The split whose model is meant; None: the refit.

        Returns
        -------
        trajectory : Mapping
            From a weight's name to an array of shape ``(n_snapshots, *shape)``, with
            ``epochs`` and a DataFrame ``metrics``. Of a fit that is under way, or whose
            process has died, what it has written until now; ``is_finished`` is False
            then.

        Raises
        ------
        WeightsNotFoundError
            If there is no such candidate, or its model was not kept.
        SnapshotError
            If no snapshots were taken.

        Examples
        --------
        >>> run.trajectory(7)["coefs_/0"].shape  # doctest: +SKIP
        (101, 64, 32)
        """
        number = self._number(candidate)
        row = self._row(number, split)
        specs = None if row is None else self._source.specs(row)
        if row is None or specs is None:
            place = number, REFIT if split is None else split
            unfinished = self._unfinished().get(place)
            if unfinished is not None:
                return Trajectory(unfinished.snapshots(), None)
            raise WeightsNotFoundError(self._why_missing(number, split))
        snapshots = self._source.snapshots(row)
        if snapshots is None:
            raise SnapshotError(
                f"No snapshots of candidate {number} of run {self.name} were taken. "
                "Search with snapshots='all', or name the epochs. The stages of "
                "gradient boosting are in the final model: "
                "load_estimator(candidate, epoch=...)."
            )
        return Trajectory(snapshots, specs)

    def stack(
        self, name: str, split: int | None = None, *, epoch: int | None = None
    ) -> tuple[Array, np.ndarray[Any, np.dtype[np.int64]]]:
        """One weight of all candidates in one array.

        Parameters
        ----------
        name : str
            The weight's name.
        split : int, default=None
            The split whose models are meant; None: the refits.
        epoch : int, default=None
            The epoch after which the weights are meant, of the candidates that have a
            snapshot of it; None: the final ones.

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
            If its shape or type differs among the candidates.
        SnapshotError
            If no candidate has a snapshot of `epoch`.
        """
        self._check_open()
        candidates, rows = self._newest(REFIT if split is None else split)
        has_it = np.zeros(len(rows), bool)
        kinds: dict[tuple[tuple[int, ...], str], int] = {}
        for specs, places in self._source.alike(rows):
            spec = specs.find(name)
            if spec is not None:
                has_it[places] = True
                kinds.setdefault((spec.shape, spec.dtype), int(candidates[places[0]]))
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
        if epoch is None:
            return self._source.stack(name, rows[has_it].tolist()), candidates[has_it]
        candidates = candidates[has_it]
        stack, taken = stack_at(self._source, name, rows[has_it].tolist(), epoch)
        if stack is None:
            raise SnapshotError(
                f"No candidate of run {self.name} has a snapshot of {name!r} after "
                f"epoch {epoch}."
            )
        return stack, candidates[taken]

    # -- comparison -------------------------------------------------------------

    def compare(
        self,
        a: Candidate,
        b: Candidate,
        *,
        split: int | None = None,
        align: bool = False,
    ) -> pd.DataFrame:
        """Compare two candidates; see :func:`weightsearch.compare.compare`.

        Parameters
        ----------
        a, b : int or dict
            Candidates, by number or params.
        split : int, default=None
            The split whose models are meant; None: the refits.
        align : bool, default=False
            Whether to match the hidden units of `b` to those of `a` first.

        Returns
        -------
        comparison : DataFrame
            One row per weight.
        """
        first, second = self.weights(a, split), self.weights(b, split)
        return compare(first.to_dict(), second.to_dict(), align=align)

    def distances(
        self,
        metric: Metric = "l2",
        *,
        align: bool = False,
        split: int | None = None,
        candidates: Iterable[int] | None = None,
        names: str | Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """Distances between all pairs of candidates.

        A candidate is taken as one long vector of all its weights.

        Parameters
        ----------
        metric : {"l2", "relative", "cosine"}, default="l2"
            See :func:`weightsearch.compare.pairwise_distances`.
        align : bool, default=False
            Whether to match the hidden units of each pair first, so that their order
            does not count: the later candidate to the earlier one, as
            ``run.compare(earlier, later, align=True)`` does. Each pair is matched by
            itself, some milliseconds each for small networks: 100 candidates take
            seconds, 1,000 take a hundred times as long.
        split : int, default=None
            The split whose models are meant; None: the refits.
        candidates : iterable of int, default=None
            The candidates to compare, such as ``run.query(...).index``; None: all
            that have weights.
        names : str or iterable of str, default=None
            Weights that count. None: all that are real or complex numbers, thus not
            labels, counts and node numbers, nor parts of sparse matrices.

        Returns
        -------
        distances : DataFrame
            Square and symmetric; index and columns are the candidates' numbers.
            NaN between candidates whose weights differ in names or shapes, and for
            weights with NaN or infinite elements.

        Raises
        ------
        WeightsNotFoundError
            If no candidate has such weights, or a named one has none.
        AlignmentError
            With ``align=True``, if the units of these models cannot be matched.

        Notes
        -----
        Reads one stack per weight, in parts where that takes more than 400 MiB; see
        :func:`weightsearch.compare.stacked_distances`. The result itself takes 8 bytes
        per pair. Distances are accurate to 4 digits or better for weights in float32,
        to 7 in float64, and exactly 0 for equal weights.
        """
        rows = self._rows_with_weights(split, candidates)
        wanted = {names} if isinstance(names, str) else names
        numbers = pd.Index(list(rows), name="candidate", dtype=np.int64)
        groups = architectures(
            self._source, rows, None if wanted is None else frozenset(wanted)
        )
        found = np.zeros((len(rows), len(rows)))
        if len(groups) != 1 or len(groups[0].rows) < len(rows):
            found.fill(np.nan)
            np.fill_diagonal(found, 0.0)
        for group in groups:
            count, places = len(group.rows), np.ix_(group.positions, group.positions)
            if align:
                part = aligned_distances(group.names, count, group.read_all, metric)
            else:
                part = stacked_distances(group.names, count, group.read, metric)
            if count == len(rows):
                found = part
            else:
                found[places] = part
        return pd.DataFrame(found, numbers, numbers.rename(None))

    def cluster(
        self,
        metric: Metric = "l2",
        *,
        method: Method = "average",
        align: bool = False,
        split: int | None = None,
        candidates: Iterable[int] | None = None,
        names: str | Iterable[str] | None = None,
    ) -> Clustering:
        """Cluster the candidates by their distances.

        Candidates of different architectures have no distance: each architecture is
        clustered by itself, and all are joined at the top.

        Parameters
        ----------
        metric, align, split, candidates, names
            As for :meth:`distances`.
        method : {"average", "complete", "single", "weighted", "ward"}, \
default="average"
            How the distance of two clusters is defined; see
            :func:`weightsearch.compare.cluster`. ``"ward"`` is defined for Euclidean
            distances: for ``metric="l2"`` without `align`.

        Returns
        -------
        clustering : Clustering
            With ``linkage``, ``candidates``, ``distances``, and ``labels(n_clusters)``.

        Raises
        ------
        ValueError
            If the metric or method is unknown, or for ``"ward"`` where it is not
            defined.
        """
        if method == "ward" and (metric != "l2" or align):
            raise ValueError(
                "method='ward' needs Euclidean distances: metric='l2' and align=False. "
                "Use method='average'."
            )
        distances = self.distances(
            metric, align=align, split=split, candidates=candidates, names=names
        )
        return cluster(distances, method)

    def similarity(
        self,
        X: ArrayLike,
        *,
        layer: int | str = -1,
        activation: str | None = None,
        split: int | None = None,
        candidates: Iterable[int] | None = None,
    ) -> pd.DataFrame:
        """Similarity of the candidates' hidden activations on given data.

        Linear CKA, which compares layers of any width and does not depend on the order
        of units; see :func:`weightsearch.compare.linear_cka`. For scikit-learn's MLPs,
        whose weights determine all activations.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data as the MLP itself receives it, after the steps of a pipeline before it.
            More samples than units; some hundreds are enough.
        layer : int or str, default=-1
            A hidden layer: 0 is the first, -1 the last, or the name of its incoming
            weights, such as ``"coefs_/0"``.
        activation : {"identity", "logistic", "tanh", "relu"}, default=None
            None: the candidate's own, from its params or the estimator's.
        split : int, default=None
            The split whose models are meant; None: the refits.
        candidates : iterable of int, default=None
            The candidates to compare; None: all that have weights.

        Returns
        -------
        similarity : DataFrame
            Square and symmetric, from 0 to 1; index and columns are the candidates'
            numbers. NaN for candidates without such a layer.

        Raises
        ------
        ValueError
            If a candidate is not an MLP of scikit-learn, if X does not fit, or the
            activation is not known.
        """
        rows = self._rows_with_weights(split, candidates)
        found = layer_similarity(
            [self.weights(number, split).to_dict() for number in rows],
            [self._keys[number] for number in rows],
            self.estimator,
            X,
            layer,
            activation,
        )
        numbers = pd.Index(list(rows), name="candidate", dtype=np.int64)
        return pd.DataFrame(found, numbers, numbers.rename(None))

    # -- statistics -------------------------------------------------------------

    def stats(self, split: int | None = None) -> pd.DataFrame:
        """Statistics of every weight of every candidate, in long form.

        Parameters
        ----------
        split : int, default=None
            The split whose models are meant; None: the refits.

        Returns
        -------
        stats : DataFrame
            One row per candidate and weight: ``candidate``, the params under their own
            names (``param_<name>`` where another column has that name), ``name`` of
            the weight, and the columns of :func:`weightsearch.compare.weight_stats`.
            Ready for ``groupby``; to add scores, ``stats.join(run.candidates[[
            "mean_test_score"]], on="candidate")``.

        Raises
        ------
        WeightsNotFoundError
            If no candidate has weights.
        """
        rows = self._rows_with_weights(split)
        numbers: list[int] = []
        found = []
        for number, row in rows.items():
            # One candidate's weights in memory at a time.
            for name, weight in self._source.read_all(row).items():
                numbers.append(number)
                found.append({"name": name, **statistics_of(name, weight)})
        frame = pd.DataFrame(found, columns=["name", "shape", "count", *STATISTICS])
        for statistic in STATISTICS:
            frame[statistic] = frame[statistic].astype(float)
        columns = {
            str(column.name): column.take(numbers).reset_index(drop=True)
            for column in param_columns(self._keys, _STATS_COLUMNS).values()
        }
        params = pd.DataFrame({"candidate": numbers, **columns}, index=frame.index)
        return pd.concat([params, frame], axis=1)

    def variance_explained(
        self,
        statistic: str | Iterable[str] | None = None,
        params: str | Iterable[str] | None = None,
        *,
        split: int | None = None,
    ) -> pd.DataFrame:
        """Share of the variance of each weight statistic that each param explains.

        Parameters
        ----------
        statistic : str or iterable of str, default=None
            Columns of :func:`weightsearch.compare.weight_stats`; None: all.
        params : str or iterable of str, default=None
            Params by their own names; None: all that vary among the candidates.
        split : int, default=None
            The split whose models are meant; None: the refits.

        Returns
        -------
        explained : DataFrame
            One row per weight (``name``), statistic (``stat``) and param; see
            :func:`weightsearch.compare.variance_explained`. Read ``note`` first: it
            says where the grid is too small for a conclusion.

        Raises
        ------
        QueryError
            If there is no such statistic or param, or no param varies.
        """
        columns = param_columns(self._keys, _STATS_COLUMNS)
        if params is None:
            varying = [
                name
                for name, column in columns.items()
                if len(set(map(distinct, column))) > 1
            ]
        else:
            varying = known_names(params, list(columns), "param")
        if not varying:
            raise QueryError(
                f"No param varies among the {len(self)} candidates, so none explains "
                "anything."
            )
        own = {str(columns[name].name): name for name in varying}
        explained = variance_explained(
            self._melted_stats(statistic, list(own), split), list(own)
        )
        # The pure function knows params by their columns.
        explained["param"] = explained["param"].map(own)
        for column, name in own.items():
            if column != name:
                explained["note"] = explained["note"].str.replace(
                    column, name, regex=False
                )
        return explained

    def param_importance(
        self,
        metric: str | None = None,
        *,
        candidates: Iterable[Candidate] | None = None,
    ) -> pd.DataFrame:
        """Share of the score's variance that each param, and each pair, explains.

        Functional ANOVA: exact on a complete grid, else computed from a random forest;
        see :func:`weightsearch.compare.param_importance`.

        Parameters
        ----------
        metric : str, default=None
            Any numeric column of :attr:`candidates`, ``"accuracy"`` for
            ``"mean_test_accuracy"``; None: the mean test score, of the metric that the
            search refits by.
        candidates : iterable of int or dict, default=None
            Look at these candidates only, such as ``run.query("rank < 50").index``;
            None: all, in a halving search those of the first iteration, which alone
            covers all params with equal resources.

        Returns
        -------
        importance : DataFrame
            One row per param that varies, then one per pair of them, the most
            important first. Read ``note`` first: it says where the grid is too small.

        Raises
        ------
        QueryError
            If there is no such metric, or no param varies.
        """
        frame = self.candidates
        metric = metric_column(frame, self.settings, metric)
        if candidates is None:
            rows = comparable_rows(frame, self._source.cv_results())
        else:
            rows = list(map(self._number, candidates))
        params = varying_params(self._keys, rows)
        return param_importance(params, frame[metric].iloc[rows].astype(float))

    def score_correlation(
        self,
        statistic: str | Iterable[str] | None = None,
        score: str | None = None,
        *,
        split: int | None = None,
    ) -> pd.DataFrame:
        """Rank correlation of each weight statistic with a score.

        Parameters
        ----------
        statistic : str or iterable of str, default=None
            Columns of :func:`weightsearch.compare.weight_stats`; None: all.
        score : str, default=None
            A column of :attr:`candidates`; None: the mean test score, of the metric
            that the search refits by.
        split : int, default=None
            The split whose models are meant; None: the refits.

        Returns
        -------
        correlation : DataFrame
            One row per weight and statistic; see
            :func:`weightsearch.compare.score_correlation`. Read ``note`` first.

        Raises
        ------
        QueryError
            If there is no such statistic or score.
        """
        if score is None:
            score = self._main_column("mean_test_") or "mean_test_score"
        numeric = self.candidates.select_dtypes("number")
        (score,) = known_names(score, list(numeric.columns), "score")
        melted = self._melted_stats(statistic, [], split)
        scores = numeric[score].astype(float)
        melted["score"] = scores.to_numpy()[melted["candidate"]]
        return score_correlation(melted, "score")

    def _melted_stats(
        self,
        statistic: str | Iterable[str] | None,
        params: list[str],
        split: int | None,
    ) -> pd.DataFrame:
        """One row per candidate, weight and statistic."""
        chosen = list(STATISTICS)
        if statistic is not None:
            chosen = known_names(statistic, chosen, "statistic")
        return self.stats(split).melt(
            ["candidate", "name", *params], chosen, "stat", "value"
        )

    # -- models -----------------------------------------------------------------

    def load_estimator(
        self,
        candidate: Candidate,
        estimator: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        split: int | None = None,
        trusted: Trusted = (),
        epoch: int | None = None,
    ) -> Any:
        """Rebuild the fitted estimator of a candidate, without training.

        It predicts bit for bit what the original did, where the same versions of the
        libraries are installed. Nothing is unpickled: of the types that the store
        names, only those that scikit-learn and numpy are made of are constructed, and
        those that the caller passes.

        Functions, classes and objects that a store cannot hold are taken from
        `estimator` and `params`, wherever they are in them, if their content is what
        the candidate had; other content is an error.

        Parameters
        ----------
        candidate : int or dict
            The candidate's number, or its params.
        estimator : estimator object, default=None
            The estimator as it was searched, fitted or not. Needed where the candidate
            contains what a store cannot hold: functions, classes, PyTorch modules.
        params : dict, default=None
            Values of the candidate's own params that a store cannot hold, such as
            ``{"module__activation": torch.tanh}``.
        split : int, default=None
            The cross-validation split whose model is meant; None: the refit.
        trusted : iterable of str or type, default=()
            Further types that may be constructed, and functions that may be imported,
            by qualified name. Name only what you would import yourself.
        epoch : int, default=None
            The epoch after which the model is meant: it has the weights of that
            snapshot and otherwise, such as in its loss curve, the state of the final
            model. Of gradient boosting any stage, with or without snapshots. None: the
            final model.

        Returns
        -------
        estimator : object
            Fitted. What is only needed to continue its training, such as an optimizer's
            moments, is there for the best candidate alone.

        Raises
        ------
        WeightsNotFoundError
            If there is no such candidate, or its model was not kept.
        UntrustedTypeError
            If the candidate needs types that are not trusted; names them.
        RebuildError
            If it cannot be rebuilt; says what is missing.
        CorruptStoreError
            If stored data do not match their checksum.
        SnapshotError
            If there is no snapshot of `epoch`.

        Examples
        --------
        >>> run.load_estimator(12).predict(X_test)  # doctest: +SKIP
        """
        number = self._number(candidate)
        template = (estimator, *(params or {}).values())
        stored = self._stored_model(number, split)
        if epoch is None:
            return stored.rebuild(template, trusted)
        row = self._row(number, split)
        assert row is not None
        what = self._cannot_load(number)
        weights = weights_at(self._source, row, stored.weights, epoch, what)
        model = stored.rebuild(template, trusted, weights=weights)
        return cut_model(model, epoch, what) if weights is None else model

    def rewind(
        self,
        candidate: Candidate,
        epoch: int,
        estimator: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        split: int | None = None,
        trusted: Trusted = (),
    ) -> Any:
        """Rebuild a candidate's estimator as it was after an epoch, to train it on.

        Its next call of ``fit`` begins with the weights of that epoch. With snapshots
        of the optimizer (:class:`~weightsearch.SnapshotPlan`) it trains on as it did,
        bit for bit, if it gets the same batches and random numbers; otherwise the
        optimizer begins anew.

        Parameters
        ----------
        candidate : int or dict
            The candidate's number, or its params.
        epoch : int
            An epoch of which there is a snapshot; 0: the initial weights.
        estimator, params, split, trusted
            As in :meth:`load_estimator`.

        Returns
        -------
        estimator : object
            With ``warm_start=True``.

        Raises
        ------
        WeightsNotFoundError, UntrustedTypeError, RebuildError, SnapshotError
            As in :meth:`load_estimator`; RebuildError also if the framework cannot
            train it on, SnapshotError if the state of the optimizer was wanted and
            could not be kept. Both say what to do instead.
        """
        number = self._number(candidate)
        model = self.load_estimator(
            number,
            estimator,
            params=params,
            split=split,
            trusted=trusted,
            epoch=epoch,
        )
        what = f"Candidate {number} of run {self.name}"
        row = self._row(number, split)
        assert row is not None
        state = optimizer_at(self._source, row, epoch, what)
        return resumable(model, what, state)

    def export(
        self,
        candidate: Candidate,
        path: str | os.PathLike[str],
        *,
        split: int | None = None,
        estimator: Any = None,
    ) -> Path:
        """Write a candidate's weights into a file that other programs read.

        Parameters
        ----------
        candidate : int or dict
            The candidate's number, or its params.
        path : path-like
            The suffix is the format: ``.npz`` (:func:`numpy.load`),
            ``.safetensors``, ``.pt`` or ``.pth`` (a PyTorch ``state_dict`` that
            ``torch.load(weights_only=True)`` reads), ``.weights.h5`` (for
            ``keras.Model.load_weights``), ``.skops`` (the whole estimator, for
            :func:`skops.io.load`). An existing file is replaced.
        split : int, default=None
            The split whose model is meant; None: the refit.
        estimator : estimator object, default=None
            For ``.weights.h5`` and ``.skops``, as in :meth:`load_estimator`.

        Returns
        -------
        path : Path

        Raises
        ------
        ValueError
            If the suffix is not one of these.
        WeightsNotFoundError
            If there is no such candidate, or its weights were not kept.
        ImportError
            If the format's package is not installed.
        """
        weights = self.weights(candidate, split).to_dict()
        return export_weights(
            weights,
            Path(path).expanduser(),
            lambda: self.load_estimator(candidate, estimator, split=split),
        )

    def zoo(
        self,
        candidates: Iterable[Candidate] | None = None,
        *,
        split: int | None = None,
        shares: tuple[float, float, float] = (0.7, 0.15, 0.15),
        random_state: int = 0,
    ) -> Zoo:
        """Read the weights of all candidates as one matrix, to learn from weights.

        Parameters
        ----------
        candidates : iterable of int or dict, default=None
            Numbers or params, of one architecture; None: all that have weights.
        split : int, default=None
            The split whose models are meant; None: the refits.
        shares : tuple of float, default=(0.7, 0.15, 0.15)
            How many of the models are in the subsets ``"train"``, ``"val"`` and
            ``"test"``, as in [1]_. All snapshots of a model are in one.
        random_state : int, default=0
            Seed of the choice.

        Returns
        -------
        zoo : Zoo
            ``weights``, ``layout`` and ``table``.

        Raises
        ------
        UnequalWeightsError
            If weights differ in name, shape or type, or none are numbers.
        SnapshotError
            If only some of the candidates have snapshots.

        Notes
        -----
        Candidates of one ``random_state`` began with the same weights: subsets of them
        are not independent.

        References
        ----------
        .. [1] K. Schürholt, D. Taskiran, B. Knyazev, X. Giró-i-Nieto and D. Borth,
           Model zoos: a dataset of diverse populations of neural network models,
           NeurIPS 2022, arXiv:2209.14764.

        Examples
        --------
        >>> weights, layout, table = run.zoo()  # doctest: +SKIP
        """
        return self._zoo(candidates, split, shares, random_state)

    def export_zoo(
        self,
        path: str | os.PathLike[str],
        candidates: Iterable[Candidate] | None = None,
        *,
        split: int | None = None,
        shares: tuple[float, float, float] = (0.7, 0.15, 0.15),
        random_state: int = 0,
    ) -> Path:
        """Write what :meth:`zoo` returns into a folder, one candidate at a time.

        The files are those of the Small CNN Zoo [1]_: ``weights.npy``, ``layout.csv``
        and ``metrics.csv.gz``, the table.

        Parameters
        ----------
        path : path-like
            A folder that does not exist yet.
        candidates, split, shares, random_state
            As for :meth:`zoo`.

        Returns
        -------
        path : Path

        Raises
        ------
        UnequalWeightsError, SnapshotError
            As from :meth:`zoo`.
        FileExistsError
            If `path` exists.

        References
        ----------
        .. [1] T. Unterthiner, D. Keysers, S. Gelly, O. Bousquet and I. Tolstikhin,
           Predicting neural network accuracy from weights, 2020, arXiv:2002.11448.

        Examples
        --------
        >>> run.export_zoo("zoo")  # doctest: +SKIP
        """

        def read(allocate: Callable[..., Array]) -> Zoo:
            return self._zoo(candidates, split, shares, random_state, allocate)

        return export_zoo(Path(path).expanduser(), read)

    def average(
        self,
        candidates: Sequence[Candidate],
        estimator: Any = None,
        *,
        align: bool = False,
        split: int | None = None,
        trusted: Trusted = (),
    ) -> Any:
        r"""Make one estimator of the mean of candidates' weights: a model soup [1]_.

        :math:`\bar\theta = \frac{1}{n} \sum_i \theta_i`. This makes sense for models
        that started from the same weights, or whose loss is convex; networks that
        started from different ones need at least ``align=True``, and often predict
        worse than each even then. Score it before you use it.

        Parameters
        ----------
        candidates : sequence of int or dict
            At least one; their weights have the same names, shapes and types. Params
            and everything besides weights come from the first one.
        estimator, trusted
            As in :meth:`load_estimator`.
        align : bool, default=False
            Match the hidden units of every other candidate to those of the first one
            before, by :func:`weightsearch.compare.align`.
        split : int, default=None
            The split whose models are meant; None: the refits.

        Returns
        -------
        estimator : object
            Fitted.

        Raises
        ------
        UnequalWeightsError
            If the weights differ in name, shape or type, or integers that define how a
            model is built, as in trees, differ.

        References
        ----------
        .. [1] M. Wortsman et al., Model soups: averaging weights of multiple
           fine-tuned models improves accuracy without increasing inference time,
           ICML 2022.
        """
        numbers = [self._number(candidate) for candidate in candidates]
        if not numbers:
            raise ValueError("candidates must name at least one candidate.")
        mean = mean_of(
            (self.weights(number, split).stored() for number in numbers), align=align
        )
        model = self._stored_model(numbers[0], split)
        return model.rebuild(estimator, trusted, weights=mean)

    def score_path(
        self,
        start: Candidate | tuple[Candidate, int],
        end: Candidate | tuple[Candidate, int],
        X: Any,
        y: Any = None,
        *,
        n_points: int = 11,
        scoring: Any = None,
        align: bool = False,
        estimator: Any = None,
        split: int | None = None,
        n_jobs: int | None = None,
        trusted: Trusted = (),
    ) -> pd.DataFrame:
        r"""Score models on the straight line between the weights of two.

        :math:`\theta(s) = (1 - s)\, \theta_{start} + s\, \theta_{end}`. Whether scores
        drop on the way tells whether two networks lie in one basin of the loss:
        linear mode connectivity [1]_. Networks that found the same function with their
        hidden units in another order are far apart until they are aligned [2]_.

        Parameters
        ----------
        start, end : int, dict, or (int or dict, int)
            A candidate by number or params; with an epoch beside it, as it was after
            that epoch, which needs a snapshot. Weights have the same names, shapes
            and types.
        X, y, scoring
            As in :meth:`score_candidates`.
        n_points : int, default=11
            Points at equal distances, with both ends; at least 2.
        align : bool, default=False
            Also score the line to `end` with its hidden units matched to those of
            `start`, by :func:`weightsearch.compare.align`.
        estimator, trusted
            As in :meth:`load_estimator`.
        split : int, default=None
            The split whose models are meant; None: the refits.
        n_jobs : int, default=None
            Number of workers.

        Returns
        -------
        scores : DataFrame of shape (n_points, 1 or 2)
            Columns ``score`` and, with `align`, ``aligned``; the index is the share of
            `end`. ``scores.attrs["barrier"]`` has for each column by how much scores
            are at most below the straight line between those of the ends [3]_; 0
            where they never are.

        Raises
        ------
        UnequalWeightsError
            As from :meth:`average`.
        AlignmentError
            If hidden units cannot be matched.
        SnapshotError
            If there is no snapshot of an epoch.

        Notes
        -----
        Params and everything besides weights are those of `start`. Moving statistics of
        batch normalization are interpolated as well, and do not fit what the layers
        before them compute between the ends: such networks score worse there than their
        weights deserve [4]_.

        References
        ----------
        .. [1] J. Frankle, G. K. Dziugaite, D. M. Roy and M. Carbin, Linear mode
           connectivity and the lottery ticket hypothesis, ICML 2020, arXiv:1912.05671.
        .. [2] S. K. Ainsworth, J. Hayase and S. Srinivasa, Git Re-Basin: merging models
           modulo permutation symmetries, ICLR 2023, arXiv:2209.04836.
        .. [3] R. Entezari, H. Sedghi, O. Saukh and B. Neyshabur, The role of
           permutation invariance in linear mode connectivity of neural networks, ICLR
           2022, arXiv:2110.06296, definition 2.1; there for losses, here for scores.
        .. [4] K. Jordan, H. Sedghi, O. Saukh, R. Entezari and B. Neyshabur, REPAIR:
           renormalizing permuted activations for interpolation repair, ICLR 2023,
           arXiv:2211.08403.

        Examples
        --------
        >>> scores = run.score_path(0, 3, X_test, y_test)  # doctest: +SKIP
        >>> run.score_path((3, 0), (3, 20), X_test, y_test)  # doctest: +SKIP
        """
        if n_points < 2:
            raise ValueError(f"n_points must be at least 2, got {n_points}.")
        first, last = (self._model_at(one, split) for one in (start, end))
        ends = {"score": last.weights}
        if align:
            ends["aligned"] = Weights(align_to(first.weights, last.weights))
        return line_table(
            first,
            ends,
            estimator,
            X,
            y,
            n_points=n_points,
            scoring=scoring,
            n_jobs=n_jobs,
            trusted=tuple(trusted),
        )

    def score_candidates(
        self,
        X: Any,
        y: Any = None,
        *,
        scoring: Any = None,
        estimator: Any = None,
        split: int | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        trusted: Trusted = (),
    ) -> pd.DataFrame:
        """Score every candidate's model on given data; nothing is fitted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data that the search has not seen, such as a test set.
        y : array-like of shape (n_samples,), default=None
            Their target.
        scoring : str, callable or None, default=None
            As in :func:`sklearn.metrics.check_scoring`; None: the estimator's own
            ``score``.
        estimator : estimator object, default=None
            As in :meth:`load_estimator`.
        split : int, default=None
            The split whose models are meant; None: the refits.
        n_jobs : int, default=None
            Number of workers; each has a few models in memory.
        verbose : int, default=0
            Progress, as :class:`joblib.Parallel` shows it.
        trusted : iterable of str or type, default=()
            As in :meth:`load_estimator`.

        Returns
        -------
        scores : DataFrame
            One row per candidate: its params, ``mean_test_score`` and
            ``rank_test_score`` of cross-validation, and ``score`` and ``rank`` on these
            data (1 is the best); NaN where the model was not kept.
            ``scores.attrs["spearman"]`` is Spearman's rank correlation of both scores:
            how well cross-validation predicted the order.
        """
        return self._scored(
            X, y, lambda number: estimator, scoring, split, n_jobs, verbose, trusted
        )

    def predictions(
        self,
        X: Any,
        y: Any = None,
        method: str = "auto",
        candidates: Iterable[Candidate] | None = None,
        *,
        n_jobs: int | None = None,
        verbose: int = 0,
        estimator: Any = None,
        params: Params = (),
        trusted: Trusted = (),
        epoch: int | None = None,
    ) -> Array | list[Array]:
        """Out-of-fold predictions: every row answered by models not fitted on it.

        What :func:`sklearn.model_selection.cross_val_predict` returns for each
        candidate, bit for bit, without a fit: the stored models of the splits are
        asked about the rows that their split tests.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The data that were passed to ``fit``; others are refused.
        y : array-like of shape (n_samples,), default=None
            The target that was passed to ``fit``. None: only `X` is compared, and
            the classes are those that the models know.
        method : str, default="auto"
            ``"predict"``, ``"predict_proba"``, ``"predict_log_proba"``,
            ``"decision_function"`` or ``"transform"``. ``"auto"``: for classifiers
            the first of ``predict_proba``, ``decision_function`` and ``predict``
            that there is; else ``predict`` or ``transform``.
        candidates : iterable of int or dict, default=None
            Numbers or params, in the order that the result shall have; None: all.
        n_jobs : int, default=None
            Workers, as in :class:`joblib.Parallel`.
        verbose : int, default=0
            Progress, as :class:`joblib.Parallel` shows it.
        estimator, trusted
            As in :meth:`load_estimator`.
        params : dict or sequence of dict, default=()
            Values of candidates' params that a store cannot hold, such as functions;
            ``search.cv_results_["params"]`` has them all.
        epoch : int, default=None
            The epoch after which the models are meant, as in :meth:`load_estimator`.

        Returns
        -------
        predictions : ndarray
            Of shape (n_candidates, n_samples, ...) where no row is in two test sets,
            as with :class:`~sklearn.model_selection.KFold`; else, as with repeated
            or shuffled splits, (n_candidates, n_splits, n_samples, ...). What is
            missing, because a split does not test a row or a fit failed, is NaN; in
            an array that is not of floats it is masked
            (:class:`numpy.ma.MaskedArray`). For classifiers of several outputs
            ``predict_proba`` gives a list of such arrays, one per output.

        Raises
        ------
        EvaluationError
            If `X` or `y` are other data, a candidate has no such method, or the
            answers of candidates differ in shape.
        WeightsNotFoundError
            If a candidate or one of its split models was not kept; they are kept by
            ``capture="splits"`` and ``capture="both"``.

        SnapshotError
            If a model has no snapshot of `epoch`.

        Warns
        -----
        FitFailedWarning
            If fits of these candidates failed.
        RuntimeWarning
            If a model does not know all classes; its columns for the others are
            filled as by ``cross_val_predict``.

        Notes
        -----
        Models are rebuilt one after the other: memory is that of the result and a
        few models. Rows are in the order of `X`. Sparse results are made dense.

        Examples
        --------
        >>> run.predictions(X, y, "predict_proba", [0, 7]).shape  # doctest: +SKIP
        (2, 1797, 10)
        """
        self._check_open()
        from weightsearch.evaluate._predictions import predictions

        return predictions(
            self,
            X,
            y,
            method=method,
            candidates=candidates,
            n_jobs=n_jobs,
            verbose=verbose,
            estimator=estimator,
            params=params,
            trusted=trusted,
            epoch=epoch,
        )

    def rescore(
        self,
        X: Any,
        y: Any = None,
        scoring: Any = None,
        *,
        groups: Any = None,
        pooled: bool = False,
        candidates: Iterable[Candidate] | None = None,
        score_params: Mapping[str, Any] | None = None,
        error_score: Any = np.nan,
        n_jobs: int | None = None,
        verbose: int = 0,
        estimator: Any = None,
        params: Params = (),
        trusted: Trusted = (),
    ) -> pd.DataFrame:
        """Score the finished search by other metrics; nothing is fitted.

        The stored models of the splits are scored on the rows that their split tests:
        what ``cv_results_`` of a new search with this `scoring` would say, bit for bit.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The data that were passed to ``fit``; others are refused.
        y : array-like of shape (n_samples,), default=None
            The target that was passed to ``fit``.
        scoring : str, callable, list, tuple, set, dict or None, default=None
            As of :class:`~sklearn.model_selection.GridSearchCV`: one metric or several.
            None: the estimator's own ``score``.
        groups : array-like of shape (n_samples,) or str, default=None
            Slices of the data, such as sites or age groups, that get scores of their
            own: a value per row, or the name of a column of `X`.
        pooled : bool, default=False
            Also score the answers to all test rows at once; see Notes.
        candidates : iterable of int or dict, default=None
            Numbers or params; None: all. Ranks are those among these.
        score_params : dict, default=None
            Parameters of the scorer; of those with a value per row, such as
            ``sample_weight``, each split gets its rows.
        error_score : "raise" or float, default=nan
            The score where scoring fails or a fit failed.
        n_jobs, verbose, estimator, params, trusted
            As in :meth:`predictions`.

        Returns
        -------
        scores : DataFrame
            One row per candidate: its params and, for each metric, ``split0_test_...``,
            ``mean_test_...``, ``std_test_...`` and ``rank_test_...`` as in
            ``cv_results_``. With `groups` one row per candidate and group:
            ``scores.xs("site A", level=1)`` is the table of one group. It also has
            ``n_test_samples``; splits that test no row of a group are NaN and do not
            count in its mean. With `pooled`, ``pooled_test_...`` and
            ``rank_pooled_test_...``.

        Raises
        ------
        EvaluationError
            If `X` or `y` are other data, or `groups` does not fit them.
        WeightsNotFoundError
            If split models were not kept; they are by ``capture="splits"`` and
            ``capture="both"``.
        ValueError
            If `scoring` is not a metric.

        Warns
        -----
        UserWarning
            If scores could not be computed, such as an AUC of one class.

        Notes
        -----
        A mean over splits and a pooled score differ wherever a metric is not a mean
        over rows. Accuracy pooled is the mean of the splits' accuracies, weighted by
        their sizes. But a pooled AUC also compares rows of different splits, whose
        models may be on different scales, and is mostly lower than the mean of the
        splits' AUCs; F1 and precision, which divide by counts, are biased in small
        splits and less so when pooled [1]_. Choose candidates by the mean, as
        scikit-learn does; pool where splits or groups are too small for the metric.

        References
        ----------
        .. [1] G. Forman and M. Scholz, Apples-to-apples in cross-validation studies:
           pitfalls in classifier performance measurement, ACM SIGKDD Explorations 12
           (1), 2010.

        Examples
        --------
        >>> scores = run.rescore(X, y, ["roc_auc", "f1"])  # doctest: +SKIP
        >>> scores.sort_values("rank_test_roc_auc").head()  # doctest: +SKIP
        """
        self._check_open()
        from weightsearch.evaluate._rescoring import rescore

        return rescore(
            self,
            X,
            y,
            scoring,
            groups=groups,
            pooled=pooled,
            candidates=candidates,
            score_params=score_params,
            error_score=error_score,
            n_jobs=n_jobs,
            verbose=verbose,
            estimator=estimator,
            params=params,
            trusted=trusted,
        )

    def tune_threshold(
        self,
        X: Any,
        y: Any,
        candidate: Candidate | None = None,
        *,
        scoring: Any = "balanced_accuracy",
        response_method: str = "auto",
        thresholds: Any = 100,
        store_cv_results: bool = False,
        estimator: Any = None,
        params: Params = (),
        trusted: Trusted = (),
    ) -> Any:
        """Find the decision threshold with the best score; nothing is fitted.

        What :class:`sklearn.model_selection.TunedThresholdClassifierCV` finds with the
        splits of the search, in the same steps: the models of the splits are asked
        about the rows that they were not fitted on, the score is averaged over the
        splits for each threshold, and the refit decides by the best one.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The data that were passed to ``fit``; others are refused.
        y : array-like of shape (n_samples,)
            The target that was passed to ``fit``, of two classes.
        candidate : int or dict, default=None
            The candidate's number, or its params; None: the best one.
        scoring : str or callable, default="balanced_accuracy"
            What the threshold maximizes.
        response_method : {"auto", "decision_function", "predict_proba"}, default="auto"
            What is compared with the threshold.
        thresholds : int or array-like, default=100
            Thresholds to try, or how many.
        store_cv_results : bool, default=False
            Whether to keep all thresholds and scores, as ``cv_results_``.
        estimator, params, trusted
            As in :meth:`predictions`.

        Returns
        -------
        tuned : TunedThresholdClassifierCV
            Fitted: ``best_threshold_``, ``best_score_``, and ``estimator_``, the
            candidate's refit.

        Raises
        ------
        EvaluationError
            If `X` or `y` are other data, or the candidate is not a classifier.
        WeightsNotFoundError
            If models of the splits and the refit were not both kept;
            ``capture="both"`` keeps them.
        ValueError
            As of scikit-learn: more than two classes, constant predictions.

        Examples
        --------
        >>> model = run.tune_threshold(X, y, scoring="f1")  # doctest: +SKIP
        >>> model.best_threshold_, model.predict(X_new)  # doctest: +SKIP
        """
        from weightsearch.evaluate._deciding import tune_threshold

        return tune_threshold(
            self,
            X,
            y,
            candidate,
            scoring=scoring,
            response_method=response_method,
            thresholds=thresholds,
            store_cv_results=store_cv_results,
            estimator=estimator,
            params=params,
            trusted=trusted,
        )

    def calibrate(
        self,
        X: Any,
        y: Any,
        candidate: Candidate | None = None,
        *,
        method: str = "sigmoid",
        ensemble: bool = True,
        sample_weight: Any = None,
        estimator: Any = None,
        params: Params = (),
        trusted: Trusted = (),
    ) -> Any:
        """Calibrate a classifier's probabilities; only calibrators are fitted.

        What :class:`sklearn.calibration.CalibratedClassifierCV` makes with the splits
        of the search, in the same steps and equal bit for bit.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The data that were passed to ``fit``; others are refused.
        y : array-like of shape (n_samples,)
            The target that was passed to ``fit``.
        candidate : int or dict, default=None
            The candidate's number, or its params; None: the best one.
        method : str, default="sigmoid"
            ``"sigmoid"``, ``"isotonic"``, or what else scikit-learn has, such as
            ``"temperature"`` from 1.8 on.
        ensemble : bool, default=True
            True: a calibrator for the model of each split, from the rows that it was
            not fitted on; probabilities are the mean of all. False: one calibrator for
            the refit, from all out-of-fold predictions.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows for the calibrators. The models have those of the search.
        estimator, params, trusted
            As in :meth:`predictions`.

        Returns
        -------
        calibrated : CalibratedClassifierCV
            Fitted.

        Raises
        ------
        EvaluationError
            If `X` or `y` are other data, or the candidate is not a classifier.
        WeightsNotFoundError
            If the models of the splits were not kept (``capture="splits"`` or
            ``"both"``), or, with ``ensemble=False``, the refit (``"both"``).
        """
        from weightsearch.evaluate._deciding import calibrate

        return calibrate(
            self,
            X,
            y,
            candidate,
            method=method,
            ensemble=ensemble,
            sample_weight=sample_weight,
            estimator=estimator,
            params=params,
            trusted=trusted,
        )

    def prediction_intervals(
        self,
        X: Any,
        y: Any,
        X_new: Any,
        candidate: Candidate | None = None,
        *,
        confidence: float = 0.9,
        method: str = "plus",
        estimator: Any = None,
        params: Params = (),
        trusted: Trusted = (),
    ) -> Array:
        r"""Intervals that hold the target of new rows with some probability.

        CV+ of a regressor, from its split models and their out-of-fold residuals [1]_;
        jackknife+ where the splits leave one row out. With the model
        :math:`\hat\mu_{-k(i)}` of the split that tests row :math:`i` of :math:`n`, and
        its residual :math:`R_i = |y_i - \hat\mu_{-k(i)}(x_i)|`, the interval for
        :math:`x` goes from the :math:`\lfloor\alpha(n+1)\rfloor`-th smallest of
        :math:`\hat\mu_{-k(i)}(x) - R_i` to the
        :math:`\lceil(1-\alpha)(n+1)\rceil`-th smallest of
        :math:`\hat\mu_{-k(i)}(x) + R_i`, :math:`\alpha = 1 -` `confidence`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The data that were passed to ``fit``; others are refused.
        y : array-like of shape (n_samples,)
            The target that was passed to ``fit``.
        X_new : array-like of shape (n_new, ...)
            Rows whose target is not known.
        candidate : int or dict, default=None
            The candidate's number, or its params; None: the best one.
        confidence : float, default=0.9
            Share of intervals that shall hold their target.
        method : {"plus", "minmax"}, default="plus"
            ``"minmax"``: from the least prediction of all models minus a quantile of
            the residuals to the greatest plus it; wider.
        estimator, params, trusted
            As in :meth:`predictions`.

        Returns
        -------
        intervals : ndarray of shape (n_new, 2)
            Lower and upper limits; infinite where there are too few rows for the
            confidence.

        Raises
        ------
        EvaluationError
            If `X` or `y` are other data, the candidate is not a regressor of one
            target, or the splits do not test each row once.
        WeightsNotFoundError
            If the models of the splits were not kept; they are by
            ``capture="splits"`` and ``capture="both"``.

        Notes
        -----
        For rows that are exchangeable, ``"minmax"`` holds at least `confidence` of the
        targets with splits that leave one out, and ``"plus"`` at least
        :math:`1 - 2\alpha` (of CV+ a little less), mostly about `confidence`. Both
        are of a candidate that was chosen without looking at these residuals; the best
        of many is a little too sure of itself.

        References
        ----------
        .. [1] R. F. Barber, E. J. Candès, A. Ramdas and R. J. Tibshirani, Predictive
           inference with the jackknife+, Annals of Statistics 49 (1), 2021.

        Examples
        --------
        >>> low, high = run.prediction_intervals(X, y, X_new).T  # doctest: +SKIP
        """
        from weightsearch.evaluate._deciding import prediction_intervals

        return prediction_intervals(
            self,
            X,
            y,
            X_new,
            candidate,
            confidence=confidence,
            method=method,
            estimator=estimator,
            params=params,
            trusted=trusted,
        )

    def permutation_importance(
        self,
        X: Any,
        y: Any = None,
        candidate: Candidate | None = None,
        *,
        scoring: Any = None,
        n_repeats: int = 5,
        random_state: Any = None,
        max_samples: float = 1.0,
        n_jobs: int | None = None,
        verbose: int = 0,
        estimator: Any = None,
        params: Params = (),
        trusted: Trusted = (),
    ) -> Any:
        """By how much the score drops when a column is shuffled.

        :func:`sklearn.inspection.permutation_importance` [1]_ of the model of each
        split, on the rows that it was not fitted on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data that were passed to ``fit``; others are refused.
        y : array-like of shape (n_samples,), default=None
            The target that was passed to ``fit``.
        candidate : int or dict, default=None
            The candidate's number, or its params; None: the best one.
        scoring : str, callable, list, tuple, dict or None, default=None
            One metric or several; None: the estimator's own ``score``.
        n_repeats : int, default=5
            How often each column is shuffled in each split.
        random_state : int, RandomState instance or None, default=None
            Each split shuffles by the same seed.
        max_samples : int or float, default=1.0
            Rows of each split that are asked about, or their share.
        n_jobs, verbose, estimator, params, trusted
            As in :meth:`predictions`.

        Returns
        -------
        importance : Bunch, or dict of Bunch
            ``importances`` of shape (n_features, n_splits, n_repeats), their
            ``importances_mean`` and ``importances_std`` over splits and repeats, and
            ``feature_names`` where `X` has some. By the metric's name where there are
            several.

        Raises
        ------
        EvaluationError
            If `X` or `y` are other data, or `X` has no columns.
        WeightsNotFoundError
            If the models of the splits were not kept; they are by
            ``capture="splits"`` and ``capture="both"``.

        References
        ----------
        .. [1] L. Breiman, Random forests, Machine Learning 45 (1), 2001.
        """
        from weightsearch.evaluate._importance import permutation_importance

        return permutation_importance(
            self,
            X,
            y,
            candidate,
            scoring=scoring,
            n_repeats=n_repeats,
            random_state=random_state,
            max_samples=max_samples,
            n_jobs=n_jobs,
            verbose=verbose,
            estimator=estimator,
            params=params,
            trusted=trusted,
        )

    def to_skore(
        self,
        X: Any,
        y: Any,
        candidates: Iterable[Candidate] | None = None,
        *,
        pos_label: Any = None,
        n_jobs: int | None = None,
        estimator: Any = None,
        params: Params = (),
        trusted: Trusted = (),
    ) -> Any:
        """Hand stored models to skore, which reports on them; nothing is fitted.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The data that were passed to ``fit``; others are refused.
        y : array-like of shape (n_samples,)
            The target that was passed to ``fit``.
        candidates : iterable of int or dict, default=None
            Numbers or params; None: all. skore holds all their models and the data of
            each split in memory: name those that you want to look at.
        pos_label : int, float, bool or str, default=None
            The positive class of two, as skore takes it.
        n_jobs : int, default=None
            As of ``skore.ComparisonReport``.
        estimator, params, trusted
            As in :meth:`predictions`.

        Returns
        -------
        report : skore.CrossValidationReport or skore.ComparisonReport
            Of one candidate, or of several, each named by its number and params.

        Raises
        ------
        ImportError
            If skore is not installed, or of a version that is not known.
        EvaluationError
            If `X` or `y` are other data, or a fit of a candidate failed.
        WeightsNotFoundError
            If the models of the splits were not kept; they are by
            ``capture="splits"`` and ``capture="both"``.

        Examples
        --------
        >>> report = run.to_skore(X, y, candidates=[3, 7])  # doctest: +SKIP
        >>> report.metrics.summarize().frame()  # doctest: +SKIP
        """
        from weightsearch.evaluate._skore import to_skore

        return to_skore(
            self,
            X,
            y,
            candidates,
            pos_label=pos_label,
            n_jobs=n_jobs,
            estimator=estimator,
            params=params,
            trusted=trusted,
        )

    def ensemble(
        self,
        X: Any = None,
        y: Any = None,
        *,
        select: str | None = None,
        size: int | None = None,
        n_init: int = 1,
        scoring: Any = None,
        voting: str = "auto",
        candidates: Iterable[Candidate] | None = None,
        split: int | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        estimator: Any = None,
        params: Params = (),
        trusted: Trusted = (),
    ) -> Any:
        """Make one estimator that combines the predictions of several candidates.

        A fitted :class:`sklearn.ensemble.VotingClassifier` or
        :class:`~sklearn.ensemble.VotingRegressor` over the stored models; nothing is
        fitted. It costs as many predictions as it has members.

        ``ensemble(X, y)`` selects the members greedily on out-of-fold predictions [1]_:
        at each step the candidate with which the mean of the predictions scores best is
        given a vote, whether it has some already or not. See :meth:`select_ensemble`
        for its members and scores. ``ensemble()`` takes the best-ranked candidates.

        Parameters
        ----------
        X, y : array-like, default=None
            The data that were passed to ``fit``, for ``select="greedy"``.
        select : {"greedy", "best"}, default=None
            How members are selected. ``"best"``: the best-ranked ones, with equal
            votes. None: ``"greedy"`` with data, else ``"best"``.
        size : int, default=None
            Number of votes, or of members. None: up to 50 for ``"greedy"``, 5 for
            ``"best"``, or all of `candidates`.
        n_init : int, default=1
            Votes that a greedy selection gives to the best candidates at its start.
        scoring : str or callable, default=None
            What a greedy selection maximizes; None: the metric of the search.
        voting : {"auto", "soft", "hard"}, default="auto"
            Of classifiers: the mean of the probabilities, or votes for a class.
            ``"auto"``: soft where all members have ``predict_proba``.
        candidates : iterable of int or dict, default=None
            The candidates to select from; None: all that have a refit.
        split : int, default=None
            The split whose models are meant; None: the refits, which a greedy selection
            always takes.
        n_jobs, verbose
            As in :meth:`predictions`.
        estimator, params, trusted
            As in :meth:`predictions`.

        Returns
        -------
        ensemble : VotingClassifier or VotingRegressor
            Its `weights` are the votes. A clone that is fitted again fits its members.

        Raises
        ------
        TypeError
            If the candidates are neither classifiers nor regressors.
        WeightsNotFoundError
            If refits were not kept, or, for ``"greedy"``, models of splits:
            ``capture="both"`` keeps both.
        EvaluationError
            As for :meth:`predictions`.

        Notes
        -----
        Candidates that were chosen by their score on some data look better on those
        data than on new ones, and so does an ensemble of them.

        References
        ----------
        .. [1] R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes, Ensemble selection
           from libraries of models, ICML 2004.

        Examples
        --------
        >>> ensemble = run.ensemble(X, y, size=20)  # doctest: +SKIP
        >>> ensemble.score(X_test, y_test)  # doctest: +SKIP
        """
        self._check_open()
        from weightsearch.evaluate._combining import ensemble

        return ensemble(
            self,
            X,
            y,
            select_by=select,
            size=size,
            n_init=n_init,
            scoring=scoring,
            voting=voting,
            candidates=candidates,
            split=split,
            n_jobs=n_jobs,
            verbose=verbose,
            estimator=estimator,
            params=params,
            trusted=trusted,
        )

    def select_ensemble(
        self,
        X: Any,
        y: Any,
        *,
        size: int = 50,
        n_init: int = 1,
        scoring: Any = None,
        voting: str = "auto",
        candidates: Iterable[Candidate] | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        estimator: Any = None,
        params: Params = (),
        trusted: Trusted = (),
    ) -> Selection:
        """Select the members of an ensemble, without making it.

        The greedy selection of :meth:`ensemble`, which needs the models of splits
        only. Of the ensembles met on the way the one of the best score counts, and of
        equal ones the smallest. Ties go to the candidate that scores better alone.

        Parameters
        ----------
        X, y : array-like
            The data that were passed to ``fit``.
        size : int, default=50
            Largest number of votes.
        n_init, scoring, voting, candidates, n_jobs, verbose
            As in :meth:`ensemble`; without `candidates` all that have models of all
            splits.
        estimator, params, trusted
            As in :meth:`predictions`.

        Returns
        -------
        selection : Selection
            Candidates, their votes, and the score after each step.

        Raises
        ------
        WeightsNotFoundError
            If models of splits were not kept: ``capture="splits"`` and
            ``capture="both"`` keep them.
        EvaluationError
            As for :meth:`predictions`.

        Examples
        --------
        >>> print(run.select_ensemble(X, y, size=10))  # doctest: +SKIP
        score 0.9755; candidates (votes): 7 (4), 2 (3), 11 (1)
        """
        self._check_open()
        from weightsearch.evaluate._combining import select

        return select(
            self,
            X,
            y,
            size=size,
            n_init=n_init,
            scoring=scoring,
            voting=voting,
            candidates=candidates,
            n_jobs=n_jobs,
            verbose=verbose,
            estimator=estimator,
            params=params,
            trusted=trusted,
        )

    def stacking(
        self,
        X: Any,
        y: Any,
        final_estimator: Any = None,
        *,
        stack_method: str = "auto",
        passthrough: bool = False,
        candidates: Iterable[Candidate] | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        estimator: Any = None,
        params: Params = (),
        trusted: Trusted = (),
    ) -> Any:
        """Make a stacking estimator of candidates; only the final estimator is fitted.

        What :class:`sklearn.ensemble.StackingClassifier` or
        :class:`~sklearn.ensemble.StackingRegressor` would be after fitting the
        candidates on all the data and on each of the search's splits: out-of-fold
        predictions of the stored models train the final estimator, and the refits
        answer for new data.

        Parameters
        ----------
        X, y : array-like
            The data that were passed to ``fit``.
        final_estimator : estimator object, default=None
            Unfitted. None: scikit-learn's own choice, logistic regression or
            :class:`~sklearn.linear_model.RidgeCV`.
        stack_method : str, default="auto"
            ``"predict_proba"``, ``"decision_function"`` or ``"predict"``; ``"auto"``:
            the first of them that a candidate has.
        passthrough : bool, default=False
            Whether the final estimator is fitted on X, too.
        candidates : iterable of int or dict, default=None
            None: all that have a refit.
        n_jobs, verbose
            As in :meth:`predictions`.
        estimator, params, trusted
            As in :meth:`predictions`.

        Returns
        -------
        stacking : StackingClassifier or StackingRegressor
            With the search's splits as `cv`. A clone that is fitted again fits its
            members.

        Raises
        ------
        TypeError
            If the candidates are neither classifiers nor regressors.
        WeightsNotFoundError
            If refits or models of splits were not kept: ``capture="both"`` keeps both.
        EvaluationError
            If the splits do not test each row exactly once, or as for
            :meth:`predictions`.

        Examples
        --------
        >>> stacking = run.stacking(X, y, candidates=[0, 3, 7])  # doctest: +SKIP
        >>> stacking.predict(X_test)  # doctest: +SKIP
        """
        self._check_open()
        from weightsearch.evaluate._combining import stacking

        return stacking(
            self,
            X,
            y,
            final_estimator,
            stack_method=stack_method,
            passthrough=passthrough,
            candidates=candidates,
            n_jobs=n_jobs,
            verbose=verbose,
            estimator=estimator,
            params=params,
            trusted=trusted,
        )

    def bias_corrected_score(
        self,
        X: Any,
        y: Any,
        *,
        scoring: Any = None,
        n_bootstraps: int = 1000,
        confidence: float = 0.95,
        groups: Any = None,
        block_length: int | None = None,
        random_state: Any = None,
        candidates: Iterable[Candidate] | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        estimator: Any = None,
        params: Params = (),
        trusted: Trusted = (),
    ) -> BiasCorrectedScore:
        """Estimate how the best candidate will score on new data.

        The score of the best of many candidates is too high: it is the best by luck as
        well as by merit. Nested cross-validation tells how much, for many times the
        cost of the search. The bootstrap bias correction [1]_ needs out-of-fold
        predictions only: it picks the best candidate on a bootstrap sample of them,
        scores it on the rows that are not in the sample, and takes the mean.

        Parameters
        ----------
        X, y : array-like
            The data that were passed to ``fit``.
        scoring : str or callable, default=None
            One metric; None: that of the search. Accuracy, balanced accuracy, log loss,
            ROC AUC and Brier score of two classes, R2, and mean absolute and squared
            errors are computed for all candidates at once, by name. Other metrics are
            called ``n_candidates * n_bootstraps`` times.
        n_bootstraps : int, default=1000
            Number of bootstrap samples.
        confidence : float, default=0.95
            Of the interval.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are drawn together: for rows that depend on each other,
            as for :class:`~sklearn.model_selection.GroupKFold`.
        block_length : int, default=None
            Stretches of that many rows are drawn together: for rows in order of time.
        random_state : int, RandomState instance or None, default=None
            Seed of the samples.
        candidates : iterable of int or dict, default=None
            The candidates to pick from; None: all.
        n_jobs, verbose
            As in :meth:`predictions`.
        estimator, params, trusted
            As in :meth:`predictions`.

        Returns
        -------
        score : BiasCorrectedScore
            The estimate, its interval, and by how much ``best_score_`` is too high.

        Raises
        ------
        WeightsNotFoundError
            If models of splits were not kept: ``capture="splits"`` and
            ``capture="both"`` keep them.
        EvaluationError
            As for :meth:`predictions`, or if the search's metric is not known.
        ValueError
            If the metric is not defined for most samples.

        Notes
        -----
        The metric is computed for all out-of-fold predictions together. Where that is
        not the mean over splits, as for ROC AUC, the difference is in the `optimism`,
        too. The estimate is of models that are trained on as many rows as those of the
        splits.

        References
        ----------
        .. [1] I. Tsamardinos, E. Greasidou, G. Borboudakis, Bootstrapping the
           out-of-sample predictions for efficient and accurate cross-validation,
           Machine Learning 107, 1895-1922, 2018.

        Examples
        --------
        >>> print(run.bias_corrected_score(X, y, random_state=0))  # doctest: +SKIP
        0.9431 (95% interval 0.9117 to 0.9706); best_score_ is 0.9578, higher by 0.015
        """
        self._check_open()
        from weightsearch.evaluate._assessing import bias_corrected_score

        return bias_corrected_score(
            self,
            X,
            y,
            scoring=scoring,
            n_bootstraps=n_bootstraps,
            confidence=confidence,
            groups=groups,
            block_length=block_length,
            random_state=random_state,
            candidates=candidates,
            n_jobs=n_jobs,
            verbose=verbose,
            estimator=estimator,
            params=params,
            trusted=trusted,
        )

    def choose(self, rule: Any) -> int:
        """Choose a candidate by a rule, from stored results.

        Parameters
        ----------
        rule : callable
            Takes ``cv_results_`` and returns the index of a candidate, like the rules
            of :mod:`weightsearch.choose`. It gets the stored columns, ``params``, and
            ``n_weights``, the number of weights of each candidate.

        Returns
        -------
        candidate : int
            Its number. :meth:`load_estimator` makes it a fitted estimator;
            :meth:`TrackedSearch.choose` makes it the best one of a search.

        Raises
        ------
        EvaluationError
            If the run has not ended.
        TypeError, IndexError
            If the rule does not return the index of a candidate.

        Examples
        --------
        >>> from weightsearch.choose import OneStandardError
        >>> run.choose(OneStandardError(simplest="C"))  # doctest: +SKIP
        4
        """
        self._check_open()
        from weightsearch.evaluate._choosing import chosen, stored_results

        return chosen(rule, stored_results(self))

    def compare_scores(
        self,
        a: Candidate,
        b: Candidate | None = None,
        *,
        metric: str | None = None,
        rope: float = 0.01,
        confidence: float = 0.95,
    ) -> ScoreComparison | pd.DataFrame:
        """Test whether two candidates differ in score.

        Training sets of cross-validation overlap, so that scores of splits depend on
        each other and the usual t-test finds differences where there are none. The
        corrected resampled t-test [1]_ takes the variance
        :math:`s^2 (1/K + n_{test}/n_{train})` for the mean difference of :math:`K`
        splits. Its Bayesian twin [2]_ gives the probabilities that one candidate is
        better by more than `rope`, or that they are equivalent.

        Parameters
        ----------
        a : int or dict
            A candidate's number, or its params.
        b : int or dict, default=None
            The other one; None: all others in a table.
        metric : str, default=None
            None: the metric that the search refits by.
        rope : float, default=0.01
            Region of practical equivalence: scores that differ by no more count as
            equal.
        confidence : float, default=0.95
            Of the interval.

        Returns
        -------
        comparison : ScoreComparison or DataFrame
            Difference ``a - b`` with its interval, statistic, p-value and
            probabilities. In a table, one row per other candidate, with ``p_adjusted``
            by Holm's method [3]_ for their number.

        Raises
        ------
        ValueError
            If there are not two splits in which both have a score.
        EvaluationError
            If they were tested on different splits, or there is no such metric.

        References
        ----------
        .. [1] C. Nadeau, Y. Bengio, Inference for the generalization error, Machine
           Learning 52, 239-281, 2003.
        .. [2] A. Benavoli, G. Corani, J. Demsar, M. Zaffalon, Time for a change: a
           tutorial for comparing multiple classifiers through Bayesian analysis,
           Journal of Machine Learning Research 18(77), 2017.
        .. [3] S. Holm, A simple sequentially rejective multiple test procedure,
           Scandinavian Journal of Statistics 6, 65-70, 1979.

        Examples
        --------
        >>> run.compare_scores(0, 1).p_value  # doctest: +SKIP
        0.31
        """
        self._check_open()
        from weightsearch.evaluate._assessing import compare_scores

        return compare_scores(
            self, a, b, metric=metric, rope=rope, confidence=confidence
        )

    def agreement(
        self,
        X: Any,
        y: Any,
        epsilon: float = 0.01,
        *,
        metric: str | None = None,
        tolerance: float | None = None,
        candidates: Iterable[Candidate] | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        estimator: Any = None,
        params: Params = (),
        trusted: Trusted = (),
    ) -> Agreement:
        """Find how many rows get another answer from an almost equally good candidate.

        Of the candidates whose mean score is within `epsilon` of the best (the Rashomon
        set) the out-of-fold predictions are compared [1]_: the *ambiguity* is the share
        of rows to which any of them answers otherwise than the best one, the
        *discrepancy* the share to which the one that differs most does.

        Parameters
        ----------
        X, y : array-like
            The data that were passed to ``fit``.
        epsilon : float, default=0.01
            How far below the best mean score a candidate may be.
        metric : str, default=None
            None: the metric that the search refits by.
        tolerance : float, default=None
            For regressors, which need it: the largest difference of predictions that
            does not count.
        candidates : iterable of int or dict, default=None
            Look at these candidates only.
        n_jobs, verbose
            As in :meth:`predictions`.
        estimator, params, trusted
            As in :meth:`predictions`.

        Returns
        -------
        agreement : Agreement
            Ambiguity, discrepancy, the rows concerned, and a table of the agreement of
            all pairs.

        Raises
        ------
        WeightsNotFoundError
            If models of splits were not kept: ``capture="splits"`` and
            ``capture="both"`` keep them.
        EvaluationError
            As for :meth:`predictions`.

        References
        ----------
        .. [1] C. Marx, F. Calmon, B. Ustun, Predictive multiplicity in classification,
           ICML 2020.

        Examples
        --------
        >>> print(run.agreement(X, y))  # doctest: +SKIP
        14 near-best candidates: 6.2% of 1797 rows get another answer ...
        """
        self._check_open()
        from weightsearch.evaluate._assessing import agreement

        return agreement(
            self,
            X,
            y,
            epsilon=epsilon,
            metric=metric,
            tolerance=tolerance,
            candidates=candidates,
            n_jobs=n_jobs,
            verbose=verbose,
            estimator=estimator,
            params=params,
            trusted=trusted,
        )

    def _scored(
        self,
        X: Any,
        y: Any,
        template_of: Callable[[int], Any],
        scoring: Any,
        split: int | None,
        n_jobs: int | None,
        verbose: int,
        trusted: Trusted = (),
    ) -> pd.DataFrame:
        """Score candidates, each with an estimator that holds what no store can."""
        models = (
            (number, self._stored_model(number, split), template_of(number))
            for number in self._with_weights(split)
        )
        found = [self._main_column(p) for p in ("mean_test_", "rank_test_")]
        scores = [name for name in found if name is not None]
        beside = pd.DataFrame(param_columns(self._keys, [*scores, "score", "rank"]))
        beside.index = self.candidates.index
        return score_table(
            beside.join(self.candidates[scores]),
            found[0],
            models,
            X,
            y,
            scoring=scoring,
            n_jobs=n_jobs,
            verbose=verbose,
            trusted=tuple(trusted),
        )

    def _best_ranked(self, split: int | None) -> list[int]:
        """Numbers of the candidates that have weights, the best first."""
        self._check_open()
        rank = self._main_column("rank_test_")
        numbers = self._with_weights(split)
        if rank is None:
            return numbers
        order: Array = self.candidates[rank].to_numpy()
        return sorted(numbers, key=lambda number: order[number])

    def _stored_model(self, number: int, split: int | None) -> StoredModel:
        """Read everything that a candidate's model is made of."""
        arrays = self.weights(number, split).stored()
        row = self._row(number, split)
        assert row is not None
        return read_model(self._source, row, arrays, self._cannot_load(number))

    def _model_at(
        self, place: Candidate | tuple[Candidate, int], split: int | None
    ) -> StoredModel:
        """Read a candidate's model, or that of a (candidate, epoch)."""
        if not isinstance(place, tuple):
            return self._stored_model(self._number(place), split)
        candidate, epoch = place
        number = self._number(candidate)
        self.trajectory(number, split)  # Says what is missing where there is none.
        model = self._stored_model(number, split)
        row = self._row(number, split)
        assert row is not None
        weights = weights_at(self._source, row, model.weights, epoch, model.what)
        assert weights is not None
        return replace(model, weights=weights)

    def _iter_models(
        self,
        fits: Iterable[tuple[Candidate, int | None]],
        *,
        estimator: Any = None,
        params: Params = (),
        trusted: Trusted = (),
        epoch: int | None = None,
    ) -> Iterator[Any]:
        """Rebuild many models, one after the other.

        What models of one kind share is looked up and checked once, and weights of
        equal shapes are read in blocks of up to 32 MB. The iterator holds no model
        after it was yielded.

        Parameters
        ----------
        fits : iterable of (candidate, split)
            The split whose model is meant; None: the refit. Consumed in blocks.
        estimator, trusted
            As for :meth:`load_estimator`.
        params : dict or sequence of dict, default=()
            Values of candidates' params that a store cannot hold, such as functions.
            One dict for all models, or any number of them, in any order: each model
            gets what has the content that its own params had.

        Yields
        ------
        estimator : object
            Fitted; one for each of `fits`, in their order.

        Raises
        ------
        WeightsNotFoundError, UntrustedTypeError, RebuildError, CorruptStoreError
            As :meth:`load_estimator`, when the model's turn comes.
        """
        given = [params] if isinstance(params, Mapping) else params
        values = [value for one in given for value in one.values()]

        def located() -> Iterator[tuple[int | None, str]]:
            for candidate, split in fits:
                number = self._number(candidate)
                row = self._row(number, split)
                if row is not None and self._table.has_weights[row]:
                    yield row, self._cannot_load(number)
                else:
                    yield None, self._why_missing(number, split)

        template = (estimator, *values)
        return iter_models(self._source, located(), template, trusted, epoch)

    def _trajectory(self, candidate: Candidate, split: int | None) -> Trajectory | None:
        """Return a trajectory; None where no snapshots were taken."""
        try:
            return self.trajectory(candidate, split)
        except SnapshotError:
            return None

    def _zoo(
        self,
        candidates: Iterable[Candidate] | None,
        split: int | None,
        shares: tuple[float, float, float],
        random_state: int,
        allocate: Callable[..., Array] = np.empty,
    ) -> Zoo:
        self._check_open()
        if candidates is None:
            numbers = self._with_weights(split)
        else:
            numbers = [self._number(candidate) for candidate in candidates]
        if not numbers:
            raise ValueError("There are no candidates with weights to export.")
        return read_zoo(self, numbers, split, shares, random_state, allocate)

    def _cannot_load(self, number: int) -> str:
        return f"Candidate {number} of run {self.name} cannot be loaded"

    # -- sharing ----------------------------------------------------------------

    def report(self, path: str | os.PathLike[str], *, title: str | None = None) -> Path:
        """Write the run as one HTML file that needs only a browser.

        It shows the best candidate and what should be acted on, which params matter,
        how sure the scores are, what happened in training where snapshots were taken,
        what was learned, and any two candidates side by side. Nothing is fetched when
        it is opened. It shows the refits' weights; where fewer than two were kept,
        those of a split.

        Parameters
        ----------
        path : path-like
            An existing file is replaced.
        title : str, default=None
            The page's title; None: the estimator's name.

        Returns
        -------
        path : Path
            The report's file.

        Raises
        ------
        StoreWriteError
            If the file cannot be written.

        Notes
        -----
        The file takes some 100 kB for the page itself and 14 MB at most. It contains
        the weights of up to 1,000 candidates, the best ones; the page names what is
        left out. Every array is read once or twice.
        """
        self._check_open()
        # Loaded only when a report is made.
        from weightsearch.report import report_contents, write_report

        def importance(metric: str, left_out: Collection[int]) -> pd.DataFrame | None:
            numbers = np.arange(len(self))
            if "iter" in self.candidates:
                rounds = self.candidates["iter"]
                numbers = numbers[rounds == rounds.min()]
            kept = numbers[~np.isin(numbers, list(left_out))].tolist()
            try:
                return self.param_importance(metric, candidates=kept)
            except QueryError:  # no param varies
                return None

        taken = {*self._source.cv_results(), "status"}
        contents = report_contents(
            self._source,
            self._table,
            self.candidates,
            params=[str(c.name) for c in param_columns(self._keys, taken).values()],
            score=self._main_column("mean_test_"),
            rank=self._main_column("rank_test_"),
            settings=self.settings,
            title=title,
            importance=importance,
            trajectory=self._trajectory,
        )
        return write_report(path, contents)

    def log_to_mlflow(
        self,
        experiment: str | None = None,
        *,
        candidates: Iterable[int] | None = None,
        artifacts: bool = False,
        tracking_uri: str | None = None,
    ) -> str:
        """Log to MLflow: one run for the search, one nested run per candidate.

        Logging again adds what is missing and changes nothing that is already there.
        Scores that are NaN are left out, since MLflow's searches would take them for 0.

        Parameters
        ----------
        experiment : str, default=None
            Name of the experiment, created if needed. None: the one that
            ``mlflow.set_experiment`` or the environment has chosen.
        candidates : iterable of int, default=None
            Numbers of the candidates, such as ``run.query(...).index``; None: all.
        artifacts : bool, default=False
            Whether to log each candidate's weights as ``weights.npz``.
        tracking_uri : str, default=None
            Where MLflow keeps its runs; None: MLflow's own setting.

        Returns
        -------
        run_id : str
            MLflow's id of the parent run.

        Raises
        ------
        ImportError
            If MLflow is not installed.
        WeightSearchError
            If the run is still being fitted.
        WeightsNotFoundError
            If there is no such candidate.
        """
        return log_run(
            self._source,
            self.candidates,
            self._keys,
            self.settings,
            lambda number: self.weights(number).to_dict(),
            experiment=experiment,
            wanted=None if candidates is None else list(map(self._number, candidates)),
            artifacts=artifacts,
            tracking_uri=tracking_uri,
        )

    # -- finding rows and candidates ----------------------------------------------

    @cached_property
    def _table(self) -> FitTable:
        return self._source.fits()

    @cached_property
    def _n_candidates(self) -> int:
        # While a search runs, params are written before fits: read in the other order,
        # every fit has its params.
        _ = self._table
        return len(self._source.params())

    @cached_property
    def _keys(self) -> list[ParamsKey]:
        self._check_open()
        n_candidates = self._n_candidates
        encoded = list(self._source.params())[:n_candidates]
        keys = [ParamsKey.from_json(text) for text in encoded]
        number_alike(keys)
        return keys

    def _main_column(self, prefix: str) -> str | None:
        self._check_open()
        return main_column(prefix, self.candidates.columns, self.settings)

    @cached_property
    def _rows(self) -> dict[tuple[int, int], int]:
        # Of equal pairs the later row replaces the earlier one.
        fits = self._table
        pairs = zip(fits.candidate.tolist(), fits.split.tolist(), strict=True)
        return {pair: row for row, pair in enumerate(pairs)}

    def _row(self, candidate: int, split: int | None) -> int | None:
        """Row of a candidate's fit on a split, or of its refit."""
        return self._rows.get((candidate, REFIT if split is None else split))

    def _newest(self, split: int) -> tuple[Array, Array]:
        """Return the candidates that have weights of a split, and their rows."""
        fits = self._table
        of_split = np.flatnonzero(fits.split == split)
        # Backwards, so that the first row found of a candidate is its last one.
        candidates, last = np.unique(fits.candidate[of_split][::-1], return_index=True)
        rows = of_split[::-1][last]
        kept = fits.has_weights[rows]
        return candidates[kept].astype(np.int64), rows[kept]

    def _with_weights(self, split: int | None) -> list[int]:
        """Candidates that have weights of a split, or of the refit."""
        self._check_open()
        candidates, _ = self._newest(REFIT if split is None else split)
        return [number for number in candidates.tolist() if number < len(self)]

    def _rows_with_weights(
        self, split: int | None, candidates: Iterable[int] | None = None
    ) -> dict[int, int]:
        """Return the row of each candidate: of all, or of the named ones."""
        self._check_open()
        having = {
            n: self._rows[n, REFIT if split is None else split]
            for n in self._with_weights(split)
        }
        if candidates is None:
            rows = having
        else:
            named = list(dict.fromkeys(map(self._number, candidates)))
            for number in named:
                if number not in having:
                    raise WeightsNotFoundError(self._why_missing(number, split))
            rows = {number: having[number] for number in named}
        if not rows:
            raise WeightsNotFoundError(
                f"No candidate of run {self.name} has weights of "
                f"{'its refit' if split is None else f'split {split}'}: the search ran "
                f"with capture={self.settings.get('capture')!r}, "
                f"refit={self.settings.get('refit')!r}."
            )
        return rows

    @cached_property
    def _numbers(self) -> ParamsMapping[int]:
        # Of equal params, a refit candidate is preferred, then the latest one.
        refit = [n for n in range(len(self)) if self._row(n, None) is not None]
        chosen = self._last_of_each([*range(len(self)), *refit])
        return ParamsMapping([self._keys[n] for n in chosen], chosen.__getitem__)

    def _last_of_each(self, numbers: Sequence[int]) -> list[int]:
        """Of candidates with equal params, the last one."""
        return sorted({self._keys[n].exact: n for n in numbers}.values())

    def _number(self, candidate: Candidate) -> int:
        self._check_open()
        if isinstance(candidate, Mapping):
            return self._numbers[candidate]
        try:
            number = operator.index(candidate)
        except TypeError:
            raise WeightsNotFoundError(
                f"Candidate {candidate!r} not found: give its number (0 to "
                f"{len(self) - 1}) or its params."
            ) from None
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
        row = self._row(candidate, split)
        if row is not None and self._table.failed[row]:
            return f"{what}: that fit failed with {self._fit_error(row)!r}."
        if split is None and row is None:
            other = self._numbers[self._keys[candidate]]
            if self._row(other, None) is not None:
                return f"{what}: its params were refit as candidate {other}."
            mine = np.flatnonzero(self._table.candidate == candidate)
            if len(mine) and self._table.failed[mine].all():
                return (
                    f"{what}: it was not refit, since its fits failed in every split, "
                    f"with {self._fit_error(int(mine[-1]))!r}."
                )
        names = ("capture", "keep", "refit", "refit_iterations")
        chosen = {n: self.settings[n] for n in names if n in self.settings}
        shown = ", ".join(f"{name}={value!r}" for name, value in chosen.items())
        return f"{what}: the search ran with {shown}, and the run is {self.status}."

    def _fit_error(self, row: int) -> str:
        """Return the last line of the error of a fit that failed."""
        error = str(self._source.result(row).get("fit_error") or "")
        return (error.strip().splitlines() or ["unknown error"])[-1]

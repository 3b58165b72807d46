"""Metrics of stored answers, for many candidates and samples of rows at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed

from weightsearch._display import did_you_mean
from weightsearch._records import Array
from weightsearch.exceptions import EvaluationError

__all__ = ["Observations", "known_scoring", "metric_for", "scorer_of", "stand_in"]

Weighted = Callable[[Array], Array]
"""From counts of shape (n_weightings, n_observations) to scores of shape
(n_weightings, n_candidates); nan where a score is not defined."""


class Observations:
    """Answers of candidates to rows whose target is known.

    Parameters
    ----------
    y : ndarray of shape (n_observations,)
        The target of each row.
    answers : callable
        Return the answers of all candidates by the name of a method, of shape
        (n_candidates, n_observations, ...); raise AttributeError where candidates do
        not have it. Asked at most once for each method.
    classes : ndarray or None
        Of a classifier, in order.
    rows : callable, default=None
        Return rows of X by an array of observations, for scorers that look at X.
    """

    def __init__(
        self,
        y: Any,
        answers: Callable[[str], Array] | Mapping[str, Array],
        classes: Array | None,
        rows: Callable[[Array], Any] | None = None,
    ):
        self.y = np.asarray(y)
        self.classes = classes
        self.rows = _same if rows is None else rows
        self._answers = answers
        self._known: dict[str, Array | AttributeError] = {}

    def __len__(self) -> int:
        return len(self.y)

    def __getstate__(self) -> dict[str, Any]:
        # For workers, which get what is known by now and cannot ask for more.
        known = {n: a for n, a in self._known.items() if not isinstance(a, Exception)}
        return {**vars(self), "_answers": known, "_known": {}}

    def answers(self, method: str) -> Array:
        """Return what all candidates answer by a method."""
        if method not in self._known:
            try:
                self._known[method] = self._ask(method)
            except AttributeError as error:
                self._known[method] = error
        found = self._known[method]
        if isinstance(found, AttributeError):
            raise found
        return found

    def _ask(self, method: str) -> Array:
        if not isinstance(self._answers, Mapping):
            return self._answers(method)
        if method not in self._answers:
            raise AttributeError(f"The answers of {method} are not known.")
        return self._answers[method]

    @property
    def n_candidates(self) -> int:
        """Number of candidates, of the answers that are known if there are some."""
        known = [a for a in self._known.values() if not isinstance(a, Exception)]
        return len(known[0] if known else self.answers("predict"))

    def has(self, method: str) -> bool:
        """Whether all candidates answer by a method."""
        try:
            self.answers(method)
        except AttributeError:
            return False
        return True


def _same(chosen: Array) -> Array:
    return chosen


def metric_for(
    scoring: Any,
    observations: Observations,
    *,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> tuple[Weighted, Callable[[Array, Array], Array]]:
    """Return functions that score all candidates, and one for each weighting.

    Parameters
    ----------
    scoring : str or callable
        Names of common metrics are computed for all candidates by matrix products;
        any other scorer is called for each candidate and weighting.
    observations : Observations
    n_jobs, verbose : int
        As of :class:`joblib.Parallel`, for scorers that are called.

    Returns
    -------
    scores : callable
        From counts to the scores of all candidates.
    chosen_scores : callable
        From counts and a candidate for each of them to its scores.
    """
    name = scoring if isinstance(scoring, str) else ""
    weighted = _fast(name, observations)
    if weighted is None:
        looped = _Looped(scoring, observations, n_jobs, verbose)
        return looped.scores, looped.chosen_scores
    scores = weighted

    def chosen_scores(counts: Array, chosen: Array) -> Array:
        picked: Array = scores(counts)[np.arange(len(counts)), chosen]
        return picked

    return scores, chosen_scores


def _fast(name: str, observations: Observations) -> Weighted | None:
    """A metric that is computed from sums over rows, where it is one."""
    y, classes = observations.y, observations.classes
    if y.ndim != 1:
        return None
    if name in ("accuracy", "balanced_accuracy"):
        predicted = observations.answers("predict")
        if predicted.ndim != 2:
            return None
        correct = predicted == y
        if name == "accuracy":
            return _mean_of(correct.astype(float))
        return _mean_recall(correct.astype(float), y)
    if name == "neg_log_loss" and classes is not None:
        known = np.searchsorted(classes, y)
        return _mean_of(_log_likelihood(observations.answers("predict_proba"), known))
    # Of other classes scikit-learn's own does not know which one is meant.
    if name == "neg_brier_score" and classes is not None and classes.tolist() == [0, 1]:
        of_second = observations.answers("predict_proba")[..., 1]
        return _mean_of(-((of_second - (y == classes[1])) ** 2))
    if name == "roc_auc" and classes is not None and len(classes) == 2:
        if observations.has("decision_function"):
            values = observations.answers("decision_function")
        else:
            values = observations.answers("predict_proba")[..., 1]
        return None if values.ndim != 2 else _area_under_curve(values, y == classes[1])
    if name in _OF_ERRORS and y.dtype.kind in "biuf":
        predicted = observations.answers("predict")
        if predicted.shape[1:] != y.shape or predicted.dtype.kind not in "biuf":
            return None
        return _OF_ERRORS[name](predicted.astype(float) - y, y.astype(float))
    return None


# -- metrics that are sums ---------------------------------------------------------


def _mean_of(values: Array) -> Weighted:
    """Mean of a value per candidate and row."""

    def scores(counts: Array) -> Array:
        with np.errstate(invalid="ignore"):
            means: Array = (counts @ values.T) / counts.sum(axis=1)[:, None]
        return means

    return scores


def _root_of(weighted: Weighted) -> Weighted:
    def scores(counts: Array) -> Array:
        return -np.sqrt(-weighted(counts))

    return scores


def _mean_recall(correct: Array, y: Array) -> Weighted:
    """Mean over the classes that are there of the share of each that is found."""
    of_class = [y == value for value in np.unique(y)]

    def scores(counts: Array) -> Array:
        total = np.zeros((len(counts), len(correct)))
        n_there = np.zeros((len(counts), 1))
        for rows in of_class:
            there = counts[:, rows].sum(axis=1)[:, None]
            found = counts[:, rows] @ correct[:, rows].T
            total += np.where(there > 0, found / np.maximum(there, 1e-300), 0)
            n_there += there > 0
        with np.errstate(invalid="ignore"):
            means: Array = total / n_there
        return means

    return scores


def _r2(errors: Array, y: Array) -> Weighted:
    """Coefficient of determination; as scikit-learn has it for a constant target."""
    squared = errors**2
    centred = y - y.mean()

    def scores(counts: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (counts @ centred) / counts.sum(axis=1)
            total = counts @ centred**2 - counts.sum(axis=1) * mean**2
            residual = counts @ squared.T
            values = 1 - residual / total[:, None]
        # A target that is the same in all rows that count.
        low = np.where(counts > 0, y, np.inf).min(axis=1)
        high = np.where(counts > 0, y, -np.inf).max(axis=1)
        constant = np.where(residual == 0, 1.0, 0.0)
        values = np.where((low == high)[:, None], constant, values)
        return np.where((counts > 0).sum(axis=1)[:, None] < 2, np.nan, values)

    return scores


_OF_ERRORS: dict[str, Callable[[Array, Array], Weighted]] = {
    "neg_mean_squared_error": lambda errors, y: _mean_of(-(errors**2)),
    "neg_mean_absolute_error": lambda errors, y: _mean_of(-np.abs(errors)),
    "neg_root_mean_squared_error": lambda errors, y: _root_of(_mean_of(-(errors**2))),
    "r2": _r2,
}


def _log_likelihood(probabilities: Array, place: Array) -> Array:
    """Logarithm of each row's probability of its class, clipped as in scikit-learn."""
    tiny = np.finfo(probabilities.dtype).eps
    of_class = probabilities[:, np.arange(len(place)), place]
    logarithms: Array = np.log(np.clip(of_class, tiny, 1 - tiny)).astype(float)
    return logarithms


def _area_under_curve(values: Array, positive: Array) -> Weighted:
    """Area under the ROC curve: how often a positive row has more than a negative."""
    orders = np.argsort(values, axis=1, kind="stable")

    def scores(counts: Array) -> Array:
        result = np.empty((len(counts), len(values)))
        n_positive = counts @ positive
        n_negative = counts.sum(axis=1) - n_positive
        for candidate, order in enumerate(orders):
            sorted_values = values[candidate, order]
            starts = np.flatnonzero(np.r_[True, np.diff(sorted_values) != 0])
            ordered = counts[:, order]
            ups = np.add.reduceat(ordered * positive[order], starts, axis=1)
            downs = np.add.reduceat(ordered * ~positive[order], starts, axis=1)
            below = np.cumsum(downs, axis=1) - downs
            with np.errstate(invalid="ignore"):
                result[:, candidate] = (ups * (below + downs / 2)).sum(axis=1) / (
                    n_positive * n_negative
                )
        return result

    return scores


# -- any scorer --------------------------------------------------------------------


class _Looped:
    """Any scorer, called with a stand-in for each candidate and weighting."""

    def __init__(
        self,
        scoring: Any,
        observations: Observations,
        n_jobs: int | None,
        verbose: int,
    ):
        self._observations = observations
        # Once on all rows: a metric that never works is an error, and asks for its
        # answers before workers get them.
        everything = np.arange(len(observations))
        model = stand_in(observations, 0, everything)
        self._scorer = scorer_of(model, scoring)
        self._scorer(model, observations.rows(everything), observations.y)
        self._n_candidates = observations.n_candidates
        self._parallel = Parallel(n_jobs=n_jobs, verbose=verbose)

    def scores(self, counts: Array) -> Array:
        return self._called(counts, [range(self._n_candidates)] * len(counts))

    def chosen_scores(self, counts: Array, chosen: Array) -> Array:
        return self._called(counts, [[int(one)] for one in chosen])[:, 0]

    def _called(self, counts: Array, candidates: Sequence[Sequence[int]]) -> Array:
        return np.array(
            self._parallel(
                delayed(_scores_of)(self._scorer, self._observations, count, of_these)
                for count, of_these in zip(counts, candidates, strict=True)
            )
        )


def _scores_of(
    scorer: Any, observations: Observations, count: Array, candidates: Sequence[int]
) -> list[float]:
    """Score candidates on rows that count so often; nan where that is not defined."""
    rows = np.repeat(np.arange(len(count)), count.astype(int))
    if not len(rows):
        return [np.nan] * len(candidates)
    X, y = observations.rows(rows), observations.y[rows]
    found = []
    for candidate in candidates:
        with warnings.catch_warnings():
            # Samples in which a metric is not defined are nan here.
            warnings.simplefilter("ignore")
            try:
                score = float(scorer(stand_in(observations, candidate, rows), X, y))
            except ValueError:
                score = np.nan
        found.append(score)
    return found


def known_scoring(scoring: Any) -> Any:
    """Return what it is given, if it names no metric that scikit-learn does not have.

    Raises
    ------
    EvaluationError
        With similar names of metrics.
    """
    names = [scoring] if isinstance(scoring, str) else scoring
    if isinstance(names, list | tuple | set):
        known = get_scorer_names()
        for name in names:
            if isinstance(name, str) and name not in known:
                hint = did_you_mean(name, known) or (
                    "sklearn.metrics.get_scorer_names() lists all."
                )
                raise EvaluationError(f"There is no metric {name!r}. {hint}")
    return scoring


def scorer_of(model: Any, scoring: Any) -> Any:
    """Return the scorer of one metric."""
    if isinstance(scoring, Sequence | Mapping) and not isinstance(scoring, str):
        raise ValueError(
            f"scoring must be one metric, got {type(scoring).__name__}: choose one."
        )
    return check_scoring(model, known_scoring(scoring))


def stand_in(observations: Observations, candidate: int, rows: Array) -> Any:
    """Make an estimator that answers what a candidate has answered to some rows.

    Scorers ask it as they would ask the model, about exactly these rows.
    """
    if observations.classes is None:
        return _RecalledRegressor(observations, candidate, rows)
    return _RecalledClassifier(observations, candidate, rows)


def _answers_by(method: str) -> Callable[[Any], bool]:
    return lambda self: self.observations.has(method)


class _Recalled(BaseEstimator):  # type: ignore[misc]
    """An estimator that repeats what a candidate has answered."""

    def __init__(self, observations: Observations, candidate: int, rows: Array):
        self.observations = observations
        self.candidate = candidate
        self.rows = rows

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any = None) -> Any:
        return self

    def predict(self, X: Any) -> Array:
        return self._recall("predict", X)

    def _recall(self, method: str, X: Any) -> Array:
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        if n_rows != len(self.rows):
            raise TypeError(
                "The scorer asks about other rows than it was given, so stored answers "
                "do not serve it. Use a scorer that asks about all rows at once."
            )
        answers: Array = self.observations.answers(method)[self.candidate][self.rows]
        return answers


class _RecalledRegressor(RegressorMixin, _Recalled):  # type: ignore[misc]
    pass


class _RecalledClassifier(ClassifierMixin, _Recalled):  # type: ignore[misc]
    @property
    def classes_(self) -> Any:
        return self.observations.classes

    @available_if(_answers_by("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:
        return self._recall("predict_proba", X)

    @available_if(_answers_by("predict_log_proba"))  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> Array:
        return self._recall("predict_log_proba", X)

    @available_if(_answers_by("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Array:
        return self._recall("decision_function", X)

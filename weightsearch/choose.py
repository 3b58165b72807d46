"""Rules that choose a candidate, for the param ``refit`` of any search.

A rule takes ``cv_results_`` and returns an index, as scikit-learn asks of a callable
`refit`. It works with plain :class:`~sklearn.model_selection.GridSearchCV` as well, and
after the search with :meth:`weightsearch.TrackedSearch.choose` and
:meth:`weightsearch.Run.choose`. A rule is a small object of plain values, so it can be
pickled, compared and shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student_t

from weightsearch._display import did_you_mean

__all__ = [
    "NotSignificantlyWorse",
    "OneStandardError",
    "ParetoKnee",
    "WithinPercent",
    "pareto_front",
]

_Array = np.ndarray[Any, Any]

Simplest = str | Sequence[str] | Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class OneStandardError:
    r"""The simplest candidate within one standard error of the best.

    The rule of Breiman et al. [1]_: of all candidates whose mean score is at least
    that of the best one less its standard error, take the simplest. The standard error
    is :math:`s / \sqrt{K}`, with :math:`s` the standard deviation (``ddof=1``) of the
    best candidate's scores in the :math:`K` splits [2]_.

    Parameters
    ----------
    simplest : str, sequence of str or dict, default="mean_fit_time"
        What makes a candidate simple. A param (``"C"``), a column of ``cv_results_``
        (``"mean_fit_time"``), or ``"n_weights"``, the number of stored weights, known
        after the search only. The smallest value is the simplest; a minus
        (``"-alpha"``) makes it the largest. Of several names, the first decides, and
        each later one breaks ties. A dict gives the order of values itself, simplest
        first: ``{"kernel": ["linear", "rbf"]}``. Among equally simple candidates the
        one of the best mean score counts, then the first.
    metric : str, default=None
        The metric that decides, where the search has several.

    See Also
    --------
    WithinPercent : A fixed loss instead of the standard error.
    NotSignificantlyWorse : A test instead of the standard error.

    References
    ----------
    .. [1] L. Breiman, J. Friedman, C. Stone, R. Olshen, Classification and Regression
       Trees, 1984, section 3.4.3.
    .. [2] T. Hastie, R. Tibshirani, J. Friedman, The Elements of Statistical Learning,
       2nd edition, 2009, section 7.10.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from weightsearch.choose import OneStandardError
    >>> search = GridSearchCV(
    ...     LogisticRegression(max_iter=1000),
    ...     {"C": [0.01, 0.1, 1.0, 10.0, 100.0]},
    ...     refit=OneStandardError(simplest="C"),
    ... ).fit(*load_iris(return_X_y=True))
    >>> search.best_params_
    {'C': 1.0}
    """

    simplest: Simplest = "mean_fit_time"
    metric: str | None = None

    def __call__(self, cv_results: Mapping[str, Any]) -> int:
        """Return the index of the chosen candidate."""
        means, scores = _scores(cv_results, self.metric)
        best = scores[int(np.nanargmax(means))]
        n_splits = len(best)
        if n_splits < 2:
            raise ValueError(
                "A standard error needs the scores of at least 2 splits, got "
                f"{n_splits}. Choose with WithinPercent, or search with more splits."
            )
        error = float(np.std(best, ddof=1)) / np.sqrt(n_splits)
        return _simplest(cv_results, means >= np.nanmax(means) - error, means, self)


@dataclass(frozen=True)
class WithinPercent:
    r"""The simplest candidate within some percent of the best mean score.

    Candidates count whose loss :math:`100\,(b - s) / |b|` is at most `percent`, where
    :math:`b` is the best mean score and :math:`s` the candidate's.

    Parameters
    ----------
    percent : float, default=1.0
        The largest loss, in percent of the best score.
    simplest : str, sequence of str or dict, default="mean_fit_time"
        What makes a candidate simple; see :class:`OneStandardError`.
    metric : str, default=None
        The metric that decides, where the search has several.

    See Also
    --------
    OneStandardError : The spread over the splits decides how much may be lost.

    Examples
    --------
    >>> from weightsearch.choose import WithinPercent
    >>> results = {
    ...     "params": [{"depth": 9}, {"depth": 3}, {"depth": 1}],
    ...     "mean_test_score": [0.900, 0.895, 0.700],
    ... }
    >>> WithinPercent(1, simplest="depth")(results)
    1
    """

    percent: float = 1.0
    simplest: Simplest = "mean_fit_time"
    metric: str | None = None

    def __call__(self, cv_results: Mapping[str, Any]) -> int:
        """Return the index of the chosen candidate."""
        if not self.percent >= 0:
            raise ValueError(f"percent must not be negative, got {self.percent!r}.")
        means, _ = _scores(cv_results, self.metric)
        best = float(np.nanmax(means))
        near = means >= best - abs(best) * self.percent / 100
        return _simplest(cv_results, near, means, self)


@dataclass(frozen=True)
class NotSignificantlyWorse:
    """The simplest candidate that is not significantly worse than the best.

    Each candidate's scores are compared with the best one's in the same splits by the
    corrected resampled t-test [1]_, one-sided. Splits share training data, so that
    their scores depend on each other; the test allows for this by the variance
    :math:`s^2 (1/K + n_{test}/n_{train})`. A candidate that is not rejected at level
    `alpha` is taken to be as good as the best. The level holds for each comparison by
    itself.

    Parameters
    ----------
    test_size : float
        Share of the rows in the test set of a split: ``1 / n_splits`` for k-fold
        cross-validation (0.2 for 5 folds), the `test_size` of
        :class:`~sklearn.model_selection.ShuffleSplit` otherwise. ``cv_results_`` does
        not tell it.
    alpha : float, default=0.05
        Level of significance.
    simplest : str, sequence of str or dict, default="mean_fit_time"
        What makes a candidate simple; see :class:`OneStandardError`.
    metric : str, default=None
        The metric that decides, where the search has several.

    See Also
    --------
    weightsearch.Run.compare_scores : The test itself, between any two candidates.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, Inference for the generalization error, Machine
       Learning 52, 239-281, 2003.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from weightsearch.choose import NotSignificantlyWorse
    >>> search = GridSearchCV(
    ...     DecisionTreeClassifier(random_state=0),
    ...     {"max_depth": [1, 2, 3, 4, 5, 6]},
    ...     cv=5,
    ...     refit=NotSignificantlyWorse(test_size=0.2, simplest="max_depth"),
    ... ).fit(*load_iris(return_X_y=True))
    >>> search.best_params_
    {'max_depth': 2}
    """

    test_size: float
    alpha: float = 0.05
    simplest: Simplest = "mean_fit_time"
    metric: str | None = None

    def __call__(self, cv_results: Mapping[str, Any]) -> int:
        """Return the index of the chosen candidate."""
        if not 0 < self.test_size < 1:
            raise ValueError(
                "test_size is the share of rows in a test set, between 0 and 1; got "
                f"{self.test_size!r}."
            )
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1, got {self.alpha!r}.")
        means, scores = _scores(cv_results, self.metric)
        n_splits = scores.shape[1]
        if n_splits < 2:
            raise ValueError(
                f"A test needs the scores of at least 2 splits, got {n_splits}. Choose "
                "with WithinPercent, or search with more splits."
            )
        worse_by = scores[int(np.nanargmax(means))] - scores
        ratio = self.test_size / (1 - self.test_size)
        error = np.sqrt(corrected_variance(worse_by, ratio))
        mean = worse_by.mean(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            p_values = student_t.sf(mean / error, n_splits - 1)
        # Differences that are all equal have no spread: worse for sure, or the same.
        p_values = np.where(error == 0, np.where(mean > 0, 0.0, 1.0), p_values)
        return _simplest(cv_results, p_values > self.alpha, means, self)


@dataclass(frozen=True)
class ParetoKnee:
    """The best compromise of two or more aims, such as score and time.

    Of the candidates that no other one beats in every aim (the Pareto front), the one
    that is closest to the ideal point [1]_: each aim is scaled to the front's range, 0
    for the best value and 1 for the worst, and the Euclidean distance to the best value
    of all aims is the smallest. Of equal distances the first candidate counts.

    Parameters
    ----------
    *aims : str
        Names of metrics (``"score"`` where the search has one), which are to be large,
        or columns of ``cv_results_``, params, or ``"n_weights"``, which are to be
        small. A minus reverses it: ``"-mean_fit_time"`` looks for slow fits.
        At least two.

    See Also
    --------
    pareto_front : All candidates of the front.

    References
    ----------
    .. [1] M. Zeleny, Compromise programming, in: Multiple Criteria Decision Making,
       University of South Carolina Press, 1973, 262-301.

    Examples
    --------
    >>> from weightsearch.choose import ParetoKnee
    >>> results = {
    ...     "params": [{}, {}, {}],
    ...     "mean_test_score": [0.80, 0.89, 0.90],
    ...     "mean_fit_time": [1.0, 2.0, 9.0],
    ... }
    >>> ParetoKnee("score", "mean_fit_time")(results)
    1
    """

    aims: tuple[str, ...]

    def __init__(self, *aims: str) -> None:
        object.__setattr__(self, "aims", aims)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.aims))})"

    def __call__(self, cv_results: Mapping[str, Any]) -> int:
        """Return the index of the chosen candidate."""
        front = pareto_front(cv_results, self.aims)
        costs = np.column_stack([_cost(cv_results, aim)[front] for aim in self.aims])
        lowest = costs.min(axis=0)
        spread = np.ptp(costs, axis=0)
        scaled = (costs - lowest) / np.where(spread == 0, 1, spread)
        return int(front[np.argmin((scaled**2).sum(axis=1))])


def pareto_front(cv_results: Mapping[str, Any], aims: Sequence[str]) -> _Array:
    """Candidates that no other one beats in every aim.

    A candidate is beaten where another one is at least as good in all aims and better
    in one. Candidates with a missing value in an aim are left out.

    Parameters
    ----------
    cv_results : dict
        As of a search.
    aims : sequence of str
        At least two; see :class:`ParetoKnee`.

    Returns
    -------
    candidates : ndarray of shape (n,), int
        Their indices, in order.

    Examples
    --------
    >>> from weightsearch.choose import pareto_front
    >>> results = {
    ...     "params": [{}, {}, {}],
    ...     "mean_test_score": [0.8, 0.7, 0.9],
    ...     "mean_fit_time": [1.0, 2.0, 9.0],
    ... }
    >>> pareto_front(results, ["score", "mean_fit_time"])
    array([0, 2])
    """
    if isinstance(aims, str) or len(aims) < 2:
        raise ValueError(f"At least two aims are needed, got {aims!r}.")
    costs = np.column_stack([_cost(cv_results, aim) for aim in aims])
    costs[~_in_last_iteration(cv_results)] = np.nan
    known = np.flatnonzero(~np.isnan(costs).any(axis=1))
    if not len(known):
        raise ValueError(
            f"No candidate has a value for all of {', '.join(map(repr, aims))}."
        )
    # One candidate after the other: a table of all pairs would not fit for many.
    beaten = [
        bool(
            np.any(
                (costs[known] <= costs[one]).all(axis=1)
                & (costs[known] < costs[one]).any(axis=1)
            )
        )
        for one in known
    ]
    front: _Array = known[~np.array(beaten)]
    return front


def corrected_variance(differences: _Array, test_to_train: float) -> _Array:
    """Variance of a mean difference over splits that share training data.

    Parameters
    ----------
    differences : ndarray of shape (..., n_splits)
    test_to_train : float
        Rows in the test set divided by those in the training set.

    Returns
    -------
    variance : ndarray of shape (...)
        :math:`s^2 (1/K + n_{test}/n_{train})` of Nadeau and Bengio (2003), with
        :math:`s^2` the sample variance.
    """
    n_splits = differences.shape[-1]
    # A constant difference has no spread, whatever the rounding of its mean says.
    constant = np.ptp(differences, axis=-1) == 0
    variance = np.var(differences, axis=-1, ddof=1)
    corrected = variance * (1 / n_splits + test_to_train)
    return np.where(constant, 0.0, corrected)


# -- inside --------------------------------------------------------------------------


def metrics_of(cv_results: Mapping[str, Any]) -> list[str]:
    """Return the names of a search's metrics."""
    prefix = "mean_test_"
    return [name[len(prefix) :] for name in cv_results if name.startswith(prefix)]


def split_scores(cv_results: Mapping[str, Any], metric: str) -> _Array:
    """Return the test scores of a metric, of shape (n_candidates, n_splits)."""
    columns: list[_Array] = []
    while (name := f"split{len(columns)}_test_{metric}") in cv_results:
        columns.append(np.asarray(cv_results[name], dtype=float))
    n_candidates = len(cv_results[f"mean_test_{metric}"])
    return np.column_stack(columns) if columns else np.empty((n_candidates, 0))


def _scores(cv_results: Mapping[str, Any], metric: str | None) -> tuple[_Array, _Array]:
    """Mean scores and scores per split of all candidates that may be chosen.

    Means are nan for candidates that failed or ended in an earlier iteration.
    """
    metrics = metrics_of(cv_results)
    if metric is None and len(metrics) == 1:
        metric = metrics[0]
    if metric is None or metric not in metrics:
        known = ", ".join(map(repr, metrics)) or "none"
        problem = "metric is not given" if metric is None else f"No metric {metric!r}"
        raise ValueError(f"{problem}: the search has {known}. Pass metric=...")
    means = np.array(cv_results[f"mean_test_{metric}"], dtype=float)
    means[~_in_last_iteration(cv_results)] = np.nan
    if np.isnan(means).all():
        raise ValueError(f"No candidate has a mean {metric!r}: all fits failed.")
    return means, split_scores(cv_results, metric)


def _in_last_iteration(cv_results: Mapping[str, Any]) -> _Array:
    """Candidates that were given the most resources, all where there is one round."""
    if "iter" not in cv_results:
        return np.ones(len(cv_results["params"]), dtype=bool)
    iterations = np.asarray(cv_results["iter"])
    last: _Array = iterations == iterations.max()
    return last


def _simplest(
    cv_results: Mapping[str, Any], near: _Array, means: _Array, rule: Any
) -> int:
    """Return the simplest of some candidates."""
    wanted = rule.simplest
    keys: list[_Array] = []
    if isinstance(wanted, Mapping):
        keys.extend(
            _place(cv_results, name, list(order)) for name, order in wanted.items()
        )
    else:
        names = [wanted] if isinstance(wanted, str) else list(wanted)
        keys.extend(_column(cv_results, name) for name in names)
    if not keys:
        raise ValueError("simplest names nothing: give a param or a column.")
    eligible = np.flatnonzero(near & ~np.isnan(means))
    # lexsort sorts by its last key first, and leaves equal ones in their order.
    order = np.lexsort([-means[eligible], *(key[eligible] for key in reversed(keys))])
    return int(eligible[order[0]])


def _cost(cv_results: Mapping[str, Any], aim: str) -> _Array:
    """An aim as something that is to be small."""
    name = aim.removeprefix("-")
    metric = name.removeprefix("mean_test_")
    if metric in metrics_of(cv_results):
        score = np.array(cv_results[f"mean_test_{metric}"], dtype=float)
        return score if aim != name else -score
    return _column(cv_results, aim)


def _column(cv_results: Mapping[str, Any], name: str) -> _Array:
    """Values of a column or param as numbers, small ones for simple candidates.

    A candidate without the param is last.
    """
    plain = name.removeprefix("-")
    values = _values(cv_results, plain)
    try:
        numbers = np.array(
            [np.nan if _is_missing(value) else float(value) for value in values]
        )
    except (TypeError, ValueError):
        shown = ", ".join(dict.fromkeys(map(repr, values)))[:200]
        raise ValueError(
            f"{plain!r} has values that are not numbers: {shown}. Give their order: "
            f"simplest={{{plain!r}: [...]}}, simplest first."
        ) from None
    numbers = -numbers if name != plain else numbers
    return np.where(np.isnan(numbers), np.inf, numbers)


def _place(cv_results: Mapping[str, Any], name: str, order: Sequence[Any]) -> _Array:
    """Places of a param's values in an order that is given."""
    places = []
    for value in _values(cv_results, name):
        found = [n for n, other in enumerate(order) if _same(value, other)]
        if not found and not _is_absent(value):
            raise ValueError(
                f"simplest does not say where {name}={value!r} stands; its order is "
                f"{order!r}."
            )
        places.append(found[0] if found else len(order))
    return np.array(places, dtype=float)


def _values(cv_results: Mapping[str, Any], name: str) -> Sequence[Any]:
    """Values of a column of ``cv_results_``, or of a param."""
    if name in cv_results and name != "params":
        return list(cv_results[name])
    param = name.removeprefix("param_")
    params = cv_results["params"]
    if any(param in candidate for candidate in params):
        return [candidate.get(param, _ABSENT) for candidate in params]
    if name == "n_weights":
        raise ValueError(
            "The number of weights is known after the search only. Choose with "
            "search.choose(rule) or run.choose(rule)."
        )
    known = dict.fromkeys(key for candidate in params for key in candidate)
    columns = [column for column in cv_results if column.startswith("mean_")]
    hint = did_you_mean(name, [*known, *cv_results]) or (
        f"Params: {', '.join(known)}. Columns: {', '.join(columns)}."
    )
    raise ValueError(f"{name!r} is neither a param nor a column of the results. {hint}")


_ABSENT = object()


def _is_absent(value: Any) -> bool:
    return value is _ABSENT


def _is_missing(value: Any) -> bool:
    return value is _ABSENT or value is None or value is np.ma.masked


def _same(value: Any, other: Any) -> bool:
    if value is other:
        return True
    try:
        return bool(value == other)
    except (TypeError, ValueError):
        return False

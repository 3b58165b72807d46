"""How good the candidates of a run are, and how much they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._display import did_you_mean
from weightsearch._records import Array
from weightsearch.choose import metrics_of, split_scores
from weightsearch.evaluate._agreement import Agreement, agreement_of
from weightsearch.evaluate._bootstrap import (
    BiasCorrectedScore,
    bias_corrected,
    blocks_of_rows,
)
from weightsearch.evaluate._metrics import metric_for
from weightsearch.evaluate._observed import OutOfFold
from weightsearch.evaluate._score_tests import ScoreComparison, compare_split_scores
from weightsearch.exceptions import EvaluationError

__all__ = ["agreement", "bias_corrected_score", "compare_scores"]

Candidates = Iterable[Any] | None


def bias_corrected_score(
    run: Any,
    X: Any,
    y: Any,
    *,
    scoring: Any,
    n_bootstraps: int,
    confidence: float,
    groups: Any,
    block_length: int | None,
    random_state: Any,
    candidates: Candidates,
    **options: Any,
) -> BiasCorrectedScore:
    """Implement :meth:`weightsearch.Run.bias_corrected_score`."""
    found = OutOfFold(run, X, y, candidates, **options)
    blocks = blocks_of_rows(found.models.n_samples, groups, block_length)
    return bias_corrected(
        *metric_for(
            found.scoring(run, scoring),
            found.observations,
            n_jobs=options.get("n_jobs"),
            verbose=options.get("verbose", 0),
        ),
        blocks[found.rows],
        found.of_split,
        found.candidates,
        n_bootstraps=n_bootstraps,
        confidence=confidence,
        random_state=random_state,
    )


def agreement(
    run: Any,
    X: Any,
    y: Any,
    *,
    epsilon: float,
    metric: str | None,
    tolerance: float | None,
    candidates: Candidates,
    **options: Any,
) -> Agreement:
    """Implement :meth:`weightsearch.Run.agreement`."""
    if not epsilon >= 0:
        raise EvaluationError(f"epsilon must not be negative, got {epsilon!r}.")
    near = near_best(run, epsilon, metric, candidates)
    found = OutOfFold(run, X, y, near, **options)
    if tolerance is None:
        if found.kind == "regressor":
            raise EvaluationError(
                "Predictions of numbers nearly always differ: pass tolerance=..., the "
                "largest difference that does not count."
            )
        tolerance = 0.0
    return agreement_of(
        found.observations.answers("predict"),
        found.rows,
        found.models.n_samples,
        found.candidates,
        tolerance=tolerance,
    )


def near_best(
    run: Any, epsilon: float, metric: str | None, candidates: Candidates
) -> list[int]:
    """Candidates whose mean score is within `epsilon` of the best, best first."""
    means = mean_scores(run, metric)
    numbers = np.arange(len(run))
    if candidates is not None:
        numbers = np.array([run._number(candidate) for candidate in candidates])
        if not len(numbers):
            raise EvaluationError("candidates names no candidate.")
    scores = means[numbers]
    if np.isnan(scores).all():
        raise EvaluationError("None of these candidates has a score.")
    order = np.argsort(np.where(np.isnan(scores), np.inf, -scores), kind="stable")
    # A score that is epsilon below by its digits may be so by a rounding more.
    lowest = np.nanmax(scores) - epsilon * (1 + 1e-9)
    near: list[int] = numbers[order][scores[order] >= lowest].tolist()
    return near


def compare_scores(
    run: Any,
    a: Any,
    b: Any,
    *,
    metric: str | None,
    rope: float,
    confidence: float,
) -> ScoreComparison | pd.DataFrame:
    """Implement :meth:`weightsearch.Run.compare_scores`."""
    first = run._number(a)
    name = main_metric(run, metric)
    scores = split_scores(run._source.cv_results(), name)
    if b is not None:
        second = run._number(b)
        ratio = _test_to_train(run, first, second)
        return compare_split_scores(
            scores[first], scores[second], ratio, rope=rope, confidence=confidence
        )
    found = {}
    for other in range(len(run)):
        both = ~np.isnan(scores[first] - scores[other])
        if other != first and both.sum() > 1 and _same_splits(run, first, other):
            ratio = _test_to_train(run, first, other)
            found[other] = compare_split_scores(
                scores[first], scores[other], ratio, rope=rope, confidence=confidence
            )
    if not found:
        raise EvaluationError(
            f"No other candidate has scores in two splits of candidate {first}."
        )
    names = ("difference", "statistic", "p_value")
    columns = {name: [getattr(one, name) for one in found.values()] for name in names}
    columns["p_adjusted"] = holm(np.array(columns["p_value"])).tolist()
    for name in ("p_first_better", "p_equivalent", "p_second_better"):
        columns[name] = [getattr(one, name) for one in found.values()]
    return pd.DataFrame(columns, index=pd.Index(found, name="candidate"))


def holm(p_values: Array) -> Array:
    """Adjust p-values for their number by Holm's method.

    References
    ----------
    S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian
    Journal of Statistics 6, 65-70, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def _same_splits(run: Any, first: int, second: int) -> bool:
    return all(
        a is b or np.array_equal(a, b)
        for one, other in zip(run.splits(first), run.splits(second), strict=False)
        for a, b in zip(one, other, strict=True)
    )


def _test_to_train(run: Any, first: int, second: int) -> float:
    """Rows in the test sets divided by those in the training sets."""
    if not _same_splits(run, first, second):
        raise EvaluationError(
            f"Candidates {first} and {second} were tested on different splits, as in "
            "the rounds of a halving search, so that their scores make no pairs."
        )
    sizes = np.array([[len(train), len(test)] for train, test in run.splits(first)])
    n_train, n_test = sizes.mean(axis=0)
    return float(n_test / n_train)


def mean_scores(run: Any, metric: str | None) -> Array:
    """Mean test scores of all candidates."""
    name = main_metric(run, metric)
    return np.asarray(run._source.cv_results()[f"mean_test_{name}"], dtype=float)


def main_metric(run: Any, metric: str | None) -> str:
    """Return a metric of the search that is given, or the one of its refit."""
    results: Mapping[str, Array] = run._source.cv_results()
    if not results:
        raise EvaluationError(
            f"Run {run.name} is {run.status}: its results are not complete."
        )
    known = metrics_of(results)
    if metric is None:
        refit = run.settings.get("refit")
        metric = refit if refit in known else known[0] if len(known) == 1 else None
    if metric is None or metric not in known:
        hint = did_you_mean(str(metric), known)
        raise EvaluationError(
            f"metric must be one of {', '.join(map(repr, known))}, got {metric!r}. "
            f"{hint}".rstrip()
        )
    return metric

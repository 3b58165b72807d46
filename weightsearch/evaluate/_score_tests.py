"""Tests between the scores of two candidates in the same splits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from weightsearch._records import Array
from weightsearch.choose import corrected_variance

__all__ = ["ScoreComparison", "compare_split_scores"]


@dataclass(frozen=True)
class ScoreComparison:
    """Two candidates' scores compared, as :meth:`weightsearch.Run.compare_scores` does.

    Attributes
    ----------
    difference : float
        Mean score of the first candidate less that of the second.
    interval : tuple of float
        Confidence interval of the difference; at the same time the interval that
        holds it with that probability, given the scores.
    statistic, p_value : float
        Of the corrected resampled t-test, two-sided.
    p_first_better, p_equivalent, p_second_better : float
        Probabilities of the Bayesian test: that the first candidate is better by more
        than `rope`, that they differ by at most `rope`, that the second is better.
    rope : float
        Half the width of the region of practical equivalence.
    confidence : float
        Of the interval.
    n_splits : int
        Splits in which both were scored.
    """

    difference: float
    interval: tuple[float, float]
    statistic: float
    p_value: float
    p_first_better: float
    p_equivalent: float
    p_second_better: float
    rope: float
    confidence: float
    n_splits: int

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"difference {self.difference:.4g} ({self.confidence:.0%} interval "
            f"{low:.4g} to {high:.4g}), p = {self.p_value:.3g}; probability that the "
            f"first is better by more than {self.rope:g}: {self.p_first_better:.3f}, "
            f"equivalent: {self.p_equivalent:.3f}, worse: {self.p_second_better:.3f}"
        )


def compare_split_scores(
    first: Array,
    second: Array,
    test_to_train: float,
    *,
    rope: float = 0.01,
    confidence: float = 0.95,
) -> ScoreComparison:
    """Compare scores in the same splits by the corrected t-test and its Bayesian twin.

    Parameters
    ----------
    first, second : ndarray of shape (n_splits,)
        Splits in which one of them is nan are left out.
    test_to_train : float
        Rows in the test set divided by those in the training set.
    rope : float, default=0.01
    confidence : float, default=0.95

    Returns
    -------
    ScoreComparison

    Raises
    ------
    ValueError
        If fewer than two splits have both scores, or a number is out of its range.

    References
    ----------
    C. Nadeau, Y. Bengio, Inference for the generalization error, Machine Learning 52,
    2003. A. Benavoli, G. Corani, J. Demsar, M. Zaffalon, Time for a change: a tutorial
    for comparing multiple classifiers through Bayesian analysis, JMLR 18(77), 2017.
    """
    if not rope >= 0:
        raise ValueError(f"rope must not be negative, got {rope!r}.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence!r}.")
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    differences = differences[~np.isnan(differences)]
    n_splits = len(differences)
    if n_splits < 2:
        raise ValueError(
            f"Both candidates have a score in {n_splits} split(s); a test needs at "
            "least 2."
        )
    mean = float(differences.mean())
    scale = float(np.sqrt(corrected_variance(differences, test_to_train)))
    degrees = n_splits - 1
    if scale == 0:
        # Without any spread the posterior is a point, and the test has one answer.
        low = high = mean = float(differences[0])
        statistic = float(np.sign(mean)) * np.inf if mean else 0.0
        p_value = 0.0 if mean else 1.0
        p_first, p_second = float(mean > rope), float(mean < -rope)
    else:
        statistic = mean / scale
        p_value = 2 * float(student_t.sf(abs(statistic), degrees))
        low, high = map(
            float, student_t.interval(confidence, degrees, loc=mean, scale=scale)
        )
        p_first = float(student_t.sf(rope, degrees, loc=mean, scale=scale))
        p_second = float(student_t.cdf(-rope, degrees, loc=mean, scale=scale))
    return ScoreComparison(
        difference=mean,
        interval=(low, high),
        statistic=float(statistic),
        p_value=p_value,
        p_first_better=p_first,
        p_equivalent=max(0.0, 1 - p_first - p_second),
        p_second_better=p_second,
        rope=rope,
        confidence=confidence,
        n_splits=n_splits,
    )

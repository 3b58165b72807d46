"""Bias-corrected bootstrap of the score of the candidate that a search picks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from weightsearch._records import Array

__all__ = ["BiasCorrectedScore", "bias_corrected", "blocks_of_rows"]

_CHUNK = 1 << 23
"""Counts in memory at a time (64 MB)."""


@dataclass(frozen=True)
class BiasCorrectedScore:
    """What to expect of the picked candidate on new data.

    As :meth:`weightsearch.Run.bias_corrected_score` returns it.

    Attributes
    ----------
    score : float
        Bias-corrected estimate: the mean of `samples`.
    interval : tuple of float
        Percentiles of `samples` that enclose `confidence` of them.
    best_score : float
        The best mean score over the splits, as a search has it in ``best_score_``.
    optimism : float
        ``best_score - score``: by how much the best score is too high.
    confidence : float
    n_bootstraps : int
        Bootstrap samples with a score; others are left out, as where a sample has one
        class only.
    samples : ndarray of shape (n_bootstraps,)
        Scores of the candidate that was picked on a sample, on the rows that are not in
        it.
    picked : ndarray of shape (n_bootstraps,), int
        That candidate.
    """

    score: float
    interval: tuple[float, float]
    best_score: float
    optimism: float
    confidence: float
    n_bootstraps: int
    samples: Array = field(repr=False)
    picked: Array = field(repr=False)

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.score:.4g} ({self.confidence:.0%} interval {low:.4g} to "
            f"{high:.4g}); best_score_ is {self.best_score:.4g}, higher by "
            f"{self.optimism:.2g}"
        )


def blocks_of_rows(
    n_samples: int, groups: Any = None, block_length: int | None = None
) -> Array:
    """Number the blocks of rows that a bootstrap draws as a whole.

    Parameters
    ----------
    n_samples : int
    groups : array-like of shape (n_samples,), default=None
        Rows of one group are one block.
    block_length : int, default=None
        That many consecutive rows are one block, for rows in order of time [1]_.

    Returns
    -------
    blocks : ndarray of shape (n_samples,), int

    References
    ----------
    .. [1] E. Carlstein, The use of subseries values for estimating the variance of a
       general statistic from a stationary sequence, Annals of Statistics 14, 1986.
    """
    if groups is not None and block_length is not None:
        raise ValueError("Give groups or block_length, not both.")
    if groups is not None:
        given = np.asarray(groups)
        if given.shape != (n_samples,):
            raise ValueError(
                f"groups must have one value per row, {n_samples}; got shape "
                f"{given.shape}."
            )
        blocks: Array = np.unique(given, return_inverse=True)[1]
        return blocks
    if block_length is None:
        return np.arange(n_samples)
    if not 1 <= block_length < n_samples:
        raise ValueError(
            f"block_length must be from 1 to {n_samples - 1}, got {block_length!r}."
        )
    return np.arange(n_samples) // int(block_length)


def bias_corrected(
    scores: Callable[[Array], Array],
    chosen_scores: Callable[[Array, Array], Array],
    blocks: Array,
    splits: Array,
    candidates: Array,
    *,
    n_bootstraps: int = 1000,
    confidence: float = 0.95,
    random_state: Any = None,
) -> BiasCorrectedScore:
    """Estimate the score of a candidate that is picked by its score.

    Bootstrap bias corrected cross-validation (BBC-CV) [1]_: pick the best candidate on
    a bootstrap sample of the out-of-fold answers, score it on the rows that are not in
    the sample, and take the mean.

    Parameters
    ----------
    scores, chosen_scores : callable
        As of :func:`weightsearch.evaluate._metrics.metric_for`.
    blocks : ndarray of shape (n_observations,), int
        Observations of one block are drawn together.
    splits : ndarray of shape (n_observations,), int
        The split that tested each observation.
    candidates : ndarray of shape (n_candidates,), int
        Their numbers.
    n_bootstraps : int, default=1000
    confidence : float, default=0.95
    random_state : int, RandomState or None, default=None

    Returns
    -------
    BiasCorrectedScore

    References
    ----------
    .. [1] I. Tsamardinos, E. Greasidou, G. Borboudakis, Bootstrapping the out-of-sample
       predictions for efficient and accurate cross-validation, Machine Learning 107,
       1895-1922, 2018.
    """
    if n_bootstraps < 2:
        raise ValueError(f"n_bootstraps must be at least 2, got {n_bootstraps!r}.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence!r}.")
    _, blocks = np.unique(blocks, return_inverse=True)
    n_blocks = int(blocks.max()) + 1
    if n_blocks < 2:
        raise ValueError("All rows are in one block; a bootstrap needs at least 2.")
    random = check_random_state(random_state)
    step = max(1, _CHUNK // len(blocks))
    samples: list[Array] = []
    picked: list[Array] = []
    for start in range(0, n_bootstraps, step):
        number = min(step, n_bootstraps - start)
        drawn = random.randint(n_blocks, size=(number, n_blocks))
        of_block = np.zeros((number, n_blocks))
        np.add.at(of_block, (np.arange(number)[:, None], drawn), 1)
        counts = of_block[:, blocks]
        inside = scores(counts)
        best = np.argmax(np.where(np.isnan(inside), -np.inf, inside), axis=1)
        outside = chosen_scores((counts == 0).astype(float), best)
        defined = ~np.isnan(inside).all(axis=1) & ~np.isnan(outside)
        samples.append(outside[defined])
        picked.append(candidates[best[defined]])
    found = np.concatenate(samples)
    if len(found) < max(2, n_bootstraps / 2):
        raise ValueError(
            f"The metric is not defined in {n_bootstraps - len(found)} of "
            f"{n_bootstraps} bootstrap samples, as where a sample has one class only. "
            "Use another metric, or larger data."
        )
    per_split = scores(
        np.array([splits == split for split in np.unique(splits)], dtype=float)
    )
    best_score = float(np.nanmax(per_split.mean(axis=0)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    score = float(found.mean())
    return BiasCorrectedScore(
        score=score,
        interval=(float(low), float(high)),
        best_score=best_score,
        optimism=best_score - score,
        confidence=confidence,
        n_bootstraps=len(found),
        samples=found,
        picked=np.concatenate(picked),
    )

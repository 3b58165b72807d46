"""Greedy selection of an ensemble on out-of-fold answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightsearch._records import Array
from weightsearch.evaluate._metrics import Observations, metric_for

__all__ = ["Selection", "greedy_selection", "score_of_sums", "vote_shares"]


@dataclass(frozen=True)
class Selection:
    """Members of an ensemble, chosen one after the other.

    As :meth:`weightsearch.Run.select_ensemble` returns it.

    Attributes
    ----------
    candidates : ndarray of shape (n_members,), int
        The members, each once, the one of most votes first.
    votes : ndarray of shape (n_members,), int
        How often each was chosen.
    score : float
        Score of the ensemble's out-of-fold answers. The ensemble was chosen by it, so
        that it is too high for new data.
    order : ndarray of shape (n_steps,), int
        The candidates in the order in which they were chosen. The ensemble consists of
        the first ``votes.sum()``, with which the score was the best.
    scores : ndarray of shape (n_steps,)
        Score after each step.
    """

    candidates: Array
    votes: Array
    score: float
    order: Array
    scores: Array

    def __str__(self) -> str:
        members = ", ".join(
            f"{candidate} ({vote})"
            for candidate, vote in zip(self.candidates, self.votes, strict=True)
        )
        return f"score {self.score:.4g}; candidates (votes): {members}"


def vote_shares(predicted: Array, classes: Array) -> Array:
    """Predicted classes as votes, 1 for the class and 0 for the others."""
    votes: Array = (predicted[..., None] == classes).astype(float)
    return votes


def score_of_sums(
    scoring: Any,
    y: Array,
    classes: Array | None,
    rows: Any,
    *,
    soft: bool,
    n_jobs: int | None = None,
) -> Callable[[Array, int], Array]:
    """Return a function that scores ensembles by the sum of their members' answers.

    Parameters
    ----------
    scoring : str or callable
    y : ndarray of shape (n_observations,)
    classes : ndarray or None
        Of classifiers.
    rows : callable
        As of :class:`~weightsearch.evaluate._metrics.Observations`.
    soft : bool
        Whether the answers are probabilities, and not votes for a class.
    n_jobs : int, default=None
        Workers, where the scorer is called for each ensemble.

    Returns
    -------
    score : callable
        From sums of shape (n_ensembles, n_observations, ...) and the number of members
        to scores of shape (n_ensembles,).
    """
    everything = np.ones((1, len(y)))

    def score(sums: Array, n_members: int) -> Array:
        means = sums / n_members
        if classes is None:
            answers = {"predict": means}
        else:
            answers = {"predict": classes[np.argmax(means, axis=-1)]}
            if soft:
                answers["predict_proba"] = means
        observations = Observations(y, answers, classes, rows)
        scores, _ = metric_for(scoring, observations, n_jobs=n_jobs)
        of_each: Array = scores(everything)[0]
        return of_each

    return score


def greedy_selection(
    answers: Array,
    score: Callable[[Array, int], Array],
    candidates: Array,
    *,
    size: int = 50,
    n_init: int = 1,
) -> Selection:
    """Choose members that together score best, with replacement [1]_.

    Start with the `n_init` best candidates, then add at each step the one with which
    the mean of the answers scores best, whether it is a member or not. Of the ensembles
    met on the way the best one counts, and of equal ones the smallest. Ties go to the
    candidate of the better score alone, then to the first.

    Parameters
    ----------
    answers : ndarray of shape (n_candidates, n_observations, ...)
    score : callable
        As of :func:`score_of_sums`.
    candidates : ndarray of shape (n_candidates,), int
        Their numbers.
    size : int, default=50
        Largest number of members, counted as often as they were chosen.
    n_init : int, default=1
        Members to start with.

    Returns
    -------
    Selection

    References
    ----------
    .. [1] R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes, Ensemble selection from
       libraries of models, ICML 2004.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size!r}.")
    if not 1 <= n_init <= min(size, len(candidates)):
        raise ValueError(
            f"n_init must be from 1 to {min(size, len(candidates))}, got {n_init!r}: "
            "no more than size, and no more than there are candidates."
        )
    alone = np.asarray(score(answers, 1), dtype=float)
    if np.isnan(alone).all():
        raise ValueError("The metric is not defined for any candidate's answers.")
    # Best first, so that the first maximum is the right one of equal ones.
    ranked = np.argsort(-alone, kind="stable")
    answers, candidates = answers[ranked], candidates[ranked]
    chosen: list[int] = []
    scores: list[float] = []
    total = np.zeros(answers.shape[1:])
    for step in range(size):
        if step < n_init:
            pick = step
            value = float(score((total + answers[pick])[None], step + 1)[0])
        else:
            tried = np.asarray(score(total + answers, step + 1), dtype=float)
            pick = int(np.argmax(np.where(np.isnan(tried), -np.inf, tried)))
            value = float(tried[pick])
        total = total + answers[pick]
        chosen.append(pick)
        scores.append(value)
    # Ensembles of fewer members than the first ones were not chosen greedily.
    path = np.array(scores)
    considered = np.where(np.isnan(path), -np.inf, path)
    considered[: n_init - 1] = -np.inf
    # The mean of equal answers differs from them in its last bits.
    best = float(considered.max())
    n_members = int(np.argmax(considered >= best - 1e-12 * abs(best))) + 1
    members, first, votes = np.unique(
        chosen[:n_members], return_index=True, return_counts=True
    )
    order = np.lexsort([first, -votes])
    return Selection(
        candidates=candidates[members[order]],
        votes=votes[order],
        score=float(path[n_members - 1]),
        order=candidates[np.array(chosen)],
        scores=path,
    )

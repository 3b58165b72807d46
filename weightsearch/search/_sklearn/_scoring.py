"""What a search's scorer is made of."""

from __future__ import annotations

from typing import Any

from sklearn.metrics._scorer import _MultimetricScorer, _PassthroughScorer

__all__ = ["scoring_of"]


def scoring_of(scorer: Any) -> Any:
    """Return what decides the scores that a scorer gives.

    Parameters
    ----------
    scorer : callable or dict
        As checked by scikit-learn.

    Returns
    -------
    callable, dict or None
        Scorers by name where there are several; None for the estimator's own
        ``score``, since scikit-learn's scorer for it holds the estimator.
    """
    if isinstance(scorer, _PassthroughScorer):
        return None
    return scorer._scorers if isinstance(scorer, _MultimetricScorer) else scorer

"""What a search's scorer is made of, and what it may ask of an estimator."""

from __future__ import annotations

from typing import Any

from sklearn.metrics._scorer import (
    _BaseScorer,
    _MultimetricScorer,
    _PassthroughScorer,
)

__all__ = ["asks_only", "scoring_of"]


def asks_only(scorer: Any) -> bool:
    """Whether a scorer calls methods of an estimator and looks at nothing else of it.

    So does what ``make_scorer`` returns, and the estimator's own ``score``; a
    function of the user's may read anything.

    Parameters
    ----------
    scorer : callable or dict
        As checked by scikit-learn.
    """
    if isinstance(scorer, _MultimetricScorer):
        return all(map(asks_only, scorer._scorers.values()))
    return isinstance(scorer, _BaseScorer | _PassthroughScorer)


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

"""Inspect the scorer of a search."""

from __future__ import annotations

from typing import Any

from sklearn.metrics._scorer import (
    _BaseScorer,
    _MultimetricScorer,
    _PassthroughScorer,
)

from weightsearch._identity._origin import is_own

__all__ = ["asks_only", "scoring_of"]


def asks_only(scorer: Any) -> bool:
    """Whether a scorer calls methods of an estimator and looks at nothing else of it.

    True for what ``make_scorer`` returns and for scikit-learn's own ``score`` methods.
    A user's function, or a ``score`` of the user's own class, may read any attribute.

    Parameters
    ----------
    scorer : callable or dict
        As checked by scikit-learn.
    """
    if isinstance(scorer, _MultimetricScorer):
        return all(map(asks_only, scorer._scorers.values()))
    if isinstance(scorer, _PassthroughScorer):
        estimator = scorer._estimator
        parts = [estimator, *estimator.get_params(deep=True).values()]
        return not any(is_own(getattr(type(part), "score", len)) for part in parts)
    return isinstance(scorer, _BaseScorer) and not is_own(type(scorer))


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

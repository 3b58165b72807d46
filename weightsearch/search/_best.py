"""The best estimator: from the store where nothing of it is lost, else as refit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from sklearn.base import clone

from weightsearch._records import ModelState
from weightsearch.exceptions import CorruptStoreError, RebuildError
from weightsearch.frameworks._capture import (
    answers_digest,
    capture,
    preserved_randomness,
)
from weightsearch.frameworks._state import is_complete, rebuild
from weightsearch.search._fits import FitCall, Outcome
from weightsearch.search._keeping import same_bits
from weightsearch.search._sklearn import some_rows
from weightsearch.store import StoredFit

__all__ = ["holds_all_of", "outcome_of", "rebuild_best"]

_ANSWERS = "answers"
"""Key of a stored result: the digest of what the estimator says of a few rows."""


def rebuild_best(
    call: FitCall, params: Mapping[str, Any], stored: StoredFit
) -> Any | None:
    """Make the best estimator of a stored refit; None where something would be lost."""
    if not is_complete(stored.state):
        return None
    try:
        arrays = stored.weights()
    except CorruptStoreError:
        # Damage costs what it hits: this fit.
        return None
    template = clone(call.estimator).set_params(**clone(dict(params), safe=False))
    try:
        with preserved_randomness():
            estimator = rebuild(
                str(stored.state),
                lambda name: arrays[arrays.ties.get(name, name)],
                stored.blob,
                template=template,
            )
    except (CorruptStoreError, RebuildError, ImportError):
        # It is refit then, as without a store.
        return None
    rows = partial(some_rows, estimator, call.X, call.y)
    result = stored.result
    if _ANSWERS not in result or answers_digest(estimator, rows) != result[_ANSWERS]:
        return None
    return estimator


def outcome_of(search: Any, call: FitCall) -> Outcome:
    """What is kept of the best estimator, which scikit-learn has refit."""
    estimator = search.best_estimator_
    result: dict[str, Any] = {"fit_error": None}
    result["fit_time"] = float(search.refit_time_)
    rows = partial(some_rows, estimator, call.X, call.y)
    captured = capture(estimator, complete=True, rows=rows)
    if captured.state is not None and is_complete(captured.state.text):
        result[_ANSWERS] = answers_digest(estimator, rows)
    return Outcome(result, *captured)


def holds_all_of(stored: StoredFit, outcome: Outcome) -> bool:
    """Whether a stored refit has the same weights, and at least as much besides."""
    if outcome.weights is None or _adds_to(outcome.state, stored.state):
        return False
    try:
        return same_bits(stored.weights(), outcome.weights)
    except CorruptStoreError:
        # Damage costs what it hits: this fit is kept once more.
        return False


def _adds_to(state: ModelState | None, stored: str | None) -> bool:
    return state is not None and is_complete(state.text) and not is_complete(stored)

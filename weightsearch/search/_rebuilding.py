"""Rebuild stored models: split models to score them, and the best estimator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone

from weightsearch._copies import same_bits
from weightsearch._records import Array, ModelState, Outcome, Weights
from weightsearch.exceptions import CorruptStoreError, RebuildError
from weightsearch.frameworks._capture import (
    answers_digest,
    capture,
    preserved_randomness,
)
from weightsearch.frameworks._state import is_complete, rebuild
from weightsearch.search._fits import FitCall
from weightsearch.search._sklearn import some_rows
from weightsearch.store import StoredFit

__all__ = [
    "StoredModel",
    "capture_best",
    "holds_all_of",
    "is_whole",
    "load_model",
    "rebuild_best",
    "rebuild_model",
]

_ANSWERS = "answers"
"""Key in a stored result: the digest of the estimator's answers for a few rows."""


@dataclass(frozen=True)
class StoredModel:
    """Everything a worker needs to rebuild a stored model.

    Attributes
    ----------
    state : str
    weights : Weights
    blobs : dict of str -> bytes
        Contents that the state names.
    fit_time : float
        Seconds that its fit took.
    """

    state: str
    weights: Weights
    blobs: dict[str, bytes]
    fit_time: float


def is_whole(stored: StoredFit) -> bool:
    """Whether a stored model has all that the fitted one had, and can be read."""
    try:
        return is_complete(stored.state)
    except (CorruptStoreError, RebuildError):
        return False


def load_model(stored: StoredFit) -> StoredModel | None:
    """Read a stored model; None if it is damaged, so that it is fitted again."""
    try:
        state = stored.source.state(stored.row)
        if state is None:
            return None
        text, names = state
        blobs = {name: stored.blob(name) for name in names}
        fit_time = float(stored.result.get("fit_time") or 0.0)
        return StoredModel(text, stored.weights(), blobs, fit_time)
    except CorruptStoreError:
        return None


def rebuild_model(model: StoredModel, template: Any) -> Any | None:
    """Return a stored model as a fitted estimator; None if that fails here.

    Parameters
    ----------
    model : StoredModel
    template : estimator
        Not fitted, with the candidate's params: has what a store cannot hold.
    """
    arrays = model.weights

    def weight(name: str) -> Array:
        array = arrays[arrays.ties.get(name, name)]
        # joblib sends large arrays to workers as read-only memory maps.
        if array.flags.writeable and type(array) is not np.memmap:
            return array
        return np.array(array, order="K")

    try:
        with preserved_randomness():
            return rebuild(
                model.state, weight, model.blobs.__getitem__, template=template
            )
    except (CorruptStoreError, ImportError, KeyError, RebuildError):
        return None


def rebuild_best(
    call: FitCall, params: Mapping[str, Any], stored: StoredFit
) -> Any | None:
    """Return the best estimator of a stored refit; None if anything would be lost."""
    model = load_model(stored) if is_whole(stored) else None
    if model is None:
        return None
    template = clone(call.estimator).set_params(**clone(dict(params), safe=False))
    estimator = rebuild_model(model, template)
    if estimator is None:
        return None
    rows = partial(some_rows, estimator, call.X, call.y)
    result = stored.result
    if _ANSWERS not in result or answers_digest(estimator, rows) != result[_ANSWERS]:
        return None
    return estimator


def capture_best(search: Any, call: FitCall) -> Outcome:
    """Return what is kept of the best estimator, which scikit-learn has refit."""
    estimator = search.best_estimator_
    result: dict[str, Any] = {"fit_error": None}
    result["fit_time"] = float(search.refit_time_)
    rows = partial(some_rows, estimator, call.X, call.y)
    outcome = capture(estimator, complete=True, rows=rows)
    if outcome.state is not None and is_complete(outcome.state.text):
        result[_ANSWERS] = answers_digest(estimator, rows)
    return outcome._replace(result=result)


def holds_all_of(stored: StoredFit, outcome: Outcome) -> bool:
    """Whether a stored refit has the same weights, and at least as much besides."""
    if outcome.weights is None or _adds_to(outcome.state, stored.state):
        return False
    try:
        weights = stored.weights()
        return list(weights) == list(outcome.weights) and all(
            map(same_bits, weights.values(), outcome.weights.values())
        )
    except CorruptStoreError:
        # This fit is damaged and is stored once more.
        return False


def _adds_to(state: ModelState | None, stored: str | None) -> bool:
    return state is not None and is_complete(state.text) and not is_complete(stored)

"""Stored split models, made again to be scored by another scorer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from weightsearch._records import Array, Weights
from weightsearch.exceptions import CorruptStoreError, RebuildError
from weightsearch.frameworks._capture import preserved_randomness
from weightsearch.frameworks._state import is_complete, rebuild
from weightsearch.store import StoredFit

__all__ = ["StoredModel", "lacks_nothing", "load_model", "made_again"]


@dataclass(frozen=True)
class StoredModel:
    """All of which a worker can make a stored model again.

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


def lacks_nothing(stored: StoredFit) -> bool:
    """Whether a stored model has all that the fitted one had, and can be read."""
    try:
        return is_complete(stored.state)
    except (CorruptStoreError, RebuildError):
        return False


def load_model(stored: StoredFit) -> StoredModel | None:
    """Read a stored model; None where it is damaged, so that it is fitted again."""
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


def made_again(model: StoredModel, template: Any) -> Any | None:
    """Make a stored model a fitted estimator; None where that cannot be done here.

    Parameters
    ----------
    model : StoredModel
    template : estimator
        Not fitted, with the candidate's params: holds what no store can.
    """
    arrays = model.weights

    def weight(name: str) -> Array:
        array = arrays[arrays.ties.get(name, name)]
        # joblib gives workers large arrays as files that cannot be written.
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

"""What the hidden layers of a run's candidates make of data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from weightsearch._records import Array
from weightsearch.compare import cka_matrix, mlp_activations

__all__ = ["layer_similarity"]

_IN_TEXT = re.compile(r"\bactivation='(\w+)'")


def layer_similarity(
    weights: Sequence[Mapping[str, Array]],
    params: Sequence[Mapping[str, Any]],
    estimator: Mapping[str, Any],
    X: ArrayLike,
    layer: int | str,
    activation: str | None,
) -> Array:
    """Linear CKA of one hidden layer of each candidate, NaN without such a layer.

    Parameters
    ----------
    weights, params : sequence of dict
        Of each candidate.
    estimator : dict
        Class and params of the search's estimator, as text.
    X : array-like of shape (n_samples, n_features)
    layer : int or str
    activation : str or None
        None: the candidate's own.

    Returns
    -------
    ndarray of shape (n, n), float64
    """
    found: dict[int, Array] = {}
    names: dict[str, None] = {}
    for i, (own, key) in enumerate(zip(weights, params, strict=True)):
        kind: Any = activation or _activation(key, estimator)
        layers = mlp_activations(own, X, kind)
        names |= dict.fromkeys(layers)
        if isinstance(layer, str):
            chosen = layers.get(layer)
        elif -len(layers) <= layer < len(layers):
            chosen = list(layers.values())[layer]
        else:
            chosen = None
        if chosen is not None:
            found[i] = chosen
    if not found:
        raise ValueError(
            f"No candidate has a hidden layer {layer!r}; there are "
            f"{', '.join(names) or 'none'}."
        )
    out = np.full((len(weights), len(weights)), np.nan)
    places = list(found)
    out[np.ix_(places, places)] = cka_matrix(list(found.values()))
    return out


def _activation(params: Mapping[str, Any], estimator: Mapping[str, Any]) -> str:
    for name, value in params.items():
        if name.rpartition("__")[2] == "activation":
            return str(value)
    texts: Mapping[str, str] = estimator.get("params", {})
    if "activation" in texts:
        return texts["activation"].strip("'")
    found = {text for value in texts.values() for text in _IN_TEXT.findall(value)}
    if len(found) > 1 or any(value.endswith("…") for value in texts.values()):
        raise ValueError(
            "The MLP's activation cannot be told from what is stored of the "
            "estimator: name it with activation=..."
        )
    # An estimator's text leaves out what is scikit-learn's default.
    return found.pop() if found else "relu"

"""Weights of XGBoost, LightGBM and CatBoost: the booster's own bytes, and its trees.

``booster`` is the whole model as the library itself serialises it, an array of
uint8, of which the estimator is made again. The arrays under ``trees/`` say some of
it once more, for all trees one behind the other, so that models can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from weightsearch._records import Array, Weights
from weightsearch.frameworks._boosting_rebuild import (
    BEST_ITERATION,
    BOOSTER,
    REBUILDERS,
)

__all__ = [
    "EXTRACTORS",
    "REBUILDERS",
    "extract_catboost",
    "extract_lightgbm",
    "extract_xgboost",
]

# The names of XGBoost's model schema, with the types of its node structure.
_XGBOOST_NODES = {
    "left_children": np.int32,
    "right_children": np.int32,
    "split_indices": np.int32,
    "split_conditions": np.float32,
    "default_left": np.uint8,
}

# The names of LightGBM's model text, with the types of its tree structure.
_LIGHTGBM_NODES = {
    "num_leaves": np.int32,
    "split_feature": np.int32,
    "threshold": np.float64,
    "decision_type": np.int8,
    "left_child": np.int32,
    "right_child": np.int32,
    "leaf_value": np.float64,
}


def extract_xgboost(model: Any) -> Weights:
    """Weights of an XGBoost estimator or of a bare ``xgboost.Booster``.

    Parameters
    ----------
    model : xgboost.XGBModel or xgboost.Booster

    Returns
    -------
    Weights
        ``booster``: ``save_raw("ubj")``, uint8. Of trees: ``trees/num_nodes`` of
        shape ``(n_trees,)``, and ``trees/left_children``, ``trees/right_children``,
        ``trees/split_indices``, ``trees/split_conditions`` (a leaf's value at a
        leaf) and ``trees/default_left`` of shape ``(n_nodes,)``. Of a linear
        booster: ``linear/weights``, coefficients by feature and class, then biases.

    Raises
    ------
    NotFittedError
        Where the estimator is not fitted.

    References
    ----------
    XGBoost, "Introduction to Model IO": JSON schema of the model.
    """
    booster = model
    if hasattr(model, "get_booster"):
        if not model.__sklearn_is_fitted__():
            raise _not_fitted(model)
        booster = model.get_booster()
    weights = Weights({BOOSTER: _bytes(booster.save_raw("ubj"))})
    gradient_booster = json.loads(booster.save_raw("json"))["learner"][
        "gradient_booster"
    ]
    # DART has its trees one level further down.
    content = gradient_booster.get("gbtree", gradient_booster)["model"]
    if "trees" not in content:
        weights["linear/weights"] = np.asarray(content["weights"], dtype=np.float32)
        return weights
    trees = content["trees"]
    sizes = [int(tree["tree_param"]["num_nodes"]) for tree in trees]
    weights["trees/num_nodes"] = np.asarray(sizes, dtype=np.int32)
    for name, dtype in _XGBOOST_NODES.items():
        weights[f"trees/{name}"] = _joined((tree[name] for tree in trees), dtype)
    return weights


def extract_lightgbm(model: Any) -> Weights:
    """Weights of a LightGBM estimator or of a bare ``lightgbm.Booster``.

    Parameters
    ----------
    model : lightgbm.LGBMModel or lightgbm.Booster

    Returns
    -------
    Weights
        ``booster``: ``model_to_string`` with all iterations in UTF-8, uint8.
        ``best_iteration``, int, where early stopping has chosen one.
        ``trees/num_leaves`` of shape ``(n_trees,)``; ``trees/leaf_value`` of shape
        ``(n_leaves,)``; ``trees/split_feature``, ``trees/threshold``,
        ``trees/decision_type``, ``trees/left_child`` and ``trees/right_child`` of
        shape ``(n_inner_nodes,)``.

    Raises
    ------
    NotFittedError
        Where the estimator is not fitted.
    """
    booster = model
    if hasattr(model, "booster_") or hasattr(model, "__sklearn_is_fitted__"):
        if not model.__sklearn_is_fitted__():
            raise _not_fitted(model)
        booster = model.booster_
    text = booster.model_to_string(num_iteration=-1)
    weights = Weights({BOOSTER: _bytes(text.encode("utf-8"))})
    if booster.best_iteration > 0:
        weights[BEST_ITERATION] = np.asarray(booster.best_iteration)
    # dump_model gives the same, but takes ten times as long as these lines of text.
    columns: dict[str, list[list[str]]] = {name: [] for name in _LIGHTGBM_NODES}
    for line in text[text.find("\nTree=") :].splitlines():
        name, found, values = line.partition("=")
        if found and name in columns:
            columns[name].append(values.split())
    for name, dtype in _LIGHTGBM_NODES.items():
        weights[f"trees/{name}"] = _joined(columns[name], dtype)
    return weights


def extract_catboost(model: Any) -> Weights:
    """Weights of a CatBoost estimator.

    Parameters
    ----------
    model : catboost.CatBoost

    Returns
    -------
    Weights
        ``booster``: the model in CatBoost's format ``cbm``, uint8, but for its
        random identifier and the time of training, which are empty: equal fits have
        equal weights. ``trees/tree_leaf_counts`` of shape ``(n_trees,)`` and
        ``trees/leaf_values`` of shape ``(n_leaves * n_outputs,)``, as
        ``get_tree_leaf_counts`` and ``get_leaf_values`` give them.

    Raises
    ------
    NotFittedError
        Where the estimator is not fitted.
    """
    from catboost import CatBoost

    if not model.is_fitted():
        raise _not_fitted(model)
    # A copy: the user's model must not lose its identifier.
    bare = CatBoost()
    bare.load_model(blob=model._serialize_model())
    metadata = bare.get_metadata()
    for name in ("model_guid", "train_finish_time"):
        metadata[name] = ""
    return Weights(
        {
            BOOSTER: _bytes(bare._serialize_model()),
            "trees/tree_leaf_counts": np.asarray(model.get_tree_leaf_counts()),
            "trees/leaf_values": np.asarray(model.get_leaf_values()),
        }
    )


def _not_fitted(model: Any) -> NotFittedError:
    return NotFittedError(
        f"This {type(model).__name__} instance is not fitted yet. Call 'fit' first."
    )


def _bytes(content: bytes | bytearray) -> Array:
    return np.frombuffer(content, dtype=np.uint8)


def _joined(columns: Iterable[Any], dtype: Any) -> Array:
    """All trees' values one behind the other."""
    parts = [np.asarray(column, dtype=dtype) for column in columns]
    return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)


EXTRACTORS = {
    "xgboost.sklearn.XGBModel": extract_xgboost,
    "xgboost.core.Booster": extract_xgboost,
    "lightgbm.sklearn.LGBMModel": extract_lightgbm,
    "lightgbm.basic.Booster": extract_lightgbm,
    "catboost.core.CatBoost": extract_catboost,
}
"""Qualified class name -> function; also right for every subclass."""

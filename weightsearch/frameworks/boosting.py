"""XGBoost, LightGBM and CatBoost: weights, and estimators rebuilt from them.

The weight ``booster`` is the whole model as the library itself serializes it, an array
of uint8. The arrays under ``trees/`` repeat some of it, concatenated over all trees, so
that models can be compared.

The booster's bytes are read by the library's own parser: not pickle, but C++ code that
was not written for hostile input. So an estimator is only rebuilt with that of the
caller.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import LabelEncoder

from weightsearch._records import Array, Weights
from weightsearch.exceptions import RebuildError, SnapshotError
from weightsearch.frameworks._epochs import Epochs
from weightsearch.frameworks._state._parts import Rebuilder

__all__ = [
    "EPOCHS",
    "EXTRACTORS",
    "REBUILDERS",
    "extract_catboost",
    "extract_lightgbm",
    "extract_xgboost",
]

_BOOSTER = "booster"
"""Name of the weight that is the serialized model."""

_BEST_ITERATION = "best_iteration"
"""Name of the weight that says how many iterations predict."""

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


# -- weights ---------------------------------------------------------------------------


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
    weights = Weights({_BOOSTER: _bytes(booster.save_raw("ubj"))})
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
    weights = Weights({_BOOSTER: _bytes(text.encode("utf-8"))})
    if booster.best_iteration > 0:
        weights[_BEST_ITERATION] = np.asarray(booster.best_iteration)
    # dump_model returns the same in ten times the time.
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
        ``booster``: the model in CatBoost's format ``cbm``, uint8. Its random
        identifier and the time of training are left empty: equal fits have equal
        weights. ``trees/tree_leaf_counts`` of shape ``(n_trees,)`` and
        ``trees/leaf_values`` of shape ``(n_leaves * n_outputs,)``, as from
        ``get_tree_leaf_counts`` and ``get_leaf_values``.

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
            _BOOSTER: _bytes(bare._serialize_model()),
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
    """Values of all trees, concatenated."""
    parts = [np.asarray(column, dtype=dtype) for column in columns]
    return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)


# -- rebuilding ------------------------------------------------------------------------


_Rebuild = Callable[[Any, Mapping[str, Any], Mapping[str, Array]], None]


def _describe(estimator: Any, complete: bool) -> tuple[dict[str, Any], bool]:
    """What a booster does not hold; scores of evaluation sets are not stored."""
    _check_fitted(estimator)
    return {"params": estimator.get_params(deep=False)}, False


def _check_fitted(estimator: Any) -> None:
    is_fitted = getattr(estimator, "__sklearn_is_fitted__", None)
    if not (estimator.is_fitted() if is_fitted is None else is_fitted()):
        raise NotFittedError


def _describe_catboost(estimator: Any, complete: bool) -> tuple[dict[str, Any], bool]:
    attributes, whole = _describe(estimator, complete)
    own = {name: getattr(estimator, name) for name in _OF_CATBOOST}
    return {**attributes, "own": own}, whole


_OF_CATBOOST = ("_n_features_in", "_prediction_values_change")
"""The number of features, and the importances that selectors use."""


def _describe_lightgbm(estimator: Any, complete: bool) -> tuple[dict[str, Any], bool]:
    _check_fitted(estimator)
    params = estimator.get_params(deep=False)
    return {"params": params, "classes": estimator._classes}, False


def _rebuild_xgboost(
    estimator: Any, attributes: Mapping[str, Any], weights: Mapping[str, Array]
) -> None:
    params = estimator.get_params(deep=False)
    estimator.load_model(bytearray(weights[_BOOSTER].tobytes()))
    # Loading sets params to those of the model. So does fit, but only the objective,
    # and only if that is not a function.
    if not callable(params["objective"]):
        del params["objective"]
    for name, value in params.items():
        setattr(estimator, name, value)


def _rebuild_lightgbm(
    estimator: Any, attributes: Mapping[str, Any], weights: Mapping[str, Array]
) -> None:
    from lightgbm import Booster

    text = weights[_BOOSTER].tobytes().decode("utf-8")
    booster = Booster(model_str=text)
    booster.best_iteration = int(weights.get(_BEST_ITERATION, np.asarray(0)))
    names = booster.feature_name()
    estimator._Booster = booster
    estimator._best_iteration = booster.best_iteration
    estimator._n_features = estimator._n_features_in = booster.num_feature()
    estimator._fitted_with_feature_names = names != [
        f"Column_{i}" for i in range(len(names))
    ]
    classes = attributes["classes"]
    if classes is not None:
        encoder = LabelEncoder()
        encoder.classes_ = classes
        estimator._le = encoder
        estimator._classes = encoder.classes_
        estimator._n_classes = len(encoder.classes_)
        estimator._class_map = {c: i for i, c in enumerate(encoder.classes_)}
    if estimator.objective is None:
        # As chosen by fit; its own params follow after a space.
        found = re.search(r"^objective=(\w+)", text, re.MULTILINE)
        estimator._objective = found and found[1]
    estimator._class_weight = estimator.class_weight
    estimator.fitted_ = True


def _rebuild_catboost(
    estimator: Any, attributes: Mapping[str, Any], weights: Mapping[str, Array]
) -> None:
    estimator.load_model(blob=weights[_BOOSTER].tobytes())
    # Set by fit, and missing in the file.
    for name, value in attributes["own"].items():
        setattr(estimator, name, value)


def _checked(
    rebuild: _Rebuild,
) -> Callable[[Any, Mapping[str, Any], Mapping[str, Array]], Any]:
    """Turn a library's error about bytes it cannot read into our own."""

    def rebuilt(
        cls: Any, attributes: Mapping[str, Any], weights: Mapping[str, Array]
    ) -> Any:
        estimator = cls(**attributes["params"])
        try:
            rebuild(estimator, attributes, weights)
        except Exception as error:
            # Each library has its own errors, from a parser in C++.
            raise RebuildError(
                f"the stored booster cannot be read by {cls.__name__}: {error}"
            ) from error
        return estimator

    return rebuilt


# -- stages ----------------------------------------------------------------------------


def _count_xgboost(model: Any) -> int:
    if model.get_xgb_params().get("booster") in ("dart", "gblinear"):
        raise _stages_change(f"booster={model.booster!r}")
    return int(model.get_booster().num_boosted_rounds())


def _cut_xgboost(model: Any, epoch: int) -> None:
    booster = model.get_booster()[:epoch]
    # Of early stopping, which would choose among stages that are not there.
    booster.set_attr(best_iteration=None, best_score=None)
    model._Booster = booster


def _count_lightgbm(model: Any) -> int:
    if model.get_params()["boosting_type"] == "dart":
        raise _stages_change("boosting_type='dart'")
    return int(model.booster_.current_iteration())


def _cut_lightgbm(model: Any, epoch: int) -> None:
    from lightgbm import Booster

    text = model.booster_.model_to_string(num_iteration=epoch)
    model._Booster = Booster(model_str=text)
    model._best_iteration = 0


def _stages_change(param: str) -> SnapshotError:
    return SnapshotError(
        f"With {param}, later stages change the earlier ones, so the model after an "
        "epoch is not in the final one."
    )


EXTRACTORS = {
    "xgboost.sklearn.XGBModel": extract_xgboost,
    "xgboost.core.Booster": extract_xgboost,
    "lightgbm.sklearn.LGBMModel": extract_lightgbm,
    "lightgbm.basic.Booster": extract_lightgbm,
    "catboost.core.CatBoost": extract_catboost,
}
"""Qualified class name -> function; subclasses included."""

REBUILDERS = {
    "xgboost.sklearn.XGBModel": Rebuilder(_describe, _checked(_rebuild_xgboost)),
    "lightgbm.sklearn.LGBMModel": Rebuilder(
        _describe_lightgbm, _checked(_rebuild_lightgbm)
    ),
    "catboost.core.CatBoost": Rebuilder(
        _describe_catboost, _checked(_rebuild_catboost)
    ),
}
"""Qualified class name -> how it is rebuilt; subclasses included."""

EPOCHS = {
    "xgboost.sklearn.XGBModel": Epochs(count=_count_xgboost, cut=_cut_xgboost),
    "lightgbm.sklearn.LGBMModel": Epochs(count=_count_lightgbm, cut=_cut_lightgbm),
    "catboost.core.CatBoost": Epochs(
        count=lambda model: int(model.tree_count_),
        cut=lambda model, epoch: model.shrink(ntree_end=epoch),
    ),
}
"""Qualified class name -> where its epochs are; subclasses included."""

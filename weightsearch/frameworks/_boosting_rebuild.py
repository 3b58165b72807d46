"""Estimators of XGBoost, LightGBM and CatBoost, made again of their booster's bytes.

The bytes are read by the library's own parser: no pickle, but C++ code that was not
written for hostile input. So an estimator is only rebuilt with the caller's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import LabelEncoder

from weightsearch._records import Array
from weightsearch.exceptions import RebuildError
from weightsearch.frameworks._state._parts import Rebuilder

__all__ = ["BEST_ITERATION", "BOOSTER", "REBUILDERS"]

BOOSTER = "booster"
"""Name of the weight that is the serialised model."""

BEST_ITERATION = "best_iteration"
"""Name of the weight that says how many iterations predict."""

_Rebuild = Callable[[Any, Mapping[str, Any], Mapping[str, Array]], None]


def _describe(estimator: Any, complete: bool) -> tuple[dict[str, Any], bool]:
    """Say what a booster does not hold; scores of evaluation sets are not kept."""
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
"""The number of features, and the importances of which selectors choose."""


def _describe_lightgbm(estimator: Any, complete: bool) -> tuple[dict[str, Any], bool]:
    _check_fitted(estimator)
    params = estimator.get_params(deep=False)
    return {"params": params, "classes": estimator._classes}, False


def _rebuild_xgboost(
    estimator: Any, attributes: Mapping[str, Any], weights: Mapping[str, Array]
) -> None:
    params = estimator.get_params(deep=False)
    estimator.load_model(bytearray(weights[BOOSTER].tobytes()))
    # Loading sets params to what the model had; only for the objective, fit does so
    # too, unless it is a function.
    if not callable(params["objective"]):
        del params["objective"]
    for name, value in params.items():
        setattr(estimator, name, value)


def _rebuild_lightgbm(
    estimator: Any, attributes: Mapping[str, Any], weights: Mapping[str, Array]
) -> None:
    from lightgbm import Booster

    text = weights[BOOSTER].tobytes().decode("utf-8")
    booster = Booster(model_str=text)
    booster.best_iteration = int(weights.get(BEST_ITERATION, np.asarray(0)))
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
        # As fit has chosen it, with its own params behind a space.
        found = re.search(r"^objective=(\w+)", text, re.MULTILINE)
        estimator._objective = found and found[1]
    estimator._class_weight = estimator.class_weight
    estimator.fitted_ = True


def _rebuild_catboost(
    estimator: Any, attributes: Mapping[str, Any], weights: Mapping[str, Array]
) -> None:
    estimator.load_model(blob=weights[BOOSTER].tobytes())
    # What a fit notes besides, and a file does not have.
    for name, value in attributes["own"].items():
        setattr(estimator, name, value)


def _checked(
    rebuild: _Rebuild,
) -> Callable[[Any, Mapping[str, Any], Mapping[str, Array]], Any]:
    """Turn what a library says to bytes that it cannot read into our own error."""

    def rebuilt(
        cls: Any, attributes: Mapping[str, Any], weights: Mapping[str, Array]
    ) -> Any:
        estimator = cls(**attributes["params"])
        try:
            rebuild(estimator, attributes, weights)
        except Exception as error:
            # Each library has errors of its own, and all have parsers in C++.
            raise RebuildError(
                f"the stored booster cannot be read by {cls.__name__}: {error}"
            ) from error
        return estimator

    return rebuilt


REBUILDERS = {
    "xgboost.sklearn.XGBModel": Rebuilder(_describe, _checked(_rebuild_xgboost)),
    "lightgbm.sklearn.LGBMModel": Rebuilder(
        _describe_lightgbm, _checked(_rebuild_lightgbm)
    ),
    "catboost.core.CatBoost": Rebuilder(
        _describe_catboost, _checked(_rebuild_catboost)
    ),
}
"""Qualified class name -> how it is rebuilt; also right for every subclass."""

"""Estimators that hold a Keras model, taken apart and put together again.

The model comes from the estimator's own builder where the caller has brought it, and
from its stored configuration otherwise, read in Keras' safe mode.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sklearn.exceptions import NotFittedError

from weightsearch._identity._keras import keras_content
from weightsearch._records import Array
from weightsearch.exceptions import RebuildError
from weightsearch.frameworks._keras_names import variable_names
from weightsearch.frameworks._state._parts import Rebuilder, not_stored

__all__ = ["CONTENTS", "REBUILDERS"]

_MODEL = "model_"
_LEFT_OUT = {_MODEL, "history_", "_fit_callbacks", "_predict_callbacks"}


def _describe(estimator: Any, complete: bool) -> tuple[dict[str, Any], bool]:
    params = estimator.get_params(deep=False)
    model = getattr(estimator, "model_", None)
    if model is None:
        raise NotFittedError
    attributes = {
        "params": params,
        "own": {
            name: value
            for name, value in vars(estimator).items()
            if name not in params and name not in _LEFT_OUT
        },
        "config": _config(model),
        "history": _history(estimator),
    }
    if not complete:
        return attributes, False
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        attributes["optimizer"] = [value.numpy() for value in optimizer.variables]
    return attributes, True


def _rebuild(
    cls: Any, attributes: Mapping[str, Any], weights: Mapping[str, Array]
) -> Any:
    estimator = cls(**attributes["params"])
    for name, value in attributes["own"].items():
        setattr(estimator, name, value)
    if hasattr(estimator, "_initialize_callbacks"):
        estimator._initialize_callbacks()
    _restore_history(estimator, attributes["history"])
    model = _model(estimator, attributes["config"], weights)
    estimator.model_ = model
    if hasattr(estimator, "_ensure_compiled_model"):
        # scikeras compiles what the builder has not.
        estimator._ensure_compiled_model()
    _restore_optimizer(model, attributes.get("optimizer"))
    return estimator


def _model(estimator: Any, config: str | None, weights: Mapping[str, Array]) -> Any:
    """Make the model by the first way that gives one with these weights."""
    reasons = []
    for make in (_build, _load):
        try:
            model = make(estimator, config)
            if model is not None:
                _set_weights(model, weights)
                return model
        except Exception as error:
            # The user's builder, or Keras' reading of a configuration.
            reasons.append(f"{type(error).__name__}: {error}")
    why = "; ".join(reasons) or "it was built by code that a store cannot hold"
    raise RebuildError(
        f"its Keras model could not be built again ({why}). Pass estimator=, the "
        "estimator as it was searched, whose builder gives the same architecture"
    )


def _build(estimator: Any, config: str | None) -> Any:
    import keras

    model = getattr(estimator, "model", None)
    if not_stored(estimator.get_params(deep=False)):
        # Something that the builder may use.
        return None
    if isinstance(model, keras.Model):
        return keras.models.clone_model(model)
    if model is None or not hasattr(estimator, "_build_keras_model"):
        # Builders of keras.wrappers ask for the data, which is not here.
        return None
    seed, estimator._random_state = estimator._random_state, None
    try:
        # Without the seed: scikeras would make TensorFlow deterministic for all.
        return estimator._build_keras_model()
    finally:
        estimator._random_state = seed


def _load(estimator: Any, config: str | None) -> Any:
    import keras

    if config is None:
        return None
    foreign = sorted(set(_foreign(json.loads(config))))
    if foreign:
        raise ValueError(f"its configuration names {', '.join(foreign)}")
    return keras.models.model_from_json(config)


def _foreign(node: Any) -> Iterator[str]:
    """Yield the modules that a configuration names and that are not Keras' own."""
    if isinstance(node, list):
        for item in node:
            yield from _foreign(item)
    elif isinstance(node, dict):
        module = node.get("module")
        if isinstance(module, str) and "class_name" in node:
            if module.partition(".")[0] not in ("keras", "builtins"):
                yield f"{module}.{node['class_name']}"
        if node.get("class_name") in ("Lambda", "__lambda__"):
            yield "a Lambda layer"
        for item in node.values():
            yield from _foreign(item)


def _set_weights(model: Any, weights: Mapping[str, Array]) -> None:
    names = variable_names(model)
    variables = {names[id(variable)][0]: variable for variable in model.weights}
    if set(variables) != set(weights):
        missing = sorted(set(weights) ^ set(variables))[:5]
        raise ValueError(f"its variables are others: {', '.join(missing)}")
    for name, variable in variables.items():
        array = weights[name]
        if tuple(variable.shape) != array.shape:
            raise ValueError(
                f"{name} has shape {tuple(variable.shape)} instead of {array.shape}"
            )
        variable.assign(array)


def _config(model: Any) -> str | None:
    try:
        text: str = model.to_json()
    except Exception:
        # Subclassed models need not have one; their builder makes them.
        return None
    return text


def _history(estimator: Any) -> Any:
    history = getattr(estimator, "history_", None)
    values = getattr(history, "history", history)
    if values is None:
        return None
    plain = {name: [float(one) for one in values[name]] for name in values}
    return {"values": plain, "epoch": list(getattr(history, "epoch", []))}


def _restore_history(estimator: Any, history: Any) -> None:
    from collections import defaultdict

    if history is None:
        return
    if hasattr(estimator, "_initialize_callbacks"):
        estimator.history_ = defaultdict(list, history["values"])
        return
    import keras

    estimator.history_ = keras.callbacks.History()
    estimator.history_.history = history["values"]
    estimator.history_.epoch = history["epoch"]


def _restore_optimizer(model: Any, values: Any) -> None:
    optimizer = getattr(model, "optimizer", None)
    if values is None or optimizer is None:
        return
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    if len(values) == len(optimizer.variables):
        for variable, value in zip(optimizer.variables, values, strict=True):
            variable.assign(value)


def _content(obj: Any) -> Any:
    """What tells a layer, an optimizer or the like from others, used or not."""
    content = keras_content(obj)
    if content is None:
        return obj
    parts = dict(content)
    configuration = _unbuilt(parts["configuration"])
    return type(obj), configuration, parts["arguments"]


def _unbuilt(config: Any) -> Any:
    if isinstance(config, dict):
        return {
            name: _unbuilt(value)
            for name, value in config.items()
            if name not in ("build_config", "shared_object_id")
        }
    if isinstance(config, list | tuple):
        return [_unbuilt(item) for item in config]
    return config


_ALONE = frozenset(
    {
        "keras.src.wrappers.sklearn_wrapper.SKLearnClassifier",
        "keras.src.wrappers.sklearn_wrapper.SKLearnRegressor",
        "keras.src.wrappers.sklearn_wrapper.SKLearnTransformer",
        "scikeras.wrappers.KerasClassifier",
        "scikeras.wrappers.KerasRegressor",
    }
)

REBUILDERS = {
    "keras.src.wrappers.sklearn_wrapper.SKLBase": Rebuilder(
        _describe, _rebuild, _ALONE
    ),
    "scikeras.wrappers.BaseWrapper": Rebuilder(_describe, _rebuild, _ALONE),
}
"""Qualified class name -> how it is rebuilt; also right for every subclass."""

CONTENTS = {"keras.src.saving.keras_saveable.KerasSaveable": _content}
"""Qualified class name -> what tells objects of it from others."""

"""Keras models, scikeras estimators and those of ``keras.wrappers``.

Their weights, the names of these, and estimators rebuilt from them. Arrays are copies,
and nothing here keeps a model alive.

**Names.** Keras numbers layers without a name of the user's by a counter of the
process: the first Dense layer of the seventh model is ``dense_12``. Here they are
numbered within their parent, in the parent's own order, as in Keras' ``.weights.h5``
files: the first one of every model is ``dense``. So equal architectures have equal
names, whatever was built before, and after loading as well.

**Rebuilding.** The model comes from the estimator's own builder if the caller has
passed it, otherwise from its stored configuration, read in Keras' safe mode.

**Tags.** Since 1.6, scikit-learn asks ``estimator.__sklearn_tags__()`` what it is.
scikeras 0.13 lists ``BaseEstimator`` before ``ClassifierMixin`` among its bases, so the
method of ``BaseEstimator``, which calls no further one, hides the mixin's:
``is_classifier(KerasClassifier())`` is False, and an AttributeError on 1.6. Then
``cv=3`` does not stratify and ``scoring="roc_auc"`` fails. scikeras is no longer
maintained, so :func:`ensure_tags` corrects its class in this process: ``BaseWrapper``
rather than its two children, since scikit-learn 1.6 uses the old tags of every class
that has ``_more_tags`` and no ``__sklearn_tags__`` of its own.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import ClassifierTags, RegressorTags

from weightsearch._identity._keras import keras_content
from weightsearch._records import Array, Weights
from weightsearch.exceptions import RebuildError
from weightsearch.frameworks._epochs import Epochs, TakeSnapshot
from weightsearch.frameworks._session import leave_out
from weightsearch.frameworks._state._parts import Rebuilder, not_stored

__all__ = [
    "CONTENTS",
    "EPOCHS",
    "EXTRACTORS",
    "REBUILDERS",
    "ensure_tags",
    "extract_model",
    "extract_wrapper",
]

_LEFT_OUT = {"model_", "history_", "_fit_callbacks", "_predict_callbacks"}

_TAGS = "__sklearn_tags__"


# -- weights ---------------------------------------------------------------------------


def extract_model(model: Any) -> Weights:
    """Weights of a bare ``keras.Model``.

    Parameters
    ----------
    model : keras.Model
        Sequential, functional or subclassed, built, on any backend.

    Returns
    -------
    Weights
        Everything in ``model.weights``, in its order: trainable or not, moving
        statistics too. A name is the path from the model to the variable, without the
        model's own name: ``dense_1/kernel``. A variable with several paths is kept
        once, the others are in ``ties``. As in Keras, the states of random
        generators, optimizers and metrics are not weights.

    Raises
    ------
    NotFittedError
        Where the model is not built yet, so that it has no variables.

    Warns
    -----
    UnstorableWeightsWarning
        For variables that do not hold numbers.
    """
    if not model.weights and not model.built:
        raise NotFittedError(
            f"The Keras model {model.name!r} is not built yet, so it has no weights. "
            "Fit it, or call its build method."
        )
    return _weights_of(model.weights, _variable_names(model))


def _weights_of(variables: Iterable[Any], names: Mapping[int, list[str]]) -> Weights:
    weights = Weights()
    for variable in variables:
        name, *aliases = names[id(variable)]
        array = _array_of(variable)
        if array.dtype.hasobject:
            leave_out(name, f"it is of type {variable.dtype}")
            continue
        weights[name] = array
        weights.ties.update(dict.fromkeys(aliases, name))
    return weights


def _array_of(variable: Any) -> Array:
    """Return a variable's content.

    TensorFlow's own way, ``variable.numpy()``, takes three times as long.
    """
    value = variable.value
    if type(value).__name__ != "ResourceVariable":
        found: Array = variable.numpy()
        return found
    ops = sys.modules["tensorflow"].raw_ops
    tensor = ops.ReadVariableOp(resource=value.handle, dtype=value.dtype)
    return np.asarray(tensor.numpy())


def extract_wrapper(estimator: Any) -> Weights:
    """Weights of an estimator that holds its fitted Keras model as ``model_``.

    Parameters
    ----------
    estimator : scikeras.wrappers.BaseWrapper or one of ``keras.wrappers``

    Returns
    -------
    Weights
        Those of ``estimator.model_``, as from :func:`extract_model`.

    Raises
    ------
    NotFittedError
        Where the estimator is not fitted.
    """
    model = getattr(estimator, "model_", None)
    if model is None:
        raise NotFittedError(
            f"This {type(estimator).__name__} instance is not fitted yet. "
            "Call 'fit' first."
        )
    return extract_model(model)


# -- names -----------------------------------------------------------------------------


def _variable_names(model: Any) -> dict[int, list[str]]:
    """Names of every variable, by its id; the one to keep comes first."""
    names: dict[int, list[str]] = defaultdict(list)
    at_home: set[int] = set()
    for name, layer, variable in _walk(model, ""):
        known = names[id(variable)]
        # Keras' path ends with the layer that made the variable. Where several hold
        # it, as for tied weights, it keeps the name that it has in that layer.
        if id(variable) not in at_home and _made_by(layer, variable):
            at_home.add(id(variable))
            known.insert(0, name)
        else:
            known.append(name)
    return names


def _made_by(layer: Any, variable: Any) -> bool:
    parents: list[str] = variable.path.split("/")[:-1]
    return parents[-1:] == [layer.name]


def _walk(layer: Any, prefix: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield (name, layer that holds it, variable), layers in Keras' own order."""
    children = layer._flatten_layers(include_self=False, recursive=False)
    of_children = {id(weight) for child in children for weight in child.weights}
    own = [weight for weight in layer.weights if id(weight) not in of_children]
    # One namespace for both, so that no variable has the name of a layer beside it.
    taken: set[str] = set()
    for variable, name in zip(own, _numbered(own, taken), strict=True):
        yield prefix + name, layer, variable
    for child, name in zip(children, _numbered(children, taken), strict=True):
        yield from _walk(child, f"{prefix}{name}/")


def _numbered(things: Iterable[Any], taken: set[str]) -> list[str]:
    """Names of what one parent holds, unique among them and in ``taken``.

    Names that the user gave stay as they are. Keras' own are numbered from the start:
    ``dense``, ``dense_1``, ...
    """
    things = list(things)
    stems = [_stem(thing) for thing in things]
    # Keras counts dense, dense_1: with a dense_0, the user has numbered that kind.
    by_user = {stem for stem, number in stems if number and not int(number)}
    kept = [
        _unused(thing.name, taken)
        if stem is None or stem in by_user or (number or "").startswith("0")
        else None
        for thing, (stem, number) in zip(things, stems, strict=True)
    ]
    # By now all names of the user's are taken.
    return [
        _unused(str(stem), taken) if name is None else name
        for name, (stem, _) in zip(kept, stems, strict=True)
    ]


def _unused(name: str, taken: set[str]) -> str:
    """The name, or the name with the first number that makes it new; now taken."""
    number, unused = 0, name
    while unused in taken:
        number += 1
        unused = f"{name}_{number}"
    taken.add(unused)
    return unused


def _stem(thing: Any) -> tuple[str | None, str | None]:
    """Split a name as Keras gives it: ``dense_7`` into ``dense`` and ``7``.

    Both are None for a name that only a user can have given. Keras does not record who
    chose a name, so a user's ``dense_7`` for a Dense layer counts as automatic.
    """
    automatic = _snake_case(type(thing).__name__)
    # Bidirectional puts its direction before the name of the layer it copies.
    match = re.fullmatch(
        rf"((?:(?:forward|backward)_)?{automatic})(?:_(\d+))?", thing.name
    )
    return (match[1], match[2]) if match else (None, None)


def _snake_case(name: str) -> str:
    """Same as Keras' ``to_snake_case``, which is not public."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


# -- rebuilding ------------------------------------------------------------------------


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


def _describe_model(model: Any, complete: bool) -> tuple[dict[str, Any], bool]:
    return {"config": _config(model)}, False


def _rebuild_model(
    cls: Any, attributes: Mapping[str, Any], weights: Mapping[str, Array]
) -> Any:
    return _model(None, attributes["config"], weights)


def _model(estimator: Any, config: str | None, weights: Mapping[str, Array]) -> Any:
    """Make a model with these weights, by the builder or else the configuration."""
    reasons = []
    for make in (_build, _load) if estimator is not None else (_load,):
        try:
            model = make(estimator, config)
            if model is not None:
                _set_weights(model, weights)
                return model
        except Exception as error:
            # The user's builder, or Keras' reading of a configuration.
            reasons.append(f"{type(error).__name__}: {error}")
    why = "; ".join(reasons) or "it was built by code that cannot be stored"
    raise RebuildError(
        f"its Keras model could not be rebuilt ({why}). Pass estimator=, the "
        "estimator as it was searched, whose builder gives the same architecture"
    )


def _build(estimator: Any, config: str | None) -> Any:
    import keras

    model = getattr(estimator, "model", None)
    if not_stored(estimator.get_params(deep=False)):
        # The builder may use what is missing.
        return None
    if isinstance(model, keras.Model):
        return keras.models.clone_model(model)
    if model is None or not hasattr(estimator, "_build_keras_model"):
        # Builders of keras.wrappers need the data, which is not stored.
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
    """Yield the classes in a configuration that are not Keras' own."""
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
    names = _variable_names(model)
    variables = {names[id(variable)][0]: variable for variable in model.weights}
    if set(variables) != set(weights):
        missing = sorted(set(weights) ^ set(variables))[:5]
        raise ValueError(f"it does not have the same variables: {', '.join(missing)}")
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
        # A subclassed model need not have one; its builder makes it.
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
    """What distinguishes a layer, an optimizer or the like, whether used or not."""
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


# -- epochs ----------------------------------------------------------------------------


@contextmanager
def _watch_wrapper(estimator: Any, take: TakeSnapshot) -> Iterator[None]:
    """Follow an estimator of ``keras.wrappers``."""
    callback = _callback(take)
    models = []

    def get_model(*args: Any, **kwargs: Any) -> Any:
        model = type(estimator)._get_model(estimator, *args, **kwargs)
        models.append(model)

        def fit(*args: Any, callbacks: Any = None, **kwargs: Any) -> Any:
            several = isinstance(callbacks, list | tuple)
            users = callbacks if several else [callbacks] if callbacks else []
            return type(model).fit(model, *args, callbacks=[*users, callback], **kwargs)

        vars(model)["fit"] = fit
        return model

    vars(estimator)["_get_model"] = get_model
    try:
        yield
    finally:
        vars(estimator).pop("_get_model", None)
        for model in models:
            vars(model).pop("fit", None)


@contextmanager
def _watch_scikeras(estimator: Any, take: TakeSnapshot) -> Iterator[None]:
    callback = _callback(take)

    def initialize_callbacks() -> None:
        type(estimator)._initialize_callbacks(estimator)
        estimator._fit_callbacks.append(callback)

    vars(estimator)["_initialize_callbacks"] = initialize_callbacks
    try:
        yield
    finally:
        vars(estimator).pop("_initialize_callbacks", None)
        if "_fit_callbacks" in vars(estimator):
            estimator._fit_callbacks = [
                one for one in estimator._fit_callbacks if one is not callback
            ]


def _callback(take: TakeSnapshot) -> Any:
    """Return a Keras callback that calls `take` before and after each epoch."""
    from keras.callbacks import Callback

    weights_now = _WeightsReader()

    class SnapshotCallback(Callback):  # type: ignore[misc]
        n_done = 0
        learning_rate = float("nan")

        def on_train_begin(self, logs: Any = None) -> None:
            if not self.n_done:
                self._take({})

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            optimizer = getattr(self.model, "optimizer", None)
            if optimizer is not None:
                self.learning_rate = float(optimizer.learning_rate)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.n_done += 1
            info = {name: float(value) for name, value in (logs or {}).items()}
            self._take({"learning_rate": self.learning_rate, **info})

        def _take(self, info: dict[str, float]) -> None:
            model = self.model
            take(
                self.n_done,
                lambda: weights_now(model),
                lambda: _info(model, info),
                lambda: _optimizer_now(model),
            )

    return SnapshotCallback()


class _WeightsReader:
    """Weights of a model as it trains; their names are looked up once."""

    def __init__(self) -> None:
        self._variables: list[Any] = []
        self._names: dict[int, list[str]] = {}

    def __call__(self, model: Any) -> Weights:
        if not model.built:
            return Weights()
        variables = model.weights
        # Kept, so that no other one gets the id of one of them.
        if list(map(id, variables)) != list(map(id, self._variables)):
            self._variables, self._names = variables, _variable_names(model)
        return _weights_of(variables, self._names)


def _optimizer_now(model: Any) -> dict[str, Array]:
    if getattr(model, "optimizer", None) is None:
        raise TypeError("the model has no optimizer")
    variables = model.optimizer.variables
    return {str(n): _array_of(variable) for n, variable in enumerate(variables)}


def _restore_scikeras(estimator: Any, found: Mapping[str, Array]) -> None:
    model = estimator.model_
    optimizer = model.optimizer
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    for number, array in found.items():
        optimizer.variables[int(number)].assign(array)


def _info(model: Any, info: dict[str, float]) -> dict[str, float]:
    optimizer = getattr(model, "optimizer", None)
    step = -1 if optimizer is None else int(_array_of(optimizer.iterations))
    return {"step": step, **info}


# -- tags ------------------------------------------------------------------------------


def ensure_tags() -> bool:
    """Give scikeras' estimators the tags that scikit-learn 1.6 and later asks for.

    Do nothing where ``scikeras.wrappers`` is not imported, and nothing where its
    classes have the right tags already. Subclasses that define ``__sklearn_tags__``
    keep their own. Call it wherever an estimator may just have been unpickled; another
    call costs next to nothing.

    Returns
    -------
    bool
        Whether this call changed scikeras' ``BaseWrapper``.
    """
    wrappers = sys.modules.get("scikeras.wrappers")
    # Another thread may be importing it: the last class is there only if all are.
    if wrappers is None or not hasattr(wrappers, "KerasRegressor"):
        return False
    base = wrappers.BaseWrapper
    if vars(base).get(_TAGS) is _tags:
        return False
    # Asked directly: on scikit-learn 1.6, is_classifier itself fails on this class.
    if (
        wrappers.KerasClassifier().__sklearn_tags__().estimator_type == "classifier"
        and wrappers.KerasRegressor().__sklearn_tags__().estimator_type == "regressor"
    ):
        return False
    setattr(base, _TAGS, _tags)
    return True


def _tags(self: Any) -> Any:
    """Tags of ``BaseEstimator`` plus those of the mixin that it hides."""
    base = sys.modules["scikeras.wrappers"].BaseWrapper
    tags = super(base, self).__sklearn_tags__()
    old = self._tags  # what scikeras told scikit-learn up to 1.5
    tags.target_tags.multi_output = bool(old.get("multioutput", False))
    poor_score = bool(old.get("poor_score", False))
    # As in ClassifierMixin and RegressorMixin, whose own super() ends at ``object``.
    if isinstance(self, ClassifierMixin):
        tags.estimator_type = "classifier"
        tags.classifier_tags = ClassifierTags(
            poor_score=poor_score, multi_label=bool(old.get("multilabel", False))
        )
        tags.target_tags.required = True
    elif isinstance(self, RegressorMixin):
        tags.estimator_type = "regressor"
        tags.regressor_tags = RegressorTags(poor_score=poor_score)
        tags.target_tags.required = True
    return tags


def _resume(estimator: Any) -> None:
    """Let ``fit`` of scikeras go on from a model's weights, with a new optimizer."""
    import keras

    estimator.set_params(warm_start=True)
    model = estimator.model_
    # Of the best candidate, the moments at the end of training were restored.
    fresh = _build(estimator, None) or keras.models.clone_model(model)
    fresh.set_weights(model.get_weights())
    estimator.model_ = fresh
    estimator._ensure_compiled_model()


# -- what this module knows ------------------------------------------------------------


EXTRACTORS: dict[str, Callable[[Any], Weights]] = {
    "keras.src.models.model.Model": extract_model,
    "keras.src.wrappers.sklearn_wrapper.SKLBase": extract_wrapper,
    "scikeras.wrappers.BaseWrapper": extract_wrapper,
}
"""Qualified class name -> function; subclasses included."""

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
    "keras.src.models.model.Model": Rebuilder(
        _describe_model,
        _rebuild_model,
        frozenset(
            {
                "keras.src.models.functional.Functional",
                "keras.src.models.model.Model",
                "keras.src.models.sequential.Sequential",
            }
        ),
    ),
    "keras.src.wrappers.sklearn_wrapper.SKLBase": Rebuilder(
        _describe, _rebuild, _ALONE
    ),
    "scikeras.wrappers.BaseWrapper": Rebuilder(_describe, _rebuild, _ALONE),
}
"""Qualified class name -> how it is rebuilt; subclasses included."""

CONTENTS = {"keras.src.saving.keras_saveable.KerasSaveable": _content}
"""Qualified class name -> what distinguishes its objects from one another."""

EPOCHS = {
    "keras.src.wrappers.sklearn_wrapper.SKLBase": Epochs(
        watch=_watch_wrapper,
        why_not_resumed=(
            "fit of keras.wrappers builds a new model. Train the Keras model itself: "
            "load_estimator(candidate, epoch=...).model_.fit(...)"
        ),
    ),
    "scikeras.wrappers.BaseWrapper": Epochs(
        watch=_watch_scikeras,
        resume=_resume,
        restore=_restore_scikeras,
    ),
}
"""Qualified class name -> how its epochs are followed; subclasses included."""

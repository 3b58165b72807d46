"""Weights of Keras models, scikeras estimators and those of ``keras.wrappers``.

Arrays are copies. Nothing here keeps a model alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.exceptions import NotFittedError

from weightsearch._records import Weights
from weightsearch.frameworks._keras_names import variable_names
from weightsearch.frameworks._keras_rebuild import CONTENTS, REBUILDERS
from weightsearch.frameworks._registry import leave_out

__all__ = [
    "CONTENTS",
    "EXTRACTORS",
    "REBUILDERS",
    "extract_model",
    "extract_wrapper",
]


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
        statistics too. Names are the path from the model to the variable, without
        the model's own name: ``dense_1/kernel``. A variable that is reached
        in several ways is kept once, the other ways are in ``ties``. State of random
        generators, optimizers and metrics is no weight, to Keras neither.

    Raises
    ------
    NotFittedError
        Where the model is not built yet, so that it has no variables.

    Warns
    -----
    UnstorableWeightsWarning
        For variables that hold no numbers.
    """
    variables = model.weights
    if not variables and not model.built:
        raise NotFittedError(
            f"The Keras model {model.name!r} is not built yet, so it has no weights. "
            "Fit it, or call its build method."
        )
    names = variable_names(model)
    weights = Weights()
    for variable in variables:
        name, *aliases = names[id(variable)]
        array = variable.numpy()
        if array.dtype.hasobject:
            leave_out(name, f"it is of type {variable.dtype}")
            continue
        weights[name] = array
        weights.ties.update(dict.fromkeys(aliases, name))
    return weights


def extract_wrapper(estimator: Any) -> Weights:
    """Weights of an estimator that holds its fitted Keras model as ``model_``.

    Parameters
    ----------
    estimator : scikeras.wrappers.BaseWrapper or one of ``keras.wrappers``

    Returns
    -------
    Weights
        Those of ``estimator.model_``, as :func:`extract_model` gives them.

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


EXTRACTORS: dict[str, Callable[[Any], Weights]] = {
    "keras.src.models.model.Model": extract_model,
    "keras.src.wrappers.sklearn_wrapper.SKLBase": extract_wrapper,
    "scikeras.wrappers.BaseWrapper": extract_wrapper,
}
"""Qualified class name -> function; also right for every subclass."""

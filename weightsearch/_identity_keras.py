"""The content of Keras objects: configuration, user's classes, variables."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

_NUMBERED = re.compile(r"(.+?)_\d+")


def keras_content(obj: Any) -> tuple[tuple[str, Any], ...] | None:
    """Say what decides how a Keras object behaves.

    Parameters
    ----------
    obj : object

    Returns
    -------
    tuple of (str, object) or None
        Label and value; None where the object is not one of Keras'.

    Notes
    -----
    Pickling would store an archive with its time of making. Keras numbers layers
    per process, so the numbers in names start anew here.
    """
    keras = sys.modules.get("keras")
    saving = getattr(keras, "saving", None)
    if saving is None or not hasattr(obj, "get_config"):
        return None
    if not any(base.__module__.startswith("keras.") for base in type(obj).__mro__):
        return None
    config = saving.serialize_keras_object(obj)
    layers = list(_layers(obj))
    variables = getattr(obj, "variables", None) or ()
    return (
        ("configuration", _renamed(config, _own_names(layers))),
        ("classes", tuple(type(layer) for layer in layers)),
        ("variables", [np.asarray(_value(variable)) for variable in variables]),
    )


def _value(variable: Any) -> Any:
    return variable.numpy() if hasattr(variable, "numpy") else variable


def _layers(obj: Any, seen: set[int] | None = None) -> Iterator[Any]:
    seen = set() if seen is None else seen
    if id(obj) in seen:
        return
    seen.add(id(obj))
    yield obj
    for layer in getattr(obj, "layers", None) or ():
        yield from _layers(layer, seen)


def _own_names(layers: list[Any]) -> dict[str, str]:
    """Names as Keras would give them in a process that had made no layer yet."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for layer in layers:
        name = getattr(layer, "name", None)
        if not isinstance(name, str) or name in names:
            continue
        numbered = _NUMBERED.fullmatch(name)
        base = numbered[1] if numbered else name
        counts[base] = counts.get(base, -1) + 1
        names[name] = f"{base}_{counts[base]}" if counts[base] else base
    return names


def _renamed(config: Any, names: dict[str, str]) -> Any:
    if isinstance(config, str):
        return names.get(config, config)
    if isinstance(config, dict):
        return {_renamed(k, names): _renamed(v, names) for k, v in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_renamed(item, names) for item in config)
    return config

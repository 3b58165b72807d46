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
    variables = getattr(obj, "variables", None)
    content = [
        ("configuration", _renamed(config, _own_names(config))),
        ("classes", tuple(type(layer) for layer in _layers(obj))),
        ("variables", [np.asarray(_value(variable)) for variable in variables or ()]),
        # What a configuration may leave out, as that of Huber does its delta.
        ("arguments", getattr(obj, "_fn_kwargs", None)),
        ("loss", obj.loss if getattr(obj, "compiled", False) is True else None),
    ]
    if variables is None:
        content.append(("attributes", _attributes(obj)))
    return tuple(content)


def _attributes(obj: Any) -> dict[str, Any]:
    # Where no seed was given, an initializer draws one; the configuration tells.
    known = dict(vars(obj))
    if "_init_seed" in known:
        known.pop("seed", None)
    return known


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


def _own_names(config: Any) -> dict[str, str]:
    """Names as Keras would give them in a process that had made no layer yet."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for name in _names(config):
        if name in names:
            continue
        numbered = _NUMBERED.fullmatch(name)
        base = numbered[1] if numbered else name
        counts[base] = counts.get(base, -1) + 1
        names[name] = f"{base}_{counts[base]}" if counts[base] else base
    return names


def _names(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        if "class_name" in config and isinstance(config.get("config"), dict):
            name = config["config"].get("name")
            if isinstance(name, str):
                yield name
        config = list(config.values())
    if isinstance(config, list | tuple):
        for item in config:
            yield from _names(item)


def _renamed(config: Any, names: dict[str, str]) -> Any:
    if isinstance(config, str):
        return names.get(config, config)
    if isinstance(config, dict):
        return {_renamed(k, names): _renamed(v, names) for k, v in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_renamed(item, names) for item in config)
    return config

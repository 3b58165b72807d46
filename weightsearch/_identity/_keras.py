"""Digest Keras objects: configuration, user's classes, variables."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from types import MethodType
from typing import Any

import numpy as np

from weightsearch._identity._origin import is_own

_NUMBERED = re.compile(r"(.+?)_\d+")


def keras_content(obj: Any) -> tuple[tuple[str, Any], ...] | None:
    """Return what decides how a Keras object behaves: label and value of each part.

    None where the object is not one of Keras'. Pickling would store an archive with its
    time of making. Keras numbers layers per process, so the numbers in names restart
    here.
    """
    keras = sys.modules.get("keras")
    saving = getattr(keras, "saving", None)
    if saving is None or not hasattr(obj, "get_config"):
        return None
    if not is_keras(obj):
        return None
    config = saving.serialize_keras_object(obj)
    variables = getattr(obj, "variables", None)
    content = [
        ("configuration", _renamed(config, _own_names(config))),
        ("variables", [_value(v) for v in variables or () if not _is_drawn(v)]),
        # What a configuration may leave out, as that of Huber does its delta.
        ("arguments", _untracked(getattr(obj, "_fn_kwargs", None))),
        ("loss", obj.loss if getattr(obj, "compiled", False) is True else None),
    ]
    if variables is None:
        content.append(("attributes", _attributes(obj)))
    return tuple(content)


def _attributes(obj: Any) -> dict[str, Any]:
    # Where no seed was given, an initializer draws one; the configuration says so.
    drawn = {"name", "seed"} if "_init_seed" in vars(obj) else {"name"}
    return {k: _untracked(v) for k, v in vars(obj).items() if k not in drawn}


def _untracked(value: Any) -> Any:
    """Return a container without Keras' tracking of its owner."""
    if isinstance(value, dict | list | set) and is_keras(value):
        return next(kind for kind in (dict, list, set) if isinstance(value, kind))(
            value
        )
    return value


def _value(variable: Any) -> Any:
    return np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable)


def _is_drawn(variable: Any) -> bool:
    # The configuration has a given seed; otherwise one is drawn each time.
    return str(getattr(variable, "path", "")).endswith("seed_generator_state")


def own_parts(obj: Any) -> list[Any]:
    """The user's classes, functions and attributes anywhere in a Keras object.

    Layers are held by models and by other layers, activations and initializers by
    layers, schedules by optimizers: so everything that is Keras' own is looked
    through. Their order says nothing: use adds other ways to the same parts.
    """
    found: dict[int, Any] = {}
    todo, seen = [obj], {}
    while todo:
        part = todo.pop()
        if id(part) in seen or isinstance(part, str | bytes | int | float | None):
            continue
        seen[id(part)] = part
        if isinstance(part, Mapping):
            todo += part.values()
        elif isinstance(part, Set | Sequence):
            todo += part
        elif is_keras(part):
            if is_own(part):
                found[id(part)] = (type(part), tuple(_plain_attributes(part)))
            todo += getattr(part, "__dict__", {}).values()
        elif isinstance(part, MethodType):
            todo += (part.__func__, part.__self__)
        elif is_own(part):
            found[id(part)] = part
    return list(found.values())


def is_keras(obj: Any) -> bool:
    """Whether an object's class, or a base of it, is one of Keras'."""
    return any(base.__module__.startswith("keras.") for base in type(obj).__mro__)


def _plain_attributes(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield plain attributes that a user's class has set on an object."""
    for name, value in sorted(vars(obj).items()):
        if name[0] != "_" and name not in ("built", "name") and not is_keras(value):
            if isinstance(value, str | bytes | int | float | None):
                yield name, value


def _own_names(config: Any) -> dict[str, str]:
    """Return the names that Keras would use in a fresh process."""
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
        if config.get("class_name") == "__lambda__":
            return "lambda"  # its code is among the object's own parts
        return {_renamed(k, names): _renamed(v, names) for k, v in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_renamed(item, names) for item in config)
    return config

"""Describe any object in a line, by what distinguishes it from others of its class."""

from __future__ import annotations

import copyreg
import enum
import functools
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import MethodType
from typing import Any

import numpy as np

from weightsearch._display import cut
from weightsearch._identity._estimators import params_of
from weightsearch._identity._keras import is_keras
from weightsearch._identity._origin import home
from weightsearch._value_types import plain_scalar

__all__ = ["defaults_of", "describe", "is_kernel", "show"]

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_SHIPPED_NAME = re.compile(r"(.+?)_?\d*")
_LIMIT = 200
_ITEMS = 8
_DEPTH = 4


def show(value: Any) -> str:
    """Return a value's repr, also where Python refuses to print a long integer."""
    try:
        return repr(value)
    except ValueError:
        return f"<{type(value).__name__} of very long integers>"


def describe(value: Any) -> str:
    """Return one line about an object, 200 characters at most.

    An object whose class defines no repr is shown by its arguments: the config of a
    Keras object, the params of an estimator that differ from its defaults, the
    attributes of anything else. The text contains no memory address.
    """
    return cut(_text(value, _DEPTH), _LIMIT)


def is_kernel(value: Any) -> bool:
    """Return whether a value is a kernel of a Gaussian process."""
    return any(
        cls.__name__ == "Kernel"
        and cls.__module__ == "sklearn.gaussian_process.kernels"
        for cls in type(value).__mro__
    )


def _text(value: Any, depth: int) -> str:
    try:
        return _described(value, depth)
    except Exception:
        # Whatever a foreign class raises, its name is known.
        return f"<{type(value).__name__}>"


def _described(value: Any, depth: int) -> str:
    value = plain_scalar(value)
    cls = type(value)
    if cls is float:
        return _number(value)
    if value is None or cls in (bool, int, complex, str, bytes):
        return cut(show(value), 60)
    if depth <= 0:
        return f"<{cls.__name__}>"
    if cls in (list, tuple, set, frozenset):
        return _items(value, depth)
    if cls is dict:
        return f"{{{_joined(_pairs(value, depth), len(value))}}}"
    if isinstance(value, MethodType):
        owner = value.__self__
        shown = _name(owner) if isinstance(owner, type) else _text(owner, depth - 1)
        return f"{shown}.{value.__name__}"
    if isinstance(value, type) or (callable(value) and hasattr(value, "__name__")):
        return _name(value)
    if isinstance(value, functools.partial):
        return _call("partial", (value.func, *value.args), value.keywords, depth)
    if isinstance(value, enum.Enum):
        return f"{cls.__name__}.{value.name}" if value.name else repr(value)
    shape = getattr(value, "shape", None)
    if isinstance(value, np.ndarray) and value.size <= _ITEMS:
        return _text(value.tolist(), depth)
    if isinstance(shape, tuple):
        return f"<{cls.__name__} of shape {tuple(shape)}>"
    if cls.__module__.startswith("scipy.stats") and hasattr(value, "dist"):
        return _call(value.dist.name, value.args, value.kwds, depth)
    if is_keras(value) and callable(getattr(value, "get_config", None)):
        config = {**value.get_config(), **getattr(value, "_fn_kwargs", {})}
        return _config_call(cls.__name__, config, cls, depth)
    params = None if is_kernel(value) else params_of(value)
    if params is not None:
        return _call(cls.__name__, (), _changed(params, cls), depth)
    if getattr(cls, "__repr__", None) != object.__repr__:
        own = " ".join(_ADDRESS.sub("", repr(value)).split())
        if own != f"{cls.__name__}()":
            return own
    name = cls.__name__.removesuffix("_frozen")  # of scipy's distributions
    return _call(name, (), _attributes(value), depth)


def _number(value: float) -> str:
    """Return a float's text, short where it came from single precision."""
    long = repr(value)
    with np.errstate(over="ignore"):
        single = np.float32(value)
    return str(single) if len(long) > 10 and float(single) == value else long


def _name(value: Any) -> str:
    name: str = getattr(value, "__qualname__", None) or value.__name__
    return name.rpartition("<locals>.")[2]


def _items(values: Any, depth: int) -> str:
    shown = [_text(item, depth - 1) for item in list(values)[:_ITEMS]]
    if isinstance(values, set | frozenset):
        shown.sort()  # the order of a set differs between processes
    text = _joined(shown, len(values))
    if isinstance(values, list):
        return f"[{text}]"
    if isinstance(values, tuple):
        return f"({text},)" if len(values) == 1 else f"({text})"
    return f"{{{text}}}" if values else f"{type(values).__name__}()"


def _pairs(values: Mapping[Any, Any], depth: int) -> list[str]:
    return [
        f"{_text(key, depth - 1)}: {_text(item, depth - 1)}"
        for key, item in list(values.items())[:_ITEMS]
    ]


def _joined(shown: Sequence[str], count: int) -> str:
    return ", ".join([*shown, *(["..."] if count > len(shown) else [])])


def _call(name: str, args: Iterable[Any], kwargs: Mapping[str, Any], depth: int) -> str:
    shown = [_text(arg, depth - 1) for arg in args]
    shown += [f"{key}={_text(item, depth - 1)}" for key, item in kwargs.items()]
    return f"{name}({', '.join(shown)})"


def _config_call(
    name: str, config: Mapping[str, Any], cls: type | None, depth: int
) -> str:
    """Return the text of a Keras object: what of its config is not the default."""
    if depth <= 0:
        return f"<{name}>"
    defaults = {} if cls is None else defaults_of(cls)
    shown = []
    for key, item in config.items():
        text = _config_text(item, depth - 1)
        if key == "name" and _SHIPPED_NAME.fullmatch(str(item))[1] in _snakes(name):  # type: ignore[index]
            continue  # chosen by Keras
        if key in ("dtype", "trainable") or item is None:
            continue
        if key in defaults and _folded(text) == _folded(_text(defaults[key], depth)):
            continue
        shown.append(f"{key}={text}")
    return f"{name}({', '.join(shown)})"


def _config_text(item: Any, depth: int) -> str:
    """Return the text of a value of a config, where objects are dicts."""
    if isinstance(item, Mapping) and {"class_name", "config"} <= item.keys():
        config = item["config"]
        if not isinstance(config, Mapping):
            return _text(config, depth)
        return _config_call(str(item["class_name"]), config, None, depth)
    if isinstance(item, list | tuple):
        text = _joined([_config_text(i, depth) for i in item[:_ITEMS]], len(item))
        return f"[{text}]"
    return _text(item, depth)


def _snakes(name: str) -> tuple[str, str]:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return snake.lower(), name


def _folded(text: str) -> str:
    """Return one text for ``GlorotUniform()`` and ``'glorot_uniform'``."""
    return re.sub(r"[_'\"]|\(\)", "", text).lower()


def _changed(values: Mapping[str, Any], cls: type) -> dict[str, Any]:
    """Return the values that differ from the constructor's defaults."""
    defaults = defaults_of(cls)
    return {
        name: value
        for name, value in values.items()
        if name not in defaults or not _is_same(value, defaults[name])
    }


def _is_same(value: Any, default: Any) -> bool:
    if value is default:
        return True
    return type(value) is type(default) and _text(value, 2) == _text(default, 2)


@cache
def _parameters(cls: type) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(cls).parameters
    except (TypeError, ValueError):  # a compiled class
        return {}


def defaults_of(cls: type) -> dict[str, Any]:
    """Return the defaults of a constructor's arguments."""
    return {
        name: parameter.default
        for name, parameter in _parameters(cls).items()
        if parameter.default is not parameter.empty
    }


def _attributes(value: Any) -> dict[str, Any]:
    """Return an object's constructor arguments, or its public attributes.

    Of a library's class, only those that differ from the defaults.
    """
    cls: Any = type(value)
    known = [name for name in _parameters(cls) if hasattr(value, name)]
    if known:
        arguments = {name: getattr(value, name) for name in known}
        return _changed(arguments, cls) if home(cls.__module__) else arguments
    held: dict[str, Any] = dict(getattr(value, "__dict__", {}))
    for name in copyreg._slotnames(cls):  # type: ignore[attr-defined]
        if hasattr(value, name):
            held.setdefault(name, getattr(value, name))
    public = {name: item for name, item in held.items() if not name.startswith("_")}
    return public or held

"""Params as canonical JSON."""

from __future__ import annotations

import base64
import datetime
import inspect
import json
import math
import re
import reprlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np

from weightsearch._identity import Unidentifiable, digest
from weightsearch._identity._estimators import params_of
from weightsearch._identity._origin import home, resolve
from weightsearch._params._decode import OpaqueParam
from weightsearch._params._text import DTYPE, LONG, MAX_INLINE, MAX_VALUE, dump

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = 200
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 20


def encode_params(params: Mapping[str, Any]) -> str:
    """Write a candidate's params as canonical JSON.

    Parameters
    ----------
    params : mapping of str to object

    Returns
    -------
    str
        ASCII; equal for equal params in every process. The type of a numpy scalar
        is not kept, its Python value is.

    Raises
    ------
    TypeError
        If a name is no str.
    """
    trees = {}
    for name, value in params.items():
        if not isinstance(name, str):
            raise TypeError(f"Names of params are text, not {name!r}.")
        trees[str(name)] = _bounded(value)
    return dump(trees)


def _bounded(value: Any) -> Any:
    try:
        tree = encode_value(value)
    except RecursionError:
        return _object(value)
    if isinstance(tree, dict | list | str) and len(dump(tree)) > MAX_VALUE:
        return _object(value)
    return tree


def encode_value(value: Any) -> Any:
    """Write one value as a tree of JSON values."""
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if value.bit_length() <= LONG else {"$int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if kind is list:
        return [encode_value(item) for item in value]
    encode = _ENCODERS.get(kind)
    if encode is not None:
        return encode(value)
    if isinstance(value, OpaqueParam):
        return json.loads(value.text)
    if isinstance(value, np.generic):
        scalar = value.item()
        if isinstance(value, np.bool_ | np.number | np.str_ | np.bytes_) and (
            type(scalar) in (bool, int, float, complex, str, bytes)
        ):
            return encode_value(scalar)
        return _object(value)
    if kind is np.ndarray:
        return _array(value)
    if isinstance(value, np.dtype):
        simple = DTYPE.fullmatch(value.str) and value.names is None
        return {"$dtype": value.str} if simple else _object(value)
    if isinstance(value, PurePath):
        return {"$path": value.as_posix()}
    if isinstance(value, type):
        return {"$class": _named(value)}
    if isinstance(value, FunctionType | BuiltinFunctionType | MethodType | np.ufunc):
        return {"$function": _named(value)}
    params = params_of(value)
    return _object(value) if params is None else _estimator(value, params)


def _mapping(value: Mapping[Any, Any]) -> Any:
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: encode_value(item) for key, item in value.items()}
    pairs = ([encode_value(k), encode_value(v)] for k, v in value.items())
    return {"$dict": sorted(pairs, key=dump)}


def _sorted(items: Any) -> list[Any]:
    return sorted((encode_value(item) for item in items), key=dump)


def _datetime(value: Any) -> Any:
    zone = getattr(value, "tzinfo", None)
    # A named zone has rules of its own, which a distance from UTC does not tell.
    known = zone is None or type(zone) is datetime.timezone
    if not known or getattr(value, "fold", False):
        return _object(value)
    return {f"${type(value).__name__}": value.isoformat()}


def _array(value: np.ndarray[Any, Any]) -> Any:
    known: dict[str, Any] = {
        "dtype": value.dtype.newbyteorder("<").str,
        "shape": list(value.shape),
    }
    items = value.ravel().tolist() if value.size <= MAX_INLINE else []
    if value.dtype.kind in "biufcU" and len(items) == value.size:
        if all(type(item) in (bool, int, float, complex, str) for item in items):
            # No digest: values say all, but for the bits within a nan.
            return {"$array": {**known, "values": [encode_value(i) for i in items]}}
    return {"$array": {**known, "digest": _digest(value)}}


def _named(value: Any) -> dict[str, Any]:
    module = getattr(value, "__module__", None) or ""
    name = getattr(value, "__qualname__", None) or value.__name__
    if isinstance(value, np.ufunc) and getattr(np, name, None) is value:
        module = "numpy"
    if module and home(module) is not None and resolve(module, name) == value:
        name = f"{module}.{name}"
    # The user's own modules are left out: code may move from a script to a module.
    return {"name": name.rpartition("<locals>.")[2], "digest": _digest(value)}


def _estimator(value: Any, params: Mapping[str, Any]) -> Any:
    cls = type(value)
    defaults = _defaults(cls)  # type: ignore[arg-type]
    changed = {
        name: tree
        for name, tree in ((n, _bounded(v)) for n, v in params.items())
        if name not in defaults or dump(tree) != defaults[name]
    }
    known = _named(cls)
    if home(cls.__module__) is not None:
        del known["digest"]  # its name says all
    return {"$estimator": {"class": known.pop("name"), "params": changed, **known}}


@cache
def _defaults(cls: type) -> dict[str, str]:
    try:
        signature = inspect.signature(cls)
    except (TypeError, ValueError):  # a compiled class
        return {}
    return {
        name: dump(_bounded(parameter.default))
        for name, parameter in signature.parameters.items()
        if parameter.default is not parameter.empty
    }


def _object(value: Any) -> Any:
    cls = type(value)
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        words = f"<{cls.__name__} of shape {tuple(shape)}>"
    else:
        words = _ADDRESS.sub("", _SHORT.repr(value))
    name = f"{cls.__module__}.{cls.__qualname__}"
    return {"$object": {"class": name, "repr": words, "digest": _digest(value)}}


def _digest(value: Any) -> str | None:
    try:
        return digest(value)
    except Unidentifiable:
        return None


_ENCODERS: dict[type, Callable[[Any], Any]] = {
    dict: _mapping,
    OrderedDict: _mapping,
    tuple: lambda value: {"$tuple": [encode_value(item) for item in value]},
    set: lambda value: {"$set": _sorted(value)},
    frozenset: lambda value: {"$frozenset": _sorted(value)},
    bytes: lambda value: {"$bytes": base64.b64encode(value).decode()},
    complex: lambda v: {"$complex": [encode_value(v.real), encode_value(v.imag)]},
    range: lambda value: {"$range": [value.start, value.stop, value.step]},
    slice: lambda v: {"$slice": [encode_value(i) for i in (v.start, v.stop, v.step)]},
    datetime.datetime: _datetime,
    datetime.date: _datetime,
    datetime.time: _datetime,
    datetime.timedelta: lambda v: {"$timedelta": [v.days, v.seconds, v.microseconds]},
}

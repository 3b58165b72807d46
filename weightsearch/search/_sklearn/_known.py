"""Keys of values whose behaviour is known: plain ones, and scikit-learn's objects."""

from __future__ import annotations

import sys
import types
from collections.abc import Hashable
from typing import Any

import numpy as np

__all__ = ["Unknown", "known_key", "known_param"]

_PLAIN = frozenset({bool, bytes, complex, int, str, type(None), type(...), range})
_LIBRARIES = frozenset({"sklearn", "numpy", "scipy"})
_REFUSED = frozenset({"_metadata_request", "_skl_callbacks", "transform_input"})


class Unknown(Exception):
    """A value that may be, or do, what cannot be known."""


def known_key(value: Any) -> Hashable:
    """Return a key that is equal only for values that act alike in every fit.

    Raises
    ------
    Unknown
        If there is code or state in it that is not scikit-learn's or numpy's; or if a
        fit with it would be noticed: it prints, or writes into its data.
    """
    try:
        return _key(value)
    except RecursionError as error:  # it holds itself
        raise Unknown(type(value)) from error


def _key(value: Any) -> Hashable:
    cls = type(value)
    if cls in _PLAIN:
        return cls, value
    if cls is float:
        return cls, value.hex()
    if cls in (list, tuple):
        return cls, tuple(map(_key, value))
    if cls is dict:
        return cls, tuple((_key(k), _key(v)) for k, v in value.items())
    if isinstance(value, np.generic | np.ndarray) and cls.__module__ == "numpy":
        if value.dtype.hasobject:
            return cls, value.shape, _key(value.tolist())
        return cls, value.dtype.str, value.shape, value.strides, value.tobytes()
    if isinstance(value, type | types.FunctionType | np.ufunc | np.dtype):
        return _library_key(value)
    if cls.__module__.partition(".")[0] != "sklearn":
        raise Unknown(cls)
    return _library_key(cls), _attributes_key(value)


def _library_key(value: Any) -> Hashable:
    """Return the key of a function or class that a library has by its name."""
    if isinstance(value, np.dtype) and not value.hasobject:
        return np.dtype, value.str, value.descr if value.names else None
    module = getattr(value, "__module__", None) or "numpy"
    name: str = getattr(value, "__qualname__", "") or getattr(value, "__name__", "")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not value:
        if isinstance(value, np.ufunc) and getattr(np, name, None) is value:
            return "numpy", name
        raise Unknown(value)
    if module.partition(".")[0] not in _LIBRARIES and module != "builtins":
        raise Unknown(value)
    return module, name


def _attributes_key(value: Any) -> Hashable:
    """Return the key of all that an object of scikit-learn has, its params included."""
    if not hasattr(value, "__dict__"):
        raise Unknown(value)
    parts = [(name, known_param(name, part)) for name, part in vars(value).items()]
    return tuple(sorted(parts, key=lambda part: part[0]))


def known_param(name: str, value: Any) -> Hashable:
    """Return the key of a param's value, as :func:`known_key` does."""
    name = name.rpartition("__")[2]
    speaks = name == "verbose" and value
    writes = name.startswith("copy") and value is False
    stores = name == "memory" and value is not None
    if speaks or writes or stores or (name in _REFUSED and value is not None):
        raise Unknown(name)
    return known_key(value)

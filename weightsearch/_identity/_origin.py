"""Find out where code comes from: a distribution, the standard library, or the user.

Installed code is known by its name and version, the user's own code by its content.
An editable install is outside ``site-packages`` and counts as the user's own: its
code can change without its version.
"""

from __future__ import annotations

import functools
import sys
import sysconfig
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodDescriptorType,
    ModuleType,
)
from typing import Any

import numpy as np

_OURSELVES = __name__.partition(".")[0]


def home(module: str) -> tuple[str, ...] | None:
    """Return the distributions that contain a module, mostly one.

    Empty for the standard library; None for the user's own code.
    """
    if module.partition(".")[0] == _OURSELVES:
        return (_OURSELVES,)
    name = module
    while name:
        loaded = sys.modules.get(name)
        where = _place(loaded)
        if where is not None:
            return home_of_file(module, where)
        origin = getattr(getattr(loaded, "__spec__", None), "origin", None)
        if origin in ("built-in", "frozen"):
            return ()
        # Compiled packages make up modules without a file, such as torch._C._nn.
        name = name.rpartition(".")[0]
    return None


def _place(module: ModuleType | None) -> str | None:
    place = getattr(module, "__file__", None)
    if isinstance(place, str):
        return place
    return next(
        (p for p in getattr(module, "__path__", ()) if isinstance(p, str)), None
    )


@cache
def home_of_file(module: str, place: str) -> tuple[str, ...] | None:
    """Return the distributions that contain a module, loaded or not, by its file."""
    path = Path(place)
    root = module.partition(".")[0]
    if {"site-packages", "dist-packages"} & set(path.parts):
        return tuple(sorted(set(_distributions().get(root, ())))) or None
    if any(folder in path.parents for folder in _standard_library()):
        return ()
    return None


@cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


@cache
def _standard_library() -> frozenset[Path]:
    folders = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    return frozenset(folders) | {folder.resolve() for folder in folders}


def is_own(obj: Any) -> bool:
    """Whether a function, a class, or the class of an object, is the user's own."""
    if isinstance(obj, functools.partial):
        return is_own(obj.func)
    if isinstance(obj, FunctionType):
        name = obj.__globals__.get("__name__")
    elif isinstance(obj, type | BuiltinFunctionType):
        name = module_of(obj)
    else:
        name = module_of(type(obj))
    return isinstance(name, str) and name in sys.modules and home(name) is None


def module_of(obj: Any) -> str | None:
    """Name of the module that has a function, class or ufunc.

    Compiled classes of scikit-learn up to 1.6 name theirs without its package.
    """
    if isinstance(obj, np.ufunc):
        return "numpy" if getattr(np, obj.__name__, None) is obj else "scipy.special"
    if isinstance(obj, MethodDescriptorType):
        obj = obj.__objclass__
    name: str | None = getattr(obj, "__module__", None)
    if not name or "." in name or not hasattr(obj, "__pyx_vtable__"):
        return name
    ending = f".{name}"
    for known, module in list(sys.modules.items()):
        if known.endswith(ending) and getattr(module, obj.__name__, None) is obj:
            return known
    return name


def resolve(module: str | None, qualname: str) -> Any:
    """Find a loaded module's attribute by its dotted name; None where it has none."""
    found: Any = sys.modules.get(module or "")
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found

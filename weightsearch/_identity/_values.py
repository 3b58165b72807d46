"""Digest any value by what it holds and does, never by its address.

Equal values have equal digests in every process and on every machine with equal
versions; what cannot be looked into raises :class:`Unidentifiable`.
"""

from __future__ import annotations

import contextvars
import copyreg
import enum
import functools
import logging
import pickle
import random
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np

from weightsearch._identity._code import (
    ModuleName,
    code_digest,
    compiled_content,
    content_of,
    patches,
    reads_annotations,
)
from weightsearch._identity._data import data_digest, node
from weightsearch._identity._estimators import (
    ALWAYS_KEPT,
    NOT_LEARNED,
    deciding_params,
    is_frozen,
    params_of,
    state_of,
)
from weightsearch._identity._keras import keras_content, own_parts
from weightsearch._identity._origin import home, home_of_file, module_of, resolve
from weightsearch._value_types import plain_scalar

_PLAIN = (type(None), bool, int, float, complex, str)
_PLAIN_SET = frozenset(_PLAIN)
_LRU_CACHE = type(functools.lru_cache(lambda: None))
# They say nothing of what a fit does; nor do caches that forget what is not used.
_SAYS_NOTHING = (
    type(threading.Lock()),
    type(threading.RLock()),
    threading.local,
    weakref.WeakKeyDictionary,
    weakref.WeakSet,
)
# Functions that libraries compile while running, by what holds the user's own.
_COMPILED = {"numba": "py_func", "tensorflow": "python_function"}
_BITS_OF_TEXT = 4096  # longer integers have no decimal text by default


class Unidentifiable(Exception):
    """Raised for an object whose state cannot be inspected.

    Attributes
    ----------
    reason : str
        What it is and why, for people.
    path : str
        Path from the digested object, such as ``.params['f']``.
    """

    def __init__(self, reason: str, path: str = ""):
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason = reason
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.path)


class Digester:
    """Compute digests, and collect the distributions that took part in them.

    Parameters
    ----------
    boxes : tuple of type, default=()
        Types of numpy's scalars that differ from Python's of the same value.

    Attributes
    ----------
    distributions : set of str
        Names of the distributions whose classes, functions or modules were met.
    own_code : bool
        Whether code of the user's own was met.
    """

    def __init__(self, *, boxes: tuple[type, ...] = ()) -> None:
        self._boxes = boxes
        self.distributions: set[str] = set()
        self._path: list[str] = []
        self._active: dict[int, int] = {}
        self._scope: _Scope | None = None
        self._roots: set[int] = set()
        self._by_code: dict[int, tuple[Any, bytes, set[str]]] = {}
        self._patched: dict[str, list[Any]] = {}
        self.own_code = False
        # True where even what an estimator has learned counts, since no clone
        # of it will be made before it is used.
        self._learned = False

    def digest(self, obj: Any) -> bytes:
        """Digest of any object, 16 bytes.

        Raises
        ------
        Unidentifiable
            If something in it has state that cannot be looked into.
        """
        if type(obj) in _PLAIN_SET:
            return _plain(obj)
        if id(obj) in self._active:
            depth = len(self._active) - self._active[id(obj)]
            return node("cycle", str(depth).encode())
        self._active[id(obj)] = len(self._active)
        try:
            return self._any(obj)
        except Unidentifiable:
            raise
        except RecursionError:
            raise Unidentifiable("it is nested too deeply", self._where()) from None
        except Exception as error:
            # Whatever a foreign class raises when it is asked for its state, the
            # object stays unknown, and that is all there is to it.
            kind = f"{type(obj).__module__}.{type(obj).__qualname__}"
            reason = f"the state of {kind} cannot be read ({error})"
            raise Unidentifiable(reason, self._where()) from error
        finally:
            del self._active[id(obj)]

    def child(self, label: str, obj: Any) -> bytes:
        """Digest of a part, with the way to it for errors."""
        self._path.append(label)
        try:
            return self.digest(obj)
        finally:
            self._path.pop()

    def _where(self) -> str:
        path = self._path
        where = "".join(path if len(path) <= 12 else [*path[:11], "..."])
        return where.removeprefix(" > ")

    @contextmanager
    def _everything(self) -> Iterator[None]:
        before, self._learned = self._learned, True
        try:
            yield
        finally:
            self._learned = before

    def _any(self, obj: Any) -> bytes:
        kind = type(obj)
        if kind is tuple or kind is list:
            return self._sequence(kind.__name__, obj)
        if kind is dict or kind is MappingProxyType:
            with self._everything():
                return self._pairs(obj.items())
        if kind is set or kind is frozenset:
            return self._set(obj)
        if isinstance(obj, np.generic):
            value = plain_scalar(obj)
            if value is not obj:
                known = self.digest(value)
                return (
                    node(kind.__name__, known)
                    if isinstance(obj, self._boxes)
                    else known
                )
            return node("scalar", data_digest(np.asarray(obj), self.digest) or b"")
        if isinstance(obj, bytes | bytearray):
            return node(kind.__name__, bytes(obj))
        if isinstance(obj, type | FunctionType):
            return self._function_or_class(obj)
        if isinstance(obj, enum.Enum):
            return node("Enum", self.child("", kind), self.child("", obj._value_))
        if isinstance(obj, PurePath):
            return node("Path", obj.as_posix().encode("utf-8", "surrogateescape"))
        if kind is slice:
            return node("slice", self._sequence("", [obj.start, obj.stop, obj.step]))
        if isinstance(obj, ModuleType | ModuleName):
            return self._module(obj)
        if isinstance(obj, CodeType):
            return code_digest(obj)
        if isinstance(obj, logging.Logger):
            return node("Logger", obj.name.encode())
        if isinstance(obj, _SAYS_NOTHING):
            return node("nothing", kind.__name__.encode())
        if isinstance(obj, MethodType | BuiltinFunctionType):
            return self._method(obj)
        with self._everything():
            if isinstance(obj, functools.partial):
                return self._partial(obj)
            if isinstance(obj, np.random.RandomState | np.random.Generator):
                return self._random(obj)
            if isinstance(obj, _LRU_CACHE):
                return node("cached", self.child(".__wrapped__", obj.__wrapped__))
            if isinstance(obj, functools.cached_property):
                return node("cached_property", self.child(".func", obj.func))
            if isinstance(obj, contextvars.ContextVar):
                return node("ContextVar", self.child(".get()", _value_of(obj)))
            if isinstance(obj, weakref.ref):
                return node("weakref", self.child("()", obj()))
            data = data_digest(obj, self.digest)
            if data is not None:
                self.distributions.update(home(kind.__module__) or ())
                return data
        return self._object(obj)

    # Containers -----------------------------------------------------------------

    def _sequence(self, tag: str, items: Any) -> bytes:
        items = list(items)
        if not (self._boxes or set(map(type, items)) <= _PLAIN_SET):
            items = list(map(plain_scalar, items))
        if set(map(type, items)) <= _PLAIN_SET:
            try:
                # One text for all: X may be lists of many numbers or strings.
                return node(tag, repr(items).encode())
            except ValueError:  # an integer too long for a decimal text
                pass
        parts = (self.child(f"[{i}]", item) for i, item in enumerate(items))
        return node(f"{tag} of objects", *parts)

    def _pairs(self, items: Any) -> bytes:
        parts = (
            p
            for k, v in items
            for p in (self.child(".keys()", k), self.child(f"[{k!r}]", v))
        )
        return node("dict", *parts)

    def named(self, items: Mapping[str, Any]) -> bytes:
        """Digest of values by name, in whatever order."""
        with self._everything():
            return self._pairs(sorted(items.items(), key=lambda item: str(item[0])))

    def _set(self, items: Any) -> bytes:
        scope, self._scope = self._scope, None  # order must not number anything
        try:
            parts = sorted(self.child(".pop()", item) for item in items)
        finally:
            self._scope = scope
        return node("set", *parts)

    # Code -----------------------------------------------------------------------

    def _module(self, obj: ModuleType | ModuleName) -> bytes:
        name = obj.name if isinstance(obj, ModuleName) else obj.__name__
        if isinstance(obj, ModuleName):
            shipped = home_of_file(name, obj.place)
        else:
            shipped = home(name)
            if shipped is None:
                return self._own(obj)
        self.distributions.update(shipped or ())
        return node("module", name.encode())

    def _function_or_class(self, obj: Any) -> bytes:
        module = module_of(obj)
        shipped = home(module) if module else None
        if shipped is None or resolve(module, obj.__qualname__) is not obj:
            return self._own(obj)
        known = self._by_code.get(id(obj))
        if known is None:
            self.distributions.update(shipped)
            name = f"{module}.{obj.__qualname__}"
            added = patches(obj, self._patched)
            parts = [self.child(f" > {label}", value) for label, value in added]
            result = node("installed", name.encode(), *parts)
            if added:
                return result
            known = self._by_code[id(obj)] = (obj, result, set(shipped))
        self.distributions |= known[2]
        return known[1]

    def _own(self, obj: Any) -> bytes:
        """Digest of a function, class or module of the user's own."""
        self.own_code = True
        if self._scope is not None:
            return self._scope.reference(obj)
        known = self._by_code.get(id(obj))
        if known is not None:
            self.distributions |= known[2]
            return known[1]
        if id(obj) in self._roots:
            return node("recursive", obj.__name__.encode())
        before, self.distributions = self.distributions, set()
        try:
            result = self._code(obj)
            self._by_code[id(obj)] = (obj, result, self.distributions)
        finally:
            self.distributions = before | self.distributions
        return result

    def _code(self, root: Any) -> bytes:
        """Digest of all functions, classes and modules that one of them leads to."""
        active, self._active = self._active, {}
        self._scope = scope = _Scope()
        self._roots.add(id(root))
        scope.reference(root)
        parts = []
        try:
            with self._everything():
                for item, label, value in scope.contents():  # grows on the way
                    parts.append(label.encode("utf-8", "surrogatepass"))
                    parts.append(self.child(f" > {item.__name__}: {label}", value))
        finally:
            self._scope = None
            self._active = active
            self._roots.discard(id(root))
        return node("code", *parts)

    def _method(self, obj: Any) -> bytes:
        owner = obj.__self__
        name = getattr(obj, "__qualname__", obj.__name__)
        # Compiled functions have their module as owner, or a capsule.
        compiled = isinstance(owner, ModuleType) or type(owner).__name__ == "PyCapsule"
        if owner is None or compiled or _is_global_rng(owner):
            module = obj.__module__ or getattr(owner, "__name__", "numpy.random")
            self.distributions.update(home(module) or ())
            content = compiled_content(module) or b""
            return node("builtin", f"{module}.{name}".encode(), content)
        with self._everything():
            state = self.child(".__self__", owner)
            if isinstance(obj, MethodType):
                return node("method", self.child(".__func__", obj.__func__), state)
            return node("builtin method", name.encode(), state)

    def _partial(self, obj: Any) -> bytes:
        return node(
            "partial",
            self.child(".func", obj.func),
            self.child(".args", obj.args),
            self.named(obj.keywords),
            self.named(vars(obj)),
        )

    # Objects --------------------------------------------------------------------

    def _random(self, obj: Any) -> bytes:
        if _is_global_rng(obj):
            return node("global generator")
        if isinstance(obj, np.random.RandomState):
            return node("RandomState", self.child("", obj.get_state(legacy=False)))
        return node("Generator", self.child("", obj.bit_generator.state))

    def _object(self, obj: Any) -> bytes:
        content = keras_content(obj)
        if content is not None:
            with self._everything():
                parts = (self.child(f" ({k})", v) for k, v in content)
                own = self._set(own_parts(obj))
                return node("keras", self.child("", type(obj)), own, *parts)
        params = params_of(obj)
        if params is not None:
            return self._estimator(obj, params)
        inner = _COMPILED.get(type(obj).__module__.partition(".")[0], "")
        with self._everything():
            if isinstance(getattr(obj, inner, None), FunctionType):
                options = self.child("", getattr(obj, "targetoptions", None))
                function = self.child(f".{inner}", getattr(obj, inner))
                return node("compiled", options, function)
            return self._reduced(obj)

    def _estimator(self, obj: Any, params: dict[str, Any]) -> bytes:
        before, self._learned = self._learned, self._learned or is_frozen(obj)
        try:
            parts = [self.child("", type(obj))]
            for name, value in sorted(deciding_params(obj, params).items()):
                parts += [name.encode(), self.child(f".{name}", value)]
            state = state_of(obj)
            for name in sorted(set(state) - set(params) - set(NOT_LEARNED)):
                if self._learned or name in ALWAYS_KEPT:
                    parts += [name.encode(), self.child(f".{name}", state[name])]
        finally:
            self._learned = before
        return node("estimator", *parts)

    def _reduced(self, obj: Any) -> bytes:
        """Digest of what pickle would keep."""
        reduce = copyreg.dispatch_table.get(type(obj))
        reduced = reduce(obj) if reduce is not None else obj.__reduce_ex__(2)
        if isinstance(reduced, str):
            return self._global(obj, reduced)
        function, args, state, items, pairs = (*reduced, None, None, None)[:5]
        parts = [self.child("", function), self.child("", tuple(args))]
        if type(state) is dict and all(type(name) is str for name in state):
            state = _without_traces_of_use(obj, state) or None
        parts.append(
            self.named(state) if type(state) is dict else self.child("", state)
        )
        parts.append(self._sequence("", () if items is None else items))
        parts.append(self._pairs(() if pairs is None else pairs))
        return node("object", *parts)

    def _global(self, obj: Any, name: str) -> bytes:
        module = getattr(obj, "__module__", None) or _module_of(obj, name)
        if resolve(module, name) is not obj:
            raise Unidentifiable(
                f"{name} is not to be found in {module}", self._where()
            )
        shipped = home(module)
        self.distributions.update(shipped or ())
        parts = [f"{module}.{name}".encode()]
        if shipped is None:
            parts += [self.child("", type(obj)), compiled_content(module) or b""]
        return node("global", *parts)


class _Scope:
    """Numbers the code that one function, class or module leads to, as met."""

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._numbers: dict[int, int] = {}

    def reference(self, obj: Any) -> bytes:
        number = self._numbers.setdefault(id(obj), len(self._items))
        if number == len(self._items):
            self._items.append(obj)
        return node("reference", str(number).encode())

    def contents(self) -> Iterator[tuple[Any, str, Any]]:
        """Each item with its parts; annotations too where any code reads them."""
        for item in self._items:
            for label, value in content_of(item):
                yield item, label, value
        if any(map(reads_annotations, self._items)):
            for item in [i for i in self._items if isinstance(i, FunctionType)]:
                yield item, "annotations", tuple(item.__annotations__.items())


def _plain(value: Any) -> bytes:
    if type(value) is int and value.bit_length() > _BITS_OF_TEXT:
        return node("int", hex(value).encode())
    return node(type(value).__name__, repr(value).encode())


def _value_of(variable: contextvars.ContextVar[Any]) -> Any:
    try:
        return variable.get()
    except LookupError:  # not set, and without a default
        return None


def _is_global_rng(owner: Any) -> bool:
    # np.random.rand and scipy.stats.norm draw from it. Its state is no part of what
    # they are, as it is none of the module np.random.
    generators = (np.random.rand, random.random)
    return any(owner is getattr(draw, "__self__", None) for draw in generators)


def _without_traces_of_use(obj: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Return state without cached properties and flags that use leaves behind."""
    cls = type(obj)
    kept = {
        name: value
        for name, value in state.items()
        if not isinstance(getattr(cls, name, None), functools.cached_property)
    }
    module = getattr(sys.modules.get("torch.nn"), "Module", None)
    if module is not None and isinstance(obj, module):
        kept.pop("training", None)
        # Hooks have keys that are counted per process.
        for name in [name for name in kept if name.endswith("_hooks")]:
            kept[name] = list(kept[name].values())
    return kept


def _module_of(obj: Any, name: str) -> str:
    module: str = pickle.whichmodule(obj, name)  # type: ignore[attr-defined]
    return module if module in sys.modules else "__main__"

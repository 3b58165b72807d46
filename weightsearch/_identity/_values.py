"""A digest of any value: of what it holds and does, never of where it lies.

Equal values have equal digests in every process and on every machine with equal
versions; what cannot be looked into raises :class:`Unidentifiable`.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import logging
import pickle
import sys
from collections.abc import Iterator
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
    class_content,
    code_tokens,
    compiled_content,
    function_content,
)
from weightsearch._identity._data import data_digest, node
from weightsearch._identity._estimators import (
    ALWAYS_KEPT,
    NOT_LEARNED,
    is_frozen,
    params_of,
    state_of,
    without_neutral,
)
from weightsearch._identity._keras import keras_content
from weightsearch._identity._origin import home, home_of_file, resolve

_PLAIN = (type(None), bool, int, float, complex, str)
_PLAIN_SET = frozenset(_PLAIN)
_LRU_CACHE = type(functools.lru_cache(lambda: None))
_BITS_OF_TEXT = 4096  # longer integers have no decimal text by default


class Unidentifiable(Exception):
    """Something has state that cannot be looked into.

    Attributes
    ----------
    reason : str
        What it is and why, for people.
    path : str
        How to get there from the object asked about, such as ``.params['f']``.
    """

    def __init__(self, reason: str, path: str = ""):
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason = reason
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.path)


class Digester:
    """Makes digests and notes the distributions that took part in them.

    Attributes
    ----------
    distributions : set of str
        Names of the distributions whose classes, functions or modules were met.
    """

    def __init__(self) -> None:
        self.distributions: set[str] = set()
        self._path: list[str] = []
        self._active: dict[int, int] = {}
        self._scope: _Scope | None = None
        self._roots: set[int] = set()
        self._by_code: dict[int, tuple[Any, bytes, set[str]]] = {}
        # True where even what an estimator has learned counts, since no clone
        # of it will be made before it is used.
        self._learned = False

    def digest(self, obj: Any) -> bytes:
        """Digest of any object.

        Parameters
        ----------
        obj : object

        Returns
        -------
        bytes of length 16

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
                return self._mapping(obj)
        if kind is set or kind is frozenset:
            return self._set(obj)
        if isinstance(obj, np.generic):
            value = _python_scalar(obj)
            return self._array_like(obj) if value is None else _plain(value)
        if isinstance(obj, bytes | bytearray):
            return node(kind.__name__, bytes(obj))
        if isinstance(obj, type):
            return self._code_or_name(obj)
        if isinstance(obj, FunctionType):
            return self._code_or_name(obj)
        if isinstance(obj, enum.Enum):
            return node("Enum", self.child("", kind), obj.name.encode())
        if isinstance(obj, PurePath):
            return node("Path", obj.as_posix().encode("utf-8", "surrogateescape"))
        if kind is slice:
            return node("slice", self._sequence("", [obj.start, obj.stop, obj.step]))
        if isinstance(obj, ModuleType | ModuleName | logging.Logger | CodeType):
            return self._named(obj)
        if isinstance(obj, MethodType | BuiltinFunctionType):
            return self._method(obj)
        with self._everything():
            if isinstance(obj, functools.partial):
                return self._partial(obj)
            if isinstance(obj, np.random.RandomState | np.random.Generator):
                return self._random(obj)
            if isinstance(obj, _LRU_CACHE):
                return node("cached", self.child(".__wrapped__", obj.__wrapped__))
            data = data_digest(obj, self.digest)
            if data is not None:
                return data
        return self._object(obj)

    # Containers -----------------------------------------------------------------

    def _sequence(self, tag: str, items: Any) -> bytes:
        items = list(items)
        if not set(map(type, items)) <= _PLAIN_SET:
            items = [_simplified(item) for item in items]
        if set(map(type, items)) <= _PLAIN_SET:
            try:
                # One text for all: X may be lists of many numbers or strings.
                return node(tag, repr(items).encode())
            except ValueError:  # an integer too long for a decimal text
                pass
        parts = (self.child(f"[{i}]", item) for i, item in enumerate(items))
        return node(f"{tag} of objects", *parts)

    def _mapping(self, items: Any) -> bytes:
        pairs = sorted(
            ((self.child(".keys()", k), k, v) for k, v in items.items()),
            key=lambda pair: pair[0],
        )
        parts = (p for d, k, v in pairs for p in (d, self.child(f"[{k!r}]", v)))
        return node("dict", *parts)

    def _set(self, items: Any) -> bytes:
        scope, self._scope = self._scope, None  # order must not number anything
        try:
            parts = sorted(self.child(".pop()", item) for item in items)
        finally:
            self._scope = scope
        return node("set", *parts)

    # Code -----------------------------------------------------------------------

    def _named(self, obj: Any) -> bytes:
        if isinstance(obj, CodeType):
            return self._sequence("code", tuple(code_tokens(obj)))
        if isinstance(obj, logging.Logger):
            return node("Logger", obj.name.encode())
        if isinstance(obj, ModuleName):
            self.distributions.update(home_of_file(obj.name, obj.place) or ())
            return node("module", obj.name.encode())
        self.distributions.update(home(obj.__name__) or ())
        return node("module", obj.__name__.encode())

    def _code_or_name(self, obj: Any) -> bytes:
        shipped = home(obj.__module__) if obj.__module__ else None
        if shipped is not None and resolve(obj.__module__, obj.__qualname__) is obj:
            self.distributions.update(shipped)
            return node("installed", f"{obj.__module__}.{obj.__qualname__}".encode())
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
        """Digest of all functions and classes that one of them leads to."""
        active, self._active = self._active, {}
        self._scope = scope = _Scope()
        self._roots.add(id(root))
        scope.reference(root)
        parts = []
        try:
            with self._everything():
                for item in scope.items:  # grows on the way
                    is_class = isinstance(item, type)
                    content = (
                        class_content(item) if is_class else function_content(item)
                    )
                    for label, value in content:
                        where = f" > {item.__name__}: {label}"
                        parts.append(label.encode())
                        parts.append(self.child(where, value))
                    compiled = compiled_content(item.__module__ or "")
                    if compiled is not None:
                        parts.append(compiled)
        finally:
            self._scope = None
            self._active = active
            self._roots.discard(id(root))
        return node("code", *parts)

    def _method(self, obj: Any) -> bytes:
        owner = obj.__self__
        name = getattr(obj, "__qualname__", obj.__name__)
        if owner is None or isinstance(owner, ModuleType) or _is_global_rng(owner):
            module = obj.__module__ or getattr(owner, "__name__", "numpy.random")
            self.distributions.update(home(module) or ())
            return node("builtin", f"{module}.{name}".encode())
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
            self.child(".keywords", obj.keywords),
            self.child("", vars(obj)),
        )

    # Objects --------------------------------------------------------------------

    def _array_like(self, obj: Any) -> bytes:
        return node("scalar", data_digest(np.asarray(obj), self.digest) or b"")

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
                return node("keras", *parts)
        params = params_of(obj)
        if params is not None:
            return self._estimator(obj, params)
        with self._everything():
            return self._reduced(obj)

    def _estimator(self, obj: Any, params: dict[str, Any]) -> bytes:
        before, self._learned = self._learned, self._learned or is_frozen(obj)
        try:
            parts = [self.child("", type(obj))]
            for name, value in sorted(without_neutral(params).items()):
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
        parts.append(self.child("", state))
        parts.append(self._sequence("", () if items is None else items))
        parts.append(self._mapping({} if pairs is None else dict(pairs)))
        return node("object", *parts)

    def _global(self, obj: Any, name: str) -> bytes:
        module = getattr(obj, "__module__", None) or _module_of(obj, name)
        self.distributions.update(home(module) or ())
        return node("global", f"{module}.{name}".encode())


class _Scope:
    """Numbers the functions and classes that one of them leads to, as met."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._numbers: dict[int, int] = {}

    def reference(self, obj: Any) -> bytes:
        number = self._numbers.setdefault(id(obj), len(self.items))
        if number == len(self.items):
            self.items.append(obj)
        return node("reference", str(number).encode())


def _plain(value: Any) -> bytes:
    if type(value) is int and value.bit_length() > _BITS_OF_TEXT:
        return node("int", hex(value).encode())
    return node(type(value).__name__, repr(value).encode())


def _python_scalar(value: Any) -> Any:
    """Return a numpy scalar as Python's; None where Python has no such type."""
    if isinstance(value, np.longdouble | np.clongdouble):
        return None
    if isinstance(value, np.bool_ | np.number | np.str_) and not isinstance(
        value, np.timedelta64
    ):
        return value.item()
    return None


def _simplified(value: Any) -> Any:
    if isinstance(value, np.generic):
        scalar = _python_scalar(value)
        return value if scalar is None else scalar
    return value


def _is_global_rng(owner: Any) -> bool:
    # np.random.rand and scipy.stats.norm draw from it. Its state is no part of what
    # they are, as it is none of the module np.random.
    return owner is getattr(np.random.rand, "__self__", None)


def _module_of(obj: Any, name: str) -> str:
    module: str = pickle.whichmodule(obj, name)  # type: ignore[attr-defined]
    return module if module in sys.modules else "__main__"

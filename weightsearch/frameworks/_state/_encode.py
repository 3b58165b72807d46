"""Capture the state of a fitted estimator, in one walk.

The state is a tree of typed nodes. Its *skeleton*, the classes, attributes and types,
is JSON that all models of one kind share; the *values* are a list in the order of the
walk: models of one kind only differ in these. Arrays are weights, which are stored
anyway, or contents named by their digest. Many objects of one class become one node
with a column per attribute. ``docs/format.md`` has the grammar.
"""

from __future__ import annotations

import base64
import enum
import json
import math
from array import array as machine_array
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodDescriptorType,
    ModuleType,
)
from typing import Any

import numpy as np
import sklearn
from sklearn.exceptions import NotFittedError

from weightsearch._copies import memory_order
from weightsearch._identity import Unidentifiable
from weightsearch._identity._origin import resolve
from weightsearch._records import Array, ModelState
from weightsearch.exceptions import RebuildError
from weightsearch.frameworks._columns import column_of, remembering
from weightsearch.frameworks._registry import (
    collect_weights,
    frameworks_at_hand,
    qualified_name,
)
from weightsearch.frameworks._state._parts import rebuilder_of
from weightsearch.frameworks._state._special_types import (
    dtype_content,
    special_type_of,
    text_bytes,
)
from weightsearch.frameworks._state._trust import (
    CallerObjects,
    content_digest,
    name_of,
    plain_class,
    trusted_object,
)

__all__ = ["FORMAT", "capture_state", "digest", "failed_state"]

FORMAT = 1
_SHORT_TEXT = 400
"""Characters of a text up to which it is a value; longer ones are contents."""
_LONG_STATE = 2000
"""Characters of a state from which on its values are a content."""
_SMALL = 48
"""Bytes of an array up to which its digest would be as long."""
_FEW = 16
"""Number of items up to which numbers are JSON values; more are an array."""
_FEW_KEYS = 64
_MOST_BITS = 4096

_FOR_TRAINING = frozenset(
    {
        "_best_coefs",
        "_best_intercepts",
        "_optimizer",
        "_random_state",
        "_rng",
    }
)
"""Attributes needed only to continue training; sometimes larger than the weights."""

_NAMED = (
    type,
    FunctionType,
    BuiltinFunctionType,
    MethodDescriptorType,
    np.ufunc,
    ModuleType,
)
"""Types of objects that are known by name."""

Node = Any
"""JSON: a text for a leaf without options, else a list that begins with its tag."""


def digest(content: bytes) -> str:
    """Name of a content: the first 32 hexadecimal digits of its SHA-256."""
    return sha256(content).hexdigest()[:32]


_RECENT_BYTES = 16 << 20
_COMPARED = 16 << 10
"""Bytes of a content from which on comparing it is faster than a digest."""
_recent: dict[tuple[int, bytes], tuple[str, bytes]] = {}
"""Large contents of the last models: their length and a sample -> name and bytes."""


def _named_content(raw: Array) -> tuple[str, bytes]:
    """Name and bytes of a content.

    Candidates of one split hold equal copies of its training data; comparing them is
    ten times faster than a digest.
    """
    if raw.size < _COMPARED:
        content = raw.tobytes()
        return digest(content), content
    key = raw.size, raw[:: raw.size // 64].tobytes()
    known = _recent.get(key)
    if known is not None and np.array_equal(np.frombuffer(known[1], np.uint8), raw):
        return known
    content = raw.tobytes()
    found = digest(content), content
    if raw.size <= _RECENT_BYTES:
        while _recent and sum(size for size, _ in _recent) + raw.size > _RECENT_BYTES:
            # The oldest first; another thread may have removed it.
            _recent.pop(next(iter(list(_recent))), None)
        _recent[key] = found
    return found


def capture_state(
    estimator: Any, weights: Mapping[str, Array], *, complete: bool = False
) -> ModelState:
    """Capture what rebuilds a fitted estimator from its weights.

    Parameters
    ----------
    estimator : object
        Fitted. It is not changed.
    weights : mapping of str -> ndarray
        All its weights; these arrays are not stored again.
    complete : bool, default=False
        Whether the rebuilt estimator must be able to continue training: an optimizer's
        moments, for instance, are larger than the weights.

    Returns
    -------
    ModelState
        Says why if the estimator holds what cannot be stored: a model without a state
        must not abort the search.
    """
    try:
        with remembering():
            return _Encoder(weights, complete).state(estimator)
    except Exception as error:
        # Whatever a class raises when its state is captured.
        reason = str(error) if isinstance(error, _Unstorable) else _in_words(error)
        return failed_state(reason)


def failed_state(reason: str) -> ModelState:
    """Placeholder for a state, with the reason why there is none."""
    return ModelState(json.dumps({"format": FORMAT, "error": reason[:1000]}))


def _in_words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "its parts are nested too deeply"
    return f"{type(error).__name__}: {error}" if str(error) else repr(error)


_skeletons: dict[type, tuple[Node, tuple[str, bytes]]] = {}
"""The last skeleton of each class of model, with its name and JSON."""


def _named_skeleton(cls: type, node: Node) -> tuple[str, bytes]:
    """Name and JSON of a skeleton, often the same as for the previous model."""
    known = _skeletons.get(cls)
    if known is None or known[0] != node:
        content = _compact(node).encode()
        known = _skeletons[cls] = node, (digest(content), content)
    return known[1]


class _Unstorable(Exception):
    """Something cannot be part of a state."""


class _Encoder:
    """Walk through one model."""

    def __init__(self, weights: Mapping[str, Array], complete: bool):
        self._weights = weights
        self._names = {id(array): name for name, array in weights.items()}
        for name, array in weights.items():
            # Columns on a grid are views of the columns that the walk reaches.
            base = array.base
            if not isinstance(base, np.ndarray) or base.dtype != array.dtype:
                continue  # nothing, or what has the array as a field
            if base.size == array.size:
                self._names.setdefault(id(base), name)
        self._by_kind: dict[tuple[Any, ...], list[str]] | None = None
        self._complete = complete
        self._whole = True
        self._values: list[Any] = []
        self._blobs: dict[str, bytes] = {}
        self._numbers: dict[int, int] = {}
        # Numbered objects stay alive, so that no other object gets their id.
        self._numbered: list[Any] = []
        self._path: list[str] = []
        self._digests: dict[int, tuple[str, Any]] = {}
        self._brought: CallerObjects | None = None
        self._has_parts = frameworks_at_hand()

    def state(self, estimator: Any) -> ModelState:
        """State of the whole model."""
        self._root = estimator
        name, skeleton = _named_skeleton(type(estimator), self.one(estimator))
        self._blobs[name] = skeleton
        state = {
            "format": FORMAT,
            "complete": self._whole,
            "sklearn": sklearn.__version__,
            "skeleton": name,
            "values": self._values,
        }
        text = _compact(state)
        if len(text) > _LONG_STATE:
            # The texts of all candidates may be in memory, contents never are.
            del state["values"]
            state["rest"] = self._content(_compact(self._values).encode())
            text = _compact(state)
        return ModelState(text, self._blobs)

    # -- one value ----------------------------------------------------------------

    def one(self, value: Any) -> Node:
        """Node of one value."""
        known = self._numbers.get(id(value))
        if known is not None:
            return ["=", known]
        kind: Any = type(value)
        encode = _ONE.get(kind)
        if encode is not None:
            return encode(self, value)
        if isinstance(value, np.generic):
            return self._scalar(value)
        if isinstance(value, np.ndarray):
            return self._any_array(value)
        if isinstance(value, _NAMED):
            return self._global(value)
        if self._has_parts and rebuilder_of(kind) is not None:
            return self._opaque(value) if self._is_brought(value) else self._part(value)
        if special_type_of(kind) is not None:
            return self._special(value)
        if _is_known_by_name(value):
            return self._global(value)
        return self._object(value)

    def within(self, step: str, value: Any) -> Node:
        """Node of a part of the current object."""
        self._path.append(step)
        try:
            return self.one(value)
        finally:
            self._path.pop()

    def _number(self, value: Any) -> None:
        self._numbers[id(value)] = len(self._numbered)
        self._numbered.append(value)

    def _plain(self, value: Any) -> Node:
        if not _is_short(value):
            return self._special(value)
        self._values.append(value)
        return "v"

    def _scalar(self, value: Any) -> Node:
        dtype = value.dtype
        if dtype.kind in "biuf" and dtype.itemsize <= 8 and np.isfinite(value):
            self._values.append(value.item())
            return ["scalar", dtype.str]
        return self._special(value)

    def _special(self, value: Any) -> Node:
        """Node of a value of a special type."""
        cls: Any = type(value)
        kind = special_type_of(cls)
        assert kind is not None
        self._number(value)
        try:
            content = kind.take(value)
        except TypeError as error:
            raise _Unstorable(f"{self._where()}: {error}") from error
        return ["S", kind.name, self.one(content)]

    # -- containers ---------------------------------------------------------------

    def _list(self, value: Any) -> Node:
        self._number(value)
        self._values.append(len(value))
        return ["list", self.column(value)]

    def _tuple(self, value: Any) -> Node:
        self._values.append(len(value))
        return ["tuple", self.column(value)]

    def _dict(self, value: Any) -> Node:
        self._number(value)
        keys = list(value)
        if len(keys) <= _FEW_KEYS and all(type(key) is str for key in keys):
            # Names, which are part of the skeleton.
            return ["names", keys, *self._named(value)]
        self._values.append(len(keys))
        return ["dict", self.column(keys), self.column(list(value.values()))]

    def _named(self, values: Mapping[str, Any]) -> list[Node]:
        return [self.within(name, value) for name, value in values.items()]

    # -- arrays -------------------------------------------------------------------

    def _any_array(self, value: Array) -> Node:
        if isinstance(value, np.ma.MaskedArray):
            return self._special(value)
        self._number(value)
        if type(value) is np.matrix or (value.dtype.hasobject and value.dtype.names):
            raise _Unstorable(f"{self._where()} is a {qualified_name(type(value))}")
        if value.dtype == object:
            self._values.append(list(value.shape))
            return ["objects", self.column(value.ravel().tolist())]
        # A subclass such as memmap holds the same numbers.
        return ["array", self._leaf(np.asarray(value), id(value))]

    def _leaf(self, array: Array, known_as: int | None = None) -> Node:
        """Node that says where an array is: in the weights, or in a content."""
        name = self._names.get(id(array) if known_as is None else known_as)
        if name is None and array.nbytes > _SMALL:
            name = self._equal_weight(array)
        if name is not None:
            weight, order = self._weights[name], memory_order(array)
            if weight.dtype == array.dtype and weight.shape == array.shape:
                if memory_order(weight) == order:
                    return ["w", name]
            if weight.size == array.size and memory_order(weight) == "C" == order:
                self._values.append(list(array.shape))
                return ["ws", name]
        if array.dtype.names is not None and array.nbytes > _SMALL:
            fields = self._fields(array)
            if fields is not None:
                return fields
        return self._raw(array)

    def _raw(self, array: Array) -> Node:
        order = memory_order(array)
        if array.nbytes <= _SMALL:
            tag = "i"
            raw = array.tobytes("F" if order == "F" else "C")
            content = base64.b64encode(raw).decode()
        else:
            tag = "b"
            flat = np.ascontiguousarray(array.T if order == "F" else array)
            content, raw = _named_content(_raw_bytes(flat))
            self._blobs[content] = raw
        self._values.append([content, list(array.shape)])
        return [tag, dtype_content(array.dtype), order]

    def _fields(self, array: Array) -> Node | None:
        """Node of a structured array whose fields are weights."""
        names = array.dtype.names or ()
        found = {name: self._equal_weight(array[name]) for name in names}
        if not all(found.values()):
            return None
        self._values.append(list(array.shape))
        return ["fields", dtype_content(array.dtype), found]

    def _equal_weight(self, array: Array) -> str | None:
        if self._by_kind is None:
            self._by_kind = {}
            for name, weight in self._weights.items():
                key = weight.dtype, weight.size
                self._by_kind.setdefault(key, []).append(name)
        for name in self._by_kind.get((array.dtype, array.size), ()):
            if _same_bytes(self._weights[name], array):
                return name
        return None

    def _content(self, content: bytes) -> str:
        name = digest(content)
        self._blobs[name] = content
        return name

    # -- what is known by name, and objects -----------------------------------------

    def _global(self, value: Any) -> Node:
        """Node of what has a name; with its digest if the name is not trusted."""
        name = name_of(value)
        if trusted_object(name) is value:
            return ["g", name]
        content = self._digest(value, name)
        if "<locals>" in name and not self._in_params(name, content):
            raise _Unstorable(
                f"{self._where()} is {name}, which is made inside a function and is "
                "not a param"
            )
        return ["g", name, content, self._where()]

    def _digest(self, value: Any, name: str) -> str:
        """Digest by which a caller's own function, class or object is found again."""
        known = self._digests.get(id(value))
        if known is None:
            try:
                # The value too: while it lives, no other has its id.
                known = self._digests[id(value)] = content_digest(value), value
            except Unidentifiable as error:
                raise _Unstorable(
                    f"{self._where()} is {name}, whose content cannot be read: {error}"
                ) from error
        return known[0]

    def _where(self) -> str:
        return "/".join(self._path) or "the estimator"

    def _part(self, value: Any) -> Node:
        cls: Any = type(value)
        rebuilder = rebuilder_of(cls)
        assert rebuilder is not None
        self._number(value)
        try:
            attributes, whole = rebuilder.describe(value, self._complete)
        except NotFittedError:
            # A template that a meta-estimator has cloned.
            params = value.get_params(deep=False)
            return ["new", self._global(cls), list(params), *self._named(params)]
        self._whole &= whole
        weights: Mapping[str, Array] | None = self._weights
        if not rebuilder.has_weights:
            weights = {}
        elif value is not self._root:
            weights, _ = collect_weights(value)
        if weights is None:
            raise _Unstorable(f"the weights of {self._where()} could not be extracted")
        places = {name: self._leaf(array) for name, array in weights.items()}
        content = self._named(attributes)
        return ["part", self._global(cls), places, list(attributes), *content]

    def _object(self, value: Any) -> Node:
        cls: Any = type(value)
        form = plain_class(cls)
        if form is None or (form.sets_itself and self._is_brought(value)):
            return self._opaque(value)
        state = form.state(value)
        self._number(value)
        for name in _FOR_TRAINING.intersection(state) if not self._complete else ():
            left_out = state[name]
            # After early stopping, the best coefficients are the model's own.
            same = sum(item is left_out for item in state.values())
            if left_out is not None and same == 1 and hasattr(value, "fit"):
                state = {**state, name: None}
                self._whole = False
        return ["o", self._global(cls), list(state), *self._named(state)]

    def _is_brought(self, value: Any) -> bool:
        """Whether the estimator's params have an object of the same content.

        Then its class, whose ``__setstate__`` may do anything, need not rebuild it.
        """
        cls = type(value)
        name = qualified_name(cls)
        if hasattr(value, "fit") or trusted_object(name) is cls:
            return False
        try:
            return self._in_params(name, self._digest(value, name))
        except _Unstorable:
            return False

    def _in_params(self, name: str, content: str) -> bool:
        """Whether the estimator's params have an object of that class and content."""
        if self._brought is None:
            self._brought = CallerObjects(self._root, fitted=False)
        try:
            return self._brought.find(name, content, "", is_class=False) is not None
        except RebuildError:
            return False

    def _opaque(self, value: Any) -> Node:
        """Node of an object that only the caller has, found again by its digest."""
        name = qualified_name(type(value))
        content = self._digest(value, name)
        if not self._in_params(name, content):
            raise _Unstorable(
                f"{self._where()} is a {name}, which cannot be stored and is not a "
                "param"
            )
        self._number(value)
        return ["x", name, content, self._where()]

    # -- many values --------------------------------------------------------------

    def column(self, values: Sequence[Any]) -> Node:
        """Node of many values, whose number the reader of the node knows."""
        n = len(values)
        if n <= 1:
            return ["each", *map(self.one, values)]
        kinds = set(map(type, values))
        if kinds <= _PLAIN:
            return self._plain_column(kinds, list(values))
        node = self._alike(kinds.pop(), values) if len(kinds) == 1 else None
        if node is not None:
            return node
        return ["each", *(self.within("*", value) for value in values)]

    def _plain_column(self, kinds: set[type], values: list[Any]) -> Node:
        n = len(values)
        kind = next(iter(kinds))
        if len(kinds) == 1 and n <= 1024 and kind is not float:
            if values.count(values[0]) == n:
                return ["same", self.one(values[0])]
        if len(kinds) == 1 and n >= _FEW:
            if kind is float or kind is bool:
                return ["numbers", self._raw(np.array(values))]
            if kind is str:
                return self._texts(values)
            if kind is int:
                numbers = _int64(values)
                if numbers is not None:
                    return ["numbers", self._raw(_narrow(numbers))]
        if all(map(_is_short, values)):
            self._values.append(values)
            return "vs"
        return ["each", *map(self.one, values)]

    def _texts(self, values: list[str]) -> Node:
        lengths = _int64(list(map(len, values)))
        assert lengths is not None
        joined = self._raw(text_bytes("".join(values)))
        return ["texts", joined, self._raw(_narrow(lengths))]

    def _alike(self, kind: Any, values: Sequence[Any]) -> Node | None:
        """Node of values of one type; None if each needs a node of its own."""
        first = values[0]
        if issubclass(kind, np.generic):
            dtype = first.dtype
            if dtype.kind in "biufc" and all(v.dtype == dtype for v in values):
                return ["scalars", self._raw(np.array(values, dtype=dtype))]
            return None
        numbers = self._numbers
        if all(value is first for value in values):
            return ["same", self.one(first)]
        ids = [id(value) for value in values]
        if len(set(ids)) < len(ids) or any(i in numbers for i in ids):
            if all(i in numbers for i in ids):
                self._values.append([numbers[i] for i in ids])
                return "refs"
            return None
        if kind is np.ndarray:
            return self._arrays(values)
        if kind is list or kind is tuple:
            return self._lists(kind, values)
        if issubclass(kind, (*_NAMED, enum.Enum)) or kind is dict:
            return None
        if self._has_parts and rebuilder_of(kind) is not None:
            return None
        special = special_type_of(kind)
        if special is not None:
            if special.take_many is None:
                return None
            for value in values:
                self._number(value)
            return ["S*", special.name, self.column(special.take_many(values))]
        return self._objects(kind, values)

    def _objects(self, kind: Any, values: Sequence[Any]) -> Node | None:
        form = plain_class(kind)
        if form is None:
            return None
        states = [form.state(value) for value in values]
        names = list(states[0])
        left_out = _FOR_TRAINING.intersection(names) if not self._complete else ()
        if left_out or any(list(state) != names for state in states):
            return None
        for value in values:
            self._number(value)
        columns = []
        for name in names:
            self._path.append(name)
            columns.append(self.column([state[name] for state in states]))
            self._path.pop()
        return ["o*", self._global(kind), names, *columns]

    def _arrays(self, values: Sequence[Any]) -> Node | None:
        if all(id(value) in self._names for value in values):
            # Weights of their own: a copy would not follow when they are replaced.
            return None
        column = column_of(values)
        if column is None:
            return None
        if column.lengths is None and not column.dtype.names:
            whole = column.fields[""]
            if whole.nbytes and id(whole) not in self._names:
                # Equal in all objects, such as the classes.
                if whole.tobytes() == values[0].tobytes() * len(values):
                    return ["copies", self._leaf(values[0])]
        lengths = None if column.lengths is None else self._leaf(column.lengths)
        fields = {name: self._leaf(array) for name, array in column.fields.items()}
        return ["arrays", lengths, dtype_content(column.dtype), fields]

    def _lists(self, kind: type, values: Sequence[Any]) -> Node | None:
        flat = [item for value in values for item in value]
        lengths = list(map(len, values))
        equal = len(set(lengths)) == 1
        kinds = set(map(type, flat))
        if len(kinds) <= 1 or (kinds <= _PLAIN and not equal):
            if equal:
                self._values.append(lengths[0])
                how: Node = "v"
            else:
                how = self._raw(_narrow(np.array(lengths, np.int64)))
            return ["lists", kind.__name__, how, self.column(flat)]
        if equal and lengths[0] <= _FEW_KEYS:
            places = zip(*values, strict=True)
            return ["rows", kind.__name__, *(self.column(list(p)) for p in places)]
        return None


_PLAIN = {type(None), bool, int, float, str}

_ONE: dict[type, Callable[[_Encoder, Any], Node]] = {
    **dict.fromkeys(_PLAIN, _Encoder._plain),
    list: _Encoder._list,
    tuple: _Encoder._tuple,
    dict: _Encoder._dict,
}


def _is_known_by_name(value: Any) -> bool:
    """Whether it is a callable that its module has under its name."""
    name = getattr(value, "__qualname__", None)
    if not callable(value) or not isinstance(name, str):
        return False
    return resolve(getattr(value, "__module__", None), name) is value


def _is_short(value: Any) -> bool:
    kind = type(value)
    if kind is float:
        return math.isfinite(value)
    if kind is str:
        return len(value) <= _SHORT_TEXT
    return kind is not int or value.bit_length() <= _MOST_BITS


def _int64(values: list[int]) -> Array | None:
    try:
        return np.frombuffer(machine_array("q", values), np.int64)
    except OverflowError:
        return None


def _narrow(numbers: Array) -> Array:
    """The same integers in the smallest sufficient type."""
    if not len(numbers):
        return numbers
    low, high = int(numbers.min()), int(numbers.max())
    for dtype in (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32):
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return numbers.astype(dtype)
    return numbers


def _same_bytes(a: Array, b: Array) -> bool:
    if a.shape != b.shape and not a.flags.c_contiguous:
        return False
    if a.flags.c_contiguous and b.flags.c_contiguous:
        return np.array_equal(_raw_bytes(a), _raw_bytes(b))
    return a.tobytes() == b.tobytes()


def _raw_bytes(array: Array) -> Array:
    return array.reshape(-1).view(np.uint8)


_compact = json.JSONEncoder(
    separators=(",", ":"), allow_nan=False, check_circular=False
).encode

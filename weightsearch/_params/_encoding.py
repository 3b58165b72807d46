"""Encode params as canonical JSON, and decode them without running anything.

Plain values are restored. An estimator, a class, a function or another object becomes
an :class:`OpaqueParam`: its name and the digest of its content, by which it is told
from others.
"""

from __future__ import annotations

import base64
import json
import math
import re
import secrets
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np

from weightsearch._identity import Unidentifiable, digest
from weightsearch._identity._estimators import ALWAYS_KEPT, is_frozen, params_of
from weightsearch._identity._origin import home, module_of, resolve
from weightsearch._params._describe import defaults_of, describe, is_kernel, show
from weightsearch._value_types import VALUE_TYPES, ValueType, plain_scalar
from weightsearch.exceptions import CorruptStoreError

MAX_TEXT = 1 << 24  # characters of a candidate's params that are read
MAX_VALUE = 1 << 16  # characters of one value; longer ones are known by their digest
MAX_INLINE = 64  # elements of an array that are written out
LONG = 1100  # bits; beyond any float, below what Python refuses to print
DTYPE = re.compile(r"[<>|=]?[A-Za-z]\d{0,9}(\[\w+\])?")


# Writing ----------------------------------------------------------------------


def encode_params(params: Mapping[str, Any]) -> str:
    """Encode a candidate's params as canonical JSON, in ASCII.

    Equal for equal params in every process. Numpy scalars are encoded as Python's.

    Raises
    ------
    TypeError
        If a name is not a str.
    """
    trees = {}
    for name, value in params.items():
        if not isinstance(name, str):
            raise TypeError(f"Names of params must be str, got {name!r}.")
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
    """Encode one value as a tree of JSON values."""
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int and value.bit_length() <= LONG:
        return value
    if kind is float and math.isfinite(value):
        return value
    if kind is list:
        return [encode_value(item) for item in value]
    encode = _ENCODERS.get(kind)
    if encode is not None:
        return encode(value)
    if kind in VALUE_TYPES:
        return _plain(value, VALUE_TYPES[kind])
    if isinstance(value, OpaqueParam):
        return json.loads(value.text)
    if isinstance(value, np.generic):
        scalar = plain_scalar(value)
        return _object(value) if scalar is value else encode_value(scalar)
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
    # The names of a JSON object have no order: an unsorted dict becomes a list.
    plain = all(type(key) is str and not key.startswith("$") for key in value)
    if plain and list(value) == sorted(value):
        return {key: encode_value(item) for key, item in value.items()}
    return {"$dict": [[encode_value(k), encode_value(v)] for k, v in value.items()]}


def _sorted(items: Any) -> list[Any]:
    return sorted((encode_value(item) for item in items), key=dump)


def _plain(value: Any, kind: ValueType) -> Any:
    try:
        content = kind.take(value)
    except TypeError:
        return _object(value)
    if type(content) is tuple:
        content = list(content)
    return {f"${kind.name}": encode_value(content)}


def _array(value: np.ndarray[Any, Any]) -> Any:
    known: dict[str, Any] = {
        "dtype": value.dtype.newbyteorder("<").str,
        "shape": list(value.shape),
    }
    items = value.ravel().tolist() if value.size <= MAX_INLINE else []
    if value.dtype.kind in "biufcU" and len(items) == value.size:
        if all(type(item) in (bool, int, float, complex, str) for item in items):
            # No digest: the values are the content, but for the bits within a NaN.
            return {"$array": {**known, "values": [encode_value(i) for i in items]}}
    return {"$array": {**known, **_content(value)}}


def _named(value: Any) -> dict[str, Any]:
    module = module_of(value)
    name = getattr(value, "__qualname__", None) or value.__name__
    known = {"name": describe(value) if isinstance(value, MethodType) else name}
    known["name"] = known["name"].rpartition("<locals>.")[2]
    # The user's own modules are left out: code may move between modules.
    if module and home(module) is not None and resolve(module, name) == value:
        known["module"] = module
    return {**known, **_content(value)}


def _estimator(value: Any, params: Mapping[str, Any]) -> Any:
    cls = type(value)
    defaults = _defaults(cls)  # type: ignore[arg-type]
    changed = {
        name: tree
        for name, tree in ((n, _bounded(v)) for n, v in params.items())
        if name not in defaults or dump(tree) != defaults[name]
    }
    known = _named(cls)
    known["class"] = ".".join(
        filter(None, [known.pop("module", ""), known.pop("name")])
    )
    if home(cls.__module__) is not None:
        del known["digest"]  # the name is enough
    if is_frozen(value) or any(name in vars(value) for name in ALWAYS_KEPT):
        known["state"] = _content(value)
    if is_kernel(value):
        known["repr"] = describe(value)
    return {"$estimator": {"params": changed, **known}}


@cache
def _defaults(cls: type) -> dict[str, str]:
    return {name: dump(_bounded(value)) for name, value in defaults_of(cls).items()}


def _object(value: Any) -> Any:
    cls = type(value)
    name = f"{cls.__module__}.{cls.__qualname__}"
    return {"$object": {"class": name, "repr": describe(value), **_content(value)}}


def _content(value: Any) -> dict[str, str | None]:
    """Return the digest of an object's content, or a name that only it has."""
    try:
        return {"digest": digest(value)}
    except Unidentifiable:
        return {"digest": None, "own": _own_name(value)}


_owned: dict[int, tuple[Callable[[], Any], str]] = {}


def _own_name(value: Any) -> str:
    """Return a name that no other object has, in any process, while it is alive."""
    place = id(value)
    known = _owned.get(place)
    if known is not None and known[0]() is value:
        return known[1]
    try:
        # Before this is called, another object may have the same address.
        def forget(reference: Any) -> None:
            if place in _owned and _owned[place][0] is reference:
                del _owned[place]

        alive: Callable[[], Any] = weakref.ref(value, forget)
    except TypeError:
        alive = partial(_same_object, value)
    _owned[place] = (alive, secrets.token_hex(8))
    return _owned[place][1]


def _same_object(value: Any) -> Any:
    return value


_ENCODERS: dict[type, Callable[[Any], Any]] = {
    dict: _mapping,
    OrderedDict: _mapping,
    tuple: lambda value: {"$tuple": [encode_value(item) for item in value]},
    set: lambda value: {"$set": _sorted(value)},
    frozenset: lambda value: {"$frozenset": _sorted(value)},
    bytes: lambda value: {"$bytes": base64.b64encode(value).decode()},
}


# Reading ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OpaqueParam:
    """A param's value that is identified but cannot be restored.

    Attributes
    ----------
    kind : str
        ``"function"``, ``"class"``, ``"estimator"``, ``"array"`` or ``"object"``.
    name : str
        Name of the function or class, or of the object's class, with its module where
        that is a library's.
    digest : str or None
        Digest of its content, 32 hexadecimal digits; None where it has none.
    text : str
        The encoded value.
    label : str or None
        Text that is shown instead, where another value has the same text.
    """

    kind: str
    name: str
    digest: str | None
    text: str
    label: str | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OpaqueParam):
            return NotImplemented
        return exact_text(self.text) == exact_text(other.text)

    def __hash__(self) -> int:
        return hash(exact_text(self.text))

    # Ordered by text, after all other values: a groupby of pandas sorts its groups, and
    # fails where values have no order.

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, OpaqueParam):
            return False
        return (repr(self), self.text) < (repr(other), other.text)

    def __gt__(self, other: object) -> bool:
        return not isinstance(other, OpaqueParam) or other < self

    def __repr__(self) -> str:
        if self.label is not None:
            return self.label
        payload: Any = next(iter(json.loads(self.text).values()))
        short = self.name.rpartition(".")[2]
        if self.kind in ("function", "class"):
            return str(payload["name"])
        if self.kind == "array":
            return f"<array {payload['dtype']} {tuple(payload['shape'])}>"
        if payload.get("repr"):
            return str(payload["repr"])
        if self.kind == "estimator":
            params = payload["params"].items()
            args = (f"{name}={show(decode_value(tree, name))}" for name, tree in params)
            return f"{short}({', '.join(args)})"
        return f"<{short}>" if self.kind == "object" else f"<{self.kind} {short}>"


def decode_params(text: str) -> dict[str, Any]:
    """Decode what :func:`encode_params` has returned.

    Plain values, and :class:`OpaqueParam` for other objects.

    Raises
    ------
    CorruptStoreError
        If the text is not an encoding of params, or too long.
    """
    return {name: decode_value(tree, name) for name, tree in load(text).items()}


def decode_value(tree: Any, name: str) -> Any:
    """Decode the value of the param of that name."""
    try:
        return _decode(tree)
    except RecursionError:
        raise CorruptStoreError(f"The param {name!r} is nested too deeply.") from None
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        raise CorruptStoreError(
            f"The param {name!r} is not a valid encoding: {error}"
        ) from error


def _decode(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_decode(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    tag = next((key for key in tree if key.startswith("$")), None)
    if tag is None:
        return {key: _decode(item) for key, item in tree.items()}
    if len(tree) != 1:
        raise ValueError(f"{tag} is not alone")
    payload = tree[tag]
    decode = _DECODERS.get(tag)
    if decode is not None:
        return decode(payload)
    plain = _PLAIN_TYPES.get(tag)
    return _opaque(tag, payload) if plain is None else plain.make(_decode(payload))


def _opaque(tag: str, payload: Any) -> OpaqueParam:
    known = payload.get("digest")
    if not (known is None or isinstance(known, str)):
        raise TypeError("a digest is text")
    name = payload.get("name") or payload.get("class") or tag[1:]
    if payload.get("module"):
        name = f"{payload['module']}.{name}"
    if tag == "$estimator":
        _decode(payload["params"])
    if tag == "$array":
        (payload["dtype"], tuple(payload["shape"]))
    if tag == "$object":
        (payload["class"], payload["repr"])
    if tag in ("$function", "$class"):
        payload["name"]
    return OpaqueParam(tag[1:], str(name), known, dump({tag: payload}))


def _decoded_array(payload: Any) -> Any:
    dtype, shape, items = payload["dtype"], payload["shape"], payload.get("values")
    if items is None:
        return _opaque("$array", payload)
    dtype = _decoded_dtype(dtype)
    # Never allocate more than the text contains.
    if dtype.kind not in "biufcU" or len(items) > MAX_INLINE:
        raise ValueError(f"an array of type {dtype} and {len(items)} elements")
    # In numpy 1, a size beyond 32 bits is negative.
    if not 0 <= dtype.itemsize <= 4 * MAX_VALUE or math.prod(shape) != len(items):
        raise ValueError(f"an array of type {dtype} and shape {shape}")
    array = np.array([_decode(item) for item in items], dtype=dtype).reshape(shape)
    array.flags.writeable = False
    return array


def _decoded_dtype(text: str) -> np.dtype[Any]:
    if not DTYPE.fullmatch(text):
        raise ValueError(f"{text!r} is not a dtype")
    return np.dtype(text)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "$tuple": lambda items: tuple(_decode(item) for item in items),
    "$set": lambda items: {_decode(item) for item in items},
    "$frozenset": lambda items: frozenset(_decode(item) for item in items),
    "$dict": lambda pairs: {_decode(key): _decode(item) for key, item in pairs},
    "$bytes": lambda text: base64.b64decode(text, validate=True),
    "$dtype": _decoded_dtype,
    "$array": _decoded_array,
}

_PLAIN_TYPES = {f"${kind.name}": kind for kind in VALUE_TYPES.values()}


# Text -------------------------------------------------------------------------


def dump(tree: Any) -> str:
    """Return the canonical text of a tree of JSON values."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)


def load(text: str) -> dict[str, Any]:
    """Parse a candidate's params into a tree of JSON values."""
    if len(text) > MAX_TEXT:
        raise CorruptStoreError(
            f"A candidate's params have {len(text)} characters, more than {MAX_TEXT}."
        )
    try:
        tree = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise CorruptStoreError(
            f"A candidate's params are not valid JSON: {error}"
        ) from error
    if not isinstance(tree, dict):
        raise CorruptStoreError("A candidate's params are not a JSON object.")
    return tree


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def exact_text(text: str) -> str:
    """Return text that is equal for exactly equal params: without any repr."""
    if '"repr":' not in text:
        return text
    try:
        return dump(_without_repr(json.loads(text)))
    except (TypeError, AttributeError) as error:
        raise _invalid(error) from error


def loose_text(text: str) -> str:
    """Return text that is equal where Python's ``==`` holds: ``1 == 1.0 == True``."""
    try:
        tree = _without_repr(json.loads(text))
        return dump({name: _loosened(item) for name, item in tree.items()})
    except (TypeError, AttributeError, LookupError) as error:
        raise _invalid(error) from error


def _invalid(error: Exception) -> CorruptStoreError:
    return CorruptStoreError(f"Params are not a valid encoding: {error!r}")


def _without_repr(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_without_repr(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.keys() & {"$object", "$estimator"} and len(tree) == 1:
        ((tag, payload),) = tree.items()
        if tag == "$estimator" or payload.get("digest") or payload.get("own"):
            payload = {k: v for k, v in payload.items() if k != "repr"}
        return {tag: _without_repr(payload)}
    return {name: _without_repr(item) for name, item in tree.items()}


def _loosened(tree: Any) -> Any:
    if isinstance(tree, bool):
        return int(tree)
    if isinstance(tree, float):
        return int(tree) if tree.is_integer() else tree
    if isinstance(tree, list):
        return [_loosened(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {"$complex"} and tree["$complex"][1] == 0:
        return _loosened(tree["$complex"][0])
    if tree.keys() == {"$array"} and "values" in tree["$array"]:
        array = tree["$array"]
        return {"$array": [array["shape"], _loosened(array["values"])]}
    if tree.keys() & {"$set", "$frozenset"} and len(tree) == 1:
        (items,) = tree.values()
        return {"$set": sorted(map(_loosened, items), key=dump)}
    if tree.keys() == {"$dict"}:
        return _loosened_dict(tree["$dict"])
    if not any(name.startswith("$") for name in tree):
        return _loosened_dict([[name, item] for name, item in tree.items()])
    return {name: _loosened(item) for name, item in tree.items()}


def _loosened_dict(pairs: Any) -> Any:
    """Dicts are equal in any order."""
    loosened = ([_loosened(key), _loosened(item)] for key, item in pairs)
    return {"$dict": sorted(loosened, key=dump)}

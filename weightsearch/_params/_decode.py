"""Params read back from the store, without importing or running anything.

Plain values come back as they were. What only its program could bring back, such
as an estimator, a class or a function, comes back as an :class:`OpaqueParam`: its
name and the digest of its content, enough to tell it from others.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weightsearch._params._text import (
    DTYPE,
    MAX_INLINE,
    MAX_VALUE,
    dump,
    exact_text,
    load,
)
from weightsearch.exceptions import CorruptStoreError


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OpaqueParam:
    """A param's value that is known but cannot be brought back.

    Attributes
    ----------
    kind : str
        ``"function"``, ``"class"``, ``"estimator"``, ``"array"`` or ``"object"``.
    name : str
        Of the function or class, or of the object's class.
    digest : str or None
        Of its content, 32 hexadecimal digits; None where it has none.
    text : str
        The value as it is written in the store.
    """

    kind: str
    name: str
    digest: str | None
    text: str

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OpaqueParam):
            return NotImplemented
        return exact_text(self.text) == exact_text(other.text)

    def __hash__(self) -> int:
        return hash(exact_text(self.text))

    def __repr__(self) -> str:
        payload: Any = next(iter(json.loads(self.text).values()))
        short = self.name.rpartition(".")[2]
        if self.kind == "estimator":
            params = payload["params"].items()
            args = (f"{name}={decode_value(tree, name)!r}" for name, tree in params)
            return f"{short}({', '.join(args)})"
        if self.kind == "array":
            return f"<array {payload['dtype']} {tuple(payload['shape'])}>"
        if self.kind == "object":
            return str(payload["repr"]) or f"<{short}>"
        return f"<{self.kind} {short}>"


def decode_params(text: str) -> dict[str, Any]:
    """Read what ``encode_params`` wrote.

    Parameters
    ----------
    text : str

    Returns
    -------
    dict of str -> object
        Plain values, and :class:`OpaqueParam` for all else.

    Raises
    ------
    CorruptStoreError
        If the text is not what ``encode_params`` writes, or too long.
    """
    return {name: decode_value(tree, name) for name, tree in load(text).items()}


def decode_value(tree: Any, name: str) -> Any:
    """Read the value of the param of that name from its tree."""
    try:
        return _plain(tree)
    except RecursionError:
        raise CorruptStoreError(f"The param {name!r} is nested too deeply.") from None
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        raise CorruptStoreError(
            f"The param {name!r} is not written as a param is: {error}"
        ) from error


def _plain(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_plain(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    tag = next((key for key in tree if key.startswith("$")), None)
    if tag is None:
        return {key: _plain(item) for key, item in tree.items()}
    if len(tree) != 1:
        raise ValueError(f"{tag} is not alone")
    payload = tree[tag]
    decode = _DECODERS.get(tag)
    return decode(payload) if decode is not None else _opaque(tag, payload)


def _opaque(tag: str, payload: Any) -> OpaqueParam:
    known = payload.get("digest")
    if not (known is None or isinstance(known, str)):
        raise TypeError("a digest is text")
    name = payload.get("name") or payload.get("class") or tag[1:]
    if tag == "$estimator":
        _plain(payload["params"])
    if tag == "$array":
        (payload["dtype"], tuple(payload["shape"]))
    if tag == "$object":
        (payload["class"], payload["repr"])
    return OpaqueParam(tag[1:], str(name), known, dump({tag: payload}))


def _decoded_array(payload: Any) -> Any:
    dtype, shape, items = payload["dtype"], payload["shape"], payload.get("values")
    if items is None:
        return _opaque("$array", payload)
    dtype = _decoded_dtype(dtype)
    # Nothing is allocated that the text does not hold.
    if dtype.kind not in "biufcU" or len(items) > MAX_INLINE:
        raise ValueError(f"an array of type {dtype} and {len(items)} elements")
    # In numpy 1 a size beyond 32 bits is a negative one.
    if not 0 <= dtype.itemsize <= 4 * MAX_VALUE or math.prod(shape) != len(items):
        raise ValueError(f"an array of type {dtype} and shape {shape}")
    array = np.array([_plain(item) for item in items], dtype=dtype).reshape(shape)
    array.flags.writeable = False
    return array


def _decoded_complex(parts: Any) -> complex:
    real, imaginary = map(_plain, parts)
    return complex(real, imaginary)


def _decoded_dtype(text: str) -> np.dtype[Any]:
    if not DTYPE.fullmatch(text):
        raise ValueError(f"{text!r} is no dtype")
    return np.dtype(text)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "$int": lambda text: int(text, 16),
    "$float": lambda text: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[text],
    "$tuple": lambda items: tuple(_plain(item) for item in items),
    "$set": lambda items: {_plain(item) for item in items},
    "$frozenset": lambda items: frozenset(_plain(item) for item in items),
    "$dict": lambda pairs: {_plain(key): _plain(item) for key, item in pairs},
    "$bytes": lambda text: base64.b64decode(text, validate=True),
    "$complex": _decoded_complex,
    "$range": lambda parts: range(*parts),
    "$slice": lambda parts: slice(*map(_plain, parts)),
    "$datetime": datetime.datetime.fromisoformat,
    "$date": datetime.date.fromisoformat,
    "$time": datetime.time.fromisoformat,
    "$timedelta": lambda parts: datetime.timedelta(*parts),
    "$path": Path,
    "$dtype": _decoded_dtype,
    "$array": _decoded_array,
}

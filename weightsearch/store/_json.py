"""JSON that holds every float and is safe to read from a stranger.

Plain JSON has no nan and no infinity; they are written as ``{"$float": "nan"}``,
``"inf"`` and ``"-inf"``. A mapping that would be mistaken for one is written as
``{"$dict": [[key, value], ...]}``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from weightsearch.store._checked import corrupt
from weightsearch.store._schema import MAX_JSON_BYTES

_FLOAT = "$float"
_DICT = "$dict"
_TAGS = (_FLOAT, _DICT)
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def dumps(value: Any) -> str:
    """Write a value as one line of ASCII JSON.

    Numpy's scalars and 0-d arrays count as the Python value they hold; tuples come
    back as lists. What JSON does not have is a TypeError, a text longer than readers
    accept a ValueError.
    """
    try:
        text = _ENCODER.encode(value)
        # A key that is not text is turned into text silently, and a tag must be told
        # from a key that looks like one.
        exact = "$" not in text and _keys_are_text(value)
    except ValueError:
        exact = False
    if not exact:
        text = json.dumps(_encode(value), allow_nan=False, separators=(",", ":"))
    if len(text) > MAX_JSON_BYTES:
        raise ValueError(
            f"the JSON text has {len(text)} bytes; a store takes {MAX_JSON_BYTES}"
        )
    return text


def loads(text: str | bytes, *, path: str = "", place: str = "") -> Any:
    """Read what :func:`dumps` wrote.

    What is too long, not UTF-8, not JSON, too deep, or has an unknown tag is a
    CorruptStoreError that names `path` and `place`.
    """
    if len(text) > MAX_JSON_BYTES:
        raise corrupt(
            f"JSON text of {len(text)} bytes; the limit is {MAX_JSON_BYTES}",
            path,
            place,
        )
    try:
        # As json.loads does, with a decoder that is made once.
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        return _DECODER.decode(text)
    except (ValueError, TypeError, RecursionError) as exc:
        raise corrupt(f"not valid JSON: {exc}", path, place) from exc


def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0:
        value = value.item()
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON: {value!r}")


# Made once: it takes as long as encoding a fit's result.
_ENCODER = json.JSONEncoder(allow_nan=False, default=_plain, separators=(",", ":"))
_LEAVES = frozenset((str, int, float, bool, type(None)))


def _keys_are_text(value: Any) -> bool:
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str or (
                type(item) not in _LEAVES and not _keys_are_text(item)
            ):
                return False
        return True
    if isinstance(value, (list, tuple)):
        return all(map(_keys_are_text, value))
    # Other mappings take the slow way.
    return not isinstance(value, Mapping)


def _encode(value: Any) -> Any:
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"JSON keys must be text, not {key!r}")
        if len(value) == 1 and next(iter(value)) in _TAGS:
            return {_DICT: [[key, _encode(item)] for key, item in value.items()]}
        return {key: _encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return {_FLOAT: "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    return _encode(_plain(value))


def _decode(value: dict[str, Any]) -> Any:
    if len(value) == 1:
        ((tag, item),) = value.items()
        if tag == _FLOAT:
            if not isinstance(item, str) or item not in _FLOATS:
                raise ValueError(f"unknown float {item!r}")
            return _FLOATS[item]
        if tag == _DICT:
            return dict(item)
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(object_hook=_decode, parse_constant=_refuse)

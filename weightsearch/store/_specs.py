"""The description of a fit's arrays as JSON, the same in the file and in the log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from weightsearch._records import WeightSpec, WeightSpecs
from weightsearch.store import _json
from weightsearch.store import _schema as names
from weightsearch.store._checked import corrupt
from weightsearch.store._dtypes import parse_dtype
from weightsearch.store._names import to_paths

__all__ = ["parse_specs", "specs_json"]


def specs_json(
    specs: WeightSpecs, *, kind: str = names.STACKED, paths: Sequence[str] = ()
) -> str:
    """Serialize the names, types and shapes of arrays.

    In a ragged layout, only the number of axes of each shape counts. The log has no
    paths.
    """
    listed = []
    for index, spec in enumerate(specs.arrays):
        item: dict[str, Any] = {names.J_NAME: spec.name}
        if paths:
            item[names.J_PATH] = paths[index]
        structured = spec.dtype.startswith("{")
        item[names.J_DTYPE] = json.loads(spec.dtype) if structured else spec.dtype
        item[names.J_ORDER] = spec.order
        if kind == names.STACKED:
            item[names.J_SHAPE] = list(spec.shape)
        else:
            item[names.J_NDIM] = len(spec.shape)
        listed.append(item)
    return _json.dumps(
        {
            names.J_KIND: kind,
            names.J_ARRAYS: listed,
            names.J_TIES: dict(specs.ties),
            names.J_ENCODINGS: dict(specs.encodings),
        }
    )


def parse_specs(text: str | bytes, *, path: str, place: str) -> tuple[str, WeightSpecs]:
    """Parse what :func:`specs_json` wrote; return the kind and the specs.

    In a ragged layout each axis has the length -1. What cannot be, such as an unknown
    kind or an impossible shape, is a CorruptStoreError.
    """
    value = _json.loads(text, path=path, place=place)
    try:
        kind, listed = value[names.J_KIND], value[names.J_ARRAYS]
        if kind not in (names.STACKED, names.RAGGED):
            raise ValueError(f"unknown kind of layout {kind!r}")
        if not isinstance(listed, list) or len(listed) > names.MAX_ARRAYS:
            raise ValueError("no list of arrays, or one that is too long")
        arrays = tuple(_array(item, kind) for item in listed)
        paths = to_paths(spec.name for spec in arrays)
        if any(
            item.get(names.J_PATH, path) != path
            for item, path in zip(listed, paths, strict=True)
        ):
            raise ValueError("paths that do not follow from the names")
        ties = _texts(value.get(names.J_TIES, {}))
        encodings = _texts(value.get(names.J_ENCODINGS, {}))
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise corrupt(f"not a description of arrays: {exc}", path, place) from exc
    return kind, WeightSpecs(arrays, ties, encodings)


def _array(item: Any, kind: str) -> WeightSpec:
    if not isinstance(item, dict):
        raise TypeError("an array's entry is not an object")
    name, order, dtype = (item[key] for key in ("name", "order", "dtype"))
    if not isinstance(name, str) or order not in ("C", "F"):
        raise ValueError(f"{name!r} has no name or no memory order")
    if kind == names.STACKED:
        shape = item[names.J_SHAPE]
        good = isinstance(shape, list) and all(
            type(length) is int and 0 <= length < 2**62 for length in shape
        )
    else:
        ndim = item[names.J_NDIM]
        good = type(ndim) is int and 0 <= ndim <= names.MAX_NDIM
        shape = [-1] * ndim if good else []
    if not good or len(shape) > names.MAX_NDIM:
        raise ValueError(f"{name!r} has no possible shape")
    text = json.dumps(dtype) if isinstance(dtype, dict) else dtype
    try:
        parse_dtype(text)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise ValueError(f"{name!r} has no possible type: {exc}") from exc
    return WeightSpec(name, tuple(shape), text, order)


def _texts(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(
        isinstance(item, str) for item in value.values()
    ):
        raise TypeError("ties or encodings are not names of names")
    return value

"""Descriptions of arrays as JSON and their bytes, the same in the log and in the file.

An array's bytes are those of :func:`~weightsearch.store._dtypes.to_stored`, in C order
whatever its memory order was, and its checksum is that of these bytes: so arrays move
from the log into the file, and from file to file, as they are.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from weightsearch._records import Array, WeightSpec, WeightSpecs
from weightsearch.store import _json
from weightsearch.store import _schema as names
from weightsearch.store._checked import corrupt
from weightsearch.store._dtypes import (
    Stored,
    check_storable,
    dtype_text,
    from_stored,
    parse_dtype,
    stored_as,
    to_stored,
)
from weightsearch.store._names import to_paths

StoredArray = tuple[WeightSpec, Array, int]
"""An array's spec, its bytes as they are kept (uint8, 1-D), and their checksum."""

_BUFFERS = frozenset("biufcS")
"""Kinds of types whose arrays are buffers as they are."""


class Packed(NamedTuple):
    """Arrays that are ready to be written one after another."""

    spec: bytes
    """JSON: names, types, shapes and orders, ties and encodings."""
    pieces: list[Any]
    """Buffers; the arrays' own memory where that is possible."""
    sizes: list[int]
    crcs: list[int]


def pack(
    arrays: Mapping[str, Array],
    ties: Mapping[str, str] | None = None,
    encodings: Mapping[str, str] | None = None,
) -> Packed:
    """Prepare arrays for writing."""
    described, pieces, sizes = [], [], []
    for name, array in arrays.items():
        dtype, shape, flags = array.dtype, array.shape, array.flags
        plain = dtype.kind in _BUFFERS and dtype.isbuiltin == 1
        if not plain or dtype.char in "gG" or len(shape) > names.MAX_NDIM:
            check_storable(dtype, len(shape), name)
        in_order: bool = flags.c_contiguous
        if not (plain and in_order):
            stored = to_stored(array, stored_as(dtype))
            array = stored if plain else stored.reshape(-1).view(np.uint8)
        order = "F" if flags.f_contiguous and not in_order else "C"
        described.append((name, dtype, shape, order))
        pieces.append(array.data)
        sizes.append(array.nbytes)
    extra = tuple((ties or {}).items()), tuple((encodings or {}).items())
    spec = _spec_line(tuple(described), *extra)
    return Packed(spec, pieces, sizes, list(map(zlib.crc32, pieces)))


_Pairs = tuple[tuple[str, str], ...]


@lru_cache(maxsize=256)
def _spec_line(
    arrays: tuple[tuple[str, np.dtype[Any], tuple[int, ...], str], ...],
    ties: _Pairs,
    encodings: _Pairs,
) -> bytes:
    specs = tuple(
        WeightSpec(name, shape, dtype_text(dtype), order)
        for name, dtype, shape, order in arrays
    )
    return specs_json(WeightSpecs(specs, dict(ties), dict(encodings))).encode()


def stored_spec(spec: WeightSpec, nbytes: int) -> Stored:
    """Return how an array is kept in so many bytes; a ValueError where it cannot be."""
    count, dtype = math.prod(spec.shape), parse_dtype(spec.dtype)
    if dtype is not None:
        stored = stored_as(dtype)
    else:
        # A type that is not installed here: its bytes pass through as they are.
        itemsize = nbytes // (count or 1) or 1
        stored = Stored(None, np.dtype(f"<u{itemsize if itemsize in (2, 4, 8) else 1}"))
    if count * stored.itemsize != nbytes:
        raise ValueError(
            f"{spec.name!r} has {nbytes} bytes, not those of {spec.dtype} of shape "
            f"{spec.shape}"
        )
    return stored


def as_array(raw: Array, spec: WeightSpec, stored: Stored) -> Array:
    """Return an array, given its bytes or elements in one contiguous array."""
    if not raw.flags.writeable:
        # Bytes of a file: a copy is aligned, and may be written to.
        raw = raw.copy()
    plain = raw.view(stored.storage).reshape(spec.shape + stored.extra)
    array = from_stored(plain, stored, spec.name)
    return np.asfortranarray(array) if spec.order == "F" else array


@dataclass(frozen=True, slots=True)
class Packing:
    """Where each of several packed arrays is."""

    specs: WeightSpecs
    index: Mapping[str, int]
    """Position of each name in ``specs.arrays``."""
    stored: tuple[Stored, ...]
    offsets: tuple[int, ...]
    """First byte of each array, and the end of the last."""

    @classmethod
    def parse(
        cls, text: bytes, sizes: Sequence[int], *, path: str, place: str
    ) -> Packing:
        """Parse and check a spec, for arrays of so many bytes."""
        if not all(type(size) is int and size >= 0 for size in sizes):
            raise corrupt("sizes that are not numbers of bytes", path, place)
        _, specs = parse_specs(text, path=path, place=place)
        try:
            stored = tuple(map(stored_spec, specs.arrays, sizes))
        except ValueError as exc:
            raise corrupt(str(exc), path, place) from exc
        if len(specs.arrays) != len(sizes):
            raise corrupt(f"{len(sizes)} arrays are not those described", path, place)
        index = {spec.name: number for number, spec in enumerate(specs.arrays)}
        return cls(specs, index, stored, (0, *accumulate(sizes)))


def specs_json(
    specs: WeightSpecs, *, kind: str = names.STACKED, paths: Sequence[str] = ()
) -> str:
    """Serialize the names, types and shapes of arrays.

    In a ragged architecture, the lengths of all axes are -1. The log has no paths.
    """
    listed = []
    for index, spec in enumerate(specs.arrays):
        item: dict[str, Any] = {names.J_NAME: spec.name}
        if paths:
            item[names.J_PATH] = paths[index]
        structured = spec.dtype.startswith("{")
        item[names.J_DTYPE] = json.loads(spec.dtype) if structured else spec.dtype
        item[names.J_ORDER] = spec.order
        item[names.J_SHAPE] = list(spec.shape)
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

    In a ragged architecture each axis has the length -1. An unknown kind, an
    impossible shape and the like are a CorruptStoreError.
    """
    value = _json.loads(text, path=path, place=place)
    try:
        kind, listed = value[names.J_KIND], value[names.J_ARRAYS]
        if kind not in (names.STACKED, names.RAGGED):
            raise ValueError(f"unknown kind {kind!r}")
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
    shape = item[names.J_SHAPE]
    low, high = (0, 2**62) if kind == names.STACKED else (-1, 0)
    if (
        not isinstance(shape, list)
        or not all(type(length) is int and low <= length < high for length in shape)
        or len(shape) > names.MAX_NDIM
    ):
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

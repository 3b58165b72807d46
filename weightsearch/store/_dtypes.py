"""Mapping of numpy types to HDF5 types that keeps every bit.

HDF5 knows booleans (as an enumeration), integers, floats, complex numbers (as a
compound of two), fixed-length bytes and compounds of these, each with its byte
order. Anything else travels as a *stand-in*: an integer type of the same bytes,
and the true type's name in the spec. A stand-in that is smaller than the true type
adds a last axis (text: its code points).

===================================  ==========================================
``bool``, ``int*``, ``uint*``,       the same
``float16/32/64``, ``complex64/128``
``S<n>``                             fixed-length string of n bytes, null-padded
structured, of the types above       compound with the same offsets and size
``bfloat16`` and all of ml_dtypes    little-endian unsigned integer of its size
``datetime64``, ``timedelta64``      ``int64`` of the same byte order
``U<n>``                             ``uint32``, same byte order, last axis n
``V<n>``, other structured types     ``uint8``, last axis the type's size
===================================  ==========================================
"""

from __future__ import annotations

import importlib
import json
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import h5py
import numpy as np

from weightsearch._records import Array
from weightsearch.exceptions import UnstorableWeightsWarning
from weightsearch.store._schema import MAX_NDIM

_SIMPLE = re.compile(r"[<>|][biufcSUV]\d{1,10}|[<>][mM]8(\[[0-9A-Za-z/]{1,30}\])?")
_NAMED = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FIELD_KEYS = {"names", "formats", "offsets", "itemsize"}
_MAX_NESTING = 16


@dataclass(frozen=True)
class Stored:
    """Storage of the arrays of one type."""

    true: np.dtype[Any] | None
    """The model's type; None where it is a named type that is not installed."""
    storage: np.dtype[Any]
    """The type of the HDF5 dataset."""
    extra: tuple[int, ...] = ()
    """The axis that the stand-in adds: ``()`` or ``(n,)``."""

    @property
    def itemsize(self) -> int:
        """Bytes of one element of the true type."""
        return self.storage.itemsize * (self.extra[0] if self.extra else 1)


def check_storable(dtype: np.dtype[Any], ndim: int = 0, name: str = "") -> None:
    """Refuse, by a TypeError, what a store cannot hold exactly.

    Arrays of objects or of variable-length text, long doubles (their bytes mean
    something else on another machine), types without size, and more axes than HDF5
    has.
    """
    where = f"{name!r}: " if name else ""
    if dtype.hasobject or dtype.kind in "OT":
        raise TypeError(
            f"{where}arrays of type {dtype} hold Python objects, which a store never "
            "keeps; convert them to a numeric or fixed-length type"
        )
    if _has_long_double(dtype):
        raise TypeError(
            f"{where}{dtype} differs from machine to machine; convert to float64 or "
            "complex128"
        )
    if dtype.itemsize == 0:
        raise TypeError(f"{where}arrays of type {dtype.str} have elements of no size")
    if ndim > MAX_NDIM:
        raise TypeError(f"{where}{ndim} axes; a store holds at most {MAX_NDIM}")


def dtype_text(dtype: np.dtype[Any]) -> str:
    """Name a type so that :func:`parse_dtype` gives it back.

    ``dtype.str``, the name of a type of ml_dtypes, or, for structured types, a JSON
    object of names, formats, offsets and itemsize.
    """
    value = _to_json(dtype)
    return value if isinstance(value, str) else json.dumps(value)


@lru_cache(maxsize=1024)
def parse_dtype(text: str) -> np.dtype[Any] | None:
    """Parse a type's name; return None for a named type that is not installed.

    Raise a ValueError for what is not the name of a type that a store can hold.
    """
    if text.startswith("{"):
        try:
            return _structured(json.loads(text), 0)
        except (TypeError, KeyError, OverflowError, RecursionError) as exc:
            raise ValueError(f"not a structured type: {exc}") from exc
    if _SIMPLE.fullmatch(text):
        try:
            dtype = np.dtype(text)
            check_storable(dtype)
        except TypeError as exc:
            raise ValueError(f"{text!r} is not a type that a store can hold") from exc
        return dtype
    if _NAMED.fullmatch(text):
        return _named(text)
    raise ValueError(f"{text[:100]!r} is not the name of a type")


@lru_cache(maxsize=1024)
def stored_as(dtype: np.dtype[Any]) -> Stored:
    """Return the storage of a type that :func:`check_storable` accepts."""
    if _is_named(dtype):
        return Stored(dtype, np.dtype(f"<u{dtype.itemsize}"))
    if dtype.kind in "mM":
        return Stored(dtype, np.dtype(dtype.str[0] + "i8"))
    if dtype.kind == "U":
        return Stored(dtype, np.dtype(dtype.str[0] + "u4"), (dtype.itemsize // 4,))
    if dtype.kind == "V" and not _is_compound(dtype):
        return Stored(dtype, np.dtype("u1"), (dtype.itemsize,))
    return Stored(dtype, dtype)


def to_stored(array: Array, stored: Stored) -> Array:
    """View an array as its dataset's type: shape ``(*shape, *extra)``, C order."""
    array = np.ascontiguousarray(array).reshape(array.shape)
    if array.dtype.fields is not None:
        # The bytes between fields are zero, so that equal arrays have equal bytes.
        source, array = array, np.zeros(array.shape, array.dtype)
        _copy_fields(array, source)
    if stored.true == stored.storage:
        return array
    flat = array.reshape(-1)
    if _is_named(array.dtype):
        # Named types have the machine's byte order, their stand-ins always little.
        flat = flat.view(stored.storage.newbyteorder("="))
        return flat.astype(stored.storage, copy=False).reshape(array.shape)
    return flat.view(stored.storage).reshape(array.shape + stored.extra)


def from_stored(array: Array, stored: Stored, name: str = "") -> Array:
    """Undo :func:`to_stored`; the array must be C-contiguous.

    A named type that is not installed comes back as its stand-in, with an
    :class:`~weightsearch.exceptions.UnstorableWeightsWarning`.
    """
    if stored.true is None:
        warnings.warn(
            f"{name!r} has a type that numpy lacks and is returned as raw "
            f"{array.dtype}; install ml_dtypes to get its true type",
            UnstorableWeightsWarning,
            stacklevel=2,
        )
        return array
    if stored.true == stored.storage:
        return array
    shape = array.shape[: array.ndim - len(stored.extra)]
    flat = array.reshape(-1)
    if _is_named(stored.true):
        flat = flat.astype(stored.storage.newbyteorder("="), copy=False)
    return flat.view(stored.true).reshape(shape)


def _copy_fields(target: Array, source: Array) -> None:
    for name in source.dtype.names or ():
        if source[name].dtype.fields is None:
            target[name] = source[name]
        else:
            _copy_fields(target[name], source[name])


def _has_long_double(dtype: np.dtype[Any]) -> bool:
    if dtype.subdtype is not None:
        return _has_long_double(dtype.subdtype[0])
    if dtype.fields is not None:
        return any(_has_long_double(field[0]) for field in dtype.fields.values())
    # A complex long double has two, each of at least the size of a double.
    return dtype.char in "gG" and dtype.itemsize > (8 if dtype.kind == "f" else 16)


def _is_named(dtype: np.dtype[Any]) -> bool:
    return dtype.type.__module__.split(".")[0] == "ml_dtypes"


def _named(name: str) -> np.dtype[Any] | None:
    try:
        scalar = getattr(importlib.import_module("ml_dtypes"), name, None)
    except ImportError:
        return None
    if not (isinstance(scalar, type) and issubclass(scalar, np.generic)):
        return None
    return np.dtype(scalar)


def _is_compound(dtype: np.dtype[Any]) -> bool:
    """Return whether HDF5 can hold a structured type without loss."""
    if dtype.fields is None:
        return False
    try:
        back = h5py.h5t.py_create(dtype, logical=True).dtype
    except (TypeError, ValueError):
        return False
    return bool(back == dtype and back.itemsize == dtype.itemsize)


def _to_json(dtype: np.dtype[Any]) -> Any:
    if _is_named(dtype):
        return dtype.name
    if dtype.fields is None or dtype.names is None:
        return dtype.str
    formats, offsets, titles = [], [], []
    for name in dtype.names:
        field, offset, *title = dtype.fields[name]
        titles.append(str(title[0]) if title else None)
        shape = list(field.shape)
        formats.append([_to_json(field.base), shape] if shape else _to_json(field))
        offsets.append(offset)
    description = {
        "names": list(dtype.names),
        "formats": formats,
        "offsets": offsets,
        "itemsize": dtype.itemsize,
    }
    return description | ({"titles": titles} if any(titles) else {})


def _structured(value: Any, depth: int) -> np.dtype[Any]:
    if depth > _MAX_NESTING or set(value) - {"titles"} != _FIELD_KEYS:
        raise ValueError("not the description of a structured type")
    formats: list[Any] = []
    for item in value["formats"]:
        shape: Any = None
        if isinstance(item, list):
            item, shape = item
        if isinstance(item, str):
            field = None if item.startswith("{") else parse_dtype(item)
        else:
            field = _structured(item, depth + 1)
        if field is None:
            raise ValueError(f"a field's type {item!r} is not known")
        formats.append((field, tuple(shape)) if shape else field)
    description: Any = {**value, "formats": formats}
    dtype: np.dtype[Any] = np.dtype(description)
    check_storable(dtype)
    return dtype

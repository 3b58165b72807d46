"""Files of arrays in a model's state: weights by their name, the rest as it is."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from weightsearch._records import Array

__all__ = ["FileKeeper", "digest", "restore"]

_BLOB = "blob"
_WEIGHT = "weight"
_FIELDS = "fields"
_DATA = "data"
_SMALL = 48
"""Bytes of an array up to which its name would take as much room."""


def digest(content: bytes) -> str:
    """Name of a content: 32 hexadecimal digits."""
    return blake2b(content, digest_size=16).hexdigest()


class FileKeeper:
    """Finds among the weights what a file holds, so that it is not stored twice.

    Parameters
    ----------
    weights : mapping of str -> ndarray
    blobs : dict of str -> bytes
        Takes what is no weight, by its :func:`digest`.
    """

    def __init__(self, weights: Mapping[str, Array], blobs: dict[str, bytes]):
        self._blobs = blobs
        self._by_kind: dict[tuple[Any, ...], list[tuple[str, Array]]] = {}
        for name, array in weights.items():
            kind = (_comparable(array.dtype), array.shape)
            self._by_kind.setdefault(kind, []).append((name, array))

    def keep(self, content: bytes) -> dict[str, Any]:
        """Say where a file's content is found again."""
        array = _read(content)
        if array is None:
            return self.keep_blob(content)
        name = self._find(array)
        if name is not None:
            return {_WEIGHT: name, "dtype": array.dtype.str, "order": _order(array)}
        if array.dtype.names:
            fields = {name: self._find(array[name]) for name in array.dtype.names}
            # What lies between the fields is whatever was there.
            if all(fields.values()):
                return {
                    _FIELDS: fields,
                    "dtype": np.lib.format.dtype_to_descr(array.dtype),
                }
        if array.nbytes <= _SMALL and not array.dtype.names:
            return {
                _DATA: base64.b64encode(array.tobytes("A")).decode(),
                "dtype": array.dtype.str,
                "shape": array.shape,
                "order": _order(array),
            }
        return self.keep_blob(content)

    def keep_blob(self, content: bytes) -> dict[str, Any]:
        """Keep a content as it is."""
        name = digest(content)
        self._blobs[name] = content
        return {_BLOB: name}

    def _find(self, array: Array) -> str | None:
        for name, weight in self._by_kind.get(
            (_comparable(array.dtype), array.shape), ()
        ):
            if weight is array or _raw(weight) == _raw(array):
                return name
        return None


def restore(
    reference: Mapping[str, Any],
    weight: Callable[[str], Array],
    blob: Callable[[str], bytes],
) -> bytes:
    """Give the content of a file back.

    Parameters
    ----------
    reference : dict
        What :meth:`FileKeeper.keep` has said.
    weight, blob : callable
        Give a weight by its name, and a content by its digest.

    Raises
    ------
    ValueError, KeyError, TypeError
        If the reference is none.
    """
    if _BLOB in reference:
        return blob(reference[_BLOB])
    dtype = np.lib.format.descr_to_dtype(_as_descr(reference["dtype"]))
    if dtype.hasobject:
        raise ValueError("it names an array of Python objects")
    if _DATA in reference:
        raw = np.frombuffer(base64.b64decode(reference[_DATA]), dtype)
        return _write(raw.reshape(reference["shape"], order=reference["order"]))
    if _WEIGHT in reference:
        array = weight(reference[_WEIGHT])
        if array.dtype != dtype:
            # Types that numpy's files do not know, such as bfloat16.
            array = array.view(dtype)
        if reference["order"] == "F":
            array = np.asfortranarray(array)
        return _write(array)
    fields = {name: weight(of) for name, of in reference[_FIELDS].items()}
    if set(fields) != set(dtype.names or ()):
        raise ValueError("its fields are not those of its type")
    shape = next(iter(fields.values())).shape[:1]
    array = np.zeros(shape, dtype)
    for name, values in fields.items():
        array[name] = values
    return _write(array)


def _as_descr(value: Any) -> Any:
    # JSON has no tuples.
    if isinstance(value, list):
        return [
            tuple(tuple(part) if isinstance(part, list) else part for part in field)
            for field in value
        ]
    return value


def _read(content: bytes) -> Array | None:
    if content[:6] != b"\x93NUMPY":
        return None
    if content[6:8] != b"\x01\x00":
        array: Array = np.load(io.BytesIO(content), allow_pickle=False)
        return array
    start = 10 + int.from_bytes(content[8:10], "little")
    shape, is_fortran, dtype = _header(content[8:start])
    flat = np.frombuffer(content, dtype, math.prod(shape), start)
    return flat.reshape(shape, order="F" if is_fortran else "C")


@lru_cache(maxsize=256)
def _header(content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    # numpy has Python's compiler read it, every time.
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(io.BytesIO(content))
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return shape, is_fortran, dtype


def _write(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _order(array: Array) -> str:
    flags = array.flags
    return "F" if flags.f_contiguous and not flags.c_contiguous else "C"


def _comparable(dtype: np.dtype[Any]) -> str:
    # numpy writes types of other packages, such as bfloat16, as bytes.
    if dtype.kind == "V" and not dtype.names:
        return f"|V{dtype.itemsize}"
    return str(dtype.str)


def _raw(array: Array) -> bytes | memoryview:
    if array.flags.c_contiguous and array.dtype.kind not in "MmV":
        return array.reshape(-1).view(np.uint8).data
    return array.tobytes()

"""Arrays as the concatenated bytes of one frame of the log, and back."""

from __future__ import annotations

import math
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from weightsearch._records import Array, WeightSpec, WeightSpecs
from weightsearch.store._checked import corrupt
from weightsearch.store._dtypes import (
    Stored,
    check_storable,
    dtype_text,
    from_stored,
    parse_dtype,
    stored_as,
)
from weightsearch.store._schema import MAX_NDIM
from weightsearch.store._specs import parse_specs, specs_json

__all__ = ["Layout", "Record", "pack"]

_SIMPLE_KINDS = frozenset("biufcSU")
"""Kinds of types that Python's buffers know."""
_Layout = tuple[
    tuple[tuple[str, np.dtype[Any], tuple[int, ...], str], ...],
    tuple[tuple[str, str], ...],
    tuple[tuple[str, str], ...],
]


@dataclass(frozen=True, slots=True)
class Record:
    """Arrays, ready to be written one after the other.

    Attributes
    ----------
    spec : bytes
        JSON: names, types, shapes and orders of the arrays, ties and encodings.
    pieces : list of buffers
        The bytes, without a copy where the array is contiguous.
    sizes : list of int
        Bytes of each array.
    crcs : list of int
        CRC-32 of each array.
    """

    spec: bytes
    pieces: list[Any]
    sizes: list[int]
    crcs: list[int]


def pack(
    arrays: Mapping[str, Array],
    ties: Mapping[str, str] | None = None,
    encodings: Mapping[str, str] | None = None,
) -> Record:
    """Lay out arrays for writing."""
    layout, pieces, sizes = [], [], []
    for name, array in arrays.items():
        shape, dtype = array.shape, array.dtype
        order = "C"
        if not array.flags.c_contiguous:
            if array.flags.f_contiguous:
                order, array = "F", array.T
            else:
                array = np.ascontiguousarray(array)
        if dtype.kind not in _SIMPLE_KINDS or dtype.isbuiltin != 1:
            check_storable(dtype, len(shape), name)
            if dtype.isbuiltin == 2 and sys.byteorder == "big":
                # Types that numpy lacks have no byte order of their own.
                array = array.byteswap()
            array = array.reshape(-1).view(np.uint8)
        elif dtype.char in "gG" or dtype.itemsize == 0 or len(shape) > MAX_NDIM:
            check_storable(dtype, len(shape), name)
        layout.append((name, dtype, shape, order))
        pieces.append(array.data)
        sizes.append(array.nbytes)
    spec = _spec(
        (
            tuple(layout),
            tuple(ties.items()) if ties else (),
            tuple(encodings.items()) if encodings else (),
        )
    )
    return Record(spec, pieces, sizes, list(map(zlib.crc32, pieces)))


@lru_cache(maxsize=256)
def _spec(layout: _Layout) -> bytes:
    arrays, ties, encodings = layout
    specs = WeightSpecs(
        tuple(
            WeightSpec(name, shape, dtype_text(dtype), order)
            for name, dtype, shape, order in arrays
        ),
        dict(ties),
        dict(encodings),
    )
    return specs_json(specs).encode()


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the arrays of a record are.

    Attributes
    ----------
    specs : WeightSpecs
    index : dict of str -> int
        Position of each name in ``specs.arrays``.
    stored : tuple of Stored
    offsets : tuple of int
        First byte of each array in the record, and the record's end.
    """

    specs: WeightSpecs
    index: Mapping[str, int]
    stored: tuple[Stored, ...]
    offsets: tuple[int, ...]

    def array(self, position: int, raw: Array) -> Array:
        """Return an array, given its bytes as ``uint8`` of shape (nbytes,)."""
        spec, stored = self.specs.arrays[position], self.stored[position]
        shape = spec.shape if spec.order == "C" else spec.shape[::-1]
        plain = raw.view(stored.storage).reshape(shape + stored.extra)
        array = from_stored(plain, stored, spec.name)
        return array if spec.order == "C" else array.T

    def stack(self, position: int, raw: Array) -> Array:
        """Return stacked arrays in C order, given their bytes of shape (n, nbytes)."""
        spec, stored = self.specs.arrays[position], self.stored[position]
        plain = raw.view(stored.storage).reshape((len(raw), *spec.shape, *stored.extra))
        return from_stored(plain, stored, spec.name)

    @classmethod
    def parse(
        cls, text: bytes, sizes: Sequence[int], *, path: str, place: str
    ) -> Layout:
        """Read and check a spec."""
        _, specs = parse_specs(text, path=path, place=place)
        if len(specs.arrays) != len(sizes):
            raise corrupt(f"{len(sizes)} arrays are not those described", path, place)
        stored: list[Stored] = []
        offsets = [0]
        for spec, size in zip(specs.arrays, sizes, strict=True):
            count = math.prod(spec.shape)
            dtype = parse_dtype(spec.dtype)
            if dtype is not None:
                how = stored_as(dtype)
            else:
                itemsize = size // count if count else 1
                if itemsize not in (1, 2, 4, 8):
                    raise corrupt(f"{spec.name!r} has {size} bytes", path, place)
                how = Stored(None, np.dtype(f"<u{itemsize}"))
            if count * how.itemsize != size:
                raise corrupt(f"{spec.name!r} has {size} bytes", path, place)
            stored.append(how)
            offsets.append(offsets[-1] + size)
        index = {spec.name: number for number, spec in enumerate(specs.arrays)}
        return cls(specs, index, tuple(stored), tuple(offsets))

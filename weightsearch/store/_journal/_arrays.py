"""Arrays as the bytes of one journal record, and back."""

from __future__ import annotations

import json
import math
import struct
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightsearch._records import Array, WeightSpec, WeightSpecs
from weightsearch.exceptions import CorruptStoreError
from weightsearch.store import _json
from weightsearch.store._hdf5._codec import (
    Stored,
    check_storable,
    dtype_text,
    from_stored,
    parse_dtype,
    stored_as,
)
from weightsearch.store._hdf5._layout import MAX_ARRAYS, MAX_NAME_BYTES, MAX_NDIM
from weightsearch.store._later import Later

__all__ = ["Layout", "Record", "pack"]

_SIMPLE_KINDS = frozenset("biufcSU")
"""Kinds of types that Python's buffers know."""
_LARGE_BYTES = 4 << 20
"""From here on another thread for the checksums pays."""


@dataclass(frozen=True, slots=True)
class Record:
    """Arrays, ready to be written one behind the other.

    Attributes
    ----------
    layout : tuple
        Equal for equal names, types, shapes and orders; hashable.
    pieces : list of buffers
        The bytes, without a copy where the array is contiguous.
    nbytes : int
        Of all pieces.
    """

    layout: tuple[Any, ...]
    pieces: list[Any]
    nbytes: int
    _crcs: bytes | Later[bytes]

    @property
    def crcs(self) -> bytes:
        """CRC-32 of each array, 4 bytes, little endian."""
        return self._crcs if isinstance(self._crcs, bytes) else self._crcs.result()

    def spec(self) -> str:
        """Return the layout as the JSON text of the table ``layout``."""
        arrays, ties, encodings = self.layout
        names = {dtype: dtype_text(dtype) for dtype in {item[1] for item in arrays}}
        # No number in it needs the care of _json, which takes time for many arrays.
        text = json.dumps(
            [
                [name, names[dtype], shape, order, dtype.itemsize]
                for name, dtype, shape, order in arrays
            ],
            separators=(",", ":"),
        )
        ties, encodings = _json.dumps(dict(ties)), _json.dumps(dict(encodings))
        return f'{{"arrays":{text},"ties":{ties},"encodings":{encodings}}}'


def pack(
    arrays: Mapping[str, Array],
    ties: Mapping[str, str] | None = None,
    encodings: Mapping[str, str] | None = None,
) -> Record:
    """Lay out arrays for writing.

    Raises
    ------
    TypeError
        If an array is of a type that a store does not hold.
    """
    layout, pieces = [], []
    nbytes = 0
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
        nbytes += array.nbytes
    crcs: bytes | Later[bytes]
    if nbytes < _LARGE_BYTES:
        crcs = _crcs_of(pieces)
    else:
        # While the bytes are written.
        crcs = Later(lambda: _crcs_of(pieces))
    return Record(
        (
            tuple(layout),
            tuple(ties.items()) if ties else (),
            tuple(encodings.items()) if encodings else (),
        ),
        pieces,
        nbytes,
        crcs,
    )


def _crcs_of(pieces: Sequence[Any]) -> bytes:
    return struct.pack(f"<{len(pieces)}I", *map(zlib.crc32, pieces))


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the arrays of a record lie.

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

    @property
    def nbytes(self) -> int:
        """Bytes of a record."""
        return self.offsets[-1]

    def extent(self, position: int) -> tuple[int, int]:
        """Return the first byte and the number of bytes of an array."""
        start = self.offsets[position]
        return start, self.offsets[position + 1] - start

    def array(self, position: int, raw: Array) -> Array:
        """Make an array of its bytes, ``raw`` of shape (nbytes,) and type uint8."""
        spec, stored = self.specs.arrays[position], self.stored[position]
        shape = spec.shape if spec.order == "C" else spec.shape[::-1]
        plain = raw.view(stored.storage).reshape(shape + stored.extra)
        array = from_stored(plain, stored, spec.name)
        return array if spec.order == "C" else array.T

    @classmethod
    def parse(cls, text: str | bytes, *, path: str, place: str) -> Layout:
        """Read and check the JSON text of the table ``layout``.

        Raises
        ------
        CorruptStoreError
            If it is not what :meth:`Record.spec` writes.
        """
        value = _json.loads(text, path=path, place=place)
        try:
            return cls._parse(value)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise CorruptStoreError(
                f"{path}: {place} is damaged: {error}", path, place
            ) from error

    @classmethod
    def _parse(cls, value: Any) -> Layout:
        if len(value["arrays"]) > MAX_ARRAYS:
            raise ValueError(f"{len(value['arrays'])} arrays")
        specs: list[WeightSpec] = []
        stored: list[Stored] = []
        index: dict[str, int] = {}
        offsets = [0]
        for name, dtype, shape, order, itemsize in value["arrays"]:
            how = _stored(dtype, itemsize)
            if (
                not isinstance(name, str)
                or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES
                or name in index
                or order not in ("C", "F")
                or len(shape) > MAX_NDIM
                or not all(type(n) is int and 0 <= n < 2**63 for n in shape)
            ):
                raise ValueError(f"array {name!r:.100} is not described as it must be")
            index[name] = len(specs)
            specs.append(WeightSpec(name, tuple(shape), dtype, order))
            stored.append(how)
            offsets.append(offsets[-1] + math.prod(shape) * how.itemsize)
        ties, encodings = _texts(value["ties"]), _texts(value["encodings"])
        return cls(
            WeightSpecs(tuple(specs), ties, encodings),
            index,
            tuple(stored),
            tuple(offsets),
        )


def _stored(text: Any, itemsize: Any) -> Stored:
    if not isinstance(text, str):
        raise TypeError("a type that is no text")
    dtype = parse_dtype(text)
    if dtype is None:
        if itemsize not in (1, 2, 4, 8):
            raise ValueError(f"{text!r} of {itemsize} bytes")
        return Stored(None, np.dtype(f"<u{itemsize}"))
    if dtype.itemsize != itemsize:
        raise ValueError(f"{text!r} of {itemsize} bytes")
    return stored_as(dtype)


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(
        isinstance(text, str) for text in value.values()
    ):
        raise TypeError("ties or encodings that are no texts")
    return value

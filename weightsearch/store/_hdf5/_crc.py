"""CRC-32 of arrays, and of rows put together without reading them again.

A row has a checksum of its own, so that it can be read alone. Where many rows are
read at once, one pass over all of them is several times faster than one a row; the
checksum that it must give follows from those of the rows, since CRC is linear:
``crc(a + b) = shift(crc(a), len(b)) ^ crc(b)``, where ``shift`` appends zero bytes.
This is ``crc32_combine`` of zlib (Adler, 2004), which Python does not offer.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any

import numpy as np

from weightsearch._records import Array

__all__ = ["as_bytes", "combine", "crc32"]

_POLYNOMIAL = np.uint32(0xEDB88320)


def as_bytes(array: Array) -> memoryview:
    """View a C-contiguous array as its bytes."""
    flat: Any = array.reshape(-1).view(np.uint8)
    return memoryview(flat)


def crc32(array: Array, value: int = 0) -> int:
    """Give the CRC-32 of a C-contiguous array's bytes, going on from `value`."""
    return zlib.crc32(as_bytes(array), value)


def combine(crcs: Array, length: int) -> Array:
    """Give the CRC-32 of rows that lie one after the other.

    Parameters
    ----------
    crcs : ndarray of shape (..., n), uint32
        The checksum of each row.
    length : int
        Bytes of each row.

    Returns
    -------
    ndarray of shape (...), uint32
    """
    crcs = np.asarray(crcs, np.uint32)
    if not crcs.shape[-1]:
        return np.zeros(crcs.shape[:-1], np.uint32)
    while crcs.shape[-1] > 1:
        # Pairs from the right, so that every right half has the same length.
        head = crcs.shape[-1] % 2
        pairs = _shift(crcs[..., head::2], length) ^ crcs[..., head + 1 :: 2]
        crcs = np.concatenate([crcs[..., :head], pairs], axis=-1)
        length *= 2
    return crcs[..., 0]


def _shift(crcs: Array, length: int) -> Array:
    tables = _tables(length)
    out: Array = tables[0][crcs & 255]
    for index in range(1, 4):
        out = out ^ tables[index][crcs >> np.uint32(8 * index) & 255]
    return out


@lru_cache(maxsize=256)
def _tables(length: int) -> Array:
    """Give what each value of each of a CRC's four bytes becomes, (4, 256) uint32."""
    columns = _operator(length)
    tables = np.zeros((4, 256), np.uint32)
    for bit in range(32):
        table = tables[bit // 8]
        size = 1 << bit % 8
        table[size : 2 * size] = table[:size] ^ columns[bit]
    return tables


@lru_cache(maxsize=256)
def _operator(length: int) -> Array:
    """Give what each bit of a CRC becomes when `length` zero bytes follow."""
    columns: Array = np.uint32(1) << np.arange(32, dtype=np.uint32)
    if length == 0:
        return columns
    if length == 1:
        for _ in range(8):
            columns = columns >> 1 ^ np.where(columns & 1, _POLYNOMIAL, np.uint32(0))
        return columns
    # Appending twice is appending double: the operator goes through its own tables.
    columns = _shift(_operator(length // 2), length // 2)
    return _shift(columns, 1) if length % 2 else columns

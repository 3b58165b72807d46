"""Distances between models too many to hold in memory, read weight by weight."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from weightsearch._records import Array
from weightsearch.compare._distances import (
    Metric,
    add_products,
    as_floats,
    distances_between,
    working_type,
)
from weightsearch.compare._numeric import norm

__all__ = ["ReadRows", "stacked_distances"]

ReadRows = Callable[[str, Array], Array]
"""Takes a weight's name and numbers of models; gives their arrays, stacked.

The array is contiguous and nobody else's: it is written into.
"""

_PANEL_BYTES = 400 * 2**20
_TILE_BYTES = 64 * 2**20
# So many products of float32 are added up before float64 takes over.
_SINGLE_WIDTH = 16_384


def stacked_distances(
    names: Sequence[str], count: int, read: ReadRows, metric: Metric = "l2"
) -> Array:
    """Distances between models, each taken as one vector of all its weights.

    As :func:`weightsearch.compare.pairwise_distances` of the weights put side by
    side, for models that do not fit into memory together. One stack is read a weight;
    where that takes more than 400 MiB, panels of models of that size, with the models
    after them read once more for each panel, in tiles of 64 MiB.

    Parameters
    ----------
    names : sequence of str
        Weights, real or complex numbers, of the same shape in all models.
    count : int
        Number of models.
    read : callable
        Takes a weight's name and numbers of models; gives their arrays, stacked, as an
        array of its own that is written into.
    metric : {"l2", "relative", "cosine"}

    Returns
    -------
    ndarray of shape (count, count), float64
    """
    return distances_between(_StackedRows(names, count, read), metric)


class _StackedRows:
    """Models as rows, of which one weight at a time is in memory."""

    def __init__(self, names: Sequence[str], count: int, read: ReadRows):
        self._names = list(names)
        self._count = count
        self._read = read
        self.finite = np.ones(count, dtype=bool)
        self.scale: Array | None = None
        first = [self._floats(name, np.arange(min(1, count))) for name in names]
        types = [working_type(one.dtype) for one in first]
        self.dtype = np.result_type(*types) if types else np.dtype(np.float64)
        self._widths = [one.shape[1] for one in first]
        n_bytes = 8 * max(sum(self._widths), 1)
        self.vector = lru_cache(max(2, _TILE_BYTES // n_bytes))(self._vector)

    def __len__(self) -> int:
        return self._count

    def lengths(self) -> Array:
        lengths = np.zeros(self._count)
        for name, width in zip(self._names, self._widths, strict=True):
            step = _rows_in(_TILE_BYTES, width, np.dtype(np.float64))
            for start in range(0, self._count, step):
                index = np.arange(start, min(start + step, self._count))
                rows = self._floats(name, index)
                own = [norm(row.astype(np.float64)) for row in rows]
                lengths[index] = np.hypot(lengths[index], own)
        lengths[~self.finite] = np.nan
        return lengths

    def products(self, index: Array, dtype: np.dtype[Any]) -> Array:
        m = len(index)
        products = np.zeros((m, m))
        for name, width in zip(self._names, self._widths, strict=True):
            held = _rows_in(_PANEL_BYTES, width, dtype)
            step = _rows_in(_TILE_BYTES, width, dtype)
            columns = width if dtype == np.float64 else _SINGLE_WIDTH
            blocks = [slice(i, i + columns) for i in range(0, width, columns)]
            centre: Array | None = None
            for start in range(0, m, held):
                upper = slice(start, min(start + held, m))
                panel = self._block(name, index[upper], dtype)
                if centre is None:
                    # Any centre will do, and this one need not be read for.
                    centre = panel.mean(axis=0)
                panel -= centre
                for block in blocks:
                    add_products(products[upper, upper], panel[:, block])
                for begin in range(upper.stop, m, step):
                    right = slice(begin, min(begin + step, m))
                    tile = self._block(name, index[right], dtype)
                    tile -= centre
                    for block in blocks:
                        products[upper, right] += panel[:, block] @ tile[:, block].T
                    products[right, upper] = products[upper, right].T
                    # Not two at a time.
                    del tile
                del panel
        return products

    def _vector(self, i: int) -> Array:
        index = np.array([i])
        parts = [self._block(name, index, np.dtype(float))[0] for name in self._names]
        return np.concatenate(parts)

    def digest(self, i: int) -> bytes:
        return hashlib.blake2b(self.vector(i).tobytes(), digest_size=16).digest()

    def _block(self, name: str, index: Array, dtype: np.dtype[Any]) -> Array:
        """Some rows in a type, scaled; those that are not finite are zero."""
        block: Array = self._floats(name, index).astype(dtype, copy=False)
        if not self.finite[index].all():
            block[~self.finite[index]] = 0
        if self.scale is not None:
            block *= self.scale[index, None].astype(dtype)
        return block

    def _floats(self, name: str, index: Array) -> Array:
        rows = as_floats(self._read(name, index))
        # Row by row: of the whole it would take an array of its own.
        good = np.fromiter((np.isfinite(row).all() for row in rows), bool, len(rows))
        self.finite[index[~good]] = False
        return rows


def _rows_in(n_bytes: int, width: int, dtype: np.dtype[Any]) -> int:
    return max(1, n_bytes // max(width * dtype.itemsize, 1))

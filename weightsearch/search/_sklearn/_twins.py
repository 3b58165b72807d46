"""Copies of transformed data that act like the data themselves."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from weightsearch._copies import copied

__all__ = ["alias", "has_twin", "inside", "nbytes_of", "twin"]

_COMPRESSED = frozenset(
    {sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.csc_array}
)


def has_twin(data: Any) -> bool:
    """Whether a copy of the data is certain to act like the data themselves."""
    if type(data) is np.ndarray:
        return not data.dtype.hasobject and all(step > 0 for step in data.strides)
    if type(data) is pd.DataFrame:
        return bool(data.columns.is_unique)
    return type(data) in _COMPRESSED


def twin(data: Any) -> Any:
    """Copy data with their layout in memory, on which sums depend."""
    if isinstance(data, np.ndarray):
        if data.flags.forc:
            return data.copy(order="K")
        steps = zip(data.shape, data.strides, strict=True)
        nbytes = data.itemsize + sum((n - 1) * step for n, step in steps)
        room = np.empty(nbytes, "u1")
        copy_: Any = np.ndarray(data.shape, data.dtype, room, strides=data.strides)
        copy_[...] = data
        return copy_
    if isinstance(data, pd.DataFrame):
        return copied(data)
    # The matrix's own copy may have indices of another type.
    matrix = copy.copy(data)
    matrix.data, matrix.indices, matrix.indptr = map(twin, _arrays(data))
    return matrix


def _arrays(data: Any) -> list[Any]:
    """Return the arrays that data are made of."""
    if isinstance(data, np.ndarray):
        return [data]
    if isinstance(data, pd.Series):
        return [data.to_numpy()]
    if isinstance(data, pd.DataFrame):
        return [data.iloc[:, n].to_numpy() for n in range(data.shape[1])]
    if sparse.issparse(data):
        parts = ("data", "indices", "indptr")
        return [getattr(data, name) for name in parts if hasattr(data, name)]
    return []


def nbytes_of(data: Any) -> int:
    if isinstance(data, pd.DataFrame):
        return int(data.memory_usage(deep=True).sum())
    return sum(array.nbytes for array in _arrays(data))


def inside(value: Any) -> Iterator[Any]:
    """Yield what an object holds that may be large or may change."""
    if isinstance(value, dict):
        parts: Any = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    elif hasattr(value, "__dict__") and not isinstance(
        value, type | pd.DataFrame | pd.Series | np.ndarray
    ):
        yield value
        parts = vars(value).values()
    else:
        yield value
        return
    for part in parts:
        if part is not None and type(part) not in (int, float, str, bool):
            yield from inside(part)


def alias(made: Any, others: Any) -> bool:
    """Whether who writes into `made` may also write into the others."""
    own = _arrays(made)
    return any(
        np.may_share_memory(mine, array)
        for other in inside(others)
        for array in _arrays(other)
        for mine in own
    )

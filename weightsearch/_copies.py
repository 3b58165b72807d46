"""Copies of data that several models share, since an estimator may write into them.

Estimators with ``copy=False``, and some transformers of users, write into X, y or
sample weights. Later fits and predictions must see the data as they were passed.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from scipy import sparse

__all__ = ["copied", "is_unchanged", "memory_order", "same_bits"]

Data = TypeVar("Data")

_PLAIN = frozenset({bool, bytes, complex, float, int, str, type(None)})
"""Types of elements that cannot be changed."""

_BITS = {1: "u1", 2: "u2", 4: "u4", 8: "u8"}


def copied(data: Data) -> Data:
    """Copy arrays, tables, sparse matrices and tensors, also in lists, tuples, dicts.

    Anything else, such as a callback among the params of ``fit``, is not data and is
    returned as it is; so is a read-only array, unless joblib has made it so on the way
    to a worker.
    """
    copy_: Any = _copied(data)
    result: Data = copy_
    return result


def _copied(data: Any) -> Any:
    if isinstance(data, np.ndarray):
        if data.dtype.hasobject:
            return copy.deepcopy(data)
        if not data.flags.writeable and not _is_joblibs(data):
            return data
        if type(data) in (np.ndarray, np.memmap):
            return _laid_out(data)
        return data.copy(order="K")
    if type(data) is pd.DataFrame:
        return _copied_frame(data)
    if sparse.issparse(data) or isinstance(data, pd.DataFrame | pd.Series):
        return data.copy()
    if type(data) is dict:
        return {name: _copied(value) for name, value in data.items()}
    if type(data) in (list, tuple):
        if _PLAIN.issuperset(map(type, data)):
            return type(data)(data)
        return type(data)(map(_copied, data))
    if isinstance(data, Mapping) or hasattr(data, "__array__"):
        try:
            return copy.deepcopy(data)
        except Exception:
            # It cannot be copied, so it is shared, as in scikit-learn.
            return data
    return data


def _laid_out(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Copy with gaps and reversed axes where the array has some.

    How sums are rounded depends on that. Gaps become one element wide, or the copy of
    a column would be as large as its table.
    """
    if array.flags.forc or array.size == 0:
        return np.array(array, order="K")
    strides = [0] * array.ndim
    dense = size = array.itemsize
    before = 0
    for axis in sorted(range(array.ndim), key=lambda axis: abs(array.strides[axis])):
        length, old = array.shape[axis], array.strides[axis]
        new = size if abs(old) == dense else size + array.itemsize
        strides[axis] = new if old >= 0 else -new
        before += 0 if old >= 0 else new * (length - 1)
        dense, size = abs(old) * length, new * length
    made: np.ndarray[Any, Any] = np.ndarray(
        array.shape, array.dtype, bytearray(size), before, strides
    )
    made[...] = array
    return made


def memory_order(array: np.ndarray[Any, Any]) -> str:
    """``"F"`` where the first axis is the innermost in memory, with gaps or not.

    Else ``"C"``. A product with a matrix is rounded otherwise in each.
    """
    if array.flags.forc:
        return "C" if array.flags.c_contiguous else "F"
    strides = [abs(s) for s, n in zip(array.strides, array.shape, strict=True) if n > 1]
    return "F" if strides[1:] and strides == sorted(strides) else "C"


def _is_joblibs(data: Any) -> bool:
    """Whether it is a memory map by which joblib sends large arrays to workers.

    That could be asked for in another mode; but joblib then starts new workers for an
    estimator that uses some itself.
    """
    return type(data) is np.memmap and "joblib_memmapping_folder" in str(data.filename)


def _copied_frame(data: pd.DataFrame) -> pd.DataFrame:
    dtypes = set(data.dtypes)
    dtype = dtypes.pop() if len(dtypes) == 1 else None
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biufc":
        return data.copy()
    # Sums depend on the order in memory, which copies of older pandas do not keep.
    values = _laid_out(data.to_numpy())
    frame = pd.DataFrame(values, data.index, data.columns, copy=False)
    return frame.__finalize__(data)


def is_unchanged(data: Any, before: Any) -> bool:
    """Whether data are certainly equal, bit for bit, to a copy made before."""
    if data is before:
        return True
    if type(data) is not type(before):
        return False
    if type(data) is np.ndarray:
        return same_bits(data, before)
    if isinstance(data, pd.DataFrame | pd.Series):
        same = data.index.equals(before.index) and data.equals(before)
        return bool(same)
    if sparse.issparse(data):
        return is_unchanged(_parts(data), _parts(before))
    if isinstance(data, dict):
        return list(data) == list(before) and all(
            is_unchanged(value, before[name]) for name, value in data.items()
        )
    if isinstance(data, list | tuple):
        return len(data) == len(before) and all(map(is_unchanged, data, before))
    if isinstance(data, int | str | np.generic):
        return bool(data == before)
    return False


def _parts(matrix: Any) -> dict[str, Any]:
    """Components of a sparse matrix, without its cached properties."""
    if matrix.format == "dok":
        # A dict, which older versions of scipy are by themselves.
        matrix = matrix.tocoo()
    return {
        name: value
        for name, value in sorted(vars(matrix).items())
        if isinstance(value, np.ndarray | tuple | dict)
    }


def same_bits(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Whether two arrays have one type and shape, and certainly equal bits."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    bits = _BITS.get(a.dtype.itemsize)
    if a.dtype.kind in "biufmM" and bits is not None:
        # As integers, since nan is not equal to itself.
        return np.array_equal(a.view(bits), b.view(bits))
    return not a.dtype.hasobject and a.tobytes() == b.tobytes()

"""Numeric types for arrays of any kind, and the axis of a weight's units."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import scipy.linalg

from weightsearch._records import Array

__all__ = ["as_numbers", "norm", "units_axis_of"]

_UNITS_LAST = re.compile(r"(?:^|[/.])(?:\w*kernel|coefs_/\d+)$")


def as_numbers(weight: Any) -> Array | None:
    """Convert a weight to float64, or to complex128 if it is complex.

    Parameters
    ----------
    weight : array-like of any shape
        Booleans, integers, floats (``bfloat16`` and ``float8`` of ``ml_dtypes``
        too) or complex numbers.

    Returns
    -------
    ndarray or None
        The same values, not copied where they already have the type; None where
        they are not numbers (text, dates, records, objects).
    """
    array = np.asarray(weight)
    kind = array.dtype.kind
    if kind == "c":
        return array.astype(np.complex128, copy=False)
    # ml_dtypes registers its types under kind V, which numpy has for records.
    if kind in "biuf" or (kind == "V" and array.dtype.type is not np.void):
        return array.astype(np.float64, copy=False)
    return None


def norm(array: Array) -> float:
    """Euclidean norm of all elements; without overflow or underflow midway."""
    if array.size == 0:
        return 0.0
    # BLAS nrm2 scales the values; the root of a sum of squares would not.
    return float(scipy.linalg.norm(array.ravel(), check_finite=False))


def units_axis_of(name: str, ndim: int) -> int:
    """Return the axis of a weight's units, by the conventions of the frameworks.

    Parameters
    ----------
    name : str
        The weight's name.
    ndim : int
        Its number of dimensions.

    Returns
    -------
    int
        The last axis for names that end in ``kernel`` (Keras: ``(in, out)``,
        ``(height, width, in, out)``) and for ``coefs_/0`` and so on (scikit-learn's
        MLPs: ``(in, out)``). Axis 0 for all others: torch's ``(out, in)`` and ``(out,
        in, height, width)``, and scikit-learn's ``coef_`` and ``components_``.
    """
    return ndim - 1 if ndim > 1 and _UNITS_LAST.search(name) else 0

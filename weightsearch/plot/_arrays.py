"""Weights as arrays that can be drawn: which axis counts units, how large they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from weightsearch._records import Array
from weightsearch.compare._numeric import as_numbers, units_axis_of

__all__ = ["largest", "numbers_of", "units_first"]


def units_first(name: str, weight: Array, units_axis: int | None = None) -> Array:
    """Move the units of a weight to axis 0.

    Parameters
    ----------
    name : str
        The weight's name.
    weight : ndarray of one dimension or more
        One dimension counts as the inputs of a single unit (``coef_`` of a
        regressor).
    units_axis : int, default=None
        The axis of the units; None tells it from the name.

    Returns
    -------
    ndarray of shape (units, ...)

    Raises
    ------
    ValueError
        The weight is a scalar, or has no such axis.
    """
    if weight.ndim == 0:
        raise ValueError(f"{name!r} is a single number, not a weight of units.")
    if weight.ndim == 1:
        return weight[np.newaxis]
    if units_axis is None:
        units_axis = units_axis_of(name, weight.ndim)
    if not -weight.ndim <= units_axis < weight.ndim:
        raise ValueError(
            f"units_axis={units_axis} is no axis of {name!r}, whose shape is "
            f"{weight.shape}."
        )
    return np.moveaxis(weight, units_axis, 0)


def numbers_of(name: str, weight: Any) -> Array:
    """Give a weight as float64; raise ValueError where it holds no real numbers."""
    values = as_numbers(weight)
    if values is None or values.dtype.kind == "c":
        raise ValueError(
            f"{name!r} is of type {np.asarray(weight).dtype}: only real numbers can "
            "be drawn."
        )
    return values


def largest(values: Array) -> float:
    """Largest finite absolute value; 1 where all are zero, so that a scale has room."""
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0

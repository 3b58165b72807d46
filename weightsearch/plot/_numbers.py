"""The numbers that displays draw: arrays, quantiles, spectra, mosaics, dendrograms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.linalg
from scipy.cluster.hierarchy import leaves_list

from weightsearch._records import Array
from weightsearch.compare._numeric import as_numbers, units_axis_of

__all__ = [
    "QUANTILE_COLUMNS",
    "as_image",
    "dendrogram_lines",
    "largest",
    "singular_values",
    "tiled",
    "unit_images",
    "weight_quantiles",
]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
QUANTILE_COLUMNS = [f"q{round(100 * q):02}" for q in _QUANTILES]
"""``q05`` and so on."""


def singular_values(name: str, weight: Any, units_axis: int | None = None) -> Array:
    """Singular values of a weight, largest first.

    Parameters
    ----------
    name : str
        The weight's name, which determines the axis of its units.
    weight : array-like of two dimensions or more
        More than two are read as a matrix: units as rows, the rest as columns.
    units_axis : int, default=None
        The axis of the units; None: by the name.

    Returns
    -------
    ndarray of shape (min(rows, columns),), float64
        NaN where an element of the weight is not finite.

    Raises
    ------
    ValueError
        If the weight is not a matrix, or does not contain real numbers.
    """
    values = _numbers_of(name, weight)
    if values.ndim < 2:
        raise ValueError(
            f"{name!r} has shape {values.shape}: only weights of two or more "
            "dimensions have singular values."
        )
    units = _units_first(name, values, units_axis)
    matrix = units.reshape(len(units), -1)
    if not np.isfinite(matrix).all():
        return np.full(min(matrix.shape), np.nan)
    found: Array = scipy.linalg.svdvals(matrix, check_finite=False)
    return found


def weight_quantiles(
    weights: Mapping[str, Any], names: Iterable[str] | None = None
) -> pd.DataFrame:
    """Compute quantiles of the elements of each weight of one model.

    Parameters
    ----------
    weights : mapping of str to array-like
        Weights that are empty, complex or not numeric are left out.
    names : iterable of str, default=None
        Names of weights; unknown names are ignored. None: all but integers and
        booleans, which are labels, counts and indices.

    Returns
    -------
    DataFrame
        One row per weight with the columns ``name``, ``q05``, ``q25``, ``q50``,
        ``q75``, ``q95``: quantiles of its finite elements, interpolated linearly
        (type 7 of Hyndman and Fan 1996); NaN where none is finite.
    """
    rows: list[tuple[Any, ...]] = []
    for name in weights if names is None else names:
        if name not in weights:
            continue
        weight = np.asarray(weights[name])
        values = as_numbers(weight)
        if values is None or values.dtype.kind == "c" or values.size == 0:
            continue
        if names is None and weight.dtype.kind in "biu":
            continue
        finite = values[np.isfinite(values)]
        found = np.full(len(_QUANTILES), np.nan)
        if finite.size:
            found = np.quantile(finite, _QUANTILES)
        rows.append((name, *found))
    return pd.DataFrame(rows, columns=["name", *QUANTILE_COLUMNS])


def dendrogram_lines(linkage: Array) -> tuple[list[int], Array]:
    """Compute the lines of a dendrogram of any depth; scipy's own recurses.

    Parameters
    ----------
    linkage : ndarray of shape (n - 1, 4)
        As from :func:`scipy.cluster.hierarchy.linkage`; ``n`` is 2 or more.

    Returns
    -------
    leaves : list of int
        From left to right.
    lines : ndarray of shape (n - 1, 4, 2)
        The three sides of each merge, as four points (x, height). Leaves are at x = 0,
        1, 2, ...
    """
    n = len(linkage) + 1
    leaves = leaves_list(linkage).tolist()
    x, heights = np.zeros(2 * n - 1), np.zeros(2 * n - 1)
    x[leaves] = np.arange(n)
    lines = np.empty((n - 1, 4, 2))
    for step, (first, second, height, _) in enumerate(linkage):
        a, b = int(first), int(second)
        lines[step] = (
            (x[a], heights[a]),
            (x[a], height),
            (x[b], height),
            (x[b], heights[b]),
        )
        x[n + step], heights[n + step] = (x[a] + x[b]) / 2, height
    return leaves, lines


def as_image(
    name: str, weight: Any, units_axis: int | None = None
) -> tuple[Array, str, str]:
    """Turn a weight into a matrix with labels of its rows and columns.

    Parameters
    ----------
    name : str
        The weight's name, which determines the axis of its units.
    weight : array-like
        A matrix is unchanged; a vector becomes one row; of more dimensions, the units
        become rows and all others, flattened, columns.
    units_axis : int, default=None
        The axis of the units; None: by the name.

    Returns
    -------
    matrix : ndarray of shape (rows, columns), float64
    row_label, column_label : str

    Raises
    ------
    ValueError
        If the weight does not contain real numbers.
    """
    values = _numbers_of(name, weight)
    if values.ndim < 2:
        return values.reshape(1, -1), "", "Element"
    axis = units_axis_of(name, values.ndim) if units_axis is None else units_axis
    axis %= values.ndim
    if values.ndim == 2:
        labels = ["Input (axis 0)", "Input (axis 1)"]
        labels[axis] = f"Unit (axis {axis})"
        return values, labels[0], labels[1]
    matrix = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    rest = ", ".join(str(other) for other in range(values.ndim) if other != axis)
    return matrix, f"Unit (axis {axis})", f"Axes {rest}, flattened"


def unit_images(
    name: str,
    weight: Any,
    shape: tuple[int, int] | None = None,
    units_axis: int | None = None,
) -> Array:
    """Turn the incoming weights of each unit into an image.

    Parameters
    ----------
    name : str
        The weight's name, which determines the axis of its units.
    weight : array-like
        Dense: (inputs, units) or (units, inputs), or (inputs,) of a single unit.
        Convolutions: Keras' (height, width, in, out), torch's (out, in, height,
        width).
    shape : (int, int), default=None
        Height and width of the input, for dense weights. None: a square.
    units_axis : int, default=None
        The axis of the units; None: by the name.

    Returns
    -------
    ndarray of shape (units, height, width), float64
        Channels of a convolution are side by side: ``width`` is then that of all
        channels together.

    Raises
    ------
    ValueError
        If the inputs are not an image of that shape, or not real numbers.
    """
    values = _numbers_of(name, weight)
    units = _units_first(name, values, units_axis)
    if units.ndim == 4:
        # Channels are the axis after the units in torch, before them in Keras.
        axis = units_axis_of(name, 4) if units_axis is None else units_axis
        images = np.moveaxis(units, -1, 1) if axis % 4 == 3 else units
        return np.concatenate(list(np.moveaxis(images, 1, 0)), axis=-1)
    if units.ndim != 2:
        raise ValueError(
            f"{name!r} has shape {values.shape}: only dense weights and those of "
            "two-dimensional convolutions can be drawn as images."
        )
    inputs = units.shape[1]
    if shape is None:
        side = math.isqrt(inputs)
        shape = (side, side)
    height, width = shape
    if height * width != inputs:
        raise ValueError(
            f"{name!r} has {inputs} inputs per unit, which are not an image of "
            f"{height} x {width}. Pass shape=(height, width), or another weight."
        )
    return units.reshape(len(units), height, width)


def tiled(images: Array, columns: int | None = None) -> tuple[Array, int]:
    """Arrange images in a grid, with a line of NaN between them.

    Parameters
    ----------
    images : ndarray of shape (n, height, width)
    columns : int, default=None
        Images per row; None: such that the mosaic is about square.

    Returns
    -------
    mosaic : ndarray of shape (rows * (height + 1) - 1, columns * (width + 1) - 1)
    columns : int
    """
    n, height, width = images.shape
    if columns is None:
        columns = math.ceil(math.sqrt(n * (height + 1) / (width + 1)))
    columns = max(1, min(columns, n))
    rows = math.ceil(n / columns)
    padded = np.full((rows * columns, height + 1, width + 1), np.nan)
    padded[:n, :height, :width] = images
    grid = padded.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2)
    mosaic = grid.reshape(rows * (height + 1), columns * (width + 1))
    return mosaic[:-1, :-1], columns


def _units_first(name: str, weight: Array, units_axis: int | None = None) -> Array:
    """Move the units of a weight to axis 0.

    Parameters
    ----------
    name : str
        The weight's name.
    weight : ndarray of one dimension or more
        One dimension: the inputs of a single unit (``coef_`` of a regressor).
    units_axis : int, default=None
        The axis of the units; None: by the name.

    Returns
    -------
    ndarray of shape (units, ...)

    Raises
    ------
    ValueError
        If the weight is a scalar, or has no such axis.
    """
    if weight.ndim == 0:
        raise ValueError(f"{name!r} is a scalar, which has no units.")
    if weight.ndim == 1:
        return weight[np.newaxis]
    if units_axis is None:
        units_axis = units_axis_of(name, weight.ndim)
    if not -weight.ndim <= units_axis < weight.ndim:
        raise ValueError(
            f"units_axis={units_axis} is not an axis of {name!r}, whose shape is "
            f"{weight.shape}."
        )
    return np.moveaxis(weight, units_axis, 0)


def _numbers_of(name: str, weight: Any) -> Array:
    """Convert a weight to float64; raise ValueError for other than real numbers."""
    values = as_numbers(weight)
    if values is None or values.dtype.kind == "c":
        raise ValueError(
            f"{name!r} has type {np.asarray(weight).dtype}: only real numbers can be "
            "drawn."
        )
    return values


def largest(values: Array) -> float:
    """Return the largest finite absolute value, or 1 where all are zero."""
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0

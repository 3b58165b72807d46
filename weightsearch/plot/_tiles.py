"""Weights laid out as pictures: as matrices, as images, as grids of images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from weightsearch._records import Array
from weightsearch.compare._numeric import units_axis_of
from weightsearch.plot._arrays import numbers_of, units_first

__all__ = ["as_image", "tiled", "unit_images"]


def as_image(
    name: str, weight: Any, units_axis: int | None = None
) -> tuple[Array, str, str]:
    """Lay a weight out as a matrix, and say what its rows and columns are.

    Parameters
    ----------
    name : str
        The weight's name, which tells the axis of its units.
    weight : array-like
        A matrix stays as it is; a vector becomes one row; more dimensions become
        units as rows by all others, flattened, as columns.
    units_axis : int, default=None
        The axis of the units, where the name does not tell it.

    Returns
    -------
    matrix : ndarray of shape (rows, columns), float64
    row_label, column_label : str

    Raises
    ------
    ValueError
        The weight is not of real numbers.
    """
    values = numbers_of(name, weight)
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
    """Give the weights that lead to each unit as an image.

    Parameters
    ----------
    name : str
        The weight's name, which tells the axis of its units.
    weight : array-like
        Dense: (inputs, units) or (units, inputs), or (inputs,) of a single unit.
        Convolutions: Keras' (height, width, in, out), torch's (out, in, height,
        width).
    shape : (int, int), default=None
        Height and width of the input, for dense weights. None: a square, where the
        number of inputs is one.
    units_axis : int, default=None
        The axis of the units, where the name does not tell it.

    Returns
    -------
    ndarray of shape (units, height, width), float64
        Channels of a convolution stand side by side: ``width`` is then that of all
        channels together.

    Raises
    ------
    ValueError
        The inputs are no image of that shape, or the weight is not of real numbers.
    """
    values = numbers_of(name, weight)
    units = units_first(name, values, units_axis)
    if units.ndim == 4:
        # Channels stand beside the units: first in torch, last in Keras.
        axis = units_axis_of(name, 4) if units_axis is None else units_axis
        images = np.moveaxis(units, -1, 1) if axis % 4 == 3 else units
        return np.concatenate(list(np.moveaxis(images, 1, 0)), axis=-1)
    if units.ndim != 2:
        raise ValueError(
            f"{name!r} has the shape {values.shape}: only dense weights and those of "
            "two-dimensional convolutions can be seen as images."
        )
    inputs = units.shape[1]
    if shape is None:
        side = math.isqrt(inputs)
        shape = (side, side)
    height, width = shape
    if height * width != inputs:
        raise ValueError(
            f"{name!r} has {inputs} inputs a unit, which is no image of "
            f"{height} x {width}. Name the image's shape=(height, width), or "
            "another weight."
        )
    return units.reshape(len(units), height, width)


def tiled(images: Array, columns: int | None = None) -> tuple[Array, int]:
    """Lay images out in a grid, with a line of NaN between them.

    Parameters
    ----------
    images : ndarray of shape (n, height, width)
    columns : int, default=None
        Images in a row; None: about as many as rows, in pixels.

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

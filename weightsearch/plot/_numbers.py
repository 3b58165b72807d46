"""Numbers that are drawn: of one weight, or of one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.linalg
from scipy.cluster.hierarchy import leaves_list

from weightsearch._records import Array
from weightsearch.compare._numeric import as_numbers
from weightsearch.plot._arrays import numbers_of, units_first

__all__ = [
    "QUANTILE_COLUMNS",
    "dendrogram_lines",
    "singular_values",
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
        The weight's name, which tells the axis of its units.
    weight : array-like of two dimensions or more
        More than two are read as a matrix: units as rows, the rest as columns.
    units_axis : int, default=None
        The axis of the units, where the name does not tell it.

    Returns
    -------
    ndarray of shape (min(rows, columns),), float64
        NaN where an element of the weight is not finite.

    Raises
    ------
    ValueError
        The weight is no matrix, or not of real numbers.
    """
    values = numbers_of(name, weight)
    if values.ndim < 2:
        raise ValueError(
            f"{name!r} has the shape {values.shape}: only weights of two dimensions "
            "or more have singular values to look at."
        )
    units = units_first(name, values, units_axis)
    matrix = units.reshape(len(units), -1)
    if not np.isfinite(matrix).all():
        return np.full(min(matrix.shape), np.nan)
    found: Array = scipy.linalg.svdvals(matrix, check_finite=False)
    return found


def weight_quantiles(
    weights: Mapping[str, Any], names: Iterable[str] | None = None
) -> pd.DataFrame:
    """Quantiles of the elements of each weight of one model.

    Parameters
    ----------
    weights : mapping of str to array-like
        Those that are empty, complex or no numbers are left out.
    names : iterable of str, default=None
        Those to look at; names that are not there are left out. None: all but
        integers and booleans, which are labels, counts and indices.

    Returns
    -------
    DataFrame
        A row a weight with the columns ``name``, ``q05``, ``q25``, ``q50``,
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
    """Lay out a dendrogram, however deep: scipy's own recurses.

    Parameters
    ----------
    linkage : ndarray of shape (n - 1, 4)
        As :func:`scipy.cluster.hierarchy.linkage` gives it; ``n`` is 2 or more.

    Returns
    -------
    leaves : list of int
        From left to right.
    lines : ndarray of shape (n - 1, 4, 2)
        The three sides of each merge, as four points (x, height). Leaves stand at
        0, 1, 2, ...
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

"""Statistics of single weights: norms, spectra, shares of zeros."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.linalg
import scipy.sparse.linalg
import scipy.special

from weightsearch._records import Array
from weightsearch.compare._numeric import as_numbers, norm, units_axis_of

__all__ = ["STATISTICS", "statistics_of", "weight_stats"]

STATISTICS = (
    "mean",
    "std",
    "min",
    "max",
    "l1",
    "l2",
    "share_zero",
    "share_nonfinite",
    "spectral_norm",
    "stable_rank",
    "condition_number",
    "effective_rank",
)
"""The columns of :func:`weight_stats` that are statistics, in order."""

_LANCZOS_TOLERANCE = 1e-6


def weight_stats(
    weights: Mapping[str, Any],
    *,
    matrix_axis: int | None = None,
    svd_limit: int = 1024,
) -> pd.DataFrame:
    r"""Compute statistics of every weight of a model.

    Parameters
    ----------
    weights : mapping of str to array-like
        Arrays of any shape and type. Numbers are computed in float64, or in
        complex128 for complex weights.
    matrix_axis : int, default=None
        How an array of more than two dimensions is turned into a matrix: this axis
        becomes the rows, all others together the columns. None: the axis of the output
        units, which is the last one where the name ends in ``kernel`` (Keras,
        ``(height, width, in, out)``), else the first (torch, ``(out, in, height,
        width)``).
    svd_limit : int, default=1024
        Matrices whose smaller side is longer than this are not decomposed: their
        ``spectral_norm`` and ``stable_rank`` come from Lanczos iterations, accurate to
        about 6 digits, and ``condition_number`` and ``effective_rank`` are NaN. The
        full decomposition takes time of the order ``rows * columns * min(rows,
        columns)``: at 1024 x 1024 about a quarter of a second.

    Returns
    -------
    DataFrame
        One row per weight, in the mapping's order; the index is called ``name``.

        - ``shape`` (tuple of int) and ``count``, the number of elements;
        - ``mean``, ``std`` (population, ``ddof=0``), ``min``, ``max``;
        - ``l1`` :math:`\sum |w|` and ``l2`` :math:`\sqrt{\sum |w|^2}`;
        - ``share_zero``, ``share_nonfinite``: share of the elements that are
          exactly zero, and that are NaN or infinite;
        - ``spectral_norm`` :math:`\sigma_1`, the largest singular value [1]_;
        - ``stable_rank`` :math:`\|W\|_F^2 / \sigma_1^2` [2]_;
        - ``condition_number`` :math:`\sigma_1 / \sigma_k`, with
          ``k = min(rows, columns)``; infinite where the last one is zero [1]_;
        - ``effective_rank`` :math:`\exp(-\sum_i p_i \log p_i)` with
          :math:`p_i = \sigma_i / \sum_j \sigma_j` [3]_.

        The last four are NaN for arrays of fewer than two dimensions and for
        weights with NaN or infinite elements; all but ``spectral_norm`` are NaN
        where every element is zero. Everything but shape and count is NaN for empty
        arrays and for other types (text, records). Complex weights have no ``mean``,
        ``min`` and ``max``. NaN and infinite elements are not left out: they propagate
        into every sum.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., Johns
       Hopkins University Press, 2013, sections 2.3.3 and 2.6.2.
    .. [2] M. Rudelson and R. Vershynin, Sampling from large matrices: an approach
       through geometric functional analysis, Journal of the ACM 54(4), 2007.
    .. [3] O. Roy and M. Vetterli, The effective rank: a measure of effective
       dimensionality, EUSIPCO 2007, pp. 606-610.

    Examples
    --------
    >>> import numpy as np
    >>> from weightsearch.compare import weight_stats
    >>> stats = weight_stats({"coefs_/0": np.diag([3.0, 4.0]), "bias": np.ones(2)})
    >>> stats[["shape", "l2", "spectral_norm"]]
               shape        l2  spectral_norm
    name
    coefs_/0  (2, 2)  5.000000            4.0
    bias        (2,)  1.414214            NaN
    """
    rows = [
        statistics_of(name, weight, matrix_axis=matrix_axis, svd_limit=svd_limit)
        for name, weight in weights.items()
    ]
    index = pd.Index(list(weights), name="name", dtype=object)
    frame = pd.DataFrame(rows, index=index, columns=["shape", "count", *STATISTICS])
    return frame.astype({"count": np.int64, **dict.fromkeys(STATISTICS, np.float64)})


def statistics_of(
    name: str,
    weight: Any,
    *,
    matrix_axis: int | None = None,
    svd_limit: int = 1024,
) -> dict[str, Any]:
    """Return one row of :func:`weight_stats` as a dict, in the order of columns."""
    if svd_limit < 1:
        raise ValueError(f"svd_limit must be at least 1, got {svd_limit!r}.")
    shape = np.shape(weight)
    row: dict[str, Any] = {"shape": shape, "count": int(np.prod(shape, dtype=object))}
    row |= dict.fromkeys(STATISTICS, np.nan)
    values = as_numbers(weight)
    if values is None or values.size == 0:
        return row
    nonfinite = values.size - int(np.isfinite(values).sum())
    with np.errstate(all="ignore"):
        magnitudes = np.abs(values)
        row["std"] = float(values.std())
        row["l1"] = float(magnitudes.sum())
        row["l2"] = norm(values)
        if values.dtype.kind != "c":
            row["mean"] = float(values.mean())
            row["min"] = float(values.min())
            row["max"] = float(values.max())
    row["share_zero"] = 1 - np.count_nonzero(values) / values.size
    row["share_nonfinite"] = nonfinite / values.size
    if values.ndim >= 2 and not nonfinite:
        matrix = _as_matrix(name, values, matrix_axis)
        row |= _spectrum(matrix, row["l2"], svd_limit)
    return row


def _as_matrix(name: str, values: Array, axis: int | None) -> Array:
    if values.ndim == 2:
        return values
    if axis is None:
        axis = units_axis_of(name, values.ndim)
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def _spectrum(matrix: Array, frobenius: float, svd_limit: int) -> dict[str, float]:
    if frobenius == 0:
        return {"spectral_norm": 0.0}
    if min(matrix.shape) > svd_limit:
        # A fixed start makes the result deterministic.
        start = np.random.default_rng(0).standard_normal(min(matrix.shape))
        (largest,) = scipy.sparse.linalg.svds(
            matrix,
            k=1,
            tol=_LANCZOS_TOLERANCE,
            v0=start.astype(matrix.dtype),
            return_singular_vectors=False,
        )
        return {
            "spectral_norm": float(largest),
            "stable_rank": float((frobenius / largest) ** 2),
        }
    values = scipy.linalg.svdvals(matrix, check_finite=False)
    shares = values / values.sum()
    smallest = values[-1]
    return {
        "spectral_norm": float(values[0]),
        "stable_rank": float((frobenius / values[0]) ** 2),
        "condition_number": float(values[0] / smallest) if smallest else np.inf,
        "effective_rank": float(np.exp(scipy.special.entr(shares).sum())),
    }

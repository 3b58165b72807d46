"""Distances between many arrays of one shape, at the speed of matrix products."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from weightsearch._numeric import as_numbers, norm
from weightsearch._records import Array

__all__ = ["pairwise_distances"]

_BLOCK_BYTES = 64 * 2**20
_TILE = 2048
_FEW = 8
# Below this share of the two squared lengths, a squared distance that was found by
# subtraction has lost too many digits: about 3 of float32's 7, 8 of float64's 16.
_LOST = {np.dtype(np.float32): 1e-2, np.dtype(np.float64): 1e-8}


def pairwise_distances(
    stack: ArrayLike, metric: Literal["l2", "relative", "cosine"] = "l2"
) -> Array:
    r"""Distances between all pairs of arrays in a stack.

    Parameters
    ----------
    stack : array-like of shape (n, ...)
        ``n`` arrays of one shape, each taken as one long vector.
    metric : {"l2", "relative", "cosine"}, default="l2"
        - ``"l2"``: Euclidean, :math:`\|x - y\|`;
        - ``"relative"``: :math:`\|x - y\| / \max(\|x\|, \|y\|)`, between 0 and 2 [1]_;
          0 between two that are all zero;
        - ``"cosine"``: :math:`1 - \mathrm{Re} \langle x, y \rangle / (\|x\| \|y\|)`,
          between 0 and 2, taken as half the squared Euclidean distance of the vectors
          scaled to length 1; NaN where one is all zero.

    Returns
    -------
    ndarray of shape (n, n), float64
        Symmetric, with zeros on the diagonal. Equal arrays are at distance exactly 0.
        Rows with NaN or infinite elements are NaN off the diagonal.

    Raises
    ------
    ValueError
        An unknown metric, or a stack that is not of numbers.

    Notes
    -----
    Squared distances come from one product of the stack with itself,
    :math:`\|x\|^2 + \|y\|^2 - 2 \langle x, y \rangle`, block by block in the stack's
    own precision (float32 for half precision, float64 for integers), blocks added up
    in float64. That subtraction loses digits where two arrays are closer to each other
    than to the origin [2]_, so the origin is moved to the mean, and groups that are
    still too close are computed again by themselves, in float64 around their own mean,
    down to single pairs by their difference. For a float32 stack results are right to
    about 4 digits or better, for float64 to about 7.

    Beside the stack and the result it takes another ``n * n`` float64 array, and
    blocks of 64 MiB. A stack that is not contiguous is copied.

    References
    ----------
    .. [1] L. Törnqvist, P. Vartia and Y. O. Vartia, How should relative changes be
       measured?, The American Statistician 39(1), 1985.
    .. [2] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
       SIAM, 2002, section 1.7.

    Examples
    --------
    >>> import numpy as np
    >>> from weightsearch.compare import pairwise_distances
    >>> pairwise_distances(np.array([[0.0, 0.0], [3.0, 4.0]]))
    array([[0., 5.],
           [5., 0.]])
    """
    if metric not in ("l2", "relative", "cosine"):
        raise ValueError(
            f"metric must be 'l2', 'relative' or 'cosine', got {metric!r}."
        )
    rows = _as_rows(stack)
    n = len(rows)
    out = np.full((n, n), np.nan)
    if n == 0:
        return out
    good = np.arange(n)
    lengths = None
    if metric != "l2":
        lengths = _lengths(rows)
        good = np.flatnonzero(np.isfinite(lengths))
        if metric == "cosine":
            good = good[lengths[good] > 0]
    scale = 1 / lengths if metric == "cosine" and lengths is not None else None
    _fill(out, _Rows(rows, scale), good)
    if metric == "cosine":
        out *= out
        out *= 0.5
    elif metric == "relative" and lengths is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            longer = np.maximum.outer(lengths, lengths)
            np.divide(out, longer, out=out, where=longer > 0)
    np.fill_diagonal(out, 0.0)
    return out

"""Distances between many arrays of one shape, at the speed of matrix products."""

from __future__ import annotations

import hashlib
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from weightsearch._records import Array
from weightsearch.compare._numeric import as_numbers, norm

__all__ = [
    "Metric",
    "Rows",
    "add_products",
    "as_floats",
    "distances_between",
    "pairwise_distances",
    "working_type",
]

Metric = Literal["l2", "relative", "cosine"]

_BLOCK_BYTES = 64 * 2**20
_TILE = 2048
_FEW = 8
# Below this share of the two squared lengths, a squared distance that was found by
# subtraction has lost too many digits: about 3 of float32's 7, 8 of float64's 16.
_LOST = {np.dtype(np.float32): 1e-2, np.dtype(np.float64): 1e-8}


def pairwise_distances(stack: ArrayLike, metric: Metric = "l2") -> Array:
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
    array = np.asarray(stack)
    if array.ndim == 0 or as_numbers(array[:0]) is None:
        raise ValueError(
            "stack must be an array of numbers of shape (n, ...), got shape "
            f"{array.shape} and type {array.dtype}."
        )
    return distances_between(_ArrayRows(as_floats(array)), metric)


class Rows(Protocol):
    """Long vectors of one length, wherever they lie.

    Attributes
    ----------
    finite : ndarray of shape (n,), bool
        False for those that are known to have NaN or infinite elements; of others it
        may turn out as they are read.
    scale : ndarray of shape (n,) or None
        What each is multiplied with, once it is set.
    dtype : numpy.dtype
        In which products are taken.
    """

    finite: Array
    scale: Array | None
    dtype: np.dtype[Any]

    def __len__(self) -> int: ...

    def lengths(self) -> Array:
        """Euclidean norms, unscaled."""

    def products(self, index: Array, dtype: np.dtype[Any]) -> Array:
        """Scalar products of some rows about a common centre, (m, m) float64."""

    def vector(self, i: int) -> Array:
        """One of them in float64."""

    def digest(self, i: int) -> bytes:
        """Something that is equal for equal ones only."""


def distances_between(rows: Rows, metric: Metric) -> Array:
    """Distances between all pairs of rows; see :func:`pairwise_distances`."""
    if metric not in ("l2", "relative", "cosine"):
        raise ValueError(
            f"metric must be 'l2', 'relative' or 'cosine', got {metric!r}."
        )
    n = len(rows)
    out = np.full((n, n), np.nan)
    if n == 0:
        return out
    lengths = rows.lengths() if metric != "l2" else np.ones(n)
    good = rows.finite
    if metric == "cosine":
        good = good & (lengths > 0)
        rows.scale = np.divide(1.0, lengths, out=np.zeros(n), where=good)
    with np.errstate(over="ignore", invalid="ignore"):
        _fill(out, rows, np.flatnonzero(good), rows.dtype)
    if metric == "cosine":
        out *= out
        out *= 0.5
    elif metric == "relative":
        longer = np.maximum.outer(lengths, lengths)
        # Between two that are all zero the distance is zero already.
        np.divide(out, longer, out=out, where=longer > 0)
    out[~rows.finite] = np.nan
    out[:, ~rows.finite] = np.nan
    np.fill_diagonal(out, 0.0)
    return out


class _ArrayRows:
    """The rows of one array, copied block by block."""

    def __init__(self, matrix: Array):
        self.matrix = matrix
        self.finite = np.array([np.isfinite(row).all() for row in matrix], bool)
        self.scale: Array | None = None
        self.dtype = working_type(matrix.dtype)

    def __len__(self) -> int:
        return len(self.matrix)

    def lengths(self) -> Array:
        return np.array([norm(row.astype(np.float64)) for row in self.matrix])

    def products(self, index: Array, dtype: np.dtype[Any]) -> Array:
        m, d = len(index), self.matrix.shape[1]
        products = np.zeros((m, m))
        width = max(256, _BLOCK_BYTES // (m * dtype.itemsize))
        for start in range(0, d, width):
            block = self._block(index, slice(start, start + width), dtype)
            block -= block.mean(axis=0)
            add_products(products, block)
        return products

    def _block(self, index: Array, columns: slice, dtype: np.dtype[Any]) -> Array:
        whole = len(index) == len(self.matrix)
        part = self.matrix[:, columns] if whole else self.matrix[index, columns]
        block: Array = part.astype(dtype)
        if self.scale is not None:
            block *= self.scale[index, None].astype(dtype)
        return block

    def vector(self, i: int) -> Array:
        vector: Array = self.matrix[i].astype(np.float64)
        return vector if self.scale is None else vector * self.scale[i]

    def digest(self, i: int) -> bytes:
        return hashlib.blake2b(self.matrix[i].tobytes(), digest_size=16).digest()


def as_floats(array: Array) -> Array:
    """Give arrays of numbers as rows, real and imaginary parts side by side."""
    rows = array.reshape(len(array), -1) if array.size else np.empty((len(array), 0))
    if rows.dtype.kind == "c":
        # A complex vector is as long as that of its real and imaginary parts.
        parts = np.ascontiguousarray(rows)
        rows = parts.view(np.float32 if rows.dtype.itemsize == 8 else np.float64)
    return rows


def working_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Tell in which type products of real numbers of this type are taken."""
    single = dtype.kind not in "biu" and dtype.itemsize <= 4
    return np.dtype(np.float32 if single else np.float64)


def add_products(products: Array, rows: Array) -> None:
    """Add the scalar products of all pairs of rows, tile by tile."""
    m = len(rows)
    tiles = [slice(i, min(i + _TILE, m)) for i in range(0, m, _TILE)]
    for k, upper in enumerate(tiles):
        for right in tiles[k:]:
            # Of a matrix and its own transpose BLAS computes one half only.
            products[upper, right] += rows[upper] @ rows[right].T


def _fill(out: Array, rows: Rows, index: Array, dtype: np.dtype[Any]) -> None:
    """Write the Euclidean distances between some rows into ``out``."""
    m = len(index)
    if m <= _FEW:
        _fill_directly(out, rows, index[np.stack(np.triu_indices(m, 1), axis=1)])
        return
    squares, lost = _squared_distances(rows, index, dtype)
    np.maximum(squares, 0, out=squares)
    np.sqrt(squares, out=squares)
    if m == len(out):
        out[...] = squares
    else:
        out[np.ix_(index, index)] = squares
    del squares
    first, second = np.nonzero(lost)
    del lost
    if not len(first):
        return
    # scipy before 1.11.2 gives nonsense, and no error, where positions are int64.
    pairs = first.astype(np.int32), second.astype(np.int32)
    graph = csr_array((np.ones(len(first), bool), pairs), shape=(m, m))
    count, labels = connected_components(graph, directed=False)
    if count == 1 and dtype == np.float64:
        _fill_directly(out, rows, index[np.stack([first, second], axis=1)])
        return
    sizes = np.bincount(labels, minlength=count)
    by_label = np.split(np.argsort(labels, kind="stable"), np.cumsum(sizes)[:-1])
    for members in by_label:
        if len(members) > 1:
            _fill(out, rows, index[members], np.dtype(np.float64))


def _squared_distances(
    rows: Rows, index: Array, dtype: np.dtype[Any]
) -> tuple[Array, Array]:
    """Squared distances, and which pairs (above the diagonal) lost their digits."""
    m = len(index)
    tiles = [slice(i, min(i + _TILE, m)) for i in range(0, m, _TILE)]
    products = rows.products(index, dtype)
    squared_lengths = np.diag(products).copy()
    lost = np.zeros((m, m), dtype=bool)
    for k, upper in enumerate(tiles):
        for right in tiles[k:]:
            both = squared_lengths[upper, None] + squared_lengths[right]
            tile = both - 2 * products[upper, right]
            # A comparison with NaN is false, so what overflowed counts as lost.
            lost[upper, right] = ~(tile > _LOST[dtype] * both)
            products[upper, right] = tile
            products[right, upper] = tile.T
        lost[upper, upper] = np.triu(lost[upper, upper], 1)
    return products, lost


def _fill_directly(out: Array, rows: Rows, pairs: Array) -> None:
    """Write the distances of single pairs, equal rows looked at only once."""
    kinds: dict[bytes, int] = {}
    kind = {
        int(i): kinds.setdefault(rows.digest(int(i)), int(i)) for i in np.unique(pairs)
    }
    known: dict[tuple[int, int], float] = {}
    last, vector = -1, np.empty(0)
    for i, j in pairs.tolist():
        a, b = sorted((kind[i], kind[j]))
        if a == b:
            distance = 0.0
        elif (a, b) in known:
            distance = known[a, b]
        else:
            if a != last:
                last, vector = a, rows.vector(a)
            distance = known[a, b] = norm(vector - rows.vector(b))
        out[i, j] = out[j, i] = distance

"""Distances between models: of one stack, of many stacks, and after alignment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from weightsearch._records import Array
from weightsearch.compare._alignment import align
from weightsearch.compare._numeric import as_numbers, norm

__all__ = ["Metric", "aligned_distances", "pairwise_distances", "stacked_distances"]

Metric = Literal["l2", "relative", "cosine"]

_PANEL_BYTES = 400 * 2**20
_TILE_BYTES = 64 * 2**20
_BLOCK_BYTES = 128 * 2**20
_TILE = 2048
_FEW = 8
# So many products of float32 are added up before float64 takes over.
_SINGLE_WIDTH = 16_384
# Below this share of the two squared norms, a squared distance that was computed by
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
          scaled to norm 1; NaN where one is all zero.

    Returns
    -------
    ndarray of shape (n, n), float64
        Symmetric, with zeros on the diagonal. Equal arrays are at distance exactly 0.
        Rows with NaN or infinite elements are NaN off the diagonal.

    Raises
    ------
    ValueError
        If the metric is unknown, or the stack does not contain numbers.

    Notes
    -----
    Squared distances come from one product of the stack with itself,
    :math:`\|x\|^2 + \|y\|^2 - 2 \langle x, y \rangle`, block by block in the stack's
    own precision (float32 for half precision, float64 for integers), blocks added up
    in float64. That subtraction loses digits where two arrays are closer to each other
    than to the origin [2]_, so the origin is moved to a mean, and groups that are still
    too close are computed again, in float64 around their own mean, down to single pairs
    by their difference. Results are accurate to about 4 digits or better for a float32
    stack, to about 7 for float64.

    Besides the stack and the result it takes another ``n * n`` float64 array, and up to
    some 500 MiB for copies of blocks.

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
    rows = _as_floats(array)
    return stacked_distances([""], len(rows), lambda _, index: rows[index], metric)


def stacked_distances(
    names: Sequence[str],
    count: int,
    read: Callable[[str, Array], Array],
    metric: Metric = "l2",
) -> Array:
    """Distances between models, each taken as one vector of all its weights.

    As :func:`weightsearch.compare.pairwise_distances` of the concatenated weights, for
    models that do not fit into memory together. One stack is read per weight; where it
    takes more than 400 MiB, panels of models of that size, and for each panel the
    models after it, in tiles of 64 MiB.

    Parameters
    ----------
    names : sequence of str
        Weights, real or complex numbers, of the same shape in all models.
    count : int
        Number of models.
    read : callable
        Takes a weight's name and numbers of models; returns their arrays, stacked, as a
        new contiguous array, which is overwritten.
    metric : {"l2", "relative", "cosine"}

    Returns
    -------
    ndarray of shape (count, count), float64
    """
    _check(metric)
    rows = _Rows(names, count, read)
    n = count
    out = np.full((n, n), np.nan)
    if n == 0:
        return out
    norms = rows.norms() if metric != "l2" else np.ones(n)
    good = rows.finite
    if metric == "cosine":
        good = good & (norms > 0)
        rows.scale = np.divide(1.0, norms, out=np.zeros(n), where=good)
    with np.errstate(over="ignore", invalid="ignore"):
        _fill(out, rows, np.flatnonzero(good), rows.dtype)
    if metric == "cosine":
        out *= out
        out *= 0.5
    elif metric == "relative":
        larger = np.maximum.outer(norms, norms)
        # The distance of two that are all zero is zero already.
        np.divide(out, larger, out=out, where=larger > 0)
    out[~rows.finite] = np.nan
    out[:, ~rows.finite] = np.nan
    np.fill_diagonal(out, 0.0)
    return out


def aligned_distances(
    names: Sequence[str],
    count: int,
    read: Callable[[int], Mapping[str, Array]],
    metric: Metric = "l2",
) -> Array:
    """Distances between models after the units of each pair are matched.

    Each pair is matched separately, the later model to the earlier one, so that each
    number is that of :func:`weightsearch.compare.compare` with ``align=True``. A common
    reference would be faster, but models that are close to each other and far from the
    reference are matched to it at random, and would seem far apart.

    Parameters
    ----------
    names : sequence of str
        Weights that count; numbers, of the same shape in all models.
    count : int
        Number of models.
    read : callable
        Takes a model's number; returns all its weights. Blocks of 128 MiB are in memory
        at a time.
    metric : {"l2", "relative", "cosine"}

    Returns
    -------
    ndarray of shape (count, count), float64
        NaN off the diagonal for models with NaN or infinite elements.

    Raises
    ------
    AlignmentError
        If the units cannot be matched; see :func:`weightsearch.compare.align`.
    """
    _check(metric)
    out = np.full((count, count), np.nan)
    np.fill_diagonal(out, 0.0)
    if count < 2:
        return out
    n_bytes = sum(np.asarray(weight).nbytes for weight in read(0).values())
    step = max(1, _BLOCK_BYTES // max(n_bytes, 1))
    for start in range(0, count, step):
        models = [read(i) for i in range(start, min(start + step, count))]
        vectors = [_vector(model, names) for model in models]
        for j in range(start, count):
            own = j < start + step
            model = models[j - start] if own else read(j)
            if not np.isfinite(_vector(model, names)).all():
                continue
            for i in range(start, min(j, start + step)):
                first = vectors[i - start]
                if np.isfinite(first).all():
                    second = _vector(align(models[i - start], model), names)
                    out[i, j] = out[j, i] = _distance(first, second, metric)
    return out


def _check(metric: str) -> None:
    if metric not in ("l2", "relative", "cosine"):
        raise ValueError(
            f"metric must be 'l2', 'relative' or 'cosine', got {metric!r}."
        )


def _vector(model: Mapping[str, Any], names: Sequence[str]) -> Array:
    parts = [as_numbers(model[name]) for name in names]
    return np.concatenate([part.ravel() for part in parts if part is not None])


def _distance(a: Array, b: Array, metric: Metric) -> float:
    distance = norm(a - b)
    if metric == "l2" or (distance == 0 and metric == "relative"):
        return distance
    norm_a, norm_b = norm(a), norm(b)
    if metric == "relative":
        return distance / max(norm_a, norm_b)
    if not (norm_a and norm_b):
        return float("nan")
    return norm(a / norm_a - b / norm_b) ** 2 / 2


class _Rows:
    """Models as long vectors, of which one weight at a time is in memory.

    Attributes
    ----------
    finite : ndarray of shape (n,), bool
        False for those that are known to have NaN or infinite elements, which are found
        as they are read.
    scale : ndarray of shape (n,) or None
        Factors of the vectors, once it is set.
    dtype : numpy.dtype
        Type of products.
    """

    def __init__(
        self, names: Sequence[str], count: int, read: Callable[[str, Array], Array]
    ):
        self._names = list(names)
        self._count = count
        self._read = read
        self.finite = np.ones(count, dtype=bool)
        self.scale: Array | None = None
        first = [self._floats(name, np.arange(min(1, count))) for name in names]
        types = [_working_type(one.dtype) for one in first]
        self.dtype = np.result_type(*types) if types else np.dtype(np.float64)
        self._widths = [one.shape[1] for one in first]
        n_bytes = 8 * max(sum(self._widths), 1)
        self.vector = lru_cache(max(2, _TILE_BYTES // n_bytes))(self._vector)

    def norms(self) -> Array:
        """Euclidean norms, unscaled."""
        norms = np.zeros(self._count)
        for name, width in zip(self._names, self._widths, strict=True):
            step = _rows_in(_TILE_BYTES, width, np.dtype(np.float64))
            for start in range(0, self._count, step):
                index = np.arange(start, min(start + step, self._count))
                rows = self._floats(name, index)
                own = [norm(row.astype(np.float64)) for row in rows]
                norms[index] = np.hypot(norms[index], own)
        norms[~self.finite] = np.nan
        return norms

    def products(self, index: Array, dtype: np.dtype[Any]) -> Array:
        """Scalar products of some rows about a common centre, (m, m) float64."""
        m = len(index)
        products = np.zeros((m, m))
        for name, width in zip(self._names, self._widths, strict=True):
            held = _rows_in(_PANEL_BYTES, width, dtype)
            step = _rows_in(_TILE_BYTES, width, dtype)
            columns = width if dtype == np.float64 else _SINGLE_WIDTH
            blocks = [slice(i, i + columns) for i in range(0, width, columns)]
            centre: Array | None = None
            for start in range(0, m, held):
                upper = slice(start, min(start + held, m))
                panel = self._block(name, index[upper], dtype)
                if centre is None:
                    # Any centre will do, and this one needs no further reading.
                    centre = panel.mean(axis=0)
                panel -= centre
                for block in blocks:
                    _add_products(products[upper, upper], panel[:, block])
                for begin in range(upper.stop, m, step):
                    right = slice(begin, min(begin + step, m))
                    tile = self._block(name, index[right], dtype)
                    tile -= centre
                    for block in blocks:
                        products[upper, right] += panel[:, block] @ tile[:, block].T
                    products[right, upper] = products[upper, right].T
                    # Never two at a time.
                    del tile
                del panel
        return products

    def _vector(self, i: int) -> Array:
        index = np.array([i])
        parts = [self._block(name, index, np.dtype(float))[0] for name in self._names]
        return np.concatenate(parts)

    def digest(self, i: int) -> bytes:
        """Bytes that are equal for equal rows only."""
        return hashlib.blake2b(self.vector(i).tobytes(), digest_size=16).digest()

    def _block(self, name: str, index: Array, dtype: np.dtype[Any]) -> Array:
        """Some rows in a type, scaled; those that are not finite are zero."""
        block: Array = self._floats(name, index).astype(dtype, copy=False)
        if not self.finite[index].all():
            block[~self.finite[index]] = 0
        if self.scale is not None:
            block *= self.scale[index, None].astype(dtype)
        return block

    def _floats(self, name: str, index: Array) -> Array:
        rows = _as_floats(self._read(name, index))
        # Row by row: for all rows at once it would need an array as large.
        good = np.fromiter((np.isfinite(row).all() for row in rows), bool, len(rows))
        self.finite[index[~good]] = False
        return rows


def _rows_in(n_bytes: int, width: int, dtype: np.dtype[Any]) -> int:
    return max(1, n_bytes // max(width * dtype.itemsize, 1))


def _as_floats(array: Array) -> Array:
    """Return arrays of numbers as rows, real and imaginary parts side by side."""
    rows = array.reshape(len(array), -1) if array.size else np.empty((len(array), 0))
    if rows.dtype.kind == "c":
        # The norm of a complex vector is that of its real and imaginary parts.
        parts = np.ascontiguousarray(rows)
        rows = parts.view(np.float32 if rows.dtype.itemsize == 8 else np.float64)
    return rows


def _working_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which products of real numbers of this type are computed."""
    single = dtype.kind not in "biu" and dtype.itemsize <= 4
    return np.dtype(np.float32 if single else np.float64)


def _add_products(products: Array, rows: Array) -> None:
    """Add the scalar products of all pairs of rows, tile by tile."""
    m = len(rows)
    tiles = [slice(i, min(i + _TILE, m)) for i in range(0, m, _TILE)]
    for k, upper in enumerate(tiles):
        for right in tiles[k:]:
            # BLAS computes only one half of a product with its own transpose.
            products[upper, right] += rows[upper] @ rows[right].T


def _fill(out: Array, rows: _Rows, index: Array, dtype: np.dtype[Any]) -> None:
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
    # scipy before 1.11.2 returns nonsense, without an error, for int64 positions.
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
    rows: _Rows, index: Array, dtype: np.dtype[Any]
) -> tuple[Array, Array]:
    """Return squared distances, and the pairs (above the diagonal) that lost digits."""
    m = len(index)
    tiles = [slice(i, min(i + _TILE, m)) for i in range(0, m, _TILE)]
    products = rows.products(index, dtype)
    squared_norms = np.diag(products).copy()
    lost = np.zeros((m, m), dtype=bool)
    for k, upper in enumerate(tiles):
        for right in tiles[k:]:
            both = squared_norms[upper, None] + squared_norms[right]
            tile = both - 2 * products[upper, right]
            # A comparison with NaN is false, so overflow counts as lost.
            lost[upper, right] = ~(tile > _LOST[dtype] * both)
            products[upper, right] = tile
            products[right, upper] = tile.T
        lost[upper, upper] = np.triu(lost[upper, upper], 1)
    return products, lost


def _fill_directly(out: Array, rows: _Rows, pairs: Array) -> None:
    """Write the distances of single pairs, of equal rows only once."""
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

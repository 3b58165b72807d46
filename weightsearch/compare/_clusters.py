"""Hierarchical clustering of models by their distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform

from weightsearch._records import Array

__all__ = ["METHODS", "Clustering", "Method", "cluster"]

Method = Literal["average", "complete", "single", "weighted", "ward"]

METHODS = ("average", "complete", "single", "weighted", "ward")
"""Linkages with monotonic heights."""


@dataclass(frozen=True, eq=False, slots=True)
class Clustering:
    """A hierarchy of models, from single models to one cluster.

    Attributes
    ----------
    linkage : ndarray of shape (n - 1, 4), float64
        The merges in the form of :func:`scipy.cluster.hierarchy.linkage` and
        :func:`scipy.cluster.hierarchy.dendrogram`: two clusters (numbers below ``n``
        are positions in `candidates`), the height, and the new size.
    candidates : ndarray of shape (n,)
        The candidates.
    distances : DataFrame of shape (n, n)
        Their distances.
    """

    linkage: Array
    candidates: Array
    distances: pd.DataFrame

    def labels(self, n_clusters: int) -> pd.Series[int]:
        """Cut the hierarchy into a number of clusters.

        Parameters
        ----------
        n_clusters : int
            From 1 to the number of candidates.

        Returns
        -------
        labels : Series of int
            From 0 on, in order of each cluster's first candidate. The index is that
            of `distances`, the name ``cluster``.

        Raises
        ------
        ValueError
            If there are fewer candidates, or the number is not positive.
        """
        n = len(self.candidates)
        if not 1 <= n_clusters <= max(n, 1):
            raise ValueError(
                f"n_clusters must be from 1 to {n}, the number of candidates; got "
                f"{n_clusters!r}."
            )
        # Not scipy's fcluster, which returns fewer where heights are equal.
        members = {i: [i] for i in range(n)}
        for step, (a, b) in enumerate(self.linkage[: n - n_clusters, :2].astype(int)):
            members[n + step] = members.pop(int(a)) + members.pop(int(b))
        labels = np.zeros(n, dtype=np.int64)
        for label, cluster in enumerate(sorted(members.values(), key=min)):
            labels[cluster] = label
        return pd.Series(labels, index=self.distances.index, name="cluster")


def cluster(distances: pd.DataFrame, method: Method = "average") -> Clustering:
    """Cluster hierarchically by distances.

    Parameters
    ----------
    distances : DataFrame of shape (n, n)
        Symmetric, with zeros on the diagonal. NaN: no distance is defined; such parts
        are clustered separately and joined at the end, a tenth above the largest
        height.
    method : {"average", "complete", "single", "weighted", "ward"}, default="average"
        How the distance of two clusters is defined [1]_. ``"ward"`` is for Euclidean
        distances.

    Returns
    -------
    Clustering

    Raises
    ------
    ValueError
        If the method is unknown, the matrix is not symmetric, or A has a distance to B
        and B to C, but A has none to C.

    References
    ----------
    .. [1] D. Müllner, Modern hierarchical, agglomerative clustering algorithms,
       arXiv:1109.2378, 2011, figure 2; computed by
       :func:`scipy.cluster.hierarchy.linkage`.

    Examples
    --------
    >>> import pandas as pd
    >>> from weightsearch.compare import cluster
    >>> points = [0.0, 10.0, 0.1, 10.2]
    >>> found = cluster(pd.DataFrame([[abs(a - b) for a in points] for b in points]))
    >>> found.labels(2).tolist()
    [0, 1, 0, 1]
    """
    if method not in METHODS:
        raise ValueError(
            f"method must be one of {', '.join(map(repr, METHODS))}, got {method!r}."
        )
    matrix = distances.to_numpy(dtype=np.float64)
    if matrix.shape[0] != matrix.shape[1] or not np.array_equal(
        matrix, matrix.T, equal_nan=True
    ):
        raise ValueError("distances must be a square and symmetric matrix.")
    linked = _join(len(matrix), _parts(matrix, method))
    return Clustering(linked, distances.index.to_numpy(), distances)


def _parts(matrix: Array, method: str) -> list[tuple[Array, Array]]:
    """Return positions and merges of each part in which all distances are defined."""
    # Not at the top, where it would slow down the import.
    from scipy.cluster import hierarchy

    _, labels = connected_components(csr_array(np.isfinite(matrix)), directed=False)
    parts = []
    for label in range(labels.max(initial=-1) + 1):
        members = np.flatnonzero(labels == label)
        part = matrix[np.ix_(members, members)]
        if not np.isfinite(part).all():
            raise ValueError(
                "distances has NaN between two that have a distance to a third."
            )
        merges = np.empty((0, 4))
        if len(members) > 1:
            merges = hierarchy.linkage(squareform(part, checks=False), method)
        parts.append((members, merges))
    return parts


def _join(n: int, parts: list[tuple[Array, Array]]) -> Array:
    """Sort the merges of all parts, and join the parts."""
    steps: list[tuple[float, int, int]] = [
        (float(height), number, step)
        for number, (_, merges) in enumerate(parts)
        for step, height in enumerate(merges[:, 2])
    ]
    # By height; of equal heights, each part keeps its order.
    steps.sort()
    ids = [dict(enumerate(members.tolist())) for members, _ in parts]
    linked: list[list[float]] = []
    for height, number, step in steps:
        members, merges = parts[number]
        a, b = (ids[number][int(child)] for child in merges[step, :2])
        ids[number][len(members) + step] = n + len(linked)
        linked.append([min(a, b), max(a, b), height, merges[step, 3]])
    top = 1.1 * max((height for height, _, _ in steps), default=0.0) or 1.0
    # The largest number of a part is the cluster of all its members.
    roots = [max(known.values()) for known in ids]
    size = len(parts[0][0]) if parts else 0
    for root, (members, _) in zip(roots[1:], parts[1:], strict=True):
        size += len(members)
        linked.append([*sorted((roots[0], root)), top, size])
        roots[0] = n + len(linked) - 1
    return np.array(linked, dtype=np.float64).reshape(-1, 4)

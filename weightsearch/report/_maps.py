"""Candidates of one architecture: how far apart they are, drawn in a plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.cluster.hierarchy
import scipy.linalg
import scipy.spatial.distance

from weightsearch._records import Array
from weightsearch.report._contents import WeightGroup
from weightsearch.report._pairs import pack_triangle
from weightsearch.report._payload import packed

__all__ = ["Architecture", "architectures", "classical_mds", "map_payload"]

_SHAPES = 6


@dataclass
class Architecture:
    """Candidates whose weights have the same names and shapes.

    Attributes
    ----------
    candidates : list of int
    groups : tuple of int
        Positions of their weights among all groups.
    squares : ndarray of shape (n, n)
        Squared Euclidean distances of the groups added so far.
    """

    candidates: list[int]
    groups: tuple[int, ...]
    squares: Array = field(init=False)

    def __post_init__(self) -> None:
        self.squares = np.zeros((len(self.candidates),) * 2)

    def add(self, position: int, group: WeightGroup, distances: Array) -> None:
        """Add one group's distances, where it is a part of this architecture."""
        if position in self.groups:
            place = {candidate: i for i, candidate in enumerate(group.candidates)}
            index = [place[candidate] for candidate in self.candidates]
            self.squares += distances[np.ix_(index, index)] ** 2

    @property
    def nbytes(self) -> int:
        """What its map takes in the page, about."""
        n = len(self.candidates)
        return n * n * 4 // 3 + n * 24 + 500


def architectures(groups: Sequence[WeightGroup]) -> list[Architecture]:
    """Put candidates with the same measured weights together, the most first."""
    weights: dict[int, list[int]] = {}
    for position, group in enumerate(groups):
        if not group.is_measured:
            continue
        for candidate in group.candidates:
            weights.setdefault(candidate, []).append(position)
    members: dict[tuple[int, ...], list[int]] = {}
    for candidate in sorted(weights):
        members.setdefault(tuple(weights[candidate]), []).append(candidate)
    found = [Architecture(candidates, key) for key, candidates in members.items()]
    return sorted(found, key=lambda a: -len(a.candidates))


def map_payload(
    architecture: Architecture, groups: Sequence[WeightGroup]
) -> dict[str, Any] | None:
    """Give a map of an architecture's candidates; None for fewer than two.

    Candidates with weights that are not finite have no place and are left out.

    Returns
    -------
    map : dict
        ``label``; ``candidates``; ``x``, ``y`` (packed float32) and ``explained``, the
        share of the squared distances that the plane shows, from
        :func:`classical_mds`; ``order``, positions in the order of the leaves of
        average-linkage clustering; ``distances``, from :func:`pack_triangle`.
    """
    distances = np.sqrt(architecture.squares)
    placed = np.flatnonzero(np.isfinite(distances).sum(axis=1) > 1)
    distances = distances[np.ix_(placed, placed)]
    if len(placed) < 2:
        return None
    coordinates, explained = classical_mds(distances)
    condensed = scipy.spatial.distance.squareform(distances, checks=False)
    linkage = scipy.cluster.hierarchy.linkage(condensed, "average")
    shapes = ["x".join(map(str, groups[i].shape)) or "1" for i in architecture.groups]
    if len(shapes) > _SHAPES:
        shapes[_SHAPES:] = ["..."]
    return {
        "label": f"{len(placed)} candidates, shapes {', '.join(shapes)}",
        "candidates": [architecture.candidates[i] for i in placed],
        "x": packed(coordinates[:, 0], "f4"),
        "y": packed(coordinates[:, 1], "f4"),
        "explained": explained,
        "order": scipy.cluster.hierarchy.leaves_list(linkage).tolist(),
        "distances": pack_triangle(distances),
    }


def classical_mds(distances: Array) -> tuple[Array, float]:
    r"""Place points in a plane so that their distances are kept as well as can be.

    Classical scaling [1]_: the two leading eigenvectors of :math:`B = -\frac12 J D^2 J`
    with :math:`J = I - \frac1n 1 1^T`, each times the root of its eigenvalue.

    Parameters
    ----------
    distances : ndarray of shape (n, n)
        Euclidean, finite; ``n`` is at least 2.

    Returns
    -------
    coordinates : ndarray of shape (n, 2)
    explained : float
        The two eigenvalues' share of the sum of all; 1 where all points are one.

    References
    ----------
    .. [1] W. S. Torgerson, Multidimensional scaling: I. Theory and method,
       Psychometrika 17(4), 1952.
    """
    n = len(distances)
    squares = distances**2
    means = squares.mean(axis=0)
    products = -0.5 * (squares - means - means[:, None] + squares.mean())
    total = float(np.trace(products))
    if total <= 0:
        return np.zeros((n, 2)), 1.0
    values, vectors = scipy.linalg.eigh(products, subset_by_index=[n - 2, n - 1])
    values = np.maximum(values[::-1], 0)
    return vectors[:, ::-1] * np.sqrt(values), float(min(values.sum() / total, 1.0))

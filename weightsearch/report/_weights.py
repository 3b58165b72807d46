"""The part of a report about weights: statistics, pairs of candidates, and maps."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.cluster.hierarchy
import scipy.linalg
import scipy.spatial.distance

from weightsearch._records import Array
from weightsearch.compare import STATISTICS, align, pairwise_distances, statistics_of
from weightsearch.compare._numeric import as_numbers, norm
from weightsearch.exceptions import AlignmentError
from weightsearch.report._contents import WeightGroup
from weightsearch.report._payload import cut, packed
from weightsearch.report._summary import unusual

__all__ = [
    "MAX_CANDIDATES",
    "architectures",
    "label_of",
    "limited",
    "weights_payload",
]

MAX_CANDIDATES = 1000
MAX_BYTES = 4 * 2**30
"""Weights of at most so many candidates are read, and at most so many bytes."""

_BLOCK_BYTES = 256 * 2**20
_MAPS = 50
_SHAPES = 6
_ALIGNED_CANDIDATES = 40
_ALIGNED_SIZE = 100_000
_OF_UNUSUAL = [STATISTICS.index(s) for s in ("l2", "share_zero", "share_nonfinite")]
_LEVELS = 65534
_NOT_A_NUMBER = 65535


def limited(
    groups: Sequence[WeightGroup], preferred: Sequence[int]
) -> tuple[list[WeightGroup], int]:
    """Leave out the last candidates in `preferred` if there are too many weights.

    Returns
    -------
    groups : list of WeightGroup
    left_out : int
        Number of candidates that have weights but are not in `groups`.
    """
    nbytes: dict[int, int] = {}
    for group in groups:
        for candidate in group.candidates:
            nbytes[candidate] = nbytes.get(candidate, 0) + 8 * group.count
    having = [candidate for candidate in preferred if candidate in nbytes]
    total = np.cumsum([nbytes[candidate] for candidate in having])
    fitting = int(np.searchsorted(total, MAX_BYTES, side="right"))
    # At least two, so that there is something to compare.
    kept = set(having[: min(max(fitting, 2), MAX_CANDIDATES)])
    smaller = [
        replace(group, candidates=tuple(c for c in group.candidates if c in kept))
        for group in groups
    ]
    return [group for group in smaller if group.candidates], len(nbytes) - len(kept)


def weights_payload(
    groups: Sequence[WeightGroup],
    statistics_budget: int,
    budget: int,
    scores: Mapping[int, float] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Read every group once, and return what is shown of it.

    Parameters
    ----------
    groups : sequence of WeightGroup
    statistics_budget, budget : int
        Maximum bytes in the page, of the statistics and in all.
    scores : dict of int -> float, default=None
        Of the candidates; they help to tell which diverged.

    Returns
    -------
    payload : dict
        ``statistics``, names; ``weights``, of each group ``name``, ``short``,
        ``shape``, ``count``, ``measured``, ``main``, ``candidates``, ``statistics``
        (packed float64 of shape ``(n_candidates, n_statistics)``) and ``pairs``, from
        :func:`pack_pairs`; ``maps``, from :func:`map_payload`; ``aligned``, from
        :func:`aligned_distances`; ``diverged`` and ``zero``, from :func:`unusual`.
    notes : list of str
        What was left out.
    """
    shown = _shown(groups, statistics_budget)
    parts = architectures(groups)[:_MAPS]
    taken = sum(_statistics_bytes(groups[i]) for i in shown)
    room = budget - taken - sum(part.nbytes for part in parts)
    kept = choose_pairs(groups, shown, room)
    weights = []
    main: list[tuple[str, Sequence[int], Array]] = []
    for position, one in enumerate(kept):
        group = one.group
        statistics, distances = _read(one)
        if group.is_main and group.is_measured:
            main.append((group.name, group.candidates, statistics[:, _OF_UNUSUAL]))
        if distances is not None:
            for part in parts:
                part.add(position, group, distances)
        if position in shown:
            weights.append(
                {
                    "name": cut(group.name),
                    "short": cut(group.short or group.name),
                    "shape": list(group.shape),
                    "count": group.count,
                    "measured": group.is_measured,
                    "main": group.is_main,
                    "candidates": list(group.candidates),
                    "statistics": packed(statistics, "f8"),
                    "pairs": pack_pairs(one, distances),
                }
            )
    own = [g for g in groups if g.is_main and g.is_measured]
    default = next(
        (g.name for g in own if len(g.shape) > 1), own[0].name if own else ""
    )
    diverged, zero = unusual(main, default, scores or {})
    maps = [map_payload(part, groups, diverged) for part in parts]
    payload = {
        "statistics": list(STATISTICS),
        "weights": weights,
        "maps": [one for one in maps if one is not None],
        "aligned": aligned_distances(groups, parts),
        "diverged": diverged,
        "zero": zero,
    }
    return payload, _notes(kept, shown)


def aligned_distances(
    groups: Sequence[WeightGroup], parts: Sequence[Architecture]
) -> list[dict[str, Any]]:
    """Return the distances of all pairs after their hidden units are matched.

    Of architectures of few candidates and weights, since each pair is aligned by
    itself, by :func:`weightsearch.compare.align`.

    Returns
    -------
    aligned : list of dict
        Of each architecture ``candidates`` and ``weights``: names with the packed
        upper triangle of distances, row by row; NaN where one is not finite.
    """
    found: list[dict[str, Any]] = []
    for part in parts:
        own = [groups[i] for i in part.groups]
        n = len(part.candidates)
        size = sum(group.count for group in own)
        if not 1 < n <= _ALIGNED_CANDIDATES or size > _ALIGNED_SIZE:
            continue
        stacks = [
            s for g in own if (s := as_numbers(g.read(part.candidates))) is not None
        ]
        if len(stacks) < len(own):
            continue
        of = [
            {g.name: s[i] for g, s in zip(own, stacks, strict=True)} for i in range(n)
        ]
        finite = [all(np.isfinite(array).all() for array in one.values()) for one in of]
        rows = []
        try:
            for i, j in itertools.combinations(range(n), 2):
                if not finite[i] or not finite[j]:
                    rows.append([np.nan] * len(own))
                    continue
                b = align(of[i], of[j])
                rows.append([norm(of[i][g.name] - b[g.name]) for g in own])
        except AlignmentError:  # not a chain of layers
            continue
        columns = zip(own, np.array(rows).T, strict=True)
        weights = {cut(group.name): packed(column, "f4") for group, column in columns}
        found.append({"candidates": part.candidates, "weights": weights})
    return found


def _shown(groups: Sequence[WeightGroup], budget: int) -> set[int]:
    """Return the positions of groups whose statistics fit, the largest first."""
    shown: set[int] = set()
    for i in sorted(range(len(groups)), key=lambda i: -groups[i].count):
        budget -= _statistics_bytes(groups[i])
        if budget < 0:
            break
        shown.add(i)
    return shown


def _statistics_bytes(group: WeightGroup) -> int:
    """Return the maximum bytes of a group's name, candidates and statistics."""
    each = 8 * len(STATISTICS) * 4 / 3 + 12
    return 2000 + int(each * len(group.candidates))


def _notes(kept: Sequence[Kept], shown: set[int]) -> list[str]:
    notes = []
    if len(shown) < len(kept):
        notes.append(
            f"{len(kept) - len(shown)} of {len(kept)} weights, the smallest ones, are "
            "left out of statistics and comparisons to keep this file small. "
            "run.stats() and run.compare(a, b) have them all."
        )
    missing = {
        cut(one.group.name, 40): None
        for i, one in enumerate(kept)
        if i in shown
        and one.kind == "none"
        and one.is_numeric
        and len(one.group.candidates) > 1
    }
    if missing:
        names = ", ".join([*missing][:6]) + (" ..." if len(missing) > 6 else "")
        notes.append(
            f"Distances of {len(missing)} weights ({names}) are left out of the "
            "comparison of two candidates to keep this file small. "
            "run.compare(a, b) has them."
        )
    if any(one.kind == "distances16" for one in kept):
        notes.append(
            "Some distances between two candidates are rounded, to 1/65534 of the "
            "largest one, to keep this file small; they are marked with ≈."
        )
    return notes


def _read(one: Kept) -> tuple[Array, Array | None]:
    """Return statistics of a group's candidates, and their distances."""
    group = one.group
    size = max(1, _BLOCK_BYTES // max(1, 8 * group.count))
    numbers = group.candidates
    blocks = [numbers[start : start + size] for start in range(0, len(numbers), size)]
    statistics: list[list[float]] = []
    stack = np.empty(0)
    for block in blocks:
        stack = group.read(block)
        for array in stack:
            row = statistics_of(group.name, array)
            statistics.append([row[statistic] for statistic in STATISTICS])
    distances = None
    if one.is_numeric:
        # A single block is still in memory.
        single = len(blocks) == 1
        distances = pairwise_distances(stack) if single else _distances(group, blocks)
    return np.array(statistics, dtype=np.float64), distances


def _distances(group: WeightGroup, blocks: list[tuple[int, ...]]) -> Array:
    """Return the distances of a group that is read in blocks, two at a time."""
    place = {candidate: i for i, candidate in enumerate(group.candidates)}
    out = np.zeros((len(place), len(place)))
    for i, first in enumerate(blocks):
        stack = group.read(first)
        for second in blocks[i + 1 :]:
            both = np.concatenate([stack, group.read(second)])
            index = [place[candidate] for candidate in (*first, *second)]
            out[np.ix_(index, index)] = pairwise_distances(both)
    return out


# -- pairs of candidates
# ----------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """A group, and how its pairs are stored in the page.

    ``kind`` is ``"values"``, ``"distances"``, ``"distances16"`` or ``"none"``, see
    :func:`pack_pairs`.
    """

    group: WeightGroup
    is_numeric: bool
    kind: str


def choose_pairs(
    groups: Sequence[WeightGroup], shown: Collection[int], budget: int
) -> list[Kept]:
    """Choose how the pairs of each group are stored, so that all fit.

    The values are best, since all numbers of a comparison follow from them, and small
    for small arrays or few candidates. For large arrays, the distances of all pairs are
    smaller. If these do not fit, the largest are rounded, then left out.

    Parameters
    ----------
    groups : sequence of WeightGroup
    shown : collection of int
        Positions of those whose pairs are to be kept at all.
    budget : int
        Bytes that all pairs may take in the page.
    """
    samples = [as_numbers(group.read(group.candidates[:1])) for group in groups]
    costs = [
        _costs(groups[i], sample if i in shown else None)
        for i, sample in enumerate(samples)
    ]
    kinds = [
        min(
            (kind for kind in ("values", "distances") if kind in cost),
            key=cost.__getitem__,
            default="none",
        )
        for cost in costs
    ]
    spent = sum(cost[kind] for cost, kind in zip(costs, kinds, strict=True))
    room = max(budget, 0) * 3 // 4 - spent
    while room < 0:
        i = max(range(len(kinds)), key=lambda i: costs[i][kinds[i]])
        rounded = costs[i].get("distances16", 0)
        cheaper = "distances16" if rounded < costs[i][kinds[i]] else "none"
        room += costs[i][kinds[i]] - costs[i].get(cheaper, 0)
        kinds[i] = cheaper if rounded else "none"
    for i in sorted(range(len(kinds)), key=lambda i: costs[i].get("values", 0)):
        more = costs[i].get("values", 0) - costs[i][kinds[i]]
        if kinds[i] == "distances" and "values" in costs[i] and more <= room:
            room -= more
            kinds[i] = "values"
    return [
        Kept(group, sample is not None and group.count > 0, kind)
        for group, sample, kind in zip(groups, samples, kinds, strict=True)
    ]


def _costs(group: WeightGroup, sample: Array | None) -> dict[str, int]:
    """Return the bytes, before base64, of each way to store a group's pairs."""
    n = len(group.candidates)
    if sample is None or n < 2 or not group.count:
        return {"none": 0}
    pairs = n * (n - 1) // 2
    costs = {"distances": 4 * pairs, "distances16": 2 * pairs, "none": 0}
    # Complex values are too rare to be worth a format.
    return (
        costs if sample.dtype.kind == "c" else {"values": 4 * n * group.count} | costs
    )


def pack_pairs(kept: Kept, distances: Array | None) -> dict[str, Any]:
    """Pack the comparison of any two candidates of a group.

    Returns
    -------
    pairs : dict
        ``kind`` and what belongs to it. ``"values"``: ``data``, float32 of shape
        ``(n, count)``. ``"distances"``: ``data``, the upper triangle row by row,
        float32. ``"distances16"``: as from :func:`pack_triangle`. ``"none"``: nothing.
    """
    if kept.kind == "values":
        stack = kept.group.read(kept.group.candidates)
        return {"kind": "values", "data": packed(stack, "f4")}
    if kept.kind == "none" or distances is None:
        return {"kind": "none"}
    if kept.kind == "distances":
        triangle = distances[np.triu_indices(len(distances), 1)]
        return {"kind": "distances", "data": packed(triangle, "f4")}
    return {"kind": "distances16", **pack_triangle(distances)}


def pack_triangle(distances: Array) -> dict[str, Any]:
    """Pack the upper triangle of distances as uint16.

    Returns
    -------
    triangle : dict
        ``data``, row by row, and ``scale``, a factor of the numbers; 65535 means NaN.
    """
    triangle = distances[np.triu_indices(len(distances), 1)]
    finite = np.isfinite(triangle)
    largest = float(triangle[finite].max(initial=0.0))
    scale = largest / _LEVELS if largest else 1.0
    levels = np.full(len(triangle), _NOT_A_NUMBER, dtype=np.uint16)
    levels[finite] = np.rint(triangle[finite] / scale)
    return {"data": packed(levels, "u2"), "scale": scale}


# -- maps
# -------------------------------------------------------------------------------


@dataclass
class Architecture:
    """Candidates with equal names and shapes of weights.

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
        """Add one group's distances, if it belongs to this architecture."""
        if position in self.groups:
            place = {candidate: i for i, candidate in enumerate(group.candidates)}
            index = [place[candidate] for candidate in self.candidates]
            self.squares += distances[np.ix_(index, index)] ** 2

    @property
    def nbytes(self) -> int:
        """Approximate bytes of its map in the page."""
        n = len(self.candidates)
        return n * n * 4 // 3 + n * 24 + 500


def architectures(groups: Sequence[WeightGroup]) -> list[Architecture]:
    """Group candidates with the same measured weights, the largest group first."""
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
    architecture: Architecture,
    groups: Sequence[WeightGroup],
    diverged: Collection[int] = (),
) -> dict[str, Any] | None:
    """Return a map of an architecture's candidates; None for fewer than two.

    Candidates that diverged, with weights not finite among them, are left out.

    Returns
    -------
    map : dict
        ``label``; ``candidates``; ``x``, ``y`` (packed float32) and ``explained``, the
        share of the squared distances that the plane shows, from
        :func:`classical_mds`; ``order``, positions in the order of the leaves of
        average-linkage clustering; ``distances``, from :func:`pack_triangle`.
    """
    distances = np.sqrt(architecture.squares)
    kept = ~np.isin(architecture.candidates, list(diverged))
    placed = np.flatnonzero((np.isfinite(distances).sum(axis=1) > 1) & kept)
    distances = distances[np.ix_(placed, placed)]
    if len(placed) < 2:
        return None
    coordinates, explained = classical_mds(distances)
    condensed = scipy.spatial.distance.squareform(distances, checks=False)
    linkage = scipy.cluster.hierarchy.linkage(condensed, "average")
    return {
        "label": label_of(architecture, groups, len(placed)),
        "candidates": [architecture.candidates[i] for i in placed],
        "x": packed(coordinates[:, 0], "f4"),
        "y": packed(coordinates[:, 1], "f4"),
        "explained": explained,
        "order": scipy.cluster.hierarchy.leaves_list(linkage).tolist(),
        "distances": pack_triangle(distances),
    }


def label_of(architecture: Architecture, groups: Sequence[WeightGroup], n: int) -> str:
    """Return the name of an architecture of which n candidates are shown."""
    own = [groups[i] for i in architecture.groups]
    main = [group for group in own if group.is_main] or own
    shapes = ["x".join(map(str, group.shape)) or "1" for group in main]
    if len(shapes) > _SHAPES:
        shapes[_SHAPES:] = ["..."]
    return f"{n} candidate{'s' * (n != 1)}, shapes {', '.join(shapes)}"


def classical_mds(distances: Array) -> tuple[Array, float]:
    r"""Place points in a plane so that it preserves their distances.

    Classical multidimensional scaling [1]_: the two leading eigenvectors of :math:`B =
    -\frac12 J D^2 J` with :math:`J = I - \frac1n 1 1^T`, each times the root of its
    eigenvalue.

    Parameters
    ----------
    distances : ndarray of shape (n, n)
        Euclidean, finite; ``n`` is at least 2.

    Returns
    -------
    coordinates : ndarray of shape (n, 2)
    explained : float
        The two eigenvalues' share of the sum of all; 1 if all points are equal.

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

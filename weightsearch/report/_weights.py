"""What a report says of the candidates' weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from weightsearch._records import Array
from weightsearch.compare import STATISTICS, pairwise_distances, statistics_of
from weightsearch.report._contents import WeightGroup
from weightsearch.report._maps import architectures, map_payload
from weightsearch.report._pairs import Kept, choose_pairs, pack_pairs
from weightsearch.report._payload import cut, packed

__all__ = ["MAX_CANDIDATES", "limited", "weights_payload"]

MAX_CANDIDATES = 1000
MAX_BYTES = 4 * 2**30
"""Weights of at most so many candidates are read, and at most so many bytes."""

_BLOCK_BYTES = 256 * 2**20
_MAPS = 50


def limited(
    groups: Sequence[WeightGroup], preferred: Sequence[int]
) -> tuple[list[WeightGroup], int]:
    """Leave out candidates, last in `preferred`, whose weights would be too many.

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
    # Two at least, so that there is something to compare.
    kept = set(having[: min(max(fitting, 2), MAX_CANDIDATES)])
    smaller = [
        replace(group, candidates=tuple(c for c in group.candidates if c in kept))
        for group in groups
    ]
    return [group for group in smaller if group.candidates], len(nbytes) - len(kept)


def weights_payload(
    groups: Sequence[WeightGroup], statistics_budget: int, budget: int
) -> tuple[dict[str, Any], list[str]]:
    """Read every group once, and give what is shown of it.

    Parameters
    ----------
    groups : sequence of WeightGroup
    statistics_budget, budget : int
        Bytes that the statistics, and all together, may take in the page.

    Returns
    -------
    payload : dict
        ``statistics``, names; ``weights``, of each group ``name``, ``shape``,
        ``count``, ``measured``, ``candidates``, ``statistics`` (packed float32 of shape
        ``(n_candidates, n_statistics)``) and ``pairs``, from
        :func:`~weightsearch.report._pairs.pack_pairs`; ``maps``, from
        :func:`~weightsearch.report._maps.map_payload`.
    notes : list of str
        What was left out.
    """
    shown = _shown(groups, statistics_budget)
    parts = architectures(groups)[:_MAPS]
    taken = sum(_statistics_bytes(groups[i]) for i in shown)
    room = budget - taken - sum(part.nbytes for part in parts)
    kept = choose_pairs(groups, shown, room)
    weights = []
    for position, one in enumerate(kept):
        statistics, distances = _read(one)
        if distances is not None:
            for part in parts:
                part.add(position, one.group, distances)
        if position in shown:
            weights.append(
                {
                    "name": cut(one.group.name),
                    "shape": list(one.group.shape),
                    "count": one.group.count,
                    "measured": one.group.is_measured,
                    "candidates": list(one.group.candidates),
                    "statistics": packed(statistics, "f4"),
                    "pairs": pack_pairs(one, distances),
                }
            )
    maps = [map_payload(part, groups) for part in parts]
    payload = {
        "statistics": list(STATISTICS),
        "weights": weights,
        "maps": [one for one in maps if one is not None],
    }
    return payload, _notes(kept, shown)


def _shown(groups: Sequence[WeightGroup], budget: int) -> set[int]:
    """Positions of those whose statistics fit, the ones with most elements first."""
    shown: set[int] = set()
    for i in sorted(range(len(groups)), key=lambda i: -groups[i].count):
        budget -= _statistics_bytes(groups[i])
        if budget < 0:
            break
        shown.add(i)
    return shown


def _statistics_bytes(group: WeightGroup) -> int:
    """What a group's name, candidates and statistics take in the page, at most."""
    each = 4 * len(STATISTICS) * 4 / 3 + 12
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
    """Statistics of a group's candidates, and the distances between them."""
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
        # The only block is at hand still.
        single = len(blocks) == 1
        distances = pairwise_distances(stack) if single else _distances(group, blocks)
    return np.array(statistics, dtype=np.float64), distances


def _distances(group: WeightGroup, blocks: list[tuple[int, ...]]) -> Array:
    """Distances of a group that is read in blocks, two at a time."""
    place = {candidate: i for i, candidate in enumerate(group.candidates)}
    out = np.zeros((len(place), len(place)))
    for i, first in enumerate(blocks):
        stack = group.read(first)
        for second in blocks[i + 1 :]:
            both = np.concatenate([stack, group.read(second)])
            index = [place[candidate] for candidate in (*first, *second)]
            out[np.ix_(index, index)] = pairwise_distances(both)
    return out

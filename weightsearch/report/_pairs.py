"""What compares any two candidates, in as few bytes as there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightsearch._records import Array
from weightsearch.compare._numeric import as_numbers
from weightsearch.report._contents import WeightGroup
from weightsearch.report._payload import packed

__all__ = ["Kept", "choose_pairs", "pack_pairs", "pack_triangle"]

_LEVELS = 65534
_NOT_A_NUMBER = 65535


@dataclass(frozen=True)
class Kept:
    """A group, and how its pairs are kept.

    ``kind`` is ``"values"``, ``"distances"``, ``"distances16"`` or ``"none"``, see
    :func:`pack_pairs`.
    """

    group: WeightGroup
    is_numeric: bool
    kind: str


def choose_pairs(
    groups: Sequence[WeightGroup], shown: Collection[int], budget: int
) -> list[Kept]:
    """Choose how the pairs of each group are kept, so that all fit together.

    The values themselves serve best, as every number of a comparison comes from them;
    they cost little for small arrays, and for few candidates. For large arrays the
    distances of all pairs cost less. Where even these are too many, the largest are
    rounded, then left out.

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
    """Bytes, before base64, of each way to keep a group's pairs."""
    n = len(group.candidates)
    if sample is None or n < 2 or not group.count:
        return {"none": 0}
    pairs = n * (n - 1) // 2
    costs = {"distances": 4 * pairs, "distances16": 2 * pairs, "none": 0}
    # Two real numbers of single precision would hold a complex one; few need it.
    return (
        costs if sample.dtype.kind == "c" else {"values": 4 * n * group.count} | costs
    )


def pack_pairs(kept: Kept, distances: Array | None) -> dict[str, Any]:
    """Pack what compares two candidates of a group.

    Returns
    -------
    pairs : dict
        ``kind`` and what belongs to it. ``"values"``: ``data``, float32 of shape
        ``(n, count)``. ``"distances"``: ``data``, the upper triangle row by row,
        float32. ``"distances16"``: as :func:`pack_triangle` gives it. ``"none"``:
        nothing.
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
        ``data``, row by row, and ``scale``, by which the numbers are to be
        multiplied; 65535 stands for NaN.
    """
    triangle = distances[np.triu_indices(len(distances), 1)]
    finite = np.isfinite(triangle)
    largest = float(triangle[finite].max(initial=0.0))
    scale = largest / _LEVELS if largest else 1.0
    levels = np.full(len(triangle), _NOT_A_NUMBER, dtype=np.uint16)
    levels[finite] = np.rint(triangle[finite] / scale)
    return {"data": packed(levels, "u2"), "scale": scale}

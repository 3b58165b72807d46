"""Planning which fits of a run share datasets.

Fits whose weights agree in names, types, shapes and memory order are stacked: one
dataset per weight. Where the same weights have many sets of shapes (nearly every
decision tree has its own), they become one ragged architecture: one dataset per
weight with all elements concatenated. Where even the sets of names are many (ensembles
that stop early), ragged ones take them together, each fit having some of the names. So
the number of datasets does not grow with the number of candidates.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from weightsearch._records import WeightSpec, WeightSpecs
from weightsearch.store._schema import MAX_FAMILIES, MAX_SHAPES, RAGGED, STACKED

__all__ = ["Architecture", "plan"]

# A weight without its shape: type, number of axes, memory order.
_Kind = tuple[str, int, str]
_Extra = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]


@dataclass
class Architecture:
    """Fits that share datasets."""

    kind: str
    arrays: list[WeightSpec]
    """If ragged, only the number of axes of each shape counts."""
    ties: dict[str, str]
    encodings: dict[str, str]
    rows: list[int]
    """Rows of the table of fits, in the order in which they are stored."""


@dataclass
class _Family:
    """Fits whose weights differ in shape alone, or in nothing."""

    kinds: dict[str, _Kind]
    extra: _Extra
    specs: list[WeightSpecs] = field(default_factory=list)
    rows: list[list[int]] = field(default_factory=list)
    """The rows of each of the specs."""


def plan(specs: Iterable[tuple[int, WeightSpecs]]) -> list[Architecture]:
    """Group rows that have weights into architectures, by their first rows."""
    families = _families(specs)
    found = []
    if len(families) > MAX_FAMILIES:
        found = _ragged(families)
    else:
        for family in families:
            if len(family.specs) > MAX_SHAPES:
                found += _ragged([family])
                continue
            ties, encodings = map(dict, family.extra)
            for one, rows in zip(family.specs, family.rows, strict=True):
                found.append(
                    Architecture(STACKED, list(one.arrays), ties, encodings, rows)
                )
    return sorted(found, key=lambda one: one.rows[0])


def _families(specs: Iterable[tuple[int, WeightSpecs]]) -> list[_Family]:
    distinct: dict[tuple[tuple[WeightSpec, ...], _Extra], list[int]] = {}
    # Neighbours that share the very object are not compared name by name.
    last: WeightSpecs | None = None
    rows: list[int] = []
    for row, one in specs:
        if one is not last:
            extra = tuple(one.ties.items()), tuple(one.encodings.items())
            last, rows = one, distinct.setdefault((one.arrays, extra), [])
        rows.append(row)
    families: dict[tuple[tuple[tuple[str, _Kind], ...], _Extra], _Family] = {}
    for (arrays, extra), rows in distinct.items():
        kinds = {
            spec.name: (spec.dtype, len(spec.shape), spec.order) for spec in arrays
        }
        family = families.setdefault(
            (tuple(kinds.items()), extra), _Family(kinds, extra)
        )
        family.specs.append(WeightSpecs(arrays))
        family.rows.append(rows)
    return list(families.values())


def _ragged(families: list[_Family]) -> list[Architecture]:
    """Put families together as long as no name means two things."""
    unions: list[_Family] = []
    for family in families:
        for union in unions:
            kinds = _merged(union, family)
            if kinds is not None:
                union.kinds = kinds
                union.rows += family.rows
                break
        else:
            unions.append(_Family(family.kinds, family.extra, rows=list(family.rows)))
    found = []
    for union in unions:
        arrays = [
            WeightSpec(name, (-1,) * ndim, dtype, order)
            for name, (dtype, ndim, order) in union.kinds.items()
        ]
        ties, encodings = map(dict, union.extra)
        rows = sorted(row for rows in union.rows for row in rows)
        found.append(Architecture(RAGGED, arrays, ties, encodings, rows))
    return found


def _merged(union: _Family, family: _Family) -> dict[str, _Kind] | None:
    """Return the names of both, in an order that suits both; None if there is none."""
    if union.extra != family.extra:
        return None
    place = {name: index for index, name in enumerate(union.kinds)}
    last = -1
    new: dict[int, list[str]] = {}
    for name, kind in family.kinds.items():
        if name not in place:
            new.setdefault(last, []).append(name)
            continue
        if union.kinds[name] != kind or place[name] < last:
            return None
        last = place[name]
    if not new:
        return union.kinds
    names = list(new.get(-1, ()))
    for index, name in enumerate(union.kinds):
        names += [name, *new.get(index, ())]
    return {name: union.kinds.get(name) or family.kinds[name] for name in names}

"""Group candidates by architecture: equal names and shapes of their weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from weightsearch._records import Array, RunSource, Weights, WeightSpec, WeightSpecs
from weightsearch.exceptions import WeightsNotFoundError
from weightsearch.run._weights import listed

__all__ = ["Architecture", "architectures"]


@dataclass(slots=True)
class Architecture:
    """Candidates whose weights have the same names and shapes.

    Attributes
    ----------
    source : RunSource
    names : tuple of str
        Weights that count.
    types : dict of str -> set of str
        The types that each one has among the candidates.
    positions : list of int
        Positions of the candidates among all that were asked for.
    rows : list of int
        Their rows in the source.
    """

    source: RunSource
    names: tuple[str, ...]
    types: dict[str, set[str]]
    positions: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def read(self, name: str, index: Array) -> Array:
        """Read one weight of some of the candidates, stacked."""
        rows = [self.rows[i] for i in index.tolist()]
        if len(self.types[name]) == 1:
            return self.source.stack(name, rows)
        arrays = [np.asarray(self.source.read(row, name)) for row in rows]
        # Where types differ, float64 or wider represents the values of each.
        common = np.result_type(np.float64, *arrays)
        return np.stack([array.astype(common) for array in arrays])

    def read_all(self, i: int) -> Weights:
        """Read all weights of one of the candidates."""
        return self.source.read_all(self.rows[i])


def architectures(
    source: RunSource, rows: Mapping[int, int], names: Collection[str] | None
) -> list[Architecture]:
    """Group candidates by their weights' names and shapes.

    Parameters
    ----------
    source : RunSource
    rows : dict of int -> int
        Row of each candidate that has weights.
    names : collection of str or None
        Weights that count; None: those that are real or complex numbers.

    Returns
    -------
    list of Architecture
        In order of their first candidates.

    Raises
    ------
    WeightsNotFoundError
        If no candidate has a weight of a given name, or none has any weight.
    """
    found: dict[tuple[tuple[str, tuple[int, ...]], ...], Architecture] = {}
    known: dict[int, tuple[WeightSpecs, tuple[WeightSpec, ...]]] = {}
    numeric: dict[str, None] = {}
    for position, row in enumerate(rows.values()):
        specs = source.specs(row)
        if specs is None:
            continue
        # Equal candidates share one object; keeping it keeps its id unique.
        if id(specs) not in known:
            own = [spec for spec in specs.arrays if _is_number(spec.dtype)]
            numeric |= dict.fromkeys(spec.name for spec in own)
            counted = (
                specs.measured()
                if names is None
                else [spec for spec in own if spec.name in names]
            )
            known[id(specs)] = specs, tuple(sorted(counted, key=lambda s: s.name))
        arrays = known[id(specs)][1]
        key = tuple((spec.name, spec.shape) for spec in arrays)
        if key not in found:
            found[key] = Architecture(
                source,
                tuple(spec.name for spec in arrays),
                {spec.name: set() for spec in arrays},
            )
        group = found[key]
        for spec in arrays:
            group.types[spec.name].add(spec.dtype)
        group.positions.append(position)
        group.rows.append(row)
    missing = [name for name in names or () if name not in numeric]
    if missing or not any(group.names for group in found.values()):
        what = f"a numeric weight {missing[0]!r}" if missing else "weights to compare"
        raise WeightsNotFoundError(
            f"No candidate has {what}; there are {listed(numeric) or 'none'}."
        )
    return [group for group in found.values() if group.names]


def _is_number(dtype: str) -> bool:
    # Types of ml_dtypes have names; structured ones are JSON objects.
    return dtype[1:2] in tuple("biufc") or dtype[:1].isalpha()

"""Candidates whose weights have the same names and shapes."""

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
    """Candidates that have distances to one another.

    Attributes
    ----------
    source : RunSource
    names : tuple of str
        Weights that count.
    types : dict of str -> set of str
        Each one's types among the candidates.
    positions : list of int
        Of the candidates among all that were asked for.
    rows : list of int
        Of the source, one a candidate.
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
        # Where types differ, float64 holds what each of them can.
        kind = np.result_type(np.float64, *arrays)
        return np.stack([array.astype(kind) for array in arrays])

    def read_all(self, i: int) -> Weights:
        """Read all weights of one of the candidates."""
        return self.source.read_all(self.rows[i])


def architectures(
    source: RunSource, rows: Mapping[int, int], names: Collection[str] | None
) -> list[Architecture]:
    """Sort candidates by the weights that they have.

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
        If a name, or every one, is a weight of no candidate.
    """
    found: dict[tuple[tuple[str, tuple[int, ...]], ...], Architecture] = {}
    known: dict[int, tuple[WeightSpecs, tuple[WeightSpec, ...]]] = {}
    everything: dict[str, None] = {}
    for position, row in enumerate(rows.values()):
        specs = source.specs(row)
        if specs is None:
            continue
        # Equal candidates share one object, which is kept so that its id stays its own.
        if id(specs) not in known:
            known[id(specs)] = specs, _counted(specs, names)
            everything |= {
                spec.name: None for spec in specs.arrays if _is_number(spec.dtype)
            }
        counted = known[id(specs)][1]
        key = tuple((spec.name, spec.shape) for spec in counted)
        group = found.get(key)
        if group is None:
            own = tuple(spec.name for spec in counted)
            group = Architecture(source, own, {name: set() for name in own})
            found[key] = group
        for spec in counted:
            group.types[spec.name].add(spec.dtype)
        group.positions.append(position)
        group.rows.append(row)
    missing = [name for name in names or () if name not in everything]
    if missing or not any(group.names for group in found.values()):
        what = (
            f"a weight {missing[0]!r} of numbers" if missing else "weights to measure"
        )
        raise WeightsNotFoundError(
            f"No candidate has {what}; there are {listed(everything) or 'none'}."
        )
    return [group for group in found.values() if group.names]


def _counted(
    specs: WeightSpecs, names: Collection[str] | None
) -> tuple[WeightSpec, ...]:
    # Elements of sparse matrices lie at other places in each.
    encoded = tuple(f"{name}/" for name in specs.encodings)
    counted = [
        spec
        for spec in specs.arrays
        if (
            _is_measured(spec.dtype) and not spec.name.startswith(encoded)
            if names is None
            else spec.name in names and _is_number(spec.dtype)
        )
    ]
    return tuple(sorted(counted, key=lambda spec: spec.name))


def _is_number(dtype: str) -> bool:
    # Types of ml_dtypes have names, structured ones are JSON objects.
    return dtype[1:2] in tuple("biufc") or dtype[:1].isalpha()


def _is_measured(dtype: str) -> bool:
    """Tell floats and complex numbers, of ml_dtypes too, from counts and texts."""
    return dtype[1:2] in ("f", "c") or dtype.startswith(("bfloat", "float"))

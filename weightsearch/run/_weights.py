"""Weights of one fit in a store, read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

import numpy as np

from weightsearch._display import weights_table, weights_text
from weightsearch._records import Array, Weights, WeightSpecs
from weightsearch.exceptions import WeightsNotFoundError

__all__ = ["StoredWeights", "listed"]


class StoredWeights(Mapping[str, Array]):
    """Weights of one fit in a store, read when asked for.

    A read-only mapping from a weight's name to its array. A name that is tied to
    another one (``ties``) gives that one's array, and is not counted again.
    """

    def __init__(
        self,
        specs: WeightSpecs,
        read: Callable[[str], Array],
        read_all: Callable[[], Weights],
    ):
        self._specs = {spec.name: spec for spec in specs.arrays}
        self._read = read
        self._read_all = read_all
        self.ties: Mapping[str, str] = MappingProxyType(dict(specs.ties))
        self.encodings: Mapping[str, str] = MappingProxyType(dict(specs.encodings))

    def __getitem__(self, name: str) -> Array:
        name = self.ties.get(name, name)
        if name not in self._specs:
            raise WeightsNotFoundError(
                f"There is no weight {name!r}; there are {listed(self._specs)}."
            )
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def __contains__(self, name: object) -> bool:
        return name in self._specs or name in self.ties

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every array; nothing is read for it."""
        return {name: spec.shape for name, spec in self._specs.items()}

    @property
    def dtypes(self) -> dict[str, str]:
        """Type of every array as text; nothing is read for it."""
        return {name: _type_name(spec.dtype) for name, spec in self._specs.items()}

    def to_dict(self) -> Weights:
        """Read all arrays at once.

        Returns
        -------
        weights : dict of str -> ndarray
        """
        return self._read_all()

    def __repr__(self) -> str:
        return weights_text(type(self).__name__, list(self.shapes.items()))

    def _repr_html_(self) -> str:
        dtypes = self.dtypes
        rows = [(name, shape, dtypes[name]) for name, shape in self.shapes.items()]
        return f"<p>{len(self)} weights, not read yet</p>" + weights_table(rows)


def _type_name(dtype: str) -> str:
    try:
        return str(np.dtype(dtype))
    except TypeError:
        # A true name of what numpy lacks, such as bfloat16.
        return dtype


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Return names for an error's text, the first few of many."""
    names = list(names)
    shown = ", ".join(names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")

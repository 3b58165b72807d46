"""Lazy mapping of the weights of one fit in a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType

import numpy as np

from weightsearch._display import did_you_mean, view, weights_table, weights_text
from weightsearch._records import Array, Weights, WeightSpecs
from weightsearch._views import (
    View,
    expand,
    find_view,
    is_column,
    read_view,
    rows_of,
    views,
)
from weightsearch.exceptions import WeightsNotFoundError

__all__ = ["StoredWeights", "listed"]


class StoredWeights(Mapping[str, Array]):
    """Weights of one fit in a store, as a lazy, read-only mapping of name to array.

    An array is read when it is looked up. A name that is tied to another one
    (``ties``) has that one's array, and is not counted again.

    The weights of many objects of one class, such as the trees of a forest, are stored
    as columns. Those of each object have their own names
    (``estimators_/7/tree_/threshold``); the whole column has a name with a star
    (``estimators_/*/tree_/threshold``) and is not counted.
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
        self._stored_shapes = {name: spec.shape for name, spec in self._specs.items()}

    @cached_property
    def _views(self) -> dict[str, View | None]:
        """Names of all weights in the model's order, with their columns if any."""
        return dict(views(self._stored_shapes, self.encodings))

    def __getitem__(self, name: str) -> Array:
        name = self.ties.get(name, name)
        if name in self._specs:
            return self._read(name)
        view = find_view(name, self._stored_shapes, self.encodings)
        if view is None:
            raise WeightsNotFoundError(
                f"There is no weight {name!r}. "
                + (did_you_mean(name, self._views) or f"It has {listed(self._views)}.")
            )
        return read_view(view, self.encodings, self._read)

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __contains__(self, name: object) -> bool:
        return name in self._specs or name in self.ties or name in self._views

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, with a star in place of each object's number."""
        return tuple(
            name
            for name, encoding in self.encodings.items()
            if name in self._specs and is_column(name, encoding)
        )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every array; only the lengths of columns are read."""
        lengths: dict[str, Array] = {}

        def rows(name: str) -> Array:
            if name not in lengths:
                lengths[name] = self._read(name)
            return lengths[name]

        found = {}
        for name, part in self._views.items():
            if part is None:
                found[name] = self._stored_shapes[name]
                continue
            shape = self._stored_shapes[part.column]
            source = rows_of(self.encodings[part.column])
            if source is None:
                found[name] = shape[len(part.index) :]
            else:
                found[name] = (int(rows(source)[part.index]), *shape[1:])
        return found

    @property
    def dtypes(self) -> dict[str, str]:
        """Type of every array, as text; nothing is read."""
        return {
            name: _type_name(self._specs[name if view is None else view.column].dtype)
            for name, view in self._views.items()
        }

    def to_dict(self) -> Weights:
        """Read all arrays at once.

        Returns
        -------
        weights : dict of str -> ndarray
        """
        return expand(self._read_all())

    def stored(self) -> Weights:
        """Read all arrays as they are stored, without splitting columns.

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
        return view(f"{len(self)} weights, not read yet", weights_table(rows))


def _type_name(dtype: str) -> str:
    try:
        return str(np.dtype(dtype))
    except TypeError:
        # The name of a type that numpy lacks, such as bfloat16.
        return dtype


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Return names for an error message, of many only the first few."""
    names = list(names)
    shown = ", ".join(names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")

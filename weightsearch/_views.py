"""Views of columns: the weights of one object among many that are stored together.

The trees of a forest are stored as a dozen columns, not as nine arrays per tree: the
array ``estimators_/*/tree_/threshold`` holds the thresholds of all trees. Its encoding
says how it is divided:

- ``"stack"``: the first axes, one per ``*``, number the objects;
- ``"rows NAME"``: the objects' arrays are concatenated along the first axis, and the
  array ``NAME``, with one axis per ``*``, has the length of each.

``estimators_/7/tree_/threshold`` is the name of a view: a part of that column.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from weightsearch._records import Array, Weights

__all__ = [
    "STACK",
    "View",
    "encode_rows",
    "expand",
    "find_view",
    "is_column",
    "read_view",
    "rows_of",
    "views",
]

STACK = "stack"
_ROWS = "rows "


@dataclass(frozen=True, slots=True)
class View:
    """A part of a column.

    Attributes
    ----------
    column : str
        The column's name.
    index : tuple of int
        The object's place, one number per ``*`` of the name.
    """

    column: str
    index: tuple[int, ...]


def rows_of(encoding: str) -> str | None:
    """Name of the array of lengths that an encoding refers to; None without one."""
    return encoding.removeprefix(_ROWS) if encoding.startswith(_ROWS) else None


def encode_rows(name: str) -> str:
    """Encoding of columns whose lengths are in the array of that name."""
    return _ROWS + name


def is_column(name: str, encoding: str) -> bool:
    """Whether an encoding makes the array of that name a column."""
    return "*" in name and (encoding == STACK or encoding.startswith(_ROWS))


def views(
    shapes: Mapping[str, tuple[int, ...]], encodings: Mapping[str, str]
) -> Iterator[tuple[str, View | None]]:
    """Yield the names that a model's weights have, in the model's order.

    Each with its view; None for an array that is stored under that name. `shapes` are
    those of all stored arrays.
    """
    columns = {
        name: encoding
        for name, encoding in encodings.items()
        if name in shapes and is_column(name, encoding)
    }
    lengths = {rows_of(encoding) for encoding in columns.values()}
    groups: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for name, encoding in columns.items():
        groups.setdefault(_group(name, encoding, shapes), []).append(name)
    for name in shapes:
        if name in lengths:
            continue
        if name not in columns:
            yield name, None
            continue
        group = _group(name, columns[name], shapes)
        # All columns of a group follow at the place of its first, object by object.
        for index in itertools.product(*map(range, group[1])):
            for column in groups.get(group, ()):
                yield _named(column, index), View(column, index)
        groups.pop(group, None)


def _group(
    name: str, encoding: str, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[str, tuple[int, ...]]:
    """Name and numbers of the objects that a column belongs to."""
    rows = rows_of(encoding)
    shape = shapes[name if rows is None else rows]
    return name[: name.rindex("*")], shape[: name.count("*")]


def _named(column: str, index: tuple[int, ...]) -> str:
    numbers = iter(index)
    return re.sub(r"\*", lambda _: str(next(numbers)), column)


def find_view(
    name: str, shapes: Mapping[str, tuple[int, ...]], encodings: Mapping[str, str]
) -> View | None:
    """Return the view of that name; None if it is not a part of a column."""
    parts = name.split("/")
    places = [place for place, part in enumerate(parts) if part.isdecimal()]
    for count in range(len(places), 0, -1):
        for chosen in itertools.combinations(places, count):
            column = "/".join(
                "*" if place in chosen else part for place, part in enumerate(parts)
            )
            encoding = encodings.get(column)
            if encoding is None or column not in shapes:
                continue
            _, limits = _group(column, encoding, shapes)
            index = tuple(int(parts[place]) for place in chosen)
            if len(index) == len(limits) and all(map(int.__lt__, index, limits)):
                return View(column, index)
    return None


def read_view(
    view: View,
    encodings: Mapping[str, str],
    read: Callable[[str], Array],
    known: dict[str, tuple[tuple[int, ...], list[int]]] | None = None,
) -> Array:
    """Return the part of a column that is a view.

    `read` returns a stored array; `known` remembers the ends of parts, for many views.
    """
    rows = rows_of(encodings[view.column])
    column = read(view.column)
    if rows is None:
        return np.asarray(column[view.index])
    known = {} if known is None else known
    if rows not in known:
        lengths = read(rows)
        known[rows] = lengths.shape, [0, *np.cumsum(lengths.ravel()).tolist()]
    shape, ends = known[rows]
    number = int(np.ravel_multi_index(view.index, shape))
    return column[ends[number] : ends[number + 1]]


def expand(weights: Weights) -> Weights:
    """Weights under the names of the model's own objects: views instead of columns.

    The same object if it has no columns.
    """
    shapes = {name: array.shape for name, array in weights.items()}
    if not any(is_column(*item) for item in weights.encodings.items()):
        return weights
    known: dict[str, tuple[tuple[int, ...], list[int]]] = {}
    arrays = {
        name: weights[name]
        if view is None
        else read_view(view, weights.encodings, weights.__getitem__, known)
        for name, view in views(shapes, weights.encodings)
    }
    encodings = {
        name: encoding
        for name, encoding in weights.encodings.items()
        if not is_column(name, encoding)
    }
    return Weights(arrays, ties=weights.ties, encodings=encodings)

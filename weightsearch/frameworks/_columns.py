"""Columns: the same array of many objects, concatenated.

Weights and state of a model are collected one after the other, from the same lists of
trees. What was concatenated for the weights is remembered for the state, so that each
array is copied once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from weightsearch._records import Array

__all__ = ["Column", "column_of", "remembering", "tree_states"]


class Column(NamedTuple):
    """Arrays of many objects in one.

    Attributes
    ----------
    fields : dict of str -> ndarray
        The fields of structured arrays, each by its name; other arrays under ``""``.
    lengths : ndarray of shape (n_objects,), int64, or None
        Length of each object's array, which are concatenated along the first axis;
        None where all have one shape, and are stacked along a new first axis.
    dtype : numpy.dtype
        Of the arrays, with its fields.
    """

    fields: dict[str, Array]
    lengths: Array | None
    dtype: np.dtype[Any]


_memory: ContextVar[dict[Any, Any] | None] = ContextVar("_memory", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Remember columns while the block runs, for one model."""
    if _memory.get() is not None:
        yield
        return
    token = _memory.set({})
    try:
        yield
    finally:
        _memory.reset(token)


def column_of(arrays: Sequence[Array]) -> Column | None:
    """Concatenate the arrays of many objects.

    Parameters
    ----------
    arrays : sequence of ndarray

    Returns
    -------
    Column or None
        None if the arrays cannot be concatenated: their types or their shapes beyond
        the first axis differ, they hold Python objects, or are not in C order.
    """
    memory = _memory.get()
    key = tuple(map(id, arrays))
    if memory is not None and key in memory:
        known: Column | None = memory[key][1]
        return known
    found = _concatenated(arrays)
    if memory is not None:
        # The arrays too: while they live, no other has their ids.
        memory[key] = arrays, found
    return found


def _concatenated(arrays: Sequence[Array]) -> Column | None:
    first = arrays[0]
    dtype, shape = first.dtype, first.shape
    if dtype.hasobject or first.ndim == 0:
        return None
    same = True
    for array in arrays:
        if type(array) is not np.ndarray or not array.flags.c_contiguous:
            return None
        if array.shape != shape:
            if array.ndim != len(shape) or array.shape[1:] != shape[1:]:
                return None
            same = False
        if array.dtype is not dtype and array.dtype != dtype:
            return None
    lengths = None
    if not same:
        lengths = np.fromiter(map(len, arrays), np.int64, len(arrays))
    whole = _joined(arrays, dtype)
    if same:
        whole = whole.reshape(len(arrays), *shape)
    if dtype.names is None:
        return Column({"": whole}, lengths, dtype)
    fields = {name: np.ascontiguousarray(whole[name]) for name in dtype.names}
    if any(field.dtype.names is not None for field in fields.values()):
        return None
    return Column(fields, lengths, dtype)


def _joined(arrays: Sequence[Array], dtype: np.dtype[Any]) -> Array:
    if dtype.names is None:
        return np.concatenate(arrays)
    # As bytes: numpy would copy field by field.
    raw = f"V{dtype.itemsize}"
    return np.concatenate([array.view(raw) for array in arrays]).view(dtype)


def tree_states(trees: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Constructor arguments and state of compiled decision trees.

    Parameters
    ----------
    trees : sequence of sklearn.tree._tree.Tree

    Returns
    -------
    list of (n_features, n_classes, n_outputs, max_depth, node_count, nodes, values)
    """
    memory = _memory.get()
    states = []
    for tree in trees:
        key = ("tree", id(tree))
        state = None if memory is None else memory.get(key)
        if state is None:
            _, arguments, content = tree.__reduce__()
            state = (
                *arguments,
                *(content[n] for n in ("max_depth", "node_count", "nodes", "values")),
            )
            if memory is not None:
                memory[key] = state
        states.append(state)
    return states

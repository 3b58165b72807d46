"""Parts of an estimator that are not Python objects alone, and what stands for them.

A network holds compiled code, threads and devices. In the state it is replaced by a
:class:`Part`: plain attributes and arrays, of which its framework makes it again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from weightsearch._records import Array
from weightsearch.frameworks._registry import (
    extract_weights,
    framework_module,
    frameworks_at_hand,
    qualified_name,
)

__all__ = [
    "NUMBERS",
    "Part",
    "Rebuilder",
    "find_parts",
    "named_rebuilder",
    "rebuilder_of",
    "resolved",
    "stand_ins",
]


@dataclass(frozen=True)
class Rebuilder:
    """How a framework takes its estimators apart and puts them together.

    Attributes
    ----------
    describe : callable
        ``describe(estimator, complete)`` gives attributes, such as skops can write,
        and whether with them nothing at all is lost.
    rebuild : callable
        ``rebuild(estimator, attributes, weights)`` makes a fitted estimator of an
        unfitted one.
    create : callable or None
        ``create(attributes)`` gives the unfitted estimator where the caller has
        none; None where that cannot be done safely.
    """

    describe: Callable[[Any, bool], tuple[dict[str, Any], bool]]
    rebuild: Callable[[Any, Mapping[str, Any], Mapping[str, Array]], Any]
    create: Callable[[Mapping[str, Any]], Any] | None = None


class Part:
    """Stands for an estimator of a framework in a state.

    Attributes
    ----------
    path : str
        Where in the whole it was.
    kind : str
        Qualified name of its class.
    attributes : dict
        What its framework has said of it.
    weights : dict of str -> ndarray
    """

    path: str
    kind: str
    attributes: dict[str, Any]
    weights: dict[str, Array]

    def __init__(self, **values: Any):
        self.__dict__.update(values)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        # So a copy of what was read has the real thing, wherever a part stood.
        return _resolve.get()(self)

    def __call__(self) -> None:
        # functools.partial takes only what can be called.
        raise TypeError("A stand-in cannot be called.")


_resolve: ContextVar[Callable[[Part], Any]] = ContextVar("_resolve")


def resolved(root: Any, resolve: Callable[[Part], Any]) -> Any:
    """Copy an object, every part in it replaced by what ``resolve`` makes of it."""
    token = _resolve.set(resolve)
    try:
        return copy.deepcopy(root)
    finally:
        _resolve.reset(token)


NUMBERS = "numbers"
"""Kind of what stands for a list of numpy's numbers."""

_FOR_TRAINING = (
    "_best_coefs",
    "_best_intercepts",
    "_optimizer",
    "_random_state",
    "_rng",
)
"""Attributes that only going on with a fit needs; larger than the weights, at times."""


def stand_ins(estimator: Any, complete: bool) -> tuple[dict[int, Any], bool]:
    """Say what is to be replaced in an estimator before it is written.

    Returns
    -------
    replacements : dict of int -> object
        By ``id``, as :func:`copy.deepcopy` takes it.
    complete : bool
        Whether nothing is lost by it.
    """
    memo: dict[int, Any] = {}
    whole = True
    for path, part in find_parts(estimator):
        rebuilder = rebuilder_of(type(part))
        assert rebuilder is not None
        attributes, all_of_it = rebuilder.describe(part, complete)
        whole &= all_of_it
        memo[id(part)] = Part(
            path=path,
            kind=qualified_name(type(part)),
            attributes=attributes,
            weights=dict(extract_weights(part)),
        )
    for _, item in _walk(estimator, _is_list_of_numbers):
        # skops would write a file for each.
        if isinstance(item, list):
            memo[id(item)] = Part(kind=NUMBERS, attributes={"values": np.array(item)})
        elif not complete:
            own = vars(item)
            for name in _FOR_TRAINING:
                left_out = own.get(name)
                # After early stopping, the best coefficients are the coefficients.
                same = sum(value is left_out for value in own.values())
                if left_out is not None and same == 1:
                    memo[id(left_out)] = None
                    whole = False
    return memo, whole


def find_parts(estimator: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of an estimator that frameworks rebuild, with their paths."""
    if not frameworks_at_hand():
        return
    for path, item in _walk(estimator):
        if rebuilder_of(type(item)) is not None:
            yield path, item


def rebuilder_of(cls: type) -> Rebuilder | None:
    """Return who rebuilds a class; None for plain Python objects."""
    return _rebuilder_of(cls)


@lru_cache(maxsize=1024)
def _rebuilder_of(cls: Any) -> Rebuilder | None:
    for base in cls.__mro__:
        found = named_rebuilder(qualified_name(base))
        if found is not None:
            return found
    return None


def named_rebuilder(name: str) -> Rebuilder | None:
    """Return who rebuilds just the class of this qualified name."""
    module = framework_module(name)
    known: dict[str, Rebuilder] = getattr(module, "REBUILDERS", {})
    return known.get(name)


def _is_list_of_numbers(item: Any) -> bool:
    return (
        isinstance(item, list)
        and len(item) > 1
        and isinstance(item[0], np.generic)
        and item[0].dtype.kind in "biufc"
        and all(type(value) is type(item[0]) for value in item)
    )


def _is_estimator(item: Any) -> bool:
    return (
        hasattr(item, "fit")
        and hasattr(item, "__dict__")
        and not isinstance(item, type)
    )


def _walk(
    root: Any, also: Callable[[Any], bool] = lambda item: False
) -> Iterator[tuple[str, Any]]:
    """Yield the estimators in an estimator, and what else is asked for.

    Outer ones come first; each with its path.
    """
    seen: set[int] = set()
    todo = [("", root)]
    while todo:
        path, item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        prefix = f"{path}/" if path else ""
        if also(item):
            yield path, item
        elif isinstance(item, dict):
            todo += [(f"{prefix}{key}", value) for key, value in item.items()]
        elif isinstance(item, list | tuple | set):
            todo += [(f"{prefix}{n}", value) for n, value in enumerate(item)]
        elif isinstance(item, np.ndarray) and item.dtype == object:
            todo += [(f"{prefix}{n}", value) for n, value in enumerate(item.flat)]
        elif _is_estimator(item):
            yield path, item
            if rebuilder_of(type(item)) is None:
                # Parts are whole; what they hold is their framework's business.
                todo += [(f"{prefix}{key}", value) for key, value in vars(item).items()]

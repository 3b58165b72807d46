"""Estimators that are more than Python objects, as their frameworks describe them.

A network holds compiled code, threads and devices. A state has instead the plain
attributes and arrays from which its framework rebuilds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from weightsearch._records import Array
from weightsearch.exceptions import RebuildError
from weightsearch.frameworks._registry import (
    framework_module,
    frameworks_at_hand,
    qualified_name,
)

__all__ = [
    "NotStored",
    "Rebuilder",
    "content_of",
    "entry_of",
    "not_stored",
    "rebuilder_of",
]


@dataclass(frozen=True)
class Rebuilder:
    """How a framework describes and rebuilds its estimators.

    Attributes
    ----------
    describe : callable
        ``describe(estimator, complete)`` returns attributes, name -> value, and whether
        they are complete: with the weights, nothing is lost. Raises NotFittedError if
        the estimator is not fitted.
    rebuild : callable
        ``rebuild(cls, attributes, weights)`` returns a fitted estimator. The attributes
        have a :class:`NotStored` for what the caller has not passed.
    alone : frozenset of str
        Qualified names of classes that can be rebuilt without the caller's estimator.
    has_weights : bool
        Whether its objects have weights; others are values, such as a device.
    """

    describe: Callable[[Any, bool], tuple[dict[str, Any], bool]]
    rebuild: Callable[[Any, Mapping[str, Any], Mapping[str, Array]], Any]
    alone: frozenset[str] = frozenset()
    has_weights: bool = True


class NotStored:
    """Placeholder for code that is not stored and that the caller has not passed.

    Parameters
    ----------
    name : str
        Qualified name of the function, class or object.
    place : str
        Its path in the estimator.
    """

    def __init__(self, name: str, place: str):
        self.name = name
        self.place = place

    def __repr__(self) -> str:
        return f"<not stored: {self.name}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RebuildError(
            f"{self.place} was {self.name}, which is not stored. Pass "
            "estimator=, the estimator as it was searched"
        )


def not_stored(value: Any) -> list[NotStored]:
    """Placeholders in a param, or in the containers that it consists of."""
    if isinstance(value, NotStored):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple | set | frozenset):
        return []
    return [missing for item in value for missing in not_stored(item)]


@lru_cache(maxsize=4096)
def rebuilder_of(cls: Any) -> Rebuilder | None:
    """Return the rebuilder of a class; None for plain Python objects."""
    found: Rebuilder | None = entry_of(cls, "REBUILDERS")
    return found


def content_of(value: Any) -> Any:
    """What identifies an object, if not all of it does.

    A network that is a param is itself trained: its weights do not identify it.
    """
    if not frameworks_at_hand() or isinstance(value, type):
        return value
    content = entry_of(type(value), "CONTENTS")
    return value if content is None else content(value)


def entry_of(cls: Any, table: str) -> Any:
    """Entry of a class, or of its nearest known base, in its framework's table."""
    for base in cls.__mro__:
        name = qualified_name(base)
        found = getattr(framework_module(name), table, {}).get(name)
        if found is not None:
            return found
    return None

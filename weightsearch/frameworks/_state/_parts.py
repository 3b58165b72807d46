"""Estimators that are not Python objects alone, and what their frameworks know of them.

A network holds compiled code, threads and devices. In a state stand instead the plain
attributes and arrays of which its framework makes it again.
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

__all__ = ["NotStored", "Rebuilder", "content_of", "not_stored", "rebuilder_of"]


@dataclass(frozen=True)
class Rebuilder:
    """How a framework takes its estimators apart and puts them together.

    Attributes
    ----------
    describe : callable
        ``describe(estimator, complete)`` returns attributes, name -> value, and whether
        nothing at all is lost with them. It raises NotFittedError where the estimator
        is not fitted.
    rebuild : callable
        ``rebuild(cls, attributes, weights)`` makes a fitted estimator. What the caller
        has not brought is :class:`NotStored` in the attributes.
    alone : frozenset of str
        Qualified names of classes that may be made without the caller's estimator.
    """

    describe: Callable[[Any, bool], tuple[dict[str, Any], bool]]
    rebuild: Callable[[Any, Mapping[str, Any], Mapping[str, Array]], Any]
    alone: frozenset[str] = frozenset()


class NotStored:
    """Stands in an estimator for code that no store holds and nobody has brought.

    Parameters
    ----------
    name : str
        Qualified name of the function, class or object.
    place : str
        Where in the estimator it belongs.
    """

    def __init__(self, name: str, place: str):
        self.name = name
        self.place = place

    def __repr__(self) -> str:
        return f"<not stored: {self.name}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RebuildError(
            f"{self.place} was {self.name}, which is not in the store. Pass "
            "estimator=, the estimator as it was searched"
        )


def not_stored(value: Any) -> list[NotStored]:
    """What is missing in a param, or in the containers that it is made of."""
    if isinstance(value, NotStored):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple | set | frozenset):
        return []
    return [missing for item in value for missing in not_stored(item)]


@lru_cache(maxsize=4096)
def rebuilder_of(cls: Any) -> Rebuilder | None:
    """Return who rebuilds a class; None for plain Python objects."""
    found: Rebuilder | None = _of_framework(cls, "REBUILDERS")
    return found


def content_of(value: Any) -> Any:
    """What tells an object from others, if not all of it does.

    A network that is a param is trained itself: what it has learned says nothing of
    which one it is.
    """
    if not frameworks_at_hand() or isinstance(value, type):
        return value
    content = _of_framework(type(value), "CONTENTS")
    return value if content is None else content(value)


def _of_framework(cls: Any, table: str) -> Any:
    """What the framework of a class, or of its nearest known base, has in a table."""
    for base in cls.__mro__:
        name = qualified_name(base)
        found = getattr(framework_module(name), table, {}).get(name)
        if found is not None:
            return found
    return None

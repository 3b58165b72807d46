"""Types of values that JSON lacks, each with its two directions.

Params of candidates and states of models are written and read with the same ones.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["VALUE_TYPES", "ValueType", "of_parts", "plain_scalar"]


@dataclass(frozen=True)
class ValueType:
    """How values of one type become plain content and are made from it.

    Attributes
    ----------
    name : str
        Its name where it is stored.
    take : callable
        Returns the content of a value. Raises TypeError if a value has none.
    make : callable
        Returns a value of that content. Raises ValueError, TypeError or LookupError for
        any other content.
    take_many, make_many : callable or None
        The same for many values at once, if that is faster.
    """

    name: str
    take: Callable[[Any], Any]
    make: Callable[[Any], Any]
    take_many: Callable[[Sequence[Any]], list[Any]] | None = None
    make_many: Callable[[Sequence[Any]], list[Any]] | None = None


def of_parts(name: str, cls: Callable[..., Any], *parts: str) -> ValueType:
    """Type of values that a constructor makes from some of their attributes."""

    def make(content: Any) -> Any:
        if len(content) != len(parts):
            raise ValueError(f"a {name} does not have {len(content)} parts")
        return cls(*content)

    return ValueType(name, attrgetter(*parts), make)


_SCALARS = (np.bool_, np.number, np.str_, np.bytes_)


def plain_scalar(value: Any) -> Any:
    """Return a numpy scalar as Python's number or text; anything else as it is."""
    if not isinstance(value, _SCALARS) or isinstance(value, np.timedelta64):
        return value
    scalar = value.item()
    # Long doubles have no type in Python.
    return value if isinstance(scalar, np.generic) else scalar


def _moment(value: Any) -> str:
    zone = getattr(value, "tzinfo", None)
    # A named zone has its own rules, which an offset does not express.
    if not (zone is None or type(zone) is datetime.timezone):
        raise TypeError(f"the time zone {zone} cannot be stored")
    if getattr(value, "fold", False):
        raise TypeError("a time that a change of the clock repeats cannot be stored")
    text: str = value.isoformat()
    return text


VALUE_TYPES: Mapping[type, ValueType] = {
    int: ValueType("int", hex, lambda text: int(text, 16)),
    float: ValueType(
        "float", repr, {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}.__getitem__
    ),
    complex: of_parts("complex", complex, "real", "imag"),
    slice: of_parts("slice", slice, "start", "stop", "step"),
    range: of_parts("range", range, "start", "stop", "step"),
    datetime.timedelta: of_parts(
        "timedelta", datetime.timedelta, "days", "seconds", "microseconds"
    ),
    datetime.datetime: ValueType("datetime", _moment, datetime.datetime.fromisoformat),
    datetime.date: ValueType("date", _moment, datetime.date.fromisoformat),
    datetime.time: ValueType("time", _moment, datetime.time.fromisoformat),
    type(Path()): ValueType("path", Path.as_posix, Path),
}
"""By class; integers and floats are those that JSON does not have."""

"""Functions of other libraries, run with other values for some of their names."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any

__all__ = ["rebound"]


def rebound(function: Any, names: Mapping[str, Any]) -> FunctionType:
    """Return a function with other values for some of its global names."""
    return FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )

"""Counting calls of an estimator's ``fit`` from outside, leaving its class alone.

A counter in the class would be code of the estimator, and make it another one.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

__all__ = ["FitCounter", "counting"]


class FitCounter:
    """Number of calls of some functions, in whatever thread of this process."""

    def __init__(self, codes: set[CodeType]):
        self.count = 0
        self._codes = codes

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code in self._codes:
            self.count += 1


@contextmanager
def counting(*estimators: Any) -> Iterator[FitCounter]:
    """Count the fits of estimators of these classes."""
    codes = set()
    for estimator in estimators:
        code = getattr(inspect.unwrap(type(estimator).fit), "__code__", None)
        assert code is not None, f"{type(estimator)}.fit is not written in Python"
        codes.add(code)
    counter = FitCounter(codes)
    threading.setprofile(counter)
    sys.setprofile(counter)
    try:
        yield counter
    finally:
        sys.setprofile(None)
        threading.setprofile(None)

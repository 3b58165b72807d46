"""What is kept in memory of a journal's fits: a few bytes each."""

from __future__ import annotations

import datetime
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np

from weightsearch._records import Array, FitTable

__all__ = ["Columns"]

_KEY_BYTES = 32


class Columns:
    """The columns of a run's table of fits, growing at the end.

    Attributes
    ----------
    ids : array of int
        The journal's id of each row; rising.
    layouts : array of int
        The layout of each row's arrays; -1 without arrays of its own.
    references : array of int
        1 where the row refers to a fit of another run.
    """

    def __init__(self) -> None:
        self.ids = array("q")
        self._candidates = array("q")
        self._splits = array("q")
        self._failed = array("b")
        self._has_weights = array("b")
        self._ended = array("q")
        self.layouts = array("q")
        self.references = array("b")
        self._keys = bytearray()

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, row: Sequence[Any]) -> None:
        """Take a row of the table ``fit`` in.

        Raises
        ------
        ValueError
            If it holds what no row may hold.
        """
        number, candidate, split, failed, weights, ended, key, position = row[:8]
        good = (
            candidate >= 0
            and split >= -1
            and failed in (0, 1)
            and weights in (0, 1)
            and position >= 0
            and (key is None or len(key) <= _KEY_BYTES)
            and (row[11] is not None or weights == (row[8] is not None))
        )
        if not good:
            raise ValueError("it holds what no fit may hold")
        self.ids.append(number)
        self._candidates.append(candidate)
        self._splits.append(split)
        self._failed.append(failed)
        self._has_weights.append(weights)
        self._ended.append(ended)
        self.layouts.append(-1 if row[8] is None else row[8])
        self.references.append(row[11] is not None)
        self._keys += (key or b"").ljust(_KEY_BYTES, b"\0")

    def drop(self, rows: Sequence[int]) -> None:
        """Leave rows out."""
        keep = np.ones(len(self), bool)
        keep[list(rows)] = False
        keys = np.frombuffer(self._keys, np.uint8).reshape(-1, _KEY_BYTES)
        self._keys = bytearray(keys[keep].tobytes())
        for name in _ARRAYS:
            old = getattr(self, name)
            new = array(old.typecode)
            new.frombytes(np.asarray(old)[keep].tobytes())
            setattr(self, name, new)

    def count_below(self, number: int) -> int:
        """Count the rows whose id is below a number."""
        return bisect_left(self.ids, number)

    def last_ended(self) -> str:
        """Return when the last fit ended, UTC, ISO 8601; empty without fits."""
        if not self._ended:
            return ""
        try:
            ended = datetime.datetime.fromtimestamp(
                max(self._ended) / 1000, datetime.UTC
            )
        except (ValueError, OverflowError, OSError):
            # A clock far off is no reason not to show the run.
            return ""
        return ended.isoformat()

    def table(self) -> FitTable:
        """Return the columns as they are now."""
        return FitTable(
            candidate=_copy(self._candidates, np.int64),
            split=_copy(self._splits, np.int64),
            failed=_copy(self._failed, np.bool_),
            has_weights=_copy(self._has_weights, np.bool_),
            key=np.frombuffer(bytes(self._keys), f"S{_KEY_BYTES}"),
        )


_ARRAYS = (
    "ids",
    "layouts",
    "references",
    "_candidates",
    "_splits",
    "_failed",
    "_has_weights",
    "_ended",
)


def _copy(column: array[int], dtype: Any) -> Array:
    return np.array(column).astype(dtype)

"""What a report is made from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from weightsearch._records import Array

__all__ = ["ReportContents", "WeightGroup"]


@dataclass(frozen=True)
class WeightGroup:
    """One weight of all candidates in which it has the same shape and type.

    Attributes
    ----------
    name : str
    shape : tuple of int
    candidates : tuple of int
        Their numbers, ascending.
    read : callable
        Some of these numbers -> ndarray of shape ``(n, *shape)``.
    is_measured : bool
        Whether it counts in distances of all weights together.
    """

    name: str
    shape: tuple[int, ...]
    candidates: tuple[int, ...]
    read: Callable[[Sequence[int]], Array]
    is_measured: bool = True

    @property
    def count(self) -> int:
        """Number of elements of one candidate's array."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ReportContents:
    """All that a report shows.

    Attributes
    ----------
    title : str
    subtitle : str
        One line below the title.
    facts : dict of str -> dict of str -> object
        Headings, each with the names and values below it; the first is shown open.
    candidates : DataFrame
        A row a candidate, the best first; the index is the candidate's number.
    params : sequence of str
        The columns of `candidates` that are params.
    score : str or None
        The column that plots show at first.
    best : int or None
        The best candidate.
    weights : sequence of WeightGroup
        In the model's order; may be empty.
    notes : sequence of str
        Sentences that the reader should know first.
    """

    title: str
    subtitle: str
    facts: Mapping[str, Mapping[str, Any]]
    candidates: pd.DataFrame
    params: Sequence[str] = ()
    score: str | None = None
    best: int | None = None
    weights: Sequence[WeightGroup] = ()
    notes: Sequence[str] = field(default=())

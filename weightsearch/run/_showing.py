"""What is shown of a run where not everything has room."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._params import show
from weightsearch.run._candidates import main_column

__all__ = ["best_first", "brief_columns", "cell_text", "exact_text"]

_LONG = re.compile(r"split\d+_.*|std_(test|train)_.*|(mean|std)_(fit|score)_time")


def brief_columns(columns: Iterable[str]) -> list[str]:
    """Choose the columns of a run's candidates that tell most.

    The params, mean scores, ranks and the status: without single splits, standard
    deviations and times.
    """
    return [name for name in columns if not _LONG.fullmatch(name)]


def best_first(candidates: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Sort a search's candidates by the rank of the main score, if there is one."""
    rank = main_column("rank_test_", candidates.columns, settings)
    return candidates if rank is None else candidates.sort_values(rank, kind="stable")


def cell_text(value: Any) -> str:
    """Return a value as a table shows it: what was measured to six digits."""
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    return exact_text(value)


def exact_text(value: Any) -> str:
    """Return a value's text, with all digits of a number; empty where it is missing."""
    if value is pd.NA:
        return ""
    try:
        return str(value)
    except ValueError:
        return show(value)

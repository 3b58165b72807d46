"""The rows and columns of a frame that are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import pandas as pd

from weightsearch._display import did_you_mean
from weightsearch.cli._guard import UserError

__all__ = ["select", "with_index"]


def with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Make the index the first column; a column of its name becomes a ``param_``."""
    name = str(frame.index.name)
    return frame.rename(columns={name: f"param_{name}"}).reset_index()


def select(
    frame: pd.DataFrame,
    *,
    columns: Sequence[str] | None,
    sort: str | None,
    limit: int | None,
    default: Sequence[str] | None = None,
    rank: str | None = None,
) -> pd.DataFrame:
    """Sort, cut and choose as the options of those names ask for.

    Parameters
    ----------
    frame : DataFrame
    columns, sort, limit
        As given by the user.
    default : sequence of str, default=None
        Columns where none are asked for; None: all.
    rank : str, default=None
        The column that ``rank`` is short for.
    """
    if sort:
        name = _column(frame, sort.removeprefix("-"), rank)
        frame = _sorted(frame, name, ascending=not sort.startswith("-"))
    if limit is not None:
        frame = frame.head(limit)
    if columns:
        asked = [name.strip() for text in columns for name in text.split(",")]
        return frame[_columns(frame, list(filter(None, asked)), rank)]
    return frame if default is None else frame[list(default)]


def _sorted(frame: pd.DataFrame, name: str, *, ascending: bool) -> pd.DataFrame:
    try:
        return frame.sort_values(name, ascending=ascending, kind="stable")
    except TypeError:
        # Values that have no order among them, as "auto" and 0.1: by type, then text.
        key = frame[name].map(lambda value: (type(value).__name__, str(value)))
        return frame.loc[key.sort_values(ascending=ascending, kind="stable").index]


def _columns(frame: pd.DataFrame, asked: Sequence[str], rank: str | None) -> list[str]:
    chosen: list[str] = []
    for name in asked:
        if name in frame.columns or not any(char in name for char in "*?"):
            chosen += (
                list(frame.columns) if name == "all" else [_column(frame, name, rank)]
            )
            continue
        found = [known for known in frame.columns if fnmatchcase(known, name)]
        if not found:
            raise UserError(f"No column is like {name!r}. {_there_are(frame)}")
        chosen += found
    return list(dict.fromkeys(chosen))


def _column(frame: pd.DataFrame, name: str, rank: str | None) -> str:
    """Find a column as a query finds it: also as ``param_<name>``, and ``rank``."""
    for known in (name, name.removeprefix("param_")):
        if known in frame.columns:
            return known
    if name == "rank" and rank is not None:
        return rank
    hint = did_you_mean(name, frame.columns) or _there_are(frame)
    raise UserError(f"There is no column {name!r}. {hint}")


def _there_are(frame: pd.DataFrame) -> str:
    names = list(frame.columns)
    return f"There are {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}."

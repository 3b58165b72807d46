"""The table of candidates, made from what a run has stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._records import REFIT, FitTable, RunSource

__all__ = ["candidates_frame", "main_column", "param_columns"]


def candidates_frame(
    keys: Sequence[Mapping[str, Any]], table: FitTable, source: RunSource
) -> pd.DataFrame:
    """Build the frame of :attr:`weightsearch.Run.candidates`."""
    results = source.cv_results()
    params = param_columns(keys, {*results, "status"})
    columns: dict[str, Any] = {column.name: column for column in params.values()}
    columns |= results or _unfinished_results(len(keys), table, source)
    columns["status"] = _status(len(keys), table)
    index = pd.RangeIndex(len(keys), name="candidate")
    return pd.DataFrame(columns, index=index)


def param_columns(
    keys: Sequence[Mapping[str, Any]], taken: Collection[str]
) -> dict[str, pd.Series]:
    """Give each param as a column.

    Parameters
    ----------
    keys : sequence of dict
        Params of each candidate.
    taken : collection of str
        Names that other columns have; a param of such a name is called
        ``param_<name>``.

    Returns
    -------
    columns : dict of str -> Series
        By the params' own names. A candidate without the param has ``pandas.NA``
        there, one whose value is None has None.
    """
    columns = {}
    for name in dict.fromkeys(name for key in keys for name in key):
        columns[name] = _column([key.get(name, pd.NA) for key in keys])
        columns[name].name = f"param_{name}" if name in taken else name
    return columns


def main_column(
    prefix: str, columns: Iterable[str], settings: Mapping[str, Any]
) -> str | None:
    """Name the column of the metric that a search refits by.

    Parameters
    ----------
    prefix : str
        ``"rank_test_"`` or ``"mean_test_"``.
    columns : iterable of str
    settings : dict
        Of the search.

    Returns
    -------
    str or None
        None where there is no such column; the first one where the search says
        nothing.
    """
    found = [column for column in columns if column.startswith(prefix)]
    main = f"{prefix}{settings.get('refit')}"
    return main if main in found else next(iter(found), None)


_NULLABLE = {bool: "boolean", int: "Int64", float: "Float64", str: "string"}
"""Plain types -> the type of pandas that has a gap where there is no value."""

_EXACT = 2**53
"""Whole numbers up to here are the same as floats."""


def _column(values: list[Any]) -> pd.Series:
    """A column of the plainest type that holds all values as they are.

    What is missing is ``pandas.NA``; None and nan are values.
    """
    cleaned = [_plain(value) for value in values]
    present = [value for value in cleaned if value is not pd.NA]
    kinds = {type(value) for value in present}
    if kinds == {int, float} and _fit_floats(present):
        kinds = {float}
    objects = pd.Series(cleaned, dtype=object)
    if len(kinds) != 1:
        return objects
    if len(present) == len(cleaned):
        return objects.infer_objects()
    nullable = _NULLABLE.get(kinds.pop())
    # A gap is no nan, and only one of them fits into such a column.
    if nullable is None or any(value != value for value in present):
        return objects
    try:
        return pd.Series(pd.array(cleaned, dtype=nullable))
    except OverflowError:  # a whole number of more than 64 bits
        return objects


def _fit_floats(values: list[Any]) -> bool:
    """Whether no whole number among them is too large for a float."""
    return all(abs(value) <= _EXACT for value in values if type(value) is int)


def _plain(value: Any) -> Any:
    """Return a numpy scalar as Python's own, where Python has its type."""
    if isinstance(value, np.bool_ | np.number | np.str_) and not isinstance(
        value, np.longdouble | np.clongdouble | np.timedelta64
    ):
        return value.item()
    return value


def _status(n_candidates: int, table: FitTable) -> list[str]:
    status = np.full(n_candidates, "no refit", dtype=object)
    refit = (table.split == REFIT) & ~table.failed
    status[table.candidate[refit]] = "ok"
    # A later row of the same fit replaces an earlier one that failed.
    last: dict[tuple[int, int], bool] = {
        (int(candidate), int(split)): bool(failed)
        for candidate, split, failed in zip(
            table.candidate, table.split, table.failed, strict=True
        )
    }
    for (candidate, _), failed in last.items():
        if failed:
            status[candidate] = "failed"
    return [str(text) for text in status]


def _unfinished_results(
    n_candidates: int, table: FitTable, source: RunSource
) -> dict[str, Any]:
    """Scores of the splits that have finished, for a run without results yet."""
    rows = [row for row in range(len(table)) if table.split[row] != REFIT]
    scores: dict[str, Any] = {}
    for row in rows:
        result = source.result(row)
        test = result.get("test_scores")
        named = test if isinstance(test, Mapping) else {"score": test}
        for metric, value in named.items():
            column = scores.setdefault(
                f"split{int(table.split[row])}_test_{metric}",
                np.full(n_candidates, np.nan),
            )
            column[table.candidate[row]] = value
    metrics = {name.split("_test_", 1)[1] for name in scores}
    means = {
        f"mean_test_{metric}": pd.DataFrame(
            {n: c for n, c in scores.items() if n.endswith(f"_test_{metric}")}
        ).mean(axis=1)
        for metric in sorted(metrics)
    }
    return {**dict(sorted(scores.items())), **means}

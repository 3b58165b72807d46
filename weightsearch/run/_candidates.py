"""The table of candidates: how it is built, and what of it is shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._display import did_you_mean, distinct
from weightsearch._params import show
from weightsearch._records import REFIT, FitTable, RunSource
from weightsearch._value_types import plain_scalar
from weightsearch.exceptions import QueryError

__all__ = [
    "best_first",
    "brief_columns",
    "candidates_frame",
    "cell_text",
    "comparable_rows",
    "exact_text",
    "fit_counts",
    "known_names",
    "main_column",
    "metric_column",
    "param_columns",
    "varying_params",
]

_FIRST = ("mean_test_", "rank_test_")
_DETAIL = re.compile(r"split\d+_.*|std_(test|train)_.*|(mean|std)_(fit|score)_time")


def candidates_frame(
    keys: Sequence[Mapping[str, Any]], table: FitTable, source: RunSource
) -> pd.DataFrame:
    """Build the frame of :attr:`weightsearch.Run.candidates`."""
    results = source.cv_results()
    params = param_columns(keys, {*results, "status"})
    found = results or _unfinished_results(len(keys), table, source)
    # What pandas shows on a narrow screen are the first and the last columns.
    first = (main_column(p, found, source.header.settings) for p in _FIRST)
    columns: dict[str, Any] = {name: found[name] for name in first if name}
    columns |= found
    columns["status"] = _status(len(keys), table)
    columns |= {str(column.name): column for column in params.values()}
    index = pd.RangeIndex(len(keys), name="candidate")
    return pd.DataFrame(columns, index=index)


def param_columns(
    keys: Sequence[Mapping[str, Any]], taken: Collection[str]
) -> dict[str, pd.Series]:
    """Return each param as a column.

    Parameters
    ----------
    keys : sequence of dict
        Params of each candidate.
    taken : collection of str
        Names of other columns; a param of such a name is called ``param_<name>``.

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
    """Return the name of the column of the metric that a search refits by.

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
        None where there is no such column; the first one where the search names no
        metric.
    """
    found = [column for column in columns if column.startswith(prefix)]
    main = f"{prefix}{settings.get('refit')}"
    return main if main in found else next(iter(found), None)


def metric_column(
    candidates: pd.DataFrame, settings: Mapping[str, Any], metric: str | None
) -> str:
    """Return the column of a metric: ``accuracy`` is ``mean_test_accuracy``.

    Parameters
    ----------
    candidates : DataFrame
        With the columns of ``cv_results_``.
    settings : dict
        Of the search.
    metric : str or None
        None: the one that the search refits by.

    Raises
    ------
    QueryError
        If there is no such column of numbers.
    """
    if metric is None:
        columns = map(str, candidates.columns)
        metric = main_column("mean_test_", columns, settings) or "mean_test_score"
    elif f"mean_test_{metric}" in candidates.columns:
        metric = f"mean_test_{metric}"
    numeric = list(candidates.select_dtypes("number").columns)
    return known_names(metric, numeric, "metric")[0]


def comparable_rows(candidates: pd.DataFrame, cv_results: Collection[str]) -> list[int]:
    """Return all candidates, of a halving search those of the first iteration.

    The first iteration covers all params, with equal resources.
    """
    if "iter" not in cv_results:
        return list(range(len(candidates)))
    first = candidates["iter"] == candidates["iter"].min()
    return [int(row) for row in np.flatnonzero(first)]


def varying_params(
    keys: Sequence[Mapping[str, Any]], rows: Sequence[int]
) -> pd.DataFrame:
    """Return the params that vary among some candidates; the index is their numbers.

    Raises
    ------
    QueryError
        If no param varies.
    """
    columns = param_columns(keys, ())
    varying = {
        name: column.iloc[rows]
        for name, column in columns.items()
        if len(set(map(distinct, column.iloc[rows]))) > 1
    }
    if not varying:
        raise QueryError(
            f"No param varies among the {len(rows)} candidates, so none explains "
            "anything."
        )
    return pd.DataFrame(varying)


def known_names(wanted: str | Iterable[str], known: list[str], what: str) -> list[str]:
    """Return the wanted names as a list.

    Raises
    ------
    QueryError
        If one is not known, with similar ones.
    """
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in known:
            hint = (
                did_you_mean(name, known) or f"There are {', '.join(known) or 'none'}."
            )
            raise QueryError(f"There is no {what} {name!r}. {hint}")
    return names


_NULLABLE = {bool: "boolean", int: "Int64", float: "Float64", str: "string"}
"""Python's types -> the nullable type of pandas."""

_EXACT = 2**53
"""Integers up to here are represented exactly by a float."""


def _column(values: list[Any]) -> pd.Series:
    """Return a column of the simplest type that represents all values exactly.

    Missing values are ``pandas.NA``; None and NaN are values.
    """
    cleaned = [plain_scalar(value) for value in values]
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
    # Nullable columns cannot tell NaN from a missing value.
    if nullable is None or any(value != value for value in present):
        return objects
    try:
        return pd.Series(pd.array(cleaned, dtype=nullable))
    except OverflowError:  # an integer of more than 64 bits
        return objects


def _fit_floats(values: list[Any]) -> bool:
    """Whether every integer among them is represented exactly by a float."""
    return all(abs(value) <= _EXACT for value in values if type(value) is int)


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
    """Return the scores of finished splits, for a run without results yet."""
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


def brief_columns(columns: Iterable[str]) -> list[str]:
    """Choose the params, mean scores, ranks and the status.

    Single splits, standard deviations and times are left out.
    """
    return [name for name in columns if not _DETAIL.fullmatch(name)]


def best_first(candidates: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Sort a search's candidates by the rank of the main score.

    While the search runs, by the mean of the splits so far: candidates that have all
    splits first.
    """
    rank = main_column("rank_test_", candidates.columns, settings)
    if rank is not None:
        return candidates.sort_values(rank, kind="stable")
    mean = main_column("mean_test_", candidates.columns, settings)
    if mean is None:
        return candidates
    splits = candidates.filter(regex=rf"^split\d+_{re.escape(mean[len('mean_') :])}$")
    keys = pd.DataFrame({"n": splits.notna().sum(axis=1), "mean": candidates[mean]})
    return candidates.loc[keys.sort_values(["n", "mean"], ascending=False).index]


def fit_counts(table: FitTable, source: RunSource) -> tuple[int, int | None, int]:
    """Return the numbers of fits of splits, of those planned, and of refits.

    What is planned is None where the splits are not stored. A search that decides as
    it goes, such as a halving search, plans more later.
    """
    refits = table.split == REFIT
    done = np.unique(np.stack([table.candidate, table.split])[:, ~refits], axis=1)
    planned = sum(one.count * len(one.pairs) for one in source.splits())
    return done.shape[1], planned or None, len(np.unique(table.candidate[refits]))


def cell_text(value: Any) -> str:
    """Return a value as a table shows it, floats to six digits."""
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    return exact_text(value)


def exact_text(value: Any) -> str:
    """Return a value's text with all digits; empty where it is missing."""
    if value is pd.NA:
        return ""
    try:
        return str(value)
    except ValueError:
        return show(value)

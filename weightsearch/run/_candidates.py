"""The table of candidates, made from what a run has stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._records import REFIT, FitTable, RunSource

__all__ = ["candidates_frame"]


def candidates_frame(
    keys: Sequence[Mapping[str, Any]], table: FitTable, source: RunSource
) -> pd.DataFrame:
    """Build the frame of :attr:`weightsearch.Run.candidates`."""
    results = source.cv_results()
    taken = {*results, "status"}
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for key in keys for name in key):
        column = f"param_{name}" if name in taken else name
        columns[column] = _column([key.get(name, _MISSING) for key in keys])
    columns |= results or _unfinished_results(len(keys), table, source)
    columns["status"] = _status(len(keys), table)
    index = pd.RangeIndex(len(keys), name="candidate")
    return pd.DataFrame(columns, index=index)


_MISSING = object()


def _column(values: list[Any]) -> pd.Series:
    """A column of the plainest type that holds all values as they are."""
    absent = [value is _MISSING for value in values]
    cleaned = [
        None if gone else value for value, gone in zip(values, absent, strict=True)
    ]
    kinds = {type(value) for value in cleaned}
    series = pd.Series(cleaned, dtype=object)
    if len(kinds) == 1 or kinds == {int, float}:
        return series.infer_objects()
    if type(None) in kinds and len(kinds) == 2 and kinds & {int, float, bool, str}:
        # Nullable types keep whole numbers whole beside a missing one.
        return series.convert_dtypes()
    return series


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

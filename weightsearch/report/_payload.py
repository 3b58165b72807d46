"""Encode a report's contents as compressed JSON."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._display import distinct, numbered
from weightsearch._records import Array

__all__ = ["as_python", "compressed", "cut", "facts_payload", "packed", "table_payload"]

TEXT_LIMIT = 200
"""Maximum characters of a cell or a column's name; longer ones are shortened."""
FACT_LIMIT = 500
FACTS_LIMIT = 500

_EXACT_INTEGERS = 2**53
_SEVERAL = re.compile(r"^split\d+_")


def compressed(payload: Mapping[str, Any]) -> str:
    """Encode as JSON, compressed by zlib, in base64."""
    text = json.dumps(payload, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode("utf-8"), 6)).decode("ascii")


def packed(array: Array, dtype: str) -> list[str]:
    """Encode an array as its type and base64, which preserves NaN and infinity.

    Single precision (``"f4"``) becomes double where it would lose a number: those too
    large become infinite in it, and those too small zero.
    """
    with np.errstate(over="ignore", under="ignore"):
        content = np.ascontiguousarray(array, dtype=np.dtype(dtype).newbyteorder("<"))
    if dtype == "f4":
        lost = (np.isinf(content) & np.isfinite(array)) | (
            (content == 0) & (array != 0)
        )
        if lost.any():
            return packed(array, "f8")
    return [dtype, base64.b64encode(content.tobytes()).decode("ascii")]


def cut(value: Any, limit: int = TEXT_LIMIT) -> str:
    """Return the text of a value, shortened if it is long."""
    text = value if isinstance(value, str) else repr(value)
    # Lone surrogates, which Python allows, cannot be written to a file.
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def facts_payload(facts: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """Return headings with their names and values, all as text."""
    return [
        [
            cut(heading),
            [
                [cut(name), cut(value, FACT_LIMIT)]
                for name, value in list(values.items())[:FACTS_LIMIT]
            ],
        ]
        for heading, values in facts.items()
    ]


def table_payload(
    candidates: pd.DataFrame,
    params: Sequence[str],
    score: str | None,
    budget: int,
    short: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], list[int]]:
    """Return the table of candidates, the best first.

    Parameters
    ----------
    candidates : DataFrame
        If not all rows fit, the first ones are kept.
    params : sequence of str
    score : str or None
        The column that plots show initially.
    budget : int
        Maximum bytes of the table in the page.
    short : dict of str -> str, default=None
        Short names of columns.

    Returns
    -------
    table : dict
        ``candidates``; ``score``, a column's position or None; ``columns``, each a
        ``name``, ``short``, ``role`` (``"param"``, ``"rank"``, ``"score"``,
        ``"split"``, ``"status"`` or ``"other"``), ``kind`` (``"number"`` or
        ``"text"``) and ``values``.
    kept : list of int
        The candidates in it.
    """
    numbers = [int(number) for number in candidates.index]
    columns = [
        _column(candidates.iloc[:, i], str(name), name in params, short or {})
        for i, name in enumerate(candidates.columns)
    ]
    sizes = np.zeros(len(numbers))
    for column in columns:
        sizes += _sizes(column["values"])
    kept = int(np.searchsorted(np.cumsum(sizes), budget, side="right"))
    for column in columns:
        values = column["values"][:kept]
        numeric = column["kind"] == "number"
        column["values"] = packed(values, "f8") if numeric else values
    names = [str(name) for name in candidates.columns]
    table = {
        "candidates": numbers[:kept],
        "columns": columns,
        "score": names.index(score) if score in names else None,
    }
    return table, numbers[:kept]


def _column(
    series: pd.Series, name: str, is_param: bool, short: Mapping[str, str]
) -> dict[str, Any]:
    column: dict[str, Any] = {
        "name": cut(name),
        "short": cut(short.get(name, name)),
        "role": _role(name, is_param),
    }
    numbers = _numbers(series)
    if numbers is not None:
        return {**column, "kind": "number", "values": numbers}
    gaps = [value is pd.NA or value is pd.NaT for value in series]
    values = list(map(as_python, series))
    # Different values of the same text are numbered.
    shown = numbered(list(map(distinct, values)), list(map(cut, values)))
    texts = [None if gap else text for gap, text in zip(gaps, shown, strict=True)]
    return {**column, "kind": "text", "values": texts}


def _numbers(series: pd.Series) -> Array | None:
    """Return the column as float64, or None where that would change its values."""
    kinds = {type(value) for value in series if value is not pd.NA}
    plain = (int, float, np.integer, np.floating)
    if not kinds or not all(issubclass(kind, plain) for kind in kinds) or bool in kinds:
        return None
    present = [v for v in series if isinstance(v, int | np.integer)]
    if any(abs(int(value)) > _EXACT_INTEGERS for value in present):
        return None
    values: Array = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def as_python(value: Any) -> Any:
    """Convert numpy scalars, whose repr names their type, to Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _role(name: str, is_param: bool) -> str:
    if is_param:
        return "param"
    if name == "status":
        return "status"
    if _SEVERAL.match(name):
        return "split"
    if name.startswith("rank_test_"):
        return "rank"
    return "score" if name.startswith("mean_test_") else "other"


def _sizes(values: Array | list[str | None]) -> Array:
    """Return the bytes of each value in the page."""
    if isinstance(values, list):
        return np.array([len(json.dumps(v)) for v in values], dtype=float)
    return np.full(len(values), 8 * 4 / 3)

"""A report's content as JSON that may stand inside an HTML page."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._display import distinct, numbered
from weightsearch._records import Array

__all__ = ["embedded_json", "facts_payload", "packed", "table_payload"]

TEXT_LIMIT = 200
"""Characters of a cell or a column's name; what is longer is cut and marked."""
FACT_LIMIT = 500
FACTS_LIMIT = 500

_EXACT_INTEGERS = 2**53
_SEVERAL = re.compile(r"^split\d+_")


def embedded_json(payload: Mapping[str, Any]) -> str:
    """Write JSON in which no character can end or open anything in HTML.

    All is ASCII; ``<``, ``>`` and ``&``, which JSON has only inside of strings, are
    written as escapes.
    """
    text = json.dumps(payload, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def packed(array: Array, dtype: str) -> str:
    """Bytes of an array in base64; NaN and infinity survive, unlike in JSON."""
    # A number too large for single precision is infinite there, and needs no warning.
    with np.errstate(over="ignore"):
        content = np.ascontiguousarray(array, dtype=np.dtype(dtype).newbyteorder("<"))
    return base64.b64encode(content.tobytes()).decode("ascii")


def cut(value: Any, limit: int = TEXT_LIMIT) -> str:
    """Text of a value, its beginning if it is long."""
    text = value if isinstance(value, str) else repr(value)
    # Half of a surrogate pair, which Python allows, cannot be written to a file.
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def facts_payload(facts: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """Headings with their names and values, all as text."""
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
    candidates: pd.DataFrame, params: Sequence[str], score: str | None, budget: int
) -> tuple[dict[str, Any], list[int]]:
    """Give the table of candidates, the best first.

    Parameters
    ----------
    candidates : DataFrame
        The first rows are kept if not all fit.
    params : sequence of str
    score : str or None
        The column that plots show at first.
    budget : int
        Bytes that the table may take in the page.

    Returns
    -------
    table : dict
        ``candidates``; ``score``, a column's position or None; ``columns``, each a
        ``name``, ``role`` (``"param"``, ``"rank"``, ``"score"``, ``"split"``,
        ``"status"`` or ``"other"``), ``kind`` (``"number"`` or ``"text"``) and
        ``values``.
    kept : list of int
        The candidates in it.
    """
    numbers = [int(number) for number in candidates.index]
    columns = [
        _column(candidates.iloc[:, i], str(name), name in params)
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


def _column(series: pd.Series, name: str, is_param: bool) -> dict[str, Any]:
    column: dict[str, Any] = {"name": cut(name), "role": _role(name, is_param)}
    numbers = _numbers(series)
    if numbers is not None:
        return {**column, "kind": "number", "values": numbers}
    gaps = [value is pd.NA or value is pd.NaT for value in series]
    values = list(map(_plain, series))
    # Values that are alike as far as they are shown get numbers.
    shown = numbered(list(map(distinct, values)), list(map(cut, values)))
    texts = [None if gap else text for gap, text in zip(gaps, shown, strict=True)]
    return {**column, "kind": "text", "values": texts}


def _numbers(series: pd.Series) -> Array | None:
    """The column as float64, or None where that would change what is in it."""
    kinds = {type(value) for value in series if value is not pd.NA}
    plain = (int, float, np.integer, np.floating)
    if not kinds or not all(issubclass(kind, plain) for kind in kinds) or bool in kinds:
        return None
    present = [v for v in series if isinstance(v, int | np.integer)]
    if any(abs(int(value)) > _EXACT_INTEGERS for value in present):
        return None
    values: Array = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _plain(value: Any) -> Any:
    """Scalars of numpy as Python's, which print without the type's name."""
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
    """Bytes that each value takes in the page."""
    if isinstance(values, list):
        return np.array([len(embedded_json({"": v})) - 5 for v in values], dtype=float)
    return np.full(len(values), 8 * 4 / 3)

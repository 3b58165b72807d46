"""Params and scores of any fitted search or run, and params as positions on an axis."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from weightsearch._display import distinct
from weightsearch._records import Array
from weightsearch.compare import param_importance
from weightsearch.plot._base import Display, check_matplotlib
from weightsearch.plot._reading import shorten, value_text, value_texts
from weightsearch.run import Run
from weightsearch.run._candidates import (
    comparable_rows,
    known_names,
    metric_column,
    param_columns,
    varying_params,
)

__all__ = [
    "ParamScale",
    "Results",
    "ResultsDisplay",
    "is_finite",
    "param_scale",
    "short_names",
]

_MOST_LEVELS = 12
_BELOW = -0.12


@dataclass
class Results:
    """Params and scores of a search's candidates.

    Attributes
    ----------
    keys : list of dict
        Params of each candidate.
    candidates : DataFrame
        Columns of ``cv_results_``, one row per candidate.
    settings : mapping
        Of the search: ``refit`` and ``scoring``.
    """

    keys: Sequence[Mapping[str, Any]]
    candidates: pd.DataFrame
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, source: Any) -> Self:
        """Read a run, or a fitted search with ``cv_results_``."""
        if isinstance(source, Run):
            keys = [source.params(number) for number in range(len(source))]
            return cls(keys, source.candidates, source.settings)
        results = dict(source.cv_results_)
        keys = list(results.pop("params"))
        taken = {f"param_{name}" for key in keys for name in key}
        columns = {name: v for name, v in results.items() if name not in taken}
        settings = {n: getattr(source, n, None) for n in ("refit", "scoring")}
        return cls(keys, pd.DataFrame(columns), settings)

    def metric(self, metric: str | None) -> str:
        """Return the column of a metric; see ``Run.param_importance``."""
        return metric_column(self.candidates, self.settings, metric)

    def rows(self, candidates: Iterable[int] | None) -> list[int]:
        """Return candidates; None: all that are comparable."""
        if candidates is not None:
            return [int(number) for number in candidates]
        return comparable_rows(self.candidates, list(map(str, self.candidates)))

    def params(
        self, rows: Sequence[int], names: str | Iterable[str] | None = None
    ) -> pd.DataFrame:
        """Return the params that vary, or those that are named, by their own names."""
        if names is None:
            return varying_params(self.keys, rows)
        columns = param_columns(self.keys, ())
        chosen = known_names(names, list(columns), "param")
        return pd.DataFrame({n: columns[n].iloc[list(rows)] for n in chosen})

    def scores(self, metric: str, rows: Sequence[int]) -> Array:
        """Return a column as float64."""
        found: Array = self.candidates[metric].iloc[list(rows)].to_numpy(np.float64)
        return found

    def split_scores(self, metric: str, rows: Sequence[int]) -> Array | None:
        """Return the scores of each split, (n, n_splits); None if there are none."""
        name = re.match(r"mean_(test|train)_(.*)", metric)
        if name is None:
            return None
        pattern = re.compile(rf"split\d+_{name[1]}_{re.escape(name[2])}")
        columns = [c for c in map(str, self.candidates) if pattern.fullmatch(c)]
        if not columns:
            return None
        found: Array = self.candidates[columns].iloc[list(rows)].to_numpy(np.float64)
        return found

    def by_importance(self, metric: str, rows: Sequence[int]) -> list[str]:
        """Return the params that vary, the most important for a metric first."""
        found = param_importance(self.params(rows), self.scores(metric, rows))
        return list(found.loc[found["other"] == "", "param"])


class ResultsDisplay(Display):
    """Base of displays of params and scores, which need no weights."""

    @classmethod
    def from_search(cls, search: Any, *args: Any, **options: Any) -> Self:
        """Draw the candidates of any fitted search.

        Parameters
        ----------
        search : GridSearchCV, RandomizedSearchCV or another search
            Fitted, with ``cv_results_``; of scikit-learn or of this package.
        *args, **options
            As for ``from_run``.

        Returns
        -------
        display : Display
            With its artists as attributes.
        """
        check_matplotlib(f"{cls.__name__}.from_search")
        return cls._from_results(Results.of(search), *args, **options)

    @classmethod
    def _from_results(cls, results: Results, *args: Any, **options: Any) -> Self:
        raise NotImplementedError


def short_names(names: Iterable[str], width: int = 28) -> dict[str, str]:
    """Return params' names without the steps of a pipeline, where that is unique."""
    names = list(names)
    last = {name: name.rpartition("__")[2] or name for name in names}
    counts = pd.Series(list(last.values())).value_counts()
    # The end of a long name says more than its beginning.
    return {
        name: _ending(short if counts[short] == 1 else name, width)
        for name, short in last.items()
    }


def _ending(name: str, width: int) -> str:
    name = shorten(name, max(width, len(name)))
    return name if len(name) <= width else f"…{name[1 - width :]}"


@dataclass
class ParamScale:
    """Positions of a param's values on an axis.

    Attributes
    ----------
    positions : ndarray of shape (n,)
        Of each value. Levels are at 0, 1, 2 and so on; many numbers at their value, or
        its decimal logarithm, between ``low`` and ``high``; what is not a number lies
        below them.
    ticks : list of float
    labels : list of str
    low, high : float
        Ends of the axis.
    is_log : bool
        Whether the positions are logarithms.
    is_levels : bool
        Whether the positions are those of levels.
    """

    positions: Array
    ticks: list[float]
    labels: list[str]
    low: float
    high: float
    is_log: bool = False
    is_levels: bool = True


def param_scale(values: Sequence[Any], most: int = _MOST_LEVELS) -> ParamScale:
    """Return the positions of a param's values.

    Parameters
    ----------
    values : sequence of object
        ``pandas.NA`` is missing: the candidate does not have the param.
    most : int, default=12
        Most distinct numbers that are drawn as levels, in their order. Other values
        are levels, however many, in the order of their first appearance.
    """
    values = list(values)
    codes = list(map(distinct, values))
    levels = dict(zip(codes, values, strict=True))
    ordered = list(dict.fromkeys(codes))
    numeric = [code for code in ordered if is_finite(levels[code])]
    others = [code for code in ordered if not is_finite(levels[code])]
    if len(numeric) > most and len(others) <= 2:
        return _continuous(values, others, codes)
    numeric.sort(key=lambda code: float(levels[code]))
    # None and missing values are last.
    others.sort(key=lambda code: (levels[code] is pd.NA, levels[code] is None))
    at = {code: position for position, code in enumerate([*numeric, *others])}
    texts = value_texts(
        ["absent" if levels[code] is pd.NA else levels[code] for code in at], 18
    )
    return ParamScale(
        np.array([at[code] for code in codes], dtype=float),
        list(map(float, at.values())),
        texts,
        0.0,
        float(max(len(at) - 1, 0)),
    )


def _continuous(values: list[Any], others: list[Any], codes: list[Any]) -> ParamScale:
    from matplotlib.ticker import MaxNLocator

    numbers = np.array([float(v) for v in values if is_finite(v)])
    is_log = _even_on_log(numbers)
    scaled = np.log10(numbers) if is_log else numbers
    low, high = float(scaled.min()), float(scaled.max())
    ticks = [float(t) for t in MaxNLocator(5, integer=is_log).tick_values(low, high)]
    ticks = [t for t in ticks if low <= t <= high]
    if is_log and len(ticks) < 2:
        ticks = [low, high]
    labels = [value_text(10**t) if is_log else value_text(t) for t in ticks]
    positions = np.empty(len(values))
    positions[[is_finite(value) for value in values]] = scaled
    for place, code in enumerate(others):
        below = low + (place + 1) * _BELOW * (high - low)
        positions[[one == code for one in codes]] = below
        value = values[codes.index(code)]
        ticks.append(below)
        labels.append("absent" if value is pd.NA else value_text(value))
    bottom = low + len(others) * _BELOW * (high - low)
    return ParamScale(positions, ticks, labels, bottom, high, is_log, False)


def _even_on_log(numbers: Array) -> bool:
    """Return whether numbers are spread more evenly by their logarithms."""
    low, high = float(numbers.min()), float(numbers.max())
    if low <= 0 or high < 10 * low:
        return False
    middle = float(np.median(numbers))
    linear = (middle - low) / (high - low)
    logarithmic = math.log(middle / low) / math.log(high / low)
    return abs(logarithmic - 0.5) < abs(linear - 0.5)


def is_finite(value: Any) -> bool:
    """Return whether a value is a finite number, not a boolean."""
    if isinstance(value, bool | np.bool_):
        return False
    return isinstance(value, int | float | np.number) and bool(np.isfinite(value))

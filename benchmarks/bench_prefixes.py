"""Pipelines that begin alike: searches that share first steps, and those that do not.

python benchmarks/bench_prefixes.py [--quick]

Every search must have the results of GridSearchCV, to the bit; only then it counts.
Times are of the processor, in one process, so that other work disturbs them little.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _harness import Figure, Settings, alternate, main
from _kinds import digits, frame, texts
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.naive_bayes import ComplementNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)
from sklearn.utils import _safe_indexing

from weightsearch import WeightTrackingGridSearchCV

N_SPLITS = 3
SIZES, SIZES_QUICK = (16, 32, 200), (32,)
LARGE = 200
N_SLOW = 1
"""Rounds of grids that take minutes."""


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    warnings.simplefilter("ignore")
    figures = []
    for work in works(settings.quick):
        figures += _rows(settings, work)
    return figures


@dataclass
class Work:
    """A search of a pipeline.

    Attributes
    ----------
    name : str
        The pipeline in a word.
    pipeline : Pipeline
    grid : dict of str -> list
    data : tuple
        X and y.
    expected : dict
        ``cv_results_`` of the last GridSearchCV, without times.
    """

    name: str
    pipeline: Pipeline
    grid: Mapping[str, list[Any]]
    data: tuple[Any, Any] = field(repr=False)
    expected: dict[str, Any] = field(default_factory=dict, repr=False)


def works(quick: bool) -> list[Work]:
    """Return all searches: four pipelines, with grids of several sizes."""
    made = []
    for size in SIZES_QUICK if quick else SIZES:
        is_large = size >= LARGE
        values = np.logspace(-2, 2, 10 if is_large else size // 4).round(4).tolist()
        n_rows = 100 if quick else 400 if is_large else 1_000
        made += [
            _scale_select_pca(values, is_large, n_rows),
            _tfidf(values, is_large, n_rows),
            _columns(values, is_large, n_rows),
            _network(values, is_large, n_rows),
        ]
    return made


def _scale_select_pca(values: list[float], is_large: bool, n_rows: int) -> Work:
    steps = [
        ("scale", StandardScaler()),
        ("select", SelectKBest()),
        ("pca", PCA(random_state=0)),
        ("model", LogisticRegression(max_iter=50)),
    ]
    grid = {
        "select__k": [30, 40, 45, 50] if is_large else [30, 50],
        "pca__n_components": [5, 10, 15, 20, 25] if is_large else [10, 20],
        "model__C": values,
    }
    return Work("digits", Pipeline(steps), grid, _some(digits(), n_rows))


def _some(data: tuple[Any, Any], n_rows: int) -> tuple[Any, Any]:
    """Return some rows of data, all kinds of targets among them."""
    X, y = data
    chosen = np.random.default_rng(0).permutation(len(y))[:n_rows]
    return _safe_indexing(X, chosen), y[chosen]


def _tfidf(values: list[float], is_large: bool, n_rows: int) -> Work:
    X, y = _some(texts(), n_rows)
    steps = [("tfidf", TfidfVectorizer()), ("model", ComplementNB())]
    grid = {
        "tfidf__ngram_range": [(1, 1), (1, 2)],
        "tfidf__min_df": [1, 2, 3, 4, 5] if is_large else [1, 2],
        "tfidf__sublinear_tf": [False, True] if is_large else [True],
        "model__alpha": values,
    }
    return Work("text", Pipeline(steps), grid, ([text[:1000] for text in X], y))


def _columns(values: list[float], is_large: bool, n_rows: int) -> Work:
    X, y = _some(frame(), n_rows)
    numbers = Pipeline(
        [
            ("quantile", QuantileTransformer(n_quantiles=100)),
            ("spline", SplineTransformer()),
        ]
    )
    columns = ColumnTransformer(
        [
            ("numbers", numbers, list(X.columns[:15])),
            ("levels", OneHotEncoder(handle_unknown="ignore"), list(X.columns[15:])),
        ]
    )
    steps = [("columns", columns), ("model", LogisticRegression(max_iter=50))]
    fractions = [None, 0.1, 0.18, 0.21]
    grid = {
        "columns__numbers__spline__n_knots": [*range(4, 9)] if is_large else [4, 6],
        "columns__levels__min_frequency": fractions if is_large else fractions[:2],
        "model__C": values,
    }
    return Work("frame", Pipeline(steps), grid, (X, y))


def _network(values: list[float], is_large: bool, n_rows: int) -> Work:
    model = MLPClassifier((15,), max_iter=20, n_iter_no_change=20, random_state=0)
    steps = [("scale", StandardScaler()), ("model", model)]
    rates = np.logspace(-4, -1, 20 if is_large else 4).tolist()
    grid = {"model__alpha": values, "model__learning_rate_init": rates}
    return Work("network", Pipeline(steps), grid, _some(digits(), n_rows))


def _rows(settings: Settings, work: Work) -> list[Figure]:
    count = len(ParameterGrid(work.grid))
    is_large = count >= LARGE
    samples = alternate(
        replace(settings, repeats=N_SLOW) if is_large else settings,
        partial(_plain, work),
        partial(_memory, work),
        partial(_ours, work, "shared", True),
        partial(_ours, work, "share_prefixes=False", False),
        warm_up=not is_large,
    )
    what = f"{work.name}, {count} candidates x {N_SPLITS} splits"
    what += f", {N_SLOW} round" if is_large else ""
    # In a search of a second, opening the store counts as much as the fits.
    judged = not settings.quick
    kind = "text" if work.name == "text" else "shared"
    return [
        samples.ratio(
            f"prefixes.{key}:{work.name}-{count}",
            f"{named} / GridSearchCV; {what}",
            "s",
            series,
            "GridSearchCV",
            judged=judged,
        )
        for key, named, series in (
            (kind, 'capture="splits", first steps shared', "shared"),
            ("alone", "the same with share_prefixes=False", "share_prefixes=False"),
            ("memory", "GridSearchCV with memory= on disk", "memory"),
        )
    ]


def _plain(work: Work, _: Path) -> dict[str, float]:
    search = GridSearchCV(work.pipeline, work.grid, cv=N_SPLITS)
    start = time.process_time()
    search.fit(*work.data)
    seconds = time.process_time() - start
    work.expected = _without_times(search)
    return {"GridSearchCV": seconds}


def _memory(work: Work, folder: Path) -> dict[str, float]:
    pipeline = clone(work.pipeline).set_params(memory=str(folder))
    search = GridSearchCV(pipeline, work.grid, cv=N_SPLITS)
    return {"memory": _seconds(work, search)}


def _ours(work: Work, series: str, share: bool, folder: Path) -> dict[str, float]:
    search = WeightTrackingGridSearchCV(
        work.pipeline,
        work.grid,
        cv=N_SPLITS,
        store=folder / "search.h5",
        capture="splits",
        share_prefixes=share,
    )
    return {series: _seconds(work, search)}


def _seconds(work: Work, search: Any) -> float:
    start = time.process_time()
    search.fit(*work.data)
    seconds = time.process_time() - start
    found = _without_times(search)
    assert list(found) == list(work.expected)
    for name, column in work.expected.items():
        np.testing.assert_array_equal(found[name], column, name)
    return seconds


def _without_times(search: Any) -> dict[str, Any]:
    return {
        name: column
        for name, column in search.cv_results_.items()
        if not name.endswith("_time")
    }


if __name__ == "__main__":
    main("prefixes", measure, __doc__)

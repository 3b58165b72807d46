"""Large searches: cost per fit and reading, as candidates, splits and bytes grow.

python benchmarks/bench_large.py [--quick]

Times are of the processor, in one process, so that other work disturbs them little.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _harness import Figure, Settings, alternate, main
from _models import RandomWeights
from _samples import header, models, params, records, results
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

from weightsearch import WeightStore, WeightTrackingGridSearchCV
from weightsearch.store import WriteSession

N_ROWS = 100
CANDIDATES, CANDIDATES_QUICK = (100, 1_000), (100,)
SPLITS, SPLITS_QUICK = (3, 10, 30), (10,)
N_WEIGHTS, N_WEIGHTS_QUICK = (1_000, 100_000, 1_000_000), (100_000,)
STORED, STORED_QUICK = (1_000, 10_000, 100_000), (1_000, 10_000)
TINY = {"coef_": (10,), "intercept_": (1,)}


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    quick = settings.quick
    figures = []
    for count in CANDIDATES_QUICK if quick else CANDIDATES:
        for capture in ("none", "splits"):
            figures.append(_search(settings, count, 3, capture))
    for n_splits in SPLITS_QUICK if quick else SPLITS:
        figures.append(_search(settings, 30, n_splits, "splits"))
    for n_weights in N_WEIGHTS_QUICK if quick else N_WEIGHTS:
        figures.append(_bytes(settings, n_weights))
    for count in STORED_QUICK if quick else STORED:
        figures += _reading(settings, count)
    return figures


# -- searches -------------------------------------------------------------------


def _search(settings: Settings, count: int, n_splits: int, capture: str) -> Figure:
    """Fits of about 1 ms."""
    X, y = load_diabetes(return_X_y=True)
    alphas = np.logspace(-4, 4, count).tolist()
    return _per_fit(
        settings,
        f"large.{capture}:{count}x{n_splits}",
        f"{count:,} candidates x {n_splits} splits of a fit of 1 ms",
        partial(_fitted, Ridge(), {"alpha": alphas}, X[:N_ROWS], y[:N_ROWS], n_splits),
        count * n_splits,
        capture,
    )


def _bytes(settings: Settings, n_weights: int) -> Figure:
    """Models that are large and quickly fitted."""
    X, y = np.zeros((30, 1)), np.arange(30) % 2
    count = max(10, min(100, 10_000_000 // n_weights))
    return _per_fit(
        settings,
        f"large.bytes:{n_weights}",
        f"{count} candidates x 2 splits of models of {8 * n_weights / 1e6:g} MB",
        partial(
            _fitted, RandomWeights(0, n_weights), {"seed": [*range(count)]}, X, y, 2
        ),
        2 * count,
        "splits",
    )


def _fitted(
    estimator: Any, grid: Mapping[str, Any], X: Any, y: Any, n_splits: int, make: Any
) -> float:
    """Seconds of the processor that a search takes."""
    search = make(estimator, grid, cv=n_splits, refit=False)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)
    return time.process_time() - start


def _per_fit(
    settings: Settings,
    key: str,
    what: str,
    fitted: Callable[[Any], float],
    n_fits: int,
    capture: str,
) -> Figure:
    """Make a row of what a fit costs more than in GridSearchCV."""

    def ours(folder: Path) -> dict[str, float]:
        make = partial(
            WeightTrackingGridSearchCV,
            store=folder / "search.h5",
            capture="refit" if capture == "none" else capture,
        )
        return {"ours": 1e3 * fitted(make) / n_fits}

    def theirs(_: Path) -> dict[str, float]:
        return {"GridSearchCV": 1e3 * fitted(GridSearchCV) / n_fits}

    samples = alternate(settings, ours, theirs, warm_up=False)
    pairs = zip(samples["ours"], samples["GridSearchCV"], strict=True)
    kept = "scores alone" if capture == "none" else f"capture={capture!r}"
    return Figure(
        key,
        f"more than GridSearchCV per fit, {kept}; {what}",
        "ms",
        [a - b for a, b in pairs],
        dict(samples),
        "ms",
    )


# -- reading --------------------------------------------------------------------


def _reading(settings: Settings, count: int) -> list[Figure]:
    """A store of tiny models: what takes longer the more candidates there are."""
    weights = models(TINY, count)
    samples = alternate(settings, partial(_read, weights), warm_up=False)
    return [
        samples.value(
            f"large.{series}:{count}",
            f"{what}, a store of {count:,} candidates; per 10,000",
            "s",
            series,
        )
        for series, what in (
            ("append", "log and append"),
            ("listed", "open, list and query"),
            ("stats", "statistics of all weights"),
            ("verify", "verify"),
        )
    ]


def _read(weights: Any, folder: Path) -> dict[str, float]:
    path = folder / "search.h5"
    encoded, fits, found = params(len(weights)), records(weights), results(weights)
    taken = {}

    def watched(name: str, what: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = what()
        taken[name] = (time.process_time() - start) * 10_000 / len(weights)
        return result

    def append() -> None:
        with WriteSession.open(path, durable=False) as session:
            session.begin(header())
            session.set_params(0, encoded)
            for record in fits:
                session.append(record)
            session.commit(found)

    def listed() -> Any:
        run = WeightStore(path).run()
        run.query("mean_test_score > 0.9 and alpha < 0.01")
        return run

    watched("append", append)
    run = watched("listed", listed)
    watched("stats", run.stats)
    with WeightStore(path) as store:
        assert watched("verify", store.verify) == []
    return taken


if __name__ == "__main__":
    main("large", measure, __doc__)

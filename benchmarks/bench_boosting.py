"""A grid of 60 GradientBoosting candidates, all of whose models are kept.

python benchmarks/bench_boosting.py [--quick]
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _harness import Figure, Settings, Stopwatch, alternate, main
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from weightsearch import WeightStore, WeightTrackingGridSearchCV

N_SPLITS = 3
ROUNDS = 3
CV = StratifiedKFold(N_SPLITS)
ESTIMATOR = GradientBoostingClassifier(max_features="sqrt", random_state=0)
GRID = {
    "n_estimators": [10, 20, 30, 40],
    "learning_rate": [0.05, 0.1, 0.2, 0.3, 0.5],
    "max_depth": [2, 3, 4],
}
QUICK = {**GRID, "n_estimators": [5], "max_depth": [2]}


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"
    grid = QUICK if settings.quick else GRID
    n_candidates = int(np.prod([len(values) for values in grid.values()]))
    # A split's fit sees (k-1)/k of the rows, a refit all of them.
    splits = n_candidates * (N_SPLITS - 1)
    rows = (splits + n_candidates) / (splits + 1)
    judged = not settings.quick
    size = f"{n_candidates} GradientBoosting candidates x {N_SPLITS} splits"
    times = alternate(
        replace(settings, repeats=ROUNDS),
        partial(_plain, grid),
        partial(_tracking, grid),
        warm_up=False,
    )
    models = alternate(
        replace(settings, repeats=1), partial(_models, grid), warm_up=False
    )
    return [
        times.ratio(
            "boosting.time",
            f'capture="both" / GridSearchCV x rows to fit; {size}',
            "s",
            "both",
            "GridSearchCV",
            times=rows,
            judged=judged,
        ),
        models.ratio(
            "boosting.size",
            f"store / sum of pickles' sizes; {size} and refits",
            "MB",
            "store",
            "pickles",
            judged=judged,
        ),
        models.ratio(
            "boosting.rebuild",
            f"all {n_candidates} refits rebuilt from the store / pickle.loads",
            "ms per model",
            "rebuild",
            "pickle.loads",
            judged=judged,
        ),
        models.value(
            "boosting.equal",
            "rebuilt models, refits and splits, that predict bit for bit what models "
            "fitted by hand predict",
            "of all",
            "equal",
        ),
    ]


def _plain(grid: Mapping[str, Any], _: Path) -> dict[str, float]:
    X, y = load_digits(return_X_y=True)
    with Stopwatch() as watch:
        GridSearchCV(ESTIMATOR, grid, cv=CV).fit(X, y)
    return {"GridSearchCV": watch.seconds}


def _tracking(grid: Mapping[str, Any], folder: Path) -> dict[str, float]:
    X, y = load_digits(return_X_y=True)
    with Stopwatch() as watch:
        _search(grid, folder / "search.h5").fit(X, y)
    return {"both": watch.seconds}


def _search(grid: Mapping[str, Any], path: Path) -> WeightTrackingGridSearchCV:
    return WeightTrackingGridSearchCV(
        ESTIMATOR, grid, cv=CV, capture="both", store=path
    )


def _models(grid: Mapping[str, Any], folder: Path) -> dict[str, float]:
    """Size, and time of loading all, beside pickles of models fitted by hand."""
    X, y = load_digits(return_X_y=True)
    path = folder / "search.h5"
    candidates = _search(grid, path).fit(X, y).cv_results_["params"]
    everything = np.arange(len(X))
    parts = [(None, everything), *((n, t) for n, (t, _) in enumerate(CV.split(X, y)))]
    wanted, pickles = [], []
    for candidate, params in enumerate(candidates):
        for split, train in parts:
            model = clone(ESTIMATOR).set_params(**params).fit(X[train], y[train])
            wanted.append((candidate, split))
            pickles.append(pickle.dumps(model))
    refits = [n for n, (_, split) in enumerate(wanted) if split is None]
    with WeightStore(path) as store:
        run = store.run()
        rebuilt, loaded = [], []
        with Stopwatch() as ours:
            rebuilt += run._iter_models([wanted[n] for n in refits])
        with Stopwatch() as theirs:
            loaded += [pickle.loads(pickles[n]) for n in refits]
        equal = sum(
            np.array_equal(model.predict_proba(X), pickle.loads(raw).predict_proba(X))
            for model, raw in zip(run._iter_models(wanted), pickles, strict=True)
        )
    return {
        "store": path.stat().st_size / 1e6,
        "pickles": sum(map(len, pickles)) / 1e6,
        "rebuild": 1e3 * ours.seconds / len(rebuilt),
        "pickle.loads": 1e3 * theirs.seconds / len(loaded),
        "equal": equal / len(wanted),
    }


if __name__ == "__main__":
    main("boosting", measure, __doc__)

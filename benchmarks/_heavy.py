"""Searches and stores of large models, each in a process whose memory is watched.

python benchmarks/_heavy.py {plain,tracked,append,reading} FOLDER COUNT
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _children
import numpy as np
from _models import N_WEIGHTS, RandomWeights
from _samples import header, params, results
from sklearn.model_selection import GridSearchCV

from weightsearch import WeightStore, WeightTrackingGridSearchCV
from weightsearch._records import OK, REFIT, FitRecord, Weights
from weightsearch.store import WriteSession

N_JOBS = 2
N_SPLITS = 2


def plain(folder: Path, count: int) -> None:
    """GridSearchCV, whose models nobody keeps."""
    _search(GridSearchCV, count)


def tracked(folder: Path, count: int) -> None:
    """The same with every candidate's refit kept, and put into the store's file."""
    _search(WeightTrackingGridSearchCV, count, store=folder / "search.h5")


def _search(cls: Callable[..., Any], count: int, **options: Any) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 10)), np.arange(200) % 2
    grid = {"seed": list(range(count))}
    search = cls(RandomWeights(), grid, cv=N_SPLITS, n_jobs=N_JOBS, **options)
    _children.phase("all")
    search.fit(X, y)
    _children.finish()


def append(folder: Path, count: int) -> None:
    """From the log to the file, all at once."""
    one = np.random.default_rng(0).normal(size=N_WEIGHTS)
    ending = results([Weights({"coef_": one})] * count)
    with WriteSession.open(folder / "search.h5") as session:
        session.begin(header())
        session.set_params(0, params(count))
        for number in range(count):
            weights = Weights({"coef_": one + number})
            session.append(
                FitRecord(number, REFIT, OK, f"{number:032x}", _RESULT, weights)
            )
        _children.phase("all")
        session.commit(ending)
    _children.finish()


_RESULT = {
    "test_scores": 0.9,
    "train_scores": None,
    "n_test_samples": 100,
    "fit_time": 0.01,
    "score_time": 0.001,
    "fit_error": None,
}


def reading(folder: Path, count: int) -> None:
    """Every candidate's weights, one after the other."""
    with WeightStore(folder / "search.h5") as store:
        run = store.run()
        candidates = list(run.candidates.index)
        _children.phase("all")
        total = sum(float(run.weights(number)["coef_"][0]) for number in candidates)
    _children.finish(total=total)


if __name__ == "__main__":
    ways = {way.__name__: way for way in (plain, tracked, append, reading)}
    ways[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))

"""Many Keras fits in one process: the time and the memory of each.

python benchmarks/_keras_search.py {plain,splits} FOLDER N_CANDIDATES N_SPLITS
"""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path
from typing import Any

import _children
import numpy as np
import psutil
from _models import network
from scikeras.wrappers import KerasClassifier
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from weightsearch import WeightTrackingGridSearchCV

N_ROWS = 400
N_LAST = 5
"""Fits whose median stands for the last one, and for the first."""

_seen: list[tuple[float, float, float]] = []


def watched(model: Any, X: Any, y: Any) -> float:
    """Score, and note when it begins and ends, and the memory between, in MB."""
    begun = time.perf_counter()
    score = float(model.score(X, y))
    # Models are in cycles, so memory would tell when they were last looked for.
    gc.collect()
    memory = psutil.Process().memory_info().rss / 1e6
    _seen.append((begun, memory, time.perf_counter()))
    return score


def main(way: str, folder: Path, n_candidates: int, n_splits: int) -> None:
    """Search, and say how the last fits were beside the first."""
    X, y = load_digits(return_X_y=True)
    X = X[:N_ROWS] / 16
    grid = {"model__units": list(range(8, 8 + n_candidates))}
    model = KerasClassifier(
        network, model__units=8, epochs=1, verbose=0, random_state=0
    )
    options: dict[str, Any] = {"cv": n_splits, "refit": False, "scoring": watched}
    if way == "plain":
        search = GridSearchCV(model, grid, **options)
    else:
        search = WeightTrackingGridSearchCV(
            model, grid, store=folder / "search.h5", capture=way, **options
        )
    search.fit(X, y[:N_ROWS])
    begun, memory, ended = map(np.array, zip(*_seen, strict=True))
    # From one score to the next: the rest of one fit, and most of another one.
    times = begun[1:] - ended[:-1]
    # The first fits make what stays; what comes with every further one is growth.
    growth, _ = np.polyfit(np.arange(len(memory))[N_LAST:], memory[N_LAST:], 1)
    _children.finish(
        **{
            f"last fit, {way}": float(np.median(times[-N_LAST:])),
            f"first fits, {way}": float(np.median(times[:N_LAST])),
            f"growth, {way}": float(growth),
        }
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))

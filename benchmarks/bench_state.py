"""What makes a model of weights again: time to take it down, and room in the store.

python benchmarks/bench_state.py [--quick]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _harness import Figure, Settings, Stopwatch, alternate, main
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from weightsearch import WeightTrackingGridSearchCV
from weightsearch.frameworks._registry import collect_weights
from weightsearch.frameworks._state import capture_state

LIMIT = 120
"""Seconds that a new process may take."""


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the workers
    figures = []
    for key, words, model, times in (
        ("logistic", "logistic regression", LogisticRegression(max_iter=100), 20),
        ("mlp", "network, 15 hidden units, 40 epochs", _network(40), 20),
        ("forest", "forest of 100 trees", RandomForestClassifier(random_state=0), 1),
    ):
        samples = alternate(settings, partial(_times, model, times))
        figures.append(
            samples.ratio(
                f"state.{key}",
                f"state of a model / its fit; {words}, the digits",
                "ms",
                "state",
                "fit",
            )
        )
    figures += _first(settings)
    for count in (100,) if settings.quick else (100, 1_000):
        samples = alternate(
            replace(settings, repeats=1), partial(_size, count), warm_up=False
        )
        figures.append(
            samples.ratio(
                f"state.size_{count}",
                f"size of a store of {count:,} candidates of 9 KB, each with its "
                "state / bytes of their arrays",
                "MB",
                "store",
                "arrays",
            )
        )
    return figures


def _network(n_epochs: int) -> Any:
    return MLPClassifier((15,), max_iter=n_epochs, random_state=0)


def _times(model: Any, times: int, _: Path) -> dict[str, float]:
    X, y = load_digits(return_X_y=True)
    fitted = clone(model)
    with Stopwatch() as fit:
        fitted.fit(X / 16, y)
    weights, _notes = collect_weights(fitted)
    assert weights is not None
    seconds = []
    for _repeat in range(times):
        with Stopwatch() as state:
            capture_state(fitted, weights)
        seconds.append(state.seconds)
    return {"fit": 1e3 * fit.seconds, "state": 1e3 * float(np.median(seconds))}


# -- the first one in a process ----------------------------------------------------

_SCRIPT = """
import json, time
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from weightsearch.frameworks._capture import capture
model = MLPClassifier((15,), max_iter=1).fit(*load_digits(return_X_y=True))
try:
    import psutil
except ImportError:
    memory = lambda: float("nan")
else:
    memory = lambda: psutil.Process().memory_info().rss / 1e6
before, start = memory(), time.perf_counter()
capture(model)
print(json.dumps({"first": time.perf_counter() - start, "memory": memory() - before}))
"""


def _first(settings: Settings) -> list[Figure]:
    def first(_: Path) -> dict[str, float]:
        command = [sys.executable, "-W", "ignore", "-c", _SCRIPT]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=LIMIT
        )
        values: dict[str, float] = json.loads(done.stdout)
        return values

    samples = alternate(settings, first)
    what = "first state in a process, which imports skops"
    figures = [samples.value("state.first", what, "s", "first")]
    if not np.isnan(samples["memory"]).any():
        words = f"{what}: resident memory"
        figures.append(samples.value("state.first_memory", words, "MB", "memory"))
    return figures


# -- room --------------------------------------------------------------------------


def _size(count: int, folder: Path) -> dict[str, float]:
    """Search with few epochs: what is stored is as large after many."""
    X, y = load_digits(return_X_y=True)
    path = folder / "search.h5"
    search = WeightTrackingGridSearchCV(
        _network(1),
        {"alpha": np.logspace(-6, 0, count).tolist()},
        cv=2,
        n_jobs=2,
        store=path,
    )
    search.fit(X / 16, y)
    arrays = count * sum(array.nbytes for array in search.best_weights_.values())
    return {"store": path.stat().st_size / 1e6, "arrays": arrays / 1e6}


if __name__ == "__main__":
    main("state", measure, __doc__)

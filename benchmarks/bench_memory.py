"""Memory of searching, appending and reading 4 MB per candidate; time of the import.

python benchmarks/bench_memory.py [--quick]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import _children
import numpy as np
from _harness import Figure, Samples, Settings, alternate, main
from _models import N_WEIGHTS, RandomWeights
from _samples import RESULT, header, params, results
from sklearn.model_selection import GridSearchCV

from weightsearch import WeightStore, WeightTrackingGridSearchCV
from weightsearch._records import OK, REFIT, FitRecord, Weights
from weightsearch.store import WriteSession

N_ALL, N_SOME, N_QUICK = 2_000, 300, 50
N_JOBS = 2
MEGABYTES = N_WEIGHTS * 8 / 1e6
TIMES_ON_DISK = 3
"""Log, store, and room to spare."""
LIMIT = 420
"""Seconds that one of the searches may take."""
BASE = "sklearn.model_selection, h5py, pandas"
TIMED = (
    "import time; s = time.perf_counter(); import {}; print(time.perf_counter() - s)"
)
ROWS = (
    ("search", "a search over GridSearchCV's own", "search - GridSearchCV"),
    ("append", "append over what was there before", "append"),
    ("reading", "reading all candidates over a listed store", "reading"),
)


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    missing = _children.missing("psutil")
    if missing:
        figures = [
            _children.unmeasured(f"memory.{key}", words, missing)
            for key, words, _ in ROWS
        ]
    elif settings.quick:
        figures = _rows(_measured(settings, N_QUICK), N_QUICK, judged=False)
    else:
        some = _measured(settings, N_SOME)
        figures = _rows(some, N_SOME, judged=False)
        free = shutil.disk_usage(settings.scratch or tempfile.gettempdir()).free
        if free > TIMES_ON_DISK * N_ALL * MEGABYTES * 1e6:
            figures += _rows(_measured(settings, N_ALL), N_ALL, judged=True)
    return [*figures, *_imports(settings)]


def _rows(samples: Samples, count: int, *, judged: bool) -> list[Figure]:
    size = f"{count:,} candidates of {MEGABYTES:.0f} MB, n_jobs={N_JOBS}, 1 round"
    figures = [
        samples.value(
            f"memory.{key}",
            f"most memory, {words}; {size}",
            "MB",
            series,
            judged=judged,
        )
        for key, words, series in ROWS
    ]
    both = {name: samples[name] for name in ("tracked", "GridSearchCV")}
    return [replace(figures[0], series=both), *figures[1:]]


def _measured(settings: Settings, count: int) -> Samples:
    def peak(way: str, folder: Path) -> dict[str, float]:
        found = _children.run("bench_memory.py", way, folder, count, limit=LIMIT)
        return {{"plain": "GridSearchCV"}.get(way, way): found.peak["all"]}

    def growth(folder: Path) -> dict[str, float]:
        ways = ("append", "reading")
        found = {
            way: _children.run("bench_memory.py", way, folder, count, limit=LIMIT)
            for way in ways
        }
        return {way: measured.growth("all") for way, measured in found.items()}

    # Each takes minutes and hardly varies.
    samples = alternate(
        replace(settings, repeats=1),
        partial(peak, "plain"),
        partial(peak, "tracked"),
        growth,
        warm_up=False,
    )
    samples["search - GridSearchCV"] = [
        tracked - plain
        for tracked, plain in zip(
            samples["tracked"], samples["GridSearchCV"], strict=True
        )
    ]
    return samples


def _imports(settings: Settings) -> list[Figure]:
    environment = dict(os.environ)
    # As an installed package is imported: from its bytecode.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def seconds(name: str, modules: str, _: Path) -> dict[str, float]:
        command = [sys.executable, "-c", TIMED.format(modules)]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment
        )
        return {name: float(done.stdout)}

    samples = alternate(
        settings,
        partial(seconds, "weightsearch", "weightsearch"),
        partial(seconds, "what it needs", BASE),
    )
    return [
        samples.ratio(
            "memory.imports",
            f"time of import weightsearch / import {BASE}",
            "s",
            "weightsearch",
            "what it needs",
        )
    ]


# -- in a process whose memory is watched ----------------------------------------------


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
    search = cls(RandomWeights(), grid, cv=2, n_jobs=N_JOBS, **options)
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
                FitRecord(number, REFIT, OK, f"{number:032x}", RESULT, weights)
            )
        _children.phase("all")
        session.commit(ending)
    _children.finish()


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
    if sys.argv[1:2] and sys.argv[1] in ways:
        ways[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main("memory", measure, __doc__)

"""Networks of skorch and Keras: what keeping them costs, in time and in memory.

python benchmarks/bench_networks.py [--quick]
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import _children
import numpy as np
from _harness import Figure, Samples, Settings, Stopwatch, alternate, main
from _models import digits_net, network
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from weightsearch import WeightTrackingGridSearchCV

LIMIT = 300
"""Seconds that a process may take."""
N_FITS = (12, 5)
"""Candidates and splits of the many Keras fits."""
N_TUNER = 3
N_SLOW = 2
"""Rounds of what takes minutes; each is in a process of its own."""
_ALONE = "not with --quick"


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the workers
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return [
        *_rows(settings, "skorch", ("torch", "skorch"), _skorch, n_jobs=2),
        *_rows(settings, "scikeras", ("tensorflow", "scikeras"), _scikeras, n_jobs=1),
        *_tuner(settings),
        *_many(settings),
    ]


# -- beside GridSearchCV -----------------------------------------------------------


def _rows(
    settings: Settings,
    name: str,
    needed: Sequence[str],
    search: Callable[[bool], tuple[Any, dict[str, list[Any]], int]],
    n_jobs: int,
) -> list[Figure]:
    """GridSearchCV, capture="splits" and capture="refit" of the same networks."""
    keys = [f"networks.{name}_{way}" for way in ("splits", "refit")]
    against = ("GridSearchCV", "GridSearchCV x (k+1)/k")
    texts = [
        f'capture="{key.rpartition("_")[2]}" / {other}; {name}'
        for key, other in zip(keys, against, strict=True)
    ]
    note = _children.missing(*needed)
    if not note and settings.quick and name == "scikeras":
        note = _ALONE
    if note:
        return [
            _children.unmeasured(*row, note) for row in zip(keys, texts, strict=True)
        ]
    model, grid, n_splits = search(settings.quick)
    samples = alternate(
        settings,
        *(
            partial(_fit, model, grid, n_splits, n_jobs, way)
            for way in ("GridSearchCV", "splits", "refit")
        ),
    )
    n_candidates = len(next(iter(grid.values())))
    size = f" on the digits, {n_candidates} candidates x {n_splits} splits"
    ways = ("splits", "refit")
    times_ideal = (1, 1 + 1 / n_splits)
    return [
        samples.ratio(
            key,
            f"{text}{size}, n_jobs={n_jobs}",
            "s",
            way,
            "GridSearchCV",
            times=times,
            judged=not settings.quick,
        )
        for key, text, way, times in zip(keys, texts, ways, times_ideal, strict=True)
    ]


def _fit(
    model: Any,
    grid: dict[str, list[Any]],
    n_splits: int,
    n_jobs: int,
    way: str,
    folder: Path,
) -> dict[str, float]:
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    options: dict[str, Any] = {"cv": n_splits, "n_jobs": n_jobs}
    if way == "GridSearchCV":
        search = GridSearchCV(model, grid, **options)
    else:
        path = folder / "search.h5"
        search = WeightTrackingGridSearchCV(
            model, grid, store=path, capture=way, **options
        )
    with Stopwatch() as watch:
        search.fit(X, y)
    return {way: watch.seconds}


def _skorch(quick: bool) -> tuple[Any, dict[str, list[Any]], int]:
    import torch
    from skorch import NeuralNetClassifier

    torch.set_num_threads(1)
    model = NeuralNetClassifier(
        digits_net,
        max_epochs=3 if quick else 60,
        lr=0.1,
        verbose=0,
        train_split=None,
        iterator_train__shuffle=True,
    )
    return model, {"lr": [0.05, 0.1] if quick else [0.03, 0.1, 0.2, 0.3]}, 3


def _scikeras(quick: bool) -> tuple[Any, dict[str, list[Any]], int]:
    from scikeras.wrappers import KerasClassifier

    model = KerasClassifier(network, model__units=8, epochs=5, verbose=0)
    return model, {"model__units": [16, 32, 64]}, 2


# -- Keras Tuner -------------------------------------------------------------------


def _tuner(settings: Settings) -> list[Figure]:
    n_candidates, n_epochs = 4, 10
    key = "networks.tuner"
    what = (
        'capture="splits" / Keras Tuner\'s GridSearch with its checkpoints; the '
        f"digits, {n_candidates} networks on one split, {n_epochs} epochs, "
        f"{N_TUNER} rounds"
    )
    note = _children.missing("tensorflow", "scikeras", "keras-tuner", "tensorboard")
    if note or settings.quick:
        return [_children.unmeasured(key, what, note or _ALONE)]

    def way(name: str, folder: Path) -> dict[str, float]:
        arguments = (name, folder, n_candidates, n_epochs)
        return _children.run("_tuner_search.py", *arguments, limit=LIMIT).values

    try:
        samples = alternate(
            replace(settings, repeats=N_TUNER),
            partial(way, "ours"),
            partial(way, "tuner"),
            warm_up=False,
        )
    except _children.ChildError as error:
        return [_children.unmeasured(key, what, str(error))]
    return [samples.ratio(key, what, "s", "splits", "Keras Tuner")]


# -- many fits in one process ------------------------------------------------------


def _many(settings: Settings) -> list[Figure]:
    n_candidates, n_splits = N_FITS
    n_fits = n_candidates * n_splits
    size = f"{n_fits} fits in one process, {N_SLOW} rounds"
    rows = (
        (
            "keras_last",
            f"the last Keras fits / GridSearchCV's; {size}",
            "last fit",
            "s",
        ),
        (
            "keras_growth",
            f"memory that each Keras fit leaves / with GridSearchCV; {size}",
            "growth",
            "MB",
        ),
    )
    note = _children.missing("tensorflow", "scikeras", "psutil")
    if note or settings.quick:
        return list(_without(rows, note or _ALONE))

    def way(name: str, folder: Path) -> dict[str, float]:
        arguments = (name, folder, n_candidates, n_splits)
        return _children.run("_keras_search.py", *arguments, limit=LIMIT).values

    try:
        samples: Samples = alternate(
            replace(settings, repeats=N_SLOW),
            partial(way, "plain"),
            partial(way, "splits"),
            warm_up=False,
        )
    except _children.ChildError as error:
        return list(_without(rows, str(error)))
    return [
        samples.ratio(
            f"networks.{key}", what, unit, f"{series}, splits", f"{series}, plain"
        )
        for key, what, series, unit in rows
    ]


def _without(rows: Sequence[tuple[str, str, str, str]], note: str) -> Iterator[Figure]:
    for key, what, _, _ in rows:
        yield _children.unmeasured(f"networks.{key}", what, note)


if __name__ == "__main__":
    main("networks", measure, __doc__)

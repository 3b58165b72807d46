"""Searching: what keeping weights costs beside GridSearchCV and beside other tools.

python benchmarks/bench_search.py [--quick]
"""

from __future__ import annotations

import heapq
import os
import pickle
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import _children
import numpy as np
from _harness import Alternative, Figure, Settings, Stopwatch, alternate, main
from _models import digits_net, network
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import GridSearchCV, ParameterGrid, cross_validate
from sklearn.neural_network import MLPClassifier

from weightsearch import WeightTrackingGridSearchCV

N_SLOW = 3
"""Rounds of what takes minutes."""
LIMIT = 300
"""Seconds that a process may take for a round."""


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the workers
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    small = digits(n_alphas=3, n_epochs=20) if settings.quick else digits(12, 60)
    large = digits(n_alphas=12, n_epochs=10) if settings.quick else digits(48, 30)
    figures = [
        *_beside_plain(settings, "digits", small),
        *_by_hand(settings, small),
        *_again(settings, large),
        *_grown(settings, small),
        *_beside_plain(settings, "synthetic", synthetic(settings.quick)),
    ]
    if not settings.quick:
        # Half a minute each.
        figures += _beside_plain(settings, "digits, n_jobs=1", replace(small, n_jobs=1))
        figures += _mlflow(settings)
        figures += _tuner(settings)
    for name, needed, make in (
        ("skorch", ("torch", "skorch"), _skorch),
        ("scikeras", ("tensorflow", "scikeras"), _scikeras),
    ):
        missing = _children.missing(*needed)
        if settings.quick and name == "scikeras":
            missing = "not with --quick"
        if missing:
            figures.append(
                _children.unmeasured("search.splits", f"networks of {name}", missing)
            )
        else:
            figures += _beside_plain(settings, name, make(settings.quick))
    return figures + _snapshots(settings)


@dataclass(frozen=True)
class Work:
    """A search: estimator, grid and data.

    Attributes
    ----------
    estimator : estimator
    grid : dict of str -> list
    data : tuple of ndarray
        X and y.
    n_splits, n_jobs : int
    """

    estimator: Any
    grid: Mapping[str, list[Any]]
    data: tuple[Any, Any] = field(repr=False)
    n_splits: int = 5
    n_jobs: int = 2

    @property
    def n_candidates(self) -> int:
        """Number of candidates in the grid."""
        return len(ParameterGrid(self.grid))

    @property
    def size(self) -> str:
        """Number of fits and workers, in words."""
        return (
            f"{self.n_candidates} candidates x {self.n_splits} splits, "
            f"n_jobs={self.n_jobs}"
        )

    def plain(self) -> Any:
        """Return a GridSearchCV, not fitted."""
        return GridSearchCV(
            self.estimator, self.grid, cv=self.n_splits, n_jobs=self.n_jobs
        )

    def tracking(self, folder: Path, capture: str = "refit") -> Any:
        """Return our search, not fitted."""
        return WeightTrackingGridSearchCV(
            self.estimator,
            self.grid,
            cv=self.n_splits,
            n_jobs=self.n_jobs,
            store=folder / "search.h5",
            capture=capture,
        )


def _network(n_units: int, n_epochs: int) -> MLPClassifier:
    """Return a network that trains for all its epochs: all fits take as long."""
    return MLPClassifier(
        (n_units,), max_iter=n_epochs, n_iter_no_change=n_epochs, random_state=0
    )


def digits(n_alphas: int, n_epochs: int, n_rates: int = 2) -> Work:
    """Return a search of networks with 15 hidden units on the digits."""
    X, y = load_digits(return_X_y=True)
    grid = {
        "alpha": np.logspace(-6, 0, n_alphas).tolist(),
        "learning_rate_init": [0.001, 0.01][:n_rates],
    }
    return Work(_network(15, n_epochs), grid, (X / 16, y))


def synthetic(quick: bool) -> Work:
    """Return a search on 20,000 rows of 100 features."""
    n_rows, n_epochs = (4_000, 2) if quick else (20_000, 20)
    data = make_classification(
        n_rows, 100, n_informative=20, n_classes=4, random_state=0
    )
    grid = {"alpha": [1e-5, 1e-4, 1e-3, 1e-2]}
    return Work(_network(50, n_epochs), grid, data, n_splits=3)


def _skorch(quick: bool) -> Work:
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
    grid = {"lr": [0.05, 0.1] if quick else [0.03, 0.1, 0.2, 0.3]}
    X, y = load_digits(return_X_y=True)
    return Work(model, grid, ((X / 16).astype(np.float32), y), n_splits=3)


def _scikeras(quick: bool) -> Work:
    from scikeras.wrappers import KerasClassifier

    model = KerasClassifier(network, model__units=8, epochs=5, verbose=0)
    X, y = load_digits(return_X_y=True)
    grid = {"model__units": [16, 32, 64]}
    return Work(model, grid, (X / 16, y), n_splits=2, n_jobs=1)


def _plain(work: Work, _: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        work.plain().fit(*work.data)
    return {"GridSearchCV": watch.seconds}


def _tracking(work: Work, capture: str, folder: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        search = work.tracking(folder, capture).fit(*work.data)
    found = {capture: watch.seconds}
    if capture == "refit":
        found["limit"] = _critical_path(search)
    return found


def _critical_path(search: Any) -> float:
    """Seconds that the tasks of a search take its workers, by their measured times.

    Fits of splits come first, then all refits, each given to the worker that is free
    first (R. L. Graham, Bounds on multiprocessing timing anomalies, 1969).
    """
    results = search.cv_results_
    of_split = (results["mean_fit_time"] + results["mean_score_time"]).tolist()
    with search.store_ as store:
        run = store.run()._source
        fits = run.fits()
        refits = [
            run.result(row)["fit_time"] for row in np.flatnonzero(fits.split == -1)
        ]
    return sum(
        _makespan(tasks, search.n_jobs)
        for tasks in (
            [seconds for seconds in of_split for _ in range(search.n_splits_)],
            sorted(refits, reverse=True),
        )
    )


def _makespan(tasks: list[float], n_workers: int) -> float:
    free_at = [0.0] * n_workers
    for seconds in tasks:
        heapq.heappush(free_at, heapq.heappop(free_at) + seconds)
    return max(free_at)


# -- weights over time -----------------------------------------------------------------


def _snapshots(settings: Settings) -> list[Figure]:
    """Searches with snapshots of all epochs beside those without."""
    X, y = load_digits(return_X_y=True)
    many = 20 if settings.quick else 150
    short = MLPClassifier((15,), max_iter=many, batch_size=300, random_state=0, tol=0)
    short.set_params(n_iter_no_change=many)
    few = 2 if settings.quick else 20
    long = MLPClassifier((48,), max_iter=few, batch_size=4, random_state=0, tol=0)
    long.set_params(n_iter_no_change=few)
    works = [
        ("snapshots_short", "1 ms", Work(short, {"alpha": [1e-4]}, (X / 16, y), 3, 1)),
        ("snapshots_long", "50 ms", Work(long, {"alpha": [1e-4]}, (X / 16, y), 2, 1)),
    ]
    if not settings.quick and not _children.missing("tensorflow", "scikeras"):
        keras = replace(_scikeras(False), grid={"model__units": [32], "epochs": [30]})
        works.append(("snapshots_long:keras", "50 ms", keras))
    figures = []
    # Of a hundredth, five rounds tell nothing.
    rounds = replace(settings, repeats=3 * settings.repeats)
    for key, epoch, work in works:
        samples = alternate(
            rounds, partial(_epochs, work, None), partial(_epochs, work, "all")
        )
        figures.append(
            samples.ratio(
                f"search.{key}",
                f'snapshots="all" / without, seconds of CPU; epochs of about {epoch}, '
                f"{type(work.estimator).__name__}",
                "s",
                "snapshots",
                "without",
                judged=not settings.quick,
            )
        )
    return figures


def _epochs(work: Work, snapshots: str | None, folder: Path) -> dict[str, float]:
    search = work.tracking(folder, "splits").set_params(snapshots=snapshots)
    start = time.process_time()
    search.set_params(refit=False).fit(*work.data)
    name = "without" if snapshots is None else "snapshots"
    return {name: time.process_time() - start}


# -- beside GridSearchCV, and beside it with a loop -----------------------------------


def _beside_plain(settings: Settings, name: str, work: Work) -> list[Figure]:
    samples = alternate(
        settings,
        partial(_plain, work),
        partial(_tracking, work, "splits"),
        partial(_tracking, work, "refit"),
    )
    # In a search of one second, opening the store counts more than keeping weights.
    judged = not settings.quick
    what = f"{name}, {work.size}"
    return [
        samples.ratio(
            f"search.splits:{name}",
            f'capture="splits" / GridSearchCV; {what}',
            "s",
            "splits",
            "GridSearchCV",
            judged=judged,
        ),
        samples.ratio(
            f"search.refit:{name}",
            f'capture="refit" / what its workers allow; {what}',
            "s",
            "refit",
            "limit",
            judged=judged,
        ),
    ]


def _by_hand(settings: Settings, work: Work) -> list[Figure]:
    """What one writes today to have the models of all splits, or of all candidates."""
    samples = alternate(
        settings,
        partial(_tracking, work, "splits"),
        partial(_tracking, work, "refit"),
        partial(_cross_validate, work),
        partial(_loop, work),
    )
    return [
        samples.ratio(
            "search.cross_validate",
            'capture="splits" / a loop of cross_validate(return_estimator=True), '
            f"pickled; {work.size}",
            "s",
            "splits",
            "cross_validate",
        ),
        samples.ratio(
            "search.loop",
            'capture="refit" / GridSearchCV and a loop of clone, fit, pickle; '
            f"{work.size}",
            "s",
            "refit",
            "GridSearchCV and loop",
        ),
    ]


def _cross_validate(work: Work, folder: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        for number, params in enumerate(ParameterGrid(work.grid)):
            found = cross_validate(
                clone(work.estimator).set_params(**params),
                *work.data,
                cv=work.n_splits,
                n_jobs=work.n_jobs,
                return_estimator=True,
            )
            with (folder / f"{number}.pkl").open("wb") as file:
                pickle.dump(found, file)
    return {"cross_validate": watch.seconds}


def _loop(work: Work, folder: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        search = work.plain().fit(*work.data)
        for number, params in enumerate(search.cv_results_["params"]):
            model = clone(work.estimator).set_params(**params).fit(*work.data)
            with (folder / f"{number}.pkl").open("wb") as file:
                pickle.dump(model, file)
    return {"GridSearchCV and loop": watch.seconds}


# -- the next search in the same store ------------------------------------------------


def _again(settings: Settings, work: Work) -> list[Figure]:
    def twice(folder: Path) -> dict[str, float]:
        first, again = (_tracking(work, "refit", folder)["refit"] for _ in range(2))
        return {"first": first, "again": again}

    samples = alternate(settings, twice, warm_up=False)
    return [
        samples.ratio(
            "search.again",
            f"the same script again / its first run; {work.size}",
            "s",
            "again",
            "first",
            judged=not settings.quick,
        )
    ]


def _grown(settings: Settings, work: Work) -> list[Figure]:
    alphas = work.grid["alpha"]
    part = replace(
        work, grid={**work.grid, "alpha": alphas[: round(2 / 3 * len(alphas))]}
    )

    def grow(folder: Path) -> dict[str, float]:
        part.tracking(folder).fit(*work.data)
        return {"grown": _tracking(work, "refit", folder)["refit"]}

    def whole(folder: Path) -> dict[str, float]:
        return {"from scratch": _tracking(work, "refit", folder)["refit"]}

    samples = alternate(settings, grow, whole, warm_up=False)
    return [
        samples.ratio(
            "search.grown",
            f"a grid grown from {part.n_candidates} to {work.n_candidates} candidates "
            "/ the whole from scratch",
            "s",
            "grown",
            "from scratch",
            judged=not settings.quick,
        )
    ]


# -- beside other tools, each in a process of its own ----------------------------------


def _mlflow(settings: Settings) -> list[Figure]:
    work = digits(n_alphas=3, n_epochs=60, n_rates=1)
    what = (
        'capture="refit" / GridSearchCV and a loop with MLflow\'s autologging; '
        f"{work.size}, {N_SLOW} rounds"
    )
    needed = ("mlflow-skinny", "SQLAlchemy")
    missing = _children.missing(*needed) and _children.missing("mlflow")
    return _against(
        settings,
        "mlflow",
        what,
        missing,
        ("refit", partial(_tracking, work, "refit")),
        ("MLflow", partial(_child, "mlflow", 3, 60)),
    )


def _tuner(settings: Settings) -> list[Figure]:
    n_candidates, n_epochs = 4, 10
    what = (
        'capture="splits" / Keras Tuner\'s GridSearch with its checkpoints; digits, '
        f"{n_candidates} networks on one split, {n_epochs} epochs, {N_SLOW} rounds"
    )
    return _against(
        settings,
        "tuner",
        what,
        _children.missing("tensorflow", "scikeras", "keras-tuner", "tensorboard"),
        ("ours", partial(_child, "ours", n_candidates, n_epochs)),
        ("Keras Tuner", partial(_child, "tuner", n_candidates, n_epochs)),
    )


def _against(
    settings: Settings,
    key: str,
    what: str,
    missing: str,
    ours: tuple[str, Alternative],
    other: tuple[str, Alternative],
) -> list[Figure]:
    """Make the row of ours against another tool, or say why there is none."""
    if missing:
        return [_children.unmeasured(f"search.{key}", what, missing)]
    try:
        samples = alternate(
            replace(settings, repeats=N_SLOW), ours[1], other[1], warm_up=False
        )
    except _children.ChildError as error:
        return [_children.unmeasured(f"search.{key}", what, str(error))]
    return [samples.ratio(f"search.{key}", what, "s", ours[0], other[0])]


def _child(
    way: str, n_candidates: int, n_epochs: int, folder: Path
) -> dict[str, float]:
    arguments = (way, folder, n_candidates, n_epochs)
    return _children.run("_others.py", *arguments, limit=LIMIT).values


if __name__ == "__main__":
    main("search", measure, __doc__)

"""Searching: what keeping weights costs beside GridSearchCV, alone and with a loop.

python benchmarks/bench_search.py [--quick]
"""

from __future__ import annotations

import os
import pickle
import warnings
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from _harness import Figure, Settings, Stopwatch, alternate, main
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.neural_network import MLPClassifier

from weightsearch import WeightTrackingGridSearchCV

N_SPLITS = 5
N_RATES = 2


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    # Every fit runs for the same number of epochs, so none of them converges.
    warnings.simplefilter("ignore", ConvergenceWarning)
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the workers
    small = Work(n_alphas=3, n_epochs=20) if settings.quick else Work(12, 60)
    large = Work(n_alphas=12, n_epochs=10) if settings.quick else Work(48, 30)
    return [
        # Half a minute of three.
        *([] if settings.quick else _beside_others(settings, small, n_jobs=1)),
        *_beside_others(settings, small, n_jobs=2),
        *_again(settings, large),
        *_grown(settings, small),
    ]


@dataclass(frozen=True)
class Work:
    """A search on the digits in which all fits take as long.

    Attributes
    ----------
    n_alphas : int
        The grid has twice as many candidates.
    n_epochs : int
        Of each fit; nothing stops one earlier.
    """

    n_alphas: int
    n_epochs: int

    @property
    def n_candidates(self) -> int:
        """Candidates of the whole grid."""
        return N_RATES * self.n_alphas

    @property
    def size(self) -> str:
        """The number of fits, in words."""
        return f"{self.n_candidates} candidates x {N_SPLITS} splits"

    @cached_property
    def data(self) -> tuple[Any, Any]:
        """X of shape (1797, 64), y of shape (1797,)."""
        X, y = load_digits(return_X_y=True)
        return X / 16, y

    @property
    def estimator(self) -> Any:
        """Network with 15 hidden units."""
        return MLPClassifier(
            (15,),
            max_iter=self.n_epochs,
            n_iter_no_change=self.n_epochs,
            random_state=0,
        )

    def grid(self, part: float = 1.0) -> dict[str, list[float]]:
        """Return the grid, or the first part of it."""
        alphas = np.logspace(-6, 0, self.n_alphas).tolist()
        return {
            "alpha": alphas[: round(part * self.n_alphas)],
            "learning_rate_init": [0.001, 0.01][:N_RATES],
        }

    def plain(self, n_jobs: int) -> Any:
        """GridSearchCV, not fitted."""
        return GridSearchCV(self.estimator, self.grid(), cv=N_SPLITS, n_jobs=n_jobs)

    def tracking(
        self, folder: Path, n_jobs: int, capture: str = "refit", part: float = 1.0
    ) -> Any:
        """Our search, not fitted."""
        return WeightTrackingGridSearchCV(
            self.estimator,
            self.grid(part),
            cv=N_SPLITS,
            n_jobs=n_jobs,
            store=folder / "search.h5",
            capture=capture,
        )


# -- a first search ---------------------------------------------------------------


def _beside_others(settings: Settings, work: Work, n_jobs: int) -> list[Figure]:
    samples = alternate(
        settings,
        partial(_plain, work, n_jobs),
        partial(_tracking, work, n_jobs, "splits"),
        partial(_tracking, work, n_jobs, "refit"),
        partial(_plain_and_loop, work, n_jobs),
    )
    size = f"{work.size}, n_jobs={n_jobs}"
    # In a search of one second, opening the store counts more than keeping weights.
    judged = not settings.quick
    return [
        samples.ratio(
            f"search.splits_{n_jobs}",
            f'capture="splits" / GridSearchCV; {size}',
            "s",
            "splits",
            "GridSearchCV",
            judged=judged,
        ),
        samples.ratio(
            f"search.refit_{n_jobs}",
            f'capture="refit" / GridSearchCV x (k+1)/k; {size}',
            "s",
            "refit",
            "GridSearchCV",
            times=(N_SPLITS + 1) / N_SPLITS,
            judged=judged,
        ),
        samples.ratio(
            f"search.refit_rows_{n_jobs}",
            f'capture="refit" / GridSearchCV x rows to fit; {size}',
            "s",
            "refit",
            "GridSearchCV",
            times=_rows_ratio(work.n_candidates, n_jobs),
        ),
        samples.ratio(
            f"search.refit_loop_{n_jobs}",
            f'capture="refit" / GridSearchCV + loop of clone, fit, pickle; {size}',
            "s",
            "refit",
            "GridSearchCV + loop",
            judged=judged,
        ),
    ]


def _rows_ratio(n_candidates: int, n_jobs: int) -> float:
    """Rows that the longest worker fits, with all refits over with the best one alone.

    A split's fit sees (k-1)/k of the rows, a refit all of them.
    """
    splits = n_candidates * (N_SPLITS - 1) / n_jobs
    return (splits + 1 + (n_candidates - 1) / n_jobs) / (splits + 1)


def _plain(work: Work, n_jobs: int, _: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        work.plain(n_jobs).fit(*work.data)
    return {"GridSearchCV": watch.seconds}


def _tracking(work: Work, n_jobs: int, capture: str, folder: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        work.tracking(folder, n_jobs, capture).fit(*work.data)
    return {capture: watch.seconds}


def _plain_and_loop(work: Work, n_jobs: int, folder: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        search = work.plain(n_jobs).fit(*work.data)
        for number, params in enumerate(search.cv_results_["params"]):
            model = clone(work.estimator).set_params(**params).fit(*work.data)
            with (folder / f"{number}.pkl").open("wb") as file:
                pickle.dump(model, file)
    return {"GridSearchCV + loop": watch.seconds}


# -- the next search in the same store ----------------------------------------------


def _again(settings: Settings, work: Work) -> list[Figure]:
    samples = alternate(settings, partial(_twice, work), warm_up=False)
    return [
        samples.ratio(
            "search.again",
            f"the same script again / its first run; {work.size}, n_jobs=2",
            "s",
            "again",
            "first",
            judged=not settings.quick,
        )
    ]


def _twice(work: Work, folder: Path) -> dict[str, float]:
    times = []
    for _ in range(2):
        with Stopwatch() as watch:
            work.tracking(folder, n_jobs=2).fit(*work.data)
        times.append(watch.seconds)
    return {"first": times[0], "again": times[1]}


def _grown(settings: Settings, work: Work) -> list[Figure]:
    samples = alternate(
        settings, partial(_grow, work), partial(_anew, work), warm_up=False
    )
    n_candidates = len(ParameterGrid(work.grid(2 / 3)))
    return [
        samples.ratio(
            "search.grown",
            f"a grid grown from {n_candidates} to {work.n_candidates} candidates / "
            "the whole anew; n_jobs=2",
            "s",
            "grown",
            "anew",
            judged=not settings.quick,
        )
    ]


def _grow(work: Work, folder: Path) -> dict[str, float]:
    work.tracking(folder, n_jobs=2, part=2 / 3).fit(*work.data)
    with Stopwatch() as watch:
        work.tracking(folder, n_jobs=2).fit(*work.data)
    return {"grown": watch.seconds}


def _anew(work: Work, folder: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        work.tracking(folder, n_jobs=2).fit(*work.data)
    return {"anew": watch.seconds}


if __name__ == "__main__":
    main("search", measure, __doc__)

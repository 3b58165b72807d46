"""Searching, beside what others do to keep models, or to go on where they stopped.

python benchmarks/bench_alternatives.py [--quick]
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import _children
import h5py
import joblib
from _harness import Alternative, Figure, Settings, Stopwatch, alternate, main
from bench_search import N_SPLITS, Work
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, ParameterGrid, cross_validate
from sklearn.neural_network import MLPClassifier

from weightsearch import WeightTrackingGridSearchCV

N_JOBS = 2
N_LOGGED = 3
"""Models that MLflow logs: each takes seconds."""
N_SLOW = 3
"""Rounds of what takes minutes."""
LIMIT = 240
"""Seconds that MLflow may take for a round."""


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the workers
    work = Work(n_alphas=2, n_epochs=10) if settings.quick else Work(4, 60)
    return [
        *_keeping(settings, work),
        *_resuming(settings, work),
        *_mlflow(settings),
        *_synthetic(settings),
    ]


# -- models of all candidates, on the digits ---------------------------------------


def _keeping(settings: Settings, work: Work) -> list[Figure]:
    samples = alternate(
        settings,
        partial(_ours, work, "splits"),
        partial(_ours, work, "refit"),
        partial(_cross_validate, work),
        partial(_loop, work, "joblib dumps", _dump),
        partial(_groups, work),
    )
    size = f"{work.size}, n_jobs={N_JOBS}"
    return [
        samples.ratio(
            "alternatives.cross_validate",
            'capture="splits" / a loop of cross_validate(return_estimator=True), '
            f"pickled; {size}",
            "s",
            "splits",
            "cross_validate",
        ),
        samples.ratio(
            "alternatives.joblib",
            f'capture="refit" / GridSearchCV + loop of clone, fit, joblib.dump; {size}',
            "s",
            "refit",
            "joblib dumps",
        ),
        samples.ratio(
            "alternatives.groups",
            'capture="refit" / GridSearchCV + loop of clone, fit, an HDF5 group a '
            f"model; {size}",
            "s",
            "refit",
            "HDF5 groups",
        ),
    ]


def _ours(work: Work, capture: str, folder: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        work.tracking(folder, N_JOBS, capture).fit(*work.data)
    return {capture: watch.seconds}


def _cross_validate(work: Work, folder: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        for number, params in enumerate(ParameterGrid(work.grid())):
            model = clone(work.estimator).set_params(**params)
            found = cross_validate(
                model, *work.data, cv=N_SPLITS, n_jobs=N_JOBS, return_estimator=True
            )
            with (folder / f"{number}.pkl").open("wb") as file:
                pickle.dump(found, file)
    return {"cross_validate": watch.seconds}


def _loop(
    work: Work, name: str, keep: Callable[[Any, Path], object], folder: Path
) -> dict[str, float]:
    """GridSearchCV, and then every candidate once more on all the data."""
    with Stopwatch() as watch:
        search = work.plain(N_JOBS).fit(*work.data)
        for number, params in enumerate(search.cv_results_["params"]):
            model = clone(work.estimator).set_params(**params).fit(*work.data)
            keep(model, folder / str(number))
    return {name: watch.seconds}


def _dump(model: Any, path: Path) -> None:
    joblib.dump(model, f"{path}.joblib")


def _groups(work: Work, folder: Path) -> dict[str, float]:
    def keep(model: Any, path: Path) -> None:
        group = file.create_group(path.name)
        for key, value in model.get_params().items():
            group.attrs[key] = str(value)
        for name in ("coefs_", "intercepts_"):
            for place, array in enumerate(getattr(model, name)):
                group.create_dataset(f"{name}{place}", data=array)

    with h5py.File(folder / "groups.h5", "w") as file:
        return _loop(work, "HDF5 groups", keep, folder)


# -- the same script again ---------------------------------------------------------


def _resuming(settings: Settings, work: Work) -> list[Figure]:
    size = f"{work.size}, n_jobs={N_JOBS}"
    first = f'capture="refit" / HyperPhoenixCV, which keeps scores alone; {size}'
    again = f"the same script again / HyperPhoenixCV again; {size}"
    missing = _children.missing("hyperphoenixcv")
    if missing:
        return [
            _children.unmeasured("alternatives.phoenix", first, missing),
            _children.unmeasured("alternatives.phoenix_again", again, missing),
        ]
    samples = alternate(settings, partial(_ours_twice, work), partial(_phoenix, work))
    return [
        samples.ratio("alternatives.phoenix", first, "s", "refit", "HyperPhoenixCV"),
        samples.ratio(
            "alternatives.phoenix_again",
            again,
            "s",
            "refit again",
            "HyperPhoenixCV again",
        ),
    ]


def _ours_twice(work: Work, folder: Path) -> dict[str, float]:
    first, again = (_ours(work, "refit", folder)["refit"] for _ in ("first", "again"))
    return {"refit": first, "refit again": again}


def _phoenix(work: Work, folder: Path) -> dict[str, float]:
    from hyperphoenixcv import HyperPhoenixCV

    times = []
    for _ in range(2):
        search = HyperPhoenixCV(
            work.estimator,
            work.grid(),
            scoring="accuracy",
            cv=N_SPLITS,
            n_jobs=N_JOBS,
            checkpoint_path=str(folder / "checkpoint.pkl"),
            results_csv=str(folder / "results.csv"),
            verbose=False,
        )
        with Stopwatch() as watch:
            search.fit(*work.data)
        times.append(watch.seconds)
    return {"HyperPhoenixCV": times[0], "HyperPhoenixCV again": times[1]}


# -- MLflow ------------------------------------------------------------------------


def _mlflow(settings: Settings) -> list[Figure]:
    work = Few(n_alphas=N_LOGGED, n_epochs=10 if settings.quick else 60)
    key = "alternatives.mlflow"
    what = (
        'capture="refit" / GridSearchCV + loop of clone and fit with MLflow\'s '
        f"autologging, a model each; {work.size}, n_jobs={N_JOBS}, {N_SLOW} rounds"
    )
    if settings.quick:
        return [_children.unmeasured(key, what, "not with --quick")]
    missing = _children.missing("mlflow-skinny", "SQLAlchemy")
    if missing and _children.missing("mlflow"):
        return [_children.unmeasured(key, what, missing)]
    try:
        samples = alternate(
            replace(settings, repeats=N_SLOW),
            partial(_ours, work, "refit"),
            partial(_logged, work),
            warm_up=False,
        )
    except _children.ChildError as error:
        return [_children.unmeasured(key, what, str(error))]
    return [samples.ratio(key, what, "s", "refit", "MLflow")]


class Few(Work):
    """As many candidates as regularizations."""

    @property
    def n_candidates(self) -> int:
        """Candidates of the whole grid."""
        return self.n_alphas

    def grid(self, part: float = 1.0) -> dict[str, list[float]]:
        """Return the grid, or the first part of it."""
        return {**super().grid(part), "learning_rate_init": [0.001]}


def _logged(work: Work, folder: Path) -> dict[str, float]:
    """Let MLflow run in a process of its own: it changes scikit-learn's classes."""
    arguments = (folder, work.n_alphas, work.n_epochs)
    return _children.run("_mlflow_search.py", *arguments, limit=LIMIT).values


# -- more data ---------------------------------------------------------------------


@dataclass(frozen=True)
class Synthetic:
    """A search on 20,000 rows of 100 features."""

    n_rows: int
    n_epochs: int
    n_splits: int = 3

    @property
    def size(self) -> str:
        """The number of fits, in words."""
        return (
            f"{self.n_rows:,} x 100 synthetic, {len(self.grid['alpha'])} candidates x "
            f"{self.n_splits} splits, n_jobs={N_JOBS}"
        )

    @cached_property
    def data(self) -> tuple[Any, Any]:
        """X of shape (n_rows, 100), y of shape (n_rows,)."""
        X, y = make_classification(
            self.n_rows, 100, n_informative=20, n_classes=4, random_state=0
        )
        return X, y

    @property
    def estimator(self) -> Any:
        """Network with 50 hidden units."""
        return MLPClassifier(
            (50,),
            max_iter=self.n_epochs,
            n_iter_no_change=self.n_epochs,
            random_state=0,
        )

    @property
    def grid(self) -> dict[str, list[float]]:
        """Four candidates."""
        return {"alpha": [1e-5, 1e-4, 1e-3, 1e-2]}

    def plain(self) -> Any:
        """GridSearchCV, not fitted."""
        return GridSearchCV(self.estimator, self.grid, cv=self.n_splits, n_jobs=N_JOBS)

    def tracking(self, folder: Path, capture: str) -> Any:
        """Our search, not fitted."""
        return WeightTrackingGridSearchCV(
            self.estimator,
            self.grid,
            cv=self.n_splits,
            n_jobs=N_JOBS,
            store=folder / "search.h5",
            capture=capture,
        )


def _synthetic(settings: Settings) -> list[Figure]:
    work = Synthetic(4_000, 2) if settings.quick else Synthetic(20_000, 20)

    def plain(_: Path) -> dict[str, float]:
        with Stopwatch() as watch:
            work.plain().fit(*work.data)
        return {"GridSearchCV": watch.seconds}

    def ours(capture: str, folder: Path) -> dict[str, float]:
        with Stopwatch() as watch:
            work.tracking(folder, capture).fit(*work.data)
        return {capture: watch.seconds}

    def loop(folder: Path) -> dict[str, float]:
        with Stopwatch() as watch:
            search = work.plain().fit(*work.data)
            for number, params in enumerate(search.cv_results_["params"]):
                model = clone(work.estimator).set_params(**params).fit(*work.data)
                with (folder / f"{number}.pkl").open("wb") as file:
                    pickle.dump(model, file)
        return {"GridSearchCV + loop": watch.seconds}

    ways: list[Alternative] = [
        plain,
        partial(ours, "splits"),
        partial(ours, "refit"),
        loop,
    ]
    samples = alternate(settings, *ways)
    size, n_splits, judged = work.size, work.n_splits, not settings.quick
    return [
        samples.ratio(
            "alternatives.synthetic_splits",
            f'capture="splits" / GridSearchCV; {size}',
            "s",
            "splits",
            "GridSearchCV",
            judged=judged,
        ),
        samples.ratio(
            "alternatives.synthetic_refit",
            f'capture="refit" / GridSearchCV x (k+1)/k; {size}',
            "s",
            "refit",
            "GridSearchCV",
            times=(n_splits + 1) / n_splits,
            judged=judged,
        ),
        samples.ratio(
            "alternatives.synthetic_loop",
            f'capture="refit" / GridSearchCV + loop of clone, fit, pickle; {size}',
            "s",
            "refit",
            "GridSearchCV + loop",
            judged=judged,
        ),
    ]


if __name__ == "__main__":
    main("alternatives", measure, __doc__)

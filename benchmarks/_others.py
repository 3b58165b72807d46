"""Other tools over the same networks, each in a process of its own.

python benchmarks/_others.py {mlflow,tuner,ours} FOLDER N_CANDIDATES N_EPOCHS
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

import _children
import numpy as np
from _harness import Stopwatch
from _models import network
from bench_search import digits
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import PredefinedSplit

N_TEST = 400


def mlflow(folder: Path, n_candidates: int, n_epochs: int) -> None:
    """Search without MLflow, which changes scikit-learn's classes; then fit with it."""
    import mlflow
    import mlflow.sklearn

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'runs.db'}")
    place = (folder / "models").as_uri()
    mlflow.set_experiment(
        experiment_id=mlflow.create_experiment("search", artifact_location=place)
    )
    mlflow.sklearn.autolog(silent=True)
    work = digits(n_candidates, n_epochs, n_rates=1)

    def logged(params: dict[str, float]) -> None:
        with mlflow.start_run():
            clone(work.estimator).set_params(**params).fit(*work.data)

    # What is done once per process, and the workers' start, do not count.
    logged({"alpha": 1.0})
    mlflow.sklearn.autolog(disable=True)
    digits(2, 1).plain().fit(*work.data)
    with Stopwatch() as watch:
        search = work.plain().fit(*work.data)
        mlflow.sklearn.autolog(silent=True)
        for params in search.cv_results_["params"]:
            logged(params)
    _children.finish(MLflow=watch.seconds)


def tuner(folder: Path, n_candidates: int, n_epochs: int) -> None:
    """Keras Tuner; it keeps every trial's best epoch as a checkpoint by default."""
    import keras_tuner

    X, y = _data()

    def build(parameters: Any) -> Any:
        return network(parameters.Choice("units", _units(n_candidates)))

    def search(folder: Path, n_epochs: int) -> None:
        found = keras_tuner.GridSearch(
            build, objective="val_accuracy", directory=folder, project_name="digits"
        )
        found.search(
            X[N_TEST:],
            y[N_TEST:],
            epochs=n_epochs,
            validation_data=(X[:N_TEST], y[:N_TEST]),
            verbose=0,
        )

    search(folder / "first", 1)
    with Stopwatch() as watch:
        search(folder / "second", n_epochs)
    # It goes on where a trial fails.
    if len(list((folder / "second").rglob("checkpoint*.h5"))) < n_candidates:
        raise RuntimeError("Keras Tuner has not kept every model")
    _children.finish(**{"Keras Tuner": watch.seconds})


def ours(folder: Path, n_candidates: int, n_epochs: int) -> None:
    """Our search over one split, whose models are kept, validated after each epoch."""
    from scikeras.wrappers import KerasClassifier

    from weightsearch import WeightTrackingGridSearchCV

    X, y = _data()

    def search(path: Path, n_epochs: int) -> None:
        model = KerasClassifier(
            network,
            model__units=16,
            epochs=n_epochs,
            verbose=0,
            fit__validation_data=(X[:N_TEST], y[:N_TEST]),
        )
        WeightTrackingGridSearchCV(
            model,
            {"model__units": _units(n_candidates)},
            cv=PredefinedSplit(np.where(np.arange(len(y)) < N_TEST, 0, -1)),
            refit=False,
            store=path,
            capture="splits",
        ).fit(X, y)

    search(folder / "first.h5", 1)
    with Stopwatch() as watch:
        search(folder / "second.h5", n_epochs)
    _children.finish(ours=watch.seconds)


def _data() -> tuple[Any, Any]:
    X, y = load_digits(return_X_y=True)
    return X / 16, y


def _units(n_candidates: int) -> list[int]:
    return list(range(16, 16 + n_candidates))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"
    ways = {way.__name__: way for way in (mlflow, tuner, ours)}
    ways[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))

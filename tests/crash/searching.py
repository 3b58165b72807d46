"""The child of the crash tests: one search, forked from a server."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from crash_dying import Dying
from joblib.externals.loky import get_reusable_executor
from search_estimators import CountingClassifier
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import KFold

from weightsearch.search import (
    WeightTrackingGridSearchCV,
    WeightTrackingHalvingGridSearchCV,
)


def sklearn_search(log):
    X, y = load_iris(return_X_y=True)
    grid = {"C": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]}
    return CountingClassifier(log, pause=0.02), grid, X, y


def halving_search(log):
    # Enough classes that a subsample of a tenth has three of them.
    X, y = load_digits(return_X_y=True)
    grid = {"C": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]}
    return Dying(log), grid, X[:450], y[:450]


def torch_search(log):
    import torch
    from crash_net import Net
    from skorch import NeuralNetClassifier

    torch.set_num_threads(1)
    X, y = load_iris(return_X_y=True)
    net = NeuralNetClassifier(
        Net,
        module__log=log,
        max_epochs=3,
        lr=0.1,
        verbose=0,
        criterion=torch.nn.CrossEntropyLoss,
        train_split=None,
    )
    grid = {"module__hidden": [2, 3], "lr": [0.01, 0.1]}
    return net, grid, X.astype(np.float32), y.astype(np.int64)


def keras_search(log):
    from crash_models import build
    from scikeras.wrappers import KerasClassifier

    X, y = load_iris(return_X_y=True)
    model = KerasClassifier(
        model=build, model__log=log, epochs=2, verbose=0, random_state=0
    )
    return model, {"model__hidden": [2, 3]}, X, y


def main(told, log, die_after, store, kind, capture, n_jobs, shuffle=False) -> None:
    """Search in a process group of its own; tell when it begins and what it found."""
    os.setsid()
    # The log's name is an environment variable's value: as a param it would make
    # each run another search, and orphans of a killed run must not write into it.
    os.environ |= {"FITS_LOG": log, "DIE_AFTER": str(die_after)}
    np.random.seed()  # forked processes would draw the same subsamples
    warnings.simplefilter("ignore")
    estimator, grid, X, y = {
        "sklearn": sklearn_search,
        "halving": halving_search,
        "torch": torch_search,
        "keras": keras_search,
    }[kind]("$FITS_LOG")
    settings = {
        "cv": KFold(3, shuffle=True, random_state=0) if shuffle else 3,
        "n_jobs": n_jobs,
        "capture": capture,
        "store": store,
    }
    if kind == "halving":
        # Without a seed: a killed run has to go on with its own subsamples.
        search = WeightTrackingHalvingGridSearchCV(
            estimator, grid, min_resources=50, refit_iterations="all", **settings
        )
    else:
        search = WeightTrackingGridSearchCV(estimator, grid, **settings)
    told.send("ready")
    search.fit(X, y)
    results = {
        name: np.asarray(column, dtype=float).tolist()
        for name, column in search.cv_results_.items()
        if "test_score" in name or name in ("iter", "n_resources")
    }
    weights = {
        repr(sorted(params.items())): {
            name: [array.dtype.str, array.tobytes().hex()]
            for name, array in weights.items()
        }
        for params, weights in search.weights_by_params_.items()
    }
    told.send({"results": results, "weights": weights})
    if n_jobs > 1:
        # A forked process would wait for its idle workers.
        get_reusable_executor().shutdown()

"""The child of the crash tests: one search, told by its command line."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from crash_dying import Dying
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


def main() -> None:
    store, log, kind, capture, n_jobs, shuffle = sys.argv[1:]
    warnings.simplefilter("ignore")
    estimator, grid, X, y = {
        "sklearn": sklearn_search,
        "halving": halving_search,
        "torch": torch_search,
        "keras": keras_search,
    }[kind](log)
    settings = {
        "cv": KFold(3, shuffle=True, random_state=0) if shuffle == "1" else 3,
        "n_jobs": int(n_jobs),
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
    print("ready", flush=True)
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
    print(json.dumps({"results": results, "weights": weights}), flush=True)


if __name__ == "__main__":
    main()

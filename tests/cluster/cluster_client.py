"""A client of its own process: the same search on Dask or Ray, to be killed."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import joblib
from cluster_estimators import GatedClassifier
from sklearn.datasets import load_iris

from weightsearch import WeightTrackingGridSearchCV

GRID = {"C": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]}


def search(folder):
    """Return a search with store, log and gate of its fits in a folder."""
    log, gate = str(folder / "fits.log"), str(folder / "gate")
    estimator = GatedClassifier(log=log, gate=gate, free=10)
    return WeightTrackingGridSearchCV(
        estimator, GRID, cv=3, capture="both", store=folder / "s.h5"
    )


def main():
    kind, folder, *address = sys.argv[1:]
    grid = search(Path(folder))
    warnings.simplefilter("ignore")
    X, y = load_iris(return_X_y=True)
    if kind == "dask":
        from distributed import Client

        with Client(*address), joblib.parallel_config(backend="dask"):
            grid.fit(X, y)
    else:
        import ray
        from ray.util.joblib import register_ray

        ray.init(address="local", num_cpus=2, include_dashboard=False)
        register_ray()
        with joblib.parallel_config(backend="ray", n_jobs=2):
            grid.fit(X, y)
        ray.shutdown()


if __name__ == "__main__":
    main()

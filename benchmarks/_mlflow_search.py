"""A search with MLflow's autologging, in a process of its own.

python benchmarks/_mlflow_search.py FOLDER N_CANDIDATES N_EPOCHS
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import _children
from _harness import Stopwatch
from bench_alternatives import N_JOBS, Few
from sklearn.base import clone


def main(folder: Path, n_candidates: int, n_epochs: int) -> None:
    """Search without MLflow, then fit every candidate with it."""
    import mlflow
    import mlflow.sklearn

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'runs.db'}")
    place = (folder / "models").as_uri()
    mlflow.set_experiment(
        experiment_id=mlflow.create_experiment("search", artifact_location=place)
    )
    mlflow.sklearn.autolog(silent=True)
    work = Few(n_candidates, n_epochs)

    def logged(params: dict[str, float]) -> None:
        with mlflow.start_run():
            clone(work.estimator).set_params(**params).fit(*work.data)

    # What is done once a process, and the workers' start, do not count.
    logged({"alpha": 1.0})
    mlflow.sklearn.autolog(disable=True)
    Few(2, 1).plain(N_JOBS).fit(*work.data)
    with Stopwatch() as watch:
        search = work.plain(N_JOBS).fit(*work.data)
        mlflow.sklearn.autolog(silent=True)
        for params in search.cv_results_["params"]:
            logged(params)
    _children.finish(MLflow=watch.seconds)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

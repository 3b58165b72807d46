"""A script as a user writes it, with what the public API says that it returns.

``mypy --strict`` checks it without help: no type is written down but in
``assert_type``. Run as it is, it also has to end without an error.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier

import weightsearch
from weightsearch import (
    BestCandidate,
    Problem,
    QueryError,
    Run,
    StoredWeights,
    Weights,
    WeightSearchError,
    WeightStore,
    WeightTrackingGridSearchCV,
)

AnyArray = np.ndarray[Any, Any]


def search_iris(path: Path) -> WeightTrackingGridSearchCV:
    """Search, and ask the search for what it has."""
    X, y = load_iris(return_X_y=True)
    search = WeightTrackingGridSearchCV(
        MLPClassifier(max_iter=300, tol=0.01, random_state=0),
        {"hidden_layer_sizes": [(4,), (5,)], "alpha": [0.001, 0.1]},
        cv=3,
        store=path,
        capture="both",
        keep="all",
        resume=True,
        compression="gzip",
    )
    search.fit(X, y)
    assert_type(search.store_, WeightStore)
    assert_type(search.run_, Run)
    assert_type(search.best_weights_, dict[str, AnyArray])
    weights = search.weights_by_params_[{"hidden_layer_sizes": (4,), "alpha": 0.1}]
    assert_type(weights, StoredWeights)
    assert_type(search.save_store(path.with_name("copy.h5")), Path)
    return search


def read_store(path: Path) -> None:
    """Open a store and read it."""
    with WeightStore(path) as store:
        assert_type(store, WeightStore)
        assert_type(store.runs, Mapping[str, Run])
        assert_type(store.to_frame(), pd.DataFrame)
        assert_type(store.verify(), list[Problem])
        run = store.run()
        assert_type(run, Run)
        assert_type(run.name, str)
        assert_type(run.best_index, int | None)
        assert_type(run.best, BestCandidate)
        assert_type(run.best.number, int)
        assert_type(run.candidates, pd.DataFrame)
        assert_type(run.query("alpha < 0.01"), pd.DataFrame)
        weights = run.weights(0, split=1)
        assert_type(weights, StoredWeights)
        assert_type(weights["coefs_/0"], AnyArray)
        assert_type(iter(weights), Iterator[str])
        assert_type(weights.shapes, dict[str, tuple[int, ...]])
        assert_type(weights.ties, Mapping[str, str])
        assert_type(weights.encodings, Mapping[str, str])
        assert_type(weights.to_dict(), Weights)
        assert_type(
            run.weights({"hidden_layer_sizes": (5,), "alpha": 0.1}).dtypes,
            dict[str, str],
        )
        stacked, candidates = run.stack("intercepts_/1")
        assert_type(stacked, AnyArray)
        assert_type(candidates, np.ndarray[Any, np.dtype[np.int64]])
        assert_type(WeightStore.recover(path), bool)


def compare_candidates(run: Run, folder: Path) -> None:
    """Compare candidates, and make them models again."""
    first, second = run.weights(0), run.weights(2)
    assert_type(run.compare(0, 2, align=True), pd.DataFrame)
    assert_type(weightsearch.compare(first, second), pd.DataFrame)
    assert_type(weightsearch.weight_stats(first), pd.DataFrame)
    assert_type(run.stats(), pd.DataFrame)
    assert_type(run.distances("cosine"), pd.DataFrame)
    clustering = run.cluster(method="average")
    assert_type(clustering.linkage, AnyArray)
    assert_type(clustering.distances, pd.DataFrame)
    assert_type(run.export(0, folder / "first.npz"), Path)
    X, y = load_iris(return_X_y=True)
    assert_type(run.score_candidates(X, y), pd.DataFrame)
    run.load_estimator(0).predict(X)


def handle_errors(run: Run) -> str:
    """Catch what is raised by its class, or by the builtin that it also is."""
    try:
        run.query("no_such_column > 1")
    except QueryError as error:
        assert_type(error, QueryError)
        as_builtin: ValueError = error
        as_ours: WeightSearchError = error
        return str(as_builtin) or str(as_ours)
    raise AssertionError("A column that is not there was found.")


def main() -> int:
    """Use all of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "search.h5"
        run = search_iris(path).run_
        read_store(path)
        compare_candidates(run, folder)
        handle_errors(run)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The search of ``weightsearch demo``."""

from __future__ import annotations

import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier

from weightsearch.cli._errors import UserError
from weightsearch.search import TrackedSearch, WeightTrackingGridSearchCV

__all__ = ["closing_words", "new_store", "run_search", "samples"]


def new_store(folder: Path | None) -> Path:
    """Return the path of the demo's store, in a new folder if none is given."""
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="weightsearch-demo-")) / "demo.h5"
    folder = folder.expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "demo.h5"
    if path.exists():
        raise UserError(f"{path} already exists: choose another folder.")
    return path


def samples(path: Path) -> tuple[TrackedSearch, Any, Any]:
    """Return a search, X and y."""
    X, y = load_digits(return_X_y=True)
    search = WeightTrackingGridSearchCV(
        MLPClassifier(max_iter=100, learning_rate_init=0.005, random_state=0),
        {"alpha": [0.0001, 0.01, 1.0], "hidden_layer_sizes": [(16,), (32,)]},
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        store=path,
    )
    return search, X / 16, y


def run_search(search: TrackedSearch, X: Any, y: Any) -> TrackedSearch:
    """Fit a search, and print its progress and its time."""
    try:
        from sklearn.callback import ProgressBar
    except ImportError:
        # Before scikit-learn 1.9.
        search.verbose = 1
    else:
        search.set_callbacks(ProgressBar(max_propagation_depth=0))
    begin = time.perf_counter()
    with warnings.catch_warnings():
        # The scores show that these few iterations are enough.
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(X, y)
    print(
        f"{len(search.cv_results_['params'])} candidates in "
        f"{time.perf_counter() - begin:.1f} s, best accuracy {search.best_score_:.3f}",
        flush=True,
    )
    return search


def closing_words(path: Path) -> str:
    """Return what to do next with a demo's store."""
    return f"""
The store: {path.stat().st_size / 1e6:.2f} MB. Open it again, in Python:

    from weightsearch import WeightStore
    store = WeightStore({str(path)!r})
    store.runs                          # all runs, oldest first
    run = store.run()                   # the newest
    run.candidates                      # a table of params and scores
    run.weights(0)                      # name -> ndarray, read when asked for

or with any HDF5 viewer: all weights are in /runs/*/architectures."""

"""Keras Tuner's grid search and ours over the same networks and the same split.

python benchmarks/_tuner_search.py {tuner,ours} FOLDER N_CANDIDATES N_EPOCHS
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import _children
import numpy as np
from _harness import Stopwatch
from _models import network
from sklearn.datasets import load_digits
from sklearn.model_selection import PredefinedSplit

N_TEST = 400


def main(way: str, folder: Path, n_candidates: int, n_epochs: int) -> None:
    """Search once over one candidate, which does not count, and then for time."""
    X, y = load_digits(return_X_y=True)
    search = {"tuner": tuner, "ours": ours}[way]
    search(folder / "first", 1, 1, X / 16, y)
    with Stopwatch() as watch:
        search(folder / "second", n_candidates, n_epochs, X / 16, y)
    _children.finish(**{_NAMES[way]: watch.seconds})


_NAMES = {"tuner": "Keras Tuner", "ours": "splits"}


def units(n_candidates: int) -> list[int]:
    """Return the grid: a layer's width."""
    return list(range(16, 16 + n_candidates))


def tuner(folder: Path, n_candidates: int, n_epochs: int, X: Any, y: Any) -> None:
    """Every trial's best epoch is kept as a checkpoint, as it is by default."""
    import keras_tuner

    def build(parameters: Any) -> Any:
        return network(parameters.Choice("units", units(n_candidates)))

    search = keras_tuner.GridSearch(
        build, objective="val_accuracy", directory=folder, project_name="digits"
    )
    search.search(
        X[N_TEST:],
        y[N_TEST:],
        epochs=n_epochs,
        validation_data=(X[:N_TEST], y[:N_TEST]),
        verbose=0,
    )
    # It goes on where a trial fails.
    if len(list(folder.rglob("checkpoint*.h5"))) < n_candidates:
        raise RuntimeError("Keras Tuner has not kept every model")


def ours(folder: Path, n_candidates: int, n_epochs: int, X: Any, y: Any) -> None:
    """One split, whose models are kept; validated after every epoch as well."""
    from scikeras.wrappers import KerasClassifier

    from weightsearch import WeightTrackingGridSearchCV

    folder.mkdir()
    model = KerasClassifier(
        network,
        model__units=16,
        epochs=n_epochs,
        verbose=0,
        fit__validation_data=(X[:N_TEST], y[:N_TEST]),
    )
    WeightTrackingGridSearchCV(
        model,
        {"model__units": units(n_candidates)},
        cv=PredefinedSplit(np.where(np.arange(len(y)) < N_TEST, 0, -1)),
        refit=False,
        store=folder / "search.h5",
        capture="splits",
    ).fit(X, y)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))

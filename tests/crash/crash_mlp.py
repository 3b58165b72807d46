"""A search of networks whose process kills itself after some epochs."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import warnings

from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier

from weightsearch import WeightTrackingGridSearchCV
from weightsearch.search import _snapshots

_epochs = itertools.count(1)


class DyingMLP(MLPClassifier):
    """Kill the process after ``DIE_AFTER`` epochs of all fits together."""

    def _update_no_improvement_count(self, *args):
        super()._update_no_improvement_count(*args)
        if next(_epochs) == int(os.environ.get("DIE_AFTER", "0")):
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from crash_mlp import DyingMLP

    warnings.simplefilter("ignore")
    # So that a fit under way has written all its epochs to its file.
    _snapshots._SPOOL_SECONDS = -1
    X, y = load_iris(return_X_y=True)
    WeightTrackingGridSearchCV(
        DyingMLP((5,), max_iter=8, random_state=0),
        {"alpha": [0.1, 1.0, 10.0]},
        cv=2,
        capture="both",
        store=sys.argv[1],
        snapshots="all",
    ).fit(X, y)

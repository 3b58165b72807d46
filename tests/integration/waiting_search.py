"""A search that waits, before its last candidate, until a file is there."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from weightsearch import WeightTrackingGridSearchCV


class WaitingTree(DecisionTreeClassifier):
    """A tree whose deeper ones wait for the file that the script was told."""

    def fit(self, X, y, sample_weight=None, check_input=True):
        while self.max_depth > 1 and not Path(sys.argv[2]).exists():
            time.sleep(0.05)
        return super().fit(X, y, sample_weight, check_input)


if __name__ == "__main__":
    WeightTrackingGridSearchCV(
        WaitingTree(random_state=0),
        {"max_depth": [1, 3]},
        cv=3,
        store=sys.argv[1],
        verbose=1,
    ).fit(*load_iris(return_X_y=True))

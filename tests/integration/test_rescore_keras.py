"""Predictions and scores of stored Keras models, against those of new fits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict

from weightsearch import WeightTrackingGridSearchCV

pytest.importorskip("scikeras")

from keras_builders import build_iris
from scikeras.wrappers import KerasClassifier


@pytest.mark.slow
def test_equal_to_new_fits(tmp_path):
    """Keras models predict and score as new fits would, to the bit."""
    X, y = load_iris(return_X_y=True)
    model = KerasClassifier(build_iris, epochs=2, verbose=0, random_state=0)
    grid = {"model__hidden_units": [4]}
    settings = {"cv": StratifiedKFold(2), "refit": False}
    search = WeightTrackingGridSearchCV(
        model, grid, store=tmp_path / "store.h5", capture="splits", **settings
    ).fit(X, y)

    found = search.run_.predictions(X, y, estimator=model)
    scores = search.run_.rescore(X, y, "neg_log_loss", estimator=model)

    new = cross_val_predict(
        clone(model).set_params(**search.cv_results_["params"][0]),
        X,
        y,
        cv=settings["cv"],
        method="predict_proba",
    )
    assert np.array_equal(found[0], new)
    fresh = GridSearchCV(model, grid, scoring="neg_log_loss", **settings).fit(X, y)
    for name in scores.filter(like="_test_"):
        assert np.array_equal(scores[name], fresh.cv_results_[name])

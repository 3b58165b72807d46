"""Predictions and scores of stored skorch models, against those of new fits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict

from weightsearch import WeightTrackingGridSearchCV

pytest.importorskip("skorch")

from skorch import NeuralNetClassifier
from torch import nn
from torch_modules import SimpleNet


def test_equal_to_new_fits(tmp_path):
    """Skorch models predict and score as new fits would, to the bit."""
    X, y = make_classification(n_samples=60, n_features=20, random_state=0)
    X, y = X.astype(np.float32), y.astype(np.int64)
    net = NeuralNetClassifier(
        SimpleNet,
        criterion=nn.CrossEntropyLoss,
        max_epochs=2,
        verbose=0,
        train_split=None,
    )
    grid = {"module__hidden_units": [8, 16]}
    settings = {"cv": KFold(3), "refit": False}
    search = WeightTrackingGridSearchCV(
        net, grid, store=tmp_path / "store.h5", capture="splits", **settings
    ).fit(X, y)

    found = search.run_.predictions(X, y, estimator=net)
    scores = search.run_.rescore(X, y, "roc_auc", estimator=net)

    for params, one in zip(search.cv_results_["params"], found, strict=True):
        new = cross_val_predict(
            clone(net).set_params(**params), X, y, cv=KFold(3), method="predict_proba"
        )
        assert np.array_equal(one, new)
    fresh = GridSearchCV(net, grid, scoring="roc_auc", **settings).fit(X, y)
    for name in scores.filter(like="_test_"):
        assert np.array_equal(scores[name], fresh.cv_results_[name])

"""Searches over pipelines whose first step was fitted before."""

from __future__ import annotations

import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline

from weightsearch import WeightTrackingGridSearchCV

X, y = load_digits(return_X_y=True)
GRID = {"ridgeclassifier__alpha": [1.0, 10.0]}


def search(components, store=None):
    """A search behind a frozen projection."""
    frozen = FrozenEstimator(PCA(components, random_state=0).fit(X))
    model = make_pipeline(frozen, RidgeClassifier())
    return WeightTrackingGridSearchCV(model, GRID, cv=3, n_jobs=2, store=store)


def test_frozen_weights_are_those_that_were_frozen():
    """Every candidate has the projection's weights, bit for bit."""
    fitted = search(5).fit(X, y)
    expected = fitted.best_estimator_[0].estimator.components_.tobytes()
    for weights in fitted.weights_by_params_.values():
        assert weights["frozenestimator/estimator/components_"].tobytes() == expected


@pytest.mark.slow
def test_what_is_frozen_is_part_of_a_fit(tmp_path):
    """Fits behind another projection are other fits; behind the same, the same."""
    store = tmp_path / "s.h5"
    first, other, again = (
        search(n, store).fit(X, y).cv_results_["mean_fit_time"] for n in (5, 6, 5)
    )
    assert list(first) == list(again)
    assert list(first) != list(other)

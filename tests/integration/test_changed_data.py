"""Estimators that change their data in place do not spoil it for others."""

from __future__ import annotations

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from weightsearch import WeightTrackingGridSearchCV, WeightTrackingHalvingGridSearchCV


def _sum(part):
    if part is None:
        return 0.0
    return float(part.sum() if sparse.issparse(part) else np.asarray(part).sum())


class Greedy(RegressorMixin, BaseEstimator):
    """Remembers sums of what it is fitted on, and overwrites all of it."""

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def fit(self, X, y, sample_weight=None, extra=None):
        parts = [X, y, sample_weight, None if extra is None else extra["rows"]]
        self.sums_ = np.array([_sum(part) for part in parts])
        X = X.data if sparse.issparse(X) else X
        for part in (X, *parts[1:]):
            if isinstance(part, pd.DataFrame | pd.Series):
                part.iloc[:] = part + 1.0
            elif part is not None:
                part += 1.0
        return self

    def predict(self, X):
        return np.full(X.shape[0], self.sums_[1] * self.alpha)


class Centre(TransformerMixin, BaseEstimator):
    """Subtracts its mean in place, when it transforms too."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        return self

    def transform(self, X):
        X -= self.mean_ * self.factor
        return X


def make_data(kind):
    """Data of a kind, with sample weights and another fit param; new ones each time."""
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:90].copy(), y[:90].copy()
    weight = np.linspace(1, 2, 90)
    if kind == "frame":
        X, y = pd.DataFrame(X), pd.Series(y)
        weight = pd.Series(weight)
    elif kind == "sparse":
        X = sparse.csr_matrix(X)
    elif kind == "fortran":
        X = np.asfortranarray(X)
    elif kind == "large":
        # Large enough that joblib's workers get it as a file in memory.
        X = np.tile(X, (1, 200))
    params = {"sample_weight": weight, "extra": {"rows": np.arange(7.0)}}
    return X, y, params


@pytest.mark.parametrize(
    ("kind", "backend", "n_jobs"),
    [
        *((kind, None, 1) for kind in ("array", "frame", "sparse", "fortran")),
        *((kind, "threading", 2) for kind in ("array", "frame")),
        *((kind, "loky", 2) for kind in ("array", "large")),
    ],
)
def test_every_refit_sees_the_data_as_given(kind, backend, n_jobs):
    """X, y, sample_weight and other fit params are as given for every candidate."""
    grid = {"alpha": [0.1, 1.0, 10.0, 100.0]}
    X, y, params = make_data(kind)
    right = clone(Greedy()).fit(X, y, **params).sums_
    X, y, params = make_data(kind)
    search = WeightTrackingGridSearchCV(Greedy(), grid, cv=2, n_jobs=n_jobs)
    with joblib.parallel_config(backend) if backend else warnings.catch_warnings():
        search.fit(X, y, **params)
    for weights in search.weights_by_params_.values():
        np.testing.assert_array_equal(weights["sums_"], right)


@pytest.mark.parametrize("kind", ["array", "frame"])
def test_the_callers_data_are_left_as_scikit_learn_leaves_them(kind):
    """The best refit changes the caller's own data, once, as GridSearchCV's does."""
    left = []
    for cls in (GridSearchCV, WeightTrackingGridSearchCV):
        X, y, params = make_data(kind)
        del params["extra"]
        cls(Greedy(), {"alpha": [0.1, 1.0, 10.0]}, cv=2).fit(X, y, **params)
        left.append((X, y, params["sample_weight"]))
    for theirs, ours in zip(*left, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("scaler", [StandardScaler, MaxAbsScaler])
@pytest.mark.parametrize(
    "search_class", [WeightTrackingGridSearchCV, WeightTrackingHalvingGridSearchCV]
)
def test_scalers_without_a_copy(scaler, search_class):
    """Candidates after a scaler with copy=False equal those fitted by hand."""
    X, y = load_iris(return_X_y=True)
    X = 10 * X + 100
    model = make_pipeline(scaler(copy=False), LogisticRegression(max_iter=500))
    grid = {
        "logisticregression__C": [0.01, 1.0, 10.0],
        f"{scaler.__name__.lower()}__copy": [False, True],
    }
    options = {"refit_iterations": "all"} if search_class.__name__[14] == "H" else {}
    search = search_class(model, grid, cv=3, **options).fit(X.copy(), y)
    assert len(search.weights_by_params_) == 6
    for params, weights in search.weights_by_params_.items():
        by_hand = clone(model).set_params(**params).fit(X.copy(), y)
        np.testing.assert_array_equal(
            weights["logisticregression/coef_"], by_hand[1].coef_
        )


def test_a_resumed_search_equals_one_without_a_store(tmp_path):
    """Refits that come later, in a search of a grown grid, see the data as given."""
    X, y = load_diabetes(return_X_y=True)
    model = make_pipeline(Centre(), Ridge())
    for alphas in ([0.1, 1.0], [0.1, 1.0, 10.0, 100.0]):
        search = WeightTrackingGridSearchCV(
            model, {"ridge__alpha": alphas}, cv=2, store=tmp_path / "s.h5"
        ).fit(X.copy(), y)
    for params, weights in search.weights_by_params_.items():
        by_hand = clone(model).set_params(**params).fit(X.copy(), y)
        np.testing.assert_array_equal(weights["ridge/coef_"], by_hand[1].coef_)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_model_is_scored_on_the_data_as_given(n_jobs):
    """score_candidates lets no model see what another one has done to the data."""
    X, y = load_diabetes(return_X_y=True)
    model = make_pipeline(Centre(), StandardScaler(copy=False), Ridge())
    grid = {"ridge__alpha": [0.1, 1.0, 10.0], "centre__factor": [0.5, 1.0]}
    search = WeightTrackingGridSearchCV(model, grid, cv=2).fit(X.copy(), y)
    asked = X.copy()
    scores = search.score_candidates(asked, y, n_jobs=n_jobs)["score"]
    np.testing.assert_array_equal(asked, X)
    for score, params in zip(scores, search.cv_results_["params"], strict=True):
        by_hand = clone(model).set_params(**params).fit(X.copy(), y)
        assert score == by_hand.score(X.copy(), y)


def test_every_member_of_an_ensemble_sees_the_data_as_given():
    """An ensemble's members predict from the data as given, whatever others do."""
    X, y = load_diabetes(return_X_y=True)
    model = make_pipeline(Centre(), StandardScaler(copy=False), Ridge())
    grid = {"ridge__alpha": [0.1, 1.0, 10.0]}
    search = WeightTrackingGridSearchCV(model, grid, cv=2).fit(X.copy(), y)
    members = [clone(model).set_params(ridge__alpha=a) for a in (0.1, 1.0, 10.0)]
    predictions = [m.fit(X.copy(), y).predict(X.copy()) for m in members]
    asked = X.copy()
    found = search.run_.ensemble(candidates=[0, 1, 2], estimator=model).predict(asked)
    np.testing.assert_array_equal(asked, X)
    np.testing.assert_allclose(found, np.mean(predictions, axis=0))

"""A wrapper around statsmodels, taught by a registration as the docs describe it."""

from __future__ import annotations

import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import load_diabetes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import (
    NoWeightsWarning,
    UnstorableWeightsWarning,
    WeightTrackingGridSearchCV,
    extract_weights,
    register_extractor,
)
from weightsearch.frameworks import _registry

sm = pytest.importorskip("statsmodels.api")

pytestmark = pytest.mark.ecosystem

X, y = load_diabetes(return_X_y=True)
RESULTS = "statsmodels.genmod.generalized_linear_model.GLMResultsWrapper"


class GLMRegressor(RegressorMixin, BaseEstimator):
    """A generalised linear model of statsmodels in scikit-learn's style."""

    def __init__(self, family="Gaussian"):
        self.family = family

    def fit(self, X, y):
        family = getattr(sm.families, self.family)()
        self.results_ = sm.GLM(y, sm.add_constant(X), family=family).fit()
        return self

    def predict(self, X):
        return self.results_.predict(sm.add_constant(X))


@pytest.fixture
def registered():
    """The results' numbers are known under statsmodels' own names."""
    before = dict(_registry._registered)
    register_extractor(
        RESULTS, lambda results: {"params": results.params, "scale": results.scale}
    )
    yield
    _registry._registered.clear()
    _registry._registered.update(before)


def test_unknown_results_are_named():
    """Without a registration, the warning says what is left out."""
    with (
        pytest.warns(UnstorableWeightsWarning, match=r"results_: .*GLMResultsWrapper"),
        pytest.warns(NoWeightsWarning, match="register_extractor"),
    ):
        extract_weights(GLMRegressor().fit(X, y))


@pytest.mark.usefixtures("registered")
def test_registered_by_name():
    """One registration, by name, is enough for the object inside the wrapper."""
    model = GLMRegressor().fit(X, y)
    weights = extract_weights(model)
    assert list(weights) == ["results_/params", "results_/scale"]
    assert weights["results_/params"].tobytes() == model.results_.params.tobytes()


@pytest.mark.usefixtures("registered")
def test_workers_know_the_registration():
    """In a search with two processes, inside a pipeline."""
    model = make_pipeline(StandardScaler(), GLMRegressor())
    search = WeightTrackingGridSearchCV(
        model, {"glmregressor__family": ["Gaussian", "Poisson"]}, cv=3, n_jobs=2
    ).fit(X, y)
    expected = search.best_estimator_[-1].results_.params
    assert search.best_weights_["glmregressor/results_/params"].tobytes() == (
        expected.tobytes()
    )
    assert len(search.weights_by_params_) == 2

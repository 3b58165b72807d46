"""Pipelines with samplers, and ensembles that balance their classes."""

from __future__ import annotations

import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from weightsearch import NoWeightsWarning, WeightTrackingGridSearchCV, extract_weights

pytest.importorskip("imblearn")

from imblearn.combine import SMOTEENN
from imblearn.ensemble import (
    BalancedBaggingClassifier,
    BalancedRandomForestClassifier,
    RUSBoostClassifier,
)
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler

pytestmark = [
    pytest.mark.ecosystem,
    # imbalanced-learn is behind scikit-learn in these.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

X, y = load_breast_cancer(return_X_y=True)


def test_search_over_a_sampler(tmp_path):
    """A sampler's params can be searched, and a second search reuses the fits."""
    model = make_pipeline(
        StandardScaler(), SMOTE(random_state=0), LogisticRegression(max_iter=50)
    )
    grid = {"smote__k_neighbors": [2, 5]}
    first, second = (
        WeightTrackingGridSearchCV(
            model, grid, cv=3, n_jobs=2, store=tmp_path / "s.h5"
        ).fit(X, y)
        for _ in range(2)
    )
    a, b = (first.weights_by_params_[{"smote__k_neighbors": k}] for k in (2, 5))
    assert list(a) == [
        *("standardscaler/mean_", "standardscaler/var_", "standardscaler/scale_"),
        *("logisticregression/coef_", "logisticregression/intercept_"),
    ]
    assert a["logisticregression/coef_"].tobytes() != (
        b["logisticregression/coef_"].tobytes()
    )
    times = "mean_fit_time"
    assert list(first.cv_results_[times]) == list(second.cv_results_[times])


@pytest.mark.parametrize("sampler", [SMOTE(), SMOTEENN(), RandomUnderSampler()])
def test_samplers_have_no_weights(sampler):
    """Prediction does not ask a sampler, and the warning says so."""
    with pytest.raises(NotFittedError):
        extract_weights(sampler)
    sampler.fit_resample(X, y)
    with pytest.warns(NoWeightsWarning, match="not used to predict"):
        assert extract_weights(sampler) == {}


def test_balanced_forest_is_its_trees_once():
    """A balanced forest has the names of a forest."""
    model = BalancedRandomForestClassifier(n_estimators=2, random_state=0).fit(X, y)
    weights = extract_weights(model)
    assert {name.split("/tree_/")[0] for name in weights} == {
        "estimators_/0",
        "estimators_/1",
    }
    assert weights["estimators_/1/tree_/threshold"].tobytes() == (
        model.estimators_[1].tree_.threshold.tobytes()
    )


def test_other_ensembles_leave_out_their_samplers():
    """Which rows were drawn is no weight."""
    boosted = RUSBoostClassifier(
        DecisionTreeClassifier(max_depth=1), n_estimators=2, random_state=0
    )
    bagged = BalancedBaggingClassifier(n_estimators=2, random_state=0)
    for model in (boosted, bagged):
        weights = extract_weights(model.fit(X, y))
        assert not [name for name in weights if "sampl" in name.split("/tree_/")[0]]
        assert any(name.endswith("tree_/value") for name in weights)

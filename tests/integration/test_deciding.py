"""Thresholds, calibration, intervals and importance, against fitting again."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, precision_score
from sklearn.model_selection import (
    KFold,
    LeaveOneOut,
    ShuffleSplit,
    StratifiedKFold,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor

from weightsearch import WeightTrackingGridSearchCV
from weightsearch.exceptions import EvaluationError, WeightsNotFoundError

CANCER = load_breast_cancer(return_X_y=True)
IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
FOLDS = StratifiedKFold(3, shuffle=True, random_state=0)


def searched(estimator: Any, grid: Any, data: Any, **settings: Any) -> Any:
    """Run a search that keeps all its models for itself."""
    settings = {"cv": FOLDS, "capture": "both", **settings}
    return WeightTrackingGridSearchCV(estimator, grid, **settings).fit(*data)


@pytest.fixture(scope="module")
def binary() -> Any:
    """A search among classifiers of two classes."""
    estimator = make_pipeline(StandardScaler(), LogisticRegression())
    return searched(estimator, {"logisticregression__C": [1e-3, 1.0]}, CANCER)


@pytest.fixture(scope="module")
def three_classes() -> Any:
    """A search among classifiers of three classes."""
    forest = RandomForestClassifier(10, random_state=0)
    return searched(forest, {"max_depth": [1, 3]}, IRIS)


def candidate_of(search: Any, number: int) -> Any:
    """The estimator of a candidate, not fitted."""
    return clone(search.estimator).set_params(**search.cv_results_["params"][number])


# -- thresholds ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scoring": "f1", "response_method": "predict_proba", "thresholds": 37},
        {
            "scoring": make_scorer(precision_score, pos_label=0, zero_division=0.0),
            "thresholds": [-1.0, 0.0, 2.0],
            "store_cv_results": True,
        },
    ],
)
def test_threshold_equal_to_scikit_learn(binary: Any, options: Any) -> None:
    """Threshold, score and predictions are those of TunedThresholdClassifierCV."""
    X, y = CANCER
    wanted = TunedThresholdClassifierCV(candidate_of(binary, 0), cv=FOLDS, **options)
    wanted.fit(X, y)

    found = binary.run_.tune_threshold(X, y, 0, **options)

    assert found.best_threshold_ == wanted.best_threshold_
    assert found.best_score_ == wanted.best_score_
    assert np.array_equal(found.predict(X), wanted.predict(X))
    assert found.get_params()["estimator__logisticregression__C"] == 1e-3
    assert found.n_features_in_ == 30
    if "store_cv_results" in options:
        assert np.array_equal(found.cv_results_["scores"], wanted.cv_results_["scores"])


def test_threshold_of_the_best_candidate(binary: Any) -> None:
    """Without a candidate it is the best one, whose clone can be fitted again."""
    X, y = CANCER

    found = binary.run_.tune_threshold(X, y)

    assert binary.best_index_ == 1
    assert found.estimator.get_params()["logisticregression__C"] == 1.0
    again = clone(found).fit(X, y)
    assert again.best_threshold_ == found.best_threshold_


# -- calibration ---------------------------------------------------------------------


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("data", ["binary", "three_classes"])
def test_calibration_equal_to_scikit_learn(
    request: Any, data: str, ensemble: bool, method: str
) -> None:
    """Calibrated probabilities are those of CalibratedClassifierCV, to the bit."""
    search = request.getfixturevalue(data)
    X, y = CANCER if data == "binary" else IRIS
    wanted = CalibratedClassifierCV(
        candidate_of(search, 0), method=method, cv=FOLDS, ensemble=ensemble
    ).fit(X, y)

    found = search.run_.calibrate(X, y, 0, method=method, ensemble=ensemble)

    assert np.array_equal(found.predict_proba(X), wanted.predict_proba(X))
    assert len(found.calibrated_classifiers_) == (3 if ensemble else 1)
    assert type(found.estimator) is type(search.estimator)


class Unweighted(ClassifierMixin, BaseEstimator):
    """An SVC whose fit takes no weights."""

    def __init__(self, C: float = 1.0):
        self.C = C

    def fit(self, X: Any, y: Any) -> Unweighted:
        self.model_ = SVC(C=self.C).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def decision_function(self, X: Any) -> Any:
        return self.model_.decision_function(X)

    def predict(self, X: Any) -> Any:
        return self.model_.predict(X)


def test_calibration_of_named_classes_and_weights() -> None:
    """Classes may be texts, tables keep their columns, and rows may have weights."""
    X = pd.DataFrame(IRIS[0], columns=list("abcd"))
    y = np.array(["setosa", "versicolor", "virginica"])[IRIS[1]]
    weight = 1.0 + np.arange(150) % 3
    search = searched(SVC(), {"C": [0.1]}, (X, y))
    with warnings.catch_warnings():
        # Its models have no weights, as those of the search.
        warnings.simplefilter("ignore")
        wanted = CalibratedClassifierCV(Unweighted(C=0.1), cv=FOLDS)
        wanted.fit(X, y, sample_weight=weight)

    found = search.run_.calibrate(X, y, sample_weight=weight)

    assert np.array_equal(found.predict_proba(X), wanted.predict_proba(X))
    assert found.feature_names_in_.tolist() == list("abcd")
    assert found.classes_.tolist() == ["setosa", "versicolor", "virginica"]


# -- intervals -----------------------------------------------------------------------


def intervals_by_the_definition(
    model: Any, X: Any, y: Any, X_new: Any, cv: Any, confidence: float, method: str
) -> Any:
    """Barber et al. 2021, row by row, with models that are fitted anew."""
    n, alpha = len(y), 1 - confidence
    residuals, models = [0.0] * n, [None] * n
    for train, test in cv.split(X):
        fitted = clone(model).fit(X[train], y[train])
        for row in test:
            models[row] = fitted
            residuals[row] = abs(y[row] - fitted.predict(X[[row]])[0])
    up = math.ceil((1 - alpha) * (n + 1) - 1e-9)
    down = math.floor(alpha * (n + 1) + 1e-9)
    found = []
    for row in X_new:
        centres = [one.predict(row[np.newaxis])[0] for one in models]
        if method == "minmax":
            margin = sorted(residuals)[up - 1] if up <= n else math.inf
            found.append((min(centres) - margin, max(centres) + margin))
            continue
        pairs = list(zip(centres, residuals, strict=True))
        low, high = sorted(m - r for m, r in pairs), sorted(m + r for m, r in pairs)
        found.append(
            (
                low[down - 1] if down >= 1 else -math.inf,
                high[up - 1] if up <= n else math.inf,
            )
        )
    return np.array(found)


@pytest.mark.parametrize("method", ["plus", "minmax"])
@pytest.mark.parametrize(
    ("cv", "confidence"),
    [(KFold(4, shuffle=True, random_state=0), 0.9), (LeaveOneOut(), 0.8)],
)
def test_intervals_by_the_definition(cv: Any, confidence: float, method: str) -> None:
    """Limits are those of the paper's formulas, computed row by row."""
    X, y = DIABETES[0][:59], DIABETES[1][:59]
    X_new = DIABETES[0][60:70]
    model = DecisionTreeRegressor(max_depth=3, random_state=0)
    run = searched(model, {}, (X, y), cv=cv, scoring="neg_mean_squared_error").run_
    wanted = intervals_by_the_definition(model, X, y, X_new, cv, confidence, method)

    found = run.prediction_intervals(X, y, X_new, confidence=confidence, method=method)

    assert found.tolist() == pytest.approx(wanted, rel=1e-12)
    if method == "plus":
        assert (np.diff(found) > 0).all()


def test_intervals_hold_their_share() -> None:
    """About as many targets of new rows are in their intervals as was asked."""
    X, y = DIABETES
    run = searched(Ridge(), {"alpha": [0.1]}, (X[:300], y[:300]), cv=KFold(10)).run_

    low, high = run.prediction_intervals(X[:300], y[:300], X[300:], confidence=0.8).T

    assert 0.7 < np.mean((low <= y[300:]) & (y[300:] <= high)) < 0.9


def test_too_few_rows_for_the_confidence() -> None:
    """Where no row's residual is large enough the limits are infinite."""
    X, y = DIABETES[0][:9], DIABETES[1][:9]
    run = searched(Ridge(), {"alpha": [0.1]}, (X, y), cv=KFold(3)).run_

    found = run.prediction_intervals(X, y, DIABETES[0][9:11], confidence=0.95)

    assert found.tolist() == [[-np.inf, np.inf]] * 2


# -- importance ----------------------------------------------------------------------


def test_importance_equal_to_scikit_learn(three_classes: Any) -> None:
    """Each split's importances are scikit-learn's for its model and test rows."""
    X, y = IRIS
    options = {"scoring": "neg_log_loss", "n_repeats": 2, "random_state": 0}
    wanted = [
        permutation_importance(
            candidate_of(three_classes, 1).fit(X[train], y[train]),
            X[test],
            y[test],
            **options,
        )["importances"]
        for train, test in FOLDS.split(X, y)
    ]

    found = three_classes.run_.permutation_importance(X, y, 1, **options)

    assert np.array_equal(found.importances, np.stack(wanted, axis=1))
    assert found.importances.shape == (4, 3, 2)
    assert found.importances_mean == pytest.approx(np.mean(wanted, axis=(0, 2)))
    several = three_classes.run_.permutation_importance(
        X, y, scoring=["accuracy", "f1_macro"], n_repeats=1, random_state=0
    )
    assert sorted(several) == ["accuracy", "f1_macro"]


# -- what is refused -----------------------------------------------------------------


def test_what_is_refused(binary: Any, three_classes: Any) -> None:
    """Other data, kinds of models and splits are refused, with what is missing."""
    X, y = CANCER
    with pytest.raises(EvaluationError, match="values of y"):
        binary.run_.tune_threshold(X, 1 - y)
    with pytest.raises(ValueError, match="binary"):
        three_classes.run_.tune_threshold(*IRIS)
    ridge = searched(Ridge(), {"alpha": [1.0]}, DIABETES, cv=KFold(3)).run_
    with pytest.raises(EvaluationError, match="not a classifier: Ridge"):
        ridge.calibrate(*DIABETES)
    with pytest.raises(EvaluationError, match="not a regressor: Pipeline"):
        binary.run_.prediction_intervals(X, y, X)
    with pytest.raises(EvaluationError, match="'plus' or 'minmax'"):
        ridge.prediction_intervals(*DIABETES, X, method="naive")
    with pytest.raises(EvaluationError, match="between 0 and 1"):
        ridge.prediction_intervals(*DIABETES, X, confidence=95)
    shuffled = searched(Ridge(), {}, DIABETES, cv=ShuffleSplit(2, random_state=0)).run_
    with pytest.raises(EvaluationError, match="test each row once"):
        shuffled.prediction_intervals(*DIABETES, X)
    with pytest.raises(WeightsNotFoundError, match="no candidate 7"):
        ridge.prediction_intervals(*DIABETES, X, 7)


def test_missing_models_are_named() -> None:
    """What lacks refits, or models of splits, says which capture keeps them."""
    settings = {"capture": "splits", "refit": False, "scoring": ["accuracy", "f1"]}
    splits = searched(LogisticRegression(), {"C": [1e-3]}, CANCER, **settings).run_
    refits = searched(LogisticRegression(), {"C": [1e-3]}, CANCER, capture="refit").run_

    with pytest.raises(WeightsNotFoundError, match="capture='both'"):
        splits.tune_threshold(*CANCER, 0)
    assert splits.calibrate(*CANCER, 0).predict(CANCER[0]).shape == (569,)
    with pytest.raises(WeightsNotFoundError, match="capture='both'"):
        splits.calibrate(*CANCER, 0, ensemble=False)
    with pytest.raises(EvaluationError, match="no best candidate"):
        splits.calibrate(*CANCER)
    with pytest.raises(WeightsNotFoundError, match="capture='splits'"):
        refits.calibrate(*CANCER)

"""Equal candidates are fitted once, and nobody can tell from results or warnings."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from scipy.stats import randint
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectKBest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
)
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import (
    WeightTrackingGridSearchCV,
    WeightTrackingHalvingGridSearchCV,
    WeightTrackingRandomizedSearchCV,
)

X, Y = load_iris(return_X_y=True)
CS = {"C": [0.1, np.float64(0.1), 1.0, 1.0, 0.1]}


class Own(TransformerMixin, BaseEstimator):
    """A transformer that is not scikit-learn's."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X


def logistic(**params):
    # With SciPy 1.18, the default solver of scikit-learn 1.6 warns in every fit.
    return LogisticRegression(**{"solver": "newton-cg", "max_iter": 500, **params})


# estimator, grid, options, fits spared in the three splits
CASES = {
    "classifier": (logistic(), CS, {}, 9),
    "several scores": (
        logistic(),
        CS,
        {
            "scoring": ["accuracy", "neg_log_loss"],
            "refit": "neg_log_loss",
            "return_train_score": True,
        },
        9,
    ),
    "pipeline": (
        make_pipeline(StandardScaler(), SelectKBest(), logistic()),
        {"selectkbest__k": [2, 2, 3], "logisticregression__C": [0.1, 1.0, 0.1]},
        {},
        3 * 5,
    ),
    "steps": (
        make_pipeline("passthrough", logistic()),
        {"passthrough": [StandardScaler(), "passthrough", StandardScaler()]},
        {},
        3,
    ),
    "values that it has": (
        make_pipeline(StandardScaler(), Ridge()),
        [{"ridge__alpha": [2.0, 1.0]}, {"standardscaler__with_mean": [True, False]}],
        {},
        3,
    ),
    "seeded": (RandomForestClassifier(3, random_state=0), {"max_depth": [2, 2]}, {}, 3),
    # These are fitted for every candidate.
    "unseeded": (RandomForestClassifier(3), {"max_depth": [2, 2, 1]}, {}, 0),
    "unseeded steps before": (
        make_pipeline(StandardScaler(), RandomForestClassifier(3)),
        {"randomforestclassifier__max_depth": [2, 2, 1]},
        {},
        0,
    ),
    "fails": (logistic(), {"C": [-1.0, 1.0, -1.0]}, {}, 0),
    "warns": (logistic(max_iter=3), {"C": [1.0, 1.0]}, {}, 0),
    "score fails": (
        logistic(),
        {"C": [1.0, 1.0]},
        {"scoring": "neg_mean_poisson_deviance"},
        0,
    ),
    "own code": (make_pipeline(Own(), Ridge()), {"ridge__alpha": [1.0, 1.0]}, {}, 0),
    "other type": (Ridge(), {"alpha": [1, 1.0]}, {}, 0),
    "switched off": (logistic(), CS, {"share_prefixes": False}, 0),
}


def heard(search, X=X, y=Y):
    """Fit a search from a global seed; return it, and how its warnings begin."""
    np.random.seed(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(X, y)
    # Tracebacks of failures have our frames.
    return search, [str(one.message)[:60] for one in caught]


def assert_same_results(search, plain):
    """All but times are equal, to the bit."""
    assert list(search.cv_results_) == list(plain.cv_results_)
    for name, column in plain.cv_results_.items():
        if "time" not in name:
            np.testing.assert_array_equal(search.cv_results_[name], column, name)
    assert search.best_index_ == plain.best_index_


def held(run):
    """Number of fits that a run holds itself, and of all its fits."""
    fits = run._source.fits()
    return int((fits.origin == b"").sum()), len(fits)


@pytest.mark.parametrize("name", CASES)
def test_results_and_warnings_are_those_of_grid_search(name, capsys):
    """Equal candidates share a fit where it is certain; else every one is fitted."""
    estimator, grid, own, n_spared = CASES[name]
    options = {key: own[key] for key in own if key != "share_prefixes"}
    plain, expected = heard(GridSearchCV(estimator, grid, cv=3, **options))
    capsys.readouterr()
    search = WeightTrackingGridSearchCV(
        estimator, grid, cv=3, capture="splits", verbose=1, **own
    )
    search, found = heard(search)
    assert_same_results(search, plain)
    assert found == expected
    printed = re.findall(r"(\d+) fits spared: their", capsys.readouterr().out)
    assert [int(n) for n in printed] == ([n_spared] if n_spared else [])
    n_held, n_fits = held(search.run_)
    assert n_fits - n_held == n_spared
    weights = search.run_.weights(search.best_index_, split=1)
    assert len(weights) > 0


@pytest.mark.parametrize(
    ("case", "n_spared"), [("classifier", 9), ("pipeline", 15), ("fails", 0)]
)
def test_in_workers(case, n_spared):
    """Workers fit one of equal candidates; where it fails they fit all."""
    estimator, grid, *_ = CASES[case]
    plain, expected = heard(GridSearchCV(estimator, grid, cv=3))
    search = WeightTrackingGridSearchCV(
        estimator, grid, cv=3, n_jobs=2, capture="splits"
    )
    search, found = heard(search)
    assert_same_results(search, plain)
    assert found == expected
    n_held, n_fits = held(search.run_)
    assert n_fits - n_held == n_spared


def test_every_candidate_has_its_weights(tmp_path):
    """Equal candidates have equal weights, models and times, which are stored once."""
    path = tmp_path / "search.h5"
    search = WeightTrackingGridSearchCV(
        logistic(), CS, cv=3, capture="both", store=path
    ).fit(X, Y)
    run = search.run_
    assert held(run) == (2 * 3 + 2, 5 * 3 + 5)
    for number, C in enumerate(CS["C"]):
        model = logistic(C=C).fit(X, Y)
        np.testing.assert_array_equal(run.weights(number)["coef_"], model.coef_)
        assert run.load_estimator(number, split=2).C == C
    assert run.stack("coef_")[0].shape == (5, 3, 4)
    times = search.cv_results_["mean_fit_time"]
    assert times[0] == times[1] == times[4]
    assert times[2] == times[3]
    assert search.store_.verify() == []

    again = WeightTrackingGridSearchCV(
        logistic(), CS, cv=3, capture="both", store=path
    ).fit(X, Y)
    assert again.run_.name == run.name
    np.testing.assert_array_equal(again.cv_results_["mean_fit_time"], times)


def test_models_of_equal_candidates_serve_another_scoring(tmp_path):
    """A search with another scoring fits nothing, and scores as a fresh one."""
    store = {"store": tmp_path / "search.h5", "capture": "splits", "cv": 3}
    WeightTrackingGridSearchCV(logistic(), CS, **store).fit(X, Y)
    options = {"scoring": "neg_log_loss", "refit": False}
    search = WeightTrackingGridSearchCV(logistic(), CS, **store, **options).fit(X, Y)
    plain = GridSearchCV(logistic(), CS, cv=3, scoring="neg_log_loss").fit(X, Y)
    for name in ("mean_test_score", "rank_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], plain.cv_results_[name])
    assert held(search.run_) == (0, 15)


def test_interrupted_search_resumes(tmp_path):
    """What equal candidates share is held once by the run that resumes."""
    options = {"cv": 3, "capture": "splits", "error_score": "raise"}
    options |= {"store": tmp_path / "search.h5"}
    with pytest.raises(ValueError, match="C"):
        WeightTrackingGridSearchCV(logistic(), {"C": [0.1, 0.1, -1.0]}, **options).fit(
            X, Y
        )
    search = WeightTrackingGridSearchCV(logistic(), {"C": [0.1, 0.1, 1.0]}, **options)
    search.fit(X, Y)
    assert len(search.store_.runs) == 1
    assert held(search.run_) == (2 * 3 + 1, 3 * 3 + 1)
    assert search.store_.verify() == []
    plain = GridSearchCV(logistic(), {"C": [0.1, 0.1, 1.0]}, cv=3).fit(X, Y)
    assert_same_results(search, plain)
    for number in (0, 1):
        model = search.run_.load_estimator(number, split=0)
        train, _ = search.run_.splits()[0]
        expected = logistic(C=0.1).fit(X[train], Y[train])
        np.testing.assert_array_equal(model.coef_, expected.coef_)


def test_draws_of_a_randomized_search():
    """Candidates that are drawn twice are fitted once."""
    alphas = {"alpha": randint(1, 4)}
    options = {"n_iter": 8, "random_state": 0, "cv": 3}
    plain = RandomizedSearchCV(Ridge(), alphas, **options)
    search = WeightTrackingRandomizedSearchCV(
        Ridge(), alphas, capture="splits", **options
    ).fit(X, Y)
    assert_same_results(search, plain.fit(X, Y))
    assert held(search.run_) == (3 * 3 + 1, 8 * 3 + 1)


def test_rounds_of_a_halving_search():
    """Equal candidates of one iteration share fits, those of several do not."""
    options = {"cv": 3, "factor": 2, "random_state": 0, "min_resources": 60}
    grid = {"C": [0.1, 0.1, 1.0, 10.0]}
    plain = HalvingGridSearchCV(logistic(), grid, **options).fit(X, Y)
    search = WeightTrackingHalvingGridSearchCV(
        logistic(), grid, capture="splits", **options
    ).fit(X, Y)
    assert_same_results(search, plain)
    n_held, n_fits = held(search.run_)
    assert n_fits - n_held == 3


def test_numpy_scalars_count_as_such_where_they_might_matter():
    """Of float32 data, 0.1 makes another model than np.float64(0.1) may."""
    data = X[:60].astype(np.float32)
    target = data[:, 0]
    network = MLPRegressor(
        hidden_layer_sizes=(3,), max_iter=20, random_state=0, tol=1.0
    )
    grid = {"alpha": [0.1, np.float64(0.1)]}
    plain, _ = heard(GridSearchCV(network, grid, cv=2), data, target)
    search = WeightTrackingGridSearchCV(network, grid, cv=2, capture="splits")
    search, _ = heard(search, data, target)
    assert_same_results(search, plain)
    n_held, n_fits = held(search.run_)
    assert n_held == n_fits


@pytest.mark.parametrize("named", [False, True])
def test_refits_of_numpy_scalars_are_their_own(tmp_path, named):
    """Both refits are those by hand, to the bit, in a private store and in a named."""
    data = X[:60].astype(np.float32)
    target = data[:, 0]
    gammas = [0.1, np.float64(0.1)]
    store = {"store": tmp_path / "search.h5"} if named else {}
    search = WeightTrackingGridSearchCV(
        KernelRidge(kernel="rbf"), {"gamma": gammas}, cv=2, **store
    ).fit(data, target)
    by_hand = [
        KernelRidge(kernel="rbf", gamma=gamma).fit(data, target).dual_coef_
        for gamma in gammas
    ]
    # Before NumPy 2, both were as wide as the data.
    assert np.array_equal(*by_hand) == (np.__version__ < "2")
    for candidate, expected in enumerate(by_hand):
        found = search.run_.weights(candidate)["dual_coef_"]
        np.testing.assert_array_equal(found, expected, strict=True)

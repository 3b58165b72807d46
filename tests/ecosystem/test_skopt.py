"""Bayesian optimisation by scikit-optimize, with a base class more."""

from __future__ import annotations

import numpy as np
import pytest
from search_estimators import CountingClassifier, count_fits
from sklearn.datasets import load_iris

from weightsearch.search import TrackedSearch

pytest.importorskip("skopt")

from skopt import BayesSearchCV
from skopt.space import Real

pytestmark = pytest.mark.ecosystem


class WeightTrackingBayesSearchCV(BayesSearchCV, TrackedSearch):
    """scikit-optimize's own search, with weights."""


def bayes(cls, log=None, **kwargs):
    space = {"C": Real(1e-3, 1e3, "log-uniform")}
    kwargs = {
        "n_iter": 7,
        "optimizer_kwargs": {"n_initial_points": 4},
        "cv": 3,
        "random_state": 0,
        **kwargs,
    }
    return cls(CountingClassifier(log), space, **kwargs)


def test_bayesian_search_keeps_weights(tmp_path):
    """Candidates and scores are those of skopt, and every candidate has weights."""
    X, y = load_iris(return_X_y=True)
    theirs = bayes(BayesSearchCV).fit(X, y)
    ours = bayes(WeightTrackingBayesSearchCV, store=tmp_path / "s.h5").fit(X, y)
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    assert ours.best_score_ == theirs.best_score_
    for params, weights in ours.weights_by_params_.items():
        by_hand = CountingClassifier(**params).fit(X, y)
        np.testing.assert_array_equal(weights["coef_"], by_hand.coef_)


def test_bayesian_search_goes_on(tmp_path):
    """More iterations reuse those before, and the optimizer learns from them."""
    X, y = load_iris(return_X_y=True)
    log, path = tmp_path / "fits.log", tmp_path / "s.h5"
    shorter = bayes(WeightTrackingBayesSearchCV, log, store=path, n_iter=5).fit(X, y)
    before = count_fits(log)
    longer = bayes(WeightTrackingBayesSearchCV, log, store=path).fit(X, y)
    refits = len(longer.weights_by_params_) - len(shorter.weights_by_params_)
    assert count_fits(log) - before == 2 * 3 + refits
    anew = bayes(BayesSearchCV).fit(X, y)
    assert longer.cv_results_["params"] == anew.cv_results_["params"]

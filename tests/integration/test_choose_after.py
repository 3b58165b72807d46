"""Another best candidate after the search, against a search that chose it at once."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from weightsearch import (
    WeightsNotFoundError,
    WeightTrackingGridSearchCV,
    WeightTrackingHalvingGridSearchCV,
)
from weightsearch.choose import OneStandardError, ParetoKnee, WithinPercent

X, y = load_iris(return_X_y=True)
GRID = {"max_depth": [5, 4, 3, 2, 1]}
RULE = WithinPercent(5, "max_depth")


def tree_search(**params):
    tree = DecisionTreeClassifier(random_state=0)
    return WeightTrackingGridSearchCV(tree, GRID, cv=3, **params)


def test_choose_equals_refit_by_the_rule():
    """All that a search says of its best candidate is as if the rule had been given."""
    expected = tree_search(refit=RULE).fit(X, y)
    search = tree_search().fit(X, y)
    first = search.best_index_

    assert search.choose(RULE) is search

    assert search.best_index_ == expected.best_index_ != first
    assert search.best_params_ == expected.best_params_
    assert search.best_score_ == search.cv_results_["mean_test_score"][3]
    assert np.array_equal(search.predict_proba(X), expected.predict_proba(X))
    for name, array in expected.best_weights_.items():
        assert array.tobytes() == search.best_weights_[name].tobytes()
    assert search.best_estimator_.get_params() == expected.best_estimator_.get_params()
    # The store is as it was, and the first choice can be had again.
    assert search.run_.best_index == first
    search.choose(WithinPercent(0, "-max_depth"))
    assert search.best_estimator_.tree_.max_depth > 2


def test_a_rule_is_the_same_for_the_run_and_for_a_search_that_resumes(tmp_path):
    """A rule given as refit reuses all fits; a run chooses what the search chooses."""
    store = tmp_path / "search.h5"
    search = tree_search(store=store, capture="both").fit(X, y)
    again = tree_search(store=store, capture="both", refit=RULE, verbose=1).fit(X, y)

    assert again.best_index_ == search.run_.choose(RULE) == 3
    assert again.cv_results_["mean_fit_time"] == pytest.approx(
        search.cv_results_["mean_fit_time"]
    )
    with pytest.raises(AttributeError):
        _ = again.best_score_
    again.choose(OneStandardError("-max_depth"))
    assert not hasattr(again, "best_score_")


def test_the_number_of_weights_can_be_chosen_by():
    """The smallest of two networks is found by the size of what is stored."""
    network = MLPClassifier(max_iter=5, random_state=0)
    sizes = {"hidden_layer_sizes": [(9,), (3,), (5, 5)]}
    search = WeightTrackingGridSearchCV(network, sizes, cv=2).fit(X, y)

    search.choose(WithinPercent(100, "n_weights"))

    assert search.best_params_ == {"hidden_layer_sizes": (3,)}
    assert search.run_.choose(ParetoKnee("-n_weights", "-mean_fit_time")) in (0, 1, 2)


def test_a_rule_of_the_users_own():
    """A callable that was written for refit, as in scikit-learn's own example."""

    def lowest_complexity(cv_results):
        lowest = cv_results["mean_test_score"].max() - 0.05
        near = np.flatnonzero(cv_results["mean_test_score"] >= lowest)
        return near[cv_results["param_max_depth"][near].argmin()]

    search = tree_search().fit(X, y)
    expected = tree_search(refit=lowest_complexity).fit(X, y)

    assert search.run_.choose(lowest_complexity) == expected.best_index_
    assert search.choose(lowest_complexity).best_params_ == expected.best_params_


def test_choose_in_the_last_round_of_a_halving_search():
    """Equal params of several rounds are one candidate, of whom the last one counts."""
    search = WeightTrackingHalvingGridSearchCV(
        DecisionTreeClassifier(random_state=0), GRID, min_resources=40, cv=3
    ).fit(X, y)

    search.choose(WithinPercent(100, "max_depth"))

    last = search.cv_results_["iter"] == search.n_iterations_ - 1
    params = [
        p for p, here in zip(search.cv_results_["params"], last, strict=True) if here
    ]
    assert search.best_params_ == min(params, key=lambda p: p["max_depth"])
    assert search.best_estimator_.max_depth == search.best_params_["max_depth"]


@pytest.mark.parametrize(
    "params", [{"capture": "splits"}, {"keep": 1}, {"capture": "both", "refit": False}]
)
def test_a_refit_that_was_not_kept(params):
    """Without its model the candidate is refused, and the search stays as it was."""
    search = tree_search(**params).fit(X, y)
    before = dict(vars(search))

    with pytest.raises(WeightsNotFoundError, match="keep='all'"):
        search.choose(WithinPercent(100, "max_depth"))

    assert vars(search) == before


def test_a_rule_that_names_no_candidate():
    """What a rule returns is checked as scikit-learn does it."""
    search = tree_search().fit(X, y)

    with pytest.raises(TypeError, match="callable"):
        search.choose("max_depth")
    with pytest.raises(TypeError, match="integer"):
        search.choose(lambda results: 0.5)
    with pytest.raises(IndexError, match="0 to 4"):
        search.choose(lambda results: 5)

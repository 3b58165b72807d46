"""Rules that choose a candidate, against scikit-learn's refit and closed forms."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.stats import t as student_t
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.tree import DecisionTreeClassifier

from weightsearch.choose import (
    NotSignificantlyWorse,
    OneStandardError,
    ParetoKnee,
    WithinPercent,
    pareto_front,
)

RESULTS = {
    "params": [
        {"depth": 9, "kernel": "rbf"},
        {"depth": 5, "kernel": "poly"},
        {"depth": 3, "kernel": "linear"},
        {"depth": 1},
    ],
    "mean_fit_time": np.array([4.0, 3.0, 2.0, 1.0]),
    "mean_test_score": np.array([0.90, 0.89, 0.86, 0.50]),
    "split0_test_score": np.array([0.94, 0.93, 0.88, 0.50]),
    "split1_test_score": np.array([0.90, 0.87, 0.86, 0.50]),
    "split2_test_score": np.array([0.86, 0.87, 0.84, 0.50]),
}


def test_one_standard_error_is_that_of_the_best():
    """The bound is the best mean less its sample deviation over the root of splits."""
    # Deviation 0.04 in 3 splits: 0.0231 may be lost.
    assert OneStandardError(simplest="depth")(RESULTS) == 1
    wide = RESULTS | {"split0_test_score": np.array([0.98, 0.93, 0.88, 0.50])}
    wide["split2_test_score"] = np.array([0.82, 0.87, 0.84, 0.50])
    assert OneStandardError(simplest="depth")(wide) == 2


def test_percent_is_of_the_best_score():
    """Scores below zero lose percents too, and 0 percent keeps the best alone."""
    assert WithinPercent(0, "depth")(RESULTS) == 0
    assert WithinPercent(5, "depth")(RESULTS) == 2
    losses = {**RESULTS, "mean_test_score": np.array([-1.0, -1.04, -1.2, -9.0])}
    assert WithinPercent(5, "depth")(losses) == 1


def test_significance_is_the_corrected_test():
    """The simplest one whose one-sided p-value is above the level is chosen."""
    scores = np.array([RESULTS[f"split{n}_test_score"] for n in range(3)]).T
    differences = scores[0] - scores
    deviation = differences.std(axis=1, ddof=1) * np.sqrt(1 / 3 + 1 / 2)
    with np.errstate(all="ignore"):
        p_values = student_t.sf(differences.mean(axis=1) / deviation, 2)
    expected = max(n for n in (1, 2, 3) if p_values[n] > 0.05)

    rule = NotSignificantlyWorse(test_size=1 / 3, simplest="depth")
    assert rule(RESULTS) == expected == 2


@pytest.mark.parametrize(
    ("simplest", "expected"),
    [
        ("depth", 3),
        ("-depth", 0),
        ("param_depth", 3),
        ("mean_fit_time", 3),
        (["kernel_size", "depth"], 2),
        ({"kernel": ["poly", "linear", "rbf"]}, 1),
    ],
)
def test_what_is_simple(simplest, expected):
    """Params, columns, both directions, several names and orders of values decide."""
    params = [
        dict(one, kernel_size=0 if n in (1, 2) else 7)
        for n, one in enumerate(RESULTS["params"])
    ]
    results = {**RESULTS, "params": params}

    assert WithinPercent(100, simplest)(results) == expected


def test_failed_candidates_are_not_chosen():
    """A candidate without a mean score is never near the best."""
    results = {**RESULTS, "mean_test_score": np.array([0.9, np.nan, 0.9, np.nan])}

    assert WithinPercent(50, "depth")(results) == 2
    with pytest.raises(ValueError, match="all fits failed"):
        WithinPercent()({**RESULTS, "mean_test_score": np.full(4, np.nan)})


def test_pareto_front_against_all_pairs():
    """The front is what a comparison of all pairs leaves, and the knee is on it."""
    rng = np.random.default_rng(0)
    results = {
        "params": [{}] * 60,
        "mean_test_score": rng.random(60).round(1),
        "mean_fit_time": rng.random(60).round(1),
    }
    costs = np.column_stack([-results["mean_test_score"], results["mean_fit_time"]])
    expected = [
        n
        for n, one in enumerate(costs)
        if not any((other <= one).all() and (other < one).any() for other in costs)
    ]

    front = pareto_front(results, ["score", "mean_fit_time"])

    assert front.tolist() == expected
    assert ParetoKnee("score", "mean_fit_time")(results) in expected


def test_bad_rules_say_what_to_do():
    """Unknown names, text without an order and one split are errors with a way out."""
    with pytest.raises(ValueError, match="neither a param nor a column"):
        OneStandardError("dept")(RESULTS)
    with pytest.raises(ValueError, match="Give their order"):
        OneStandardError("kernel")(RESULTS)
    with pytest.raises(ValueError, match=r"search\.choose"):
        OneStandardError("n_weights")(RESULTS)
    with pytest.raises(ValueError, match="at least 2 splits"):
        OneStandardError()({k: v for k, v in RESULTS.items() if k[5:6] not in "12"})
    with pytest.raises(ValueError, match="metric is not given"):
        WithinPercent()({**RESULTS, "mean_test_f1": np.ones(4)})
    with pytest.raises(ValueError, match="between 0 and 1"):
        NotSignificantlyWorse(test_size=5)(RESULTS)
    with pytest.raises(ValueError, match="two aims"):
        ParetoKnee("score")(RESULTS)


@pytest.mark.parametrize(
    "rule",
    [
        OneStandardError("max_depth"),
        WithinPercent(2, ["max_depth", "mean_fit_time"]),
        NotSignificantlyWorse(0.2, simplest={"max_depth": [1, 2, 3, 4]}),
        ParetoKnee("score", "max_depth"),
    ],
)
def test_rules_serve_any_search(rule):
    """A plain search takes a rule for refit, also as a copy or from a pickle."""
    X, y = load_iris(return_X_y=True)
    tree = DecisionTreeClassifier(random_state=0)
    search = GridSearchCV(tree, {"max_depth": [4, 3, 2, 1]}, refit=rule)

    fitted = clone(search).fit(X, y)

    assert fitted.best_index_ == rule(fitted.cv_results_) != 3
    assert pickle.loads(pickle.dumps(rule)) == rule
    assert " at 0x" not in repr(rule)


def test_only_the_last_iteration_of_a_halving_search_counts():
    """Candidates that were given fewer resources are not compared with the others."""
    X, y = load_iris(return_X_y=True)
    tree = DecisionTreeClassifier(random_state=0)
    search = HalvingGridSearchCV(
        tree, {"max_depth": [1, 2, 3, 4, 5, 6]}, random_state=0, min_resources=30
    ).fit(X, y)

    chosen = WithinPercent(100, "max_depth")(search.cv_results_)

    assert search.cv_results_["iter"][chosen] == search.cv_results_["iter"].max()

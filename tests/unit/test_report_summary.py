"""The first screen of reports: the best candidate, the search, its warnings."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from weightsearch import WeightTrackingGridSearchCV
from weightsearch.choose import OneStandardError
from weightsearch.report._contents import report_contents
from weightsearch.report._page import _payload
from weightsearch.report._summary import short_names, unusual, within_one_error


def summary_of(estimator, grid, data, tmp_path, **options):
    """The first screen of a search, and the search."""
    search = WeightTrackingGridSearchCV(
        estimator, grid, store=tmp_path / "search.h5", **{"cv": 3, **options}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(*data)
    run = search.run_
    contents = report_contents(
        run._source,
        run._table,
        run.candidates,
        params=list(run.params(0)),
        score=run._main_column("mean_test_"),
        rank=run._main_column("rank_test_"),
        settings=run.settings,
        title=None,
        trajectory=run._trajectory,
    )
    payload = _payload(contents, 10**7)
    summary = payload["summary"]
    summary["warnings"] = {one["title"]: one for one in summary["warnings"]}
    return {**summary, "tiles": dict(summary["tiles"])}, search


def test_the_best_is_the_search_s_own(tmp_path):
    """Score, spread and params are those of the search, with the scorer's name."""
    model = make_pipeline(StandardScaler(), Ridge())
    grid = {"ridge__alpha": [0.1, 1.0, 10.0]}
    found, search = summary_of(
        model, grid, load_diabetes(return_X_y=True), tmp_path, cv=5
    )
    best = found["best"]

    assert best["candidate"] == search.best_index_
    assert best["score"] == f"{search.best_score_:.4g}"
    assert best["metric"] == "r2"
    assert best["params"][0][:2] == ["alpha", "ridge__alpha"]
    assert found["tiles"]["Estimator"] == "Ridge in a Pipeline"
    assert found["tiles"]["Data"] == "442 rows \u00d7 10 columns"


def test_several_final_estimators_are_said(tmp_path):
    """Where the grid replaces a pipeline's last step, no one of them is named."""
    model = make_pipeline(StandardScaler(), LogisticRegression())
    grid = {"logisticregression": [LogisticRegression(), DecisionTreeClassifier()]}

    found, _ = summary_of(model, grid, load_iris(return_X_y=True), tmp_path)

    assert found["tiles"]["Estimator"] == "several in a Pipeline"


def test_best_at_the_edge_is_warned_of(tmp_path):
    """The smallest C that is best by itself is warned of; one in the middle is not."""
    data = load_iris(return_X_y=True)
    edge, _ = summary_of(
        LogisticRegression(max_iter=500), {"C": [1e-3, 1e-2, 1e-1]}, data, tmp_path
    )
    (tmp_path / "other").mkdir()
    middle, _ = summary_of(
        LogisticRegression(max_iter=500),
        {"C": [1e-3, 1.0, 1e3]},
        data,
        tmp_path / "other",
    )

    (title,) = [title for title in edge["warnings"] if "edge" in title]
    assert title == "The best C is at the edge of the grid."
    assert "0.1 is the largest value tried" in edge["warnings"][title]["text"]
    assert not [title for title in middle["warnings"] if "edge" in title]


def test_spread_above_the_differences_is_warned_of(tmp_path):
    """Candidates that do not differ are all within one standard error."""
    grid = {"tol": [1e-4, 2e-4, 3e-4, 4e-4]}
    found, search = summary_of(
        LogisticRegression(max_iter=500), grid, load_iris(return_X_y=True), tmp_path
    )

    assert "best of 4; 4 within one standard error" in found["best"]["standing"]
    assert [title for title in found["warnings"] if title.startswith("The spread")]
    assert within_one_error(search.run_.candidates, "mean_test_score") == 4


def test_within_one_error_is_the_rule_of_choose(tmp_path):
    """The count is that of the candidates that OneStandardError chooses from."""
    data = load_iris(return_X_y=True)
    depths = [1, 2, 3, 4, 5]
    _, search = summary_of(
        DecisionTreeClassifier(random_state=0), {"max_depth": depths}, data, tmp_path
    )
    results = search.cv_results_
    # Each candidate by itself is chosen if it is near enough to be the simplest.
    near = {
        OneStandardError({"max_depth": [d, *[o for o in depths if o != d]]})(results)
        for d in depths
    }

    found = within_one_error(search.run_.candidates, "mean_test_score")

    assert found == len(near)


def test_failures_say_why(tmp_path):
    """Failed candidates are counted, named, and the first error is told."""
    grid = {"max_depth": [1, -1, 2]}
    found, _ = summary_of(
        DecisionTreeClassifier(), grid, load_iris(return_X_y=True), tmp_path
    )

    warned = found["warnings"]["Fits of 1 candidate failed."]
    assert warned["candidates"] == [1]
    assert "max_depth" in warned["text"]
    assert found["tiles"]["Failed"] == "1 candidate"


def test_weights_of_zeros_are_warned_of(tmp_path):
    """A Lasso whose penalty left nothing is named as a constant."""
    grid = {"alpha": [0.01, 1.0, 1e6]}
    found, _ = summary_of(Lasso(), grid, load_diabetes(return_X_y=True), tmp_path)

    (title,) = [title for title in found["warnings"] if "zeros" in title]
    assert found["warnings"][title]["candidates"] == [2]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9])
def test_diverged_are_not_finite_or_huge_and_poor(value):
    """Not finite, or a thousand times the median norm with a score below the median."""
    values = np.array([[1.0, 0, 0], [2, 0, 0], [3, 0, 0], [1, 0, 0]])
    values[3] = [value, 0, float(not np.isfinite(value))]
    scores = {0: 0.9, 1: 0.8, 2: 0.7, 3: 0.1}

    assert unusual([("w", range(4), values)], "w", scores) == ([3], [])
    good = unusual([("w", range(4), values)], "w", {**scores, 3: 0.95})
    assert good == ([] if value == 1e9 else [3], [])


def test_short_names_stay_different(tmp_path):
    """Params are called by their ends unless two have the same; scores by metric."""
    _, search = summary_of(
        LogisticRegression(max_iter=300),
        {"C": [1.0]},
        load_iris(return_X_y=True),
        tmp_path,
    )
    params = ["a__alpha", "b__alpha", "b__beta"]
    columns = [*params, "mean_test_score", "std_test_score", "split0_test_score"]

    short = short_names(columns, params, search.run_._source.header)

    assert [short[name] for name in params] == ["a__alpha", "b__alpha", "beta"]
    assert [short[name] for name in columns[3:]] == [
        "accuracy",
        "± accuracy",
        "split 0 accuracy",
    ]

"""Reports of real runs: whatever a run holds, its report can be written."""

from __future__ import annotations

import pytest
from report_samples import payload_of
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from weightsearch import NoWeightsWarning, WeightStore, WeightTrackingGridSearchCV


def search_iris(store, **params):
    estimator = LogisticRegression(max_iter=50)
    grid = {"C": [0.1, 1.0, 10.0]}
    search = WeightTrackingGridSearchCV(estimator, grid, cv=3, store=store, **params)
    return search.fit(*load_iris(return_X_y=True))


def test_report_of_a_search(tmp_path):
    """A report holds every candidate, its weights, and what was searched with what."""
    search = search_iris(tmp_path / "search.h5")

    path = search.run_.report(tmp_path / "report.html", title="Iris & <friends>")
    payload = payload_of(path)

    assert "<title>Iris &amp; &lt;friends&gt;</title>" in path.read_text("utf-8")
    assert sorted(payload["candidates"]) == [0, 1, 2]
    assert payload["best"] == search.best_index_
    assert [c["name"] for c in payload["columns"] if c["role"] == "param"] == ["C"]
    assert payload["columns"][payload["score"]]["name"] == "mean_test_score"
    assert {"coef_", "intercept_"} <= {one["name"] for one in payload["weights"]}
    assert dict(payload["summary"]["tiles"])["Splits"] == "3"
    assert payload["notes"] == []


def test_report_of_splits(tmp_path):
    """Where no refit was kept, the first split's weights are shown, and named so."""
    search = search_iris(tmp_path / "search.h5", capture="splits")

    payload = payload_of(search.run_.report(tmp_path / "report.html"))

    assert payload["weights"][0]["candidates"] == [0, 1, 2]
    assert [note for note in payload["notes"] if "split 0" in note]


def test_report_without_a_best_candidate(tmp_path):
    """Of several metrics none is the best; the first is what the plots show."""
    search = search_iris(
        tmp_path / "search.h5",
        scoring=["accuracy", "f1_macro"],
        refit=False,
        capture="splits",
    )

    payload = payload_of(search.run_.report(tmp_path / "report.html"))

    assert payload["best"] is None
    assert payload["columns"][payload["score"]]["name"] == "mean_test_accuracy"


def test_report_of_mixed_architectures(tmp_path):
    """Candidates of other shapes have maps of their own, and one order of names."""
    X, y = load_digits(return_X_y=True)
    search = WeightTrackingGridSearchCV(
        MLPClassifier(max_iter=3, random_state=0),
        {"hidden_layer_sizes": [(5,), (4, 3)], "alpha": [0.1, 1.0]},
        cv=2,
        store=tmp_path / "search.h5",
    ).fit(X[:200], y[:200])

    payload = payload_of(search.run_.report(tmp_path / "report.html"))
    names = [one["name"] for one in payload["weights"]]

    assert len(payload["maps"]) == 2
    assert list(dict.fromkeys(names))[:4] == list(search.run_.weights(0))


def test_report_of_a_run_that_goes_on(tmp_path):
    """While a search runs, its report shows what has finished, and says so."""
    X, y = load_iris(return_X_y=True)
    store, reports = tmp_path / "search.h5", []

    def score_and_report(estimator, X, y):
        if estimator.C == 10.0:
            with WeightStore(store) as opened:
                path = tmp_path / f"{len(reports)}.html"
                reports.append(payload_of(opened.run().report(path)))
        return estimator.score(X, y)

    WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=50),
        {"C": [0.1, 1.0, 10.0]},
        cv=3,
        capture="both",
        scoring=score_and_report,
        store=store,
    ).fit(X, y)

    assert "The run is running" in reports[-1]["notes"][0]
    assert reports[-1]["weights"][0]["candidates"][:2] == [0, 1]
    assert reports[-1]["best"] is None


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_report_of_failed_fits(tmp_path):
    """Candidates whose fits failed stand last, without weights."""
    X, y = load_iris(return_X_y=True)
    search = WeightTrackingGridSearchCV(
        DecisionTreeClassifier(random_state=0),
        {"max_depth": [2, 3, -1]},
        cv=2,
        store=tmp_path / "search.h5",
    )
    search.fit(X, y)

    payload = payload_of(search.run_.report(tmp_path / "report.html"))
    (status,) = [c["values"] for c in payload["columns"] if c["role"] == "status"]

    assert payload["candidates"][-1] == 2
    assert status[-1] == "failed"
    assert all(2 not in one["candidates"] for one in payload["weights"])


def test_report_without_weights(tmp_path):
    """A run that kept no weights has a report of its candidates."""
    with pytest.warns(NoWeightsWarning):
        search = search_iris(tmp_path / "search.h5", refit=False)

    payload = payload_of(search.run_.report(tmp_path / "report.html"))

    assert payload["notes"] == ["This run holds no weights."]
    assert payload["weights"] == payload["maps"] == []


def test_report_of_trees(tmp_path):
    """Weights of records, of other lengths in each candidate, do no harm."""
    X, y = load_iris(return_X_y=True)
    search = WeightTrackingGridSearchCV(
        DecisionTreeClassifier(random_state=0),
        {"max_depth": [1, 2, None]},
        cv=2,
        store=tmp_path / "search.h5",
    ).fit(X, y)

    payload = payload_of(search.run_.report(tmp_path / "report.html"))

    assert sorted({c for w in payload["weights"] for c in w["candidates"]}) == [0, 1, 2]

"""scikit-learn's callbacks (1.9 and later) on our searches."""

from __future__ import annotations

import pytest
from search_estimators import CountingClassifier
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from weightsearch import RefitFailedWarning, WeightTrackingGridSearchCV

pytest.importorskip("sklearn.callback")

from recording_callback import TaskRecorder
from sklearn.callback import ProgressBar, ScoringMonitor

GRID = {"C": [0.1, 1.0, 10.0]}


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_refits_are_tasks_of_their_own(iris, n_jobs, tmp_path):
    """Callbacks hear of each refit, and the search ends after the last of them."""
    log = tmp_path / "tasks.log"
    search = WeightTrackingGridSearchCV(CountingClassifier(), GRID, cv=3, n_jobs=n_jobs)
    search.set_callbacks(TaskRecorder(str(log))).fit(*iris)
    events = log.read_text().splitlines()
    for kind in ("begin", "end"):
        assert events.count(f"{kind} candidate-refit") == 2
        assert events.count(f"{kind} candidate-split-evaluation") == 9
        assert events.count(f"{kind} refit-with-best-params") == 1
    assert events[0] == "begin fit"
    assert events[-2:] == ["end refit-of-candidates", "end fit"]


def test_reused_fits_are_tasks_too(iris, tmp_path):
    """A progress bar reaches its end although nothing is fitted any more."""
    for name in ("first.log", "second.log"):
        search = WeightTrackingGridSearchCV(
            CountingClassifier(), GRID, cv=3, store=tmp_path / "s.h5"
        )
        search.set_callbacks(TaskRecorder(str(tmp_path / name))).fit(*iris)
    events = (tmp_path / "second.log").read_text().splitlines()
    assert events.count("end candidate-split-evaluation") == 9


def test_a_failing_refit_ends_its_task(iris, tmp_path):
    """A refit that fails ends its task, and the search its own."""
    log = tmp_path / "tasks.log"
    search = WeightTrackingGridSearchCV(
        CountingClassifier(), [{"C": [1.0]}, {"C": [1e-5], "fail_refit": [True]}], cv=3
    )
    with pytest.warns(RefitFailedWarning, match="candidate 1"):
        search.set_callbacks(TaskRecorder(str(log))).fit(*iris)
    events = log.read_text().splitlines()
    assert events.count("end candidate-refit") == 1
    assert events[-1] == "end fit"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar(iris, n_jobs, capsys):
    """scikit-learn's ProgressBar shows the search and its refits to the end."""
    pytest.importorskip("rich")
    search = WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=300), GRID, cv=3, n_jobs=n_jobs
    )
    search.set_callbacks(ProgressBar(max_propagation_depth=0)).fit(*iris)
    assert "100%" in capsys.readouterr().out
    assert len(search.weights_by_params_) == 3


def test_scoring_monitor(iris):
    """scikit-learn's ScoringMonitor works on a search whose estimator reports."""
    monitor = ScoringMonitor(scoring="accuracy")
    search = WeightTrackingGridSearchCV(LogisticRegression(max_iter=300), GRID, cv=3)
    search.set_callbacks(monitor).fit(*iris)
    assert len(search.weights_by_params_) == 3


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scoring_monitor_of_the_estimator(iris, n_jobs):
    """A monitor on the estimator sees what it sees in scikit-learn, and the refits."""
    logs = []
    for search in (GridSearchCV, WeightTrackingGridSearchCV):
        monitor = ScoringMonitor(scoring="accuracy")
        estimator = LogisticRegression(max_iter=300).set_callbacks(monitor)
        search(estimator, GRID, cv=3, n_jobs=n_jobs).fit(*iris)
        rows = monitor.get_logs().data
        logs.append({row["task_id_path"]: row["accuracy"] for row in rows})
    theirs, ours = logs
    more = ours.keys() - theirs.keys()
    assert {path: ours[path] for path in theirs} == theirs
    assert {path[:2] for path in more} == {(0, 2)}
    assert sum(len(path) == 3 for path in more) == 2

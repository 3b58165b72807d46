"""Runs in MLflow, in a real SQLite store and in its store of files."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from search_estimators import CountingClassifier
from sklearn.datasets import load_iris

from weightsearch import WeightStore, WeightTrackingGridSearchCV
from weightsearch.exceptions import WeightSearchError, WeightsNotFoundError

mlflow = pytest.importorskip("mlflow")
pytest.importorskip("sqlalchemy")

pytestmark = [
    pytest.mark.ecosystem,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

X, y = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """No telemetry is sent, and MLflow's own settings stay as they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        yield


@pytest.fixture(scope="module")
def client(folder):
    """A client of a new SQLite store, whose tables take seconds to be made."""
    return mlflow.MlflowClient(f"sqlite:///{(folder / 'mlflow.db').as_posix()}")


@pytest.fixture(scope="module")
def search(folder):
    """A search whose last candidate fails, with scores of two kinds."""
    search = WeightTrackingGridSearchCV(
        CountingClassifier(fail_on=9.0),
        {"C": [0.1, 1.0, 9.0]},
        cv=3,
        scoring=["accuracy", "f1_macro"],
        refit="f1_macro",
        store=folder / "s.h5",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it fails, in so many words
        search.fit(X, y)
    return search


@pytest.fixture
def log(client, folder, request):
    """Logs into an experiment of the test's own; gives parent and children."""
    name = request.node.name
    location = (folder / "artifacts").as_uri()
    number = client.create_experiment(name, artifact_location=location)

    def log(run, **options):
        uri = client._tracking_client.tracking_uri
        parent = run.log_to_mlflow(name, tracking_uri=uri, **options)
        runs = client.search_runs([number])
        children = {
            int(found.data.tags["weightsearch.candidate"]): found
            for found in runs
            if found.data.tags.get("mlflow.parentRunId") == parent
        }
        assert len(runs) == len(children) + 1
        return client.get_run(parent), children

    return log


def test_parent_has_settings_and_best_scores(search, log):
    """The parent run tells of the search, and where its store is."""
    parent, _ = log(search.run_)
    assert parent.info.status == "FINISHED"
    assert parent.data.params["scoring"] == "['accuracy', 'f1_macro']"
    assert parent.data.params["estimator"] == "CountingClassifier"
    assert parent.data.params["best_index"] == str(search.best_index_)
    assert parent.data.metrics["best_f1_macro"] == search.best_score_
    assert parent.data.metrics["n_candidates"] == 3
    assert parent.data.tags["weightsearch.run_uid"] == search.run_.uid
    assert Path(parent.data.tags["weightsearch.store"]).name == "s.h5"


def test_children_have_params_and_every_score(search, log):
    """Each candidate is a nested run with all numeric columns of cv_results_."""
    _, children = log(search.run_)
    assert sorted(children) == [0, 1, 2]
    results = search.cv_results_
    numeric = {name for name in results if not name.startswith("param")}
    for number in (0, 1):
        data = children[number].data
        assert data.params == {"C": str(search.cv_results_["params"][number]["C"])}
        assert data.metrics == {name: results[name][number] for name in numeric}
        assert data.tags["weightsearch.status"] == "ok"


def test_scores_that_are_missing_are_no_metrics(search, log):
    """A failed candidate has a status, and no score that searches would find."""
    _, children = log(search.run_)
    data = children[2].data
    assert data.tags["weightsearch.status"] == "failed"
    assert not [name for name in data.metrics if name.startswith("mean_test")]
    assert data.metrics["rank_test_f1_macro"] == 3


def test_logging_again_adds_nothing(search, log):
    """The same run twice is there once, even from a store opened anew."""
    first, before = log(search.run_)
    with WeightStore(search.store) as store:
        second, after = log(store.run())
    assert first.info.run_id == second.info.run_id
    assert {n: run.info.run_id for n, run in before.items()} == {
        n: run.info.run_id for n, run in after.items()
    }


def test_some_candidates_now_and_the_others_later(search, log):
    """Candidates that were not asked for can be added."""
    best = search.run_.query("rank_test_f1_macro == 1")
    assert list(log(search.run_, candidates=best.index)[1]) == list(best.index)
    assert sorted(log(search.run_)[1]) == [0, 1, 2]


def test_what_a_crash_left_half_done_is_written_again(search, log, client):
    """A run that was never finished is replaced, not doubled."""
    parent, children = log(search.run_, candidates=[0])
    tags = {**children[0].data.tags, "weightsearch.candidate": "1"}
    half = client.create_run(parent.info.experiment_id, tags=tags)
    _, children = log(search.run_, candidates=[1])
    assert sorted(children) == [0, 1]
    assert children[1].info.run_id != half.info.run_id
    assert children[1].data.params == {"C": "1.0"}


def test_weights_are_artifacts_on_demand(search, log, client):
    """The arrays come back bit for bit; asked for later, they are added."""
    _, children = log(search.run_)
    assert client.list_artifacts(children[0].info.run_id) == []
    _, children = log(search.run_, artifacts=True)
    for number in (0, 1):
        uri = client.get_run(children[number].info.run_id).info.artifact_uri
        raw = mlflow.artifacts.download_artifacts(f"{uri}/weights.npz")
        with np.load(io.BytesIO(Path(raw).read_bytes())) as arrays:
            weights = search.run_.weights(number).to_dict()
            assert arrays.files == list(weights)
            for name, array in weights.items():
                assert arrays[name].tobytes() == array.tobytes()
                assert arrays[name].dtype == array.dtype
    # Its fit failed, so there is nothing to log.
    assert client.list_artifacts(children[2].info.run_id) == []


def test_names_that_mlflow_does_not_take(log):
    """Odd characters in the name of a score are replaced."""
    search = WeightTrackingGridSearchCV(
        CountingClassifier(),
        {"C": [1.0]},
        cv=3,
        scoring={"how good?": "accuracy"},
        refit="how good?",
    ).fit(X, y)
    _, children = log(search.run_)
    metric = children[0].data.metrics["mean_test_how good_"]
    assert metric == search.best_score_


def test_no_such_candidate(search, client):
    """Nothing is logged where a candidate does not exist."""
    with pytest.raises(WeightsNotFoundError, match="no candidate 7"):
        search.run_.log_to_mlflow("never", candidates=[0, 7])
    assert client.get_experiment_by_name("never") is None


def test_a_run_that_goes_on_is_refused(tmp_path):
    """While it is being fitted, a run's scores are not what they will be."""
    errors = []

    def scorer(estimator, X, y):
        with WeightStore(tmp_path / "s.h5") as store:
            try:
                store.run().log_to_mlflow()
            except WeightSearchError as error:
                errors.append(str(error))
        return estimator.score(X, y)

    WeightTrackingGridSearchCV(
        CountingClassifier(),
        {"C": [1.0]},
        cv=3,
        scoring=scorer,
        store=tmp_path / "s.h5",
        resume=False,
    ).fit(X, y)
    assert "is running: log it when its fit has ended" in errors[-1]


def test_the_experiment_that_is_set(search, client, monkeypatch, tmp_path):
    """Without a name and an address, MLflow's own settings count."""
    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    try:
        mlflow.set_tracking_uri(client._tracking_client.tracking_uri)
        chosen = mlflow.set_experiment("chosen")
        parent = client.get_run(search.run_.log_to_mlflow(candidates=[]))
    finally:
        mlflow.set_tracking_uri(before)
    assert parent.info.experiment_id == chosen.experiment_id


def test_store_of_files(search, tmp_path, monkeypatch):
    """MLflow's older store of files takes the same, where it is still allowed."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = tmp_path.as_uri()
    for _ in range(2):
        parent = search.run_.log_to_mlflow("files", tracking_uri=uri, artifacts=True)
    client = mlflow.MlflowClient(uri)
    number = client.get_experiment_by_name("files").experiment_id
    assert len(client.search_runs([number])) == 4
    assert client.get_run(parent).data.metrics["n_candidates"] == 3

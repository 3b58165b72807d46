"""A search on a real Dask cluster: a scheduler and workers as separate processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from concurrent.futures import CancelledError
from pathlib import Path

import joblib
import numpy as np
import pytest
from cluster_client import GRID, search
from cluster_comparing import assert_fitted_once, assert_same, stored
from cluster_estimators import Fatal, GatedClassifier, Homebody
from cluster_processes import (
    CountingProxy,
    dask_cluster,
    environment,
    lines,
    n_lines,
    process,
    wait_for,
)
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression

from weightsearch import WeightTrackingGridSearchCV
from weightsearch._records import Outcome, Weights

distributed = pytest.importorskip("distributed")

HERE = Path(__file__).parent
IRIS = load_iris(return_X_y=True)
TOTAL = 8 * 3 + 8


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers of one thread each."""
    with dask_cluster(tmp_path_factory.mktemp("dask"), 2) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    """A client of the cluster, whose workers are both there."""
    with connected(scheduler_file=str(cluster.file)) as client:
        yield client


@contextlib.contextmanager
def connected(n_workers=2, **kwargs):
    with distributed.Client(timeout=60, **kwargs) as client:
        client.wait_for_workers(n_workers, timeout=60)
        yield client


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The same search on this machine alone."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "gate").touch()
    return search(folder).fit(*IRIS)


def on_dask(search, X, y):
    with joblib.parallel_config(backend="dask"):
        return search.fit(X, y)


@contextlib.contextmanager
def meanwhile(function, *args):
    """Run a function in a thread, and wait for it at the end."""
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(function(*args)))
    thread.start()
    try:
        yield outcome
    finally:
        thread.join(timeout=120)
    assert not thread.is_alive()


def kill_workers(client, pids):
    """Kill worker processes, and wait until the scheduler has missed them."""
    gone = [address for address, pid in client.run(os.getpid).items() if pid in pids]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(
        lambda: not set(gone) & set(client.scheduler_info()["workers"]),
        "the scheduler has not noticed",
    )


def test_store_is_that_of_a_local_run(client, reference, tmp_path):
    """Without trouble, the store is that of a local run, bit for bit."""
    (tmp_path / "gate").touch()

    found = on_dask(search(tmp_path), *IRIS)

    assert_same(found, reference)
    fits = lines(tmp_path / "fits.log")
    assert len(fits) == TOTAL
    here = [fit for fit in fits if int(fit[0]) == os.getpid()]
    assert len(here) == 1, "only scikit-learn's refit of the best runs at the client"


@pytest.mark.filterwarnings("default:A worker was lost:RuntimeWarning")
def test_search_goes_on_without_a_killed_worker(client, reference, tmp_path):
    """One worker is killed in the middle: the search ends with the same store."""
    log = tmp_path / "fits.log"

    with meanwhile(on_dask, search(tmp_path), *IRIS) as outcome:
        done = wait_until_stored(tmp_path)
        kill_workers(client, [int(lines(log)[-1][0])])
        (tmp_path / "gate").touch()

    assert_same(outcome[0], reference)
    assert_fitted_once(done, log, *IRIS, GRID, 3)


def test_search_goes_on_when_all_workers_were_killed(client, reference, tmp_path):
    """The data is sent anew to workers that have lost it, and the search goes on."""
    log = tmp_path / "fits.log"

    def kill_all():
        with meanwhile(on_dask, search(tmp_path), *IRIS) as outcome:
            done = wait_until_stored(tmp_path)
            kill_workers(client, list(client.run(os.getpid).values()))
            (tmp_path / "gate").touch()
        return outcome[0], done

    with pytest.warns(RuntimeWarning, match="A worker was lost; .* sent"):
        found, done = kill_all()

    assert_same(found, reference)
    assert_fitted_once(done, log, *IRIS, GRID, 3)


def wait_until_stored(folder):
    """Wait until fits are stored and the next ones wait, and return the former."""
    log, store = folder / "fits.log", folder / "s.h5"
    wait_for(lambda: n_lines(log) > 10 and len(stored(store)) >= 6, "no fits")
    return stored(store)


def test_killed_client_goes_on(cluster, client, tmp_path):
    """A client that was killed goes on in a new process with what had finished."""
    command = [sys.executable, HERE / "cluster_client.py", "dask", tmp_path]
    command.append(json.loads(cluster.file.read_text())["address"])
    with process(command, cwd=tmp_path, log=tmp_path / "first.log"):
        wait_until_stored(tmp_path)
    done = stored(tmp_path / "s.h5")
    (tmp_path / "gate").touch()

    with process(command, cwd=tmp_path, log=tmp_path / "second.log") as second:
        assert second.wait(timeout=120) == 0

    assert len(done) >= 6
    assert_fitted_once(done, tmp_path / "fits.log", *IRIS, GRID, 3)


def test_workers_never_look_into_the_stores_folder(client, tmp_path):
    """The store is the client's alone; no worker opens anything beside it."""
    private = tmp_path / "private-store"
    private.mkdir(mode=0o700)
    (private / "bait").touch()
    grid = WeightTrackingGridSearchCV(
        LogisticRegression(), {"C": [0.1, 1.0]}, capture="both", store=private / "s.h5"
    )

    on_dask(grid, *IRIS)

    assert not any(client.run(look_for, "seen").values())
    client.run(os.listdir, str(private))
    assert all(client.run(look_for, "seen").values()), "the workers are watched"


def look_for(name):
    import watched

    return getattr(watched, name)()


@pytest.mark.filterwarnings("ignore::weightsearch.NotRebuildableWarning")
def test_fitted_models_stay_on_the_workers(client, tmp_path):
    """Models that cannot be pickled once they are fitted are no trouble."""
    grid = WeightTrackingGridSearchCV(
        Homebody(), {"C": [0.1, 1.0]}, capture="both", store=tmp_path / "s.h5"
    )

    on_dask(grid, *IRIS)

    assert grid.run_.weights(1, split=4)["coef_"].shape == (3, 4)
    with pytest.raises(TypeError, match="about to travel"):
        grid.best_estimator_.__getstate__()


def test_weights_travel_as_buffers():
    """Dask sends the arrays of an outcome as they are, and pickles only the rest."""
    from distributed.protocol import serialize

    arrays = {"a": np.zeros((500, 100)), "b": np.ones((100, 40), order="F")}
    outcome = Outcome({"fit_time": 1.0}, Weights(arrays), (), *_more_fields())

    _, frames = serialize([(0, outcome)])

    sizes = [memoryview(frame).nbytes for frame in frames]
    assert {array.nbytes for array in arrays.values()} <= set(sizes)
    assert sum(sizes) - sum(array.nbytes for array in arrays.values()) < 2000


def _more_fields():
    return [None] * (len(Outcome._fields) - 3)


def test_data_is_sent_once(cluster, tmp_path):
    """The client sends X once, whatever the number of fits, and gets weights only."""
    X, y = load_digits(return_X_y=True)
    X = np.tile(X, (4, 1))
    y = np.tile(y, 4)
    proxy = CountingProxy(json.loads(cluster.file.read_text())["address"])
    model = GatedClassifier(log=str(tmp_path / "fits.log"))
    grid = WeightTrackingGridSearchCV(
        model, {"C": [0.01, 0.1, 1.0, 10.0]}, cv=3, capture="both", store=tmp_path / "s"
    )

    with connected(address=proxy.address):
        on_dask(grid, X, y)
    proxy.close()

    weights = sum(
        array.nbytes
        for candidate in range(4)
        for split in (None, 0, 1, 2)
        for array in grid.run_.weights(candidate, split=split).values()
    )
    # Once for the splits and once for the refits; a split's indices are data too.
    indices = X.shape[0] * 8 * 3
    assert proxy.sent < 2 * (X.nbytes + y.nbytes) + indices + 200_000
    assert proxy.received < weights + 200_000


def test_worker_without_the_models_module_is_named(cluster, client, tmp_path):
    """A worker that cannot load the model ends the search at once, by its address."""
    env = environment(PYTHONPATH=str(HERE.parents[1]))
    worker = cluster.worker("stranger", env=env)
    client.wait_for_workers(3, timeout=60)
    grid = WeightTrackingGridSearchCV(Homebody(), {"C": [0.1]}, store=tmp_path / "s")

    try:
        with pytest.raises(ModuleNotFoundError) as caught:
            on_dask(grid, *IRIS)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        wait_for(lambda: len(client.ncores()) == 2, "the stranger is still there")

    assert caught.value.name == "cluster_estimators"
    assert "cannot load the fits" in caught.value.__notes__[0]
    assert "tcp://" in caught.value.__notes__[0]


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """A client of a cluster of one thread."""
    folder = tmp_path_factory.mktemp("single")
    with (
        dask_cluster(folder, 1) as cluster,
        connected(n_workers=1, scheduler_file=str(cluster.file)) as client,
    ):
        yield client


def test_single_thread_cluster_is_used(single, tmp_path):
    """Fits run on a cluster of one thread too, where joblib would leave it out."""
    log = tmp_path / "fits.log"
    grid = WeightTrackingGridSearchCV(
        GatedClassifier(log=str(log)),
        {"C": [0.1, 1.0]},
        cv=2,
        refit=False,
        capture="splits",
    )

    on_dask(grid, *IRIS)

    assert n_lines(log) == 4
    assert str(os.getpid()) not in {pid for pid, *_ in lines(log)}


@pytest.mark.filterwarnings("default:A worker was lost:RuntimeWarning")
def test_fit_that_kills_its_workers_ends_the_search(single, tmp_path):
    """A fit that no worker survives ends the search, and what had finished is kept."""
    grid = WeightTrackingGridSearchCV(
        Fatal(), {"C": [1.0, 2.0]}, cv=2, store=tmp_path / "s.h5"
    )

    with pytest.raises((CancelledError, distributed.KilledWorker)) as caught:
        on_dask(grid, *IRIS)

    assert "more memory than a worker has" in " ".join(caught.value.__notes__)
    assert len(stored(tmp_path / "s.h5")) == 2

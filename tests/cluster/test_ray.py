"""A search on a real local Ray, whose joblib backend cannot stream results."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import joblib
import numpy as np
import pytest
from cluster_client import GRID, search
from cluster_comparing import assert_fitted_once, assert_same, stored
from cluster_estimators import GatedClassifier, Homebody
from cluster_processes import lines, n_lines, process, ray_environment, wait_for
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression

from weightsearch import WeightTrackingGridSearchCV

ray = pytest.importorskip("ray")

HERE = Path(__file__).parent
IRIS = load_iris(return_X_y=True)
TOTAL = 8 * 3 + 8
BATCH = 4 * 2
"""Fits in a batch: four for each of two workers."""


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    """Ray with two workers on this machine."""
    from ray.util.joblib import register_ray

    with ray_environment():
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            logging_level="error",
        )
        register_ray()
        try:
            yield
        finally:
            ray.shutdown()


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The same search on this machine alone."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "gate").touch()
    return search(folder).fit(*IRIS)


def on_ray(search, X, y):
    with joblib.parallel_config(backend="ray", n_jobs=2):
        return search.fit(X, y)


def test_store_is_that_of_a_local_run(reference, tmp_path):
    """The store is that of a local run, bit for bit, and two workers did it all."""
    (tmp_path / "gate").touch()

    found = on_ray(search(tmp_path), *IRIS)

    assert_same(found, reference)
    fits = lines(tmp_path / "fits.log")
    assert len(fits) == TOTAL
    here = [fit for fit in fits if int(fit[0]) == os.getpid()]
    assert len(here) == 1, "only scikit-learn's refit of the best runs at the client"
    # Two for the splits and two for the refits, not two for each batch.
    assert len({pid for pid, *_ in fits} - {str(os.getpid())}) <= 4


def test_search_goes_on_without_a_killed_worker(reference, tmp_path):
    """A worker is killed in the middle: its batch is done again, and no other."""
    log = tmp_path / "fits.log"
    killed = []

    def kill():
        wait_for(lambda: n_lines(log) > 10 and stored(tmp_path / "s.h5"), "no fits")
        killed.append(stored(tmp_path / "s.h5"))
        os.kill(int(lines(log)[-1][0]), signal.SIGKILL)
        (tmp_path / "gate").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.warns(RuntimeWarning, match="A worker was lost; 8 fits"):
        found = on_ray(search(tmp_path), *IRIS)
    killer.join()

    assert_same(found, reference)
    assert len(killed[0]) == BATCH
    assert_fitted_once(killed[0], log, *IRIS, GRID, 3)


def test_killed_client_goes_on(tmp_path):
    """A client that was killed has stored all batches that had finished."""
    store, log = tmp_path / "s.h5", tmp_path / "fits.log"
    command = [sys.executable, HERE / "cluster_client.py", "ray", tmp_path]
    with process(command, cwd=tmp_path, log=tmp_path / "first.log"):
        wait_for(lambda: n_lines(log) > 10 and len(stored(store)) >= BATCH, "no fits")
    done = stored(store)
    (tmp_path / "gate").touch()

    with process(command, cwd=tmp_path, log=tmp_path / "second.log") as second:
        assert second.wait(timeout=120) == 0

    assert len(done) == BATCH
    assert_fitted_once(done, log, *IRIS, GRID, 3)


@pytest.mark.filterwarnings("ignore::weightsearch.NotRebuildableWarning")
def test_fitted_models_stay_on_the_workers(tmp_path):
    """Models that cannot be pickled once they are fitted are no trouble."""
    grid = WeightTrackingGridSearchCV(
        Homebody(), {"C": [0.1, 1.0]}, capture="both", store=tmp_path / "s.h5"
    )

    on_ray(grid, *IRIS)

    assert grid.run_.weights(1, split=4)["coef_"].shape == (3, 4)


def test_data_is_put_into_the_object_store_once(tmp_path):
    """X goes into Ray's object store once for all splits and once for all refits."""
    X, y = load_digits(return_X_y=True)
    X = np.tile(X, (4, 1))
    grid = WeightTrackingGridSearchCV(
        GatedClassifier(log=str(tmp_path / "fits.log")),
        {"C": [0.01, 0.1, 1.0, 10.0]},
        cv=3,
        store=tmp_path / "s.h5",
    )
    put = []
    plain = ray.put

    def counted(value, **kwargs):
        put.append(value is X)
        return plain(value, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray, "put", counted)
        on_ray(grid, X, np.tile(y, 4))

    assert sum(put) == 2


def test_error_of_a_fit_is_the_models_own(tmp_path):
    """With error_score="raise" the error is that of the estimator."""
    grid = WeightTrackingGridSearchCV(
        LogisticRegression(),
        {"C": [1.0, -1.0]},
        error_score="raise",
        store=tmp_path / "s.h5",
    )

    with pytest.raises(ValueError, match="'C' parameter of LogisticRegression"):
        on_ray(grid, *IRIS)

"""Memory does not grow with what is stored."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from weightsearch import WeightTrackingGridSearchCV
from weightsearch.search._sklearn import _parallel
from weightsearch.store import WriteSession

CODE = textwrap.dedent(
    """
    import resource, sys
    import numpy as np
    from sklearn.base import BaseEstimator
    from weightsearch import WeightStore, WeightTrackingGridSearchCV

    class Large(BaseEstimator):
        def __init__(self, seed=0):
            self.seed = seed
        def fit(self, X, y=None):
            self.coef_ = np.full(500_000, float(self.seed))  # 4 MB
            return self
        def score(self, X, y=None):
            return float(self.seed % 7)

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    path, n = sys.argv[1], int(sys.argv[2])
    X = np.zeros((30, 2))
    start = peak()
    WeightTrackingGridSearchCV(
        Large(), {"seed": list(range(n))}, cv=2, capture="both", store=path
    ).fit(X)
    with WeightStore(path) as store:
        for number in range(n):
            assert store.run().weights(number)["coef_"][-1] == number
    print(peak() - start)
    """
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak as Linux tells it")
def test_memory_does_not_grow_with_the_number_of_candidates(tmp_path):
    """Four times as many weights, 720 MB in all, need hardly more memory."""
    pytest.importorskip("resource")
    grown = []
    for n_candidates in (15, 60):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                CODE,
                tmp_path / f"{n_candidates}.h5",
                str(n_candidates),
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        grown.append(float(done.stdout))
    assert grown[1] < 250
    assert grown[1] - grown[0] < 60


@pytest.mark.slow
def test_search_whose_workers_pause_finds_the_same(monkeypatch, tmp_path):
    """Where storing is slower than fitting, nothing but the pace changes."""
    paused = []
    real_delayed, real_append = _parallel.delayed, WriteSession.append

    def delayed(function):
        paused.append(function)
        return real_delayed(function)

    def append(session, record):
        # As slow as it takes for the workers to be ahead.
        deadline = time.monotonic() + 30
        while not paused and time.monotonic() < deadline:
            time.sleep(0.01)
        real_append(session, record)

    monkeypatch.setattr(_parallel, "delayed", delayed)
    monkeypatch.setattr(_parallel, "_WAITING_BYTES", 1)
    monkeypatch.setattr(WriteSession, "append", append)
    X, y = load_iris(return_X_y=True)
    model, grid = LogisticRegression(max_iter=500), {"C": np.logspace(-2, 1, 12)}

    plain = GridSearchCV(model, grid, cv=3).fit(X, y)
    search = WeightTrackingGridSearchCV(
        model, grid, cv=3, n_jobs=2, capture="both", store=tmp_path / "search.h5"
    ).fit(X, y)

    assert paused
    for name in ("split0_test_score", "split2_test_score", "rank_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], plain.cv_results_[name])
    assert len(search.weights_by_params_) == 12
    for split in range(3):
        assert len(search.run_.weights(11, split=split)) == 2

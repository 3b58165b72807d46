"""Memory does not grow with what is stored."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

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

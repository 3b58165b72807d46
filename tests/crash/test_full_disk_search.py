"""A disk that is full ends a search with an error; with room it goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
from search_estimators import count_fits

from weightsearch import WeightStore

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(os.name != "posix", reason="needs limits of file sizes"),
]

CODE = textwrap.dedent(
    """
    import resource, signal, sys
    import numpy as np
    from search_estimators import CountingClassifier
    from weightsearch import StoreWriteError, WeightTrackingGridSearchCV

    path, log, limit = sys.argv[1], "$FITS_LOG", int(sys.argv[2])
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 5000)), np.arange(60) % 3
    search = WeightTrackingGridSearchCV(
        CountingClassifier(log), {"C": [0.1, 1.0, 10.0]}, cv=3, store=path,
        capture="both",
    )
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        search.fit(X, y)
    except StoreWriteError as error:
        print(error)
        sys.exit(3)
    """
)


def run(path, log, limit):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "FITS_LOG": str(log),
    }
    return subprocess.run(
        [sys.executable, "-c", CODE, path, str(limit)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("limit", [300_000, 800_000, 1_460_000])
def test_a_full_disk_ends_the_search_and_room_continues_it(tmp_path, limit):
    """In the log or while writing the file: what was finished is not redone."""
    path, log = tmp_path / "s.h5", tmp_path / "fits.log"
    full = run(path, log, limit)
    assert full.returncode == 3, full.stderr
    assert "s.h5" in full.stdout
    with WeightStore(path) as store:
        kept = {
            pair
            for run_ in store.runs.values()
            for pair in zip(run_._table.candidate, run_._table.split, strict=True)
        }
        assert store.verify() == []
    assert kept
    again = tmp_path / "again.log"
    assert run(path, again, 0).returncode == 0
    assert count_fits(again) == 12 - len(kept)
    with WeightStore(path) as store:
        assert [r.status for r in store.runs.values()] == ["complete"]
        assert store.verify() == []

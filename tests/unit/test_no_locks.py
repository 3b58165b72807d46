"""Stores on file systems that cannot lock files, or where somebody holds a lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from no_locks import available
from sklearn.datasets import load_iris
from sklearn.linear_model import RidgeClassifier

from weightsearch import WeightStore, WeightTrackingGridSearchCV

ROOT = Path(__file__).parents[2]

without_locks = pytest.mark.skipif(not available(), reason="needs seccomp on Linux")

PRELUDE = """
import sys
from pathlib import Path
from no_locks import refuse_locks
from sklearn.datasets import load_iris
from sklearn.linear_model import RidgeClassifier
from weightsearch import StoreError, WeightStore, WeightTrackingGridSearchCV
path = Path(sys.argv[1])
X, y = load_iris(return_X_y=True)
search = WeightTrackingGridSearchCV(RidgeClassifier(), {"alpha": [1.0, 2.0]})
"""


@pytest.fixture
def store(tmp_path):
    """A finished store."""
    grid = {"alpha": [1.0, 2.0]}
    search = WeightTrackingGridSearchCV(
        RidgeClassifier(), grid, store=tmp_path / "finished.h5"
    )
    search.fit(*load_iris(return_X_y=True)).store_.close()
    return tmp_path / "finished.h5"


def run(code, path, **environment):
    """Run code in a process of its own and return what it printed."""
    names = ("HDF5_USE_FILE_LOCKING", "PYTHONPATH")
    env = {name: value for name, value in os.environ.items() if name not in names}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, path],
        env=env | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


READ = """
refuse_locks()
try:
    with WeightStore(path) as store:
        print(len(store.run().candidates), store.run().weights(1)["coef_"].shape)
except StoreError as error:
    print(type(error).__name__, error)
"""


@without_locks
def test_a_store_is_read_without_locks(store):
    """Reading needs no lock: a finished file on such a drive is simply opened."""
    assert run(READ, store) == "2 (3, 4)\n"


@without_locks
def test_reading_takes_no_lock_where_the_environment_insists_on_them(store):
    """HDF5's own locks are not used, whatever HDF5_USE_FILE_LOCKING says."""
    assert run(READ, store, HDF5_USE_FILE_LOCKING="TRUE") == "2 (3, 4)\n"


@without_locks
def test_search_without_locks_is_explained_before_the_first_fit(tmp_path):
    """A search is refused at once there, with the way out, and leaves nothing."""
    code = """
refuse_locks()
search.set_params(store=path, estimator=None)
try:
    search.set_params(estimator=RidgeClassifier()).fit(X, y)
except StoreError as error:
    print(type(error).__name__, error)
"""

    said = run(code, tmp_path / "s.h5")

    assert said.startswith("StoreLockedError")
    assert "has no locks" in said
    assert "local disk" in said
    assert not (tmp_path / "s.h5").exists()


@without_locks
def test_search_needs_no_flock(tmp_path):
    """HDF5's own kind of lock is not needed, which NFS servers often lack."""
    code = """
refuse_locks(fcntl_too=False)
search.set_params(store=path).fit(X, y)
print(search.store_.verify(), len(search.run_.candidates))
"""

    assert run(code, tmp_path / "s.h5") == "[] 2\n"


def test_store_that_another_program_has_open_is_read(store):
    """A program that has a store open for writing does not keep readers out."""
    code = """
import h5py
with h5py.File(path, "r+"):
    print("open", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; path = sys.argv[1]" + code, store],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "open\n"
        with WeightStore(store) as opened:
            assert opened.verify() == []
        other.stdin.close()
    with WeightStore(store) as opened:
        assert opened.verify() == []

"""Opening a file: what may be used as a store, and what is told about the rest."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None

import h5py
import numpy as np
import pytest
from store_memory import STORE_UID, everything, good_store, mlp_run, write

from weightsearch.exceptions import (
    CorruptStoreError,
    NotAStoreError,
    StoreError,
    StoreVersionError,
    StoreWriteError,
)
from weightsearch.store import WriteSession, _lock
from weightsearch.store._reader import Hdf5Store, check_store_file
from weightsearch.store._schema import FORMAT_VERSION


def foreign(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(3)
    return path


def newer(path: Path) -> Path:
    good_store(path)
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = FORMAT_VERSION + 1
    return path


def text(path: Path) -> Path:
    path.write_text("a,b\n1,2\n")
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def cut(path: Path) -> Path:
    path.write_bytes(good_store(path).read_bytes()[:700])
    return path


BAD = [
    (foreign, NotAStoreError, "another program"),
    (newer, StoreVersionError, f"format_version {FORMAT_VERSION + 1}"),
    (text, NotAStoreError, "not an HDF5 file"),
    (empty, NotAStoreError, "not an HDF5 file"),
    (cut, CorruptStoreError, "damaged"),
]


@pytest.mark.parametrize(("make", "error", "match"), BAD)
def test_what_is_no_store_is_left_alone(
    tmp_path: Path, make: object, error: type[StoreError], match: str
):
    """Each kind of wrong file has its error, and stays byte for byte as it was."""
    path = make(tmp_path / "a.h5")
    before, stat = path.read_bytes(), path.stat()

    for use in (check_store_file, Hdf5Store):
        with pytest.raises(error, match=match) as caught:
            use(path)
        assert caught.value.path == str(path)

    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == stat.st_mtime_ns
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("make", "error", "match"), BAD)
def test_open_files_are_checked_the_same_way(
    tmp_path: Path, make: object, error: type[StoreError], match: str
):
    """A binary file that is no store has the same errors."""
    with pytest.raises(error, match=match):
        Hdf5Store(io.BytesIO(make(tmp_path / "a.h5").read_bytes()))


def test_a_store_may_be_used(tmp_path: Path):
    """A store, and a place where nothing is, are fine and stay as they are."""
    path = good_store(tmp_path / "a.h5")
    before, stat = path.read_bytes(), path.stat()

    check_store_file(path)
    check_store_file(tmp_path / "new.h5")

    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == stat.st_mtime_ns
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_no_store(tmp_path: Path):
    """A folder is named as one."""
    with pytest.raises(NotAStoreError, match="folder"):
        check_store_file(tmp_path)
    with pytest.raises(NotAStoreError, match="not a file"):
        Hdf5Store(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path):
    """The folder that has to be made first is in the message."""
    with pytest.raises(StoreWriteError, match="nope"):
        WriteSession.open(tmp_path / "nope" / "a.h5")


def test_a_missing_file_cannot_be_read(tmp_path: Path):
    """Reading what is not there is an error of this package and an OSError."""
    with pytest.raises(StoreError, match="No such file"):
        Hdf5Store(tmp_path / "a.h5")


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_read_only_folder_is_named(tmp_path: Path):
    """A folder without permission is found before anything is fitted."""
    (tmp_path / "a").mkdir(mode=0o500)

    with pytest.raises(StoreWriteError, match="cannot be written"):
        WriteSession.open(tmp_path / "a" / "a.h5")


def test_a_folder_that_takes_no_files_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The system's reason is in the message."""

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(_lock, "create_beside", refuse)
    with pytest.raises(StoreWriteError, match="Read-only file system"):
        WriteSession.open(tmp_path / "a.h5")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path):
    """Something that is no file is refused rather than opened."""
    os.mkfifo(tmp_path / "a.h5")

    with pytest.raises(NotAStoreError, match="not a file"):
        check_store_file(tmp_path / "a.h5")


def test_plain_h5py_may_have_it_open(tmp_path: Path):
    """A store that this process reads with h5py can be opened beside it."""
    path = good_store(tmp_path / "a.h5")

    with h5py.File(path, "r") as file, Hdf5Store(path) as store:
        assert list(store.runs) == list(file["runs"])
    with Hdf5Store(path), h5py.File(path, "r") as file:
        assert "runs" in file
    with h5py.File(path, "r", locking=False), Hdf5Store(path) as store:
        assert store.uid == STORE_UID


@pytest.mark.skipif(fcntl is None, reason="no such locks here")
def test_a_locked_file_is_opened(tmp_path: Path):
    """A store needs no lock of HDF5, so one that another program has is no matter."""
    path = good_store(tmp_path / "a.h5")
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with Hdf5Store(path) as store:
            assert store.uid == STORE_UID


def test_a_closed_store_says_so(tmp_path: Path):
    """Reading after closing is an error, not a crash."""
    store = Hdf5Store(good_store(tmp_path / "a.h5"))
    (run,) = store.runs.values()
    run.read_all(0)
    assert not store.closed
    store.close()
    store.close()

    assert store.closed
    for read in (lambda: run.read_all(0), lambda: everything(store)):
        with pytest.raises(StoreError, match="has been closed") as caught:
            read()
        assert not isinstance(caught.value, CorruptStoreError)


def test_runs_are_in_order_of_time(tmp_path: Path):
    """The oldest run comes first, whatever its name."""
    late = mlp_run(1, name="a", uid="1" * 32, started="2025-02-01")
    early = mlp_run(1, name="b", uid="2" * 32, started="2025-01-01")
    path = write(tmp_path / "a.h5", late, early)

    with Hdf5Store(path) as store:
        assert list(store.runs) == ["b", "a"]
        assert store.runs["b"].uid == "2" * 32


def test_odd_run_names_come_back(tmp_path: Path):
    """A run's name may hold what HDF5 paths may not."""
    path = write(tmp_path / "a.h5", mlp_run(1, name="../a/b%"))

    with Hdf5Store(path) as store:
        assert list(store.runs) == ["../a/b%"]
        assert store.runs["../a/b%"].header.name == "../a/b%"


EXIT = """
import gc, sys
import h5py
from weightsearch.store import Hdf5Store
h5py.kept = Hdf5Store(sys.argv[1])
gc.freeze()
"""


def test_a_store_that_is_never_closed_harms_no_exit(tmp_path: Path):
    """A process that leaves a store open, where nothing collects it, ends well."""
    path = good_store(tmp_path / "a.h5")

    done = subprocess.run([sys.executable, "-c", EXIT, str(path)], check=False)

    assert done.returncode == 0

"""Writing a store: whole or not at all, earlier runs as they were."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from store_memory import (
    MemoryRun,
    complete,
    everything,
    good_store,
    mlp_run,
    refit,
    same,
    write,
)

from weightsearch._records import Weights
from weightsearch.exceptions import CorruptStoreError, StoreWriteError
from weightsearch.store import _append
from weightsearch.store._columns import check_compression
from weightsearch.store._reader import Hdf5Store
from weightsearch.store._verify import verify_file
from weightsearch.store._writer import append_runs, rewrite


class FailingRun(MemoryRun):
    """A run whose arrays can be read only so often."""

    def __init__(self, error: BaseException, **options: Any):
        super().__init__(mlp_run(8).records, **options)
        self.error = error
        self.left = 5

    def stored(self, row: int) -> Any:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().stored(row)


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), CorruptStoreError("bad"), TypeError("odd")]
)
def test_an_error_leaves_all_as_it_was(
    tmp_path: Path, there: bool, error: BaseException
):
    """Whatever goes wrong on the way comes through; no file is changed or left."""
    path = tmp_path / "a.h5"
    before = good_store(path).read_bytes() if there else None

    with pytest.raises(type(error)):
        write(path, new_run(8), FailingRun(error, name="other", uid="e" * 32))

    assert [item.name for item in tmp_path.iterdir()] == (["a.h5"] if there else [])
    if there:
        assert path.read_bytes() == before


def new_run(count: int, number: int = 1, **options: Any) -> MemoryRun:
    """A run that the good store does not have."""
    name, uid = f"20260101T00000{number}Z", f"{number:032x}"
    return mlp_run(count, name=name, uid=uid, **options)


FULL_DISK = """
import resource, sys
from pathlib import Path
from store_memory import mlp_run, write
from weightsearch.exceptions import StoreWriteError
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    write(Path(sys.argv[1]), mlp_run(400, name="b", uid="b" * 32))
except StoreWriteError as exc:
    print(exc)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
@pytest.mark.parametrize("limit", [1, 100, 5000, 33_000, 50_000])
def test_a_full_disk_leaves_all_as_it_was(tmp_path: Path, limit: int):
    """A write that stops at any place is told so, and the process goes on living."""
    path = good_store(tmp_path / "a.h5")
    before = path.read_bytes()

    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(limit)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(import_path())},
    )

    assert "as it was" in done.stdout
    assert "Make room" in done.stdout
    assert done.stderr == ""
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["a.h5"]


def import_path() -> list[str]:
    here = Path(__file__).resolve().parent
    return [str(here), str(here.parents[1])]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("after", [0, 1, 5, 20])
def test_any_failed_write_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, after: int
):
    """The error of the disk is in the message, not what HDF5 makes of it."""
    path = good_store(tmp_path / "a.h5")
    before = path.read_bytes()
    write_through = _append.AppendFile.write
    calls = iter(range(10**6))

    def failing(self: _append.AppendFile, data: Any, /) -> int:
        if next(calls) >= after and self.error is None:
            self.error = OSError(code, os.strerror(code))
        return write_through(self, data)

    monkeypatch.setattr(_append.AppendFile, "write", failing)
    with pytest.raises(StoreWriteError, match=os.strerror(code)) as caught:
        write(path, new_run(8))

    assert isinstance(caught.value.__cause__, OSError)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["a.h5"]


def test_a_missing_folder_is_reported(tmp_path: Path):
    """A folder that is not there ends with the error of this package."""
    with pytest.raises(StoreWriteError, match="No such file"):
        write(tmp_path / "nope" / "a.h5", mlp_run())


def test_leftovers_of_a_killed_writer_are_removed(tmp_path: Path):
    """What a killed writer left aside goes; files of other names stay."""
    gone = tmp_path / f"a.h5.{'0' * 16}.tmp"
    stays = [tmp_path / f"b.h5.{'0' * 16}.tmp", tmp_path / "a.h5.tmp"]
    path = good_store(tmp_path / "a.h5")
    for item in (gone, *stays):
        item.write_bytes(b"x")

    write(path, new_run(2))

    assert sorted(tmp_path.iterdir()) == sorted([path, *stays])


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_and_permissions_stay(tmp_path: Path):
    """A link goes on leading to the store, and the file keeps its permissions."""
    (tmp_path / "disk").mkdir()
    real = good_store(tmp_path / "disk" / "a.h5")
    real.chmod(0o640)
    link = tmp_path / "a.h5"
    link.symlink_to(real)

    write(link, new_run(3))
    rewrite(link)

    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    with Hdf5Store(real) as store:
        assert [len(run.params()) for run in store.runs.values()] == [8, 3]


@pytest.mark.parametrize("how", ["append", "rewrite"])
def test_a_reader_goes_on_while_the_store_is_written(tmp_path: Path, how: str):
    """A reader that has the store open reads all its runs to the end."""
    if sys.platform == "win32" and how == "rewrite":
        pytest.skip("Windows replaces no open file")
    path = good_store(tmp_path / "a.h5")
    with Hdf5Store(path) as old, h5py.File(path, "r") as plain:
        (run,) = old.runs.values()
        params = plain["runs"][run.name]["params"][:].tolist()
        for number in range(1, 20):
            write(path, new_run(3, number))
        if how == "rewrite":
            rewrite(path)

        found = everything(old)
        assert plain["runs"][run.name]["params"][:].tolist() == params
        assert len(plain["runs"][run.name]["fits/candidate"][:]) == 8
    with Hdf5Store(path) as new:
        assert len(new.runs) == 20
        assert same(everything(new)[: len(found)], found)


@pytest.mark.parametrize("rewritten", [False, True])
def test_earlier_runs_stay_as_they_were(tmp_path: Path, rewritten: bool):
    """What was in the store reads the same after more was added."""
    path = tmp_path / "a.h5"
    first, second, third = (
        mlp_run(
            4 + index,
            name=f"2025010{index}",
            uid=f"{index:032}",
            started=f"2025-01-0{index + 1}",
        )
        for index in range(3)
    )
    write(path, second, complete(first))
    with Hdf5Store(path) as old:
        before = everything(old)
        assert list(old.runs) == [first.header.name, second.header.name]

    write(path, third)
    if rewritten:
        rewrite(path)

    with Hdf5Store(path) as new:
        names = [run.header.name for run in (first, second, third)]
        assert list(new.runs) == names
        after = everything(new)
        assert same(after[: len(before)], before)
        assert new.runs[names[0]].header.status == "complete"
        assert new.runs[names[1]].header.status == "interrupted"
    assert verify_file(path) == []


def test_a_run_of_another_store_can_be_added(tmp_path: Path):
    """A run that is in a file already can be added to another one."""
    path = write(tmp_path / "a.h5", complete(mlp_run(3)))

    with Hdf5Store(path) as store:
        write(tmp_path / "b.h5", new_run(4), *store.runs.values())
        with Hdf5Store(tmp_path / "b.h5") as copy:
            (name,) = store.runs
            only = {name: copy.runs[name]}
            found = everything(type("Only", (), {"runs": only})())
            assert same(everything(store), found)
            assert len(copy.runs) == 2
    assert verify_file(tmp_path / "b.h5") == []


def test_a_name_that_is_taken_is_changed(tmp_path: Path):
    """Two runs that began in one instant are both there, under two names."""
    one = mlp_run(2, name="now")
    write(tmp_path / "a.h5", one, mlp_run(3, name="now", uid="b" * 32))

    with Hdf5Store(tmp_path / "a.h5") as store:
        assert {name: run.uid for name, run in store.runs.items()} == {
            "now": one.uid,
            "now-2": "b" * 32,
        }
        assert store.runs["now-2"].header.name == "now-2"
    assert verify_file(tmp_path / "a.h5") == []


def test_one_run_is_not_added_twice(tmp_path: Path):
    """A run that the store has is left out; others of the same call are added."""
    path = good_store(tmp_path / "a.h5")

    write(path, mlp_run(), new_run(2))

    with Hdf5Store(path) as store:
        assert [len(run.params()) for run in store.runs.values()] == [8, 2]
    assert verify_file(path) == []


@pytest.mark.parametrize(
    "compression",
    [
        *["zip", "szip", 4, {"compression": 32008}, {"scaleoffset": 2}],
        {"compression": "lzf", "compression_opts": 3},
        {"compression": "gzip", "compression_opts": 10},
    ],
)
def test_unknown_compression_is_refused(tmp_path: Path, compression: Any):
    """Filters that other readers lack, or that lose digits, are refused by name."""
    with pytest.raises((ValueError, TypeError)):
        check_compression(compression)
    with pytest.raises((ValueError, TypeError)):
        write(tmp_path / "a.h5", mlp_run(), compression=compression)

    assert list(tmp_path.iterdir()) == []


def test_objects_are_refused(tmp_path: Path):
    """An array of objects never gets into a store."""
    run = MemoryRun([refit(0, Weights({"w": np.array([{}])}))])

    with pytest.raises(TypeError, match="'w'"):
        write(tmp_path / "a.h5", run)

    assert list(tmp_path.iterdir()) == []


def test_a_source_that_contradicts_itself_is_refused(tmp_path: Path):
    """An array of another shape than announced is not stored as if it were right."""
    run = MemoryRun(mlp_run(3).records[::2])
    announced = mlp_run(3).specs(1)
    run.specs = lambda row: announced

    with pytest.raises(ValueError, match="announced"):
        write(tmp_path / "a.h5", run)


def test_the_same_content_gives_the_same_file(tmp_path: Path):
    """Nothing of the memory gets into the file, and of the clock but the second."""
    same_second = False
    while not same_second:
        for path in tmp_path.iterdir():
            path.unlink()
        second = int(time.time())
        one, two = good_store(tmp_path / "a.h5"), good_store(tmp_path / "b.h5")
        # HDF5 notes when each group was made.
        same_second = int(time.time()) == second

    assert one.read_bytes() == two.read_bytes()


def test_the_file_is_hardly_larger_than_what_it_holds(tmp_path: Path):
    """From 100 candidates of 9 KB on, the store adds less than 2 % to their arrays."""
    rng = np.random.default_rng(0)
    weights = Weights({"w": rng.normal(size=(36, 32)), "b": rng.normal(size=32)})
    run = MemoryRun([refit(index, weights) for index in range(100)])
    append_runs(tmp_path / "a.h5", [run], store_uid="c" * 32)

    size = (tmp_path / "a.h5").stat().st_size
    assert size <= 1.02 * 100 * weights.nbytes

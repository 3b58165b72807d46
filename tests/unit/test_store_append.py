"""Adding to a store survives kills, power cuts, full disks and flipped bits."""

from __future__ import annotations

import io
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from power_disk import Disk
from store_memory import MemoryRun, complete, everything, good_store, mlp_run, write

from weightsearch.exceptions import StoreWriteError
from weightsearch.store import _append, _beside
from weightsearch.store._append import recover, redo_path
from weightsearch.store._reader import Hdf5Store
from weightsearch.store._verify import verify_file
from weightsearch.store._writer import append_runs, rewrite

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
FIRST = "20250101T000000Z-aaaa"


def more(number: int, count: int = 3) -> MemoryRun:
    """A run that the good store does not have."""
    name, uid = f"2026-{number:06}", f"{number:032x}"
    return complete(mlp_run(count, name=name, uid=uid, started=f"2026-{number:06}"))


def runs_of(path: Path) -> list[str]:
    """Read a store to the last bit, and return the names of its runs."""
    with Hdf5Store(path) as store:
        everything(store)
        return list(store.runs)


def plain_runs_of(path: Path) -> list[str]:
    """The same with plain h5py."""
    with h5py.File(path, "r") as file:
        for run in file["runs"].values():
            run["fits/candidate"][:]
        return sorted(file["runs"])


def durably(path: Path, *runs: MemoryRun, **options: Any) -> None:
    """Add runs as a search does."""
    append_runs(path, runs, store_uid="c" * 32, **options)


# -- kills ------------------------------------------------------------------------


def killed(step: str, work: Callable[[], None]) -> bool:
    """Do work in a child that is killed at a step; tell whether it came so far."""
    child = os.fork()
    if child == 0:

        def reached(name: str) -> None:
            if name == step:
                os.kill(os.getpid(), signal.SIGKILL)

        _beside.reached = reached
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@posix
@pytest.mark.parametrize(
    ("step", "there"),
    [
        ("append written", False),
        ("redo written", True),
        ("pages written", True),
        ("redo removed", True),
    ],
)
def test_a_kill_at_any_step_of_adding(tmp_path: Path, step: str, there: bool):
    """The run is there if its redo file was, before and after it is recovered."""
    path = good_store(tmp_path / "a.h5")
    expected = [FIRST, "2026-000001"] if there else [FIRST]

    assert killed(step, lambda: durably(path, more(1)))

    assert runs_of(path) == expected
    plain_runs_of(path)
    assert recover(path) == (step in ("redo written", "pages written"))
    assert runs_of(path) == plain_runs_of(path) == expected
    assert verify_file(path) == []
    assert list(tmp_path.iterdir()) == [path]
    durably(path, more(2))
    assert runs_of(path) == [*expected, "2026-000002"]


@posix
@pytest.mark.parametrize("step", ["pages written", "redo removed"])
def test_a_kill_at_any_step_of_recovery(tmp_path: Path, step: str):
    """A recovery that is killed is finished by the next one."""
    path = good_store(tmp_path / "a.h5")
    assert killed("redo written", lambda: durably(path, more(1)))

    assert killed(step, lambda: recover(path))

    recover(path)
    assert runs_of(path) == [FIRST, "2026-000001"]
    assert verify_file(path) == []


@posix
@pytest.mark.parametrize("step", ["file written", "file renamed"])
@pytest.mark.parametrize("new", [False, True])
def test_a_kill_at_any_step_of_a_new_file(tmp_path: Path, step: str, new: bool):
    """A store that is made or rewritten is there whole, or as it was."""
    path = tmp_path / "a.h5"
    if not new:
        write(good_store(path), more(1), more(2), remove=[more(1).uid])
    before = runs_of(path) if path.exists() else []

    work = (lambda: durably(path, more(3))) if new else (lambda: rewrite(path))
    assert killed(step, work)

    if new and step == "file written":
        assert not path.exists()
    else:
        assert runs_of(path) == (["2026-000003"] if new else before)
        assert verify_file(path) == []
    recover(path)
    assert [item.name for item in tmp_path.iterdir()] == ["a.h5"] * path.exists()


@posix
def test_a_redo_file_under_two_names(tmp_path: Path):
    """A writer that dies while it names its redo file has committed, says a reader."""
    path = good_store(tmp_path / "a.h5")
    assert killed("redo written", lambda: durably(path, more(1)))
    redo_path(path).with_name(f"a.h5.{'0' * 16}.tmp").hardlink_to(redo_path(path))

    expected = [FIRST, "2026-000001"]
    assert runs_of(path) == expected
    recover(path)
    assert runs_of(path) == expected
    assert list(tmp_path.iterdir()) == [path]


@posix
@pytest.mark.slow
def test_random_kills_lose_nothing(tmp_path: Path):
    """60 kills at any instant of adding: what was told as added is there."""
    path = good_store(tmp_path / "a.h5")
    rng = random.Random(0)
    n_added = 0
    for _ in range(60):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                for number in range(n_added, n_added + 50):
                    durably(path, more(number))
                    os.write(writing, b".")
            finally:
                os._exit(0)
        os.close(writing)
        time.sleep(rng.random() * 0.1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        told = len(os.read(reading, 1000))
        os.close(reading)

        with Hdf5Store(path) as store:
            seen = list(store.runs)
        recover(path)
        with Hdf5Store(path) as store:
            assert list(store.runs) == seen
            assert set(seen) >= {f"2026-{n:06}" for n in range(n_added + told)}
            n_added = len(seen) - 1
    assert verify_file(path) == []
    assert n_added > 5


# -- power cuts and full disks ----------------------------------------------------


@posix
@pytest.mark.slow
def test_a_power_cut_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Any unsynced writes are lost, in any order between files: nothing else is."""
    folder = tmp_path / "disk"
    folder.mkdir()
    path = good_store(folder / "a.h5")
    with monkeypatch.context() as patch:
        disk = Disk(patch, path)
        durably(path, more(1), remove=["a" * 32])
    commit = next(i for i, e in enumerate(disk.events) if e[0] == "names")
    rng = random.Random(0)
    seen = set()
    for number in range(100):
        at = (
            rng.randint(0, len(disk.events))
            if number % 3
            else rng.randint(commit - 3, len(disk.events))
        )
        cut = tmp_path / f"cut{number}"
        cut.mkdir()
        for name, content in disk.after_cut(rng, at).items():
            (cut / name).write_bytes(content)

        found = runs_of(cut / "a.h5")
        assert found in ([FIRST], ["2026-000001"]), at
        assert at <= commit or found == ["2026-000001"], at
        recover(cut / "a.h5")
        assert runs_of(cut / "a.h5") == found
        assert verify_file(cut / "a.h5") == []
        assert [item.name for item in cut.iterdir()] == ["a.h5"]
        seen.add(found[0])
    assert len(seen) == 2


@pytest.mark.parametrize("rewriting", [False, True])
@pytest.mark.slow
def test_a_full_disk_at_any_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rewriting: bool
):
    """Whichever write fails: our own error, the old or the new store, no leftovers."""
    path = write(good_store(tmp_path / "a.h5"), more(1), remove=[])
    good = path.read_bytes()
    before = runs_of(path)

    def work() -> None:
        if rewriting:
            rewrite(path)
        else:
            durably(path, more(2))

    with monkeypatch.context() as patch:
        disk = Disk(patch, path)
        disk.fail_at = 10**6
        work()
        n_writes = 10**6 - disk.fail_at
    after = runs_of(path)
    late = 0
    for number in [*range(1, n_writes - 40, 9), *range(n_writes - 40, n_writes + 1)]:
        path.write_bytes(good)
        with monkeypatch.context() as patch:
            Disk(patch, path).fail_at = number
            with pytest.raises(StoreWriteError, match="No space left") as caught:
                work()
        found = runs_of(path)
        assert found == (after if "safe" in str(caught.value) else before)
        late += found != before
        recover(path)
        assert runs_of(path) == found
        assert verify_file(path) == []
        assert list(tmp_path.iterdir()) == [path]
    assert rewriting or late


# -- damage and strangers ---------------------------------------------------------


@posix
@pytest.mark.slow
def test_flipped_bits_of_a_redo_file_are_noticed(tmp_path: Path):
    """A redo file with a wrong bit is not used, whatever state its store is in."""
    path = good_store(tmp_path / "a.h5")
    assert killed("redo written", lambda: durably(path, more(1)))
    redo, store = redo_path(path).read_bytes(), path.read_bytes()
    rng = random.Random(0)
    for _ in range(60):
        place = rng.randrange(8, len(redo))
        bad = bytearray(redo)
        bad[place] ^= 1 << rng.randrange(8)
        path.write_bytes(store)
        redo_path(path).write_bytes(bad)

        assert runs_of(path) == [FIRST]
        assert not recover(path)
        assert runs_of(path) == [FIRST]
        assert verify_file(path) == []
    for length in (0, 5, 30, 100, len(redo) - 1):
        redo_path(path).write_bytes(redo[:length])
        assert not recover(path)
        assert runs_of(path) == [FIRST]


@posix
@pytest.mark.parametrize("removing", [False, True])
def test_a_redo_file_of_another_store_is_dropped(tmp_path: Path, removing: bool):
    """A store that took another one's place is not written over."""
    path = write(tmp_path / "a.h5", *map(more, range(10, 14)))
    work = {"remove": [more(10).uid]} if removing else {}
    runs = [] if removing else [more(1)]
    assert killed("redo written", lambda: durably(path, *runs, **work))
    other = tmp_path / "b.h5"
    append_runs(other, map(more, range(10, 14)), store_uid="d" * 32)
    other.replace(path)
    content = path.read_bytes()

    assert len(runs_of(path)) == 4
    assert not recover(path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@posix
@pytest.mark.parametrize("kind", ["link", "file", "fifo", "folder"])
def test_what_has_the_name_of_a_redo_file_is_left_alone(tmp_path: Path, kind: str):
    """Something else of that name stays as it is; adding is refused, reading not."""
    path = good_store(tmp_path / "a.h5")
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    redo = redo_path(path)
    if kind == "link":
        redo.symlink_to(victim)
    elif kind == "file":
        redo.write_bytes(b"precious")
    elif kind == "fifo":
        os.mkfifo(redo)
    else:
        redo.mkdir()

    assert runs_of(path) == [FIRST]
    with pytest.raises(StoreWriteError, match="in the way"):
        durably(path, more(1))

    assert runs_of(path) == [FIRST]
    assert victim.read_bytes() == b"precious"
    assert kind != "file" or redo.read_bytes() == b"precious"
    assert os.path.lexists(redo)


@pytest.mark.skipif(sys.platform == "win32", reason="no such modes there")
def test_what_is_beside_a_private_store_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The redo file and the file aside have the store's mode from the beginning."""
    path = good_store(tmp_path / "a.h5")
    path.chmod(0o600)
    seen = []

    def reached(step: str) -> None:
        seen.extend(item.stat().st_mode & 0o777 for item in tmp_path.iterdir())

    monkeypatch.setattr(_beside, "reached", reached)
    old = os.umask(0)
    try:
        durably(path, more(1))
        rewrite(path)
    finally:
        os.umask(old)

    assert set(seen) == {0o600}
    assert len(seen) > 6


def test_readers_may_come_at_any_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever opens the store while a run is added sees it without or with the run."""
    path = good_store(tmp_path / "a.h5")
    seen: list[tuple[str, list[str], list[str]]] = []

    def reached(step: str) -> None:
        seen.append((step, runs_of(path), plain_runs_of(path)))

    monkeypatch.setattr(_beside, "reached", reached)
    durably(path, more(1))

    old, new = [FIRST], [FIRST, "2026-000001"]
    assert seen == [
        ("append written", old, old),
        ("redo written", new, old),
        ("pages written", new, new),
        ("redo removed", new, new),
    ]


def test_a_store_is_not_put_over_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A file that appears while a store is made stays, and the error says so."""
    path = tmp_path / "a.h5"

    def reached(step: str) -> None:
        path.write_bytes(b"precious")

    monkeypatch.setattr(_beside, "reached", reached)
    with pytest.raises(StoreWriteError, match="exists"):
        durably(path, more(1))

    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


# -- what it costs ----------------------------------------------------------------


def written(monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> int:
    """Count the bytes that are written."""
    counts = []
    with monkeypatch.context() as patch:

        class Counting(io.FileIO):
            def write(self, data: Any) -> int:
                count = super().write(data)
                counts.append(count)
                return count

        patch.setattr(_append, "io", SimpleNamespace(**vars(io) | {"FileIO": Counting}))
        work()
    return sum(counts)


@pytest.mark.slow
def test_the_cost_does_not_grow_with_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Adding runs writes as many bytes to a large store as to a small one."""
    small = good_store(tmp_path / "small.h5")
    large = good_store(tmp_path / "large.h5")
    # Up to eight runs, HDF5 needs no index of them.
    write(small, *(more(number, 1) for number in range(10)))
    write(large, *(more(number, 1) for number in range(300)))
    write(large, more(1000, 2000))

    def add_some(path: Path) -> None:
        for number in range(2000, 2012):
            write(path, more(number))

    one = written(monkeypatch, lambda: add_some(small))
    other = written(monkeypatch, lambda: add_some(large))
    assert other < 1.5 * one


def test_what_was_left_by_a_kill_is_used_again(tmp_path: Path):
    """Bytes behind the end that no commit counts do not add up."""
    path = good_store(tmp_path / "a.h5")
    once = good_store(tmp_path / "b.h5")
    for _ in range(3):
        with path.open("ab") as file:
            file.write(np.random.default_rng(0).bytes(100_000))
        assert runs_of(path) == [FIRST]

    durably(path, more(1))
    durably(once, more(1))

    assert path.stat().st_size <= once.stat().st_size + 300_000
    durably(path, more(2, 2000))
    durably(once, more(2, 2000))
    assert abs(path.stat().st_size - once.stat().st_size) < 4096
    assert verify_file(path) == []

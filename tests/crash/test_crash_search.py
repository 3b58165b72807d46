"""Searches killed with SIGKILL at any instant: nothing finished is lost."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import searching

from weightsearch import StoreError, WeightStore
from weightsearch._records import REFIT

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(os.name != "posix", reason="kills process groups"),
]

TOTAL = {"refit": 24, "splits": 19, "both": 24}
# Importing takes longer than searching, so that one process does it for all.
SERVER = multiprocessing.get_context("forkserver")


class Child:
    """A search in a process group of its own."""

    def __init__(self, store, log, *what, die_after=0):
        self._told, other = SERVER.Pipe(duplex=False)
        args = (other, str(log), die_after, str(store), *what)
        self.process = SERVER.Process(target=searching.main, args=args)
        self.process.start()
        other.close()
        self.pid = self.process.pid

    def tells(self):
        """Return the next thing that it tells; None if it ends before."""
        try:
            return self._told.recv()
        except EOFError:
            return None

    def end(self):
        """Wait until it has ended, and return its exit code."""
        self.process.join(120)
        return self.process.exitcode

    def kill(self, *, group):
        """Kill the process, or its whole group, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, signal.SIGKILL)
        self.end()


@pytest.fixture(scope="module", autouse=True)
def server():
    """The process that the searches are forked from."""
    with pytest.MonkeyPatch.context() as patch:
        # It must not have threads of its own, and finds modules as this process does.
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        SERVER.set_forkserver_preload(["searching"])
        yield


def finish(store, log, *what):
    """Run a search to its end and return what it found."""
    child = Child(store, log, *what)
    assert child.tells() == "ready"
    found = child.tells()
    assert child.end() == 0
    return found


def stored_fits(store):
    """(candidate, split) of all fits without failure that a store shows."""
    try:
        opened = WeightStore(store)
    except StoreError:
        return set()
    with opened:
        return {
            (int(candidate), int(split))
            for run in opened.runs.values()
            for candidate, split in zip(
                run._table.candidate, run._table.split, strict=True
            )
        }


def lines(log):
    return len(log.read_text().splitlines()) if log.exists() else 0


def workers_of(parent):
    """Child processes of a process, straight from the system."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(pid) for pid in found.stdout.split()]


def kill(child, who):
    if who == "worker":
        for pid in workers_of(child.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if child.end() is None:
            child.kill(group=True)
    elif who == "parent":
        child.kill(group=False)
        # Orphaned workers end by themselves; the next run must not wait for them.
    else:
        child.kill(group=True)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What an uninterrupted search finds, for each kind of capture."""
    folder = tmp_path_factory.mktemp("reference")
    return {
        (capture, 1): finish(
            folder / f"{capture}.h5", folder / "l", "sklearn", capture, 1
        )
        for capture in TOTAL
    }


@pytest.mark.parametrize("seed", range(60))
def test_killed_at_a_random_instant(tmp_path, reference, seed):
    """Whoever is killed whenever: all that was finished is there and is not redone."""
    rng = random.Random(seed)
    capture = ["refit", "splits", "both"][seed % 3]
    n_jobs = 2 if seed % 4 == 3 else 1
    who = rng.choice(["parent", "worker", "all"]) if n_jobs == 2 else "parent"
    store, log = tmp_path / "s.h5", tmp_path / "second.log"
    what = ("sklearn", capture, n_jobs)
    child = Child(store, tmp_path / "first.log", *what)
    assert child.tells() == "ready"
    time.sleep(rng.uniform(0.0, 0.7 if n_jobs == 1 else 1.8))
    seen = stored_fits(store)
    kill(child, who)

    kept = stored_fits(store)
    assert seen <= kept
    if store.exists():
        with WeightStore(store) as opened:
            assert opened.verify() == []
    found = finish(store, log, *what)
    assert found == reference[capture, 1]
    # Only what is missing is fitted, and the best one as scikit-learn has it.
    missing = TOTAL[capture] - len(kept)
    refits = [fit for fit in kept if fit[1] == REFIT]
    assert missing <= lines(log) <= missing + (1 if refits else 0)
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".h5"] == ["s.h5"]
    with WeightStore(store) as opened:
        assert [run.status for run in opened.runs.values()] == ["complete"]
        assert opened.verify() == []


@pytest.mark.parametrize(("kind", "total"), [("torch", 16), ("keras", 8)])
def test_networks_go_on_after_a_kill(tmp_path, kind, total):
    """PyTorch and Keras searches go on where they were killed."""
    pytest.importorskip({"torch": "skorch", "keras": "scikeras"}[kind])
    store, log = tmp_path / "s.h5", tmp_path / "first.log"
    what = (kind, "both", 1, True)
    child = Child(store, log, *what)
    deadline = time.monotonic() + 120
    # A line per network that is built: the first of each kind is built once more, to
    # prove that it can be rebuilt; the best one is a kind of its own.
    proofs = 2
    while lines(log) < total // 2 + proofs and time.monotonic() < deadline:
        time.sleep(0.02)
    child.kill(group=True)
    kept = stored_fits(store)
    assert total // 2 <= len(kept) < total
    again = tmp_path / "second.log"
    found = finish(store, again, *what)
    missing = total - len(kept)
    assert missing <= lines(again) <= missing + 1 + proofs
    assert found == finish(tmp_path / "anew.h5", again, *what)


@pytest.mark.parametrize(("n_jobs", "after"), [(1, 20), (1, 34), (2, 29), (1, 46)])
def test_a_halving_search_goes_on_after_a_kill(tmp_path, n_jobs, after):
    """Killed in its first iteration, in a later one or in its refits, it goes on."""
    total = 3 * (9 + 3 + 1) + 9
    store, log = tmp_path / "s.h5", tmp_path / "first.log"
    what = ("halving", "both", n_jobs)
    child = Child(store, log, *what, die_after=after)
    assert child.end() == -signal.SIGKILL
    assert (child.tells(), child.tells()) == ("ready", None)
    kept = stored_fits(store)
    # joblib hands workers several short fits at once, and takes them back at once.
    assert len(kept) == after if n_jobs == 1 else 0 < len(kept) < total
    with WeightStore(store) as opened:
        begun = scores_of(opened.run())

    again = tmp_path / "second.log"
    found = finish(store, again, *what)

    missing = total - len(kept)
    refits = [fit for fit in kept if fit[1] == REFIT]
    assert missing <= lines(again) <= missing + (1 if refits else 0)
    assert found["results"]["iter"] == [0.0] * 9 + [1.0] * 3 + [2.0]
    with WeightStore(store) as opened:
        (run,) = opened.runs.values()
        assert run.status == "complete"
        assert begun.items() <= scores_of(run).items()
        assert opened.verify() == []
    if after == 20:
        # One that starts anew draws other subsamples.
        anew = finish(tmp_path / "anew.h5", again, *what)
        assert anew["results"] != found["results"]


def scores_of(run):
    """Scores of the splits that have finished, by candidate and split."""
    frame = run.candidates
    return {
        (candidate, split): score
        for split in range(3)
        for candidate, score in frame[f"split{split}_test_score"].dropna().items()
    }

"""Searches killed with SIGKILL at any instant: nothing finished is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from weightsearch import StoreError, WeightStore
from weightsearch._records import REFIT

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(os.name != "posix", reason="kills process groups"),
]

CHILD = Path(__file__).parent / "searching.py"
TOTAL = {"refit": 24, "splits": 19, "both": 24}


def start(store, log, kind, capture, n_jobs, shuffle=0, die_after=0):
    """Start a search in a process group of its own."""
    # The log's name is an environment variable's value: as a param it would make
    # each run another search, and orphans of a killed run must not write into it.
    args = [sys.executable, CHILD, store, "$FITS_LOG", kind, capture, n_jobs, shuffle]
    return subprocess.Popen(
        [str(arg) for arg in args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "FITS_LOG": str(log), "DIE_AFTER": str(die_after)},
    )


def finish(*args):
    """Run a search to its end and return what it found."""
    child = start(*args)
    out, err = child.communicate()
    assert child.returncode == 0, err
    return json.loads(out.splitlines()[-1])


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


def kill(child, who, rng):
    if who == "worker":
        for pid in workers_of(child.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        child.wait(timeout=120)
        os.killpg(child.pid, signal.SIGKILL) if child.poll() is None else None
    elif who == "parent":
        child.kill()
        child.wait()
        # Orphaned workers end by themselves; the next run must not wait for them.
    else:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


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
    child = start(store, tmp_path / "first.log", *what)
    assert child.stdout.readline() == "ready\n"
    time.sleep(rng.uniform(0.0, 0.9 if n_jobs == 1 else 1.8))
    seen = stored_fits(store)
    kill(child, who, rng)
    child.stdout.close()
    child.stderr.close()

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
    what = (kind, "both", 1, 1)
    child = start(store, log, *what)
    deadline = time.monotonic() + 120
    # A line per network that is built: the first of each kind is built once more, to
    # prove that it can be rebuilt; the best one is a kind of its own.
    proofs = 2
    while lines(log) < total // 2 + proofs and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
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
    child = start(store, log, *what, die_after=after)
    out, err = child.communicate()
    assert (out, child.returncode) == ("ready\n", -signal.SIGKILL), err
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

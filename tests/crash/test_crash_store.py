"""Writers killed with SIGKILL at any instant and at each step of the protocol."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from journal_samples import header, result, same, weights

from weightsearch.store import (
    Hdf5Store,
    WriteSession,
    _steps,
    consolidate,
    live_run,
    verify,
)

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL"),
]

CHILD = Path(__file__).parent / "storing.py"
ROOT = Path(__file__).parents[2]
COUNT = 40
KILLS = 30


@pytest.fixture
def path(tmp_path):
    """A store with one complete run, that nothing may harm."""
    path = tmp_path.resolve() / "search.h5"
    start(path, 0, COUNT).communicate()
    assert verify(path) == []
    return path


def start(path, number, count, *step):
    """Start a child that writes a run."""
    args = [sys.executable, CHILD, path, number, count, *step]
    return subprocess.Popen(
        [str(arg) for arg in args], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def reported(output):
    """Numbers of the fits that a child has told to be safe."""
    return [int(line) for line in output.splitlines() if line.isdigit()]


def check_run(run, fits):
    """Hold a run to the fits that were told: all there, each whole."""
    table = run.fits()
    candidates = table.candidate.tolist()
    assert candidates[: len(fits)] == fits
    # One more may have been committed and not told any more.
    assert len(candidates) <= len(fits) + 1
    for row, candidate in enumerate(candidates):
        hidden = 2000 if candidate % 10 == 9 else 8
        assert same(run.read_all(row), weights(candidate, hidden))
        assert run.result(row)["test_scores"] == result(candidate)["test_scores"]


def check_everything(path, number, output):
    """Look at a store after a kill: as a reader, as a checker, as the next writer."""
    fits = reported(output)
    assert verify(path) == []
    with Hdf5Store(path) as store:
        check_run(store.runs["run-0000"], list(range(COUNT)))
        in_file = header(number).name in store.runs
    live = live_run(path)
    if fits and not in_file:
        with live:
            check_run(live, fits)
    elif live is not None:
        live.close()
    with WriteSession.open(path) as session:
        uids = [found.uid for found in session.headers]
    assert uids.count(header(number).uid) == (1 if fits or in_file else uids.count(header(number).uid))
    assert verify(path) == []
    with Hdf5Store(path) as store:
        if fits:
            run = store.runs[header(number).name]
            check_run(run, fits)
            if "committed" in output:
                assert run.header.status == "complete"
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]


def test_kills_at_random_instants_cost_nothing_finished(path):
    """Whatever a child has told to be safe is there after its death, whole."""
    chance = random.Random(0)
    with start(path, 1, COUNT) as child:
        child.stdout.readline()
        begun = time.monotonic()
        child.stdout.read()
        whole = time.monotonic() - begun
    check_everything(path, 1, "\n".join(map(str, range(COUNT))) + "\ncommitted")
    during = 0
    for number in range(2, KILLS + 2):
        with start(path, number, COUNT) as child:
            first = child.stdout.readline()
            time.sleep(chance.random() * whole)
            child.kill()
            output = first + child.stdout.read()
        during += "committed" not in output
        check_everything(path, number, output)

    assert during > KILLS // 3, "most children ended before they were killed"
    with Hdf5Store(path) as store:
        assert len(store.runs) >= 2 + during // 2


@pytest.mark.parametrize("times", [1, 20])
@pytest.mark.parametrize("step", _steps.STEPS)
def test_kill_at_each_step_costs_nothing_finished(path, step, times):
    """Death right after each step of the protocol is survived."""
    if times > 1 and step not in (_steps.BYTES_WRITTEN, _steps.ROW_WRITTEN):
        pytest.skip("this step is reached once")
    with start(path, 1, COUNT, step, times) as child:
        output = child.stdout.read()
    assert child.returncode == -signal.SIGKILL

    told = reported(output)
    if step in (_steps.BYTES_WRITTEN, _steps.ROW_WRITTEN):
        assert len(told) == times - 1
    else:
        assert len(told) == COUNT
    check_everything(path, 1, output)
    with Hdf5Store(path) as store:
        run = store.runs.get("run-0001")
        rows = 0 if run is None else len(run.fits())
        assert rows == {
            _steps.BYTES_WRITTEN: times - 1,
            _steps.ROW_WRITTEN: times,
        }.get(step, COUNT)
        if len(told) == COUNT:
            assert run.header.status == "complete"
            assert run.best_index() == 0


@pytest.mark.parametrize("step", [_steps.CONSOLIDATION_BEGUN, _steps.FILE_WRITTEN])
def test_kill_while_consolidating_a_leftover(path, step):
    """A writer that dies while it cleans up after another one harms nothing."""
    with start(path, 1, COUNT, _steps.RUN_FINISHED, 1) as child:
        output = child.stdout.read()
    for _ in range(2):
        with start(path, 2, COUNT, step, 1) as child:
            assert child.stdout.read() == ""
        assert child.returncode == -signal.SIGKILL
        assert verify(path) == []

    check_everything(path, 1, output)


def test_recover_after_a_kill(path):
    """Recovering by hand finds what the next writer would find."""
    with start(path, 1, COUNT, _steps.ROW_WRITTEN, 15) as child:
        child.stdout.read()

    assert consolidate(path)
    assert not consolidate(path)
    with Hdf5Store(path) as store:
        assert len(store.runs["run-0001"].fits()) == 15
        assert store.runs["run-0001"].header.status == "interrupted"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_writers_after_a_kill_take_turns(path):
    """Of two that come after a dead writer, one cleans up and the other waits."""
    with start(path, 1, COUNT, _steps.ROW_WRITTEN, 5) as child:
        child.stdout.read()
    both = [start(path, number, COUNT) for number in (2, 3)]
    outputs = [child.communicate()[0] for child in both]

    assert verify(path) == []
    with Hdf5Store(path) as store:
        assert len(store.runs["run-0001"].fits()) == 5
        for number, output in zip((2, 3), outputs, strict=True):
            committed = "committed" in output
            assert (f"run-{number:04d}" in store.runs) == committed
    assert any("committed" in output for output in outputs)

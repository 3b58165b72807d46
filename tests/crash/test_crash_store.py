"""Writers killed with SIGKILL at any instant and at each step of the protocol."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_samples import header, result, same, weights
from storing import LARGE, RECOVER, REPACK

from weightsearch.store import (
    Hdf5Store,
    WriteSession,
    _beside,
    append_runs,
    consolidate,
    live_runs,
    locked,
    verify,
)

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL"),
]

CHILD = Path(__file__).parent / "storing.py"
COUNT = 24
KILLS = 60


class Writers:
    """A process that forks writers."""

    def __init__(self):
        self._server = subprocess.Popen(
            [sys.executable, CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                # A process with threads must not fork.
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
        )
        assert self._line() == "ready"
        self.code = None

    def _line(self):
        return self._server.stdout.readline().strip()

    def start(self, path, *args):
        """Start a writer and return its process id."""
        self._server.stdin.write(json.dumps([str(path), *args]) + "\n")
        self._server.stdin.flush()
        kind, pid = self._line().split()
        assert kind == "pid"
        return int(pid)

    def output(self):
        """Return what the writer prints until it ends."""
        lines = []
        while not (line := self._line()).startswith("exit"):
            lines.append(line)
        self.code = int(line.split()[1])
        return lines

    def run(self, path, *args):
        """Run a writer to its end."""
        self.start(path, *args)
        return self.output()

    def close(self):
        """End the process."""
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait()


@pytest.fixture(scope="module")
def writers():
    """A process that forks writers."""
    server = Writers()
    yield server
    server.close()


@pytest.fixture
def path(tmp_path, writers):
    """A store with one complete run, that nothing may harm."""
    path = tmp_path.resolve() / "search.h5"
    assert writers.run(path, 0, COUNT)[-1] == "committed"
    assert verify(path) == []
    return path


def reported(output):
    """Numbers of the fits that a child has told to be safe."""
    return [int(line) for line in output if line.isdigit()]


def check_run(run, fits):
    """Hold a run to the fits that were told: all there, each whole."""
    table = run.fits()
    candidates = table.candidate.tolist()
    assert candidates[: len(fits)] == fits
    # One more may have been committed and not told any more.
    assert len(candidates) <= len(fits) + 1
    for row, candidate in enumerate(candidates):
        hidden = LARGE if candidate % 10 == 9 else 8
        assert same(run.read_all(row), weights(candidate, hidden))
        assert run.result(row)["test_scores"] == result(candidate)["test_scores"]


def check_everything(path, number, output):
    """Look at a store after a kill: as a reader, as a checker, as the next writer."""
    fits = reported(output)
    assert verify(path) == []
    with Hdf5Store(path) as store:
        check_run(store.runs["run-0000"], list(range(COUNT)))
        in_file = header(number).name in store.runs
    live = [run for run in live_runs(path) if run.uid == header(number).uid]
    if fits and not in_file:
        check_run(live[0], fits)
    # A run that had no fit yet has nothing to keep: the next writer forgets it.
    expected = in_file or any(len(run.fits()) for run in live)
    with WriteSession.open(path) as session:
        uids = [found.uid for found in session.lookup.headers]
    assert uids.count(header(number).uid) == expected
    consolidate(path)
    assert verify(path) == []
    with Hdf5Store(path) as store:
        if fits:
            run = store.runs[header(number).name]
            check_run(run, fits)
            if "committed" in output:
                assert run.header.status == "complete"
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]


def kill_after(writers, seconds, *args):
    """Start a writer, kill it after a while, and return what it printed."""
    pid = writers.start(*args)
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return writers.output()


def test_kills_at_random_instants_cost_nothing_finished(path, writers):
    """Whatever a child has told to be safe is there after its death, whole."""
    chance = random.Random(0)
    before = path.read_bytes()
    begun = time.monotonic()
    output = writers.run(path, 1, COUNT)
    whole = time.monotonic() - begun
    check_everything(path, 1, output)
    during = 0
    while during < KILLS:
        # Few runs are checked faster than many.
        path.write_bytes(before)
        output = kill_after(writers, chance.random() * whole, path, 1, COUNT)
        if writers.code == -signal.SIGKILL:
            during += 1
        else:
            # The machine has become faster.
            whole *= 0.9
        check_everything(path, 1, output)


def test_kills_during_recovery_cost_nothing(path, writers):
    """Recovering what a dead writer left may be killed again and again."""
    chance = random.Random(1)
    before = path.read_bytes()
    during = number = 0
    while during < KILLS:
        if not live_runs(path):
            number += 1
            # A log whose runs are in the file may be left; the old file lacks them.
            consolidate(path)
            path.write_bytes(before)
            output = writers.run(path, number, COUNT, "fit written", COUNT)
            begun = time.monotonic()
        kill_after(writers, chance.random() * 0.04, path, RECOVER, 0)
        during += writers.code == -signal.SIGKILL
        assert verify(path) == []
        assert time.monotonic() - begun < 60
    check_everything(path, number, output)
    with Hdf5Store(path) as store:
        assert len(store.runs) == 2


@pytest.mark.slow
def test_kills_during_repack_cost_nothing(path, writers):
    """A store that is being rewritten is the old one or the new one, always whole."""
    chance = random.Random(2)
    writers.run(path, 1, COUNT)
    with locked(path):
        append_runs(path, [], store_uid="", remove=[header(1).uid])
    before = path.read_bytes()
    begun = time.monotonic()
    writers.run(path, REPACK, 0)
    whole = time.monotonic() - begun
    after = path.stat().st_size
    assert after < 0.7 * len(before)
    during = sizes = 0
    while during < KILLS:
        path.write_bytes(before)
        kill_after(writers, chance.random() * whole, path, REPACK, 0)
        during += writers.code == -signal.SIGKILL
        size = path.stat().st_size
        assert size in (len(before), after)
        sizes |= 1 if size == after else 2
        assert verify(path) == []
        with Hdf5Store(path) as store:
            assert list(store.runs) == ["run-0000"]
            check_run(store.runs["run-0000"], list(range(COUNT)))
        WriteSession.open(path).close()
        assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert sizes & 2


STEPS = [
    (step, 1) for step in _beside.STEPS if step not in ("file written", "file renamed")
]
STEPS += [("fit written", 20)]


@pytest.mark.parametrize(("step", "times"), STEPS)
def test_kill_at_each_step_costs_nothing_finished(path, writers, step, times):
    """Death right after each step of the protocol is survived."""
    output = writers.run(path, 1, COUNT, step, times)
    assert writers.code == -signal.SIGKILL

    told = reported(output)
    assert len(told) == (times - 1 if step == "fit written" else COUNT)
    check_everything(path, 1, output)
    with Hdf5Store(path) as store:
        run = store.runs["run-0001"]
        assert len(run.fits()) == (times if step == "fit written" else COUNT)
        if len(told) == COUNT:
            assert run.header.status == "complete"
            assert run.best_index() == 0


@pytest.mark.parametrize("step", ["file written", "file renamed", "log removed"])
def test_kill_while_the_first_run_makes_the_store(tmp_path, writers, step):
    """A store that is just being made is there whole, or not at all."""
    path = tmp_path.resolve() / "new.h5"
    output = writers.run(path, 0, COUNT, step, 1)
    assert writers.code == -signal.SIGKILL

    assert path.exists() == (step != "file written")
    assert len(reported(output)) == COUNT
    consolidate(path)
    assert verify(path) == []
    with Hdf5Store(path) as store:
        check_run(store.runs["run-0000"], list(range(COUNT)))
    WriteSession.open(path).close()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("step", ["consolidation begun", "append written"])
def test_kill_while_consolidating_a_leftover(path, writers, step):
    """A writer that dies while it stores another one's run too harms nothing."""
    output = writers.run(path, 1, COUNT, "run finished", 1)
    for number in (2, 3):
        writers.run(path, number, COUNT, step, 1)
        assert writers.code == -signal.SIGKILL
        assert verify(path) == []
    writers.run(path, RECOVER, 0, step, 1)
    assert writers.code == -signal.SIGKILL

    check_everything(path, 1, output)
    with Hdf5Store(path) as store:
        assert [run.header.status for run in store.runs.values()] == ["complete"] * 4


def test_recover_after_a_kill(path, writers):
    """Recovering by hand finds what the next writer would find."""
    writers.run(path, 1, COUNT, "fit written", 15)

    assert consolidate(path)
    assert not consolidate(path)
    with Hdf5Store(path) as store:
        assert len(store.runs["run-0001"].fits()) == 15
        assert store.runs["run-0001"].header.status == "interrupted"


def test_two_writers_after_a_kill_take_turns(path, writers):
    """Of two that come after a dead writer, one at a time gets in."""
    writers.run(path, 1, COUNT, "fit written", 5)
    other = Writers()
    writers.start(path, 2, COUNT)
    other.start(path, 3, COUNT)
    outputs = {2: writers.output(), 3: other.output()}
    other.close()

    assert verify(path) == []
    with Hdf5Store(path) as store:
        assert len(store.runs["run-0001"].fits()) == 5
        for number, output in outputs.items():
            committed = "committed" in output
            assert (f"run-{number:04d}" in store.runs) == committed
    assert any("committed" in output for output in outputs.values())

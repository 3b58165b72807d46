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
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL"),
]

CHILD = Path(__file__).parent / "storing.py"
COUNT = 40
KILLS = 30


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
    assert uids.count(header(number).uid) == (
        1 if fits or in_file else uids.count(header(number).uid)
    )
    assert verify(path) == []
    with Hdf5Store(path) as store:
        if fits:
            run = store.runs[header(number).name]
            check_run(run, fits)
            if "committed" in output:
                assert run.header.status == "complete"
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]


def test_kills_at_random_instants_cost_nothing_finished(path, writers):
    """Whatever a child has told to be safe is there after its death, whole."""
    chance = random.Random(0)
    begun = time.monotonic()
    output = writers.run(path, 1, COUNT)
    whole = time.monotonic() - begun
    check_everything(path, 1, output)
    during = 0
    for number in range(2, KILLS + 2):
        pid = writers.start(path, number, COUNT)
        time.sleep(chance.random() * whole)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        output = writers.output()
        during += writers.code == -signal.SIGKILL
        check_everything(path, number, output)

    assert during >= 20, "too many children ended before they were killed"


STEPS = [(step, 1) for step in _steps.STEPS]
STEPS += [(_steps.BYTES_WRITTEN, 20), (_steps.ROW_WRITTEN, 20)]


@pytest.mark.parametrize(("step", "times"), STEPS)
def test_kill_at_each_step_costs_nothing_finished(path, writers, step, times):
    """Death right after each step of the protocol is survived."""
    output = writers.run(path, 1, COUNT, step, times)
    assert writers.code == -signal.SIGKILL

    told = reported(output)
    rows = {_steps.BYTES_WRITTEN: times - 1, _steps.ROW_WRITTEN: times}
    assert len(told) == (times - 1 if step in rows else COUNT)
    check_everything(path, 1, output)
    with Hdf5Store(path) as store:
        run = store.runs.get("run-0001")
        assert (0 if run is None else len(run.fits())) == rows.get(step, COUNT)
        if len(told) == COUNT:
            assert run.header.status == "complete"
            assert run.best_index() == 0


@pytest.mark.parametrize("step", [_steps.CONSOLIDATION_BEGUN, _steps.FILE_WRITTEN])
def test_kill_while_consolidating_a_leftover(path, writers, step):
    """A writer that dies while it cleans up after another one harms nothing."""
    output = writers.run(path, 1, COUNT, _steps.RUN_FINISHED, 1)
    for _ in range(2):
        assert writers.run(path, 2, COUNT, step, 1) == []
        assert writers.code == -signal.SIGKILL
        assert verify(path) == []

    check_everything(path, 1, output)


def test_recover_after_a_kill(path, writers):
    """Recovering by hand finds what the next writer would find."""
    writers.run(path, 1, COUNT, _steps.ROW_WRITTEN, 15)

    assert consolidate(path)
    assert not consolidate(path)
    with Hdf5Store(path) as store:
        assert len(store.runs["run-0001"].fits()) == 15
        assert store.runs["run-0001"].header.status == "interrupted"


def test_two_writers_after_a_kill_take_turns(path, writers):
    """Of two that come after a dead writer, one at a time gets in."""
    writers.run(path, 1, COUNT, _steps.ROW_WRITTEN, 5)
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

"""A search with snapshots that is killed and resumed equals one that was not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from weightsearch import WeightStore

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL"),
]
SCRIPT = Path(__file__).with_name("crash_mlp.py")


def run(store, die_after=0):
    """Run the search to its end, or until it kills itself; return the exit code."""
    env = {**os.environ, "DIE_AFTER": str(die_after)}
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(store)], env=env, check=False
    ).returncode


def trajectories(store):
    """All trajectories of the newest run, without times."""
    found = {}
    with WeightStore(store) as opened:
        assert opened.verify() == []
        newest = list(opened.runs.values())[-1]
        fits = newest._table
        for candidate, split in zip(
            fits.candidate.tolist(), fits.split.tolist(), strict=True
        ):
            one = newest.trajectory(candidate, None if split < 0 else split)
            found[candidate, split] = (
                {name: array.tobytes() for name, array in one.items()},
                one.metrics.drop(columns="time").to_csv(),
            )
    return found


def test_killed_and_resumed_search_has_the_same_snapshots(tmp_path):
    """What had finished is there at once, and after resuming nothing differs."""
    assert run(tmp_path / "whole.h5") == 0
    expected = trajectories(tmp_path / "whole.h5")
    assert len(expected) == 9
    store = tmp_path / "killed.h5"

    # In the fourth fit, then in the refit of the best candidate.
    assert run(store, die_after=8 * 3 + 4) == -9
    finished = trajectories(store)
    assert len(finished) == 3
    assert finished.items() <= expected.items()
    assert list(tmp_path.glob("*.wsspool"))
    assert run(store, die_after=8 * 3 + 2) == -9
    assert len(trajectories(store)) == 6
    assert run(store) == 0

    assert trajectories(store) == expected
    assert not list(tmp_path.glob("*.wsspool"))

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


def check_unfinished(store, place, n_epochs, expected):
    """The fit under way has the epochs that it came to, and says that it has not ended.

    Each epoch is as in the search that was not killed.
    """
    candidate, split = place
    with WeightStore(store) as opened:
        newest = list(opened.runs.values())[-1]
        assert newest.status == "interrupted"
        assert newest.unfinished_fits == [place]
        one = newest.trajectory(candidate, split)
        assert not one.is_finished
        assert one.n_epochs == n_epochs
        assert one.epochs.tolist() == list(range(n_epochs + 1))
        whole, _ = expected[candidate, -1 if split is None else split]
        assert {name: array.tobytes() for name, array in one.items()} == {
            name: raw[: one[name].nbytes] for name, raw in whole.items()
        }


def test_search_killed_in_its_first_fit_can_be_read(tmp_path):
    """Without any finished fit, what there is can be read, recovered, and resumed."""
    store = tmp_path / "a.h5"
    assert run(tmp_path / "whole.h5") == 0
    expected = trajectories(tmp_path / "whole.h5")
    assert run(store, die_after=5) == -9
    check_unfinished(store, (0, 0), 4, expected)
    assert WeightStore.recover(store)
    check_unfinished(store, (0, 0), 4, expected)
    assert run(store) == 0

    assert trajectories(store) == expected
    with WeightStore(store) as opened:
        assert len(opened.runs) == 1
    assert not list(tmp_path.glob("*.wsspool"))


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
    check_unfinished(store, (1, 1), 3, expected)
    assert WeightStore.recover(store)
    check_unfinished(store, (1, 1), 3, expected)
    assert run(store, die_after=8 * 3 + 2) == -9
    assert len(trajectories(store)) == 6
    check_unfinished(store, (0, None), 1, expected)
    assert run(store) == 0

    assert trajectories(store) == expected
    assert not list(tmp_path.glob("*.wsspool"))

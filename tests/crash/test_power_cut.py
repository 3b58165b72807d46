"""A power cut while a run is logged and put into the file."""

from __future__ import annotations

import os
import random
import warnings

import pytest
from power_disk import Disk
from run_samples import fit, header, params, results, same, weights

from weightsearch.store import Hdf5Store, WriteSession, consolidate, verify

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(os.name != "posix", reason="needs inodes"),
]

COUNT, SYNCED = 8, 3
CUTS = 150


def write_run(path, number):
    """Write a run that is synced after some fits and at its end."""
    with WriteSession.open(path) as session:
        session.begin(header(number))
        session.set_params(0, params(COUNT))
        for candidate in range(COUNT):
            session.append(fit(candidate))
            if candidate == SYNCED - 1:
                session._log.sync()
        session.commit(results(COUNT))


def candidates(run):
    """Return the candidates of a run, after comparing all that it has of them."""
    found = run.fits().candidate.tolist()
    for row, candidate in enumerate(found):
        assert same(run.read_all(row), weights(candidate))
    return found


def test_a_power_cut_costs_nothing_synced(tmp_path, monkeypatch):
    """Unsynced writes to log, file and redo file are lost in any order between them."""
    folder = tmp_path / "disk"
    folder.mkdir()
    path = folder / "search.h5"
    write_run(path, 0)
    with monkeypatch.context() as patch:
        disk = Disk(patch, path)
        write_run(path, 1)
    log = next(event[2] for event in disk.events if event[0] == "name")
    synced = disk.events.index(("sync", log))
    # The end of a run is synced in the file, not in the log.
    finished = max(n for n, event in enumerate(disk.events) if event[0] == "sync")
    rng = random.Random(0)
    seen = set()
    for number in range(CUTS):
        at = rng.randint(0, len(disk.events))
        cut = tmp_path / f"cut{number}"
        cut.mkdir()
        for name, content in disk.after_cut(rng, at).items():
            (cut / name).write_bytes(content)
        with warnings.catch_warnings():
            # A frame that was torn with whole ones after it is damage.
            warnings.simplefilter("ignore", RuntimeWarning)
            consolidate(cut / "search.h5")

        assert verify(cut / "search.h5") == []
        with Hdf5Store(cut / "search.h5") as store:
            assert candidates(store.runs["run-0000"]) == list(range(COUNT))
            run = store.runs.get("run-0001")
            found = [] if run is None else candidates(run)
            sure = COUNT if at > finished else SYNCED if at > synced else 0
            assert found[:sure] == list(range(sure)), at
            if at > finished:
                assert run.header.status == "complete"
        seen.add(len(found))
    assert {0, SYNCED, COUNT} <= seen

"""Files that go to the disk while they are written."""

from __future__ import annotations

import errno
import os
import threading

import numpy as np
import pytest
from journal_samples import fit, header, weights

from weightsearch.exceptions import StoreWriteError
from weightsearch.store import _early_sync
from weightsearch.store._early_sync import EarlySync
from weightsearch.store._journal._reader import JournalRun
from weightsearch.store._journal._writer import Journal

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fdatasync"), reason="this system cannot ask for data alone"
)


@pytest.fixture
def asked(monkeypatch):
    """Count the times that the disk is asked."""
    handles = []
    real = os.fdatasync

    def fdatasync(handle):
        handles.append((handle, threading.current_thread()))
        real(handle)

    monkeypatch.setattr(_early_sync, "_fdatasync", fdatasync)
    monkeypatch.setattr(_early_sync, "_EARLY_BYTES", 1000)
    return handles


def broken(_):
    raise OSError(errno.EIO, "the disk is broken")


def test_disk_is_asked_in_another_thread(asked, tmp_path):
    """Each time that enough was written, and not before."""
    with (tmp_path / "file").open("wb", buffering=0) as file:
        early = EarlySync(file.fileno())
        early.wrote(file.write(b"x" * 999))
        assert not asked
        early.wrote(file.write(b"x"))
        early.wait()
        early.wrote(file.write(b"x" * 1000))
        early.wait()

    assert [handle for handle, _ in asked] == [asked[0][0]] * 2
    assert threading.current_thread() not in [thread for _, thread in asked]


def test_what_the_disk_says_is_heard_once(asked, monkeypatch, tmp_path):
    """Whoever waits hears of it; whoever writes does not."""
    monkeypatch.setattr(_early_sync, "_fdatasync", broken)
    with (tmp_path / "file").open("wb", buffering=0) as file:
        early = EarlySync(file.fileno())
        early.wrote(1000)
        with pytest.raises(OSError, match="the disk is broken"):
            early.wait()
        early.wait()


def test_journal_hears_what_the_disk_said_before(asked, monkeypatch, tmp_path):
    """A sync that would find nothing wrong any more does not pass for a good one."""
    folder = tmp_path / "search.h5.journal"
    folder.mkdir()
    journal = Journal(folder)
    journal.begin(header())
    journal.set_params(0, ["{}", "{}"])
    monkeypatch.setattr(_early_sync, "_EARLY_BYTES", 100)
    monkeypatch.setattr(_early_sync, "_fdatasync", broken)
    journal.append(fit(0))
    monkeypatch.setattr("weightsearch.store._journal._writer._SYNC_FITS", 1)

    with pytest.raises(StoreWriteError, match="the disk is broken"):
        journal.append(fit(1))

    journal.close()
    with JournalRun(folder) as run:
        for name, array in weights(0).items():
            np.testing.assert_array_equal(run.read(0, name), array)

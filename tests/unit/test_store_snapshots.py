"""Snapshots in the log and in the file: what is written is read, or refused."""

from __future__ import annotations

import json
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from store_memory import refit

from weightsearch._records import FitRecord, RunHeader, RunResults, Snapshots, Weights
from weightsearch.exceptions import CorruptStoreError, StoreError
from weightsearch.run._trajectories import read_weight
from weightsearch.store import Hdf5Store, Spool, WriteSession, verify
from weightsearch.store._log import HEAD, SNAPSHOTS, Log, frame_of, log_path
from weightsearch.store._log_file import LogFile
from weightsearch.store._log_run import LogRun
from weightsearch.store._specs import pack
from weightsearch.store._spool import read_spool, remove_spools, unfinished_fits

HEADER = RunHeader("a" * 32, "run", "running", "2026-01-01T00:00:00+00:00")
RNG = np.random.default_rng(0)


def snapshots(n: int, size: int = 3, spool: Spool | None = None) -> Snapshots:
    """Two blocks of snapshots: one weight that changes, one rarely, a counter."""
    blocks = []
    for first in (0, n):
        changed = np.zeros(n, bool)
        changed[first : first + 1] = True  # in the very first snapshot alone
        epochs = np.arange(first, first + n)
        blocks.append(
            {
                "epoch": epochs,
                "step": 10 * epochs,
                "time": epochs / 7,
                f"metrics/loss/{first}": RNG.normal(size=n),
                "weights/layer/0": RNG.normal(size=(n, 4, size)).astype(np.float32),
                "changed/frozen": changed,
                "weights/frozen": np.ones((int(changed.sum()), 5)),
                "weights/count": epochs.astype(np.int32),
            }
        )
    if spool is None:
        return Snapshots(2 * n, tuple(blocks))
    spool.write(blocks[0], n)
    spool.close()
    return Snapshots(2 * n, tuple(blocks[1:]), spool.blocks)


def record(candidate: int, size: int = 3, spool: Spool | None = None) -> FitRecord:
    """A refit with snapshots."""
    weights = Weights(
        {"layer/0": np.zeros((4, size), np.float32), "frozen": np.ones(5)}
    )
    plain = refit(candidate, weights)
    return FitRecord(
        plain.candidate,
        plain.split,
        plain.status,
        plain.key,
        plain.result,
        weights,
        snapshots=snapshots(4, size, spool),
    )


def expected(one: FitRecord) -> dict[str, Any]:
    """What is to be read of a record that was not spooled."""
    assert one.snapshots is not None
    first, second = one.snapshots.blocks
    both = {
        name: np.concatenate([first[name], second[name]])
        for name in ("epoch", "step", "time", "weights/layer/0", "weights/count")
    }
    return {**both, "weights/frozen": np.ones((8, 5))}


def check(found: Any, one: FitRecord) -> None:
    """Compare what was read with a record."""
    assert found.n_epochs == 8
    assert len(found) == 8
    for name, array in expected(one).items():
        if name.startswith("weights/"):
            weight = read_weight(found, name.removeprefix("weights/"), np.arange(8))
        else:
            weight = found.columns[name]
        assert weight.dtype == array.dtype
        np.testing.assert_array_equal(weight, array)
    losses = found.columns["metrics/loss/0"]
    assert np.isnan(losses).tolist() == [False] * 4 + [True] * 4
    some = read_weight(found, "layer/0", np.array([6, 1, 1]))
    np.testing.assert_array_equal(some, expected(one)["weights/layer/0"][[6, 1, 1]])


def write_log(store: Path, records: list[FitRecord]) -> LogRun:
    """Write records to a log, and open it."""
    log = Log(store, durable=False)
    log.begin(HEADER)
    log.set_params(0, ["{}"] * len(records))
    for one in records:
        assert one.snapshots is not None
        with read_spool(one.snapshots.spooled) as spooled:
            log.append(one, spooled)
    log.close()
    return LogRun(LogFile(log_path(store)), HEADER.uid, lambda uid: None)


@pytest.mark.parametrize("n_sizes", [2, 20], ids=["stacked", "ragged"])
def test_snapshots_are_read_as_they_were_written(tmp_path: Path, n_sizes: int):
    """From the log and from the file, also where shapes are many."""
    store = tmp_path / "a.h5"
    records = [record(number, 2 + number) for number in range(n_sizes)]
    with WriteSession.open(store, durable=False) as session:
        session.begin(HEADER)
        session.set_params(0, ["{}"] * n_sizes)
        for one in records:
            session.append(one)
        run = LogRun(LogFile(log_path(store)), HEADER.uid, lambda uid: None)
        for row, one in enumerate(records):
            check(run.snapshots(row), one)
        run.file.close()
        session.commit(RunResults({}, 0))

    assert verify(store) == []
    with Hdf5Store(store) as opened:
        (stored,) = opened.runs.values()
        for row, one in enumerate(records):
            check(stored.snapshots(row), one)
        n_groups = len(h5py.File(store)["runs/run/snapshots/architectures"])
    assert n_groups <= 4


def test_spooled_snapshots_are_the_same_and_leave_no_file(tmp_path: Path):
    """A block in a file beside the store goes into the log, and the file is gone."""
    store = tmp_path / "a.h5"
    spool = Spool(store, HEADER.uid, 0, -1)
    state = RNG.bit_generator.state
    spooled = record(0, spool=spool)
    RNG.bit_generator.state = state

    run = write_log(store, [spooled])

    check(run.snapshots(0), record(0))
    assert not spool.path.exists()


def test_spool_that_cannot_be_read_is_an_error(tmp_path: Path):
    """A worker's file that is not here is named, with what to do."""
    spool = Spool(tmp_path / "a.h5", HEADER.uid, 0, -1)
    cut = record(0, spool=spool)
    os.truncate(spool.path, 1000)
    with pytest.raises(StoreError, match=r"not there.* under the same path"):
        write_log(tmp_path / "a.h5", [cut])
    spool.remove()
    with pytest.raises(StoreError, match="under the same path"):
        write_log(tmp_path / "b.h5", [cut])
    with pytest.raises(StoreError, match="Workers on other hosts"):
        Spool(tmp_path / "missing" / "a.h5", HEADER.uid, 0, -1)


def test_damaged_snapshots_cost_their_fit_alone(tmp_path: Path):
    """Whichever frame of snapshots is damaged, the other fits are whole."""
    store = tmp_path / "a.h5"
    write_log(store, [record(0), record(1), record(2)]).file.close()
    path = log_path(store)
    original = path.read_bytes()
    at, n_frames = 0, 0
    while at < len(original):
        _, n_header, n_payload, _, _ = HEAD.unpack_from(original, at)
        begin, at = at + HEAD.size, at + HEAD.size + n_header + n_payload
        event = json.loads(original[begin:at].split(b"\n")[0])
        if event["event"] != SNAPSHOTS:
            continue
        n_frames += 1
        for byte in (begin + 20, at - 1):
            damaged = bytearray(original)
            damaged[byte] ^= 1
            path.write_bytes(damaged)
            run = LogRun(LogFile(path), HEADER.uid, lambda uid: None)
            assert list(run.damaged()) == [event["number"]]
            run.file.close()
    assert n_frames == 6


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("epoch", None),
        ("epoch", np.array(["a"] * 4)),
        ("epoch", np.arange(3)),
        ("time", np.zeros((4, 1))),
        ("changed/frozen", np.ones(4, bool)),
        ("changed/frozen", np.ones(4)),
        ("weights/count", np.zeros((3, 2))),
    ],
)
def test_frames_that_are_no_snapshots_are_refused(
    tmp_path: Path, name: str, array: np.ndarray | None
):
    """Columns that are missing or of another kind or length are damage, named so."""
    one = record(0)
    assert one.snapshots is not None
    block = dict(one.snapshots.blocks[0])
    block.pop(name)
    if array is not None:
        block[name] = array
    log = Log(tmp_path / "a.h5", durable=False)
    log.begin(HEADER)
    log.set_params(0, ["{}"])
    log.append(replace(one, snapshots=Snapshots(4)), [(4, pack(block))])
    log.close()
    run = LogRun(LogFile(log_path(tmp_path / "a.h5")), HEADER.uid, lambda uid: None)

    with pytest.raises(CorruptStoreError):
        run.snapshots(0)
    assert list(run.damaged()) == [0]


@pytest.mark.parametrize(
    ("place", "value"),
    [("row", 99), ("row", -1), ("architecture", 7), ("fit", 5), ("epoch", 3)],
)
def test_changed_columns_are_found(tmp_path: Path, place: str, value: int):
    """A column with other numbers in it is reported, and not followed."""
    store = tmp_path / "a.h5"
    with WriteSession.open(store, durable=False) as session:
        session.begin(HEADER)
        session.set_params(0, ["{}"])
        session.append(record(0))
        session.commit(RunResults({}, 0))
    with h5py.File(store, "r+") as file:
        file["runs/run/snapshots"][place][2] = value

    assert verify(store)
    with Hdf5Store(store) as opened:
        (run,) = opened.runs.values()
        with pytest.raises(CorruptStoreError):
            check(run.snapshots(0), record(0))


# -- fits under way --------------------------------------------------------------------


def begun_spool(store: Path, candidate: int = 2, split: int = 0) -> Path:
    """Write two blocks of four snapshots each, of which the second is larger."""
    spool = Spool(store, HEADER.uid, candidate, split)
    first, second = snapshots(4).blocks
    spool.write(first, 4)
    spool.write(second, 9)
    spool.close()
    return spool.path


def frames(path: Path) -> list[tuple[int, int]]:
    """First byte of each frame and of its arrays."""
    content, at, found = path.read_bytes(), 0, []
    while at < len(content):
        _, n_header, n_payload, _, _ = HEAD.unpack_from(content, at)
        found.append((at, at + HEAD.size + n_header))
        at += HEAD.size + n_header + n_payload
    return found


def test_spool_is_read_while_it_is_written(tmp_path: Path):
    """What a worker has written can be read before it closes its file."""
    store = tmp_path / "a.h5"
    spool = Spool(store, HEADER.uid, 2, 0)
    first, second = snapshots(4).blocks
    for count, block in ((4, first), (8, second)):
        spool.write(block, count)
        (found,) = unfinished_fits(store, HEADER.uid).values()
        one = found.snapshots()
        assert one.n_epochs == len(one) == count
        np.testing.assert_array_equal(
            one.stack("layer/0", np.arange(count))[-4:], block["weights/layer/0"]
        )
    assert list(unfinished_fits(store, HEADER.uid)) == [(2, 0)]
    assert unfinished_fits(store, "b" * 32) == {}
    assert unfinished_fits(tmp_path / "b.h5", HEADER.uid) == {}
    spool.remove()
    assert unfinished_fits(store, HEADER.uid) == {}


def test_spool_that_was_cut_has_what_is_whole(tmp_path: Path):
    """Wherever the last write stopped, the blocks before are there."""
    store = tmp_path / "a.h5"
    path = begun_spool(store)
    second = frames(path)[1][0]
    for size in (path.stat().st_size - 1, second + 30, second + 3, second):
        os.truncate(path, size)
        (found,) = unfinished_fits(store, HEADER.uid).values()
        assert len(found.snapshots()) == found.snapshots().n_epochs == 4
    os.truncate(path, second - 1)
    assert unfinished_fits(store, HEADER.uid) == {}


def test_damaged_spool_costs_what_is_damaged(tmp_path: Path):
    """A changed byte is reported, and no snapshot after it is returned."""
    store = tmp_path / "a.h5"
    path = begun_spool(store)
    original = path.read_bytes()

    def damaged(at: int) -> Any:
        content = bytearray(original)
        content[at] ^= 1
        path.write_bytes(content)
        (found,) = unfinished_fits(store, HEADER.uid).values()
        return found

    (first, arrays), (second, others) = frames(path)
    with pytest.warns(RuntimeWarning, match="only the snapshots before"):
        assert len(damaged(second + 40).snapshots()) == 4
    with pytest.raises(CorruptStoreError, match="beginning"):
        damaged(first + 40).snapshots()
    with pytest.raises(CorruptStoreError, match="checksum"):
        damaged(arrays).snapshots()  # the column of epochs
    late = damaged(others + 8 * 4 * 4).snapshots()
    late.stack("layer/0", np.arange(4))
    with pytest.raises(CorruptStoreError, match="checksum"):
        late.stack("layer/0", np.arange(8))
    path.write_bytes(b"x" * 100)
    with pytest.warns(RuntimeWarning, match="no snapshots in it"):
        assert unfinished_fits(store, HEADER.uid) == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"candidate": -1},
        {"candidate": "0"},
        {"split": -2},
        {"split": True},
        {"epochs": -3},
        {"epochs": 2**70},
        {"number": None},
        {"run": "b"},
    ],
)
def test_frames_of_no_fit_are_refused(tmp_path: Path, fields: dict[str, Any]):
    """A frame that names no possible fit does not count, and is reported."""
    event = {"event": SNAPSHOTS, "run": HEADER.uid, "number": 0, "epochs": 4}
    event |= {"candidate": 0, "split": 0, **fields}
    arrays = pack(snapshots(4).blocks[0])
    frame = frame_of(0, json.dumps(event)[1:-1], arrays, (b"", b""))
    path = tmp_path / f"a.h5.{'0' * 16}.wsspool"
    path.write_bytes(b"".join(frame.pieces))

    with pytest.warns(RuntimeWarning, match="no snapshots in it"):
        assert unfinished_fits(tmp_path / "a.h5", HEADER.uid) == {}


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_special_files_are_not_opened(tmp_path: Path):
    """Links, pipes and folders named like a spool are left alone, with a warning."""
    store = tmp_path / "a.h5"
    target = begun_spool(tmp_path / "other.h5")
    names = [tmp_path / f"a.h5.{digit * 16}.wsspool" for digit in "012"]
    names[0].symlink_to(target)
    os.mkfifo(names[1])
    names[2].mkdir()

    with pytest.warns(RuntimeWarning, match="in the way") as told:
        assert unfinished_fits(store, HEADER.uid) == {}
    assert len(told) == 3
    remove_spools(store, set)
    assert target.exists()
    assert not names[0].is_symlink()
    assert not names[1].exists()


def test_no_more_memory_than_the_file_has_bytes(tmp_path: Path):
    """A spool of many empty weights does not take memory for each and snapshot."""
    store = tmp_path / "a.h5"
    n_rows, n_weights = 20_000, 5_000
    rows = np.arange(n_rows)
    block = {"epoch": rows, "step": rows, "time": rows / 2}
    block |= {f"weights/{n}": np.empty((n_rows, 0), "i1") for n in range(n_weights)}
    spool = Spool(store, HEADER.uid, 0, 0)
    spool.write(block, n_rows)
    size = spool.path.stat().st_size
    (found,) = unfinished_fits(store, HEADER.uid).values()

    tracemalloc.start()
    one = found.snapshots()
    assert one.specs(0) is not None
    assert one.changed("7").all()
    one.stack("7", np.arange(n_rows))
    assert tracemalloc.get_traced_memory()[1] < 10 * size < n_rows * n_weights
    tracemalloc.stop()
    spool.remove()


def test_spools_of_unfinished_runs_stay(tmp_path: Path):
    """Only what no unfinished run can be asked for is removed."""
    store = tmp_path / "a.h5"
    mine, other = begun_spool(store), Spool(store, "b" * 32, 0, 0)
    other.write(snapshots(4).blocks[0], 4)
    other.close()

    remove_spools(store, lambda: {HEADER.uid})

    assert mine.exists()
    assert not other.path.exists()

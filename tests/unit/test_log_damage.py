"""Damage to a log is reported, or it does no harm; it is never read as good."""

from __future__ import annotations

import json
import os
import random
import resource
import zlib

import numpy as np
import pytest
from run_samples import fit, header, key, params, result, results

from weightsearch._records import OK, FitRecord, ModelState, Splits, Weights
from weightsearch.exceptions import CorruptStoreError, StoreError
from weightsearch.store import WriteSession, verify
from weightsearch.store._log import HEAD, Log, head_of, log_path
from weightsearch.store._log_file import LogFile
from weightsearch.store._log_run import LogRun
from weightsearch.store._reader import Hdf5Store
from weightsearch.store._session import consolidate

COUNT = 12


@pytest.fixture
def store(tmp_path):
    """A store's path; the log lies beside it."""
    return tmp_path.resolve() / "search.h5"


def write(store, *, finished=False):
    """Write a log."""
    log = Log(store)
    log.begin(header())
    log.set_splits(Splits(0, COUNT, 90, [(np.arange(90), np.arange(60))]))
    log.set_params(0, params(COUNT))
    for number in range(COUNT):
        record = fit(number, failed=number == 3, hidden=8 + number % 2)
        state = ModelState("{}", {"a" * 32: b"shared"}) if number % 2 else None
        log.append(FitRecord(*(getattr(record, f) for f in FIELDS), state))
    if finished:
        log.finish(results(COUNT))
    log.close()


FIELDS = ("candidate", "split", "status", "key", "result", "weights")


def opened(store):
    """Open the log's run."""
    return LogRun(LogFile(log_path(store)), header().uid, lambda uid: None)


def content(store):
    """Everything that a log gives, in a form that can be compared."""
    run = opened(store)
    table = run.fits()
    got = [run.header, tuple(run.params()), run.best_index()]
    for column in (table.candidate, table.split, table.failed, table.has_weights):
        got.append(column.tolist())
    got.append(table.key.tolist())
    for row in range(len(table)):
        got.append(repr(run.result(row)))
        got.append(run.specs(row))
        got.append(run.state(row))
        got += [run.blob(name) for name in (run.state(row) or ("", ()))[1]]
        if table.has_weights[row]:
            weights = run.read_all(row)
            got.append([(n, a.dtype.str, a.tobytes()) for n, a in weights.items()])
    got.append([(n, a.tobytes()) for n, a in run.cv_results().items()])
    for splits in run.splits():
        got.append([a.tobytes() for pair in splits.pairs for a in pair])
    specs = run.best_specs()
    if specs is not None:
        got.append([run.read_best(spec.name).tobytes() for spec in specs.arrays])
    return got


def frames(store):
    """First byte and end of each frame of an undamaged log."""
    raw = log_path(store).read_bytes()
    at, found = 0, []
    while at < len(raw):
        _, n_header, n_payload, _, _ = HEAD.unpack_from(raw, at)
        found.append((at, at + HEAD.size + n_header + n_payload))
        at = found[-1][1]
    return found


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.slow
def test_every_bit_flip_is_reported(store, finished):
    """300 flips: each is a problem of verify, whether reading meets it or not."""
    write(store, finished=finished)
    good = content(store)
    assert verify(store) == []
    path = log_path(store)
    original = path.read_bytes()
    chance = random.Random(f"flips, {finished}")
    outcomes = {"error": 0, "verify": 0}
    silent = []
    for _ in range(300):
        byte, bit = chance.randrange(len(original)), chance.randrange(8)
        damaged = bytearray(original)
        damaged[byte] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            content(store)
            if verify(store):
                outcomes["verify"] += 1
            else:
                silent.append((byte, bit))
        except StoreError:
            outcomes["error"] += 1
            assert verify(store), "verify is silent about what reading reports"
    path.write_bytes(original)

    print(outcomes)
    assert silent == []
    assert min(outcomes.values()) > 0
    assert content(store) == good


def test_damage_costs_the_frames_that_it_hits(store):
    """Whichever frame is overwritten, all fits of the others can be read."""
    write(store, finished=True)
    path = log_path(store)
    original = path.read_bytes()
    for number, (start, end) in enumerate(frames(store)):
        for first, last in ((start, end), (start, start + 1), (start + 30, start + 31)):
            damaged = bytearray(original)
            damaged[first:last] = b"\xaa" * (last - first)
            path.write_bytes(damaged)
            run = opened(store)
            event = json.loads(original[start + HEAD.size :].split(b"\n")[0])["event"]
            run.fits()
            whole = COUNT - len(run.damaged())
            lost = {"fit": 1, "blob": COUNT // 2}.get(event, 0)
            assert whole - run.n_lost == COUNT - lost, (number, event)
            assert run.file.damaged
            if first < start + 20 and end < len(original):
                assert run.file.skipped == [(start, end)]


def test_every_truncation_costs_the_tail(store):
    """A log cut at any place gives the first fits, each whole."""
    write(store)
    good = content(store)
    path = log_path(store)
    original = path.read_bytes()
    ends = frames(store)
    chance = random.Random("truncations")
    begun = ends[1][1]
    for size in [chance.randrange(begun, len(original)) for _ in range(30)]:
        path.write_bytes(original[:size])
        found = content(store)[3]
        assert found == good[3][: len(found)]
        n_frames = sum(end <= size for _, end in ends)
        assert LogFile(path).end == ends[n_frames - 1][1]
        assert not LogFile(path).damaged


def test_writer_goes_on_after_an_unfinished_frame(store):
    """What a killed writer had written of its next fit is cut off, and no more."""
    write(store)
    path = log_path(store)
    raw = path.read_bytes()
    path.write_bytes(raw + head_of(len(raw), 1000, 1000, 0) + b"x" * 500)
    log = Log(store, LogFile(path).end)
    assert path.read_bytes() == raw
    log.begin(header(1))
    log.close()

    assert len(opened(store).fits()) == COUNT
    assert verify(store) == []


def test_a_damaged_fit_takes_those_with_it_that_refer_to_it(store):
    """Rows of equal candidates share the damage of the fit that they share."""
    with WriteSession.open(store) as session:
        session.begin(header())
        session.set_params(0, params(4))
        numbers = [session.append(fit(number)) for number in range(2)]
        for candidate, number in enumerate(numbers, 2):
            session.repeat(candidate, 0, key(candidate), number, has_weights=True)
    run = opened(store)
    for row in range(4):
        assert run.problem(row) is None
        assert repr(run.read_all(row)) == repr(run.read_all(row % 2))
        assert run.result(row) == run.result(row % 2)
    content = bytearray(log_path(store).read_bytes())
    last = run.read_all(0)["coefs_/0"].tobytes()
    content[content.index(last)] ^= 1
    log_path(store).write_bytes(content)

    assert list(opened(store).damaged()) == [0, 2]
    with pytest.warns(RuntimeWarning, match="2 fits cannot be read"):
        consolidate(store)
    assert verify(store) == []
    with Hdf5Store(store) as file:
        (run,) = file.runs.values()
        assert run.fits().candidate.tolist() == [1, 3]
        assert run.fits().origin_row.tolist() == [-1, 0]
        assert repr(run.read_all(1)) == repr(run.read_all(0))


def test_damaged_array_is_named_and_the_others_can_be_read(store):
    """One flipped byte costs one array, and the error says which."""
    write(store)
    path = log_path(store)
    raw = bytearray(path.read_bytes())
    raw[raw.index(opened(store).read(5, "coefs_/0").tobytes())] ^= 1
    path.write_bytes(raw)

    run = opened(store)
    with pytest.raises(CorruptStoreError, match="coefs_/0") as caught:
        run.read(5, "coefs_/0")
    assert caught.value.place.startswith("frame at byte")
    assert run.read(5, "coefs_/1").size
    assert list(run.damaged()) == [5]


def forged(at, meta, spec=b"", params=b"", result=b"{}", payload=b""):
    """A frame as a stranger could write it, checksums included."""
    lines = [json.dumps(meta).encode(), spec, params, result]
    header_lines = b"\n".join(lines)
    head = head_of(at, len(header_lines), len(payload), zlib.crc32(header_lines))
    return head + header_lines + payload


def fit_meta(**changes):
    """The first line of a fit's frame."""
    meta = {"event": "fit", "run": header().uid, "number": COUNT, "candidate": 0}
    meta |= {"split": 0, "key": key(0), "ended": 0, "failed": False}
    return {**meta, "sizes": [16], "crcs": [zlib.crc32(bytes(16))], **changes}


SPEC = {"kind": "stacked", "ties": {}, "encodings": {}}
GOOD = {"name": "w", "dtype": "<f8", "shape": [2], "order": "C"}


@pytest.mark.parametrize(
    "array",
    [
        {"shape": [1000000, 1000000]},
        {"dtype": "|O"},
        {"shape": [-1]},
        {"order": "K"},
        {"dtype": "<f4"},
        {"shape": [2.5]},
        {"dtype": "unknown_type", "shape": [3]},
        {"shape": [1] * 40},
        {"name": 3},
    ],
    ids=str,
)
def test_forged_specs_are_refused(store, array):
    """A stranger's spec asks for nothing that the bytes do not have."""
    write(store)
    spec = json.dumps({**SPEC, "arrays": [GOOD | array]}).encode()
    with log_path(store).open("ab") as file:
        file.write(forged(file.tell(), fit_meta(), spec, payload=bytes(16)))

    assert len(opened(store).fits()) == COUNT
    assert verify(store)


@pytest.mark.parametrize(
    "changes",
    [
        {"candidate": -5},
        {"candidate": 2**70},
        {"candidate": True},
        {"split": -2},
        {"split": "0"},
        {"number": None},
        {"key": "k" * 1000},
        {"key": 5},
        {"sizes": [8]},
        {"sizes": [16, 16]},
        {"crcs": []},
        {"run": "nobody"},
        {"ended": -1},
        {"event": ["fit"]},
    ],
    ids=str,
)
def test_forged_fits_are_refused(store, changes):
    """A stranger's frame with right checksums is held to what it may hold."""
    write(store)
    spec = json.dumps({**SPEC, "arrays": [GOOD]}).encode()
    with log_path(store).open("ab") as file:
        file.write(forged(file.tell(), fit_meta(**changes), spec, payload=bytes(16)))

    assert len(opened(store).fits()) == COUNT
    assert verify(store)


@pytest.mark.parametrize("text", [b"[]", b'{"a":', b"\xff", b"[" * 100_000])
def test_forged_results_are_errors(store, text):
    """A result that is not what it must be is an error that names its place."""
    write(store)
    spec = json.dumps({**SPEC, "arrays": [GOOD]}).encode()
    with log_path(store).open("ab") as file:
        file.write(
            forged(file.tell(), fit_meta(), spec, result=text, payload=bytes(16))
        )

    with pytest.raises(CorruptStoreError):
        opened(store).result(COUNT)
    assert verify(store)


def test_a_log_that_lies_about_its_size_costs_nothing(store):
    """Lengths that the file does not have allocate nothing and fill no disk."""
    write(store)
    path = log_path(store)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(head_of(size, 2**32 - 1, 2**60, 0))
        file.truncate(1 << 40)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    file = LogFile(path)
    file.close()

    assert file.end == size
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
    assert path.stat().st_blocks * 512 < 10 * size


def test_a_frame_inside_of_arrays_is_not_taken_for_one(store):
    """Weights that happen to hold a whole frame of a log stay weights."""
    write(store)
    raw = np.frombuffer(log_path(store).read_bytes(), np.uint8)
    other = store.with_name("other.h5")
    log = Log(other)
    log.begin(header())
    log.set_params(0, params(1))
    log.append(FitRecord(0, 0, OK, key(0), result(), Weights({"w": raw})))
    log.append(FitRecord(0, 1, OK, key(1), result(), Weights({"w": raw})))
    log.close()
    path = log_path(other)
    damaged = bytearray(path.read_bytes())
    damaged[frames(other)[2][0]] ^= 1
    path.write_bytes(damaged)

    assert opened(other).fits().split.tolist() == [1]


def test_orphaned_bytes_of_failed_appends_do_no_harm(store):
    """A frame that could not be written is written over by the next one."""
    log = Log(store)
    log.begin(header())
    log.set_params(0, params(2))
    log.append(fit(0))
    with log_path(store).open("ab") as file:
        file.write(b"half a frame")
    bad = Weights({"w": np.arange(5.0)})
    log.append(FitRecord(1, 0, OK, key(1), result(1), bad))
    log.close()

    assert verify(store) == []
    assert opened(store).read(1, "w").tolist() == [0, 1, 2, 3, 4]


def test_links_and_pipes_are_refused(store):
    """Reading a log follows no link and waits for no pipe."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes in folders")
    write(store)
    path = log_path(store)
    path.rename(store.with_name("other"))
    path.symlink_to(store.with_name("other"))
    with pytest.raises(StoreError, match="in the way"):
        LogFile(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError, match="in the way"):
        LogFile(path)

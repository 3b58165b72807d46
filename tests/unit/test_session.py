"""A write session: from the lock through the log into the HDF5 file."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from run_samples import fit, header, key, params, result, results, same, weights

from weightsearch import WeightStore
from weightsearch._records import REFIT, ModelState, Splits
from weightsearch.exceptions import (
    NotAStoreError,
    StoreError,
    StoreLockedError,
    StoreWriteError,
)
from weightsearch.store import (
    Hdf5Store,
    WriteSession,
    consolidate,
    live_runs,
    verify,
)
from weightsearch.store._log_file import LogFile

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path):
    """Where the store goes."""
    return tmp_path.resolve() / "search.h5"


def begin(path, number=0, count=3, **options):
    """Open a session with some finished fits."""
    session = WriteSession.open(path, durable=False, **options)
    session.begin(header(number))
    session.set_params(0, params(count))
    for candidate in range(count):
        session.append(fit(candidate))
    return session


def commit(path, number=0, count=3):
    """Write a complete run."""
    begin(path, number, count).commit(results(count))


def log_of(path):
    """Return the path of a store's log."""
    return path.with_name(path.name + ".wslog")


def live_run(path):
    """Return the run in a store's log."""
    runs = live_runs(path)
    assert len(runs) <= 1
    return runs[0] if runs else None


def crash(path, number=0, count=3):
    """Leave a log as a killed process does."""
    begin(path, number, count).close()


def names(path):
    """Return the files beside the store, without the store's own."""
    return sorted(p.name for p in path.parent.iterdir() if p != path)


def test_commit_puts_the_run_into_the_file_and_removes_the_log(path):
    """After a commit there is one file, with everything in it."""
    commit(path)

    assert names(path) == []
    assert verify(path) == []
    with Hdf5Store(path) as store:
        (run,) = store.runs.values()
        assert run.header.status == "complete"
        assert run.header.finished
        assert list(run.params()) == params(3)
        assert run.cv_results()["mean_test_score"].tolist() == [0, 0.5, 1]
        assert same(run.read_all(2), weights(2))
        assert run.read_best("coefs_/0").tobytes() == weights(0)["coefs_/0"].tobytes()


def test_a_session_knows_what_a_reader_of_its_log_finds(path):
    """Frames are taken over from their writer as they are read from the file."""
    commit(path)
    crash(path, 1)
    with WriteSession.open(path, durable=False) as session:
        session.begin(header(2))
        session.set_splits(Splits(0, 2, 4, [(np.arange(2), np.arange(2, 4))]))
        session.set_params(0, params(2))
        session.append(fit(0, split=0, failed=True))
        session.append(replace(fit(0), state=ModelState("{}", {"a" * 32: b"content"})))
        session.append(replace(fit(1), key='"key"', result={"fit_error": "x" * 1000}))
        for number in range(2):
            stored = session.lookup.find(key(number), need_weights=True)
            session.reuse(1, number, key(number), stored)
        known = session._file
        with contextlib.closing(LogFile(log_of(path))) as read:
            assert known.end == read.end
            assert len(read.contents) == 2
            assert known.contents == read.contents
            assert known.blob("a" * 32) == read.blob("a" * 32)


def test_runs_are_kept_side_by_side(path):
    """A later run leaves earlier ones as they were, and the store's uid too."""
    commit(path, 0)
    with Hdf5Store(path) as store:
        uid = store.uid
    commit(path, 1)

    with Hdf5Store(path) as store:
        assert list(store.runs) == ["run-0000", "run-0001"]
        assert store.uid == uid
        assert same(store.runs["run-0000"].read_all(1), weights(1))


def test_superseded_runs_are_left_out(path):
    """A run that has all of an unfinished one takes its place."""
    commit(path, 0)
    begin(path, 1).commit(results(3), supersede=[header(0).uid])

    with Hdf5Store(path) as store:
        assert list(store.runs) == ["run-0001"]


def test_close_keeps_the_log_and_frees_the_store(path):
    """A fit that ended with an error leaves its finished fits to read."""
    begin(path).close()

    run = live_run(path)
    assert run.header.status == "interrupted"
    assert len(run.fits()) == 3
    assert not path.exists()


def test_close_without_a_fit_leaves_nothing(path):
    """A session that did nothing leaves no trace."""
    session = WriteSession.open(path)
    session.begin(header())
    session.close()
    session.close()

    assert names(path) == []


def test_discard_forgets_the_run(path):
    """A run whose fits are all stored already is dropped."""
    commit(path)
    begin(path, 1).discard()

    assert names(path) == []
    with Hdf5Store(path) as store:
        assert list(store.runs) == ["run-0000"]


def test_next_run_goes_into_the_file_with_what_a_crash_left(path):
    """An interrupted run is reused from the log, and stored with the next run."""
    crash(path)
    with WriteSession.open(path) as session:
        assert [h.status for h in session.lookup.headers] == ["interrupted"]
        assert not path.exists()
        assert same(
            session.lookup.find(key(1), need_weights=True).weights(), weights(1)
        )
    commit(path, 1)

    assert names(path) == []
    assert verify(path) == []
    with Hdf5Store(path) as store:
        run = store.runs["run-0000"]
        assert run.header.finished
        assert same(run.read_all(2), weights(2))


def test_finished_run_of_a_crash_is_complete(path, monkeypatch):
    """Death between the end of the run and the file costs nothing."""
    session = begin(path)
    session._log.finish(results(3, best=1))
    session.close()
    assert live_run(path).header.status == "complete"
    assert consolidate(path)

    with Hdf5Store(path) as store:
        run = store.runs["run-0000"]
        assert run.header.status == "complete"
        assert run.best_index() == 1


def test_log_whose_runs_are_stored_is_only_removed(path, monkeypatch):
    """Death between the file's commit and the log's end does not store a run twice."""
    session = begin(path)
    monkeypatch.setattr(WriteSession, "_remove_log", lambda self: None)
    session.commit(results(3))
    monkeypatch.undo()
    assert names(path) == [log_of(path).name]
    assert live_runs(path) == []
    before = path.read_bytes()
    WriteSession.open(path).close()

    assert path.read_bytes() == before
    assert names(path) == []


def test_temporary_files_of_a_crash_are_removed(path):
    """A file that was being written aside goes with the next commit."""
    commit(path)
    path.with_name(f"search.h5.{'0' * 16}.tmp").write_bytes(b"half a file")
    foreign = path.with_name("search.h5.mine.tmp")
    foreign.write_text("not ours")
    WriteSession.open(path).close()

    assert names(path) == [foreign.name]


def test_recover_consolidates_and_says_so(path):
    """Recovering by hand does what the next fit would do."""
    assert consolidate(path) is False
    crash(path)
    assert consolidate(path) is True
    assert consolidate(path) is False
    with Hdf5Store(path) as store:
        assert store.runs["run-0000"].header.status == "interrupted"


def test_second_session_is_refused_at_once(path):
    """One writer at a time; the first goes on undisturbed."""
    session = begin(path)
    with pytest.raises(StoreLockedError):
        WriteSession.open(path)
    with pytest.raises(StoreLockedError):
        consolidate(path)
    session.append(fit(0, split=0))
    session.commit(results(3))

    with Hdf5Store(path) as store:
        assert len(store.runs["run-0000"].fits()) == 4


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_all_names_of_a_store_meet_one_lock(path, monkeypatch):
    """A link, a relative path and a path with dots are the same store."""
    commit(path)
    link = path.with_name("link.h5")
    link.symlink_to(path)
    folder = path.with_name("folder")
    folder.symlink_to(path.parent, target_is_directory=True)
    monkeypatch.chdir(path.parent)
    session = WriteSession.open(path)
    others = ["search.h5", "./../" + path.parent.name + "/search.h5", link]
    for other in [*others, folder / "search.h5"]:
        with pytest.raises(StoreLockedError):
            WriteSession.open(Path(other))
    session.begin(header(1))
    session.append(fit(0))
    session.close()


def test_link_leads_to_the_file(path):
    """Writing through a link replaces the file, not the link."""
    commit(path)
    link = path.with_name("link.h5")
    try:
        link.symlink_to(path)
    except OSError:
        pytest.skip("this system makes no links")
    commit(link, 1)

    assert link.is_symlink()
    with Hdf5Store(path) as store:
        assert len(store.runs) == 2


def test_find_gives_the_newest_complete_fit(path):
    """Of fits of one identity the newest counts, and a failed one never."""
    commit(path, 0)
    session = begin(path, 1, count=0)
    session.set_params(0, params(3))
    session.append(fit(1))
    session.append(fit(2, failed=True))
    session.commit(results(3))

    with WriteSession.open(path) as session:
        newest = session.lookup.find(key(1), need_weights=True)
        assert (newest.run_uid, newest.row) == (header(1).uid, 0)
        older = session.lookup.find(key(2), need_weights=False)
        assert (older.run_uid, older.row) == (header(0).uid, 2)
        assert older.result["test_scores"] == result(2)["test_scores"]
        assert same(older.weights(), weights(2))
        assert session.lookup.find(key(9), need_weights=False) is None


def test_find_can_ask_for_weights(path):
    """A newer fit without weights hides no older one that has them."""
    commit(path, 0)
    session = begin(path, 1, count=0)
    session.set_params(0, params(1))
    bare = fit(0)
    session.append(type(bare)(0, REFIT, "ok", key(0), result(0), None))
    session.commit(results(1))

    with WriteSession.open(path) as session:
        without = session.lookup.find(key(0), need_weights=False)
        having = session.lookup.find(key(0), need_weights=True)
        assert (without.run_uid, without.has_weights) == (header(1).uid, False)
        assert (having.run_uid, having.has_weights) == (header(0).uid, True)


def test_reused_fits_are_whole_in_the_new_run(path):
    """A run made of reused fits stands on its own, also if it supersedes."""
    commit(path, 0)
    session = WriteSession.open(path)
    session.begin(header(1))
    session.set_params(0, params(2))
    for candidate, source in enumerate([2, 0]):
        stored = session.lookup.find(key(source), need_weights=True)
        session.reuse(candidate, REFIT, key(source), stored)
    live = live_run(path)
    assert same(live.read_all(0), weights(2))
    session.append(fit(1, split=0))
    session.commit(results(2), supersede=[header(0).uid])

    assert verify(path) == []
    with Hdf5Store(path) as store:
        (run,) = store.runs.values()
        assert same(run.read_all(0), weights(2))
        assert same(run.read_all(1), weights(0))
        assert run.result(0)["test_scores"] == result(2)["test_scores"]


@pytest.mark.parametrize("step", ["log", "file", "deleted", "rewritten", "merged"])
def test_a_model_that_was_scored_again_is_stored_once(path, step):
    """Its result is the new run's own, and both go on without the first run."""
    session = WriteSession.open(path)
    session.begin(header(0))
    session.set_params(0, params(1))
    session.append(replace(fit(0, split=0), key="a" * 32, model_key="e" * 32))
    session.commit(results(1))
    for number, mark in ((1, "b"), (2, "c")):
        session = WriteSession.open(path)
        session.begin(header(number))
        session.set_params(0, params(2))
        model = session.lookup.find("e" * 32, need_weights=True)
        scored = session.lookup.find("b" * 32, need_weights=True)
        # The third run finds both that the second one has scored, and a new one.
        options = {} if scored else {"result": {"test_scores": 0.125}}
        stored = scored or model
        again = ("b" * 32, stored) if scored else (mark * 32, stored)
        session.reuse(0, 0, *again, **options)
        session.reuse(1, 0, "a" * 32, session.lookup.find("a" * 32, need_weights=True))
        if step != "log" or number == 1:
            session.commit(results(2), supersede=[header(0).uid] * (step != "file"))
    if step == "log":
        assert_scored(live_run(path))
    if step == "rewritten":
        WeightStore.repack(path)
    if step == "merged":
        WeightStore.merge(path.with_name("other.h5"), [path])
        path = path.with_name("other.h5")
    elif step != "log":
        with Hdf5Store(path) as store:
            for run in list(store.runs.values())[-2:]:
                assert_scored(run)
    with Hdf5Store(path) as store:
        run = list(store.runs.values())[-1]
        assert_scored(run)
        assert run.fits().model_key[0] == b"e" * 32
    session.close()
    assert verify(path) == []


def assert_scored(run):
    """The first fit has the new score, the second one the old; their model is one."""
    assert run.result(0) == {"test_scores": 0.125}
    assert run.result(1)["test_scores"] == fit(0, split=0).result["test_scores"]
    assert same(run.read_all(0), weights(0))
    assert same(run.read_all(1), weights(0))


def test_reused_fits_survive_a_crash(path):
    """References in a leftover are resolved when it is consolidated."""
    commit(path, 0)
    session = WriteSession.open(path)
    session.begin(header(1))
    session.set_params(0, params(1))
    session.reuse(0, REFIT, key(2), session.lookup.find(key(2), need_weights=True))
    session.close()
    assert consolidate(path)

    with Hdf5Store(path) as store:
        assert same(store.runs["run-0001"].read_all(0), weights(2))


def test_lost_source_of_a_reference_is_named(path):
    """A log that refers to a run of a deleted file is not taken for whole."""
    commit(path, 0)
    session = WriteSession.open(path)
    session.begin(header(1))
    session.set_params(0, params(1))
    session.reuse(0, REFIT, key(2), session.lookup.find(key(2), need_weights=True))
    session.append(fit(0, split=0))
    session.close()
    path.unlink()

    (problem,) = verify(path)
    assert "fit 0" in problem.place
    assert header(0).uid in problem.message
    with pytest.warns(RuntimeWarning, match="1 fits"):
        assert consolidate(path)
    with Hdf5Store(path) as store:
        assert store.runs["run-0001"].fits().split.tolist() == [0]


def test_what_the_file_has_can_be_asked_for(path):
    """Headers, params, splits and identities of the file's runs."""
    splits = Splits(0, 2, 10, [(np.arange(10), np.arange(5))])
    session = WriteSession.open(path)
    session.begin(header())
    session.set_splits(splits)
    session.set_params(0, params(2))
    session.append(fit(0))
    session.append(fit(1, failed=True))
    session.commit(results(2))

    with WriteSession.open(path) as session:
        (found,) = session.lookup.headers
        assert found.uid == header().uid
        run = session.lookup.resolve(found.uid)
        assert list(run.params()) == params(2)
        (found_splits,) = run.splits()
        ((train, test),) = found_splits.pairs
        assert (train.tolist(), test.tolist()) == (list(range(10)), list(range(5)))
        assert session.lookup.unfinished() == []
        (complete,) = session.lookup.complete(header().fingerprint)
        assert complete.header.uid == found.uid
        assert session.lookup.resolve("0" * 31 + "9") is None


def test_many_identities_are_found_fast(path):
    """600,000 stored fits are indexed in one go, each still found."""
    from weightsearch._records import FitTable
    from weightsearch.store._catalog import fit_records
    from weightsearch.store._lookup import _KeyIndex

    count = 600_000
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 16, size=(count, 32), dtype=np.uint8)
    keys = np.frombuffer(b"0123456789abcdef", np.uint8)[raw].reshape(-1).view("S32")

    ones = np.ones(count, bool)
    fits = FitTable(np.arange(count), np.arange(count), ~ones, ones, keys)
    index = _KeyIndex([(header().uid, fit_records(fits))])
    for row in (0, 1234, count - 1):
        assert list(index.find(keys[row].decode())) == [(header().uid, row, True)]


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_foreign_file_is_left_alone(path, content):
    """What is no store of ours is refused before anything is written."""
    if content is None:
        with h5py.File(path, "w") as file:
            file["x"] = 1
        content = path.read_bytes()
    else:
        path.write_bytes(content)

    with pytest.raises(NotAStoreError):
        WriteSession.open(path)
    assert path.read_bytes() == content
    assert names(path) == []


def test_missing_folder_is_named(path):
    """A store in a folder that is not there cannot be written."""
    with pytest.raises(StoreWriteError, match="nowhere"):
        WriteSession.open(path.parent / "nowhere" / "search.h5")


def test_session_is_not_pickled(path):
    """A lock belongs to one process."""
    with WriteSession.open(path) as session, pytest.raises(TypeError, match="lock"):
        pickle.dumps(session)


def test_append_needs_a_run(path):
    """Appending before begin is a mistake of the caller."""
    with WriteSession.open(path) as session, pytest.raises(RuntimeError):
        session.append(fit(0))


def test_nothing_stays_open(path):
    """After commit, discard and close no file of the store is open."""
    psutil = pytest.importorskip("psutil")
    commit(path, 0)
    begin(path, 1).discard()
    session = begin(path, 2)
    session.lookup.find(key(0), need_weights=True)
    session.close()
    consolidate(path)

    opened = [file.path for file in psutil.Process().open_files()]
    assert [name for name in opened if str(path.parent) in name] == []


def test_damage_in_a_leftover_costs_what_it_hits_and_is_named(path):
    """A flipped byte in one fit's arrays costs that fit alone, and the log is kept."""
    crash(path)
    raw = bytearray(log_of(path).read_bytes())
    at = raw.index(weights(1)["coefs_/0"].tobytes())
    raw[at] ^= 1
    log_of(path).write_bytes(raw)

    assert [problem.place[-5:] for problem in verify(path)] == ["fit 1"]
    with WriteSession.open(path) as session:
        assert session.lookup.find(key(1), need_weights=False) is None
        assert same(
            session.lookup.find(key(2), need_weights=True).weights(), weights(2)
        )
    with pytest.warns(RuntimeWarning, match="1 fits") as caught:
        assert consolidate(path)
    (kept,) = names(path)
    assert path.with_name(kept).read_bytes() == raw
    assert kept in str(caught[0].message)
    with Hdf5Store(path) as store:
        run = store.runs["run-0000"]
        assert run.fits().candidate.tolist() == [0, 2]
        assert same(run.read_all(1), weights(2))


@pytest.mark.parametrize("what", ["middle", "begin", "params", "all", "foreign"])
def test_search_goes_on_beside_a_damaged_log(path, what):
    """Whatever the damage, the next run is stored, the loss named, the file kept."""
    commit(path, 0)
    crash(path, 1, count=20)
    raw = bytearray(log_of(path).read_bytes())
    size = len(raw)
    start, end = {
        "middle": (size // 3, size // 2),
        "begin": (30, 31),
        "params": (raw.index(b'"params"'),) * 2,
        "all": (0, size),
        "foreign": (0, 3),
    }[what]
    raw[start : end + 1] = b"\xff" * (end + 1 - start)
    log_of(path).write_bytes(raw)

    with pytest.warns(RuntimeWarning, match=r"fits? .*cannot|no fit") as caught:
        begin(path, 2).commit(results(3))
    (kept,) = names(path)
    assert kept in str(caught[0].message)
    assert path.with_name(kept).read_bytes() == raw
    assert verify(path) == []
    with Hdf5Store(path) as store:
        assert len(store.runs["run-0002"].fits()) == 3
        left = [r for r in store.runs.values() if r.header.uid == header(1).uid]
        n_fits = len(left[0].fits()) if left else 0
    assert n_fits in {"middle": range(10, 18), "all": [0]}.get(what, [20])


def test_verify_needs_something_to_check(path):
    """Where there is no store there is nothing to verify."""
    with pytest.raises(StoreError, match="no store"):
        verify(path)


def test_verify_of_a_live_run_is_clean(path):
    """A store can be verified while a session writes to it."""
    session = begin(path)
    assert verify(path) == []
    session.close()
    assert verify(path) == []


LIMITED = """
import resource, signal, sys
sys.path.insert(0, "tests/unit")
from pathlib import Path
from run_samples import fit, header, params, results
from weightsearch.exceptions import StoreWriteError
from weightsearch.store import WriteSession
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, limit, large = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
session = WriteSession.open(path)
session.begin(header(1))
session.set_params(0, params(1000))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
done = 0
try:
    for number in range(1000):
        session.append(fit(number, hidden=large))
        done += 1
        if limit < 0 or done == 200 and large == 8:
            break
    session.commit(results(1000))
except StoreWriteError as error:
    print(done)
    print(error)
    session.close()
"""


def limited(path, limit, large):
    """Run a session in a child whose files may not grow beyond a limit."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, path, str(limit), str(large)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    number, message = done.stdout.split("\n", 1)
    return int(number), message


needs_limits = pytest.mark.skipif(os.name != "posix", reason="needs RLIMIT_FSIZE")


@needs_limits
@pytest.mark.parametrize(
    ("limit", "large"), [(100_000, 8), (3_000_000, 5000), (1_000_000, 300)]
)
def test_full_disk_while_appending_costs_nothing_finished(path, limit, large):
    """An append that finds no room says what is safe; the next call goes on."""
    commit(path, 0)
    before = path.read_bytes()
    done, message = limited(path, limit, large)

    assert done > 0
    assert f"{done} finished fit" in message
    assert "call fit again" in message
    assert path.read_bytes() == before
    assert verify(path) == []
    run = live_run(path)
    assert len(run.fits()) == done
    assert same(run.read_all(done - 1), weights(done - 1, large))
    assert consolidate(path)
    with Hdf5Store(path) as store:
        assert len(store.runs["run-0001"].fits()) == done


@needs_limits
def test_full_disk_while_consolidating_costs_nothing(path):
    """Without room for the new file, old file and finished log stay."""
    commit(path, 0, count=3000)
    before = path.read_bytes()
    done, message = limited(path, 1_300_000, 8)

    assert done == 200
    assert "200 finished fits" in message
    assert path.read_bytes() == before
    assert [name for name in names(path) if name.endswith(".tmp")] == []
    assert verify(path) == []
    assert consolidate(path)
    with Hdf5Store(path) as store:
        run = store.runs["run-0001"]
        assert run.header.status == "complete"
        assert len(run.fits()) == 200


@needs_limits
def test_disk_that_is_full_at_any_byte_of_the_log(path):
    """Wherever the room ends, what was reported is whole, and the next run works."""
    resource = pytest.importorskip("resource")
    import signal

    begin(path, count=3).close()
    size = log_of(path).stat().st_size
    consolidate(path)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        for number, room in enumerate(range(0, size, 149), start=1):
            done, said = 0, "3 finished fits"
            session = WriteSession.open(path, durable=False)
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
            try:
                session.begin(header(number))
                session.set_params(0, params(3))
                for candidate in range(3):
                    session.append(fit(candidate))
                    done += 1
            except StoreWriteError as error:
                said = str(error)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            session.close()
            assert (f"{done} finished fit" in said) == (done > 0)
            assert verify(path) == []
            assert [len(run.fits()) for run in live_runs(path)] == [done] * (done > 0)
            consolidate(path)
            assert names(path) == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)


@pytest.mark.parametrize("what", ["deleted", "replaced", "overwritten"])
def test_store_that_changes_while_a_run_reuses_its_fits(path, tmp_path, what):
    """The other store keeps its runs; the run is stored with its fits, or kept."""
    commit(path, 0)
    other = tmp_path / "other.h5"
    commit(other, 7, count=1)
    session = WriteSession.open(path)
    session.begin(header(1))
    session.set_params(0, params(2))
    session.reuse(0, REFIT, key(2), session.lookup.find(key(2), need_weights=True))
    session.append(fit(1))
    if what == "deleted":
        path.unlink()
    elif what == "replaced":
        other.replace(path)
    else:
        path.write_bytes(other.read_bytes())
    lost = contextlib.nullcontext()
    if what == "overwritten":
        with pytest.raises(StoreError, match="2 finished fits"):
            session.commit(results(2))
        assert len(live_run(path).fits()) == 2
        lost = pytest.warns(RuntimeWarning, match="1 fits")
    else:
        session.commit(results(2))
        with Hdf5Store(path) as store:
            assert same(store.runs["run-0001"].read_all(0), weights(2))
            assert same(store.runs["run-0001"].read_all(1), weights(1))
    with Hdf5Store(path) as store:
        if what != "deleted":
            assert same(store.runs["run-0007"].read_all(0), weights(0))
    with lost:
        begin(path, 2).commit(results(3))
    with Hdf5Store(path) as store:
        assert same(store.runs["run-0002"].read_all(0), weights(0))


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_log_of_a_store_that_has_become_private_is_private(path):
    """A run that goes on in a log that was left has the store's mode of today."""
    commit(path, 0)
    crash(path, 1)
    path.chmod(0o600)
    session = begin(path, 2)

    assert log_of(path).stat().st_mode & 0o777 == 0o600
    session.close()


def test_live_run_that_is_taken_back_stays_as_it_was(path):
    """A reader of a run that its writer gives up sees no error."""
    crash(path)
    session = WriteSession.open(path)
    session.begin(header(1))
    _, live = live_runs(path)
    session.close()

    assert len(live.fits()) == 0
    assert live.header.uid == header(1).uid


def test_append_after_a_failed_append_goes_on(path):
    """When room is made during the fit, the log is as good as new."""
    resource = pytest.importorskip("resource")
    import signal

    session = begin(path)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = log_of(path).stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))
        with pytest.raises(StoreWriteError, match="3 finished fits"):
            session.append(fit(0, split=0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    session.append(fit(1, split=0))
    session.commit(results(3))

    assert verify(path) == []
    with Hdf5Store(path) as store:
        fits = store.runs["run-0000"].fits()
        assert fits.candidate.tolist() == [0, 1, 2, 1]


def fill(session):
    """Append until there is no room, and return the number of fits."""
    for done in range(3, 10_000):
        try:
            session.append(fit(0, split=done))
        except StoreWriteError:
            session.close()
            return done
    return 0


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small file system")
def test_full_file_system(tmp_path):
    """On a really full disk the same holds, and room makes it go on."""
    place = tmp_path / "small"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        subprocess.run(["mount", *options], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets no one mount")
    try:
        path = place / "search.h5"
        session = begin(path, 0)
        done = fill(session)
        assert verify(path) == []
        run = live_run(path)
        assert len(run.fits()) == done > 3
        with pytest.raises(StoreWriteError, match="room"):
            consolidate(path)
        more = ["-o", "remount,size=20m", str(place)]
        subprocess.run(["mount", *more], check=True, capture_output=True)
        assert consolidate(path)
        with Hdf5Store(path) as store:
            assert len(store.runs["run-0000"].fits()) == done
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


def test_unfinished_frame_at_the_end_is_dropped(path):
    """The fit that was being written at the moment of death was never reported."""
    crash(path, count=5)
    size = log_of(path).stat().st_size
    with log_of(path).open("r+b") as file:
        file.truncate(size - 10)
    assert verify(path) == []
    assert consolidate(path)

    assert names(path) == []
    with Hdf5Store(path) as store:
        assert len(store.runs["run-0000"].fits()) == 4


def test_bytes_that_a_power_cut_left_as_zeros_are_left_out(path):
    """Rows whose bytes are not what was written do not go into the file."""
    crash(path, count=5)
    raw = log_of(path).read_bytes()
    log_of(path).write_bytes(raw[:-200] + b"\0" * 200)
    with pytest.warns(RuntimeWarning, match="1 fits"):
        commit(path, 1)

    assert verify(path) == []
    with Hdf5Store(path) as store:
        assert len(store.runs["run-0000"].fits()) == 4


def test_live_run_of_a_store_at_rest_is_none(path):
    """Where nothing is under way there is nothing live."""
    assert live_run(path) is None
    commit(path)
    assert live_run(path) is None


def test_live_run_says_whether_somebody_writes(path):
    """A run is running as long as its writer holds the lock."""
    session = begin(path)
    run = live_run(path)
    assert run.header.status == "running"
    session.close()
    run = live_run(path)
    assert run.header.status == "interrupted"


def test_dropped_live_run_closes_itself(path):
    """A live run that nobody closes leaves no warning and no open file."""
    session = begin(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(live_run(path).fits()) == 3
    session.close()


WRITE = """
import sys, time
sys.path.insert(0, "tests/unit")
from pathlib import Path
from run_samples import fit, header, params, results
from weightsearch.store import WriteSession
session = WriteSession.open(Path(sys.argv[1]))
session.begin(header())
session.set_params(0, params(300))
print("begun", flush=True)
for number in range(300):
    session.append(fit(number))
    time.sleep(0.002)
session.commit(results(300))
"""


def test_reader_while_another_process_writes(path):
    """A reader sees the fits grow, each whole, until the run is in the file."""
    seen = []
    with subprocess.Popen(
        [sys.executable, "-c", WRITE, path],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout.readline() == "begun\n"
        while process.poll() is None:
            run = live_run(path)
            if run is not None:
                count = len(run.fits())
                if count:
                    assert same(run.read_all(count - 1), weights(count - 1))
                seen.append(count)
            time.sleep(0.01)
    assert process.returncode == 0
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    with Hdf5Store(path) as store:
        assert len(store.runs["run-0000"].fits()) == 300


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_cannot_end_the_session(path):
    """A worker that unwinds its parent's ``with`` block closes and removes nothing."""
    with begin(path, count=0) as session:
        child = os.fork()
        if child == 0:
            session.close()
            os._exit(0)
        os.waitpid(child, 0)
        with pytest.raises(StoreLockedError):
            WriteSession.open(path)
        session.set_params(0, params(1))
        session.append(fit(0))
        session.commit(results(1))

    assert verify(path) == []
    with Hdf5Store(path) as store:
        assert same(store.runs["run-0000"].read_all(0), weights(0))


def test_live_run_outlives_its_log(path):
    """A run that goes into the file while it is read stays as it was seen."""
    session = begin(path)
    run = live_run(path)
    assert len(run.fits()) == 3
    session.append(fit(0, split=0))
    session.commit(results(3))
    following = begin(path, 1, count=2)
    assert len(run.fits()) >= 3
    assert run.header.uid == header(0).uid
    assert same(run.read_all(2), weights(2))
    following.close()

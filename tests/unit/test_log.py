"""What goes into a log comes out of it, bit for bit, and stays there."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from run_samples import (
    fit,
    header,
    key,
    mlp_arrays,
    params,
    result,
    results,
    same,
    weights,
)

from weightsearch._records import (
    OK,
    REFIT,
    FitRecord,
    ModelState,
    RunResults,
    Splits,
    Weights,
)
from weightsearch.exceptions import (
    CorruptStoreError,
    StoreError,
    StoreVersionError,
    StoreWriteError,
    WeightsNotFoundError,
)
from weightsearch.store._log import MAGIC, Log, log_path
from weightsearch.store._log_file import LogFile
from weightsearch.store._log_run import LogRun


@pytest.fixture
def store(tmp_path):
    """A store's path; the log lies beside it."""
    return tmp_path / "search.h5"


def write(store, count=3, *, close=True, number=0, **options):
    """Write a log of some fits."""
    log = Log(store, **options)
    log.begin(header(number))
    log.set_params(0, params(count))
    for candidate in range(count):
        log.append(fit(candidate))
    if close:
        log.close()
    return log


def append(store, arrays):
    """Write a log of one fit with these weights."""
    log = Log(store)
    log.begin(header())
    log.set_params(0, params(1))
    log.append(FitRecord(0, REFIT, OK, key(0), result(), arrays))
    log.close()


@contextlib.contextmanager
def reading(store, number=0, resolve=lambda uid: None, **options):
    """Open a run of a log for reading."""
    file = LogFile(log_path(store))
    yield LogRun(file, header(number).uid, resolve, **options)
    file.close()


@pytest.mark.parametrize("durable", [True, False])
def test_fits_come_back_bit_for_bit(store, durable):
    """Weights, results and columns equal what was appended."""
    write(store, 4, durable=durable)

    with reading(store) as run:
        table = run.fits()
        assert table.candidate.tolist() == [0, 1, 2, 3]
        assert table.split.tolist() == [REFIT] * 4
        assert table.key.tolist() == [key(n).encode() for n in range(4)]
        assert table.has_weights.all()
        assert not table.failed.any()
        assert list(run.params()) == params(4)
        for number in range(4):
            assert same(run.read_all(number), weights(number))
            found = run.result(number)
            assert found["test_scores"] == result(number)["test_scores"]
            assert np.isnan(found["train_scores"])


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(12.0).reshape(3, 4)[:, ::2],
        np.arange(24, dtype=">i2").reshape(2, 3, 4),
        np.float32(3).reshape(()),
        np.empty((0, 5)),
        np.empty((5, 0), order="F"),
        np.array([True, False]),
        np.array([1 + 2j, 3j]),
        np.array(["a", "bcd"]),
        np.array([b"a", b"bcd"]),
        np.array(["2026-01-01", "NaT"], "M8[D]"),
        np.zeros(3, [("left", "i8"), ("value", "f8", (2,))]),
        np.array([np.nan, -0.0, np.inf]),
        np.arange(3, dtype=np.float16),
    ],
    ids=lambda array: f"{array.dtype.str}-{array.shape}",
)
def test_every_type_keeps_its_bytes(store, array):
    """Type, shape, bytes and memory order are those of the model's array."""
    append(store, Weights({"before": np.arange(3, dtype=np.uint8), "w": array}))

    with reading(store) as run:
        for found in (run.read(0, "w"), run.read_all(0)["w"]):
            assert found.dtype == array.dtype
            assert found.shape == array.shape
            assert found.tobytes() == array.tobytes()
            assert found.flags.f_contiguous or not array.flags.f_contiguous
            assert found.flags.writeable
        stacked = run.stack("w", [0, 0])
        assert stacked.dtype == array.dtype
        assert stacked.shape == (2, *array.shape)
        assert stacked.tobytes() == 2 * array.tobytes()


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "int4"])
def test_types_that_numpy_lacks_keep_their_bytes(store, name):
    """Types of ml_dtypes come back as themselves."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.arange(6).astype(getattr(ml_dtypes, name)).reshape(2, 3)
    append(store, Weights({"w": array}))

    with reading(store) as run:
        assert run.specs(0).arrays[0].dtype == name
        assert run.read(0, "w").dtype == array.dtype
        assert run.read(0, "w").tobytes() == array.tobytes()


def test_large_and_small_arrays_in_one_record(store):
    """Arrays of any size in any order lie one behind the other."""
    rng = np.random.default_rng(0)
    sizes = [3, 400_000, 0, 5, 200_000, 100_000, 100_000, 7]
    arrays = Weights((str(i), rng.normal(size=n)) for i, n in enumerate(sizes))
    append(store, arrays)

    with reading(store) as run:
        assert same(run.read_all(0), arrays)
        for name in "0135":
            assert run.read(0, name).tobytes() == arrays[name].tobytes()


def test_object_arrays_are_refused_and_nothing_is_written(store):
    """What cannot be kept is named before a byte is written."""
    log = write(store, 1, close=False)
    bad = FitRecord(0, 0, OK, None, result(), Weights({"w": np.array([{}])}))
    with pytest.raises(TypeError, match="'w'"):
        log.append(bad)
    log.append(fit(0, split=1))
    log.close()

    with reading(store) as run:
        assert len(run.fits()) == 2
        assert run.damaged() == {}


def test_ties_and_encodings_come_back(store):
    """Notes about the arrays travel with them, and a tied name can be read."""
    arrays = Weights({"w": np.arange(3.0)}, ties={"v": "w"}, encodings={"coef_": "csr"})
    append(store, arrays)

    with reading(store) as run:
        assert run.specs(0).ties == {"v": "w"}
        assert run.read_all(0).encodings == {"coef_": "csr"}
        assert run.read(0, "v").tolist() == [0, 1, 2]


def test_stack_is_one_array_of_many_rows(store):
    """The arrays of one name are stacked in the order of the rows."""
    write(store, 4)

    with reading(store) as run:
        stacked = run.stack("coefs_/0", [3, 1])
        expected = np.stack([weights(3)["coefs_/0"], weights(1)["coefs_/0"]])
        assert np.array_equal(stacked, expected)


def test_stack_of_different_shapes_is_refused(store):
    """Arrays that do not fit together are not forced to."""
    log = write(store, 1, close=False)
    log.append(fit(0, hidden=9))
    log.close()

    with (
        reading(store) as run,
        pytest.raises(ValueError, match="not alike in all rows"),
    ):
        run.stack("coefs_/0", [0, 1])


def test_failed_fit_has_no_weights(store):
    """A failed fit is kept with its error's text."""
    log = write(store, 1, close=False)
    log.append(fit(0, failed=True))
    log.close()

    with reading(store) as run:
        assert run.fits().failed.tolist() == [False, True]
        assert run.specs(1) is None
        assert run.result(1)["fit_error"] == "ValueError: no"
        with pytest.raises(WeightsNotFoundError):
            run.read_all(1)


def test_unknown_names_and_rows_are_key_errors(store):
    """Asking for what is not there says what is."""
    write(store, 1)

    with reading(store) as run:
        with pytest.raises(KeyError, match="coefs_/0"):
            run.read(0, "kernel")
        with pytest.raises(KeyError, match="no fit 7"):
            run.result(7)


def test_finished_run_has_results_and_best_weights(store):
    """What is known at the end comes back as it was."""
    log = write(store, 3, close=False)
    log.finish(results(3, best=2))
    log.close()

    with reading(store) as run:
        assert run.header.status == "complete"
        assert run.header.finished
        assert run.best_index() == 2
        assert [spec.name for spec in run.best_specs().arrays] == list(mlp_arrays())
        best = Weights((name, run.read_best(name)) for name in mlp_arrays())
        assert same(best, weights(2))
        columns = run.cv_results()
        assert columns["mean_test_score"].tolist() == [0, 0.5, 1]
        assert columns["rank_test_score"].dtype == np.int32


def test_finished_run_without_a_best_estimator(store):
    """A search with refit=False has results but no best weights."""
    log = write(store, 2, close=False)
    log.finish(RunResults(results(2).cv_results, None))
    log.close()

    with reading(store) as run:
        assert run.best_index() is None
        assert run.best_specs() is None


def test_unfinished_run_has_neither(store):
    """Until the end there are no results."""
    write(store, 2)

    with reading(store) as run:
        assert run.header.status == "interrupted"
        assert run.header.finished.endswith("+00:00")
        assert run.cv_results() == {}
        assert run.best_index() is None


def test_splits_come_back(store):
    """Equal splits of candidates in a row are one; others have their candidates."""
    rng = np.random.default_rng(0)
    drawn = [
        [(rng.permutation(100), rng.permutation(50)) for _ in range(3)]
        for _ in range(2)
    ]
    log = Log(store)
    log.begin(header())
    for first, pairs in enumerate([drawn[0], drawn[0], drawn[1]]):
        log.set_splits(Splits(2 * first, 2, 100, pairs))
    log.close()

    with reading(store) as run:
        found = run.splits()
        assert [(one.first, one.count) for one in found] == [(0, 4), (4, 2)]
        for one, pairs in zip(found, drawn, strict=True):
            np.testing.assert_equal(one.pairs, pairs)


def test_params_come_in_parts(store):
    """Candidates are added as a halving search goes; later params replace earlier."""
    log = Log(store)
    log.begin(header())
    log.set_params(0, params(2))
    log.set_params(1, ['{"alpha":7}', '{"alpha":8}'])
    log.close()

    with reading(store) as run:
        assert run.params() == ['{"alpha":0}', '{"alpha":7}', '{"alpha":8}']


def test_many_params_are_cut_into_blocks(store):
    """A large grid is no single text that a reader would refuse."""
    encoded = [f'{{"text":"{"x" * 1000}{n}"}}' for n in range(3000)]
    log = Log(store)
    log.begin(header())
    log.set_params(0, encoded)
    log.close()

    with reading(store) as run:
        assert run.params() == encoded


def test_reference_before_its_params_waits(store):
    """A fit taken over shows when its candidate's params are there."""
    log = write(store, 0, close=False)
    log.append_reference(0, 0, key(0), "a" * 32, 0)

    with reading(store) as run:
        assert len(run.fits()) == 0
        log.set_params(0, params(1))
        assert len(run.fits()) == 1
    log.close()


def test_reader_sees_what_is_appended_later(store):
    """A live reader in the writer's process follows the run."""
    log = write(store, 0, close=False)
    with reading(store) as run:
        assert len(run.fits()) == 0
        log.set_params(0, params(2))
        log.append(fit(0))
        assert len(run.fits()) == 1
        log.append(fit(1))
        assert len(run.fits()) == 2
        assert same(run.read_all(1), weights(1))
        log.finish(results(2))
        log.close()
        run.fits()
        assert run.header.status == "complete"


READ = """
import sys
from pathlib import Path
from weightsearch.store._log import log_path
from weightsearch.store._log_file import LogFile
from weightsearch.store._log_run import LogRun
file = LogFile(log_path(Path(sys.argv[1])))
run = LogRun(file, sys.argv[2], lambda uid: None)
for line in sys.stdin:
    fits = run.fits()
    last = run.read_all(len(fits) - 1)
    print(len(fits), float(last["coefs_/0"].sum()), flush=True)
"""


def test_reader_in_another_process_follows(store):
    """A live reader elsewhere sees each fit when it has been appended."""
    log = write(store, 1, close=False)
    log.set_params(0, params(6))
    with subprocess.Popen(
        [sys.executable, "-c", READ, store, header().uid],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        for number in range(1, 6):
            log.append(fit(number))
            process.stdin.write("look\n")
            process.stdin.flush()
            count, total = process.stdout.readline().split()
            assert int(count) == number + 1
            assert float(total) == weights(number)["coefs_/0"].sum()
        process.stdin.close()
    log.close()


def append_states(store, states):
    """Write a log of fits that have these states."""
    log = Log(store)
    log.begin(header())
    log.set_params(0, params(len(states)))
    for number, state in enumerate(states):
        log.append(replace(fit(number), state=state))
    log.close()


def test_reference_is_read_from_the_run_it_names(tmp_path):
    """A fit taken over from another run gives that run's result and weights."""
    old_store, new_store = tmp_path / "old.h5", tmp_path / "new.h5"
    write(old_store, 3)
    log = Log(new_store)
    log.begin(header(1))
    log.set_params(0, params(1))
    log.append_reference(0, REFIT, key(2), header(0).uid, 2)
    log.close()

    with reading(old_store) as old:
        resolve = {header(0).uid: old}.get
        with reading(new_store, 1, resolve) as run:
            table = run.fits()
            assert table.has_weights.tolist() == [True]
            assert table.origin.tolist() == [header(0).uid.encode()]
            assert table.origin_row.tolist() == [2]
            assert same(run.read_all(0), weights(2))
            assert run.result(0)["test_scores"] == result(2)["test_scores"]
            assert run.specs(0) == old.specs(2)


def test_several_runs_lie_one_after_another(store):
    """A later run goes on in the log of an earlier one and may refer to it."""
    write(store, 3)
    end = LogFile(log_path(store)).end
    log = Log(store, end)
    log.begin(header(1))
    log.set_params(0, params(2))
    log.append_reference(0, REFIT, key(1), header(0).uid, 1)
    log.append(fit(0, split=0))
    log.close()

    file = LogFile(log_path(store))
    first = LogRun(file, header(0).uid, lambda uid: None)
    second = LogRun(file, header(1).uid, {header(0).uid: first}.get)
    assert [len(first.fits()), len(second.fits())] == [3, 2]
    assert same(second.read_all(0), weights(1))
    alone = LogRun(
        file, header(1).uid, {header(0).uid: first}.get, superseded=[header(0).uid]
    )
    assert second.fits().origin[0] == header(0).uid.encode()
    assert alone.fits().origin[0] == b""


def test_contents_of_states_are_kept_once(store):
    """States come back with their contents, each of which is written once."""
    shared, own = b"shared" * 1000, b"own"
    states = [
        ModelState(f'{{"n":\n{n}}}', {"a" * 32: shared, f"{n:032}": own})
        for n in range(3)
    ]
    append_states(store, states)

    assert log_path(store).read_bytes().count(shared) == 1
    with reading(store) as run:
        assert run.state(2) == ('{"n":\n2}', ("a" * 32, f"{2:032}"))
        assert run.blob("a" * 32) == shared
        assert run.blob_size(f"{1:032}") == 3
        assert run.damaged() == {}


def test_damaged_content_is_named(store):
    """A flipped bit in a content is found, and the fit that needs it is named."""
    append_states(store, [ModelState("{}", {"a" * 32: b"a content"})])
    path = log_path(store)
    path.write_bytes(path.read_bytes().replace(b"a content", b"b content"))

    with reading(store) as run:
        with pytest.raises(CorruptStoreError, match="blob"):
            run.blob("a" * 32)
        assert list(run.damaged()) == [0]


def test_no_log_is_file_not_found(store):
    """Where there is no log there is nothing to read."""
    with pytest.raises(FileNotFoundError):
        LogFile(log_path(store))


def test_newer_version_is_refused(store):
    """A log of a later format is not guessed at."""
    write(store, 1)
    path = log_path(store)
    path.write_bytes(path.read_bytes().replace(MAGIC, b"WSL2"))

    with pytest.raises(StoreVersionError, match="newer version"):
        LogFile(path)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_reading_needs_no_right_to_write_and_changes_nothing(store):
    """A log on a read-only place, as a killed writer left it, is read as it is."""
    log = write(store, 5, close=False)
    path = log_path(store)
    before = path.read_bytes()
    mode = store.parent.stat().st_mode
    path.chmod(stat.S_IRUSR)
    store.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with reading(store) as run:
            assert len(run.fits()) == 5
            assert same(run.read_all(4), weights(4))
    finally:
        store.parent.chmod(mode)
    log.close()
    assert path.read_bytes() == before
    assert list(store.parent.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs in folders")
@pytest.mark.parametrize("kind", ["link", "dangling", "hard link", "pipe", "folder"])
def test_what_is_not_a_plain_file_is_neither_read_nor_written(store, kind):
    """Nothing goes through a link, a second name or a pipe in the log's place."""
    path, precious = log_path(store), store.with_name("precious")
    precious.write_text("precious")
    if kind == "link":
        path.symlink_to(precious)
    elif kind == "dangling":
        path.symlink_to(store.with_name("nowhere"))
    elif kind == "hard link":
        path.hardlink_to(precious)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()

    with pytest.raises(StoreError, match="in the way"):
        LogFile(path)
    for end in (None, 0):
        with pytest.raises(StoreError, match="in the way"):
            Log(store, end)
    assert precious.read_text() == "precious"
    assert not store.with_name("nowhere").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_log_has_the_mode_of_its_store(store, mode):
    """Whoever may not read the store may not read what goes into it."""
    store.write_bytes(b"")
    store.chmod(mode)
    write(store, 1)

    assert stat.S_IMODE(log_path(store).stat().st_mode) == mode


def test_removed_log_ends_the_run(store):
    """A log that is deleted meanwhile is noticed at the next fit, not at the end."""
    log = write(store, 1, close=False)
    log_path(store).unlink()

    with pytest.raises(StoreWriteError, match="removed"):
        log.append(fit(0, split=0))
    assert log.n_safe == 0
    log.close()

"""What goes into a journal comes out of it, bit for bit, and stays there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from journal_samples import (
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

from weightsearch._records import OK, REFIT, FitRecord, ModelState, Weights
from weightsearch.exceptions import (
    CorruptStoreError,
    StoreVersionError,
    WeightsNotFoundError,
)
from weightsearch.store._journal import _format as fmt
from weightsearch.store._journal._reader import JournalRun
from weightsearch.store._journal._rows import remove_journal
from weightsearch.store._journal._writer import Journal


@pytest.fixture
def folder(tmp_path):
    """The journal's folder."""
    path = tmp_path / "search.h5.journal"
    path.mkdir()
    return path


def write(folder, count=3, *, close=True, **options):
    """Write a journal of some fits."""
    journal = Journal(folder, **options)
    journal.begin(header())
    journal.set_params(0, params(count))
    for number in range(count):
        journal.append(fit(number))
    if close:
        journal.close()
    return journal


def append(folder, arrays):
    """Write a journal of one fit with these weights."""
    journal = Journal(folder)
    journal.begin(header())
    journal.set_params(0, params(1))
    journal.append(FitRecord(0, REFIT, OK, key(0), result(), arrays))
    journal.close()


@pytest.mark.parametrize("durable", [True, False])
def test_fits_come_back_bit_for_bit(folder, durable):
    """Weights, results and columns equal what was appended."""
    write(folder, 4, durable=durable)

    with JournalRun(folder) as run:
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
def test_every_type_keeps_its_bytes(folder, array):
    """Type, shape, bytes and memory order are those of the model's array."""
    append(folder, Weights({"before": np.arange(3, dtype=np.uint8), "w": array}))

    with JournalRun(folder) as run:
        for found in (run.read(0, "w"), run.read_all(0)["w"]):
            assert found.dtype == array.dtype
            assert found.shape == array.shape
            assert found.tobytes() == array.tobytes()
            assert found.flags.f_contiguous or not array.flags.f_contiguous
            assert found.flags.writeable


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "int4"])
def test_types_that_numpy_lacks_keep_their_bytes(folder, name):
    """Types of ml_dtypes come back as themselves."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.arange(6).astype(getattr(ml_dtypes, name)).reshape(2, 3)
    append(folder, Weights({"w": array}))

    with JournalRun(folder) as run:
        assert run.specs(0).arrays[0].dtype == name
        assert run.read(0, "w").dtype == array.dtype
        assert run.read(0, "w").tobytes() == array.tobytes()


def test_large_and_small_arrays_in_one_record(folder):
    """Arrays of any size in any order lie one behind the other."""
    rng = np.random.default_rng(0)
    sizes = [3, 400_000, 0, 5, 200_000, 100_000, 100_000, 7]
    arrays = Weights((str(i), rng.normal(size=n)) for i, n in enumerate(sizes))
    append(folder, arrays)

    with JournalRun(folder) as run:
        assert same(run.read_all(0), arrays)
        for name in "0135":
            assert run.read(0, name).tobytes() == arrays[name].tobytes()


def test_object_arrays_are_refused_and_nothing_is_written(folder):
    """What cannot be kept is named before a byte is written."""
    journal = write(folder, 1, close=False)
    bad = FitRecord(0, 0, OK, None, result(), Weights({"w": np.array([{}])}))
    with pytest.raises(TypeError, match="'w'"):
        journal.append(bad)
    journal.append(fit(0, split=1))
    journal.close()

    with JournalRun(folder) as run:
        assert len(run.fits()) == 2
        assert run.damaged() == []


def test_ties_and_encodings_come_back(folder):
    """Notes about the arrays travel with them, and a tied name can be read."""
    arrays = Weights({"w": np.arange(3.0)}, ties={"v": "w"}, encodings={"coef_": "csr"})
    append(folder, arrays)

    with JournalRun(folder) as run:
        assert run.specs(0).ties == {"v": "w"}
        assert run.read_all(0).encodings == {"coef_": "csr"}
        assert run.read(0, "v").tolist() == [0, 1, 2]


def test_equal_layouts_are_written_once(folder):
    """A row carries the number of its layout, not the names and shapes."""
    journal = write(folder, 5, close=False)
    journal.append(fit(0, hidden=9))
    journal.append(fit(0))
    journal.close()

    database = sqlite3.connect(folder / fmt.DATABASE)
    assert database.execute("SELECT count(*) FROM layout").fetchone() == (2,)
    database.close()


def test_stack_is_one_array_of_many_rows(folder):
    """The arrays of one name are stacked in the order of the rows."""
    write(folder, 4)

    with JournalRun(folder) as run:
        stacked = run.stack("coefs_/0", [3, 1])
        expected = np.stack([weights(3)["coefs_/0"], weights(1)["coefs_/0"]])
        assert np.array_equal(stacked, expected)


def test_stack_of_different_shapes_is_refused(folder):
    """Arrays that do not fit together are not forced to."""
    journal = write(folder, 1, close=False)
    journal.append(fit(0, hidden=9))
    journal.close()

    with JournalRun(folder) as run, pytest.raises(ValueError, match="not one shape"):
        run.stack("coefs_/0", [0, 1])


def test_failed_fit_has_no_weights(folder):
    """A failed fit is kept with its error's text."""
    journal = write(folder, 1, close=False)
    journal.append(fit(0, failed=True))
    journal.close()

    with JournalRun(folder) as run:
        assert run.fits().failed.tolist() == [False, True]
        assert run.specs(1) is None
        assert run.result(1)["fit_error"] == "ValueError: no"
        with pytest.raises(WeightsNotFoundError):
            run.read_all(1)


def test_unknown_names_and_rows_are_key_errors(folder):
    """Asking for what is not there says what is."""
    write(folder, 1)

    with JournalRun(folder) as run:
        with pytest.raises(KeyError, match="coefs_/0"):
            run.read(0, "kernel")
        with pytest.raises(KeyError, match="no fit 7"):
            run.result(7)


def test_finished_run_has_results_and_best_weights(folder):
    """What is known at the end comes back as it was."""
    journal = write(folder, 3, close=False)
    journal.finish(results(3, best=2))
    journal.close()

    with JournalRun(folder) as run:
        assert run.header.status == "complete"
        assert run.header.finished
        assert run.best_index() == 2
        assert [spec.name for spec in run.best_specs().arrays] == list(mlp_arrays())
        best = Weights((name, run.read_best(name)) for name in mlp_arrays())
        assert same(best, weights(2))
        columns = run.cv_results()
        assert columns["mean_test_score"].tolist() == [0, 0.5, 1]
        assert columns["rank_test_score"].dtype == np.int32


def test_finished_run_without_a_best_estimator(folder):
    """A search with refit=False has results but no best weights."""
    journal = write(folder, 2, close=False)
    journal.finish(type(results(2))(results(2).cv_results, None, None))
    journal.close()

    with JournalRun(folder) as run:
        assert run.best_index() is None
        assert run.best_specs() is None


def test_unfinished_run_has_neither(folder):
    """Until the end there are no results."""
    write(folder, 2)

    with JournalRun(folder, status="interrupted") as run:
        assert run.header.status == "interrupted"
        assert run.header.finished.endswith("+00:00")
        assert run.cv_results() == {}
        assert run.best_index() is None


def test_splits_come_back(folder):
    """Splits that the splitter would not give again are kept."""
    rng = np.random.default_rng(0)
    splits = [(rng.permutation(100), rng.permutation(50)) for _ in range(3)]
    journal = Journal(folder)
    journal.begin(header(), splits)
    journal.close()

    with JournalRun(folder) as run:
        for (train, test), (a, b) in zip(splits, run.splits(), strict=True):
            assert np.array_equal(train, a)
            assert np.array_equal(test, b)


def test_params_come_in_parts(folder):
    """Candidates are added as a halving search goes; later params replace earlier."""
    journal = Journal(folder)
    journal.begin(header())
    journal.set_params(0, params(2))
    journal.set_params(1, ['{"alpha":7}', '{"alpha":8}'])
    journal.close()

    with JournalRun(folder) as run:
        assert run.params() == ['{"alpha":0}', '{"alpha":7}', '{"alpha":8}']


def test_many_params_are_cut_into_blocks(folder):
    """A large grid is no single text that a reader would refuse."""
    encoded = [f'{{"text":"{"x" * 1000}{n}"}}' for n in range(3000)]
    journal = Journal(folder)
    journal.begin(header())
    journal.set_params(0, encoded)
    journal.close()

    with JournalRun(folder) as run:
        assert run.params() == encoded


def test_reference_is_read_from_the_run_it_names(tmp_path):
    """A fit taken over from another run gives that run's result and weights."""
    folders = [tmp_path / "old", tmp_path / "new"]
    for path in folders:
        path.mkdir()
    write(folders[0], 3)
    journal = Journal(folders[1])
    journal.begin(header(1))
    journal.set_params(0, params(1))
    journal.append_reference(0, REFIT, key(2), header(0).uid, 2)
    journal.close()

    with JournalRun(folders[0]) as old:
        resolve = {header(0).uid: old}.get
        with JournalRun(folders[1], resolve) as run:
            assert run.fits().has_weights.tolist() == [True]
            assert same(run.read_all(0), weights(2))
            assert run.result(0)["test_scores"] == result(2)["test_scores"]
            assert run.specs(0) == old.specs(2)


def test_reference_before_its_params_waits(folder):
    """A fit taken over shows when its candidate's params are there."""
    journal = write(folder, 0, close=False)
    journal.append_reference(0, 0, key(0), "a" * 32, 0)

    with JournalRun(folder) as run:
        assert len(run.fits()) == 0
        journal.set_params(0, params(1))
        assert len(run.fits()) == 1
    journal.close()


def test_reader_sees_what_is_appended_later(folder):
    """A live reader in the writer's process follows the run."""
    journal = write(folder, 0, close=False)
    with JournalRun(folder) as run:
        assert len(run.fits()) == 0
        journal.set_params(0, params(2))
        journal.append(fit(0))
        assert len(run.fits()) == 1
        journal.append(fit(1))
        assert len(run.fits()) == 2
        assert same(run.read_all(1), weights(1))
        journal.finish(results(2))
        journal.close()
        run.fits()
        assert run.header.status == "complete"


READ = """
import sys
from pathlib import Path
from weightsearch.store._journal._reader import JournalRun
with JournalRun(Path(sys.argv[1])) as run:
    for line in sys.stdin:
        fits = run.fits()
        last = run.read_all(len(fits) - 1)
        print(len(fits), float(last["coefs_/0"].sum()), flush=True)
"""


def test_reader_in_another_process_follows(folder):
    """A live reader elsewhere sees each fit when it has been appended."""
    journal = write(folder, 1, close=False)
    journal.set_params(0, params(6))
    with subprocess.Popen(
        [sys.executable, "-c", READ, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        for number in range(1, 6):
            journal.append(fit(number))
            process.stdin.write("look\n")
            process.stdin.flush()
            count, total = process.stdout.readline().split()
            assert int(count) == number + 1
            assert float(total) == weights(number)["coefs_/0"].sum()
        process.stdin.close()
    journal.close()


def snapshot(folder):
    """Every file's name and bytes."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def leftover(folder, tmp_path):
    """A journal as a killed writer leaves it: with a log, and no last frame."""
    journal = write(folder, 5, close=False)
    copy = tmp_path / "killed.h5.journal"
    shutil.copytree(folder, copy)
    journal.close()
    return copy


@pytest.mark.parametrize("missing", [(), ("journal.sqlite-shm",)])
def test_reading_changes_nothing(leftover, missing):
    """Reading a leftover neither makes nor changes a file."""
    for name in missing:
        (leftover / name).unlink()
    before = snapshot(leftover)

    with JournalRun(leftover) as run:
        assert len(run.fits()) == 5
        assert same(run.read_all(4), weights(4))
    assert snapshot(leftover) == before


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
@pytest.mark.parametrize("closed", [True, False])
def test_read_only_folder_can_be_read(folder, leftover, closed):
    """A journal on a read-only place is read as well."""
    place = folder if closed else leftover
    mode = place.stat().st_mode
    for path in place.iterdir():
        path.chmod(stat.S_IRUSR)
    place.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with JournalRun(place) as run:
            assert len(run.fits()) == 5
    finally:
        place.chmod(mode)


def test_closing_twice_and_removing_leaves_nothing(folder):
    """A removed journal leaves an empty folder."""
    journal = write(folder, 2)
    journal.close()

    assert remove_journal(folder)
    assert list(folder.iterdir()) == []


def test_second_run_in_one_journal_is_refused(folder):
    """A journal holds one run."""
    journal = write(folder, 1, close=False)
    with pytest.raises(RuntimeError):
        journal.begin(header(1))
    journal.close()


def test_no_journal_is_file_not_found(tmp_path):
    """Where there is no journal there is nothing to read."""
    with pytest.raises(FileNotFoundError):
        JournalRun(tmp_path)


def test_newer_version_is_refused(folder):
    """A journal of a later format is not guessed at."""
    write(folder, 1)
    database = sqlite3.connect(folder / fmt.DATABASE)
    database.execute("PRAGMA user_version=3")
    database.close()

    with pytest.raises(StoreVersionError, match="version 3"):
        JournalRun(folder)


def test_version_1_is_read(folder):
    """Journals from before states were kept are read as they are."""
    write(folder, 2)
    database = sqlite3.connect(folder / fmt.DATABASE)
    database.execute("DROP TABLE blob")
    database.execute("DROP TABLE state")
    database.execute("PRAGMA user_version=1")
    database.close()

    with JournalRun(folder) as run:
        assert len(run.fits()) == 2
        assert run.state(0) is None
        assert not run.has_blob("0" * 32)
        assert run.damaged() == []


def append_states(folder, states):
    """Write a journal of fits that have these states."""
    journal = Journal(folder)
    journal.begin(header())
    journal.set_params(0, params(len(states)))
    for number, state in enumerate(states):
        journal.append(replace(fit(number), state=state))
    journal.close()


def test_contents_of_states_are_kept_once(folder):
    """States come back with their contents, each of which is written once."""
    shared, own = b"shared" * 1000, b"own"
    append_states(
        folder,
        [
            ModelState(f'{{"n":{n}}}', {"a" * 32: shared, f"{n:032}": own})
            for n in range(3)
        ],
    )

    assert (folder / fmt.ARRAYS).read_bytes().count(shared) == 1
    with JournalRun(folder) as run:
        assert run.state(2) == ('{"n":2}', ("a" * 32, f"{2:032}"))
        assert run.blob("a" * 32) == shared
        assert run.blob_size(f"{1:032}") == 3
        assert run.damaged() == []


def test_damaged_content_is_named(folder):
    """A flipped bit in a content is found, and the fit that needs it is named."""
    append_states(folder, [ModelState("{}", {"a" * 32: b"a content"})])
    arrays = folder / fmt.ARRAYS
    arrays.write_bytes(arrays.read_bytes().replace(b"a content", b"b content"))

    with JournalRun(folder) as run:
        with pytest.raises(CorruptStoreError, match="blob 0"):
            run.blob("a" * 32)
        assert [row for row, _ in run.damaged()] == [0]


def test_documented_names_are_the_ones_in_use():
    """The normative page and the code name the same files, tables and columns."""
    page = Path(__file__).parents[2] / "docs" / "journal.md"
    text = page.read_text(encoding="utf-8")
    for statement in fmt.TABLES.values():
        assert " ".join(statement.split()) in " ".join(text.split())
    for name in (*fmt.META_IDS, fmt.DATABASE, fmt.ARRAYS, fmt.LOCK, fmt.HOLDER):
        assert f"`{name}`" in text
    for name in (fmt.P_SPLITS, fmt.P_CV_RESULTS, fmt.P_BEST):
        assert f"`{name}`" in text
    assert f"journal_version {fmt.JOURNAL_VERSION}" in text
    assert f"{fmt.FRAME.size} bytes" in text
    assert f"0x{fmt.APPLICATION_ID:08X}" in text


def test_log_with_nothing_in_it_is_read_at_once(leftover):
    """A writer that died right after it began its log has lost nothing."""
    log = leftover / (fmt.DATABASE + "-wal")
    log.write_bytes(log.read_bytes()[:32])

    with JournalRun(leftover) as run:
        assert run.header.uid == header().uid
        assert len(run.fits()) == 0

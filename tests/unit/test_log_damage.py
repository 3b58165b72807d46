"""Damage to a journal is reported, or it does no harm; it is never read as good."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import zlib

import numpy as np
import pytest
from run_samples import fit, header, key, params, result, results

from weightsearch._records import OK, FitRecord, Weights
from weightsearch.exceptions import CorruptStoreError, StoreError
from weightsearch.store import verify
from weightsearch.store._journal import _format as fmt
from weightsearch.store._journal._reader import JournalRun
from weightsearch.store._journal._writer import Journal

COUNT = 12


@pytest.fixture
def folder(tmp_path):
    """The journal's folder of a store at ``tmp_path / "search.h5"``."""
    path = tmp_path.resolve() / "search.h5.journal"
    path.mkdir()
    return path


def write(folder, *, end):
    """Write a journal, left as by `end`: "killed", "closed" or "finished"."""
    place = folder if end != "killed" else folder.with_name("writing")
    place.mkdir(exist_ok=True)
    journal = Journal(place)
    journal.begin(header(), [(np.arange(90), np.arange(60))])
    journal.set_params(0, params(COUNT))
    for number in range(COUNT):
        journal.append(fit(number, failed=number == 3, hidden=8 + number % 2))
    if end == "finished":
        journal.finish(results(COUNT))
    if end == "killed":
        shutil.copytree(place, folder, dirs_exist_ok=True)
    journal.close()
    if end == "killed":
        shutil.rmtree(place)


def content(folder):
    """Everything that a journal gives, in a form that can be compared."""
    with JournalRun(folder) as run:
        table = run.fits()
        got = [run.header, tuple(run.params()), run.best_index()]
        for column in (table.candidate, table.split, table.failed, table.has_weights):
            got.append(column.tolist())
        got.append(table.key.tolist())
        for row in range(len(table)):
            got.append(repr(run.result(row)))
            got.append(run.specs(row))
            if table.has_weights[row]:
                weights = run.read_all(row)
                got.append([(n, a.dtype.str, a.tobytes()) for n, a in weights.items()])
        got.append([(n, a.tobytes()) for n, a in run.cv_results().items()])
        got.append([a.tobytes() for pair in run.splits() for a in pair])
        specs = run.best_specs()
        if specs is not None:
            got.append([run.read_best(spec.name).tobytes() for spec in specs.arrays])
        return got


@pytest.mark.parametrize("end", ["killed", "closed", "finished"])
def test_every_bit_flip_is_reported_or_harmless(folder, end):
    """200 flips: an error, a problem of verify, or exactly what was written."""
    write(folder, end=end)
    good = content(folder)
    store = folder.with_name("search.h5")
    assert verify(store) == []
    files = [path for path in folder.iterdir() if not path.name.endswith("-shm")]
    places = [(p, p.stat().st_size) for p in sorted(files) if p.stat().st_size]
    chance = random.Random(f"flips of a {end} journal")
    outcomes = {"error": 0, "verify": 0, "harmless": 0}
    silent = []
    for number in range(200):
        # Half of the flips in each file, so that no file is too small to be hit.
        path, size = places[number % len(places)]
        byte, bit = chance.randrange(size), chance.randrange(8)
        original = path.read_bytes()
        damaged = bytearray(original)
        damaged[byte] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            if content(folder) == good:
                outcomes["harmless"] += 1
            elif verify(store):
                outcomes["verify"] += 1
            else:
                silent.append(f"{path.name} byte {byte} bit {bit}")
        except StoreError:
            outcomes["error"] += 1
            assert verify(store), "verify is silent about what reading reports"
        path.write_bytes(original)

    print(end, outcomes)
    assert silent == []
    assert outcomes["error"] > 0
    assert content(folder) == good


@pytest.mark.parametrize("end", ["killed", "closed", "finished"])
def test_every_truncation_is_reported_or_costs_the_tail(folder, end):
    """A journal's file cut at any place gives an error or the first fits."""
    write(folder, end=end)
    good = content(folder)
    candidates = good[3]
    chance = random.Random("truncations")
    for name in (fmt.ARRAYS, fmt.DATABASE, fmt.DATABASE + "-wal"):
        path = folder / name
        if not path.exists():
            continue
        original = path.read_bytes()
        for _ in range(15):
            path.write_bytes(original[: chance.randrange(len(original))])
            try:
                found = content(folder)[3]
            except StoreError:
                continue
            assert found == candidates[: len(found)]
        path.write_bytes(original)


def test_damaged_array_is_named_and_the_others_can_be_read(folder):
    """One flipped byte costs one array, and the error says which."""
    write(folder, end="closed")
    with JournalRun(folder) as run:
        position = run.content.row(5)[7]
    path = folder / fmt.ARRAYS
    raw = bytearray(path.read_bytes())
    raw[position] ^= 1
    path.write_bytes(raw)

    with JournalRun(folder) as run:
        with pytest.raises(CorruptStoreError, match="coefs_/0") as caught:
            run.read(5, "coefs_/0")
        assert caught.value.place == "fit 5"
        assert run.read(5, "coefs_/1").size
        assert [row for row, _ in run.damaged()] == [5]


def test_bytes_behind_the_last_row_are_ignored(folder):
    """What a killed writer had written of its next fit does not count."""
    write(folder, end="killed")
    good = content(folder)
    with (folder / fmt.ARRAYS).open("ab") as file:
        file.write(fmt.pack_frame(fmt.FIT, COUNT, 1000) + b"x" * 500)

    assert content(folder) == good
    assert verify(folder.with_name("search.h5")) == []


def test_lost_rows_are_noticed(folder):
    """Rows that vanish with their log are missed, since the bytes are there."""
    write(folder, end="killed")
    log = folder / (fmt.DATABASE + "-wal")
    raw = bytearray(log.read_bytes())
    raw[len(raw) // 2] ^= 1
    log.write_bytes(raw)

    problems = verify(folder.with_name("search.h5"))
    assert any("missing" in problem.message for problem in problems)


def test_lost_last_row_of_a_closed_journal_is_an_error(folder):
    """The last frame counts the rows, so that none of them can go unseen."""
    write(folder, end="closed")
    with sqlite3.connect(folder / fmt.DATABASE) as database:
        database.execute("DELETE FROM fit WHERE id=?", (COUNT - 1,))
    database.close()

    with pytest.raises(CorruptStoreError, match=f"fit {COUNT - 1}"):
        JournalRun(folder)


def test_missing_row_in_the_middle_is_an_error(folder):
    """Damage in the middle is no torn tail."""
    write(folder, end="closed")
    with sqlite3.connect(folder / fmt.DATABASE) as database:
        database.execute("DELETE FROM fit WHERE id=4")
    database.close()

    with pytest.raises(CorruptStoreError, match="fit 4"):
        JournalRun(folder)
    with JournalRun(folder, salvage=True) as run:
        assert len(run.fits()) == COUNT - 1
        assert run.n_lost == 1


def test_missing_file_of_bytes_is_an_error(folder):
    """A database without its arrays is damage, not an absent journal."""
    write(folder, end="closed")
    (folder / fmt.ARRAYS).unlink()

    with pytest.raises(CorruptStoreError, match="missing"):
        JournalRun(folder)


def forge(folder, statement, *values):
    """Change a journal as a stranger could, checksums included."""
    database = sqlite3.connect(folder / fmt.DATABASE)
    database.execute(statement, values)
    database.commit()
    for table in fmt.TABLES:
        for *row, _ in database.execute(f"SELECT * FROM {table}").fetchall():
            crc = fmt.row_crc(table, row)
            database.execute(f"UPDATE {table} SET crc=? WHERE id=?", (crc, row[0]))
    database.commit()
    database.close()


@pytest.mark.parametrize(
    "spec",
    [
        '{"arrays":[["w","<f8",[1000000,1000000],"C",8]],"ties":{},"encodings":{}}',
        '{"arrays":[["w","|O",[2],"C",8]],"ties":{},"encodings":{}}',
        '{"arrays":[["w","<f8",[-1],"C",8]],"ties":{},"encodings":{}}',
        '{"arrays":[["w","<f8",[2],"K",8]],"ties":{},"encodings":{}}',
        '{"arrays":[["w","<f8",[2],"C",1]],"ties":{},"encodings":{}}',
        '{"arrays":[["w","<f8",[2.5],"C",8]],"ties":{},"encodings":{}}',
        '{"arrays":[["w","unknown_type",[2],"C",10000]],"ties":{},"encodings":{}}',
        '{"arrays":[["w","<f8",[2],"C",8],["w","<f8",[2],"C",8]],"ties":{},'
        '"encodings":{}}',
        '{"arrays":[["w"]],"ties":{},"encodings":{}}',
        '{"arrays":{},"ties":[],"encodings":{}}',
        "[" * 100_000,
        "null",
    ],
    ids=range(12),
)
def test_forged_layouts_are_refused(folder, spec):
    """A stranger's layout asks for nothing that the bytes do not have."""
    write(folder, end="closed")
    forge(folder, "UPDATE layout SET spec=? WHERE id=1", spec)

    with pytest.raises(CorruptStoreError):
        content(folder)
    assert verify(folder.with_name("search.h5"))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("candidate", -5),
        ("split", -2),
        ("failed", 7),
        ("weights", 0),
        ("position", -1),
        ("position", 2**60),
        ("layout", 999),
        ("crcs", b""),
        ("result", "[]"),
        ("result", '{"a":'),
        ("source_uid", "nobody"),
        ("fit_key", "k" * 1000),
    ],
)
def test_forged_rows_are_refused(folder, column, value):
    """A stranger's row with right checksums is held to what a row may hold."""
    write(folder, end="closed")
    forge(folder, f"UPDATE fit SET {column}=? WHERE id=1", value)

    with pytest.raises(CorruptStoreError):
        content(folder)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW more AS SELECT 1",
        "CREATE TRIGGER t AFTER INSERT ON fit BEGIN DELETE FROM fit; END",
        "CREATE TABLE more(x)",
        "CREATE INDEX i ON fit(candidate)",
        "ALTER TABLE fit ADD COLUMN more",
        "DROP TABLE part",
    ],
)
def test_other_schemas_are_refused(folder, statement):
    """A stranger's database runs nothing: its schema is ours or it is not read."""
    write(folder, end="closed")
    with sqlite3.connect(folder / fmt.DATABASE) as database:
        database.execute(statement)
    database.close()

    with pytest.raises(CorruptStoreError, match="schema"):
        JournalRun(folder)


@pytest.mark.parametrize("name", [fmt.DATABASE, fmt.ARRAYS])
def test_links_and_pipes_are_refused(folder, name):
    """Reading a journal follows no link out of it and waits for no pipe."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes in folders")
    write(folder, end="closed")
    path = folder / name
    path.rename(folder / "other")
    path.symlink_to(folder / "other")
    with pytest.raises(CorruptStoreError, match="plain file"):
        JournalRun(folder)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CorruptStoreError, match="plain file"):
        JournalRun(folder)


def test_foreign_database_is_refused(folder):
    """A database of another program in the journal's place is none of ours."""
    with sqlite3.connect(folder / fmt.DATABASE) as database:
        database.execute("CREATE TABLE t(x)")
    database.close()
    (folder / fmt.ARRAYS).write_bytes(b"")

    with pytest.raises(CorruptStoreError, match="no journal"):
        JournalRun(folder)


def test_row_checksum_tells_kinds_and_lengths_apart():
    """Values that look alike side by side have different checksums."""
    rows = [("ab", "c"), ("a", "bc"), ("abc", ""), ("abc", None)]
    found = {fmt.row_crc("meta", (1, *row)) for row in rows}

    assert len(found) == len(rows)
    assert fmt.row_crc("meta", (1, "é", None)) == fmt.row_crc(
        "meta", (1, "é".encode(), None)
    )


def test_row_checksum_is_the_documented_one():
    """The checksum can be computed from the normative page alone."""
    raw = b"i" + (8).to_bytes(8, "little") + (-2).to_bytes(8, "little", signed=True)
    raw += b"t" + (2).to_bytes(8, "little") + "é".encode()
    raw += b"n" + (0).to_bytes(8, "little")

    assert fmt.row_crc("meta", (-2, "é", None)) == zlib.crc32(raw)


def test_orphaned_frames_of_failed_appends_do_no_harm(folder):
    """A record that could not be written is written over by the next one."""
    journal = Journal(folder)
    journal.begin(header())
    journal.set_params(0, params(2))
    journal.append(fit(0))
    journal._bytes._file.seek(0, os.SEEK_END)
    journal._bytes._file.write(b"half a record")
    bad = Weights({"w": np.arange(5.0)})
    journal.append(FitRecord(1, 0, OK, key(1), result(1), bad))
    journal.close()

    assert verify(folder.with_name("search.h5")) == []
    with JournalRun(folder) as run:
        assert run.read(1, "w").tolist() == [0, 1, 2, 3, 4]


def test_bytes_of_another_run_are_not_read(folder, tmp_path):
    """A database and bytes that do not belong together are told apart."""
    write(folder, end="closed")
    other = tmp_path / "other"
    other.mkdir()
    journal = Journal(other)
    journal.begin(header(7))
    journal.set_params(0, params(1))
    journal.append(fit(0))
    journal.close()
    shutil.copy(other / fmt.ARRAYS, folder / fmt.ARRAYS)

    with pytest.raises(CorruptStoreError, match="uid"):
        JournalRun(folder)

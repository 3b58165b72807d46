"""Many fits go from the journal into the file as bytes, and none is changed."""

from __future__ import annotations

import numpy as np
import pytest
from run_samples import header, key, params, result, results

from weightsearch._records import OK, FitRecord, Weights
from weightsearch.exceptions import CorruptStoreError
from weightsearch.store import Hdf5Store, WriteSession, verify
from weightsearch.store._hdf5 import _layout as names
from weightsearch.store._journal._bulk import open_rows
from weightsearch.store._journal._format import ARRAYS
from weightsearch.store._journal._reader import JournalRun

ml_dtypes = pytest.importorskip("ml_dtypes")

PADDED = np.dtype([("a", "u1"), ("b", "<f8")], align=True)


def small(number):
    """Arrays of every kind that a record has: types, orders, no axes, no elements."""
    rng = np.random.default_rng(number)
    return {
        "w": rng.normal(size=(5, 3)),
        "bits": rng.normal(size=7) > 0,
        "half": rng.normal(size=4).astype(ml_dtypes.bfloat16),
        "text": np.array([f"{number:04}", "äöü"]),
        "big": np.arange(number, number + 3, dtype=">i4"),
        "scalar": np.array(float(number)),
        "none": np.empty((0, 4)),
    }


def fortran(number):
    """Arrays that the file has in another order than the journal."""
    return {"w": np.asfortranarray(small(number)["w"]), "v": np.arange(3.0) + number}


def padded(number):
    """Arrays with bytes between fields."""
    array = np.zeros(4, PADDED)
    array["b"] = number
    return {"w": array}


def large(number):
    """Arrays of more than a mebibyte together, one of them of more than four."""
    rng = np.random.default_rng(number)
    return {"w": rng.normal(size=(700, 800)), "b": rng.normal(size=9)}


def begin(path, kinds, count=12):
    """Open a session with fits of these kinds in turn, and some without weights."""
    session = WriteSession.open(path, durable=False)
    session.begin(header())
    session.set_params(0, params(count))
    for number in range(count):
        session.append(FitRecord(number, 0, OK, key(100 + number), result(number)))
        arrays = Weights(kinds[number % len(kinds)](number))
        session.append(FitRecord(number, -1, OK, key(number), result(number), arrays))
    return session


@pytest.mark.parametrize("block", [names.BLOCK_BYTES, 1000, 1])
@pytest.mark.parametrize(
    "kinds", [(small,), (large,), (small, fortran), (padded, small), (large, small)]
)
def test_moved_arrays_are_the_same_bit_for_bit(tmp_path, monkeypatch, kinds, block):
    """Whatever lies between them, and however many are moved at once."""
    monkeypatch.setattr(names, "BLOCK_BYTES", block)
    path = tmp_path.resolve() / "search.h5"

    begin(path, kinds).commit(results(12))

    assert verify(path) == []
    with Hdf5Store(path) as store:
        (run,) = store.runs.values()
        fits = run.fits()
        for row in np.flatnonzero(fits.has_weights).tolist():
            number = int(fits.candidate[row])
            expected = kinds[number % len(kinds)](number)
            got = run.read_all(row)
            assert list(got) == list(expected)
            for name, array in expected.items():
                assert got[name].dtype == array.dtype
                assert got[name].flags.f_contiguous == array.flags.f_contiguous
                assert got[name].tobytes() == array.tobytes()


@pytest.mark.parametrize(("kind", "moved"), [(small, True), (fortran, False)])
def test_only_equal_bytes_are_moved(tmp_path, kind, moved):
    """Arrays that the file has in another order are read one by one."""
    path = tmp_path.resolve() / "search.h5"
    with begin(path, (kind,)), JournalRun(path.with_name("search.h5.journal")) as run:
        rows = np.flatnonzero(run.fits().has_weights).tolist()
        arrays = run.specs(rows[0]).arrays

        assert (open_rows(run.content, rows, arrays, 2**20) is not None) == moved
        assert open_rows(run.content, rows, arrays, 10) is None


@pytest.mark.parametrize("kind", [small, large])
def test_damage_stops_the_move_and_is_named(tmp_path, kind):
    """A flipped bit of one of many fits: no file is made, and the journal stays."""
    path = tmp_path.resolve() / "search.h5"
    session = begin(path, (kind,))
    arrays = path.with_name("search.h5.journal") / ARRAYS
    written = arrays.read_bytes()
    place = written.index(kind(11)["w"].tobytes()) + 13
    with arrays.open("r+b") as file:
        file.seek(place)
        file.write(bytes([written[place] ^ 16]))

    with session, pytest.raises(CorruptStoreError, match="fit 23: the checksum"):
        session.commit(results(12))

    assert arrays.exists()
    assert not path.exists()


@pytest.mark.parametrize("kind", [small, large])
def test_lost_end_is_named(tmp_path, kind):
    """Bytes that are gone when they are to be moved are not made up."""
    path = tmp_path.resolve() / "search.h5"
    folder = path.with_name("search.h5.journal")
    with begin(path, (kind,)), JournalRun(folder) as run:
        rows = np.flatnonzero(run.fits().has_weights).tolist()
        moving = open_rows(run.content, rows, run.specs(rows[0]).arrays, 2**30)
        with (folder / ARRAYS).open("r+b") as file:
            file.truncate((folder / ARRAYS).stat().st_size - 100)

        index = len(kind(0)) - 2 if kind is small else 1
        (name,) = list(kind(0))[index : index + 1]
        out = np.empty((len(rows), kind(0)[name].nbytes), np.uint8)

        with pytest.raises(CorruptStoreError, match=r"fit 23.* is cut off"):
            moving.read(index, out)

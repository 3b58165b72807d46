"""Verification finds what is wrong, and no wrong bit is ever taken for a value."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from store_memory import (
    MemoryRun,
    complete,
    everything,
    good_store,
    mlp_run,
    refit,
    same,
    write,
)

from weightsearch._records import Weights
from weightsearch.exceptions import CorruptStoreError, StoreError
from weightsearch.store._columns import write_column, write_text
from weightsearch.store._reader import Hdf5Store
from weightsearch.store._verify import Problem, verify_file

RUN = "/runs/20250101T000000Z-aaaa"


def rich_store(path: Path) -> Path:
    """Write a store with stacked, ragged and filtered content and two runs."""
    ragged = [
        refit(i, Weights({"nodes": np.arange(i), "w": np.ones((2, i))}))
        for i in range(20)
    ]
    runs = [mlp_run(6), MemoryRun(ragged, name="ragged", uid="b" * 32)]
    return write(path, *map(complete, runs), compression="gzip")


@pytest.mark.parametrize("make", [good_store, rich_store])
def test_a_good_store_has_no_problem(tmp_path: Path, make: Callable[[Path], Path]):
    """Nothing is wrong with what was just written."""
    assert verify_file(make(tmp_path / "a.h5")) == []


@pytest.mark.parametrize("make", [good_store, rich_store])
@pytest.mark.parametrize("part", range(10))
def test_no_flipped_bit_is_silent(
    tmp_path: Path, make: Callable[[Path], Path], part: int
):
    """One wrong bit, at 200 places: reported, or what is read is what was written."""
    path = make(tmp_path / "a.h5")
    good = path.read_bytes()
    with Hdf5Store(path) as store:
        expected = everything(store)
    rng = np.random.default_rng(part)
    for place in rng.integers(0, 8 * len(good), 20).tolist():
        bad = bytearray(good)
        bad[place // 8] ^= 1 << place % 8
        problems = verify_file(io.BytesIO(bad))
        try:
            with Hdf5Store(io.BytesIO(bad)) as store:
                found = everything(store)
        except StoreError:
            assert problems, place
        else:
            assert same(found, expected), place


def test_damage_further_on_costs_no_row_before_it(tmp_path: Path):
    """Rows that are read one after another in blocks are good up to a bad one."""
    rows = [refit(i, Weights({"w": np.full(1000, float(i))})) for i in range(300)]
    run = MemoryRun(rows)
    path = write(tmp_path / "a.h5", complete(run), compression="gzip")
    with h5py.File(path, "r") as file:
        weights = file[f"{RUN}/architectures/0/weights/w"].id
        n_chunks = weights.get_num_chunks()
        last = weights.get_chunk_info(n_chunks - 1)
    bad = bytearray(path.read_bytes())
    bad[last.byte_offset + last.size // 2] ^= 255
    n_good = last.chunk_offset[0]
    with Hdf5Store(io.BytesIO(bad)) as store:
        (stored,) = store.runs.values()
        for row in range(n_good):
            assert np.array_equal(stored.read(row, "w"), rows[row].weights["w"])
        with pytest.raises(CorruptStoreError):
            stored.read(n_good, "w")


@pytest.mark.parametrize("part", range(4))
def test_no_missing_end_is_silent(tmp_path: Path, part: int):
    """A file cut anywhere is reported."""
    good = good_store(tmp_path / "a.h5").read_bytes()
    rng = np.random.default_rng(part)
    for length in rng.integers(0, len(good), 20).tolist():
        assert verify_file(io.BytesIO(good[:length])), length


def test_no_zeroed_block_is_silent(tmp_path: Path):
    """A block that a disk gave back as zeros is reported, or was not used."""
    path = rich_store(tmp_path / "a.h5")
    good = path.read_bytes()
    with Hdf5Store(path) as store:
        expected = everything(store)
    for start in range(0, len(good), 512):
        bad = good[:start] + bytes(len(good[start : start + 512])) + good[start + 512 :]
        if not verify_file(io.BytesIO(bad)):
            with Hdf5Store(io.BytesIO(bad)) as store:
                assert same(everything(store), expected), start


def replaced(file: h5py.File, name: str, data: Any) -> None:
    """Put another column, with a right checksum, in the place of one."""
    group, _, last = name.rpartition("/")
    del file[RUN][name]
    write_column(file[RUN][group or "."].id, last, np.asarray(data))


def set_attribute(name: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        old = file[RUN].attrs.get_id(name).dtype
        file[RUN].attrs.create(name, value, dtype=old)

    return change


def foreign_candidate(file: h5py.File) -> None:
    replaced(file, "fits/candidate", np.full(8, 99))


def foreign_split(file: h5py.File) -> None:
    replaced(file, "fits/split", np.full(8, -2))


def foreign_layout(file: h5py.File) -> None:
    replaced(file, "fits/architecture", np.full(8, 7))


def foreign_row(file: h5py.File) -> None:
    replaced(file, "fits/row", np.full(8, 40))


def doubled_row(file: h5py.File) -> None:
    replaced(file, "fits/row", np.zeros(8, int))


def short_column(file: h5py.File) -> None:
    replaced(file, "cv_results/mean_test_score", np.zeros(3))


def other_type(file: h5py.File) -> None:
    replaced(file, "fits/candidate", np.zeros(8, "<f8"))


def bad_json(file: h5py.File) -> None:
    del file[RUN]["architectures/1/spec"]
    write_text(file[RUN]["architectures/1"].id, "spec", "{}")


def missing_weight(file: h5py.File) -> None:
    del file[RUN]["architectures/0/weights/coefs_/1"]


def missing_layout(file: h5py.File) -> None:
    del file[RUN]["architectures/0"]


def missing_header(file: h5py.File) -> None:
    del file[RUN]["header"]


def missing_checksum(file: h5py.File) -> None:
    del file[RUN]["params"].attrs["crc32"]


def changed_weight(file: h5py.File) -> None:
    file[RUN]["architectures/0/weights/coefs_/0"][2] += 1


def second_uid(file: h5py.File) -> None:
    file.copy(file[RUN], file["runs"], "copy")


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        (foreign_candidate, f"{RUN}/fits/candidate"),
        (foreign_split, f"{RUN}/fits/split"),
        (foreign_layout, f"{RUN}/fits/architecture"),
        (foreign_row, f"{RUN}/architectures/0"),
        (doubled_row, f"{RUN}/architectures/0"),
        (short_column, f"{RUN}/cv_results/mean_test_score"),
        (other_type, f"{RUN}/fits/candidate"),
        (bad_json, f"{RUN}/architectures/1/spec"),
        (missing_weight, f"{RUN}/architectures/0/weights/coefs_/1"),
        (missing_layout, f"{RUN}/architectures"),
        (missing_header, f"{RUN}/header"),
        (missing_checksum, f"{RUN}/params"),
        (changed_weight, f"{RUN}/architectures/0/weights/coefs_/0[2]"),
        (second_uid, "/runs/copy"),
        (set_attribute("best_index", 8), RUN),
        (set_attribute("n_splits", 9), RUN),
        (set_attribute("status", b"running"), RUN),
        (set_attribute("n_candidates", 9), f"{RUN}/params"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_does_not_fit_together_is_named(
    tmp_path: Path, damage: Callable[[h5py.File], None], place: str
):
    """Wrong shapes and references are found although every checksum is right."""
    path = good_store(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        damage(file)

    problems = verify_file(path)

    assert place in [problem.place for problem in problems], problems


def test_a_missing_file_is_a_problem(tmp_path: Path):
    """Verifying never raises over the file's state."""
    (problem,) = verify_file(tmp_path / "nope.h5")

    assert isinstance(problem, Problem)
    assert "No such file" in problem.message

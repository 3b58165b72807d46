"""A fit is in the file once: runs refer to it, and what they need is kept."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from store_memory import (
    MemoryRun,
    complete,
    everything,
    mlp_run,
    refit,
    same,
    write,
)

from weightsearch._records import FitTable, ModelState
from weightsearch.exceptions import CorruptStoreError
from weightsearch.store._columns import write_column
from weightsearch.store._reader import Hdf5Store
from weightsearch.store._stored_run import Hdf5Run
from weightsearch.store._verify import verify_file
from weightsearch.store._writer import rewrite

OTHER = [("a", "1" * 32), ("b", "2" * 32), ("c", "3" * 32)]


class Referring(MemoryRun):
    """A run some of whose fits another run holds."""

    def __init__(self, run: MemoryRun, origins: list[tuple[str, int] | None]):
        super().__init__(run.records, name=run.header.name, uid=run.uid)
        self.header = run.header
        self.results = run.results
        self.origins = origins

    def fits(self) -> FitTable:
        return replace(
            super().fits(),
            origin=np.array([o[0] if o else "" for o in self.origins], "S32"),
            origin_row=np.array([o[1] if o else -1 for o in self.origins]),
        )


def run_with_states(count: int, name: str, uid: str) -> MemoryRun:
    """A run whose models have states that share a content."""
    run = complete(mlp_run(count, name=name, uid=uid))
    for row, record in enumerate(run.records):
        state = ModelState(
            f'{{"row":{row}}}', {"s" * 32: b"shared", f"{row:032}": b"x"}
        )
        run.records[row] = replace(record, state=state)
    return run


def grown(count: int, name: str, uid: str, first: MemoryRun) -> Referring:
    """A run that has all fits of another one, and more."""
    n_old = len(first.records)
    run = run_with_states(max(count, n_old + 1), name, uid)
    run.records[:n_old] = first.records
    origins = [(first.uid, row) for row in range(n_old)]
    return Referring(run, [*origins, *[None] * (len(run.records) - n_old)])


def doubled(run: MemoryRun) -> Referring:
    """A run whose first fit several of its candidates have."""
    origins = run.origins if isinstance(run, Referring) else [None] * len(run.records)
    run.records += run.records[:1] * 2
    return Referring(run, [*origins, (run.uid, 0), (run.uid, 0)])


def assert_is(stored: Hdf5Run, run: MemoryRun) -> None:
    """Hold a stored run to the run in memory, in each way of reading."""
    fits = stored.fits()
    for row, record in enumerate(run.records):
        assert fits.has_weights[row]
        assert stored.specs(row) == run.specs(row)
        assert same(dict(stored.read_all(row)), dict(record.weights))
        assert same(stored.read(row, "coefs_/1"), record.weights["coefs_/1"])
        assert stored.result(row) == run.result(row)
        if record.state is not None:
            assert stored.state(row) == run.state(row)
            for name, blob in record.state.blobs.items():
                assert stored.blob(name) == blob
                assert stored.blob_size(name) == len(blob)
    rows = np.arange(len(run.records))[::-2]
    assert same(stored.stack("intercepts_/1", rows), run.stack("intercepts_/1", rows))
    alike = stored.alike(rows)
    assert sorted(np.concatenate([at for _, at in alike])) == list(range(len(rows)))
    for specs, at in alike:
        assert all(run.specs(int(row)) == specs for row in rows[at])


@pytest.mark.parametrize("together", [False, True])
def test_a_run_refers_to_the_fits_of_another(tmp_path: Path, together: bool):
    """All ways of reading see no difference, and the arrays are there once."""
    first = run_with_states(20, *OTHER[0])
    second = grown(23, *OTHER[1], first)
    if together:
        path = write(tmp_path / "a.h5", first, second)
    else:
        path = write(write(tmp_path / "a.h5", first), second)

    with Hdf5Store(path) as store:
        assert_is(store.runs["a"], first)
        assert_is(store.runs["b"], second)
        assert store.runs["b"].best_specs() == second.specs(22)
    with h5py.File(path, "r") as file:
        layouts = file["runs/b/architectures"].values()
        assert sum(len(layout["crc32"]) for layout in layouts) == 3
    assert verify_file(path) == []


def test_references_lead_to_the_run_that_holds_the_fit(tmp_path: Path):
    """A run that refers to a run that refers points at the one that holds it."""
    first = run_with_states(4, *OTHER[0])
    second = grown(5, *OTHER[1], first)
    third = grown(6, *OTHER[2], second)
    path = write(write(write(tmp_path / "a.h5", first), second), third)

    with Hdf5Store(path) as store:
        origins = store.runs["c"].fits().origin.tolist()
        assert origins == [first.uid.encode()] * 4 + [second.uid.encode(), b""]
        assert_is(store.runs["c"], third)
    assert verify_file(path) == []


@pytest.mark.parametrize("rewritten", [False, True])
def test_what_others_need_is_kept(tmp_path: Path, rewritten: bool):
    """Removing a run that others refer to takes nothing from them."""
    first = run_with_states(8, *OTHER[0])
    runs = [grown(9, *OTHER[1], first), grown(10, *OTHER[2], first)]
    path = write(tmp_path / "a.h5", first, *runs, remove=[first.uid])
    if rewritten:
        rewrite(path)

    with Hdf5Store(path) as store:
        assert list(store.runs) == ["b", "c"]
        for run in runs:
            assert_is(store.runs[run.header.name], run)
        assert (store.by_uid(first.uid) is None) == rewritten
        assert {uid for uid, _ in store.catalog.fits()} == {run.uid for run in runs}
        if rewritten:
            assert set(store.runs["b"].fits().origin) == {b""}
            assert set(store.runs["c"].fits().origin[:8]) == {runs[0].uid.encode()}
    assert verify_file(path) == []


def test_what_nobody_needs_any_more_goes(tmp_path: Path):
    """When the last run that refers to a removed one goes, so does that one."""
    first = run_with_states(4, *OTHER[0])
    second = grown(5, *OTHER[1], first)
    third = grown(6, *OTHER[2], first)
    path = write(tmp_path / "a.h5", first, second, third, remove=[first.uid])
    with h5py.File(path) as file:
        assert list(file["kept"]) == [first.uid]

    write(path, remove=[second.uid])
    with h5py.File(path) as file:
        assert list(file["kept"]) == [first.uid]
    write(path, remove=[third.uid])
    with h5py.File(path) as file:
        assert len(file["kept"]) == len(file["runs"]) == 0
    assert verify_file(path) == []


@pytest.mark.parametrize("alone", [False, True])
def test_a_run_refers_to_its_own_fits(tmp_path: Path, alone: bool):
    """Rows of equal candidates share a fit, wherever that is, and go with the run."""
    first = run_with_states(4, *OTHER[0])
    second = doubled(grown(5, *OTHER[1], first))
    path = write(tmp_path / "a.h5", *([second] if alone else [first, second]))
    copy = tmp_path / "copy.h5"
    with Hdf5Store(path) as store:
        assert_is(store.runs["b"], second)
        held = store.runs["b"].fits().origin.tolist().count(b"")
        assert held == (5 if alone else 1)
        write(copy, *store.runs.values())
    assert verify_file(path) == []

    rewrite(copy)
    with Hdf5Store(copy) as store:
        assert_is(store.runs["b"], second)
    write(copy, remove=[first.uid])
    rewrite(copy)
    with Hdf5Store(copy) as store:
        assert_is(store.runs["b"], second)
        assert store.runs["b"].fits().origin.tolist().count(b"") == 5
    assert verify_file(copy) == []
    write(copy, remove=[second.uid])
    with h5py.File(copy) as file:
        assert len(file["kept"]) == len(file["runs"]) == 0


def test_a_fit_whose_holder_is_not_there_is_written(tmp_path: Path):
    """A run can be added to a store that does not have what it refers to."""
    first = run_with_states(4, *OTHER[0])
    second = grown(5, *OTHER[1], first)
    path = write(tmp_path / "a.h5", second)

    with Hdf5Store(path) as store:
        assert set(store.runs["b"].fits().origin) == {b""}
        assert_is(store.runs["b"], second)
    write(path, first)
    assert verify_file(path) == []


def test_a_removed_run_can_come_back(tmp_path: Path):
    """Adding a run that was removed but kept shows it again."""
    first = run_with_states(4, *OTHER[0])
    second = grown(5, *OTHER[1], first)
    path = write(tmp_path / "a.h5", first, second, remove=[first.uid])

    write(path, first)

    with Hdf5Store(path) as store:
        assert list(store.runs) == ["a", "b"]
        assert store.runs["a"].header.status == "complete"
    assert verify_file(path) == []


def lost_holder(file: h5py.File) -> None:
    del file["runs/a"]


def no_such_row(file: h5py.File) -> None:
    del file["runs/b/fits/origin_row"]
    rows = np.array([9, 1, 2, 3, -1], "<i8")
    write_column(file["runs/b/fits"].id, "origin_row", rows)


def round_trip(file: h5py.File) -> None:
    table = file["runs/a/fits"]
    for name, values in (
        ("origin", np.array(["2" * 32] * 4, "S32")),
        ("origin_row", np.arange(4)),
        ("has_weights", np.ones(4, bool)),
    ):
        write_column(table.id, name, values)


@pytest.mark.parametrize("damage", [lost_holder, no_such_row, round_trip])
def test_references_that_lead_nowhere_are_named(
    tmp_path: Path, damage: Callable[[h5py.File], None]
):
    """A wrong reference is an error of that row, and a problem; others are read."""
    first = run_with_states(4, *OTHER[0])
    second = grown(5, *OTHER[1], first)
    path = write(tmp_path / "a.h5", first, second)
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        damage(file)

    with Hdf5Store(path) as store:
        run = store.runs["b"]
        with pytest.raises(CorruptStoreError, match=r"does not hold it|is missing"):
            run.read_all(0)
        assert same(dict(run.read_all(4)), dict(second.records[4].weights))
    assert any(
        "is missing" in p.message or "hold it" in p.message for p in verify_file(path)
    )


def test_the_file_is_rewritten_when_most_of_it_is_unused(tmp_path: Path):
    """Removing more than half of a large file makes it small again."""
    rng = np.random.default_rng(0)
    large = MemoryRun([refit(0, mlp_run(1).records[0].weights)], name="large")
    large.records[0].weights["coefs_/0"] = rng.normal(size=(500, 500))
    small = mlp_run(2, name="small", uid="2" * 32)
    path = write(tmp_path / "a.h5", large, small)
    assert path.stat().st_size > 2_000_000

    write(path, remove=[large.uid])

    assert path.stat().st_size < 100_000
    with Hdf5Store(path) as store:
        assert list(store.runs) == ["small"]
    assert verify_file(path) == []


def test_a_damaged_index_is_made_again(tmp_path: Path):
    """Runs are found without the index, and the next commit repairs it."""
    first = run_with_states(4, *OTHER[0])
    second = grown(5, *OTHER[1], first)
    path = write(tmp_path / "a.h5", first, second)
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        record = file["index/runs"][0]
        record["uid"] = b"9" * 32
        file["index/runs"][0] = record

    assert any("/index/runs" in problem.place for problem in verify_file(path))
    with Hdf5Store(path) as store:
        assert set(store.runs) == {"a", "b"}
        assert_is(store.runs["b"], second)
    write(path, mlp_run(2), remove=[first.uid])

    assert verify_file(path) == []
    with Hdf5Store(path) as store:
        assert_is(store.runs["b"], second)
        assert sum(len(records) for _, records in store.catalog.fits()) == 7


def test_any_sequence_of_adding_and_removing(tmp_path: Path):
    """Whatever is added, removed and rewritten: what is left reads as it was."""
    rng = random.Random(0)
    path = write(tmp_path / "a.h5", mlp_run(1))
    write(path, remove=["a" * 32])
    model: dict[str, MemoryRun] = {}
    for number in range(40):
        if model and rng.random() < 0.3:
            gone = rng.choice(list(model))
            del model[gone]
            write(path, remove=[gone])
        elif rng.random() < 0.15:
            rewrite(path)
        else:
            uid = f"{number:032x}"
            run = run_with_states(rng.randint(1, 6), f"{number:04}", uid)
            if model and rng.random() < 0.7:
                run = grown(
                    6 + number, f"{number:04}", uid, rng.choice(list(model.values()))
                )
            if rng.random() < 0.3:
                run = doubled(run)
            model[uid] = run
            write(path, run)
        if number % 4 == 3:
            with Hdf5Store(path) as store:
                assert [run.uid for run in store.runs.values()] == list(model)
                for stored in store.runs.values():
                    assert_is(stored, model[stored.uid])
                everything(store)
            assert verify_file(path) == []

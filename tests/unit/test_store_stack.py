"""Reading one weight of many fits at once, and how few datasets hold them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from store_memory import MemoryRun, mlp_run, mlp_weights, refit, write

from weightsearch._records import Weights, WeightSpec, WeightSpecs
from weightsearch.exceptions import CorruptStoreError, WeightsNotFoundError
from weightsearch.store import _stacks
from weightsearch.store._reader import Hdf5Store
from weightsearch.store._schema import MAX_STACKS, RAGGED, STACKED
from weightsearch.store._stacks import plan

ROWS = [
    range(40),
    range(5, 9),
    [3],
    [7, 7, 2],
    range(39, -1, -1),
    range(0, 40, 2),
    [0, 39],
    [1, 30, 4, 5, 6, 22, 9, 11, 13, 15, 17],
]


def run_of(count: int, hidden: int = 3) -> MemoryRun:
    rng = np.random.default_rng(0)
    return MemoryRun([refit(i, mlp_weights(rng, hidden)) for i in range(count)])


def expected(run: MemoryRun, name: str, rows: object) -> np.ndarray:
    return np.stack([run.records[row].weights[name] for row in rows])


@pytest.mark.parametrize("rows", ROWS, ids=str)
@pytest.mark.parametrize("far", [0, 1, 8])
def test_any_rows_of_a_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: object, far: int
):
    """Any selection comes back in its order, however the reads are joined."""
    monkeypatch.setattr(_stacks, "_FAR", far)
    run = run_of(40)
    with Hdf5Store(write(tmp_path / "a.h5", run)) as store:
        (stored,) = store.runs.values()
        stack = stored.stack("coefs_/0", list(rows))

    np.testing.assert_array_equal(stack, expected(run, "coefs_/0", rows))
    assert stack.flags.c_contiguous


@pytest.mark.parametrize("rows", ROWS, ids=str)
def test_any_rows_of_a_ragged_layout(tmp_path: Path, rows: object):
    """Ragged layouts stack too, where the shapes of the chosen rows agree."""
    rng = np.random.default_rng(0)
    records = [refit(i, mlp_weights(rng, 3)) for i in range(40)]
    records += [refit(i, mlp_weights(rng, i)) for i in range(40, 40 + MAX_STACKS)]
    run = MemoryRun(records)
    with Hdf5Store(write(tmp_path / "a.h5", run)) as store:
        (stored,) = store.runs.values()
        assert stored.architecture(0).ragged
        stack = stored.stack("coefs_/0", list(rows))

    np.testing.assert_array_equal(stack, expected(run, "coefs_/0", rows))


def test_rows_of_several_layouts(tmp_path: Path):
    """Rows stack across layouts that differ in other weights only."""
    run = mlp_run(10)
    rows = [9, 0, 3, 4]
    with Hdf5Store(write(tmp_path / "a.h5", run)) as store:
        (stored,) = store.runs.values()
        assert stored.n_architectures == 2
        stack = stored.stack("intercepts_/1", rows)

    np.testing.assert_array_equal(stack, expected(run, "intercepts_/1", rows))


@pytest.mark.parametrize("rows", [range(200), range(0, 200, 4), [17, 3], [17]])
def test_damage_is_found_in_every_way_of_reading(tmp_path: Path, rows: object):
    """One wrong bit is reported with its row, whichever way the row is read."""
    path = write(tmp_path / "a.h5", run_of(200))
    place = "/runs/20250101T000000Z-aaaa/architectures/0/weights/coefs_/0"
    rows = sorted({*rows, 17})
    with h5py.File(path, "r+") as file:
        file[place][17, 0, 0] += 1

    with Hdf5Store(path) as store:
        (stored,) = store.runs.values()
        with pytest.raises(CorruptStoreError) as caught:
            stored.stack("coefs_/0", rows)

    assert caught.value.place == f"{place}[17]"


def test_different_shapes_do_not_stack(tmp_path: Path):
    """Rows of different shapes are refused with both shapes."""
    with Hdf5Store(write(tmp_path / "a.h5", mlp_run(4))) as store:
        (stored,) = store.runs.values()
        with pytest.raises(ValueError, match=r"\(4, 3\) and \(4, 4\)"):
            stored.stack("coefs_/0", [0, 1])


def test_unknown_names_and_rows_are_refused(tmp_path: Path):
    """A name, a row or weights that are not there are named in the error."""
    records = [refit(0, mlp_weights(np.random.default_rng(0))), refit(1, None)]
    with Hdf5Store(write(tmp_path / "a.h5", MemoryRun(records))) as store:
        (stored,) = store.runs.values()
        with pytest.raises(WeightsNotFoundError, match=r"'nope'.*'coefs_/0'"):
            stored.read(0, "nope")
        with pytest.raises(WeightsNotFoundError, match="'nope'"):
            stored.stack("nope", [0])
        with pytest.raises(WeightsNotFoundError, match="Fit 1 has no weights"):
            stored.read_all(1)
        with pytest.raises(WeightsNotFoundError, match="no fit 2"):
            stored.read(2, "coefs_/0")
        with pytest.raises(WeightsNotFoundError, match="no fit -1"):
            stored.result(-1)
        with pytest.raises(WeightsNotFoundError, match="no weights of a best"):
            stored.read_best("coefs_/0")
        with pytest.raises(ValueError, match="at least one"):
            stored.stack("coefs_/0", [])


def count_datasets(path: Path) -> int:
    found: list[str] = []
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.append(name) if hasattr(item, "shape") else None
        )
    return len(found)


def test_many_candidates_take_few_datasets(tmp_path: Path):
    """10,000 candidates of one architecture are as many datasets as one has."""
    weights = Weights({"coef_": np.arange(4.0), "intercept_": np.zeros(())})
    run = MemoryRun([refit(index, weights) for index in range(10_000)])

    assert count_datasets(write(tmp_path / "a.h5", run)) < 30


def test_many_shapes_take_few_datasets(tmp_path: Path):
    """So are 1000 candidates that all have shapes of their own."""
    run = MemoryRun(
        [
            refit(i, Weights({"nodes": np.arange(i), "w": np.ones((i, 2))}))
            for i in range(1000)
        ]
    )

    assert count_datasets(write(tmp_path / "a.h5", run)) < 30


def test_many_sets_of_names_take_few_datasets(tmp_path: Path):
    """So are ensembles of which each has another number of members."""
    run = MemoryRun(
        [
            refit(i, Weights({f"trees/{k}": np.arange(k + 1) for k in range(i % 40)}))
            for i in range(400)
        ]
    )

    assert count_datasets(write(tmp_path / "a.h5", run)) < 30 + 40


def specs(*arrays: tuple[str, tuple[int, ...], str], **more: dict) -> WeightSpecs:
    return WeightSpecs(tuple(WeightSpec(*array) for array in arrays), **more)


def test_equal_specs_are_stacked():
    """Rows that differ in a shape lie in stacks of their own, in order."""
    one, two = specs(("w", (2,), "<f4")), specs(("w", (3,), "<f4"))

    layouts = plan([(0, one), (2, two), (5, one)])

    assert [(one.kind, one.rows) for one in layouts] == [
        (STACKED, [0, 5]),
        (STACKED, [2]),
    ]


@pytest.mark.parametrize(
    ("count", "kind"), [(MAX_STACKS, STACKED), (MAX_STACKS + 1, RAGGED)]
)
def test_shapes_beyond_the_limit_are_ragged(count: int, kind: str):
    """A weight may have so many shapes and no more before its layout is ragged."""
    layouts = plan((i, specs(("w", (i,), "<f4"))) for i in range(count))

    assert {one.kind for one in layouts} == {kind}
    assert sum(len(one.rows) for one in layouts) == count


def test_families_with_a_contradiction_stay_apart():
    """A name of two types, other ties, or another order is another layout."""
    families = [specs((f"w{i}", (1,), "<f4")) for i in range(MAX_STACKS)]
    families += [
        specs(("w0", (1,), "<f8")),
        specs(("w1", (1,), "<f4"), ("w0", (1,), "<f4")),
        specs(("w0", (1,), "<f4"), ties={"v": "w0"}),
    ]

    layouts = plan(enumerate(families))

    assert [one.kind for one in layouts] == [RAGGED] * 3
    assert [one.rows for one in layouts] == [
        [*range(MAX_STACKS), MAX_STACKS + 1],
        [MAX_STACKS],
        [MAX_STACKS + 2],
    ]

"""What is written comes back, bit for bit: every type, shape, order and name."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
from store_memory import (
    STORE_UID,
    MemoryRun,
    complete,
    everything,
    good_store,
    mlp_run,
    mlp_weights,
    refit,
    same,
    specs_of,
    write,
)

from weightsearch._records import (
    FAILED,
    REFIT,
    FitRecord,
    RunResults,
    Splits,
    Weights,
)
from weightsearch.store._reader import Hdf5Store
from weightsearch.store._verify import verify_file

PADDED = np.dtype(
    {"names": ["a", "b"], "formats": ["u1", "<f8"], "offsets": [0, 8], "itemsize": 24}
)
SCALARS = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(sizes=(64, 128)),
    hnp.byte_string_dtypes(min_len=1, max_len=4),
    hnp.unicode_string_dtypes(min_len=1, max_len=4),
    hnp.datetime64_dtypes(max_period="ns", min_period="ns"),
)
DTYPES = SCALARS | hnp.array_dtypes(SCALARS, max_size=3) | st.just(PADDED)
ARRAYS = DTYPES.flatmap(
    lambda dtype: hnp.arrays(
        dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    )
)
ORDERED = st.tuples(ARRAYS, st.booleans()).map(
    lambda pair: np.asfortranarray(pair[0]) if pair[1] else pair[0]
)
NAMES = st.text(st.sampled_from("ab/.%é"), max_size=4)
WEIGHTS = st.dictionaries(NAMES, ORDERED, max_size=3).map(Weights)


def back(run: MemoryRun, path: Path, **options: Any) -> Hdf5Store:
    """Write a run and open what was written, from memory."""
    path.unlink(missing_ok=True)
    write(path, run, **options)
    return Hdf5Store(io.BytesIO(path.read_bytes()))


def assert_equal(run: MemoryRun, store: Hdf5Store) -> None:
    """Hold a stored run to the run in memory."""
    (stored,) = store.runs.values()
    for row, record in enumerate(run.records):
        if record.weights is None:
            assert stored.specs(row) is None
            continue
        assert stored.specs(row) == specs_of(record.weights)
        found = stored.read_all(row)
        assert same(dict(found), dict(record.weights))
        assert (found.ties, found.encodings) == (
            record.weights.ties,
            record.weights.encodings,
        )
        for name, array in record.weights.items():
            assert same(stored.read(row, name), array)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(WEIGHTS, max_size=4))
def test_any_weights_come_back(tmp_path: Path, weights: list[Weights]):
    """Any names, types, shapes and orders come back, and verify finds nothing."""
    run = MemoryRun([refit(index, one) for index, one in enumerate(weights)])

    with back(run, tmp_path / "a.h5") as store:
        assert_equal(run, store)
    assert verify_file(tmp_path / "a.h5") == []


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(WEIGHTS, min_size=18, max_size=24))
def test_any_weights_come_back_from_ragged_layouts(
    tmp_path: Path, weights: list[Weights]
):
    """The same holds where there are so many sets of weights that they are merged."""
    run = MemoryRun([refit(index, one) for index, one in enumerate(weights)])

    with back(run, tmp_path / "a.h5") as store:
        assert_equal(run, store)
    assert verify_file(tmp_path / "a.h5") == []


@pytest.mark.parametrize("name", ["bfloat16", "float8_e5m2", "int4"])
def test_ml_dtypes_come_back(tmp_path: Path, name: str):
    """Types that numpy lacks come back as themselves, single and stacked."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.arange(6).reshape(2, 3).astype(getattr(ml_dtypes, name))
    run = MemoryRun([refit(index, Weights({"w": array})) for index in range(3)])

    with back(run, tmp_path / "a.h5") as store:
        assert_equal(run, store)
        (stored,) = store.runs.values()
        stack = stored.stack("w", [0, 1, 2])
        assert (stack.dtype, stack.shape) == (array.dtype, (3, 2, 3))
        assert stored.specs(0).arrays[0].dtype == name


def test_trees_come_back(tmp_path: Path):
    """Node arrays, each tree with a shape of its own, come back in full."""
    X, y = load_iris(return_X_y=True)
    noise = np.random.default_rng(0).permutation(y)
    records = []
    for leaves in range(2, 27):
        tree = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0)
        state = tree.fit(X, noise).tree_.__getstate__()
        weights = Weights({"nodes": state["nodes"], "values": state["values"]})
        records.append(refit(leaves - 2, weights))
    run = MemoryRun(records)

    with back(run, tmp_path / "a.h5") as store:
        assert_equal(run, store)
        (stored,) = store.runs.values()
        assert stored.n_architectures == 1


def test_ties_and_encodings_come_back(tmp_path: Path):
    """Names that share memory, and names that stand for several arrays, are kept."""
    weights = Weights(
        {"a": np.arange(3), "coef_/data": np.arange(2.0)},
        ties={"b": "a"},
        encodings={"coef_": "csr"},
    )
    run = MemoryRun(
        [refit(0, weights), refit(1, mlp_weights(np.random.default_rng(0)))]
    )

    with back(run, tmp_path / "a.h5") as store:
        assert_equal(run, store)
        (stored,) = store.runs.values()
        assert same(stored.read(0, "b"), np.arange(3))


def test_a_complete_run_comes_back(tmp_path: Path):
    """Header, params, results, best weights and splits come back."""
    folds = [(np.arange(4), np.arange(4, 6)), (np.arange(4, 6), np.arange(4))]
    drawn = [(np.array([5, 0, 5]), np.array([2, 1])), (np.arange(2), np.array([3]))]
    splits = [Splits(0, 3, 6, folds), Splits(3, 2, 6, drawn)]
    run = mlp_run(5, splits=splits, params=['{"a":"é\\u0000"}', "{}", "", "1", "2"])
    results = complete(run).results
    best = run.records[-1].weights

    with back(run, tmp_path / "a.h5") as store:
        (stored,) = store.runs.values()
        assert store.uid == STORE_UID
        assert stored.uid == run.uid
        assert stored.header.status == "complete"
        assert stored.header.settings == dict(run.header.settings)
        assert list(stored.params()) == list(run.params())
        assert same(stored.cv_results(), dict(results.cv_results))
        assert stored.best_index() == 4
        for name, array in best.items():
            assert same(stored.read_best(name), array)
        assert same([vars(one) for one in stored.splits()], list(map(vars, splits)))
        assert same(vars(stored.fits()), vars(run.fits()))
        assert stored.result(3) == run.result(3)


def test_awkward_results_come_back(tmp_path: Path):
    """Failed fits without weights, nan scores and long tracebacks are kept."""
    records = [
        FitRecord(
            0, 0, FAILED, None, {"test_scores": math.nan, "fit_error": "e" * 9000}
        ),
        FitRecord(0, REFIT, FAILED, None, {"fit_error": "x\x00\n é"}),
    ]
    records += [refit(0, None, test_scores={"r2": -math.inf}) for _ in range(600)]

    with back(MemoryRun(records), tmp_path / "a.h5") as store:
        (stored,) = store.runs.values()
        assert math.isnan(stored.result(0)["test_scores"])
        assert stored.result(0)["fit_error"] == "e" * 9000
        assert stored.result(1)["fit_error"] == "x\x00\n é"
        assert stored.result(2) == {"fit_time": 0.5, "test_scores": {"r2": -math.inf}}
        assert stored.fits().failed.tolist() == [True, True] + [False] * 600
        assert stored.fits().key[0] == b""


def test_a_run_without_fits_comes_back(tmp_path: Path):
    """A run that was stopped before its first fit is a run all the same."""
    with back(MemoryRun([]), tmp_path / "a.h5") as store:
        (stored,) = store.runs.values()
        assert len(stored.fits()) == 0
        assert stored.params() == []
        assert stored.header.status == "interrupted"
        assert (stored.best_index(), stored.best_specs()) == (None, None)
    assert verify_file(tmp_path / "a.h5") == []


def test_results_without_best_weights_come_back(tmp_path: Path):
    """A search without refit has results and a best index, but no best weights."""
    records = [replace(record, split=0) for record in mlp_run(2).records]
    results = RunResults({"mean_test_score": np.zeros(2)}, 1)
    run = MemoryRun(records, results=results)

    with back(run, tmp_path / "a.h5") as store:
        (stored,) = store.runs.values()
        assert stored.best_index() == 1
        assert stored.best_specs() is None


@pytest.mark.parametrize(
    "compression",
    [
        "gzip",
        "lzf",
        {"compression": "gzip", "compression_opts": 9, "fletcher32": True},
        {"shuffle": True},
        {"compression": None},
    ],
)
def test_compressed_weights_come_back(tmp_path: Path, compression: Any):
    """Every filter gives back what went in, and takes less room where it can."""
    weights = Weights({"w": np.zeros((300, 400)), "empty": np.zeros((0, 2))})
    run = MemoryRun([refit(index, weights) for index in range(4)])

    with back(run, tmp_path / "a.h5", compression=compression) as store:
        assert_equal(run, store)
    assert verify_file(tmp_path / "a.h5") == []
    small = isinstance(compression, str) or bool(compression.get("compression"))
    assert ((tmp_path / "a.h5").stat().st_size < 200_000) == small


@pytest.mark.parametrize("block", [1, 1000, 10_000])
@pytest.mark.parametrize("ragged", [False, True])
def test_blocks_of_any_size_give_the_same_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, ragged: bool
):
    """How much is in memory at once does not show in what is stored."""
    rng = np.random.default_rng(0)
    run = MemoryRun(
        [refit(i, mlp_weights(rng, 3 + i * ragged)) for i in range(20)],
    )
    monkeypatch.setattr("weightsearch.store._schema.BLOCK_BYTES", block)

    with back(run, tmp_path / "a.h5") as store:
        assert_equal(run, store)


def test_two_readings_agree(tmp_path: Path):
    """A file opened by its path and from memory gives the same."""
    path = good_store(tmp_path / "a.h5")

    with Hdf5Store(path) as one, Hdf5Store(io.BytesIO(path.read_bytes())) as other:
        assert same(everything(one), everything(other))

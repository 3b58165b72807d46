"""A run held in memory: what the store is written from, and compared with."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from weightsearch._records import (
    FAILED,
    OK,
    REFIT,
    Array,
    FitRecord,
    FitTable,
    RunHeader,
    RunResults,
    Splits,
    Weights,
    WeightSpec,
    WeightSpecs,
)
from weightsearch.store import _json
from weightsearch.store._dtypes import dtype_text
from weightsearch.store._reader import Hdf5Store
from weightsearch.store._specs import pack
from weightsearch.store._stored_run import Hdf5Run
from weightsearch.store._writer import append_runs

STORE_UID = "c" * 32


class MemoryRun:
    """A :class:`RunSource` of a list of records."""

    def __init__(
        self,
        records: Sequence[FitRecord],
        *,
        name: str = "20250101T000000Z-aaaa",
        uid: str = "a" * 32,
        status: str = "running",
        params: Sequence[str] | None = None,
        splits: Sequence[Splits] = (),
        started: str = "2025-01-01T00:00:00+00:00",
        results: RunResults | None = None,
    ):
        self.results = results
        self.records = list(records)
        self.uid = uid
        self.header = RunHeader(
            uid,
            name,
            status,
            started,
            environment={"python": "3.12.1"},
            estimator={"class": "sklearn.linear_model.Ridge", "params": "alpha=1.0"},
            settings={"n_splits": 3, "capture": "both"},
            identity={"data": "0" * 32},
        )
        count = 1 + max((record.candidate for record in records), default=-1)
        texts = [f'{{"alpha":{index / 7!r}}}' for index in range(count)]
        self._params = list(texts if params is None else params)
        self._splits = splits

    def params(self) -> Sequence[str]:
        return self._params

    def fits(self) -> FitTable:
        records = self.records
        return FitTable(
            np.array([record.candidate for record in records], np.int64),
            np.array([record.split for record in records], np.int64),
            np.array([record.status == FAILED for record in records], bool),
            np.array([record.weights is not None for record in records], bool),
            np.array([record.key or "" for record in records], "S32"),
        )

    def result(self, row: int) -> dict[str, Any]:
        return dict(self.records[row].result)

    def result_text(self, row: int) -> str:
        return _json.dumps(self.records[row].result)

    def own_result_text(self, row: int) -> str:
        return ""

    def state(self, row: int) -> tuple[str, tuple[str, ...]] | None:
        state = self.records[row].state
        return None if state is None else (state.text, tuple(state.blobs))

    def snapshots(self, row: int) -> None:
        return None

    def blob(self, name: str) -> bytes:
        states = [r.state for r in self.records if r.state is not None]
        return next(s.blobs[name] for s in states if name in s.blobs)

    def blob_size(self, name: str) -> int:
        return len(self.blob(name))

    def specs(self, row: int) -> WeightSpecs | None:
        weights = self.records[row].weights
        return None if weights is None else specs_of(weights)

    def alike(self, rows: Array) -> list[tuple[WeightSpecs, Array]]:
        specs = [self.specs(row) for row in rows.tolist()]
        return [(s, np.array([n])) for n, s in enumerate(specs) if s is not None]

    def read(self, row: int, name: str) -> Array:
        weights = self.records[row].weights
        assert weights is not None
        return weights[name]

    def read_all(self, row: int) -> Weights:
        weights = self.records[row].weights
        assert weights is not None
        return weights

    def stored(self, row: int) -> Iterable[tuple[WeightSpec, Array, int]]:
        weights = self.read_all(row)
        packed = pack(weights)
        raw = [np.frombuffer(bytes(piece), np.uint8) for piece in packed.pieces]
        return zip(specs_of(weights).arrays, raw, packed.crcs, strict=True)

    def stack(self, name: str, rows: Sequence[int]) -> Array:
        return np.stack([self.read(row, name) for row in rows])

    def cv_results(self) -> dict[str, Array]:
        return {} if self.results is None else dict(self.results.cv_results)

    def best_index(self) -> int | None:
        return None if self.results is None else self.results.best_index

    def best_specs(self) -> WeightSpecs | None:
        best = self.best_index()
        return None if best is None else self.specs(self._row(best))

    def read_best(self, name: str) -> Array:
        best = self.best_index()
        assert best is not None
        return self.read(self._row(best), name)

    def _row(self, candidate: int) -> int:
        places = [(record.candidate, record.split) for record in self.records]
        return places.index((candidate, REFIT))

    def splits(self) -> list[Splits]:
        return list(self._splits)


def specs_of(weights: Weights) -> WeightSpecs:
    """Describe weights as the log does."""
    return WeightSpecs(
        tuple(
            WeightSpec(name, array.shape, dtype_text(array.dtype), order_of(array))
            for name, array in weights.items()
        ),
        weights.ties,
        weights.encodings,
    )


def order_of(array: Array) -> str:
    """Memory order of an array, as the store knows it."""
    flags = array.flags
    return "F" if flags.f_contiguous and not flags.c_contiguous else "C"


def refit(candidate: int, weights: Weights | None, **result: Any) -> FitRecord:
    """Make the record of a refit."""
    key = f"{candidate:032x}"
    return FitRecord(candidate, REFIT, OK, key, {"fit_time": 0.5} | result, weights)


def mlp_weights(rng: np.random.Generator, hidden: int = 3) -> Weights:
    """Weights as a small MLPClassifier has them."""
    return Weights(
        {
            "coefs_/0": rng.normal(size=(4, hidden)),
            "coefs_/1": rng.normal(size=(hidden, 2)),
            "intercepts_/0": rng.normal(size=hidden),
            "intercepts_/1": rng.normal(size=2),
        }
    )


def mlp_run(count: int = 8, **options: Any) -> MemoryRun:
    """A run of refits whose hidden layers have two sizes in turn."""
    rng = np.random.default_rng(0)
    records = [
        refit(index, mlp_weights(rng, 3 + index % 2), test_scores={"score": 0.5})
        for index in range(count)
    ]
    return MemoryRun(records, **options)


def complete(run: MemoryRun) -> MemoryRun:
    """Give a run results, as a finished search has them."""
    count = len(run.params())
    columns = {
        "mean_test_score": np.linspace(0, 1, count),
        "rank_test_score": np.arange(count, 0, -1, dtype=np.int32),
        "mean_test_a/b": np.full(count, np.nan),
    }
    run.results = RunResults(columns, count - 1)
    run.header = replace(run.header, status="complete")
    return run


def write(
    path: Path, *runs: Any, remove: Sequence[str] = (), compression: Any = None
) -> Path:
    """Add these runs to a store."""
    append_runs(
        path,
        runs,
        store_uid=STORE_UID,
        remove=remove,
        durable=False,
        compression=compression,
    )
    return path


def good_store(path: Path, count: int = 8) -> Path:
    """Write a store with one complete run."""
    pairs = [(np.arange(4), np.arange(4, 6)), (np.arange(2, 6), np.arange(2))]
    splits = Splits(0, count, 6, pairs)
    return write(path, complete(mlp_run(count, splits=[splits])))


def everything(store: Hdf5Store) -> list[Any]:
    """Read all that a store has, to compare it with another reading."""
    return [item for run in store.runs.values() for item in _content(run)]


def _content(run: Hdf5Run) -> list[Any]:
    fits = run.fits()
    content: list[Any] = [run.header, list(run.params()), run.best_index()]
    content += [vars(fits), run.cv_results(), *map(vars, run.splits())]
    for row in range(len(fits)):
        content += [run.result(row), run.specs(row)]
        if fits.has_weights[row]:
            content.append(dict(run.read_all(row)))
    best = run.best_specs()
    content.append(best)
    if best is not None:
        content.append({spec.name: run.read_best(spec.name) for spec in best.arrays})
    return content


def same(left: Any, right: Any) -> bool:
    """Tell whether two contents are equal, arrays bit for bit."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return (
            left.dtype == right.dtype
            and left.shape == right.shape
            and order_of(left) == order_of(right)
            and _bytes(left) == _bytes(right)
        )
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(
            same(left[key], right[key]) for key in left
        )
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(left == right)


def _bytes(array: Array) -> bytes:
    # Padding between fields means nothing.
    if array.dtype.names is None:
        return array.tobytes()
    return b"".join(_bytes(array[name]) for name in array.dtype.names)

"""Comparing: distances between 1,000 candidates, their memory, queries over 10,000.

python benchmarks/bench_compare.py [--quick]
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from _harness import Figure, Settings, Stopwatch, alternate, main
from _samples import SMALL, Shapes, header, models, params, records, results

from weightsearch import WeightStore
from weightsearch._records import Array, Weights
from weightsearch.store import WriteSession

N_DISTANCES = 1_000
N_QUICK = 200
N_QUERIED = 10_000
MIDDLE: Shapes = {
    "coefs_/0": (784, 124),
    "coefs_/1": (124, 20),
    "intercepts_/0": (124,),
    "intercepts_/1": (20,),
}
"""MLP on 784 pixels with 124 hidden units and 20 classes: 100,000 weights."""
QUERIES = (
    "mean_test_score > 0.9 and alpha < 0.01",
    "solver == 'adam' and not hidden_layer_sizes == (20,)",
    "alpha in (1.0, 0.001) or rank <= 10",
)


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    count = N_QUICK if settings.quick else N_DISTANCES
    figures = []
    for kind, words in ((np.float64, ""), (np.float32, ", float32")):
        with _stored(settings, MIDDLE, count, kind) as path:
            figures += _distances(settings, path, np.dtype(kind), count, words)
    with _stored(settings, SMALL, N_QUERIED, np.float64) as path:
        samples = alternate(settings, partial(_query, path))
    figures.append(
        samples.value(
            "compare.query",
            "query over 10,000 candidates, the slowest of 3",
            "ms",
            "query",
        )
    )
    return figures


@contextmanager
def _stored(
    settings: Settings, shapes: Shapes, count: int, kind: type
) -> Iterator[Path]:
    """Make a store in a folder of its own, and a matrix of the same weights beside."""
    with tempfile.TemporaryDirectory(dir=settings.scratch) as folder:
        path = Path(folder) / "search.h5"
        with WriteSession.open(path, durable=False) as session:
            session.begin(header())
            session.set_params(0, params(count))
            weights = [
                Weights((name, array.astype(kind)) for name, array in one.items())
                for one in models(shapes, count)
            ]
            for record in records(weights):
                session.append(record)
            session.commit(results(weights))
        del weights
        yield path


def _distances(
    settings: Settings, path: Path, kind: np.dtype[np.floating], count: int, words: str
) -> list[Figure]:
    key = "" if kind == np.float64 else "_single"
    whole = count == N_DISTANCES
    samples = alternate(
        settings, partial(_by_run, path), partial(_by_numpy, path, kind)
    )
    samples |= alternate(settings, partial(_memory, path), warm_up=False)
    named = f"{count:,} candidates of 100,000 weights{words}"
    return [
        samples.ratio(
            f"compare.distances{key}",
            f"speed of distances of {named} / numpy's, of an array in memory",
            "s",
            "numpy",
            "run.distances",
            judged=whole,
        ),
        samples.value(
            f"compare.memory{key}",
            f"memory for distances of {named}, above the process before",
            "GB",
            "memory",
            judged=whole,
        ),
    ]


def _by_run(path: Path, _: Path) -> dict[str, float]:
    with WeightStore(path) as store:
        run = store.run()
        with Stopwatch() as watch:
            run.distances()
    return {"run.distances": watch.seconds}


def _by_numpy(path: Path, kind: np.dtype[np.floating], _: Path) -> dict[str, float]:
    matrix = _matrix(path)
    assert matrix.dtype == kind
    with Stopwatch() as watch:
        products = matrix @ matrix.T
        lengths = np.diag(products)
        squares = lengths[:, None] + lengths - 2 * products
        np.sqrt(np.maximum(squares, 0))
    return {"numpy": watch.seconds}


def _matrix(path: Path) -> Array:
    """All weights of all candidates in one array."""
    with WeightStore(path) as store:
        run = store.run()
        stacks = [run.stack(name)[0] for name in MIDDLE]
    width = sum(int(np.prod(shape)) for shape in MIDDLE.values())
    matrix = np.empty((len(stacks[0]), width), stacks[0].dtype)
    start = 0
    while stacks:
        stack = stacks.pop(0)
        rows = stack.reshape(len(stack), -1)
        matrix[:, start : start + rows.shape[1]] = rows
        start += rows.shape[1]
    return matrix


def _memory(path: Path, _: Path) -> dict[str, float]:
    """Measure in a process of its own, whose peak nothing else has raised."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_report_memory, args=(path, there))
    process.start()
    found = here.recv()
    process.join()
    return {"memory": found}


def _report_memory(path: Path, connection: Connection) -> None:
    with WeightStore(path) as store:
        run = store.run()
        run.distances(candidates=range(10))
        before = _peak()
        run.distances()
    connection.send(_peak() - before)


def _peak() -> float:
    """Most memory that this process has held, in GB."""
    status = Path("/proc/self/status")
    if status.exists():
        # A new program's own; Linux hands getrusage's on from the one that started it.
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024 / 1e9
    import resource  # Windows has none

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _query(path: Path, _: Path) -> dict[str, float]:
    times = []
    with WeightStore(path) as store:
        run = store.run()
        # The table of candidates is made once.
        assert len(run.candidates) == N_QUERIED
        for query in QUERIES:
            with Stopwatch() as watch:
                found = run.query(query)
            assert 0 < len(found) < N_QUERIED
            times.append(1e3 * watch.seconds)
    return {"query": max(times)}


if __name__ == "__main__":
    main("compare", measure, __doc__)

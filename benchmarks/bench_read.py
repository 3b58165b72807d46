"""Reading: listing a store, one candidate, one layer of all, queries, distances.

python benchmarks/bench_read.py [--quick]
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from _harness import Figure, Samples, Settings, Stopwatch, alternate, main
from _samples import SMALL, Shapes, header, models, params, records, results

from weightsearch import WeightStore
from weightsearch._records import Weights
from weightsearch.store import WriteSession

N_CANDIDATES = 10_000
N_MANY = 100_000
N_READ = 500
N_DISTANCES = 1_000
N_DISTANCES_QUICK = 200
LAYER = "coefs_/0"
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
    weights = models(SMALL, N_CANDIDATES)
    with _stored(settings, weights) as path:
        _write_beside(path.parent, weights)
        figures = _of_10_000(settings, path.parent, path)
    if not settings.quick:
        # Listing reads no weights, so these may be the same again and again.
        with _stored(settings, weights * (N_MANY // N_CANDIDATES)) as path:
            samples = alternate(settings, partial(_list, path))
        figures.append(
            samples.value(
                "read.list_many",
                f"open a store of {N_MANY:,} candidates and list it",
                "s",
                "open and list",
            )
        )
    count = N_DISTANCES_QUICK if settings.quick else N_DISTANCES
    with _stored(settings, models(MIDDLE, count)) as path:
        samples = alternate(settings, partial(_by_run, path), partial(_by_numpy, path))
    figures.append(
        samples.ratio(
            "read.distances",
            f"run.distances of {count:,} candidates of 100,000 weights / numpy's, of "
            "an array in memory",
            "s",
            "run.distances",
            "numpy",
            judged=not settings.quick,
        )
    )
    return figures


@contextmanager
def _stored(settings: Settings, weights: Sequence[Weights]) -> Iterator[Path]:
    """Make a store in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=settings.scratch) as folder:
        path = Path(folder) / "search.h5"
        with WriteSession.open(path, durable=False) as session:
            session.begin(header())
            session.set_params(0, params(len(weights)))
            for record in records(weights):
                session.append(record)
            session.commit(results(weights))
        yield path


def _write_beside(folder: Path, weights: Sequence[Weights]) -> None:
    """Write one layer as a plain dataset, and some models as pickles."""
    with h5py.File(folder / "plain.h5", "w") as file:
        file[LAYER] = np.stack([one[LAYER] for one in weights])
    for number, one in enumerate(weights[:N_READ]):
        with (folder / f"{number}.pkl").open("wb") as file:
            pickle.dump(dict(one), file)


def _of_10_000(settings: Settings, folder: Path, path: Path) -> list[Figure]:
    samples = Samples()
    for alternatives in (
        (partial(_list, path),),
        (partial(_one_candidate, path), partial(_one_pickle, folder)),
        (partial(_layer, path), partial(_plain_dataset, folder)),
        (partial(_query, path),),
    ):
        samples |= alternate(settings, *alternatives)
    return [
        samples.value(
            "read.list",
            "open a store of 10,000 candidates and list it",
            "s",
            "open and list",
        ),
        samples.value(
            "read.one",
            "one candidate's weights of 10,000, median of 500",
            "ms",
            "one candidate",
        ),
        samples.ratio(
            "read.one_pickle",
            "one candidate's weights of 10,000 / one pickle file",
            "ms",
            "one candidate",
            "one pickle",
        ),
        samples.ratio(
            "read.layer",
            "one layer of 10,000 candidates / a plain dataset of that size",
            "s",
            "one layer",
            "plain dataset",
        ),
        samples.value(
            "read.query", "query over 10,000 candidates, slowest of 3", "ms", "query"
        ),
    ]


def _list(path: Path, _: Path) -> dict[str, float]:
    with Stopwatch() as watch, WeightStore(path) as store:
        frame = store.run().candidates
    assert len(frame) in (N_CANDIDATES, N_MANY)
    return {"open and list": watch.seconds}


def _one_candidate(path: Path, _: Path) -> dict[str, float]:
    numbers = np.random.default_rng(0).integers(N_CANDIDATES, size=N_READ).tolist()
    times = []
    with WeightStore(path) as store:
        run = store.run()
        # The first one reads the table of fits.
        run.weights(0).to_dict()
        for number in numbers:
            with Stopwatch() as watch:
                run.weights(number).to_dict()
            times.append(1e3 * watch.seconds)
    return {"one candidate": float(np.median(times))}


def _one_pickle(folder: Path, _: Path) -> dict[str, float]:
    times = []
    for number in range(N_READ):
        with Stopwatch() as watch, (folder / f"{number}.pkl").open("rb") as file:
            pickle.load(file)
        times.append(1e3 * watch.seconds)
    return {"one pickle": float(np.median(times))}


def _layer(path: Path, _: Path) -> dict[str, float]:
    with WeightStore(path) as store:
        run = store.run()
        with Stopwatch() as watch:
            layer, _numbers = run.stack(LAYER)
        assert layer.shape == (N_CANDIDATES, *SMALL[LAYER])
    return {"one layer": watch.seconds}


def _plain_dataset(folder: Path, _: Path) -> dict[str, float]:
    with h5py.File(folder / "plain.h5", "r") as file:
        dataset = file[LAYER]
        with Stopwatch() as watch:
            dataset[...]
    return {"plain dataset": watch.seconds}


def _query(path: Path, _: Path) -> dict[str, float]:
    times = []
    with WeightStore(path) as store:
        run = store.run()
        # The table of candidates is made once.
        assert len(run.candidates) == N_CANDIDATES
        for query in QUERIES:
            with Stopwatch() as watch:
                found = run.query(query)
            assert 0 < len(found) < N_CANDIDATES
            times.append(1e3 * watch.seconds)
    return {"query": max(times)}


def _by_run(path: Path, _: Path) -> dict[str, float]:
    with WeightStore(path) as store:
        run = store.run()
        with Stopwatch() as watch:
            run.distances()
    return {"run.distances": watch.seconds}


def _by_numpy(path: Path, _: Path) -> dict[str, float]:
    with WeightStore(path) as store:
        run = store.run()
        stacks = [run.stack(name)[0] for name in MIDDLE]
    matrix = np.concatenate([stack.reshape(len(stack), -1) for stack in stacks], axis=1)
    del stacks
    with Stopwatch() as watch:
        products = matrix @ matrix.T
        norms = np.diag(products)
        np.sqrt(np.maximum(norms[:, None] + norms - 2 * products, 0))
    return {"numpy": watch.seconds}


if __name__ == "__main__":
    main("read", measure, __doc__)

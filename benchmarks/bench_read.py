"""Reading: opening and listing a store, one candidate, one layer of all candidates.

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
from _samples import SMALL, header, models, params, records, results

from weightsearch import WeightStore
from weightsearch._records import Weights
from weightsearch.store import WriteSession

N_CANDIDATES = 10_000
N_MANY = 100_000
N_READ = 500
LAYER = "coefs_/0"


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
        samples.ratio(
            "read.layer_again",
            "the same layer once more from the open store / a plain dataset",
            "s",
            "one layer again",
            "plain dataset",
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
        with Stopwatch() as first:
            layer, _numbers = run.stack(LAYER)
        assert layer.shape == (N_CANDIDATES, *SMALL[LAYER])
        del layer
        with Stopwatch() as again:
            run.stack(LAYER)
    return {"one layer": first.seconds, "one layer again": again.seconds}


def _plain_dataset(folder: Path, _: Path) -> dict[str, float]:
    with h5py.File(folder / "plain.h5", "r") as file:
        dataset = file[LAYER]
        with Stopwatch() as watch:
            dataset[...]
    return {"plain dataset": watch.seconds}


if __name__ == "__main__":
    main("read", measure, __doc__)

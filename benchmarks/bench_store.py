"""Writing: what a store costs beside pickles, HDF5 groups and the bare disk.

python benchmarks/bench_store.py [--quick]
"""

from __future__ import annotations

import itertools
import os
import pickle
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from _harness import (
    Alternative,
    Figure,
    Samples,
    Settings,
    Stopwatch,
    alternate,
    main,
)
from _samples import (
    LARGE,
    SMALL,
    header,
    models,
    params,
    records,
    results,
    split_records,
)
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from weightsearch import WeightTrackingGridSearchCV
from weightsearch._records import Weights
from weightsearch.store import WriteSession
from weightsearch.store._log import _SYNC_SECONDS, log_path
from weightsearch.store._log_file import LogFile

N_SMALL = 10_000
N_SPLITS = 5
TINY: dict[str, tuple[int, ...]] = {"a": (100,), "b": (100,)}
"""A model of two arrays of 800 bytes."""


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    return [
        *_small(settings),
        *_groups(settings),
        *_large(settings),
        *_scans(settings),
        *_growing(settings),
    ]


# -- small models ---------------------------------------------------------------


def _small(settings: Settings) -> list[Figure]:
    """10,000 models of 9 KB: the log, the way into the file, and pickles."""
    weights = models(SMALL, N_SMALL)
    store = _Storing(weights)
    alternatives: list[Alternative] = [
        store.small,
        partial(_pickle_files, weights),
    ]
    if not settings.quick:
        alternatives.append(store.with_splits)
    samples = alternate(settings, *alternatives, keep_files=True)
    figures = [
        samples.value("store.log_small", "log, one fit of 9 KB", "µs", "one fit"),
        samples.ratio(
            "store.log_small_pickle",
            "log of 10,000 fits of 9 KB / a pickle file per model",
            "s",
            "log",
            "pickle files",
        ),
        samples.value(
            "store.log_growth",
            "log, the 10,000th fit / the 100th",
            "x",
            "last / early",
        ),
        samples.value(
            "store.append_small",
            "append of 10,000 candidates of 9 KB",
            "s",
            "append",
        ),
        samples.ratio(
            "store.small_pickle",
            "log + append of 10,000 fits of 9 KB / a pickle file per model",
            "s",
            "log + append",
            "pickle files",
        ),
        samples.value(
            "store.size_small",
            "size of a store of 10,000 candidates of 9 KB / bytes of their arrays",
            "x",
            "size",
        ),
    ]
    if not settings.quick:
        figures.append(
            samples.value(
                "store.append_splits",
                "append of 10,000 candidates of 9 KB, with the scores of "
                f"{N_SPLITS} splits each",
                "s",
                "append with splits",
            )
        )
    few = models(SMALL, 100)
    sizes = alternate(settings, _Storing(few).small, warm_up=False)
    figures.append(
        sizes.value(
            "store.size_small_100",
            "size of a store of 100 candidates of 9 KB / bytes of their arrays",
            "x",
            "size",
        )
    )
    return figures


class _Storing:
    """Stores the same models again and again, each time in a new store."""

    def __init__(self, weights: Sequence[Weights]):
        self.params = params(len(weights))
        self.records = records(weights)
        self.results = results(weights)
        self.nbytes = sum(one.nbytes for one in weights)

    def small(self, folder: Path) -> dict[str, float]:
        """Log with a time for each fit, then the append to the file."""
        path = folder / "search.h5"
        times = []
        with WriteSession.open(path) as session:
            session.begin(header())
            session.set_params(0, self.params)
            for record in self.records:
                start = time.perf_counter()
                session.append(record)
                times.append(time.perf_counter() - start)
            with Stopwatch() as commit:
                session.commit(self.results)
        log = sum(times)
        return {
            "one fit": 1e6 * log / len(times),
            "log": log,
            "append": commit.seconds,
            "log + append": log + commit.seconds,
            "last / early": float(np.median(times[-200:]) / np.median(times[50:250])),
            "size": path.stat().st_size / self.nbytes,
        }

    def with_splits(self, folder: Path) -> dict[str, float]:
        """Append of all that a search leaves, splits without weights too."""
        with WriteSession.open(folder / "search.h5") as session:
            session.begin(header())
            session.set_params(0, self.params)
            for record in split_records(len(self.records), N_SPLITS):
                session.append(record)
            for record in self.records:
                session.append(record)
            with Stopwatch() as commit:
                session.commit(self.results)
        return {"append with splits": commit.seconds}


def _pickle_files(weights: Sequence[Weights], folder: Path) -> dict[str, float]:
    plain = [dict(one) for one in weights]
    with Stopwatch() as watch:
        for number, one in enumerate(plain):
            with (folder / f"{number}.pkl").open("wb") as file:
                pickle.dump(one, file)
    return {"pickle files": watch.seconds}


def _groups(settings: Settings) -> list[Figure]:
    """The same in an HDF5 group per candidate, as most people write it."""
    count = 2_000 if settings.quick else N_SMALL
    weights = models(SMALL, count)
    groups = partial(_hdf5_groups, weights, params(count))
    samples = alternate(settings, _Storing(weights).small, groups, warm_up=False)
    return [
        samples.ratio(
            "store.small_groups",
            f"log + append of {count:,} fits of 9 KB / an HDF5 group per model",
            "s",
            "log + append",
            "HDF5 groups",
            judged=count == N_SMALL,
        )
    ]


def _hdf5_groups(
    weights: Sequence[Weights], encoded: Sequence[str], folder: Path
) -> dict[str, float]:
    with Stopwatch() as watch, h5py.File(folder / "groups.h5", "w") as file:
        for number, (one, text) in enumerate(zip(weights, encoded, strict=True)):
            group = file.create_group(str(number))
            group.attrs["params"] = text
            for name, array in one.items():
                group.create_dataset(name.replace("/", ""), data=array)
    return {"HDF5 groups": watch.seconds}


# -- large models ---------------------------------------------------------------


def _large(settings: Settings) -> list[Figure]:
    """Models of 7.5 MB beside the bare disk, and beside the system's memory."""
    count = 50 if settings.quick else 100
    # More different ones than fit into any processor's cache.
    different = models(LARGE, 20)
    weights = [different[number % len(different)] for number in range(count)]
    figures = []
    for durable in (True,) if settings.quick else (True, False):
        samples = alternate(
            settings,
            partial(_large_log, weights, durable),
            partial(_plain_file, weights, durable),
            partial(_large_store, weights, durable),
        )
        suffix, words = ("", "") if durable else ("_cached", ", without fsync")
        figures += [
            samples.ratio(
                f"store.{key}{suffix}",
                f"{series} of {count} fits of 7.5 MB / plain sequential write{words}",
                "MB/s",
                series,
                "plain write",
            )
            for key, series in (
                ("log_large", "log"),
                ("large", "log + append"),
            )
        ]
    return figures


def _large_log(
    weights: Sequence[Weights], durable: bool, folder: Path
) -> dict[str, float]:
    session = _begun(folder, len(weights), durable)
    with Stopwatch() as watch:
        for record in records(weights):
            session.append(record)
        # Forces what was appended to the disk.
        session.close()
    return {"log": _megabytes(weights) / watch.seconds}


def _large_store(
    weights: Sequence[Weights], durable: bool, folder: Path
) -> dict[str, float]:
    session = _begun(folder, len(weights), durable)
    ending = results(weights)
    with Stopwatch() as watch:
        for record in records(weights):
            session.append(record)
        session.commit(ending)
    return {"log + append": _megabytes(weights) / watch.seconds}


def _begun(folder: Path, count: int, durable: bool) -> WriteSession:
    session = WriteSession.open(folder / "search.h5", durable=durable)
    session.begin(header())
    session.set_params(0, params(count))
    return session


def _megabytes(weights: Sequence[Weights]) -> float:
    return sum(one.nbytes for one in weights) / 1e6


def _plain_file(
    weights: Sequence[Weights], durable: bool, folder: Path
) -> dict[str, float]:
    """Write the same bytes to one file, forced to the disk as often as the log."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with Stopwatch() as watch:
        handle = os.open(folder / "plain", flags)
        synced_at = time.monotonic()
        for one in weights:
            for array in one.values():
                _write(handle, array)
            if durable and time.monotonic() - synced_at >= _SYNC_SECONDS:
                os.fsync(handle)
                synced_at = time.monotonic()
        if durable:
            os.fsync(handle)
        os.close(handle)
    return {"plain write": _megabytes(weights) / watch.seconds}


def _write(handle: int, array: np.ndarray[Any, Any]) -> None:
    rest = array.data.cast("B")
    while rest.nbytes:
        rest = rest[os.write(handle, rest) :]


# -- reading a log --------------------------------------------------------------


def _scans(settings: Settings) -> list[Figure]:
    """Logs of many small fits, as a reader and the next writer go through them."""
    figures = []
    for count in (10_000,) if settings.quick else (10_000, 100_000):
        different = models(TINY, 100)
        weights = [different[number % 100] for number in range(count)]
        with tempfile.TemporaryDirectory(dir=settings.scratch) as folder:
            session = _begun(Path(folder), count, durable=False)
            for record in records(weights):
                session.append(record)
            session.close()
            log = log_path(Path(folder) / "search.h5")
            samples = alternate(settings, partial(_scan, log), warm_up=False)
        figures.append(
            samples.value(
                f"store.scan_{count}", f"scan of a log of {count:,} fits", "s", "scan"
            )
        )
    return figures


def _scan(log: Path, _: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        LogFile(log).close()
    return {"scan": watch.seconds}


# -- a store that grows ---------------------------------------------------------

_NUMBERS = itertools.count()


def _growing(settings: Settings) -> list[Figure]:
    """What a small run costs in a store that has much, or many runs, already."""
    size = 500 if settings.quick else 10_000
    n_runs = 100 if settings.quick else 1_000
    with tempfile.TemporaryDirectory(dir=settings.scratch) as folder:
        large = Path(folder) / "large.h5"
        different = models(LARGE, 20)
        n_models = size * 10**6 // different[0].nbytes
        _store_run(large, [different[n % 20] for n in range(n_models)])
        tiny = alternate(settings, partial(_tiny, None), partial(_tiny, large))
        grown = alternate(settings, partial(_grown, large), warm_up=False)
        many = Path(folder) / "many.h5"
        first = alternate(settings, partial(_searches, None), warm_up=False)
        for _ in range(n_runs):
            _store_run(many, models(TINY, 3))
        last = alternate(settings, partial(_searches, many), warm_up=False)
    both = Samples(first | last)
    return [
        tiny.ratio(
            "store.tiny_in_large",
            f"a run of 2 x 800 B into {size / 1000:g} GB / into an empty store",
            "ms",
            "into a large store",
            "into an empty store",
            judged=not settings.quick,
        ),
        grown.value(
            "store.grown_bytes",
            "bytes written for one more candidate of 7.5 MB / its own",
            "x",
            "bytes",
        ),
        both.ratio(
            "store.last_of_many",
            f"a small search into a store of {n_runs:,} runs / into an empty one",
            "ms",
            "one of many",
            "the first",
            judged=not settings.quick,
        ),
    ]


def _store_run(path: Path, weights: Sequence[Weights]) -> float:
    """Store a run; return the seconds that it took."""
    with Stopwatch() as watch, WriteSession.open(path) as session:
        session.begin(header())
        session.set_params(0, params(len(weights)))
        for record in records(weights):
            session.lookup.find(f"{record.candidate:032x}", need_weights=True)
            session.append(record)
        session.commit(results(weights))
    return watch.seconds


def _tiny(large: Path | None, folder: Path) -> dict[str, float]:
    name = "into an empty store" if large is None else "into a large store"
    path = folder / "search.h5" if large is None else large
    times = [_store_run(path, models(TINY, 1)) for _ in range(5)]
    return {name: 1e3 * float(np.median(times))}


def _grown(large: Path, _: Path) -> dict[str, float]:
    """Bytes that the system was asked to write, where it counts them."""
    (one,) = models(LARGE, 1)
    counter = Path("/proc/self/io")
    if not counter.exists():
        return {"bytes": float("nan")}
    before = int(counter.read_text().split("wchar: ")[1].split()[0])
    _store_run(large, [one])
    after = int(counter.read_text().split("wchar: ")[1].split()[0])
    # Once into the log, once into the file.
    return {"bytes": (after - before) / (2 * one.nbytes)}


def _searches(many: Path | None, folder: Path) -> dict[str, float]:
    """Small searches, each with another model, into one store or into new ones."""
    X, y = load_iris(return_X_y=True)
    times = []
    for _ in range(5):
        # A model that no search before has fitted.
        number = next(_NUMBERS)
        path = folder / f"{number}.h5" if many is None else many
        search = WeightTrackingGridSearchCV(
            LogisticRegression(max_iter=1000 + number),
            {"C": [0.1, 1, 10]},
            cv=3,
            store=path,
            capture="splits",
        )
        with Stopwatch() as watch:
            search.fit(X, y)
        times.append(watch.seconds)
    name = "the first" if many is None else "one of many"
    return {name: 1e3 * float(np.median(times))}


if __name__ == "__main__":
    main("store", measure, __doc__)

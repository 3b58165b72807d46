"""Identity: what it costs to tell that two fits are the same.

python benchmarks/bench_identity.py [--quick]
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from _harness import Figure, Samples, Settings, Stopwatch, alternate, main
from sklearn.datasets import load_digits
from sklearn.metrics import check_scoring
from sklearn.model_selection import ParameterGrid, StratifiedKFold
from sklearn.neural_network import MLPClassifier

from weightsearch._identity import SearchIdentity, environment, identify_search

N_COLUMNS = 100
N_CANDIDATES = 200
N_SPLITS = 5


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    return [*_hashing(settings), *_keys(settings)]


def _hashing(settings: Settings) -> list[Figure]:
    megabytes = 200 if settings.quick else 800
    rows = megabytes * 1_000_000 // (8 * N_COLUMNS)
    X = np.random.default_rng(0).normal(size=(rows, N_COLUMNS))
    samples = Samples()
    for order, array in (("C", X), ("F", np.asfortranarray(X))):
        alternatives = [partial(_digest, array, order)]
        if order == "C":
            alternatives += [partial(_blake2b, array), partial(_joblib_hash, array)]
        samples |= alternate(settings, *alternatives)
    size = f"{megabytes} MB of float64"
    return [
        samples.value(
            "identity.hash_c", f"hashing X, {size}, C order", "GB/s", "C order"
        ),
        samples.value(
            "identity.hash_f", f"hashing X, {size}, F order", "GB/s", "F order"
        ),
        samples.ratio(
            "identity.hash_blake2b",
            "hashing X / hashlib's BLAKE2b of the same bytes",
            "GB/s",
            "C order",
            "blake2b",
        ),
        samples.ratio(
            "identity.hash_joblib",
            "hashing X / joblib.hash",
            "GB/s",
            "C order",
            "joblib.hash",
        ),
    ]


def _digest(array: np.ndarray[Any, Any], order: str, _: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        SearchIdentity.data_digest(array, None)
    return {f"{order} order": array.nbytes / 1e9 / watch.seconds}


def _blake2b(array: np.ndarray[Any, Any], _: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        hashlib.blake2b(array.data, digest_size=16).digest()
    return {"blake2b": array.nbytes / 1e9 / watch.seconds}


def _joblib_hash(array: np.ndarray[Any, Any], _: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        joblib.hash(array)
    return {"joblib.hash": array.nbytes / 1e9 / watch.seconds}


def _keys(settings: Settings) -> list[Figure]:
    samples = alternate(settings, _identify)
    return [
        samples.value(
            "identity.search",
            "what all fits of a search on the digits have in common",
            "ms",
            "search",
        ),
        samples.value(
            "identity.fit_key",
            f"key of one fit, {N_CANDIDATES} candidates x {N_SPLITS} splits",
            "µs",
            "fit key",
        ),
    ]


def _identify(_: Path) -> dict[str, float]:
    X, y = load_digits(return_X_y=True)
    estimator = MLPClassifier(random_state=0)
    splits = list(StratifiedKFold(N_SPLITS).split(X, y))
    grid = ParameterGrid(
        {
            "alpha": np.logspace(-6, 0, N_CANDIDATES // 4).tolist(),
            "hidden_layer_sizes": [(15,), (30,)],
            "activation": ["relu", "tanh"],
        }
    )
    with Stopwatch() as watch:
        identity = identify_search(
            estimator,
            X,
            y,
            fit_params={},
            score_params={},
            scorer=check_scoring(estimator),
            settings={"return_train_score": False, "error_score": np.nan},
            versions=environment(estimator),
        )
    keys = set()
    with Stopwatch() as all_keys:
        for params in grid:
            for split in splits:
                keys.add(identity.fit_key(params, split))
    assert len(keys) == N_CANDIDATES * N_SPLITS
    return {
        "search": 1e3 * watch.seconds,
        "fit key": 1e6 * all_keys.seconds / len(keys),
    }


if __name__ == "__main__":
    main("identity", measure, __doc__)

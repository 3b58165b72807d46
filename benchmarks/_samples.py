"""Models and runs to store: the sizes of real ones, made without training."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

import numpy as np

from weightsearch._params import encode_params
from weightsearch._records import (
    OK,
    REFIT,
    Array,
    FitRecord,
    RunHeader,
    RunResults,
    Weights,
)

__all__ = [
    "LARGE",
    "RESULT",
    "SMALL",
    "header",
    "models",
    "params",
    "records",
    "results",
    "split_records",
]

Shapes = dict[str, tuple[int, ...]]

SMALL: Shapes = {
    "coefs_/0": (64, 15),
    "coefs_/1": (15, 10),
    "intercepts_/0": (15,),
    "intercepts_/1": (10,),
}
"""MLP on the digits with 15 hidden units: 9 KB."""

LARGE: Shapes = {
    "coefs_/0": (784, 1000),
    "coefs_/1": (1000, 150),
    "intercepts_/0": (1000,),
    "intercepts_/1": (150,),
}
"""MLP on 784 pixels with 1000 hidden units and 150 classes: 7.5 MB."""

RESULT = {
    "test_scores": 0.93,
    "train_scores": None,
    "n_test_samples": 360,
    "fit_time": 0.2137,
    "score_time": 0.0011,
    "fit_error": None,
}


def models(shapes: Shapes, count: int) -> list[Weights]:
    """Return the weights of different models, float64."""
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    ends = np.cumsum([0, *sizes]).tolist()
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=ends[-1]) for _ in range(count)]
    return [
        Weights(
            (name, row[start:end].reshape(shape))
            for (name, shape), start, end in zip(
                shapes.items(), ends, ends[1:], strict=False
            )
        )
        for row in rows
    ]


def header() -> RunHeader:
    """Return the header of a run that starts."""
    uid = uuid.uuid4().hex
    return RunHeader(
        uid=uid,
        name=uid,
        status="running",
        started="2026-01-01T00:00:00+00:00",
        estimator={"class": "sklearn.neural_network.MLPClassifier", "params": {}},
        settings={"n_splits": 5, "capture": "refit"},
        fingerprint=uid,
    )


def params(count: int) -> list[str]:
    """Return encoded params of different candidates."""
    return [
        encode_params(
            {
                "alpha": 10.0 ** -(number % 7),
                "hidden_layer_sizes": (15,),
                "learning_rate_init": 0.001 * (1 + number),
                "solver": ("adam", "sgd")[number % 2],
            }
        )
        for number in range(count)
    ]


def records(weights: Sequence[Weights]) -> list[FitRecord]:
    """Return the records of refits."""
    return [
        FitRecord(number, REFIT, OK, f"{number:032x}", RESULT, one)
        for number, one in enumerate(weights)
    ]


def split_records(count: int, n_splits: int) -> Iterator[FitRecord]:
    """Yield the records of cross-validation, without weights."""
    for number in range(count * n_splits):
        candidate, split = divmod(number, n_splits)
        key = f"{number + 2**64:032x}"
        yield FitRecord(candidate, split, OK, key, RESULT)


def results(weights: Sequence[Weights]) -> RunResults:
    """Return what is known at the run's end."""
    count = len(weights)
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.8, 1, size=(5, count))
    columns: dict[str, Array] = {
        name: rng.uniform(0, 1, size=count)
        for name in ("mean_fit_time", "std_fit_time", "mean_score_time")
    }
    columns |= {f"split{split}_test_score": row for split, row in enumerate(scores)}
    columns["mean_test_score"] = scores.mean(axis=0)
    columns["std_test_score"] = scores.std(axis=0)
    best = int(columns["mean_test_score"].argmax())
    ranks = (-columns["mean_test_score"]).argsort().argsort() + 1
    columns["rank_test_score"] = ranks.astype(np.int32)
    return RunResults(columns, best)

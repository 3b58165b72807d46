"""What the tests of log and session write: weights of models fit to iris."""

from __future__ import annotations

import functools
import warnings

import numpy as np
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from weightsearch._records import (
    FAILED,
    OK,
    REFIT,
    FitRecord,
    RunHeader,
    RunResults,
    Weights,
)


@functools.cache
def mlp_arrays(hidden=8):
    """Fitted arrays of a small network on iris."""
    X, y = load_iris(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = MLPClassifier((hidden,), max_iter=5, random_state=0).fit(X, y)
    arrays = {f"coefs_/{i}": array for i, array in enumerate(model.coefs_)}
    arrays |= {f"intercepts_/{i}": array for i, array in enumerate(model.intercepts_)}
    return arrays


def weights(number=0, hidden=8):
    """Return weights that differ from fit to fit."""
    return Weights((name, array + number) for name, array in mlp_arrays(hidden).items())


def key(number):
    """Return an identity of 32 hexadecimal digits."""
    return f"{number:032x}"


def result(number=0, error=None):
    """Return a fit's result as scikit-learn has it."""
    return {
        "test_scores": 0.5 + number / 1000,
        "train_scores": float("nan"),
        "n_test_samples": 50,
        "fit_time": 0.01,
        "score_time": 0.001,
        "fit_error": error,
    }


def fit(number=0, *, split=REFIT, failed=False, hidden=8):
    """Return the record of one fit."""
    return FitRecord(
        candidate=number,
        split=split,
        status=FAILED if failed else OK,
        key=key(number),
        result=result(number, "ValueError: no" if failed else None),
        weights=None if failed else weights(number, hidden),
    )


def header(number=0):
    """Return the header of a run that starts."""
    return RunHeader(
        uid=f"{number:032d}",
        name=f"run-{number:04d}",
        status="running",
        started=f"2026-01-01T00:00:{number:02d}+00:00",
        environment={"python": "3.12"},
        estimator={"class": "MLPClassifier", "params": {"alpha": "0.1"}},
        settings={"n_splits": 3, "capture": "refit"},
        fingerprint="f" * 32,
        identity={"data": "d" * 32},
    )


def params(count):
    """Return encoded params of candidates."""
    return [f'{{"alpha":{number}}}' for number in range(count)]


def results(count, best=0):
    """Return what is known at a run's end."""
    scores = np.linspace(0, 1, count)
    return RunResults(
        cv_results={
            "mean_test_score": scores,
            "rank_test_score": np.arange(count, dtype=np.int32),
        },
        best_index=best,
    )


def same(left, right):
    """Whether two sets of weights are equal bit for bit, order and memory too."""
    return list(left) == list(right) and all(
        a.dtype == b.dtype
        and a.shape == b.shape
        and a.tobytes() == b.tobytes()
        and a.flags.f_contiguous == b.flags.f_contiguous
        for a, b in zip(left.values(), right.values(), strict=True)
    )

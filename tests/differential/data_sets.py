"""Data of the table of searches: small parts of real data sets, made anew each time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.sparse
from rows import Data
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_linnerud,
    load_wine,
)

NAMES = np.array(["setosa", "versicolor", "virginica"])


def iris() -> Data:
    X, y = load_iris(return_X_y=True)
    return X, y, {}


def iris_words() -> Data:
    """Labels are names."""
    X, y = load_iris(return_X_y=True)
    return X, NAMES[y], {}


def iris_objects() -> Data:
    """Labels are names in an array of objects."""
    X, y = load_iris(return_X_y=True)
    return X, NAMES.astype(object)[y], {}


def iris_list() -> Data:
    """X and y are lists."""
    X, y = load_iris(return_X_y=True)
    return X.tolist(), NAMES[y].tolist(), {}


def iris_float32() -> Data:
    X, y = load_iris(return_X_y=True)
    return X.astype("float32"), y, {}


def iris_frame() -> Data:
    """X is a frame, y a series of names."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    return X, pd.Series(NAMES[y], name="species"), {}


def iris_series_category() -> Data:
    """X is a frame, y a categorical series."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    return X, pd.Series(pd.Categorical.from_codes(y, list(NAMES))), {}


def iris_weighted() -> Data:
    X, y = load_iris(return_X_y=True)
    return X, y, {"sample_weight": np.linspace(0.1, 2.0, len(y))}


def iris_grouped() -> Data:
    X, y = load_iris(return_X_y=True)
    return X, y, {"groups": np.arange(len(y)) % 10}


def iris_weighted_grouped() -> Data:
    X, y = load_iris(return_X_y=True)
    weight = np.linspace(0.1, 2.0, len(y))
    return X, y, {"sample_weight": weight, "groups": np.arange(len(y)) % 10}


def iris_missing() -> Data:
    """Every seventh value is missing."""
    X, y = load_iris(return_X_y=True)
    X.ravel()[::7] = np.nan
    return X, y, {}


def iris_far() -> Data:
    """Far from zero, so that scaling once too often shows."""
    X, y = load_iris(return_X_y=True)
    return 10 * X + 100, y, {}


def iris_alone() -> Data:
    """No y."""
    return load_iris().data, None, {}


def iris_kernel() -> Data:
    """X is a kernel matrix."""
    X, y = load_iris(return_X_y=True)
    return X @ X.T, y, {}


def iris_distances() -> Data:
    """X is a matrix of distances."""
    X, y = load_iris(return_X_y=True)
    return np.linalg.norm(X[:, None] - X[None], axis=-1), y, {}


def iris_sparse() -> Data:
    X, y = load_iris(return_X_y=True)
    return scipy.sparse.csr_matrix(X), y, {}


def iris_sparse_array() -> Data:
    X, y = load_iris(return_X_y=True)
    return scipy.sparse.csc_array(X), y, {}


def two_species() -> Data:
    X, y = load_iris(return_X_y=True)
    return X[:100, :2], y[:100], {}


def two_species_words() -> Data:
    X, y = load_iris(return_X_y=True)
    return X[50:, :3], NAMES[y[50:]], {}


def wine() -> Data:
    X, y = load_wine(return_X_y=True)
    return X, y, {}


def cancer() -> Data:
    X, y = load_breast_cancer(return_X_y=True)
    return X[:200], y[:200], {}


def digits() -> Data:
    X, y = load_digits(return_X_y=True)
    return X[:300], y[:300], {}


def diabetes() -> Data:
    X, y = load_diabetes(return_X_y=True)
    return X[:150], y[:150], {}


def diabetes_weighted() -> Data:
    X, y = load_diabetes(return_X_y=True)
    return X[:150], y[:150], {"sample_weight": np.linspace(0.1, 2.0, 150)}


def diabetes_column() -> Data:
    """One feature and its target."""
    X, y = load_diabetes(return_X_y=True)
    return X[:150, 2], y[:150], {}


def physique() -> Data:
    """Three targets at once."""
    X, y = load_linnerud(return_X_y=True)
    return X, y, {}


def physique_frame() -> Data:
    """Three targets at once, as a frame."""
    X, y = load_linnerud(return_X_y=True, as_frame=True)
    return X, y, {}


def _mixed() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


def iris_labels() -> Data:
    """Two labels of each flower, that it may have or not."""
    X, y = _mixed()
    return X, np.column_stack([y > 0, X[:, 0] > 5.8, X[:, 1] > 3]).astype(int), {}


def iris_two_classes() -> Data:
    """Two classifications of each flower."""
    X, y = _mixed()
    return X, np.column_stack([y, (X[:, 0] > 5.8).astype(int)]), {}


def reviews() -> Data:
    """Texts, and whether somebody was pleased."""
    good = ["a good warm day", "warm and good food", "the best of days", "I liked it"]
    bad = ["a bad cold day", "cold and bad food", "the worst of days", "I left it"]
    texts = [f"{text} {n % 5}" for n in range(6) for text in (*good, *bad)]
    return (
        texts,
        np.array([int(text in good) for _ in range(6) for text in (*good, *bad)]),
        {},
    )


def reviews_array() -> Data:
    """The same texts in an array of objects; what somebody felt is a word."""
    texts, y, _ = reviews()
    return np.array(texts, dtype=object), np.array(["sad", "glad"])[y], {}


def records() -> Data:
    """Dicts of features."""
    X, y = load_iris(return_X_y=True)
    rows = [{"length": float(a), "wide": bool(b > 3)} for a, b, *_ in X]
    return rows, y, {}


def people() -> Data:
    """A frame with numbers, words, categories, dates, and missing ones among them."""
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    X, y = X[:150], y[:150]
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(X["age"] * 10, unit="D")
    frame = pd.DataFrame(
        {
            "age": X["age"].astype(int),
            "bmi": X["bmi"].where(X["bmi"] < 35),
            "sex": np.where(X["sex"] == 1, "a", "b"),
            "pressure": pd.cut(
                X["bp"], [0, 80, 100, 200], labels=["low", "mid", "high"]
            ),
            "day": days,
            "steady": X["s1"] > 180,
        }
    )
    return frame, (y > y.median()).astype(int), {}


def people_numbers() -> Data:
    """The same people and a number to predict."""
    frame, _, _ = people()
    return frame, load_diabetes().target[:150], {}


def series() -> Data:
    """Values over time."""
    y = np.sin(np.arange(200.0)) + np.arange(200) / 50
    return y[:, None], y, {}


def positive() -> Data:
    """A target that is a logarithm of one column and a square of the other."""
    X = np.random.default_rng(0).uniform(1, 9, (60, 2))
    return X, np.log(X[:, 0]) + X[:, 1] ** 2, {}


def floats32() -> Data:
    """Two classes for networks."""
    X = np.random.default_rng(0).normal(size=(80, 4)).astype("float32")
    return X, (X[:, 0] > 0).astype("int64"), {}


def floats32_words() -> Data:
    X, y, _ = floats32()
    return X, np.array(["no", "yes"])[y], {}


def floats32_numbers() -> Data:
    """A column to predict, for networks."""
    X, _, _ = floats32()
    return X, X[:, :1] + X[:, 1:2] ** 2, {}


def floats32_weighted() -> Data:
    X, y, _ = floats32()
    return X, y, {"sample_weight": np.linspace(0.1, 2.0, len(y)).astype("float32")}

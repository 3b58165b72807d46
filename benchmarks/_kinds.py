"""Kinds of estimators that people search with, each with data and a grid of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

__all__ = ["KINDS", "VECTORIZER", "Kind"]

N_TERMS = 19_000


@dataclass(frozen=True)
class Kind:
    """One kind of estimator.

    Attributes
    ----------
    key : str
        Its name in the figures' keys.
    what : str
        In words.
    estimator : estimator
        Not fitted.
    data : callable
        Returns X and y.
    param : str
        The param that a search varies.
    values : list
        Its values; so many that GridSearchCV takes a few seconds.
    is_large : bool
        Whether a fitted model has over 50 objects or 1 MB.
    is_quick : bool
        Whether it is measured with ``--quick``.
    """

    key: str
    what: str
    estimator: Any
    data: Callable[[], tuple[Any, Any]]
    param: str
    values: tuple[Any, ...]
    is_large: bool = False
    is_quick: bool = False

    def first(self, count: int) -> dict[str, list[Any]]:
        """Return a grid of the first values."""
        return {self.param: list(self.values[:count])}


@cache
def digits() -> tuple[Any, Any]:
    """X of shape (1797, 64) between 0 and 1, y of shape (1797,)."""
    X, y = load_digits(return_X_y=True)
    return X / 16, y


@cache
def diabetes() -> tuple[Any, Any]:
    """X of shape (442, 10), y of shape (442,)."""
    X, y = load_diabetes(return_X_y=True)
    return X, y


@cache
def frame() -> tuple[Any, Any]:
    """A frame of 15 numeric and 15 categorical columns, and y of shape (569,)."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    levels = ["lowest", "low", "middle", "high", "highest"]
    for name in X.columns[15:]:
        X[name] = pd.qcut(X[name].rank(method="first"), 5, levels).astype(object)
    return X, y


@cache
def texts() -> tuple[Any, Any]:
    """Beginnings of modules of four libraries, and the library of each."""
    X, y = [], []
    for library in ("numpy", "pandas", "scipy", "sklearn"):
        place = import_module(library).__file__
        assert place is not None
        for path in sorted(Path(place).parent.rglob("*.py"))[:250]:
            text = path.read_text(encoding="utf-8", errors="replace")[:5000]
            if text.strip():
                X.append(text)
                y.append(library)
    return X, np.array(y)


def _one_hot() -> Any:
    X, _ = frame()
    return make_pipeline(
        make_column_transformer(
            (StandardScaler(), list(X.columns[:15])),
            (OneHotEncoder(handle_unknown="ignore"), list(X.columns[15:])),
        ),
        LogisticRegression(max_iter=500),
    )


_STRENGTHS = tuple(np.logspace(-2, 1, 40).round(4).tolist())
_SEEDS = tuple(range(40))
_SEED = "random_state"

KINDS = (
    Kind(
        "forest",
        "RandomForest, 100 trees",
        RandomForestClassifier(random_state=0),
        digits,
        _SEED,
        _SEEDS[:2],
        is_large=True,
        is_quick=True,
    ),
    Kind(
        "extra_trees",
        "ExtraTrees, 100 trees",
        ExtraTreesClassifier(random_state=0),
        digits,
        _SEED,
        _SEEDS[:2],
        is_large=True,
    ),
    Kind(
        "hist_boosting",
        "HistGradientBoosting, 30 x 10 trees",
        HistGradientBoostingClassifier(max_iter=30, random_state=0),
        digits,
        "l2_regularization",
        (0.0, 1.0),
        is_large=True,
    ),
    Kind(
        "boosting",
        "GradientBoosting, 50 x 10 trees",
        GradientBoostingClassifier(n_estimators=50, random_state=0),
        digits,
        "learning_rate",
        (0.1, 0.2),
        is_large=True,
    ),
    Kind(
        "ada",
        "AdaBoost, 50 trees",
        AdaBoostClassifier(random_state=0),
        digits,
        "learning_rate",
        (0.1, 0.3, 1.0),
        is_large=True,
    ),
    Kind(
        "tree",
        "DecisionTree",
        DecisionTreeClassifier(random_state=0),
        digits,
        _SEED,
        _SEEDS[:15],
    ),
    Kind("svc", "SVC", SVC(), digits, "C", (0.3, 1.0, 3.0, 10.0, 20.0, 30.0)),
    Kind(
        "logistic",
        "LogisticRegression",
        LogisticRegression(max_iter=100),
        digits,
        "C",
        _STRENGTHS[::5],
        is_quick=True,
    ),
    Kind(
        "one_hot",
        "one-hot frame and scaler, LogisticRegression",
        _one_hot(),
        frame,
        "logisticregression__C",
        _STRENGTHS[::3],
    ),
    Kind(
        "neighbors",
        "KNeighbors",
        KNeighborsClassifier(),
        digits,
        "n_neighbors",
        tuple(range(1, 16)),
    ),
    Kind(
        "text",
        "tf-idf of texts, LogisticRegression",
        make_pipeline(TfidfVectorizer(max_features=N_TERMS), LogisticRegression()),
        texts,
        "logisticregression__C",
        (1.0, 10.0),
        is_large=True,
    ),
    Kind(
        "mlp",
        "MLP, 15 hidden units, 40 epochs",
        MLPClassifier((15,), max_iter=40, n_iter_no_change=40, random_state=0),
        digits,
        "alpha",
        (1e-5, 1e-4, 1e-3, 1e-2),
    ),
    Kind(
        "pca",
        "scaler, PCA, LogisticRegression",
        make_pipeline(StandardScaler(), PCA(20), LogisticRegression(max_iter=100)),
        digits,
        "logisticregression__C",
        _STRENGTHS[::4],
    ),
    Kind("ridge", "Ridge", Ridge(), diabetes, "alpha", _STRENGTHS),
)

VECTORIZER = Kind(
    "vectorizer",
    f"TfidfVectorizer, {N_TERMS:,} terms",
    TfidfVectorizer(max_features=N_TERMS),
    texts,
    "norm",
    ("l2",),
    is_large=True,
    is_quick=True,
)
"""Models alone; no search has a score for it."""

"""Estimators, transformers and helpers as users write them."""

from __future__ import annotations

import enum
import functools
import threading
from dataclasses import dataclass, field

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    TransformerMixin,
    clone,
)
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

OFFSET = 2.0


def shifted(X, by=1.0):
    return X + by * OFFSET


def by_factory(power):
    """Return a function that differs by what it encloses."""

    def raised(X):
        return np.abs(X) ** power

    return raised


def documented(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@documented
def doubled(X):
    return X * 2


@documented
def tripled(X):
    return X * 3


@functools.singledispatch
def rounded(X):
    return np.round(X)


@rounded.register
def _(X: list):
    return [round(x) for x in X]


class Centre(TransformerMixin, BaseEstimator):
    """Subtract the mean."""

    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, X, y=None):
        self.mean_ = np.asarray(X).mean(axis=0)
        return self

    def transform(self, X):
        return (np.asarray(X) - self.mean_) * self.scale


class Kind(enum.Enum):
    MEAN = "mean"
    MEDIAN = "median"


class Parts(enum.Flag):
    FIRST = enum.auto()
    LAST = enum.auto()


class Typical(RegressorMixin, BaseEstimator):
    """Predict a mean or a median, as an enum says."""

    def __init__(self, kind=Kind.MEAN):
        self.kind = kind

    def fit(self, X, y):
        self.value_ = {Kind.MEAN: np.mean, Kind.MEDIAN: np.median}[self.kind](y)
        return self

    def predict(self, X):
        return np.full(len(X), self.value_)


class PartOfFeatures(TransformerMixin, BaseEstimator):
    """Keep first features, last ones, or both, as a flag says."""

    def __init__(self, parts=Parts.FIRST | Parts.LAST):
        self.parts = parts

    def fit(self, X, y=None):
        self.columns_ = np.array(
            [0] * (Parts.FIRST in self.parts) + [-1] * (Parts.LAST in self.parts)
        )
        return self

    def transform(self, X):
        return X[:, self.columns_]


@dataclass
class Strength:
    """An object that a param is."""

    C: float = 1.0
    names: list = field(default_factory=list)


class PlainStrength:
    def __init__(self, C):
        self.C = C


class ByStrength(LogisticRegression):
    """A subclass whose fit sets an inherited param."""

    def __init__(self, strength=None, tol=1e-4):
        super().__init__(tol=tol, max_iter=300)
        self.strength = strength

    def fit(self, X, y):
        self.C = self.strength.C
        return super().fit(X, y)


class RecentMean(RegressorMixin, BaseEstimator):
    """Predict the mean of the last values; how many, its ``memory`` says."""

    def __init__(self, memory="short", verbose=1, n_jobs=1):
        self.memory = memory
        self.verbose = verbose
        self.n_jobs = n_jobs

    def fit(self, X, y):
        last = {"short": 5, "long": 50}[self.memory]
        self.mean_ = np.mean(y[-last * self.n_jobs :]) + self.verbose
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


class NamedLayers(ClassifierMixin, BaseEstimator):
    """A network whose layers come from a dict, in its order."""

    def __init__(self, layers=None):
        self.layers = layers

    def fit(self, X, y):
        sizes = tuple(self.layers.values())
        self.mlp_ = MLPClassifier(sizes, max_iter=5, random_state=0).fit(X, y)
        self.classes_ = self.mlp_.classes_
        return self

    def predict(self, X):
        return self.mlp_.predict(X)


class WithParts(ClassifierMixin, BaseEstimator):
    """Hold fitted estimators in lists, dicts and tuples, and functions among them."""

    def __init__(self, base=None, function=None, helper=None):
        self.base = base
        self.function = function
        self.helper = helper

    def fit(self, X, y):
        base = self.base or RidgeClassifier()
        self.scaler_ = StandardScaler().fit(X)
        X = self.scaler_.transform(X)
        self.models_ = {
            "all": [clone(base).fit(X, y)],
            "pair": (clone(base).fit(X[:, :2], y), slice(0, 2)),
        }
        self.functions_ = [self.function] if self.function else []
        if self.helper:
            self.functions_.append(globals()[self.helper])
        self.classes_ = np.unique(y)
        self.by_class_ = {c: X[y == c].mean(axis=0) for c in self.classes_}
        return self

    def predict(self, X):
        X = self.scaler_.transform(X)
        first = self.models_["all"][0].predict(X)
        model, columns = self.models_["pair"]
        second = model.predict(X[:, columns])
        weight = self.by_class_[self.classes_[0]]
        for function in self.functions_:
            weight = function(weight)
        return first if weight.sum() > 2 else second


class WithoutMixins:
    """Follow scikit-learn's conventions by hand."""

    def __init__(self, constant=0.0):
        self.constant = constant

    def get_params(self, deep=True):
        return {"constant": self.constant}

    def set_params(self, **params):
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def fit(self, X, y):
        self.mean_ = float(np.mean(y)) + self.constant
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)

    def score(self, X, y):
        return -float(np.mean(np.abs(self.predict(X) - y)))

    def __sklearn_tags__(self):
        return Typical().__sklearn_tags__()


class Remembering(ClassifierMixin, BaseEstimator):
    """Has a cached property, a lock, and private learned state."""

    def __init__(self, k=1):
        self.k = k

    def fit(self, X, y):
        self._lock = threading.Lock()
        self._seen = X[:: self.k].copy()
        self._labels = y[:: self.k].copy()
        self.classes_ = np.unique(y)
        return self

    def __getstate__(self):
        state = dict(self.__dict__)
        state.pop("_lock", None)
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._lock = threading.Lock()

    @functools.cached_property
    def centre(self):
        return self._seen.mean(axis=0)

    def predict(self, X):
        with self._lock:
            near = np.abs(X[:, None] - self._seen[None]).sum(axis=-1).argmin(axis=1)
        return self._labels[near]

    def transform(self, X):
        return X - self.centre


class Slotted(TransformerMixin, BaseEstimator):
    """Part of what it has learned is in slots."""

    __slots__ = ("shift_",)

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y=None):
        self.shift_ = X.min(axis=0) * self.factor
        return self

    def transform(self, X):
        return X - self.shift_

    def __getstate__(self):
        state = {"factor": self.factor}
        if hasattr(self, "shift_"):
            state["shift_"] = self.shift_
        return state

    def __setstate__(self, state):
        for name, value in state.items():
            setattr(self, name, value)


class Chooser(ClassifierMixin, BaseEstimator):
    """Make the class that a param names."""

    def __init__(self, cls=LogisticRegression, options=None):
        self.cls = cls
        self.options = options

    def fit(self, X, y):
        self.model_ = self.cls(**(self.options or {})).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(X)


class ChangesData(ClassifierMixin, BaseEstimator):
    """Shift X, y and the weights where they are."""

    def __init__(self, shift=1.0):
        self.shift = shift

    def fit(self, X, y, sample_weight=None):
        X += self.shift
        y[:5] = y[-5:]
        if sample_weight is not None:
            sample_weight *= 2
        self.mean_ = np.average(X, axis=0, weights=sample_weight)
        self.classes_, self.counts_ = np.unique(y, return_counts=True)
        return self

    def predict(self, X):
        far = np.abs(X - self.mean_).sum(axis=1)
        return self.classes_[(far * self.counts_[0]).astype(int) % len(self.classes_)]


class Counter(BaseEstimator, RegressorMixin):
    """Learn integers, texts, None, sets, ranges, bytes, big and complex numbers."""

    def __init__(self, base=10):
        self.base = base

    def fit(self, X, y):
        self.texts_ = {str(n): n**40 for n in range(self.base)}
        self.set_ = frozenset(range(self.base))
        self.none_ = None
        self.bytes_ = b"\x00\xff" * self.base
        self.range_ = range(0, self.base, 2)
        self.complex_ = complex(1, self.base)
        self.nan_ = float("nan")
        self.deep_ = [[{"a": (1, [2.5, np.float32(self.base)])}]]
        self.shared_ = self.deep_[0]
        self.shared_.append(np.arange(self.base))
        return self

    def predict(self, X):
        total = sum(self.range_) + len(self.set_) + len(self.bytes_)
        total += float(self.deep_[0][1].sum()) + self.complex_.imag
        total += float(self.deep_[0][0]["a"][1][1]) + self.texts_["3"] % 1000
        return np.full(len(X), total + (self.nan_ != self.nan_) + (self.none_ is None))

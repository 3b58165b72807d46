"""Estimators for the tests on clusters, importable by the workers."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression, RidgeClassifier


class GatedClassifier(ClassifierMixin, BaseEstimator):
    """A ridge classifier that tells of every fit, and waits when told to.

    Parameters
    ----------
    log : path
        Gets a line for each fit: process, C, sum of X.
    gate : path or None
        All but the first `free` fits wait until there is a file of that name.
    """

    def __init__(self, log=None, C=1.0, gate=None, free=0):
        self.log = log
        self.C = C
        self.gate = gate
        self.free = free

    def fit(self, X, y):
        log = Path(self.log)
        # One write in append mode is atomic, whatever process it comes from.
        fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, f"{os.getpid()} {self.C} {X.sum():.3f}\n".encode())
        os.close(fd)
        if self.gate is not None and len(log.read_text().splitlines()) > self.free:
            while not Path(self.gate).exists():
                time.sleep(0.02)
        model = RidgeClassifier(alpha=1 / self.C).fit(X, y)
        self.coef_ = model.coef_
        self.intercept_ = model.intercept_
        self.classes_ = model.classes_
        return self

    def predict(self, X):
        return self.classes_[np.argmax(X @ self.coef_.T + self.intercept_, axis=1)]


class Homebody(LogisticRegression):
    """A model that cannot be sent anywhere once it is fitted."""

    def __getstate__(self):
        if hasattr(self, "coef_"):
            raise TypeError("a fitted model is about to travel")
        return super().__getstate__()


class Fatal(LogisticRegression):
    """A model whose fit ends its process where C is 2, as for want of memory."""

    def fit(self, X, y, sample_weight=None):
        if self.C == 2.0:
            time.sleep(0.5)  # so that what was finished before has been fetched
            os._exit(1)
        return super().fit(X, y, sample_weight)

"""Estimators of the benchmarks; in a module of their own, so that workers find them."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

__all__ = ["N_WEIGHTS", "RandomWeights", "digits_net", "network"]

N_WEIGHTS = 500_000
"""4 MB of float64."""


class RandomWeights(ClassifierMixin, BaseEstimator):
    """Has large weights and no work with them.

    Parameters
    ----------
    seed : int, default=0
    n_weights : int, default=500_000
    """

    def __init__(self, seed: int = 0, n_weights: int = N_WEIGHTS):
        self.seed = seed
        self.n_weights = n_weights

    def fit(self, X: Any, y: Any) -> Self:
        """Draw weights."""
        self.coef_ = np.random.default_rng(self.seed).random(self.n_weights)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        """Say the same of every row."""
        return np.full(len(X), self.classes_[0])


def network(units: int) -> Any:
    """Build a Keras model for the digits, compiled."""
    import keras

    model = keras.Sequential(
        [
            keras.layers.Input((64,)),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def digits_net(n_units: int = 32) -> Any:
    """Build a PyTorch module for the digits."""
    from torch import nn

    return nn.Sequential(
        nn.Linear(64, n_units), nn.ReLU(), nn.Linear(n_units, 10), nn.Softmax(dim=-1)
    )

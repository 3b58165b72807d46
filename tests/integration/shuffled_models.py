"""Estimators whose hidden units are shuffled after the fit."""

from __future__ import annotations

import numpy as np
from sklearn.neural_network import MLPClassifier


class ShuffledMLP(MLPClassifier):
    """An MLP like any other, but for the order of its hidden units.

    Those of every hidden layer are permuted at random, by the seed `shuffle`; None
    leaves them as they are.
    """

    def __init__(
        self, hidden_layer_sizes=(10,), max_iter=30, random_state=0, shuffle_units=None
    ):
        super().__init__(hidden_layer_sizes, max_iter=max_iter)
        self.random_state = random_state
        self.shuffle_units = shuffle_units

    def fit(self, X, y):
        """Fit, then shuffle."""
        super().fit(X, y)
        if self.shuffle_units is not None:
            rng = np.random.default_rng(self.shuffle_units)
            for i in range(len(self.coefs_) - 1):
                order = rng.permutation(self.coefs_[i].shape[1])
                self.coefs_[i] = self.coefs_[i][:, order]
                self.intercepts_[i] = self.intercepts_[i][order]
                self.coefs_[i + 1] = self.coefs_[i + 1][order]
        return self


def shuffle_dense(arrays, seed):
    """Shuffle the units of Dense layers: kernels (in, out) and biases in turn."""
    if seed is None:
        return arrays
    rng = np.random.default_rng(seed)
    arrays = list(arrays)
    for i in range(0, len(arrays) - 2, 2):
        order = rng.permutation(arrays[i].shape[1])
        arrays[i] = arrays[i][:, order]
        arrays[i + 1] = arrays[i + 1][order]
        arrays[i + 2] = arrays[i + 2][order]
    return arrays

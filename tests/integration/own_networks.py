"""Estimators of one's own around networks, as people write them without a wrapper."""

from __future__ import annotations

import keras
import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import nn


class Tagger(nn.Module):
    """Buffers, tied weights, a list of layers and a recurrent one."""

    def __init__(self, hidden):
        super().__init__()
        self.hidden = hidden
        self.norm = nn.BatchNorm1d(4)
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.layers = nn.ModuleList([nn.Linear(hidden, hidden) for _ in range(2)])
        self.layers[1].weight = self.layers[0].weight
        self.out = nn.Linear(hidden, 3)
        self.register_buffer("scale", torch.tensor(0.5), persistent=False)

    def forward(self, x):
        x, _ = self.lstm(self.norm(x).unsqueeze(-1))
        x = x[:, -1] * self.scale
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.out(x)


class TorchClassifier(ClassifierMixin, BaseEstimator):
    """Trains a module of its own, or one of torch's, in a loop of its own."""

    def __init__(self, hidden=4, own=True):
        self.hidden = hidden
        self.own = own

    def fit(self, X, y):
        torch.manual_seed(0)
        self.device_ = torch.device("cpu")
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.mean_ = torch.tensor(X.mean(axis=0), dtype=torch.float32)
        self.model_ = (
            Tagger(self.hidden)
            if self.own
            else nn.Sequential(nn.Linear(4, self.hidden), nn.ReLU(), nn.LazyLinear(3))
        )
        inputs, targets = self._inputs(X), torch.tensor(codes)
        self.model_(inputs)  # lazy layers have no weights before
        optimizer = torch.optim.Adam(self.model_.parameters(), 0.05)
        for _ in range(5):
            optimizer.zero_grad()
            nn.functional.cross_entropy(self.model_(inputs), targets).backward()
            optimizer.step()
        self.model_.eval()
        return self

    def predict_proba(self, X):
        with torch.no_grad():
            return torch.softmax(self.model_(self._inputs(X)), 1).numpy()

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _inputs(self, X):
        return torch.tensor(X, dtype=torch.float32).to(self.device_) - self.mean_


class OwnKerasClassifier(ClassifierMixin, BaseEstimator):
    """Trains a Keras model without a wrapper."""

    def __init__(self, hidden=4):
        self.hidden = hidden

    def fit(self, X, y):
        keras.utils.set_random_seed(0)
        self.classes_, codes = np.unique(y, return_inverse=True)
        inputs = keras.Input((4,))
        hidden = keras.layers.BatchNormalization()(
            keras.layers.Dense(self.hidden, "relu")(inputs)
        )
        self.model_ = keras.Model(inputs, keras.layers.Dense(3, "softmax")(hidden))
        self.model_.compile("adam", "sparse_categorical_crossentropy")
        self.model_.fit(X, codes, epochs=2, verbose=0)
        return self

    def predict_proba(self, X):
        return self.model_.predict(X, verbose=0)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

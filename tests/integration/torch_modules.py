"""PyTorch modules, importable by worker processes."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import torch
from skorch.callbacks import Callback
from torch import nn


class SimpleNet(nn.Module):
    """The network of the example; starts from the same weights each time."""

    def __init__(self, hidden_units=100, activation="relu", n_features=20):
        super().__init__()
        torch.manual_seed(0)
        self.fc1 = nn.Linear(n_features, hidden_units)
        self.relu = nn.ReLU() if activation == "relu" else nn.Tanh()
        self.fc2 = nn.Linear(hidden_units, 2)

    def forward(self, x):
        return self.fc2(self.relu(self.fc1(x)))


class WideNet(SimpleNet):
    """The same network, wider."""

    def __init__(self):
        super().__init__(hidden_units=200)


class HalfNet(nn.Module):
    """A regressor that keeps a weight in bfloat16."""

    def __init__(self, hidden_units=4):
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.BatchNorm1d(10)
        self.fc = nn.Linear(10, hidden_units)
        self.scale = nn.Parameter(torch.ones(1, dtype=torch.bfloat16) / 3)
        self.out = nn.Linear(hidden_units, 1)

    def forward(self, x):
        return self.out(torch.relu(self.fc(self.norm(x)))) * self.scale.float()


class Interruption(Callback):
    """Interrupts a second epoch once `fit` fits have begun, as Ctrl-C does."""

    def __init__(self, log, fit):
        self.log = log
        self.fit = fit

    def on_train_begin(self, net, **kwargs):
        with Path(self.log).open("a") as file:
            file.write("fit\n")

    def on_epoch_end(self, net, **kwargs):
        n_fits = len(Path(self.log).read_text().splitlines())
        if n_fits >= self.fit and len(net.history) == 2:
            with contextlib.suppress(FileExistsError):
                # Once: not again in the search that goes on.
                Path(f"{self.log}.interrupted").touch(exist_ok=False)
                signal.raise_signal(signal.SIGINT)

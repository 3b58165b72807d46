"""PyTorch modules, optimizers and callbacks as users write them."""

from __future__ import annotations

import enum

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn


class Net(nn.Module):
    """Starts from the same weights each time."""

    def __init__(self, units=4, activation=torch.relu, outputs=2):
        super().__init__()
        torch.manual_seed(0)
        self.hidden = nn.Linear(4, units)
        self.output = nn.Linear(units, outputs)
        self.activation = activation

    def forward(self, X):
        return self.output(self.activation(self.hidden(X)))


class Line(nn.Linear):
    """Predicts a number; starts from the same weights each time."""

    def __init__(self, bias=True):
        torch.manual_seed(0)
        super().__init__(4, 1, bias=bias)


class Deep(Net):
    """Another architecture."""

    def __init__(self, units=4):
        super().__init__(units)
        self.more = nn.Linear(units, units)

    def forward(self, X):
        return self.output(torch.tanh(self.more(torch.relu(self.hidden(X)))))


class WithModule(nn.Module):
    """Has an instance as default, whose mode changes by use."""

    def __init__(self, units=6, activation=nn.ReLU(), layers=None):  # noqa: B008
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Linear(4, units), *(layers or [activation]), nn.Linear(units, 2)
        )

    def forward(self, X):
        return self.layers(X)


class Way(enum.Enum):
    RELU = "relu"
    TANH = "tanh"


class ByEnum(Net):
    """Its activation is named by an enum."""

    def __init__(self, way=Way.RELU, memory=1.0):
        super().__init__(activation=getattr(torch, way.value))
        self.memory = memory

    def forward(self, X):
        return self.memory * super().forward(X)


class Tied(nn.Module):
    """Two layers share a weight; a buffer counts."""

    def __init__(self, units=4):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm1d(4)
        self.output = nn.Linear(4, 2)
        self.register_buffer("steps", torch.zeros(1))
        self.units = units

    def forward(self, X):
        if self.training:
            self.steps += self.units
        X = self.norm(self.second(torch.relu(self.first(X))))
        return self.output(X) * (1 + self.steps / 1000)


class OwnLoss(nn.Module):
    """A loss with a weight of its own."""

    def __init__(self, sharpness=1.0):
        super().__init__()
        self.sharpness = sharpness

    def forward(self, said, y):
        return nn.functional.cross_entropy(said * self.sharpness, y)


class Slower(Callback):
    """Lets the learning rate decay."""

    def __init__(self, factor=0.5):
        self.factor = factor

    def on_epoch_end(self, net, **kwargs):
        for group in net.optimizer_.param_groups:
            group["lr"] *= self.factor


class OwnNet(NeuralNetClassifier):
    """A subclass with a param and a loss of its own."""

    def __init__(self, *args, penalty=0.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.penalty = penalty

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        loss = super().get_loss(y_pred, y_true, *args, **kwargs)
        return loss + self.penalty * self.module_.hidden.weight.abs().sum()


def net(module=Net, **params):
    """Return a classifier that learns in a moment."""
    common = {
        "criterion": nn.CrossEntropyLoss,
        "max_epochs": 2,
        "verbose": 0,
        "train_split": None,
        "lr": 0.1,
    }
    return NeuralNetClassifier(module, **common | params)

"""Weights of every PyTorch model of a grid, through skorch: breast cancer data.

python examples/torch_breast_cancer.py [store.h5]
"""

import sys

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from weightsearch import WeightTrackingGridSearchCV

NAME = "PyTorch, breast cancer"

PARAM_GRID = {
    "neuralnetclassifier__module__hidden_units": [16, 32],
    "neuralnetclassifier__module__activation": ["relu", "tanh"],
}


class SimpleNet(nn.Module):
    """One hidden layer for 30 features."""

    def __init__(self, hidden_units=16, activation="relu"):
        super().__init__()
        self.fc1 = nn.Linear(30, hidden_units)
        self.activation = nn.ReLU() if activation == "relu" else nn.Tanh()
        self.fc2 = nn.Linear(hidden_units, 2)

    def forward(self, x):
        """Return the logits of both classes."""
        return self.fc2(self.activation(self.fc1(x)))


def build(store=None):
    """Return the search and its data."""
    X, y = load_breast_cancer(return_X_y=True)
    torch.manual_seed(42)  # initial weights come from torch's generator
    net = NeuralNetClassifier(
        SimpleNet,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.01,
        max_epochs=15,
        verbose=0,
    )
    model = make_pipeline(StandardScaler(), net)
    search = WeightTrackingGridSearchCV(model, PARAM_GRID, cv=3, store=store)
    return search, X.astype("float32"), y.astype("int64")


def main(store=None):
    search, X, y = build(store)
    search.fit(X, y)

    print(f"best: {search.best_params_}, accuracy {search.best_score_:.3f}")
    for name, weight in search.best_weights_.items():
        print(f"  {name:32} {weight.shape}")

    # The first layer of all candidates with 32 hidden units, as one table of params.
    table = search.run_.query("neuralnetclassifier__module__hidden_units == 32")
    print(table[["neuralnetclassifier__module__activation", "mean_test_score"]])


if __name__ == "__main__":
    main(*sys.argv[1:2])

"""Weights of every multilayer perceptron of a grid: scikit-learn, wine data.

python examples/sklearn_mlp.py [store.h5]
"""

import sys

from sklearn.datasets import load_wine
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import WeightTrackingGridSearchCV

NAME = "scikit-learn, wine"

PARAM_GRID = {
    "mlpclassifier__hidden_layer_sizes": [(50,), (100,), (50, 50)],
    "mlpclassifier__activation": ["relu", "tanh"],
}


def build(store=None):
    """Return the search and its data."""
    X, y = load_wine(return_X_y=True)
    model = make_pipeline(
        StandardScaler(), MLPClassifier(max_iter=500, random_state=42)
    )
    return WeightTrackingGridSearchCV(model, PARAM_GRID, cv=3, store=store), X, y


def main(store=None):
    search, X, y = build(store)
    search.fit(X, y)

    print(f"best: {search.best_params_}, accuracy {search.best_score_:.3f}")
    for name, weight in search.best_weights_.items():
        print(f"  {name:28} {weight.shape}")

    # The weights of any other candidate, found by its params.
    params = {
        "mlpclassifier__hidden_layer_sizes": (50, 50),
        "mlpclassifier__activation": "tanh",
    }
    kernel = search.weights_by_params_[params]["mlpclassifier/coefs_/0"]
    print(
        f"first layer of {params}: {kernel.shape}, norm {(kernel**2).sum() ** 0.5:.2f}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:2])

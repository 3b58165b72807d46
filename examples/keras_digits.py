"""Weights of every Keras model of a grid, through scikeras: digits data.

python examples/keras_digits.py [store.h5]
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no messages about hardware

import keras
from scikeras.wrappers import KerasClassifier
from sklearn.datasets import load_digits

from weightsearch import WeightTrackingGridSearchCV

NAME = "Keras, digits"

# Arguments of the builder are called ``model__...``.
PARAM_GRID = {"model__hidden_units": [32, 64], "model__activation": ["relu", "tanh"]}


def build_model(hidden_units=32, activation="relu"):
    """Build a network with one hidden layer for images of 8 x 8 pixels."""
    model = keras.Sequential(
        [
            keras.layers.Input((64,)),
            keras.layers.Dense(hidden_units, activation=activation),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model


def build(store=None):
    """Return the search and its data."""
    X, y = load_digits(return_X_y=True)
    model = KerasClassifier(
        build_model, epochs=10, batch_size=64, verbose=0, random_state=42
    )
    search = WeightTrackingGridSearchCV(model, PARAM_GRID, cv=3, store=store)
    return search, (X / 16).astype("float32"), y


def main(store=None):
    search, X, y = build(store)
    search.fit(X, y)

    print(f"best: {search.best_params_}, accuracy {search.best_score_:.3f}")
    for name, weight in search.best_weights_.items():
        print(f"  {name:16} {weight.shape}")

    # One weight of all candidates of one size, in one array.
    narrow = search.weights_by_params_.where(model__hidden_units=32)
    for params, weights in narrow.items():
        kernel = weights["dense/kernel"]
        print(f"{dict(params)}: mean |dense/kernel| {abs(kernel).mean():.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:2])

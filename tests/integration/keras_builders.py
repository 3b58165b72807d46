"""Builders of Keras models, importable by worker processes."""

from __future__ import annotations

import keras


def build_model(hidden_units=100, activation="relu"):
    """Build the network of the example for 20 features and 2 classes."""
    model = keras.Sequential(
        [
            keras.layers.Input((20,)),
            keras.layers.Dense(hidden_units, activation=activation),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(
        optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def build_iris(hidden_units=16):
    """Build a network for iris."""
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(hidden_units, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.03), loss="sparse_categorical_crossentropy"
    )
    return model


def build_binary(hidden_units=8):
    """Build a network with one output for the 30 features of breast cancer."""
    model = keras.Sequential(
        [
            keras.layers.Input((30,)),
            keras.layers.Dense(hidden_units, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy")
    return model


def build_from_data(X, y, hidden=8):
    """Build what ``keras.wrappers`` wants: a compiled model, made for the data."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((X.shape[1],)),
            keras.layers.Dense(hidden, activation="relu"),
            keras.layers.Dense(y.shape[1], activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam")
    return model


def build_diabetes(hidden_units=8):
    """Build a regression network for the 10 features of diabetes."""
    model = keras.Sequential(
        [
            keras.layers.Input((10,)),
            keras.layers.Dense(hidden_units, activation="relu"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer="adam", loss="mse")
    return model

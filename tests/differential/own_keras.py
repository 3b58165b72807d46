"""Builders, layers and activations of Keras as users write them."""

from __future__ import annotations

import keras
import numpy as np
from scikeras.wrappers import KerasClassifier, KerasRegressor
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder


def build(units=4, activation="relu", meta=None):
    """Build a network for the data that it is going to see."""
    outputs = (meta or {}).get("n_classes_", 3)
    features = (meta or {}).get("n_features_in_", 4)
    return keras.Sequential(
        [
            keras.layers.Input((features,)),
            keras.layers.Dense(units, activation=activation),
            keras.layers.Dense(outputs, activation="softmax"),
        ]
    )


def build_functional(units=4):
    """Build a network of two branches, compiled."""
    given = keras.layers.Input((4,))
    left = keras.layers.Dense(units, activation="relu")(given)
    right = keras.layers.BatchNormalization()(given)
    both = keras.layers.Concatenate()([left, right])
    model = keras.Model(given, keras.layers.Dense(3, activation="softmax")(both))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def build_number(units=4):
    """Build a network that predicts a number."""
    return keras.Sequential(
        [
            keras.layers.Input((10,)),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(1),
        ]
    )


@keras.saving.register_keras_serializable("differential")
class Scaled(keras.layers.Layer):
    """Multiply by a weight."""

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, inputs):
        return inputs * self.factor * self.start

    def get_config(self):
        return {**super().get_config(), "start": self.start}


def build_with_layer(layer=None, units=4):
    """Build a network around a layer that a param is."""
    return keras.Sequential(
        [
            keras.layers.Input((4,)),
            *([layer] if layer is not None else []),
            Scaled(2.0),
            keras.layers.Dense(units, activation="tanh"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def swish_like(x):
    return x * keras.ops.sigmoid(2 * x)


def build_from_data(X, y, hidden=4, activation="relu"):
    """Build what ``keras.wrappers`` wants: a compiled model, made for the data."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((X.shape[1],)),
            keras.layers.Dense(hidden, activation=activation),
            keras.layers.Dense(y.shape[1] if y.ndim > 1 else 1, activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam")
    return model


def build_number_from_data(X, y, hidden=4):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((X.shape[1],)),
            keras.layers.Dense(hidden),
            keras.layers.Dense(1),
        ]
    )
    model.compile(loss="mse", optimizer="sgd")
    return model


class WithEncoders(KerasClassifier):
    """Brings encoders of its own."""

    @property
    def feature_encoder(self):
        return FunctionTransformer(np.float32)

    @property
    def target_encoder(self):
        return OrdinalEncoderOfColumns()


class OrdinalEncoderOfColumns(OrdinalEncoder):
    """Encode a single column, backwards."""

    def fit(self, y):
        super().fit(np.asarray(y).reshape(-1, 1))
        self.n_outputs_expected_ = 1
        return self

    def get_metadata(self):
        # What scikeras sets in the estimator, as its own encoder says it.
        classes = self.categories_[0]
        return {"classes_": classes, "n_classes_": len(classes), "n_outputs_": 1}

    def transform(self, y):
        codes = super().transform(np.asarray(y).reshape(-1, 1)).ravel()
        return len(self.categories_[0]) - 1 - codes

    def inverse_transform(self, y, return_proba=False):
        if return_proba:
            return y[:, ::-1]
        codes = len(self.categories_[0]) - 1 - np.argmax(y, axis=1)
        return self.categories_[0][codes]


def classifier(model=build, cls=KerasClassifier, **params):
    """Return a classifier that learns in a moment."""
    common = {
        "loss": "sparse_categorical_crossentropy",
        "optimizer": "adam",
        "epochs": 1,
        "batch_size": 64,
        "verbose": 0,
        "random_state": 0,
    }
    return cls(model, **common | params)


def regressor(**params):
    common = {"loss": "mse", "epochs": 1, "batch_size": 64, "verbose": 0}
    return KerasRegressor(build_number, random_state=0, **common | params)

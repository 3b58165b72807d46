"""Networks of the crash tests, importable by workers."""

from __future__ import annotations

import os


def tell(log):
    """Add a line to a file, atomically."""
    fd = os.open(os.path.expandvars(log), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b"fit\n")
    os.close(fd)


def build(log, hidden=2):
    """Build a small Keras classifier."""
    import keras

    tell(log)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(hidden, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
    return model

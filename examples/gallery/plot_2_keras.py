"""
Keras: layers have the same names in every model
================================================

Keras numbers layers per process: the second model of a search has a layer ``dense_2``
where the first one had ``dense``. In a store the numbers start again in each model, so
a layer has the same name in all candidates.
"""

import keras
import numpy as np
from scikeras.wrappers import KerasClassifier
from sklearn.datasets import load_digits

from weightsearch import WeightTrackingGridSearchCV
from weightsearch.plot import WeightImageDisplay


def build_model(hidden_units=16, penalty=0.0):
    """Build a network with one hidden layer for images of 8 x 8 pixels."""
    model = keras.Sequential(
        [
            keras.layers.Input((64,)),
            keras.layers.Dense(
                hidden_units,
                activation="relu",
                kernel_regularizer=keras.regularizers.L2(penalty),
            ),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy"
    )
    return model


X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
classifier = KerasClassifier(
    build_model, epochs=8, batch_size=64, verbose=0, random_state=0
)
# Arguments of the builder are called model__...
grid = {"model__hidden_units": [8, 16], "model__penalty": [0.0, 0.01]}
search = WeightTrackingGridSearchCV(classifier, grid, cv=2).fit(X, y)

for params, weights in search.weights_by_params_.items():
    print(dict(params), {name: weights[name].shape for name in weights})

# %%
# A query finds candidates; an array is read on access.

run = search.run_
wide = run.query("model__hidden_units == 16")
for candidate in wide.index:
    kernel = run.weights(candidate)["dense/kernel"]
    score = run.candidates.loc[candidate, "mean_test_score"]
    print(
        f"penalty {run.params(candidate)['model__penalty']}: norm of the first layer "
        f"{np.linalg.norm(kernel):.2f}, accuracy {score:.3f}"
    )

# %%
# The pixels of each hidden unit of the best network: blue ones have negative weights,
# red ones positive.

WeightImageDisplay.from_search(search, "dense/kernel", shape=(8, 8), vmax=1.0)

# %%
# The penalised network of the same size, on the same scale.

penalised = {"model__hidden_units": 16, "model__penalty": 0.01}
WeightImageDisplay.from_search(
    search, "dense/kernel", candidate=penalised, shape=(8, 8), vmax=1.0
)

"""Weights of Keras models over time, of scikeras and of ``keras.wrappers``."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris

keras = pytest.importorskip("keras")
scikeras = pytest.importorskip("scikeras.wrappers")

from keras.callbacks import LearningRateScheduler  # noqa: E402
from keras.wrappers import SKLearnClassifier  # noqa: E402

from weightsearch import RebuildError, SnapshotPlan, WeightTrackingGridSearchCV  # noqa: E402

# Of TensorFlow's arrays, in Keras' own scheduler.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)
X, y = load_iris(return_X_y=True)
X = X.astype(np.float32)


def build(hidden=4, loss="sparse_categorical_crossentropy"):
    """A network with batch normalization and dropout."""
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(hidden),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


def build_for_wrapper(X, y, hidden=4):
    """The same for targets that are one-hot encoded."""
    return build(hidden, "categorical_crossentropy")


def estimators():
    """An estimator of each package, with the name of a param."""
    schedule = LearningRateScheduler(lambda epoch, rate: 0.1 / (epoch + 1))
    yield (
        scikeras.KerasClassifier(
            build, hidden=4, epochs=2, verbose=0, random_state=0, callbacks=[schedule]
        ),
        {"hidden": [4]},
        {},
    )
    yield (
        SKLearnClassifier(build_for_wrapper),
        {"model_kwargs": [{"hidden": 4}]},
        {"epochs": 2, "verbose": 0, "callbacks": [schedule]},
    )


@pytest.mark.parametrize("which", [0, 1], ids=["scikeras", "wrapper"])
def test_snapshots_of_keras(which, tmp_path):
    """Results are equal, the last snapshot is the model, and early ones predict."""
    estimator, grid, fit_params = list(estimators())[which]

    def search(**options):
        keras.utils.set_random_seed(0)
        return WeightTrackingGridSearchCV(
            estimator, grid, cv=2, store=tmp_path / "a.h5", resume=False, **options
        ).fit(X, y, **fit_params)

    plain, found = search(), search(snapshots="all")

    column = "mean_test_score"
    np.testing.assert_array_equal(plain.cv_results_[column], found.cv_results_[column])
    run = found.run_
    one, final = run.trajectory(0), run.weights(0)
    assert one.epochs.tolist() == [0, 1, 2]
    assert list(one) == list(final)
    for name in one:
        assert one[name][-1].tobytes() == final[name].tobytes()
        assert final[name].tobytes() == plain.run_.weights(0)[name].tobytes()
    assert len(np.unique(one["batch_normalization/moving_mean"], axis=0)) == 3
    metrics = one.metrics
    np.testing.assert_allclose(metrics["learning_rate"][1:], [0.1, 0.05], rtol=1e-6)
    assert {"loss", "accuracy"} <= set(metrics)
    assert metrics["step"].tolist() == [0, 5, 10]
    fitted = found.best_estimator_
    assert not {"fit", "_get_model", "_initialize_callbacks"} & set(vars(fitted))
    assert "fit" not in vars(fitted.model_)

    early = run.load_estimator(0, estimator=estimator, epoch=1)
    for variable, name in zip(early.model_.weights, one, strict=True):
        np.testing.assert_array_equal(variable.numpy(), one[name][1])
    if which == 0:
        rewound = run.rewind(0, 1, estimator=estimator)
        optimizer = rewound.model_.optimizer
        assert int(optimizer.iterations) == 0
        assert float(optimizer.learning_rate) == pytest.approx(0.01)  # the builder's
        for variable, name in zip(rewound.model_.weights, one, strict=True):
            np.testing.assert_array_equal(variable.numpy(), one[name][1])
        rewound.fit(X, y)
        assert rewound.history_["loss"][0] < metrics["loss"][1]
    else:
        with pytest.raises(RebuildError, match="builds a new model"):
            run.rewind(0, 1, estimator=estimator)


def build_adam(hidden=4):
    """A network without random numbers, and an optimizer with moments."""
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(hidden),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def test_with_its_optimizer_a_model_trains_on_as_it_did(tmp_path):
    """From any epoch, the same batches lead to the same end, bit for bit."""
    keras.utils.set_random_seed(0)
    estimator = scikeras.KerasClassifier(
        build_adam, hidden=4, epochs=4, verbose=0, fit__shuffle=False
    )
    run = (
        WeightTrackingGridSearchCV(
            estimator,
            {"hidden": [3, 4]},
            cv=2,
            store=tmp_path / "a.h5",
            snapshots=SnapshotPlan("all", optimizer=True),
        )
        .fit(X, y)
        .run_
    )
    best = run.best_index
    for candidate, epoch in ((best, 0), (best, 2), (1 - best, 2)):
        end = run.weights(candidate)
        rewound = run.rewind(candidate, epoch, estimator=estimator)
        rewound.set_params(epochs=4 - epoch).fit(X, y)
        for variable, name in zip(rewound.model_.weights, end, strict=True):
            assert variable.numpy().tobytes() == end[name].tobytes()

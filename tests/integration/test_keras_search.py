"""Searches over Keras models, through scikeras and keras.wrappers."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_breast_cancer, load_iris, make_classification
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import (
    InvalidGridError,
    WeightStore,
    WeightTrackingGridSearchCV,
    extract_weights,
)

pytest.importorskip("scikeras")

from keras_builders import (
    build_binary,
    build_from_data,
    build_iris,
    build_model,
)
from scikeras.wrappers import KerasClassifier


@pytest.fixture(scope="module", autouse=True)
def fresh_workers():
    # loky takes a worker that has just imported TensorFlow for one that leaks memory,
    # and replacing two at once can hang (joblib issue 869).
    get_reusable_executor().shutdown(wait=True)
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.fixture(scope="module")
def data():
    return make_classification(n_samples=100, n_features=20, random_state=42)


def test_the_published_example(data):
    """The weights of the best model are those that the example takes out by hand."""
    X, y = data
    search = WeightTrackingGridSearchCV(
        KerasClassifier(model=build_model, verbose=0, random_state=0),
        {
            "model__hidden_units": [50, 100],
            "model__activation": ["relu", "tanh"],
            "epochs": [1, 2],
        },
        cv=3,
    ).fit(X, y)
    by_hand = [
        weight
        for layer in search.best_estimator_.model_.layers
        for weight in layer.get_weights()
    ]
    assert list(search.best_weights_) == [
        "dense/kernel",
        "dense/bias",
        "dense_1/kernel",
        "dense_1/bias",
    ]
    for ours, theirs in zip(search.best_weights_.values(), by_hand, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)
    assert len(search.weights_by_params_) == 8
    for params, weights in search.weights_by_params_.items():
        assert weights["dense/kernel"].shape == (20, params["model__hidden_units"])
        assert weights["dense_1/kernel"].shape == (params["model__hidden_units"], 2)


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_refits_equal_fits_by_hand(data, n_jobs):
    """With a seed, a captured refit is bit for bit a fit by hand, workers or not."""
    X, y = data
    estimator = make_pipeline(
        StandardScaler(),
        KerasClassifier(model=build_model, epochs=2, verbose=0, random_state=3),
    )
    search = WeightTrackingGridSearchCV(
        estimator, {"kerasclassifier__model__hidden_units": [4, 6]}, cv=2, n_jobs=n_jobs
    ).fit(X, y)
    for params, weights in search.weights_by_params_.items():
        expected = extract_weights(clone(estimator).set_params(**params).fit(X, y))
        assert list(weights) == list(expected)
        assert "kerasclassifier/dense_1/bias" in weights
        for name, array in expected.items():
            np.testing.assert_array_equal(weights[name], array, strict=True)


def test_threads(data):
    """Threads share Keras' seeds, so weights vary, but all are there."""
    # A random_state would be set back by one thread while the other one draws; and none
    # at all is refused by TensorFlow once a seeded fit has made it deterministic.
    pytest.importorskip("keras").utils.set_random_seed(0)
    with joblib.parallel_config(backend="threading"):
        search = WeightTrackingGridSearchCV(
            KerasClassifier(model=build_model, epochs=1, verbose=0),
            {"model__hidden_units": [4, 6]},
            cv=2,
            n_jobs=2,
        ).fit(*data)
    for params, weights in search.weights_by_params_.items():
        assert weights["dense/kernel"].shape == (20, params["model__hidden_units"])


@pytest.mark.slow
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_classifiers_are_stratified(in_pipeline):
    """On sorted labels cv=3 stratifies, where GridSearchCV alone scores nothing."""
    X, y = load_iris(return_X_y=True)
    model = KerasClassifier(
        model=build_iris, epochs=30, batch_size=16, verbose=0, random_state=0
    )
    name = "model__hidden_units"
    if in_pipeline:
        model, name = (
            make_pipeline(StandardScaler(), model),
            f"kerasclassifier__{name}",
        )
    search = WeightTrackingGridSearchCV(model, {name: [16]}, cv=3).fit(X, y)
    assert is_classifier(search)
    assert search.best_score_ > 0.8


def test_roc_auc_works():
    """A scorer that asks for a classifier finds one."""
    X, y = load_breast_cancer(return_X_y=True)
    model = KerasClassifier(model=build_binary, epochs=5, verbose=0, random_state=0)
    search = WeightTrackingGridSearchCV(
        make_pipeline(StandardScaler(), model),
        {"kerasclassifier__model__hidden_units": [8]},
        scoring="roc_auc",
        cv=3,
    ).fit(X, y)
    assert search.best_score_ > 0.9
    assert search.score(X, y) > 0.9


def test_a_builders_argument_is_suggested(data):
    """The key of the old wrappers ends before the first fit with the new one."""
    search = WeightTrackingGridSearchCV(
        KerasClassifier(model=build_model, verbose=0), {"hidden_units": [50]}
    )
    with pytest.raises(InvalidGridError, match="'model__hidden_units'") as caught:
        search.fit(*data)
    assert caught.value.key == "hidden_units"


def test_wrappers_of_keras_itself(data, tmp_path):
    """keras.wrappers work, their grid going over dicts of the model's arguments."""
    from keras.wrappers import SKLearnClassifier

    X, y = data
    store = tmp_path / "s.h5"
    grid = {"model_kwargs": [{"hidden": 4}, {"hidden": 6}]}
    estimator = SKLearnClassifier(build_from_data)
    for _ in range(2):
        search = WeightTrackingGridSearchCV(estimator, grid, cv=2, store=store)
        search.fit(X, y, epochs=2, verbose=0)
    shapes = [
        search.weights_by_params_[{"model_kwargs": {"hidden": n}}]["dense/kernel"].shape
        for n in (4, 6)
    ]
    assert shapes == [(20, 4), (20, 6)]
    with WeightStore(store) as opened:
        assert len(opened.runs) == 1


def test_scores_are_those_of_grid_search(data):
    """With seeds, the scores are GridSearchCV's to the bit."""
    grid = {"model__hidden_units": [4, 6]}
    searches = [
        cls(
            KerasClassifier(model=build_model, epochs=2, verbose=0, random_state=0),
            grid,
            cv=3,
        ).fit(*data)
        for cls in (WeightTrackingGridSearchCV, GridSearchCV)
    ]
    np.testing.assert_array_equal(
        *(search.cv_results_["mean_test_score"] for search in searches)
    )


def test_a_network_is_reused_from_the_store(data, tmp_path, capsys):
    """A second search of the same kind reuses all fits of the first."""
    for _ in range(2):
        WeightTrackingGridSearchCV(
            KerasClassifier(model=build_model, epochs=1, verbose=0, random_state=0),
            {"model__hidden_units": [4, 6]},
            cv=2,
            store=tmp_path / "s.h5",
            verbose=1,
        ).fit(*data)
    assert "4 of 4 fits reused" in capsys.readouterr().out

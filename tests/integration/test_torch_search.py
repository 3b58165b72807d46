"""Searches over PyTorch modules, through skorch."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, make_classification
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import (
    WeightStore,
    WeightTrackingGridSearchCV,
    extract_weights,
)

pytest.importorskip("skorch")

import torch
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.helper import SliceDataset, SliceDict
from torch import nn
from torch_modules import HalfNet, Interruption, SimpleNet, WideNet


@pytest.fixture(autouse=True)
def one_thread():
    # As loky's workers have it: sums in another order differ in their last bits.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data():
    X, y = make_classification(n_samples=100, n_features=20, random_state=42)
    return X.astype(np.float32), y.astype(np.int64)


def classifier(**params):
    return NeuralNetClassifier(
        module=SimpleNet,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        **{"max_epochs": 3, "verbose": 0, "train_split": None, **params},
    )


def test_the_published_example(data):
    """The weights of the best model are those that the example takes out by hand."""
    search = WeightTrackingGridSearchCV(
        NeuralNetClassifier(
            module=SimpleNet,
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            max_epochs=10,
            verbose=0,
        ),
        {
            "module__hidden_units": [50, 100, 150],
            "module__activation": ["relu", "tanh"],
            "max_epochs": [10, 20],
        },
        cv=3,
    ).fit(*data)
    by_hand = dict(search.best_estimator_.module_.named_parameters())
    assert list(search.best_weights_) == list(by_hand)
    for name, parameter in by_hand.items():
        np.testing.assert_array_equal(
            search.best_weights_[name], parameter.detach().numpy(), strict=True
        )
    assert len(search.weights_by_params_) == 12
    for params, weights in search.weights_by_params_.items():
        assert weights["fc1.weight"].shape == (params["module__hidden_units"], 20)


# Not with two threads: they share torch's generator, so no fit there is repeatable.
@pytest.mark.parametrize(
    ("n_jobs", "backend"), [(1, "loky"), (2, "loky"), (1, "threading")]
)
def test_refits_equal_fits_by_hand(data, n_jobs, backend):
    """A captured refit is bit for bit a fit by hand, whatever runs it."""
    estimator = make_pipeline(StandardScaler(), classifier(iterator_train__shuffle=0))
    grid = {"neuralnetclassifier__module__hidden_units": [4, 6, 8]}
    with joblib.parallel_config(backend=backend):
        search = WeightTrackingGridSearchCV(estimator, grid, cv=2, n_jobs=n_jobs)
        search.fit(*data)
    for params, weights in search.weights_by_params_.items():
        expected = extract_weights(clone(estimator).set_params(**params).fit(*data))
        assert list(weights) == list(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(weights[name], array, strict=True)


def test_threads(data):
    """Threads share torch's generator, so weights vary, but all are there."""
    with joblib.parallel_config(backend="threading"):
        search = WeightTrackingGridSearchCV(
            classifier(), {"module__hidden_units": [4, 6]}, cv=2, n_jobs=2
        ).fit(*data)
    for params, weights in search.weights_by_params_.items():
        assert weights["fc1.weight"].shape == (params["module__hidden_units"], 20)


def test_classes_as_params(data, tmp_path):
    """Weights are found by the module's class, also from the store alone."""
    path = tmp_path / "s.h5"
    search = WeightTrackingGridSearchCV(
        classifier(), {"module": [SimpleNet, WideNet]}, cv=2, store=path
    ).fit(*data)
    wide = search.weights_by_params_[{"module": WideNet}]
    assert wide["fc1.weight"].shape == (200, 20)
    with WeightStore(path) as store:
        found = store.run().weights({"module": WideNet})
        np.testing.assert_array_equal(found["fc1.weight"], wide["fc1.weight"])
        assert "WideNet" in repr(store.run().params(1))


@pytest.mark.parametrize("kind", ["tensor", "SliceDict", "SliceDataset"])
def test_what_skorch_users_pass_as_X(data, kind, tmp_path):
    """Tensors, SliceDicts and SliceDatasets are searched, stored and reused."""
    X, y = data
    if kind == "SliceDict":
        inputs = SliceDict(x=X)
    elif kind == "tensor":
        inputs = torch.from_numpy(X)
    else:
        pairs = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
        inputs = SliceDataset(pairs, idx=0)
    searches = [
        WeightTrackingGridSearchCV(
            classifier(),
            {"module__hidden_units": [4, 6]},
            cv=2,
            store=tmp_path / "s.h5",
            scoring="accuracy",
        ).fit(inputs, y)
        for _ in range(2)
    ]
    assert searches[0].run_.uid == searches[1].run_.uid
    assert len(searches[1].weights_by_params_) == 2


def test_bfloat16_and_buffers_come_back_from_the_store(tmp_path):
    """Types that numpy lacks and running statistics survive the store bit for bit."""
    X, y = load_diabetes(return_X_y=True)
    store = tmp_path / "s.h5"
    net = NeuralNetRegressor(HalfNet, max_epochs=2, lr=1e-4, verbose=0)
    search = WeightTrackingGridSearchCV(
        net, {"module__hidden_units": [3, 4]}, cv=2, store=store
    ).fit(X.astype(np.float32), y.astype(np.float32)[:, None])
    state = search.best_estimator_.module_.state_dict()
    with WeightStore(store) as opened:
        best = opened.run().best_weights()
        assert list(best) == list(state)
        scale = best["scale"]
        assert scale.dtype.name == "bfloat16"
        bits = state["scale"].view(torch.uint16).numpy()
        assert scale.view(np.uint16).tobytes() == bits.tobytes()
        np.testing.assert_array_equal(
            best["norm.running_mean"], state["norm.running_mean"].numpy()
        )


def test_a_criterion_with_weights(data):
    """A criterion that has weights of its own is kept beside the module."""
    net = classifier(criterion__weight=torch.tensor([0.5, 2.0]))
    search = WeightTrackingGridSearchCV(net, {"lr": [0.01]}, cv=2).fit(*data)
    np.testing.assert_array_equal(
        search.best_weights_["criterion_/weight"], np.float32([0.5, 2.0])
    )


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("fit", [3, 5])
def test_a_swallowed_interrupt(data, tmp_path, fit, n_jobs):
    """A net that skorch returns half-trained is not stored, but fitted again."""
    log = tmp_path / "fits.log"
    log.write_text("")
    net = classifier(callbacks=[("stop", Interruption(str(log), fit))])
    grid = {"lr": [0.001, 0.01]}
    kwargs = {"cv": 2, "n_jobs": n_jobs, "store": tmp_path / "s.h5"}
    with pytest.raises(KeyboardInterrupt):
        WeightTrackingGridSearchCV(net, grid, **kwargs).fit(*data)
    resumed = WeightTrackingGridSearchCV(net, grid, **kwargs).fit(*data)
    plain = GridSearchCV(classifier(), grid, cv=2).fit(*data)
    np.testing.assert_array_equal(
        resumed.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
    )
    assert len(resumed.best_estimator_.history) == 3
    np.testing.assert_array_equal(
        resumed.best_weights_["fc1.weight"],
        extract_weights(plain.best_estimator_)["fc1.weight"],
    )

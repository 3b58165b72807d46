"""Stored candidates as models again, in a process that never saw their training."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import rebuild_cases
from sklearn.base import clone
from sklearn.datasets import load_iris

from weightsearch import RebuildError, UntrustedTypeError, WeightStore

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def train(folder: Path, kind: str) -> Path:
    """Fit and store in another process."""
    subprocess.run(
        [sys.executable, str(HERE / "rebuild_cases.py"), str(folder), kind],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])},
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    """All of scikit-learn's estimators in one store."""
    return train(tmp_path_factory.mktemp("every"), "every")


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    return train(tmp_path_factory.mktemp("pipelines"), "pipelines")


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return train(tmp_path_factory.mktemp("networks"), "networks")


def test_every_estimator_of_scikit_learn(every, monkeypatch):
    """Every estimator answers bit for bit as it did."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    expected = pickle.loads((every / "every.pickle").read_bytes())
    loaded, different = [], []
    with WeightStore(every / "every.h5") as store:
        run = store.run()
        for number in range(len(run)):
            name = run.params(number)["name"]
            with warnings.catch_warnings():
                # Some are about to leave scikit-learn.
                warnings.simplefilter("ignore", FutureWarning)
                estimator = run.load_estimator(number)
            loaded.append(name)
            X = rebuild_cases.data_for(name, estimator)
            said = rebuild_cases.outputs(estimator, X)
            if said.keys() != expected[name].keys() or not all(
                rebuild_cases.same(said[method], expected[name][method])
                for method in said
            ):
                different.append(name)

    assert different == []
    assert len(loaded) > 150


@pytest.mark.parametrize("name", rebuild_cases.pipelines())
@pytest.mark.parametrize("with_template", [True, False])
def test_pipelines(pipelines, name, with_template):
    """Pipelines predict as before, without the estimator where nothing needs it."""
    estimator, _, X, y = rebuild_cases.pipelines()[name]
    if name == "function_step" and not with_template:
        pytest.skip("a function must come from the caller")
    check_case(pipelines, name, estimator if with_template else None, X, y)


@pytest.mark.slow
@pytest.mark.keras
@pytest.mark.parametrize(
    "name",
    ["scikeras", "scikeras_in_pipeline", "scikeras_regressor", "keras_wrappers"],
)
@pytest.mark.parametrize("with_template", [True, False])
def test_keras(networks, name, with_template):
    """Keras models come from their builder, or from their stored configuration."""
    estimator, _, X, y = rebuild_cases.networks()[name]
    check_case(networks, name, estimator if with_template else None, X, y)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("name", ["skorch", "skorch_in_pipeline", "skorch_bfloat16"])
def test_torch(networks, name):
    """Nets are initialised with the candidate's params and take the weights."""
    estimator, _, X, y = rebuild_cases.networks()[name]
    check_case(networks, name, estimator, X, y)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("name", ["own_torch", "own_torch_layers", "own_keras"])
def test_networks_in_estimators_of_ones_own(networks, name):
    """A network that another estimator holds is rebuilt with it, its values too."""
    estimator, _, X, y = rebuild_cases.networks()[name]
    check_case(networks, name, estimator, X, y)
    with WeightStore(networks / f"{name}.h5") as store:
        with pytest.raises(RebuildError, match="estimator="):
            store.run().load_estimator(0)


@pytest.mark.slow
@pytest.mark.torch
def test_networks_of_changed_code_are_refused(networks, monkeypatch):
    """A module whose class has changed since is not rebuilt."""
    import own_networks

    class Tagger(own_networks.Tagger):
        def forward(self, x):
            return -super().forward(x)

    monkeypatch.setattr(own_networks, "Tagger", Tagger)
    with WeightStore(networks / "own_torch.h5") as store:
        assert {"mean_", "model_/layers.0.weight"} <= set(store.run().weights(0))
        with pytest.raises(RebuildError, match="differs"):
            store.run().load_estimator(0, own_networks.TorchClassifier())


@pytest.mark.slow
@pytest.mark.torch
def test_nets_need_their_module(networks):
    """Without the caller's estimator a net is refused; the error says what helps."""
    with WeightStore(networks / "skorch.h5") as store:
        with pytest.raises(RebuildError, match=r"NeuralNetClassifier.*estimator="):
            store.run().load_estimator(0)


def check_case(folder, name, template, X, y):
    kept = dict(np.load(folder / f"{name}.npz", allow_pickle=False))
    best, score = int(kept.pop("best")), float(kept.pop("score"))
    with WeightStore(folder / f"{name}.h5") as store:
        run = store.run()
        estimator = run.load_estimator(best, template)
        split = run.load_estimator(best, template, split=1)
    said = rebuild_cases.outputs(estimator, X)

    assert said.keys() == kept.keys()
    for method in said:
        assert rebuild_cases.same(said[method], kept[method]), method
    assert estimator.score(X, y) == score
    assert rebuild_cases.outputs(split, X).keys() == kept.keys()
    assert clone(estimator) is not estimator


STRANGER = """
import sys
sys.path.insert(0, sys.argv[1])
import evil_module
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from weightsearch import WeightTrackingGridSearchCV
X, y = load_iris(return_X_y=True)
for name, first in {
    "good": StandardScaler(), "evil": FunctionTransformer(evil_module.run)
}.items():
    WeightTrackingGridSearchCV(
        make_pipeline(first, LogisticRegression(max_iter=500)),
        {"logisticregression__C": [0.1, 1.0]},
        store=f"{sys.argv[1]}/{name}.h5",
    ).fit(X, y)
"""


def test_stranger_s_stores(tmp_path, monkeypatch):
    """Of two stores of a stranger, the one that names his code is refused by name."""
    module = tmp_path / "evil_module.py"
    mark = tmp_path / "executed"
    module.write_text(
        f"open({str(mark)!r}, 'w').close()\ndef run(values):\n    return values\n"
    )
    subprocess.run(
        [sys.executable, "-c", STRANGER, str(tmp_path)],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    mark.unlink()
    # His module could be imported, and must not be.
    monkeypatch.syspath_prepend(str(tmp_path))
    X, y = load_iris(return_X_y=True)

    with WeightStore(tmp_path / "good.h5") as store:
        assert store.run().load_estimator(0).score(X, y) > 0.9
    with WeightStore(tmp_path / "evil.h5") as store:
        run = store.run()
        assert run.weights(0)["logisticregression/coef_"].shape == (3, 4)
        for load, candidates in ((run.load_estimator, 0), (run.average, [0])):
            with pytest.raises(UntrustedTypeError, match=r"evil_module\.run"):
                load(candidates)
        with pytest.raises(UntrustedTypeError, match=r"evil_module\.run"):
            run.score_candidates(X, y)
    assert not mark.exists()
    assert "evil_module" not in sys.modules

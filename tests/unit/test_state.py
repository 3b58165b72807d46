"""What besides weights makes a model: taken down, and put together safely."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import Birch
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from weightsearch import RebuildError, UntrustedTypeError
from weightsearch.frameworks._capture import capture
from weightsearch.frameworks._state import _decode, is_complete, rebuild
from weightsearch.frameworks._state._encode import digest

X, y = load_iris(return_X_y=True)


def half(values, by=2.0):
    """Divide: a function that is known by its name only."""
    return values / by


class Scaler(StandardScaler):
    """A class of the user's own."""


def kept(estimator, **options):
    """Weights and state of an estimator, fitted to iris."""
    found = capture(estimator.fit(X, y), **options)
    assert "error" not in json.loads(found.state.text), found.state.text
    return found


def again(found, *, weights=None, blobs=None, **options):
    """The estimator that is made of them."""
    arrays = found.weights if weights is None else weights
    return rebuild(
        found.state.text,
        arrays.__getitem__,
        (found.state.blobs if blobs is None else blobs).__getitem__,
        **options,
    )


def test_weights_are_not_kept_twice():
    """Nothing of a weight's size is among the contents, in trees neither."""
    for estimator in (
        MLPClassifier((200,), max_iter=2),
        RandomForestClassifier(30, random_state=0),
    ):
        found = kept(estimator)
        kept_besides = sum(map(len, found.state.blobs.values()))

        assert kept_besides < found.weights.nbytes / 3


def test_candidates_share_what_is_equal():
    """Two candidates of one architecture have their contents in common."""
    one = kept(LogisticRegression(C=0.1, max_iter=200))
    other = kept(LogisticRegression(C=10.0, max_iter=200))

    assert one.state.blobs.keys() == other.state.blobs.keys()
    assert one.state.text != other.state.text
    assert len(one.state.text) < 1000


def test_equal_training_data_are_one_content():
    """Equal large arrays share a content; where one value differs, none is shared."""
    rows = np.random.default_rng(0).normal(size=(2000, 10))
    other = rows.copy()
    other[1001, 3] = -0.0
    answers = []
    for data in (rows, rows.copy(), other):
        found = capture(
            KNeighborsClassifier(1, algorithm="brute").fit(data, data[:, 0] > 0)
        )
        assert all(digest(blob) == name for name, blob in found.state.blobs.items())
        model = again(found)
        np.testing.assert_array_equal(model._fit_X, data)
        answers.append(found.state.blobs)
    large = [
        {name for name, blob in blobs.items() if len(blob) == rows.nbytes}
        for blobs in answers
    ]

    assert large[0] == large[1] != large[2]
    assert all(map(len, large))


def test_only_training_is_left_out():
    """Without an optimizer a network predicts; with it, it is the whole network."""
    estimator = MLPClassifier((5,), max_iter=5, random_state=0)
    lean, whole = kept(estimator), kept(estimator, complete=True)
    rest = again(lean)

    assert not is_complete(lean.state.text)
    assert is_complete(whole.state.text)
    assert rest._optimizer is None
    assert rest.loss_curve_ == estimator.loss_curve_
    # Training that goes on gives what it would have given.
    resumed = again(whole).partial_fit(X, y)
    estimator.partial_fit(X, y)
    np.testing.assert_array_equal(resumed.coefs_[0], estimator.coefs_[0])


def test_trees_of_clusters_grow_on():
    """Birch's nodes have rows that are views of their room for more, and keep them."""
    estimator = Birch(threshold=0.3, branching_factor=5)
    resumed = again(kept(estimator, complete=True)).partial_fit(X + 0.1)
    estimator.partial_fit(X + 0.1)
    np.testing.assert_array_equal(
        resumed.subcluster_centers_, estimator.subcluster_centers_
    )


def test_estimator_is_left_alone():
    """Taking a state down changes nothing in the estimator."""
    estimator = make_pipeline(StandardScaler(), MLPClassifier(max_iter=2)).fit(X, y)
    before = estimator[-1]._optimizer, estimator[-1].loss_curve_
    capture(estimator)

    assert (estimator[-1]._optimizer, estimator[-1].loss_curve_) == before
    assert estimator[-1]._optimizer is before[0]


@pytest.mark.parametrize(
    "function", [half, functools.partial(half, by=3.0), lambda values: values - 1]
)
def test_functions_come_from_the_caller(function):
    """A function is refused by name, and taken from the caller's own estimator."""
    estimator = make_pipeline(FunctionTransformer(function), LogisticRegression())
    found = kept(estimator)

    with pytest.raises(UntrustedTypeError, match=r"test_state\.\S+.*estimator=") as e:
        again(found)
    assert all(name.startswith("test_state.") for name in e.value.types)
    rebuilt = again(found, template=estimator)
    np.testing.assert_array_equal(rebuilt.predict(X), estimator.predict(X))


def test_own_classes_come_from_the_caller():
    """A class of the user's is refused, unless brought along or trusted."""
    estimator = make_pipeline(Scaler(), LogisticRegression())
    found = kept(estimator)

    with pytest.raises(UntrustedTypeError, match="Scaler"):
        again(found)
    for options in ({"template": estimator}, {"trusted": [Scaler]}):
        np.testing.assert_array_equal(
            again(found, **options).predict(X), estimator.predict(X)
        )


def test_nothing_is_imported_for_a_stranger(tmp_path, monkeypatch):
    """A module that a state names is not even imported before it is trusted."""
    module = tmp_path / "evil_module.py"
    module.write_text(
        f"open({str(tmp_path / 'executed')!r}, 'w').close()\n"
        "def run(values):\n    return values\n"
    )
    script = (
        "import sys, json; sys.path[:0] = [sys.argv[1]]\n"
        "import evil_module, numpy as np\n"
        "from sklearn.preprocessing import FunctionTransformer\n"
        "from weightsearch.frameworks._capture import capture\n"
        "found = capture(FunctionTransformer(evil_module.run).fit(np.ones((2, 2))))\n"
        "blobs = {k: v.hex() for k, v in found.state.blobs.items()}\n"
        "print(json.dumps([found.state.text, blobs]))\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True
    ).stdout
    text, blobs = json.loads(output)
    (tmp_path / "executed").unlink()
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(UntrustedTypeError, match=r"evil_module\.run") as error:
        rebuild(text, {}.__getitem__, lambda name: bytes.fromhex(blobs[name]))
    assert error.value.types == ("evil_module.run",)
    assert not (tmp_path / "executed").exists()
    assert "evil_module" not in sys.modules


class Unpickler(StandardScaler):
    """As skorch's nets do, it runs what it finds in its state."""

    def __setstate__(self, state):
        raise AssertionError("the state was handed over")


def test_classes_with_a_way_of_their_own_are_not_trusted():
    """A class that does something with its state is not trusted for being brought."""
    estimator = make_pipeline(Unpickler(), LogisticRegression())
    found = kept(estimator)

    with pytest.raises(UntrustedTypeError, match="Unpickler"):
        again(found, template=estimator)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("children_left", 10**6, "points outside"),
        ("children_left", 0, "points outside"),
        ("feature", 4, "features"),
        ("feature", -7, "features"),
    ],
)
def test_trees_that_lead_astray_are_refused(name, value, match):
    """Nodes are looked at before scikit-learn follows them without looking."""
    found = kept(DecisionTreeClassifier(random_state=0))
    weights = dict(found.weights)
    array = weights[f"tree_/{name}"].copy()
    array[0] = value
    weights[f"tree_/{name}"] = array

    with pytest.raises(RebuildError, match=match):
        again(found, weights=weights)


def test_forests_cannot_ask_for_more_features():
    """A tree that is right by itself must suit the forest that asks it."""
    wide = np.hstack([X, X])
    forest = RandomForestClassifier(2, random_state=0).fit(wide, y)
    forest.n_features_in_ = 4
    found = capture(forest)

    with pytest.raises(RebuildError, match="uses 8 features"):
        again(found)


def test_boosted_trees_are_looked_at():
    """The nodes of histogram gradient boosting, too."""
    found = kept(HistGradientBoostingClassifier(max_iter=2, random_state=0))
    weights = dict(found.weights)
    name = next(name for name in weights if name.endswith("nodes/left"))
    weights[name] = np.full_like(weights[name], 10**6)

    with pytest.raises(RebuildError, match="points outside"):
        again(found, weights=weights)


def test_trees_of_neighbours_are_looked_at():
    """An index of a row that is not there is found before it is followed."""
    found = kept(KNeighborsClassifier(algorithm="kd_tree"))
    blobs = dict(found.state.blobs)
    order = np.arange(len(X), dtype=np.int64)
    (name,) = [
        name
        for name, content in blobs.items()
        if len(content) == order.nbytes
        and sorted(np.frombuffer(content, np.int64)) == order.tolist()
    ]
    content = bytearray(blobs[name])
    content[:8] = (10**9).to_bytes(8, "little")
    blobs[name] = bytes(content)

    with pytest.raises(RebuildError, match="neighbours"):
        again(found, blobs=blobs)


def test_damaged_states_are_errors_of_ours():
    """Whatever a state's text says, it ends with a RebuildError."""
    found = kept(LogisticRegression(max_iter=200))
    good = json.loads(found.state.text)
    values = good["values"]
    skeleton = found.state.blobs[good["skeleton"]]
    blobs = dict(found.state.blobs)

    def with_skeleton(content):
        blobs[digest(content)] = content
        return json.dumps({**good, "skeleton": digest(content)})

    broken = [
        "",
        "[]",
        "{",
        "[" * 100_000,
        json.dumps({**good, "format": 2}),
        json.dumps({**good, "values": values[1:]}),
        json.dumps({**good, "values": [*values, "1"]}),
        json.dumps({**good, "values": [[] for _ in values]}),
        json.dumps({**good, "values": {}}),
        json.dumps({**good, "skeleton": "{}"}),
        json.dumps({"format": 1}),
        with_skeleton(b"{}"),
        with_skeleton(b"["),
        with_skeleton(b"[" * 100_000),
        with_skeleton(b'["unknown"]'),
        with_skeleton(skeleton.replace(b'"coef_"', b'"no"')),
        with_skeleton(skeleton.replace(b'"o"', b'"S"')),
        with_skeleton(b'["=",0]'),
        with_skeleton(b'["=",-1]'),
    ]
    for text in broken:
        with pytest.raises(RebuildError):
            rebuild(text, found.weights.__getitem__, blobs.__getitem__)


def test_a_small_state_takes_no_room():
    """A state of a few bytes that asks for a huge list is refused."""
    for skeleton, value in (
        (b'["list",["same","v"]]', [10**12, 0]),
        (b'["list",["same",["list",["each"]]]]', [10**12, 0]),
        (b'["list",["o*",["g","sklearn.dummy.DummyClassifier"],[]]]', [10**9]),
        (b'["list",["lists","list","v",["each"]]]', [10**9, 0]),
        (b'["array",["b","<f8","C"]]', [["none", [10**9]]]),
    ):
        blobs = {digest(skeleton): skeleton, "none": b""}
        text = json.dumps({"format": 1, "skeleton": digest(skeleton), "values": value})

        with pytest.raises(RebuildError, match=r"memory|size"):
            rebuild(text, {}.__getitem__, blobs.__getitem__)


def test_contents_are_what_their_names_say():
    """A skeleton under another one's name is refused, and never remembered."""
    found = kept(LogisticRegression(max_iter=200))
    name = json.loads(found.state.text)["skeleton"]
    other = found.state.blobs[name].replace(b"LogisticRegression", b"RidgeClassifier")
    _decode._skeletons.clear()

    with pytest.raises(RebuildError, match="content"):
        again(found, blobs={**found.state.blobs, name: other})
    assert type(again(found)) is LogisticRegression


def test_what_cannot_be_kept_says_why():
    """An estimator that holds what only pickle can hold keeps its weights."""

    class WithGenerator(LogisticRegression):
        def fit(self, X, y):
            self.stream_ = (row for row in X)
            return super().fit(X, y)

    found = capture(WithGenerator(max_iter=200).fit(X, y))

    assert found.weights["coef_"].shape == (3, 4)
    with pytest.raises(RebuildError, match="generator"):
        again(found)


def test_what_a_script_has_stored(tmp_path):
    """Functions and classes of a script are found in the module that has them now."""
    script = tmp_path / "script.py"
    script.write_text(
        # Of how a module is compiled, annotations are a part of its functions.
        "from __future__ import annotations\n"
        "import json, sys\n"
        "from sklearn.datasets import load_iris\n"
        "from sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import FunctionTransformer, StandardScaler\n"
        "from weightsearch.frameworks._capture import capture\n"
        "def half(values, by=2.0):\n    'Half.'\n    return values / by\n"
        "class Scaler(StandardScaler):\n    pass\n"
        "model = make_pipeline(FunctionTransformer(half), Scaler())\n"
        "found = capture(model.fit(load_iris(return_X_y=True)[0]))\n"
        "blobs = {k: v.hex() for k, v in found.state.blobs.items()}\n"
        "weights = {k: v.tolist() for k, v in found.weights.items()}\n"
        "print(json.dumps([found.state.text, blobs, weights]))\n"
    )
    output = subprocess.run(
        [sys.executable, str(script)],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ).stdout
    text, blobs, weights = json.loads(output)
    rebuilt = rebuild(
        text,
        lambda name: np.array(weights[name]),
        lambda name: bytes.fromhex(blobs[name]),
        template=make_pipeline(FunctionTransformer(half), Scaler()),
    )

    assert type(rebuilt[1]) is Scaler
    assert rebuilt[0].func is half
    np.testing.assert_allclose(rebuilt.transform(X).std(axis=0), 1)


def test_plain_types_of_the_caller_change_nothing():
    """A type that is a param of the template is not taken from dicts' keys."""
    estimator = make_pipeline(
        OrdinalEncoder(dtype=int, unknown_value=-1, handle_unknown="use_encoded_value"),
        LogisticRegression(class_weight={0: 1.0, 1: 2.0, 2: 1.0}, max_iter=500),
    )
    found = kept(estimator)
    rebuilt = again(found, template=estimator)

    np.testing.assert_array_equal(rebuilt.predict(X), estimator.predict(X))
    assert rebuilt[1].class_weight == {0: 1.0, 1: 2.0, 2: 1.0}

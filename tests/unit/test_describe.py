"""How objects that are params are shown: by what tells them apart."""

from __future__ import annotations

import dataclasses
import enum
import functools

import numpy as np
import pytest
from scipy import stats
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from weightsearch._display import distinct, numbered
from weightsearch._params import (
    ParamsKey,
    ParamsMapping,
    encode_params,
    number_alike,
)


class Colour(enum.Enum):
    """An enum that an estimator may take."""

    RED = 1
    BLUE = 2


class Grade(enum.IntEnum):
    """An enum whose members are numbers."""

    LOW = 1


class Flags(enum.Flag):
    """An enum whose members can be joined."""

    FAST = 1
    SAFE = 2


class Strength:
    """An object without a text of its own."""

    def __init__(self, C, how="fast"):
        self.C = C
        self.how = how

    def apply(self, X):
        """Do nothing."""
        return X


class Holder:
    """An object whose constructor says nothing of its attributes."""

    def __init__(self, *values):
        self.first, self._rest = values[0], values[1:]


@dataclasses.dataclass
class Plan:
    """An object with a text of its own, in which a function is."""

    f: object = len


def half(x):
    """Halve."""
    return x / 2


SHOWN = {
    "enum": (Colour.RED, "Colour.RED"),
    "int enum": (Grade.LOW, "Grade.LOW"),
    "flag": (Flags.FAST | Flags.SAFE, "Flags.FAST|SAFE"),
    "instance": (Strength(10.0), "Strength(C=10.0, how='fast')"),
    "attributes": (Holder(3, 4), "Holder(first=3)"),
    "dataclass": (Plan(half), "Plan(f=<function half>)"),
    "function": (half, "half"),
    "lambda": (lambda x: x, "<lambda>"),
    "method": (Strength.apply, "Strength.apply"),
    "bound": (Strength(1.0).apply, "Strength(C=1.0, how='fast').apply"),
    "class": (Strength, "Strength"),
    "shipped": (np.log1p, "log1p"),
    "dispatched": (np.clip, "clip"),
    "partial": (functools.partial(half, 3), "partial(half, 3)"),
    "keyword": (functools.partial(np.clip, a_min=0), "partial(clip, a_min=0)"),
    "nested": (
        functools.partial(functools.partial, half, x=[Colour.RED]),
        "partial(partial, half, x=[Colour.RED])",
    ),
    "kernel": (
        ConstantKernel(4.0) * RBF(0.5),
        "2**2 * RBF(length_scale=0.5)",
    ),
    "distribution": (stats.loguniform(1e-3, 1), "loguniform(0.001, 1)"),
    "by keyword": (stats.norm(loc=2), "norm(loc=2)"),
    "splitter": (KFold(3), "KFold(n_splits=3, random_state=None, shuffle=False)"),
    "estimator": (Ridge(alpha=2.0), "Ridge(alpha=2.0)"),
    "pipeline": (
        Pipeline([("f", FunctionTransformer(half))]),
        "Pipeline(steps=[('f', FunctionTransformer(func=half))])",
    ),
    "generator": (np.random.default_rng(0), "Generator(PCG64)"),
    "in a list": ([Strength(1, how="x"), 2], "[Strength(C=1, how='x'), 2]"),
    "in a dict": ({"a": (Colour.BLUE,)}, "{'a': (Colour.BLUE,)}"),
}


def stored(value):
    """A param's value as it comes out of the store."""
    return ParamsKey.from_json(encode_params({"p": value}))["p"]


@pytest.mark.parametrize("name", SHOWN)
def test_objects_are_shown_by_what_they_hold(name):
    """Arguments, attributes, names or the object's own text, without addresses."""
    value, text = SHOWN[name]
    assert repr(stored(value)) == text


@pytest.mark.parametrize("name", SHOWN)
def test_objects_find_their_candidate(name):
    """A stored candidate is found by the live object, and no other object finds it."""
    value, _ = SHOWN[name]
    keys = [ParamsKey.from_json(encode_params({"p": v})) for v in (value, "other")]
    found = ParamsMapping(keys, lambda number: number)
    assert found[{"p": value}] == 0
    assert keys[0] == {"p": value} == ParamsKey({"p": value})
    assert hash(keys[0]) == hash(ParamsKey({"p": value}))
    assert {"p": Strength(-1)} not in found


@pytest.mark.keras
def test_keras_objects_are_shown_by_their_config():
    """What Keras' own defaults are, and names that Keras gives, are left out."""
    keras = pytest.importorskip("keras")
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    shown = {
        "Adam()": keras.optimizers.Adam(),
        "Adam(learning_rate=0.01)": keras.optimizers.Adam(0.01),
        "Dense(units=3, activation='relu')": keras.layers.Dense(3, activation="relu"),
        "EarlyStopping(patience=3)": keras.callbacks.EarlyStopping(patience=3),
        "Huber(delta=2.0)": keras.losses.Huber(2.0),
        "L2(l2=0.1)": keras.regularizers.L2(0.1),
    }
    for text, value in shown.items():
        assert repr(stored(value)) == text
    text = repr(stored(keras.optimizers.SGD(schedule)))
    assert text.startswith("SGD(learning_rate=ExponentialDecay(initial_learning_rate=0")


@pytest.mark.torch
def test_torch_and_skorch_objects_are_shown_by_their_arguments():
    """Losses, modules and callbacks that differ look different."""
    torch = pytest.importorskip("torch")
    callbacks = pytest.importorskip("skorch.callbacks")
    loss = torch.nn.CrossEntropyLoss
    assert repr(stored(loss(label_smoothing=0.1))) == (
        "CrossEntropyLoss(label_smoothing=0.1)"
    )
    assert repr(stored(torch.nn.ReLU)) == "ReLU"
    assert repr(stored(callbacks.EarlyStopping(patience=2))) == (
        "EarlyStopping(patience=2)"
    )
    assert "in_features=2" in repr(stored(torch.nn.Linear(2, 3)))


def numbered_keys(values):
    """Stored params of candidates, told apart by numbers where they look alike."""
    keys = [ParamsKey.from_json(encode_params({"p": value})) for value in values]
    number_alike(keys)
    return keys


def test_objects_that_look_alike_have_numbers():
    """The second object of one text has a number, also in a list; equal ones agree."""
    first, second = (lambda x: x), (lambda x: x + 1)
    values = [first, second, first, [second], {"a": first}, RBF(0.12341), RBF(0.12342)]
    shown = [repr(key["p"]) for key in numbered_keys(values)]
    assert shown == [
        "<lambda>",
        "<lambda> (2)",
        "<lambda>",
        "[<lambda> (2)]",
        "{'a': <lambda>}",
        "RBF(length_scale=0.123)",
        "RBF(length_scale=0.123) (2)",
    ]
    keys = numbered_keys(values)
    assert repr(keys[1]) == "{'p': <lambda> (2)}"
    assert keys[1] == {"p": second}
    assert keys[1]["p"] == stored(second)


def test_functions_of_two_libraries_are_shown_with_their_modules():
    """Where the names of functions agree, their modules tell more than numbers."""
    import math

    shown = [repr(key["p"]) for key in numbered_keys([math.log1p, np.log1p, np.exp])]
    assert shown == ["math.log1p", "numpy.log1p", "exp"]


def test_objects_without_identity_are_their_own_values():
    """What cannot be looked into equals itself while it lives, and nothing else."""

    class Opaque:
        def __reduce_ex__(self, protocol):
            raise TypeError("no state for anybody")

    one, other = Opaque(), Opaque()
    assert stored(one) == stored(one)
    assert stored(one) != stored(other)
    assert stored(one).digest is None
    assert ParamsKey({"p": one}) == {"p": one} != {"p": other}
    shown = [repr(key["p"]) for key in numbered_keys([one, other, one])]
    assert shown == ["Opaque()", "Opaque() (2)", "Opaque()"]


def test_what_an_estimator_holds_besides_its_params_counts():
    """Metadata requests, and what a frozen estimator has learned, make two params."""
    from sklearn import config_context
    from sklearn.frozen import FrozenEstimator

    X = np.arange(6.0)[:, None]
    models = [LogisticRegression(C=C).fit(X, [0, 0, 0, 1, 1, 1]) for C in (0.1, 10.0)]
    for model in models:
        model.C = 1.0
    first, second = (stored(FrozenEstimator(model)) for model in models)
    assert first != second
    with config_context(enable_metadata_routing=True):
        asked = StandardScaler().set_fit_request(sample_weight=True)
    assert stored(asked) != stored(StandardScaler())
    assert stored(asked) == stored(asked)


def test_order_of_a_dict_counts():
    """Dicts that differ in order are two params; a plain dict finds the nearest."""
    one, other = {"narrow": 4, "wide": 16}, {"wide": 16, "narrow": 4}
    keys = [ParamsKey.from_json(encode_params({"p": p})) for p in (one, other)]
    assert keys[0] != keys[1]
    assert [list(key["p"]) for key in keys] == [list(one), list(other)]
    both = ParamsMapping(keys, lambda number: number)
    assert [both[{"p": one}], both[{"p": other}]] == [0, 1]
    # As Python has it, where no candidate has exactly this order.
    assert ParamsMapping(keys[:1], lambda number: number)[{"p": other}] == 0
    assert ParamsKey({"a": 1, "b": 2}) == ParamsKey({"b": 2, "a": 1})


def test_lists_and_dicts_as_boosting_libraries_take_them():
    """Nested lists and dicts of plain values come back equal, and by type."""
    values = [
        {"tokenizers": [{"id": "Space", "delimiter": " "}], "n": {1: [0.5, None]}},
        [[0, 1], [2, 3]],
        [{"a": 1}, {"a": 1.0}],
        {0: 1.0, 1: 2.5},
        ["a", None, True],
    ]
    for value in values:
        assert stored(value) == value
        assert encode_params({"p": stored(value)}) == encode_params({"p": value})
    assert len({ParamsKey({"p": value}) for value in values}) == len(values)


def test_keys_of_values_tell_params_apart():
    """Types of numbers, None, nan, gaps and arrays are different values."""
    import pandas as pd

    one, other = np.array([1, 2]), np.array([1.0, 2.0])
    values = [1, 1.0, True, "1", None, float("nan"), pd.NA, [1], (1,), one, other, {}]
    assert len({distinct(value) for value in values}) == len(values)
    assert distinct(np.float64(0.5)) == distinct(0.5)
    assert distinct(float("nan")) == distinct(np.nan)
    assert distinct(np.array([1, 2])) == distinct(one)


def test_numbers_are_given_only_where_texts_agree():
    """Equal keys share a text, and a number that is taken is passed over."""
    assert numbered([1, 2, 1, 3], ["a", "a", "a", "b"]) == ["a", "a (2)", "a", "b"]
    assert numbered([1, 2, 3], ["a", "a (2)", "a"]) == ["a", "a (2)", "a (3)"]
    longer = ["aaa", "aab"]
    assert numbered([1, 2], ["a", "a"], longer.__getitem__) == longer

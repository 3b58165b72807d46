"""Weights of Keras models: names, order, bits, ties, and what has none."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import weakref

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

keras = pytest.importorskip("keras")
wrappers = pytest.importorskip("scikeras.wrappers")

from keras import layers  # noqa: E402

from weightsearch.frameworks import keras as keras_weights  # noqa: E402
from weightsearch.frameworks._registry import extract_weights  # noqa: E402
from weightsearch.frameworks.keras import EXTRACTORS, extract_model  # noqa: E402


def build(meta=None, hidden=(8, 4)):
    """Build a classifier for the 4 features and 3 classes of iris."""
    n_in, n_out = (meta["n_features_in_"], meta["n_classes_"]) if meta else (4, 3)
    hidden_layers = [layers.Dense(units, activation="relu") for units in hidden]
    out = layers.Dense(n_out, activation="softmax")
    return keras.Sequential([layers.Input((n_in,)), *hidden_layers, out])


def build_from_data(X, y, hidden=8):
    """Build what ``keras.wrappers`` wants: a compiled model, from data."""
    model = keras.Sequential(
        [
            layers.Input((X.shape[1],)),
            layers.Dense(hidden, activation="relu"),
            layers.Dense(y.shape[1] if y.ndim > 1 else 1),
        ]
    )
    model.compile(loss="mse", optimizer="adam")
    return model


def classifier(**params):
    defaults = {"epochs": 1, "verbose": 0, "random_state": 0, "model__hidden": (8, 4)}
    return wrappers.KerasClassifier(
        build, loss="sparse_categorical_crossentropy", **{**defaults, **params}
    )


@pytest.fixture(autouse=True)
def seed():
    # scikeras' random_state leaves TensorFlow deterministic, and that wants seeds.
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return X.astype(np.float32), y


def assert_same_bits(weights, model):
    """Compare with ``get_weights``, bit for bit, in its order."""
    expected = model.get_weights()
    assert len(weights) == len(expected)
    for array, other in zip(weights.values(), expected, strict=True):
        assert array.dtype == other.dtype
        assert array.shape == other.shape
        assert array.tobytes() == other.tobytes()


def checked(model):
    """Extract, compare with Keras, and give the names."""
    weights = extract_model(model)
    assert_same_bits(weights, model)
    return list(weights)


def dense(*names):
    return [f"{name}/{part}" for name in names for part in ("kernel", "bias")]


def test_scikeras_classifier(iris):
    """The weights are those of ``model_``, under paths relative to it."""
    estimator = classifier().fit(*iris)
    weights = extract_weights(estimator)
    assert_same_bits(weights, estimator.model_)
    assert list(weights) == dense("dense", "dense_1", "dense_2")


def test_scikeras_regressor():
    """A regressor of scikeras has its model's weights too."""
    X, y = load_diabetes(return_X_y=True)

    def line():
        return keras.Sequential([layers.Input((10,)), layers.Dense(1)])

    estimator = wrappers.KerasRegressor(line, loss="mse", epochs=1, verbose=0)
    estimator.fit(X.astype(np.float32), y)
    assert list(extract_weights(estimator)) == dense("dense")


@pytest.mark.parametrize("name", ["Classifier", "Regressor", "Transformer"])
def test_keras_wrappers(iris, name):
    """Every estimator of ``keras.wrappers`` has its model's weights."""
    cls = getattr(keras.wrappers, f"SKLearn{name}", None)
    if cls is None:
        pytest.skip("this Keras has no such wrapper")
    X, y = iris
    estimator = cls(build_from_data, model_kwargs={"hidden": 5})
    estimator.fit(X, y, epochs=1, verbose=0)
    weights = extract_weights(estimator)
    assert_same_bits(weights, estimator.model_)
    assert list(weights) == dense("dense", "dense_1")
    assert weights["dense/bias"].shape == (5,)


def test_candidates_of_a_grid_have_equal_names(iris):
    """The counter of the process, which grows with every model, is not in names."""
    found = []
    for params in ParameterGrid({"model__hidden": [(8, 4), (6, 2), (3, 3)]}):
        estimator = clone(classifier()).set_params(**params).fit(*iris)
        found.append(extract_weights(estimator))
    assert list(found[0]) == list(found[1]) == list(found[2])
    assert [weights["dense/kernel"].shape[1] for weights in found] == [8, 6, 3]
    deeper = classifier(model__hidden=(8, 4, 2)).fit(*iris)
    assert list(extract_weights(deeper))[:6] == list(found[0])


def test_estimator_in_a_pipeline(iris):
    """The step's name comes first."""
    pipeline = make_pipeline(StandardScaler(), classifier()).fit(*iris)
    weights = extract_weights(pipeline)
    np.testing.assert_array_equal(
        weights["kerasclassifier/dense_1/kernel"], pipeline[-1].model_.get_weights()[2]
    )


def test_unfitted_estimators_raise():
    """An estimator without a model, and a model without variables, are not fitted."""
    with pytest.raises(NotFittedError, match=r"KerasClassifier.*not fitted"):
        extract_weights(classifier())
    with pytest.raises(NotFittedError, match="not built"):
        extract_weights(keras.Sequential([layers.Dense(2)]))


def test_extractors_name_the_classes_as_they_are():
    """The registry finds the classes under their qualified names."""
    for cls in (wrappers.KerasClassifier, keras.Model, keras.wrappers.SKLearnRegressor):
        names = {f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__}
        assert names & set(EXTRACTORS)


def test_model_without_weights_has_none():
    """A built model that only reshapes gives no arrays, and no error."""
    assert not extract_model(keras.Sequential([layers.Input((2,)), layers.Flatten()]))


def test_snake_case_is_that_of_keras():
    """Automatic names of all of Keras' layers are recognised."""
    from keras.src.utils.naming import to_snake_case

    classes = [name for name in dir(layers) if isinstance(getattr(layers, name), type)]
    assert len(classes) > 100
    for name in [*classes, "MyHTTPLayer2D", "_Hidden"]:
        assert keras_weights._snake_case(name) == to_snake_case(name)


def test_names_that_the_user_gave_stay():
    """Only automatic names are numbered anew."""
    for _ in range(2):
        model = keras.Sequential(
            [
                layers.Input((4,)),
                layers.Dense(4, name="hidden"),
                layers.Dense(4),
                layers.Dense(4, name="dense_07"),
                layers.Dense(4, name="my_dense"),
                layers.Dense(4, name="Dense_1"),
                layers.Dense(4),
            ]
        )
        names = ("hidden", "dense", "dense_07", "my_dense", "Dense_1", "dense_1")
        assert checked(model) == dense(*names)


@pytest.mark.parametrize("number", ["{}", "{:02}"])
def test_users_own_count_from_zero_stays(number):
    """Keras never calls a layer dense_0, so all of that count are the user's."""
    names = [f"dense_{number.format(i)}" for i in range(12)]
    stack = [layers.Dense(2, name=name) for name in names]
    model = keras.Sequential([layers.Input((2,)), *stack])
    assert checked(model) == dense(*names)


def test_users_name_that_keras_could_have_given_is_numbered_anew():
    """Nothing tells such a name from Keras' own, whose number must not show."""
    stack = [layers.Dense(2, name="dense_7"), layers.Dense(2, name="dense_9")]
    model = keras.Sequential([layers.Input((2,)), *stack])
    assert checked(model) == dense("dense", "dense_1")


def test_automatic_name_gives_way_to_a_users_name():
    """A name that the user gave to a layer of another class is not given again."""
    model = keras.Sequential(
        [
            layers.Input((4,)),
            layers.Dense(3),
            layers.BatchNormalization(name="dense"),
            layers.Dense(3),
        ]
    )
    names = checked(model)
    assert names[:2] == dense("dense_1")
    assert names[2] == "dense/gamma"
    assert names[-2:] == dense("dense_2")


def test_equal_names_in_a_subclassed_model_do_not_collide():
    """Keras lets two layers of such a model, and a variable, share a name."""

    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.a = layers.Dense(2, name="twin")
            self.b = layers.Dense(2, name="twin")
            self.scale = self.add_weight(shape=(2,), name="twin")

        def call(self, inputs):
            return self.b(self.a(inputs)) * self.scale

    model = Twins()
    model(np.ones((1, 2), "float32"))
    assert checked(model) == ["twin", *dense("twin_1", "twin_2")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_names_survive_saving_and_building_in_another_order(tmp_path):
    """A loaded model, and one after many others, have the names of the first."""

    def functional():
        inputs = layers.Input((4,))
        left = layers.Dense(3)(inputs)
        right = layers.Dense(3)(inputs)
        return keras.Model(inputs, layers.Dense(1)(layers.Add()([left, right])))

    first = functional()
    names = checked(first)
    assert names == dense("dense", "dense_1", "dense_2")
    first.save(tmp_path / "model.keras")
    script = f"""
        import keras
        from weightsearch.frameworks.keras import extract_model
        keras.layers.Dense(1), keras.layers.Add()
        model = keras.models.load_model(r"{tmp_path / "model.keras"}")
        print(*extract_model(model))
    """
    assert run(script).split() == names
    assert checked(keras.models.clone_model(functional())) == names


def run(script, **environment):
    """Run a script in a new process and give what it prints."""
    import os

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_batch_normalization_and_dropout():
    """Moving statistics are weights; the state of a random generator is none."""
    model = keras.Sequential(
        [layers.Input((4,)), layers.BatchNormalization(), layers.Dropout(0.5)]
    )
    model.compile("adam", "mse")
    X, _ = load_iris(return_X_y=True)
    model.fit(X, X, epochs=1, verbose=0)
    parts = ("gamma", "beta", "moving_mean", "moving_variance")
    assert checked(model) == [f"batch_normalization/{part}" for part in parts]
    assert extract_model(model)["batch_normalization/moving_mean"].any()


def test_sequence_layers():
    """Embedding, recurrent layers and their wrappers have Keras' own paths."""
    for _ in range(2):
        model = keras.Sequential(
            [
                layers.Input((5,)),
                layers.Embedding(10, 4),
                layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
                layers.TimeDistributed(layers.Dense(2)),
                layers.GRU(3, dropout=0.1),
            ]
        )
        cell = ("kernel", "recurrent_kernel", "bias")
        assert checked(model) == [
            "embedding/embeddings",
            *(f"bidirectional/forward_lstm/lstm_cell/{part}" for part in cell),
            *(f"bidirectional/backward_lstm/lstm_cell/{part}" for part in cell),
            *dense("time_distributed/dense"),
            *(f"gru/gru_cell/{part}" for part in cell),
        ]


def test_convolution_and_attention():
    """Layers with layers inside keep the names of those."""
    inputs = layers.Input((5, 4))
    outputs = layers.Conv1D(2, 3)(layers.MultiHeadAttention(2, 3)(inputs, inputs))
    names = checked(keras.Model(inputs, outputs))
    parts = ("query", "key", "value", "attention_output")
    assert names == dense(*(f"multi_head_attention/{p}" for p in parts), "conv1d")


def test_nested_models_are_numbered_inside_each():
    """The depth of an inner model does not change the names outside."""
    for depth in (1, 2):
        inner = [layers.Dense(4) for _ in range(depth)]
        encoder = keras.Sequential([layers.Input((4,)), *inner], name="encoder")
        inputs = layers.Input((4,))
        model = keras.Model(inputs, layers.Dense(1)(encoder(inputs)))
        inside = [f"encoder/dense{'' if i == 0 else f'_{i}'}" for i in range(depth)]
        assert checked(model) == dense(*inside, "dense")


def test_layers_of_two_inner_functional_models_do_not_collide():
    """Keras' own paths, which leave functional models out, would be equal."""

    def branch(name):
        inputs = layers.Input((4,))
        return keras.Model(inputs, layers.Dense(2, name="hidden")(inputs), name=name)

    inputs = layers.Input((4,))
    parts = [branch("left")(inputs), branch("right")(inputs)]
    model = keras.Model(inputs, layers.Concatenate()(parts))
    assert len({variable.path for variable in model.weights}) == 2
    assert checked(model) == dense("left/hidden", "right/hidden")


class Block(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.inner = [layers.Dense(units), layers.Dense(units)]

    def build(self, shape):
        for layer in self.inner:
            layer.build(shape)
        self.gate = self.add_weight(shape=())

    def call(self, inputs):
        return self.inner[1](self.inner[0](inputs)) * self.gate


def test_own_layers_and_unnamed_variables():
    """What a user's layer makes without a name is numbered inside that layer."""
    for _ in range(2):
        model = keras.Sequential([layers.Input((4,)), Block(4), Block(4, name="last")])
        assert checked(model) == [
            "block/variable",
            *dense("block/dense", "block/dense_1"),
            "last/variable",
            *dense("last/dense", "last/dense_1"),
        ]


def test_layer_used_twice_has_its_weights_once():
    """A shared layer is one layer, whose place is that of its first use."""
    shared = layers.Dense(4)
    inputs = layers.Input((4,))
    model = keras.Model(inputs, layers.Dense(1)(shared(shared(inputs))))
    assert checked(model) == dense("dense", "dense_1")
    assert not extract_model(model).ties


class Head(layers.Layer):
    def __init__(self, part):
        super().__init__()
        self.part = part

    def call(self, inputs):
        table = getattr(self.part, "embeddings", self.part)
        return keras.ops.matmul(inputs, keras.ops.transpose(table))


class Tied(keras.Model):
    def __init__(self, what):
        super().__init__()
        embedding = layers.Embedding(6, 3)
        embedding.build((None, 2))
        self.head = Head(what(embedding))
        self.table = embedding

    def call(self, inputs):
        return self.head(self.table(inputs))


def test_tied_variable_keeps_the_name_of_the_layer_that_made_it():
    """A layer that holds another one's variable is noted as a tie."""
    model = Tied(lambda embedding: embedding.embeddings)
    weights = extract_model(model)
    assert_same_bits(weights, model)
    assert list(weights) == ["embedding/embeddings"]
    assert weights.ties == {"head/embeddings": "embedding/embeddings"}


def test_layer_in_two_places_is_kept_at_the_first():
    """Of two ways to the layer that made a variable, the first in order counts."""
    model = Tied(lambda embedding: embedding)
    weights = extract_model(model)
    assert_same_bits(weights, model)
    assert list(weights) == ["head/embedding/embeddings"]
    assert weights.ties == {"embedding/embeddings": "head/embedding/embeddings"}


def test_frozen_layers_are_there():
    """Weights that are not trained are weights."""
    model = build()
    model.layers[0].trainable = False
    assert checked(model) == dense("dense", "dense_1", "dense_2")


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float64"])
def test_other_precisions_keep_every_bit(name):
    """A half-precision weight comes under its own type."""
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3, dtype=name)])
    checked(model)
    assert extract_model(model)["dense/kernel"].dtype.name == name


def test_mixed_precision_stores_the_weights_as_keras_does():
    """Under mixed precision the variables themselves are float32."""
    model = keras.Sequential(
        [layers.Input((4,)), layers.Dense(3, dtype="mixed_float16")]
    )
    checked(model)
    assert extract_model(model)["dense/kernel"].dtype == np.float32


def test_arrays_are_copies():
    """Training on does not change what was extracted."""
    model = build()
    weights = extract_model(model)
    before = weights["dense/kernel"].copy()
    model.layers[0].kernel.assign(before + 1)
    np.testing.assert_array_equal(weights["dense/kernel"], before)


def test_extracting_keeps_no_model_alive():
    """A model that is dropped after extraction is freed."""
    X, y = load_digits(return_X_y=True)
    estimator = classifier().fit(X[:50].astype(np.float32), y[:50])
    weights = extract_weights(estimator)
    model = weakref.ref(estimator.model_)
    kernel = weakref.ref(estimator.model_.layers[0].kernel)
    del estimator
    gc.collect()
    assert model() is None
    assert kernel() is None
    assert weights


@pytest.mark.slow
def test_torch_backend():
    """Names, bits and bfloat16 come out alike where Keras runs on PyTorch."""
    pytest.importorskip("torch")
    script = """
        import keras
        from keras import layers
        from weightsearch.frameworks._registry import extract_weights
        assert keras.backend.backend() == "torch"
        keras.layers.Dense(1)
        model = keras.Sequential([layers.Input((4,)), layers.Dense(3),
                                  layers.Dense(2, dtype="bfloat16")])
        weights = extract_weights(model)
        for array, other in zip(weights.values(), model.get_weights(), strict=True):
            assert array.tobytes() == other.tobytes() and array.dtype == other.dtype
        print(*weights, weights["dense_1/kernel"].dtype)
    """
    expected = [*dense("dense", "dense_1"), "bfloat16"]
    assert run(script, KERAS_BACKEND="torch").split() == expected

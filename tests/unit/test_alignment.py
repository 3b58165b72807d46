"""Hidden units of one network put into the order of another's."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch._records import Weights
from weightsearch.compare import AlignmentError, align, compare
from weightsearch.exceptions import WeightSearchError


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X[:500] / 16).astype(np.float32), y[:500]


def _equal(a, b):
    return set(a) == set(b) and all(np.array_equal(a[name], b[name]) for name in a)


def _rng():
    return np.random.default_rng(0)


# -- scikit-learn -------------------------------------------------------------------


def _mlp_weights(mlp, prefix=""):
    weights = {f"{prefix}coefs_/{i}": w for i, w in enumerate(mlp.coefs_)}
    return weights | {
        f"{prefix}intercepts_/{i}": w for i, w in enumerate(mlp.intercepts_)
    }


def _load_mlp(mlp, weights, prefix=""):
    n = len(mlp.coefs_)
    mlp.coefs_ = [weights[f"{prefix}coefs_/{i}"] for i in range(n)]
    mlp.intercepts_ = [weights[f"{prefix}intercepts_/{i}"] for i in range(n)]


def _shuffle_mlp(weights, rng, prefix=""):
    shuffled = dict(weights)
    i = 0
    while f"{prefix}coefs_/{i + 1}" in weights:
        here, bias = f"{prefix}coefs_/{i}", f"{prefix}intercepts_/{i}"
        after = f"{prefix}coefs_/{i + 1}"
        order = rng.permutation(shuffled[here].shape[1])
        shuffled[here] = shuffled[here][:, order]
        shuffled[bias] = shuffled[bias][order]
        shuffled[after] = shuffled[after][order]
        i += 1
    return shuffled


@pytest.mark.parametrize("hidden", [(20,), (30, 20), (16, 16, 16, 16)])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_shuffled_mlp_comes_back_exactly(digits, hidden, solver):
    """A shuffled MLP is far away, at distance 0 when aligned, and predicts the same."""
    X, y = digits
    mlp = MLPClassifier(hidden, solver=solver, max_iter=15, random_state=0).fit(X, y)
    a, expected = _mlp_weights(mlp), mlp.predict_proba(X)
    b = _shuffle_mlp(a, _rng())
    _load_mlp(mlp, b)
    np.testing.assert_allclose(mlp.predict_proba(X), expected, rtol=1e-4, atol=1e-6)
    assert compare(a, b)["l2_distance"].max() > 1
    aligned = align(a, b)
    assert (compare(a, aligned)["l2_distance"] == 0).all()
    _load_mlp(mlp, aligned)
    assert np.array_equal(mlp.predict_proba(X), expected)


def test_dead_units_do_not_spoil_exactness(digits):
    """Units that strong regularisation has nearly switched off still come back."""
    X, y = digits
    mlp = MLPClassifier((30, 30), alpha=1, max_iter=400, random_state=0)
    a = _mlp_weights(mlp.fit(X.astype(np.float64), y))
    lengths = np.linalg.norm(a["coefs_/0"], axis=0)
    assert np.sort(lengths)[1] < 1e-5 * lengths.max()
    assert _equal(align(a, _shuffle_mlp(a, _rng())), a)


def test_units_too_alike_to_tell_apart_by_products_come_back():
    """Units that differ by less than products can show are matched bit for bit."""
    rng = _rng()
    a = {
        "coefs_/0": rng.normal(size=(5, 1)) + 1e-9 * rng.normal(size=(5, 12)),
        "coefs_/1": rng.normal(size=(1, 2)) + 1e-9 * rng.normal(size=(12, 2)),
    }
    order = rng.permutation(12)
    b = {"coefs_/0": a["coefs_/0"][:, order], "coefs_/1": a["coefs_/1"][order]}
    assert _equal(align(a, b), a)


@pytest.mark.parametrize("scale", [0.01, 1])
def test_deep_networks_come_back_whatever_the_scale_of_their_layers(scale):
    """Layers with small weights are found from the input on, not from their neighbours.

    From the order of b itself the descent ends elsewhere here.
    """
    rng = _rng()
    widths = [4, 24, 24, 24, 3]
    a = {
        f"coefs_/{i}": rng.normal(size=pair) for i, pair in enumerate(pairwise(widths))
    }
    a["coefs_/0"] *= scale
    a["coefs_/3"] *= scale
    orders = [rng.permutation(24) for _ in range(3)]
    b = dict(a)
    for i, order in enumerate(orders):
        b[f"coefs_/{i}"] = b[f"coefs_/{i}"][:, order]
        b[f"coefs_/{i + 1}"] = b[f"coefs_/{i + 1}"][order]
    assert _equal(align(a, b), a)


def test_order_that_is_good_already_is_not_lost():
    """Where matching layer by layer leads astray, the order of b itself is kept."""
    rng = _rng()
    widths = [2, 12, 12, 12, 2]
    a = {
        f"coefs_/{i}": rng.normal(size=pair) for i, pair in enumerate(pairwise(widths))
    }
    b = {name: w + 0.3 * rng.normal(size=w.shape) for name, w in a.items()}
    b["coefs_/0"] = b["coefs_/0"][:, ::-1]
    b["coefs_/3"] = b["coefs_/3"][::-1]
    aligned = align(a, b)
    assert (compare(a, aligned)["l2_distance"] <= compare(a, b)["l2_distance"]).all()


def test_units_with_equal_inputs_are_told_apart_by_their_outputs():
    """Units of zero incoming weights are matched by what leaves them."""
    rng = _rng()
    a = {
        "coefs_/0": rng.normal(size=(5, 8)),
        "coefs_/1": rng.normal(size=(8, 6)),
        "coefs_/2": rng.normal(size=(6, 2)),
    }
    a["coefs_/0"][:, 2:6] = 0
    b = _shuffle_mlp(
        a | {f"intercepts_/{i}": np.zeros(n) for i, n in [(0, 8), (1, 6)]}, rng
    )
    aligned = align(a, {name: b[name] for name in a})
    assert _equal(aligned, a)


def test_aligned_network_of_other_training_predicts_as_before(digits):
    """Aligning changes the order of units, not what the network computes."""
    X, y = digits
    first, second = (
        MLPClassifier((25, 15), max_iter=30, random_state=seed).fit(X, y)
        for seed in (0, 1)
    )
    a, b = _mlp_weights(first), _mlp_weights(second)
    expected = second.predict_proba(X)
    aligned = align(a, b)
    before = compare(a, b)["l2_distance"]
    after = compare(a, aligned)["l2_distance"]
    assert (after**2).sum() < 0.9 * (before**2).sum()
    _load_mlp(second, aligned)
    np.testing.assert_allclose(second.predict_proba(X), expected, rtol=1e-4, atol=1e-6)


def test_one_hidden_layer_is_matched_optimally():
    """With one hidden layer no other order is nearer, all orders tried."""
    rng = _rng()
    a = {"coefs_/0": rng.normal(size=(3, 6)), "coefs_/1": rng.normal(size=(6, 2))}
    b = {name: rng.normal(size=w.shape) for name, w in a.items()}

    def distance(order):
        order = list(order)
        return np.sqrt(
            ((a["coefs_/0"] - b["coefs_/0"][:, order]) ** 2).sum()
            + ((a["coefs_/1"] - b["coefs_/1"][order]) ** 2).sum()
        )

    least = min(distance(order) for order in permutations(range(6)))
    found = compare(a, align(a, b))["l2_distance"]
    assert np.sqrt((found**2).sum()) == pytest.approx(least)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=6),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_alignment_is_exact_and_never_farther(widths, seed, rounded):
    """For any chain: shuffled comes back exactly, unrelated never gets farther."""
    rng = np.random.default_rng(seed)

    def draw():
        weights = {}
        for i, (p, q) in enumerate(pairwise(widths)):
            weights[f"coefs_/{i}"] = rng.normal(size=(p, q))
            weights[f"intercepts_/{i}"] = rng.normal(size=q)
        # Rounded weights have many ties.
        return {k: w.round() if rounded else w for k, w in weights.items()}

    a, other = draw(), draw()
    if not rounded:
        assert _equal(align(a, _shuffle_mlp(a, rng)), a)
    before = compare(a, other)["l2_distance"]
    after = compare(a, align(a, other))["l2_distance"]
    assert (after**2).sum() <= (before**2).sum() * (1 + 1e-9)


def test_alignment_is_the_same_in_every_call(digits):
    """Two calls give the same order."""
    rng = _rng()
    a = {"coefs_/0": rng.normal(size=(9, 40)), "coefs_/1": rng.normal(size=(40, 3))}
    b = {name: rng.normal(size=w.shape) for name, w in a.items()}
    assert _equal(align(a, b), align(a, b))


def test_pipeline_steps_before_the_network_stay(digits):
    """The prefix of a pipeline's step is seen through; other steps are left alone."""
    X, y = digits
    pipe = make_pipeline(
        StandardScaler(),
        MLPRegressor(hidden_layer_sizes=(12,), max_iter=5, random_state=0),
    )
    pipe.fit(X, y)
    a = {"standardscaler/mean_": pipe[0].mean_, "mlpregressor/loss_": np.float64(1)}
    a |= _mlp_weights(pipe[1], "mlpregressor/")
    b = _shuffle_mlp(a, _rng(), "mlpregressor/")
    aligned = align(a, b)
    assert _equal(aligned, a)
    assert list(aligned) == list(b)
    assert aligned["standardscaler/mean_"] is b["standardscaler/mean_"]


def test_several_networks_are_matched_each_by_itself(digits):
    """Two MLPs of a voting ensemble are two chains."""
    X, y = digits
    a = {}
    for seed, prefix in enumerate(("x/", "y/")):
        mlp = MLPClassifier((9,), max_iter=5, random_state=seed).fit(X, y)
        a |= _mlp_weights(mlp, prefix)
    b = _shuffle_mlp(_shuffle_mlp(a, _rng(), "x/"), _rng(), "y/")
    assert _equal(align(a, b), a)


def test_more_than_ten_layers_are_in_the_order_of_their_numbers():
    """Layer 10 comes after layer 9, whatever the mapping's order."""
    rng = _rng()
    a = {f"coefs_/{i}": rng.normal(size=(5, 5)) for i in range(12)}
    a |= {f"intercepts_/{i}": rng.normal(size=5) for i in range(12)}
    b = _shuffle_mlp(a, rng)
    assert _equal(align({name: a[name] for name in sorted(a)}, b), a)


def test_types_are_kept():
    """Values are moved and not computed: type and bits stay."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    rng = _rng()
    a = {"coefs_/0": rng.normal(size=(4, 6)), "coefs_/1": rng.normal(size=(6, 2))}
    a = {name: w.astype(ml_dtypes.bfloat16) for name, w in a.items()}
    order = rng.permutation(6)
    b = {"coefs_/0": a["coefs_/0"][:, order], "coefs_/1": a["coefs_/1"][order]}
    aligned = align(a, b)
    for name, weight in a.items():
        assert aligned[name].dtype == weight.dtype
        assert aligned[name].tobytes() == weight.tobytes()


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_scale_of_the_weights_does_not_matter(scale):
    """Very large and very small weights are matched as others are."""
    rng = _rng()
    a = {"coefs_/0": rng.normal(size=(4, 9)), "coefs_/1": rng.normal(size=(9, 2))}
    order = rng.permutation(9)
    b = {"coefs_/0": a["coefs_/0"][:, order], "coefs_/1": a["coefs_/1"][order]}
    # Not bit for bit the same, so that the assignment has to find the order.
    a = {name: w * scale for name, w in a.items()}
    b = {name: (w + 1e-6) * scale for name, w in b.items()}
    distances = compare(a, align(a, b))["max_abs_difference"] / scale
    assert (distances < 2e-6).all()


def test_network_without_hidden_layers_is_returned_as_it_is():
    """One layer has no hidden units, so nothing moves."""
    rng = _rng()
    a = {"fc.weight": rng.normal(size=(3, 3)), "fc.bias": rng.normal(size=3)}
    b = {name: w[::-1] for name, w in a.items()}
    aligned = align(a, b)
    assert all(aligned[name] is b[name] for name in b)


# -- torch --------------------------------------------------------------------------


def _state(module):
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


def _permute(weights, moves, rng):
    """Shuffle units: ``moves`` lists (units, [(name, axis, pixels), ...])."""
    shuffled = dict(weights)
    for units, places in moves:
        order = rng.permutation(units)
        for name, axis, pixels in places:
            index = (order[:, None] * pixels + np.arange(pixels)).ravel()
            shuffled[name] = shuffled[name].take(index, axis=axis)
    return shuffled


def _torch_forward(module, weights, X):
    import torch

    tensors = {name: torch.from_numpy(np.asarray(w)) for name, w in weights.items()}
    module.load_state_dict(tensors)
    module.eval()
    with torch.no_grad():
        return module(torch.from_numpy(X)).numpy()


@pytest.mark.torch
def test_shuffled_torch_network_comes_back_exactly(digits):
    """A torch chain trained by skorch, shuffled: distance 0, same predictions."""
    torch = pytest.importorskip("torch")
    skorch = pytest.importorskip("skorch")
    from torch import nn

    torch.manual_seed(0)
    X, y = digits
    module = nn.Sequential(
        nn.Linear(64, 24),
        nn.BatchNorm1d(24),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(24, 16),
        nn.LayerNorm(16),
        nn.PReLU(16),
        nn.Linear(16, 10),
    )
    net = skorch.NeuralNetClassifier(
        module, criterion=nn.CrossEntropyLoss, max_epochs=3, verbose=0
    ).fit(X, y)
    a = _state(net.module_)
    expected = _torch_forward(net.module_, a, X)
    hidden = [
        ("0.weight", 0, 1),
        ("0.bias", 0, 1),
        *((f"1.{n}", 0, 1) for n in ("weight", "bias", "running_mean", "running_var")),
        ("4.weight", 1, 1),
    ]
    later = [("4.weight", 0, 1), ("4.bias", 0, 1), ("5.weight", 0, 1), ("5.bias", 0, 1)]
    later += [("6.weight", 0, 1), ("7.weight", 1, 1)]
    b = _permute(a, [(24, hidden), (16, later)], _rng())
    np.testing.assert_allclose(
        _torch_forward(net.module_, b, X), expected, rtol=1e-4, atol=1e-5
    )
    aligned = align(a, b)
    assert (compare(a, aligned)["l2_distance"] == 0).all()
    assert np.array_equal(_torch_forward(net.module_, aligned, X), expected)


@pytest.mark.torch
def test_shuffled_torch_convolutions_come_back_exactly(digits):
    """Channels are followed through BatchNorm and flattening into a dense layer."""
    torch = pytest.importorskip("torch")
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 3)
            self.norm1 = nn.BatchNorm2d(6)
            self.conv2 = nn.Conv2d(6, 5, 3)
            self.flat_norm = nn.BatchNorm1d(80)
            self.fc1 = nn.Linear(80, 12)
            self.fc2 = nn.Linear(12, 10)

        def forward(self, x):
            x = torch.relu(self.norm1(self.conv1(x.reshape(-1, 1, 8, 8))))
            x = self.flat_norm(torch.relu(self.conv2(x)).flatten(1))
            return self.fc2(torch.relu(self.fc1(x)))

    torch.manual_seed(0)
    X, y = digits
    module = Net()
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    for _ in range(10):
        optimizer.zero_grad()
        output = module(torch.from_numpy(X))
        nn.functional.cross_entropy(output, torch.from_numpy(y)).backward()
        optimizer.step()
    a = _state(module)
    expected = _torch_forward(module, a, X)
    norms = ("weight", "bias", "running_mean", "running_var")
    moves = [
        (
            6,
            [
                ("conv1.weight", 0, 1),
                ("conv1.bias", 0, 1),
                *((f"norm1.{n}", 0, 1) for n in norms),
                ("conv2.weight", 1, 1),
            ],
        ),
        (
            5,
            [
                ("conv2.weight", 0, 1),
                ("conv2.bias", 0, 1),
                *((f"flat_norm.{n}", 0, 16) for n in norms),
                ("fc1.weight", 1, 16),
            ],
        ),
        (12, [("fc1.weight", 0, 1), ("fc1.bias", 0, 1), ("fc2.weight", 1, 1)]),
    ]
    b = _permute(a, moves, _rng())
    np.testing.assert_allclose(
        _torch_forward(module, b, X), expected, rtol=1e-4, atol=1e-5
    )
    aligned = align(a, b)
    assert (compare(a, aligned)["l2_distance"] == 0).all()
    assert np.array_equal(_torch_forward(module, aligned, X), expected)
    prefixed = {f"net/{name}": w for name, w in b.items()}
    again = align({f"net/{name}": w for name, w in a.items()}, prefixed)
    assert _equal(again, {f"net/{name}": w for name, w in a.items()})


# -- Keras --------------------------------------------------------------------------


def _keras_names(model):
    """Names of the weights as the store has them: numbered within the model."""
    names, counts = [], {}
    for layer in model.layers:
        kind = type(layer).__name__.lower()
        number = counts.get(kind, 0)
        counts[kind] = number + bool(layer.weights)
        prefix = f"{kind}_{number}" if number else kind
        names += [f"{prefix}/{weight.name}" for weight in layer.weights]
    return names


def _keras_predict(model, weights, X):
    model.set_weights([weights[name] for name in _keras_names(model)])
    return np.asarray(model(X, training=False))


@pytest.mark.keras
def test_shuffled_keras_dense_comes_back_exactly(digits):
    """A Keras Sequential with BatchNormalization: distance 0, same predictions."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    X, y = digits
    model = keras.Sequential(
        [
            keras.layers.Input((64,)),
            keras.layers.Dense(20, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(15, activation="tanh"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, y, epochs=2, verbose=0)
    a = dict(
        zip(_keras_names(model), map(np.asarray, model.get_weights()), strict=True)
    )
    expected = _keras_predict(model, a, X)
    norms = ("gamma", "beta", "moving_mean", "moving_variance")
    hidden = [("dense/kernel", 1, 1), ("dense/bias", 0, 1), ("dense_1/kernel", 0, 1)]
    hidden += [(f"batchnormalization/{n}", 0, 1) for n in norms]
    later = [("dense_1/kernel", 1, 1), ("dense_1/bias", 0, 1), ("dense_2/kernel", 0, 1)]
    b = _permute(a, [(20, hidden), (15, later)], _rng())
    np.testing.assert_allclose(
        _keras_predict(model, b, X), expected, rtol=1e-4, atol=1e-5
    )
    aligned = align(a, b)
    assert (compare(a, aligned)["l2_distance"] == 0).all()
    assert np.array_equal(_keras_predict(model, aligned, X), expected)


@pytest.mark.keras
def test_shuffled_keras_convolutions_come_back_exactly(digits):
    """Keras channels are followed through a flattening that has channels last."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    X, y = digits
    X = X[:200].reshape(-1, 8, 8, 1)
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(6, 3, activation="relu"),
            keras.layers.Conv2D(5, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(12, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, y[:200], epochs=1, verbose=0)
    a = dict(
        zip(_keras_names(model), map(np.asarray, model.get_weights()), strict=True)
    )
    expected = _keras_predict(model, a, X)
    rng = _rng()
    first, second, third = rng.permutation(6), rng.permutation(5), rng.permutation(12)
    b = dict(a)
    b["conv2d/kernel"] = a["conv2d/kernel"][..., first]
    b["conv2d/bias"] = a["conv2d/bias"][first]
    b["conv2d_1/kernel"] = a["conv2d_1/kernel"][:, :, first][..., second]
    b["conv2d_1/bias"] = a["conv2d_1/bias"][second]
    pixels = a["dense/kernel"].reshape(16, 5, 12)[:, second]
    b["dense/kernel"] = pixels.reshape(80, 12)[:, third]
    b["dense/bias"] = a["dense/bias"][third]
    b["dense_1/kernel"] = a["dense_1/kernel"][third]
    np.testing.assert_allclose(
        _keras_predict(model, b, X), expected, rtol=1e-4, atol=1e-5
    )
    aligned = align(a, b)
    assert (compare(a, aligned)["l2_distance"] == 0).all()
    assert np.array_equal(_keras_predict(model, aligned, X), expected)


# -- what cannot be aligned ---------------------------------------------------------


def _zeros(**shapes):
    return {name.replace("__", "."): np.zeros(shape) for name, shape in shapes.items()}


def test_error_is_a_value_error_of_ours():
    """Callers may catch it as a ValueError or as any error of the package."""
    assert issubclass(AlignmentError, ValueError)
    assert issubclass(AlignmentError, WeightSearchError)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"coef_": np.eye(2), "intercept_": np.ones(2)}, "no chain"),
        ({"tree_/threshold": np.ones(3)}, "no chain"),
        ({}, "no chain"),
        (_zeros(lstm__weight_ih_l0=(8, 3), fc__weight=(2, 2)), "'lstm.weight_ih_l0'"),
        ({"lstm/lstm_cell/kernel": np.eye(4)}, "'lstm'"),
        ({"layer/recurrent_kernel": np.eye(4)}, "recurrent_kernel"),
        (_zeros(attn__in_proj_weight=(6, 2)), "in_proj_weight"),
        (_zeros(attention__q__weight=(2, 2)), "'attention'"),
        ({"embedding/embeddings": np.eye(4)}, "embeddings"),
        (_zeros(up__weight=(3, 3), shortcut__weight=(3, 3)), "'shortcut'"),
        ({"conv2d_transpose/kernel": np.zeros((3, 3, 2, 2))}, "'transpose'"),
        (_zeros(a__weight=(3, 2), b__weight=(2, 4)), "takes 4 inputs"),
        (_zeros(a__weight=(3, 2), b__weight=(2, 6)), "takes 6 inputs"),
        (_zeros(a__weight=(3, 2, 3, 3), b__weight=(2, 4)), "takes 4 inputs"),
        (_zeros(a__weight=(4, 2, 3, 3), b__weight=(4, 1, 3, 3)), "takes 1 inputs"),
        (_zeros(a__weight=(4, 2, 3, 3), b__weight=(4,), b__bias=(4,)), "group"),
        (
            _zeros(a__weight=(4, 2), b__weight=(3,), b__bias=(3,)),
            "one element per unit",
        ),
        (_zeros(a__weight=(4, 2), a__bias=(3,)), "one element per unit"),
        (_zeros(a__bias=(3,)), "not the weights of a Keras"),
        (_zeros(a__weight=(3, 3), a__kernel=(3, 3)), "not the weights of a Keras"),
    ],
)
def test_what_is_no_plain_chain_says_why(weights, message):
    """Layers that cannot be matched are named."""
    with pytest.raises(AlignmentError, match=message):
        align(weights, weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"coefs_/0": np.ones((4, 7))},
            r"'coefs_/0' is \(4, 6\) in a and \(4, 7\) in b",
        ),
        ({"coefs_/0": np.full((4, 6), np.nan)}, "'coefs_/0' of b has values"),
        ({"coefs_/0": None}, "in a but not in b"),
    ],
)
def test_networks_that_do_not_fit_together(change, message):
    """Other widths, missing and diverged weights are named."""
    a = {"coefs_/0": np.ones((4, 6)), "coefs_/1": np.ones((6, 2))}
    b = {k: w for k, w in (a | change).items() if w is not None}
    with pytest.raises(AlignmentError, match=message):
        align(a, b)


def test_shared_weights_are_refused():
    """Weights that serve two layers cannot be moved in one."""
    a = _zeros(encoder__weight=(3, 4), decoder__weight=(4, 3))
    b = Weights(a, ties={"other.weight": "decoder.weight"})
    with pytest.raises(AlignmentError, match=r"shared with 'other\.weight'"):
        align(a, b)


# -- layers named by the user -------------------------------------------------------


def test_named_layers_are_matched_and_others_left_alone():
    """Only the named layers move, in the named order."""
    rng = _rng()
    a = {
        "head.weight": rng.normal(size=(2, 5)),
        "body.weight": rng.normal(size=(5, 4)),
        "lstm.weight_ih_l0": rng.normal(size=(8, 2)),
    }
    order = rng.permutation(5)
    b = a | {
        "head.weight": a["head.weight"][:, order],
        "body.weight": a["body.weight"][order],
    }
    aligned = align(a, b, layers=["body", "head"])
    assert _equal(aligned, a)
    assert aligned["lstm.weight_ih_l0"] is b["lstm.weight_ih_l0"]


def test_named_layers_of_an_mlp():
    """An MLP's layers are named by their incoming weights."""
    rng = _rng()
    a = {f"coefs_/{i}": rng.normal(size=(5, 5)) for i in range(3)}
    order = rng.permutation(5)
    b = a | {"coefs_/1": a["coefs_/1"][:, order], "coefs_/2": a["coefs_/2"][order]}
    assert _equal(align(a, b, layers=["coefs_/1", "coefs_/2"]), a)


def test_named_normalisation_after_a_convolution_is_taken_at_its_word():
    """What might be a group normalisation is accepted where the user names it."""
    rng = _rng()
    a = {
        "c.weight": rng.normal(size=(4, 1, 3, 3)),
        "n.weight": rng.normal(size=4),
        "n.bias": rng.normal(size=4),
        "f.weight": rng.normal(size=(2, 4)),
    }
    b = _permute(
        a,
        [
            (
                4,
                [
                    ("c.weight", 0, 1),
                    ("n.weight", 0, 1),
                    ("n.bias", 0, 1),
                    ("f.weight", 1, 1),
                ],
            )
        ],
        rng,
    )
    assert _equal(align(a, b, layers=["c", "n", "f"]), a)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["fc1", "fc3"], r"no layer 'fc3'\. Did you mean 'fc"),
        (["fc1", "fc1"], "twice"),
        (["fc1", "dense"], "not belong to one network"),
    ],
)
def test_layers_that_are_not_there(layers, message):
    """A wrong name gets the nearest ones; a chain is of one network."""
    weights = {
        "fc1.weight": np.eye(3),
        "fc2.weight": np.eye(3),
        "dense/kernel": np.eye(3),
    }
    with pytest.raises(AlignmentError, match=message):
        align(weights, weights, layers=layers)

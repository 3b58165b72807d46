"""Two sets of weights, stacks of weights and representations compared."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from weightsearch.compare import (
    AlignmentError,
    compare,
    linear_cka,
    mlp_activations,
    pairwise_distances,
)

DISTANCES = [
    "l2_distance",
    "relative_distance",
    "cosine",
    "max_abs_difference",
    "sign_difference",
]


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:400] / 16, y[:400]


def _mlp(digits, activation="relu", hidden=(10, 7), seed=0):
    mlp = MLPClassifier(hidden, activation=activation, max_iter=10, random_state=seed)
    return mlp.fit(*digits)


def _weights(mlp, prefix=""):
    weights = {f"{prefix}coefs_/{i}": w for i, w in enumerate(mlp.coefs_)}
    return weights | {
        f"{prefix}intercepts_/{i}": w for i, w in enumerate(mlp.intercepts_)
    }


def test_columns_of_a_comparison():
    """In the documentation's order, so that a narrow screen shows distances."""
    frame = compare({"w": np.ones(2)}, {"w": np.ones(2)})
    expected = [
        *("relative_distance", "cosine", "max_abs_difference", "sign_difference"),
        *("l2_a", "l2_b", "shape_a", "shape_b", "l2_distance", "in"),
    ]
    assert list(frame.columns) == expected
    assert frame.index.name == "name"


def test_numbers_follow_their_formulas(digits):
    """Every number of a trained layer equals its definition by numpy."""
    a, b = (_weights(_mlp(digits, seed=seed)) for seed in (0, 1))
    row = compare(a, b).loc["coefs_/1"]
    x, y = a["coefs_/1"], b["coefs_/1"]
    norms = np.linalg.norm(x), np.linalg.norm(y)
    expected = {
        "l2_a": norms[0],
        "l2_b": norms[1],
        "l2_distance": np.linalg.norm(x - y),
        "relative_distance": np.linalg.norm(x - y) / max(norms),
        "cosine": (x * y).sum() / norms[0] / norms[1],
        "max_abs_difference": np.abs(x - y).max(),
        "sign_difference": np.mean((x > 0) != (y > 0)),
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-12), name


def test_equal_weights_are_at_distance_zero(digits):
    """A model compared with itself has zeros and a cosine of exactly one."""
    weights = _weights(_mlp(digits))
    frame = compare(weights, weights)
    assert (frame["l2_distance"] == 0).all()
    assert (frame["relative_distance"] == 0).all()
    assert (frame["cosine"] == 1).all()
    assert (frame["sign_difference"] == 0).all()


def test_weights_on_one_side_are_named():
    """Rows come in the order of a, then of what only b has, and say where they are."""
    a = {"x": np.ones(2), "only_a": np.ones((2, 3))}
    b = {"only_b": np.ones(4), "x": np.zeros(2)}
    frame = compare(a, b)
    assert list(frame.index) == ["x", "only_a", "only_b"]
    assert frame["in"].tolist() == ["both", "a", "b"]
    assert frame["shape_a"].tolist() == [(2,), (2, 3), None]
    assert frame["shape_b"].tolist() == [(2,), None, (4,)]
    assert frame.loc["only_b", "l2_b"] == 2
    assert frame.loc[["only_a", "only_b"], DISTANCES].isna().all(axis=None)


def test_shapes_that_differ_keep_the_row():
    """Weights of different shapes have norms of their own and no distances."""
    row = compare({"w": np.ones((2, 2))}, {"w": np.ones((2, 3))}).loc["w"]
    assert row["in"] == "both"
    assert (row["shape_a"], row["shape_b"]) == ((2, 2), (2, 3))
    assert row["l2_b"] == pytest.approx(np.sqrt(6))
    assert row[DISTANCES].isna().all()


def test_shapes_are_not_broadcast():
    """A vector and a matrix of one row are different shapes."""
    row = compare({"w": np.ones(3)}, {"w": np.ones((1, 3))}).loc["w"]
    assert row[DISTANCES].isna().all()


def test_zero_weights_have_no_direction():
    """Two zero weights are at relative distance 0 and have no cosine."""
    row = compare({"w": np.zeros(3)}, {"w": np.zeros(3)}).loc["w"]
    assert row["relative_distance"] == 0
    assert np.isnan(row["cosine"])


def test_signs_count_zero_as_a_sign_of_its_own():
    """Zero against a positive number is a differing sign."""
    a, b = np.array([0.0, 1.0, -1.0, 2.0]), np.array([1.0, 1.0, 1.0, 3.0])
    assert compare({"w": a}, {"w": b}).loc["w", "sign_difference"] == 0.5


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        (np.array([0], np.uint8), np.array([255], np.uint8), 255),
        (np.array([True]), np.array([False]), 1),
        (np.array([3j]), np.array([4.0]), 5),
        (np.array([1], np.float16), np.array([1 + 2**-30]), 2**-30),
        (np.array([1e200]), np.array([-1e200]), 2e200),
    ],
)
def test_types_are_compared_as_the_numbers_they_are(a, b, distance):
    """Bytes do not wrap around, short floats are not rounded, large ones stay."""
    row = compare({"w": a}, {"w": b}).loc["w"]
    assert row["l2_distance"] == distance


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.empty((0, 2)), np.empty((0, 2))),
        (np.array(["x"]), np.array(["x"])),
        (np.array(["x"]), np.array([1.0])),
    ],
)
def test_what_has_no_numbers_has_no_distance(a, b):
    """Empty weights and text give NaN without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row = compare({"w": a}, {"w": b}).loc["w"]
    assert row[DISTANCES].isna().all()


def test_nonfinite_weights_give_no_warning():
    """Infinite weights give NaN distances, quietly."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row = compare({"w": np.array([np.inf])}, {"w": np.array([np.inf])}).loc["w"]
    assert np.isnan(row["l2_distance"])


def test_nothing_compared_with_nothing():
    """Two empty mappings give an empty frame with all columns."""
    assert compare({}, {}).shape == (0, 10)


def test_aligned_comparison_sees_through_shuffled_units(digits):
    """A network with shuffled hidden units is at distance exactly 0 when aligned."""
    a = _weights(_mlp(digits))
    order = np.random.default_rng(0).permutation(10)
    b = a | {
        "coefs_/0": a["coefs_/0"][:, order],
        "intercepts_/0": a["intercepts_/0"][order],
        "coefs_/1": a["coefs_/1"][order],
    }
    assert compare(a, b)["l2_distance"].max() > 1
    assert (compare(a, b, align=True)["l2_distance"] == 0).all()


def test_aligning_what_cannot_be_aligned_says_why():
    """A comparison that cannot align raises rather than compares as it is."""
    with pytest.raises(AlignmentError, match="no chain"):
        compare({"coef_": np.eye(2)}, {"coef_": np.eye(2)}, align=True)


# -- many at once -------------------------------------------------------------------


def _reference(stack, metric):
    rows = np.asarray(stack).astype(np.float64).reshape(len(stack), -1)
    if metric == "cosine":
        return cdist(rows, rows, "cosine")
    distances = cdist(rows, rows)
    if metric == "relative":
        lengths = np.linalg.norm(rows, axis=1)
        distances /= np.maximum.outer(lengths, lengths)
    return distances


@pytest.mark.parametrize("metric", ["l2", "relative", "cosine"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(np.float32, 1e-4), (np.float64, 1e-7), (np.float16, 1e-4), (np.int8, 1e-7)],
)
def test_distances_are_those_of_scipy(metric, dtype, tolerance):
    """Distances in each type agree with scipy's, taken in float64, pair by pair."""
    rng = np.random.default_rng(0)
    stack = (rng.normal(size=(30, 40, 5)) * 20).astype(dtype)
    found = pairwise_distances(stack, metric)
    np.testing.assert_allclose(
        found, _reference(stack, metric), rtol=tolerance, atol=1e-15
    )


@pytest.mark.parametrize("metric", ["l2", "relative", "cosine"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_close_groups_far_from_the_origin_keep_their_digits(metric, dtype):
    """Groups so close together that subtraction cancels are computed again."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 1, 200)) * 100
    widths = np.array([1.0, 1e-2, 1e-4])[:, None, None]
    stack = (centres + widths * rng.normal(size=(3, 12, 200))).reshape(36, 200)
    stack = stack.astype(dtype)
    expected = _reference(stack, "l2")
    if metric == "cosine":
        unit = stack.astype(np.float64)
        unit /= np.linalg.norm(unit, axis=1)[:, None]
        expected = cdist(unit, unit) ** 2 / 2
    elif metric == "relative":
        expected = _reference(stack, metric)
    found = pairwise_distances(stack, metric)
    np.testing.assert_allclose(found, expected, rtol=1e-3 if dtype == "f4" else 1e-6)


@pytest.mark.parametrize("metric", ["l2", "relative", "cosine"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_rows_are_at_distance_exactly_zero(metric, dtype):
    """Copies among other rows have distance 0, and nothing else has."""
    rng = np.random.default_rng(0)
    stack = rng.normal(size=(20, 300)).astype(dtype)[np.arange(60) % 20]
    found = pairwise_distances(stack, metric)
    same = np.equal.outer(np.arange(60) % 20, np.arange(60) % 20)
    assert (found[same] == 0).all()
    assert (found[~same] > 0.1).all()


def test_all_rows_equal():
    """A stack of one row repeated has only zeros."""
    stack = np.tile(np.random.default_rng(0).normal(size=50), (40, 1))
    assert not pairwise_distances(stack).any()


def test_smallest_difference_is_not_zero():
    """Rows that differ in the last bit of one element are told apart."""
    stack = np.tile(np.random.default_rng(0).normal(size=50) + 3, (40, 1))
    stack[7, 3] = np.nextafter(stack[7, 3], 9)
    found = pairwise_distances(stack)
    assert found[7, 0] == stack[7, 3] - stack[0, 3]
    assert np.count_nonzero(found) == 2 * 39


def test_distances_are_symmetric():
    """The matrix equals its transpose exactly."""
    found = pairwise_distances(np.random.default_rng(0).normal(size=(50, 70)))
    assert np.array_equal(found, found.T)


def test_tiles_and_blocks_do_not_show(monkeypatch):
    """Small tiles and blocks give what one product of all gives."""
    stack = np.random.default_rng(0).normal(size=(37, 1000))
    monkeypatch.setattr(sys.modules["weightsearch.compare._distances"], "_TILE", 8)
    monkeypatch.setattr(
        sys.modules["weightsearch.compare._distances"], "_TILE_BYTES", 1
    )
    np.testing.assert_allclose(
        pairwise_distances(stack), _reference(stack, "l2"), rtol=1e-12
    )


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_distances_of_extreme_values_stay_in_range(scale):
    """Squares that would overflow or vanish are not taken for the distance."""
    stack = np.random.default_rng(0).normal(size=(12, 5))
    found = pairwise_distances(stack * scale)
    np.testing.assert_allclose(found, _reference(stack, "l2") * scale, rtol=1e-12)


@pytest.mark.parametrize("metric", ["l2", "relative", "cosine"])
def test_nonfinite_rows_do_not_spoil_the_others(metric):
    """A diverged candidate is at distance NaN; the others are as without it."""
    stack = np.random.default_rng(0).normal(size=(12, 5))
    bad = stack.copy()
    bad[3, 2], bad[5, 0] = np.nan, np.inf
    found = pairwise_distances(bad, metric)
    good = [i for i in range(12) if i not in (3, 5)]
    expected = pairwise_distances(stack, metric)[np.ix_(good, good)]
    np.testing.assert_allclose(found[np.ix_(good, good)], expected, rtol=1e-12)
    assert np.isnan(found[3, good]).all()
    assert (np.diag(found) == 0).all()


def test_zero_rows():
    """Zero rows are at relative distance 0 from each other, and have no cosine."""
    stack = np.array([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0]])
    relative = pairwise_distances(stack, "relative")
    assert relative.tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]
    assert np.isnan(pairwise_distances(stack, "cosine")[0, 1:]).all()


def test_complex_rows():
    """Complex rows have the Euclidean distance of their difference."""
    rng = np.random.default_rng(0)
    stack = rng.normal(size=(12, 6)) + 1j * rng.normal(size=(12, 6))
    found = pairwise_distances(stack)
    assert found[2, 9] == pytest.approx(np.linalg.norm(stack[2] - stack[9]))


def test_bfloat16_rows():
    """Rows of ml_dtypes' short floats are compared as numbers."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    stack = np.random.default_rng(0).normal(size=(12, 6)).astype(ml_dtypes.bfloat16)
    np.testing.assert_allclose(
        pairwise_distances(stack), _reference(stack, "l2"), rtol=1e-4
    )


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (3, 0)])
def test_stacks_without_pairs_or_elements(shape):
    """Empty and single stacks give zeros of the right shape."""
    found = pairwise_distances(np.ones(shape))
    assert found.shape == (shape[0], shape[0])
    assert not found.any()


def test_pairwise_distances_names_what_is_wrong():
    """An unknown metric and a stack of text are refused by name."""
    with pytest.raises(ValueError, match="metric must be"):
        pairwise_distances(np.eye(2), "l3")
    with pytest.raises(ValueError, match="array of numbers"):
        pairwise_distances(np.array(["a", "b"]))
    with pytest.raises(ValueError, match="array of numbers"):
        pairwise_distances(np.float64(1))


# -- representations ----------------------------------------------------------------


def _cka_by_definition(x, y):
    n = len(x)
    centring = np.eye(n) - np.ones((n, n)) / n
    k, m = centring @ x @ x.T @ centring, centring @ y @ y.T @ centring
    return (k * m).sum() / np.linalg.norm(k) / np.linalg.norm(m)


@pytest.mark.parametrize(("p", "q"), [(3, 5), (80, 5), (5, 80), (90, 70)])
def test_cka_follows_its_definition(p, q):
    """Narrow and wide representations give the number of the kernel's definition."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, p)) + 5
    y = np.tanh(x[:, :1] + rng.normal(size=(40, q)))
    assert linear_cka(x, y) == pytest.approx(_cka_by_definition(x, y), rel=1e-10)


@pytest.mark.parametrize("p", [4, 60])
def test_cka_does_not_see_rotation_scale_and_shift(p):
    """A representation rotated, scaled and shifted is the same representation."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, p))
    rotation = np.linalg.qr(rng.normal(size=(p, p)))[0]
    assert linear_cka(x, 3 * x @ rotation + 7) == pytest.approx(1, abs=1e-12)


def test_cka_compares_layers_of_any_width(digits):
    """Two trained networks of different widths are alike, more than noise is."""
    X, _ = digits
    narrow, wide = _mlp(digits, hidden=(10,)), _mlp(digits, hidden=(25,), seed=1)
    a = mlp_activations(_weights(narrow), X)["coefs_/0"]
    b = mlp_activations(_weights(wide), X)["coefs_/0"]
    noise = np.random.default_rng(0).normal(size=b.shape)
    assert linear_cka(a, b) > 4 * linear_cka(a, noise)


def test_cka_flattens_pictures():
    """Activations of a convolution are taken as one long row a sample."""
    x = np.random.default_rng(0).normal(size=(20, 3, 3, 2))
    assert linear_cka(x, x.reshape(20, -1)) == pytest.approx(1)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e10])
def test_cka_of_a_constant_is_nan(value):
    """A representation that is the same for all samples has no similarity."""
    x = np.random.default_rng(0).normal(size=(30, 3))
    assert np.isnan(linear_cka(x, np.full((30, 2), value)))


def test_cka_stays_in_range_for_extreme_values():
    """The measure is free of scale also where squares would overflow."""
    x = np.random.default_rng(0).normal(size=(20, 3))
    assert linear_cka(1e200 * x, 1e-200 * x) == pytest.approx(1)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((3, 2)), np.ones((4, 2)), "same samples"),
        (np.ones((1, 2)), np.ones((1, 2)), "at least 2 are needed"),
        (np.full((3, 2), np.nan), np.ones((3, 2)), "not finite"),
        (np.ones((3, 2)), np.ones((3, 2)) * 1j, "real numbers"),
    ],
)
def test_cka_names_what_is_wrong(x, y, message):
    """Samples that do not fit together and values that are no numbers are refused."""
    with pytest.raises(ValueError, match=message):
        linear_cka(x, y)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_mlp_activations_are_sklearns(digits, activation):
    """The last hidden layer leads to scikit-learn's own probabilities."""
    X, _ = digits
    mlp = _mlp(digits, activation)
    found = mlp_activations(_weights(mlp, "mlp/"), X, activation)
    assert [(k, v.shape[1]) for k, v in found.items()] == [
        ("mlp/coefs_/0", 10),
        ("mlp/coefs_/1", 7),
    ]
    z = found["mlp/coefs_/1"] @ mlp.coefs_[2] + mlp.intercepts_[2]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p, mlp.predict_proba(X), rtol=1e-9)


def test_mlp_activations_names_what_is_wrong(digits):
    """No MLP, two MLPs, another width and an unknown activation are refused."""
    X, _ = digits
    weights = _weights(_mlp(digits))
    with pytest.raises(ValueError, match="no MLP"):
        mlp_activations({"coef_": np.eye(2)}, X)
    with pytest.raises(ValueError, match="2 MLPs"):
        mlp_activations(weights | {f"other/{k}": w for k, w in weights.items()}, X)
    with pytest.raises(ValueError, match=r"\(n_samples, 64\)"):
        mlp_activations(weights, X[:, :5])
    with pytest.raises(ValueError, match="activation"):
        mlp_activations(weights, X, "gelu")

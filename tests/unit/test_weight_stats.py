"""What weight_stats says of single weights."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from weightsearch.compare import STATISTICS, weight_stats

SPECTRAL = ["spectral_norm", "stable_rank", "condition_number", "effective_rank"]


@pytest.fixture(scope="module")
def mlp_weights():
    X, y = load_digits(return_X_y=True)
    mlp = MLPClassifier((12,), max_iter=8, random_state=0).fit(X[:300], y[:300])
    arrays = zip(mlp.coefs_, mlp.intercepts_, strict=True)
    return {
        f"{kind}/{i}": array
        for i, pair in enumerate(arrays)
        for kind, array in zip(("coefs_", "intercepts_"), pair, strict=True)
    }


def test_a_row_a_weight_in_the_mappings_order(mlp_weights):
    """Rows are the mapping's names in order, columns the documented ones."""
    stats = weight_stats(mlp_weights)
    assert list(stats.index) == [
        "coefs_/0",
        "intercepts_/0",
        "coefs_/1",
        "intercepts_/1",
    ]
    assert list(stats.columns) == ["shape", "count", *STATISTICS]
    assert stats.loc["coefs_/0", "shape"] == (64, 12)
    assert stats["count"].tolist() == [768, 12, 120, 10]


def test_elementwise_statistics_are_numpys(mlp_weights):
    """Mean, spread, extremes and norms of a trained layer equal numpy's."""
    weight = mlp_weights["coefs_/0"]
    row = weight_stats(mlp_weights).loc["coefs_/0"]
    expected = {
        "mean": weight.mean(),
        "std": weight.std(),
        "min": weight.min(),
        "max": weight.max(),
        "l1": np.linalg.norm(weight.ravel(), 1),
        "l2": np.linalg.norm(weight),
        "share_zero": 0.0,
        "share_nonfinite": 0.0,
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-12), name


def test_spectral_statistics_follow_their_formulas(mlp_weights):
    """Spectral numbers of a trained layer equal their definitions by numpy."""
    weight = mlp_weights["coefs_/1"]
    sigma = np.linalg.svd(weight, compute_uv=False)
    p = sigma / sigma.sum()
    row = weight_stats(mlp_weights).loc["coefs_/1"]
    assert row["spectral_norm"] == pytest.approx(np.linalg.norm(weight, 2))
    assert row["condition_number"] == pytest.approx(np.linalg.cond(weight))
    assert row["stable_rank"] == pytest.approx((sigma**2).sum() / sigma[0] ** 2)
    assert row["effective_rank"] == pytest.approx(np.exp(-(p * np.log(p)).sum()))


def test_identity_has_full_rank_by_every_measure():
    """An orthogonal matrix has ranks equal to its size and condition one."""
    row = weight_stats({"w": np.eye(5)}).loc["w"]
    assert row[SPECTRAL].tolist() == pytest.approx([1, 5, 1, 5])


def test_singular_matrix_has_infinite_condition():
    """A matrix with a singular value of zero has an infinite condition number."""
    row = weight_stats({"w": np.diag([2.0, 0.0])}).loc["w"]
    assert row["condition_number"] == np.inf
    assert row["effective_rank"] == pytest.approx(1)


def test_zero_matrix_has_norm_zero_and_no_rank():
    """A matrix of zeros has spectral norm zero; its ranks are undefined."""
    row = weight_stats({"w": np.zeros((3, 3))}).loc["w"]
    assert row["spectral_norm"] == 0
    assert row[SPECTRAL[1:]].isna().all()
    assert row["share_zero"] == 1


@pytest.mark.parametrize("weight", [np.arange(1.0, 4), np.float64(2)])
def test_vectors_and_scalars_have_no_spectrum(weight):
    """Arrays of fewer than two dimensions leave the spectral columns empty."""
    row = weight_stats({"w": weight}).loc["w"]
    assert row[SPECTRAL].isna().all()
    assert row["l2"] == pytest.approx(np.linalg.norm(np.atleast_1d(weight)))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 2)])
def test_empty_arrays_are_nan_without_warning(shape):
    """An empty array has a count of zero, NaN for the rest, and no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row = weight_stats({"w": np.empty(shape)}).loc["w"]
    assert row["count"] == 0
    assert row["shape"] == shape
    assert row[list(STATISTICS)].isna().all()


def test_no_weights_give_an_empty_frame():
    """A mapping without weights gives a frame with all columns and no rows."""
    stats = weight_stats({})
    assert stats.shape == (0, 14)


@pytest.mark.parametrize(
    ("weight", "share"),
    [([[1.0, np.nan], [0.0, 2.0]], 0.25), ([[np.inf, -np.inf], [0.0, 2.0]], 0.5)],
)
def test_nonfinite_elements_are_counted_not_hidden(weight, share):
    """NaN and infinite elements show in the shares and sums, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row = weight_stats({"w": np.array(weight)}).loc["w"]
    assert row["share_nonfinite"] == share
    assert row["share_zero"] == 0.25
    assert not np.isfinite(row["l2"])
    assert row[SPECTRAL].isna().all()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32])
def test_narrow_types_are_computed_in_float64(dtype):
    """Small types neither wrap around nor lose digits in sums and products."""
    weight = np.array([[1, 0], [1, 1]], dtype=dtype) * np.array(200 // 199, dtype)
    row = weight_stats({"w": weight}).loc["w"]
    assert row["l2"] == pytest.approx(np.sqrt(3), rel=1e-14)
    assert row["mean"] == 0.75


def test_unsigned_bytes_do_not_wrap_around():
    """The norm of bytes is that of the numbers that they stand for."""
    row = weight_stats({"w": np.full(4, 250, dtype=np.uint8)}).loc["w"]
    assert row["l2"] == 500


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn"])
def test_ml_dtypes_count_as_numbers(name):
    """The short floats of ml_dtypes are numbers, though numpy calls them void."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    weight = np.array([[3, 0], [0, 4]]).astype(getattr(ml_dtypes, name))
    row = weight_stats({"w": weight}).loc["w"]
    assert row["l2"] == 5
    assert row["spectral_norm"] == pytest.approx(4)


def test_complex_weights_have_norms_but_no_order():
    """A complex weight has norms and a spectrum, and no mean or extremes."""
    row = weight_stats({"w": np.array([[3j, 0], [0, 4]])}).loc["w"]
    assert row["l1"] == 7
    assert row["l2"] == 5
    assert row["spectral_norm"] == pytest.approx(4)
    assert row[["mean", "min", "max"]].isna().all()


@pytest.mark.parametrize(
    "weight",
    [
        np.array(["a", "b"]),
        np.array([None, 1], dtype=object),
        np.zeros(2, dtype=[("left", int), ("gain", float)]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
    ],
)
def test_what_is_no_number_keeps_its_row(weight):
    """Text, objects, records and dates have a shape and a count only."""
    row = weight_stats({"w": weight}).loc["w"]
    assert row["count"] == len(weight)
    assert row[list(STATISTICS)].isna().all()


def test_large_and_small_values_stay_in_range():
    """Squares of very large and very small weights neither overflow nor vanish."""
    stats = weight_stats({"big": np.full((2, 2), 1e200), "small": np.full(4, 1e-200)})
    assert stats["l2"].tolist() == pytest.approx([2e200, 2e-200])
    assert stats.loc["big", "stable_rank"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "axis", "rows"),
    [
        ("conv.weight", None, 0),
        ("conv2d/kernel", None, 3),
        ("conv2d/kernel", 0, 0),
        ("covariances_", 1, 1),
    ],
)
def test_kernels_are_read_as_matrices_along_their_output_axis(name, axis, rows):
    """Output units become the rows: the first axis, or the last of a Keras kernel."""
    kernel = np.random.default_rng(0).normal(size=(3, 4, 5, 6))
    matrix = np.moveaxis(kernel, rows, 0).reshape(kernel.shape[rows], -1)
    row = weight_stats({name: kernel}, matrix_axis=axis).loc[name]
    assert row["spectral_norm"] == pytest.approx(np.linalg.norm(matrix, 2))
    assert row["condition_number"] == pytest.approx(np.linalg.cond(matrix))


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_matrices_over_the_limit_keep_their_spectral_norm(dtype):
    """Over svd_limit the norm comes from Lanczos, ranks of all values are left out."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(60, 40)).astype(dtype)
    row = weight_stats({"w": weight}, svd_limit=30).loc["w"]
    assert row["spectral_norm"] == pytest.approx(np.linalg.norm(weight, 2), rel=1e-6)
    assert row[["condition_number", "effective_rank"]].isna().all()
    again = weight_stats({"w": weight}, svd_limit=30).loc["w"]
    assert again["spectral_norm"] == row["spectral_norm"]


def test_svd_limit_must_be_positive():
    """A limit below one is refused."""
    with pytest.raises(ValueError, match="svd_limit"):
        weight_stats({"w": np.eye(2)}, svd_limit=0)

"""What displays draw, as numbers: layouts, spectra, quantiles, limits, labels."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.linalg import svdvals
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPClassifier

from weightsearch import WeightTrackingGridSearchCV, extract_weights
from weightsearch.compare._numeric import units_axis_of
from weightsearch.plot._base import thinned
from weightsearch.plot._colors import robust_limits
from weightsearch.plot._numbers import (
    as_image,
    dendrogram_lines,
    largest,
    singular_values,
    tiled,
    unit_images,
    weight_quantiles,
)
from weightsearch.plot._reading import shorten, value_text


@pytest.fixture(scope="module")
def mlp():
    X, y = load_digits(return_X_y=True)
    return MLPClassifier((6,), max_iter=2, random_state=0).fit(X[:200], y[:200])


@pytest.mark.parametrize(
    ("name", "ndim", "axis"),
    [
        ("coefs_/0", 2, 1),
        ("mlpclassifier/coefs_/1", 2, 1),
        ("dense/kernel", 2, 1),
        ("conv2d/kernel", 4, 3),
        ("lstm/recurrent_kernel", 2, 1),
        ("fc1.weight", 2, 0),
        ("conv.weight", 4, 0),
        ("coef_", 2, 0),
        ("components_", 2, 0),
        ("dense/kernel", 1, 0),
    ],
)
def test_units_axis_by_name(name, ndim, axis):
    """The axis of the units is where the framework of such a name has it."""
    assert units_axis_of(name, ndim) == axis


@pytest.mark.parametrize(
    ("name", "transposed"),
    [("coefs_/0", False), ("dense/kernel", False), ("fc1.weight", True)],
)
def test_unit_images_are_alike_in_the_frameworks(mlp, name, transposed):
    """A unit's image is the same, whichever way round its framework keeps weights."""
    kernel = extract_weights(mlp)["coefs_/0"]
    weight = kernel.T if transposed else kernel

    images = unit_images(name, weight, (8, 8))

    assert images.shape == (6, 8, 8)
    np.testing.assert_array_equal(images[4], kernel[:, 4].reshape(8, 8))


def test_unit_images_of_an_unknown_name(mlp):
    """``units_axis`` says what the name does not tell."""
    kernel = extract_weights(mlp)["coefs_/0"]

    images = unit_images("own_name", kernel, units_axis=1)

    np.testing.assert_array_equal(images[2], kernel[:, 2].reshape(8, 8))


def test_unit_images_of_convolutions():
    """Filters of Keras and torch are laid out alike, channels side by side."""
    torch_filters = np.random.default_rng(0).normal(size=(5, 2, 3, 4))
    keras_filters = torch_filters.transpose(2, 3, 1, 0)

    images = unit_images("conv.weight", torch_filters)

    assert images.shape == (5, 3, 8)
    np.testing.assert_array_equal(images[1, :, 4:], torch_filters[1, 1])
    np.testing.assert_array_equal(unit_images("conv2d/kernel", keras_filters), images)


def test_unit_images_of_one_unit():
    """The coefficients of a regressor are one image."""
    X, y = load_digits(return_X_y=True)
    ridge = Ridge().fit(X[:200], y[:200])

    (image,) = unit_images("coef_", extract_weights(ridge)["coef_"])

    np.testing.assert_array_equal(image, ridge.coef_.reshape(8, 8))


@pytest.mark.parametrize(
    ("shape", "weight_shape", "message"),
    [
        ((8, 9), (64, 6), "64 inputs per unit, which are not an image of 8 x 9"),
        (None, (63, 6), "63 inputs per unit"),
        ((8, 8), (3, 64, 6), r"has shape \(3, 64, 6\)"),
    ],
)
def test_what_is_no_image(shape, weight_shape, message):
    """An input that is no image of that shape is an error that says why."""
    with pytest.raises(ValueError, match=message):
        unit_images("coefs_/0", np.zeros(weight_shape), shape)


def test_wrong_axis_of_units():
    """An axis that the weight lacks is named, with its shape."""
    with pytest.raises(
        ValueError, match=r"units_axis=2 is not an axis of 'w'.*\(4, 3\)"
    ):
        unit_images("w", np.zeros((4, 3)), units_axis=2)


def test_tiled_images_keep_their_order():
    """Images stand row by row, with a line of NaN between them."""
    images = np.arange(1.0, 6.0)[:, None, None] * np.ones((5, 2, 3))

    mosaic, columns = tiled(images, columns=3)

    assert columns == 3
    assert mosaic.shape == (5, 11)
    np.testing.assert_array_equal(mosaic[:2, 4:7], images[1])
    np.testing.assert_array_equal(mosaic[3:, :3], images[3])
    assert np.isnan(mosaic[2]).all()
    assert np.isnan(mosaic[:, 3]).all()
    assert np.isnan(mosaic[3:, 8:]).all()


@pytest.mark.parametrize(
    ("n", "columns", "expected"), [(1, None, 1), (16, None, 4), (3, 9, 3)]
)
def test_columns_of_tiles(n, columns, expected):
    """Without a wish the mosaic is square, and no column stays empty."""
    assert tiled(np.zeros((n, 4, 4)), columns)[1] == expected


def test_heat_map_of_a_convolution():
    """More than two dimensions become units by all others."""
    weight = np.random.default_rng(0).normal(size=(3, 3, 2, 5))

    matrix, rows, columns = as_image("conv2d/kernel", weight)

    assert (rows, columns) == ("Unit (axis 3)", "Axes 0, 1, 2, flattened")
    np.testing.assert_array_equal(matrix[4], weight[..., 4].ravel())


def test_heat_map_of_a_matrix_stays_as_it_is():
    """A matrix is not turned; its axes are named by the framework."""
    weight = np.arange(6.0).reshape(2, 3)

    for name, labels in {
        "coefs_/0": ("Input (axis 0)", "Unit (axis 1)"),
        "fc.weight": ("Unit (axis 0)", "Input (axis 1)"),
    }.items():
        matrix, *found = as_image(name, weight)
        assert tuple(found) == labels
        np.testing.assert_array_equal(matrix, weight)


def test_singular_values(mlp):
    """They are those of scipy; a filter's are those of units by the rest."""
    kernel = extract_weights(mlp)["coefs_/0"]
    filters = np.random.default_rng(0).normal(size=(3, 3, 2, 5))

    np.testing.assert_allclose(
        singular_values("coefs_/0", kernel), svdvals(kernel.astype(np.float64))
    )
    np.testing.assert_allclose(
        singular_values("conv2d/kernel", filters), svdvals(filters.reshape(-1, 5))
    )


def test_singular_values_of_what_has_none():
    """NaN in a weight gives NaN; a vector and complex numbers are errors."""
    broken = np.array([[1.0, np.nan], [0.0, 1.0], [1.0, 1.0]])

    assert np.isnan(singular_values("w", broken)).tolist() == [True, True]
    with pytest.raises(ValueError, match="two or more dimensions"):
        singular_values("coef_", np.ones(3))
    with pytest.raises(ValueError, match="complex128"):
        singular_values("w", np.ones((2, 2)) * 1j)


def test_dendrogram_is_that_of_scipy():
    """Leaves and sides are those that scipy draws."""
    merges = linkage(np.random.default_rng(0).normal(size=(9, 3)), "average")

    leaves, lines = dendrogram_lines(merges)

    expected = dendrogram(merges, no_plot=True)
    assert leaves == expected["leaves"]
    x, y = (np.array(expected["icoord"]) - 5) / 10, np.array(expected["dcoord"])
    drawn = sorted(np.stack([x, y], axis=-1).round(9).tolist())
    assert sorted(lines.round(9).tolist()) == drawn


def test_deep_dendrogram():
    """A chain of thousands of candidates is laid out."""
    merges = linkage(np.cumsum(np.arange(3000.0))[:, None], "single")

    leaves, lines = dendrogram_lines(merges)

    assert sorted(leaves) == list(range(3000))
    assert lines[:, 1, 1].tolist() == merges[:, 2].tolist()


def test_quantiles_of_finite_elements():
    """Quantiles are numpy's, of the elements that are finite."""
    values = np.random.default_rng(0).normal(size=50)
    weights = {"coef_": np.append(values, [np.nan, np.inf]), "bias": np.zeros(0)}

    (row,) = weight_quantiles(weights).to_dict("records")

    assert row["name"] == "coef_"
    assert row["q25"] == np.quantile(values, 0.25)
    assert row["q95"] == np.quantile(values, 0.95)


def test_quantiles_leave_out_labels():
    """Integers are drawn only where they are asked for."""
    weights = {"coef_": np.ones((2, 2)), "classes_": np.arange(3)}

    assert weight_quantiles(weights)["name"].tolist() == ["coef_"]
    assert weight_quantiles(weights, ["classes_", "gone"])["q50"].tolist() == [1.0]


def test_limits_leave_out_what_diverged():
    """One far value does not stretch the limits; moderate ones stay inside."""
    values = np.linspace(0.5, 1.0, 40)

    assert robust_limits(values) == (0.5, 1.0)
    assert robust_limits(np.append(values, 0.1)) == (0.1, 1.0)
    low, high = robust_limits(np.append(values, -1e6))
    assert low == 0.5
    assert high == 1.0


def test_largest_is_never_zero():
    """The scale has room where all is zero or nothing is finite."""
    assert largest(np.array([1.0, -3.0, np.inf])) == 3.0
    assert largest(np.zeros(3)) == 1.0
    assert largest(np.array([np.nan])) == 1.0


@pytest.mark.parametrize(
    ("count", "limit", "expected"),
    [
        (5, 12, [0, 1, 2, 3, 4]),
        (13, 12, [0, 2, 4, 6, 8, 10, 12]),
        (100, 12, list(range(0, 100, 10))),
        (1000, 5, list(range(0, 1000, 200))),
        (0, 5, []),
    ],
)
def test_thinned_ticks(count, limit, expected):
    """Ticks stand at round steps, no more of them than there is room for."""
    assert thinned(count, limit) == expected


def test_text_is_short_and_printable():
    """Long text is cut in its middle; what no font has is replaced."""
    assert shorten("a\nb\tc") == "a b c"
    assert shorten("step__" + "x" * 100 + "__alpha", 20) == "step__xxxx…xx__alpha"
    assert shorten("a\ud800\x00b") == "a��b"
    assert value_text(0.123456789) == "0.1235"
    assert value_text(10**6000).startswith("<int of very")


BLOCKED = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "matplotlib":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Block())
import numpy as np
from weightsearch import WeightStore
from weightsearch.plot import SpectrumDisplay, WeightHeatmapDisplay

run = WeightStore(sys.argv[1]).run()
for draw in (
    lambda: WeightHeatmapDisplay(np.ones((2, 2))).plot(),
    lambda: SpectrumDisplay.from_run(run),
):
    try:
        draw()
    except ImportError as error:
        print(error)
"""


def test_without_matplotlib(tmp_path):
    """What is missing is said, and how to install it; importing needs nothing."""
    X, y = load_digits(return_X_y=True)
    store = tmp_path / "store.h5"
    WeightTrackingGridSearchCV(Ridge(), {"alpha": [1.0]}, cv=2, store=store).fit(
        X[:50], y[:50]
    )

    output = subprocess.run(
        [sys.executable, "-c", BLOCKED, str(store)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert output.splitlines() == [
        f"{caller} requires matplotlib: pip install matplotlib"
        for caller in ("WeightHeatmapDisplay.plot", "SpectrumDisplay.from_run")
    ]


@pytest.mark.torch
def test_unit_images_of_torch_layers():
    """A torch unit's image, times an input image, is what the unit computes."""
    import torch

    x = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    model = torch.nn.Sequential(torch.nn.Linear(64, 5, bias=False))
    (name, weight), *_ = extract_weights(model).items()
    with torch.no_grad():
        expected = model(torch.from_numpy(x.reshape(1, 64))).numpy()[0]

    images = unit_images(name, weight, (8, 8))

    np.testing.assert_allclose((images * x).sum(axis=(1, 2)), expected, rtol=1e-4)


@pytest.mark.keras
def test_unit_images_of_keras_layers():
    """A Keras unit's image, times an input image, is what the unit computes."""
    import keras

    x = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    layer = keras.layers.Dense(5, use_bias=False)
    model = keras.Sequential([keras.layers.Input((64,)), layer])
    (name, weight), *_ = extract_weights(model).items()
    expected = np.asarray(model(x.reshape(1, 64)))[0]

    images = unit_images(name, weight, (8, 8))

    np.testing.assert_allclose((images * x).sum(axis=(1, 2)), expected, rtol=1e-4)

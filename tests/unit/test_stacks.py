"""Distances between models that are read weight by weight."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from weightsearch.compare import (
    aligned_distances,
    pairwise_distances,
    stacked_distances,
)

METRICS = ["l2", "relative", "cosine"]


@pytest.fixture
def models():
    rng = np.random.default_rng(0)
    return {"a": rng.normal(size=(60, 30, 20)), "b": rng.normal(size=(60, 50))}


def _read(models):
    return lambda name, index: models[name][index]


def _whole(models):
    return np.hstack([stack.reshape(len(stack), -1) for stack in models.values()])


@pytest.fixture(params=["one panel", "small panels"])
def panels(request, monkeypatch):
    """Read everything at once, or in panels of 7 and tiles of 3 models."""
    if request.param == "small panels":
        module = sys.modules["weightsearch.compare._distances"]
        monkeypatch.setattr(module, "_PANEL_BYTES", 7 * 600 * 8)
        monkeypatch.setattr(module, "_TILE_BYTES", 3 * 600 * 8)
        monkeypatch.setattr(module, "_SINGLE_WIDTH", 100)


@pytest.mark.usefixtures("panels")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("dtype", "rtol"), [("f8", 1e-10), ("f4", 1e-4), ("c16", 1e-10)]
)
def test_weights_one_by_one_are_one_vector(models, metric, dtype, rtol):
    """Distances are those of all weights side by side in one array."""
    models = {name: stack.astype(dtype) for name, stack in models.items()}
    found = stacked_distances(["a", "b"], 60, _read(models), metric)
    expected = pairwise_distances(
        _whole(models).astype("c16" if dtype == "c16" else "f8"), metric
    )
    np.testing.assert_allclose(found, expected, rtol=rtol)


@pytest.mark.usefixtures("panels")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-6), (np.float32, 1e-3)])
def test_close_models_keep_their_digits(models, metric, dtype, rtol):
    """Groups of nearly equal models, whose products cancel, are computed again."""
    rng = np.random.default_rng(1)
    near = {
        name: (
            stack[np.arange(60) % 4] * 10 + 1e-4 * rng.normal(size=stack.shape)
        ).astype(dtype)
        for name, stack in models.items()
    }
    found = stacked_distances(["a", "b"], 60, _read(near), metric)
    vectors = _whole(near).astype(np.float64)
    if metric == "cosine":
        vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    expected = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    if metric == "cosine":
        expected = expected**2 / 2
    elif metric == "relative":
        lengths = np.linalg.norm(vectors, axis=1)
        expected /= np.maximum.outer(lengths, lengths)
    np.testing.assert_allclose(found, expected, rtol=rtol)


@pytest.mark.usefixtures("panels")
@pytest.mark.parametrize("metric", METRICS)
def test_equal_models_are_at_distance_exactly_zero(models, metric):
    """Copies among others have distance 0, and nothing else has."""
    copies = {name: stack[np.arange(60) % 20] for name, stack in models.items()}
    found = stacked_distances(["a", "b"], 60, _read(copies), metric)
    same = np.equal.outer(np.arange(60) % 20, np.arange(60) % 20)
    assert (found[same] == 0).all()
    assert (found[~same] > 0.1).all()


@pytest.mark.usefixtures("panels")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("count", [6, 60])
def test_diverged_models_do_not_spoil_the_others(models, metric, count):
    """NaN or infinity in any weight gives NaN for that model only."""
    bad = {name: stack[:count].copy() for name, stack in models.items()}
    bad["a"][0, 2, 3], bad["b"][4, 7] = np.nan, np.inf
    found = stacked_distances(["a", "b"], count, _read(bad), metric)
    good = np.setdiff1d(np.arange(count), [0, 4])
    expected = pairwise_distances(_whole(models)[good], metric)
    np.testing.assert_allclose(found[np.ix_(good, good)], expected, rtol=1e-10)
    assert np.isnan(found[0, 1:]).all()
    assert np.isnan(np.delete(found[:, 4], 4)).all()
    assert (np.diag(found) == 0).all()


def test_models_are_read_once_where_they_fit(models):
    """One stack a weight is read, beside the first model to learn the types."""
    read = []

    def counting(name, index):
        read.append((name, len(index)))
        return models[name][index]

    stacked_distances(["a", "b"], 60, counting)
    assert read == [("a", 1), ("b", 1), ("a", 60), ("b", 60)]


def test_panels_are_all_that_is_held(models, panels):
    """No more models than a panel or a tile holds are asked for at once."""
    read = []

    def counting(name, index):
        read.append(len(index) if name == "a" else 0)
        return models[name][index]

    stacked_distances(["a", "b"], 60, counting)
    most = sys.modules["weightsearch.compare._distances"]._PANEL_BYTES // (600 * 8)
    assert max(read) == min(most, 60)


@pytest.mark.parametrize("count", [0, 1])
def test_no_pairs(models, count):
    """None and one model give an empty matrix and a zero."""
    found = stacked_distances(["a", "b"], count, _read(models))
    assert found.tolist() == [[0.0]] * count


def test_an_unknown_metric_is_named(models):
    """The error lists the metrics."""
    with pytest.raises(ValueError, match="'cosine', got 'l3'"):
        stacked_distances(["a"], 60, _read(models), "l3")
    with pytest.raises(ValueError, match="'cosine', got 'l3'"):
        aligned_distances(["a"], 2, lambda i: {"a": models["a"][i]}, "l3")


def _mlps(count):
    rng = np.random.default_rng(0)
    return [
        {"coefs_/0": rng.normal(size=(5, 6)), "coefs_/1": rng.normal(size=(6, 2))}
        for _ in range(count)
    ]


@pytest.mark.parametrize("metric", METRICS)
def test_blocks_of_aligned_models_do_not_show(monkeypatch, metric):
    """Blocks of two models give what one block of all gives."""
    mlps = _mlps(7)
    names = ["coefs_/0", "coefs_/1"]
    expected = aligned_distances(names, 7, mlps.__getitem__, metric)
    module = sys.modules["weightsearch.compare._distances"]
    monkeypatch.setattr(module, "_BLOCK_BYTES", 2 * 42 * 8)
    found = aligned_distances(names, 7, mlps.__getitem__, metric)
    assert np.array_equal(found, expected)
    assert np.array_equal(found, found.T)


@pytest.mark.parametrize("metric", METRICS)
def test_a_diverged_model_is_not_aligned(metric):
    """It has no distance; the others are as without it."""
    mlps = _mlps(4)
    names = ["coefs_/0", "coefs_/1"]
    expected = aligned_distances(names, 4, mlps.__getitem__, metric)
    mlps[1]["coefs_/1"][0, 0] = np.nan
    found = aligned_distances(names, 4, mlps.__getitem__, metric)
    assert np.isnan(found[1, [0, 2, 3]]).all()
    good = np.ix_([0, 2, 3], [0, 2, 3])
    assert np.array_equal(found[good], expected[good])

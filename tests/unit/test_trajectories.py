"""Numbers of weights over time, against computations by hand and by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA

from weightsearch.compare import linear_cka, path_components, path_stats, settling

RNG = np.random.default_rng(0)
PATH = {
    "w": RNG.normal(size=(6, 3, 2)).cumsum(axis=0),
    "steps": np.arange(6),
    "b": RNG.normal(size=(6, 2)).cumsum(axis=0).astype("float32"),
}
FLAT = np.hstack([PATH["w"].reshape(6, 6), PATH["b"].astype(float)])


def test_distances_are_those_of_all_weights_as_one_vector():
    """Norms, distances and angles span all weights but counters."""
    found = path_stats(PATH)

    steps = np.diff(FLAT, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    turns = (steps[1:] * steps[:-1]).sum(axis=1) / (lengths[1:] * lengths[:-1])
    np.testing.assert_allclose(found["norm"], np.linalg.norm(FLAT, axis=1))
    start, end = FLAT - FLAT[0], FLAT[-1] - FLAT
    np.testing.assert_allclose(found["from_start"], np.linalg.norm(start, axis=1))
    np.testing.assert_allclose(found["to_end"], np.linalg.norm(end, axis=1))
    np.testing.assert_allclose(found["step"], [np.nan, *lengths])
    np.testing.assert_allclose(found["turn"], [np.nan, np.nan, *turns])
    assert path_stats(PATH, ["b"])["norm"].iloc[0] < found["norm"].iloc[0]


def test_straight_back_is_a_turn_of_minus_one_and_standing_still_none():
    """A step to where it came from turns by -1, and a step of length 0 has no angle."""
    turn = path_stats({"w": np.array([[0.0], [1.0], [0.0], [0.0], [1.0]])})["turn"]

    np.testing.assert_array_equal(turn, [np.nan, np.nan, -1, np.nan, np.nan])


def test_settling_compares_with_the_end():
    """Cosines of weights and CKA of activations are those with the last snapshot."""
    found = settling(PATH)
    assert list(found) == ["w", "b"]
    w = FLAT[:, :6]
    lengths = np.linalg.norm(w, axis=1) * np.linalg.norm(w[-1])
    np.testing.assert_allclose(found["w"], w @ w[-1] / lengths)

    X, _ = load_iris(return_X_y=True)
    layer = np.stack([X @ RNG.normal(size=(4, 3)) for _ in range(3)])
    cka = settling({"layer": layer}, "cka")["layer"]
    assert cka.tolist() == [linear_cka(one, layer[-1]) for one in layer]
    assert cka.iloc[-1] == pytest.approx(1)


def test_components_are_those_of_scikit_learn():
    """One trajectory: PCA of the differences to its last snapshot."""
    found = path_components(PATH)

    differences = FLAT - FLAT[-1]
    pca = PCA(2, svd_solver="full").fit(differences[:-1])
    ratio = found.explained_variance_ratio
    np.testing.assert_allclose(ratio, pca.explained_variance_ratio_)
    expected = differences @ pca.components_.T
    expected *= np.sign(expected[0])
    np.testing.assert_allclose(found.coordinates[0], expected, atol=1e-12)


def test_several_trajectories_share_one_plane():
    """Distances in the plane of two paths with two dimensions are the real ones."""
    plane = RNG.normal(size=(2, 5))
    paths = [RNG.normal(size=(n, 2)) @ plane for n in (4, 3)]

    found = path_components([{"w": path} for path in paths])

    assert found.explained_variance_ratio.sum() == pytest.approx(1)
    apart = np.linalg.norm(found.coordinates[0][1] - found.coordinates[1][2])
    assert apart == pytest.approx(np.linalg.norm(paths[0][1] - paths[1][2]))
    np.testing.assert_allclose(found.coordinates[0][-1], 0, atol=1e-12)


@pytest.mark.parametrize(
    ("trajectories", "message"),
    [
        ([PATH, {"w": PATH["w"]}], "differs from the first one in b"),
        ({"w": np.zeros((4, 2))}, "do not move"),
        ({"w": np.eye(2)}, "n_components must be between 1 and 0 for 2 snapshots"),
        ({"w": np.array([[1.0], [np.nan], [0.0]])}, "not finite"),
        ({"n": np.arange(3)}, "no floating point weights"),
        ({"a": np.eye(3), "b": np.eye(2)}, "different numbers of snapshots"),
        ([], "at least one"),
    ],
)
def test_what_has_no_components_is_refused(trajectories, message):
    """Each kind of bad input is named."""
    with pytest.raises(ValueError, match=message):
        path_components(trajectories)


def test_unknown_names_are_refused():
    """A weight or a measure that does not exist is named."""
    with pytest.raises(ValueError, match="no weight 'v'"):
        path_stats(PATH, ["v"])
    with pytest.raises(ValueError, match="got 'l2'"):
        settling(PATH, "l2")  # type: ignore[arg-type]

"""Hierarchies of models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform

from weightsearch.compare import Clustering, cluster


def _frame(points, names=None):
    return pd.DataFrame(squareform(pdist(points)), index=names, columns=names)


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(30, 4))


@pytest.mark.parametrize(
    "method", ["average", "complete", "single", "weighted", "ward"]
)
def test_hierarchy_is_scipys(points, method):
    """Without gaps the merges and their heights are those of scipy."""
    expected = hierarchy.linkage(pdist(points), method)
    found = cluster(_frame(points), method).linkage
    np.testing.assert_allclose(found, expected)


def test_labels_count_as_many_clusters_as_asked_for():
    """Equal heights, at which scipy's fcluster cuts too few or too many, do no harm."""
    found = cluster(_frame(np.arange(8.0)[:, None]))
    assert [found.labels(n).nunique() for n in range(1, 9)] == list(range(1, 9))
    assert (np.diff(hierarchy.fcluster(found.linkage, 7, "maxclust")) == 0).any()


def test_labels_are_those_of_scipy_where_heights_differ(points):
    """Candidates are together exactly where scipy's own cut has them together."""
    found = cluster(_frame(points))
    ours = found.labels(5).to_numpy()
    theirs = hierarchy.fcluster(found.linkage, 5, "maxclust")
    assert np.array_equal(np.equal.outer(ours, ours), np.equal.outer(theirs, theirs))


def test_labels_start_with_the_first_candidate():
    """Labels count from 0 in order of appearance, under the candidates' numbers."""
    labels = cluster(_frame([[5.0], [0.0], [0.1], [5.1]], [2, 3, 5, 7])).labels(2)
    assert labels.to_dict() == {2: 0, 3: 1, 5: 1, 7: 0}
    assert labels.name == "cluster"


@pytest.mark.parametrize("n_clusters", [0, 5, -1])
def test_impossible_numbers_of_clusters(n_clusters):
    """The error names the range."""
    found = cluster(_frame(np.eye(4)))
    with pytest.raises(ValueError, match="from 1 to 4"):
        found.labels(n_clusters)


def _gapped(points, kinds):
    distances = _frame(points)
    return distances.where(np.equal.outer(kinds, kinds))


@pytest.mark.parametrize("method", ["average", "single", "ward"])
def test_parts_without_distance_are_joined_last(points, method):
    """Each part keeps its own hierarchy, and no cluster mixes parts before the top."""
    kinds = np.arange(30) % 3
    found = cluster(_gapped(points, kinds), method)
    assert hierarchy.is_valid_linkage(found.linkage)
    assert hierarchy.is_monotonic(found.linkage)
    assert found.linkage[-1, 3] == 30
    for n_clusters in (3, 9):
        labels = found.labels(n_clusters)
        assert (labels.groupby(labels).agg(lambda s: len({*kinds[s.index]})) == 1).all()
    part = cluster(_frame(points[kinds == 1]), method)
    own = hierarchy.cophenet(found.linkage)
    members = np.flatnonzero(kinds == 1)
    np.testing.assert_allclose(
        squareform(own)[np.ix_(members, members)],
        squareform(hierarchy.cophenet(part.linkage)),
    )


def test_what_has_no_distance_to_anything_stands_alone(points):
    """A diverged candidate does not spoil the clusters of the others."""
    distances = _frame(points[:6])
    distances.iloc[2, [0, 1, 3, 4, 5]] = distances.iloc[[0, 1, 3, 4, 5], 2] = np.nan
    labels = cluster(distances).labels(2)
    assert labels.tolist() == [0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_candidates(n):
    """None, one and two candidates have a hierarchy too."""
    found = cluster(_frame(np.eye(n)) if n > 1 else pd.DataFrame(np.zeros((n, n))))
    assert isinstance(found, Clustering)
    assert found.linkage.shape == (max(n - 1, 0), 4)
    assert found.labels(1).tolist() == [0] * n


def test_all_equal():
    """Models that are all equal, in two parts, are joined above height 0."""
    distances = _gapped(np.ones((6, 2)), np.array([0, 0, 0, 1, 1, 1]))
    found = cluster(distances)
    assert found.linkage[-1, 2] > 0
    assert found.labels(2).tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("distances", "method", "message"),
    [
        (np.zeros((2, 3)), "average", "square"),
        ([[0, 1], [2, 0]], "average", "symmetric"),
        ([[0, 1], [1, 0]], "centroid", "method must be"),
        ([[0, 1, np.nan], [1, 0, 1], [np.nan, 1, 0]], "average", "to a third"),
    ],
)
def test_what_cannot_be_clustered_is_named(distances, method, message):
    """Unknown methods and matrices that are no distances are refused."""
    with pytest.raises(ValueError, match=message):
        cluster(pd.DataFrame(distances, dtype=float), method)

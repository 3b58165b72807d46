"""Which params move which weights, and what goes with the score."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from weightsearch.compare import score_correlation, variance_explained, weight_stats


def _long(value, **params):
    frame = pd.DataFrame({"value": value, **params})
    return frame.assign(candidate=range(len(frame)), name="w", stat="l2")


@pytest.fixture(scope="module")
def trained():
    """Statistics of real networks over a grid of alpha and random_state."""
    X, y = load_digits(return_X_y=True)
    frames = []
    grid = itertools.product([1e-4, 10.0, 100.0], [0, 1, 2, 3])
    for candidate, (alpha, seed) in enumerate(grid):
        mlp = MLPClassifier((8,), alpha=alpha, random_state=seed, max_iter=30)
        mlp.fit(X[:200] / 16, y[:200])
        stats = weight_stats({"coefs_/0": mlp.coefs_[0]})[["l2", "mean"]]
        stats = stats.stack().rename_axis(["name", "stat"]).rename("value")
        score = mlp.score(X[200:400] / 16, y[200:400])
        frames.append(
            stats.reset_index().assign(
                candidate=candidate, alpha=alpha, seed=seed, mean_test_score=score
            )
        )
    return pd.concat(frames, ignore_index=True)


def test_regularisation_moves_the_norm_and_the_seed_does_not(trained):
    """On real networks alpha explains the norm of the weights, the seed does not."""
    found = variance_explained(trained, ["alpha", "seed"])
    l2 = found[found["stat"] == "l2"].set_index("param")
    assert l2.loc["alpha", "eta_squared"] > 0.9
    assert l2.loc["seed", "eta_squared"] < 0.1
    assert (l2["n"] == 12).all()
    assert l2["levels"].tolist() == [3, 4]


def test_full_grid_has_main_effects_equal_to_eta_squared(trained):
    """Where every combination occurs, params do not share what they explain."""
    found = variance_explained(trained, ["alpha", "seed"])
    np.testing.assert_allclose(found["main_effect"], found["eta_squared"], atol=1e-12)


def test_eta_squared_follows_its_definition():
    """The share is the sum of squares between levels over the total."""
    value = np.array([1.0, 2.0, 4.0, 7.0, 3.0, 3.5])
    alpha = np.array([0.1, 0.1, 0.2, 0.2, 0.2, 0.1])
    groups = [value[alpha == level] for level in (0.1, 0.2)]
    between = sum(len(g) * (g.mean() - value.mean()) ** 2 for g in groups)
    expected = between / ((value - value.mean()) ** 2).sum()
    row = variance_explained(_long(value, alpha=alpha), ["alpha"]).iloc[0]
    assert row["eta_squared"] == pytest.approx(expected)
    assert row["chance"] == pytest.approx(1 / 5)


def test_params_that_vary_together_share_their_effect():
    """In a grid with a hole the main effect is less than the share alone."""
    rows = [(a, b) for a in (0, 1, 2) for b in (0, 1, 2) if a + b < 4] + [(0, 0)]
    a, b = np.array(rows).T
    noise = np.random.default_rng(0).normal(size=len(a)) / 10
    found = variance_explained(_long(a + noise, a=a, b=b), ["a", "b"])
    found = found.set_index("param")
    assert found.loc["b", "main_effect"] < found.loc["b", "eta_squared"]
    assert found.loc["a", "main_effect"] > 0.8


def test_chance_is_what_shuffled_values_explain():
    """The stated share by chance is the average over random orders."""
    rng = np.random.default_rng(0)
    level = np.repeat([0, 1, 2], 4)
    shares = [
        variance_explained(
            _long(rng.permutation(12.0 ** np.arange(12) % 7), p=level), ["p"]
        )
        for _ in range(300)
    ]
    mean = np.mean([frame.loc[0, "eta_squared"] for frame in shares])
    assert mean == pytest.approx(shares[0].loc[0, "chance"], abs=0.03)


@pytest.mark.parametrize(
    ("value", "params", "note"),
    [
        ([1.0, 2, 3, 4], {"p": [1, 2, 3, 4]}, "occurs once"),
        ([1.0, 2, 3, 4], {"p": [1, 1, 1, 1]}, "only one value"),
        ([2.0, 2, 2, 2], {"p": [1, 1, 2, 2]}, "does not vary"),
        ([np.nan, np.inf], {"p": [1, 2]}, "does not vary"),
        ([1.0, 2, 3, 5], {"p": [1, 1, 2, 2], "q": [7, 7, 8, 8]}, "only together"),
        ([1.0, 2, 3], {"p": [1, 1, 2], "q": [1, 2, 1]}, "too few candidates: 3 for 3"),
        ([1.0, 2, 3, 5], {"p": [1, 1, 2, 3]}, "67% of the variance"),
    ],
)
def test_small_grids_say_that_they_say_nothing(value, params, note):
    """Each reason why the numbers mean nothing is stated in its row."""
    row = variance_explained(_long(value, **params), list(params)).iloc[0]
    assert note in row["note"]


def test_large_grid_has_no_note(trained):
    """Where there are enough candidates the note is empty."""
    assert (variance_explained(trained, ["alpha", "seed"])["note"] == "").all()


@pytest.mark.parametrize(
    "levels",
    [
        [None, "relu", None, "relu", "relu", None],
        [[50], [50, 20], [50], [50, 20], [50, 20], [50]],
        [(50,), (50, 20), (50,), (50, 20), (50, 20), (50,)],
        [True, 1.5, True, 1.5, 1.5, True],
    ],
)
def test_params_of_any_kind_are_levels(levels):
    """Missing values, lists, tuples and mixed types count as levels."""
    value = [1.0, 5.0, 1.1, 5.1, 5.2, 0.9]
    row = variance_explained(_long(value, p=pd.Series(levels, dtype=object)), ["p"])
    assert row.loc[0, "levels"] == 2
    assert row.loc[0, "eta_squared"] > 0.99


def test_missing_columns_are_named():
    """A column that is not there is named, with those that are."""
    with pytest.raises(ValueError, match=r"no column 'beta'.*'alpha'"):
        variance_explained(_long([1.0], alpha=[1]), ["beta"])
    with pytest.raises(ValueError, match="params is empty"):
        variance_explained(_long([1.0]), [])
    with pytest.raises(ValueError, match="mean_test_score"):
        score_correlation(_long([1.0]))


def test_rank_correlation_is_pandas_own(trained):
    """The rank correlation over real networks is the one that pandas gives."""
    found = score_correlation(trained).set_index("stat")
    for stat, rows in trained.groupby("stat"):
        expected = rows["value"].corr(rows["mean_test_score"], method="spearman")
        assert found.loc[stat, "spearman"] == pytest.approx(expected)
        assert 0 < found.loc[stat, "p_value"] < 1
        assert found.loc[stat, "n"] == 12


def test_rank_correlation_sees_order_only():
    """Any growing relation has a rank correlation of one."""
    x = np.array([1.0, 2.0, 4.0, 8.0, 9.0])
    found = score_correlation(_long(np.exp(x), mean_test_score=x))
    assert found.loc[0, "spearman"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("value", "score", "note"),
    [
        ([1.0, 1, 1, 1, 1], [1, 2, 3, 4, 5], "statistic does not vary"),
        ([1.0, 2, 3, 4, 5], [1, 1, 1, 1, 1], "score does not vary"),
        ([1.0, 2, 3, np.nan], [1, 2, 3, 4], "a correlation of 3 values"),
        ([np.nan], [1.0], "does not vary"),
    ],
)
def test_correlations_that_say_nothing_say_so(value, score, note):
    """Constants and a handful of candidates are noted."""
    row = score_correlation(_long(value, mean_test_score=score)).iloc[0]
    assert note in row["note"]
    assert np.isnan(row["p_value"])

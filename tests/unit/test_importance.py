"""Importance of params: exact on complete grids, a forest otherwise."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from weightsearch.compare import param_importance
from weightsearch.compare._importance import _forest_shares, _Levels


def _grid(**values):
    return pd.DataFrame(list(itertools.product(*values.values())), columns=list(values))


def _share(found, param, other=""):
    row = found[(found["param"] == param) & (found["other"] == other)]
    return float(row["importance"].iloc[0])


def _by_definition(predict, columns):
    """Shares on the product space of columns, by sums over all of it."""
    axes = [np.unique(c, return_counts=True) for c in columns]
    points = np.array(list(itertools.product(*[values for values, _ in axes])))
    sizes = [counts / counts.sum() for _, counts in axes]
    shape = tuple(len(s) for s in sizes)
    weights = np.array(list(itertools.product(*sizes))).prod(axis=1).reshape(shape)
    y = predict(points).reshape(shape)
    y = y - (weights * y).sum()
    shares = []
    singles = {}
    for effect in [
        *itertools.combinations(range(len(shape)), 1),
        *itertools.combinations(range(len(shape)), 2),
    ]:
        rest = tuple(i for i in range(len(shape)) if i not in effect)
        part = weights.sum(axis=rest)
        share = float((part * ((weights * y).sum(axis=rest) / part) ** 2).sum())
        share -= sum(singles[i] for i in effect if len(effect) > 1)
        if len(effect) == 1:
            singles[effect[0]] = share
        shares.append(share)
    return np.array(shares) / float((weights * y**2).sum())


def test_two_by_two_by_hand():
    """Effects 2 and 1 and interaction 1 of two params: 4, 1 and 1 sixths."""
    grid = _grid(a=[0, 1], b=["x", "y"])
    scores = [2 + 1 + 1, 2 - 1 - 1, -2 + 1 - 1, -2 - 1 + 1]
    found = param_importance(grid, scores)
    assert found["importance"].tolist() == pytest.approx([4 / 6, 1 / 6, 1 / 6])
    assert found["param"].tolist() == ["a", "b", "a"]
    assert found["other"].tolist() == ["", "", "b"]
    assert (found["method"] == "exact").all()
    assert found["chance"].tolist() == pytest.approx([1 / 3] * 3)


def test_complete_grid_of_a_real_search():
    """On a grid of SVCs the shares are those of the sums over the whole grid."""
    X, y = load_iris(return_X_y=True)
    values = {"C": [0.01, 1.0, 100.0], "gamma": [0.01, 0.1, 1.0], "degree": [2, 3]}
    search = GridSearchCV(SVC(kernel="poly"), values, cv=3).fit(X, y)
    grid = pd.DataFrame(search.cv_results_["params"])
    scores = search.cv_results_["mean_test_score"]
    found = param_importance(grid, scores)
    at = {tuple(row): s for row, s in zip(grid.to_numpy(), scores, strict=True)}
    expected = _by_definition(
        lambda points: np.array([at[tuple(point)] for point in points]),
        [grid[name] for name in grid],
    )
    pairs = [(n, "") for n in grid] + list(itertools.combinations(grid, 2))
    assert [_share(found, *pair) for pair in pairs] == pytest.approx(expected)
    # The order of the candidates does not matter.
    shuffled = grid.sample(frac=1, random_state=0)
    again = param_importance(shuffled, scores[shuffled.index])
    assert _share(again, "gamma") == pytest.approx(_share(found, "gamma"))


def test_forest_shares_are_those_of_its_trees():
    """Shares by leaves equal sums over the product space, for every tree."""
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, k, 40) for k in (3, 4, 5)]
    y = columns[0] * columns[1] + columns[2] + rng.normal(size=40)
    levels = [_Levels(pd.Series(column)) for column in columns]
    effects = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    shares, _ = _forest_shares(y, levels, effects, 20, 0)
    forest = RandomForestRegressor(
        20, max_leaf_nodes=256, max_samples=40, random_state=0
    ).fit(np.column_stack(columns), y)
    expected = [_by_definition(t.predict, columns) for t in forest.estimators_]
    np.testing.assert_allclose(shares, expected, atol=1e-9)


def test_forest_finds_what_the_grid_has():
    """Random draws of a function give about the shares of its complete grid."""
    levels = np.arange(5)
    grid = _grid(a=levels, b=levels, c=["u", "v", "w"])

    def score(frame):
        return 3 * frame["a"] + frame["b"] ** 2 / 4 + 0.5 * (frame["c"] == "v")

    exact = param_importance(grid, score(grid))
    drawn = grid.sample(300, replace=True, random_state=1)
    found = param_importance(drawn, score(drawn))
    assert set(found["method"]) == {"forest"}
    assert (found["r2"] > 0.9).all()
    assert (found["note"] == "").all()
    for name in "abc":
        assert _share(found, name) == pytest.approx(_share(exact, name), abs=0.05)
    assert found["param"].tolist()[:3] == ["a", "b", "c"]
    assert found["importance"].sum() <= 1 + 1e-9


def test_continuous_params_are_grouped():
    """Of 3,000 values of a number, 32 groups remain, and the effect is found."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.lognormal(size=3000), "b": rng.random(3000)})
    found = param_importance(frame, np.log(frame["a"]))
    assert _share(found, "a") > 0.95
    assert found["levels"].tolist() == [32, 32, 1024]


def test_conditional_params():
    """A param that some candidates lack has one more value."""
    linear = _grid(kernel=["linear"], C=[1, 2, 3])
    rbf = _grid(kernel=["rbf"], C=[1, 2, 3], gamma=[0.1, 1.0, 10.0, 100.0])
    grid = pd.concat([linear, rbf], ignore_index=True).astype(object)
    grid["gamma"] = grid["gamma"].where(grid["gamma"].notna(), pd.NA)
    scores = [g if k == "rbf" else 0 for k, g in zip(grid["kernel"], grid["gamma"])]  # noqa: B905
    found = param_importance(grid, np.log1p(np.array(scores, dtype=float)))
    assert found["method"].eq("forest").all()
    assert found["param"][0] == "gamma"
    assert found.set_index(["param", "other"]).loc[("gamma", ""), "levels"] == 5


def test_missing_scores_leave_the_others():
    """Without a failed candidate the grid is incomplete: the forest takes over."""
    grid = _grid(a=[0, 1, 2, 3], b=[0, 1, 2])
    scores = np.array(grid["a"] + 0.1 * grid["b"], dtype=float)
    scores[5] = np.nan
    found = param_importance(grid, scores)
    assert found["n"].eq(11).all()
    assert found["method"].eq("forest").all()
    assert found["param"][0] == "a"


@pytest.mark.parametrize(
    ("grid", "scores", "note"),
    [
        (_grid(a=[1, 2], b=[1]), [0.1, 0.2], "too few candidates: 2"),
        (_grid(a=[1, 2, 3, 4]), [np.nan] * 4, "too few candidates: 0"),
        (_grid(a=[1, 2, 3, 4]), [0.5] * 4, "the score does not vary"),
        (_grid(a=[1, 2, 3, 4]), [1, 2, 3, 4], "by construction"),
        (_grid(a=[1, 2, 3, 4], b=[1, 2]), [1, 2, 3, 4] * 2, ""),
        (_grid(a=[1, 2, 3, 4], b=[1]), [1, 2, 3, 4], "only one value"),
        (_grid(a=range(4), b=range(4)), [1, 2, 3, 4] * 4, "explained by chance"),
        (_grid(a=range(5), b=range(2)), [1e300] + [0.5] * 9, "candidate 0): leave"),
        (_grid(a=range(3), b=range(3))[1:], range(8), "for a forest: 8"),
    ],
)
def test_notes(grid, scores, note):
    """Numbers that mean little have a note that says why."""
    found = param_importance(grid, np.array(scores, dtype=float))
    assert found["note"].str.contains(note, regex=False).any()
    if "too few candidates: " in note or "vary" in note:
        assert found["importance"].isna().all()


def test_noise_has_a_note():
    """A forest that predicts nothing of unseen candidates says so."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((60, 3)), columns=list("abc"))
    found = param_importance(frame, rng.random(60))
    assert found["note"].str.contains("predicts only").all()


def test_wrong_input_is_refused():
    """Scores of another length, and no params, are errors that say so."""
    with pytest.raises(ValueError, match=r"shape \(4,\), got \(3,\)"):
        param_importance(_grid(a=[1, 2, 3, 4]), [1, 2, 3])
    with pytest.raises(ValueError, match="no columns"):
        param_importance(pd.DataFrame(index=range(3)), [1, 2, 3])

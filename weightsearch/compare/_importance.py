"""Importance of params for a score: functional ANOVA."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from weightsearch._records import Array
from weightsearch.compare._effects import _codes

__all__ = ["param_importance"]

_FEWEST = 4
_FEWEST_FOREST = 10
_MOST_LEVELS = 32
_MOST_LEAVES = 256
_MOST_SAMPLES = 2000
_OUTLIER = 0.8
_FEW = 0.1
_COLUMNS = [
    "param",
    "other",
    "importance",
    "std",
    "chance",
    "levels",
    "n",
    "method",
    "r2",
    "note",
]


def param_importance(
    params: pd.DataFrame,
    scores: ArrayLike,
    *,
    n_trees: int = 64,
    random_state: int = 0,
) -> pd.DataFrame:
    r"""Share of a score's variance that each param, and each pair of params, explains.

    Functional ANOVA: the score as a function of the params is split into a mean, an
    effect of each param alone, one of each pair beyond these, and so on; the variances
    of the effects add up to the whole [1]_. Where every combination of the values
    occurs equally often, it is computed from the means of the cells and is exact.
    Otherwise it is computed for the trees of a random forest that predicts the score
    from the params [2]_, with each param's values as frequent as they are among the
    candidates and independent of other params.

    Parameters
    ----------
    params : DataFrame of n rows
        One row per candidate, named by the index; one column per param, with values of
        any type. A missing
        value (``pandas.NA``), of a candidate that does not have the param, is a value
        of its own, as is None.
    scores : array-like of shape (n,)
        Candidates whose score is NaN or infinite are left out.
    n_trees : int, default=64
        Trees of the forest.
    random_state : int, default=0
        Seed of the forest.

    Returns
    -------
    DataFrame
        One row per param, then one per pair of params, each the most important first:

        - ``param``, and ``other``: the second param of a pair, else an empty text;
        - ``importance``: share of the variance, between 0 and 1. For a pair, what both
          explain together less what each explains alone. All rows sum to 1 or less;
          the rest is due to three params and more, and to noise;
        - ``std``: standard deviation of the share among the trees; NaN where exact;
        - ``chance``: average share where the score is independent of the params:
          :math:`(k - 1) / (n - 1)` for :math:`k` values; NaN for a forest;
        - ``levels``: number of values, or combinations, of a forest at most 32 per
          param, since numbers are grouped by their quantiles;
        - ``n``: number of candidates used;
        - ``method``: ``"exact"`` or ``"forest"``;
        - ``r2``: share of the variance that the forest predicts of candidates that a
          tree did not see (out of bag); NaN where exact;
        - ``note``: empty, or why the numbers mean little.

    Raises
    ------
    ValueError
        If there is no param, or not one score per row.

    References
    ----------
    .. [1] R. A. Fisher, Statistical Methods for Research Workers, Oliver and Boyd,
       1925, chapter 7; as a decomposition of functions: G. Hooker, Generalized
       functional ANOVA diagnostics for high-dimensional functions of dependent
       variables, Journal of Computational and Graphical Statistics 16(3), 2007.
    .. [2] F. Hutter, H. Hoos and K. Leyton-Brown, An efficient approach for assessing
       hyperparameter importance, ICML 2014.

    Examples
    --------
    >>> import pandas as pd
    >>> from weightsearch.compare import param_importance
    >>> grid = pd.DataFrame({"C": [1, 1, 10, 10], "kernel": ["linear", "rbf"] * 2})
    >>> found = param_importance(grid, [0.5, 0.6, 0.7, 0.8])
    >>> found[["param", "other", "importance", "method"]].round(3)
        param   other  importance method
    0       C                 0.8  exact
    1  kernel                 0.2  exact
    2       C  kernel         0.0  exact
    """
    y = np.asarray(scores, dtype=np.float64)
    if y.shape != (len(params),):
        raise ValueError(
            f"scores must have one number per row of params, shape ({len(params)},), "
            f"got {y.shape}."
        )
    if not len(params.columns):
        raise ValueError("params has no columns: give one per param.")
    names = list(map(str, params.columns))
    kept = np.isfinite(y)
    y = y[kept]
    levels = [_Levels(params.iloc[kept, column]) for column in range(len(names))]
    effects = [*itertools.combinations(range(len(names)), 1)]
    effects += itertools.combinations(range(len(names)), 2)
    exact = _is_balanced(levels, len(y))
    note = ""
    if len(y) < _FEWEST:
        note = f"too few candidates: {len(y)} with a score"
    elif np.ptp(y / max(np.abs(y).max(), 1e-300)) == 0:
        note = "the score does not vary"
    shares = np.full((1, len(effects)), np.nan)
    r2 = np.nan
    if not note:
        y = y / np.abs(y).max()  # so that squares do not overflow
        y = (y - y.mean()) / np.abs(y - y.mean()).max()
        note = _outlier(y, params.index[kept].tolist())
        if exact:
            shares = _exact_shares(y, levels, effects)
        else:
            shares, r2 = _forest_shares(y, levels, effects, n_trees, random_state)
            note = note or _forest_note(len(y), r2)
    found = []
    for position, effect in enumerate(effects):
        counts = [levels[i].count for i in effect]
        chance = math.prod(k - 1 for k in counts) / max(len(y) - 1, 1)
        found.append(
            {
                "param": names[effect[0]],
                "other": names[effect[1]] if len(effect) > 1 else "",
                "importance": shares[:, position].mean(),
                "std": np.nan if exact else shares[:, position].std(),
                "chance": chance if exact else np.nan,
                "levels": math.prod(counts),
                "n": len(y),
                "method": "exact" if exact else "forest",
                "r2": r2,
                "note": note or _level_note(counts, chance if exact else 0.0),
            }
        )
    frame = pd.DataFrame(found, columns=_COLUMNS)
    frame["is_pair"] = frame["other"] != ""
    frame = frame.sort_values(
        ["is_pair", "importance"], ascending=[True, False], kind="stable"
    )
    return frame.drop(columns="is_pair").reset_index(drop=True)


class _Levels:
    """The values of one param: their codes, frequencies and features for a tree."""

    def __init__(self, column: pd.Series[Any]):
        raw = _codes(column)
        _, first, codes = np.unique(raw, return_index=True, return_inverse=True)
        values = [column.iloc[int(row)] for row in first]
        numeric = np.array([_is_number(value) for value in values], dtype=bool)
        rank = np.full(len(values), -1.0)
        numbers = np.array([float(v) for v in values if _is_number(v)])
        ranks = np.argsort(np.argsort(numbers, kind="stable"), kind="stable")
        rank[numeric] = ranks
        if len(ranks) > _MOST_LEVELS:
            sizes = np.bincount(codes, minlength=len(values))[numeric]
            order = np.argsort(ranks)
            share = np.cumsum(sizes[order]) - sizes[order] / 2
            group = np.empty(len(ranks))
            group[order] = np.floor(_MOST_LEVELS * share / sizes.sum())
            rank[numeric] = group
            merged = np.where(numeric, rank, _MOST_LEVELS + np.arange(len(values)))
            _, first, joined = np.unique(merged, return_index=True, return_inverse=True)
            codes, rank, numeric = joined[codes], rank[first], numeric[first]
        self.codes: Array = codes
        self.count = len(rank)
        self.weights = np.bincount(codes, minlength=self.count) / max(len(codes), 1)
        # A number is one ordered feature, any other value an indicator.
        columns = [rank] if numeric.sum() > 1 else []
        columns += [np.arange(self.count) == code for code in np.flatnonzero(~numeric)]
        if not columns:
            columns = [rank]
        self.features: Array = np.column_stack(columns).astype(np.float32)


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and bool(np.isfinite(value))
    )


def _is_balanced(levels: list[_Levels], n: int) -> bool:
    """Return whether all combinations of all levels occur, equally often."""
    cells = math.prod(one.count for one in levels)
    if cells == 0 or n % cells:
        return False
    found = np.unique(np.column_stack([o.codes for o in levels]), axis=0)
    if len(found) != cells:
        return False
    index = np.ravel_multi_index(
        tuple(one.codes for one in levels), tuple(one.count for one in levels)
    )
    return bool((np.bincount(index, minlength=cells) == n // cells).all())


def _exact_shares(
    y: Array, levels: list[_Levels], effects: list[tuple[int, ...]]
) -> Array:
    """Return the share of each effect, from the means of cells; shape (1, effects)."""
    variances: dict[tuple[int, ...], float] = {}
    for effect in effects:
        index = np.ravel_multi_index(
            tuple(levels[i].codes for i in effect),
            tuple(levels[i].count for i in effect),
        )
        sizes = np.bincount(index)
        means = np.bincount(index, weights=y) / sizes - y.mean()
        alone = sum(variances[i,] for i in effect) if len(effect) > 1 else 0.0
        variances[effect] = max(float(sizes @ means**2) / len(y) - alone, 0.0)
    return np.array([[variances[effect] / float(y.var()) for effect in effects]])


def _forest_shares(
    y: Array,
    levels: list[_Levels],
    effects: list[tuple[int, ...]],
    n_trees: int,
    random_state: int,
) -> tuple[Array, float]:
    """Return the shares of each effect per tree, and the forest's out-of-bag R²."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        n_trees,
        max_leaf_nodes=_MOST_LEAVES,
        max_samples=min(len(y), _MOST_SAMPLES),
        oob_score=True,
        random_state=random_state,
    )
    forest.fit(np.hstack([one.features[one.codes] for one in levels]), y)
    shares = [_tree_shares(tree.tree_, levels, effects) for tree in forest.estimators_]
    # A tree of a single leaf has no variance to share.
    grown = [share for share in shares if share is not None]
    if not grown:
        return np.full((1, len(effects)), np.nan), float(forest.oob_score_)
    return np.array(grown), float(forest.oob_score_)


def _tree_shares(
    tree: Any, levels: list[_Levels], effects: list[tuple[int, ...]]
) -> Array | None:
    """Return the share of each effect on a tree's predictions, computed by leaves.

    A leaf is a box of levels; where levels of different params are independent, it
    holds the product of the shares of its sides (section 3 of Hutter et al. 2014).
    """
    low, high, leaves = _boxes(tree)
    value = tree.value[leaves, 0, 0]
    inside: list[Array] = []
    start = 0
    for one in levels:
        stop = start + one.features.shape[1]
        within = (one.features > low[:, None, start:stop]) & (
            one.features <= high[:, None, start:stop]
        )
        inside.append(np.asarray(within.all(axis=2), dtype=np.float64))
        start = stop
    sides = np.column_stack(
        [i @ one.weights for i, one in zip(inside, levels, strict=True)]
    )
    size = sides.prod(axis=1)
    mean = float(value @ size)
    total = float((value - mean) ** 2 @ size)
    if not total > 0:
        return None
    variances: dict[tuple[int, ...], float] = {}
    for effect in effects:
        a = effect[0]
        if len(effect) == 1:
            # Divided by the box's own side: the mean over all other params.
            means = (((value - mean) * size / sides[:, a]) @ inside[a]).ravel()
            variances[effect] = float(levels[a].weights @ means**2)
            continue
        b = effect[1]
        scaled = (value - mean) * size / (sides[:, a] * sides[:, b])
        joint = (inside[a] * scaled[:, None]).T @ inside[b]
        both = float(levels[a].weights @ joint**2 @ levels[b].weights)
        variances[effect] = max(both - variances[a,] - variances[b,], 0.0)
    return np.array([variances[effect] for effect in effects]) / total


def _boxes(tree: Any) -> tuple[Array, Array, list[int]]:
    """Return the lower and upper bounds of a tree's leaves, and the leaves."""
    low = np.full((tree.node_count, tree.n_features), -np.inf)
    high = np.full((tree.node_count, tree.n_features), np.inf)
    leaves = []
    waiting = [0]
    while waiting:
        node = waiting.pop()
        left, right = int(tree.children_left[node]), int(tree.children_right[node])
        if left < 0:
            leaves.append(node)
            continue
        feature, threshold = tree.feature[node], tree.threshold[node]
        for child, bounds in ((left, high), (right, low)):
            low[child], high[child] = low[node], high[node]
            bounds[child, feature] = threshold
            waiting.append(child)
    return low[leaves], high[leaves], leaves


def _outlier(y: Array, labels: list[Any]) -> str:
    """Return a note if few scores have nearly all of the variance; y is centred."""
    order = np.argsort(-(y**2), kind="stable")
    shares = np.cumsum(y[order] ** 2) / np.sum(y**2)
    count = int(np.argmax(shares >= _OUTLIER)) + 1
    if count > len(y) * _FEW:
        return ""
    which = ", ".join(str(labels[row]) for row in sorted(order[:count].tolist())[:5])
    if count > 5:
        which += " and others"
    return (
        f"{count} of {len(y)} scores have {shares[count - 1]:.0%} of the variance (of "
        f"candidate {which}): leave them out to see what moves the others"
    )


def _forest_note(n: int, r2: float) -> str:
    if n < _FEWEST_FOREST:
        return f"too few candidates for a forest: {n}"
    if r2 < 0.5:
        return (
            f"the forest predicts only {max(r2, 0):.0%} of the variance of candidates "
            "that it did not see"
        )
    return ""


def _level_note(counts: list[int], chance: float) -> str:
    if min(counts) == 1:
        return "only one value" if len(counts) == 1 else "one param has only one value"
    if chance >= 1:
        return "explains everything by construction"
    if chance >= 0.5:
        return (
            f"too few candidates: {chance:.0%} of the variance are explained by chance "
            "alone"
        )
    return ""

"""Effects of params on weight statistics, and correlation with scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from weightsearch._display import distinct
from weightsearch._records import Array

__all__ = ["score_correlation", "variance_explained"]

_BY = ["name", "stat"]
_FEWEST_RANKS = 5


def variance_explained(stats: pd.DataFrame, params: Sequence[str]) -> pd.DataFrame:
    r"""Share of the variance of each weight statistic that each param explains.

    Parameters
    ----------
    stats : DataFrame
        Long form, one row per candidate, weight and statistic: the columns
        ``candidate``, ``name``, ``stat`` and ``value``, and one column for each of
        ``params``. Values that are NaN or infinite are left out.
    params : sequence of str
        The columns of params. Each distinct value is a level, also of numbers: no order
        is assumed. None and a missing value are two levels. Equal objects are the same
        level.

    Returns
    -------
    DataFrame
        One row per ``name``, ``stat`` and ``param``:

        - ``eta_squared`` :math:`SS_{between} / SS_{total}` of the param alone, between
          0 and 1 [1]_;
        - ``main_effect``: what the param adds to all the others, the :math:`R^2` of
          the model with one additive effect for each param less that of the model
          without this one (the squared semipartial correlation [2]_). On a full grid
          it equals ``eta_squared``; where it is smaller, params vary together. What
          the params explain only in combination is in neither;
        - ``chance`` :math:`(k - 1) / (n - 1)`: the ``eta_squared`` that ``k`` levels
          have on average over ``n`` candidates if the param has no effect at all [3]_;
        - ``n`` candidates and ``levels`` used;
        - ``note``: empty, or why the numbers are meaningless: they are NaN, or the grid
          is so small that half of the variance or more is explained by chance alone.

    Raises
    ------
    ValueError
        If a column is missing, or ``params`` is empty.

    References
    ----------
    .. [1] R. A. Fisher, Statistical Methods for Research Workers, Oliver and Boyd,
       1925, section 45.
    .. [2] J. Cohen, P. Cohen, S. G. West and L. S. Aiken, Applied Multiple Regression
       /Correlation Analysis for the Behavioral Sciences, 3rd ed., Erlbaum, 2003,
       section 3.3.
    .. [3] T. L. Kelley, An unbiased correlation ratio measure, Proceedings of the
       National Academy of Sciences 21(9), 1935.

    Examples
    --------
    >>> import pandas as pd
    >>> from weightsearch.compare import variance_explained
    >>> stats = pd.DataFrame(
    ...     {
    ...         "candidate": range(6),
    ...         "name": "coef_",
    ...         "stat": "l2",
    ...         "value": [1.0, 1.1, 2.0, 2.1, 3.0, 3.1],
    ...         "alpha": [1, 1, 2, 2, 3, 3],
    ...     }
    ... )
    >>> found = variance_explained(stats, ["alpha"])
    >>> float(found.loc[0, "eta_squared"].round(3)), found.loc[0, "note"]
    (0.996, '')
    """
    params = list(params)
    if not params:
        raise ValueError("params is empty: name the columns of params.")
    _require(stats, [*_BY, "value", *params])
    codes = {param: _codes(stats[param]) for param in params}
    values = stats["value"].to_numpy(dtype=np.float64)
    found = []
    grids: dict[bytes, _Grid] = {}
    for (name, stat), rows in stats.groupby(_BY, sort=False).indices.items():
        rows = rows[np.isfinite(values[rows])]
        y = values[rows]
        levels = {
            p: np.unique(c[rows], return_inverse=True)[1] for p, c in codes.items()
        }
        # Statistics of the same candidates share what depends only on the params.
        grid = _Grid(len(rows), levels)
        grid = grids.setdefault(grid.key, grid)
        for param in params:
            effect = _effect(y, grid, param)
            found.append({"name": name, "stat": stat, "param": param, **effect})
    return pd.DataFrame(
        found,
        columns=[
            *_BY,
            "param",
            "eta_squared",
            "main_effect",
            "chance",
            "n",
            "levels",
            "note",
        ],
    )


def score_correlation(
    stats: pd.DataFrame, score: str = "mean_test_score"
) -> pd.DataFrame:
    """Rank correlation of each weight statistic with a score over the candidates.

    Parameters
    ----------
    stats : DataFrame
        Long form as for :func:`variance_explained`, with a column of scores.
    score : str, default="mean_test_score"
        The score's column.

    Returns
    -------
    DataFrame
        One row per ``name`` and ``stat``: ``spearman``, the rank correlation [1]_
        between -1 and 1; ``p_value``, two-sided, not corrected for multiple tests (of
        20 statistics, one is expected below 0.05 by chance); ``n`` candidates with a
        finite value and score; ``note``, empty or why the numbers are meaningless.

    Raises
    ------
    ValueError
        If a column is missing.

    References
    ----------
    .. [1] C. Spearman, The proof and measurement of association between two things,
       The American Journal of Psychology 15(1), 1904; computed by
       :func:`scipy.stats.spearmanr`.
    """
    _require(stats, [*_BY, "value", score])
    values = stats["value"].to_numpy(dtype=np.float64)
    scores = stats[score].to_numpy(dtype=np.float64)
    found = []
    for (name, stat), rows in stats.groupby(_BY, sort=False).indices.items():
        rows = rows[np.isfinite(values[rows]) & np.isfinite(scores[rows])]
        y, x = values[rows], scores[rows]
        rho, p_value, note = np.nan, np.nan, ""
        if len(rows) < 2 or np.ptp(y) == 0:
            note = "the statistic does not vary"
        elif np.ptp(x) == 0:
            note = "the score does not vary"
        else:
            rho, p_value = map(float, scipy.stats.spearmanr(y, x))
            if len(rows) < _FEWEST_RANKS:
                # The two extreme orders alone have probability 2 / n!.
                note = f"a correlation of {len(rows)} values may be chance"
                p_value = np.nan
        found.append(
            {
                "name": name,
                "stat": stat,
                "spearman": rho,
                "p_value": p_value,
                "n": len(rows),
                "note": note,
            }
        )
    return pd.DataFrame(found, columns=[*_BY, "spearman", "p_value", "n", "note"])


def _require(stats: pd.DataFrame, columns: list[str]) -> None:
    if missing := [column for column in columns if column not in stats]:
        raise ValueError(
            f"stats has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, stats.columns))}."
        )


def _codes(column: pd.Series[Any]) -> Array:
    if column.dtype == object:
        # By keys of our own: for pandas None, NaN and missing are one value, 1 and True
        # as well, and lists are refused.
        column = pd.Series(list(map(distinct, column)), dtype=object)
    codes, _ = pd.factorize(column, use_na_sentinel=False)
    return np.asarray(codes)


class _Grid:
    """The levels of every param among some candidates."""

    def __init__(self, n: int, levels: dict[str, Array]):
        self.n = n
        self.levels = levels
        self.counts = {p: int(c.max(initial=-1)) + 1 for p, c in levels.items()}
        self._bases: dict[tuple[str, ...], Array | None] = {}

    @property
    def key(self) -> bytes:
        """Bytes that are equal for equal levels."""
        return b"".join(code.tobytes() for code in self.levels.values())

    def explained(self, y: Array, params: Sequence[str]) -> tuple[float, int]:
        """Return the share of y's variance that additive levels explain, and rank."""
        basis = self._basis(tuple(params))
        if basis is None:
            return 1.0, self.n
        along = basis.T @ y
        share = float(along @ along / (y @ y))
        return min(max(share, 0.0), 1.0), basis.shape[1]

    def _basis(self, params: tuple[str, ...]) -> Array | None:
        """Return an orthonormal basis of the additive model; None: the full space."""
        if params not in self._bases:
            self._bases[params] = None
            if all(self.counts[param] < self.n for param in params):
                columns = [np.ones((self.n, 1))]
                columns += [
                    np.eye(self.counts[param])[self.levels[param]][:, 1:]
                    for param in params
                ]
                design = np.hstack(columns)
                left, values, _ = np.linalg.svd(design, full_matrices=False)
                least = values[0] * max(design.shape) * np.finfo(float).eps
                self._bases[params] = left[:, values > least]
        return self._bases[params]


def _effect(y: Array, grid: _Grid, param: str) -> dict[str, Any]:
    n, k = grid.n, grid.counts[param]
    effect: dict[str, Any] = {
        "eta_squared": np.nan,
        "main_effect": np.nan,
        "chance": (k - 1) / (n - 1) if n > 1 else np.nan,
        "n": n,
        "levels": k,
    }
    if n < 2 or np.ptp(y) == 0:
        return effect | {"note": "the statistic does not vary"}
    if k == 1:
        return effect | {"note": f"{param} has only one value"}
    if k == n:
        return effect | {
            "note": f"too few candidates: every value of {param} occurs once, which "
            "explains everything by construction"
        }
    y = (y - y.mean()) / np.abs(y - y.mean()).max()
    others = [name for name in grid.levels if name != param]
    effect["eta_squared"], _ = grid.explained(y, [param])
    everything, rank_all = grid.explained(y, list(grid.levels))
    without, rank_without = grid.explained(y, others)
    if rank_all == rank_without:
        return effect | {"note": f"{param} varies only together with other params"}
    if rank_all == n:
        return effect | {
            "note": f"too few candidates: {n} for {rank_all} free levels of all params"
        }
    effect["main_effect"] = max(everything - without, 0.0)
    note = ""
    if 2 * (k - 1) >= n - 1:
        note = (
            f"too few candidates: {effect['chance']:.0%} of the variance are explained "
            "by chance alone"
        )
    return effect | {"note": note}

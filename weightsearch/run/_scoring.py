"""Score stored models on data that the search has not seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import check_scoring
from sklearn.utils.parallel import Parallel, delayed

from weightsearch._copies import copied
from weightsearch._records import Weights
from weightsearch.frameworks.keras import ensure_tags
from weightsearch.run._rebuilding import StoredModel
from weightsearch.run._soup import between

__all__ = ["line_table", "score_table"]


def score_table(
    table: pd.DataFrame,
    predicted: str | None,
    models: Iterable[tuple[int, StoredModel, Any]],
    X: Any,
    y: Any,
    *,
    scoring: Any,
    n_jobs: int | None,
    verbose: int,
    trusted: tuple[str | type, ...],
) -> pd.DataFrame:
    """Add scores on given data to a table of cross-validated scores.

    Parameters
    ----------
    table : DataFrame
        One row per candidate; gets the columns ``score`` and ``rank``.
    predicted : str or None
        The column of cross-validated scores.
    models : iterable of (int, StoredModel, object)
        Candidate, its model, and the template to rebuild it with; consumed as workers
        become free.

    Returns
    -------
    DataFrame
    """
    scores = pd.Series(np.nan, index=table.index, name="score")
    parallel = Parallel(n_jobs=n_jobs, verbose=verbose, pre_dispatch="2*n_jobs")
    tasks = (
        delayed(_score)(number, model, template, X, y, scoring, trusted)
        for number, model, template in models
    )
    for number, score in parallel(tasks):
        scores[number] = score
    table["score"] = scores
    table["rank"] = scores.rank(ascending=False, method="min").astype("Int64")
    both = table[[predicted, "score"]].dropna() if predicted else table.iloc[:0]
    defined = len(both) > 1 and both.nunique().min() > 1
    table.attrs["spearman"] = float(spearmanr(both)[0]) if defined else float("nan")
    return table


def line_table(
    model: StoredModel,
    ends: Mapping[str, Weights],
    template: Any,
    X: Any,
    y: Any,
    *,
    n_points: int,
    scoring: Any,
    n_jobs: int | None,
    trusted: tuple[str | type, ...],
) -> pd.DataFrame:
    """Score models on the lines from one model's weights to others.

    Parameters
    ----------
    model : StoredModel
        Where the lines begin; everything besides weights is its own.
    ends : dict of str to Weights
        By the name of the column that the scores are put in.
    template : object
        As for :meth:`StoredModel.rebuild`.
    n_points : int
        Points per line, with both ends.

    Returns
    -------
    DataFrame of shape (n_points, n_ends)
        The index is the share of the other end.
    """
    shares = np.linspace(0.0, 1.0, n_points)
    models = (
        replace(model, weights=between(model.weights, end, float(share)))
        for end in ends.values()
        for share in shares
    )
    parallel = Parallel(n_jobs=n_jobs, pre_dispatch="2*n_jobs")
    scores = parallel(
        delayed(_score)(number, one, template, X, y, scoring, trusted)
        for number, one in enumerate(models)
    )
    values = np.array([score for _, score in scores]).reshape(len(ends), n_points).T
    table = pd.DataFrame(values, pd.Index(shares, name="share"), list(ends))
    straight = np.outer(1 - shares, values[0]) + np.outer(shares, values[-1])
    below = (straight - values).max(axis=0)
    table.attrs["barrier"] = dict(zip(ends, below.tolist(), strict=True))
    return table


def _score(
    number: int,
    model: StoredModel,
    template: Any,
    X: Any,
    y: Any,
    scoring: Any,
    trusted: tuple[str | type, ...],
) -> tuple[int, float]:
    ensure_tags()
    estimator = model.rebuild(template, trusted)
    scorer = check_scoring(estimator, scoring)
    X, y = copied((X, y))
    return number, float(scorer(estimator, X) if y is None else scorer(estimator, X, y))

"""Scores of stored models on data that the search has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import check_scoring
from sklearn.utils.parallel import Parallel, delayed

from weightsearch._copies import copied
from weightsearch._records import Weights
from weightsearch.frameworks._scikeras_tags import ensure_tags
from weightsearch.run._model import make_model

__all__ = ["score_table"]

Model = tuple[int, str, Weights, dict[str, bytes], Any]
"""Candidate, state, weights, contents, and the estimator with its params or None."""


def score_table(
    table: pd.DataFrame,
    foreseen: str | None,
    models: Iterable[Model],
    X: Any,
    y: Any,
    *,
    scoring: Any,
    n_jobs: int | None,
    verbose: int,
    trusted: tuple[str | type, ...],
    what: Callable[[int], str],
) -> pd.DataFrame:
    """Score models, and set the scores beside those of cross-validation.

    Parameters
    ----------
    table : DataFrame
        A row a candidate; gets the columns ``score`` and ``rank``.
    foreseen : str or None
        The column of cross-validated scores.
    models : iterable of Model
        Taken as workers ask for them.
    what : callable
        Gives the beginning of an error's sentence.

    Returns
    -------
    DataFrame
    """
    scores = pd.Series(np.nan, index=table.index, name="score")
    parallel = Parallel(n_jobs=n_jobs, verbose=verbose, pre_dispatch="2*n_jobs")
    tasks = (
        delayed(_score)(model, X, y, scoring, trusted, what(model[0]))
        for model in models
    )
    for number, score in parallel(tasks):
        scores[number] = score
    table["score"] = scores
    table["rank"] = scores.rank(ascending=False, method="min").astype("Int64")
    both = table[[foreseen, "score"]].dropna() if foreseen else table.iloc[:0]
    defined = len(both) > 1 and both.nunique().min() > 1
    table.attrs["spearman"] = float(spearmanr(both)[0]) if defined else float("nan")
    return table


def _score(
    model: Model,
    X: Any,
    y: Any,
    scoring: Any,
    trusted: tuple[str | type, ...],
    what: str,
) -> tuple[int, float]:
    ensure_tags()
    number, text, weights, blobs, template = model
    estimator = make_model(text, weights, blobs, template, trusted, what)
    scorer = check_scoring(estimator, scoring)
    X, y = copied((X, y))
    return number, float(scorer(estimator, X) if y is None else scorer(estimator, X, y))

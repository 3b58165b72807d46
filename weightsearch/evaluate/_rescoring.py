"""Other scores of a finished search, from its stored split models."""

from __future__ import annotations

import numbers
import traceback
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.metrics import check_scoring
from sklearn.utils.parallel import Parallel, delayed

from weightsearch._records import Array
from weightsearch.evaluate._metrics import Observations, known_scoring, stand_in
from weightsearch.evaluate._models import (
    Candidate,
    SplitModels,
    n_rows,
    rows_of,
    take,
)
from weightsearch.evaluate._predictions import answer, in_order_of_classes
from weightsearch.exceptions import EvaluationError
from weightsearch.frameworks.keras import ensure_tags
from weightsearch.run._candidates import param_columns

__all__ = ["rank", "rescore", "scorer_for", "scores_of"]

Scores = dict[str, float | str]
"""Scores by name; the text of the error where one could not be computed."""


def rescore(
    run: Any,
    X: Any,
    y: Any,
    scoring: Any,
    *,
    groups: Any,
    pooled: bool,
    candidates: Iterable[Candidate] | None,
    score_params: Mapping[str, Any] | None,
    error_score: Any,
    n_jobs: int | None,
    verbose: int,
    **brought: Any,
) -> pd.DataFrame:
    """Implement :meth:`weightsearch.Run.rescore`."""
    scorer = scorer_for(scoring)
    if not (error_score == "raise" or isinstance(error_score, numbers.Real)):
        raise EvaluationError(
            f"error_score must be 'raise' or a number, got {error_score!r}."
        )
    models = SplitModels(run, X, y, candidates, needs_y=True, **brought)
    slices = _slices(groups, models)
    params = dict(score_params or {})
    table = _Table(models, [name for name, _ in slices], error_score)
    members = [rows for _, rows in slices]
    found = models.ask(
        _scores_of_slices, scorer, members, params, n_jobs=n_jobs, verbose=verbose
    )
    places = (n for n in range(len(models.candidates)) for _ in range(models.n_splits))
    for place, (candidate, split, scores) in zip(places, found, strict=True):
        table.put(place, candidate, split, scores)
    columns = table.columns(members)
    if pooled:
        every = _pooled(models, scorer, members, params, n_jobs, verbose)
        columns |= table.pooled_columns(list(every))
    table.warn()
    return _frame(run, models, [name for name, _ in slices], columns, groups)


def scorer_for(scoring: Any) -> Any:
    """Return a scorer of any estimator; None for the estimator's own ``score``.

    Raises
    ------
    ValueError
        If there is no such metric.
    """
    if scoring is None:
        return None
    # Any estimator does: only its own score is looked up in it.
    return check_scoring(DummyClassifier(), known_scoring(scoring), raise_exc=False)


def scores_of(
    scorer: Any, model: Any, X: Any, y: Any, params: Mapping[str, Any]
) -> Scores:
    """Score one model on some rows, as a search of scikit-learn does.

    Parameters
    ----------
    scorer : callable or None
        As :func:`scorer_for` returns it.
    model : estimator
    X, y : array-like
    params : mapping
        Parameters of the scorer, of these rows.
    """
    target = () if y is None else (y,)
    try:
        if scorer is None:
            found = model.score(X, *target, **params)
        else:
            found = scorer(model, X, *target, **params)
    except Exception:
        found = traceback.format_exc()
    named = found if isinstance(found, dict) else {"score": found}
    return {name: _number(score) for name, score in named.items()}


def _number(score: Any) -> float | str:
    if hasattr(score, "item"):
        with suppress(ValueError):
            score = score.item()
    if isinstance(score, str):
        return score
    if not isinstance(score, numbers.Number):
        return f"scoring must return a number, got {score} ({type(score)})"
    value: float = score  # type: ignore[assignment]
    return value


def rank(means: Array) -> Array:
    """Rank candidates as ``cv_results_`` does: 1 is best, what is nan ties as worst."""
    if np.isnan(means).all():
        return np.ones(len(means), np.int32)
    filled = np.where(np.isnan(means), np.nanmin(means) - 1, means)
    ranks: Array = rankdata(-filled, method="min").astype(np.int32)
    return ranks


# -- in the worker ----------------------------------------------------------------


def _scores_of_slices(
    model: Any,
    X: Any,
    y: Any,
    train: Array,
    test: Array,
    scorer: Any,
    slices: Sequence[Array | None],
    params: Mapping[str, Any],
) -> list[Scores | None]:
    """Score a model on each part of its split's test set; None where that is empty."""
    found: list[Scores | None] = []
    for members in slices:
        rows = test if members is None else test[members[test]]
        if members is not None and not len(rows):
            found.append(None)
            continue
        part = rows_of(model, X, rows, train)
        target = None if y is None else take(y, rows)
        found.append(scores_of(scorer, model, part, target, _of_rows(params, rows, X)))
    return found


def _of_rows(params: Mapping[str, Any], rows: Array, X: Any) -> dict[str, Any]:
    """Take the rows of every parameter that has one value per row."""
    count = n_rows(X)
    return {
        name: take(value, rows)
        if hasattr(value, "__len__")
        and not isinstance(value, str | Mapping)
        and n_rows(value) == count
        else value
        for name, value in params.items()
    }


# -- pooled -----------------------------------------------------------------------


def _pooled(
    models: SplitModels,
    scorer: Any,
    slices: Sequence[Array | None],
    params: Mapping[str, Any],
    n_jobs: int | None,
    verbose: int,
) -> Iterable[list[Scores | None] | None]:
    """Score the out-of-fold answers of each candidate at once, per slice."""
    numbers_ = range(models.n_splits)
    complete = [
        all(models.has_model(candidate, split) for split in numbers_)
        for candidate in models.candidates
    ]
    every = models.models(
        (candidate, split)
        for candidate, whole in zip(models.candidates, complete, strict=True)
        if whole
        for split in numbers_
    )
    tasks = (
        delayed(_scores_of_pool)(
            [next(every) for _ in numbers_],
            models.X,
            models.y,
            models.splits(candidate),
            scorer,
            slices,
            params,
        )
        for candidate, whole in zip(models.candidates, complete, strict=True)
        if whole
    )
    parallel = Parallel(
        n_jobs=n_jobs, verbose=verbose, pre_dispatch="2*n_jobs", return_as="generator"
    )
    found = parallel(tasks)
    for whole in complete:
        yield next(found) if whole else None


def _scores_of_pool(
    fitted: Sequence[Any],
    X: Any,
    y: Any,
    splits: Sequence[tuple[Array, Array]],
    scorer: Any,
    slices: Sequence[Array | None],
    params: Mapping[str, Any],
) -> list[Scores | None]:
    ensure_tags()
    tested = np.concatenate([test for _, test in splits])

    def answers(method: str) -> Array:
        if not all(hasattr(model, method) for model in fitted):
            raise AttributeError(f"{type(fitted[0]).__name__} has no {method}.")
        parts = [
            answer(model, X, y, train, test, method)
            for model, (train, test) in zip(fitted, splits, strict=True)
        ]
        if any(isinstance(part[2], list) for part in parts):
            raise EvaluationError(
                "pooled=True needs one output: these models answer by a list of them."
            )
        arrays, classes = [part[2] for part in parts], [part[1] for part in parts]
        ordered = in_order_of_classes(arrays, classes, known, method)
        return np.concatenate([one for one in ordered if one is not None])[np.newaxis]

    known = None
    if is_classifier(fitted[0]) and np.ndim(fitted[0].classes_) == 1:
        known = np.unique(np.concatenate([model.classes_ for model in fitted]))
    target = np.full(len(tested), np.nan) if y is None else take(y, tested)
    pool = Observations(target, answers, known)
    found: list[Scores | None] = []
    for members in slices:
        places = np.arange(len(tested))
        if members is not None:
            places = np.flatnonzero(members[tested])
            if not len(places):
                found.append(None)
                continue
        rows = tested[places]
        model = stand_in(pool, 0, places)
        values = _of_rows(params, rows, X)
        found.append(scores_of(scorer, model, take(X, rows), take(y, rows), values))
    return found


# -- the table ----------------------------------------------------------------------


@dataclass
class _Table:
    """Scores of all candidates, slices and splits, filled as they come."""

    models: SplitModels
    names_of_slices: Sequence[Any]
    error_score: Any
    _scores: dict[str, Array] = field(default_factory=dict)
    _failed: list[tuple[int, int]] = field(default_factory=list)
    _errors: list[str] = field(default_factory=list)

    def put(
        self,
        place: int,
        candidate: int,
        split: int,
        scores: Sequence[Scores | None] | None,
    ) -> None:
        """Take in the scores of one model, by slice; None where its fit failed."""
        if scores is None:
            return
        for part, named in enumerate(scores):
            where = f"candidate {candidate}, split {split}"
            for name, score in (named or {}).items():
                self._column(name)[place, part, split] = self._value(score, where)

    def _column(self, name: str) -> Array:
        if name not in self._scores:
            shape = (len(self.models.candidates), len(self.names_of_slices))
            # What scikit-learn sets where a fit failed, unless it raises.
            empty = np.nan if self.error_score == "raise" else self.error_score
            self._scores[name] = np.full((*shape, self.models.n_splits), empty, float)
        return self._scores[name]

    def _value(self, score: float | str, where: str) -> float:
        if not isinstance(score, str):
            return score
        if self.error_score == "raise":
            raise EvaluationError(f"Scoring failed for {where}:\n{score}")
        self._errors.append(f"{where}:\n{score}")
        return float(self.error_score)

    def warn(self) -> None:
        """Say in one warning which scores could not be computed."""
        if self._errors:
            warnings.warn(
                f"{len(self._errors)} scores could not be computed and are set to "
                f"{self.error_score}. The first: {self._errors[0]}",
                UserWarning,
                stacklevel=4,
            )

    def columns(self, slices: Sequence[Array | None]) -> dict[str, Array]:
        """Columns as of ``cv_results_``, each of shape (n_candidates, n_slices)."""
        there, counts = self._where_tested(slices)
        columns = {} if slices[0] is None else {"n_test_samples": counts}
        for name, array in self._scores.items():
            for split in range(self.models.n_splits):
                scores = np.where(there[:, :, split], array[:, :, split], np.nan)
                columns[f"split{split}_test_{name}"] = scores
            means, stds = _moments(array, there)
            columns[f"mean_test_{name}"] = means
            columns[f"std_test_{name}"] = stds
            ranks = [rank(of_slice) for of_slice in means.T]
            columns[f"rank_test_{name}"] = np.array(ranks).T
        return columns

    def pooled_columns(
        self, found: Sequence[Sequence[Scores | None] | None]
    ) -> dict[str, Array]:
        """Columns of the scores of all out-of-fold answers at once."""
        shape = (len(self.models.candidates), len(self.names_of_slices))
        pooled = {name: np.full(shape, np.nan) for name in self._scores}
        for place, scores in enumerate(found):
            for part, named in enumerate(scores or ()):
                where = f"candidate {self.models.candidates[place]}, all splits"
                for name, score in (named or {}).items():
                    pooled[name][place, part] = self._value(score, where)
        columns = {}
        for name, array in pooled.items():
            columns[f"pooled_test_{name}"] = array
            ranks = [rank(of_slice) for of_slice in array.T]
            columns[f"rank_pooled_test_{name}"] = np.array(ranks).T
        return columns

    def _where_tested(self, slices: Sequence[Array | None]) -> tuple[Array, Array]:
        """Whether each split tests rows of each slice, and how many all splits do."""
        counts = np.array(
            [
                [
                    [
                        len(test) if members is None else int(members[test].sum())
                        for _, test in self.models.splits(candidate)
                    ]
                    for members in slices
                ]
                for candidate in self.models.candidates
            ]
        )
        if slices[0] is None:
            return np.ones(counts.shape, bool), counts.sum(axis=2)
        return counts > 0, counts.sum(axis=2)


def _moments(array: Array, there: Array) -> tuple[Array, Array]:
    """Mean and standard deviation over splits, in the same steps as scikit-learn."""
    means, stds = np.full(array.shape[:2], np.nan), np.full(array.shape[:2], np.nan)
    for part in range(array.shape[1]):
        has = there[:, part]
        for splits in np.unique(has, axis=0):
            if not splits.any():
                continue
            rows = np.flatnonzero((has == splits).all(axis=1))
            values = np.ascontiguousarray(array[rows, part][:, splits])
            mean = np.average(values, axis=1)
            variance = np.average((values - mean[:, np.newaxis]) ** 2, axis=1)
            means[rows, part], stds[rows, part] = mean, np.sqrt(variance)
    return means, stds


def _slices(groups: Any, models: SplitModels) -> list[tuple[Any, Array | None]]:
    """Return the name and the rows, as a mask, of each slice."""
    if groups is None:
        return [(None, None)]
    if isinstance(groups, str):
        if groups not in getattr(models.X, "columns", ()):
            raise EvaluationError(f"X has no column {groups!r}: pass an array.")
        groups = models.X[groups]
    values = np.asarray(groups)
    if values.shape != (models.n_samples,):
        raise EvaluationError(
            f"groups must have one value for each of {models.n_samples} rows, got "
            f"shape {values.shape}."
        )
    # A missing value is a group too.
    codes, names = pd.factorize(values, sort=True, use_na_sentinel=False)
    return [(name, codes == number) for number, name in enumerate(names)]


def _frame(
    run: Any,
    models: SplitModels,
    slices: Sequence[Any],
    columns: Mapping[str, Array],
    groups: Any,
) -> pd.DataFrame:
    numbers_ = np.array(models.candidates)
    places = np.repeat(np.arange(len(numbers_)), len(slices))
    index: pd.Index[Any] = pd.Index(numbers_, name="candidate")
    if groups is not None:
        pairs = [numbers_[places], np.tile(np.arange(len(slices)), len(numbers_))]
        name = groups if isinstance(groups, str) else getattr(groups, "name", None)
        index = pd.MultiIndex.from_arrays(
            [pairs[0], pd.Index(slices).take(pairs[1])],
            names=["candidate", name or "group"],
        )
    params = param_columns(run._keys, columns)
    taken = {
        str(column.name): column.take(numbers_[places]).array
        for column in params.values()
    }
    scores = {name: array.reshape(len(places)) for name, array in columns.items()}
    return pd.DataFrame({**taken, **scores}, index=index)

"""The out-of-fold answers of a run's candidates, as observations of known target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier, is_regressor
from sklearn.metrics import get_scorer_names
from sklearn.pipeline import Pipeline

from weightsearch._records import Array
from weightsearch.evaluate._metrics import Observations
from weightsearch.evaluate._models import SplitModels, take
from weightsearch.evaluate._predictions import METHODS, out_of_fold
from weightsearch.exceptions import EvaluationError

__all__ = ["OutOfFold", "scoring_of"]


class OutOfFold:
    """What the candidates of a run answer to rows that they were not fitted on.

    Candidates of which a fit failed are left out. Each test of a row is an observation,
    so that a row that several splits test is there as often.

    Parameters
    ----------
    run : Run
    X, y : array-like
        The data that the search was fitted on.
    candidates : iterable of int or dict, default=None
        None: all.
    n_jobs, verbose : int
        As of :class:`joblib.Parallel`.
    **brought : object
        What the store does not hold: `estimator`, `params` and `trusted`.

    Attributes
    ----------
    models : SplitModels
        With the candidates that have a model of every split.
    candidates : ndarray of shape (n_candidates,), int
    splits : list of (train, test)
    rows, of_split : ndarray of shape (n_observations,), int
        The row and the split of each observation.
    methods : list of set of str
        What each candidate answers by.
    kind : {"classifier", "regressor", "other"}
    classes : ndarray or None
        Of classifiers of one output.
    observations : Observations
    """

    def __init__(
        self,
        run: Any,
        X: Any,
        y: Any,
        candidates: Iterable[Any] | None = None,
        *,
        n_jobs: int | None = None,
        verbose: int = 0,
        **brought: Any,
    ):
        if y is None:
            raise EvaluationError("y is needed: pass the y that was passed to fit.")
        self._n_jobs, self._verbose = n_jobs, verbose
        models = SplitModels(run, X, y, candidates, **brought)
        splits = range(models.n_splits)
        models.candidates = [
            candidate
            for candidate in models.candidates
            if all(models.has_model(candidate, split) for split in splits)
        ]
        if not models.candidates:
            raise EvaluationError("No candidate has a model of every split.")
        self.models = models
        self.candidates = np.array(models.candidates)
        self.splits = list(models.splits(models.candidates[0]))
        if any(
            models.splits(c) is not models.splits(models.candidates[0])
            for c in models.candidates
        ):
            raise EvaluationError(
                "These candidates were tested on different splits, as in the rounds of "
                "a halving search. Pass candidates=[...] of one round."
            )
        tests = [test for _, test in self.splits]
        self.rows: Array = np.concatenate(tests)
        self.of_split = np.repeat(np.arange(len(tests)), list(map(len, tests)))
        self._target = np.asarray(models.y)
        self.kind, self.methods, self._first = self._ask_for_kind()
        self.classes = None
        if self.kind == "classifier" and self._target.ndim == 1:
            self.classes = np.unique(self._target)
        self.observations = Observations(
            self._target[self.rows],
            self._answers,
            self.classes,
            partial(_rows_of, models.X, self.rows),
        )

    def scoring(self, run: Any, scoring: Any) -> Any:
        """Return what to score by: what is given, or as the search did."""
        return scoring_of(run, scoring, self._first, self.kind)

    def answers_of(self, candidates: Sequence[int], method: str) -> Array:
        """Return what some candidates answer to all observations.

        Returns
        -------
        answers : ndarray of shape (n_candidates, n_observations, ...)
        """
        models = copy(self.models)
        models.candidates = list(candidates)
        found = out_of_fold(models, method, n_jobs=self._n_jobs, verbose=self._verbose)
        if isinstance(found, list):
            raise EvaluationError(
                f"Models of several outputs answer by a list of {method}, which is not "
                "supported here. Use run.predictions."
            )
        if models.tests_rows_once:
            seen = found[:, self.rows]
        else:
            seen = found[:, self.of_split, self.rows]
        # All that were tested have an answer, so that nothing is masked.
        return np.asarray(seen)

    def _answers(self, method: str) -> Array:
        if not all(method in known for known in self.methods):
            raise AttributeError(f"Not all candidates have {method}.")
        return self.answers_of(self.models.candidates, method)

    def _ask_for_kind(self) -> tuple[str, list[set[str]], Any]:
        """Ask a model of each candidate what it is, and what it answers by."""
        kinds, methods, first = set(), [], None
        pairs = [(candidate, 0) for candidate in self.models.candidates]
        for model in self.models.models(pairs):
            first = model if first is None else first
            methods.append({name for name in METHODS if hasattr(model, name)})
            if is_classifier(model):
                kinds.add("classifier")
            else:
                kinds.add("regressor" if is_regressor(model) else "other")
        return (kinds.pop() if len(kinds) == 1 else "other"), methods, first


def _rows_of(X: Any, rows: Array, chosen: Array) -> Any:
    return take(X, rows[chosen])


_OWN_SCORES: dict[str, tuple[Callable[..., Any], str]] = {
    "classifier": (ClassifierMixin.score, "accuracy"),
    "regressor": (RegressorMixin.score, "r2"),
}


def scoring_of(run: Any, scoring: Any, model: Any, kind: str) -> Any:
    """Return what to score by where the caller says nothing.

    Raises
    ------
    EvaluationError
        If the search scored by something that a store does not hold.
    """
    if scoring is not None:
        return scoring
    stored = run.settings.get("scoring")
    by_name = set(get_scorer_names())
    if isinstance(stored, str) and stored in by_name:
        return stored
    refit = run.settings.get("refit")
    listed = isinstance(stored, str) and stored[:1] in ("[", "(")
    if listed and isinstance(refit, str) and refit in by_name:
        return refit
    if stored is None and kind in _OWN_SCORES:
        while isinstance(model, Pipeline):
            model = model.steps[-1][1]
        own, name = _OWN_SCORES[kind]
        if type(model).score is own:
            return name
    raise EvaluationError(
        "Pass scoring=...: the search scored by "
        + (
            f"{type(model).__name__}.score"
            if stored is None
            else f"{stored}, which its store does not hold"
        )
        + "."
    )

"""Thresholds, calibration and prediction intervals from a candidate's split models."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils import indexable

from weightsearch._copies import copied
from weightsearch._records import Array
from weightsearch.evaluate._models import SplitModels, n_rows, rows_of, tested_rows
from weightsearch.evaluate._recalled import Recalled, StoredFits, the_candidate
from weightsearch.exceptions import EvaluationError

__all__ = ["calibrate", "prediction_intervals", "tune_threshold"]

_BLOCK = 1 << 22
"""Numbers that are sorted at a time."""


def tune_threshold(
    run: Any,
    X: Any,
    y: Any,
    candidate: Any,
    *,
    scoring: Any,
    response_method: str,
    thresholds: Any,
    store_cv_results: bool,
    **brought: Any,
) -> Any:
    """Implement :meth:`weightsearch.Run.tune_threshold`."""
    # Here, since importing the package need not wait for it.
    from sklearn.model_selection import TunedThresholdClassifierCV

    stored = _stored(run, X, y, candidate, refit=True, **brought)
    tuned = TunedThresholdClassifierCV(
        Recalled(stored),
        scoring=scoring,
        response_method=response_method,
        thresholds=thresholds,
        cv=stored.cv,
        store_cv_results=store_cv_results,
    ).fit(stored.as_data, y)
    tuned.estimator_ = tuned.estimator_.model_
    return tuned.set_params(estimator=stored.unfitted)


def calibrate(
    run: Any,
    X: Any,
    y: Any,
    candidate: Any,
    *,
    method: str,
    ensemble: bool,
    sample_weight: Any,
    **brought: Any,
) -> Any:
    """Implement :meth:`weightsearch.Run.calibrate`."""
    from sklearn.calibration import CalibratedClassifierCV

    stored = _stored(run, X, y, candidate, refit=not ensemble, **brought)
    calibrated = CalibratedClassifierCV(
        Recalled(stored), method=method, cv=stored.cv, ensemble=ensemble
    ).fit(stored.as_data, y, sample_weight=sample_weight)
    for one in calibrated.calibrated_classifiers_:
        one.estimator = one.estimator.model_
    return calibrated.set_params(estimator=stored.unfitted)


def _stored(
    run: Any, X: Any, y: Any, candidate: Any, *, refit: bool, **brought: Any
) -> StoredFits:
    number = the_candidate(run, candidate)
    models = SplitModels(run, X, y, [number], needs_y=True, **brought)
    return StoredFits(models, refit=refit)


# -- intervals ----------------------------------------------------------------------


def prediction_intervals(
    run: Any,
    X: Any,
    y: Any,
    X_new: Any,
    candidate: Any,
    *,
    confidence: float,
    method: str,
    **brought: Any,
) -> Array:
    """Implement :meth:`weightsearch.Run.prediction_intervals`."""
    if method not in ("plus", "minmax"):
        raise EvaluationError(f"method must be 'plus' or 'minmax', got {method!r}.")
    if not 0 < confidence < 1:
        raise EvaluationError(
            f"confidence must be between 0 and 1, got {confidence!r}."
        )
    number = the_candidate(run, candidate)
    models = SplitModels(run, X, y, [number], needs_y=True, **brought)
    splits = models.splits(number)
    if (tested_rows(splits, models.n_samples) != 1).any():
        raise EvaluationError(
            "Prediction intervals need splits that test each row once, such as those "
            "of KFold: each row gives one residual."
        )
    target = np.asarray(models.y)
    if target.ndim != 1 or target.dtype.kind not in "biuf":
        raise EvaluationError(
            "Prediction intervals need one target of numbers, got shape "
            f"{target.shape} of {target.dtype}."
        )
    if not all(models.has_model(number, split) for split in range(len(splits))):
        raise EvaluationError(f"A fit of candidate {number} failed.")
    (X_new,) = indexable(X_new)
    residuals, fold = np.empty(len(target)), np.empty(len(target), np.intp)
    predicted = np.empty((n_rows(X_new), len(splits)))
    pairs = [(number, split) for split in range(len(splits))]
    for split, model in enumerate(models.models(pairs)):
        if not is_regressor(model):
            raise EvaluationError(
                f"Candidate {number} is not a regressor: {type(model).__name__}."
            )
        train, test = splits[split]
        answers = _one_number_per_row(model, rows_of(model, models.X, test, train))
        residuals[test] = np.abs(target[test] - answers)
        fold[test] = split
        predicted[:, split] = _one_number_per_row(model, copied(X_new))
    limits = _plus if method == "plus" else _minmax
    return limits(predicted, residuals, fold, confidence)


def _one_number_per_row(model: Any, X: Any) -> Array:
    answers = np.asarray(model.predict(X))
    flat = answers.reshape(len(answers), -1)
    if flat.shape[1] != 1:
        raise EvaluationError(
            f"{type(model).__name__} predicts {flat.shape[1]} numbers per row."
        )
    column: Array = flat[:, 0]
    return column


def _plus(predicted: Array, residuals: Array, fold: Array, confidence: float) -> Array:
    """Limits of jackknife+ and CV+ (Barber et al. 2021)."""
    found = np.empty((len(predicted), 2))
    for rows in _blocks(len(predicted), len(residuals)):
        centres = predicted[rows][:, fold]
        found[rows, 0] = -_upper_quantile(residuals - centres, confidence)
        found[rows, 1] = _upper_quantile(centres + residuals, confidence)
    return found


def _minmax(
    predicted: Array, residuals: Array, fold: Array, confidence: float
) -> Array:
    """Limits of jackknife-minmax and CV-minmax (Barber et al. 2021)."""
    margin = _upper_quantile(residuals[np.newaxis], confidence)
    limits = [predicted.min(axis=1) - margin, predicted.max(axis=1) + margin]
    return np.stack(limits, axis=1)


def _upper_quantile(values: Array, confidence: float) -> Array:
    """The ceil((1 - alpha)(n + 1))-th smallest of each row of n values, or infinity."""
    n = values.shape[1]
    # A product of decimal fractions may exceed the whole number that it should be.
    place = math.ceil(round(confidence * (n + 1), 9))
    if place > n:
        return np.full(len(values), np.inf)
    quantile: Array = np.partition(values, place - 1, axis=1)[:, place - 1]
    return quantile


def _blocks(n_new: int, n_rows_: int) -> Iterator[slice]:
    step = max(1, _BLOCK // n_rows_)
    for start in range(0, n_new, step):
        yield slice(start, start + step)

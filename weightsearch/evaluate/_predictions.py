"""Out-of-fold predictions of stored split models."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier

from weightsearch._records import Array
from weightsearch.evaluate._models import Candidate, SplitModels, rows_of
from weightsearch.exceptions import EvaluationError

__all__ = [
    "METHODS",
    "answer",
    "check_method",
    "in_order_of_classes",
    "out_of_fold",
    "predictions",
]

METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
)
"""Methods of an estimator that answer for each row."""

_PER_CLASS = ("predict_proba", "predict_log_proba", "decision_function")

Answer = tuple[str, Any, Any]
"""Method, classes (None without), and what it returned."""

Output = Array | list[Array]
"""A list where an estimator of several outputs answers for each of them."""


def predictions(
    run: Any,
    X: Any,
    y: Any,
    *,
    method: str,
    candidates: Iterable[Candidate] | None,
    n_jobs: int | None,
    verbose: int,
    **brought: Any,
) -> Output:
    """Implement :meth:`weightsearch.Run.predictions`."""
    check_method(method)
    models = SplitModels(run, X, y, candidates, **brought)
    return out_of_fold(models, method, n_jobs=n_jobs, verbose=verbose)


def check_method(method: str) -> None:
    """Refuse a method that no estimator has."""
    if method not in ("auto", *METHODS):
        raise EvaluationError(
            f"method must be 'auto' or one of {', '.join(METHODS)}, got {method!r}."
        )


def out_of_fold(
    models: SplitModels, method: str, *, n_jobs: int | None = None, verbose: int = 0
) -> Output:
    """Ask each model about the rows that its split tests.

    Parameters
    ----------
    models : SplitModels
    method : str
        One of :data:`METHODS`, or ``"auto"``.
    n_jobs, verbose : int
        As of :class:`joblib.Parallel`.

    Returns
    -------
    ndarray of shape (n_candidates, n_samples, ...) or \
            (n_candidates, n_splits, n_samples, ...), or a list of these
    """
    n_splits = models.n_splits
    asked: dict[str, int] = {}
    parts: list[_Joined] = []
    as_list = False
    answers: list[Answer | None] = []
    places = iter(range(len(models.candidates)))
    for candidate, _, found in models.ask(
        answer, method, n_jobs=n_jobs, verbose=verbose
    ):
        answers.append(found)
        if found is not None:
            asked.setdefault(found[0], candidate)
        if len(answers) < n_splits:
            continue
        place = next(places)
        _check_one_method(asked)
        if any(one is not None for one in answers):
            as_list, outputs = _per_output(answers, models.y, candidate)
            parts = parts or [_Joined(models) for _ in outputs]
            for part, columns in zip(parts, outputs, strict=True):
                part.put(place, candidate, columns)
        answers = []
    joined = [part.finish() for part in parts]
    return joined if as_list else joined[0]


def answer(
    model: Any, X: Any, y: Any, train: Array, test: Array, method: str
) -> Answer:
    """Ask one model about the rows that its split tests."""
    if method == "auto":
        method = _method_of(model)
    if not hasattr(model, method):
        there = [name for name in METHODS if hasattr(model, name)]
        raise EvaluationError(
            f"{type(model).__name__} has no {method} with these params. It has "
            f"{' and '.join(there) or 'no method that answers for each row'}."
        )
    output = getattr(model, method)(rows_of(model, X, test, train))
    classes = getattr(model, "classes_", None) if method in _PER_CLASS else None
    if sparse.issparse(output):
        return method, classes, output.toarray()
    if isinstance(output, list) and method in _PER_CLASS:
        return method, classes, list(map(np.asarray, output))
    return method, classes, np.asarray(output)


def _method_of(model: Any) -> str:
    """Choose the method that tells most of each row."""
    order: tuple[str, ...] = ("predict", "transform")
    if is_classifier(model):
        order = ("predict_proba", "decision_function", *order)
    return next((name for name in order if hasattr(model, name)), "predict")


def _check_one_method(asked: dict[str, int]) -> None:
    if len(asked) > 1:
        (one, first), (other, second) = list(asked.items())[:2]
        raise EvaluationError(
            f"Candidate {first} answers by {one}, candidate {second} by {other}: "
            "choose a method that all candidates have, or fewer candidates."
        )


# -- one candidate ----------------------------------------------------------------


def _per_output(
    answers: Sequence[Answer | None], y: Any, candidate: int
) -> tuple[bool, list[list[Array | None]]]:
    """Arrange the answers of a candidate's splits by output, columns by class.

    Returns
    -------
    as_list : bool
        Whether the estimator answers by a list, an array per output.
    outputs : list of list of ndarray or None
        For each output the answers of the splits, None where the fit failed.
    """
    method, _, sample = next(one for one in answers if one is not None)
    as_list = isinstance(sample, list)
    found: list[list[Array | None]] = []
    for number in range(len(sample)) if as_list else [None]:
        arrays = [
            None if one is None else one[2] if number is None else one[2][number]
            for one in answers
        ]
        classes = [
            None
            if one is None or one[1] is None
            else one[1]
            if number is None
            else one[1][number]
            for one in answers
        ]
        found.append(
            in_order_of_classes(arrays, classes, _known_classes(y, number), method)
        )
    widths = {
        array.shape[1:] for output in found for array in output if array is not None
    }
    if not as_list and len(widths) > 1:
        raise EvaluationError(
            f"The answers of candidate {candidate} have different shapes in different "
            f"splits: {' and '.join(map(str, sorted(widths)))} per row."
        )
    return as_list, found


def _known_classes(y: Any, output: int | None) -> Array | None:
    """All classes of y, or of one of its columns; None where they are not known."""
    if y is None:
        return None
    values = np.asarray(y)
    if output is not None:
        values = values[:, output]
    return np.unique(values) if values.ndim == 1 else None


def in_order_of_classes(
    arrays: list[Array | None],
    classes: Sequence[Any],
    known: Array | None,
    method: str,
) -> list[Array | None]:
    """Give every split's answer a column per class, where a split lacks some.

    As :func:`sklearn.model_selection.cross_val_predict` does: the probability of a
    class that the model does not know is 0, its logarithm and its decision function
    are the smallest finite number.
    """
    if method not in _PER_CLASS or any(
        found is None or np.ndim(found) != 1
        for found, array in zip(classes, arrays, strict=True)
        if array is not None
    ):
        return arrays
    there = [np.asarray(found) for found in classes if found is not None]
    everything = np.unique(np.concatenate(there)) if known is None else known
    lacking = [found for found in there if len(found) != len(everything)]
    # The classes of several binary outputs are numbers of columns.
    if not lacking or not np.isin(np.concatenate(there), everything).all():
        return arrays
    warnings.warn(
        f"Number of classes in training fold ({min(map(len, lacking))}) does not "
        f"match total number of classes ({len(everything)}). Use stratified folds.",
        RuntimeWarning,
        stacklevel=2,
    )
    return [
        None if array is None else _widened(array, np.asarray(own), everything, method)
        for array, own in zip(arrays, classes, strict=True)
    ]


def _widened(array: Array, own: Array, everything: Array, method: str) -> Array:
    if len(own) == len(everything):
        return array
    if method == "decision_function":
        if array.ndim == 1 or array.shape[1] != len(own):
            raise EvaluationError(
                f"A model that knows {len(own)} of {len(everything)} classes has a "
                f"decision function of shape {array.shape}, which cannot be completed. "
                "Use method='predict', or stratified folds."
            )
    missing = 0 if method == "predict_proba" else np.finfo(array.dtype).min
    wide = np.full((len(array), len(everything)), missing, array.dtype)
    wide[:, np.searchsorted(everything, own)] = array
    return wide


# -- all candidates ---------------------------------------------------------------


class _Joined:
    """The answers of all candidates in one array, filled as they come."""

    def __init__(self, models: SplitModels):
        self._models = models
        self._once = models.tests_rows_once
        n_candidates, n_samples = len(models.candidates), models.n_samples
        self._rows: tuple[int, ...] = (n_candidates, n_samples)
        if not self._once:
            self._rows = (n_candidates, models.n_splits, n_samples)
        self._missing = np.ones(self._rows, bool)
        self._values: Array | None = None

    def put(self, place: int, candidate: int, answers: Sequence[Array | None]) -> None:
        """Take in a candidate's answers, an array per split."""
        for split, array in enumerate(answers):
            if array is None:
                continue
            test = self._models.splits(candidate)[split][1]
            if array.shape[:1] != test.shape:
                raise EvaluationError(
                    f"Candidate {candidate} gave {len(array)} answers for "
                    f"{len(test)} rows."
                )
            values = self._fitting(array, candidate)
            at = place if self._once else (place, split)
            values[at][test] = array
            self._missing[at][test] = False

    def _fitting(self, array: Array, candidate: int) -> Array:
        """The array of all answers, of a type that holds these too."""
        shape = (*self._rows, *array.shape[1:])
        if self._values is None:
            self._values = np.zeros(shape, array.dtype)
        if self._values.shape != shape:
            raise EvaluationError(
                f"Candidate {candidate} answers with {array.shape[1:]} numbers per "
                f"row, those before it with {self._values.shape[len(self._rows) :]}: "
                "they do not fit into one array. Ask for candidates of one shape."
            )
        if self._values.dtype != array.dtype:
            dtype = np.result_type(self._values, array)
            self._values = self._values.astype(dtype, copy=False)
        return self._values

    def finish(self) -> Array:
        """Return the array; what is missing is nan, or masked if it is not float."""
        assert self._values is not None
        if not self._missing.any():
            return self._values
        if self._values.dtype.kind in "fc":
            self._values[self._missing] = np.nan
            return self._values
        mask = np.zeros(self._values.shape, bool)
        mask[self._missing] = True
        return np.ma.MaskedArray(self._values, mask)

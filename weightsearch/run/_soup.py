"""Estimators made of several candidates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.utils.metaestimators import available_if

from weightsearch._copies import copied
from weightsearch._records import Array, Weights
from weightsearch.compare import align as align_to
from weightsearch.exceptions import UnequalWeightsError

__all__ = ["mean_of", "voting_ensemble"]

_COUNTERS = ("num_batches_tracked", "n_samples_seen_")
"""Integers that count what was seen and do not say how a model is built."""


def mean_of(every: Iterable[Weights], *, align: bool = False) -> Weights:
    """Average weights, one set in memory besides the sum.

    Parameters
    ----------
    every : iterable of Weights
        At least one.
    align : bool, default=False
        Whether hidden units are put into the order of the first one's before.

    Returns
    -------
    Weights
        Of the types of the first ones; integers are those of the first.

    Raises
    ------
    UnequalWeightsError
        If they differ in names, shapes or types, or in integers.
    """
    sums: dict[str, Array] = {}
    first: Weights | None = None
    count = 0
    for weights in every:
        count += 1
        if first is None:
            first = weights
            sums = {
                name: array.astype(np.result_type(array.dtype, np.float64))
                for name, array in weights.items()
                if _is_real(array)
            }
            continue
        if align:
            weights = Weights(align_to(first, weights))
        _check_alike(first, weights)
        for name, total in sums.items():
            total += weights[name]
    assert first is not None
    means = {
        name: (sums[name] / count).astype(array.dtype, order="K")
        if name in sums
        else array
        for name, array in first.items()
    }
    return Weights(means, ties=first.ties, encodings=first.encodings)


class _Member(FrozenEstimator):  # type: ignore[misc]
    """A stored model that cannot change the data before the other members see them."""

    def predict(self, X: Any) -> Any:
        return self.estimator.predict(copied(X))

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        return self.estimator.predict_proba(copied(X))


def voting_ensemble(members: list[tuple[str, Any]]) -> Any:
    """Make a fitted voting estimator of fitted ones."""
    # Here, since importing the package need not wait for it.
    from sklearn.ensemble import VotingClassifier, VotingRegressor

    frozen = [(name, _Member(estimator)) for name, estimator in members]
    models = [estimator for _, estimator in members]
    # Frozen members ignore the fit, which tells the whole only the names of classes.
    if all(map(is_classifier, models)) and all(
        hasattr(model, "predict_proba") for model in models
    ):
        classes = np.asarray(models[0].classes_)
        voting = VotingClassifier(frozen, voting="soft")
        return voting.fit(_rows(models[0], len(classes)), classes)
    if all(map(is_regressor, models)):
        return VotingRegressor(frozen).fit(_rows(models[0], 2), np.zeros(2))
    names = sorted({type(model).__name__ for model in models})
    raise TypeError(
        "An ensemble votes over classifiers that have predict_proba, or over "
        f"regressors; these candidates are {', '.join(names)}."
    )


def _rows(model: Any, count: int) -> Array:
    return np.zeros((count, int(getattr(model, "n_features_in_", 1))))


def _is_real(array: Array) -> bool:
    # Types of ml_dtypes are kind V.
    return array.dtype.kind in "fc" or array.dtype.isbuiltin == 2


def _check_alike(first: Weights, other: Weights) -> None:
    if list(first) != list(other):
        differing = sorted(set(first) ^ set(other))[:5] or ["their order"]
        raise UnequalWeightsError(
            f"The candidates' weights differ in {', '.join(differing)}; only models of "
            "one architecture have a mean."
        )
    for name, array in first.items():
        there = other[name]
        if array.shape != there.shape or array.dtype != there.dtype:
            raise UnequalWeightsError(
                f"{name!r} is {array.dtype} of shape {array.shape} in one candidate, "
                f"{there.dtype} of shape {there.shape} in another; only models of one "
                "architecture have a mean."
            )
        if (
            not _is_real(array)
            and not name.endswith(_COUNTERS)
            and not np.array_equal(array, there)
        ):
            raise UnequalWeightsError(
                f"{name!r} holds {array.dtype} that differ among the candidates: they "
                "say how a model is built, and have no mean."
            )

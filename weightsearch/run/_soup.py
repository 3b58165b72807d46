"""Means of candidates' weights, and weights between two of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from weightsearch._records import Array, Weights
from weightsearch.compare import align as align_to
from weightsearch.exceptions import UnequalWeightsError

__all__ = ["between", "mean_of"]

_COUNTERS = ("num_batches_tracked", "n_samples_seen_")
"""Integers that count samples, and do not define how a model is built."""


def mean_of(every: Iterable[Weights], *, align: bool = False) -> Weights:
    """Average weights, with one set in memory besides the sum.

    Parameters
    ----------
    every : iterable of Weights
        At least one.
    align : bool, default=False
        Whether to match hidden units to those of the first one before.

    Returns
    -------
    Weights
        With the types of the first ones; integers are those of the first.

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


def between(a: Weights, b: Weights, share: float) -> Weights:
    """Return ``(1 - share) a + share b``; at 0 and 1, the floats of a and b themselves.

    Parameters
    ----------
    a, b : Weights
        Types and integers are those of a.
    share : float
        Where on the line, from 0 to 1.

    Raises
    ------
    UnequalWeightsError
        As from :func:`mean_of`.
    """
    _check_alike(a, b)
    found = {}
    for name, array in a.items():
        if _is_real(array):
            wide = np.result_type(array.dtype, np.float64)
            mixed = (1 - share) * array.astype(wide) + share * b[name].astype(wide)
            ends = {0.0: array, 1.0: b[name]}
            found[name] = ends.get(share, mixed).astype(array.dtype, order="K")
        else:
            found[name] = array
    return Weights(found, ties=a.ties, encodings=a.encodings)


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
                f"{name!r} contains {array.dtype} values that define how a model is "
                "built, and differ among the candidates: they have no mean."
            )

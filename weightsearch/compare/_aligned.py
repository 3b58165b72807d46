"""Distances between models whose hidden units are matched pair by pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from weightsearch._records import Array
from weightsearch.compare._alignment import align
from weightsearch.compare._distances import Metric
from weightsearch.compare._numeric import as_numbers, norm

__all__ = ["aligned_distances"]

ReadModel = Callable[[int], Mapping[str, Array]]
"""Takes a model's number; gives all its weights."""

_BLOCK_BYTES = 128 * 2**20


def aligned_distances(
    names: Sequence[str], count: int, read: ReadModel, metric: Metric = "l2"
) -> Array:
    """Distances between models after the units of each pair are matched.

    Every pair is matched by itself, the later model to the earlier one, so that each
    number is that of :func:`weightsearch.compare.compare` with ``align=True``. One
    reference for all would be faster, but models that are close to each other and far
    from the reference are matched to it at random, and would seem far apart.

    Parameters
    ----------
    names : sequence of str
        Weights that count; numbers, of the same shape in all models.
    count : int
        Number of models.
    read : callable
        See :data:`ReadModel`. Blocks of 128 MiB are held at a time.
    metric : {"l2", "relative", "cosine"}

    Returns
    -------
    ndarray of shape (count, count), float64
        NaN off the diagonal for models with NaN or infinite elements.

    Raises
    ------
    AlignmentError
        If the units cannot be matched; see :func:`weightsearch.compare.align`.
    """
    if metric not in ("l2", "relative", "cosine"):
        raise ValueError(
            f"metric must be 'l2', 'relative' or 'cosine', got {metric!r}."
        )
    out = np.full((count, count), np.nan)
    np.fill_diagonal(out, 0.0)
    if count < 2:
        return out
    n_bytes = sum(np.asarray(weight).nbytes for weight in read(0).values())
    step = max(1, _BLOCK_BYTES // max(n_bytes, 1))
    for start in range(0, count, step):
        models = [read(i) for i in range(start, min(start + step, count))]
        vectors = [_vector(model, names) for model in models]
        for j in range(start, count):
            own = j < start + step
            model = models[j - start] if own else read(j)
            if not np.isfinite(_vector(model, names)).all():
                continue
            for i in range(start, min(j, start + step)):
                first = vectors[i - start]
                if np.isfinite(first).all():
                    second = _vector(align(models[i - start], model), names)
                    out[i, j] = out[j, i] = _distance(first, second, metric)
    return out


def _vector(model: Mapping[str, Any], names: Sequence[str]) -> Array:
    parts = [as_numbers(model[name]) for name in names]
    return np.concatenate([part.ravel() for part in parts if part is not None])


def _distance(a: Array, b: Array, metric: Metric) -> float:
    distance = norm(a - b)
    if metric == "l2" or (distance == 0 and metric == "relative"):
        return distance
    length_a, length_b = norm(a), norm(b)
    if metric == "relative":
        return distance / max(length_a, length_b)
    if not (length_a and length_b):
        return float("nan")
    return norm(a / length_a - b / length_b) ** 2 / 2

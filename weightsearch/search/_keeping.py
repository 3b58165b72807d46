"""What of a search is kept: which candidates, which arrays, which columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from weightsearch._identity import Unidentifiable, digest
from weightsearch._records import Weights
from weightsearch.exceptions import UnstorableWeightsWarning
from weightsearch.store import check_storable

__all__ = ["all_computed", "numeric_columns", "ranked", "same_bits", "storable"]


def ranked(search: Any, keep: int | str, fitted: Collection[int]) -> Sequence[int]:
    """Candidates to refit besides the best one, best-ranked first.

    Of candidates with equal params, such as those of several iterations, one is
    refit.

    Parameters
    ----------
    search : search
        With its ``cv_results_``.
    keep : int or "all"
    fitted : collection of int
        Candidates of which at least one split could be fitted; others are not refit.
    """
    results = search.cv_results_
    metric = search.refit if search.multimetric_ else "score"
    ranks = results.get(f"rank_test_{metric}") if isinstance(metric, str) else None
    if ranks is None:
        # A callable refit over several metrics has no ranking of its own.
        ranks = next(
            (column for name, column in results.items() if name[:10] == "rank_test_"),
            np.zeros(len(results["params"])),
        )
    order = search._refit_order(np.argsort(ranks, kind="stable"))
    once: dict[Any, int] = {}
    for index in (search.best_index_, *order):
        once.setdefault(_content(results["params"][index]), int(index))
    others = [index for index in list(once.values())[1:] if index in fitted]
    return others if isinstance(keep, str) else others[: keep - 1]


def _content(params: Mapping[str, Any]) -> Any:
    """What is equal for params that make equal fits."""
    try:
        return digest(sorted(params.items()))
    except Unidentifiable:
        return frozenset((name, id(value)) for name, value in params.items())


def storable(
    weights: Weights | None, notes: Sequence[Warning]
) -> tuple[Weights | None, list[Warning]]:
    """Leave out arrays of types that a store does not hold, with a note for each."""
    if weights is None:
        return None, list(notes)
    refused: dict[str, Warning] = {}
    for name, array in weights.items():
        try:
            check_storable(array.dtype, array.ndim, name)
        except TypeError as error:
            refused[name] = UnstorableWeightsWarning(f"{error} It is left out.")
    if not refused:
        return weights, list(notes)
    kept = {name: array for name, array in weights.items() if name not in refused}
    ties = {alias: name for alias, name in weights.ties.items() if name in kept}
    rest = Weights(kept, ties=ties, encodings=weights.encodings)
    return rest, [*notes, *refused.values()]


def all_computed(scores: Any, error_score: Any) -> bool:
    """Whether every score of a fit could be computed, as far as its value tells.

    Parameters
    ----------
    scores : float or dict of str -> float
        Infinite ones count: so does the log-likelihood of what is impossible.
    error_score : float or "raise"
        What stands for a score that could not be computed.
    """
    values = scores.values() if isinstance(scores, Mapping) else [scores]
    return not any(
        isinstance(value, str) or np.any(np.isnan(value)) or value == error_score
        for value in values
    )


def same_bits(a: Weights, b: Weights) -> bool:
    """Whether two sets of weights are equal bit for bit."""
    return list(a) == list(b) and all(
        x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
        for x, y in zip(a.values(), b.values(), strict=True)
    )


def numeric_columns(cv_results: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of ``cv_results_`` but the params, which are stored as text."""
    columns: Iterable[tuple[str, Any]] = (
        (name, np.asarray(column))
        for name, column in cv_results.items()
        if name != "params" and not name.startswith("param_")
    )
    return {name: column for name, column in columns if column.dtype.kind in "biufc"}

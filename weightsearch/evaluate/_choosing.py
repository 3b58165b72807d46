"""Another choice than the best-ranked candidate, from what a run has stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from weightsearch._records import Array
from weightsearch.exceptions import EvaluationError

__all__ = ["chosen", "n_weights", "stored_results"]


def chosen(rule: Any, cv_results: Mapping[str, Any]) -> int:
    """Return the candidate that a rule picks.

    Parameters
    ----------
    rule : callable
        As scikit-learn's `refit`: takes ``cv_results_`` and returns an index.
    cv_results : dict

    Raises
    ------
    TypeError, IndexError
        If a rule returns something else than the index of a candidate.
    """
    if not callable(rule):
        raise TypeError(
            "A rule is a callable that takes cv_results_ and returns an index, such as "
            f"weightsearch.choose.OneStandardError(); got {rule!r}."
        )
    index = rule(cv_results)
    count = len(cv_results["params"])
    if not isinstance(index, Integral):
        raise TypeError(f"The rule must return an integer, got {index!r}.")
    number = int(index)
    if not 0 <= number < count:
        raise IndexError(
            f"The rule returned {number}; candidates are numbered from 0 to "
            f"{count - 1}."
        )
    return number


def stored_results(run: Any) -> dict[str, Any]:
    """Return what a run has of ``cv_results_``, and the number of weights.

    Raises
    ------
    EvaluationError
        If the run has not ended, so that its results are not known.
    """
    columns = run._source.cv_results()
    if not columns:
        raise EvaluationError(
            f"Run {run.name} is {run.status}: a choice needs the results of all "
            "candidates."
        )
    params = [run.params(number) for number in range(len(run))]
    return {
        **_param_columns(params),
        "params": params,
        **columns,
        "n_weights": n_weights(run),
    }


def _param_columns(params: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return params as masked columns, as scikit-learn has them in ``cv_results_``."""
    found = {}
    for name in dict.fromkeys(name for one in params for name in one):
        absent = [name not in one for one in params]
        column = np.empty(len(params), dtype=object)
        # One by one: an assignment of all would take sequences apart.
        for number, one in enumerate(params):
            column[number] = one.get(name)
        kinds = {type(v) for v, gap in zip(column, absent, strict=True) if not gap}
        if kinds <= {int, float, bool} and not any(absent):
            column = np.array(column.tolist())
        found[f"param_{name}"] = np.ma.MaskedArray(column, mask=absent)
    return found


def n_weights(run: Any) -> Array:
    """Number of weights of each candidate: of its refit, or of a split's model.

    Returns
    -------
    numbers : ndarray of shape (n_candidates,), float
        NaN for candidates without weights.
    """
    table = run._table
    numbers = np.full(len(run), np.nan)
    # Refits have the smallest number of split, and count where there are any.
    order = np.lexsort([-table.split])
    rows = order[table.has_weights[order]]
    for specs, places in run._source.alike(rows):
        size = sum(int(np.prod(spec.shape)) for spec in specs.arrays)
        numbers[table.candidate[rows[places]]] = size
    return numbers

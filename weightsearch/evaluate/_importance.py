"""Permutation importance of a candidate, on the rows that each split tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state, get_tags

from weightsearch._records import Array
from weightsearch.evaluate._models import SplitModels, take
from weightsearch.evaluate._recalled import the_candidate
from weightsearch.exceptions import EvaluationError

__all__ = ["permutation_importance"]


def permutation_importance(
    run: Any,
    X: Any,
    y: Any,
    candidate: Any,
    *,
    scoring: Any,
    n_repeats: int,
    random_state: Any,
    max_samples: Any,
    n_jobs: int | None,
    verbose: int,
    **brought: Any,
) -> Any:
    """Implement :meth:`weightsearch.Run.permutation_importance`."""
    number = the_candidate(run, candidate)
    models = SplitModels(run, X, y, [number], needs_y=True, **brought)
    if len(getattr(models.X, "shape", ())) != 2:
        raise EvaluationError(
            "Permutation importance shuffles columns: X must be an array or a table."
        )
    if isinstance(random_state, np.random.RandomState):
        random_state = int(check_random_state(random_state).randint(2**31 - 1))
    options = {
        "scoring": scoring,
        "n_repeats": n_repeats,
        "random_state": random_state,
        "max_samples": max_samples,
    }
    found = models.ask(_importance, options, n_jobs=n_jobs, verbose=verbose)
    every = [answer for _, _, answer in found if answer is not None]
    names = getattr(models.X, "columns", None)
    if "importances" in every[0]:
        return _over_splits(every, names)
    return {
        metric: _over_splits([one[metric] for one in every], names)
        for metric in every[0]
    }


def _importance(
    model: Any, X: Any, y: Any, train: Array, test: Array, options: dict[str, Any]
) -> Any:
    # Here, since importing the package need not wait for it.
    from sklearn.inspection import permutation_importance as of_model

    if get_tags(model).input_tags.pairwise:
        raise EvaluationError(
            "A kernel matrix has no columns that could be shuffled by themselves."
        )
    target = None if y is None else take(y, test)
    return of_model(model, take(X, test), target, **options)


def _over_splits(every: list[Any], names: Any) -> Any:
    # (n_features, n_splits, n_repeats)
    importances = np.stack([one["importances"] for one in every], axis=1)
    return Bunch(
        importances_mean=importances.mean(axis=(1, 2)),
        importances_std=importances.std(axis=(1, 2)),
        importances=importances,
        feature_names=None if names is None else np.asarray(names),
    )

"""Parts of a ColumnTransformer or FeatureUnion, fitted by a function of ours."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from joblib import effective_n_jobs
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion
from sklearn.utils.parallel import delayed

from weightsearch._rebound import rebound

__all__ = ["fitted_parts", "fitting_parts", "part_names"]

_FITTED = {
    "fitted": False,
    "column_as_labels": False,
    "skip_drop": True,
    "skip_empty_columns": True,
}
"""How a ColumnTransformer chooses the parts that it fits."""


def part_names(step: Any) -> list[str]:
    """Return the names of the parts of a step; empty for steps of other classes."""
    if type(step) is ColumnTransformer:
        return [name for name, *_ in step.transformers]
    if type(step) is FeatureUnion:
        return [name for name, _ in step.transformer_list]
    return []


def fitted_parts(step: Any) -> dict[str, Any]:
    """Return the parts of a fitted ColumnTransformer or FeatureUnion by name."""
    if type(step) is ColumnTransformer:
        return dict(step.named_transformers_)
    return dict(step.transformer_list)


@contextmanager
def fitting_parts(step: Any, fit_part: Callable[..., Any]) -> Iterator[None]:
    """Fit the parts of `step` by a function of ours in this block.

    The method that fits them runs from its own code object, in which ``delayed`` is
    bound to ours. Not where other processes or threads fit them.

    Parameters
    ----------
    step : ColumnTransformer or FeatureUnion
    fit_part : callable
        ``(name, function, transformer, X, y, weight, **kwargs)``; the function is
        scikit-learn's, for all that comes after it.
    """
    if effective_n_jobs(step.n_jobs) != 1:
        yield
        return
    is_union = type(step) is FeatureUnion
    method = "_parallel_func" if is_union else "_call_func_on_transformers"
    plain = getattr(type(step), method)

    def fit(*args: Any, **kwargs: Any) -> Any:
        fitted = step._iter(**({} if is_union else _FITTED))
        names = (name for name, *_ in fitted)

        def of_part(function: Any) -> Any:
            return delayed(functools.partial(fit_part, next(names), function))

        return rebound(plain, {"delayed": of_part})(step, *args, **kwargs)

    vars(step)[method] = fit
    try:
        yield
    finally:
        del vars(step)[method]

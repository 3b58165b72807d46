"""Check the names of a grid before the first fit.

``get_params`` does not list every valid name: skorch and scikeras accept routed names
such as ``module__hidden_units``. So each candidate is set on a clone, as the search
will do it.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid, ParameterSampler

from weightsearch.exceptions import InvalidGridError

__all__ = ["check_candidates", "one_of_each"]


def check_candidates(estimator: Any, candidates: Iterable[Mapping[str, Any]]) -> None:
    """Raise before any fit if a candidate has a parameter that cannot be set.

    Parameters
    ----------
    estimator : estimator
    candidates : iterable of dict

    Raises
    ------
    InvalidGridError
        Names the key, the estimator and the nearest valid keys.
    """
    seen = set()
    for params in candidates:
        # Only estimators and classes as values can change which keys are valid.
        structure = frozenset(
            (key, id(value) if _has_params(value) else None)
            for key, value in params.items()
        )
        if structure in seen:
            continue
        seen.add(structure)
        error = _refusal(estimator, params)
        if error is not None:
            raise _explain(estimator, params, error) from error


def one_of_each(param_distributions: Any) -> Iterator[Mapping[str, Any]]:
    """Yield candidates that cover every name a randomized search draws from.

    Lists give their estimators and classes, each of them, or else their first
    value; a distribution gives a value that is drawn from a seed of our own.

    Raises
    ------
    TypeError
        If it is nothing to draw from, as scikit-learn raises it.
    """
    for distributions in ParameterSampler(param_distributions, 1).param_distributions:
        yield from ParameterGrid(
            {name: _examples(values) for name, values in distributions.items()}
        )


def _examples(values: Any) -> list[Any]:
    if hasattr(values, "rvs"):
        return [values.rvs(random_state=np.random.RandomState(0))]
    # Estimators to choose from are few; a range of numbers may be endless.
    structures = [value for value in islice(values, 1000) if _has_params(value)]
    return structures or list(islice(values, 1))


def _has_params(value: Any) -> bool:
    return hasattr(value, "get_params") or isinstance(value, type)


def _refusal(estimator: Any, params: Mapping[str, Any]) -> ValueError | None:
    """Return the estimator's error for these params, if it has one."""
    try:
        clone(estimator).set_params(**clone(dict(params), safe=False))
    except ValueError as error:
        return error
    except Exception:
        # Not about names; the search meets it too, in scikit-learn's own order.
        return None
    return None


def _explain(
    estimator: Any, params: Mapping[str, Any], error: ValueError
) -> InvalidGridError:
    key = _culprit(estimator, params)
    name = type(estimator).__name__
    reason = str(error).splitlines()[0].strip()
    suggestions = _suggestions(estimator, key)
    hint = ""
    if suggestions:
        hint = " Did you mean " + " or ".join(repr(s) for s in suggestions) + "?"
    return InvalidGridError(
        f"The grid's key {key!r} cannot be set on {name}.{hint} "
        f"No fit was started. The estimator says: {reason}",
        key=key,
        suggestions=suggestions,
    )


def _culprit(estimator: Any, params: Mapping[str, Any]) -> str:
    """Return the first key without which the others can be set, or that fails alone."""
    for key in params:
        others = {name: value for name, value in params.items() if name != key}
        if _refusal(estimator, others) is None:
            return key
    for key, value in params.items():
        if _refusal(estimator, {key: value}) is not None:
            return key
    return next(iter(params))


def _suggestions(estimator: Any, key: str) -> tuple[str, ...]:
    """Return valid keys close to `key`, nearest first."""
    names = _valid_names(estimator)
    last = key.rpartition("__")[2]
    same_end = [name for name in names if name.rpartition("__")[2] == last]
    close = difflib.get_close_matches(key, names, n=3, cutoff=0.6)
    close_end = [
        name
        for end in difflib.get_close_matches(
            last, {name.rpartition("__")[2] for name in names}, n=2, cutoff=0.75
        )
        for name in names
        if name.rpartition("__")[2] == end
    ]
    found = dict.fromkeys([*sorted(same_end, key=len), *close, *close_end])
    return tuple(name for name in found if name != key)[:3]


def _valid_names(estimator: Any) -> list[str]:
    """Return the names in ``get_params``, and the arguments of builders among them."""
    names = []
    for name, value in estimator.get_params(deep=True).items():
        names.append(name)
        if inspect.isfunction(value) or inspect.isclass(value):
            # scikeras routes to the builder by ``model__``, whatever it was given as.
            prefix = name.replace("build_fn", "model")
            names += [f"{prefix}__{argument}" for argument in _arguments(value)]
    return names


def _arguments(builder: Any) -> list[str]:
    try:
        parameters = inspect.signature(builder).parameters.values()
    except (TypeError, ValueError):  # builtins without a signature
        return []
    return [
        p.name
        for p in parameters
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]

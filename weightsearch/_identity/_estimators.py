"""Which params of an estimator, and what of its state, decide what it learns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from sklearn.base import BaseEstimator

NEUTRAL = ("n_jobs", "verbose", "pre_dispatch")
"""Params that change how a fit runs and what it prints, not what it learns."""

NOT_LEARNED = ("_skl_callbacks", "_sklearn_version")
"""Attributes that say nothing of what was learned."""

ALWAYS_KEPT = ("_metadata_request", "_sklearn_output_config")
"""Attributes that a clone takes over."""


def is_neutral(name: str) -> bool:
    """Tell whether a param, nested or not, has no say in what a fit learns."""
    return name.rpartition("__")[2] in NEUTRAL


def without_neutral(params: Mapping[str, Any]) -> dict[str, Any]:
    """Params without those that have no say in what a fit learns.

    Parameters
    ----------
    params : mapping of str to object

    Returns
    -------
    dict of str -> object
    """
    kept = {}
    for name, value in params.items():
        if is_neutral(name) or (name.endswith("memory") and _is_cache(value)):
            continue
        if type(value) is dict and name.endswith(("_kwargs", "_params")):
            value = {k: v for k, v in value.items() if k not in NEUTRAL}
        kept[name] = value
    return kept


def _is_cache(value: Any) -> bool:
    """Tell whether a ``memory`` param names a cache, as scikit-learn's do."""
    if value is None or isinstance(value, str | PurePath):
        return True
    return hasattr(value, "cache") and hasattr(value, "location")


def params_of(obj: Any) -> dict[str, Any] | None:
    """Return an estimator's own params; None for what is no estimator."""
    get_params = getattr(obj, "get_params", None)
    if not callable(get_params):
        return None
    try:
        params = get_params(deep=False)
    except (TypeError, AttributeError):  # not what scikit-learn means by it
        return None
    return params if isinstance(params, dict) else None


def is_frozen(obj: Any) -> bool:
    """Tell whether a clone of an estimator keeps what it has learned."""
    custom = getattr(type(obj), "__sklearn_clone__", None)
    return custom not in (None, getattr(BaseEstimator, "__sklearn_clone__", None))


def state_of(obj: Any) -> Mapping[str, Any]:
    """Return what an estimator holds besides its params, by name.

    Outside scikit-learn's base class, an estimator that says itself what its state
    is may hold a compiled model that nobody else can look into, as CatBoost's do.
    """
    held: dict[str, Any] = getattr(obj, "__dict__", {})
    custom = getattr(type(obj), "__getstate__", None)
    if isinstance(obj, BaseEstimator) or custom in (
        None,
        getattr(object, "__getstate__", None),
    ):
        return held
    state = obj.__getstate__()
    return state if isinstance(state, dict) else held

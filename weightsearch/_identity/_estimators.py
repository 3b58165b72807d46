"""Select the params and state of an estimator that decide what it learns."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import PurePath
from types import CodeType, FunctionType
from typing import Any

from joblib import Memory
from sklearn.base import BaseEstimator

from weightsearch._identity._origin import home

# Params that change how a fit runs and what it prints, not what it learns: on
# classes of which this is known. Anywhere else a param of that name counts.
_RUN = frozenset({"n_jobs", "verbose"})
_NEUTRAL: Mapping[str, frozenset[str]] = {
    "scikit-learn": _RUN | {"memory", "pre_dispatch"},
    "weightsearch": _RUN | {"pre_dispatch"},
    "imbalanced-learn": _RUN | {"memory"},
    "skorch": frozenset({"verbose"}),
    "scikeras": frozenset({"verbose", "fit__verbose", "predict__verbose"}),
    "xgboost": _RUN | {"nthread", "verbosity"},
    "lightgbm": _RUN | {"nthread", "num_threads", "silent", "verbosity"},
    "catboost": frozenset(
        {"logging_level", "silent", "thread_count", "verbose", "verbose_eval"}
    ),
}
_NEUTRAL_IN_FIT: Mapping[str, frozenset[str]] = {
    name: _NEUTRAL[name] & {"logging_level", "silent", "verbose", "verbose_eval"}
    for name in ("scikeras", "xgboost", "catboost")
}
_ANY_NEUTRAL = frozenset(
    name.rpartition("__")[2] for n in _NEUTRAL.values() for name in n
)

NOT_LEARNED = ("_skl_callbacks", "_sklearn_version")
"""Attributes that are not learned."""

ALWAYS_KEPT = ("_metadata_request", "_sklearn_output_config")
"""Attributes that a clone takes over."""


def deciding_params(owner: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params of an estimator, nested ones too, that decide its learning."""
    return {
        name: value
        for name, value in params.items()
        if name.rpartition("__")[2] not in _ANY_NEUTRAL
        or not _is_neutral(owner, name, value, params, "__init__")
    }


def deciding_fit_params(owner: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params of ``fit`` that decide what it learns."""
    return {
        name: value
        for name, value in params.items()
        if name.rpartition("__")[2] not in _ANY_NEUTRAL
        or not _is_neutral(owner, name, value, {}, "fit")
    }


def _is_neutral(
    owner: Any,
    name: str,
    value: Any,
    params: Mapping[str, Any],
    method: str,
    prefix: str = "",
) -> bool:
    """Whether a param does not affect what its owner learns."""
    cls = type(owner)
    known = _ran_only(cls, name, method)  # type: ignore[arg-type]
    if known and not _used_by_own_code(cls, name):
        return name != "memory" or _is_cache(value)
    step, _, rest = name.partition("__")
    if not rest:
        return False
    place = f"{prefix}{step}"
    # A candidate may bring another step: it is the one that gets the nested param.
    inner = params[place] if place in params else _nested(owner, step)
    if isinstance(inner, type) or not hasattr(inner, "get_params"):
        return False
    return _is_neutral(inner, rest, value, params, method, f"{place}__")


def _nested(owner: Any, name: str) -> Any:
    try:
        return owner.get_params(deep=True).get(name)
    except Exception:  # whatever a foreign class raises, the param counts
        return None


@lru_cache(maxsize=1024)
def _ran_only(cls: type, name: str, method: str) -> bool:
    """Whether the class that takes a param is known not to learn from it."""
    neutral = _NEUTRAL if method == "__init__" else _NEUTRAL_IN_FIT
    catching = None
    for base in cls.__mro__[:-1]:
        function = vars(base).get(method)
        if not isinstance(function, FunctionType):
            continue
        parameters = inspect.signature(function).parameters
        if name in parameters:
            catching = base
            break
        kinds = {parameter.kind for parameter in parameters.values()}
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
        catching = catching or base
    makers = home(catching.__module__) if catching is not None else None
    return any(name in neutral.get(maker, ()) for maker in makers or ())


def _used_by_own_code(cls: type, name: str) -> bool:
    """Whether code of a user's class uses a param that it has inherited."""
    return any(
        name in (*code.co_names, *code.co_consts)
        for base in cls.__mro__[:-1]
        if home(base.__module__) is None
        for value in vars(base).values()
        for code in _codes(getattr(value, "__wrapped__", value))
    )


def _codes(value: Any) -> Iterator[CodeType]:
    function = getattr(value, "fget", getattr(value, "__func__", value))
    todo: list[Any] = [function.__code__] if isinstance(function, FunctionType) else []
    while todo:
        code = todo.pop()
        yield code
        todo += [const for const in code.co_consts if isinstance(const, CodeType)]


def _is_cache(value: Any) -> bool:
    """Whether a ``memory`` param names a cache, as scikit-learn's do."""
    return value is None or isinstance(value, str | PurePath | Memory)


def params_of(obj: Any) -> dict[str, Any] | None:
    """Return an estimator's own params; None for what is not an estimator."""
    get_params = getattr(obj, "get_params", None)
    if not callable(get_params):
        return None
    try:
        params = get_params(deep=False)
    except (TypeError, AttributeError):  # not what scikit-learn means by it
        return None
    return params if isinstance(params, dict) else None


def is_frozen(obj: Any) -> bool:
    """Whether a clone of an estimator keeps what it has learned."""
    custom = getattr(type(obj), "__sklearn_clone__", None)
    return custom not in (None, getattr(BaseEstimator, "__sklearn_clone__", None))


def state_of(obj: Any) -> Mapping[str, Any]:
    """Return what an estimator holds besides its params, by name.

    Outside scikit-learn's base class, an estimator with its own ``__getstate__``
    may hold a compiled model that cannot be inspected otherwise, as CatBoost's do.
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

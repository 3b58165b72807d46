"""Add the tracking params to the constructor of any search class."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from weightsearch.search._sklearn import BaseSearchCV

__all__ = ["take_tracking_params"]

_DEFAULTS = {
    "store": None,
    "capture": "refit",
    "keep": "all",
    "resume": True,
    "compression": None,
    "snapshots": None,
    "share_prefixes": True,
}
"""Names and defaults of the tracking params, in order."""


def take_tracking_params(cls: type, base: type) -> None:
    """Add the tracking params to a new search class.

    Parameters
    ----------
    cls : type
        Derived from `base`, from scikit-learn's ``BaseSearchCV`` or one of its
        searches. Below one that has the params Python's own rules hold.
    base : type
        Has the constraints of these params.

    Raises
    ------
    TypeError
        If a search comes after `base` in the bases, which would skip its ``fit``.
    """
    # By __mro__, not issubclass: abstract classes cache its answers, and for
    # a class that is still being made they are wrong.
    above = cls.__mro__[1:]
    for late in above[above.index(base) + 1 :]:
        # Between the two stand only classes that belong to `base` itself.
        if BaseSearchCV in late.__mro__ and late not in base.__mro__:
            raise TypeError(
                f"{cls.__name__} would not run {late.__name__}.fit: among its bases "
                f"{late.__name__} has to come before {base.__name__}."
            )
    changed: Any = cls
    changed._parameter_constraints = {
        **changed._tracking_constraints,
        **changed._parameter_constraints,
    }
    if changed._run_search is BaseSearchCV._run_search:
        return  # a mixin for searches
    if not any(
        base in other.__mro__[1:] and "__init__" in vars(other) for other in above
    ):
        changed.__init__ = _with_tracking_params(changed.__init__)


def _with_tracking_params(init: Callable[..., None]) -> Callable[..., None]:
    """Add the tracking params that a constructor does not already have.

    The signature is where ``get_params`` finds the names.
    """
    signature = inspect.signature(init)
    added = {
        name: default
        for name, default in _DEFAULTS.items()
        if name not in signature.parameters
    }
    if not added:
        return init

    # Not __dict__: there BaseSearchCV's constructor says that it is abstract.
    @functools.wraps(init, updated=())
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        chosen = {name: kwargs.pop(name, added[name]) for name in added}
        init(self, *args, **kwargs)
        for name, value in chosen.items():
            setattr(self, name, value)

    parameters = [
        *signature.parameters.values(),
        *(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
            for name, default in added.items()
        ),
    ]
    # **kwargs, if there is one, has to come last.
    parameters.sort(key=lambda parameter: parameter.kind)
    __init__.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=parameters
    )
    return __init__

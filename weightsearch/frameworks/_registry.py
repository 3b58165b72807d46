"""Registry of weight extractors, looked up along an estimator's class hierarchy.

A class is looked up along its method resolution order, so a user's subclass of a
known class is known too. The module of a framework is imported only when the first
estimator of that framework is met.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from weightsearch._records import Weights
from weightsearch._views import expand
from weightsearch.exceptions import NoWeightsWarning, UnstorableWeightsWarning
from weightsearch.frameworks._session import Session, leave_out, merge, session

__all__ = [
    "Extractor",
    "collect_weights",
    "extract_parts",
    "extract_weights",
    "find_extractor",
    "framework_module",
    "frameworks_at_hand",
    "leave_out",
    "merge",
    "qualified_name",
    "register_extractor",
    "registered_extractors",
    "use_extractors",
]

Extractor = Callable[[Any], Weights]
"""Function from a fitted estimator to its weights."""

_FALLBACK = "weightsearch.frameworks.sklearn"

_BUILTIN = {
    "sklearn": _FALLBACK,
    "catboost": "weightsearch.frameworks.boosting",
    "imblearn": "weightsearch.frameworks.imblearn",
    "keras": "weightsearch.frameworks.keras",
    "lightgbm": "weightsearch.frameworks.boosting",
    "scikeras": "weightsearch.frameworks.keras",
    "skorch": "weightsearch.frameworks.torch",
    "torch": "weightsearch.frameworks.torch",
    "xgboost": "weightsearch.frameworks.boosting",
}
"""Root package of a class -> the module that knows it.

Its ``EXTRACTORS`` extract weights. Its ``REBUILDERS``, if any, rebuild estimators that
are more than Python objects.
"""

_registered: dict[type | str, Extractor] = {}


def extract_weights(estimator: Any) -> Weights:
    """Get what a fitted estimator has learned, as named arrays.

    Names are the framework's own: fitted attributes in scikit-learn, with the index
    of a list after a slash (``coefs_/0``), ``state_dict`` keys in PyTorch, variable
    paths in Keras. The name of a pipeline's step or of another part comes first
    (``mlpclassifier/coefs_/0``). Equal architectures have equal names.

    Parameters
    ----------
    estimator : object
        A fitted estimator: of scikit-learn, in its style, of a known framework, or
        of a class given to :func:`register_extractor`.

    Returns
    -------
    Weights
        Name -> ndarray, in the model's order, bit for bit, with the model's dtype
        and memory order. The arrays may share the model's memory: copy them if you
        continue its training, and never write to them.

    Raises
    ------
    TypeError
        If `estimator` is a class, or cannot be fitted.
    sklearn.exceptions.NotFittedError
        If `estimator` is not fitted.

    Warns
    -----
    NoWeightsWarning
        If the estimator has no weights; says why.
    UnstorableWeightsWarning
        If something that was learned cannot be stored; names it.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> weights = extract_weights(LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0]))
    >>> list(weights)
    ['coef_', 'intercept_']
    """
    if isinstance(estimator, type):
        raise TypeError(
            f"{estimator.__name__} is a class; extract_weights takes a fitted instance."
        )
    cls = type(estimator)
    if find_extractor(cls) is None and not hasattr(estimator, "fit"):
        raise TypeError(
            f"{qualified_name(cls)} is not an estimator: it has no fit method. "
            "Register a function that extracts its weights with "
            "weightsearch.register_extractor."
        )
    check_fitted = getattr(_resolve(cls)[1], "check_fitted", None)
    if check_fitted is not None:
        check_fitted(estimator)

    weights, notes = _extract(estimator)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return expand(weights)


def collect_weights(estimator: Any) -> tuple[Weights | None, list[Warning]]:
    """Get the weights of an estimator that has just been fitted, without warning.

    For workers, whose warnings would be lost.

    Parameters
    ----------
    estimator : object
        Known to be fitted: one without fitted attributes has no weights.

    Returns
    -------
    weights : Weights
        As from :func:`extract_weights`; empty if there are none. None if an extractor
        failed: its error must not abort the search.
    notes : list of Warning
        What :func:`extract_weights` would have warned about.
    """
    try:
        return _extract(estimator)
    except NotFittedError as error:
        name = type(estimator).__name__
        return Weights(), [NoWeightsWarning(f"{name} has no weights to store: {error}")]
    except Exception as error:
        name = type(estimator).__name__
        return None, [
            UnstorableWeightsWarning(
                f"The weights of {name} could not be extracted and are not stored: "
                f"{type(error).__name__}: {error}"
            )
        ]


def register_extractor(type_or_name: type | str, extractor: Extractor) -> None:
    """Register a function that extracts the weights of a class and its subclasses.

    A later registration for the same class replaces an earlier one, and any
    registration takes precedence over what is built in for that class.

    Parameters
    ----------
    type_or_name : type or str
        The class, or its qualified name ``"module.Qualname"``, so that its module
        need not be imported.
    extractor : callable
        Takes a fitted instance and returns its :class:`Weights`, or any mapping of
        names to arrays. It should raise
        :class:`sklearn.exceptions.NotFittedError` where the instance is not fitted,
        and must neither train nor predict.

    Raises
    ------
    TypeError
        If `type_or_name` is neither a class nor a str, or `extractor` cannot be
        called.
    ValueError
        If a name has no module.

    Examples
    --------
    >>> register_extractor("some_package.Booster", lambda booster: booster.leaves())
    """
    if not isinstance(type_or_name, (type, str)):
        raise TypeError(
            f"type_or_name must be a class or its qualified name, got {type_or_name!r}."
        )
    if isinstance(type_or_name, str) and "." not in type_or_name.strip("."):
        raise ValueError(
            f"{type_or_name!r} is not a qualified name: write it as 'module.Qualname'."
        )
    if not callable(extractor):
        raise TypeError(f"extractor must be callable, got {extractor!r}.")
    _registered[type_or_name] = extractor


def registered_extractors() -> dict[type | str, Extractor]:
    """Return a copy of the user's registrations, to be sent to worker processes."""
    return dict(_registered)


def use_extractors(extractors: Mapping[type | str, Extractor]) -> None:
    """Add the registrations of the process that sent the task."""
    _registered.update(extractors)


def extract_parts(parts: Iterable[tuple[str, Any]]) -> Weights:
    """Extract the parts of a composite, each under its name.

    For use in extractors. Parts do not warn: what they leave out is named in the
    warning about the whole.

    Parameters
    ----------
    parts : iterable of (str, object)
        Names and fitted parts. An empty name adds no prefix. None, and words such
        as "drop" and "passthrough" in place of a part, are skipped.

    Returns
    -------
    Weights
        ``"<name>/<name in the part>"`` -> ndarray, ties and encodings alike. A part
        that is not fitted, or that contains the whole, has no weights.
    """
    merged = Weights()
    with session() as (current, _):
        for name, part in parts:
            if part is None or isinstance(part, str) or id(part) in current.active:
                continue
            with current.within(name, part):
                merge(merged, _run_part(part), name)
    return merged


def find_extractor(cls: type) -> Extractor | None:
    """Return the extractor of a class or of its nearest known base, if any."""
    found = _find(cls)
    return None if found is None else found[0]


def framework_module(name: str) -> ModuleType | None:
    """Return the module that knows classes of this qualified name's package."""
    path = _BUILTIN.get(name.partition(".")[0])
    return None if path is None else import_module(path)


def frameworks_at_hand() -> bool:
    """Whether any framework besides scikit-learn has been imported."""
    return any(root in sys.modules for root in _BUILTIN if root != "sklearn")


def qualified_name(cls: type) -> str:
    """``module.Qualname`` of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def _find(cls: type) -> tuple[Extractor, ModuleType | None] | None:
    """Extractor of a class, with the framework's module unless the user gave it."""
    return _find_any(cls) if _registered else _find_built_in(cls)


@lru_cache(maxsize=4096)
def _find_built_in(cls: Any) -> tuple[Extractor, ModuleType | None] | None:
    return next(filter(None, map(_built_in, cls.__mro__)), None)


def _find_any(cls: type) -> tuple[Extractor, ModuleType | None] | None:
    for base in cls.__mro__:
        registered = _registered.get(base) or _registered.get(qualified_name(base))
        if registered is not None:
            return registered, None
        builtin = _built_in(base)
        if builtin is not None:
            return builtin
    return None


@lru_cache(maxsize=1024)
def _built_in(cls: type) -> tuple[Extractor, ModuleType] | None:
    """Built-in extractor of this very class, not of its bases."""
    module = framework_module(qualified_name(cls))
    if module is None:
        return None
    extractor = module.EXTRACTORS.get(qualified_name(cls))
    return None if extractor is None else (extractor, module)


def _resolve(cls: type) -> tuple[Extractor, ModuleType | None]:
    """As :func:`_find`; an unknown class is treated as in scikit-learn's style."""
    found = _find(cls)
    if found is None:
        module = import_module(_FALLBACK)
        found = module.extract_attributes, module
    return found


def _extract(estimator: Any) -> tuple[Weights, list[Warning]]:
    with session() as (current, outermost):
        current.active.add(id(estimator))
        try:
            weights = _run(estimator)
        finally:
            current.active.discard(id(estimator))
    # A part does not warn: the whole warns about all of its parts.
    return weights, _notes(estimator, weights, current) if outermost else []


def _run(estimator: Any) -> Weights:
    extractor, _ = _resolve(type(estimator))
    weights = extractor(estimator)
    if isinstance(weights, Weights):
        return weights
    # A short extractor may well return a plain dict, even of lists.
    return Weights({name: np.asarray(value) for name, value in weights.items()})


def _run_part(part: Any) -> Weights:
    try:
        return _run(part)
    except NotFittedError:
        # The whole is fitted, so this part is a template that was only cloned.
        return Weights()


def _notes(estimator: Any, weights: Weights, current: Session) -> list[Warning]:
    """Build the warnings about the whole."""
    notes = list(current.notes)
    name = type(estimator).__name__
    if current.left_out:
        what = "; ".join(f"{path}: {reason}" for path, reason in current.left_out)
        notes.append(
            UnstorableWeightsWarning(
                f"Some of what {name} learned cannot be stored and is left out. {what}."
            )
        )
    if not weights:
        _, module = _resolve(type(estimator))
        explain = getattr(module, "why_no_weights", None)
        why = "it has no arrays" if explain is None else explain(estimator)
        notes.append(
            NoWeightsWarning(
                f"{name} has no weights to store: {why}. If it has them elsewhere, "
                "register a function that extracts them with "
                "weightsearch.register_extractor."
            )
        )
    return notes

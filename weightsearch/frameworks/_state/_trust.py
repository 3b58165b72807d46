"""Types that a rebuilt model may consist of: our list, and the caller's own."""

from __future__ import annotations

import copyreg
import functools
import importlib
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from weightsearch._identity import Unidentifiable, digest
from weightsearch._identity._origin import home, module_of
from weightsearch.exceptions import RebuildError
from weightsearch.frameworks._registry import qualified_name
from weightsearch.frameworks._state._parts import content_of, rebuilder_of

__all__ = [
    "CallerObjects",
    "Form",
    "content_digest",
    "name_of",
    "plain_class",
    "trusted_object",
]

_BUILTINS = frozenset(
    "NoneType abs all any bool bytes complex dict divmod enumerate float frozenset int "
    "len list map max min object pow range reversed round set sorted str sum tuple "
    "zip".split()
)
_VALUES = ("bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple")
"""Builtin types whose methods compute."""

_LISTED = frozenset(
    {
        # Plain Python objects of numbers, arrays and estimators.
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.cluster._birch._CFNode",
        "sklearn.cluster._birch._CFSubcluster",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.compose._column_transformer._RemainderColsList",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.impute._iterative._ImputerTriplet",
        "sklearn.multiclass._ConstantPredictor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.preprocessing._label._unique_bincount",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
        "sklearn.metrics._scorer._CurveScorer",
        "sklearn.metrics._scorer._MultimetricScorer",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.metrics._scorer._Scorer",
        "keras.src.wrappers.utils.TargetReshaper",
        "scikeras.utils.transformers.ClassifierLabelEncoder",
        "scikeras.utils.transformers.RegressorTargetEncoder",
        "scikeras.utils.transformers.TargetReshaper",
        # Holds one estimator.
        "weightsearch.evaluate._members.Member",
        # Has a __setstate__ that computes, and executes nothing of the state.
        "sklearn.isotonic.IsotonicRegression",
        # Functions that compute.
        "numpy.max",
        "numpy.mean",
        "numpy.median",
        "numpy.min",
        "numpy.sum",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "sklearn.utils.validation.check_array",
        "sklearn.utils.validation.column_or_1d",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        # Compiled; what they hold is checked.
        "scipy.interpolate._bsplines.BSpline",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    }
)

_CLOSED = ("conftest", "externals", "tests", "_build_utils", "experimental")
"""Parts of scikit-learn's module names that are never trusted."""

_SAFE_SETSTATE = frozenset(
    {"sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"}
)
"""Classes whose ``__setstate__`` only sets attributes."""

_REDUCE: tuple[Any, Any] = (object.__reduce__, object.__reduce_ex__)
_PLAIN_GETSTATE = (object.__getstate__, BaseEstimator.__getstate__)
_PLAIN_SETSTATE = (None, BaseEstimator.__setstate__)
_VERSION = "_sklearn_version"


# -- names -----------------------------------------------------------------------


def name_of(value: Any) -> str:
    """Qualified name of a class, function or module."""
    if isinstance(value, types.ModuleType):
        return value.__name__
    name = getattr(value, "__qualname__", None) or value.__name__
    return f"{module_of(value)}.{name}"


@lru_cache(maxsize=4096)
def trusted_object(name: str) -> Any:
    """Return what a trusted name refers to; None if it is not trusted.

    Only scikit-learn, numpy, scipy, and the modules of the list are imported.
    """
    module_name, _, last = name.rpartition(".")
    root = module_name.partition(".")[0]
    if module_name == "builtins":
        return _resolved(name) if last in _BUILTINS else None
    if root == "builtins":
        found = _resolved(name)
        is_method = isinstance(found, types.MethodDescriptorType)
        return found if is_method and module_name[9:] in _VALUES else None
    if name in _LISTED:
        return _resolved(name)
    if root in ("numpy", "scipy"):
        if module_name not in ("numpy", "numpy.dtypes", "scipy.special"):
            return None
        found = _resolved(name)
        is_type = isinstance(found, type) and issubclass(found, np.generic)
        return found if is_type or isinstance(found, np.ufunc) else None
    if name.startswith("torch.nn.modules."):
        found = _resolved(name)
        return found if isinstance(found, type) and _is_layer(found) else None
    if root not in ("sklearn", "imblearn") or any(
        part in _CLOSED for part in name.split(".")
    ):
        return None
    found = _resolved(name)
    if isinstance(found, type):
        return found if _is_safe_class(found) else None
    return found if _is_public_function(found) else None


def _is_layer(cls: type) -> bool:
    return any(qualified_name(base) == _MODULE for base in cls.__mro__)


_MODULE = "torch.nn.modules.module.Module"


def _is_safe_class(cls: type) -> bool:
    if not cls.__module__.startswith(("sklearn.", "imblearn.")):
        return False
    form = plain_class(cls)
    if form is None or form.sets_itself:
        return False
    return issubclass(cls, BaseEstimator) or issubclass(cls, _safe_bases())


@lru_cache(maxsize=1)
def _safe_bases() -> tuple[type, ...]:
    """Bases of plain classes of parameters: kernels, splitters, losses, links."""
    from sklearn._loss.link import BaseLink, Interval
    from sklearn._loss.loss import BaseLoss
    from sklearn.gaussian_process.kernels import Hyperparameter, Kernel
    from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit

    return (
        BaseCrossValidator,
        BaseLink,
        BaseLoss,
        BaseShuffleSplit,
        Hyperparameter,
        Interval,
        Kernel,
    )


def _is_public_function(found: Any) -> bool:
    """Whether it is a metric or a function that scores features."""
    import sklearn.feature_selection
    import sklearn.metrics

    return isinstance(found, types.FunctionType) and any(
        found is getattr(module, name, None)
        for module in (sklearn.metrics, sklearn.feature_selection)
        for name in module.__all__
    )


def _resolved(name: str) -> Any:
    """Import what a dotted name refers to; None if there is nothing."""
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        return found
    return None


# -- classes -----------------------------------------------------------------------


@dataclass(frozen=True)
class Form:
    """How the attributes of a class's objects are captured and set.

    Attributes
    ----------
    sets_itself : bool
        Whether the class has a ``__setstate__`` of its own, which runs when an object
        is rebuilt.
    state : callable
        Returns the attributes of an object, name -> value.
    slots : frozenset of str
        Attributes that are not in the object's ``__dict__``.
    """

    sets_itself: bool
    state: Callable[[Any], Mapping[str, Any]]
    slots: frozenset[str] = frozenset()


@lru_cache(maxsize=4096)
def plain_class(cls: Any) -> Form | None:
    """Return the form of a class; None if only pickle could store its objects."""
    special = ("__getnewargs__", "__getnewargs_ex__")
    if (
        cls.__reduce__ is not _REDUCE[0]
        or cls.__reduce_ex__ is not _REDUCE[1]
        or cls in copyreg.dispatch_table
        or any(hasattr(cls, name) for name in special)
        or issubclass(cls, _CONTAINERS)
        or not _is_python(cls)
    ):
        return None
    name = qualified_name(cls)
    set_state: Any = getattr(cls, "__setstate__", None)
    own = set_state not in _PLAIN_SETSTATE and name not in _SAFE_SETSTATE
    get_state: Any = cls.__getstate__
    slots: list[str] = copyreg._slotnames(cls)  # type: ignore[attr-defined]
    state: Callable[[Any], Mapping[str, Any]]
    state = functools.partial(_attributes, slots)
    if get_state not in _PLAIN_GETSTATE or own:
        state = _own_state
    return Form(own, state, frozenset(slots))


_CONTAINERS = (dict, list, tuple, set, frozenset, str, bytes, int, float, np.ndarray)


def _is_python(cls: type) -> bool:
    """Whether objects hold only attributes, as far as can be seen."""
    # Other content of a compiled class would be lost.
    heap_type = 1 << 9
    size = object.__basicsize__
    for base in cls.__mro__[:-1]:
        compiled = not base.__flags__ & heap_type or _is_cython(base)
        if compiled and base.__basicsize__ > size:
            return False
    return True


def _is_cython(cls: type) -> bool:
    return any(name.startswith("__pyx_") for name in vars(cls))


_CALLBACKS = frozenset(
    {
        "_callback_fit_ctx",
        "_parent_callback_ctx",
        "_skl_callbacks",
        "_skl_callbacks_to_teardown",
    }
)
"""Callbacks of a fit (scikit-learn 1.9): not part of what was fitted."""


def _attributes(slots: list[str], value: Any) -> Mapping[str, Any]:
    state: dict[str, Any] = getattr(value, "__dict__", {})
    if not _CALLBACKS.isdisjoint(state):
        state = {name: state[name] for name in state if name not in _CALLBACKS}
    if not slots:
        return state
    held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return {**state, **held}


def _own_state(value: Any) -> Mapping[str, Any]:
    state = value.__getstate__()
    if not isinstance(state, dict) or not all(type(name) is str for name in state):
        raise TypeError(f"{qualified_name(type(value))} has a state that is not a dict")
    return {name: item for name, item in state.items() if name != _VERSION}


# -- the caller's objects -------------------------------------------------------------


def content_digest(value: Any) -> str:
    """Digest of the content of a function, class or object."""
    return digest(content_of(value))


class CallerObjects:
    """Functions, classes and objects in the caller's own estimator and params.

    Parameters
    ----------
    root : object
        An estimator, or a tuple of estimators and values of params.
    trusted : iterable of str or type
        Further types that the caller trusts.
    fitted : bool, default=True
        Whether what estimators hold besides their params counts.
    """

    def __init__(
        self, root: Any, trusted: Iterable[str | type] = (), *, fitted: bool = True
    ):
        self._found: dict[str, list[Any]] = {}
        self._digests: dict[int, str | None] = {}
        for item in _held(root, fitted=fitted):
            self._add(item)
        # By the whole name: others may have the same last part.
        self._trusted = {
            item if isinstance(item, str) else name_of(item): item for item in trusted
        }

    def _add(self, item: Any) -> None:
        name = name_of(item) if _has_name(item) else qualified_name(type(item))
        known = self._found.setdefault(_last(name), [])
        if not any(one is item for one in known):
            known.append(item)

    def find(self, name: str, content: str, place: str, *, is_class: bool) -> Any:
        """Find the object of a name and digest; None if nothing of the name was passed.

        Parameters
        ----------
        name : str
            Its qualified name when it was stored.
        content : str
            Its digest.
        place : str
            Its path in the model, for errors.
        is_class : bool
            Whether it must be a class.

        Raises
        ------
        RebuildError
            If the object of that name has another content.
        """
        found = [
            item
            for item in self._found.get(_last(name), ())
            if not is_class or isinstance(item, type)
        ]
        if name in self._trusted:
            known = self._trusted[name]
            found.append(_resolved(known) if isinstance(known, str) else known)
        if not found:
            found = self._beside(_last(name)) or self._of_package(name)
        for item in found:
            if self._digest(item) == content:
                return item
        if found:
            raise RebuildError(
                f"{place} was {name}, which differs from the one of this name in the "
                "estimator that you passed. Pass estimator= as it was searched, with "
                "the value that this candidate had"
            )
        return None

    def _beside(self, name: str) -> list[Any]:
        """Objects of that name in the modules of the objects that were passed."""
        modules = {
            item.__module__: sys.modules.get(item.__module__)
            for items in self._found.values()
            for item in items
            if isinstance(item, type | types.FunctionType)
            and home(item.__module__) is None
        }
        found = [getattr(module, name, None) for module in modules.values()]
        return [
            item
            for item in found
            if isinstance(item, type | types.FunctionType)
            and item.__module__ in modules
        ]

    def _of_package(self, name: str) -> list[Any]:
        """The class of that name, if its package has a class that was passed."""
        module, _, last = name.rpartition(".")
        root = module.partition(".")[0]
        found = getattr(sys.modules.get(module), last, None)
        passed = (item for items in self._found.values() for item in items)
        if isinstance(found, type) and any(
            isinstance(item, type) and item.__module__.partition(".")[0] == root
            for item in passed
        ):
            return [found]
        return []

    def trusts(self, name: str) -> bool:
        """Whether the caller has named a type in ``trusted``."""
        return name in self._trusted

    def _digest(self, item: Any) -> str | None:
        key = id(item)
        if key not in self._digests:
            try:
                self._digests[key] = content_digest(item)
            except Unidentifiable:
                self._digests[key] = None
        return self._digests[key]


def _last(name: str) -> str:
    # Code may move from a script to a module.
    return name.rpartition(".")[2]


def _has_name(item: Any) -> bool:
    return isinstance(item, type | types.ModuleType | np.ufunc) or (
        callable(item) and hasattr(item, "__name__")
    )


def _held(root: Any, *, fitted: bool) -> Iterator[Any]:
    """Yield the objects in an estimator's params, each with its class.

    Includes the content of containers and of plain objects.
    """
    seen: dict[int, Any] = {}
    todo = [root]
    while todo:
        item = todo.pop()
        if item is None or type(item) in _LEAVES or id(item) in seen:
            continue
        seen[id(item)] = item
        if isinstance(item, dict):
            todo += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple | set | frozenset):
            todo += item
        elif isinstance(item, np.ndarray):
            todo += item.ravel().tolist() if item.dtype == object else []
        elif isinstance(item, functools.partial):
            todo += [item.func, item.args, item.keywords]
        elif isinstance(item, types.MethodType):
            todo += [item.__self__]
            yield item
        elif _has_name(item):
            yield item
        else:
            yield item
            # Methods of its bases are found through it.
            cls: Any = type(item)
            yield cls
            if hasattr(item, "get_params"):
                todo += item.get_params(deep=False).values()
                if not fitted:
                    continue
            # Attributes too: a fitted one may hold more than its params.
            if rebuilder_of(cls) is None and plain_class(cls):
                todo += getattr(item, "__dict__", {}).values()


_LEAVES = (bool, int, float, complex, str, bytes)

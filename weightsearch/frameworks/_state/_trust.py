"""Which types of a stored model are constructed: ours, and those the caller brings."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable, Iterator
from typing import Any

from sklearn.base import BaseEstimator

from weightsearch.frameworks._registry import qualified_name
from weightsearch.frameworks._state._parts import Part, rebuilder_of

__all__ = ["Brought", "names_of", "trusted_names"]

_OWN = (
    qualified_name(Part),
    # Safe whatever is in them: what they call or hold must be trusted by itself.
    "functools.partial",
    "numpy.dtype",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._MultimetricScorer",
    "sklearn.metrics._scorer._Scorer",
    # Plain Python objects of numbers, arrays and estimators.
    "sklearn.impute._iterative.IterativeImputer",
    "sklearn.model_selection._search_successive_halving.HalvingGridSearchCV",
    "sklearn.model_selection._search_successive_halving.HalvingRandomSearchCV",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.impute._iterative._ImputerTriplet",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "keras.src.wrappers.utils.TargetReshaper",
    "scikeras.utils.transformers.ClassifierLabelEncoder",
    "scikeras.utils.transformers.RegressorTargetEncoder",
    "scikeras.utils.transformers.TargetReshaper",
    # Functions that compute.
    "numpy.max",
    "numpy.mean",
    "numpy.median",
    "numpy.min",
    "numpy.sum",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "sklearn.cluster._kmeans._kmeans_single_elkan",
    "sklearn.cluster._kmeans._kmeans_single_lloyd",
    # Compiled, and so not safe with every content: looked at in _checks.py.
    "scipy.interpolate._bsplines.BSpline",
    "scipy.sparse._csc.csc_array",
    "scipy.sparse._csc.csc_matrix",
    "scipy.sparse._csr.csr_array",
    "scipy.sparse._csr.csr_matrix",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
)
_METRICS = ("Chebyshev", "Euclidean", "Manhattan", "Minkowski")


def trusted_names() -> list[str]:
    """Return the types that are trusted besides those that skops trusts."""
    import sklearn.feature_selection
    import sklearn.gaussian_process.kernels as kernels
    import sklearn.metrics
    import sklearn.model_selection as selection

    found: list[Any] = []
    for module in (sklearn.metrics, sklearn.feature_selection):
        public = (getattr(module, name, None) for name in module.__all__)
        found += [item for item in public if isinstance(item, types.FunctionType)]
    found += [
        item
        for item in vars(kernels).values()
        if isinstance(item, type) and issubclass(item, kernels.Kernel)
    ]
    splitters = (selection.BaseCrossValidator, selection.BaseShuffleSplit)
    found += [
        item
        for item in vars(selection).values()
        if isinstance(item, type) and issubclass(item, splitters)
    ]
    distances = [
        f"sklearn.metrics._dist_metrics.{name}Distance{bits}"
        for name in _METRICS
        for bits in ("", "32", "64")
    ]
    return [*_OWN, *distances, *names_of(found)]


_FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    functools.partial,
)


def names_of(trusted: Iterable[str | type]) -> list[str]:
    """Return qualified names of types, functions or such names."""
    return [
        item if isinstance(item, str) else f"{item.__module__}.{item.__name__}"
        for item in trusted
    ]


class Brought:
    """What a caller's own estimator brings: it need not be imported by its name.

    Parameters
    ----------
    template : estimator or None

    Attributes
    ----------
    objects : dict of str -> object
        Functions and classes among its params, by qualified name.
    trusted : list of str
        Classes of its parts, whose state may be put into them.
    """

    def home_of(self, name: str) -> str | None:
        """Give the module that has what was in the script when it was stored.

        Parameters
        ----------
        name : str
            Without a module.

        Returns
        -------
        module : str or None
            None if there is none, or more than one.
        """
        found = {
            known.rpartition(".")[0]
            for known in (*self.objects, *self.trusted)
            if known.rpartition(".")[2] == name
        }
        return found.pop() if len(found) == 1 else None

    def __init__(self, template: Any):
        self.objects: dict[str, Any] = {}
        self.trusted: list[str] = []
        for item in _values(template):
            if isinstance(item, (type, *_FUNCTIONS)) and hasattr(item, "__name__"):
                self.objects[f"{item.__module__}.{item.__name__}"] = item
            elif not isinstance(item, type) and _takes_plain_state(type(item)):
                self.trusted.append(f"{type(item).__module__}.{type(item).__name__}")


def _takes_plain_state(cls: type) -> bool:
    """Whether putting a state into an instance runs nothing of its own.

    skorch's nets, for one, unpickle what they find in theirs.
    """
    set_state = getattr(cls, "__setstate__", None)
    plain = set_state is None or set_state is BaseEstimator.__setstate__
    return plain and rebuilder_of(cls) is None


def _values(root: Any) -> Iterator[Any]:
    """Yield an estimator, its params, and what these hold."""
    seen: set[int] = set()
    todo = [root]
    while todo:
        item = todo.pop()
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        if isinstance(item, dict):
            todo += item.values()
        elif isinstance(item, list | tuple | set):
            todo += item
        elif isinstance(item, functools.partial):
            todo += [item.func, item.args, item.keywords]
        elif hasattr(item, "get_params") and not isinstance(item, type):
            todo += item.get_params(deep=False).values()

"""Keep, query and compare the weights of every candidate of a grid search."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weightsearch._records import Weights
    from weightsearch.compare import (
        align,
        compare,
        linear_cka,
        mlp_activations,
        pairwise_distances,
        score_correlation,
        variance_explained,
        weight_stats,
    )
    from weightsearch.exceptions import (
        AlignmentError,
        CorruptStoreError,
        DiskSpaceWarning,
        EvaluationError,
        IdentityWarning,
        InvalidGridError,
        NotAStoreError,
        NotRebuildableWarning,
        NoWeightsWarning,
        QueryError,
        RebuildError,
        RefitFailedWarning,
        SnapshotError,
        SnapshotWarning,
        StoreError,
        StoreLockedError,
        StoreVersionError,
        StoreWriteError,
        UnequalWeightsError,
        UnstorableWeightsWarning,
        UntrustedTypeError,
        WeightSearchError,
        WeightsNotFoundError,
    )
    from weightsearch.frameworks import extract_weights, register_extractor
    from weightsearch.run import (
        BestCandidate,
        Run,
        StoredWeights,
        Trajectory,
        WeightStore,
        Zoo,
    )
    from weightsearch.search import (
        SnapshotPlan,
        TrackedSearch,
        WeightTrackingGridSearchCV,
        WeightTrackingHalvingGridSearchCV,
        WeightTrackingHalvingRandomSearchCV,
        WeightTrackingRandomizedSearchCV,
    )
    from weightsearch.store import Problem

__version__ = "0.1.0"

__all__ = [
    "AlignmentError",
    "BestCandidate",
    "CorruptStoreError",
    "DiskSpaceWarning",
    "EvaluationError",
    "IdentityWarning",
    "InvalidGridError",
    "NoWeightsWarning",
    "NotAStoreError",
    "NotRebuildableWarning",
    "Problem",
    "QueryError",
    "RebuildError",
    "RefitFailedWarning",
    "Run",
    "SnapshotError",
    "SnapshotPlan",
    "SnapshotWarning",
    "StoreError",
    "StoreLockedError",
    "StoreVersionError",
    "StoreWriteError",
    "StoredWeights",
    "TrackedSearch",
    "Trajectory",
    "UnequalWeightsError",
    "UnstorableWeightsWarning",
    "UntrustedTypeError",
    "WeightSearchError",
    "WeightStore",
    "WeightTrackingGridSearchCV",
    "WeightTrackingHalvingGridSearchCV",
    "WeightTrackingHalvingRandomSearchCV",
    "WeightTrackingRandomizedSearchCV",
    "Weights",
    "WeightsNotFoundError",
    "Zoo",
    "align",
    "compare",
    "extract_weights",
    "linear_cka",
    "mlp_activations",
    "pairwise_distances",
    "register_extractor",
    "score_correlation",
    "variance_explained",
    "weight_stats",
]

_MODULES = {
    "weightsearch._records": ("Weights",),
    "weightsearch.compare": (
        "align",
        "compare",
        "linear_cka",
        "mlp_activations",
        "pairwise_distances",
        "score_correlation",
        "variance_explained",
        "weight_stats",
    ),
    "weightsearch.frameworks": ("extract_weights", "register_extractor"),
    "weightsearch.run": (
        "BestCandidate",
        "Run",
        "StoredWeights",
        "Trajectory",
        "WeightStore",
        "Zoo",
    ),
    "weightsearch.store": ("Problem",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


class _LazyPackage(ModuleType):
    """Imports public names when they are first used, so that ``--help`` is fast."""

    def __getattr__(self, name: str) -> Any:
        if name in ("exceptions", "frameworks", "run", "search", "store"):
            return importlib.import_module(f"{__name__}.{name}")
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # First, and from here: deep within imports, what scipy does to its docstrings
        # can take five times as long (python/cpython issue 142183).
        import sklearn.model_selection  # noqa: F401

        home = _HOMES.get(name)
        if home is None:
            ending = ("Error", "Warning")
            home = f"{__name__}.{'exceptions' if name.endswith(ending) else 'search'}"
        value = getattr(importlib.import_module(home), name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing the subpackage must not hide the function of the same name.
        if name == "compare" and isinstance(value, ModuleType):
            value = value.compare
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *__all__})


sys.modules[__name__].__class__ = _LazyPackage

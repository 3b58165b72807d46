"""Keep, query and compare the weights of every candidate of a grid search."""

# First, and from here: deep within imports, what scipy does to its docstrings can take
# five times as long (python/cpython issue 142183).
import sklearn.model_selection  # noqa: F401

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
from weightsearch.run import Run, StoredWeights, WeightStore
from weightsearch.search import (
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
    "StoreError",
    "StoreLockedError",
    "StoreVersionError",
    "StoreWriteError",
    "StoredWeights",
    "TrackedSearch",
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

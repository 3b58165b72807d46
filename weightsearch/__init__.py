"""Keep, query and compare the weights of every candidate of a grid search."""

from weightsearch.compare import compare, weight_stats
from weightsearch.exceptions import (
    CorruptStoreError,
    IdentityWarning,
    InvalidGridError,
    NotAStoreError,
    NoWeightsWarning,
    RefitFailedWarning,
    StoreError,
    StoreLockedError,
    StoreVersionError,
    StoreWriteError,
    UnstorableWeightsWarning,
    WeightSearchError,
    WeightsNotFoundError,
)
from weightsearch.frameworks import extract_weights, register_extractor
from weightsearch.run import QueryError, Run, StoredWeights, WeightStore
from weightsearch.search import WeightTrackingGridSearchCV

__version__ = "0.1.0"

__all__ = [
    "CorruptStoreError",
    "IdentityWarning",
    "InvalidGridError",
    "NoWeightsWarning",
    "NotAStoreError",
    "QueryError",
    "RefitFailedWarning",
    "Run",
    "StoreError",
    "StoreLockedError",
    "StoreVersionError",
    "StoreWriteError",
    "StoredWeights",
    "UnstorableWeightsWarning",
    "WeightSearchError",
    "WeightStore",
    "WeightTrackingGridSearchCV",
    "WeightsNotFoundError",
    "compare",
    "extract_weights",
    "register_extractor",
    "weight_stats",
]

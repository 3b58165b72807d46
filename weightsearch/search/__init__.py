"""scikit-learn searches that keep the weights of every candidate."""

from weightsearch.search._grid_search import WeightTrackingGridSearchCV
from weightsearch.search._halving_search import (
    WeightTrackingHalvingGridSearchCV,
    WeightTrackingHalvingRandomSearchCV,
)
from weightsearch.search._randomized_search import WeightTrackingRandomizedSearchCV
from weightsearch.search._snapshots import SnapshotPlan
from weightsearch.search._tracked import TrackedSearch

__all__ = [
    "SnapshotPlan",
    "TrackedSearch",
    "WeightTrackingGridSearchCV",
    "WeightTrackingHalvingGridSearchCV",
    "WeightTrackingHalvingRandomSearchCV",
    "WeightTrackingRandomizedSearchCV",
]

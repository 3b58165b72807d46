"""Searches of scikit-learn that keep what every candidate learned."""

from weightsearch.search._grid_search import WeightTrackingGridSearchCV

__all__ = ["WeightTrackingGridSearchCV"]

"""Displays of weights and scores, in the manner of scikit-learn's displays.

A display holds numbers; ``plot(ax=None)`` draws them and keeps the artists as
attributes. ``from_run`` and ``from_search`` compute the numbers and draw them.
matplotlib is imported only when something is drawn.
"""

from weightsearch.plot._distance_matrix import DistanceMatrixDisplay
from weightsearch.plot._distribution import WeightDistributionDisplay
from weightsearch.plot._importance import ParamImportanceDisplay
from weightsearch.plot._parallel import ParallelCoordinatesDisplay
from weightsearch.plot._score_heatmap import ScoreHeatmapDisplay
from weightsearch.plot._score_statistic import ScoreStatisticDisplay
from weightsearch.plot._spectrum import SpectrumDisplay
from weightsearch.plot._trajectories import (
    ScorePathDisplay,
    TrainingCurveDisplay,
    TrajectoryDisplay,
)
from weightsearch.plot._validation_curve import ValidationCurveDisplay
from weightsearch.plot._weights import WeightHeatmapDisplay, WeightImageDisplay

__all__ = [
    "DistanceMatrixDisplay",
    "ParallelCoordinatesDisplay",
    "ParamImportanceDisplay",
    "ScoreHeatmapDisplay",
    "ScorePathDisplay",
    "ScoreStatisticDisplay",
    "SpectrumDisplay",
    "TrainingCurveDisplay",
    "TrajectoryDisplay",
    "ValidationCurveDisplay",
    "WeightDistributionDisplay",
    "WeightHeatmapDisplay",
    "WeightImageDisplay",
]

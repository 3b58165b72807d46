"""Pictures of what the candidates learned, in the manner of scikit-learn's displays.

A display takes numbers; its ``plot(ax=None)`` draws them and keeps the artists as
attributes. ``from_run`` and ``from_search`` compute the numbers and draw at once.
matplotlib is imported when something is drawn, not before.
"""

from weightsearch.plot._distance_matrix import DistanceMatrixDisplay
from weightsearch.plot._distribution import WeightDistributionDisplay
from weightsearch.plot._heatmap import WeightHeatmapDisplay
from weightsearch.plot._images import WeightImageDisplay
from weightsearch.plot._score_statistic import ScoreStatisticDisplay
from weightsearch.plot._spectrum import SpectrumDisplay

__all__ = [
    "DistanceMatrixDisplay",
    "ScoreStatisticDisplay",
    "SpectrumDisplay",
    "WeightDistributionDisplay",
    "WeightHeatmapDisplay",
    "WeightImageDisplay",
]

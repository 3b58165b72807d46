"""Questions to a finished search that need no fit: predictions of stored models."""

from weightsearch.evaluate._agreement import Agreement
from weightsearch.evaluate._bootstrap import BiasCorrectedScore
from weightsearch.evaluate._greedy import Selection
from weightsearch.evaluate._score_tests import ScoreComparison

__all__ = ["Agreement", "BiasCorrectedScore", "ScoreComparison", "Selection"]

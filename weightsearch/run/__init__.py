"""The reading side: a store, its runs, their candidates and weights."""

from weightsearch.run._run import BestCandidate, Run
from weightsearch.run._store import WeightStore
from weightsearch.run._trajectories import Trajectory
from weightsearch.run._weights import StoredWeights
from weightsearch.run._zoo import Zoo

__all__ = ["BestCandidate", "Run", "StoredWeights", "Trajectory", "WeightStore", "Zoo"]

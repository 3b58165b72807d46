"""Everything besides weights that makes a fitted estimator of them.

Written by skops, whose files name types and never run code, and split up: arrays that
are weights stay where the weights are, what all candidates share is kept once.
"""

from weightsearch.frameworks._state._dump import capture_state
from weightsearch.frameworks._state._load import is_complete, rebuild

__all__ = ["capture_state", "is_complete", "rebuild"]

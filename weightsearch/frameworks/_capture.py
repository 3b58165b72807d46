"""All that is kept of a fitted estimator."""

from __future__ import annotations

from typing import Any, NamedTuple

from weightsearch._records import ModelState, Weights
from weightsearch.frameworks._registry import collect_weights
from weightsearch.frameworks._state import capture_state

__all__ = ["Captured", "capture"]


class Captured(NamedTuple):
    """What is kept of a fitted estimator.

    Attributes
    ----------
    weights : Weights or None
        None where they could not be taken.
    notes : tuple of Warning
        What the user is to hear of them.
    state : ModelState or None
        What makes the estimator of the weights again.
    """

    weights: Weights | None
    notes: tuple[Warning, ...]
    state: ModelState | None


def capture(estimator: Any, *, complete: bool = False) -> Captured:
    """Take weights and state of an estimator that has just been fitted; never fails.

    Parameters
    ----------
    estimator : object
        Fitted.
    complete : bool, default=False
        Whether it must be able to go on training, too.
    """
    weights, notes = collect_weights(estimator)
    state = None
    if weights is not None:
        state = capture_state(estimator, weights, complete=complete)
    return Captured(weights, tuple(notes), state)

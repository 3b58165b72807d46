"""Descriptions of the fits that a search makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weightsearch._records import Array

__all__ = ["FitCall", "MadeFit", "PlannedFit"]


@dataclass(frozen=True, slots=True)
class PlannedFit:
    """One candidate on one split, as the search is about to evaluate it."""

    candidate: int
    split: int
    params: Mapping[str, Any]
    train: Array
    test: Array


@dataclass(frozen=True, slots=True)
class MadeFit:
    """A fit of this run: its result, its number, and whether it has weights."""

    result: Mapping[str, Any]
    number: int
    has_weights: bool


@dataclass(frozen=True)
class FitCall:
    """What all fits of a search have in common."""

    estimator: Any
    X: Any
    y: Any
    scorer: Any
    fit_params: Mapping[str, Any]
    score_params: Mapping[str, Any]
    error_score: Any
    return_train_score: bool
    n_splits: int

"""Weights of a fitted estimator as ``name -> ndarray``, one module a framework."""

from __future__ import annotations

from weightsearch.frameworks._registry import (
    Extractor,
    extract_weights,
    register_extractor,
)

__all__ = ["Extractor", "extract_weights", "register_extractor"]

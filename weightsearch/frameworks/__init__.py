"""Weights of a fitted estimator as ``name -> ndarray``, one module per framework."""

from __future__ import annotations

from weightsearch._records import Weights
from weightsearch.frameworks._registry import (
    Extractor,
    extract_parts,
    extract_weights,
    register_extractor,
)
from weightsearch.frameworks._session import leave_out, merge

__all__ = [
    "Extractor",
    "Weights",
    "extract_parts",
    "extract_weights",
    "leave_out",
    "merge",
    "register_extractor",
]

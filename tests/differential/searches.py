"""The table of searches that must give what scikit-learn's own give.

A row is a function that returns an estimator and a grid; its decorator names the data,
and what else the search is told.
"""

from __future__ import annotations

import searches_boosting
import searches_keras
import searches_own_code
import searches_sklearn
import searches_torch
from rows import Row

__all__ = ["KNOWN_FAULTS", "TABLE"]

TABLE: dict[str, Row] = {
    **searches_sklearn.TABLE,
    **searches_own_code.TABLE,
    **searches_torch.TABLE,
    **searches_keras.TABLE,
    **searches_boosting.TABLE,
}

KNOWN_FAULTS: dict[str, str] = {}
"""Rows that fail today, each with the reason."""

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

KNOWN_FAULTS: dict[str, str] = {
    **dict.fromkeys(
        (
            "tokenizers_in_the_grid",
            "own_estimators_by_turns",
            "private_state_and_a_lock",
            "learned_things_in_slots",
        ),
        "a class or function of the caller is not found in its estimator",
    ),
    **dict.fromkeys(
        (
            "neighbours_with_metric_params",
            "boosting_of_categories",
            "boosting_of_categories_by_name",
            "flags_in_the_grid",
            "frozen_distributions_in_the_grid",
        ),
        "the state cannot hold it",
    ),
    **dict.fromkeys(
        ("density",),
        "infinite scores run again",
    ),
}
"""Rows that fail today, each with the reason."""

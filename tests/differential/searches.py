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
            "initialised_module",
            "instances_of_modules_in_the_grid",
            "lists_of_modules_in_the_grid",
            "threshold_of_a_net",
        ),
        "modules among the params are not taken from the caller's estimator",
    ),
    **dict.fromkeys(
        (
            "activations_in_the_grid",
            "layers_in_the_grid",
            "layers_of_the_user",
            "optimizers_in_the_grid",
        ),
        "Keras' objects, and code that names them, count as others once used",
    ),
    **dict.fromkeys(
        (
            "catboost_classifier",
            "catboost_lists_and_dicts",
            "catboost_voting_and_stacking",
        ),
        "CatBoost forgets the number of features when it loads a model",
    ),
}
"""Rows that fail today, each with the reason."""

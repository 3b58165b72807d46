"""The one place that reaches into scikit-learn's private names.

Nothing of scikit-learn is copied or patched. What the other modules need of its
private names they import from here.
"""

from sklearn.base import _fit_context as fit_context
from sklearn.model_selection._search import BaseSearchCV

# By this way they need no experimental flag, which users keep for themselves.
from sklearn.model_selection._search_successive_halving import (
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
)
from sklearn.utils._param_validation import Interval, StrOptions

from weightsearch.search._sklearn._callbacks import CallbackSearch, has_callbacks
from weightsearch.search._sklearn._rows import some_rows
from weightsearch.search._sklearn._scoring import asks_only, scoring_of

__all__ = [
    "BaseSearchCV",
    "CallbackSearch",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "Interval",
    "StrOptions",
    "asks_only",
    "fit_context",
    "has_callbacks",
    "scoring_of",
    "some_rows",
]

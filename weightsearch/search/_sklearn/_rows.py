"""Rows of the data for comparing a stored model with the fitted one."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _num_samples

from weightsearch.frameworks._capture import ROWS_ASKED

__all__ = ["some_rows"]


def some_rows(
    estimator: Any, X: Any, y: Any, train: Any = None, test: Any = None
) -> Any:
    """Return a few rows of the data as the estimator gets them.

    Parameters
    ----------
    estimator : estimator
    X, y : array-like
        All the data.
    train, test : array-like of int, default=None
        What it was fitted on, and what rows are taken of; None: all.
    """
    if test is None:
        test = np.arange(_num_samples(X))
    return _safe_split(estimator, X, y, test[:ROWS_ASKED], train)[0]

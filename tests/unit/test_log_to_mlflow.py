"""Logging to MLflow where MLflow is not installed."""

from __future__ import annotations

import sys
from typing import Any, cast

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from weightsearch import WeightTrackingGridSearchCV


def test_without_mlflow_the_error_says_what_to_install(monkeypatch):
    """The message names what to install."""
    search = WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=500), {"C": [1.0]}, cv=2
    ).fit(*load_iris(return_X_y=True))
    monkeypatch.setitem(cast(dict[str, Any], sys.modules), "mlflow", None)
    with pytest.raises(ImportError, match="pip install mlflow-skinny"):
        search.run_.log_to_mlflow()

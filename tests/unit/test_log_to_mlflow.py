"""Logging to MLflow where MLflow is not installed."""

from __future__ import annotations

import sys
from typing import Any, cast

import pytest

from weightsearch.run._mlflow import log_run


def test_without_mlflow_the_error_says_what_to_install(monkeypatch):
    """The message names the extra."""
    monkeypatch.setitem(cast(dict[str, Any], sys.modules), "mlflow", None)
    run = cast(Any, None)  # it is not looked at
    with pytest.raises(ImportError, match=r"pip install .weightsearch\[mlflow\]"):
        log_run(run)

"""What a fitted estimator says of data, and whether two answers are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

__all__ = ["answers", "difference"]

METHODS = (
    "predict",
    "predict_proba",
    "decision_function",
    "score_samples",
    "transform",
    "get_feature_names_out",
)
ATTRIBUTES = ("classes_", "labels_", "n_features_in_", "feature_names_in_")


def answers(estimator: Any, data: Callable[[], Any]) -> dict[str, Any]:
    """All that a fitted estimator says; data are made anew for each question."""
    found: dict[str, Any] = {}
    for method in METHODS:
        if not hasattr(estimator, method):
            continue
        ask = getattr(estimator, method)
        try:
            found[method] = ask() if method.startswith("get_") else ask(data()[0])
        except Exception as error:
            # Some have a method that their params forbid: then both must refuse it.
            found[method] = f"{type(error).__name__}: {error}"[:200]
    for name in ATTRIBUTES:
        try:
            found[name] = getattr(estimator, name)
        except AttributeError:
            continue
    return found


def difference(seen: Any, expected: Any, tolerance: float = 0.0) -> str:
    """Say how two answers differ; empty if they are equal to the bit.

    Arrays may be off by `tolerance`.
    """
    if isinstance(expected, dict) and isinstance(seen, dict):
        if seen.keys() != expected.keys():
            return f"has {sorted(seen)}, not {sorted(expected)}"
        found = {k: difference(seen[k], expected[k], tolerance) for k in expected}
        return "; ".join(f"{key} {text}" for key, text in found.items() if text)
    if type(seen) is not type(expected):
        return (
            f"is a {type(seen).__name__}, not {type(expected).__name__}: {seen!r:.200}"
        )
    if isinstance(expected, list | tuple):
        if len(seen) != len(expected):
            return f"has {len(seen)} items, not {len(expected)}"
        pairs = zip(seen, expected, strict=True)
        texts = [difference(a, b, tolerance) for a, b in pairs]
        return "; ".join(f"[{n}] {text}" for n, text in enumerate(texts) if text)
    if isinstance(expected, pd.DataFrame | pd.Series | pd.Index):
        same = seen.equals(expected) and str(seen[:0]) == str(expected[:0])
        return "" if same else f"is another {type(expected).__name__}"
    if scipy.sparse.issparse(expected):
        if seen.shape != expected.shape or seen.dtype != expected.dtype:
            return (
                f"has {seen.shape} {seen.dtype}, not {expected.shape} {expected.dtype}"
            )
        return difference(seen.toarray(), expected.toarray(), tolerance)
    if isinstance(expected, np.ndarray):
        return _array_difference(seen, expected, tolerance)
    if isinstance(expected, float) and np.isnan(expected) and np.isnan(seen):
        return ""
    return "" if seen == expected else f"is {seen!r:.300}, not {expected!r:.300}"


def _array_difference(seen: np.ndarray, expected: np.ndarray, tolerance: float) -> str:
    if seen.shape != expected.shape:
        return f"has shape {seen.shape}, not {expected.shape}"
    if seen.dtype != expected.dtype:
        return f"has dtype {seen.dtype}, not {expected.dtype}"
    if expected.dtype == object:
        return difference(seen.tolist(), expected.tolist())
    equal_nan = expected.dtype.kind in "fc"
    if np.array_equal(seen, expected, equal_nan=equal_nan):
        return ""
    if expected.dtype.kind == "f":
        if tolerance and np.allclose(seen, expected, tolerance, tolerance):
            return ""
        return f"is off by up to {np.nanmax(abs(seen - expected)):.3g}"
    return f"differs in {np.count_nonzero(seen != expected)} of {seen.size} places"

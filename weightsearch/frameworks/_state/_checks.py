"""What stored models of compiled classes must hold, so that predicting is safe.

scikit-learn follows the nodes of a tree without looking where they lead, so that a
file with other nodes could read memory that is not its own
(https://github.com/scikit-learn/scikit-learn/pull/34558). skops, which looks at types
alone, trusts no trees for that reason; here their content is looked at.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse

from weightsearch._records import Array
from weightsearch.exceptions import RebuildError
from weightsearch.frameworks._state._schema import nodes

__all__ = ["check_loaded", "check_schema"]

_PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor"
_ENSEMBLES = (
    "sklearn.ensemble._bagging",
    "sklearn.ensemble._forest",
    "sklearn.ensemble._gb",
    "sklearn.ensemble._iforest",
)


def check_schema(schema: Any, files: Mapping[str, bytes]) -> None:
    """Look at the trees in a schema before they are constructed.

    Raises
    ------
    ValueError
        If one leads out of its own nodes.
    """
    for node in nodes(schema):
        if node["__loader__"] == "TreeNode":
            _check_tree(node, files)


def check_loaded(root: Any) -> None:
    """Look at the trees of an estimator that has been constructed.

    Raises
    ------
    RebuildError
        If one asks for features that its estimator does not have.
    """
    seen: set[int] = set()
    # Each with the number of features that it is asked with, and whether its own
    # idea of that number counts.
    todo: list[tuple[Any, float, bool]] = [(root, np.inf, True)]
    while todo:
        item, n_features, own_counts = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        inner: list[Any] = []
        if isinstance(item, list | tuple):
            inner = list(item)
        elif isinstance(item, dict):
            inner = list(item.values())
        elif isinstance(item, np.ndarray):
            inner = list(item.flat) if item.dtype == object else []
        elif not _check_compiled(item, n_features):
            own = getattr(item, "__dict__", None) or {}
            if own_counts and isinstance(own.get("n_features_in_"), int | np.integer):
                n_features = int(own["n_features_in_"])
            # These hand the data to their trees as they are, unlooked at.
            own_counts = not type(item).__module__.startswith(_ENSEMBLES)
            subsets = own.get("estimators_features_")
            if subsets is not None:
                # Bagged estimators see a part of the features each.
                n_features = min((len(one) for one in subsets), default=0)
            inner = list(own.values())
        todo += [(value, n_features, own_counts) for value in inner]


def _check_compiled(item: Any, n_features: float) -> bool:
    """Look at an object of a compiled class; True if it has no inside."""
    # Here, since importing the package need not wait for them.
    from scipy.interpolate import BSpline
    from sklearn.neighbors import BallTree, KDTree
    from sklearn.tree._tree import Tree

    if scipy.sparse.issparse(item):
        _check_sparse(item)
    elif isinstance(item, BSpline):
        _check_spline(item)
    elif isinstance(item, Tree):
        if item.n_features > n_features:
            raise RebuildError(
                f"a stored tree asks for {item.n_features} features, its estimator "
                f"has {n_features}"
            )
    elif isinstance(item, BallTree | KDTree):
        _check_neighbors(item, n_features)
    elif type(item).__module__ == _PREDICTOR:
        _check_predictor(item, n_features)
    else:
        return type(item).__module__ in ("builtins", "numpy")
    return True


def _check_sparse(matrix: Any) -> None:
    try:
        matrix.check_format(full_check=True)
    except (AttributeError, ValueError, TypeError) as error:
        raise RebuildError(f"a stored sparse matrix is none: {error}") from error


def _check_spline(spline: Any) -> None:
    t, c, k = spline.t, spline.c, spline.k
    good = (
        isinstance(k, int | np.integer)
        and 0 <= k < len(t)
        and t.ndim == 1
        and t.dtype == np.float64
        and len(c) >= len(t) - k - 1 > 0
        and bool(np.all(np.diff(t) >= 0))
    )
    if not good:
        raise RebuildError("a stored spline has not the knots that it needs")


def _check_neighbors(tree: Any, n_features: float) -> None:
    """Look at the parts of a tree of neighbours, as its own state lists them."""
    state = tree.__getstate__()
    data, order, bounds_of, bounds = (np.asarray(part) for part in state[:4])
    n_levels, n_nodes = int(state[5]), int(state[6])
    metric = state[11]
    inside = (
        (bounds_of["idx_start"] >= 0)
        & (bounds_of["idx_start"] <= bounds_of["idx_end"])
        & (bounds_of["idx_end"] <= len(data))
    )
    weights = state[12]
    good = (
        data.ndim == 2
        and data.shape[1] <= n_features
        and np.array_equal(np.sort(order), np.arange(len(data)))
        and len(bounds_of) == n_nodes == 2**n_levels - 1
        and bool(np.all(inside))
        and bounds.ndim == 3
        and bounds.shape[1] >= n_nodes
        and bounds.shape[2] == data.shape[1]
        and len(metric.__getstate__()[1]) <= 1
        and (weights is None or len(np.asarray(weights)) == len(data))
    )
    if not good:
        raise RebuildError("a stored tree of neighbours leads out of its own data")


def _check_tree(node: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    arguments = node["__reduce__"]["args"]["content"]
    content = node["content"]["content"]
    n_features = _value(arguments[0])
    n_classes = _array(arguments[1], files)
    n_outputs = _value(arguments[2])
    count = _value(content["node_count"])
    rows = _array(content["nodes"], files)
    values = _array(content["values"], files)
    # The root alone may be a leaf of a tree that was never fitted further.
    expected = (count, n_outputs, int(n_classes.max(initial=1)))
    _follow(rows["left_child"], rows["right_child"], rows["feature"], n_features)
    if (
        rows.shape != (count,)
        or n_classes.shape != (n_outputs,)
        or values.shape != expected
        or _value(content["max_depth"]) > count
    ):
        raise ValueError("a tree's arrays are not of its size")


def _check_predictor(predictor: Any, n_features: float) -> None:
    rows: Array = predictor.nodes
    inner = rows["is_leaf"] == 0
    own = np.arange(len(rows))
    left, right = rows["left"].astype(np.int64), rows["right"].astype(np.int64)
    good = (
        len(rows) > 0
        and bool(np.all((left > own) & (left < len(rows)), where=inner))
        and bool(np.all((right > own) & (right < len(rows)), where=inner))
        and bool(np.all(rows["feature_idx"] >= 0, where=inner))
        and bool(np.all(rows["feature_idx"] < n_features, where=inner))
    )
    for bitsets in (predictor.binned_left_cat_bitsets, predictor.raw_left_cat_bitsets):
        used = inner & (rows["is_categorical"] != 0)
        good &= bool(np.all(rows["bitset_idx"] < len(bitsets), where=used))
        good &= bitsets.ndim == 2 and bitsets.shape[1] == 8
    if not good:
        raise RebuildError("a stored tree leads out of its own nodes")


def _follow(left: Array, right: Array, feature: Array, n_features: int) -> None:
    own = np.arange(len(left))
    leaf = (left == -1) & (right == -1)
    # Children come after their parents, so that every way ends.
    inner = (left > own) & (left < len(left)) & (right > own) & (right < len(left))
    if not (len(left) and np.all(leaf | inner)):
        raise ValueError("a tree leads out of its own nodes")
    if not np.all(leaf | ((feature >= 0) & (feature < n_features))):
        raise ValueError("a tree asks for features that it does not have")


def _value(node: Mapping[str, Any]) -> int:
    value = json.loads(node["content"])
    if not isinstance(value, int):
        raise ValueError("a tree's size is no integer")
    return value


def _array(node: Mapping[str, Any], files: Mapping[str, bytes]) -> Array:
    array: Array = np.load(io.BytesIO(files[node["file"]]), allow_pickle=False)
    return array

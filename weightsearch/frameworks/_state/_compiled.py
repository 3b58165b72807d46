"""Compiled types: what they hold is checked before compiled code follows it.

Compiled code follows some of what it holds without checks, such as the nodes of a tree:
a manipulated file could make scikit-learn read out of bounds
(https://github.com/scikit-learn/scikit-learn/pull/34558).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from weightsearch._records import Array
from weightsearch._value_types import ValueType
from weightsearch.exceptions import RebuildError
from weightsearch.frameworks._columns import tree_states

__all__ = ["COMPILED", "LOSS", "METRIC", "check_compiled", "module_of_loss"]


# -- decision trees ----------------------------------------------------------------


def _make_trees(states: Sequence[Any]) -> list[Any]:
    from sklearn.tree._tree import Tree

    nodes = [_structured(state[5]) for state in states]
    lengths = np.array([len(one) for one in nodes])
    n_features = np.array([_count(state[0]) for state in states])
    raw = f"V{nodes[0].dtype.itemsize}"
    # As bytes: numpy would copy field by field.
    together = np.concatenate([one.view(raw) for one in nodes]).view(nodes[0].dtype)
    _check_nodes(together, lengths, np.repeat(n_features, lengths))
    trees = []
    for state, rows in zip(states, nodes, strict=True):
        features, n_classes, n_outputs, depth, count, _, values = state
        good = (
            isinstance(n_classes, np.ndarray)
            and n_classes.dtype == np.intp
            and n_classes.shape == (_count(n_outputs),)
            and rows.shape == (_count(count),)
            and isinstance(values, np.ndarray)
            and values.dtype == np.float64
            and values.shape == (count, n_outputs, int(n_classes.max(initial=1)))
            and 0 <= _count(depth) <= count
        )
        if not good:
            raise ValueError("the arrays of a tree do not have its size")
        tree = Tree(features, n_classes, n_outputs)
        tree.__setstate__(
            {
                "max_depth": depth,
                "node_count": count,
                "nodes": rows,
                "values": np.ascontiguousarray(values),
            }
        )
        trees.append(tree)
    return trees


def _structured(rows: Any) -> Array:
    from sklearn.tree._tree import NODE_DTYPE

    if not isinstance(rows, np.ndarray) or rows.dtype != NODE_DTYPE or rows.ndim != 1:
        raise ValueError("the nodes of a tree are not of their type")
    return np.ascontiguousarray(rows)


def _count(value: Any) -> int:
    if type(value) is not int and not isinstance(value, np.integer):
        raise ValueError("a size is not an integer")
    return int(value)


def _is_within(left: Array, right: Array, inner: Array, lengths: Array) -> bool:
    """Whether the inner nodes of many trees, concatenated, have their children."""
    if not len(lengths) or not np.all(lengths > 0):
        return False
    size = np.repeat(lengths, lengths)
    own = np.arange(len(size)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    # Children come after their parents, so that every path ends.
    good = (left > own) & (left < size) & (right > own) & (right < size)
    return bool(np.all(good, where=inner))


def _check_nodes(rows: Array, lengths: Array, n_features: Array) -> None:
    """Check the nodes of many trees, concatenated in ``rows``."""
    left, right = rows["left_child"], rows["right_child"]
    leaf = (left == -1) & (right == -1)
    if not _is_within(left, right, ~leaf, lengths):
        raise ValueError("a tree points outside its own nodes")
    feature = rows["feature"]
    if not np.all(leaf | ((feature >= 0) & (feature < n_features))):
        raise ValueError("a tree uses features that it does not have")


# -- trees of neighbours, distances, losses ------------------------------------------


def _neighbors(name: str) -> ValueType:
    def make(state: Any) -> Any:
        _check_neighbors(state)
        compiled: Any = getattr(import_module("sklearn.neighbors"), name)
        made: Any = compiled.__new__(compiled)
        made.__setstate__(state)
        return made

    return ValueType(name, lambda tree: tuple(tree.__getstate__()), make)


def _check_neighbors(state: Any) -> None:
    data, order, bounds_of, bounds = state[:4]
    n_levels, n_nodes = _count(state[5]), _count(state[6])
    metric, weights = state[11], state[12]
    arrays = (data, order, bounds_of, bounds)
    good = (
        len(state) == 13
        and all(isinstance(array, np.ndarray) for array in arrays)
        and data.ndim == 2
        and data.dtype in (np.float64, np.float32)
        and order.dtype == np.intp
        and np.array_equal(np.sort(order), np.arange(len(data)))
        and {"idx_start", "idx_end"} <= set(bounds_of.dtype.names or ())
        and len(bounds_of) == n_nodes == 2**n_levels - 1
        and bool(np.all(bounds_of["idx_start"] >= 0))
        and bool(np.all(bounds_of["idx_start"] <= bounds_of["idx_end"]))
        and bool(np.all(bounds_of["idx_end"] <= len(data)))
        and bounds.dtype == data.dtype
        and bounds.ndim == 3
        and bounds.shape[1] >= n_nodes
        and bounds.shape[2] == data.shape[1]
        and type(metric).__module__ == "sklearn.metrics._dist_metrics"
        # One weight per feature, if any.
        and len(metric.__getstate__()[1]) in (0, 1, data.shape[1])
        and (weights is None or len(np.asarray(weights)) == len(data))
    )
    if not good:
        raise ValueError("a tree of neighbours points outside its own data")


_METRICS = {
    f"{n}Distance" for n in ("Chebyshev", "Euclidean", "Manhattan", "Minkowski")
}


def _is_metric(name: str) -> bool:
    # Names end in the precision, 32 or 64.
    return name.rstrip("2346") in _METRICS


def _take_metric(metric: Any) -> Any:
    name = type(metric).__name__
    if not _is_metric(name):
        raise TypeError(f"{name} is not a distance that can be stored")
    p, vector, matrix = metric.__getstate__()
    return name, float(p), np.asarray(vector), np.asarray(matrix)


def _make_metric(content: Any) -> Any:
    name, p, vector, matrix = content
    if not _is_metric(name):
        raise ValueError(f"{name} is not a distance")
    if vector.ndim != 1 or matrix.ndim != 2:
        raise ValueError("the parameters of a distance do not have their shape")
    cls = getattr(import_module("sklearn.metrics._dist_metrics"), name)
    made: Any = cls.__new__(cls)
    made.__setstate__((p, vector, matrix))
    return made


_LOSSES = ("sklearn._loss._loss", "sklearn.linear_model._sgd_fast")


def _take_loss(loss: Any) -> Any:
    cls = type(loss)
    function, arguments, *_ = loss.__reduce__()
    # Cython itself reduces those without parameters.
    own = arguments if function is cls else ()
    return module_of_loss(cls), cls.__name__, tuple(map(float, own))


def module_of_loss(cls: type) -> str | None:
    """The compiled module of a loss; None for other classes.

    Up to scikit-learn 1.6 the classes themselves name it without its package.
    """
    for module in _LOSSES:
        if cls.__module__ in (module, module.rpartition(".")[2]):
            if getattr(sys.modules.get(module), cls.__name__, None) is cls:
                return module
    return None


def _make_loss(content: Any) -> Any:
    module, name, arguments = content
    if module not in _LOSSES:
        raise ValueError(f"{module} is not a module of losses")
    cls = getattr(import_module(module), name)
    # These modules have no other classes of their own.
    if not isinstance(cls, type) or module_of_loss(cls) != module:
        raise ValueError(f"{name} is not a loss")
    return cls(*map(float, arguments))


COMPILED: Mapping[str, ValueType] = {
    "sklearn.tree._tree.Tree": ValueType(
        "Tree",
        lambda tree: tree_states([tree])[0],
        lambda state: _make_trees([state])[0],
        tree_states,
        _make_trees,
    ),
    "sklearn.neighbors._kd_tree.KDTree": _neighbors("KDTree"),
    "sklearn.neighbors._ball_tree.BallTree": _neighbors("BallTree"),
}
"""By qualified name, so that their modules need not be imported."""

METRIC = ValueType("metric", _take_metric, _make_metric)
LOSS = ValueType("loss", _take_loss, _make_loss)


# -- after construction ------------------------------------------------------------

_ENSEMBLES = (
    "sklearn.ensemble._bagging",
    "sklearn.ensemble._forest",
    "sklearn.ensemble._gb",
    "sklearn.ensemble._iforest",
)
_PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor"


def check_compiled(root: Any) -> None:
    """Refuse a rebuilt estimator whose compiled parts use features that it lacks."""
    seen: set[int] = set()
    # Each with the number of features of its data, and whether its own
    # n_features_in_ is checked.
    todo: list[tuple[Any, float, bool]] = [(root, np.inf, True)]
    plain = (str, int, float, bool, type(None), bytes, complex, np.generic)
    predictors: dict[float, list[Any]] = {}
    while todo:
        item, n_features, own_counts = todo.pop()
        if isinstance(item, plain) or id(item) in seen:
            continue
        seen.add(id(item))
        inner: list[Any] = []
        if isinstance(item, list | tuple):
            inner = list(item)
        elif isinstance(item, dict):
            inner = list(item.values())
        elif isinstance(item, np.ndarray):
            inner = item.ravel().tolist() if item.dtype == object else []
        elif type(item).__module__ == _PREDICTOR:
            predictors.setdefault(n_features, []).append(item)
        elif not _check_compiled(item, n_features):
            own = getattr(item, "__dict__", None) or {}
            if own_counts and isinstance(own.get("n_features_in_"), int | np.integer):
                n_features = int(own["n_features_in_"])
            # These pass the data to their trees without a check.
            own_counts = not type(item).__module__.startswith(_ENSEMBLES)
            subsets = own.get("estimators_features_")
            if subsets is not None:
                # Each bagged estimator sees some of the features.
                n_features = min((len(one) for one in subsets), default=0)
            inner = list(own.values())
        todo += [(value, n_features, own_counts) for value in inner]
    for n_features, found in predictors.items():
        _check_predictors(found, n_features)


def _check_compiled(item: Any, n_features: float) -> bool:
    """Check an object of a compiled class; return whether it has no attributes."""
    name = type(item).__name__
    if name == "Tree":
        if item.n_features > n_features:
            raise RebuildError(
                f"a stored tree uses {item.n_features} features, its estimator "
                f"has {n_features}"
            )
    elif name in ("BallTree", "KDTree"):
        if np.asarray(item.data).shape[1] > n_features:
            raise RebuildError("a stored tree of neighbours has too many features")
    elif name == "BSpline":
        _check_spline(item)
    else:
        return type(item).__module__ in ("builtins", "numpy")
    return True


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
        raise RebuildError("a stored spline lacks some of its knots")


def _check_predictors(predictors: list[Any], n_features: float) -> None:
    """Check the trees of histogram gradient boosting."""
    try:
        rows = np.concatenate([one.nodes for one in predictors])
        lengths = np.array([len(one.nodes) for one in predictors])
        inner = rows["is_leaf"] == 0
        left, right = rows["left"].astype(np.int64), rows["right"].astype(np.int64)
        feature = rows["feature_idx"]
        good = _is_within(left, right, inner, lengths) and bool(
            np.all((feature >= 0) & (feature < n_features), where=inner)
        )
        used = inner & (rows["is_categorical"] != 0)
        for name in ("binned_left_cat_bitsets", "raw_left_cat_bitsets"):
            bitsets = [getattr(one, name) for one in predictors]
            counts = np.repeat([len(one) for one in bitsets], lengths)
            good &= bool(np.all(rows["bitset_idx"] < counts, where=used))
            good &= all(
                one.ndim == 2 and one.shape[1] == 8 and one.dtype == np.uint32
                for one in bitsets
            )
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise RebuildError(
            f"the nodes of a stored tree are damaged: {error}"
        ) from error
    if not good:
        raise RebuildError("a stored tree points outside its own nodes")

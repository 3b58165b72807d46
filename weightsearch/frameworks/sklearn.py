"""Weights of scikit-learn's estimators, and of any other in their style.

Nearly all estimators go through one rule, :func:`extract_attributes`; what counts
is decided in ``_sklearn_rules``. Composites whose parts have names of their own
(pipelines, votes, stacks) are listed in ``EXTRACTORS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from weightsearch._records import Array, Weights
from weightsearch._views import STACK, encode_rows
from weightsearch.frameworks._columns import column_of, tree_states
from weightsearch.frameworks._registry import (
    Extractor,
    extract_parts,
    find_extractor,
    qualified_name,
)
from weightsearch.frameworks._session import join, leave_out, merge
from weightsearch.frameworks._sklearn_epochs import EPOCHS
from weightsearch.frameworks._sklearn_rules import (
    attributes,
    is_weight,
    why_no_weights,
)

__all__ = [
    "EPOCHS",
    "EXTRACTORS",
    "check_fitted",
    "extract_attributes",
    "why_no_weights",
]

_NUMERIC_KINDS = frozenset("biufc")

_TREE_ARRAYS = (
    "children_left",
    "children_right",
    "feature",
    "threshold",
    "missing_go_to_left",
    "value",
    "impurity",
    "n_node_samples",
    "weighted_n_node_samples",
)

_TREE_FIELDS = {"left_child": "children_left", "right_child": "children_right"}
"""Fields of a tree's nodes whose arrays have other names."""

_MANY_ARRAYS = 16
"""Arrays in a list from which on they are stored as one column."""

_NODES = 5
"""Place of the nodes in a tree's state; the values follow."""

_NEVER_FITTED = frozenset(
    {
        "sklearn.feature_extraction._hash.FeatureHasher",
        "sklearn.feature_extraction.text.HashingVectorizer",
    }
)
"""Estimators without a state, which have tags for it only since scikit-learn 1.7."""

_INERT = (
    str,
    bytes,
    bool,
    np.bool_,
    np.dtype,
    type,
    slice,
    np.random.RandomState,
    np.random.Generator,
    type(None),
)
"""Types that hold settings or state, never weights; skipped without a warning."""


def check_fitted(estimator: Any) -> None:
    """Raise NotFittedError if scikit-learn would.

    Parameters
    ----------
    estimator : object
        An estimator, which need not derive from scikit-learn's base class.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted, and is not one that needs no fit.
    """
    if not hasattr(estimator, "fit"):
        return
    if not hasattr(estimator, "__sklearn_is_fitted__") and any(
        name.endswith("_") and not name.startswith("__")
        for name in attributes(estimator)
    ):
        return
    if any(qualified_name(base) in _NEVER_FITTED for base in type(estimator).__mro__):
        return
    if hasattr(estimator, "__sklearn_tags__"):
        check_is_fitted(estimator)
    elif not (
        hasattr(estimator, "__sklearn_is_fitted__")
        and estimator.__sklearn_is_fitted__()
    ):
        raise NotFittedError(
            f"This {type(estimator).__name__} instance is not fitted yet. Call 'fit' "
            "before extracting its weights."
        )


def extract_attributes(estimator: Any) -> Weights:
    """Weights of an estimator by its fitted attributes.

    Parameters
    ----------
    estimator : object
        A fitted estimator in scikit-learn's style.

    Returns
    -------
    Weights
        An array for each numeric attribute that counts: numbers as 0-d arrays,
        lists by index, mappings by key, structured arrays by field, sparse matrices
        by component, nested estimators by their own names.
    """
    cls: Any = type(estimator)
    weights = Weights()
    for name, value in attributes(estimator).items():
        if is_weight(cls, name):
            _add(weights, name, value, ())
    return weights


def _add(weights: Weights, name: str, value: Any, inside: tuple[int, ...]) -> None:
    """Add what can be stored of `value`; `inside` are the ids of its containers."""
    if isinstance(value, _INERT) or id(value) in inside:
        return
    inside = (*inside, id(value))
    if isinstance(value, np.ndarray):
        _add_array(weights, name, value, inside)
    elif isinstance(value, (int, float, complex, np.number)):
        _add_array(weights, name, np.asarray(value), inside)
    elif scipy.sparse.issparse(value):
        _add_sparse(weights, name, value)
    elif isinstance(value, (pd.Series, pd.DataFrame)):
        _add_array(weights, name, value.to_numpy(), inside)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _add(weights, join(name, str(key)), item, inside)
    elif isinstance(value, (list, tuple)):
        _add_sequence(weights, name, value, inside)
    elif find_extractor(type(value)) is not None or _is_estimator(value):
        merge(weights, extract_parts([(name, value)]))
    elif not callable(value):
        leave_out(name, f"it is a {qualified_name(type(value))}, not an array")


def _add_sequence(
    weights: Weights,
    name: str,
    values: list[Any] | tuple[Any, ...],
    inside: tuple[int, ...],
) -> None:
    if values and all(_is_number(value) for value in values):
        # One vector, not an array (and a name) per number.
        _add_array(weights, name, np.asarray(values), inside)
        return
    if _add_objects(weights, name, values):
        return
    keys: Iterable[Any] = getattr(values, "_fields", range(len(values)))
    for key, item in zip(keys, values, strict=True):
        _add(weights, join(name, str(key)), item, inside)


def _add_array(
    weights: Weights, name: str, array: Array, inside: tuple[int, ...]
) -> None:
    if isinstance(array, np.ma.MaskedArray):
        leave_out(name, "it is a masked array")
    elif array.dtype.names is not None:
        for field in array.dtype.names:
            _add_array(weights, join(name, field), array[field], inside)
    elif array.dtype.kind in _NUMERIC_KINDS:
        # A subclass such as memmap becomes a plain view of the same memory.
        _put(weights, name, np.asarray(array))
    elif array.dtype == object and _holds_parts(array):
        if _add_objects(weights, name, array):
            return
        for index, item in np.ndenumerate(array):
            _add(weights, join(name, "/".join(map(str, index))), item, inside)
    else:
        what = "an array of Python objects" if array.dtype == object else array.dtype
        leave_out(name, f"it is {what}, and only arrays of numbers are stored")


def _add_objects(weights: Weights, name: str, values: Any) -> bool:
    """Add the weights of many objects of one class as columns.

    Parameters
    ----------
    weights : Weights
    name : str
    values : list, list of lists of one length, or object array
        Such as the trees of a forest, or of a booster's stages.

    Returns
    -------
    bool
        False, and nothing is added, if they are not alike.
    """
    grid: tuple[int, ...] = (len(values),)
    if isinstance(values, np.ndarray):
        grid, values = values.shape, values.ravel()
    elif len(values) and all(type(row) in (list, tuple) for row in values):
        grid = (len(values), len(values[0]))
        if any(len(row) != grid[1] for row in values):
            return False
        values = [item for row in values for item in row]
    if len(values) < 2:
        return False
    if type(values[0]) is np.ndarray:
        # A network's few layers keep their names; bins of many features are one column.
        if len(grid) > 1 or len(values) < _MANY_ARRAYS:
            return False
        columns = _attribute_columns(name, "*", list(values), grid)
        if columns is None:
            return False
        merge(weights, columns)
        return True
    stars = "/".join("*" * len(grid))
    columns = _columns(join(name, stars), list(values), grid)
    if columns is None:
        return False
    merge(weights, columns)
    return True


def _columns(name: str, items: list[Any], grid: tuple[int, ...]) -> Weights | None:
    """Weights of many objects of one class as columns; None if they differ."""
    cls: Any = type(items[0])
    if any(type(item) is not cls for item in items):
        return None
    extractor = find_extractor(cls)
    if extractor is _tree:
        states = tree_states(items)
        weights = Weights()
        nodes = column_of([state[_NODES] for state in states])
        values = column_of([state[_NODES + 1] for state in states])
        assert nodes is not None
        assert values is not None
        arrays = {_TREE_FIELDS.get(n, n): nodes.fields[n] for n in nodes.fields}
        arrays["value"] = values.fields[""]
        order = [*filter(arrays.__contains__, _TREE_ARRAYS), *arrays]
        for field in dict.fromkeys(order):
            _put_column(weights, name, field, arrays[field], nodes.lengths, grid)
        return weights
    if extractor is not extract_attributes and (
        extractor is not None or not _is_estimator(items[0])
    ):
        return None
    held = [attributes(item) for item in items]
    names = list(held[0])
    if any(list(one) != names for one in held):
        return None
    weights = Weights()
    for attribute in names:
        if is_weight(cls, attribute):
            of_all = [one[attribute] for one in held]
            column = _attribute_columns(name, attribute, of_all, grid)
            if column is None:
                return None
            merge(weights, column)
    return weights


def _attribute_columns(
    name: str, attribute: str, values: list[Any], grid: tuple[int, ...]
) -> Weights | None:
    """One attribute of many objects as columns; None if that is impossible."""
    if all(isinstance(value, _INERT) for value in values):
        return Weights()
    weights = Weights()
    if all(type(value) is np.ndarray for value in values):
        column = column_of(values)
        if column is None or any(
            field.dtype.kind not in _NUMERIC_KINDS for field in column.fields.values()
        ):
            return None
        prefix = join(name, attribute) if column.dtype.names else name
        for field, array in column.fields.items():
            _put_column(
                weights, prefix, field or attribute, array, column.lengths, grid
            )
        return weights
    if all(type(value) in (int, float, np.float64, np.int64) for value in values):
        if len(set(map(type, values))) == 1:
            weights[join(name, attribute)] = np.array(values).reshape(grid)
            weights.encodings[join(name, attribute)] = STACK
            return weights
        return None
    return _columns(join(name, attribute), values, grid)


def _put_column(
    weights: Weights,
    prefix: str,
    field: str,
    array: Array,
    lengths: Array | None,
    grid: tuple[int, ...],
) -> None:
    name = join(prefix, field)
    if lengths is None:
        # Reshaped only if needed: the state refers to this very array.
        weights[name] = array if len(grid) == 1 else _on_grid(array, grid)
        weights.encodings[name] = STACK
        return
    rows = join(prefix, "rows")
    if rows not in weights:
        weights[rows] = lengths if len(grid) == 1 else _on_grid(lengths, grid)
    weights[name] = array
    weights.encodings[name] = encode_rows(rows)


def _on_grid(array: Array, grid: tuple[int, ...]) -> Array:
    return array.reshape(*grid, *array.shape[1:])


def _add_sparse(weights: Weights, name: str, matrix: Any) -> None:
    """Component arrays of a csr or csc matrix; other formats become csr."""
    if matrix.format not in ("csr", "csc"):
        matrix = matrix.tocsr()
    _put(weights, join(name, "data"), matrix.data)
    _put(weights, join(name, "indices"), matrix.indices)
    _put(weights, join(name, "indptr"), matrix.indptr)
    _put(weights, join(name, "shape"), np.asarray(matrix.shape, dtype=np.int64))
    weights.encodings[name] = matrix.format


def _put(weights: Weights, name: str, array: Array) -> None:
    merge(weights, Weights({name: array}))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, complex, np.number)) and not isinstance(
        value, bool
    )


def _is_estimator(value: Any) -> bool:
    return isinstance(value, BaseEstimator) or (
        hasattr(value, "fit") and hasattr(value, "get_params")
    )


def _holds_parts(array: Array) -> bool:
    """Whether an object array is a grid of arrays or estimators (and gaps)."""
    return all(
        item is None
        or isinstance(item, np.ndarray)
        or scipy.sparse.issparse(item)
        or _is_estimator(item)
        or find_extractor(type(item)) is not None
        for item in array.flat
    )


def _composite(parts: Callable[[Any], Iterable[tuple[str, Any]]]) -> Extractor:
    """Extractor of the named parts, then of the whole's own attributes."""

    def extract(estimator: Any) -> Weights:
        weights = extract_parts(parts(estimator))
        merge(weights, extract_attributes(estimator))
        return weights

    return extract


def _column_transformers(estimator: Any) -> Iterator[tuple[str, Any]]:
    # An unfitted one that is part of a whole has no transformers_.
    for name, transformer, _ in getattr(estimator, "transformers_", ()):
        yield name, transformer


def _named_estimators(estimator: Any) -> Iterator[tuple[str, Any]]:
    # By name, not by index: dropping one must not rename the others.
    yield from getattr(estimator, "named_estimators_", {}).items()


def _search(search: Any) -> Weights:
    """Weights of the refitted best estimator; the rest of a search is results."""
    return extract_parts(
        [("best_estimator_", getattr(search, "best_estimator_", None))]
    )


def _splines(estimator: Any) -> Weights:
    """Knots and coefficients of scipy's splines, an object for each feature."""
    weights = extract_attributes(estimator)
    for index, spline in enumerate(getattr(estimator, "bsplines_", ())):
        _put(weights, f"bsplines_/{index}/t", spline.t)
        _put(weights, f"bsplines_/{index}/c", spline.c)
    return weights


def _tree(tree: Any) -> Weights:
    """Node arrays of a Cython tree: shape ``(n_nodes, ...)``, views of its memory."""
    return Weights({name: getattr(tree, name) for name in _TREE_ARRAYS})


def _kernel(kernel: Any) -> Weights:
    """Logarithms of a Gaussian process kernel's free hyperparameters."""
    return Weights({"theta": np.asarray(kernel.theta)})


EXTRACTORS: dict[str, Extractor] = {
    "sklearn.pipeline.Pipeline": _composite(lambda pipeline: pipeline.steps),
    "sklearn.pipeline.FeatureUnion": _composite(lambda union: union.transformer_list),
    "sklearn.compose._column_transformer.ColumnTransformer": _composite(
        _column_transformers
    ),
    "sklearn.ensemble._voting._BaseVoting": _composite(_named_estimators),
    "sklearn.ensemble._stacking._BaseStacking": _composite(_named_estimators),
    "sklearn.feature_extraction.text.TfidfVectorizer": _composite(
        lambda vectorizer: [("", vectorizer._tfidf)]
    ),
    "sklearn.model_selection._search.BaseSearchCV": _search,
    "sklearn.preprocessing._polynomial.SplineTransformer": _splines,
    "sklearn.tree._tree.Tree": _tree,
    "sklearn.gaussian_process.kernels.Kernel": _kernel,
    "sklearn.calibration._CalibratedClassifier": extract_attributes,
    "sklearn.cluster._bisect_k_means._BisectingTree": extract_attributes,
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": (
        extract_attributes
    ),
}

"""Types whose values are more than attributes, each with its two directions.

``take`` returns plain content: numbers, texts, arrays, tuples and objects. ``make``
returns the value. Whatever compiled code follows without checks, such as the nodes of a
tree, is checked first: a manipulated file could make scikit-learn read out of bounds
(https://github.com/scikit-learn/scikit-learn/pull/34558).
"""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import functools
import logging
import pathlib
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.utils import Bunch

from weightsearch._records import Array
from weightsearch.exceptions import RebuildError
from weightsearch.frameworks._columns import tree_states
from weightsearch.frameworks._registry import qualified_name

__all__ = [
    "SpecialType",
    "check_tree_features",
    "dtype_content",
    "dtype_of",
    "special_type_named",
    "special_type_of",
    "text_bytes",
    "text_of",
]


@dataclass(frozen=True)
class SpecialType:
    """How values of one type become plain content and are made from it.

    Attributes
    ----------
    name : str
        Its name in a state.
    take : callable
        Returns the content of a value.
    make : callable
        Returns a value of that content. Raises ValueError, TypeError or LookupError for
        any other content.
    take_many, make_many : callable or None
        The same for many values at once, if that is faster.
    """

    name: str
    take: Callable[[Any], Any]
    make: Callable[[Any], Any]
    take_many: Callable[[Sequence[Any]], list[Any]] | None = None
    make_many: Callable[[Sequence[Any]], list[Any]] | None = None


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


def _check_nodes(rows: Array, lengths: Array, n_features: Array) -> None:
    """Check the nodes of many trees, concatenated in ``rows``."""
    if not len(lengths) or not np.all(lengths > 0):
        raise ValueError("a tree has no nodes")
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    own = np.arange(len(rows)) - starts
    size = np.repeat(lengths, lengths)
    left, right = rows["left_child"], rows["right_child"]
    leaf = (left == -1) & (right == -1)
    # Children come after their parents, so that every path ends.
    inner = (left > own) & (left < size) & (right > own) & (right < size)
    if not np.all(leaf | inner):
        raise ValueError("a tree points outside its own nodes")
    feature = rows["feature"]
    if not np.all(leaf | ((feature >= 0) & (feature < n_features))):
        raise ValueError("a tree uses features that it does not have")


# -- other compiled classes --------------------------------------------------------


def _take_neighbors(tree: Any) -> Any:
    return tuple(tree.__getstate__())


def _make_neighbors(cls: Callable[[], type]) -> Callable[[Any], Any]:
    def make(state: Any) -> Any:
        _check_neighbors(state)
        compiled: Any = cls()
        made: Any = compiled.__new__(compiled)
        made.__setstate__(state)
        return made

    return make


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


def _kd_tree() -> type:
    from sklearn.neighbors import KDTree

    cls: type = KDTree
    return cls


def _ball_tree() -> type:
    from sklearn.neighbors import BallTree

    cls: type = BallTree
    return cls


_METRICS = ("Chebyshev", "Euclidean", "Manhattan", "Minkowski")


def _take_metric(metric: Any) -> Any:
    name = type(metric).__name__
    if name.rstrip("2346") not in {f"{one}Distance" for one in _METRICS}:
        raise TypeError(f"{name} is not a distance that can be stored")
    p, vector, matrix = metric.__getstate__()
    return name, float(p), np.asarray(vector), np.asarray(matrix)


def _make_metric(content: Any) -> Any:
    from sklearn.metrics import _dist_metrics

    name, p, vector, matrix = content
    if name.rstrip("2346") not in {f"{one}Distance" for one in _METRICS}:
        raise ValueError(f"{name} is not a distance")
    if vector.ndim != 1 or matrix.ndim != 2:
        raise ValueError("the parameters of a distance do not have their shape")
    cls = getattr(_dist_metrics, name)
    made: Any = cls.__new__(cls)
    made.__setstate__((p, vector, matrix))
    return made


_LOSSES = ("sklearn._loss._loss", "sklearn.linear_model._sgd_fast")


def _take_loss(loss: Any) -> Any:
    cls = type(loss)
    function, arguments, *_ = loss.__reduce__()
    # Cython itself reduces those without parameters.
    own = arguments if function is cls else ()
    return _module_of_loss(cls), cls.__name__, tuple(map(float, own))


def _module_of_loss(cls: type) -> str | None:
    """The compiled module of a loss; None for other classes.

    Up to scikit-learn 1.6 the classes themselves name it without its package.
    """
    for module in _LOSSES:
        if cls.__module__ in (module, module.rpartition(".")[2]):
            if getattr(sys.modules.get(module), cls.__name__, None) is cls:
                return module
    return None


def _make_loss(content: Any) -> Any:
    from importlib import import_module

    module, name, arguments = content
    if module not in _LOSSES:
        raise ValueError(f"{module} is not a module of losses")
    cls = getattr(import_module(module), name)
    # These modules have no other classes of their own.
    if not isinstance(cls, type) or _module_of_loss(cls) != module:
        raise ValueError(f"{name} is not a loss")
    return cls(*map(float, arguments))


# -- scipy and numpy ---------------------------------------------------------------


def _take_sparse(matrix: Any) -> Any:
    parts = (matrix.data, matrix.indices, matrix.indptr)
    return (*parts, tuple(int(n) for n in matrix.shape))


def _make_sparse(name: str) -> Callable[[Any], Any]:
    def make(content: Any) -> Any:
        data, indices, indptr, shape = content
        cls = getattr(scipy.sparse, name)
        matrix = cls((data, indices, indptr), shape=shape, copy=False)
        matrix.check_format(full_check=True)
        return matrix

    return make


def _take_coo(matrix: Any) -> Any:
    return matrix.data, matrix.row, matrix.col, tuple(int(n) for n in matrix.shape)


def _make_coo(name: str) -> Callable[[Any], Any]:
    def make(content: Any) -> Any:
        data, row, col, shape = content
        matrix = getattr(scipy.sparse, name)((data, (row, col)), shape=shape)
        return matrix

    return make


_BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


def _take_random(generator: Any) -> Any:
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.bit_generator.state


def _make_random(content: Any) -> Any:
    name = content["bit_generator"]
    if name not in _BIT_GENERATORS:
        raise ValueError(f"{name} is not a bit generator of numpy")
    bits = getattr(np.random, name)()
    if "has_gauss" in content:
        state = np.random.RandomState(bits)
        state.set_state(content)
        return state
    bits.state = content
    return np.random.Generator(bits)


def _is_frozen_distribution(cls: type) -> bool:
    return cls.__module__.startswith("scipy.stats.") and any(
        base.__name__ == "rv_frozen" for base in cls.__mro__
    )


def _take_distribution(frozen: Any) -> Any:
    name = frozen.dist.name
    if type(_distribution(name)) is not type(frozen.dist):
        raise TypeError(f"{name} is not a distribution of scipy.stats")
    random = frozen.random_state
    # A copy, which scikit-learn's clone makes, has a generator of its own.
    is_global = random is _distribution(name).random_state
    return name, tuple(frozen.args), dict(frozen.kwds), None if is_global else random


def _make_distribution(content: Any) -> Any:
    name, args, keywords, random = content
    frozen = _distribution(name)(*args, **keywords)
    if random is not None:
        frozen.random_state = random
    return frozen


def _distribution(name: str) -> Any:
    import scipy.stats

    found = getattr(scipy.stats, name, None)
    if not isinstance(found, scipy.stats.rv_continuous | scipy.stats.rv_discrete):
        raise ValueError(f"{name} is not a distribution of scipy.stats")
    return found


@lru_cache(maxsize=256)
def dtype_content(dtype: np.dtype[Any]) -> Any:
    """A dtype as JSON."""
    if dtype.hasobject and dtype.kind != "O":
        raise TypeError(f"the type {dtype} cannot be stored")
    if dtype.names is not None:
        return np.lib.format.dtype_to_descr(dtype)
    # Types of other packages, such as bfloat16, only have a name.
    return dtype.name if dtype.kind == "V" and dtype.type is not np.void else dtype.str


def dtype_of(content: Any) -> np.dtype[Any]:
    """The reverse of :func:`dtype_content`."""
    if isinstance(content, str):
        try:
            found: np.dtype[Any] = np.dtype(content)
        except TypeError:
            import ml_dtypes

            found = np.dtype(getattr(ml_dtypes, content))
        return found
    # JSON has no tuples.
    fields: Any = [
        tuple(tuple(part) if isinstance(part, list) else part for part in field)
        for field in content
    ]
    found = np.lib.format.descr_to_dtype(fields)
    return found


# -- pandas ------------------------------------------------------------------------


def _is_of_pandas(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "pandas"


def _take_index(index: pd.Index) -> Any:
    if isinstance(index, pd.MultiIndex):
        return "multi", list(index.names), index.tolist(), None
    if isinstance(index, pd.RangeIndex):
        return "range", index.name, (index.start, index.stop, index.step), None
    return "", index.name, *_take_values(index.array)


def _make_index(content: Any) -> pd.Index:
    how, name, values, dtype = content
    if how == "multi":
        return pd.MultiIndex.from_tuples(values, names=name)
    if how == "range":
        return pd.RangeIndex(*values, name=name)
    return pd.Index(_make_values((values, dtype)), name=name)


def _take_values(values: Any) -> tuple[Any, Any]:
    """An array of pandas as numbers or objects, and its dtype as text."""
    array = np.asarray(values)
    if isinstance(values, pd.Categorical):
        categories = _take_values(values.categories.array)
        return (np.asarray(values.codes), categories, bool(values.ordered)), "category"
    if isinstance(values.dtype, np.dtype):
        return array, None
    return array.astype(object), str(values.dtype)


def _make_values(content: Any) -> Any:
    values, dtype = content
    if dtype == "category":
        codes, categories, ordered = values
        return pd.Categorical.from_codes(
            codes, categories=pd.Index(_make_values(categories)), ordered=ordered
        )
    return values if dtype is None else pd.array(values, dtype=dtype)


def _take_pandas_dtype(dtype: Any) -> Any:
    if isinstance(dtype, pd.CategoricalDtype):
        return dtype.categories, bool(dtype.ordered)
    return str(dtype)


def _make_pandas_dtype(content: Any) -> Any:
    if isinstance(content, str):
        return pd.api.types.pandas_dtype(content)
    return pd.CategoricalDtype(*content)


def _take_series(series: pd.Series) -> Any:
    return series.name, series.index, *_take_values(series.array)


def _make_series(content: Any) -> pd.Series:
    name, index, values, dtype = content
    return pd.Series(_make_values((values, dtype)), index=index, name=name)


def _take_frame(frame: pd.DataFrame) -> Any:
    columns = [
        _take_values(frame.iloc[:, place].array) for place in range(frame.shape[1])
    ]
    return frame.columns, frame.index, columns


def _make_frame(content: Any) -> pd.DataFrame:
    columns, index, values = content
    made = {
        place: pd.Series(_make_values(one), index=index)
        for place, one in enumerate(values)
    }
    frame = pd.DataFrame(made, index=index, columns=range(len(values)))
    frame.columns = columns
    return frame


def _take_timestamp(value: Any) -> Any:
    return value.isoformat(), None if value.tz is None else str(value.tz)


def _make_timestamp(content: Any) -> Any:
    text, zone = content
    made = pd.Timestamp(text)
    return made if zone is None else made.tz_convert(zone)


# -- the registry ------------------------------------------------------------------


def _take_named(value: Any) -> Any:
    return type(value), tuple(value)


def _make_named(content: Any) -> Any:
    cls, items = content
    if not issubclass(cls, tuple) or not hasattr(cls, "_fields"):
        raise ValueError("a named tuple is not one")
    return tuple.__new__(cls, items)


def _take_partial(value: Any) -> Any:
    return value.func, value.args, dict(value.keywords)


def _make_partial(content: Any) -> Any:
    function, args, keywords = content
    return functools.partial(function, *args, **keywords)


def _make_deque(content: Any) -> Any:
    items, most = content
    return collections.deque(items, most)


def text_bytes(text: str) -> Array:
    """A text as bytes in UTF-8."""
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)


def text_of(array: Array) -> str:
    """The reverse of :func:`text_bytes`."""
    return array.tobytes().decode("utf-8", "surrogatepass")


def _take_set(value: Any) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=repr)


def _take_masked(array: Any) -> Any:
    mask = np.ma.getmask(array)
    return array.data, None if mask is np.ma.nomask else mask, array.fill_value


def _make_masked(content: Any) -> Any:
    data, mask, fill = content
    mask = np.ma.nomask if mask is None else mask
    return np.ma.MaskedArray(data, mask, fill_value=fill)


def _take_method(method: Any) -> Any:
    owner, name = method.__self__, method.__func__.__name__
    if getattr(type(owner), name, None) is not method.__func__:
        raise TypeError(f"{name} is not a method of its object's class")
    return owner, name


def _make_method(content: Any) -> Any:
    owner, name = content
    function = getattr(type(owner), name)
    if not isinstance(function, types.FunctionType):
        raise ValueError(f"{name!r} is not a method")
    return function.__get__(owner)


def _take_member(member: Any) -> Any:
    # Several flags at once have no name.
    is_flag = isinstance(member, enum.Flag)
    return type(member), int(member.value) if is_flag else member.name


def _make_member(content: Any) -> Any:
    cls, name = content
    if not isinstance(cls, enum.EnumType):
        raise ValueError("an enumeration is not one")
    return cls[name] if isinstance(name, str) else cls(name)


_SPARSE = [f"{form}_{kind}" for form in ("csr", "csc") for kind in ("matrix", "array")]
_COO = ["coo_matrix", "coo_array"]

_TYPES = {
    "sklearn.tree._tree.Tree": SpecialType(
        "Tree",
        lambda tree: tree_states([tree])[0],
        lambda state: _make_trees([state])[0],
        tree_states,
        _make_trees,
    ),
    "sklearn.neighbors._kd_tree.KDTree": SpecialType(
        "KDTree", _take_neighbors, _make_neighbors(_kd_tree)
    ),
    "sklearn.neighbors._ball_tree.BallTree": SpecialType(
        "BallTree", _take_neighbors, _make_neighbors(_ball_tree)
    ),
    **{
        f"scipy.sparse._{name[:3]}.{name}": SpecialType(
            name, _take_sparse, _make_sparse(name)
        )
        for name in _SPARSE
    },
    **{
        f"scipy.sparse._coo.{name}": SpecialType(name, _take_coo, _make_coo(name))
        for name in _COO
    },
    # Integers and floats that JSON does not have.
    "builtins.int": SpecialType("int", hex, lambda text: int(text, 16)),
    "builtins.float": SpecialType("float", repr, float),
    "builtins.complex": SpecialType(
        "complex", lambda c: (c.real, c.imag), lambda parts: complex(*parts)
    ),
    "builtins.bytes": SpecialType(
        "bytes", lambda b: np.frombuffer(b, np.uint8), lambda array: array.tobytes()
    ),
    "builtins.bytearray": SpecialType(
        "bytearray",
        lambda b: np.frombuffer(b, np.uint8),
        lambda array: bytearray(array.tobytes()),
    ),
    "builtins.str": SpecialType("text", text_bytes, text_of),
    "builtins.set": SpecialType("set", _take_set, set),
    "builtins.frozenset": SpecialType("frozenset", _take_set, frozenset),
    "builtins.method": SpecialType("method", _take_method, _make_method),
    "builtins.slice": SpecialType(
        "slice", lambda s: (s.start, s.stop, s.step), lambda parts: slice(*parts)
    ),
    "builtins.range": SpecialType(
        "range", lambda r: (r.start, r.stop, r.step), lambda parts: range(*parts)
    ),
    "builtins.ellipsis": SpecialType("ellipsis", lambda _: None, lambda _: ...),
    "functools.partial": SpecialType("partial", _take_partial, _make_partial),
    "collections.OrderedDict": SpecialType(
        "OrderedDict", dict, collections.OrderedDict
    ),
    "collections.Counter": SpecialType("Counter", dict, collections.Counter),
    "collections.defaultdict": SpecialType(
        "defaultdict",
        lambda value: (value.default_factory, dict(value)),
        lambda content: collections.defaultdict(*content),
    ),
    "collections.deque": SpecialType(
        "deque", lambda value: (list(value), value.maxlen), _make_deque
    ),
    "datetime.datetime": SpecialType(
        "datetime", datetime.datetime.isoformat, datetime.datetime.fromisoformat
    ),
    "datetime.date": SpecialType(
        "date", datetime.date.isoformat, datetime.date.fromisoformat
    ),
    "datetime.timedelta": SpecialType(
        "timedelta",
        lambda d: (d.days, d.seconds, d.microseconds),
        lambda parts: datetime.timedelta(*parts),
    ),
    "decimal.Decimal": SpecialType("Decimal", str, decimal.Decimal),
    "fractions.Fraction": SpecialType(
        "Fraction",
        lambda f: (f.numerator, f.denominator),
        lambda parts: fractions.Fraction(*parts),
    ),
    "logging.Logger": SpecialType("Logger", lambda log: log.name, logging.getLogger),
    **{
        f"{module}.{name}": SpecialType(
            name, lambda p: str(p), getattr(pathlib, name.replace("Windows", "Posix"))
        )
        for module in ("pathlib", "pathlib._local")
        for name in ("PosixPath", "WindowsPath")
        if name == type(pathlib.Path()).__name__
    },
}

_TYPES_BY_TEST: list[tuple[Callable[[type], bool], SpecialType]] = [
    (
        lambda cls: issubclass(cls, enum.Enum),
        SpecialType("enum", _take_member, _make_member),
    ),
    (
        lambda cls: issubclass(cls, np.generic),
        SpecialType("scalar", np.asarray, lambda array: array[()]),
    ),
    (
        lambda cls: issubclass(cls, np.ma.MaskedArray),
        SpecialType("masked", _take_masked, _make_masked),
    ),
    (
        lambda cls: issubclass(cls, np.dtype),
        SpecialType("dtype", dtype_content, dtype_of),
    ),
    (
        _is_frozen_distribution,
        SpecialType("distribution", _take_distribution, _make_distribution),
    ),
    (
        lambda cls: cls is Bunch,
        SpecialType("Bunch", dict, lambda items: Bunch(**items)),
    ),
    (
        lambda cls: cls is np.random.RandomState or cls is np.random.Generator,
        SpecialType("random", _take_random, _make_random),
    ),
    (
        lambda cls: cls.__module__ == "sklearn.metrics._dist_metrics",
        SpecialType("metric", _take_metric, _make_metric),
    ),
    (
        lambda cls: _module_of_loss(cls) is not None,
        SpecialType("loss", _take_loss, _make_loss),
    ),
    (
        lambda cls: issubclass(cls, pd.Index) and _is_of_pandas(cls),
        SpecialType("Index", _take_index, _make_index),
    ),
    (
        lambda cls: cls is pd.Timestamp,
        SpecialType("Timestamp", _take_timestamp, _make_timestamp),
    ),
    (
        lambda cls: cls is pd.Timedelta,
        SpecialType(
            "Timedelta", lambda d: int(d.value), lambda ns: pd.Timedelta(ns, "ns")
        ),
    ),
    (
        lambda cls: cls is type(pd.NaT),
        SpecialType("NaT", lambda _: None, lambda _: pd.NaT),
    ),
    (
        lambda cls: cls is type(pd.NA),
        SpecialType("NA", lambda _: None, lambda _: pd.NA),
    ),
    (lambda cls: cls is pd.Series, SpecialType("Series", _take_series, _make_series)),
    (
        lambda cls: cls is pd.DataFrame,
        SpecialType("DataFrame", _take_frame, _make_frame),
    ),
    (
        lambda cls: (
            issubclass(cls, pd.api.extensions.ExtensionDtype) and _is_of_pandas(cls)
        ),
        SpecialType("pandas dtype", _take_pandas_dtype, _make_pandas_dtype),
    ),
    (
        lambda cls: issubclass(cls, tuple) and hasattr(cls, "_fields"),
        SpecialType("namedtuple", _take_named, _make_named),
    ),
]


@lru_cache(maxsize=4096)
def special_type_of(cls: Any) -> SpecialType | None:
    """Return the special type of a class; None for plain objects."""
    known = _TYPES.get(qualified_name(cls))
    if known is not None:
        return known
    return next((kind for fits, kind in _TYPES_BY_TEST if fits(cls)), None)


_BY_NAME = {
    kind.name: kind
    for kind in (*_TYPES.values(), *(kind for _, kind in _TYPES_BY_TEST))
}


def special_type_named(name: str) -> SpecialType:
    """Return the special type of a name.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    kind = _BY_NAME.get(name)
    if kind is None:
        raise ValueError(f"unknown type {name!r}")
    return kind


# -- after construction ------------------------------------------------------------

_ENSEMBLES = (
    "sklearn.ensemble._bagging",
    "sklearn.ensemble._forest",
    "sklearn.ensemble._gb",
    "sklearn.ensemble._iforest",
)
_PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor"


def check_tree_features(root: Any) -> None:
    """Check the compiled parts of a rebuilt estimator.

    Raises
    ------
    RebuildError
        If one uses features that its estimator does not have.
    """
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
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        size = np.repeat(lengths, lengths)
        own = np.arange(len(rows)) - starts
        inner = rows["is_leaf"] == 0
        left, right = rows["left"].astype(np.int64), rows["right"].astype(np.int64)
        good = (
            bool(np.all(lengths > 0))
            and bool(np.all((left > own) & (left < size), where=inner))
            and bool(np.all((right > own) & (right < size), where=inner))
            and bool(np.all(rows["feature_idx"] >= 0, where=inner))
            and bool(np.all(rows["feature_idx"] < n_features, where=inner))
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

"""Types whose values are more than attributes, each with its two directions.

``take`` returns plain content: numbers, texts, arrays, tuples and objects. ``make``
returns the value.
"""

from __future__ import annotations

import collections
import decimal
import enum
import fractions
import functools
import logging
import types
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.utils import Bunch

from weightsearch._records import Array
from weightsearch._value_types import VALUE_TYPES, ValueType, of_parts
from weightsearch.frameworks._registry import qualified_name
from weightsearch.frameworks._state._compiled import (
    COMPILED,
    LOSS,
    METRIC,
    module_of_loss,
)

__all__ = [
    "SPECIAL_TYPES",
    "dtype_content",
    "dtype_of",
    "special_type_of",
    "text_bytes",
    "text_of",
]


# -- scipy and numpy ---------------------------------------------------------------


def _sparse(cls: Any) -> ValueType:
    is_coo = cls.__name__.startswith("coo")
    places = ("row", "col") if is_coo else ("indices", "indptr")

    def take(matrix: Any) -> Any:
        parts = (getattr(matrix, name) for name in ("data", *places))
        return (*parts, tuple(map(int, matrix.shape)))

    def make(content: Any) -> Any:
        data, first, second, shape = content
        parts = (data, (first, second)) if is_coo else (data, first, second)
        matrix = cls(parts, shape=shape, copy=False)
        if not is_coo:
            matrix.check_format(full_check=True)
        return matrix

    return ValueType(cls.__name__, take, make)


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


def _array_of(values: Any) -> Any:
    """Array of an index or series: numpy's where its type is numpy's."""
    return np.asarray(values) if isinstance(values.dtype, np.dtype) else values.array


def _take_array(array: Any) -> Any:
    if isinstance(array, pd.Categorical):
        return np.asarray(array.codes), array.categories, bool(array.ordered)
    return np.asarray(array).astype(object), str(array.dtype)


def _make_array(content: Any) -> Any:
    if len(content) == 2:
        return pd.array(content[0], dtype=content[1])
    codes, categories, ordered = content
    return pd.Categorical.from_codes(codes, categories=categories, ordered=ordered)


def _take_index(index: pd.Index) -> Any:
    if isinstance(index, pd.MultiIndex):
        return "multi", list(index.names), index.tolist()
    if isinstance(index, pd.RangeIndex):
        return "range", index.name, (index.start, index.stop, index.step)
    return "", index.name, _array_of(index)


def _make_index(content: Any) -> pd.Index:
    how, name, values = content
    if how == "multi":
        return pd.MultiIndex.from_tuples(values, names=name)
    if how == "range":
        return pd.RangeIndex(*values, name=name)
    return pd.Index(values, name=name)


def _take_pandas_dtype(dtype: Any) -> Any:
    if isinstance(dtype, pd.CategoricalDtype):
        return dtype.categories, bool(dtype.ordered)
    return str(dtype)


def _make_pandas_dtype(content: Any) -> Any:
    if isinstance(content, str):
        return pd.api.types.pandas_dtype(content)
    return pd.CategoricalDtype(*content)


def _make_series(content: Any) -> pd.Series:
    name, index, array = content
    return pd.Series(array, index=index, name=name)


def _take_frame(frame: pd.DataFrame) -> Any:
    places = range(frame.shape[1])
    return frame.columns, frame.index, [_array_of(frame.iloc[:, i]) for i in places]


def _make_frame(content: Any) -> pd.DataFrame:
    columns, index, arrays = content
    made = {i: pd.Series(array, index=index) for i, array in enumerate(arrays)}
    frame = pd.DataFrame(made, index=index, columns=range(len(arrays)))
    frame.columns = columns
    return frame


def _take_timestamp(value: Any) -> Any:
    return value.isoformat(), None if value.tz is None else str(value.tz)


def _make_timestamp(content: Any) -> Any:
    text, zone = content
    made = pd.Timestamp(text)
    return made if zone is None else made.tz_convert(zone)


# -- Python ------------------------------------------------------------------------


def _make_named(content: Any) -> Any:
    cls, items = content
    if not issubclass(cls, tuple) or not hasattr(cls, "_fields"):
        raise ValueError("a named tuple is not one")
    return tuple.__new__(cls, items)


def _make_partial(content: Any) -> Any:
    function, args, keywords = content
    return functools.partial(function, *args, **keywords)


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


def _constant(name: str, value: Any) -> ValueType:
    return ValueType(name, lambda _: None, lambda _: value)


def _sub(base: Any, root: str | None = None) -> Callable[[type], bool]:
    """Test of a class: derived from a base, and of a package."""
    return lambda cls: (
        issubclass(cls, base) and root in (None, cls.__module__.partition(".")[0])
    )


_BY_CLASS: dict[Any, ValueType] = {
    **VALUE_TYPES,
    bytes: ValueType(
        "bytes", lambda b: np.frombuffer(b, np.uint8), lambda array: array.tobytes()
    ),
    bytearray: ValueType(
        "bytearray",
        lambda b: np.frombuffer(b, np.uint8),
        lambda array: bytearray(array.tobytes()),
    ),
    str: ValueType("text", text_bytes, text_of),
    set: ValueType("set", _take_set, set),
    frozenset: ValueType("frozenset", _take_set, frozenset),
    type(...): _constant("ellipsis", ...),
    types.MethodType: ValueType("method", _take_method, _make_method),
    functools.partial: ValueType(
        "partial", lambda p: (p.func, p.args, dict(p.keywords)), _make_partial
    ),
    collections.OrderedDict: ValueType("OrderedDict", dict, collections.OrderedDict),
    collections.Counter: ValueType("Counter", dict, collections.Counter),
    collections.defaultdict: ValueType(
        "defaultdict",
        lambda value: (value.default_factory, dict(value)),
        lambda content: collections.defaultdict(*content),
    ),
    collections.deque: ValueType(
        "deque",
        lambda value: (list(value), value.maxlen),
        lambda content: collections.deque(*content),
    ),
    decimal.Decimal: ValueType("Decimal", str, decimal.Decimal),
    fractions.Fraction: of_parts(
        "Fraction", fractions.Fraction, "numerator", "denominator"
    ),
    logging.Logger: ValueType("Logger", lambda log: log.name, logging.getLogger),
    Bunch: ValueType("Bunch", dict, lambda items: Bunch(**items)),
    np.random.RandomState: ValueType("random", _take_random, _make_random),
    np.random.Generator: ValueType("random", _take_random, _make_random),
    **{
        cls: _sparse(cls)
        for form in ("csr", "csc", "coo")
        for cls in (
            getattr(scipy.sparse, f"{form}_{kind}") for kind in ("matrix", "array")
        )
    },
    pd.Series: ValueType(
        "Series", lambda s: (s.name, s.index, _array_of(s)), _make_series
    ),
    pd.DataFrame: ValueType("DataFrame", _take_frame, _make_frame),
    pd.Timestamp: ValueType("Timestamp", _take_timestamp, _make_timestamp),
    pd.Timedelta: ValueType(
        "Timedelta", lambda d: int(d.value), lambda ns: pd.Timedelta(ns, "ns")
    ),
    type(pd.NaT): _constant("NaT", pd.NaT),
    type(pd.NA): _constant("NA", pd.NA),
}

_BY_TEST: list[tuple[Callable[[type], bool], ValueType]] = [
    (_sub(enum.Enum), ValueType("enum", _take_member, _make_member)),
    (_sub(np.generic), ValueType("scalar", np.asarray, lambda array: array[()])),
    (_sub(np.ma.MaskedArray), ValueType("masked", _take_masked, _make_masked)),
    (_sub(np.dtype), ValueType("dtype", dtype_content, dtype_of)),
    (
        _is_frozen_distribution,
        ValueType("distribution", _take_distribution, _make_distribution),
    ),
    (lambda cls: cls.__module__ == "sklearn.metrics._dist_metrics", METRIC),
    (lambda cls: module_of_loss(cls) is not None, LOSS),
    (_sub(pd.Index, "pandas"), ValueType("Index", _take_index, _make_index)),
    (
        _sub(pd.api.extensions.ExtensionArray, "pandas"),
        ValueType("pandas array", _take_array, _make_array),
    ),
    (
        _sub(pd.api.extensions.ExtensionDtype, "pandas"),
        ValueType("pandas dtype", _take_pandas_dtype, _make_pandas_dtype),
    ),
    (
        lambda cls: issubclass(cls, tuple) and hasattr(cls, "_fields"),
        ValueType("namedtuple", lambda value: (type(value), tuple(value)), _make_named),
    ),
]

SPECIAL_TYPES = {
    kind.name: kind
    for kind in (
        *_BY_CLASS.values(),
        *COMPILED.values(),
        *(kind for _, kind in _BY_TEST),
    )
}
"""By the name that a state has."""


@lru_cache(maxsize=4096)
def special_type_of(cls: Any) -> ValueType | None:
    """Return the special type of a class; None for plain objects."""
    known = _BY_CLASS.get(cls) or COMPILED.get(qualified_name(cls))
    return known or next((kind for fits, kind in _BY_TEST if fits(cls)), None)

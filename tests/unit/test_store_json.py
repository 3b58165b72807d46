"""JSON texts of a store: every float comes back, and a stranger's text is doubted."""

from __future__ import annotations

import json
import math
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightsearch.exceptions import CorruptStoreError
from weightsearch.store import _json
from weightsearch.store._schema import MAX_JSON_BYTES

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(VALUES)
def test_values_come_back(value: Any):
    """What JSON has comes back equal, infinite floats among it."""
    assert _json.loads(_json.dumps(value)) == value


def test_text_is_standard_json():
    """A reader without this package can parse floats that JSON lacks."""
    text = _json.dumps({"a": [math.nan, math.inf, -math.inf]})

    assert json.loads(text) == {
        "a": [{"$float": "nan"}, {"$float": "inf"}, {"$float": "-inf"}]
    }


def test_nan_comes_back():
    """Nan comes back as nan, not as None or text."""
    assert math.isnan(_json.loads(_json.dumps([math.nan]))[0])


@pytest.mark.parametrize(
    "value",
    [{"$float": "nan"}, {"$float": 1}, {"$dict": []}, {"a": {"$float": None}}],
)
def test_mappings_that_look_like_tags_come_back(value: dict[str, Any]):
    """A mapping with the tag's key is not mistaken for a float."""
    assert _json.loads(_json.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(2), 2),
        ((1, 2), [1, 2]),
        (MappingProxyType({"a": 1}), {"a": 1}),
    ],
)
def test_numpy_scalars_are_numbers(value: Any, expected: Any):
    """Numpy's scalars are written as the Python value they hold."""
    assert _json.loads(_json.dumps({"x": value})) == {"x": expected}


def test_numpy_nan_is_a_float():
    """A float32 nan is written as nan too."""
    assert math.isnan(_json.loads(_json.dumps(np.float32("nan"))))


@pytest.mark.parametrize("value", [{1: 2}, {"a": {None: 1}}, object(), {1, 2}, b"a"])
def test_what_json_lacks_is_refused(value: Any):
    """Keys that are not text, and unknown types, are refused rather than changed."""
    with pytest.raises(TypeError):
        _json.dumps(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nan",
        "NaN",
        "[Infinity]",
        b"\xff",
        "[" * 100_000,
        '{"$float": "1.0"}',
        '{"$float": []}',
        '{"$dict": 3}',
        '{"$dict": [[[], 1]]}',
        "1" * 10_000,
    ],
)
def test_bad_text_is_named(text: str | bytes):
    """Text that is no JSON of ours ends with an error that names the place."""
    with pytest.raises(CorruptStoreError, match="/here") as caught:
        _json.loads(text, path="a.h5", place="/here")

    assert (caught.value.path, caught.value.place) == ("a.h5", "/here")


def test_long_text_is_refused():
    """Text above the limit is not even parsed."""
    with pytest.raises(CorruptStoreError, match="limit"):
        _json.loads(b" " * (MAX_JSON_BYTES + 1))

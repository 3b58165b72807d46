"""Types of the columns of params in ``run.candidates``."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from weightsearch.run._candidates import param_columns


def column(values):
    """The column of a param with these values; ``...`` where there is none."""
    keys = [{} if value is ... else {"p": value} for value in values]
    return param_columns(keys, ())["p"]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], "int64"),
        ([1, 2.5], "float64"),
        ([0.5, math.nan], "float64"),
        ([True, False], "bool"),
        ([1.5, ...], "Float64"),
        ([1, 2.5, ...], "Float64"),
        ([True, ...], "boolean"),
        (["relu", ...], "string"),
        ([1, ...], "Int64"),
        ([np.int64(1), 2], "int64"),
        ([np.float32(0.5), 2.0], "float64"),
        ([np.bool_(True), False], "bool"),
        ([np.float64(0.5), ...], "Float64"),
    ],
    ids=repr,
)
def test_plain_values_have_a_type(values, dtype):
    """Values of one plain type, with gaps or without, make no column of objects."""
    found = column(values)
    assert found.dtype == dtype
    for value, wanted in zip(found, values, strict=True):
        gap = wanted is ... or wanted != wanted
        assert pd.isna(value) if gap else value == wanted


def test_text_is_what_pandas_takes_text_for():
    """Strings have the type that pandas itself gives them."""
    assert column(["a", np.str_("b")]).dtype == pd.Series(["a", "b"]).dtype


@pytest.mark.parametrize(
    "values",
    [
        [(8,), (8, 4)],
        ["sqrt", 0.5, None],
        [True, 1],
        [0.5, math.nan, None],
        [2**60, 0.5],
        [2**70, None],
        [None, None],
        [len, abs],
        [np.longdouble(1) / 3, None],
        [1, None],
        [1, 2.5, None],
        [True, None],
        ["relu", None],
    ],
    ids=repr,
)
def test_what_fits_no_type_stays_as_it_is(values):
    """None, tuples, mixtures, and numbers that a type would change are objects."""
    found = column(values)
    assert found.dtype == object
    assert all(a is b for a, b in zip(found, values, strict=True))


@pytest.mark.parametrize(
    "values",
    [[None, ...], [1, None, ...], ["relu", None, ...], [(8,), None, ...]],
    ids=repr,
)
def test_none_is_not_what_is_missing(values):
    """A candidate whose param is None differs from one without the param."""
    found = list(column(values))
    assert found[-2] is None
    assert found[-1] is pd.NA

"""Splits of cross-validation, as they are stored."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)

from weightsearch.store._splits import pack_splits, unpack_splits

Y = np.arange(60) % 4
GROUPS = np.arange(60) % 7


@pytest.mark.parametrize(
    ("cv", "arrays"),
    [
        (KFold(5), {"test"}),
        (StratifiedKFold(3, shuffle=True, random_state=0), {"test"}),
        (GroupKFold(4), {"test"}),
        (LeaveOneOut(), {"test"}),
        (PredefinedSplit(np.arange(60) % 4 - 1), {"test"}),
        (RepeatedKFold(n_splits=4, n_repeats=2, random_state=0), {"test"}),
        (TimeSeriesSplit(4), {"test", "train"}),
        (ShuffleSplit(3, random_state=0), {"test", "train"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_splits_of_every_splitter_come_back(cv, arrays):
    """Indices, their order and type come back, from as few arrays as will do."""
    pairs = list(cv.split(Y, Y, GROUPS if isinstance(cv, GroupKFold) else None))

    packed = pack_splits(pairs, len(Y))
    found = unpack_splits(packed, len(pairs), len(Y))

    assert {name for name in packed if not name.endswith("offset")} == arrays
    np.testing.assert_equal(found, pairs)
    assert {rows.dtype for pair in found for rows in pair} == {np.dtype(np.int64)}


@pytest.mark.parametrize(("n_rows", "kind"), [(128, "i1"), (129, "<i2")])
def test_row_numbers_are_as_small_as_they_can_be(n_rows, kind):
    """Row numbers take no more bytes than the largest needs."""
    packed = pack_splits(list(KFold(5).split(np.zeros(n_rows))), n_rows)

    assert packed["test"].dtype == np.dtype(kind)
    assert len(packed["test"]) == n_rows


@pytest.mark.parametrize(
    "packed",
    [
        {"test": np.array([0.0, 1.0]), "test_offset": np.array([0, 1, 2])},
        {"test": np.array([-1, 1]), "test_offset": np.array([0, 1, 2])},
        {"test": np.array([0, 3]), "test_offset": np.array([0, 1, 2])},
        {"test": np.array([0, 1]), "test_offset": np.array([0, 2, 1])},
        {"test": np.array([0, 1]), "test_offset": np.array([0, 1, 9])},
        {"test": np.array([0, 1]), "test_offset": np.array([0, 2])},
        {"test": np.array([0, 1])},
    ],
)
def test_what_cannot_be_splits_is_refused(packed):
    """Rows and splits that do not exist, and parts that overlap, are errors."""
    with pytest.raises((KeyError, ValueError)):
        unpack_splits(packed, 2, 3)

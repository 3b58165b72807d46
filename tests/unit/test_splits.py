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
        (KFold(5), {"fold"}),
        (StratifiedKFold(3, shuffle=True, random_state=0), {"fold"}),
        (GroupKFold(4), {"fold"}),
        (LeaveOneOut(), {"fold"}),
        (PredefinedSplit(np.arange(60) % 4 - 1), {"fold"}),
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


def test_a_number_per_row_is_as_small_as_it_can_be():
    """Five folds of any data take a byte per row."""
    packed = pack_splits(list(KFold(5).split(Y)), len(Y))

    assert sum(array.nbytes for array in packed.values()) == len(Y)


@pytest.mark.parametrize(
    "packed",
    [
        {"fold": np.array([0, 1, 2])},
        {"fold": np.array([0, 1, 0, 1])},
        {"fold": np.array([0.0, 1.0, 0.0])},
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

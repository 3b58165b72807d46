"""Splits of cross-validation as a few flat arrays, the same in the log and the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from weightsearch._records import Array
from weightsearch.store import _schema as names

NUMBERS = (names.A_FIRST_CANDIDATE, names.A_COUNT, names.A_N_ROWS, names.A_N_SPLITS)
"""What the file has besides the arrays, in this order."""
COLUMNS = frozenset(
    (names.D_TRAIN, names.D_TRAIN_OFFSET, names.D_TEST, names.D_TEST_OFFSET)
)

Pairs = Sequence[tuple[Array, Array]]


def pack_splits(pairs: Pairs, n_rows: int) -> dict[str, Array]:
    """Return splits as arrays by name.

    The rows for training are left out where they are those that are not tested.
    """
    tests = _concatenated(
        names.D_TEST, names.D_TEST_OFFSET, [test for _, test in pairs]
    )
    if all(
        len(train) + len(test) == n_rows
        and np.array_equal(train, _complement(test, n_rows))
        for train, test in pairs
    ):
        return tests
    trains = [train for train, _ in pairs]
    return tests | _concatenated(names.D_TRAIN, names.D_TRAIN_OFFSET, trains)


def unpack_splits(
    packed: Mapping[str, Array], n_splits: int, n_rows: int
) -> list[tuple[Array, Array]]:
    """Return the (train, test) row numbers of packed splits.

    A KeyError where an array is missing, a ValueError where the arrays cannot be splits
    of so many rows.
    """
    tests = _parts(packed, names.D_TEST, names.D_TEST_OFFSET, n_splits, n_rows)
    if names.D_TRAIN in packed:
        trains = _parts(packed, names.D_TRAIN, names.D_TRAIN_OFFSET, n_splits, n_rows)
    else:
        trains = [_complement(test, n_rows) for test in tests]
    return list(zip(trains, tests, strict=True))


def _complement(test: Array, n_rows: int) -> Array:
    outside = np.ones(n_rows, bool)
    outside[test] = False
    return np.flatnonzero(outside)


def _concatenated(name: str, offset: str, parts: Sequence[Array]) -> dict[str, Array]:
    ends = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    rows = np.concatenate([*parts, np.zeros(0, np.int64)])
    # The smallest signed integers that hold them all.
    kind = np.min_scalar_type(-1 - int(rows.max(initial=0)))
    return {name: rows.astype(kind.newbyteorder("<")), offset: ends}


def _parts(
    packed: Mapping[str, Array], name: str, offset: str, n_splits: int, n_rows: int
) -> list[Array]:
    rows, ends = packed[name], packed[offset]
    if rows.ndim != 1 or rows.dtype.kind != "i":
        raise ValueError("row numbers are not a column of integers")
    if len(rows) and not 0 <= rows.min() <= rows.max() < n_rows:
        raise ValueError(f"numbers are not from 0 to {n_rows - 1}")
    if (
        ends.shape != (n_splits + 1,)
        or ends.dtype.kind != "i"
        or ends[0] != 0
        or ends[-1] != len(rows)
        or (np.diff(ends) < 0).any()
    ):
        raise ValueError(f"{offset} does not cut {name} into {n_splits} parts")
    return [rows[start:end].astype(np.int64) for start, end in pairwise(ends.tolist())]

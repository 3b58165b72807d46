"""Splits of cross-validation as a few flat arrays, the same in the log and the file.

Where every split is fitted on the rows that it is not tested on, and no row is tested
twice, one number per row says it all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from weightsearch._records import Array
from weightsearch.store import _schema as names

__all__ = ["pack_splits", "unpack_splits"]

Pairs = Sequence[tuple[Array, Array]]


def pack_splits(pairs: Pairs, n_rows: int) -> dict[str, Array]:
    """Return splits as arrays by name.

    Parameters
    ----------
    pairs : sequence of (train, test)
        Row numbers, int64.
    n_rows : int
        Rows of the data.
    """
    packed = {}
    if all(_is_complement(train, test, n_rows) for train, test in pairs):
        fold = np.full(n_rows, -1, np.int64)
        for number, (_, test) in enumerate(pairs):
            fold[test] = number
        if all(
            np.array_equal(np.flatnonzero(fold == number), test)
            for number, (_, test) in enumerate(pairs)
        ):
            return {names.D_FOLD: _smallest(fold)}
    else:
        trains = [train for train, _ in pairs]
        packed = _concatenated(names.D_TRAIN, names.D_TRAIN_OFFSET, trains)
    tests = [test for _, test in pairs]
    return packed | _concatenated(names.D_TEST, names.D_TEST_OFFSET, tests)


def unpack_splits(
    packed: Mapping[str, Array], n_splits: int, n_rows: int
) -> list[tuple[Array, Array]]:
    """Return the (train, test) row numbers of packed splits.

    Raises
    ------
    KeyError
        If an array is missing.
    ValueError
        If the arrays cannot be splits of so many rows.
    """
    if names.D_FOLD in packed:
        fold = packed[names.D_FOLD]
        _check(fold, n_splits, -1)
        if len(fold) != n_rows:
            raise ValueError(f"{names.D_FOLD} does not have {n_rows} rows")
        return [
            (np.flatnonzero(fold != number), np.flatnonzero(fold == number))
            for number in range(n_splits)
        ]
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


def _is_complement(train: Array, test: Array, n_rows: int) -> bool:
    return len(train) + len(test) == n_rows and np.array_equal(
        train, _complement(test, n_rows)
    )


def _concatenated(name: str, offset: str, parts: Sequence[Array]) -> dict[str, Array]:
    ends = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    rows = np.concatenate([*parts, np.zeros(0, np.int64)])
    return {name: _smallest(rows), offset: ends}


def _parts(
    packed: Mapping[str, Array], name: str, offset: str, n_splits: int, n_rows: int
) -> list[Array]:
    rows, ends = packed[name], packed[offset]
    _check(rows, n_rows, 0)
    if (
        ends.shape != (n_splits + 1,)
        or ends.dtype.kind != "i"
        or ends[0] != 0
        or ends[-1] != len(rows)
        or (np.diff(ends) < 0).any()
    ):
        raise ValueError(f"{offset} does not cut {name} into {n_splits} parts")
    return [
        rows[start:end].astype(np.int64)
        for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    ]


def _check(numbers: Array, limit: int, least: int) -> None:
    if numbers.ndim != 1 or numbers.dtype.kind != "i":
        raise ValueError("row numbers are not a column of integers")
    if len(numbers) and not least <= numbers.min() <= numbers.max() < limit:
        raise ValueError(f"numbers are not from {least} to {limit - 1}")


def _smallest(numbers: Array) -> Array:
    """Return integers in the smallest type that holds them all."""
    top = int(numbers.max(initial=0))
    kinds = (np.int8, np.int16, np.int32, np.int64)
    kind = next(kind for kind in kinds if top <= np.iinfo(kind).max)
    return numbers.astype(np.dtype(kind).newbyteorder("<"))

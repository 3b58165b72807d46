"""Reading many rows of a dataset at once, and comparing each with its checksum."""

from __future__ import annotations

import itertools
import os
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from weightsearch._records import Array
from weightsearch.store._hdf5 import _layout as names
from weightsearch.store._hdf5._crc import as_bytes, combine
from weightsearch.store._hdf5._safe_dataset import SafeDataset

__all__ = ["read_rows"]

GAP_BYTES = 2**16
"""Reading over a gap of this size takes as long as another call to HDF5."""
FEW_READS = 8
"""So many calls to HDF5 are made rather than reading over any gap."""
PARALLEL_BYTES = 2**23
"""From here on more threads pay."""
PART_BYTES = 2**20
"""What a thread reads and compares at once."""
MAX_THREADS = 4


def read_rows(
    dataset: SafeDataset, starts: Array, step: int, crcs: Array, out: Array
) -> int | None:
    """Read rows that are as many elements of the first axis each.

    Parameters
    ----------
    dataset : SafeDataset
    starts : ndarray of shape (n,), int64
        First element of each row, in any order; within the dataset.
    step : int
        Elements of a row.
    crcs : ndarray of shape (n,), uint32
        The checksum of each row.
    out : ndarray of shape (n, ...)
        C-contiguous, of the dataset's type.

    Returns
    -------
    int or None
        The first row that does not match its checksum.
    """
    if out.size == 0:
        return None
    # Bytes, since numpy does not copy the padding of structured types.
    raw = out.reshape(-1).view(np.uint8).reshape(len(out), -1)
    order = None
    if len(starts) > 1 and (np.diff(starts) < 0).any():
        order = np.argsort(starts, kind="stable")
        starts = starts[order]
    gaps = np.diff(starts) - step
    ends = np.flatnonzero(gaps) + 1
    if len(ends) > FEW_READS:
        # Rows that lie side by side, or nearly, are read together.
        ends = np.flatnonzero(gaps > GAP_BYTES * step // raw.shape[1]) + 1
    for first, last in itertools.pairwise([0, *ends.tolist(), len(starts)]):
        part = starts[first:last]
        where: Any = slice(first, last) if order is None else order[first:last]
        if order is None and not gaps[first : last - 1].any():
            block = out[first:last].reshape(-1, *dataset.shape[1:])
            if _read_straight(dataset, block, int(part[0]), crcs[first:last]):
                continue
        else:
            _read_scattered(dataset, part, step, raw, where)
        bad = _mismatch(raw[where], crcs[where])
        if bad is not None:
            return int(np.arange(len(out))[where][bad])
    return None


def _read_straight(dataset: SafeDataset, out: Array, start: int, crcs: Array) -> bool:
    """Read rows that lie side by side, and tell whether all of them match."""
    row_bytes = out.nbytes // len(crcs)
    if out.nbytes < PARALLEL_BYTES:
        dataset.read_into(out, start)
        return bool(zlib.crc32(as_bytes(out)) == combine(crcs, row_bytes))
    # zlib and HDF5 let other threads run, and what has just been read is compared
    # while it is in the processor's cache.
    per_row = len(out) // len(crcs)
    step = max(1, PART_BYTES // row_bytes)
    whole = len(crcs) // step * step
    expected = combine(crcs[:whole].reshape(-1, step), row_bytes).tolist()
    if whole < len(crcs):
        expected.append(int(combine(crcs[whole:], row_bytes)))
    todo = deque(enumerate(expected))

    def work() -> bool:
        while True:
            try:
                number, crc = todo.popleft()
            except IndexError:
                return True
            first = number * step * per_row
            part = out[first : first + step * per_row]
            dataset.read_into(part, start + first)
            if zlib.crc32(as_bytes(part)) != crc:
                return False

    others = min(MAX_THREADS, os.cpu_count() or 1) - 1
    with ThreadPoolExecutor(max(1, others)) as pool:
        running = [pool.submit(work) for _ in range(others)]
        good = work()
        return all([good, *(job.result() for job in running)])


def _read_scattered(
    dataset: SafeDataset, starts: Array, step: int, raw: Array, where: Any
) -> None:
    """Read blocks of bounded size and copy the wanted rows' bytes out of them.

    Parameters
    ----------
    starts : ndarray of shape (n,)
        Ascending.
    raw : ndarray of shape (n_rows, row_bytes), uint8
    where : slice or ndarray
        Rows of `raw` to fill.
    """
    places = np.arange(len(raw))[where]
    most = max(names.BLOCK_BYTES * step // raw.shape[1], step)
    at = 0
    while at < len(starts):
        low = int(starts[at])
        stop = int(np.searchsorted(starts, low + most - step, side="right"))
        high = int(starts[stop - 1]) + step
        elements = dataset.read(low, high - low).reshape(-1)
        block: Array = elements.view(np.uint8).reshape(high - low, -1)
        if step == 1:
            raw[places[at:stop]] = block[starts[at:stop] - low]
        else:
            for index in range(at, stop):
                start = int(starts[index]) - low
                raw[places[index]] = block[start : start + step].reshape(-1)
        at = stop


def _mismatch(raw: Array, crcs: Array) -> int | None:
    """Give the first row that does not match its checksum."""
    step = raw.shape[1]
    view = as_bytes(raw)
    for row, expected in enumerate(crcs.tolist()):
        if zlib.crc32(view[row * step : (row + 1) * step]) != expected:
            return row
    return None

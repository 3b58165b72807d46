"""The arrays of many fits of a journal at once, on their way into the HDF5 file.

What a fit's record holds is, but for few types, what the HDF5 file is to hold, and so
is its checksum. So the bytes are only moved, in few and large steps, and compared
with the checksums in as few.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from weightsearch._records import Array, WeightSpec
from weightsearch.store._hdf5._crc import as_bytes
from weightsearch.store._journal._arrays import Layout
from weightsearch.store._journal._content import JournalContent

__all__ = ["Rows", "open_rows"]

_LARGE_RECORD = 1 << 20
"""From here on each array is read straight to where it belongs."""


class Rows:
    """Fits of one layout, to be read an array at a time.

    Parameters
    ----------
    content : JournalContent
    layout : Layout
    ids : list of int
        The journal's ids of the fits.
    places : list of (position, crcs)
        Of each fit's record.
    """

    def __init__(
        self,
        content: JournalContent,
        layout: Layout,
        ids: Sequence[int],
        places: Sequence[tuple[Any, Any]],
    ):
        self._content = content
        self._layout = layout
        self._ids = ids
        width = 4 * len(layout.stored)
        bad = [
            number
            for number, (position, crcs) in zip(ids, places, strict=True)
            if type(position) is not int or position < 0 or len(crcs) != width
        ]
        if bad:
            raise content.corrupt(f"fit {bad[0]}", "a checksum is missing")
        self._starts: list[int] = [position for position, _ in places]
        crcs = np.frombuffer(b"".join(crcs for _, crcs in places), "<u4")
        self._crcs = crcs.reshape(len(ids), len(layout.stored))
        self._span: Array | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that are in memory at once beside the arrays."""
        if self._layout.nbytes >= _LARGE_RECORD:
            return 0
        return max(self._starts) - min(self._starts) + self._layout.nbytes

    def read(self, index: int, out: Array) -> None:
        """Read one array of all fits, in the order of its bytes.

        Nothing is compared with its checksum here; see :meth:`check`.

        Parameters
        ----------
        index : int
            Position among the layout's arrays.
        out : ndarray of shape (n, nbytes), uint8
            C-contiguous.
        """
        offset, count = self._layout.extent(index)
        if self._layout.nbytes >= _LARGE_RECORD:
            for row, start in enumerate(self._starts):
                got = self._content.file.read_into(out[row], start + offset)
                if got < count:
                    raise self._cut_off(row, index)
            return
        span, starts = self._read_span()
        steps = set(np.diff(starts).tolist())
        if len(steps) <= 1:
            # Records one behind the other, all of one size: the usual case.
            strides = (steps.pop() if steps else 0, 1)
            whole = span[int(starts[0]) + offset :]
            out[:] = np.lib.stride_tricks.as_strided(whole, out.shape, strides)
            return
        for row, start in enumerate((starts + offset).tolist()):
            out[row] = span[start : start + count]

    def check(self, index: int, raw: Array) -> Array:
        """Compare what :meth:`read` has read with its checksums, and return these.

        Raises
        ------
        CorruptStoreError
        """
        crcs = self._crcs[:, index]
        view, step = as_bytes(raw), raw.shape[1]
        for row, expected in enumerate(crcs.tolist()):
            if zlib.crc32(view[row * step : (row + 1) * step]) != expected:
                name = self._layout.specs.arrays[index].name
                raise self._content.corrupt(
                    f"fit {self._ids[row]}", f"the checksum of array {name!r} is wrong"
                )
        if self._layout.nbytes >= _LARGE_RECORD:
            # The journal is removed soon: its pages are given back here, where the
            # writing thread need not wait for it.
            offset, count = self._layout.extent(index)
            for start in self._starts:
                self._content.file.forget(start + offset, count)
        return crcs

    def _read_span(self) -> tuple[Array, Array]:
        """Read all records at once, and what lies between; give where each begins."""
        low = min(self._starts)
        high = max(self._starts) + self._layout.nbytes
        if self._span is None:
            span = self._content.file.read(low, high - low)
            if len(span) < high - low:
                raise self._cut_off(self._starts.index(max(self._starts)), 0)
            self._span = span
        return self._span, np.array(self._starts, np.int64) - low

    def _cut_off(self, row: int, index: int) -> Exception:
        name = self._layout.specs.arrays[index].name
        return self._content.corrupt(
            f"fit {self._ids[row]}", f"array {name!r} is cut off"
        )


def open_rows(
    content: JournalContent,
    rows: Sequence[int],
    arrays: Sequence[WeightSpec],
    max_bytes: int,
) -> Rows | None:
    """Open rows whose arrays can be moved as they are.

    Parameters
    ----------
    content : JournalContent
    rows : sequence of int
        Rows of the content's columns, at least one.
    arrays : sequence of WeightSpec
        What the rows have.
    max_bytes : int
        That may be in memory at once beside the arrays.

    Returns
    -------
    Rows or None
        None where they have to be read one by one: arrays in Fortran order or with
        padding, fits that lie in another run, or far apart.
    """
    columns = content.columns
    numbers = {columns.layouts[row] for row in rows}
    if any(columns.references[row] for row in rows):
        return None
    layouts = [content.layout(number) for number in numbers]
    if any(layout.specs.arrays != tuple(arrays) for layout in layouts):
        return None
    layout = layouts[0]
    for spec, stored in zip(layout.specs.arrays, layout.stored, strict=True):
        if spec.order != "C" or stored.storage.fields is not None:
            return None
    ids = [columns.ids[row] for row in rows]
    found = {
        number: (position, crcs)
        for number, position, at, crcs in content.database.blocks(min(ids), max(ids))
        if at in numbers
    }
    missing = [number for number in ids if number not in found]
    if missing:
        raise content.corrupt(f"fit {missing[0]}", "it is missing")
    opened = Rows(content, layout, ids, [found[number] for number in ids])
    return opened if opened.nbytes <= max_bytes else None

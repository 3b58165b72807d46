"""The arrays of many fits of a journal at once, on their way into the HDF5 file.

What a fit's record holds is, but for few types, what the HDF5 file is to hold, and so
is its checksum. So the bytes are only moved, in few and large steps, and compared
with the checksums in as few.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from weightsearch._records import Array, WeightSpec
from weightsearch.store._hdf5._crc import as_bytes
from weightsearch.store._journal._content import Block, JournalContent

__all__ = ["Rows", "open_rows"]

_LARGE_RECORD = 1 << 20
"""From here on each array is read straight to where it belongs."""


class Rows:
    """Fits of one layout, to be read an array at a time.

    Parameters
    ----------
    content : JournalContent
    blocks : list of Block
        Of each fit; their layouts are equal but for their numbers.
    """

    def __init__(self, content: JournalContent, blocks: Sequence[Block]):
        self._content = content
        self._blocks = blocks
        self._layout = content.layout(blocks[0].layout)
        count = len(self._layout.stored)
        if any(len(block.crcs) != 4 * count for block in blocks):
            bad = next(b for b in blocks if len(b.crcs) != 4 * count)
            raise content.corrupt(bad.place, "a checksum is missing")
        crcs = np.frombuffer(b"".join(block.crcs for block in blocks), "<u4")
        self._crcs = crcs.reshape(len(blocks), count)
        self._start = np.array([block.position for block in blocks], np.int64)
        self._span: Array | None = None

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
            for row, block in enumerate(self._blocks):
                got = self._content.file.read_into(out[row], block.position + offset)
                if got < count:
                    raise self._cut_off(row, index)
            return
        span, starts = self._read_span()
        steps = np.diff(starts)
        if not len(steps) or (steps == steps[0]).all():
            # Records one behind the other, all of one size: the usual case.
            step = int(steps[0]) if len(steps) else 0
            first = int(starts[0]) + offset
            shape, strides = out.shape, (step, 1)
            out[:] = np.lib.stride_tricks.as_strided(span[first:], shape, strides)
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
                    self._blocks[row].place, f"the checksum of array {name!r} is wrong"
                )
        return crcs

    def _read_span(self) -> tuple[Array, Array]:
        """Read all records at once, and what lies between; give where each begins."""
        low = int(self._start.min())
        high = int(self._start.max()) + self._layout.nbytes
        if self._span is None:
            self._span = self._content.file.read(low, high - low)
            if len(self._span) < high - low:
                raise self._cut_off(int(self._start.argmax()), 0)
        return self._span, self._start - low

    def _cut_off(self, row: int, index: int) -> Exception:
        name = self._layout.specs.arrays[index].name
        return self._content.corrupt(
            self._blocks[row].place, f"array {name!r} is cut off"
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
    blocks = []
    for row in rows:
        if columns.references[row]:
            return None
        blocks.append(Block.of_fit(content.row(row)))
    for number in {block.layout for block in blocks}:
        layout = content.layout(number)
        if layout.specs.arrays != tuple(arrays):
            return None
    layout = content.layout(blocks[0].layout)
    for spec, stored in zip(layout.specs.arrays, layout.stored, strict=True):
        if spec.order != "C" or stored.storage.fields is not None:
            return None
    positions = [block.position for block in blocks]
    together = max(positions) - min(positions) + layout.nbytes
    if layout.nbytes < _LARGE_RECORD and together > max_bytes:
        return None
    return Rows(content, blocks)

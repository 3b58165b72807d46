"""A dataset that was looked at before anything of its size is allocated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from h5py import h5d, h5i, h5s, h5t, h5z

from weightsearch._records import Array
from weightsearch.exceptions import CorruptStoreError, WeightSearchError
from weightsearch.store._hdf5._guard import TROUBLE, attribute, corrupt, translate
from weightsearch.store._hdf5._layout import A_CRC32, MAX_CHUNK_BYTES, MAX_INFLATION

__all__ = ["FILTERS", "SafeDataset"]

FILTERS = {
    h5z.FILTER_DEFLATE: "gzip",
    h5z.FILTER_LZF: "lzf",
    h5z.FILTER_SHUFFLE: "shuffle",
    h5z.FILTER_FLETCHER32: "fletcher32",
}
_COMPRESSORS = (h5z.FILTER_DEFLATE, h5z.FILTER_LZF)
_LAYOUTS = (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED)


class SafeDataset:
    """A dataset whose type, storage and filters are what a store may have.

    Parameters
    ----------
    did : h5py.h5d.DatasetID
    path, place : str
        File and path in it, for errors.
    dtype : numpy.dtype or None
        What it must be of; None for any type that HDF5 and numpy share.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    """

    __slots__ = ("_type", "did", "dtype", "path", "place", "shape")

    def __init__(
        self, did: h5d.DatasetID, path: str, place: str, dtype: np.dtype[Any] | None
    ):
        self.did = did
        self.path = path
        self.place = place
        self._type = did.get_type()
        self.dtype = self._check_type(dtype)
        self.shape: tuple[int, ...] = self._check_space()
        self._check_storage()

    @property
    def nbytes(self) -> int:
        """Bytes of the whole content."""
        return math.prod(self.shape) * self.dtype.itemsize

    def crc(self) -> int:
        """Give the checksum that is written beside the content."""
        value = attribute(self.did, A_CRC32, self.path, self.place)
        if not isinstance(value, int):
            raise corrupt("has no checksum", self.path, self.place)
        return value

    def read(self, start: int = 0, count: int | None = None) -> Array:
        """Read elements ``start`` to ``start + count`` of the first axis; all if None.

        The array is C-contiguous and is not compared with any checksum.
        """
        shape = self.shape if count is None else (count, *self.shape[1:])
        try:
            out = np.empty(shape, self.dtype)
        except TROUBLE as exc:
            raise translate(exc, self.path, self.place) from exc
        self.read_into(out, start)
        return out

    def read_into(self, out: Array, start: int = 0) -> None:
        """Fill a C-contiguous array with elements of the first axis from `start` on."""
        if out.size == 0:
            return
        try:
            if out.shape == self.shape:
                self.did.read(h5s.ALL, h5s.ALL, out, self._type)
            else:
                # A space of its own for every read, so that threads do not meet.
                space = self.did.get_space()
                first = (start,) + (0,) * (out.ndim - 1)
                space.select_hyperslab(first, out.shape)
                self.did.read(h5s.create_simple(out.shape), space, out, self._type)
            if self.dtype.kind == "b" and out.view(np.uint8).max() > 1:
                raise corrupt("has booleans beyond 0 and 1", self.path, self.place)
        except WeightSearchError:
            raise
        except TROUBLE as exc:
            raise translate(exc, self.path, self.place) from exc

    def _check_type(self, dtype: np.dtype[Any] | None) -> np.dtype[Any]:
        found = self._type
        if dtype is None:
            dtype = found.dtype
            known = dtype.kind in "biufcS"
        else:
            known = True
        if not known or not self._same_bytes(dtype):
            raise self._refuse(
                f"is of type {_name(found)} instead of {dtype if known else 'numbers'}"
            )
        return dtype

    def _same_bytes(self, dtype: np.dtype[Any]) -> bool:
        """Tell whether the dataset's bytes are those of a numpy type."""
        found = self._type
        if h5t.py_create(dtype, logical=True).equal(found):
            return True
        if isinstance(found, h5t.TypeStringID):
            # Text may be declared ASCII or UTF-8; its bytes are the same.
            fixed = not found.is_variable_str()
            return bool(fixed and dtype == np.dtype(f"S{found.get_size()}"))
        # HDF5 2 has a type of its own for what is a compound of two floats before.
        return bool(dtype.kind == "c" and found.dtype == dtype)

    def _check_space(self) -> tuple[int, ...]:
        space = self.did.get_space()
        if space.get_simple_extent_type() == h5s.NULL:
            raise corrupt("holds nothing", self.path, self.place)
        return tuple(space.shape)

    def _check_storage(self) -> None:
        dcpl = self.did.get_create_plist()
        layout = dcpl.get_layout()
        if layout not in _LAYOUTS:
            raise self._refuse("is a virtual dataset, made of others")
        if layout == h5d.CONTIGUOUS and dcpl.get_external_count():
            raise self._refuse("keeps its content in another file")
        inflation = 1
        size = h5i.get_file_id(self.did).get_filesize()
        if layout == h5d.CHUNKED:
            inflation = self._check_filters(dcpl)
            chunk = dcpl.get_chunk()
            chunk_bytes = math.prod(chunk) * self.dtype.itemsize
            if chunk_bytes > MAX_CHUNK_BYTES:
                raise self._refuse(
                    f"has chunks of {chunk_bytes} bytes; the limit is {MAX_CHUNK_BYTES}"
                )
            # Before HDF5 is asked to look at each of them.
            pairs = zip(self.shape, chunk, strict=True)
            if math.prod(-(-length // step) for length, step in pairs) > size:
                raise self._refuse(
                    f"declares {self.nbytes} bytes in more chunks than the file holds"
                )
        if self.nbytes > size * inflation:
            raise self._refuse(
                f"declares {self.nbytes} bytes in a file that has {size}"
            )
        stored = self.did.get_storage_size()
        if self.nbytes > stored * inflation:
            raise self._refuse(
                f"declares {self.nbytes} bytes, but the file holds {stored} of them"
            )
        end = stored
        if layout == h5d.CONTIGUOUS and stored:
            end += self.did.get_offset() or 0
        if end > size:
            raise self._refuse(f"reaches to byte {end} of a file that has {size} bytes")

    def _check_filters(self, dcpl: Any) -> int:
        """Give the most bytes that a stored one may become."""
        used = [dcpl.get_filter(index) for index in range(dcpl.get_nfilters())]
        codes = [item[0] for item in used]
        for code, _, values, name in used:
            if code not in FILTERS:
                raise self._refuse(
                    f"goes through the filter {name.decode(errors='replace')!r} "
                    f"({code}); a store has {', '.join(FILTERS.values())} only"
                )
            if max(values, default=0) > MAX_CHUNK_BYTES:
                raise self._refuse(f"gives impossible options to {FILTERS[code]}")
        compressors = sum(code in _COMPRESSORS for code in codes)
        if compressors > 1 or len(set(codes)) < len(codes):
            raise self._refuse("goes through the same kind of filter twice")
        return MAX_INFLATION if compressors else 1

    def _refuse(self, message: str) -> CorruptStoreError:
        return corrupt(message, self.path, self.place)


def _name(kind: Any) -> str:
    try:
        return str(kind.dtype)
    except TypeError:
        return type(kind).__name__

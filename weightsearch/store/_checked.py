"""Safe reading of untrusted HDF5: every check comes before any allocation.

Only hard links are followed. A dataset is refused if its bytes are in another file
or another dataset, if it goes through filters that are not HDF5's own, if it
declares more than the file can hold, or if its type is wrong.
What h5py raises becomes a :class:`~weightsearch.exceptions.CorruptStoreError` that
names the place.
"""

from __future__ import annotations

import errno
import math
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from h5py import h5a, h5d, h5g, h5i, h5l, h5o, h5s, h5t, h5z

from weightsearch._records import Array
from weightsearch.exceptions import CorruptStoreError, StoreError, WeightSearchError
from weightsearch.store._schema import A_CRC32, MAX_CHUNK_BYTES, MAX_INFLATION

FILTERS = {
    h5z.FILTER_DEFLATE: "gzip",
    h5z.FILTER_LZF: "lzf",
    h5z.FILTER_SHUFFLE: "shuffle",
    h5z.FILTER_FLETCHER32: "fletcher32",
}
_COMPRESSORS = (h5z.FILTER_DEFLATE, h5z.FILTER_LZF)
_LAYOUTS = (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED)
_LINKS = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "a link to another file"}
_LOST = {errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ETIMEDOUT}
_MAX_TEXT_ATTRIBUTE = 2**16
# What HDF5 says of a handle whose file has been closed.
_CLOSED = re.compile(r"(invalid|location) (\w+ )?identifier|identifier is not of", re.I)

TROUBLE = (
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    MemoryError,
)
"""All that h5py and numpy raise over a damaged file."""


def corrupt(message: str, path: str, place: str) -> CorruptStoreError:
    """Return the error that names a place in a file."""
    where = f"{path}: {place}" if path else place
    return CorruptStoreError(f"{where}: {message}", path, place)


def translate(exc: Exception, path: str, place: str) -> StoreError:
    """Turn what h5py raised into an error of this package."""
    if isinstance(exc, OSError) and exc.errno in _LOST:
        return StoreError(f"{path}: cannot be read any more: {exc}", path)
    if _CLOSED.search(str(exc)):
        return StoreError(f"{path}: the store has been closed; open it again", path)
    return corrupt(f"cannot be read, the store is damaged: {exc}", path, place)


@contextmanager
def guarded(path: str, place: str) -> Iterator[None]:
    """Turn what h5py raises within into an error that names the place."""
    try:
        yield
    except WeightSearchError:
        raise
    except TROUBLE as exc:
        raise translate(exc, path, place) from exc


def as_bytes(array: Array) -> memoryview:
    """View a C-contiguous array as its bytes."""
    flat: Any = array.reshape(-1).view(np.uint8)
    return memoryview(flat)


def crc32(array: Array) -> int:
    """Return the CRC-32 of a C-contiguous array's bytes."""
    return zlib.crc32(as_bytes(array))


def attribute(oid: Any, name: str, path: str, place: str) -> int | bytes | None:
    """Read a scalar attribute: an integer or a fixed-length text; else None."""
    with guarded(path, place):
        if not h5a.exists(oid, name.encode()):
            return None
        attr = h5a.open(oid, name.encode())
        kind = attr.get_type()
        if attr.get_space().get_simple_extent_type() != h5s.SCALAR:
            return None
        if isinstance(kind, h5t.TypeIntegerID):
            number = np.zeros((), np.int64)
            attr.read(number, mtype=h5t.NATIVE_INT64)
            return int(number)
        if isinstance(kind, h5t.TypeStringID) and not kind.is_variable_str():
            size = kind.get_size()
            if size > _MAX_TEXT_ATTRIBUTE:
                return None
            text = np.zeros((), f"S{size}")
            attr.read(text, mtype=kind)
            return bytes(text.item())
        return None


class CheckedGroup:
    """A group whose members are reached by hard links alone.

    Errors name the file (`path`) and the group's path in it (`place`).
    """

    def __init__(self, gid: h5g.GroupID, path: str, place: str):
        self.gid = gid
        self.path = path
        self.place = place

    def at(self, name: str) -> str:
        """Return the place of a member."""
        return f"{self.place.rstrip('/')}/{name}"

    def __contains__(self, name: str) -> bool:
        with guarded(self.path, self.at(name)):
            return bool(self.gid.links.exists(name.encode()))

    def names(self, limit: int) -> list[str]:
        """List the members' names; more than `limit` are refused."""
        with guarded(self.path, self.place):
            found = self.gid.get_num_objs()
            if found > limit:
                raise self.refuse(f"{found} members; the limit is {limit}")
            return [name.decode() for name in self.gid]

    def group(self, name: str) -> CheckedGroup:
        """Open a group by a relative path."""
        member = self.member(name)
        if not isinstance(member, CheckedGroup):
            raise corrupt("should be a group", self.path, member.place)
        return member

    def dataset(
        self,
        name: str,
        dtype: np.dtype[Any] | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> CheckedDataset:
        """Open a dataset by a relative path, and check its type and shape."""
        oid, place = self._open(name)
        if not isinstance(oid, h5d.DatasetID):
            raise corrupt("should be a dataset", self.path, place)
        with guarded(self.path, place):
            dataset = CheckedDataset(oid, self.path, place, dtype)
        if shape is not None and dataset.shape != shape:
            raise dataset.refuse(f"has shape {dataset.shape} instead of {shape}")
        return dataset

    def member(self, name: str) -> CheckedGroup | CheckedDataset:
        """Open a group or a dataset, whichever is there."""
        oid, place = self._open(name)
        if isinstance(oid, h5g.GroupID):
            return CheckedGroup(oid, self.path, place)
        return self.dataset(name)

    def text(self, name: str) -> str:
        """Read an attribute that is one fixed-length text."""
        value = attribute(self.gid, name, self.path, self.place)
        if not isinstance(value, bytes):
            raise self.refuse(f"attribute {name!r} is not a text")
        with guarded(self.path, self.place):
            return value.decode()

    def integer(self, name: str) -> int:
        """Read an attribute that is one integer."""
        value = attribute(self.gid, name, self.path, self.place)
        if not isinstance(value, int):
            raise self.refuse(f"attribute {name!r} is not an integer")
        return value

    def refuse(self, message: str, name: str = "") -> CorruptStoreError:
        """Return the error for something that is wrong here, or with a member."""
        return corrupt(message, self.path, self.at(name) if name else self.place)

    def _open(self, name: str) -> tuple[Any, str]:
        gid = self.gid
        parts = name.split("/")
        for index, part in enumerate(parts):
            place = self.at("/".join(parts[: index + 1]))
            with guarded(self.path, place):
                if not isinstance(gid, h5g.GroupID):
                    raise corrupt("should be a group", self.path, place)
                raw = part.encode()
                if not raw or not gid.links.exists(raw):
                    raise corrupt("is missing", self.path, place)
                kind = gid.links.get_info(raw).type
                if kind != h5l.TYPE_HARD:
                    what = _LINKS.get(kind, "a user-defined link")
                    message = f"is {what}, which a store never has"
                    raise corrupt(message, self.path, place)
                gid = h5o.open(gid, raw)
        return gid, place


def dangers(root: CheckedGroup) -> Iterator[CorruptStoreError]:
    """Walk a group, and yield an error for each refused link or dataset."""
    path, todo = root.path, [root]
    seen = {h5o.get_info(root.gid).addr}
    while todo:
        group = todo.pop()
        for name in group.names(2**31):
            try:
                oid, where = group._open(name)
                with guarded(path, where):
                    if isinstance(oid, h5d.DatasetID):
                        CheckedDataset(oid, path, where, oid.dtype)
                    elif isinstance(oid, h5g.GroupID):
                        # A group under two names could be walked for ever.
                        if h5o.get_info(oid).addr in seen:
                            raise corrupt("has another name too", path, where)
                        seen.add(h5o.get_info(oid).addr)
                        todo.append(CheckedGroup(oid, path, where))
            except CorruptStoreError as exc:
                yield exc


class CheckedDataset:
    """A dataset whose type, storage and filters are what a store may have.

    It must be of `dtype`; None stands for any type that HDF5 and numpy share.
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
        space = did.get_space()
        if space.get_simple_extent_type() == h5s.NULL:
            raise self.refuse("holds nothing")
        self.shape: tuple[int, ...] = tuple(space.shape)
        self._check_storage()

    @property
    def nbytes(self) -> int:
        """Bytes of the whole content."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self, start: int = 0, count: int | None = None) -> Array:
        """Read elements ``start`` to ``start + count`` of the first axis; all if None.

        The array is C-contiguous and is not compared with any checksum.
        """
        shape = self.shape if count is None else (count, *self.shape[1:])
        with guarded(self.path, self.place):
            out = np.empty(shape, self.dtype)
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
                raise self.refuse("has booleans beyond 0 and 1")
        except WeightSearchError:
            raise
        except TROUBLE as exc:
            raise translate(exc, self.path, self.place) from exc

    def read_checked(self) -> Array:
        """Read the whole dataset and compare it with its checksum."""
        data = self.read()
        expected = attribute(self.did, A_CRC32, self.path, self.place)
        if not isinstance(expected, int):
            raise self.refuse("has no checksum")
        if crc32(data) != expected:
            raise self.refuse("the content does not match its checksum")
        return data

    def _check_type(self, dtype: np.dtype[Any] | None) -> np.dtype[Any]:
        found = self._type
        known = True
        if dtype is None:
            dtype = found.dtype
            known = dtype.kind in "biufcS"
        if not known or not self._same_bytes(dtype):
            try:
                name = str(found.dtype)
            except TypeError:
                name = type(found).__name__
            raise self.refuse(
                f"is of type {name} instead of {dtype if known else 'numbers'}"
            )
        return dtype

    def _same_bytes(self, dtype: np.dtype[Any]) -> bool:
        """Return whether the dataset's bytes are those of a numpy type."""
        found = self._type
        if h5t.py_create(dtype, logical=True).equal(found):
            return True
        if isinstance(found, h5t.TypeStringID):
            # Text may be declared ASCII or UTF-8; its bytes are the same.
            fixed = not found.is_variable_str()
            return bool(fixed and dtype == np.dtype(f"S{found.get_size()}"))
        # HDF5 2 has a type of its own for what is a compound of two floats before.
        return bool(dtype.kind == "c" and found.dtype == dtype)

    def _check_storage(self) -> None:
        dcpl = self.did.get_create_plist()
        layout = dcpl.get_layout()
        if layout not in _LAYOUTS:
            raise self.refuse("is a virtual dataset, made of others")
        if layout == h5d.CONTIGUOUS and dcpl.get_external_count():
            raise self.refuse("keeps its content in another file")
        inflation = 1
        size = h5i.get_file_id(self.did).get_filesize()
        if layout == h5d.CHUNKED:
            inflation = self._check_filters(dcpl)
            chunk = dcpl.get_chunk()
            chunk_bytes = math.prod(chunk) * self.dtype.itemsize
            if chunk_bytes > MAX_CHUNK_BYTES:
                raise self.refuse(
                    f"has chunks of {chunk_bytes} bytes; the limit is {MAX_CHUNK_BYTES}"
                )
            # Before HDF5 is asked to look at each of them.
            pairs = zip(self.shape, chunk, strict=True)
            if math.prod(-(-length // step) for length, step in pairs) > size:
                raise self.refuse(
                    f"declares {self.nbytes} bytes in more chunks than the file holds"
                )
        if self.nbytes > size * inflation:
            raise self.refuse(f"declares {self.nbytes} bytes in a file that has {size}")
        stored = self.did.get_storage_size()
        if self.nbytes > stored * inflation:
            raise self.refuse(
                f"declares {self.nbytes} bytes, but the file holds {stored} of them"
            )
        end = stored
        if layout == h5d.CONTIGUOUS and stored:
            end += self.did.get_offset() or 0
        if end > size:
            raise self.refuse(f"reaches to byte {end} of a file that has {size} bytes")

    def _check_filters(self, dcpl: Any) -> int:
        """Return the most bytes that a stored one may become."""
        used = [dcpl.get_filter(index) for index in range(dcpl.get_nfilters())]
        codes = [item[0] for item in used]
        for code, _, values, name in used:
            if code not in FILTERS:
                raise self.refuse(
                    f"goes through the filter {name.decode(errors='replace')!r} "
                    f"({code}); a store has {', '.join(FILTERS.values())} only"
                )
            if max(values, default=0) > MAX_CHUNK_BYTES:
                raise self.refuse(f"gives impossible options to {FILTERS[code]}")
        compressors = sum(code in _COMPRESSORS for code in codes)
        if compressors > 1 or len(set(codes)) < len(codes):
            raise self.refuse("goes through the same kind of filter twice")
        return MAX_INFLATION if compressors else 1

    def refuse(self, message: str) -> CorruptStoreError:
        """Return the error for something that is wrong here."""
        return corrupt(message, self.path, self.place)

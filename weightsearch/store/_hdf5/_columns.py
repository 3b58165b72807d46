"""Columns and texts of a store: how they are written, and how they are read.

A column is a dataset with its checksum in an attribute. A text column is one
fixed-length string an entry, which every HDF5 tool shows; where the padding would
take much more room than the texts, it is a group of all texts one after the other
and the offset of each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5p, h5s, h5t

from weightsearch._records import Array
from weightsearch.store._hdf5._crc import crc32
from weightsearch.store._hdf5._guard import corrupt, guarded
from weightsearch.store._hdf5._layout import (
    A_CRC32,
    CHUNK_BYTES,
    D_TEXT,
    D_TEXT_OFFSET,
    FIXED_TEXT_BYTES,
    MAX_JSON_BYTES,
    PLAIN_COLUMN_BYTES,
)
from weightsearch.store._hdf5._safe import SafeGroup
from weightsearch.store._hdf5._safe_dataset import SafeDataset

__all__ = [
    "create_dataset",
    "read_column",
    "read_dataset",
    "read_text",
    "read_texts",
    "write_array",
    "write_attribute",
    "write_column",
    "write_text",
    "write_texts",
]

_NUMBERS = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
# Shuffling text would take apart the words that deflate finds again.
_TEXTS = {"compression": "gzip", "compression_opts": 4}


def create_dataset(
    group: h5g.GroupID,
    name: str,
    shape: tuple[int, ...],
    kind: h5t.TypeID,
    filters: dict[str, Any] | None = None,
) -> h5d.DatasetID:
    """Create a dataset, and the groups on the way to it.

    Parameters
    ----------
    filters : dict or None
        ``compression`` ("gzip" or "lzf"), ``compression_opts``, ``shuffle``,
        ``fletcher32``; None for a contiguous dataset.
    """
    dcpl = h5p.create(h5p.DATASET_CREATE)
    dcpl.set_obj_track_times(False)
    if filters and math.prod(shape):
        dcpl.set_chunk(_chunk(shape, kind.get_size()))
        if filters.get("shuffle"):
            dcpl.set_shuffle()
        if filters.get("compression") == "gzip":
            dcpl.set_deflate(filters.get("compression_opts", 4))
        elif filters.get("compression") == "lzf":
            dcpl.set_filter(h5py.h5z.FILTER_LZF, h5py.h5z.FLAG_OPTIONAL)
        if filters.get("fletcher32"):
            dcpl.set_fletcher32()
    else:
        dcpl.set_layout(h5d.CONTIGUOUS)
        dcpl.set_fill_time(h5d.FILL_TIME_NEVER)
    lcpl = h5p.create(h5p.LINK_CREATE)
    lcpl.set_create_intermediate_group(True)
    lcpl.set_char_encoding(h5t.CSET_UTF8)
    space = h5s.create_simple(shape) if shape else h5s.create(h5s.SCALAR)
    return h5d.create(group, name.encode(), kind, space, dcpl, lcpl)


def write_attribute(oid: Any, name: str, value: int | str) -> None:
    """Write a scalar attribute: int64, or a fixed-length UTF-8 text."""
    data: Array
    if isinstance(value, str):
        raw = value.encode()
        data = np.array(raw, f"S{max(len(raw), 1)}")
        kind = _text_type(data.dtype.itemsize)
    else:
        data = np.array(value, np.int64)
        kind = h5t.STD_I64LE
        data = data.astype("<i8")
    attr = h5a.create(oid, name.encode(), kind, h5s.create(h5s.SCALAR))
    attr.write(data, mtype=kind)


def write_column(group: h5g.GroupID, name: str, data: Array) -> None:
    """Write an array of a type that HDF5 has, of any shape, with its checksum."""
    data = np.ascontiguousarray(data).reshape(data.shape)
    kind = h5t.py_create(data.dtype, logical=True)
    # Floats are hardly smaller when deflated, and the plainest when not.
    small = data.nbytes <= PLAIN_COLUMN_BYTES or data.dtype.kind in "fc"
    _write(group, name, data, kind, None if small else _NUMBERS)


def write_array(group: h5g.GroupID, name: str, data: Array) -> None:
    """Write an array as :func:`write_column` does, but never filtered."""
    data = np.ascontiguousarray(data).reshape(data.shape)
    _write(group, name, data, h5t.py_create(data.dtype, logical=True), None)


def write_text(group: h5g.GroupID, name: str, text: str) -> None:
    """Write one text as a scalar fixed-length string."""
    raw = text.encode("utf-8", "surrogatepass")
    data = np.array(raw, f"S{max(len(raw), 1)}")
    _write(group, name, data, _text_type(data.dtype.itemsize), None)


def write_texts(group: h5g.GroupID, name: str, texts: Iterable[str]) -> None:
    """Write a column of texts, in the form that suits their lengths."""
    raw = [text.encode("utf-8", "surrogatepass") for text in texts]
    longest = max(map(len, raw), default=1) or 1
    total = sum(map(len, raw))
    padded = longest * len(raw)
    # Fixed-length strings end at their last byte that is not NUL.
    nul = any(text.endswith(b"\0") for text in raw)
    if not nul and (padded <= FIXED_TEXT_BYTES or padded <= 2 * total):
        data = np.array(raw, f"S{longest}")
        filters = _TEXTS if data.nbytes > PLAIN_COLUMN_BYTES else None
        _write(group, name, data, _text_type(longest), filters)
        return
    packed = h5g.create(group, name.encode())
    write_column(packed, D_TEXT, np.frombuffer(b"".join(raw), np.uint8))
    offset = np.zeros(len(raw) + 1, "<i8")
    np.cumsum([len(text) for text in raw], out=offset[1:])
    write_column(packed, D_TEXT_OFFSET, offset)


def read_dataset(dataset: SafeDataset) -> Array:
    """Read a whole dataset and compare it with its checksum.

    Raises
    ------
    CorruptStoreError
    """
    data = dataset.read()
    if crc32(data) != dataset.crc():
        raise corrupt(
            "the content does not match its checksum", dataset.path, dataset.place
        )
    return data


def read_column(
    group: SafeGroup,
    name: str,
    dtype: Any = None,
    shape: tuple[int, ...] | None = None,
) -> Array:
    """Read a column that must have this type and shape, checked."""
    expected = None if dtype is None else np.dtype(dtype)
    return read_dataset(group.dataset(name, expected, shape))


def read_text(group: SafeGroup, name: str) -> str:
    """Read what :func:`write_text` wrote."""
    dataset = group.dataset(name, shape=())
    if dataset.dtype.kind != "S" or dataset.nbytes > MAX_JSON_BYTES:
        raise corrupt("is no text, or a far too long one", group.path, group.at(name))
    return _decode(read_dataset(dataset).item(), group, name)


def read_texts(group: SafeGroup, name: str, count: int) -> list[str]:
    """Read what :func:`write_texts` wrote, in either form."""
    place = group.at(name)
    member = group.member(name)
    if isinstance(member, SafeDataset):
        data = read_dataset(member)
        if data.dtype.kind != "S" or data.shape != (count,):
            raise corrupt(f"is no column of {count} texts", group.path, place)
        return [_decode(raw, group, name) for raw in data.tolist()]
    packed = member
    text = read_column(packed, D_TEXT, "u1")
    offset = read_column(packed, D_TEXT_OFFSET, "<i8", (count + 1,))
    if offset[0] != 0 or offset[-1] != len(text) or (np.diff(offset) < 0).any():
        raise corrupt("offsets that do not fit the text", group.path, place)
    raw = text.tobytes()
    return [
        _decode(raw[start:stop], group, name)
        for start, stop in itertools.pairwise(offset.tolist())
    ]


def _decode(raw: bytes, group: SafeGroup, name: str) -> str:
    with guarded(group.path, group.at(name)):
        return raw.decode("utf-8", "surrogatepass")


def _write(
    group: h5g.GroupID,
    name: str,
    data: Array,
    kind: h5t.TypeID,
    filters: dict[str, Any] | None,
) -> None:
    dataset = create_dataset(group, name, data.shape, kind, filters)
    if data.size:
        dataset.write(h5s.ALL, h5s.ALL, data, kind)
    attr = h5a.create(dataset, A_CRC32.encode(), h5t.STD_U32LE, h5s.create(h5s.SCALAR))
    attr.write(np.array(crc32(data), "<u4"), mtype=h5t.STD_U32LE)


def _text_type(size: int) -> h5t.TypeID:
    kind = h5t.C_S1.copy()
    kind.set_size(size)
    kind.set_strpad(h5t.STR_NULLPAD)
    kind.set_cset(h5t.CSET_UTF8)
    return kind


def _chunk(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Give chunks of about ``CHUNK_BYTES`` that run along the last axes."""
    chunk = list(shape)
    for axis, length in enumerate(shape):
        rest = math.prod(shape[axis + 1 :]) * itemsize
        chunk[axis] = max(1, min(length, CHUNK_BYTES // rest))
        if chunk[axis] * rest <= CHUNK_BYTES:
            break
    return tuple(chunk)

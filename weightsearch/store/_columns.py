"""Writing and reading columns and texts of the store's file.

A column is a dataset with its checksum in an attribute. A text column is one
fixed-length string per entry, which every HDF5 tool shows; where the padding would
take much more room than the texts, it is a group of all texts concatenated and the
offset of each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from h5py import h5a, h5d, h5g, h5p, h5s, h5t, h5z

from weightsearch._records import Array
from weightsearch.store import _json
from weightsearch.store._checked import (
    CheckedDataset,
    CheckedGroup,
    crc32,
    guarded,
)
from weightsearch.store._names import to_flat
from weightsearch.store._schema import (
    A_CRC32,
    CHUNK_BYTES,
    D_TEXT,
    D_TEXT_OFFSET,
    FIXED_TEXT_BYTES,
    J_NAME,
    J_PATH,
    MAX_JSON_BYTES,
    PLAIN_COLUMN_BYTES,
)

Filters = dict[str, Any] | None

_FILTER_OPTIONS = ("compression", "compression_opts", "shuffle", "fletcher32")
_NUMBERS = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
# Shuffling text would take apart the words that deflate finds again.
_TEXTS = {"compression": "gzip", "compression_opts": 4}


def check_compression(compression: str | Mapping[str, Any] | None) -> Filters:
    """Turn the argument ``compression`` of a search into h5py's filter options.

    A name stands for that filter after ``shuffle``, which makes floats smaller; a
    mapping holds h5py's own options. Only filters that every HDF5 has (and h5py's lzf)
    are taken: others cannot be read where their plugin is missing.
    """
    if compression is None:
        return None
    if isinstance(compression, str):
        options: dict[str, Any] = {"compression": compression, "shuffle": True}
    else:
        options = dict(compression)
    unknown = sorted(map(str, set(options) - set(_FILTER_OPTIONS)))
    if unknown:
        raise ValueError(
            f"compression: unknown options {unknown}; known are {list(_FILTER_OPTIONS)}"
        )
    name, level = options.get("compression"), options.get("compression_opts")
    if name not in (None, "gzip", "lzf"):
        raise ValueError(
            f"compression must be None, 'gzip', 'lzf' or a mapping of h5py's options "
            f"with one of these, not {name!r}"
        )
    if level is not None and (
        name != "gzip" or isinstance(level, bool) or level not in range(10)
    ):
        raise ValueError(
            f"compression_opts is a level 0 to 9 of gzip, not {level!r} of {name!r}"
        )
    kept = {key: value for key, value in options.items() if value}
    if level is not None:
        kept["compression_opts"] = int(level)
    return kept or None


def create_dataset(
    group: h5g.GroupID,
    name: str,
    shape: tuple[int, ...],
    kind: h5t.TypeID,
    filters: Filters = None,
) -> h5d.DatasetID:
    """Create a dataset, contiguous without filters, and the groups on the way to it."""
    dcpl = h5p.create(h5p.DATASET_CREATE)
    dcpl.set_obj_track_times(False)
    if filters and math.prod(shape):
        dcpl.set_chunk(_chunk(shape, kind.get_size()))
        if filters.get("shuffle"):
            dcpl.set_shuffle()
        if filters.get("compression") == "gzip":
            dcpl.set_deflate(filters.get("compression_opts", 4))
        elif filters.get("compression") == "lzf":
            dcpl.set_filter(h5z.FILTER_LZF, h5z.FLAG_OPTIONAL)
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


def append_block(dataset: h5d.DatasetID, block: Array, start: int) -> None:
    """Write elements of the first axis from `start` on."""
    if block.size:
        space = dataset.get_space()
        space.select_hyperslab((start,) + (0,) * (block.ndim - 1), block.shape)
        dataset.write(h5s.create_simple(block.shape), space, block, dataset.get_type())


def write_attribute(oid: Any, name: str, value: int | str) -> None:
    """Write a scalar attribute: int64, or a fixed-length UTF-8 text."""
    data: Array
    if isinstance(value, str):
        raw = value.encode()
        data = np.array(raw, f"S{max(len(raw), 1)}")
        kind = _text_type(data.dtype.itemsize)
    else:
        data = np.array(value, "<i8")
        kind = h5t.STD_I64LE
    attr = h5a.create(oid, name.encode(), kind, h5s.create(h5s.SCALAR))
    attr.write(data, mtype=kind)


def write_column(group: h5g.GroupID, name: str, data: Array) -> None:
    """Write an array of a type that HDF5 has, of any shape, with its checksum."""
    data = np.ascontiguousarray(data).reshape(data.shape)
    kind = h5t.py_create(data.dtype, logical=True)
    # Floats are hardly smaller when deflated, and the plainest when not.
    small = data.nbytes <= PLAIN_COLUMN_BYTES or data.dtype.kind in "fc"
    _write(group, name, data, kind, None if small else _NUMBERS)


def write_named_columns(
    group: h5g.GroupID, name: str, order: str, columns: Mapping[str, Array]
) -> None:
    """Write columns into a group of their own, and their names in order."""
    target = h5g.create(group, name.encode())
    for column, data in columns.items():
        write_column(target, to_flat(column), data)
    listed = [{J_NAME: column, J_PATH: to_flat(column)} for column in columns]
    write_text(group, order, _json.dumps(listed))


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


def read_column(
    group: CheckedGroup,
    name: str,
    dtype: Any = None,
    shape: tuple[int, ...] | None = None,
) -> Array:
    """Read a column that must have this type and shape, checked."""
    expected = None if dtype is None else np.dtype(dtype)
    return group.dataset(name, expected, shape).read_checked()


def read_text(group: CheckedGroup, name: str) -> str:
    """Read what :func:`write_text` wrote."""
    dataset = group.dataset(name, shape=())
    if dataset.dtype.kind != "S" or dataset.nbytes > MAX_JSON_BYTES:
        raise group.refuse("is not a text, or one that is too long", name)
    return _decode([dataset.read_checked().item()], group, name)[0]


def read_json(group: CheckedGroup, name: str, kind: type) -> Any:
    """Read a JSON text that must hold a value of this kind."""
    value = _json.loads(read_text(group, name), path=group.path, place=group.at(name))
    if not isinstance(value, kind):
        raise group.refuse(f"is not a JSON {kind.__name__}", name)
    return value


def read_named_columns(
    group: CheckedGroup, name: str, order: str, count: int, dtype: Any = None
) -> dict[str, Array]:
    """Read what :func:`write_named_columns` wrote."""
    folder, found = group.group(name), {}
    for item in read_json(group, order, list):
        try:
            column, path = str(item[J_NAME]), str(item[J_PATH])
        except (TypeError, KeyError) as exc:
            raise group.refuse("is not a list of names and paths", order) from exc
        found[column] = read_column(folder, path, dtype, (count,))
    return found


def read_texts(group: CheckedGroup, name: str, count: int) -> list[str]:
    """Read what :func:`write_texts` wrote, in either form."""
    member = group.member(name)
    if isinstance(member, CheckedDataset):
        data = member.read_checked()
        if data.dtype.kind != "S" or data.shape != (count,):
            raise group.refuse(f"is not a column of {count} texts", name)
        return _decode(data.tolist(), group, name)
    text = read_column(member, D_TEXT, "u1")
    offset = read_column(member, D_TEXT_OFFSET, "<i8", (count + 1,))
    if offset[0] != 0 or offset[-1] != len(text) or (np.diff(offset) < 0).any():
        raise group.refuse("offsets that do not fit the text", name)
    raw = text.tobytes()
    pairs = itertools.pairwise(offset.tolist())
    return _decode((raw[start:stop] for start, stop in pairs), group, name)


def _decode(texts: Iterable[bytes], group: CheckedGroup, name: str) -> list[str]:
    with guarded(group.path, group.at(name)):
        return [raw.decode("utf-8", "surrogatepass") for raw in texts]


def _write(
    group: h5g.GroupID, name: str, data: Array, kind: h5t.TypeID, filters: Filters
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
    """Return a chunk shape of about ``CHUNK_BYTES``, whole along the last axes."""
    chunk = list(shape)
    for axis, length in enumerate(shape):
        rest = math.prod(shape[axis + 1 :]) * itemsize
        chunk[axis] = max(1, min(length, CHUNK_BYTES // rest))
        if chunk[axis] * rest <= CHUNK_BYTES:
            break
    return tuple(chunk)

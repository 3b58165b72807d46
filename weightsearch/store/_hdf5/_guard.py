"""What h5py raises over a damaged file, turned into errors that name the place."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from h5py import h5a, h5s, h5t

from weightsearch.exceptions import CorruptStoreError, StoreError, WeightSearchError

__all__ = ["TROUBLE", "attribute", "corrupt", "guarded", "translate"]

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
    """Make the error that names a place in a file."""
    where = f"{path}: {place}" if path else place
    return CorruptStoreError(f"{where}: {message}", path, place)


def translate(exc: Exception, path: str, place: str) -> StoreError:
    """Turn what h5py raised into an error of this package."""
    if isinstance(exc, StoreError):
        return exc
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


def attribute(oid: Any, name: str, path: str, place: str) -> int | bytes | None:
    """Read a scalar attribute.

    Returns
    -------
    int, bytes or None
        None where there is none, or where it is neither an integer nor a
        fixed-length text.
    """
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

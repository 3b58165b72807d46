"""Weight names as HDF5 paths that any viewer shows, and back.

A name's slashes make groups: ``coefs_/0`` is at ``coefs_/0``. What HDF5 would
misread is written as ``%`` and two hexadecimal digits, a byte of its UTF-8 each:

* ``%``, control characters (NUL among them) and lone surrogates, everywhere;
* the dots of a part that is ``.`` or ``..``;
* a slash at the start, at the end or beside another slash;
* the slash after a part of the name that is itself a name: ``a`` and ``a/b`` are at
  ``a`` and ``a%2Fb``, since HDF5 cannot hold an array and a group in one place.

The empty name is ``%``. So decoding percent signs gives the name back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from weightsearch.store._schema import MAX_NAME_BYTES

_ODD = re.compile("[%\x00-\x1f\x7f\ud800-\udfff]")
_SLASH = "%2F"


def to_paths(names: Iterable[str]) -> list[str]:
    """Return a path for each of a group's names, no two of them equal.

    A ValueError where two names are equal, or one is longer than a store takes.
    """
    names = list(names)
    known = set(names)
    if len(known) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"the names {twice} are duplicated")
    return [_path(name, known) for name in names]


def to_flat(name: str) -> str:
    """Return a path of one part for a name, with slashes escaped."""
    return _part(name).replace("/", _SLASH) or "%"


def from_path(path: str) -> str:
    """Return the name at a path."""
    if "%" not in path:
        return path
    if path == "%":
        return ""
    return unquote_to_bytes(path).decode("utf-8", "surrogatepass")


def _path(name: str, known: set[str]) -> str:
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise ValueError(
            f"the name {name[:40]!r}... has more than {MAX_NAME_BYTES} bytes"
        )
    parts = name.split("/")
    path = _part(parts[0])
    for end in range(1, len(parts)):
        clash = not parts[end - 1] or not parts[end] or "/".join(parts[:end]) in known
        path += (_SLASH if clash else "/") + _part(parts[end])
    return path or "%"


def _part(part: str) -> str:
    if part in (".", ".."):
        return "%2E" * len(part)
    return _ODD.sub(_escape, part)


def _escape(match: re.Match[str]) -> str:
    raw = match[0].encode("utf-8", "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in raw)

"""The filters that weights may be written with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["check_compression"]

_KEYS = ("compression", "compression_opts", "shuffle", "fletcher32")


def check_compression(
    compression: str | Mapping[str, Any] | None,
) -> dict[str, Any] | None:
    """Turn the argument ``compression`` of a search into h5py's filter options.

    Parameters
    ----------
    compression : None, "gzip", "lzf" or mapping
        A name stands for that filter after ``shuffle``, which makes floats smaller.
        A mapping holds h5py's ``compression`` ("gzip", "lzf" or None),
        ``compression_opts`` (level 0 to 9 of gzip), ``shuffle`` and ``fletcher32``.

    Returns
    -------
    dict or None
        None for no filter at all.

    Raises
    ------
    ValueError
        Another filter or option. Only filters that every HDF5 has (and h5py's lzf)
        are taken: others cannot be read where their plugin is missing.
    """
    if compression is None:
        return None
    if isinstance(compression, str):
        options: dict[str, Any] = {"compression": compression, "shuffle": True}
    else:
        options = dict(compression)
    unknown = sorted(map(str, set(options) - set(_KEYS)))
    if unknown:
        raise ValueError(
            f"compression: unknown options {unknown}; there are {list(_KEYS)}"
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

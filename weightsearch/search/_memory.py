"""Memory that a long search would keep although nothing uses it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any

__all__ = ["Trimmer"]

_BYTES = 32 << 20


class Trimmer:
    """Gives free memory back to the system, now and then.

    glibc puts blocks of up to 32 MB between small ones once some were freed; there they
    cannot be returned, and a search whose models are large grows with every one.
    """

    def __init__(self) -> None:
        self._since = 0

    def count(self, nbytes: int) -> None:
        """So many bytes of weights are no longer needed."""
        self._since += nbytes
        if self._since >= _BYTES:
            self._since = 0
            trim = _malloc_trim()
            if trim is not None:
                trim(0)


@lru_cache(maxsize=1)
def _malloc_trim() -> Callable[[int], Any] | None:
    """Return glibc's function; None where there is another library."""
    try:
        trim: Callable[[int], Any] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    return trim

"""Files beside the store that take the snapshots of a fit while it trains."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from weightsearch._records import Array, SpooledBlock
from weightsearch.exceptions import StoreError
from weightsearch.store._beside import create_beside, random_beside

__all__ = ["Spool", "read_spool"]


class Spool:
    """A file for blocks of snapshots, to be written in a worker.

    Parameters
    ----------
    store : Path
        The store's file.
    """

    def __init__(self, store: Path):
        self.path = random_beside(store, ".wsspool")
        try:
            self._file = os.fdopen(create_beside(self.path, store), "wb")
        except OSError as error:
            raise StoreError(
                f"A worker cannot write snapshots beside {store}: {error}. Workers on "
                "other hosts need the store's folder under the same path.",
                str(store),
            ) from error

    def write(self, block: Mapping[str, Array]) -> SpooledBlock:
        """Append a block."""
        arrays = {}
        for name, array in block.items():
            arrays[name] = self._file.tell(), array.dtype, array.shape
            self._file.write(array.reshape(-1).view(np.uint8).data)
        return SpooledBlock(str(self.path), arrays)

    def close(self) -> None:
        """Close the file, so that others can read it."""
        self._file.close()

    def remove(self) -> None:
        """Close and remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def read_spool(block: SpooledBlock) -> dict[str, Array]:
    """Return a block's arrays, mapped into memory and read as they are used."""
    try:
        raw = np.memmap(block.path, np.uint8, "r")
    except OSError as error:
        raise StoreError(
            f"The snapshots that a worker wrote to {block.path} cannot be read: "
            f"{error}. Workers on other hosts need the store's folder under the same "
            "path.",
            block.path,
        ) from error
    found = {}
    for name, (start, dtype, shape) in block.arrays.items():
        stop = start + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        found[name] = raw[start:stop].view(np.ndarray).view(dtype).reshape(shape)
    return found

"""Files beside the store that take the snapshots of a fit while it trains.

A spool has frames as the log has, each with some of the snapshots of one fit. So the
fit under way can be read, also after its process has died.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import takewhile
from pathlib import Path

import numpy as np

from weightsearch._records import Array, FitSnapshots, SpooledBlocks
from weightsearch.exceptions import StoreError
from weightsearch.store import _json
from weightsearch.store import _schema as names
from weightsearch.store._beside import create_beside, random_beside
from weightsearch.store._log import SNAPSHOTS, frame_of, write_at
from weightsearch.store._log_file import LogContent, LogFile
from weightsearch.store._snapshots import LoggedSnapshots
from weightsearch.store._specs import Packed, pack

__all__ = ["Spool", "UnfinishedFit", "read_spool", "remove_spools", "unfinished_fits"]

_SUFFIX = ".wsspool"


class Spool:
    """A file for blocks of snapshots of one fit, to be written in a worker.

    Parameters
    ----------
    store : Path
        The store's file.
    run : str
        Uid of the run.
    candidate, split : int
        The fit.

    Raises
    ------
    StoreError
        If there can be no file beside the store.
    """

    def __init__(self, store: Path, run: str, candidate: int, split: int):
        self._handle = -1
        self.path = random_beside(store, _SUFFIX)
        self._fit = {"run": run, "candidate": candidate, "split": split}
        self._end = self._n_blocks = self._n_bytes = 0
        with self._explaining():
            self._handle = create_beside(self.path, store)

    def write(self, block: Mapping[str, Array], n_epochs: int) -> None:
        """Append a block of snapshots of a fit that has trained so many epochs."""
        event = {"event": SNAPSHOTS, "number": self._n_blocks, "epochs": n_epochs}
        arrays = pack(block)
        fields = _json.dumps({**event, **self._fit})[1:-1]
        frame = frame_of(self._end, fields, arrays, (b"", b""))
        with self._explaining():
            write_at(self._handle, frame.pieces, self._end, frame.size)
        self._end += frame.size
        self._n_blocks += 1
        self._n_bytes += frame.n_payload

    @property
    def blocks(self) -> SpooledBlocks:
        """What was written, for who reads it."""
        return SpooledBlocks(str(self.path), self._n_blocks, self._n_bytes)

    def close(self) -> None:
        """Close the file, so that others can read it."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def __del__(self) -> None:
        self.close()

    def remove(self) -> None:
        """Close and remove the file."""
        self.close()
        _remove(self.path)

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"A worker cannot write snapshots to {self.path}: {error}. Workers on "
                "other hosts need the store's folder under the same path.",
                str(self.path),
            ) from error


@contextlib.contextmanager
def read_spool(blocks: SpooledBlocks | None) -> Iterator[Iterator[tuple[int, Packed]]]:
    """Yield the blocks of a finished fit: number of snapshots and arrays of each.

    The arrays are mapped into memory and read as they are used. The file is removed at
    the end, unless there was an error.
    """
    if blocks is None:
        yield iter(())
        return
    path = Path(blocks.path)
    try:
        file = LogFile(path)
    except (OSError, StoreError) as error:
        raise _unreadable(path, str(error)) from error
    try:
        content = next(iter(file.contents), None)
        if content is None or len(_whole(content)) != blocks.n_blocks:
            raise _unreadable(path, "some of them are not there")
        yield _packed(file, content)
    finally:
        file.close()
    _remove(path)


def _packed(file: LogFile, content: LogContent) -> Iterator[tuple[int, Packed]]:
    raw = np.memmap(file.path, np.uint8, "r")
    for number in _whole(content):
        (arrays,) = content.snapshots[number]
        start, (first, *ends) = arrays.frame.payload, arrays.packing.offsets
        pieces = []
        for end in ends:
            pieces.append(raw[start + first : start + end].data)
            first = end
        spec = arrays.packing.specs.arrays[arrays.packing.index[names.D_EPOCH]]
        sizes = list(map(len, pieces))
        text = file.lines(arrays.frame)[1]
        yield spec.shape[0], Packed(text, pieces, sizes, list(arrays.crcs))


def _unreadable(path: Path, reason: str) -> StoreError:
    return StoreError(
        f"The snapshots that a worker wrote to {path} cannot be read: {reason}. "
        "Workers on other hosts need the store's folder under the same path.",
        str(path),
    )


def _whole(content: LogContent) -> list[int]:
    """Return the blocks from the first to the last before one that is missing."""
    numbers = sorted(content.snapshots)
    return [number for number, _ in takewhile(_agree, enumerate(numbers))]


def _agree(pair: tuple[int, int]) -> bool:
    return pair[0] == pair[1]


# -- fits under way --------------------------------------------------------------------


class UnfinishedFit:
    """The snapshots of a fit that is under way, or whose process has died."""

    def __init__(self, file: LogFile, content: LogContent):
        self._file = file
        self._content = content

    def snapshots(self) -> FitSnapshots:
        """Return what was written until now.

        Raises
        ------
        CorruptStoreError
            If its beginning is damaged.
        """
        file, content = self._file, self._content
        whole = _whole(content)
        if not whole:
            raise file.corrupt("its beginning", "it cannot be read")
        if file.damaged or len(whole) < len(content.snapshots):
            warnings.warn(
                f"{file.path} is damaged: only the snapshots before that are shown.",
                RuntimeWarning,
                stacklevel=3,
            )
        blocks = [arrays for number in whole for arrays in content.snapshots[number]]
        return LoggedSnapshots(file, content.n_epochs, blocks)


def unfinished_fits(store: Path, run: str) -> dict[tuple[int, int], UnfinishedFit]:
    """Return the fits of a run that have a spool, by candidate and split.

    A spool that is a link or another special file is left out, with a warning.
    """
    found = {}
    for path in _spools(store):
        try:
            file = LogFile(path)
        except FileNotFoundError:
            continue
        except StoreError as error:
            text = f"{error} Its snapshots are not shown."
            warnings.warn(text, RuntimeWarning, stacklevel=3)
            continue
        content = file.content(run)
        if file.damaged and not file.contents:
            text = f"{path} is damaged: no snapshots in it can be read."
            warnings.warn(text, RuntimeWarning, stacklevel=3)
        if content is not None and content.under_way is not None:
            # Where a worker was lost and its fit begun again, that is the later one.
            found[content.under_way] = UnfinishedFit(file, content)
    return found


def remove_spools(store: Path, keep: Callable[[], Collection[str]]) -> None:
    """Remove spools, except those of some runs, which are asked for if needed."""
    found = _spools(store)
    kept = set(keep()) if found else set()
    for path in found:
        uids: set[str] = set()
        with contextlib.suppress(OSError, StoreError):
            file = LogFile(path)
            uids = {content.uid for content in file.contents}
            file.close()
        if not uids or not uids <= kept:
            _remove(path)


def _spools(store: Path) -> list[Path]:
    """Return the paths of all spools beside a store, those written last at the end."""
    pattern = re.compile(re.escape(store.name) + r"\.[0-9a-f]{16}" + _SUFFIX)
    found = []
    if not store.parent.is_dir():
        return []
    for path in store.parent.iterdir():
        if pattern.fullmatch(path.name):
            # A fit that has just ended removes its own.
            with contextlib.suppress(FileNotFoundError):
                found.append((path.lstat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]


def _remove(path: Path) -> None:
    # Windows keeps a file that a reader has open; it goes with the next search.
    with contextlib.suppress(OSError):
        path.unlink()

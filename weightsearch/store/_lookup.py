"""The runs of a store's file, and every finished fit in it by its identity."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from weightsearch._records import Array, RunHeader, RunSource, Weights
from weightsearch.store._hdf5._reader import Hdf5Store

__all__ = ["StoreLookup", "StoredFit"]

_KEY = "S32"


@dataclass(frozen=True)
class StoredFit:
    """A finished fit that the store has already.

    Attributes
    ----------
    run_uid : str
        The run that has it.
    row : int
        Its row in that run.
    has_weights : bool
    """

    run_uid: str
    row: int
    has_weights: bool
    _source: RunSource = field(repr=False, compare=False)

    @property
    def result(self) -> dict[str, Any]:
        """``FitRecord.result``; read when asked for, while the session is open."""
        return self._source.result(self.row)

    def weights(self) -> Weights:
        """All its weights; read when asked for, while the session is open."""
        return self._source.read_all(self.row)

    @property
    def state(self) -> str | None:
        """What besides weights is kept of its model."""
        state = self._source.state(self.row)
        return None if state is None else state[0]

    def blob(self, name: str) -> bytes:
        """One content that the state names."""
        return self._source.blob(name)


class StoreLookup:
    """The file of a store, opened for reading when somebody asks.

    Parameters
    ----------
    path : Path
        Resolved. There may be no file yet.
    """

    def __init__(self, path: Path):
        self._path = path
        self._store: Hdf5Store | None = None
        self._opened = False
        self._by_uid: dict[str, RunSource] = {}
        self._index: _KeyIndex | None = None
        self._mutex = threading.RLock()

    @property
    def uid(self) -> str | None:
        """The store's uid; None where there is no file."""
        store = self._open()
        return None if store is None else store.uid

    @property
    def runs(self) -> Sequence[RunSource]:
        """The file's runs, oldest first."""
        self._open()
        return list(self._by_uid.values())

    @property
    def headers(self) -> Sequence[RunHeader]:
        """The headers of the file's runs, oldest first."""
        return [run.header for run in self.runs]

    def resolve(self, uid: str) -> RunSource | None:
        """Return the run of a uid, or None."""
        self._open()
        return self._by_uid.get(uid)

    def find(self, key: str, *, need_weights: bool) -> StoredFit | None:
        """Return the newest finished fit of an identity, or None."""
        with self._mutex:
            if self._index is None:
                self._index = _KeyIndex(self.runs)
            return self._index.find(key, need_weights=need_weights)

    def close(self) -> None:
        """Close the file; it is opened again when somebody asks."""
        with self._mutex:
            store, self._store = self._store, None
            self._opened = False
            self._by_uid = {}
            self._index = None
            if store is not None:
                store.close()

    def _open(self) -> Hdf5Store | None:
        with self._mutex:
            if not self._opened:
                if self._path.exists():
                    self._store = Hdf5Store(self._path)
                    runs = self._store.runs.values()
                    self._by_uid = {run.header.uid: run for run in runs}
                self._opened = True
            return self._store


class _KeyIndex:
    """Sorted identities of all fits that did not fail; some 50 bytes each."""

    def __init__(self, runs: Sequence[RunSource]):
        self._runs = runs
        keys: list[Array] = [np.empty(0, _KEY)]
        places: list[Array] = [np.empty((0, 3), np.int64)]
        for number, run in enumerate(runs):
            fits = run.fits()
            rows = np.flatnonzero(~fits.failed & (fits.key != b""))
            place = np.empty((len(rows), 3), np.int64)
            place[:, 0] = number
            place[:, 1] = rows
            place[:, 2] = fits.has_weights[rows]
            keys.append(fits.key[rows].astype(_KEY))
            places.append(place)
        together = np.concatenate(keys)
        # Stable, so that among equal keys the newest stays the last.
        order = np.argsort(together, kind="stable")
        self._keys = together[order]
        self._places = np.concatenate(places)[order]

    def find(self, key: str, *, need_weights: bool) -> StoredFit | None:
        wanted = np.array(key.encode(), _KEY)
        first = int(np.searchsorted(self._keys, wanted, "left"))
        last = int(np.searchsorted(self._keys, wanted, "right"))
        for number, row, has_weights in self._places[first:last][::-1].tolist():
            if has_weights or not need_weights:
                source = self._runs[number]
                return StoredFit(source.header.uid, row, bool(has_weights), source)
        return None

"""References from a fitted search to its run, also after pickling."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from weightsearch._params import ParamsMapping
from weightsearch.exceptions import StoreError, WeightsNotFoundError
from weightsearch.run import Run, StoredWeights, WeightStore

__all__ = ["PrivateFolder", "StoreReference"]


class PrivateFolder:
    """A temporary folder that is removed with its last reference.

    Pickling takes the store in it along; unpickling makes a new folder.
    """

    FILE = "search.h5"

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="weightsearch-")
        self.store = Path(folder) / self.FILE
        self._finalizer = weakref.finalize(self, _remove_own, folder, os.getpid())

    def __getstate__(self) -> dict[str, Any]:
        return {"store": self.store.read_bytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self.store.write_bytes(state["store"])

    def remove(self) -> None:
        """Remove the folder now."""
        self._finalizer()


def _remove_own(folder: str, owner: int) -> None:
    # A forked process has a copy of the object, but the folder is its parent's.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


class StoreReference:
    """A run in a store, opened on first use.

    Parameters
    ----------
    path : Path
    folder : PrivateFolder or None
        Kept alive as long as this object, where the store is a private one.
    run_uid : str
    """

    def __init__(self, path: Path, folder: PrivateFolder | None, run_uid: str):
        self._path = path.absolute()
        self._run_uid = run_uid
        self._folder = folder
        self._store: WeightStore | None = None
        self._run: Run | None = None
        self._by_params: ParamsMapping[StoredWeights] | None = None

    @property
    def path(self) -> Path:
        """The store's file."""
        return self._folder.store if self._folder is not None else self._path

    @property
    def private(self) -> bool:
        """Whether the store goes with this object."""
        return self._folder is not None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_store": None, "_run": None, "_by_params": None}

    @property
    def store(self) -> WeightStore:
        """The open store."""
        if self._store is None:
            if not self.path.exists():
                raise StoreError(
                    f"The search was stored in {self.path}, as run {self._run_uid}, "
                    "and that file is missing. Put it back, or call "
                    "search.attach_store(path) with its new path.",
                    str(self.path),
                )
            self._store = WeightStore(self.path)
        return self._store

    @property
    def run(self) -> Run:
        """The search's run."""
        if self._run is None:
            found = [r for r in self.store.runs.values() if r.uid == self._run_uid]
            if not found:
                raise self._another_store()
            self._run = found[0]
        return self._run

    def weights_by_params(
        self, params: Sequence[Mapping[str, Any]]
    ) -> ParamsMapping[StoredWeights]:
        """Weights of the refits, by the search's own params."""
        if self._by_params is None:
            self._by_params = self.run.weights_by_params(live_params=params)
        return self._by_params

    def attach(self, path: Path) -> None:
        """Switch to another file, if it has the run."""
        if not path.exists():
            raise StoreError(f"There is no store at {path}.", str(path))
        other = StoreReference(path, None, self._run_uid)
        try:
            _ = other.run
        except BaseException:
            other.close()
            raise
        other.close()
        self.close()
        self._path, self._folder = other._path, None

    def _another_store(self) -> WeightsNotFoundError:
        return WeightsNotFoundError(
            f"{self.path} holds runs, but not the one of this search "
            f"(uid {self._run_uid}): another file is in its place. Call "
            "search.attach_store(path) with the path of the search's store."
        )

    def close(self) -> None:
        """Close the file; it is opened again when needed."""
        if self._store is not None:
            self._store.close()
            self._store = self._run = self._by_params = None

"""A store of weights, open for reading."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import pandas as pd

from weightsearch._display import MAX_ROWS, escape, table
from weightsearch.exceptions import StoreError, WeightsNotFoundError
from weightsearch.run._run import Run
from weightsearch.run._weights import listed
from weightsearch.store import (
    Hdf5Store,
    Problem,
    append_runs,
    consolidate,
    live_runs,
    locked,
    merge,
    rewrite,
    verify,
)

__all__ = ["WeightStore"]


class WeightStore:
    """A store of weights, open for reading.

    Nothing in the file is executed and nothing but the file is read, so that a
    stranger's store is safe to open. While a search writes to the store, its
    finished fits are shown as one more run.

    Parameters
    ----------
    source : path-like or binary file object
        The store's path, or any seekable binary file with its bytes.

    Raises
    ------
    StoreError
        If there is no store, or it is damaged; see its children for the causes.

    Examples
    --------
    >>> with WeightStore("search.h5") as store:  # doctest: +SKIP
    ...     run = store.run()
    ...     run.query("mean_test_score > 0.9")
    """

    def __init__(self, source: str | os.PathLike[str] | BinaryIO):
        self.path: Path | None = None
        # The newest last: runs that were given out go on reading the file that they
        # came from, although a search has put another one into its place.
        self._files: list[Hdf5Store] = []
        self._opened: tuple[int, ...] | None = None
        self._stored: dict[str, Run] = {}
        if isinstance(source, str | os.PathLike):
            self.path = Path(source).expanduser()
            if not self.runs and not self._files:
                raise StoreError(f"There is no store at {self.path}.", str(self.path))
        else:
            self._open(source)

    @property
    def runs(self) -> Mapping[str, Run]:
        """All runs by name, oldest first.

        Those that are being fitted, or were interrupted, come last; each call
        shows what has finished until then.
        """
        if self.path is None:
            return MappingProxyType(self._stored)
        # In this order, a run that goes from the log into the file is not missed.
        live = live_runs(self.path)
        self._reopen(self.path)
        runs = dict(self._stored)
        for one in live:
            if not self._files or self._files[-1].by_uid(one.uid) is None:
                runs[one.header.name] = Run(one)
        return MappingProxyType(runs)

    def _reopen(self, path: Path) -> None:
        """Open the file that is there now, if it is another one than before."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return
        found = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        if found != self._opened:
            self._open(path)
            self._opened = found

    def _open(self, source: Path | BinaryIO) -> None:
        file = Hdf5Store(source)
        self._files.append(file)
        self._stored = {name: Run(source) for name, source in file.runs.items()}

    def run(self, name: str | None = None) -> Run:
        """One run.

        Parameters
        ----------
        name : str, default=None
            Its name; None: the newest one.

        Raises
        ------
        WeightsNotFoundError
            If there is none.
        """
        runs = self.runs
        if name is None and runs:
            return list(runs.values())[-1]
        if name is None or name not in runs:
            what = "any run" if name is None else f"a run {name!r}"
            raise WeightsNotFoundError(
                f"{self.path or 'This store'} does not have {what}; "
                f"it has {listed(runs) or 'none'}."
            )
        return runs[name]

    def to_frame(self) -> pd.DataFrame:
        """Candidates of all runs in one DataFrame, with a column ``run``."""
        frames = {name: run.candidates for name, run in self.runs.items()}
        if not frames:
            return pd.DataFrame()
        return pd.concat(frames, names=["run"]).reset_index(level="run")

    def verify(self) -> list[Problem]:
        """Check every checksum, shape and reference of the store and its log.

        Returns
        -------
        problems : list of Problem
            Each with ``place`` and ``message``; empty where all is well.
        """
        if self.path is None:
            raise StoreError("verify needs a store that was opened by its path.")
        return verify(self.path)

    @staticmethod
    def recover(path: str | os.PathLike[str]) -> bool:
        """Put into the store what a crash has left in the log beside it.

        Not needed for reading or for the next ``fit``, which does it by itself.

        Parameters
        ----------
        path : path-like
            The store's path.

        Returns
        -------
        recovered : bool
            Whether there was anything to recover.

        Raises
        ------
        StoreLockedError
            If a fit is writing to the store.
        """
        return consolidate(Path(path).expanduser())

    @staticmethod
    def merge(
        path: str | os.PathLike[str],
        others: Iterable[str | os.PathLike[str]],
        *,
        compression: str | Mapping[str, Any] | None = None,
    ) -> int:
        """Add the runs of other stores to one, each fit once.

        For searches that run in parts, each part of the grid into a store of its
        own: after merging them, the search of the whole grid finds every fit.

        Parameters
        ----------
        path : path-like
            The store to add to, which is made if it is not there.
        others : iterable of path-like
            Stores to add; they stay as they are.
        compression : {"gzip", "lzf"}, dict or None, default=None
            Of the weights that are added, as for the search.

        Returns
        -------
        n_added : int
            Number of runs that were added: those that `path` lacked.

        Raises
        ------
        StoreLockedError
            If a fit is writing to one of the stores.
        StoreError
            If one of `others` is missing or damaged; nothing is added then.
        """
        return merge(
            Path(path).expanduser(),
            [Path(other).expanduser() for other in others],
            compression=compression,
        )

    def delete(self, run: str) -> None:
        """Remove a run from the store.

        What other runs refer to, since they reused fits of this one, is kept. The
        room of the rest is used again when the file is rewritten, which happens by
        itself when more than half of it is unused; see also :meth:`repack`.

        Parameters
        ----------
        run : str
            The run's name.

        Raises
        ------
        WeightsNotFoundError
            If there is no such run.
        StoreLockedError
            If a fit is writing to the store.
        StoreWriteError
            If the store cannot be written.
        """
        uid = self.run(run).uid
        if self.path is None:
            raise StoreError("delete needs a store that was opened by its path.")
        with locked(self.path) as session:
            append_runs(session.path, [], store_uid=uid, remove=[uid])

    @staticmethod
    def repack(path: str | os.PathLike[str]) -> None:
        """Write a store's file again, without the room that deleted runs took.

        The new file is written beside the old one and takes its place when it is
        complete; readers of the old one go on reading it.

        Parameters
        ----------
        path : path-like
            The store's path.

        Raises
        ------
        StoreError
            If there is no store, or it is damaged.
        StoreLockedError
            If a fit is writing to the store.
        StoreWriteError
            If the new file cannot be written; the old one stays as it is.
        """
        path = Path(path).expanduser()
        if not path.exists():
            raise StoreError(f"There is no store at {path}.", str(path))
        with locked(path) as session:
            rewrite(session.path)

    def close(self) -> None:
        """Close the file."""
        for file in self._files:
            file.close()

    def __enter__(self) -> WeightStore:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        n_runs = len(self.runs)
        what = f"{n_runs} run{'' if n_runs == 1 else 's'}"
        return f"<WeightStore {self.path or 'file object'}: {what}>"

    def _repr_html_(self) -> str:
        runs = list(self.runs.values())
        columns = ["run", "status", "started", "estimator", "candidates", "weights of"]
        rows = (
            (
                run.name,
                run.status,
                run.started,
                run.estimator.get("class", ""),
                len(run),
                run.n_with_weights,
            )
            for run in runs[: -MAX_ROWS - 1 : -1]
        )
        shown = table(columns, rows, len(runs))
        return f"<p>{escape(repr(self), 400)}, newest first</p>{shown}"

"""A store of weights, open for reading."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import pandas as pd

from weightsearch._display import MAX_ROWS, did_you_mean, section, table, view
from weightsearch.exceptions import StoreError, WeightsNotFoundError
from weightsearch.run._run import Run, Spooled
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
    unfinished_fits,
    verify,
)

__all__ = ["WeightStore"]


class WeightStore:
    """A store of weights, open for reading.

    Nothing in the file is executed, and no other file is read, so that a stranger's
    store is safe to open. While a search is writing to the store, its finished fits are
    shown as one more run.

    Parameters
    ----------
    source : path-like or binary file object
        The store's path, or any seekable binary file with its bytes.

    Raises
    ------
    StoreError
        If there is no store, or it is damaged; the subclasses tell the causes apart.

    Examples
    --------
    >>> with WeightStore("search.h5") as store:  # doctest: +SKIP
    ...     run = store.run()
    ...     run.query("mean_test_score > 0.9")
    """

    def __init__(self, source: str | os.PathLike[str] | BinaryIO):
        self.path: Path | None = None
        # The newest last: runs that were returned before keep reading the file that
        # they came from, although a search has replaced it.
        self._files: list[Hdf5Store] = []
        self._opened: tuple[int, ...] | None = None
        self._stored: dict[str, Run] = {}
        self._closed = False
        try:
            if isinstance(source, str | os.PathLike):
                self.path = Path(source).expanduser()
                found = self.runs or self._files
            else:
                self._open(source)
                found = self._files
        except StoreError as error:
            # How the file was read does not help the caller.
            raise error.with_traceback(None) from error.__cause__
        if not found:
            raise StoreError(f"There is no store at {self.path}.", str(self.path))

    @property
    def runs(self) -> Mapping[str, Run]:
        """All runs by name, oldest first.

        Runs that are being fitted, or were interrupted, come last; each access shows
        what has finished until then.

        Raises
        ------
        StoreError
            If the store was closed.
        """
        if self._closed:
            raise StoreError(
                f"The store {self.path or 'of a file object'} has been closed: open it "
                "again with WeightStore(...).",
                str(self.path or ""),
            )
        if self.path is None:
            return MappingProxyType(self._stored)
        # In this order, a run that moves from the log into the file is not missed.
        live = live_runs(self.path)
        self._reopen(self.path)
        runs = dict(self._stored)
        for one in live:
            if not self._files or self._files[-1].by_uid(one.uid) is None:
                runs[one.header.name] = Run(one, spooled=self._spooled())
        return MappingProxyType(runs)

    def _reopen(self, path: Path) -> None:
        """Open the file at the path, unless it is the one that is open."""
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
        spooled = self._spooled()
        self._stored = {
            name: Run(stored, lambda: file.closed, spooled)
            for name, stored in file.runs.items()
        }

    def _spooled(self) -> Callable[[str], Spooled] | None:
        """Return a function from a run's uid to its fits that have not ended."""
        if self.path is None:
            return None
        return partial(unfinished_fits, self.path.resolve())

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
            hint = "" if name is None else did_you_mean(name, runs)
            raise WeightsNotFoundError(
                f"{self.path or 'This store'} does not have {what}. "
                + (hint or f"It has {listed(runs) or 'none'}.")
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
            Each with ``place`` and ``message``; empty if there are none.
        """
        if self.path is None:
            raise StoreError("verify needs a store that was opened by its path.")
        return verify(self.path)

    @staticmethod
    def recover(path: str | os.PathLike[str]) -> bool:
        """Move what a crashed search has left in the log into the store.

        Not needed for reading, nor before the next ``fit``, which does the same.

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

        For searches in parts, each part of the grid with a store of its own: after
        merging them, a search over the whole grid finds every fit.

        Parameters
        ----------
        path : path-like
            The store to add to, created if needed.
        others : iterable of path-like
            Stores to add; they are not changed.
        compression : {"gzip", "lzf"}, dict or None, default=None
            Of the weights that are added, as for the search.

        Returns
        -------
        n_added : int
            Number of runs added: those that `path` did not have.

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

        Fits that other runs have reused are kept. The space of the rest is freed when
        the file is rewritten, which happens automatically when more than half of it is
        unused; see also :meth:`repack`.

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
        """Rewrite a store's file without the space of deleted runs.

        The new file is written beside the old one and replaces it when it is complete;
        readers of the old one are not disturbed.

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
            If the new file cannot be written; the old one is not changed.
        """
        path = Path(path).expanduser()
        if not path.exists():
            raise StoreError(f"There is no store at {path}.", str(path))
        with locked(path) as session:
            rewrite(session.path)

    def close(self) -> None:
        """Close the file; what was not read before cannot be read any more."""
        self._closed = True
        for file in self._files:
            file.close()

    def __enter__(self) -> WeightStore:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._closed:
            return f"<WeightStore {self.path or 'file object'}: closed>"
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
                run.started[:19],
                run.estimator.get("class", ""),
                len(run),
                run.n_with_weights,
            )
            for run in runs[: -MAX_ROWS - 1 : -1]
        )
        shown = table(columns, rows, len(runs))
        return view(
            repr(self)[1:-1], section("Runs, newest first", shown, is_open=True)
        )

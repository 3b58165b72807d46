"""The runs of a store, and every finished fit of them by its identity."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from weightsearch._records import Array, FitSnapshots, RunHeader, RunSource, Weights
from weightsearch.exceptions import StoreError
from weightsearch.store import _schema as names
from weightsearch.store._catalog import FIT, CatalogEntry, fit_records
from weightsearch.store._log_file import LogFile
from weightsearch.store._log_run import LogRun
from weightsearch.store._reader import Hdf5Store
from weightsearch.store._run import Run


@dataclass(frozen=True)
class StoredFit:
    """A finished fit that the store has already: a row of a run."""

    run_uid: str
    row: int
    has_weights: bool
    source: Run = field(repr=False, compare=False)

    @property
    def result(self) -> dict[str, Any]:
        """``FitRecord.result``; read when asked for, while the session is open."""
        return self.source.result(self.row)

    @property
    def model_key(self) -> str | None:
        """Identity of its model alone."""
        return self.source.fits().model_key[self.row].decode() or None

    def weights(self) -> Weights:
        """All its weights; read when asked for, while the session is open."""
        return self.source.read_all(self.row)

    @property
    def state(self) -> str | None:
        """What besides weights is kept of its model."""
        state = self.source.state(self.row)
        return None if state is None else state[0]

    @property
    def snapshots(self) -> FitSnapshots | None:
        """Its weights while it trained; None where none were wanted."""
        return self.source.snapshots(self.row)

    def blob(self, name: str) -> bytes:
        """One content that the state names."""
        return self.source.blob(name)

    def holder(self) -> tuple[str, int]:
        """The run that holds the fit, and its row there (in a log: its number)."""
        return self.source.holder(self.row)


class StoreLookup:
    """The runs of a store: those in its file, then those in its log.

    The file is opened on first use, and then read until :meth:`close`, even if another
    one has replaced it.
    """

    def __init__(
        self, path: Path, log: LogFile | None = None, *, status: str = "interrupted"
    ):
        self._path = path
        self._log = log
        self._status = status
        self._store: Hdf5Store | None = None
        self._opened = False
        self._runs: dict[str, LogRun] | None = None
        self._index: _KeyIndex | None = None
        self._mutex = threading.RLock()

    # -- runs -----------------------------------------------------------------

    @property
    def uid(self) -> str | None:
        """The store's uid; None where there is no file."""
        store = self._open()
        return None if store is None else store.uid

    @property
    def names(self) -> set[str]:
        """The names of all runs."""
        store = self._open()
        names = set() if store is None else {entry.name for entry in store.entries}
        return names | {run.header.name for run in self.log_runs}

    @property
    def runs(self) -> list[RunSource]:
        """All runs, oldest first, except those whose fits cannot be listed."""
        in_log = [run for run in self.log_runs if run.counts]
        return [*self._stored(lambda entry: True), *in_log]

    def unfinished(self) -> list[RunSource]:
        """Runs that were not completed, oldest first."""
        in_log = [run for run in self.log_runs if not run.complete]
        return [*self._stored(lambda entry: entry.status != "complete"), *in_log]

    def complete(self, fingerprint: str) -> list[RunSource]:
        """Complete runs of an identity, newest first."""
        wanted = "complete", fingerprint
        stored = self._stored(lambda entry: (entry.status, entry.fingerprint) == wanted)
        in_log = [
            run
            for run in self.log_runs
            if run.complete and run.header.fingerprint == fingerprint
        ]
        return [*stored, *in_log][::-1]

    def _stored(self, wanted: Callable[[CatalogEntry], bool]) -> Iterator[RunSource]:
        store = self._open()
        if store is not None:
            for entry in filter(wanted, store.entries):
                run = store.by_uid(entry.uid)
                if run is not None and run.is_readable():
                    yield run

    @property
    def log_runs(self) -> list[LogRun]:
        """The runs of the log that count: without those in the file or replaced."""
        with self._mutex:
            if self._runs is None:
                self._runs = self._find_log_runs()
            return list(self._runs.values())

    @property
    def headers(self) -> list[RunHeader]:
        """The headers of all runs, oldest first."""
        return list(self.newest_headers)[::-1]

    @property
    def newest_headers(self) -> Iterator[RunHeader]:
        """The headers of all runs, newest first."""
        store = self._open()
        stored = [] if store is None else list(store.runs.values())
        runs: list[RunSource] = [*stored, *self.log_runs]
        for run in reversed(runs):
            try:
                yield run.header
            except StoreError:
                # A damaged run is skipped; verify reports it.
                continue

    def __bool__(self) -> bool:
        store = self._open()
        return bool(store is not None and store.entries) or bool(self.log_runs)

    def resolve(self, uid: str) -> Run | None:
        """Return the run of a uid, or None."""
        store = self._open()
        run = None if store is None else store.by_uid(uid)
        if run is not None or self._log is None:
            return run
        with self._mutex:
            if self._runs is not None and uid in self._runs:
                return self._runs[uid]
        known = {content.uid for content in self._log.contents}
        # One that another run of the log replaces, and may refer to.
        return LogRun(self._log, uid, self.resolve) if uid in known else None

    def _find_log_runs(self) -> dict[str, LogRun]:
        if self._log is None:
            return {}
        store = self._open()
        contents = self._log.contents
        gone = self._log.superseded
        last = contents[-1].uid if contents else ""
        return {
            content.uid: LogRun(
                self._log,
                content.uid,
                self.resolve,
                status=self._status if content.uid == last else "interrupted",
                superseded=gone,
            )
            for content in contents
            if content.uid not in gone
            and (store is None or store.by_uid(content.uid) is None)
        }

    # -- fits -----------------------------------------------------------------

    def find(
        self,
        key: str,
        *,
        need_weights: bool,
        accept: Callable[[StoredFit], bool] | None = None,
    ) -> StoredFit | None:
        """Return the newest fit, or model, of an identity that is whole, or None.

        With `accept`, the newest for which that is true.
        """
        with self._mutex:
            if self._index is None:
                store = self._open()
                tables = [] if store is None else store.catalog.fits()
                for run in self.log_runs:
                    tables.append((run.uid, fit_records(run.fits())))
                self._index = _KeyIndex(tables)
            index = self._index
        for uid, row, has_weights in index.find(key):
            source = self.resolve(uid)
            if source is None or (need_weights and not has_weights):
                continue
            try:
                whole = not isinstance(source, LogRun) or source.problem(row) is None
                source.result(row)
                found = StoredFit(uid, row, has_weights, source)
                if whole and (accept is None or accept(found)):
                    return found
            except StoreError:
                continue
        return None

    # -- files ----------------------------------------------------------------

    def refresh_log(self, log: LogFile | None) -> None:
        """Read the log as it is now."""
        with self._mutex:
            self._log = log
            self._runs = None
            self._index = None

    def close(self) -> None:
        """Close the file; it is opened again on next use."""
        with self._mutex:
            store, self._store = self._store, None
            self._opened = False
            self._runs = None
            self._index = None
            if store is not None:
                store.close()

    def _open(self) -> Hdf5Store | None:
        with self._mutex:
            if not self._opened:
                if self._path.exists():
                    self._store = Hdf5Store(self._path)
                self._opened = True
            return self._store


class _KeyIndex:
    """Sorted identities of all fits and models that can be reused; 50 bytes each."""

    def __init__(self, tables: Iterable[tuple[str, Array]]):
        self._uids, records = [""], [np.zeros(0, FIT)]
        for uid, table in tables:
            self._uids.append(uid)
            records.append(table)
        together = np.concatenate(records)
        # Stable, so that among equal keys the newest stays the last.
        order = np.argsort(together[names.F_KEY], kind="stable")
        self._records = together[order]
        self._keys = np.ascontiguousarray(self._records[names.F_KEY])
        self._run = np.repeat(np.arange(len(records)), list(map(len, records)))[order]

    def find(self, key: str) -> Iterator[tuple[str, int, bool]]:
        """Uid, row and whether it has weights, of each fit of a key, newest first."""
        wanted = np.array(key.encode(), self._keys.dtype)
        first = int(np.searchsorted(self._keys, wanted, "left"))
        last = int(np.searchsorted(self._keys, wanted, "right"))
        for at in range(last - 1, first - 1, -1):
            _, row, has_weights = self._records[at].item()
            yield self._uids[self._run[at]], row, bool(has_weights)

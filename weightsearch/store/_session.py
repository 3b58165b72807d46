"""Writing to a store: lock, log and commit."""

from __future__ import annotations

import contextlib
import os
import uuid
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, Self

from weightsearch._records import (
    FitRecord,
    RunHeader,
    RunResults,
    RunSource,
    Splits,
)
from weightsearch.exceptions import (
    CorruptStoreError,
    StoreError,
    StoreWriteError,
)
from weightsearch.store import _beside, _json
from weightsearch.store._append import recover as recover_file
from weightsearch.store._append import redo_path
from weightsearch.store._beside import random_beside
from weightsearch.store._columns import check_compression
from weightsearch.store._lock import StoreLock, is_locked
from weightsearch.store._log import Log, log_path
from weightsearch.store._log_file import LogFile
from weightsearch.store._log_run import LogRun
from weightsearch.store._lookup import StoredFit, StoreLookup
from weightsearch.store._reader import check_store_file
from weightsearch.store._spool import read_spool, remove_spools, unfinished_fits
from weightsearch.store._writer import append_runs, free_name

Compression = str | Mapping[str, Any] | None


class WriteSession:
    """Exclusive access to write one run to a store.

    It ends with one of :meth:`commit`, :meth:`discard` and :meth:`close`; after each
    of them nothing is open and the store is free for the next writer. Leaving the
    ``with`` block closes it. Runs that earlier writers have left in the log are
    reused where they are, and go into the file with this session's run.

    Attributes
    ----------
    path : Path
        The store's file, links resolved.
    lookup : StoreLookup
        The runs and fits of the store.
    recovered : bool
        Whether opening put anything into the file that a crash had left.
    """

    def __init__(
        self, path: Path, lock: StoreLock, *, durable: bool, compression: Compression
    ):
        self.path = path
        self._lock = lock
        self._durable = durable
        self._compression = compression
        self._log_path = log_path(path)
        self._file: LogFile | None = None
        self.lookup = StoreLookup(path)
        self._log: Log | None = None
        self._n_safe = 0
        self.recovered = False
        self._pid = os.getpid()

    @classmethod
    def open(
        cls, path: Path, *, durable: bool = True, compression: Compression = None
    ) -> Self:
        """Take the lock, and read what the store and its log have.

        The file need not exist, its folder must. With `durable`, finished fits survive
        a power cut too; without, they still survive the death of the process.
        """
        path = Path(path).resolve()
        check_compression(compression)
        check_store_file(path)
        lock = StoreLock(path)
        lock.acquire()
        session = cls(path, lock, durable=durable, compression=compression)
        try:
            session.recovered = recover_file(path)
            session._open_log()
        except BaseException:
            session.close()
            raise
        return session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A WriteSession holds a lock of its process and cannot be pickled."
        )

    # -- what comes in --------------------------------------------------------

    def begin(self, header: RunHeader) -> RunHeader:
        """Begin the run; return its header, with a name that the store lacks."""
        if self._log is not None:
            raise RuntimeError("A session writes one run, which has begun already.")
        header = replace(header, name=free_name(header.name, self.lookup.names))
        end = None if self._file is None else self._file.end
        log = Log(self.path, end, durable=self._durable)
        try:
            self._file = self._file or LogFile(self._log_path)
            log.follow = self._file.follow
            log.begin(header)
        except BaseException:
            log.close()
            if end is None:
                with contextlib.suppress(OSError):
                    self._log_path.unlink()
            raise
        self._log = log
        return header

    def set_params(self, start: int, encoded: Sequence[str]) -> None:
        """Add params of candidates, from ``start`` on, encoded as JSON."""
        self._begun().set_params(start, encoded)

    def set_splits(self, splits: Splits) -> None:
        """Add the splits that the next candidates are evaluated on."""
        self._begun().set_splits(splits)

    def append(self, record: FitRecord) -> int:
        """Append a finished fit to the log; return its number in this run."""
        snapshots = record.snapshots
        if snapshots is None or snapshots.spooled is None:
            return self._begun().append(record)
        with read_spool(snapshots.spooled) as spooled:
            return self._begun().append(record, spooled)

    def repeat(
        self,
        candidate: int,
        split: int,
        key: str | None,
        number: int,
        has_weights: bool,
    ) -> None:
        """Refer to a fit of this run, by its number, that another candidate has."""
        log = self._begun()
        assert log.run is not None
        log.append_reference(
            candidate, split, key, log.run.uid, number, has_weights=has_weights
        )

    def reuse(
        self,
        candidate: int,
        split: int,
        key: str | None,
        stored: StoredFit,
        *,
        result: Mapping[str, Any] | None = None,
    ) -> None:
        """Take over a fit that the store has already; with `result`, its model."""
        text = (
            stored.source.own_result_text(stored.row)
            if result is None
            else _json.dumps(result)
        )
        self._begun().append_reference(
            candidate,
            split,
            key,
            *stored.holder(),
            has_weights=stored.has_weights,
            model_key=stored.model_key,
            result=text,
        )

    @property
    def n_safe(self) -> int:
        """Fits of this run that are in the log and need not be repeated."""
        return self._n_safe if self._log is None else self._log.n_safe

    # -- the end --------------------------------------------------------------

    def commit(self, results: RunResults, *, supersede: Collection[str] = ()) -> None:
        """Complete the run and put it into the HDF5 file, without the runs it replaces.

        If the disk is full, the run is safe in the log, and the next commit puts it
        into the file.
        """
        log = self._begun()
        try:
            log.finish(results, supersede)
            if not log.in_place:
                raise StoreWriteError(
                    f"{self._log_path} is not there any more: its folder was moved or "
                    "removed while the search ran. If it was moved, its finished fits "
                    "are in the log in the folder's new place: call fit with the "
                    "store's new path.",
                    str(self.path),
                )
            self.empty_log()
            self.remove_spools()
        finally:
            self.close()

    def discard(self) -> None:
        """Discard the run, whose fits are all in the store already."""
        try:
            if self._log is not None:
                self._log.take_back()
            self.empty_log()
            self.remove_spools()
        finally:
            self.close()

    def close(self) -> None:
        """End the session; what was finished stays in the log."""
        log, self._log = self._log, None
        if self._pid != os.getpid():
            # A forked child must leave its parent's files and locks alone.
            return
        try:
            if log is not None:
                self._close_log(log)
            if self._file is not None:
                self._file.close()
            self.lookup.close()
        finally:
            self._lock.release()

    def empty_log(self) -> bool:
        """Put every run of the log into the file, and remove the log.

        What is damaged is left out, with a warning, and then the log is moved aside.
        Return whether there was a complete run, or one with fits.
        """
        if self._log is not None:
            self._log.sync_many()
        if self._file is None:
            self._file = LogFile.beside(self.path)
            if self._file is None:
                return False
        self._file.refresh()
        self.lookup.refresh_log(self._file)
        damaged = self._file.damaged
        supersede = self._file.superseded
        runs = [run for run in self.lookup.log_runs if self._counts(run)]
        if runs:
            _beside.reached("consolidation begun")
            damaged |= self._append(runs, supersede)
        if damaged:
            self._move_aside(runs)
        else:
            self._remove_log()
        return bool(runs)

    def remove_spools(self) -> None:
        """Remove what workers wrote beside the store, except of unfinished runs."""
        remove_spools(
            self.path, lambda: {run.header.uid for run in self.lookup.unfinished()}
        )

    def add(self, runs: Sequence[RunSource]) -> None:
        """Put runs of other stores into the file."""
        append_runs(
            self.path,
            runs,
            store_uid=self.lookup.uid or uuid.uuid4().hex,
            durable=self._durable,
            compression=self._compression,
        )

    # -- inside ---------------------------------------------------------------

    def _begun(self) -> Log:
        if self._log is None:
            raise RuntimeError("No run has begun in this session.")
        return self._log

    def _open_log(self) -> None:
        self._file = LogFile.beside(self.path)
        if self._file is None:
            return
        self.lookup.refresh_log(self._file)
        if self._file.end == 0 and not self._file.begins_well:
            # Not a log, or one that is damaged from its beginning to its end.
            self._move_aside([])
        elif self._file.damaged:
            self.recovered |= self.empty_log()
        elif not any(map(self._counts, self.lookup.log_runs)):
            # All of it is in the file already, or it has no fit.
            self._remove_log()

    def _counts(self, run: LogRun) -> bool:
        """Whether a run of the log has anything to keep."""
        return run.counts or (
            bool(run.params()) and bool(unfinished_fits(self.path, run.uid))
        )

    def _has_spools(self, log: Log) -> bool:
        return log.run is not None and bool(unfinished_fits(self.path, log.run.uid))

    def _append(self, runs: Sequence[LogRun], supersede: Collection[str]) -> bool:
        """Append runs to the file; return whether damaged fits were left out."""
        dropped = False
        while True:
            try:
                append_runs(
                    self.path,
                    runs,
                    store_uid=self.lookup.uid or uuid.uuid4().hex,
                    remove=supersede,
                    durable=self._durable,
                    compression=self._compression,
                )
                return dropped
            except CorruptStoreError as error:
                n_bad = 0
                for run in runs:
                    bad = run.damaged()
                    run.drop(bad)
                    n_bad += len(bad)
                if not n_bad:
                    raise self._safe(error, runs) from error
                dropped = True
            except StoreError as error:
                raise self._safe(error, runs) from error

    def _safe(self, error: StoreError, runs: Sequence[LogRun]) -> StoreError:
        """Add to an error what is safe, if anything is."""
        n_fits = sum(len(run.fits()) for run in runs)
        if self._file is None or not self._file.in_place or not n_fits:
            return error
        names = ", ".join(run.header.name for run in runs)
        return type(error)(
            f"{error} {n_fits} finished fits of run {names} are safe in "
            f"{self._log_path}; the next fit or recover puts them into the store.",
            str(self.path),
        )

    def _move_aside(self, runs: Sequence[LogRun]) -> None:
        """Move a damaged log aside, with a warning that says what is lost."""
        assert self._file is not None
        aside = random_beside(self.path, ".damaged.wslog")
        skipped = [f"bytes {start} to {end - 1}" for start, end in self._file.skipped]
        n_lost = sum(run.n_lost for run in runs)
        self._log_path.rename(aside)
        self._forget_log()
        where = f" ({', '.join(skipped[:3])})" if skipped else ""
        lost = f"{n_lost} fits cannot be read" if runs else "no fit in it can be read"
        warnings.warn(
            f"The log {self._log_path} is damaged{where}: {lost}. What is lost will be "
            "fitted again, what is whole is in the store, and the damaged log is kept "
            f"as {aside}.",
            RuntimeWarning,
            stacklevel=4,
        )

    def _remove_log(self) -> None:
        """Remove a log whose runs are all in the file."""
        if self._log is not None:
            self._log.close()
        try:
            self._log_path.unlink(missing_ok=True)
        except PermissionError:
            # Windows does not remove a file that a reader has open; empty, it is inert.
            with self._log_path.open("r+b") as file:
                file.truncate(0)
        self._forget_log()
        _beside.reached("log removed")

    def _forget_log(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            log.close()
        if self._file is not None:
            self._file.close()
        self._file = None
        self.lookup.close()
        self.lookup.refresh_log(None)

    def _close_log(self, log: Log) -> None:
        self._n_safe = log.n_safe
        try:
            if log.n_rows == 0 and not self._has_spools(log):
                log.take_back()
                if log.is_empty and log.in_place:
                    self._log_path.unlink(missing_ok=True)
            elif log.in_place:
                log.sync()
        except OSError:
            # What cannot be synced now is as safe as it was.
            pass
        finally:
            log.close()


@contextlib.contextmanager
def locked(path: Path, *, compression: Compression = None) -> Iterator[WriteSession]:
    """Hold a store's lock, after recovering what was beside its file."""
    with WriteSession.open(path, compression=compression) as session:
        session.empty_log()
        session.lookup.close()
        yield session
        session.remove_spools()


def consolidate(path: Path, compression: Compression = None) -> bool:
    """Recover what a crash left beside a store.

    What is damaged in the log is left out, with a warning that counts it. Return
    whether there was anything to recover.
    """
    path = Path(path).resolve()
    if not any(os.path.lexists(one) for one in (log_path(path), redo_path(path))):
        return False
    with WriteSession.open(path, compression=compression) as session:
        return session.empty_log() or session.recovered


def live_runs(path: Path) -> list[LogRun]:
    """Return the runs in a store's log as they are now, oldest first.

    Call it before the store's file is opened, and leave out runs that the file has: so
    a run that is committed at that moment is never missed.
    """
    path = Path(path).resolve()
    try:
        # Before the log is read, so that a run that ends just now is not taken for one
        # that was interrupted.
        running = is_locked(path)
        file = LogFile.beside(path)
    except StoreError as error:
        warnings.warn(f"{error} Its runs are not shown.", RuntimeWarning, stacklevel=3)
        return []
    if file is None:
        return []
    if file.damaged:
        warnings.warn(
            f"The log {file.path} is damaged; fits that it hits are not shown. "
            f"WeightStore.recover({str(path)!r}) saves what is whole.",
            RuntimeWarning,
            stacklevel=3,
        )
    lookup = StoreLookup(path, file, status="running" if running else "interrupted")
    runs = lookup.log_runs
    # The lookup must not hold the runs that hold it: its files are closed when the
    # last run is dropped.
    lookup.refresh_log(file)
    return runs

"""Writing a run to a store: lock, journal, and the way into the HDF5 file."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self

from weightsearch._records import (
    Array,
    FitRecord,
    RunHeader,
    RunResults,
    RunSource,
    Weights,
)
from weightsearch.exceptions import StoreWriteError, WeightsNotFoundError
from weightsearch.store import _steps
from weightsearch.store._hdf5._filters import check_compression
from weightsearch.store._hdf5._reader import check_store_file
from weightsearch.store._hdf5._writer import write_store
from weightsearch.store._journal._format import DATABASE, journal_path
from weightsearch.store._journal._reader import JournalRun
from weightsearch.store._journal._rows import remove_journal
from weightsearch.store._journal._writer import Journal
from weightsearch.store._leftovers import put_leftovers_away
from weightsearch.store._lock import StoreLock, is_locked
from weightsearch.store._lookup import StoredFit, StoreLookup

__all__ = ["WriteSession", "consolidate", "live_run"]

Compression = str | Mapping[str, Any] | None


class WriteSession:
    """The right to write one run to a store, from :meth:`open` to the end of a fit.

    It ends with one of :meth:`commit`, :meth:`discard` and :meth:`close`; after each
    of them nothing is open and the store is free for the next writer. Leaving the
    ``with`` block closes it.

    Attributes
    ----------
    path : Path
        The store's file, links resolved.
    """

    def __init__(
        self, path: Path, lock: StoreLock, *, durable: bool, compression: Compression
    ):
        self.path = path
        self._lock = lock
        self._durable = durable
        self._compression = compression
        self._folder = journal_path(path)
        self._lookup = StoreLookup(path)
        self._journal: Journal | None = None
        self._pid = os.getpid()

    @classmethod
    def open(
        cls, path: Path, *, durable: bool = True, compression: Compression = None
    ) -> Self:
        """Take the lock and put what a crash has left into the store.

        Parameters
        ----------
        path : Path
            The store's file; it need not exist, its folder must.
        durable : bool, default=True
            Whether what is written is forced to the disk. Without it, the death of
            the process costs nothing finished, but a power cut may.
        compression : None, "gzip", "lzf" or mapping
            Of the weights in the HDF5 file.

        Raises
        ------
        StoreLockedError
            If another fit is writing to the store.
        NotAStoreError, StoreVersionError
            If the file there is no store, or a newer one.
        CorruptStoreError
            If the store, or a journal that a crash has left, is damaged.
        ValueError
            If `compression` is none of these.
        StoreWriteError
            If nothing can be written there.
        """
        path = Path(path).resolve()
        check_compression(compression)
        check_store_file(path)
        lock = StoreLock(path)
        lock.acquire()
        session = cls(path, lock, durable=durable, compression=compression)
        try:
            session._put_leftovers_away(salvage=False)
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
            "A session that writes to a store holds a lock of its process and cannot "
            "be pickled."
        )

    # -- what the store has ---------------------------------------------------

    @property
    def headers(self) -> Sequence[RunHeader]:
        """The headers of the runs in the file, oldest first."""
        return self._lookup.headers

    def params(self, run_uid: str) -> Sequence[str]:
        """Params of every candidate of a run in the file, encoded as JSON."""
        return self._run(run_uid).params()

    def best_index(self, run_uid: str) -> int | None:
        """The best candidate of a run in the file; None where it has none."""
        return self._run(run_uid).best_index()

    def splits(self, run_uid: str) -> list[tuple[Array, Array]] | None:
        """(train, test) indices of a run in the file, where it had to keep them."""
        return self._run(run_uid).splits()

    def keys(self, run_uid: str) -> list[tuple[str, bool]]:
        """Identity, and whether it has weights, of each finished fit of a run."""
        fits = self._run(run_uid).fits()
        good = ~fits.failed & (fits.key != b"")
        keys = [key.decode() for key in fits.key[good].tolist()]
        return list(zip(keys, fits.has_weights[good].tolist(), strict=True))

    def find(self, key: str, *, need_weights: bool) -> StoredFit | None:
        """Find a finished fit in the file by its identity, the newest first.

        Parameters
        ----------
        key : str
            32 hexadecimal digits.
        need_weights : bool
            Whether only one with weights will do.

        Returns
        -------
        StoredFit or None
            Never a failed fit.
        """
        return self._lookup.find(key, need_weights=need_weights)

    def weights(self, stored: StoredFit) -> Weights:
        """All weights of a fit in the file."""
        return stored.weights()

    # -- what comes in --------------------------------------------------------

    def begin(
        self, header: RunHeader, splits: Sequence[tuple[Array, Array]] | None = None
    ) -> None:
        """Start the run.

        Parameters
        ----------
        header : RunHeader
        splits : list of (train, test) index arrays, or None
            Kept where the splitter would not give them again.
        """
        if self._journal is not None:
            raise RuntimeError("A session writes one run, which has begun already.")
        journal = Journal(self._folder, durable=self._durable)
        journal.begin(header, splits)
        self._journal = journal

    def set_params(self, start: int, encoded: Sequence[str]) -> None:
        """Add params of candidates, from ``start`` on, encoded as JSON."""
        self._begun().set_params(start, encoded)

    def append(self, record: FitRecord) -> None:
        """Make a finished fit safe.

        Raises
        ------
        StoreWriteError
            If it cannot be written; fits before it are safe.
        """
        self._begun().append(record)

    def reuse(
        self, candidate: int, split: int, key: str | None, stored: StoredFit
    ) -> None:
        """Take a fit over that the store has already."""
        self._begun().append_reference(
            candidate,
            split,
            key,
            stored.run_uid,
            stored.row,
            has_weights=stored.has_weights,
        )

    # -- the end --------------------------------------------------------------

    def commit(self, results: RunResults, *, supersede: Collection[str] = ()) -> None:
        """End the run and put it into the HDF5 file.

        Parameters
        ----------
        results : RunResults
        supersede : collection of str
            Uids of runs in the file that this one replaces.

        Raises
        ------
        StoreWriteError
            If there is no room. The run is safe in the journal, finished, and the
            next session puts it into the file.
        """
        journal = self._begun()
        try:
            journal.finish(results)
            journal.close()
            with JournalRun(self._folder, self._lookup.resolve) as run:
                self._consolidate(run, supersede)
            self._remove_journal()
        finally:
            self.close()

    def discard(self) -> None:
        """Forget the run, whose fits are all in the store already."""
        try:
            if self._journal is not None:
                self._journal.close()
                self._remove_journal()
        finally:
            self.close()

    def close(self) -> None:
        """End the session; what was finished stays in the journal."""
        journal, self._journal = self._journal, None
        if self._pid != os.getpid():
            # A forked child must leave its parent's files and locks alone.
            return
        try:
            if journal is not None:
                journal.close()
                if journal.n_fits == 0:
                    remove_journal(self._folder)
            self._lookup.close()
        finally:
            empty = not (self._folder / DATABASE).exists()
            self._lock.release(remove=empty)

    # -- inside ---------------------------------------------------------------

    def _begun(self) -> Journal:
        if self._journal is None:
            raise RuntimeError("No run has begun in this session.")
        return self._journal

    def _run(self, uid: str) -> RunSource:
        run = self._lookup.resolve(uid)
        if run is None:
            raise WeightsNotFoundError(f"{self.path} has no run of uid {uid}.")
        return run

    def _consolidate(self, run: JournalRun, supersede: Collection[str] = ()) -> None:
        """Write the file anew, with the journal's run."""
        lookup = self._lookup
        replaced = frozenset(supersede)

        def added() -> Iterator[RunSource]:
            yield run
            # All is read by now, and Windows renames nothing over an open file.
            lookup.close()

        _steps.reached(_steps.CONSOLIDATION_BEGUN)
        try:
            write_store(
                self.path,
                store_uid=lookup.uid or uuid.uuid4().hex,
                keep=[old for old in lookup.runs if old.header.uid not in replaced],
                add=added(),
                results={},
                durable=self._durable,
                compression=self._compression,
            )
        except StoreWriteError as error:
            raise StoreWriteError(
                f"{error} {len(run.fits())} finished fits of run {run.header.name} "
                f"are safe in {self._folder}.",
                str(self.path),
            ) from error
        _steps.reached(_steps.FILE_RENAMED)

    def _put_leftovers_away(self, *, salvage: bool) -> bool:
        return put_leftovers_away(
            self.path, self._lookup, self._consolidate, salvage=salvage
        )

    def _remove_journal(self) -> None:
        remove_journal(self._folder)
        _steps.reached(_steps.JOURNAL_REMOVED)


def consolidate(path: Path, compression: Compression = None) -> bool:
    """Put into a store what a crash has left in its journal.

    What is damaged in the journal is left out, with a warning that counts it.

    Parameters
    ----------
    path : Path
        The store's file.
    compression : None, "gzip", "lzf" or mapping
        Of the weights in the HDF5 file.

    Returns
    -------
    bool
        Whether there was anything to put into it.

    Raises
    ------
    StoreLockedError
        If a fit is writing to the store.
    StoreError
        As :meth:`WriteSession.open` raises them.
    """
    path = Path(path).resolve()
    if not journal_path(path).exists():
        return False
    check_store_file(path)
    lock = StoreLock(path)
    lock.acquire()
    with WriteSession(path, lock, durable=True, compression=compression) as session:
        return session._put_leftovers_away(salvage=True)


def live_run(path: Path) -> JournalRun | None:
    """Return the run in a store's journal, if there is one, as it is just now.

    Ask before the store's file is opened, and leave the run out if the file has one
    of its uid: then a run that is put into the file at that moment is never missed.
    """
    path = Path(path).resolve()
    folder = journal_path(path)
    if not (folder / DATABASE).exists():
        return None
    lookup = StoreLookup(path)
    status = "running" if is_locked(path) else "interrupted"
    try:
        return JournalRun(folder, lookup.resolve, status=status, on_close=lookup.close)
    except FileNotFoundError:
        # It has gone into the store since.
        return None

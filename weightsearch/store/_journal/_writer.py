"""The journal beside a store, written: a fit is safe as soon as it is appended.

Bytes first, in one append-only file; then the row with offsets and checksums, in a
SQLite database, whose commit makes the fit count. ``docs/journal.md`` is the
normative page of the format.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from weightsearch._records import (
    FAILED,
    Array,
    FitRecord,
    ModelState,
    RunHeader,
    RunResults,
)
from weightsearch.exceptions import StoreWriteError
from weightsearch.store import _json, _steps
from weightsearch.store._hdf5._aside import sync_file, sync_folder
from weightsearch.store._journal import _format as fmt
from weightsearch.store._journal import _rows as rows
from weightsearch.store._journal._arrays import Record, pack
from weightsearch.store._journal._bytes import ByteLog

__all__ = ["Journal"]

BlobRow = tuple[int, str, int, int, int]
"""Id, name, position, bytes and checksum of a blob."""

_LAYOUTS_KNOWN = 64
_SYNC_SECONDS = 5.0
_SYNC_FITS = 2000


class Journal:
    """The journal of one run, for the one process that writes it.

    Parameters
    ----------
    folder : Path
        The journal's folder, held by a :class:`~weightsearch.store._lock.StoreLock`,
        without a journal in it.
    durable : bool, default=True
        Whether a power cut may cost no more than the last seconds. Death of the
        process costs nothing in either case.

    Notes
    -----
    Methods may be called from any thread, one at a time goes on.
    """

    def __init__(self, folder: Path, *, durable: bool = True):
        self._folder = folder
        self._durable = durable
        self._mutex = threading.RLock()
        self._database: sqlite3.Connection | None = None
        self._bytes: ByteLog | None = None
        self._pid = os.getpid()
        self._n_fits = 0
        self._layouts: OrderedDict[tuple[Any, ...], int] = OrderedDict()
        self._blobs: dict[str, int] = {}
        self._synced_fits = 0
        self._synced_at = time.monotonic()
        self._finished = False

    @property
    def n_fits(self) -> int:
        """Fits that are safe in the journal."""
        return self._n_fits

    def begin(
        self, header: RunHeader, splits: Sequence[tuple[Array, Array]] | None = None
    ) -> None:
        """Make the journal.

        Parameters
        ----------
        header : RunHeader
        splits : list of (train, test) index arrays, or None
            Kept where the splitter would not give them again.

        Raises
        ------
        StoreWriteError
            If the files cannot be written.
        """
        if self._database is not None:
            raise RuntimeError("A journal holds one run; begin was called already.")
        with self._mutex, self._explaining():
            log = self._bytes = ByteLog(
                self._folder / fmt.ARRAYS, durable=self._durable
            )
            uid = memoryview(header.uid.encode())
            try:
                log.append(fmt.BEGIN, 0, Record((), [uid], uid.nbytes, b""))
                self._database = self._make_database(log, header, splits)
                if self._durable:
                    sync_folder(self._folder)
            except BaseException:
                self.close()
                rows.remove_journal(self._folder)
                raise

    def set_params(self, start: int, encoded: Sequence[str]) -> None:
        """Add candidates' params, from candidate ``start`` on, each as JSON text."""
        with self._mutex, self._explaining(), self._transaction() as (database, _):
            for first, block in rows.blocks(encoded):
                number = rows.next_id(database, "params")
                text = _json.dumps(list(block))
                rows.insert(database, "params", (number, start + first, text))

    def append(self, record: FitRecord) -> None:
        """Make a finished fit safe.

        Raises
        ------
        StoreWriteError
            If it cannot be written; fits appended before are safe.
        TypeError
            If an array is of a type that a store does not hold.
        """
        weights = record.weights
        block = None
        if weights is not None:
            block = pack(weights, weights.ties, weights.encodings)
        self._append(
            (record.candidate, record.split, int(record.status == FAILED)),
            record.key,
            block,
            int(block is not None),
            (_json.dumps(record.result), None, None),
            record.state,
        )

    def append_reference(
        self,
        candidate: int,
        split: int,
        key: str | None,
        source_uid: str,
        source_row: int,
        *,
        has_weights: bool = True,
    ) -> None:
        """Note a fit that a run of the store has already.

        Parameters
        ----------
        source_uid, source_row : str, int
            The run and its row.
        has_weights : bool
            Whether that row has weights.
        """
        self._append(
            (candidate, split, 0),
            key,
            None,
            int(has_weights),
            (None, source_uid, source_row),
        )

    def finish(self, results: RunResults) -> None:
        """Add what is known at the end and mark the run as complete, durably."""
        parts = [fmt.P_CV_RESULTS]
        finish = {
            "best_index": results.best_index,
            "finished": datetime.datetime.now(datetime.UTC).isoformat(),
            "n_fits": self._n_fits,
            "parts": parts,
        }
        best = results.best_weights
        with self._mutex, self._explaining(), self._transaction() as (database, log):
            self._write_part(database, log, fmt.P_CV_RESULTS, pack(results.cv_results))
            if best is not None:
                parts.append(fmt.P_BEST)
                block = pack(best, best.ties, best.encodings)
                self._write_part(database, log, fmt.P_BEST, block)
            if self._durable:
                log.sync()
            rows.set_meta(database, fmt.M_SYNCED, self._n_fits if self._durable else 0)
            rows.set_meta(database, fmt.M_FINISH, finish)
        self._finished = True
        with self._mutex, self._explaining():
            if self._durable:
                rows.checkpoint(database)
        _steps.reached(_steps.RUN_FINISHED)

    def close(self) -> None:
        """Close the files; what was appended stays."""
        with self._mutex:
            database, self._database = self._database, None
            log, self._bytes = self._bytes, None
            if self._pid != os.getpid():
                # A forked child must leave its parent's files and locks alone.
                return
            if log is not None:
                if database is None:
                    log.abandon()
                else:
                    kind = fmt.FINISHED if self._finished else fmt.CLOSED
                    # All that a finished journal counts on is on the disk already.
                    wait = self._durable and not self._finished
                    log.close(kind, self._n_fits, durable=wait)
            if database is not None:
                database.close()

    # -- inside ---------------------------------------------------------------

    def _append(
        self,
        place: tuple[int, int, int],
        key: str | None,
        block: Record | None,
        has_weights: int,
        rest: tuple[str | None, str | None, int | None],
        state: ModelState | None = None,
    ) -> None:
        with self._mutex, self._explaining():
            database, log = self._opened()
            number, end = self._n_fits, log.end
            try:
                blobs = _append_blobs(log, state, self._blobs)
            except BaseException:
                log.take_back(end)
                raise
            position = log.append(fmt.FIT, number, block)
            _steps.reached(_steps.BYTES_WRITTEN)
            known = None if block is None else self._layouts.get(block.layout)
            ended = int(time.time() * 1000)
            head = (number, *place, has_weights, ended, key, position)
            tail = (None if block is None else block.crcs, *rest)
            try:
                if state is None and (block is None or known is not None):
                    # One statement is a transaction of its own.
                    rows.insert(database, "fit", (*head, known, *tail))
                else:
                    with self._transaction():
                        if block is not None and known is None:
                            known = self._add_layout(database, block)
                        rows.insert(database, "fit", (*head, known, *tail))
                        if state is not None:
                            for row in blobs:
                                rows.insert(database, "blob", row)
                            needs = self._needs(state, blobs)
                            rows.insert(database, "state", (number, state.text, needs))
                self._count(number, blobs)
            except BaseException:
                # An interrupt may come just after the commit.
                if rows.has_fit(database, number):
                    self._count(number, blobs)
                else:
                    log.take_back(end)
                raise
            _steps.reached(_steps.ROW_WRITTEN)
            log.confirm(position)
            if self._durable and (
                self._n_fits - self._synced_fits >= _SYNC_FITS
                or time.monotonic() - self._synced_at >= _SYNC_SECONDS
            ):
                self._sync(database, log)

    def _count(self, number: int, blobs: Sequence[BlobRow]) -> None:
        self._n_fits = number + 1
        self._blobs.update({name: blob for blob, name, *_ in blobs})

    def _needs(self, state: ModelState, blobs: Sequence[BlobRow]) -> str:
        numbers = {**self._blobs, **{name: blob for blob, name, *_ in blobs}}
        return _json.dumps([numbers[name] for name in state.blobs])

    def _write_part(
        self, database: sqlite3.Connection, log: ByteLog, name: str, block: Record
    ) -> None:
        number = rows.next_id(database, "part")
        position = log.append(fmt.PART, number, block)
        layout = self._layouts.get(block.layout)
        if layout is None:
            layout = self._add_layout(database, block)
        rows.insert(database, "part", (number, name, layout, position, block.crcs))

    def _add_layout(self, database: sqlite3.Connection, block: Record) -> int:
        number = rows.next_id(database, "layout")
        rows.insert(database, "layout", (number, block.spec()))
        self._layouts[block.layout] = number
        if len(self._layouts) > _LAYOUTS_KNOWN:
            # A layout that comes again is written again, which is allowed.
            self._layouts.popitem(last=False)
        return number

    def _sync(self, database: sqlite3.Connection, log: ByteLog) -> None:
        """Bring all to the disk: bytes first, then that they are there, then rows."""
        log.sync()
        rows.set_meta(database, fmt.M_SYNCED, self._n_fits)
        rows.checkpoint(database)
        self._synced_fits = self._n_fits
        self._synced_at = time.monotonic()

    def _make_database(
        self,
        log: ByteLog,
        header: RunHeader,
        splits: Sequence[tuple[Array, Array]] | None,
    ) -> sqlite3.Connection:
        """Make the database aside, so that readers never meet a half-made one."""
        aside = self._folder / fmt.NEW_DATABASE
        # Nothing in it counts before it has its name, so it is synced once, as a whole.
        database = rows.connect(aside, durable=False)
        try:
            with self._transaction(database, log):
                for statement in fmt.TABLES.values():
                    database.execute(statement)
                database.execute(f"PRAGMA application_id={fmt.APPLICATION_ID}")
                database.execute(f"PRAGMA user_version={fmt.JOURNAL_VERSION}")
                for name, value in (
                    (fmt.M_FORMAT, fmt.FORMAT),
                    (fmt.M_VERSION, fmt.JOURNAL_VERSION),
                    (fmt.M_WRITER, rows.writer_version()),
                    (fmt.M_HEADER, asdict(header)),
                    (fmt.M_SPLITS, None if splits is None else len(splits)),
                    (fmt.M_SYNCED, 0),
                ):
                    rows.set_meta(database, name, value)
                if splits is not None:
                    arrays = {
                        f"{number}/{role}": indices
                        for number, pair in enumerate(splits)
                        for role, indices in zip(("train", "test"), pair, strict=True)
                    }
                    self._write_part(database, log, fmt.P_SPLITS, pack(arrays))
        finally:
            database.close()
        if self._durable:
            log.sync()
            sync_file(aside)
        aside.replace(self._folder / fmt.DATABASE)
        database = rows.connect(self._folder / fmt.DATABASE, durable=self._durable)
        rows.begin_log(database)
        return database

    def _opened(self) -> tuple[sqlite3.Connection, ByteLog]:
        if self._database is None or self._bytes is None:
            raise RuntimeError("The journal is not open: begin comes first.")
        return self._database, self._bytes

    @contextlib.contextmanager
    def _transaction(
        self, *opened: Any
    ) -> Iterator[tuple[sqlite3.Connection, ByteLog]]:
        """All or nothing, also of the bytes and of what this object remembers."""
        database, log = opened or self._opened()
        end, known = log.end, self._layouts.copy()
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database, log
            database.execute("COMMIT")
        except BaseException:
            self._layouts = known
            if database.in_transaction:
                database.execute("ROLLBACK")
                log.take_back(end)
            raise

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn what the system says into what the user can do."""
        try:
            yield
        except StoreWriteError:
            raise
        except (OSError, sqlite3.Error) as error:
            fits = f"{self._n_fits} finished fit{'' if self._n_fits == 1 else 's'}"
            safe = (
                f"{fits} of this run are safe in {self._folder}"
                if (self._n_fits)
                else "No fit of this run had been kept yet"
            )
            raise StoreWriteError(
                f"The journal {self._folder} cannot be written: {error}. {safe}, and "
                "what was in the store before is untouched. Make room on that disk, "
                "or see that it can be written to, and call fit again: it goes on "
                "where it stopped.",
                str(self._folder),
            ) from error


def _append_blobs(
    log: ByteLog, state: ModelState | None, known: Mapping[str, int]
) -> list[BlobRow]:
    """Write the contents that are new, and give the rows that will name them."""
    blobs: list[BlobRow] = []
    for name, content in ({} if state is None else state.blobs).items():
        if name not in known:
            number = len(known) + len(blobs)
            view = memoryview(content)
            position = log.append(
                fmt.BLOB, number, Record((), [view], view.nbytes, b"")
            )
            blobs.append((number, name, position, view.nbytes, zlib.crc32(view)))
    return blobs

"""One run of a log, for reading."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from weightsearch._records import Array, FitSnapshots, FitTable, RunHeader, Splits
from weightsearch.exceptions import StoreError, WeightsNotFoundError
from weightsearch.store._log_file import Fit, LogArrays, LogContent, LogFile
from weightsearch.store._run import Resolve, Run
from weightsearch.store._snapshots import LoggedSnapshots, check_snapshots
from weightsearch.store._splits import unpack_splits


class LogRun(Run):
    """One run of a log.

    :meth:`fits` sees what was written until it is called; all other methods, what the
    last call has seen.

    Parameters
    ----------
    file : LogFile
    uid : str
    resolve : callable
        Returns the run of a uid, or None.
    status : str
        Of a run that has not come to its end: ``"running"`` or ``"interrupted"``.
    superseded : collection of str
        Runs that are going to be removed: no row refers to them.
    """

    def __init__(
        self,
        file: LogFile,
        uid: str,
        resolve: Resolve,
        *,
        status: str = "interrupted",
        superseded: Collection[str] = (),
    ):
        self.file = file
        self.path = str(file.path)
        self.uid = uid
        self._resolve = resolve
        self._status = status
        self._superseded = frozenset(superseded)
        self._known = LogContent(uid)
        self._dropped: set[int] = set()
        self._rows: list[Fit] = []
        self._by_number: dict[int, int] = {}
        self._table: FitTable | None = None
        self._seen: tuple[int, ...] = ()
        self._see()

    @property
    def _content(self) -> LogContent:
        self._known = self.file.content(self.uid) or self._known
        return self._known

    # -- the run --------------------------------------------------------------

    @property
    def header(self) -> RunHeader:
        content = self._content
        # Damage may have hit the frame that begins the run.
        header = content.header or RunHeader(
            uid=self.uid,
            name=f"recovered-{self.uid}",
            status="running",
            started=_iso(content.ended),
        )
        if content.end is not None:
            return replace(header, status="complete", finished=content.end["finished"])
        ended = _iso(content.ended) if self._status == "interrupted" else ""
        return replace(header, status=self._status, finished=ended)

    @property
    def complete(self) -> bool:
        """Whether the run has come to its end."""
        return self._content.end is not None

    @property
    def counts(self) -> bool:
        """Whether the run is worth keeping: complete, or with fits."""
        return self.complete or len(self.fits()) > 0

    def params(self) -> Sequence[str]:
        known = self._content.params
        # Only damage leaves a gap: a candidate without fits.
        return [known.get(number, "{}") for number in range(max(known, default=-1) + 1)]

    def fits(self) -> FitTable:
        self.file.refresh()
        self._see()
        if self._table is None:
            rows = self._rows
            origin = np.zeros(len(rows), "S32")
            origin_row = np.full(len(rows), -1, np.int64)
            taken_over: dict[tuple[Any, ...], int] = {}
            for row, fit in enumerate(rows):
                if fit.origin is None:
                    continue
                uid = fit.origin[0]
                found = self._source(fit)
                if uid in self._superseded:
                    # This run will hold the fit: once, however many refer to it.
                    first = taken_over.setdefault((fit.origin, fit.result), row)
                    uid, found = self.uid, (self, first) if first < row else None
                if found is not None:
                    origin[row], origin_row[row] = uid.encode(), found[1]
            columns: list[Any] = list(zip(*rows, strict=True)) or [()] * 7
            self._table = FitTable(
                candidate=np.array(columns[1], np.int64),
                split=np.array(columns[2], np.int64),
                failed=np.array(columns[3], bool),
                has_weights=np.array(columns[4], bool),
                key=np.array(columns[5], "S32"),
                origin=origin,
                origin_row=origin_row,
                model_key=np.array(columns[6], "S32"),
            )
        return self._table

    def cv_results(self) -> dict[str, Array]:
        arrays = self._content.cv_results
        return {} if arrays is None else dict(self.file.read_all(arrays))

    def best_index(self) -> int | None:
        end = self._content.end
        return None if end is None else end["best_index"]

    def splits(self) -> list[Splits]:
        found: list[Splits] = []
        for one, n_splits, arrays in self._content.splits:
            last = found[-1] if found else None
            if arrays is not None:
                packed = self.file.read_all(arrays)
                try:
                    pairs = unpack_splits(packed, n_splits, one.n_rows)
                except (KeyError, ValueError) as error:
                    raise self.file.corrupt(arrays.place, str(error)) from error
                found.append(replace(one, pairs=pairs))
            elif last is not None and last.first + last.count == one.first:
                found[-1] = replace(last, count=last.count + one.count)
        return found

    # -- rows -----------------------------------------------------------------

    def held(self, row: int) -> tuple[Run, int]:
        run = self
        while (fit := run._fit(row)).origin is not None:
            source = run._source(fit)
            if source is None or (
                source[1] >= row if source[0] is run else source[0] is self
            ):
                what = f"it refers to run {fit.origin[0]}, which does not hold it"
                raise self.file.corrupt(run.place(row), what)
            holder, row = source
            if not isinstance(holder, LogRun):
                return holder.held(row)
            run = holder
        return run, row

    def holder(self, row: int) -> tuple[str, int]:
        # In the log a fit is known by its number: rows move where fits are lost.
        fit = self._fit(row)
        return fit.origin or (self.uid, fit.number)

    def place(self, row: int) -> str:
        return self._fit(row).frame.place

    def others(self) -> Iterator[Run]:
        # All runs of a log have its contents.
        for uid in {fit.origin[0] for fit in self._rows if fit.origin is not None}:
            source = self._resolve(uid)
            if source is not None and not isinstance(source, LogRun):
                yield source

    def own_text(self, row: int) -> str:
        fit = self._fit(row)
        raw = self.file.lines(fit.frame)[3] if fit.result is None else fit.result
        return raw.decode("utf-8", "replace")

    def own_arrays(self, row: int) -> tuple[LogFile, LogArrays] | None:
        arrays = self._fit(row).arrays
        return None if arrays is None else (self.file, arrays)

    def own_state(self, row: int) -> tuple[str, tuple[str, ...]] | None:
        fit = self._fit(row)
        if fit.blobs is None:
            return None
        lines = self.file.lines(fit.frame)
        text = lines[4].decode("utf-8", "replace") if len(lines) > 4 else ""
        return text, fit.blobs

    def own_snapshots(self, row: int) -> FitSnapshots | None:
        fit = self._fit(row)
        if fit.n_epochs < 0:
            return None
        blocks = self._content.snapshots.get(fit.number, [])
        found = LoggedSnapshots(self.file, fit.n_epochs, blocks)
        if len(found) != fit.n_snapshots:
            what = f"{fit.n_snapshots - len(found)} of its snapshots are lost"
            raise self.file.corrupt(self.place(row), what)
        return found

    def own_blob_size(self, name: str) -> int | None:
        return self.file.blob_size(name)

    def own_blob(self, name: str) -> bytes:
        return self.file.blob(name)

    # -- damage ---------------------------------------------------------------

    def problem(self, row: int) -> str | None:
        """What is wrong with a row; None if it can be read in full."""
        try:
            run, at = self.held(row)
            if run is not self:
                return None
            fit = self._fit(at)
            self.result(row)
            for _ in self.file.stored(fit.arrays) if fit.arrays else ():
                pass
            for name in fit.blobs or ():
                self.file.check_blob(name)
            check_snapshots(self.own_snapshots(at))
        except StoreError as error:
            return str(error)
        return None

    def damaged(self) -> dict[int, str]:
        """Rows that cannot be read in full, and what is wrong with each."""
        problems = {row: self.problem(row) for row in range(len(self._rows))}
        return {row: what for row, what in problems.items() if what is not None}

    def drop(self, rows: Iterable[int]) -> None:
        """Leave rows out from now on."""
        self._dropped.update(self._rows[row].frame.at for row in rows)
        self._see()

    @property
    def n_lost(self) -> int:
        """Fits that were written and are not among the rows, as far as is known."""
        content = self._content
        written = max((fit.number for fit in content.fits), default=-1) + 1
        if content.end is not None:
            written = max(written, content.end["n_fits"])
        return max(written - len(self._rows), 0)

    # -- inside ---------------------------------------------------------------

    def _see(self) -> None:
        """Choose the rows that count: those with params that are not dropped."""
        content = self._content
        seen = len(content.fits), len(content.params), len(self._dropped)
        if seen != self._seen:
            self._seen = seen
            self._table = None
            self._rows = [
                fit
                for fit in content.fits
                if fit.candidate in content.params and fit.frame.at not in self._dropped
            ]
            self._by_number = {fit.number: row for row, fit in enumerate(self._rows)}

    def _fit(self, row: int) -> Fit:
        if not 0 <= row < len(self._rows):
            raise WeightsNotFoundError(
                f"There is no fit {row} in this run; it has {len(self._rows)}."
            )
        return self._rows[row]

    def _source(self, fit: Fit) -> tuple[Run, int] | None:
        """Return the run that a fit refers to, and the row there."""
        assert fit.origin is not None
        uid, row = fit.origin
        source = self if uid == self.uid else self._resolve(uid)
        if isinstance(source, LogRun):
            source._see()
            row = source._by_number.get(row, -1)
        return None if source is None or row < 0 else (source, row)


def _iso(milliseconds: int) -> str:
    try:
        moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return ""
    return moment.isoformat()

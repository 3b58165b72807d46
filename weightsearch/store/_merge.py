"""Merging the runs of several stores, each fit once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from weightsearch._records import FitTable, RunSource
from weightsearch.exceptions import StoreError, StoreLockedError
from weightsearch.store._lock import is_locked, read_holder
from weightsearch.store._log_file import LogFile
from weightsearch.store._lookup import StoreLookup
from weightsearch.store._run import Referring
from weightsearch.store._schema import D_EPOCH
from weightsearch.store._session import locked
from weightsearch.store._snapshots import has_optimizer


def merge(
    path: Path,
    others: Iterable[Path],
    *,
    compression: str | Mapping[str, Any] | None = None,
) -> int:
    """Add the runs of other stores to one, which is created if necessary.

    A fit that is there already, by its identity, is referred to and not copied. The
    other stores do not change. Everything is added in one commit, or nothing.
    """
    path = Path(path).resolve()
    with locked(path, compression=compression) as session:
        lookups: list[StoreLookup] = []
        try:
            for other in dict.fromkeys(Path(one).resolve() for one in others):
                if other != path:
                    lookups.append(_opened(other))
            added = _new_runs(session.lookup.runs, lookups)
            if added:
                session.add(added)
            return len(added)
        finally:
            for lookup in lookups:
                lookup.close()


def _opened(path: Path) -> StoreLookup:
    if is_locked(path):
        holder = read_holder(path)
        raise StoreLockedError(
            f"The store {path} is being written by another fit: {holder}. Merge it "
            "when that has ended.",
            str(path),
            holder,
        )
    log = LogFile.beside(path)
    if log is None and not path.exists():
        raise StoreError(f"There is no store at {path}.", str(path))
    return StoreLookup(path, log)


class _Known:
    """Fits that the target has or will have, by their identity."""

    def __init__(self) -> None:
        self._places: dict[bytes, tuple[str, int, bool, bool, frozenset[int]]] = {}

    def referring(self, run: RunSource) -> FitTable:
        """Return a run's fits with references to those that are known."""
        fits = run.fits()
        origin, origin_row = fits.origin.copy(), fits.origin_row.copy()
        for row in _identified(fits):
            found = self._places.get(fits.key[row])
            if found is not None:
                uid, at, has_weights, has_state, epochs = found
                if (
                    has_weights >= fits.has_weights[row]
                    and (has_state or run.state(row) is None)
                    and _epochs(run, row) <= epochs
                ):
                    origin[row], origin_row[row] = uid.encode(), at
        return replace(fits, origin=origin, origin_row=origin_row)

    def add(self, run: RunSource) -> None:
        """Note the fits of a run."""
        fits = run.fits()
        for row in _identified(fits):
            if run.own_result_text(row):
                # Who refers to it would get the result of the run that holds its model.
                continue
            here = (
                run.header.uid,
                row,
                bool(fits.has_weights[row]),
                run.state(row) is not None,
                _epochs(run, row),
            )
            before = self._places.get(fits.key[row])
            if before is None or (here[2:4], len(here[4])) > (
                before[2:4],
                len(before[4]),
            ):
                self._places[fits.key[row]] = here


def _epochs(run: RunSource, row: int) -> frozenset[int]:
    """Return the epochs of a row's snapshots.

    -1 stands for that they were wanted, -2 for the state of the optimizer.
    """
    found = run.snapshots(row)
    if found is None:
        return frozenset()
    optimizer = {-2} if has_optimizer(found) else set()
    return frozenset({-1, *optimizer, *found.columns[D_EPOCH].tolist()})


def _identified(fits: FitTable) -> list[int]:
    rows: list[int] = np.flatnonzero(~fits.failed & (fits.key != b"")).tolist()
    return rows


def _new_runs(
    target: Iterable[RunSource], lookups: Iterable[StoreLookup]
) -> list[RunSource]:
    """Return the runs that the target lacks, referring to what it has."""
    known = _Known()
    uids: set[str] = set()
    for run in target:
        uids.add(run.header.uid)
        known.add(run)
    added: list[RunSource] = []
    for lookup in lookups:
        for run in lookup.runs:
            if run.header.uid not in uids:
                uids.add(run.header.uid)
                added.append(Referring(run, known.referring(run)))
                known.add(run)
    return added

"""Checking a whole store, file and log: every checksum, shape and reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from weightsearch.exceptions import StoreError
from weightsearch.store import _schema as names
from weightsearch.store._checked import dangers
from weightsearch.store._log import log_path
from weightsearch.store._log_file import LogFile
from weightsearch.store._lookup import StoreLookup
from weightsearch.store._reader import Hdf5Store
from weightsearch.store._stored_run import Hdf5Run


@dataclass(frozen=True)
class Problem:
    """Something that is wrong in a store."""

    place: str
    """An HDF5 path, or a place in the log."""
    message: str


def verify(path: Path) -> list[Problem]:
    """Check every checksum, shape and reference of a store and of its log."""
    path = Path(path).resolve()
    problems = list(verify_file(path)) if path.exists() else []
    try:
        log = LogFile.beside(path)
    except StoreError as error:
        return [*problems, Problem(str(log_path(path)), str(error))]
    if log is None:
        if not path.exists():
            raise StoreError(f"There is no store at {path}.", str(path))
        return problems
    lookup = StoreLookup(path, log)
    try:
        return [*problems, *_log_problems(log, lookup)]
    finally:
        log.close()
        lookup.close()


def _log_problems(log: LogFile, lookup: StoreLookup) -> Iterator[Problem]:
    place = str(log.path)
    for start, end in log.skipped:
        yield Problem(place, f"bytes {start} to {end - 1} are damaged")
    if log.torn:
        yield Problem(place, f"what follows byte {log.end} is damaged")
    for run in lookup.log_runs:
        name = f"{place}, run {run.header.name}"
        n_rows = len(run.fits())
        if run.n_lost:
            yield Problem(name, f"{run.n_lost} of {n_rows + run.n_lost} fits are lost")
        for row, problem in run.damaged().items():
            yield Problem(f"{name}, fit {row}", problem)
        for read in (run.cv_results, run.splits):
            try:
                read()
            except StoreError as error:
                yield Problem(name, str(error))


def verify_file(path: Path | str | BinaryIO) -> list[Problem]:
    """Check all that a store's file holds.

    Damage, in whatever form, is listed and never raised.
    """
    found: dict[Problem, None] = {}
    try:
        with Hdf5Store(path) as store:
            for error in _errors(store):
                found[_problem(error)] = None
    except StoreError as error:
        found[_problem(error)] = None
    return list(found)


def _problem(error: StoreError) -> Problem:
    return Problem(getattr(error, "place", "") or "/", str(error))


def _errors(store: Hdf5Store) -> Iterator[StoreError]:
    yield from dangers(store.root)
    yield from store.catalog.problems()
    referrers: dict[str, int] = {}
    uids: set[str] = set()
    for run in store.every_run:
        for check in _CHECKS:
            try:
                yield from check(run)
            except StoreError as error:
                yield error
        try:
            if run.uid in uids:
                yield run.group.refuse(f"another run has the uid {run.uid} too")
            uids.add(run.uid)
            for origin in set(run.fits().origin.tolist()) - {b"", run.uid.encode()}:
                uid = origin.decode("ascii", "replace")
                referrers[uid] = referrers.get(uid, 0) + 1
        except StoreError as error:
            yield error
    for entry in store.catalog.entries:
        found = referrers.get(entry.uid, 0)
        if entry.number >= 0 and entry.referrers != found:
            what = f"{found} runs refer to it; the index has {entry.referrers}"
            yield store.root.refuse(what, entry.place)


def _header(run: Hdf5Run) -> Iterator[StoreError]:
    header, group = run.header, run.group
    for name in (names.A_UID, names.A_STATUS, names.A_STARTED, names.A_FINISHED):
        if group.text(name) != getattr(header, name):
            yield group.refuse(f"the attribute {name} is not the header's")
    if group.integer(names.A_N_SPLITS) != int(header.settings.get("n_splits") or 0):
        yield group.refuse("the attribute n_splits is not the header's")
    entry = run.entry
    if entry.started != header.started[:32] or (
        entry.status not in ("kept", header.status)
    ):
        yield group.refuse("the index and the header do not agree")


def _fits(run: Hdf5Run) -> Iterator[StoreError]:
    fits, table = run.fits(), run.table
    if ((fits.candidate < 0) | (fits.candidate >= run.n_candidates)).any():
        yield table.refuse("candidates that the run does not have", names.D_CANDIDATE)
    if (fits.split < -1).any():
        yield table.refuse("splits below -1", names.D_SPLIT)
    for row in range(len(fits)):
        try:
            run.result(row)
        except StoreError as error:
            yield error


def _architectures(run: Hdf5Run) -> Iterator[StoreError]:
    places = run.places
    for number in range(run.n_architectures):
        try:
            found = run.architecture(number)
            rows = np.sort(places[places[:, 0] == number, 1])
            if not np.array_equal(rows, np.arange(found.count)):
                yield found.group.refuse("its rows are not those that fits point at")
            yield from found.verify()
        except StoreError as error:
            yield error


def _read(read: Callable[[Hdf5Run], object]) -> Callable[[Hdf5Run], tuple[()]]:
    def check(run: Hdf5Run) -> tuple[()]:
        read(run)
        return ()

    return check


_CHECKS: tuple[Callable[[Hdf5Run], Iterable[StoreError]], ...] = (
    _header,
    *map(_read, (Hdf5Run.params, Hdf5Run.cv_results)),
    *map(_read, (Hdf5Run.best_index, Hdf5Run.splits)),
    _fits,
    _architectures,
    Hdf5Run.problems,
    lambda run: run.states.problems(),
    lambda run: run.all_snapshots.problems(),
)
"""Of a run; each is made whatever the others find."""

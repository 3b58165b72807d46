"""Checking a whole store: every checksum, shape and reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from weightsearch.exceptions import StoreError
from weightsearch.store._hdf5 import _layout as names
from weightsearch.store._hdf5._reader import Hdf5Store
from weightsearch.store._hdf5._safe import dangers
from weightsearch.store._hdf5._stored_run import Hdf5Run

__all__ = ["Problem", "verify_file"]


@dataclass(frozen=True)
class Problem:
    """Something that is wrong in a store.

    Attributes
    ----------
    place : str
        Where: an HDF5 path, or a row of the journal.
    message : str
        What.
    """

    place: str
    message: str


def verify_file(path: Path | str | BinaryIO) -> list[Problem]:
    """Check all that a store's file holds.

    Parameters
    ----------
    path : path or binary file

    Returns
    -------
    list of Problem
        Empty if all is well. Damage, in whatever form, is listed and never raised.
    """
    found: dict[Problem, None] = {}
    try:
        with Hdf5Store(path) as store:
            for problem in _problems(store):
                found[problem] = None
    except StoreError as exc:
        found[_problem(exc)] = None
    return list(found)


def _problems(store: Hdf5Store) -> Iterator[Problem]:
    root = store.root
    for danger in dangers(root.gid, store.path, "/"):
        yield _problem(danger)
    uids: set[str] = set()
    for run in store.runs.values():
        if run.uid in uids:
            yield Problem(run.group.place, f"another run has the uid {run.uid} too")
        uids.add(run.uid)
        yield from _run_problems(run)


def _run_problems(run: Hdf5Run) -> Iterator[Problem]:
    checks: list[Callable[[], Iterator[Problem]]] = [
        lambda: _header(run),
        lambda: _read(run.params),
        lambda: _read(run.cv_results),
        lambda: _read(run.best_index),
        lambda: _read(run.splits),
        lambda: _best(run),
        lambda: _fits(run),
        lambda: _layouts(run),
        lambda: map(_problem, run.states.problems()),
    ]
    for check in checks:
        try:
            yield from check()
        except StoreError as exc:
            yield _problem(exc)


def _read(method: Callable[[], object]) -> Iterator[Problem]:
    method()
    return iter(())


def _header(run: Hdf5Run) -> Iterator[Problem]:
    header = run.header
    for name in (names.A_STATUS, names.A_STARTED, names.A_FINISHED):
        if run.group.text(name) != getattr(header, name):
            yield Problem(run.group.place, f"the attribute {name} is not the header's")
    if run.group.integer(names.A_N_SPLITS) != int(header.settings.get("n_splits") or 0):
        yield Problem(run.group.place, "the attribute n_splits is not the header's")


def _best(run: Hdf5Run) -> Iterator[Problem]:
    specs = run.best_specs()
    for spec in specs.arrays if specs is not None else ():
        try:
            run.read_best(spec.name)
        except StoreError as exc:
            yield _problem(exc)


def _fits(run: Hdf5Run) -> Iterator[Problem]:
    fits = run.fits()
    table = f"{run.group.place}/{names.G_FITS}"
    if ((fits.candidate < 0) | (fits.candidate >= run.n_candidates)).any():
        place = f"{table}/{names.D_CANDIDATE}"
        yield Problem(place, "candidates that the run does not have")
    if (fits.split < -1).any():
        yield Problem(f"{table}/{names.D_SPLIT}", "splits below -1")
    for row in range(len(fits)):
        try:
            run.result(row)
        except StoreError as exc:
            yield _problem(exc)


def _layouts(run: Hdf5Run) -> Iterator[Problem]:
    fits = run.fits()
    pointed: dict[int, list[tuple[int, int]]] = {}
    for row in np.flatnonzero(fits.has_weights).tolist():
        number, at = run.place(row)
        pointed.setdefault(number, []).append((at, row))
    for number in range(run.n_layouts):
        place = f"{run.group.place}/{names.G_LAYOUTS}/{number}"
        try:
            layout = run.layout(number)
            pairs = sorted(pointed.get(number, []))
            if [at for at, _ in pairs] != list(range(layout.count)):
                yield Problem(place, "its rows are not those that the fits point at")
            else:
                rows = [row for _, row in pairs]
                for name, column in (
                    (names.D_CANDIDATE, layout.candidate),
                    (names.D_SPLIT, layout.split),
                ):
                    if not np.array_equal(column, getattr(fits, name)[rows]):
                        yield Problem(f"{place}/{name}", "is not that of the fits")
            for exc in layout.verify():
                yield _problem(exc)
        except StoreError as exc:
            yield _problem(exc)


def _problem(exc: StoreError) -> Problem:
    return Problem(getattr(exc, "place", "") or "/", str(exc))

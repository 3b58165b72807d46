"""What a writer that died has left: put into the store, or removed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from weightsearch.exceptions import CorruptStoreError, StoreWriteError
from weightsearch.store import _steps
from weightsearch.store._hdf5._aside import remove_leftovers
from weightsearch.store._journal._format import DATABASE, journal_path
from weightsearch.store._journal._reader import JournalRun
from weightsearch.store._journal._rows import remove_journal
from weightsearch.store._lookup import StoreLookup

__all__ = ["put_leftovers_away"]


def put_leftovers_away(
    path: Path,
    lookup: StoreLookup,
    consolidate: Callable[[JournalRun], None],
    *,
    salvage: bool,
) -> bool:
    """Consolidate or remove the journal that a dead writer has left.

    Parameters
    ----------
    path : Path
        The store's file, whose lock is held.
    lookup : StoreLookup
        What is in it.
    consolidate : callable
        Puts a journal's run into the file.
    salvage : bool
        Whether to go on without what is damaged.

    Returns
    -------
    bool
        Whether a run was put into the file.

    Raises
    ------
    CorruptStoreError
        The journal is damaged, and `salvage` is false.
    StoreWriteError
        It cannot be removed.
    """
    folder = journal_path(path)
    moved = False
    # Files aside can be large, and this fit may be the one that lacks the room.
    remove_leftovers(path)
    if (folder / DATABASE).exists():
        try:
            with JournalRun(
                folder, lookup.resolve, status="interrupted", salvage=salvage
            ) as run:
                # A crash between renaming and removing leaves a run in both places.
                known = lookup.resolve(run.header.uid) is not None
                if not known and (run.complete or len(run.fits())):
                    _drop_damaged(run, 0 if salvage else run.n_synced)
                    consolidate(run)
                    moved = True
        except CorruptStoreError as error:
            if error.path != str(folder) or salvage:
                raise
            raise CorruptStoreError(
                f"{error} WeightStore.recover({str(path)!r}) saves what can be read.",
                error.path,
                error.place,
            ) from error
    if not remove_journal(folder):
        raise StoreWriteError(
            f"Another program has the journal {folder} open, so that it cannot be "
            "removed; close it there and make the same call again.",
            str(path),
        )
    if moved:
        _steps.reached(_steps.JOURNAL_REMOVED)
    return moved


def _drop_damaged(run: JournalRun, first: int) -> None:
    """Leave out what cannot be read, and say so."""
    content = run.content
    n_lost = content.n_rows_lost(content.frames(content.end).values())
    damaged = run.damaged(first)
    run.drop([row for row, _ in damaged])
    n_lost += run.n_lost
    if n_lost:
        reason = f" ({damaged[0][1]})" if damaged else ""
        warnings.warn(
            f"{n_lost} fits in the journal {run.folder} cannot be read, as after "
            f"a power cut, and are left out; they will be fitted again{reason}",
            RuntimeWarning,
            stacklevel=5,
        )

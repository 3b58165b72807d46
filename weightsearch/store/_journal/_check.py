"""Everything that can be wrong with a store and its journal, as a list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from weightsearch.exceptions import StoreError
from weightsearch.store._hdf5._verify import Problem, verify_file
from weightsearch.store._journal import _format as fmt
from weightsearch.store._journal._content import JournalContent
from weightsearch.store._journal._reader import JournalRun
from weightsearch.store._lookup import StoreLookup

__all__ = ["verify", "verify_journal"]


def verify(path: Path) -> list[Problem]:
    """Check every checksum, shape and reference of a store and of its journal.

    Parameters
    ----------
    path : Path
        The store's file; there may be a journal alone.

    Returns
    -------
    list of Problem
        Empty where all is well.

    Raises
    ------
    StoreError
        If there is neither a file nor a journal.
    """
    path = Path(path).resolve()
    has_journal = (fmt.journal_path(path) / fmt.DATABASE).exists()
    if path.exists():
        problems = list(verify_file(path))
    elif has_journal:
        problems = []
    else:
        raise StoreError(f"There is no store at {path}.", str(path))
    return problems + (verify_journal(path) if has_journal else [])


def verify_journal(path: Path) -> list[Problem]:
    """Check the journal beside a store: rows, bytes, references, and what is missing.

    Parameters
    ----------
    path : Path
        The store's file, resolved.
    """
    folder = fmt.journal_path(path)
    lookup = StoreLookup(path)
    try:
        with JournalRun(folder, lookup.resolve) as run:
            return list(_problems(folder, run))
    except FileNotFoundError:
        # It has gone into the store since.
        return []
    except StoreError as error:
        return [_problem(folder, error)]
    finally:
        lookup.close()


def _problems(folder: Path, run: JournalRun) -> Iterator[Problem]:
    # Before the rows: the writer adds bytes first.
    size = run.content.file.size
    frames = run.content.frames()
    run.fits()
    content = run.content
    for text in content.database.problems():
        yield Problem(f"{folder.name}/{fmt.DATABASE}", text)
    if run.n_lost:
        yield Problem(
            folder.name, f"the arrays of the last {run.n_lost} fits are missing"
        )
    for row, message in run.damaged():
        yield Problem(f"{folder.name}, fit {content.columns.ids[row]}", message)
    for check in (run.splits, run.cv_results, lambda: _read_best(run)):
        try:
            check()
        except StoreError as error:
            yield _problem(folder, error)
    yield from _frame_problems(folder, content, frames, size)


def _read_best(run: JournalRun) -> None:
    specs = run.best_specs()
    for spec in specs.arrays if specs is not None else ():
        run.read_best(spec.name)


def _frame_problems(
    folder: Path, content: JournalContent, frames: dict[int, fmt.Frame], size: int
) -> Iterator[Problem]:
    astray: list[str] = []
    places = ((fmt.PART, "part", 3), (fmt.FIT, "fit", 7), (fmt.BLOB, "blob", 2))
    for kind, table, column in places:
        if not content.database.has_table(table):
            continue
        for number, row in content.database.rows(table):
            if row is None:
                yield Problem(
                    f"{folder.name}, {table} {number}", "its checksum is wrong"
                )
            elif row[column] <= size:
                frame = frames.get(row[column])
                if frame is None or frame[:2] != (kind, number):
                    astray.append(f"{table} {number}")
    if astray:
        yield Problem(
            f"{folder.name}, {astray[0]}",
            f"{fmt.ARRAYS} has no frame where its arrays start; {len(astray)} rows in "
            "all are so",
        )
    lost = content.n_rows_lost(frames.values())
    if lost:
        yield Problem(
            folder.name,
            f"the rows of the last {lost} fits are missing, though {fmt.ARRAYS} has "
            "their arrays",
        )


def _problem(folder: Path, error: StoreError) -> Problem:
    place = getattr(error, "place", "")
    return Problem(f"{folder.name}, {place}" if place else folder.name, str(error))

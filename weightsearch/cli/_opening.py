"""The run and the candidate that a command is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weightsearch.cli._guard import UserError
from weightsearch.cli._text import note
from weightsearch.run import Run, WeightStore

__all__ = ["candidate_number", "open_run", "tell_run"]


@contextmanager
def open_run(path: Path, name: str | None) -> Iterator[Run]:
    """Open a store and choose a run by its name or a beginning that only it has."""
    with WeightStore(path) as store:
        if name is None:
            yield store.run()
            return
        runs = store.runs
        begun = [known for known in runs if known.startswith(name)]
        if name not in runs and len(begun) > 1:
            raise UserError(
                f"{len(begun)} runs have a name that begins with {name!r}: "
                f"{', '.join(begun[:4])}{', ...' if len(begun) > 4 else ''}"
            )
        yield store.run(begun[0] if name not in runs and begun else name)


def tell_run(run: Run) -> None:
    """Say beside the output which run it is about."""
    estimator = str(run.estimator.get("class", "")).rpartition(".")[2]
    note(f"Run {run.name} ({run.status}): {estimator}, {len(run)} candidates")


def candidate_number(run: Run, text: str) -> int:
    """Read a candidate's number, or ``best``."""
    if text.isdecimal() and len(text) < 19:
        return int(text)
    if text != "best":
        raise UserError(
            f"{text!r} is no candidate: say its number, 0 to {len(run) - 1}, or best."
        )
    best = run.best_index
    if best is None:
        raise UserError(
            f"Run {run.name} has no best candidate: its status is {run.status!r} and "
            f"refit was {run.settings.get('refit')!r}. Say a number, "
            f"0 to {len(run) - 1}."
        )
    return best

"""Follow a search while it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from weightsearch._display import duration_text
from weightsearch.cli._text import clean, note
from weightsearch.run import Run, WeightStore
from weightsearch.run._candidates import best_first, main_column

__all__ = ["watch_run"]

_SHARE = 5
"""A pause is at least so many times as long as the last look at the store took."""


def watch_run(store: WeightStore, name: str, *, every: float, limit: int) -> None:
    """Show a run until its search ends.

    On a terminal a table and a line of progress are updated in place; elsewhere a line
    is printed whenever fits have finished.

    Parameters
    ----------
    store : WeightStore
    name : str
        The run's.
    every : float
        Seconds between two looks.
    limit : int
        Rows of the table.
    """
    looks = _looks(store, name, every)
    if sys.stdout.isatty():
        _show_in_place(looks, limit)
        return
    said = ""
    for run, left in looks:
        counts = run._fits_text()
        if counts != said or run.status != "running":
            print(_line(run, left), flush=True)
        said = counts


def _looks(store: WeightStore, name: str, every: float) -> Iterator[tuple[Run, str]]:
    """Yield the run and when its fits will be done, until it does not run any more."""
    begun: tuple[float, int] | None = None
    while True:
        start = time.monotonic()
        run = store.runs.get(name)
        if run is None:
            note(f"Run {name} has ended; earlier runs have all that it has.")
            return
        done, planned, _ = run._fit_counts()
        left = ""
        if begun is None:
            begun = start, done
        elif planned and begun[1] < done < planned:
            seconds = (start - begun[0]) / (done - begun[1]) * (planned - done)
            left = f"fits done in ~{duration_text(seconds)}"
        yield run, left
        if run.status != "running":
            return
        time.sleep(max(every, _SHARE * (time.monotonic() - start)))


def _line(run: Run, left: str) -> str:
    parts = [run._fits_text(), _best(run), left]
    return clean(f"{run.status}: {', '.join(filter(None, parts))}")


def _best(run: Run) -> str:
    """Name the best candidate of those that have most splits."""
    mean = main_column("mean_test_", run.candidates.columns, run.settings)
    scored = run.candidates if mean is None else run.candidates.dropna(subset=[mean])
    if mean is None or scored.empty:
        return ""
    number = best_first(scored, run.settings).index[0]
    return f"best {scored.at[number, mean]:.4g} (candidate {number})"


def _show_in_place(looks: Iterator[tuple[Run, str]], limit: int) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False) as live:
        for run, left in looks:
            # What is higher than the screen would leave copies behind.
            rows = max(min(limit, console.height - 6), 1)
            head = f"Run {run.name}"
            lines = map(clean, [head, *run._best_lines(rows, console.width), ""])
            shown = Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
            shown.append(f"\n{_line(run, left)}", style="bold")
            live.update(shown, refresh=True)

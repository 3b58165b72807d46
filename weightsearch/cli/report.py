"""``weightsearch report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weightsearch.cli._options import RunName, StorePath

EXAMPLES = ("weightsearch report search.h5 report.html --title 'Digits, week 12'",)


def command(
    store: StorePath,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The new page.", show_default=False)
    ],
    run: RunName = None,
    title: Annotated[
        str | None,
        typer.Option(
            "--title", metavar="TEXT", help="The page's title.", show_default=False
        ),
    ] = None,
) -> None:
    """Write a page of HTML about a run: one file, which works offline."""
    from weightsearch.cli._guard import told_as_user_error
    from weightsearch.cli._opening import open_run
    from weightsearch.cli._text import clean

    with open_run(store, run) as chosen, told_as_user_error(ImportError):
        written = chosen.report(path, title=title)
    print(f"Wrote {clean(written)}")

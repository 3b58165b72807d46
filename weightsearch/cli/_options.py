"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AsCsv",
    "AsJson",
    "Candidate",
    "Columns",
    "Limit",
    "RunName",
    "Sort",
    "Split",
    "StorePath",
]

StorePath = Annotated[
    Path, typer.Argument(metavar="STORE", help="The store's file.", show_default=False)
]
Candidate = Annotated[
    str,
    typer.Argument(
        metavar="CANDIDATE",
        help="The candidate's number, or best.",
        show_default=False,
    ),
]
RunName = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="NAME",
        help="The run that is meant, by its name or how that begins. "
        "Without it: the newest one.",
        show_default=False,
    ),
]
Split = Annotated[
    int | None,
    typer.Option(
        "--split",
        metavar="N",
        help="The models of a cross-validation split. Without it: the refits.",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Write JSON: a list, one object a line.")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Write CSV.")]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="NAMES",
        help="The columns to show, in order: names with commas between them, "
        "patterns such as 'split*', or all. May be given several times.",
        show_default=False,
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="COLUMN",
        help="Sort by a column; with a minus before its name: largest first.",
        show_default=False,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", metavar="N", min=0, help="Show N rows at most.", show_default=False
    ),
]

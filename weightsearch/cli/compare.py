"""``weightsearch compare``."""

from __future__ import annotations

from typing import Annotated

import typer

from weightsearch.cli._options import (
    AsCsv,
    AsJson,
    Columns,
    Limit,
    RunName,
    Sort,
    Split,
    StorePath,
)

EXAMPLES = (
    "weightsearch compare search.h5 3 12",
    "weightsearch compare search.h5 best 12 --align --sort -relative_distance",
)


def command(
    store: StorePath,
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="A candidate's number, or best.", show_default=False
        ),
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B", help="The other candidate's number.", show_default=False
        ),
    ],
    run: RunName = None,
    split: Split = None,
    align: Annotated[
        bool,
        typer.Option(
            "--align", help="Put the hidden units of B into the order of A's first."
        ),
    ] = False,
    columns: Columns = None,
    sort: Sort = None,
    limit: Limit = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Compare the weights of two candidates: distances, angles, signs.

    One row a weight. Numbers are missing where the shapes differ.
    """
    from weightsearch.cli._opening import candidate_number, open_run, tell_run
    from weightsearch.cli._output import choose_format, write_frame
    from weightsearch.cli._select import select, with_index
    from weightsearch.cli._text import note

    form = choose_format(as_json, as_csv)
    with open_run(store, run) as chosen:
        first, second = candidate_number(chosen, a), candidate_number(chosen, b)
        frame = with_index(chosen.compare(first, second, split=split, align=align))
        frame = select(frame, columns=columns, sort=sort, limit=limit)
        if form == "table":
            tell_run(chosen)
            for side, number in (("a", first), ("b", second)):
                note(f"{side}: candidate {number} {chosen.params(number)!r}")
        write_frame(frame, form)

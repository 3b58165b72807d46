"""``weightsearch query``."""

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
    StorePath,
)

EXAMPLES = (
    'weightsearch query search.h5 "mean_test_score > 0.95 and alpha < 0.01"',
    "weightsearch query search.h5 \"activation in ('relu', 'tanh') and rank <= 5\"",
    "weightsearch query search.h5 \"status == 'failed'\" --json",
)


def command(
    store: StorePath,
    expression: Annotated[
        str,
        typer.Argument(
            metavar="EXPR",
            help="Comparisons of columns, joined by and, or, not.",
            show_default=False,
        ),
    ],
    run: RunName = None,
    columns: Columns = None,
    sort: Sort = None,
    limit: Limit = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the candidates for which an expression holds, the best first.

    Params go by their own names, results by those of cv_results_; rank is the rank
    of the main score. Nothing in the expression is executed.
    """
    from weightsearch.cli._candidates import write_candidates
    from weightsearch.cli._opening import open_run
    from weightsearch.cli._output import choose_format

    form = choose_format(as_json, as_csv)
    with open_run(store, run) as chosen:
        found = chosen.query(expression)
        write_candidates(chosen, found, form, columns=columns, sort=sort, limit=limit)

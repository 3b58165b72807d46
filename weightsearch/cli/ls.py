"""``weightsearch ls``."""

from __future__ import annotations

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
    "weightsearch ls search.h5 --limit 10",
    "weightsearch ls search.h5 --columns 'candidate,alpha,split*' --sort -alpha",
    "weightsearch ls search.h5 --csv > candidates.csv",
)


def command(
    store: StorePath,
    run: RunName = None,
    columns: Columns = None,
    sort: Sort = None,
    limit: Limit = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the candidates of a run, the best first.

    A table has the params, mean scores and ranks; JSON and CSV have all columns.
    """
    from weightsearch.cli._candidates import write_candidates
    from weightsearch.cli._opening import open_run
    from weightsearch.cli._output import choose_format

    form = choose_format(as_json, as_csv)
    with open_run(store, run) as chosen:
        write_candidates(
            chosen, chosen.candidates, form, columns=columns, sort=sort, limit=limit
        )

"""``weightsearch stats``."""

from __future__ import annotations

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
    "weightsearch stats search.h5 --columns candidate,name,shape,l2,stable_rank",
    "weightsearch stats search.h5 --split 0 --csv > stats.csv",
)


def command(
    store: StorePath,
    run: RunName = None,
    split: Split = None,
    columns: Columns = None,
    sort: Sort = None,
    limit: Limit = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Describe every weight of every candidate by numbers: norms, ranks, zeros.

    One row a candidate and weight, with the candidate's params beside it. All weights
    of the run are read.
    """
    from weightsearch.cli._opening import open_run, tell_run
    from weightsearch.cli._output import choose_format, write_frame
    from weightsearch.cli._select import select

    form = choose_format(as_json, as_csv)
    with open_run(store, run) as chosen:
        names = {
            name for number in range(len(chosen)) for name in chosen.params(number)
        }
        exact = {*names, *(f"param_{name}" for name in names)}
        frame = chosen.stats(split)
        frame = select(frame, columns=columns, sort=sort, limit=limit)
        if form == "table":
            tell_run(chosen)
        write_frame(frame, form, exact)

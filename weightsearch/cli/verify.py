"""``weightsearch verify``."""

from __future__ import annotations

from weightsearch.cli._options import AsJson, StorePath

EXAMPLES = ("weightsearch verify search.h5 && cp search.h5 /backup",)


def command(store: StorePath, as_json: AsJson = False) -> None:
    """Check every checksum, shape and reference of a store and of its log.

    Exit status 1 if anything is wrong; each problem is listed with its place.
    """
    import pandas as pd
    import typer

    from weightsearch.cli._guard import PROBLEMS
    from weightsearch.cli._output import write_frame
    from weightsearch.cli._text import clean, note
    from weightsearch.store import verify

    problems = verify(store.expanduser())
    if as_json:
        rows = [(problem.place, problem.message) for problem in problems]
        write_frame(pd.DataFrame(rows, columns=["place", "message"]), "json")
    else:
        for problem in problems:
            print(clean(f"{problem.place}: {problem.message}"))
    if problems:
        count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
        note(f"{store}: {count}")
        raise typer.Exit(PROBLEMS)
    note(f"{store}: all is well")

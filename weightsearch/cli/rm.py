"""``weightsearch rm``."""

from __future__ import annotations

from typing import Annotated

import typer

from weightsearch.cli._options import StorePath

EXAMPLES = ("weightsearch rm search.h5 2026-05-04T09-30-00.000000Z",)

RunToRemove = Annotated[
    str,
    typer.Argument(metavar="RUN", help="The run's full name.", show_default=False),
]


def command(store: StorePath, run: RunToRemove) -> None:
    """Remove a run from a store.

    What other runs refer to is kept. The file is rewritten by itself when more than
    half of it is unused; repack does it at once.
    """
    from weightsearch.cli._text import clean
    from weightsearch.run import WeightStore

    with WeightStore(store) as opened:
        opened.delete(run)
    print(f"{clean(store)}: run {clean(run)} is removed")

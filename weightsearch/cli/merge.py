"""``weightsearch merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weightsearch.cli._options import StorePath

EXAMPLES = ("weightsearch merge search.h5 part-0.h5 part-1.h5 part-2.h5",)

Others = Annotated[
    list[Path],
    typer.Argument(metavar="OTHERS", help="Stores to add.", show_default=False),
]


def command(store: StorePath, others: Others) -> None:
    """Add the runs of other stores to one, each fit once.

    The store is made if it is not there; the others stay as they are.
    """
    from weightsearch.cli._text import clean
    from weightsearch.run import WeightStore

    count = WeightStore.merge(store, others)
    print(f"{clean(store)}: {count} run{'' if count == 1 else 's'} added")

"""``weightsearch export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weightsearch.cli._options import Candidate, RunName, Split, StorePath

EXAMPLES = (
    "weightsearch export search.h5 best best.npz",
    "weightsearch export search.h5 12 candidate12.npz --split 0",
)


def command(
    store: StorePath,
    candidate: Candidate,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="The file; its ending says the format: .npz, .safetensors, .pt, .pth "
            "or .weights.h5.",
            show_default=False,
        ),
    ],
    run: RunName = None,
    split: Split = None,
) -> None:
    """Write a candidate's weights into a file that other programs read."""
    from weightsearch.cli._guard import told_as_user_error
    from weightsearch.cli._opening import candidate_number, open_run
    from weightsearch.cli._text import clean

    with open_run(store, run) as chosen:
        number = candidate_number(chosen, candidate)
        # An ending that is not known, an array that the format does not have.
        with told_as_user_error(ImportError, ValueError):
            written = chosen.export(number, path, split=split)
    print(f"Wrote {clean(written)}")

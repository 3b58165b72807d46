"""What ls and query show: candidates, best first."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from weightsearch.cli._opening import tell_run
from weightsearch.cli._output import Format, write_frame
from weightsearch.cli._select import select, with_index
from weightsearch.cli._text import note
from weightsearch.run import Run
from weightsearch.run._candidates import best_first, brief_columns, main_column

__all__ = ["write_candidates"]


def write_candidates(
    run: Run,
    candidates: pd.DataFrame,
    form: Format,
    *,
    columns: Sequence[str] | None,
    sort: str | None,
    limit: int | None,
) -> None:
    """Write candidates of a run; a table has the columns that tell most."""
    frame = with_index(best_first(candidates, run.settings))
    rank = main_column("rank_test_", frame.columns, run.settings)
    brief = brief_columns(frame.columns) if form == "table" else None
    chosen = select(
        frame, columns=columns, sort=sort, limit=limit, default=brief, rank=rank
    )
    if form == "table":
        tell_run(run)
        if candidates.empty:
            note("No candidates.")
    measured = ("mean_", "std_", "split")
    exact = [name for name in chosen.columns if not name.startswith(measured)]
    write_frame(chosen, form, exact)

"""``weightsearch runs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightsearch.cli._options import AsCsv, AsJson, StorePath

if TYPE_CHECKING:
    from weightsearch.run import Run

EXAMPLES = ("weightsearch runs search.h5",)


def command(store: StorePath, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the runs of a store, oldest first.

    A run is what one call of fit has stored. One that is still going on, or was
    interrupted, comes last.
    """
    import pandas as pd

    from weightsearch.cli._output import choose_format, write_frame
    from weightsearch.run import WeightStore

    form = choose_format(as_json, as_csv)
    with WeightStore(store) as opened:
        rows = [_row(run) for run in opened.runs.values()]
    write_frame(pd.DataFrame(rows, columns=list(_row_names)), form)


_row_names = (
    "run",
    "status",
    "started",
    "search",
    "estimator",
    "candidates",
    "with_weights",
    "best",
    "best_score",
)


def _row(run: Run) -> dict[str, Any]:
    from weightsearch.run._candidates import main_column

    best = run.best_index
    name = main_column("mean_test_", run.candidates.columns, run.settings)
    score = None if best is None or name is None else run.candidates.at[best, name]
    values = (
        run.name,
        run.status,
        run.started,
        run.settings.get("search", ""),
        str(run.estimator.get("class", "")).rpartition(".")[2],
        len(run),
        run.n_with_weights,
        "" if best is None else best,
        "" if score is None else score,
    )
    return dict(zip(_row_names, values, strict=True))

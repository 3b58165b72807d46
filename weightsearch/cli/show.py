"""``weightsearch show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from weightsearch.cli._options import AsJson, Candidate, RunName, Split, StorePath

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightsearch._records import Array
    from weightsearch.run import Run, StoredWeights

EXAMPLES = (
    "weightsearch show search.h5 best",
    "weightsearch show search.h5 12 --split 0",
    "weightsearch show search.h5 12 --weight coefs_/0",
)


def command(
    store: StorePath,
    candidate: Candidate,
    run: RunName = None,
    split: Split = None,
    weight: Annotated[
        str | None,
        typer.Option(
            "--weight",
            metavar="NAME",
            help="Show the numbers of this weight; with --json all of them.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a candidate: params, results, and the names and shapes of its weights."""
    from weightsearch.cli._opening import candidate_number, open_run, tell_run
    from weightsearch.cli._text import note
    from weightsearch.exceptions import WeightsNotFoundError

    with open_run(store, run) as chosen:
        number = candidate_number(chosen, candidate)
        if weight is not None:
            _write_array(chosen.weights(number, split)[weight], as_json)
            return
        params = chosen.params(number)
        weights = None
        try:
            weights = chosen.weights(number, split)
        except WeightsNotFoundError as error:
            if split is not None:
                raise
            # What there is without a refit can be shown all the same.
            note(error)
        if as_json:
            _write_json(chosen, number, params, weights)
        else:
            tell_run(chosen)
            _write_tables(chosen, number, params, weights)


def _write_array(array: Array, as_json: bool) -> None:
    import json

    import numpy as np

    from weightsearch.cli._output import plain_value

    if as_json:
        print(json.dumps(plain_value(array), allow_nan=False))
    else:
        print(f"{array.dtype} of shape {array.shape}")
        print(np.array2string(array, threshold=1000, max_line_width=80))


def _write_json(
    run: Run, number: int, params: Mapping[str, Any], weights: StoredWeights | None
) -> None:
    import json

    import pandas as pd

    from weightsearch.cli._output import plain_value

    results = {
        name: value
        for name, value in _results(run, number).items()
        # Params of other candidates alone are missing here.
        if name not in params and value is not pd.NA
    }
    shown = {
        "run": run.name,
        "candidate": number,
        "params": params,
        "results": results,
        "weights": [] if weights is None else _rows(weights),
    }
    print(json.dumps(plain_value(shown), allow_nan=False, indent=1))


def _write_tables(
    run: Run, number: int, params: Mapping[str, Any], weights: StoredWeights | None
) -> None:
    import pandas as pd

    from weightsearch.cli._output import write_frame
    from weightsearch.run._candidates import cell_text, exact_text

    values = {"candidate": str(number)}
    for name, value in _results(run, number).items():
        values[name] = exact_text(value) if name in params else cell_text(value)
    write_frame(pd.DataFrame(values.items(), columns=["column", "value"]), "table")
    if weights is not None:
        print()
        write_frame(pd.DataFrame(_rows(weights)), "table")


def _results(run: Run, number: int) -> dict[str, Any]:
    return {name: column.iloc[number] for name, column in run.candidates.items()}


def _rows(weights: StoredWeights) -> list[dict[str, Any]]:
    dtypes = weights.dtypes
    return [
        {"name": name, "shape": shape, "dtype": dtypes[name]}
        for name, shape in weights.shapes.items()
    ]

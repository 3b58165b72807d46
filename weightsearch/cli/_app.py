"""The commands. Each imports what it needs, so that the help is shown at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from weightsearch.cli._errors import PROBLEMS, UserError, as_user_error, in_one_line
from weightsearch.cli._text import clean, note

if TYPE_CHECKING:
    import pandas as pd

    from weightsearch.cli._output import Format
    from weightsearch.run import Run, WeightStore

__all__ = ["app"]


class _Commands(TyperGroup):
    """Commands that end with a one-line message instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        with in_one_line():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    # Typer's own tracebacks show local variables, which may hold a store's content.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _command(*examples: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    # A paragraph each: other line ends are lost in the help.
    return app.command(epilog="\n\n".join(("Examples:", *examples)))


# -- arguments and options ------------------------------------------------------------

StorePath = Annotated[
    Path, typer.Argument(metavar="STORE", help="The store's file.", show_default=False)
]
Candidate = Annotated[
    str,
    typer.Argument(
        metavar="CANDIDATE",
        help="A candidate's number, or best.",
        show_default=False,
    ),
]
RunName = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="NAME",
        help="Run name or prefix (default: newest).",
        show_default=False,
    ),
]
Split = Annotated[
    int | None,
    typer.Option(
        "--split",
        metavar="N",
        help="Use the models of a cross-validation split (default: the refits).",
        show_default=False,
    ),
]
DataPath = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="The data of the search: .npz with the arrays X and y, .csv or .parquet.",
        show_default=False,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="The column, or array, that is the target (default: y).",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Write JSON: a list, one object per line.")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Write CSV.")]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="NAMES",
        help="Columns to show, in this order: names separated by commas, patterns "
        "such as 'split*', or all. May be repeated.",
        show_default=False,
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="COLUMN",
        help="Sort by a column; with a minus before its name, largest first.",
        show_default=False,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        metavar="N",
        min=0,
        help="Show at most N rows (default: 20 in a table, else all).",
        show_default=False,
    ),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        try:
            version = metadata.version("weightsearch")
        except metadata.PackageNotFoundError:
            version = "(not installed)"
        typer.echo(f"weightsearch {version}")
        raise typer.Exit


@app.callback(
    epilog="\n\n".join(
        (
            "Exit status: 0: success; 1: verify found problems; 2: invalid usage, or "
            "the command failed.",
            "Try: weightsearch demo",
        )
    )
)
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Query and compare the weights of every candidate of a grid search.

    All commands but recover, merge, rm, repack and demo only read, also while a search
    is writing.
    """


# -- commands that read ---------------------------------------------------------------


@_command(
    "weightsearch ls search.h5 --limit 10",
    "weightsearch ls search.h5 --columns 'candidate,alpha,split*' --sort -alpha",
    "weightsearch ls search.h5 --csv > candidates.csv",
)
def ls(
    store: StorePath,
    run: RunName = None,
    columns: Columns = None,
    sort: Sort = None,
    limit: Limit = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the candidates of a run, the best first.

    A table has 20 rows with the mean scores, ranks and params; JSON and CSV have all
    rows and columns. While a search runs, means are those of the splits so far.
    """
    from weightsearch.cli._output import choose_format

    form = choose_format(as_json, as_csv)
    with _open_run(store, run) as chosen:
        _write_candidates(
            chosen, chosen.candidates, form, columns=columns, sort=sort, limit=limit
        )


@_command("weightsearch watch search.h5", "weightsearch watch search.h5 --every 30")
def watch(
    store: StorePath,
    run: RunName = None,
    every: Annotated[
        float,
        typer.Option(
            "--every", metavar="S", min=0.1, help="Seconds between two looks."
        ),
    ] = 1.0,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="Show at most N rows.")
    ] = 10,
) -> None:
    """Follow a search while it runs: its best candidates and how far it is.

    Ends with the search. On a terminal updated in place; elsewhere one line whenever
    fits have finished.
    """
    from weightsearch.cli._watch import watch_run
    from weightsearch.run import WeightStore

    with WeightStore(store) as opened:
        watch_run(opened, _find_run(opened, run).name, every=every, limit=limit)


@_command("weightsearch runs search.h5")
def runs(store: StorePath, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the runs of a store, oldest first.

    A run is one call of fit. Runs that are still being fitted, or were interrupted,
    come last.
    """
    import pandas as pd

    from weightsearch.cli._output import choose_format, write_frame
    from weightsearch.run import WeightStore

    form = choose_format(as_json, as_csv)
    names = ["run", "status", "started", "search", "estimator", "candidates"]
    names += ["with_weights", "best", "best_score"]
    with WeightStore(store) as opened:
        rows = []
        for one in opened.runs.values():
            best = None if one.best_index is None else one.best
            rows.append(
                (
                    one.name,
                    one.status,
                    one.started,
                    one.settings.get("search", ""),
                    _class_name(one),
                    len(one),
                    one.n_with_weights,
                    "" if best is None else best.number,
                    "" if best is None or best.score is None else best.score,
                )
            )
    write_frame(pd.DataFrame(rows, columns=names), form)


@_command(
    "weightsearch show search.h5 best",
    "weightsearch show search.h5 12 --split 0",
    "weightsearch show search.h5 12 --weight coefs_/0",
)
def show(
    store: StorePath,
    candidate: Candidate,
    run: RunName = None,
    split: Split = None,
    weight: Annotated[
        str | None,
        typer.Option(
            "--weight",
            metavar="NAME",
            help="Show the values of this weight; with --json all of them.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a candidate: params, results, and the names and shapes of its weights."""
    from weightsearch.cli._output import (
        write_array,
        write_candidate,
        write_candidate_json,
    )
    from weightsearch.exceptions import WeightsNotFoundError

    with _open_run(store, run) as chosen:
        number = _candidate_number(chosen, candidate)
        if weight is not None:
            write_array(chosen.weights(number, split)[weight], as_json)
            return
        weights = None
        try:
            weights = chosen.weights(number, split)
        except WeightsNotFoundError as error:
            if split is not None:
                raise
            # Everything else of the candidate can still be shown.
            note(error)
        if as_json:
            write_candidate_json(chosen, number, weights)
        else:
            _note_run(chosen)
            write_candidate(chosen, number, weights)


@_command(
    'weightsearch query search.h5 "mean_test_score > 0.95 and alpha < 0.01"',
    "weightsearch query search.h5 \"activation in ('relu', 'tanh') and rank <= 5\"",
    "weightsearch query search.h5 \"status == 'failed'\" --json",
)
def query(
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

    Params have their own names, results those of cv_results_; rank is the rank of the
    main score. Nothing in the expression is executed.
    """
    from weightsearch.cli._output import choose_format

    form = choose_format(as_json, as_csv)
    with _open_run(store, run) as chosen:
        found = chosen.query(expression)
        _write_candidates(chosen, found, form, columns=columns, sort=sort, limit=limit)


@_command(
    "weightsearch choose search.h5 one-standard-error --simplest alpha",
    "weightsearch choose search.h5 within-percent --percent 2 --simplest n_weights",
    "weightsearch choose search.h5 pareto --simplest mean_fit_time --json",
)
def choose(
    store: StorePath,
    rule: Annotated[
        str,
        typer.Argument(
            metavar="RULE",
            help="one-standard-error, within-percent, not-worse or pareto.",
            show_default=False,
        ),
    ],
    simplest: Annotated[
        list[str] | None,
        typer.Option(
            "--simplest",
            metavar="NAMES",
            help="What makes a candidate simple: params or columns, separated by "
            "commas; small values are simple, or with a minus large ones "
            "(default: mean_fit_time).",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help="The metric that decides, where the search has several.",
            show_default=False,
        ),
    ] = None,
    percent: Annotated[
        float,
        typer.Option(
            "--percent",
            metavar="X",
            help="How much of the best score may be lost (within-percent).",
        ),
    ] = 1.0,
    level: Annotated[
        float,
        typer.Option(
            "--level", metavar="X", help="Level of the one-sided test (not-worse)."
        ),
    ] = 0.05,
    run: RunName = None,
    columns: Columns = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Choose the simplest candidate that is nearly as good as the best.

    Shows the chosen candidate, and below it the one of the best mean score. pareto
    chooses the best compromise of the score and of what --simplest names.
    """
    import numpy as np

    from weightsearch.cli._output import choose_format, select, with_index, write_frame
    from weightsearch.evaluate._assessing import main_metric, mean_scores
    from weightsearch.run._candidates import brief_columns

    form = choose_format(as_json, as_csv)
    names = [name for text in simplest or () for name in text.split(",") if name]
    with _open_run(store, run) as chosen:
        used = main_metric(chosen, metric)
        picked = _rule(chosen, rule, names or ["mean_fit_time"], used, percent, level)
        with as_user_error(ValueError):
            number = chosen.choose(picked)
        # There is one, or the rule would have found none.
        best = int(np.nanargmax(mean_scores(chosen, used)))
        frame = with_index(chosen.candidates.loc[[number, best]])
        frame = frame.rename(columns={"choice": "param_choice"})
        frame.insert(0, "choice", ["chosen", "best mean"])
        brief = brief_columns(frame.columns) if form == "table" else None
        shown = select(frame, columns=columns, sort=None, limit=None, default=brief)
        if form == "table":
            _note_run(chosen)
            note(f"Rule: {picked!r}")
        measured = ("mean_", "std_", "split")
        exact = [name for name in shown.columns if not name.startswith(measured)]
        write_frame(shown, form, exact)


@_command(
    "weightsearch rescore search.h5 data.npz --scoring f1_macro,neg_log_loss",
    "weightsearch rescore search.h5 data.csv --target y --pooled --csv",
)
def rescore(
    store: StorePath,
    data: DataPath,
    target: Target = None,
    scoring: Annotated[
        list[str] | None,
        typer.Option(
            "--scoring",
            metavar="NAMES",
            help="Names of metrics, separated by commas (default: the estimator's own "
            "score).",
            show_default=False,
        ),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            "--groups",
            metavar="NAME",
            help="Score each group of rows by itself: a column of the table.",
            show_default=False,
        ),
    ] = None,
    pooled: Annotated[
        bool,
        typer.Option("--pooled", help="Score all out-of-fold answers at once, too."),
    ] = False,
    run: RunName = None,
    columns: Columns = None,
    sort: Sort = None,
    limit: Limit = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Score a finished search by other metrics, from the models of its splits.

    Nothing is fitted. A table has the params, means and ranks, the best candidates
    first; JSON and CSV have the scores of each split too.
    """
    from weightsearch.cli._data import read_data
    from weightsearch.cli._output import choose_format, select, write_frame

    form = choose_format(as_json, as_csv)
    names = [name.strip() for text in scoring or () for name in text.split(",")]
    names = list(dict.fromkeys(filter(None, names)))
    with _open_run(store, run) as chosen:
        X, y = read_data(data, chosen, target)
        with as_user_error(ValueError):
            frame = chosen.rescore(
                X,
                y,
                names if len(names) > 1 else next(iter(names), None),
                groups=_column_of(data, X, groups),
                pooled=pooled,
            )
        first = f"rank_test_{names[0] if len(names) > 1 else 'score'}"
        levels = [str(name) for name in frame.index.names]
        clash = {name: f"param_{name}" for name in levels}
        frame = frame.rename(columns=clash).reset_index()
        frame = frame.sort_values([*levels[1:], first], kind="stable")
        measured = ("mean_", "std_", "split", "rank_", "pooled_")
        brief = None
        if form == "table":
            _note_run(chosen)
            brief = [
                name for name in frame.columns if not name.startswith(("std_", "split"))
            ]
        shown = select(
            frame, columns=columns, sort=sort, limit=limit, default=brief, rank=first
        )
        exact = [name for name in shown.columns if not name.startswith(measured)]
        write_frame(shown, form, exact, brief=limit is None)


@_command(
    "weightsearch ensemble search.h5 data.npz --size 20",
    "weightsearch ensemble search.h5 data.csv --target y --scoring neg_log_loss --csv",
)
def ensemble(
    store: StorePath,
    data: DataPath,
    target: Target = None,
    size: Annotated[
        int, typer.Option("--size", metavar="N", min=1, help="Largest number of votes.")
    ] = 50,
    scoring: Annotated[
        str | None,
        typer.Option(
            "--scoring",
            metavar="NAME",
            help="Maximize this metric (default: that of the search).",
            show_default=False,
        ),
    ] = None,
    run: RunName = None,
    columns: Columns = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Select an ensemble greedily on the out-of-fold predictions of split models.

    Shows its members and their votes. In Python, run.ensemble(X, y) makes it a fitted
    estimator.
    """
    from weightsearch.cli._data import read_data
    from weightsearch.cli._output import choose_format, select, with_index, write_frame
    from weightsearch.run._candidates import brief_columns

    form = choose_format(as_json, as_csv)
    with _open_run(store, run) as chosen:
        X, y = read_data(data, chosen, target)
        with as_user_error(ValueError):
            selection = chosen.select_ensemble(X, y, size=size, scoring=scoring)
        frame = with_index(chosen.candidates.loc[selection.candidates])
        frame = frame.rename(columns={"votes": "param_votes"})
        frame.insert(1, "votes", selection.votes)
        brief = None
        if form == "table":
            _note_run(chosen)
            note(
                f"Score of {_counted(int(selection.votes.sum()), 'vote')}: "
                f"{selection.score:.6g}, of the best candidate alone: "
                f"{selection.scores[0]:.6g} (out of fold)"
            )
            brief = brief_columns(frame.columns)
        shown = select(frame, columns=columns, sort=None, limit=None, default=brief)
        measured = ("mean_", "std_", "split")
        exact = [name for name in shown.columns if not name.startswith(measured)]
        write_frame(shown, form, exact)


@_command(
    "weightsearch compare search.h5 3 12",
    "weightsearch compare search.h5 best 12 --align --sort -relative_distance",
)
def compare(
    store: StorePath,
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="A candidate's number, or best.", show_default=False
        ),
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B", help="The other candidate's number.", show_default=False
        ),
    ],
    run: RunName = None,
    split: Split = None,
    align: Annotated[
        bool,
        typer.Option("--align", help="Match the hidden units of B to those of A."),
    ] = False,
    columns: Columns = None,
    sort: Sort = None,
    limit: Limit = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Compare the weights of two candidates: distances, angles, signs.

    One row per weight; JSON and CSV have all columns. Numbers are missing where the
    shapes differ.
    """
    from weightsearch.cli._output import choose_format, select, with_index, write_frame

    form = choose_format(as_json, as_csv)
    with _open_run(store, run) as chosen:
        first, second = _candidate_number(chosen, a), _candidate_number(chosen, b)
        frame = with_index(chosen.compare(first, second, split=split, align=align))
        brief = None
        if form == "table":
            brief = ["name", "relative_distance", "cosine", "l2_distance", "shape_a"]
        frame = select(frame, columns=columns, sort=sort, limit=limit, default=brief)
        if form == "table":
            _note_run(chosen)
            for side, number in (("a", first), ("b", second)):
                note(f"{side}: candidate {number} {chosen.params(number)!r}")
        write_frame(frame, form)


@_command(
    "weightsearch stats search.h5 --columns candidate,name,shape,l2,stable_rank",
    "weightsearch stats search.h5 --split 0 --csv > stats.csv",
)
def stats(
    store: StorePath,
    run: RunName = None,
    split: Split = None,
    columns: Columns = None,
    sort: Sort = None,
    limit: Limit = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show statistics of every weight of every candidate: norms, ranks, zeros.

    One row per candidate and weight, with the candidate's params. Reads all weights of
    the run.
    """
    from weightsearch.cli._output import choose_format, select, write_frame

    form = choose_format(as_json, as_csv)
    with _open_run(store, run) as chosen:
        names = {
            name for number in range(len(chosen)) for name in chosen.params(number)
        }
        exact = {*names, *(f"param_{name}" for name in names)}
        frame = chosen.stats(split)
        frame = select(frame, columns=columns, sort=sort, limit=limit)
        if form == "table":
            _note_run(chosen)
        write_frame(frame, form, exact, brief=limit is None)


@_command(
    "weightsearch export search.h5 best best.npz",
    "weightsearch export search.h5 12 candidate12.npz --split 0",
)
def export(
    store: StorePath,
    candidate: Candidate,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="The file; its suffix is the format: .npz, .safetensors, .pt, .pth "
            "or .weights.h5.",
            show_default=False,
        ),
    ],
    run: RunName = None,
    split: Split = None,
) -> None:
    """Write a candidate's weights into a file that other programs read."""
    with _open_run(store, run) as chosen:
        number = _candidate_number(chosen, candidate)
        # An unknown suffix, an array that the format does not have.
        with as_user_error(ImportError, ValueError):
            written = chosen.export(number, path, split=split)
    print(f"Wrote {clean(written)}")


@_command("weightsearch report search.h5 report.html --title 'Digits, week 12'")
def report(
    store: StorePath,
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="PATH",
            help="The new page; by default named as the store, here.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PATH", help="The same.", show_default=False
        ),
    ] = None,
    run: RunName = None,
    title: Annotated[
        str | None,
        typer.Option(
            "--title", metavar="TEXT", help="The page's title.", show_default=False
        ),
    ] = None,
) -> None:
    """Write an HTML report on a run: one file, which works offline."""
    if path is not None and output is not None:
        raise typer.BadParameter(f"give {path} or --output {output}, not both")
    target = path or output or Path(f"{store.stem}.html")
    with _open_run(store, run) as chosen:
        written = chosen.report(target, title=title)
    print(f"Wrote {clean(written)}")


@_command("weightsearch verify search.h5 && cp search.h5 /backup")
def verify(store: StorePath, as_json: AsJson = False) -> None:
    """Check every checksum, shape and reference of a store and of its log.

    Exit status 1 if anything is wrong; lists each problem with its place.
    """
    import pandas as pd

    import weightsearch.store
    from weightsearch.cli._output import write_frame
    from weightsearch.run import WeightStore

    problems = weightsearch.store.verify(store.expanduser())
    if as_json:
        rows = [(problem.place, problem.message) for problem in problems]
        write_frame(pd.DataFrame(rows, columns=["place", "message"]), "json")
    else:
        for problem in problems:
            print(clean(f"{problem.place}: {problem.message}"))
    if problems:
        note(f"{store}: {_counted(len(problems), 'problem')}")
        raise typer.Exit(PROBLEMS)
    with WeightStore(store) as opened:
        found = list(opened.runs.values())
        candidates = _counted(sum(map(len, found)), "candidate")
        note(f"{store}: OK: {_counted(len(found), 'run')}, {candidates}")


# -- commands that write --------------------------------------------------------------


@_command("weightsearch recover search.h5")
def recover(store: StorePath) -> None:
    """Move what a crashed search has left in the log into the store.

    Only needed to have a single file: reading uses both files, and the next fit
    recovers the log by itself.
    """
    from weightsearch.exceptions import StoreError
    from weightsearch.run import WeightStore

    path = store.expanduser()
    if WeightStore.recover(path):
        print(f"{clean(path)}: the log was moved into the store")
    elif path.exists():
        print(f"{clean(path)}: there was nothing to recover")
    else:
        raise StoreError(f"There is no store at {path}.", str(path))


@_command("weightsearch merge search.h5 part-0.h5 part-1.h5 part-2.h5")
def merge(
    store: StorePath,
    others: Annotated[
        list[Path],
        typer.Argument(metavar="OTHERS", help="Stores to add.", show_default=False),
    ],
) -> None:
    """Add the runs of other stores to one, each fit once.

    The store is created if needed; the others are not changed.
    """
    from weightsearch.run import WeightStore

    print(f"{clean(store)}: {_counted(WeightStore.merge(store, others), 'run')} added")


@_command("weightsearch rm search.h5 2026-05-04T09-30-00.000000Z")
def rm(
    store: StorePath,
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="The run's full name.", show_default=False),
    ],
) -> None:
    """Remove a run from a store.

    What other runs refer to is kept. The file is rewritten when more than half of it
    is unused; repack does so at once.
    """
    from weightsearch.run import WeightStore

    with WeightStore(store) as opened:
        opened.delete(run)
    print(f"{clean(store)}: removed run {clean(run)}")


@_command("weightsearch repack search.h5")
def repack(store: StorePath) -> None:
    """Rewrite a store's file without the space of removed runs."""
    from weightsearch.exceptions import StoreError
    from weightsearch.run import WeightStore

    path = store.expanduser()
    if not path.exists():
        raise StoreError(f"There is no store at {path}.", str(path))
    before = path.stat().st_size
    WeightStore.repack(path)
    after = path.stat().st_size
    print(f"{clean(path)}: {before} bytes before, {after} bytes now")


@_command("weightsearch demo", "weightsearch demo ~/try-weightsearch")
def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="Folder of the store, created if needed (default: a temporary one).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run a small search on real data, and show what can be done with its store.

    Neural networks of scikit-learn on its handwritten digits; takes some seconds.
    """
    from weightsearch.cli._demo import closing_words, new_store, run_search, samples
    from weightsearch.run._candidates import best_first

    path = new_store(folder)
    print(
        "A grid of 6 neural networks on scikit-learn's handwritten digits", flush=True
    )
    found = run_search(*samples(path)).run_
    # Two networks with layers of the same size, to be compared.
    first, *others = best_first(found.candidates, found.settings).index
    sizes = found.candidates["hidden_layer_sizes"]
    second = next(n for n in others if sizes[n] == sizes[first])
    condition = "mean_test_score > 0.95 and alpha < 0.01"
    steps: list[tuple[str, Callable[[], None]]] = [
        ("ls STORE", lambda: ls(path)),
        (f'query STORE "{condition}"', lambda: query(path, condition)),
        ("show STORE best", lambda: show(path, "best")),
        (
            f"compare STORE {first} {second} --align",
            lambda: compare(path, str(first), str(second), align=True),
        ),
    ]
    for words, step in steps:
        print(f"\n$ weightsearch {words.replace('STORE', clean(path))}", flush=True)
        step()
    print(closing_words(path))


# -- what commands share --------------------------------------------------------------


@contextmanager
def _open_run(path: Path, name: str | None) -> Iterator[Run]:
    """Open a store and choose a run, by its name or by a unique prefix of it."""
    from weightsearch.run import WeightStore

    with WeightStore(path) as store:
        yield _find_run(store, name)


def _find_run(store: WeightStore, name: str | None) -> Run:
    if name is None:
        return store.run()
    known = store.runs
    found = [one for one in known if one.startswith(name)]
    if name not in known and len(found) > 1:
        raise UserError(
            f"{len(found)} runs have a name that begins with {name!r}: "
            f"{', '.join(found[:4])}{', ...' if len(found) > 4 else ''}"
        )
    return store.run(found[0] if name not in known and found else name)


def _class_name(run: Run) -> str:
    return str(run.estimator.get("class", "")).rpartition(".")[2]


def _note_run(run: Run) -> None:
    """Name the run on stderr, one that has not ended with its fits."""
    ended = run.status == "complete"
    counted = _counted(len(run), "candidate") if ended else run._fits_text()
    note(f"Run {run.name} ({run.status}): {_class_name(run)}, {counted}")


def _candidate_number(run: Run, text: str) -> int:
    if text.isdecimal() and len(text) < 19 and int(text) < len(run):
        return int(text)
    numbers = f"0 to {len(run) - 1}"
    if text != "best":
        raise UserError(
            f"Candidate {text!r} not found: give its number ({numbers}), or best."
        )
    if run.best_index is None:
        raise UserError(
            f"Run {run.name} has no best candidate: its status is {run.status!r} and "
            f"refit was {run.settings.get('refit')!r}. Give a number ({numbers})."
        )
    return run.best_index


def _column_of(path: Path, X: Any, name: str | None) -> Any:
    """Return a column of the data, also where the search was fitted on an array."""
    if name is None or name in getattr(X, "columns", ()):
        return name
    from weightsearch.cli._data import read_column

    return read_column(path, name)


def _rule(
    run: Run, name: str, simplest: list[str], metric: str, percent: float, level: float
) -> Any:
    """Make a rule of the command's words."""
    from weightsearch.choose import (
        NotSignificantlyWorse,
        OneStandardError,
        ParetoKnee,
        WithinPercent,
    )

    if name == "one-standard-error":
        return OneStandardError(simplest, metric)
    if name == "within-percent":
        return WithinPercent(percent, simplest, metric)
    if name == "pareto":
        return ParetoKnee(metric, *simplest)
    if name == "not-worse":
        with as_user_error(ValueError):
            train, test = run.splits()[0]
        share = len(test) / (len(train) + len(test))
        return NotSignificantlyWorse(share, level, simplest, metric)
    from weightsearch._display import did_you_mean

    rules = ("one-standard-error", "within-percent", "not-worse", "pareto")
    hint = did_you_mean(name, rules) or f"Choose one of {', '.join(rules)}."
    raise UserError(f"There is no rule {name!r}. {hint}")


def _write_candidates(
    run: Run,
    candidates: pd.DataFrame,
    form: Format,
    *,
    columns: Sequence[str] | None,
    sort: str | None,
    limit: int | None,
) -> None:
    from weightsearch.cli._output import select, with_index, write_frame
    from weightsearch.run._candidates import best_first, brief_columns, main_column

    frame = with_index(best_first(candidates, run.settings))
    rank = main_column("rank_test_", frame.columns, run.settings)
    brief = brief_columns(frame.columns) if form == "table" else None
    chosen = select(
        frame, columns=columns, sort=sort, limit=limit, default=brief, rank=rank
    )
    if form == "table":
        _note_run(run)
        if candidates.empty:
            note("No candidates.")
    measured = ("mean_", "std_", "split")
    exact = [name for name in chosen.columns if not name.startswith(measured)]
    write_frame(chosen, form, exact, brief=limit is None)


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"

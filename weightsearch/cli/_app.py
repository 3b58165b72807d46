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
    from weightsearch.run import Run

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
        "--limit", metavar="N", min=0, help="Show at most N rows.", show_default=False
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

    A table has the params, mean scores and ranks; JSON and CSV have all columns.
    """
    from weightsearch.cli._output import choose_format

    form = choose_format(as_json, as_csv)
    with _open_run(store, run) as chosen:
        _write_candidates(
            chosen, chosen.candidates, form, columns=columns, sort=sort, limit=limit
        )


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

    One row per weight. Numbers are missing where the shapes differ.
    """
    from weightsearch.cli._output import choose_format, select, with_index, write_frame

    form = choose_format(as_json, as_csv)
    with _open_run(store, run) as chosen:
        first, second = _candidate_number(chosen, a), _candidate_number(chosen, b)
        frame = with_index(chosen.compare(first, second, split=split, align=align))
        frame = select(frame, columns=columns, sort=sort, limit=limit)
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
        write_frame(frame, form, exact)


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
        Path, typer.Argument(metavar="PATH", help="The new page.", show_default=False)
    ],
    run: RunName = None,
    title: Annotated[
        str | None,
        typer.Option(
            "--title", metavar="TEXT", help="The page's title.", show_default=False
        ),
    ] = None,
) -> None:
    """Write an HTML report on a run: one file, which works offline."""
    with _open_run(store, run) as chosen, as_user_error(ImportError):
        written = chosen.report(path, title=title)
    print(f"Wrote {clean(written)}")


@_command("weightsearch verify search.h5 && cp search.h5 /backup")
def verify(store: StorePath, as_json: AsJson = False) -> None:
    """Check every checksum, shape and reference of a store and of its log.

    Exit status 1 if anything is wrong; lists each problem with its place.
    """
    import pandas as pd

    import weightsearch.store
    from weightsearch.cli._output import write_frame

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
    note(f"{store}: OK")


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
        if name is None:
            yield store.run()
            return
        known = store.runs
        found = [one for one in known if one.startswith(name)]
        if name not in known and len(found) > 1:
            raise UserError(
                f"{len(found)} runs have a name that begins with {name!r}: "
                f"{', '.join(found[:4])}{', ...' if len(found) > 4 else ''}"
            )
        yield store.run(found[0] if name not in known and found else name)


def _class_name(run: Run) -> str:
    return str(run.estimator.get("class", "")).rpartition(".")[2]


def _note_run(run: Run) -> None:
    """Name the run on stderr."""
    note(f"Run {run.name} ({run.status}): {_class_name(run)}, {len(run)} candidates")


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
    write_frame(chosen, form, exact)


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"

"""``weightsearch demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from weightsearch.search._tracked import TrackedSearch

__all__ = ["closing_words", "command", "run_search"]

EXAMPLES = ("weightsearch demo", "weightsearch demo ~/try-weightsearch")

_QUERY = "mean_test_score > 0.95 and alpha < 0.01"


def command(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="Where the store goes, made if it is not there. "
            "Without it: a new temporary folder.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run a small search on real data, and show what its store can be asked.

    Neural networks of scikit-learn on its handwritten digits: some seconds.
    """
    from weightsearch.cli import compare, ls, query, show
    from weightsearch.cli._text import clean
    from weightsearch.run._candidates import best_first

    path = _new_store(folder)
    print(
        "A grid of 6 neural networks on scikit-learn's handwritten digits", flush=True
    )
    search = run_search(*_digits_search(path))
    run = search.run_
    ranked = best_first(run.candidates, run.settings).index
    # The networks that are compared have layers of the same size.
    first, *others = ranked
    sizes = run.candidates["hidden_layer_sizes"]
    second = next(n for n in others if sizes[n] == sizes[first])
    commands: list[tuple[str, Callable[[], None]]] = [
        ("ls STORE", lambda: ls.command(path)),
        (f'query STORE "{_QUERY}"', lambda: query.command(path, _QUERY)),
        ("show STORE best", lambda: show.command(path, "best")),
        (
            f"compare STORE {first} {second} --align",
            lambda: compare.command(path, str(first), str(second), align=True),
        ),
    ]
    for shown, run_command in commands:
        print(f"\n$ weightsearch {shown.replace('STORE', clean(path))}", flush=True)
        run_command()
    print(closing_words(path))


def _new_store(folder: Path | None) -> Path:
    import tempfile

    from weightsearch.cli._guard import UserError

    if folder is None:
        return Path(tempfile.mkdtemp(prefix="weightsearch-demo-")) / "demo.h5"
    folder = folder.expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "demo.h5"
    if path.exists():
        raise UserError(f"{path} is there already; name another folder.")
    return path


def _digits_search(path: Path) -> tuple[TrackedSearch, Any, Any]:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold
    from sklearn.neural_network import MLPClassifier

    from weightsearch.search import WeightTrackingGridSearchCV

    X, y = load_digits(return_X_y=True)
    search = WeightTrackingGridSearchCV(
        MLPClassifier(max_iter=100, learning_rate_init=0.005, random_state=0),
        {"alpha": [0.0001, 0.01, 1.0], "hidden_layer_sizes": [(16,), (32,)]},
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        store=path,
    )
    return search, X / 16, y


def run_search(search: TrackedSearch, X: Any, y: Any) -> TrackedSearch:
    """Fit a search, showing how far it is and how long it took."""
    import time
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    try:
        from sklearn.callback import ProgressBar
    except ImportError:
        # Before scikit-learn 1.9.
        search.verbose = 1
    else:
        search.set_callbacks(ProgressBar(max_propagation_depth=0))
    begin = time.perf_counter()
    with warnings.catch_warnings():
        # That few iterations are enough here is seen by the scores.
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(X, y)
    print(
        f"{len(search.cv_results_['params'])} candidates in "
        f"{time.perf_counter() - begin:.1f} s, best accuracy {search.best_score_:.3f}",
        flush=True,
    )
    return search


def closing_words(path: Path) -> str:
    """Return what can be done with a demo's store next."""
    return f"""
The store: {path.stat().st_size / 1e6:.2f} MB. Open it again, in Python:

    from weightsearch import WeightStore
    store = WeightStore({str(path)!r})
    store.runs                          # all runs, oldest first
    run = store.run()                   # the newest
    run.candidates                      # a table of params and scores
    run.weights(0)                      # name -> ndarray, read when asked for

or with any HDF5 viewer: all weights are in /runs/*/architectures."""

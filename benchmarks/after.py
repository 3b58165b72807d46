"""What questions to a finished search cost, beside fitting its models again.

python benchmarks/after.py [--candidates N] [--write]

Searches networks on the digits, keeps the models of the splits, and asks each tool of
docs/after_the_search.md once; then does the same as one would without a store.
Processor time of one process with one thread. Takes some three minutes, nearly all of
it for fits. With --write the table in docs/after_the_search.md is replaced.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _harness import put_into_page
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import WeightTrackingGridSearchCV
from weightsearch.choose import OneStandardError

PAGE = Path(__file__).resolve().parents[1] / "docs" / "after_the_search.md"
BEGIN, END = "<!-- costs: begin -->", "<!-- costs: end -->"
CV = StratifiedKFold(5, shuffle=True, random_state=0)
NETWORK = MLPClassifier((32,), max_iter=10, random_state=0)
SAMPLE = 10
"""Candidates whose cross_val_predict is measured; the others are like them."""


def seconds(what: Callable[[], Any]) -> float:
    """Processor time of a call."""
    start = time.process_time()
    what()
    return time.process_time() - start


def main() -> int:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="replace the page's table")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    X, y = load_digits(return_X_y=True)
    X = X / 16
    with tempfile.TemporaryDirectory() as folder:
        rows, n_weights = costs(X, y, options.candidates, Path(folder))
        speeds = [
            (name, *asked_per_second(model, X, y, n, Path(folder)))
            for name, model, n in (
                ("network of 32 units", NETWORK, 20),
                ("forest of 100 trees", RandomForestClassifier(random_state=0), 4),
                (
                    "pipeline: scaler, logistic regression",
                    make_pipeline(StandardScaler(), LogisticRegression(max_iter=20)),
                    20,
                ),
            )
        ]
    table = _table(rows, speeds, options.candidates, n_weights)
    print(table)
    if options.write:
        put_into_page(PAGE, table, BEGIN, END)
    return 0


def costs(
    X: Any, y: Any, count: int, folder: Path
) -> tuple[list[tuple[str, float, float]], int]:
    """Seconds of each tool, and of fitting again; the best network's weights."""
    grid = {"alpha": np.logspace(-5, 1, count // 4), "batch_size": [50, 100, 150, 200]}

    def search(**settings: Any) -> Any:
        settings = {"cv": CV, "store": folder / "store.h5", **settings}
        return WeightTrackingGridSearchCV(NETWORK, grid, capture="both", **settings)

    first = search().fit(X, y)
    run, params = first.run_, first.cv_results_["params"]
    rule = OneStandardError("-alpha")
    again = seconds(
        lambda: GridSearchCV(NETWORK, grid, cv=CV, scoring="neg_log_loss").fit(X, y)
    )
    models = [clone(NETWORK).set_params(**params[n]) for n in range(SAMPLE)]
    predicted = (len(params) / SAMPLE) * seconds(
        lambda: [
            cross_val_predict(model, X, y, cv=CV, method="predict_proba")
            for model in models
        ]
    )
    best = first.best_estimator_

    def importance_by_fits() -> None:
        for train, test in CV.split(X, y):
            model = clone(best).fit(X[train], y[train])
            permutation_importance(model, X[test], y[test], random_state=0)

    rows = [
        (
            "`fit` with another `scoring`",
            seconds(lambda: search(scoring="neg_log_loss").fit(X, y)),
            again,
        ),
        (
            "`predictions` of all",
            seconds(lambda: run.predictions(X, y, "predict_proba")),
            predicted,
        ),
        (
            "`rescore` by log loss",
            seconds(lambda: run.rescore(X, y, "neg_log_loss")),
            again,
        ),
        (
            "`bias_corrected_score`",
            seconds(lambda: run.bias_corrected_score(X, y, random_state=0)),
            # Nested: a search on each of five training sets of four fifths.
            5 * 0.8 * again,
        ),
        ("`choose`", seconds(lambda: run.choose(rule)), again),
        ("`ensemble`", seconds(lambda: run.ensemble(X, y)), predicted),
        (
            "`calibrate` the best",
            seconds(lambda: run.calibrate(X, y)),
            seconds(lambda: CalibratedClassifierCV(clone(best), cv=CV).fit(X, y)),
        ),
        (
            "`permutation_importance` of the best",
            seconds(lambda: run.permutation_importance(X, y, random_state=0)),
            seconds(importance_by_fits),
        ),
        ("`agreement`", seconds(lambda: run.agreement(X, y)), predicted),
    ]
    return rows, sum(array.size for array in run.best_weights().values())


def asked_per_second(
    model: Any, X: Any, y: Any, count: int, folder: Path
) -> tuple[float, float]:
    """Models asked per second by ``run.predictions``, and by predicting alone."""
    param = next(name for name in model.get_params() if name.endswith("random_state"))
    search = WeightTrackingGridSearchCV(
        model,
        {param: list(range(count))},
        cv=CV,
        capture="splits",
        refit=False,
        store=folder / f"{type(model).__name__}.h5",
    ).fit(X, y)
    run = search.run_
    run.predictions(X, y)
    asked = min(seconds(lambda: run.predictions(X, y)) for _ in range(3))
    held = [
        (run.load_estimator(number, split=split), test)
        for number in range(count)
        for split, (_, test) in enumerate(run.splits())
    ]
    alone = min(
        seconds(lambda: [one.predict_proba(X[test]) for one, test in held])
        for _ in range(3)
    )
    return len(held) / asked, len(held) / alone


def _table(
    rows: list[tuple[str, float, float]],
    speeds: list[tuple[str, float, float]],
    count: int,
    n_weights: int,
) -> str:
    lines = ["| Question | From the store | By fitting | |", "|---|---:|---:|---:|"]
    for name, ours, theirs in rows:
        lines.append(
            f"| {name} | {ours:.2g} s | {theirs:.3g} s | {theirs / ours:.0f}x |"
        )
    lines += [
        "",
        f"Processor seconds for {count} networks of {n_weights:,} weights, 5 splits, "
        "digits. By fitting: a new\nsearch; `cross_val_predict` of all candidates "
        f"({SAMPLE} measured); for the corrected score nested\ncross-validation "
        "(computed: five searches on four fifths of the rows); else scikit-learn's\n"
        "own tool.",
        "",
        "| Models | Asked per second by `run.predictions` | In memory already |",
        "|---|---:|---:|",
    ]
    for name, ours, alone in speeds:
        lines.append(f"| {name} | {ours:,.0f} | {alone:,.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

"""How optimistic `best_score_` is, and how far two corrections are from the truth.

python benchmarks/optimism.py [--sets N] [--write]

Draws small sets of rows from larger ones, searches 84 trees on each, and compares four
numbers with the accuracy of the picked tree on all rows that were not drawn. Takes some
two minutes, most of it for nested cross-validation. With --write the table in
docs/after_the_search.md is replaced.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _harness import put_into_page
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.tree import DecisionTreeClassifier

from weightsearch import WeightTrackingGridSearchCV

PAGE = Path(__file__).resolve().parents[1] / "docs" / "after_the_search.md"
BEGIN, END = "<!-- optimism: begin -->", "<!-- optimism: end -->"
N_ROWS = 100
GRID = {
    "max_depth": [1, 2, 3, 4, 5, 7, None],
    "min_samples_leaf": [1, 3, 5, 10],
    "max_features": [None, "sqrt", 2],
}
Data = tuple[np.ndarray, np.ndarray]


def sets(count: int) -> Iterator[tuple[Data, Data]]:
    """Pairs of 100 rows and the other rows: of real data and of made ones, noisy."""
    digits, numbers = load_digits(return_X_y=True)
    real = [load_breast_cancer(return_X_y=True), (digits, numbers % 2)]
    for number in range(count):
        if number % 11 < len(real):
            X, y = real[number % 11]
        else:
            X, y = make_classification(
                5000,
                20,
                n_informative=3,
                n_redundant=2,
                flip_y=0.1 + 0.05 * (number % 9),
                class_sep=0.5,
                random_state=number,
            )
        X, X_rest, y, y_rest = train_test_split(
            X, y, train_size=N_ROWS, stratify=y, random_state=number
        )
        yield (X, y), (X_rest, y_rest)


def main() -> int:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=22)
    parser.add_argument("--write", action="store_true", help="replace the page's table")
    options = parser.parse_args()
    errors: dict[str, list[float]] = {"best": [], "corrected": [], "nested": []}
    seconds = dict.fromkeys(errors, 0.0)
    inside = 0
    for number, ((X, y), (X_rest, y_rest)) in enumerate(sets(options.sets)):
        tree = DecisionTreeClassifier(random_state=0)
        folds = StratifiedKFold(5, shuffle=True, random_state=number)
        start = time.process_time()
        search = WeightTrackingGridSearchCV(tree, GRID, cv=folds, capture="splits")
        search.fit(X, y)
        seconds["best"] += time.process_time() - start
        truth = search.score(X_rest, y_rest)

        start = time.process_time()
        corrected = search.run_.bias_corrected_score(X, y, random_state=number)
        seconds["corrected"] += time.process_time() - start

        start = time.process_time()
        plain = GridSearchCV(tree, GRID, cv=folds)
        nested = cross_val_score(plain, X, y, cv=folds).mean()
        seconds["nested"] += time.process_time() - start

        errors["best"].append(search.best_score_ - truth)
        errors["corrected"].append(corrected.score - truth)
        errors["nested"].append(nested - truth)
        inside += corrected.interval[0] <= truth <= corrected.interval[1]
    table = _table(errors, seconds, options.sets, inside)
    print(table)
    if options.write:
        put_into_page(PAGE, table, BEGIN, END)
    return 0


def _table(
    errors: dict[str, list[float]], seconds: dict[str, float], count: int, inside: int
) -> str:
    names = {
        "best": "`best_score_`",
        "corrected": "`bias_corrected_score`",
        "nested": "nested cross-validation",
    }
    lines = [
        "| Estimate | Too high by, on average | Further time per search |",
        "|---|---:|---:|",
    ]
    for kind, name in names.items():
        time_of_it = "0" if kind == "best" else f"{seconds[kind] / count:.2g} s"
        lines.append(f"| {name} | {np.mean(errors[kind]):.3f} | {time_of_it} |")
    lines += [
        "",
        f"{count} sets of {N_ROWS} rows, 84 trees, 5 splits; a search takes "
        f"{seconds['best'] / count:.2g} s. The 95 % interval held the true accuracy in "
        f"{inside} of {count} sets.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

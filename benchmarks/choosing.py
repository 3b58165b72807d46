"""What `capture`, `keep` and `compression` cost, for the table in docs/choosing.md.

python benchmarks/choosing.py [--candidates N ...]

Takes some five minutes. Not part of `make bench`: it measures the choices of one user
beside each other, not this package beside others.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from _harness import Stopwatch
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier

from weightsearch import WeightStore, WeightTrackingGridSearchCV

PAGE = Path(__file__).resolve().parents[1] / "docs" / "choosing.md"
BEGIN, END = "<!-- costs: begin -->", "<!-- costs: end -->"
N_SPLITS = 5
N_JOBS = 2
MEASURED = (10, 1_000)
EXTRAPOLATED = 100_000
CHOICES: tuple[dict[str, Any], ...] = (
    {"capture": "refit", "keep": 10},
    {"capture": "refit"},
    {"capture": "refit", "compression": "gzip"},
    {"capture": "splits"},
    {"capture": "both"},
)


@dataclass(frozen=True)
class Cost:
    """What one search has cost.

    Attributes
    ----------
    models : int
        Kept, each with weights and state.
    megabytes : float
        Of the store.
    seconds : float
        That the search has taken, refits included.
    refits : float
        Seconds that the refits themselves have taken, all workers together, over
        the number of workers.
    listing : float
        Seconds to open the store and list its candidates.
    """

    models: float
    megabytes: float
    seconds: float
    refits: float
    listing: float

    def times(self, factor: float) -> Cost:
        """Extrapolate in proportion."""
        grown = Cost(*(factor * value for value in vars(self).values()))
        # Opening does not take in proportion; bench_read.py measures it.
        return replace(grown, listing=0.0)


def run() -> int:
    """Measure and put the table into the page; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--candidates", type=int, nargs="+", default=MEASURED)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the workers
    with tempfile.TemporaryDirectory() as folder:
        # Starts the workers, and lets them import what they need once.
        path = Path(folder, "search.h5")
        _search(WeightTrackingGridSearchCV, 4, capture="both", store=path)
    lines = [
        "| Candidates | Search | Models | Store | It takes | of it refits | "
        "Open and list | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    last: dict[int, Cost] = {}
    for count in given.candidates:
        plain = [_plain(count)]
        last = {n: _cost(choice, count) for n, choice in enumerate(CHOICES)}
        plain.append(_plain(count))
        # The machine may have become slower or faster on the way.
        seconds = _seconds(sum(plain) / len(plain))
        lines.append(f"| {count:,} | `GridSearchCV` | 1 | | {seconds} | | | measured |")
        lines += [
            _line(count, CHOICES[n], cost, "measured") for n, cost in last.items()
        ]
    # What 10 candidates of many cost is their search, not their models.
    for number, cost in last.items():
        choice = CHOICES[number]
        if "keep" not in choice:
            grown = cost.times(EXTRAPOLATED / given.candidates[-1])
            lines.append(_line(EXTRAPOLATED, choice, grown, "extrapolated"))
    table = "\n".join(lines) + "\n"
    print(table)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{PAGE} lacks the marks {BEGIN} and {END}")
    PAGE.write_text(f"{before}{BEGIN}\n{table}{END}{after}", encoding="utf-8")
    return 0


def _search(cls: Any, count: int, **options: Any) -> Any:
    X, y = load_digits(return_X_y=True)
    model = MLPClassifier((15,), max_iter=5, n_iter_no_change=5, random_state=0)
    grid = {"alpha": np.logspace(-6, 0, count).tolist()}
    search = cls(model, grid, cv=N_SPLITS, n_jobs=N_JOBS, **options)
    return search.fit(X / 16, y)


def _plain(count: int) -> float:
    with Stopwatch() as watch:
        _search(GridSearchCV, count)
    return watch.seconds


def _cost(choice: dict[str, Any], count: int) -> Cost:
    """Measure a search; its seconds are all that it takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "search.h5")
        with Stopwatch() as watch:
            search = _search(WeightTrackingGridSearchCV, count, store=path, **choice)
        refits = min(choice.get("keep", count), count)
        if choice["capture"] == "splits":
            refits = 0
        models = refits + (N_SPLITS * count if choice["capture"] != "refit" else 0)
        # A refit sees all rows, a split's fit all but one part of them.
        one = search.cv_results_["mean_fit_time"].mean() * N_SPLITS / (N_SPLITS - 1)
        size = path.stat().st_size / 1e6
        with Stopwatch() as listing, WeightStore(path) as store:
            len(store.run().candidates)
    return Cost(models, size, watch.seconds, one * refits / N_JOBS, listing.seconds)


def _line(count: int, choice: dict[str, Any], cost: Cost, how: str) -> str:
    cells = [
        f"{count:,}",
        ", ".join(f"`{name}={value!r}`" for name, value in choice.items()),
        f"{cost.models:,.0f}",
        f"{cost.megabytes:,.3g} MB" if cost.megabytes < 1000 else _gigabytes(cost),
        _seconds(cost.seconds),
        f"{cost.refits:,.3g} s" if cost.refits else "",
        f"{cost.listing:.2g} s" if cost.listing else "",
        how,
    ]
    return "| " + " | ".join(cells) + " |"


def _seconds(seconds: float) -> str:
    """Three digits, and no power of ten."""
    return f"{float(f'{seconds:.3g}'):,.10g} s"


def _gigabytes(cost: Cost) -> str:
    return f"{cost.megabytes / 1000:.2g} GB"


if __name__ == "__main__":
    sys.exit(run())

"""Memory of the process tree: searching, appending and reading 4 MB a candidate.

python benchmarks/bench_memory.py [--quick]
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import _children
from _harness import Alternative, Figure, Samples, Settings, alternate, main
from _heavy import N_JOBS
from _models import N_WEIGHTS

MEGABYTES = N_WEIGHTS * 8 / 1e6
N_ALL = 2_000
N_SOME = 300
N_QUICK = 50
N_ROUNDS = 3
"""Of the middle size; of the others one, since each takes minutes or is a look."""
TIMES_ON_DISK = 3
"""Journal, store, and room to spare."""
LIMIT = 420
"""Seconds that one of the searches may take."""


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    missing = _children.missing("psutil")
    if missing:
        return [
            _children.unmeasured(f"memory.{key}", words, missing)
            for key, words, *_ in _ROWS
        ]
    if settings.quick:
        return _rows(_measured(settings, N_QUICK, 1), N_QUICK, 1, judged=False)
    some = _measured(settings, N_SOME, N_ROUNDS)
    if not _has_room(settings, N_ALL):
        return _rows(some, N_SOME, N_ROUNDS, judged=False)
    everything = _measured(settings, N_ALL, 1)
    return [
        *_rows(everything, N_ALL, 1, judged=True),
        *(_slope(key, words, series, some, everything) for key, words, series in _ROWS),
    ]


_ROWS = (
    ("search", "a search over GridSearchCV's own", "search - GridSearchCV"),
    ("append", "append over what was there before", "append"),
    ("reading", "reading all candidates over a listed store", "reading"),
)


def _rows(samples: Samples, count: int, n_rounds: int, *, judged: bool) -> list[Figure]:
    size = f"{count:,} candidates of {MEGABYTES:.0f} MB, n_jobs={N_JOBS}"
    rounds = f"{n_rounds} round{'s' if n_rounds > 1 else ''}"
    figures = []
    for key, words, series in _ROWS:
        what = f"most memory, {words}; {size}, {rounds}"
        figure = samples.value(f"memory.{key}", what, "MB", series, judged=judged)
        if key == "search":
            both = {name: samples[name] for name in ("tracked", "GridSearchCV")}
            figure = replace(figure, series=both)
        figures.append(figure)
    return figures


def _slope(
    key: str, words: str, series: str, some: Samples, everything: Samples
) -> Figure:
    """Memory that a candidate more takes."""
    step = N_ALL - N_SOME
    values = [1000 * (everything[series][0] - one) / step for one in some[series]]
    return Figure(
        f"memory.{key}_slope",
        f"the same a candidate, from {N_SOME} to {N_ALL:,} candidates; {words}",
        "kB",
        values,
        {series: values},
        "kB",
    )


def _measured(settings: Settings, count: int, n_rounds: int) -> Samples:
    ways: list[Alternative] = [
        partial(_peak, count, "plain"),
        partial(_peak, count, "tracked"),
        partial(_stored, count),
    ]
    told = replace(settings, repeats=n_rounds)
    samples = alternate(told, *ways, warm_up=False)
    samples["search - GridSearchCV"] = [
        tracked - plain
        for tracked, plain in zip(
            samples["tracked"], samples["GridSearchCV"], strict=True
        )
    ]
    return samples


def _peak(count: int, way: str, folder: Path) -> dict[str, float]:
    found = _children.run("_heavy.py", way, folder, count, limit=LIMIT)
    name = {"plain": "GridSearchCV"}.get(way, way)
    return {name: found.peak["all"]}


def _stored(count: int, folder: Path) -> dict[str, float]:
    return {
        way: _children.run("_heavy.py", way, folder, count, limit=LIMIT).growth("all")
        for way in ("append", "reading")
    }


def _has_room(settings: Settings, count: int) -> bool:
    free = shutil.disk_usage(settings.scratch or tempfile.gettempdir()).free
    # Models of the splits are not kept.
    return free > TIMES_ON_DISK * count * MEGABYTES * 1e6


if __name__ == "__main__":
    main("memory", measure, __doc__)

"""Alternatives measured in one run, in alternation, and what comes out as JSON.

A B A B ... rather than A A B B: what the machine does besides hits all alternatives
alike, and a ratio is taken within each round, so that it does not move when the
whole machine gets slower.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from threadpoolctl import threadpool_info

import weightsearch

__all__ = [
    "Alternative",
    "Figure",
    "Samples",
    "Settings",
    "Stopwatch",
    "alternate",
    "main",
    "put_into_page",
]

REPEATS = 5
"""Rounds that are counted, at least."""

_DISTRIBUTIONS = (
    "scikit-learn",
    "numpy",
    "scipy",
    "pandas",
    "h5py",
    "joblib",
    "skops",
    "torch",
    "skorch",
    "tensorflow",
    "keras",
    "scikeras",
    "keras-tuner",
    "mlflow-skinny",
)

Alternative = Callable[[Path], Mapping[str, float]]
"""Takes an empty folder; returns what it measured, a number a series."""


class Stopwatch:
    """Measures the time of a ``with`` block, in seconds."""

    seconds = 0.0

    def __enter__(self) -> Self:
        self._start = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.seconds = time.perf_counter() - self._start


@dataclass(frozen=True)
class Settings:
    """What a benchmark is told.

    Attributes
    ----------
    quick : bool
        Whether smaller sizes are asked for.
    repeats : int
        Rounds that are counted.
    scratch : str or None
        Where files are written; None: the system's folder for temporary files.
    """

    quick: bool
    repeats: int = REPEATS
    scratch: str | None = None


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    Attributes
    ----------
    key : str
        Its name in ``targets.toml``.
    what : str
        What was measured, in words.
    unit : str
        Of `values`; ``"x"`` for ratios.
    values : list of float
        One a round.
    series : dict of str -> list of float
        What the values were made of, one number a round.
    series_unit : str
    judged : bool
        Whether the target is meant for the size that was measured.
    note : str
        Why there are no values, where there are none.
    """

    key: str
    what: str
    unit: str
    values: list[float]
    series: dict[str, list[float]]
    series_unit: str
    judged: bool = True
    note: str = ""


class Samples(dict[str, list[float]]):
    """Series by name, each with one number a round."""

    def value(
        self, key: str, what: str, unit: str, series: str, *, judged: bool = True
    ) -> Figure:
        """Make a row of one series as it is."""
        values = self[series]
        return Figure(key, what, unit, values, {series: values}, unit, judged)

    def ratio(
        self,
        key: str,
        what: str,
        unit: str,
        series: str,
        against: str,
        *,
        times: float = 1.0,
        judged: bool = True,
    ) -> Figure:
        """Make a row of one series over another, round by round.

        Parameters
        ----------
        unit : str
            Of both series.
        series, against : str
        times : float
            What the series in the denominator is multiplied with.
        """
        above, below = self[series], [times * value for value in self[against]]
        values = [a / b for a, b in zip(above, below, strict=True)]
        named = against if times == 1 else f"{against} x {times:.3g}"
        both = {series: above, named: below}
        return Figure(key, what, "x", values, both, unit, judged)


def alternate(
    settings: Settings,
    *alternatives: Alternative,
    warm_up: bool = True,
    keep_files: bool = False,
) -> Samples:
    """Measure alternatives in alternation.

    Parameters
    ----------
    settings : Settings
    *alternatives : callable
        Each is called once a round with a new, empty folder. It measures by itself
        what counts, so that preparation costs nothing.
    warm_up : bool
        Whether a first round is not counted.
    keep_files : bool
        Whether files stay until the last round. Some file systems (ext4 without a
        journal) make a file ten times slower where many have just been removed.
    """
    samples = Samples()
    with tempfile.TemporaryDirectory(dir=settings.scratch) as parent:
        for number in range(-int(warm_up), settings.repeats):
            for place, alternative in enumerate(alternatives):
                folder = Path(parent, f"{number}-{place}")
                folder.mkdir()
                _settle()
                measured = alternative(folder)
                if not keep_files:
                    shutil.rmtree(folder)
                if number >= 0:
                    for name, value in measured.items():
                        samples.setdefault(name, []).append(value)
    return samples


def _settle() -> None:
    """Leave no work of one alternative to be done in the time of the next."""
    gc.collect()
    if hasattr(os, "sync"):
        os.sync()


def main(
    name: str, measure: Callable[[Settings], Sequence[Figure]], doc: str | None
) -> None:
    """Run one benchmark as a script.

    Parameters
    ----------
    name : str
        Of the benchmark; first part of the keys in ``targets.toml``.
    measure : callable
    doc : str or None
        The script's docstring.
    """
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--repeats", type=int, default=REPEATS, metavar="N")
    parser.add_argument("--scratch", metavar="FOLDER", help="where files are written")
    parser.add_argument("--output", type=Path, metavar="FILE", help="JSON file to make")
    given = parser.parse_args()
    if given.repeats < REPEATS:
        parser.error(f"fewer than {REPEATS} repetitions say too little")
    settings = Settings(given.quick, given.repeats, given.scratch)
    before, start = _load_average(), time.perf_counter()
    figures = measure(settings)
    result = {
        "benchmark": name,
        "quick": settings.quick,
        "repeats": settings.repeats,
        "seconds": round(time.perf_counter() - start, 1),
        "load_average": {"before": before, "after": _load_average()},
        **_origin(settings.scratch or tempfile.gettempdir()),
        "figures": [{**asdict(figure), "name": name} for figure in figures],
    }
    for figure in figures:
        shown = figure.note
        if figure.values:
            shown = f"{statistics.median(figure.values):.4g} {figure.unit}"
        print(f"{figure.what}: {shown}", file=sys.stderr)
    text = json.dumps(result, indent=1) + "\n"
    if given.output is None:
        print(text, end="")
    else:
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(text, encoding="utf-8")


def put_into_page(page: Path, table: str, begin: str, end: str) -> None:
    """Replace what is between two marks of a page."""
    text = page.read_text(encoding="utf-8")
    before, begun, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended):
        raise SystemExit(f"{page} lacks the marks {begin} and {end}")
    page.write_text(
        f"{before}{begin}\n{table.rstrip()}\n{end}{after}", encoding="utf-8"
    )


# -- the machine ------------------------------------------------------------------


def _origin(scratch: str) -> dict[str, Any]:
    """Describe machine, versions and threads."""
    # The libraries' threads are only seen once something has loaded them.
    np.ones((2, 2)) @ np.ones((2, 2))
    found = {
        "python": platform.python_version(),
        "weightsearch": weightsearch.__version__,
    }
    for name in _DISTRIBUTIONS:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    found["hdf5"] = h5py.version.hdf5_version
    pools = threadpool_info()
    return {
        "machine": {
            "system": platform.platform(),
            "processor": _after_label("/proc/cpuinfo", "model name")
            or platform.processor(),
            "cores": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count(),
            "memory": _after_label("/proc/meminfo", "MemTotal"),
            "file_system": _file_system(scratch),
        },
        "versions": found,
        "threads": {
            f"{p['user_api']} ({p['internal_api']})": p["num_threads"] for p in pools
        },
    }


def _load_average() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _after_label(path: str, label: str) -> str | None:
    """Return the first line of a file under /proc with a label, without it."""
    with suppress(OSError):
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            if line.startswith(label):
                return line.partition(":")[2].strip()
    return None


def _file_system(folder: str) -> str | None:
    """Return the type of the file system of a folder, on Linux."""
    place = os.path.realpath(folder) + "/"
    best, kind = "", None
    with suppress(OSError):
        for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
            _, point, found, *_ = line.split(" ")
            if place.startswith(point.rstrip("/") + "/") and len(point) >= len(best):
                best, kind = point, found
    return kind

"""Run all benchmarks and put the table into docs/benchmarks.md.

python benchmarks/run.py            about 40 minutes on 2 cores
python benchmarks/run.py --quick    about 4, with smaller sizes
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from _harness import put_into_page

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
_TITLES = {
    "store": "Writing",
    "read": "Reading and comparing",
    "search": "Searching",
    "prefixes": "Pipelines that begin alike",
    "large": "Large searches",
    "kinds": "Kinds of estimators",
    "boosting": "60 boosted candidates",
    "memory": "Memory and import",
}
Result = Mapping[str, Any]
Targets = Mapping[str, Mapping[str, Mapping[str, float]]]
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run() -> int:
    """Run what is asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--repeats", type=int, metavar="N", help="rounds that count")
    parser.add_argument("--scratch", metavar="FOLDER", help="where files are written")
    parser.add_argument(
        "--no-page", action="store_true", help="leave docs/benchmarks.md as it is"
    )
    given = parser.parse_args()
    options = ["--quick"] if given.quick else []
    for name in ("repeats", "scratch"):
        value = getattr(given, name)
        options += [] if value is None else [f"--{name}", str(value)]
    start = time.perf_counter()
    results = []
    for name in _TITLES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        output = RESULTS / f"{name}{'-quick' if given.quick else ''}.json"
        # Each in a process of its own: what one leaves in memory slows no other.
        script = str(HERE / f"bench_{name}.py")
        command = [sys.executable, script, *options, "--output", str(output)]
        subprocess.run(command, env=_environment(), check=True)
        results.append(json.loads(output.read_text(encoding="utf-8")))
    targets = tomllib.loads((HERE / "targets.toml").read_text(encoding="utf-8"))
    table = _report(results, targets)
    print(table)
    missing = _unmeasured(results, targets)
    if missing:
        print("Targets without a figure in this run:", ", ".join(missing))
    print(f"{time.perf_counter() - start:.0f} seconds")
    if not given.no_page:
        put_into_page(PAGE, table, BEGIN, END)
    return 0


def _environment() -> dict[str, str]:
    """One thread a process, where nothing else is set, and the package beside us."""
    environment = {**dict.fromkeys(ONE_THREAD, "1"), **os.environ}
    paths = [str(HERE.parent), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment


# -- the table --------------------------------------------------------------------


def _report(results: Sequence[Result], targets: Targets) -> str:
    """Write machine, table and a line of what was not met.

    Parameters
    ----------
    results : sequence of dict
        What the benchmarks wrote as JSON.
    targets : mapping
        The content of ``targets.toml``.
    """
    lines = [*_origin(results), ""]
    lines += [
        "| What | Median | Target | Met | Range | Made of |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        name = result["benchmark"]
        lines.append(f"| **{_TITLES.get(name, name)}** | | | | | |")
        lines += [_row(figure, targets) for figure in result["figures"]]
    return "\n".join(lines) + "\n"


def _unmeasured(results: Iterable[Result], targets: Targets) -> list[str]:
    """Name the targets that no figure was measured for."""
    wanted = {f"{part}.{key}" for part, keys in targets.items() for key in keys}
    known = {
        _family(figure)
        for result in results
        for figure in result["figures"]
        if figure["values"]
    }
    return sorted(wanted - known)


def _origin(results: Sequence[Result]) -> list[str]:
    """Say what was measured, where, and with what."""
    first = results[0]
    machine, versions = first["machine"], first["versions"]
    size = "Small sizes (`--quick`)" if first["quick"] else "All sizes"
    seconds = sum(result["seconds"] for result in results)
    loads = [
        load
        for result in results
        for load in result["load_average"].values()
        if load is not None
    ]
    load = f"; load average {min(loads)} to {max(loads)}" if loads else ""
    return [
        f"- {size}, {first['repeats']} rounds, {seconds / 60:.0f} minutes{load}",
        f"- {machine['processor']}, {machine['cores']} cores, {machine['memory']} of "
        f"memory, files on {machine['file_system']}; {machine['system']}",
        "- " + ", ".join(f"{name} {number}" for name, number in versions.items()),
        "- Threads: " + ", ".join(f"{n} {k}" for n, k in first["threads"].items()),
    ]


def _row(figure: Mapping[str, Any], targets: Targets) -> str:
    values, unit = figure["values"], figure["unit"]
    if not values:
        return f"| {figure['what']} | {figure['note']} | | | | |"
    middle = statistics.median(values)
    target, met = _judge(figure, middle, targets)
    shown = f"{_number(min(values))} to {_number(max(values))}"
    cells = [
        figure["what"],
        _with_unit(middle, unit),
        target,
        met,
        shown,
        _made_of(figure),
    ]
    return "| " + " | ".join(cells) + " |"


def _family(figure: Mapping[str, Any]) -> str:
    """Return the name of a figure's target: the same for ``part.key:kind`` of all."""
    name: str = figure["key"].partition(":")[0]
    return name


def _judge(
    figure: Mapping[str, Any], middle: float, targets: Targets
) -> tuple[str, str]:
    part, key = _family(figure).split(".")
    wanted = targets.get(part, {}).get(key)
    if wanted is None:
        return "", ""
    unit = "" if figure["unit"] == "x" else f" {figure['unit']}"
    if "at_most" in wanted:
        limit = wanted["at_most"]
        text, met = f"at most {limit:g}{unit}", middle <= limit
    else:
        limit = wanted["at_least"]
        text, met = f"at least {limit:g}{unit}", middle >= limit
    if not figure["judged"]:
        return text, "other size"
    return text, "met" if met else "**not met**"


def _made_of(figure: Mapping[str, Any]) -> str:
    if len(figure["series"]) == 1:
        return ""
    unit = figure["series_unit"]
    return "; ".join(
        f"{name} {_with_unit(statistics.median(values), unit)}"
        for name, values in figure["series"].items()
    )


def _with_unit(value: float, unit: str) -> str:
    return _number(value) if unit == "x" else f"{_number(value)} {unit}"


def _number(value: float) -> str:
    """Three digits; four where a ratio is near 1, or a number has them anyway."""
    digits = 4 if 0.9 <= value < 1.1 else 3
    return f"{value:.0f}" if value >= 1000 else f"{value:.{digits}g}"


if __name__ == "__main__":
    sys.exit(run())

"""Run all benchmarks and put the table into docs/benchmarks.md.

python benchmarks/run.py            at most 30 minutes on 2 cores
python benchmarks/run.py --quick    at most 3, with smaller sizes
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from _table import report, unmeasured

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
BENCHMARKS = (
    "store",
    "read",
    "identity",
    "search",
    "alternatives",
    "networks",
    "state",
    "kinds",
    "memory",
    "imports",
    "compare",
)
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
    for name in BENCHMARKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        output = RESULTS / f"{name}{'-quick' if given.quick else ''}.json"
        # Each in a process of its own: what one leaves in memory slows no other.
        script = str(HERE / f"bench_{name}.py")
        command = [sys.executable, script, *options, "--output", str(output)]
        subprocess.run(command, env=_environment(), check=True)
        results.append(json.loads(output.read_text(encoding="utf-8")))
    targets = tomllib.loads((HERE / "targets.toml").read_text(encoding="utf-8"))
    table = report(results, targets)
    print(table)
    missing = unmeasured(results, targets)
    if missing:
        print("Targets without a figure in this run:", ", ".join(missing))
    print(f"{time.perf_counter() - start:.0f} seconds")
    if not given.no_page:
        _put_into_page(table)
    return 0


def _environment() -> dict[str, str]:
    """One thread a process, where nothing else is set, and the package beside us."""
    environment = {**dict.fromkeys(ONE_THREAD, "1"), **os.environ}
    paths = [str(HERE.parent), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment


def _put_into_page(table: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE} lacks the marks {BEGIN} and {END}")
    PAGE.write_text(f"{before}{BEGIN}\n{table}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run())

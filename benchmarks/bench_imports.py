"""Importing: the package beside what it is built on.

python benchmarks/bench_imports.py [--quick]
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from _harness import Figure, Settings, alternate, main

BASE = "sklearn.model_selection, h5py, pandas"
TIMED = (
    "import time; s = time.perf_counter(); import {}; print(time.perf_counter() - s)"
)
LIMIT = 60
"""Seconds that an import may take."""
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
"""As an installed package is imported: from its bytecode."""


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    _import("what is compiled now", f"weightsearch, {BASE}", Path())
    samples = alternate(
        settings,
        partial(_import, "weightsearch", "weightsearch"),
        partial(_import, "what it needs", BASE),
    )
    return [
        samples.ratio(
            "imports.base",
            f"import weightsearch / import {BASE}",
            "s",
            "weightsearch",
            "what it needs",
        )
    ]


def _import(name: str, modules: str, _: Path) -> dict[str, float]:
    """Import in a new process; its own start is not counted."""
    command = [sys.executable, "-c", TIMED.format(modules)]
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env=ENVIRONMENT,
    )
    return {name: float(done.stdout)}


if __name__ == "__main__":
    main("imports", measure, __doc__)

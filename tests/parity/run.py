"""Run scikit-learn's own tests of its searches with our classes in their place.

Usage: ``python tests/parity/run.py [pytest options] [-- modules]``. Without modules,
all of :data:`parity_lists.MODULES` run, and enough tests must reach our classes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import parity_lists

HERE = Path(__file__).resolve().parent


def command(options: list[str], modules: list[str]) -> list[str]:
    """Return the pytest command for some test modules, all of them if none given."""
    whole = [] if modules else ["--parity-floor"]
    return [
        *(sys.executable, "-m", "pytest", "-q", "-c", str(HERE / "pytest.ini")),
        *("-p", "parity_plugin", *whole, *options),
        *("--pyargs", *(modules or parity_lists.MODULES)),
    ]


def main(arguments: list[str]) -> int:
    """Run the tests in a process of their own and return its exit code."""
    options, modules = arguments, []
    if "--" in arguments:
        at = arguments.index("--")
        options, modules = arguments[:at], arguments[at + 1 :]
    paths = [str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "SKLEARN_SEED": "0",
        "SCIPY_ARRAY_API": "1",  # or its tests of array API inputs are skipped
    }
    return subprocess.run(command(options, modules), env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

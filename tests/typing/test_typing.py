"""What a type checker says to a script that uses the public API."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("user_script.py")
ROOT = Path(__file__).resolve().parents[2]

needs_mypy = pytest.mark.skipif(
    importlib.util.find_spec("mypy") is None, reason="needs mypy"
)


def check(script: Path, *options: str) -> tuple[str, int]:
    """Run ``mypy --strict`` without the project's settings; output and exit status."""
    from mypy import api

    out, err, status = api.run(
        [
            "--strict",
            "--config-file=",
            # scikit-learn and pandas bring no types along.
            "--ignore-missing-imports",
            "--follow-imports=silent",
            f"--cache-dir={os.devnull}",
            *options,
            str(script),
        ]
    )
    return out + err, status


@needs_mypy
def test_script_of_a_user_passes():
    """Everything in a user's script has the type that the script expects."""
    said, status = check(SCRIPT)

    assert (said, status) == ("Success: no issues found in 1 source file\n", 0)


@needs_mypy
def test_wrong_use_is_found(tmp_path):
    """What a user gets wrong is said, so types have not all become Any."""
    script = tmp_path / "wrong.py"
    script.write_text(
        "from weightsearch import Run, WeightStore, WeightTrackingGridSearchCV\n"
        "run: Run = WeightStore('search.h5')\n"
        "WeightStore('search.h5').run(3)\n"
        "run.weights(0, splits=1)\n"
        "WeightTrackingGridSearchCV(None, {}, capture='everything').run_.query(1)\n",
        encoding="utf-8",
    )

    said, _ = check(script)

    assert [line for line in range(2, 6) if f"wrong.py:{line}: error" in said] == [
        2,
        3,
        4,
        5,
    ]


def test_script_of_a_user_runs(tmp_path):
    """The script that the type checker has passed also does what it says."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )

    assert (done.returncode, done.stderr) == (0, "")

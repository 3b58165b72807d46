"""The version stands in several files, and is the same in all."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import weightsearch

ROOT = Path(__file__).resolve().parents[2]


def test_version_is_the_same_everywhere():
    """Package, project and citation name one version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")

    assert project["project"]["version"] == weightsearch.__version__
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [
        weightsearch.__version__
    ]

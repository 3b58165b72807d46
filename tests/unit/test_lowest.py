"""The lowest versions that are promised are those that are tested."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTED = ("plot", "cli", "test")
"""Extras that `make test-lowest` installs besides the core."""


def _promised() -> dict[str, str]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = project["optional-dependencies"]
    requirements = [*project["dependencies"], *(r for e in TESTED for r in extras[e])]
    return dict(
        re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement).groups()
        for requirement in requirements
    )


def _tested() -> dict[str, str]:
    text = (ROOT / "constraints" / "lowest.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w-]+)==([\d.]+)$", text, re.MULTILINE))


def test_lower_bounds_are_what_is_tested():
    """``constraints/lowest.txt`` has the first version that each bound lets in."""
    promised, tested = _promised(), _tested()

    assert len(promised) > 10
    assert {
        name: (bound, tested.get(name))
        for name, bound in promised.items()
        if not f"{tested.get(name)}.".startswith(f"{bound}.")
    } == {}

"""The page of the API and what can be imported are the same."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.rst"
PARTS = (
    "weightsearch",
    "weightsearch.compare",
    "weightsearch.plot",
    "weightsearch.choose",
    "weightsearch.evaluate",
    "weightsearch.frameworks.zoo",
)


def listed() -> list[tuple[str, str]]:
    """Pairs of a module and a name that the page lists, in its order."""
    found, module = [], ""
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            found.append((module, line.strip()))
    return found


def test_every_public_name_is_listed():
    """Whatever ``weightsearch`` and ``weightsearch.plot`` export has a page."""
    names = {name for _, name in listed()}
    modules = [importlib.import_module(part) for part in ("weightsearch", PARTS[2])]

    missing = {name for module in modules for name in module.__all__} - names
    assert missing == set()


def test_every_listed_name_is_public():
    """The page lists nothing twice, and nothing that cannot be imported from there."""
    pairs = listed()

    assert len(pairs) == len(set(pairs)) > 40
    for part, name in pairs:
        assert part in PARTS
        if part != PARTS[-1] or importlib.util.find_spec("torch"):
            assert name in importlib.import_module(part).__all__

"""Rules of the repository that no linter knows."""

from __future__ import annotations

import ast
from pathlib import Path

import weightsearch

ROOT = Path(__file__).resolve().parents[2]


def _tests() -> list[tuple[str, ast.FunctionDef]]:
    return [
        (f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def test_every_test_has_a_sentence():
    """A test says in its docstring which behaviour it holds."""
    silent = [place for place, node in _tests() if not ast.get_docstring(node)]

    assert len(_tests()) > 20
    assert silent == []


def test_public_names_are_sorted_and_exist():
    """``__all__`` names what is there, sorted, so that changes to it show."""
    names = weightsearch.__all__

    assert names == sorted(names)
    assert [name for name in names if not hasattr(weightsearch, name)] == []


def test_no_unfinished_code():
    """No marker of unfinished work is left in what is shipped."""
    marks = ("TO" + "DO", "FIX" + "ME", "XXX", "pragma: no cover")
    found = [
        f"{path.relative_to(ROOT)}: {mark}"
        for folder in ("weightsearch", "examples", "tools")
        for path in (ROOT / folder).rglob("*.py")
        for mark in marks
        if mark in path.read_text(encoding="utf-8")
    ]

    assert found == []

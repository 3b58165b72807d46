"""The code in the documents that people copy from runs as it stands."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
from sklearn.exceptions import ConvergenceWarning

ROOT = Path(__file__).resolve().parents[2]
# cluster.md needs a cluster (tests/cluster), and format.md a column to read.
ELSEWHERE = {"cluster.md", "format.md"}
DOCUMENTS = (
    "README.md",
    *(
        f"docs/{page.name}"
        for page in sorted((ROOT / "docs").glob("*.md"))
        if page.name not in ELSEWHERE
        and "```python" in page.read_text(encoding="utf-8")
    ),
)
BLOCK = re.compile(
    r"(?:<!-- needs: (?P<needs>[\w ]+) -->\n)?```python\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """One block of Python code of a document."""

    document: str
    line: int
    code: str
    needs: tuple[str, ...]


def _blocks(document: str) -> list[Block]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return [
        Block(
            document,
            text.count("\n", 0, match.start("code")) + 1,
            match["code"],
            tuple((match["needs"] or "").split()),
        )
        for match in BLOCK.finditer(text)
    ]


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    """Return a folder and a namespace for each document, shared by its blocks."""
    return {
        document: (tmp_path_factory.mktemp("document"), {"__name__": "__main__"})
        for document in DOCUMENTS
    }


# tests/conftest.py keeps them in one process, since a block builds on those before it.
@pytest.mark.parametrize(
    "block",
    [
        pytest.param(
            block,
            id=f"{block.document}:{block.line}",
            marks=[pytest.mark.slow] if "tensorflow" in block.needs else [],
        )
        for document in DOCUMENTS
        for block in _blocks(document)
    ],
)
def test_block_runs(block, sessions):
    """A block of code runs without an error or a warning, after those before it."""
    missing = [name for name in block.needs if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}")
    folder, namespace = sessions[block.document]
    # Blank lines before the code give errors the document's own line numbers.
    code = compile("\n" * (block.line - 1) + block.code, block.document, "exec")

    with contextlib.chdir(folder), warnings.catch_warnings():
        # Ignored in our other tests; here a reader would see it.
        warnings.simplefilter("error", ConvergenceWarning)
        exec(code, namespace)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_blocks_are_found(document):
    """The documents have blocks of code, and the pattern finds them all."""
    text = (ROOT / document).read_text(encoding="utf-8")

    assert len(_blocks(document)) == text.count("```python\n") > 0

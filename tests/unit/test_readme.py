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

from weightsearch.frameworks import _registry

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


class Session:
    """A folder and a namespace that the blocks of one document share."""

    def __init__(self, folder):
        self.folder = folder
        self.namespace = {"__name__": "__main__"}
        self.has_run = set()

    def run(self, block):
        """Run a block once, after those before it, but slow ones only for slow ones."""
        for earlier in _blocks(block.document):
            if earlier.line > block.line:
                break
            if _lacks(earlier) or (_is_slow(earlier) and not _is_slow(block)):
                continue
            if earlier.line not in self.has_run:
                self.has_run.add(earlier.line)
                # Blank lines before it give errors the document's own line numbers.
                code = "\n" * (earlier.line - 1) + earlier.code
                with contextlib.chdir(self.folder):
                    exec(compile(code, block.document, "exec"), self.namespace)


def _lacks(block):
    """Names of the packages that a block needs and that are not installed."""
    return [name for name in block.needs if importlib.util.find_spec(name) is None]


def _is_slow(block):
    return "tensorflow" in block.needs


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    """Return a session for each document, whose registrations end with them all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_registry, "_registered", {})
        yield {n: Session(tmp_path_factory.mktemp("document")) for n in DOCUMENTS}


# tests/conftest.py keeps them in one process, since a block builds on those before it.
@pytest.mark.parametrize(
    "block",
    [
        pytest.param(
            block,
            id=f"{block.document}:{block.line}",
            marks=[pytest.mark.slow] if _is_slow(block) else [],
        )
        for document in DOCUMENTS
        for block in _blocks(document)
    ],
)
def test_block_runs(block, sessions):
    """A block of code runs without an error or a warning, after those before it."""
    if missing := _lacks(block):
        pytest.skip(f"needs {' and '.join(missing)}")
    with warnings.catch_warnings():
        # Ignored in our other tests; here a reader would see it.
        warnings.simplefilter("error", ConvergenceWarning)
        sessions[block.document].run(block)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_blocks_are_found(document):
    """The documents have blocks of code, and the pattern finds them all."""
    text = (ROOT / document).read_text(encoding="utf-8")

    assert len(_blocks(document)) == text.count("```python\n") > 0

"""Check the documents: links lead somewhere, generated pages are up to date.

python tools/check_docs.py
"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
MADE_BY = re.compile(r"^Made by `python (tools/\w+\.py)`", re.MULTILINE)
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def anchors(document):
    """Names of a document's headings, as hosts of Markdown derive them."""
    text = FENCED.sub("", document.read_text(encoding="utf-8"))
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in HEADING.findall(text))
    return {title.replace(" ", "-") for title in plain}


def broken_links(document):
    """Yield the links of a document that lead to no file or no heading of ours."""
    text = FENCED.sub("", document.read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue  # other hosts are not asked
        place, _, anchor = unquote(link).partition("#")
        target = (document.parent / place).resolve() if place else document
        if not target.exists():
            yield f"{link}: there is no {place}"
        elif anchor and anchor not in anchors(target):
            yield f"{link}: {target.name} has no heading for #{anchor}"


def lost_pages():
    """Yield the pages of ``docs`` that its index does not lead to."""
    index = ROOT / "docs" / "index.md"
    listed = set(LINK.findall(index.read_text(encoding="utf-8")))
    for page in sorted((ROOT / "docs").glob("*.md")):
        if page != index and page.name not in listed:
            yield f"docs/index.md: does not list {page.name}"


def stale_pages():
    """Yield the generated pages that are not what their generator would write now."""
    for document in DOCUMENTS:
        made_by = MADE_BY.search(document.read_text(encoding="utf-8"))
        if made_by is None:
            continue
        command = [sys.executable, made_by[1], "--check"]
        if subprocess.run(command, cwd=ROOT).returncode:
            yield f"{document.relative_to(ROOT)}: out of date, or {made_by[1]} failed"


def main():
    """Print what is wrong and return the exit status."""
    problems = [
        f"{document.relative_to(ROOT)}: {problem}"
        for document in DOCUMENTS
        for problem in broken_links(document)
    ]
    problems += [*lost_pages(), *stale_pages()]
    print("\n".join(problems) or f"{len(DOCUMENTS)} documents are in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

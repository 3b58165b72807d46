"""Check what Sphinx does not see: generated pages, and links of pages at the root.

python tools/check_docs.py
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s#]+)[^)\s]*\)")
MADE_BY = re.compile(r"^Made by `python (tools/\w+\.py)`", re.MULTILINE)


def broken_links():
    """Yield the links of the root's pages that lead to no file of ours."""
    for page in sorted(ROOT.glob("*.md")):
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", link) and not (ROOT / link).exists():
                yield f"{page.name}: there is no {link}"


def stale_pages():
    """Yield the generated pages that are not what their generator would write now."""
    for page in sorted((ROOT / "docs").glob("*.md")):
        made_by = MADE_BY.search(page.read_text(encoding="utf-8"))
        if made_by is None:
            continue
        command = [sys.executable, made_by[1], "--check"]
        if subprocess.run(command, cwd=ROOT).returncode:
            yield f"docs/{page.name}: out of date, or {made_by[1]} failed"


def main():
    """Print what is wrong and return the exit status."""
    problems = [*broken_links(), *stale_pages()]
    print("\n".join(problems) or "pages are in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

"""Assemble the page, and write it atomically."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import os
import re
import secrets
from pathlib import Path
from string import Template
from typing import Any

from weightsearch.exceptions import StoreWriteError
from weightsearch.report._assets import SCRIPTS, libraries, page_file
from weightsearch.report._contents import ReportContents
from weightsearch.report._payload import (
    cut,
    embedded_json,
    facts_payload,
    table_payload,
)
from weightsearch.report._weights import MAX_CANDIDATES, limited, weights_payload

__all__ = ["SIZE_LIMIT", "page", "write_report"]

SIZE_LIMIT = 14_000_000
"""Approximate maximum size of a page; it names what is left out."""

_SCRIPT_END = re.compile(r"<(/script|!--)", re.IGNORECASE)
_TABLE_BYTES = 2_500_000
_STATISTICS_BYTES = 1_500_000
_FACTS_BYTES = 500_000


def write_report(path: str | os.PathLike[str], contents: ReportContents) -> Path:
    """Write a report atomically; an existing file is replaced.

    Parameters
    ----------
    path : path-like
    contents : ReportContents

    Returns
    -------
    path : Path

    Raises
    ------
    ImportError
        If plotly or itables, which contain the page's libraries, is not installed.
    StoreWriteError
        If the file cannot be written.
    """
    target = Path(path).expanduser()
    content = page(contents).encode("utf-8")
    # In the same folder, so that it can be renamed; the name cannot be guessed.
    aside = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            with aside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                aside.unlink()
            raise
    except OSError as error:
        raise StoreWriteError(
            f"The report cannot be written to {target}: {error}", str(target)
        ) from error
    return target


def page(contents: ReportContents) -> str:
    """Return the page's HTML."""
    library = libraries()
    own = "\n".join(page_file(name) for name in SCRIPTS)
    classic = _script(library.plotly)
    # A module, so that its names are not global.
    modules = [_script(library.datatables), _script(own)]
    parts = {
        "policy": _policy([classic, *modules]),
        "title": html.escape(cut(contents.title)),
        "subtitle": html.escape(cut(contents.subtitle, 500)),
        "style": library.datatables_style + page_file("style.css"),
        "plotly": classic,
        "datatables": modules[0],
        "script": modules[1],
        "credits": html.escape(library.credits),
    }
    fixed = sum(len(text.encode("utf-8")) for text in parts.values())
    payload = embedded_json(_payload(contents, SIZE_LIMIT - fixed))
    template = Template(page_file("report.html"))
    return template.substitute(parts, payload=payload)


def _payload(contents: ReportContents, budget: int) -> dict[str, Any]:
    frame = contents.candidates
    table, numbers = table_payload(frame, contents.params, contents.score, _TABLE_BYTES)
    notes = [cut(note, 1000) for note in contents.notes]
    if len(numbers) < len(frame):
        notes.append(
            f"The table shows the best {len(numbers)} of {len(frame)} candidates, to "
            "keep this file small. run.candidates contains all."
        )
    groups, left_out = limited(contents.weights, numbers)
    if left_out:
        notes.append(
            f"Weights are shown of the best candidates, at most {MAX_CANDIDATES}: "
            "those "
            f"of {left_out} are left out. See run.stats() and run.compare(a, b)."
        )
    budget -= len(embedded_json(table)) + _FACTS_BYTES
    weights, more = weights_payload(groups, _STATISTICS_BYTES, budget)
    return {
        "facts": facts_payload(contents.facts),
        "best": contents.best,
        "notes": [*notes, *more],
        **table,
        **weights,
    }


def _script(text: str) -> str:
    """Escape text for a script element."""
    # Only these mean something to HTML there. In JavaScript they occur only within a
    # string, a regular expression or a comment, where the backslash changes nothing.
    return _SCRIPT_END.sub(r"<\\\1", text)


def _policy(scripts: list[str]) -> str:
    """Return the content security policy: these scripts, no connections."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; connect-src 'none'; "
        "form-action 'none'; base-uri 'none'"
    )

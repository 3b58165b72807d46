"""Assemble the page, and write it atomically."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import os
import re
import secrets
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from weightsearch.exceptions import StoreWriteError
from weightsearch.report._contents import ReportContents
from weightsearch.report._payload import (
    as_python,
    compressed,
    cut,
    facts_payload,
    table_payload,
)
from weightsearch.report._summary import Best, Warned
from weightsearch.report._training import curves_payload, paths_payload
from weightsearch.report._weights import MAX_CANDIDATES, limited, weights_payload

__all__ = ["SIZE_LIMIT", "page", "write_report"]

SIZE_LIMIT = 14_000_000
"""Approximate maximum size of a page; it names what is left out."""

_SCRIPT_END = re.compile(r"<(/script|!--)", re.IGNORECASE)
_SCRIPTS = ("data", "state", "canvas", "table", "compare", "plots", "training", "main")
_TABLE_BYTES = 5_000_000
_STATISTICS_BYTES = 3_000_000
_FACTS_BYTES = 500_000
_TRAINING_BYTES = 5_000_000
_PARAMS = 20
_PAIRS = 5
_PAIR = 0.01


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
    script = _script("\n".join(_page_file(f"{name}.js") for name in _SCRIPTS))
    return Template(_page_file("report.html")).substitute(
        policy=_policy([script]),
        title=html.escape(cut(contents.title)),
        subtitle=html.escape(cut(contents.subtitle, 500)),
        style=_page_file("style.css"),
        script=script,
        version=version("weightsearch"),
        payload=compressed(_payload(contents, SIZE_LIMIT)),
    )


def _page_file(name: str) -> str:
    content = files("weightsearch.report").joinpath("page", name).read_bytes()
    # Browsers normalize line ends to \n before they check a script's hash.
    return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def _payload(contents: ReportContents, budget: int) -> dict[str, Any]:
    frame = contents.candidates
    table, numbers = table_payload(
        frame, contents.params, contents.score, _TABLE_BYTES, contents.short
    )
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
    budget -= _TABLE_BYTES + _FACTS_BYTES
    shown = {candidate for group in groups for candidate in group.candidates}
    training = {}
    if contents.trajectory is not None:
        found = ((c, contents.trajectory(c)) for c in numbers if c in shown)
        training = {
            c: one for c, one in found if one is not None and len(one.epochs) > 1
        }
    if training:
        budget -= _TRAINING_BYTES
    scores = {} if contents.score is None else frame[contents.score].to_dict()
    weights, more = weights_payload(groups, _STATISTICS_BYTES, budget, scores)
    warned = [*contents.warnings, *_of_weights(weights)]
    return {
        "facts": facts_payload(contents.facts),
        "best": contents.best,
        "summary": {
            "best": _best_payload(contents.headline, contents.short),
            "tiles": [[cut(k), cut(v, 500)] for k, v in contents.tiles.items()],
            "warnings": [
                {
                    "title": cut(one.title),
                    "text": cut(one.text, 500),
                    "candidates": list(one.candidates),
                }
                for one in warned
            ],
        },
        "notes": [*notes, *more],
        "importance": _importances(contents, weights["diverged"]),
        "curves": curves_payload(training),
        "paths": paths_payload(groups, training, weights["diverged"]),
        **table,
        **weights,
    }


def _best_payload(best: Best | None, short: Mapping[str, str]) -> dict[str, Any] | None:
    if best is None:
        return None
    return {
        "candidate": best.candidate,
        "metric": cut(best.metric),
        "score": best.score,
        "spread": best.spread,
        "standing": cut(best.standing),
        "params": [
            [
                cut(short.get(name, name)),
                cut(name),
                _brief(value),
                cut(as_python(value)),
            ]
            for name, value in best.params.items()
        ],
        "load": cut(best.load, 500),
    }


def _importances(contents: ReportContents, diverged: list[int]) -> dict[str, Any]:
    """Return the importance of params for each score, without what diverged."""
    if contents.importance is None:
        return {}
    found = {}
    for column in map(str, contents.candidates):
        if column.startswith("mean_test_"):
            frame = contents.importance(column, diverged)
            if frame is not None:
                found[cut(column)] = _importance_payload(
                    frame, contents.short, len(diverged)
                )
    return found


def _importance_payload(
    found: pd.DataFrame, short: Mapping[str, str], n_left_out: int
) -> dict[str, Any]:
    """Return the most important params, and pairs that explain what they do not."""
    alone = found[found["other"] == ""].head(_PARAMS)
    pairs = found[(found["other"] != "") & (found["importance"] > _PAIR)].head(_PAIRS)
    method = "Functional ANOVA of the score, exact on this complete grid."
    if (found["method"] == "forest").any():
        r2 = float(found["r2"].iloc[0])
        method = "Functional ANOVA of a random forest (Hutter, Hoos, Leyton-Brown 2014)"
        method += (
            f", which predicts {max(r2, 0):.0%} of the variance of candidates that it "
            "did not see."
            if r2 == r2
            else "."
        )
    if n_left_out:
        method += " Candidates that diverged are left out."
    notes = found["note"]
    common = str(notes.iloc[0]) if notes.nunique() == 1 else ""
    rows = []
    for row in pd.concat([alone, pairs]).itertuples(index=False):
        names = [row.param, row.other] if row.other else [row.param]
        rows.append(
            {
                "names": [cut(name) for name in names],
                "short": [cut(short.get(name, name)) for name in names],
                "note": "" if common else cut(row.note),
                **{
                    key: value if value == value else None
                    for key, value in (
                        ("share", row.importance),
                        ("std", row.std),
                        ("chance", row.chance),
                    )
                },
            }
        )
    return {"method": method, "note": cut(common), "rows": rows}


def _brief(value: Any) -> str:
    value = as_python(value)
    return f"{value:.6g}" if isinstance(value, float) else cut(value)


def _of_weights(weights: Mapping[str, Any]) -> list[Warned]:
    """Return what the weights warn of."""
    found = []
    diverged, zero = weights["diverged"], weights["zero"]
    if diverged:
        what = "candidate" if len(diverged) == 1 else "candidates"
        found.append(
            Warned(
                f"{len(diverged)} {what} diverged.",
                "Their weights are not finite, or a thousand times larger than usual "
                "with a poor score. They are drawn as crosses, and left out of maps.",
                diverged,
            )
        )
    if zero:
        what = "candidate has" if len(zero) == 1 else "candidates have"
        found.append(
            Warned(
                f"{len(zero)} {what} only zeros as weights.",
                "They predict a constant: the regularization is too strong.",
                zero,
            )
        )
    return found


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
        "img-src data:; connect-src 'none'; "
        "form-action 'none'; base-uri 'none'"
    )

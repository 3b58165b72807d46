"""Short texts and HTML tables for consoles and notebooks, and keys of values."""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from weightsearch._value_types import plain_scalar

__all__ = [
    "MAX_COLUMNS",
    "MAX_ROWS",
    "cut",
    "did_you_mean",
    "distinct",
    "duration_text",
    "escape",
    "numbered",
    "pairs_table",
    "section",
    "size_text",
    "table",
    "text_table",
    "view",
    "weights_table",
    "weights_text",
]

MAX_ROWS = 20
MAX_COLUMNS = 20
_CELL = 80
_LONGEST_NAME = 200
_LONGEST_HEAD = 24
_MAX_PAIRS = 60


def cut(text: str, limit: int = _CELL) -> str:
    """Shorten a text to at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def escape(text: object, limit: int = _CELL) -> str:
    """Shorten a text, and escape it for HTML."""
    # Lone surrogates, which stored text may contain, cannot be encoded.
    text = cut(str(text), limit).encode("utf-8", "backslashreplace").decode()
    return html.escape(text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean 'a' or 'b'?``; an empty text where nothing is close.

    Close are similar names, names with a similar end, and those that contain the name,
    since people leave out prefixes: ``alpha`` for ``model__alpha``, ``coefs_/0`` for
    ``model/coefs_/0``, ``score`` for ``mean_test_score``.
    """
    known = list(known)
    ends: dict[str, str] = {}
    for one in known:
        for match in re.finditer("__|/", one):
            ends.setdefault(one[match.end() :], one)
    inside = [one for one in known if name and name.lower() in one.lower()]
    inside.sort(key=lambda n: (not n.endswith(name), not n.startswith("mean_"), len(n)))
    similar = difflib.get_close_matches(name[:_LONGEST_NAME], [*known, *ends], n=3)
    found = [one if one in known else ends[one] for one in similar]
    shown = list(dict.fromkeys([*found, *inside]))[:3]
    return f"Did you mean {' or '.join(map(repr, shown))}?" if shown else ""


def table(columns: Sequence[str], rows: Iterable[Iterable[object]], n_rows: int) -> str:
    """Return an HTML table of the first columns and rows, with the number of others.

    Parameters
    ----------
    columns : sequence of str
    rows : iterable of iterables
        Cells in the order of `columns`; at most :data:`MAX_ROWS` are read.
    n_rows : int
        Number of all rows.
    """
    shown = min(n_rows, MAX_ROWS)
    names = columns[:MAX_COLUMNS]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in islice(row, len(names)))}"
        "</tr>"
        for row in islice(rows, shown)
    )
    left_out = [
        f"{count - limit} more {what}"
        for count, limit, what in (
            (n_rows, shown, "rows"),
            (len(columns), len(names), "columns"),
        )
        if count > limit
    ]
    note = f"<p>... and {', '.join(left_out)}</p>" if left_out else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


_STYLE = (
    ".weightsearch-view{font-family:monospace;line-height:1.5}"
    ".weightsearch-view details{border:1px solid rgba(128,128,128,.35);"
    "border-radius:.25em;margin:.25em 0;max-width:max-content}"
    ".weightsearch-view details details{margin:.25em .5em}"
    ".weightsearch-view summary{cursor:pointer;padding:.25em .6em;"
    "background:rgba(100,149,237,.15)}"
    ".weightsearch-view details details>summary{background:none}"
    ".weightsearch-view details>:not(summary):not(details){margin:.25em .6em}"
    ".weightsearch-view table{border-collapse:collapse;display:block;overflow-x:auto}"
    ".weightsearch-view :is(th,td){text-align:left;padding:.1em .6em;"
    "border:1px solid rgba(128,128,128,.25)}"
    ".weightsearch-view tbody tr:nth-child(even){background:rgba(128,128,128,.08)}"
)
"""In colours that suit light and dark pages."""


def view(title: str, *parts: str, is_open: bool = True) -> str:
    """Return what a notebook shows of an object: its title, and parts to unfold.

    Parameters
    ----------
    title : str
        One line, as text.
    *parts : str
        HTML: tables, or what :func:`section` returns.
    is_open : bool, default=True
    """
    folded = section(title, "".join(parts), is_open=is_open)
    return f'<div class="weightsearch-view"><style>{_STYLE}</style>{folded}</div>'


def section(title: str, content: str, *, is_open: bool = False) -> str:
    """Return a part of a :func:`view` that can be folded; `content` is HTML."""
    opened = " open" if is_open else ""
    return (
        f"<details{opened}><summary>{escape(title, 800)}</summary>{content}</details>"
    )


def pairs_table(pairs: object) -> str:
    """Return an HTML table of a dict's names and values; of anything else its text."""
    if not isinstance(pairs, Mapping):
        return f"<p>{escape(pairs, 300)}</p>"
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value, 300)}</td></tr>"
        for name, value in islice(pairs.items(), _MAX_PAIRS)
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _end_of(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"...{text[3 - limit :]}"


def text_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int = 80
) -> list[str]:
    """Return the lines of a table of the first columns, as many as are in `width`.

    Long texts are cut; names of columns and of rows lose their beginning.
    """
    heads = [_end_of(name, _LONGEST_HEAD) for name in columns]
    texts = [
        [_end_of(name, width // 2), *(cut(cell, _LONGEST_HEAD) for cell in row)]
        for name, *row in rows
    ]
    cells = list(zip(heads, *texts, strict=True))
    lines = [""] * (len(rows) + 1)
    for position, column in enumerate(cells):
        size = max(map(len, column))
        room = width - (0 if position == len(cells) - 1 else len("  ..."))
        if position and len(lines[0]) + 2 + size > room:
            lines = [line + "  ..." for line in lines]
            break
        gap = "  " if position else ""
        lines = [
            line + gap + cell.rjust(size)
            for line, cell in zip(lines, column, strict=True)
        ]
    return lines


def numbered(
    keys: Sequence[Hashable],
    texts: Sequence[str],
    more: Callable[[int], str] | None = None,
) -> list[str]:
    """Number equal texts of different values.

    Parameters
    ----------
    keys : sequence of hashable
        Equal for equal values.
    texts : sequence of str
        Texts of the values; equal keys have equal texts.
    more : callable, optional
        Position -> a longer text, tried first where short ones are equal.

    Returns
    -------
    list of str
        The texts, numbered from the second key of the same text on: ``f``, ``f (2)``,
        ``f (3)``.
    """
    if more is not None:
        clashes = set(_clashing(keys, texts))
        texts = [more(i) if text in clashes else text for i, text in enumerate(texts)]
    named: dict[Any, str] = {}
    taken: set[str] = set()
    counts: dict[str, int] = {}
    for key, text in zip(keys, texts, strict=True):
        if key in named:
            continue
        name = text
        while name in taken:
            counts[text] = counts.get(text, 1) + 1
            name = f"{text} ({counts[text]})"
        taken.add(name)
        named[key] = name
    return [named[key] for key in keys]


def _clashing(keys: Iterable[Hashable], texts: Iterable[str]) -> Iterator[str]:
    first: dict[str, Hashable] = {}
    for key, text in zip(keys, texts, strict=True):
        if first.setdefault(text, key) != key:
            yield text


def distinct(value: Any) -> Hashable:
    """Return a hashable key of a param's value, equal for equal values.

    ``1``, ``1.0`` and ``True`` have different keys, as have None and a missing value;
    dicts in another order differ. An object without a hash is only equal to itself.
    """
    value = plain_scalar(value)
    kind = type(value)
    if kind in (list, tuple):
        return kind, tuple(map(distinct, value))
    if kind in (set, frozenset):
        return kind, frozenset(map(distinct, value))
    if kind is dict:
        return kind, tuple((distinct(k), distinct(item)) for k, item in value.items())
    if isinstance(value, np.ndarray):
        return kind, value.dtype.str, value.shape, distinct(value.ravel().tolist())
    if kind is float and value != value:
        return kind, "nan"
    try:
        hash(value)
    except TypeError:
        return kind, id(value)
    return kind, value


def size_text(n_bytes: float) -> str:
    """Return a number of bytes with a unit, such as ``1.2 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return (
                f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
            )
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def duration_text(seconds: float) -> str:
    """Return a number of seconds with units, such as ``1 min 5 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def weights_text(
    title: str, shapes: Sequence[tuple[str, tuple[int, ...]]], limit: int = 8
) -> str:
    """Return one line: the first names of weights, with their shapes."""
    shown = [f"{cut(name)}: {shape}" for name, shape in shapes[:limit]]
    if len(shapes) > limit:
        shown.append(f"... {len(shapes) - limit} more")
    return f"<{title} {', '.join(shown)}>" if shown else f"<{title}: none>"


def weights_table(rows: Sequence[tuple[str, tuple[int, ...], object]]) -> str:
    """Return an HTML table of weights: name, shape and type."""
    return table(("weight", "shape", "dtype"), rows, len(rows))

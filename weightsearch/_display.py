"""What consoles and notebooks show: HTML is escaped, and nothing is long."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from itertools import islice

__all__ = [
    "MAX_COLUMNS",
    "MAX_ROWS",
    "cut",
    "escape",
    "size_text",
    "table",
    "weights_table",
    "weights_text",
]

MAX_ROWS = 20
MAX_COLUMNS = 20
_CELL = 80


def cut(text: str, limit: int = _CELL) -> str:
    """Return a text of `limit` characters at most."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def escape(text: object, limit: int = _CELL) -> str:
    """Return a text as HTML shows it, cut first."""
    # Half a surrogate pair, which a stored text may hold, cannot be sent anywhere.
    text = cut(str(text), limit).encode("utf-8", "backslashreplace").decode()
    return html.escape(text)


def table(columns: Sequence[str], rows: Iterable[Iterable[object]], n_rows: int) -> str:
    """Make a table of the first columns and rows, and say how many there are.

    Parameters
    ----------
    columns : sequence of str
    rows : iterable of iterables
        Cells in the order of `columns`; no more than :data:`MAX_ROWS` are read.
    n_rows : int
        How many rows there are in all.
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


def size_text(n_bytes: float) -> str:
    """Return a number of bytes as people say it, such as ``1.2 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return (
                f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
            )
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def weights_text(
    title: str, shapes: Sequence[tuple[str, tuple[int, ...]]], limit: int = 8
) -> str:
    """Show weights in a line: the first names, each with its shape."""
    shown = [f"{cut(name)}: {shape}" for name, shape in shapes[:limit]]
    if len(shapes) > limit:
        shown.append(f"... {len(shapes) - limit} more")
    return f"<{title} {', '.join(shown)}>" if shown else f"<{title}: none>"


def weights_table(rows: Sequence[tuple[str, tuple[int, ...], object]]) -> str:
    """Show weights in a table of HTML: name, shape and type of each."""
    return table(("weight", "shape", "dtype"), rows, len(rows))

"""A table on a terminal, in a pipe, as JSON or as CSV."""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from weightsearch.cli._guard import UserError
from weightsearch.cli._text import clean
from weightsearch.run._candidates import cell_text, exact_text

__all__ = ["Format", "choose_format", "plain_value", "write_frame"]

if TYPE_CHECKING:
    import rich.table

Format = Literal["table", "json", "csv"]

# Laying out takes rich half a second for each thousand rows.
_MANY = 1000


def choose_format(as_json: bool, as_csv: bool) -> Format:
    """Return the format that the options ask for."""
    if as_json and as_csv:
        raise UserError("Choose one of --json and --csv.")
    return "json" if as_json else "csv" if as_csv else "table"


def write_frame(frame: pd.DataFrame, form: Format, exact: Collection[str] = ()) -> None:
    """Write a frame, without its index, to stdout.

    Parameters
    ----------
    frame : DataFrame
    form : {"table", "json", "csv"}
    exact : collection of str
        Columns whose numbers a table shows with all their digits: what was given,
        not measured.
    """
    rows = frame.itertuples(index=False, name=None)
    columns = [str(name) for name in frame.columns]
    if form == "json":
        _write_json(columns, rows)
    elif form == "csv":
        # What a terminal takes for more than text is escaped here too.
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(map(clean, columns))
        writer.writerows([_csv_cell(value) for value in row] for row in rows)
    else:
        shown = [exact_text if name in exact else cell_text for name in columns]
        cells = [
            [clean(text(value)) for text, value in zip(shown, row, strict=True)]
            for row in rows
        ]
        right = [pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]
        head = list(map(clean, columns))
        if sys.stdout.isatty() and len(cells) <= _MANY:
            _write_for_terminal(head, cells, right)
        else:
            _write_plain(head, cells, right)


def _write_json(columns: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    separator = "[\n"
    for row in rows:
        # What a row has no value for is not in it; None is a value.
        pairs = zip(columns, row, strict=True)
        values = {name: plain_value(v) for name, v in pairs if v is not pd.NA}
        # In ASCII, which no terminal takes for anything else.
        sys.stdout.write(separator + json.dumps(values, allow_nan=False))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def plain_value(value: Any) -> Any:
    """Return what JSON has for a value; None for what is no finite number."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or value is pd.NA or isinstance(value, bool | str):
        return value if value is not pd.NA else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and value.bit_length() < 1024:
        return value
    if isinstance(value, Mapping):
        return {exact_text(k): plain_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_value(item) for item in value]
    return exact_text(value)


def _csv_cell(value: Any) -> str:
    if isinstance(value, float) and value != value:
        return ""
    return clean(exact_text(value))


def _write_plain(head: list[str], rows: list[list[str]], right: list[bool]) -> None:
    from rich.cells import cell_len

    lines = [head, *rows]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = []
        for cell, width, at_right in zip(line, widths, right, strict=True):
            space = " " * (width - cell_len(cell))
            cells.append(space + cell if at_right else cell + space)
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _write_for_terminal(
    head: list[str], rows: list[list[str]], right: list[bool]
) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for shown in (head, _folded(head, rows)):
        table = _table(shown, rows, right)
        unbounded = console.options.update(width=1 << 20)
        needed = console.measure(table, options=unbounded).maximum
        if needed <= console.width or len(head) <= 2:
            console.print(table)
            return
    # Too wide: a block of lines for each row, as consoles of databases have it.
    for row in rows:
        pairs = [[name, cell] for name, cell in zip(head, row, strict=True)]
        console.print(_table(None, pairs, [False, False]))
        console.print()


def _table(
    head: list[str] | None, rows: list[list[str]], right: list[bool]
) -> rich.table.Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=head is not None)
    for name, at_right in zip(head or ("", ""), right, strict=True):
        justify: Literal["left", "right"] = "right" if at_right else "left"
        # As Text, in which no markup is read.
        table.add_column(Text(name), justify=justify, overflow="fold")
    if head is None:
        table.columns[0].style = "bold"
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _folded(head: list[str], rows: list[list[str]]) -> list[str]:
    """Break names at their underscores, to be no wider than their columns."""
    from rich.cells import cell_len

    folded = []
    for name, *cells in zip(head, *rows, strict=True):
        width = max(map(cell_len, cells), default=0)
        lines = [""]
        for piece in re.findall(r"[^_]*_?", name):
            if lines[-1] and len(lines[-1] + piece) > width:
                lines.append("")
            lines[-1] += piece
        folded.append("\n".join(lines))
    return folded

"""Write data frames to stdout: as tables, JSON or CSV."""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from weightsearch._display import MAX_ROWS, did_you_mean
from weightsearch._records import Array
from weightsearch.cli._errors import UserError
from weightsearch.cli._text import clean, note
from weightsearch.run import Run, StoredWeights
from weightsearch.run._candidates import cell_text, exact_text

__all__ = [
    "Format",
    "choose_format",
    "select",
    "with_index",
    "write_array",
    "write_candidate",
    "write_candidate_json",
    "write_frame",
]

if TYPE_CHECKING:
    import rich.table

Format = Literal["table", "json", "csv"]

# The layout takes rich half a second per thousand rows.
_MANY = 1000


def choose_format(as_json: bool, as_csv: bool) -> Format:
    """Return the format that the options ask for."""
    if as_json and as_csv:
        raise UserError("--json and --csv exclude each other: choose one.")
    return "json" if as_json else "csv" if as_csv else "table"


def write_frame(
    frame: pd.DataFrame,
    form: Format,
    exact: Collection[str] = (),
    *,
    brief: bool = False,
) -> None:
    """Write a frame, without its index, to stdout.

    Parameters
    ----------
    frame : DataFrame
    form : {"table", "json", "csv"}
    exact : collection of str
        Columns whose numbers a table shows with all digits: given, not measured.
    brief : bool, default=False
        Whether a table has the first 20 rows, and a note says how many more there are.
    """
    n_rows = len(frame)
    if brief and form == "table":
        frame = frame.head(MAX_ROWS)
    rows = frame.itertuples(index=False, name=None)
    columns = [str(name) for name in frame.columns]
    if form == "json":
        _write_json(columns, rows)
    elif form == "csv":
        # Control characters are escaped here too.
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(map(_csv_cell, columns))
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
        if len(frame) < n_rows:
            sys.stdout.flush()
            note(f"... and {n_rows - len(frame)} more: --limit {n_rows} shows all")


def _write_json(columns: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    separator = "[\n"
    for row in rows:
        # Missing values are left out; None is a value.
        pairs = zip(columns, row, strict=True)
        values = {name: _json_value(v) for name, v in pairs if v is not pd.NA}
        # In ASCII, so that no control character reaches a terminal.
        sys.stdout.write(separator + json.dumps(values, allow_nan=False))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def _json_value(value: Any) -> Any:
    """Return a value that JSON has; None for NaN and infinity."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or value is pd.NA or isinstance(value, bool | str):
        return value if value is not pd.NA else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and value.bit_length() < 1024:
        return value
    if isinstance(value, Mapping):
        return {exact_text(k): _json_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_json_value(item) for item in value]
    return exact_text(value)


def _csv_cell(value: Any) -> str:
    if isinstance(value, float) and value != value:
        return ""
    text = clean(exact_text(value))
    if text[:1] in tuple("=+-@") and not _is_number(text):
        # A spreadsheet would take it for a formula.
        return f"'{text}"
    return text


def _is_number(text: str) -> bool:
    try:
        complex(text)
    except ValueError:
        return False
    return True


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
    # Too wide: one block of lines per row, as in consoles of databases.
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
        # As Text, in which markup is not interpreted.
        table.add_column(Text(name), justify=justify, overflow="fold")
    if head is None:
        table.columns[0].style = "bold"
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _folded(head: list[str], rows: list[list[str]]) -> list[str]:
    """Break names at underscores, so that they are no wider than their columns."""
    from rich.cells import cell_len

    folded = []
    for name, *cells in zip(head, *rows, strict=True):
        width = max(map(cell_len, cells), default=0)
        lines = [""]
        for piece in re.findall(r"[^_]*_*", name):
            if lines[-1] and len(lines[-1] + piece) > width:
                lines.append("")
            lines[-1] += piece
        folded.append("\n".join(lines))
    return folded


def with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Make the index the first column; another one of its name gets a prefix."""
    name = str(frame.index.name)
    return frame.rename(columns={name: f"param_{name}"}).reset_index()


def select(
    frame: pd.DataFrame,
    *,
    columns: Sequence[str] | None,
    sort: str | None,
    limit: int | None,
    default: Sequence[str] | None = None,
    rank: str | None = None,
) -> pd.DataFrame:
    """Apply the options ``--columns``, ``--sort`` and ``--limit``.

    Parameters
    ----------
    frame : DataFrame
    columns, sort, limit
        The options' values.
    default : sequence of str, default=None
        Columns where none are chosen; None: all.
    rank : str, default=None
        The column that ``rank`` is short for.
    """
    if sort:
        name = _column(frame, sort.removeprefix("-"), rank)
        frame = _sorted(frame, name, ascending=not sort.startswith("-"))
    if limit is not None:
        frame = frame.head(limit)
    if columns:
        asked = [name.strip() for text in columns for name in text.split(",")]
        return frame[_columns(frame, list(filter(None, asked)), rank)]
    return frame if default is None else frame[list(default)]


def _sorted(frame: pd.DataFrame, name: str, *, ascending: bool) -> pd.DataFrame:
    try:
        return frame.sort_values(name, ascending=ascending, kind="stable")
    except TypeError:
        # Values without an order, such as "auto" and 0.1: by type, then text.
        key = frame[name].map(lambda value: (type(value).__name__, str(value)))
        return frame.loc[key.sort_values(ascending=ascending, kind="stable").index]


def _columns(frame: pd.DataFrame, asked: Sequence[str], rank: str | None) -> list[str]:
    chosen: list[str] = []
    for name in asked:
        if name in frame.columns or not any(char in name for char in "*?"):
            chosen += (
                list(frame.columns) if name == "all" else [_column(frame, name, rank)]
            )
            continue
        found = [known for known in frame.columns if fnmatchcase(known, name)]
        if not found:
            raise UserError(f"No column matches {name!r}. {_there_are(frame)}")
        chosen += found
    return list(dict.fromkeys(chosen))


def _column(frame: pd.DataFrame, name: str, rank: str | None) -> str:
    """Look up a column as queries do: also as ``param_<name>``, and ``rank``."""
    for known in (name, name.removeprefix("param_")):
        if known in frame.columns:
            return known
    if name == "rank" and rank is not None:
        return rank
    hint = did_you_mean(name, frame.columns) or _there_are(frame)
    raise UserError(f"There is no column {name!r}. {hint}")


def _there_are(frame: pd.DataFrame) -> str:
    names = list(frame.columns)
    return f"There are {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}."


def write_array(array: Array, as_json: bool) -> None:
    """Write the values of a weight."""
    if as_json:
        print(json.dumps(_json_value(array), allow_nan=False))
    else:
        print(f"{array.dtype} of shape {array.shape}")
        print(np.array2string(array, threshold=1000, max_line_width=80))


def write_candidate_json(run: Run, number: int, weights: StoredWeights | None) -> None:
    """Write everything that is known of a candidate."""
    params = run.params(number)
    results = {
        name: value
        for name, value in _results(run, number).items()
        # A param that only other candidates have is missing here.
        if name not in params and value is not pd.NA
    }
    shown = {
        "run": run.name,
        "candidate": number,
        "params": params,
        "results": results,
        "weights": [] if weights is None else _rows(weights),
    }
    print(json.dumps(_json_value(shown), allow_nan=False, indent=1))


def write_candidate(run: Run, number: int, weights: StoredWeights | None) -> None:
    """Write a candidate's params and results as a table, and one of its weights."""
    params = run.params(number)
    values = {"candidate": str(number)}
    for name, value in _results(run, number).items():
        values[name] = exact_text(value) if name in params else cell_text(value)
    write_frame(pd.DataFrame(values.items(), columns=["column", "value"]), "table")
    if weights is not None:
        print()
        write_frame(pd.DataFrame(_rows(weights)), "table")


def _results(run: Run, number: int) -> dict[str, Any]:
    return {name: column.iloc[number] for name, column in run.candidates.items()}


def _rows(weights: StoredWeights) -> list[dict[str, Any]]:
    dtypes = weights.dtypes
    return [
        {"name": name, "shape": shape, "dtype": dtypes[name]}
        for name, shape in weights.shapes.items()
    ]

"""Read X and y from a file, as the search had them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._identity import identify_data
from weightsearch._records import Array
from weightsearch.cli._errors import UserError, as_user_error
from weightsearch.run import Run

__all__ = ["read_column", "read_data"]


def read_data(path: Path, run: Run, target: str | None = None) -> tuple[Any, Any]:
    """Read the data that a run was fitted on.

    Parameters
    ----------
    path : Path
        ``.npz`` with the arrays X and y, or a table, ``.csv`` or ``.parquet``, of which
        one column is y.
    run : Run
        Its digests tell whether it was fitted on a table or on an array of numbers.
    target : str, default=None
        Name of the column, or of the array, that is y; None: ``y``.

    Returns
    -------
    X, y
        In the form that the run was fitted on; if there is none, as they are in the
        file, so that they are refused by name.
    """
    identity = run._source.header.identity
    forms = list(_forms(path.expanduser(), target or "y"))
    for X, y in forms:
        found = identify_data(X, y, known=identity)
        if all(_digest(found[name]) == _digest(identity.get(name)) for name in found):
            return X, y
    return forms[0]


def _digest(part: str | None) -> str | None:
    return part.partition(" ")[0] or None if part else None


def _forms(path: Path, target: str) -> Iterator[tuple[Any, Any]]:
    """Yield what may have been passed to fit."""
    suffix = path.suffix.lower()
    if suffix == ".npz":
        yield _read_array(path, "X"), _read_array(path, target)
        return
    table = _read_table(path)
    if target not in table:
        names = ", ".join(map(str, table.columns[:8]))
        raise UserError(
            f"{path} has no column {target!r}: name the target with --target. Its "
            f"columns are {names}{', ...' if len(table.columns) > 8 else ''}."
        )
    X, y = table.drop(columns=target), table[target]
    targets = [y, y.to_numpy()]
    if pd.api.types.is_integer_dtype(y.dtype):
        targets.append(y.to_numpy(dtype=float))
    rows: list[Any] = [X, X.to_numpy()]
    if all(pd.api.types.is_numeric_dtype(kind) for kind in X.dtypes):
        rows.append(X.to_numpy(dtype=float))
    for one in rows:
        for of_it in targets:
            yield one, of_it


def read_column(path: Path, name: str) -> pd.Series:
    """Read one column of a table, or one array of an ``.npz`` file."""
    path = path.expanduser()
    if path.suffix.lower() == ".npz":
        array = _read_array(path, name)
        if array.ndim != 1:
            raise UserError(f"{name!r} in {path} is not a column: {array.shape}.")
        return pd.Series(array, name=name)
    table = _read_table(path)
    if name not in table:
        raise UserError(f"{path} has no column {name!r}.")
    return table[name]


def _read_array(path: Path, name: str) -> Array:
    # Never unpickled: arrays of objects are refused.
    with as_user_error(ValueError), np.load(path, allow_pickle=False) as arrays:
        if name not in arrays:
            raise UserError(f"{path} has no array {name!r}, but {', '.join(arrays)}.")
        array: Array = arrays[name]
        return array


def _read_table(path: Path) -> pd.DataFrame:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        with as_user_error(ValueError):
            return pd.read_csv(path)
    if suffix == ".parquet":
        with as_user_error(ValueError, ImportError):
            return pd.read_parquet(path)
    raise UserError(f"{path} must end with .npz, .csv or .parquet.")

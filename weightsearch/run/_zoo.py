"""Weights of many models as one matrix: a model zoo in a folder."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from weightsearch._params import show
from weightsearch._records import Array
from weightsearch.compare._numeric import as_numbers
from weightsearch.exceptions import SnapshotError, UnequalWeightsError
from weightsearch.run._trajectories import Trajectory

__all__ = ["Zoo", "export_zoo", "read_zoo"]

SUBSETS = ("train", "val", "test")

Layout = dict[str, tuple[tuple[int, ...], np.dtype[Any]]]
Allocate = Callable[[tuple[int, int], np.dtype[Any]], Array]


class Zoo(NamedTuple):
    """Weights of many models as one matrix, with its layout and a table of models.

    Attributes
    ----------
    weights : ndarray of shape (n_rows, n_weights)
        One row per model and snapshot, or per model where no snapshots were taken;
        floating point weights, flattened in C order.
    layout : DataFrame
        ``varname``, ``start_idx``, ``end_idx``, ``size`` and ``shape`` of each weight
        in the rows.
    table : DataFrame of shape (n_rows, ...)
        About each row ``candidate``, ``subset`` (``"train"``, ``"val"`` or
        ``"test"``), params as ``config.<param>``, mean test scores as
        ``cv.mean_test_score`` (of the whole candidate, so equal for its snapshots),
        ``epoch``, and what the framework recorded then.
    """

    weights: Array
    layout: pd.DataFrame
    table: pd.DataFrame


def read_zoo(
    run: Any,
    numbers: Sequence[int],
    split: int | None,
    shares: tuple[float, float, float],
    random_state: int,
    allocate: Allocate = np.empty,
) -> Zoo:
    """Read the weights of candidates into one matrix; see ``Run.zoo``."""
    if len(shares) != 3 or min(shares) < 0 or not np.isclose(sum(shares), 1):
        raise ValueError(
            f"shares must be three numbers from 0 on with a sum of 1, got {shares!r}."
        )
    fits = [run._trajectory(number, split) for number in numbers]
    taken = [fit is not None for fit in fits]
    if any(taken) and not all(taken):
        raise SnapshotError(
            f"Candidate {numbers[taken.index(False)]} of run {run.name} has no "
            f"snapshots and candidate {numbers[taken.index(True)]} has: pass "
            "candidates=... of one sort."
        )
    lengths = [1 if fit is None else len(fit.epochs) for fit in fits]
    layout: Layout | None = None
    matrix = np.empty((0, 0))
    first_row = 0
    for number, fit, length in zip(numbers, fits, lengths, strict=True):
        stacks = _stacks(run, number, split, fit)
        own: Layout = {n: (v.shape[1:], v.dtype) for n, v in stacks.items()}
        if layout is None:
            layout = own
            columns = _layout_table(layout)
            dtype = np.result_type(*(dtype for _, dtype in layout.values()))
            matrix = allocate((sum(lengths), int(columns["end_idx"].iloc[-1])), dtype)
        elif list(own.items()) != list(layout.items()):
            raise UnequalWeightsError(
                f"The weights of candidate {number} differ in name, shape or type from "
                f"those of candidate {numbers[0]}; a zoo is of one architecture: pass "
                "candidates=..."
            )
        rows = slice(first_row, first_row + length)
        matrix[rows] = np.concatenate(
            [values.reshape(length, -1) for values in stacks.values()], axis=1
        )
        first_row += length
    subsets = _subsets(len(numbers), shares, random_state)
    tables = [
        _metrics_table(run, number, fit, subset)
        for number, fit, subset in zip(numbers, fits, subsets, strict=True)
    ]
    table = pd.concat(tables, ignore_index=True).infer_objects()
    return Zoo(matrix, columns, table)


def export_zoo(path: Path, read: Callable[[Allocate], Zoo]) -> Path:
    """Write a zoo into a folder; see ``Run.export_zoo``.

    Parameters
    ----------
    path : Path
    read : callable
        As :func:`read_zoo`, of `allocate` alone.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists: name a new folder.")
    # Written aside first, so that an interrupted export leaves no half zoo.
    aside = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    aside.mkdir()
    try:
        _write(read, aside)
        aside.replace(path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return path


def _write(read: Callable[[Allocate], Zoo], folder: Path) -> None:
    matrix: Any = None

    def allocate(shape: tuple[int, int], dtype: np.dtype[Any]) -> Array:
        nonlocal matrix
        matrix = np.lib.format.open_memmap(
            folder / "weights.npy", "w+", dtype=dtype, shape=shape
        )
        return np.asarray(matrix)

    _, layout, table = read(allocate)
    matrix.flush()
    layout.to_csv(folder / "layout.csv", index=False)
    # Without the time of writing, equal zoos are equal files.
    table.to_csv(
        folder / "metrics.csv.gz",
        index=False,
        compression={"method": "gzip", "mtime": 0},
    )


def _stacks(
    run: Any, number: int, split: int | None, fit: Trajectory | None
) -> dict[str, Array]:
    """Return the floating point weights of a fit, stacked over its snapshots."""
    weights: Mapping[str, Array]
    if fit is None:
        weights = {n: v[None] for n, v in run.weights(number, split).to_dict().items()}
    else:
        weights = fit
    found = {}
    for name in weights:
        values = weights[name]
        if values.dtype.kind in "fV" and (numbers := as_numbers(values)) is not None:
            # numpy's readers do not know the types of ml_dtypes.
            found[name] = values if values.dtype.kind == "f" else numbers.astype("f4")
    if not found:
        raise UnequalWeightsError(
            f"Candidate {number} has no floating point weights to put into a matrix."
        )
    return found


def _layout_table(layout: Layout) -> pd.DataFrame:
    sizes = [int(np.prod(shape)) for shape, _ in layout.values()]
    ends = np.cumsum(sizes)
    return pd.DataFrame(
        {
            "varname": list(layout),
            "start_idx": ends - sizes,
            "end_idx": ends,
            "size": sizes,
            "shape": [str(shape) for shape, _ in layout.values()],
        }
    )


def _metrics_table(
    run: Any, number: int, fit: Trajectory | None, subset: str
) -> pd.DataFrame:
    """Return one row per snapshot: which model, its params, what is known of it."""
    if fit is None:
        known = pd.DataFrame(index=pd.Index([pd.NA], name="epoch"))
    else:
        known = fit.metrics
    beside: dict[str, Any] = {"candidate": number, "subset": subset}
    for name, value in run.params(number).items():
        plain = value is None or isinstance(value, bool | int | float | str)
        beside[f"config.{name}"] = value if plain else show(value)
    frame = run.candidates
    for column in map(str, frame):
        if column.startswith("mean_test_"):
            beside[f"cv.{column}"] = frame[column][number]
    left = pd.DataFrame([beside] * len(known), dtype=object)
    return pd.concat([left, known.reset_index()], axis=1)


def _subsets(
    n: int, shares: tuple[float, float, float], random_state: int
) -> list[str]:
    """Return a subset for each model."""
    ends = np.rint(np.cumsum(shares) * n).astype(int)
    order = np.random.default_rng(random_state).permutation(n)
    places = np.searchsorted(ends, order, side="right")
    return [SUBSETS[place] for place in places]

"""The contents of a report: what it shows of a run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._records import REFIT, Array, FitTable, RunSource
from weightsearch.report._summary import (
    Best,
    Warned,
    best_candidate,
    short_names,
    tiles,
    warnings_of,
)

__all__ = ["ReportContents", "WeightGroup", "report_contents"]

Importance = Callable[[str, Collection[int]], pd.DataFrame | None]


@dataclass(frozen=True)
class WeightGroup:
    """One weight of all candidates in which it has the same shape and type.

    Attributes
    ----------
    name : str
    shape : tuple of int
    candidates : tuple of int
        Their numbers, ascending.
    read : callable
        Sequence of n of these numbers -> ndarray of shape ``(n, *shape)``.
    is_measured : bool
        Whether it counts in distances of all weights.
    is_main : bool
        Whether it is shown by default: a measured weight of the final estimator.
    short : str
        The name without the pipeline's step; empty: the name.
    """

    name: str
    shape: tuple[int, ...]
    candidates: tuple[int, ...]
    read: Callable[[Sequence[int]], Array]
    is_measured: bool = True
    is_main: bool = True
    short: str = ""

    @property
    def count(self) -> int:
        """Number of elements of one candidate's array."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ReportContents:
    """Everything that a report shows.

    Attributes
    ----------
    title : str
    subtitle : str
        One line below the title.
    facts : dict of str -> dict of str -> object
        Headings, each with the names and values below it.
    candidates : DataFrame
        One row per candidate, the best first; the index is the candidate's number.
    params : sequence of str
        The columns of `candidates` that are params.
    score : str or None
        The column that plots show initially.
    best : int or None
        The best candidate.
    headline : Best or None
        What the first screen says of it.
    tiles : dict of str -> str
        Names and values on the first screen.
    short : dict of str -> str
        Short names of columns.
    warnings : sequence of Warned
    importance : callable or None
        Column of a score and candidates to leave out -> DataFrame, from
        :func:`weightsearch.compare.param_importance`, or None.
    weights : sequence of WeightGroup
        In the model's order; may be empty.
    trajectory : callable or None
        Candidate -> its :class:`weightsearch.Trajectory`, or None without snapshots.
    notes : sequence of str
        Sentences at the top of the page.
    """

    title: str
    subtitle: str
    facts: Mapping[str, Mapping[str, Any]]
    candidates: pd.DataFrame
    params: Sequence[str] = ()
    score: str | None = None
    best: int | None = None
    headline: Best | None = None
    tiles: Mapping[str, str] = field(default_factory=dict)
    short: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[Warned] = ()
    importance: Importance | None = None
    weights: Sequence[WeightGroup] = ()
    trajectory: Callable[[int], Any] | None = None
    notes: Sequence[str] = field(default=())


def report_contents(
    source: RunSource,
    fits: FitTable,
    candidates: pd.DataFrame,
    *,
    params: Sequence[str],
    score: str | None,
    rank: str | None,
    settings: Mapping[str, Any],
    title: str | None,
    trajectory: Callable[[int, int | None], Any],
    importance: Importance | None = None,
) -> ReportContents:
    """Collect what a report shows of a run.

    Parameters
    ----------
    source : RunSource
    fits : FitTable
        The source's fits.
    candidates : DataFrame
        The run's table of candidates.
    params : sequence of str
        Its columns that are params.
    score, rank : str or None
        Its columns of the main score and of its rank.
    settings : dict
        The search's settings.
    title : str or None
        None: made of the estimator's name.
    trajectory : callable
        Candidate and split (None: the refit) -> its trajectory, or None.
    importance : callable, default=None
        As in :class:`ReportContents`.

    Returns
    -------
    ReportContents
    """
    header = source.header
    split = _shown_split(fits)
    notes = []
    if header.status != "complete":
        notes.append(
            f"The run is {header.status}: this is what had finished when the report "
            "was made."
        )
    if split is None:
        notes.append("This run holds no weights.")
    elif split != REFIT:
        notes.append(
            f"The weights are those of split {split}, fitted on a part of the data, "
            "since fewer than two candidates have a refit here."
        )
    order = rank or score
    ordered = candidates
    if order is not None:
        ordered = candidates.sort_values(order, ascending=order != score, kind="stable")
    short = short_names([str(c) for c in candidates.columns], params, header)
    best = best_candidate(source, fits, candidates, params, score)
    searched = tiles(source, fits, candidates, score)
    plain = dict(settings)
    distributions = plain.pop("param_distributions", None)
    now = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
    started = header.started[:16].replace("T", " ")
    return ReportContents(
        title=title or f"Search of {searched['Estimator']}",
        subtitle=f"Run {header.name}, {started} UTC",
        facts={
            "Distributions": distributions if isinstance(distributions, dict) else {},
            "Settings of the search": {
                **plain,
                "uid": header.uid,
                "started": header.started,
                "finished": header.finished,
                "report made": now,
            },
            "Params of the estimator before the search": dict(
                header.estimator.get("params", {})
            ),
            "Versions": dict(header.environment),
        },
        candidates=ordered,
        params=params,
        score=score,
        best=source.best_index(),
        headline=best,
        tiles=searched,
        short=short,
        warnings=warnings_of(source, fits, candidates, params, score, best, short),
        importance=importance,
        weights=[] if split is None else _weight_groups(source, fits, split),
        trajectory=lambda c: trajectory(c, None if split == REFIT else split),
        notes=notes,
    )


def _shown_split(fits: FitTable) -> int | None:
    """Return the refits, or the fullest split where fewer than two were refit."""
    counts: Counter[int] = Counter(fits.split[fits.has_weights].tolist())
    refits = counts.pop(REFIT, 0)
    if refits > 1 or not counts:
        return REFIT if refits else None
    return min(counts, key=lambda split: (-counts[split], split))


def _weight_groups(source: RunSource, fits: FitTable, split: int) -> list[WeightGroup]:
    # Of two rows of a candidate the later one counts.
    found = np.flatnonzero(fits.split == split)
    rows = dict(zip(fits.candidate[found].tolist(), found.tolist(), strict=True))
    measured: set[str] = set()
    members: dict[tuple[str, tuple[int, ...], str], dict[int, int]] = {}
    for candidate, row in sorted(rows.items()):
        specs = source.specs(row)
        if specs is None:
            continue
        measured.update(spec.name for spec in specs.measured())
        for spec in specs.arrays:
            key = (spec.name, spec.shape, spec.dtype)
            members.setdefault(key, {})[candidate] = row
    # In the model's order of names, whichever candidate has them first.
    order = {name: i for i, name in enumerate(dict.fromkeys(k[0] for k in members))}
    by_name = sorted(members.items(), key=lambda item: order[item[0][0]])
    step = "".join(f"{name}/" for name in source.header.estimator.get("steps", ()))
    final = {name for name in measured if name.startswith(step)} or measured
    return [
        WeightGroup(
            name,
            shape,
            tuple(own),
            _reader(source, name, own),
            name in measured,
            name in final,
            name.removeprefix(step),
        )
        for (name, shape, _), own in by_name
    ]


def _reader(
    source: RunSource, name: str, rows: Mapping[int, int]
) -> Callable[[Sequence[int]], Array]:
    return lambda candidates: source.stack(name, [rows[c] for c in candidates])

"""The first screen of a report: the best candidate, the search, and its warnings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._records import Array, FitTable, RunHeader, RunSource
from weightsearch.choose import split_scores

__all__ = [
    "Best",
    "Warned",
    "best_candidate",
    "metric_name",
    "short_names",
    "tiles",
    "unusual",
    "warnings_of",
]

_SHAPE = re.compile(r"\((\d+(?:, ?\d+)*),?\)$")
_FEW = 3
_SHARE = 0.5
_KINDS = {"Halving": "halving", "Grid": "grid", "Random": "drawn at random"}


@dataclass(frozen=True)
class Best:
    """What the first screen says of the best candidate.

    Attributes
    ----------
    candidate : int
    metric, score, spread, standing : str
        The score's name, mean and standard deviation over the splits (empty where
        unknown), and the candidate's rank among the others.
    params : dict of str -> object
    load : str
        Code that loads the model; empty where none is stored.
    """

    candidate: int
    metric: str
    score: str
    spread: str
    standing: str
    params: Mapping[str, Any]
    load: str = ""


@dataclass(frozen=True)
class Warned:
    """Something that a person should act on.

    Attributes
    ----------
    title, text : str
    candidates : sequence of int
        The candidates concerned.
    """

    title: str
    text: str
    candidates: Sequence[int] = ()


def metric_name(column: str, header: RunHeader) -> str:
    """Return the true name of the metric of ``mean_test_<metric>``."""
    metric = column.partition("_test_")[2] or column.partition("_train_")[2]
    if metric != "score":
        return metric
    scoring = header.settings.get("scoring")
    if scoring is None:
        return str(header.estimator.get("score", "score"))
    return str(scoring)


def short_names(
    columns: Sequence[str], params: Sequence[str], header: RunHeader
) -> dict[str, str]:
    """Return a short name for each column of the table of candidates.

    A param keeps what follows its last ``__``, unless two would be called the same.
    """
    ends = [name.rpartition("__")[2] for name in params]
    short = {
        name: end if ends.count(end) == 1 and end not in columns else name
        for name, end in zip(params, ends, strict=True)
    }
    several = sum(name.startswith("mean_test_") for name in columns) > 1
    for name in columns:
        if name in short:
            continue
        start, found, metric = name.partition("_test_")
        if found or (parts := name.partition("_train_"))[1]:
            if not found:
                start, _, metric = parts
            metric = metric_name(f"mean_test_{metric}", header)
            metric = metric if found else f"train {metric}"
            of = f" of {metric}" if several else ""
            known = {"mean": metric, "std": f"± {metric}", "rank": f"rank{of}"}
            split = start.removeprefix("split")
            short[name] = known.get(start, f"split {split} {metric}")
        elif name.endswith(("_fit_time", "_score_time")):
            start, _, what = name.partition("_")
            time = what.replace("_", " ") + " (s)"
            short[name] = time if start == "mean" else f"± {time}"
    return short


def best_candidate(
    source: RunSource,
    fits: FitTable,
    candidates: pd.DataFrame,
    params: Sequence[str],
    score: str | None,
) -> Best | None:
    """Return the chosen candidate, or the leader where none was chosen."""
    header, chosen = source.header, source.best_index()
    if score is None or candidates[score].isna().all():
        return None
    means = _last_iteration(candidates, score)
    number = int(means.idxmax()) if chosen is None else chosen
    metric = score.removeprefix("mean_test_")
    spread = candidates.get(f"std_test_{metric}")
    std = float("nan") if spread is None else float(spread[number])
    rank = int((means > means[number]).sum()) + 1
    standing = f"best of {means.notna().sum():,}"
    if rank > 1:
        standing = f"rank {rank} of {means.notna().sum():,}"
    if "iter" in candidates:
        standing += " in the last iteration"
    if chosen is None:
        standing += (
            "; the search has not chosen one"
            if header.status == "complete"
            else f" so far; the run is {header.status}"
        )
    within = within_one_error(candidates, score)
    if within is not None:
        standing += f"; {within:,} within one standard error"
    rows = fits.candidate[fits.has_weights & (fits.split < 0)]
    load = ""
    if chosen is not None and chosen in rows and header.status == "complete":
        name = Path(str(getattr(source, "path", "search.h5"))).name
        load = (
            f"model = weightsearch.WeightStore({name!r}).run({header.name!r})"
            ".best.load()"
        )
    return Best(
        number,
        metric_name(score, header),
        f"{means[number]:.4g}",
        f"{std:.2g}" if np.isfinite(std) else "",
        standing,
        {
            name: value
            for name in params
            if (value := candidates[name][number]) is not pd.NA
        },
        load,
    )


def within_one_error(candidates: pd.DataFrame, score: str) -> int | None:
    """Count candidates whose mean score is within one standard error of the best.

    The standard error is that of :class:`weightsearch.choose.OneStandardError`; None
    with fewer than two splits.
    """
    means = _last_iteration(candidates, score)
    if means.isna().all():
        return None
    scores = split_scores(
        {str(name): candidates[name] for name in candidates},
        score.removeprefix("mean_test_"),
    )
    best = scores[int(np.nanargmax(means))]
    if len(best) < 2 or not np.isfinite(best).all():
        return None
    error = float(np.std(best, ddof=1)) / np.sqrt(len(best))
    return int((means >= means.max() - error).sum())


def _last_iteration(candidates: pd.DataFrame, score: str) -> pd.Series[Any]:
    """Return mean scores, of a halving search those of its last iteration alone."""
    means = candidates[score].astype(float)
    if "iter" not in candidates:
        return means
    return means.where(candidates["iter"] == candidates["iter"].max())


def tiles(
    source: RunSource, fits: FitTable, candidates: pd.DataFrame, score: str | None
) -> dict[str, str]:
    """Return names and values of what was searched, with what, and for how long."""
    header = source.header
    settings, estimator = header.settings, header.estimator
    kind = str(estimator.get("class", "")).rpartition(".")[2] or "unknown"
    final = str(estimator.get("final", kind))
    # The last step of a pipeline may itself be searched.
    if "__".join(estimator.get("steps", ())) in candidates:
        final = "several"
    search = str(settings.get("search"))
    how = next((text for part, text in _KINDS.items() if part in search), "")
    found = {"Estimator": final if final == kind else f"{final} in a {kind}"}
    found["Candidates"] = f"{len(candidates):,}" + (f", {how}" if how else "")
    drawn = settings.get("param_distributions")
    if isinstance(drawn, Mapping):
        ends = [(str(name).rpartition("__")[2], text) for name, text in drawn.items()]
        found["Drawn from"] = ", ".join(f"{name}: {text}" for name, text in ends)
    shape = _SHAPE.search(str(header.identity.get("X", "")))
    if shape is not None:
        n_rows, *more = shape[1].split(",")
        found["Data"] = " \u00d7 ".join(
            [f"{int(n_rows):,} rows", *(f"{int(m):,}" for m in more)]
        )
        if len(more) == 1:
            found["Data"] += " columns"
    if "n_splits" in settings:
        cv = settings.get("cv")
        plain = cv is None or isinstance(cv, int)
        found["Splits"] = str(settings["n_splits"]) + ("" if plain else f", {cv}")
    if score is not None:
        names = [name for name in candidates if str(name).startswith("mean_test_")]
        found["Score"] = ", ".join(metric_name(str(name), header) for name in names)
    if header.finished:
        seconds = (
            datetime.fromisoformat(header.finished)
            - datetime.fromisoformat(header.started)
        ).total_seconds()
        found["Duration"] = _duration(seconds)
    if "mean_fit_time" in candidates:
        work = float(candidates["mean_fit_time"].sum()) * int(
            settings.get("n_splits", 1)
        )
        found["Time in fits"] = _duration(work)
    failed = candidates["status"].eq("failed").sum() if "status" in candidates else 0
    found["Failed"] = (
        f"{failed} candidate{'' if failed == 1 else 's'}" if failed else "none"
    )
    if header.status != "complete":
        found["Status"] = header.status
    return found


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def warnings_of(
    source: RunSource,
    fits: FitTable,
    candidates: pd.DataFrame,
    params: Sequence[str],
    score: str | None,
    best: Best | None,
    short: Mapping[str, str],
) -> list[Warned]:
    """Return what a person should act on: failures, edges of the grid, spread."""
    found = [*_failures(source, fits, candidates)]
    if score is None or best is None:
        return found
    if "Random" not in str(source.header.settings.get("search")):
        found += _edges(candidates, params, score, best, short)
    within = within_one_error(candidates, score)
    n_scored = int(_last_iteration(candidates, score).notna().sum())
    if within is not None and n_scored > _FEW and within >= _SHARE * n_scored:
        found.append(
            Warned(
                "The spread between splits is larger than the differences.",
                f"{within:,} of {n_scored:,} candidates are within one standard error "
                "of the best. Prefer the simplest (weightsearch.choose."
                "OneStandardError), or search with more splits.",
            )
        )
    return found


def _failures(
    source: RunSource, fits: FitTable, candidates: pd.DataFrame
) -> list[Warned]:
    if "status" not in candidates:
        return []
    failed = [int(i) for i in candidates.index[candidates["status"] == "failed"]]
    if not failed:
        return []
    reason = ""
    for row in np.flatnonzero(fits.failed & np.isin(fits.candidate, failed)):
        lines = str(source.result(int(row)).get("fit_error") or "").strip().split("\n")
        if lines[-1]:
            reason = f"The first error: {lines[-1]}"
            break
    what = "candidate" if len(failed) == 1 else "candidates"
    return [Warned(f"Fits of {len(failed)} {what} failed.", reason, failed)]


def _edges(
    candidates: pd.DataFrame,
    params: Sequence[str],
    score: str,
    best: Best,
    short: Mapping[str, str],
) -> list[Warned]:
    """Return numeric params whose best value is the smallest or largest tried.

    Only where that value's best score is higher than its neighbour's.
    """
    found = []
    scores = candidates[score].astype(float)
    for name in params:
        values = [_number(value) for value in candidates[name]]
        tried = sorted({value for value in values if value is not None})
        own = _number(candidates[name][best.candidate])
        if len(tried) < _FEW or own not in (tried[0], tried[-1]):
            continue
        is_low = own == tried[0]
        neighbour = tried[1] if is_low else tried[-2]
        top = {
            value: float(scores[[one == value for one in values]].max())
            for value in (own, neighbour)
        }
        if top[own] > top[neighbour]:
            side, way = ("smallest", "smaller") if is_low else ("largest", "larger")
            found.append(
                Warned(
                    f"The best {short.get(name, name)} is at the edge of the grid.",
                    f"{own:g} is the {side} value tried: try {way} ones.",
                )
            )
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, bool | np.bool_) or value is pd.NA:
        return None
    if not isinstance(value, int | float | np.integer | np.floating):
        return None
    return None if value != value else float(value)


def unusual(
    statistics: Sequence[tuple[str, Sequence[int], Array]],
    main: str,
    scores: Mapping[int, float],
) -> tuple[list[int], list[int]]:
    """Return candidates that diverged, and those whose main weight is all zero.

    A candidate diverged if a weight has NaN or infinite elements, or if its score is
    in the worse half and a weight's norm a thousand times its median over the better
    half.

    Parameters
    ----------
    statistics : sequence of (name, candidates, ndarray of shape (n_candidates, 3))
        Of each weight: l2 norm, share of zeros, share of elements not finite.
    main : str
        Name of the weight whose zeros make a prediction constant.
    scores : dict of int -> float
    """
    diverged: set[int] = set()
    zero: set[int] = set()
    known = [value for value in scores.values() if value == value]
    middle = float(np.median(known)) if known else 0.0
    for name, numbers, values in statistics:
        norms = values[:, 0]
        better = np.array(
            [scores.get(n, np.nan) >= middle for n in numbers], dtype=bool
        )
        typical = norms[np.isfinite(norms) & (better | ~better.any())]
        limit = 1000 * float(np.median(typical)) if len(typical) else np.inf
        for i, number in enumerate(numbers):
            norm, zeros, nonfinite = values[i]
            if nonfinite != nonfinite:  # an empty array
                continue
            if zeros == 1 and name == main:
                zero.add(number)
            is_huge = norm > limit > 0 and not better[i]
            if nonfinite > 0 or not norm < np.inf or is_huge:
                diverged.add(number)
    return sorted(diverged), sorted(zero)

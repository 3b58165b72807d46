"""What displays read of a run: weights, labels, and a value per candidate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._display import did_you_mean, distinct, numbered
from weightsearch._params import show
from weightsearch._records import Array
from weightsearch.exceptions import QueryError, WeightsNotFoundError
from weightsearch.run import Run, StoredWeights
from weightsearch.run._candidates import main_column

__all__ = [
    "FEW",
    "candidate_labels",
    "candidate_number",
    "color_values",
    "column_label",
    "column_of",
    "main_score",
    "main_weight",
    "main_weight_of",
    "read_weights",
    "shorten",
    "title_of",
    "value_text",
    "value_texts",
    "weights_of",
]

FEW = 8
"""Number of candidates up to which each has its own colour and legend entry."""


def shorten(text: str, width: int = 40) -> str:
    """Return a text on one line, shortened in the middle to ``width`` characters."""
    # Stored text may contain what fonts lack: control characters, surrogates.
    text = "".join(c if c.isprintable() else "�" for c in " ".join(text.split()))
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[-tail:]}"


def value_text(value: Any) -> str:
    """Return a param's or a score's value as short text."""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return shorten(value if isinstance(value, str) else show(value), 24)


def value_texts(values: Sequence[Any], width: int = 24) -> list[str]:
    """Return short texts of values, different for different values."""
    texts = [
        shorten(value, width) if isinstance(value, str) else value_text(value)
        for value in values
    ]
    exact = [value if isinstance(value, str) else show(value) for value in values]
    keys = list(map(distinct, values))
    return numbered(keys, texts, lambda i: shorten(exact[i], 2 * width))


def weights_of(
    run: Run, candidates: Iterable[int] | None, split: int | None
) -> Iterator[tuple[int, StoredWeights]]:
    """Yield (number, weights) of candidates, one at a time.

    Parameters
    ----------
    run : Run
    candidates : iterable of int or None
        Numbers of candidates; None: all that have weights.
    split : int or None
        The split whose models are drawn; None: the refits.

    Raises
    ------
    WeightsNotFoundError
        If a given candidate has no weights, or none has any.
    """
    if candidates is not None:
        for number in candidates:
            yield int(number), run.weights(int(number), split)
        return
    found, error = False, None
    for number in range(len(run)):
        try:
            weights = run.weights(number, split)
        except WeightsNotFoundError as missing:
            # Failed or not kept: left out of a display of all candidates.
            error = missing
            continue
        found = True
        yield number, weights
    if not found:
        raise WeightsNotFoundError(
            f"Run {run.name} has no candidate with weights. {error or ''}".rstrip()
        )


def read_weights(
    run: Run, name: str, candidates: Iterable[int] | None, split: int | None
) -> Iterator[tuple[int, Array]]:
    """Yield (number, array) of one weight; as :func:`weights_of` for the rest."""
    names: dict[str, None] = {}
    found = False
    for number, weights in weights_of(run, candidates, split):
        if name in weights:
            found = True
            yield number, weights[name]
        elif candidates is not None:
            weights[name]  # raises the error that names the weights there are
        else:
            names |= dict.fromkeys(weights)
    if not found:
        raise WeightsNotFoundError(
            f"No candidate of run {run.name} has a weight {name!r}; there are "
            f"{', '.join(list(names)[:12])}."
        )


def candidate_number(run: Run, candidate: int | Mapping[str, Any] | None) -> int:
    """Return a candidate's number: of its params, or the best one's for None.

    Raises
    ------
    WeightsNotFoundError
        If no candidate has such params.
    """
    if candidate is None:
        # Without a best candidate, the first one.
        return 0 if run.best_index is None else run.best_index
    return run._number(candidate)


def main_weight(weights: StoredWeights) -> str:
    """Return the first weight with two dimensions or more, else the first of all."""
    shapes = weights.shapes
    return next((name for name, s in shapes.items() if len(s) > 1), next(iter(shapes)))


def main_weight_of(
    run: Run, candidates: Iterable[int] | None, split: int | None
) -> str:
    """Return the main weight of the first of some candidates."""
    return main_weight(next(weights_of(run, candidates, split))[1])


def main_score(run: Run) -> str | None:
    """Return the column of the score that the search refitted by; None without."""
    return main_column("mean_test_", run.candidates.columns, run.settings)


def column_of(run: Run, name: str) -> pd.Series[Any]:
    """Return a column of ``run.candidates``, params also as ``param_<name>``.

    Raises
    ------
    QueryError
        If there is no such column.
    """
    frame = run.candidates
    for known in (name, name.removeprefix("param_")):
        if known in frame.columns:
            return frame[known]
    hint = did_you_mean(name, map(str, frame.columns))
    raise QueryError(f"run.candidates has no column {name!r}. {hint}".rstrip())


def column_label(settings: Mapping[str, Any], name: str) -> str:
    """Return a column's name, with its metric or its unit where known."""
    if name.endswith(("_fit_time", "_score_time")):
        return f"{shorten(name)} (s)"
    scoring = str(settings.get("scoring"))
    # A name, perhaps in quotes; of functions only the repr is known.
    metric = re.fullmatch(r"'?(\w+)'?", scoring)
    if name.endswith("_test_score") and metric and scoring != "None":
        return shorten(f"{name} ({metric[1]})", 48)
    return shorten(name.rpartition("__")[2] or name, 48)


def candidate_labels(run: Run, candidates: Iterable[int]) -> list[str]:
    """Return labels of candidates: their numbers, and the params that vary in the run.

    Params are named by what follows their last ``__`` where that is unique.
    """
    keys = [run.params(number) for number in range(len(run))]
    texts: dict[str, dict[int, str]] = {}
    for name in dict.fromkeys(name for key in keys for name in key):
        having = [number for number, key in enumerate(keys) if name in key]
        values = [keys[number][name] for number in having]
        if len(having) < len(keys) or len(set(map(distinct, values))) > 1:
            texts[name] = dict(zip(having, value_texts(values), strict=True))
    varying = list(texts)
    last = {name: name.rpartition("__")[2] or name for name in varying}
    if len(set(last.values())) < len(varying):
        last = {name: name for name in varying}
    labels = []
    for number in candidates:
        params = [
            f"{shorten(last[name], 32)}={texts[name][number]}"
            for name in varying
            if number in texts[name]
        ]
        labels.append(f"{number}: {', '.join(params)}" if params else str(number))
    return labels


def title_of(run: Run, candidate: int, what: str) -> str:
    """Return a title: what of which candidate, its score and its params."""
    (label,) = candidate_labels(run, [candidate])
    _, _, params = label.partition(": ")
    title = f"{what} of candidate {candidate}"
    score = main_score(run)
    if score is not None:
        title += f", {score} {value_text(float(run.candidates[score][candidate]))}"
    return f"{title}\n{params}".rstrip()


def color_values(
    run: Run, candidates: Sequence[int], color_by: str | None
) -> tuple[list[Any] | None, str, list[Any] | None]:
    """Return a value per candidate, the values' name, and a param's values of all.

    Parameters
    ----------
    run : Run
    candidates : sequence of int
    color_by : str or None
        A column of ``run.candidates``. ``"auto"``: the candidates themselves while
        they are few, else the main score. None: one colour for all.
    """
    if color_by == "auto":
        if len(candidates) <= FEW:
            return candidate_labels(run, candidates), "candidate", None
        color_by = main_score(run)
    if color_by is None:
        return None, "", None
    column = column_of(run, color_by)
    is_param = any(color_by.removeprefix("param_") in run.params(n) for n in candidates)
    return (
        column.loc[list(candidates)].tolist(),
        column_label(run.settings, color_by),
        column.tolist() if is_param else None,
    )

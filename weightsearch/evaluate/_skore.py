"""Reports of skore over stored models."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import numpy as np
from sklearn.base import clone

from weightsearch.evaluate._models import Candidate, SplitModels, rows_of, take
from weightsearch.exceptions import EvaluationError

__all__ = ["to_skore"]

_STATE_VERSION = 1
"""Of the dicts that skore's ``to_dict`` and ``from_dict`` exchange."""


def to_skore(
    run: Any,
    X: Any,
    y: Any,
    candidates: Iterable[Candidate] | None,
    *,
    pos_label: Any,
    n_jobs: int | None,
    **brought: Any,
) -> Any:
    """Implement :meth:`weightsearch.Run.to_skore`."""
    try:
        from skore import ComparisonReport, CrossValidationReport
    except ImportError as error:
        raise ImportError(
            "run.to_skore needs skore: pip install 'skore>=0.28'"
        ) from error
    if not hasattr(CrossValidationReport, "from_dict"):
        raise ImportError(
            "run.to_skore needs a skore whose CrossValidationReport has from_dict: "
            "pip install --upgrade skore"
        )
    models = SplitModels(run, X, y, candidates, needs_y=True, **brought)
    numbers = list(dict.fromkeys(models.candidates))
    for number in numbers:
        for split in range(models.n_splits):
            if not models.has_model(number, split):
                raise EvaluationError(
                    f"The fit of candidate {number} on split {split} failed, and skore "
                    "reports on models alone. Leave the candidate out."
                )
    reports = {
        _name(run, number): _report(run, models, number, pos_label)
        for number in numbers
    }
    if len(reports) == 1:
        return next(iter(reports.values()))
    return ComparisonReport(reports, n_jobs=n_jobs)


def _name(run: Any, number: int) -> str:
    params = ", ".join(f"{name}={value}" for name, value in run.params(number).items())
    return f"{number}: {params}" if params else str(number)


def _report(run: Any, models: SplitModels, number: int, pos_label: Any) -> Any:
    """Make the report of one candidate from skore's reports of its split models."""
    from skore import CrossValidationReport, EstimatorReport

    splits = models.splits(number)
    found: list[dict[str, Any]] = []
    model: Any = None
    learner: Any = None
    pairs = [(number, split) for split in range(len(splits))]
    for (_, split), model in zip(pairs, models.models(pairs), strict=True):
        train, test = splits[split]
        rows, target = rows_of(model, models.X, test, train), take(models.y, test)
        # A fitted estimator is asked as it is.
        report = EstimatorReport(model, X_test=rows, y_test=target, pos_label=pos_label)
        state = report.to_dict()
        _check_version(state)
        result = run._source.result(run._row(number, split))
        state["fit_time"] = result.get("fit_time")
        data = state.pop("data")["test_data"]
        names = {"X": _key(data, rows), "y": _key(data, target)}
        found.append(state)
        learner = report.learner_
    last = found[-1]
    return CrossValidationReport.from_dict(
        {
            "version": _STATE_VERSION,
            "metadata": {
                **last["metadata"],
                "id": str(uuid.uuid4()),
                "report_type": "cross-validation",
            },
            "initialized_with_data_op": False,
            "estimator": clone(model),
            "ml_task": last["ml_task"],
            "pos_label": pos_label,
            "learner": clone(learner),
            "data": {names["X"]: models.X, names["y"]: models.y},
            "split_indices": tuple((np.array(a), np.array(b)) for a, b in splits),
            "estimator_reports": found,
        }
    )


def _check_version(state: dict[str, Any]) -> None:
    found = state.get("version")
    if found != _STATE_VERSION:
        raise ImportError(
            f"skore {version('skore')} keeps reports in version {found} of its state, "
            f"and weightsearch knows version {_STATE_VERSION}. Install another skore: "
            "pip install 'skore>=0.28'"
        )


def _key(data: dict[str, Any], value: Any) -> str:
    """Return the name that skore gives to X or y."""
    return next(name for name, one in data.items() if one is value)

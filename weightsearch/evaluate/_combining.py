"""Ensembles of a run's candidates, selected or stacked on out-of-fold answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from weightsearch._records import Array
from weightsearch.evaluate._greedy import (
    Selection,
    greedy_selection,
    score_of_sums,
    vote_shares,
)
from weightsearch.evaluate._members import stacking_estimator, voting_estimator
from weightsearch.evaluate._observed import OutOfFold
from weightsearch.exceptions import EvaluationError, WeightsNotFoundError

__all__ = ["ensemble", "select", "stacking"]

Candidates = Iterable[Any] | None


def select(
    run: Any,
    X: Any,
    y: Any,
    *,
    size: int,
    n_init: int,
    scoring: Any,
    voting: str,
    candidates: Candidates,
    **options: Any,
) -> Selection:
    """Implement :meth:`weightsearch.Run.select_ensemble`."""
    found = OutOfFold(run, X, y, candidates, **options)
    soft = _is_soft(found, voting)
    if found.kind == "classifier":
        if found.classes is None:
            raise EvaluationError("An ensemble needs classifiers of one output.")
        if soft:
            answers = found.observations.answers("predict_proba")
        else:
            predicted = found.observations.answers("predict")
            shape = (len(found.candidates), len(found.rows))
            answers = vote_shares(predicted.reshape(shape), found.classes)
    elif found.kind == "regressor":
        answers = found.observations.answers("predict")
        if answers.ndim > 2 and answers.shape[2] > 1:
            raise EvaluationError("An ensemble needs regressors of one output.")
    else:
        raise EvaluationError(
            "An ensemble combines classifiers or regressors; these candidates are "
            "neither, or some of both."
        )
    score = score_of_sums(
        found.scoring(run, scoring),
        found.observations.y,
        found.classes,
        found.observations.rows,
        soft=soft,
        n_jobs=options.get("n_jobs"),
    )
    return greedy_selection(answers, score, found.candidates, size=size, n_init=n_init)


def _is_soft(found: OutOfFold, voting: str) -> bool:
    if voting not in ("auto", "soft", "hard"):
        raise EvaluationError(
            f"voting must be 'auto', 'soft' or 'hard', got {voting!r}."
        )
    has_probabilities = found.observations.has("predict_proba")
    if voting == "soft" and not has_probabilities:
        raise EvaluationError(
            "Soft voting needs predict_proba, which not all candidates have. Pass "
            "voting='hard'."
        )
    return voting != "hard" and has_probabilities


def ensemble(
    run: Any,
    X: Any,
    y: Any,
    *,
    select_by: str | None,
    size: int | None,
    n_init: int,
    scoring: Any,
    voting: str,
    candidates: Candidates,
    split: int | None,
    n_jobs: int | None,
    verbose: int,
    **brought: Any,
) -> Any:
    """Implement :meth:`weightsearch.Run.ensemble`."""
    if select_by is None:
        select_by = "best" if X is None else "greedy"
    if select_by not in ("best", "greedy"):
        raise EvaluationError(f"select must be 'greedy' or 'best', got {select_by!r}.")
    if size is not None and size < 1:
        raise EvaluationError(f"size must be at least 1, got {size!r}.")
    votes: Array | None = None
    if select_by == "best":
        numbers = _best(run, candidates, size, split)
    elif X is None:
        raise EvaluationError(
            "select='greedy' needs the data that were passed to fit: "
            "run.ensemble(X, y). Without data, pass select='best'."
        )
    elif split is not None:
        raise EvaluationError("select='greedy' takes refits: leave split out.")
    else:
        numbers = _refitted(run, candidates)
        selection = select(
            run,
            X,
            y,
            size=50 if size is None else size,
            n_init=n_init,
            scoring=scoring,
            voting=voting,
            candidates=numbers,
            n_jobs=n_jobs,
            verbose=verbose,
            **brought,
        )
        numbers, votes = selection.candidates.tolist(), selection.votes
    members = _members(run, numbers, split, **brought)
    return voting_estimator(members, votes, voting=voting)


def _best(
    run: Any, candidates: Candidates, size: int | None, split: int | None
) -> list[int]:
    if candidates is None:
        numbers: list[int] = run._best_ranked(split)[: 5 if size is None else size]
    else:
        numbers = _each_once(run, candidates)
        if size is not None:
            rank = {number: n for n, number in enumerate(run._best_ranked(split))}
            numbers.sort(key=lambda number: rank.get(number, len(rank)))
            numbers = numbers[:size]
    if not numbers:
        raise EvaluationError(f"Run {run.name} has no candidates for an ensemble.")
    return numbers


def _each_once(run: Any, candidates: Iterable[Any]) -> list[int]:
    numbers = [run._number(candidate) for candidate in candidates]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise EvaluationError(f"Candidate {twice[0]} is named twice.")
    return numbers


def _refitted(run: Any, candidates: Candidates) -> list[int]:
    """Candidates that have a refit; all that are named must have one."""
    if candidates is None:
        numbers: list[int] = run._with_weights(None)
        if not numbers:
            raise WeightsNotFoundError(
                f"{run._why_missing(0, None)} An ensemble consists of refits, which "
                "capture='both' keeps along with the models of splits."
            )
        return numbers
    numbers = _each_once(run, candidates)
    there = set(run._with_weights(None))
    for number in numbers:
        if number not in there:
            raise WeightsNotFoundError(
                f"{run._why_missing(number, None)} Refits are kept along with the "
                "models of splits by capture='both'."
            )
    return numbers


def _members(
    run: Any, numbers: Sequence[int], split: int | None, **brought: Any
) -> list[tuple[str, Any]]:
    pairs = [(number, split) for number in numbers]
    models = run._iter_models(pairs, **brought)
    return [
        (f"candidate_{number}", model)
        for number, model in zip(numbers, models, strict=True)
    ]


def stacking(
    run: Any,
    X: Any,
    y: Any,
    final_estimator: Any,
    *,
    stack_method: str,
    passthrough: bool,
    candidates: Candidates,
    n_jobs: int | None,
    verbose: int,
    **brought: Any,
) -> Any:
    """Implement :meth:`weightsearch.Run.stacking`."""
    numbers = _refitted(run, candidates)
    found = OutOfFold(run, X, y, numbers, n_jobs=n_jobs, verbose=verbose, **brought)
    n_samples = found.models.n_samples
    if np.any(np.bincount(found.rows, minlength=n_samples) != 1):
        raise EvaluationError(
            "Stacking needs splits that test each row exactly once, as of KFold; those "
            f"of run {run.name} test some rows not at all, or several times."
        )
    methods = ["predict"]
    if found.kind == "classifier":
        methods = ["predict_proba", "decision_function", "predict"]
    if stack_method not in ("auto", *methods):
        raise EvaluationError(
            f"stack_method must be 'auto' or one of {', '.join(methods)} for these "
            f"candidates, got {stack_method!r}."
        )
    if stack_method != "auto":
        methods = [stack_method]
    numbers = found.candidates.tolist()
    by: dict[str, list[int]] = {}
    for number, known in zip(numbers, found.methods, strict=True):
        method = next((name for name in methods if name in known), None)
        if method is None:
            raise EvaluationError(
                f"Candidate {number} has no {' or '.join(methods)} to be stacked."
            )
        by.setdefault(method, []).append(number)
    # Answers in the order of X.
    order = np.argsort(found.rows)
    answers = {
        number: (method, of_it[order])
        for method, of_these in by.items()
        for number, of_it in zip(
            of_these, found.answers_of(of_these, method), strict=True
        )
    }
    return stacking_estimator(
        _members(run, numbers, None, **brought),
        [answers[number] for number in numbers],
        found.models.X,
        found.models.y,
        found.splits,
        final_estimator=final_estimator,
        stack_method=stack_method,
        passthrough=passthrough,
        n_jobs=n_jobs,
    )

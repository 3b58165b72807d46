"""Refits of the candidates that scikit-learn does not refit itself."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from sklearn.base import clone
from sklearn.utils.parallel import delayed

from weightsearch._copies import copied
from weightsearch._records import REFIT, Outcome
from weightsearch.frameworks._capture import capture
from weightsearch.frameworks._registry import (
    Extractor,
    registered_extractors,
    use_extractors,
)
from weightsearch.frameworks.keras import ensure_tags
from weightsearch.search._fits import FitCall
from weightsearch.search._interrupts import InterruptWatch
from weightsearch.search._sklearn._callbacks import Caller, refit_contexts
from weightsearch.search._sklearn._parallel import make_parallel
from weightsearch.search._sklearn._prefixes import Sharing, stream_shared
from weightsearch.search._sklearn._rows import some_rows
from weightsearch.search._sklearn._shared_steps import SharedSteps
from weightsearch.search._snapshots import Snapshotter, follow_fit

__all__ = ["refit_candidates"]


def refit_candidates(
    search: Any,
    call: FitCall,
    candidates: Sequence[tuple[int, Mapping[str, Any]]],
    sharing: Sharing,
    snapshotting: Callable[[int, int], Callable[[], Snapshotter] | None],
) -> Iterator[tuple[int, Outcome]]:
    """Fit candidates on all the data in the workers of `search`, as it refits its best.

    Yields
    ------
    candidate : int
    outcome : Outcome
        ``result`` has ``fit_time`` in seconds and ``fit_error``; in order of
        finishing.
    """
    if not candidates:
        return
    parent, contexts = refit_contexts(search, call.estimator, len(candidates))
    shared: dict[str, Any] = {"extractors": registered_extractors()}
    if parent is not None:
        shared["caller"] = Caller(search)
    if parent is not None:
        parent.call_on_fit_task_begin(estimator=search)
    tasks = (
        delayed(_refit)(
            call.estimator,
            call.X,
            call.y,
            candidate=candidate,
            params=params,
            fit_params=call.fit_params,
            error_score=call.error_score,
            context=context,
            snapshotting=snapshotting(candidate, REFIT),
            **shared,
        )
        for (candidate, params), context in zip(candidates, contexts, strict=True)
    )
    # Entered, so that batches share the workers where results cannot be streamed.
    options = {"n_jobs": search.n_jobs, "pre_dispatch": search.pre_dispatch}
    with make_parallel(**options) as pool:
        yield from stream_shared(pool, tasks, "candidate", sharing)
    if parent is not None:
        parent.call_on_fit_task_end(estimator=search)


def _refit(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    candidate: int,
    params: Mapping[str, Any],
    fit_params: Mapping[str, Any],
    error_score: Any,
    context: Any,
    extractors: Mapping[Any, Extractor],
    snapshotting: Callable[[], Snapshotter] | None,
    caller: Caller | None = None,
    steps: SharedSteps | None = None,
) -> tuple[int, Outcome]:
    """Fit one candidate in a worker, the way scikit-learn refits its best one."""
    ensure_tags()
    use_extractors(extractors)
    # Large arrays among its params are read-only on arrival, and not in a clone.
    estimator = clone(estimator)
    snapshotter = None if snapshotting is None else snapshotting()
    if snapshotter is not None:
        follow_fit(estimator, snapshotter)
    with InterruptWatch(), nullcontext() if steps is None else steps:
        outcome = _outcome(
            estimator, X, y, params, fit_params, error_score, context, caller, steps
        )
    if snapshotter is not None:
        outcome = snapshotter.finish(outcome)
    return candidate, outcome


def _outcome(
    estimator: Any,
    X: Any,
    y: Any,
    params: Mapping[str, Any],
    fit_params: Mapping[str, Any],
    error_score: Any,
    context: Any,
    caller: Caller | None,
    steps: SharedSteps | None,
) -> Outcome:
    estimator.set_params(**clone(dict(params), safe=False))
    # Scikit-learn copies the part that a split is fitted on, and no more than that.
    X, y, fit_params = copied((X, y, dict(fit_params)))
    start = time.time()
    result: dict[str, Any] = {"fit_error": None}
    kept = Outcome(result)
    search = None if caller is None else caller.search
    try:
        if context is not None:
            context.call_on_fit_task_begin(estimator=search, X=X, y=y)
        inner = (
            nullcontext()
            if context is None
            else context.propagate_callback_context(estimator)
        )
        with inner, nullcontext() if steps is None else steps.fitting(estimator):
            if y is None:
                estimator.fit(X, **fit_params)
            else:
                estimator.fit(X, y, **fit_params)
        result["fit_time"] = time.time() - start
    except Exception:
        if isinstance(error_score, str):  # "raise"
            raise
        result.update(fit_error=traceback.format_exc(), fit_time=time.time() - start)
    else:
        kept = capture(estimator, rows=partial(some_rows, estimator, X, y))
    finally:
        if context is not None:
            context.call_on_fit_task_end(estimator=search, X=X, y=y)
    return kept._replace(result=result)

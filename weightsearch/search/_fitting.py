"""The one place that reaches into scikit-learn's private names.

``BaseSearchCV.fit`` is used as it is: its code object runs with three of its
global names bound to ours. ``_fit_and_score`` calls the original and takes the
weights out of the model while it is still in the worker; ``Parallel`` hands
every finished fit to the recorder and leaves out those that are stored already;
``check_cv`` lets an unfinished run go on with its own splits. Nothing of
scikit-learn is copied or patched.
"""

from __future__ import annotations

import copy
import functools
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from itertools import chain, islice
from types import FunctionType
from typing import Any

import joblib
from sklearn.base import _fit_context as fit_context
from sklearn.base import clone
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.parallel import Parallel, delayed

from weightsearch._records import Weights
from weightsearch.frameworks._registry import (
    Extractor,
    collect_weights,
    registered_extractors,
    use_extractors,
)
from weightsearch.frameworks._scikeras_tags import ensure_tags
from weightsearch.search._fits import FitCall, Outcome, PlannedFit, Recorder

try:  # scikit-learn >= 1.9
    from sklearn.callback._callback_context import CallbackContext
except ImportError:
    CallbackContext = None

__all__ = [
    "BaseSearchCV",
    "CallbackSearch",
    "Interval",
    "StrOptions",
    "fit_context",
    "fit_search",
    "refit_candidates",
]


def fit_search(
    search: Any, X: Any, y: Any, params: Mapping[str, Any], recorder: Recorder
) -> None:
    """Run scikit-learn's own ``fit`` on `search`, every fit going to `recorder`."""
    plain = BaseSearchCV.fit.__wrapped__
    names = plain.__globals__

    def check_cv(*args: Any, **kwargs: Any) -> Any:
        return recorder.splitter(names["check_cv"](*args, **kwargs))

    bound = {
        "_fit_and_score": functools.partial(
            _evaluate,
            names["_fit_and_score"],
            recorder.captures_splits,
            registered_extractors(),
        ),
        "Parallel": functools.partial(_RecordingParallel, recorder),
        "check_cv": check_cv,
    }
    fit = FunctionType(
        plain.__code__,
        {**names, **bound},
        plain.__name__,
        plain.__defaults__,
        plain.__closure__,
    )
    fit(search, X, y, **params)


def _evaluate(
    fit_and_score: Any,
    capture: bool,
    extractors: Mapping[Any, Extractor],
    *args: Any,
    position: int,
    **kwargs: Any,
) -> tuple[int, Outcome]:
    """Stand for ``_fit_and_score`` in the worker."""
    ensure_tags()
    use_extractors(extractors)
    if not capture:
        return position, Outcome(fit_and_score(*args, **kwargs), None, ())
    result = fit_and_score(*args, **kwargs, return_estimator=True)
    estimator = result.pop("estimator")
    if result["fit_error"] is not None:
        return position, Outcome(result, None, ())
    weights, notes = collect_weights(estimator)
    return position, Outcome(result, weights, tuple(notes))


class _RecordingParallel:
    """Stand for ``Parallel`` in ``BaseSearchCV.fit``."""

    def __init__(self, recorder: Recorder, **kwargs: Any):
        self._recorder = recorder
        self._parallel = _make_parallel(**kwargs)
        self._n_candidates = 0

    def __enter__(self) -> _RecordingParallel:
        self._parallel.__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._parallel.__exit__(*exc_info)

    def __call__(self, tasks: Iterable[Any]) -> list[dict[str, Any]]:
        recorder = self._recorder
        tasks = iter(tasks)
        first = next(tasks, None)
        if first is None:  # scikit-learn says what is wrong
            return []
        call = _fit_call(*first[1:])
        recorder.begin(call)
        unheard = _without_callbacks(first[2], call.estimator)

        fits: list[PlannedFit] = []
        results: dict[int, dict[str, Any]] = {}
        pending = self._pending(chain([first], tasks), unheard, fits, results)
        if recorder.may_recall:
            # Known before the first fit starts, so that it can be said. Otherwise
            # tasks stay lazy, since each carries a clone of the estimator.
            pending = iter(todo := list(pending))
            recorder.announce(len(results), len(todo))
        for position, outcome in _stream(self._parallel, pending):
            recorder.record_split(fits[position], outcome)
            results[position] = outcome.result
        if fits:
            self._n_candidates = fits[-1].candidate + 1
        return [results[position] for position in range(len(fits))]

    def _pending(
        self,
        tasks: Iterable[Any],
        unheard: Mapping[str, Any],
        fits: list[PlannedFit],
        results: dict[int, dict[str, Any]],
    ) -> Iterator[Any]:
        for position, (function, args, kwargs) in enumerate(tasks):
            fit = PlannedFit(
                candidate=self._n_candidates + kwargs["candidate_progress"][0],
                split=kwargs["split_progress"][0],
                params=kwargs["parameters"],
                train=kwargs["train"],
                test=kwargs["test"],
            )
            fits.append(fit)
            self._recorder.plan(fit)
            recalled = self._recorder.recall(fit) if self._recorder.may_recall else None
            if recalled is None:
                yield function, args, {**kwargs, **unheard, "position": position}
            else:
                results[position] = recalled
                _show_as_done(kwargs)


def _fit_call(args: Sequence[Any], kwargs: Mapping[str, Any]) -> FitCall:
    estimator, X, y = args
    return FitCall(
        # Without workers the first fit changes this very object.
        estimator=clone(estimator),
        X=X,
        y=y,
        scorer=kwargs["scorer"],
        fit_params=kwargs["fit_params"] or {},
        score_params=kwargs["score_params"] or {},
        error_score=kwargs["error_score"],
        return_train_score=kwargs["return_train_score"],
        n_splits=kwargs["split_progress"][1],
    )


def _without_callbacks(kwargs: Mapping[str, Any], estimator: Any) -> dict[str, Any]:
    """What a task can do without where no callback listens.

    scikit-learn 1.9 sends with each task a tree of all tasks: nothing to a small
    grid, but a time that grows with the square of a large one.
    """
    if "callback_ctx" not in kwargs or _has_callbacks(kwargs["caller"], estimator):
        return {}
    return {"caller": None, "callback_ctx": None}


def _has_callbacks(search: Any, estimator: Any) -> bool:
    parts = [search, estimator]
    if hasattr(estimator, "get_params"):
        parts += estimator.get_params(deep=True).values()
    return any(getattr(part, "_skl_callbacks", None) for part in parts)


def _show_as_done(kwargs: Mapping[str, Any]) -> None:
    """Let callbacks count a fit that is reused, or a progress bar never ends."""
    context = kwargs.get("callback_ctx")
    if context is not None:
        context.call_on_fit_task_begin(estimator=kwargs["caller"])
        context.call_on_fit_task_end(estimator=kwargs["caller"])


def _make_parallel(**kwargs: Any) -> Parallel:
    try:
        return Parallel(return_as="generator_unordered", **kwargs)
    except ValueError:
        # Backends such as Ray's cannot stream; they get bounded batches.
        return Parallel(**kwargs)


def _stream(parallel: Parallel, tasks: Iterator[Any]) -> Iterator[Any]:
    """Yield results as they finish, never holding more than a few."""
    # joblib refuses an empty generator on some backends.
    first = next(tasks, None)
    if first is None:
        return
    tasks = chain([first], tasks)
    if parallel.return_generator:
        with closing(parallel(tasks)) as results:
            yield from results
        return
    size = 4 * joblib.effective_n_jobs(parallel.n_jobs)
    while batch := list(islice(tasks, size)):
        yield from parallel(batch)


def refit_candidates(
    search: Any,
    call: FitCall,
    candidates: Sequence[tuple[int, Mapping[str, Any]]],
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
    parent, contexts = _refit_contexts(search, call.estimator, len(candidates))
    shared: dict[str, Any] = {"extractors": registered_extractors()}
    if parent is not None:
        shared["caller"] = _Caller(search)
    parallel = _make_parallel(n_jobs=search.n_jobs, pre_dispatch=search.pre_dispatch)
    if parent is not None:
        parent.call_on_fit_task_begin(estimator=search)
    yield from _stream(
        parallel,
        (
            delayed(_refit)(
                clone(call.estimator),
                call.X,
                call.y,
                candidate=candidate,
                params=params,
                fit_params=call.fit_params,
                error_score=call.error_score,
                context=context,
                **shared,
            )
            for (candidate, params), context in zip(candidates, contexts, strict=True)
        ),
    )
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
    caller: _Caller | None = None,
) -> tuple[int, Outcome]:
    """Fit one candidate in a worker, the way scikit-learn refits its best one."""
    ensure_tags()
    use_extractors(extractors)
    estimator.set_params(**clone(dict(params), safe=False))
    start = time.time()
    result: dict[str, Any] = {"fit_error": None}
    weights: Weights | None = None
    notes: list[Warning] = []
    search = None if caller is None else caller.search
    try:
        if context is not None:
            context.call_on_fit_task_begin(estimator=search, X=X, y=y)
        inner = (
            nullcontext()
            if context is None
            else context.propagate_callback_context(estimator)
        )
        with inner:
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
        weights, notes = collect_weights(estimator)
    finally:
        if context is not None:
            context.call_on_fit_task_end(estimator=search, X=X, y=y)
    return candidate, Outcome(result, weights, tuple(notes))


class _Caller:
    """The search, which goes to other processes without what it has learned.

    Its best estimator may be large, or one that cannot be pickled.
    """

    def __init__(self, search: Any):
        self.search = search

    def __getstate__(self) -> dict[str, Any]:
        bare = copy.copy(self.search)
        for name in [name for name in vars(bare) if name.endswith("_")]:
            del bare.__dict__[name]
        return {"search": bare}


def _refit_contexts(
    search: Any, estimator: Any, n_candidates: int
) -> tuple[Any, list[Any]]:
    """Tasks for the callbacks of scikit-learn >= 1.9: one above all, one a refit."""
    root = getattr(search, "_callback_fit_ctx", None)
    if root is None or not _has_callbacks(search, estimator):
        return None, [None] * n_candidates
    parent = root.subcontext(
        task_name="refit-of-candidates",
        max_subtasks=n_candidates,
        sequential_subtasks=False,
    )
    # All before the first is sent: they hang on objects that get pickled.
    return parent, [
        parent.subcontext(task_name="candidate-refit", task_id=position)
        for position in range(n_candidates)
    ]


if CallbackContext is not None:

    class _SearchContext(CallbackContext):  # type: ignore[misc]
        """The root task, whose end waits for the refits of the other candidates."""

        _end: dict[str, Any] | None = None

        def __getstate__(self) -> dict[str, Any]:
            # It goes to the workers with each refit; the search and its data, which
            # the end will be told of, must not go with it.
            return {**vars(self), "_end": None}

        def call_on_fit_task_end(self, **kwargs: Any) -> Any:
            self._end = kwargs
            return False

        def release(self) -> None:
            """Tell the callbacks what scikit-learn's ``fit`` told at its end."""
            if self._end is not None:
                super().call_on_fit_task_end(**self._end)


class CallbackSearch(BaseSearchCV):  # type: ignore[misc]
    """A search whose callbacks (scikit-learn >= 1.9) see one task more at its end."""

    @property
    def _has_more_tasks(self) -> bool:
        return False

    def _init_callback_context(self, *args: Any, **kwargs: Any) -> Any:
        # Called by scikit-learn's ``fit`` at its start.
        if self._has_more_tasks:
            kwargs["max_subtasks"] = kwargs.get("max_subtasks", 0) + 1
        context = super()._init_callback_context(*args, **kwargs)
        # Contexts are made by a classmethod that names its class.
        context.__class__ = _SearchContext
        return context

    def _end_callbacks(self) -> None:
        """Let the search end for its callbacks."""
        context = vars(self).get("_callback_fit_ctx")
        if context is not None:
            context.release()

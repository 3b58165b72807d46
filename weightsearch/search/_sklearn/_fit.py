"""Run scikit-learn's own ``fit`` and record every fit of a search.

The code object of ``BaseSearchCV.fit`` runs with five of its global names bound to
ours. ``_fit_and_score`` calls the original and extracts the weights in the worker;
``Parallel`` passes every finished fit to the recorder and skips those that are stored;
``product``, of candidates and splits, says which candidates are to come; ``check_cv``
lets an unfinished run resume with its own splits; ``clone`` takes the best estimator
from the store.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, islice, product
from typing import Any

from sklearn.base import clone
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils.validation import _num_samples

from weightsearch._copies import copied
from weightsearch._rebound import rebound
from weightsearch._records import Outcome
from weightsearch.frameworks._capture import (
    answers_vary,
    capture_unproved,
    preserved_randomness,
    proved,
    randomness,
)
from weightsearch.frameworks._registry import (
    Extractor,
    registered_extractors,
    use_extractors,
)
from weightsearch.frameworks.keras import ensure_tags
from weightsearch.search._fits import FitCall, PlannedFit
from weightsearch.search._interrupts import InterruptWatch
from weightsearch.search._rebuilding import StoredModel, load_model, rebuild_model
from weightsearch.search._recorder import SearchRecorder
from weightsearch.search._sklearn._best import BestClone, forget_fit
from weightsearch.search._sklearn._callbacks import has_callbacks, show_as_done
from weightsearch.search._sklearn._equal import EqualFits, FitWatch
from weightsearch.search._sklearn._parallel import make_parallel
from weightsearch.search._sklearn._prefixes import Sharing, stream_shared
from weightsearch.search._sklearn._rows import some_rows
from weightsearch.search._sklearn._shared_steps import SharedSteps
from weightsearch.search._snapshots import Snapshotter

__all__ = ["fit_search"]


def fit_search(
    search: Any, X: Any, y: Any, params: Mapping[str, Any], recorder: SearchRecorder
) -> None:
    """Run scikit-learn's own ``fit`` on `search`, every fit going to `recorder`."""
    plain = BaseSearchCV.fit.__wrapped__
    names = plain.__globals__

    def check_cv(*args: Any, **kwargs: Any) -> Any:
        return recorder.splitter(names["check_cv"](*args, **kwargs))

    cloning = BestClone(names["clone"], search, recorder)
    candidates: list[Mapping[str, Any]] = []

    def known_product(numbered: Iterable[Any], splits: Iterable[Any]) -> Iterable[Any]:
        numbered = list(numbered)
        candidates[:] = [params for _, params in numbered]
        return product(numbered, splits)

    bound = {
        "_fit_and_score": functools.partial(
            _evaluate,
            names["_fit_and_score"],
            recorder.captures_splits,
            registered_extractors(),
        ),
        "Parallel": functools.partial(
            _RecordingParallel, recorder, cloning, candidates, search.share_prefixes
        ),
        "product": known_product,
        "clone": cloning,
        "check_cv": check_cv,
    }
    fit = rebound(plain, bound)
    # The refit of the best candidate is made in it, and may swallow an interrupt.
    with InterruptWatch():
        fit(search, X, y, **params)
    forget_fit(search, recorder.stored_refit_time)
    cloning.give_data_back()


def _evaluate(
    fit_and_score: Any,
    captures: bool,
    extractors: Mapping[Any, Extractor],
    estimator: Any,
    X: Any,
    y: Any,
    *,
    position: int,
    model: StoredModel | None = None,
    steps: SharedSteps | None = None,
    snapshotting: Callable[[], Snapshotter] | None = None,
    watched: bool = False,
    **kwargs: Any,
) -> tuple[int, Outcome]:
    """Replacement for ``_fit_and_score`` in the worker."""
    ensure_tags()
    use_extractors(extractors)
    # Of X, y and what goes with their rows, scikit-learn takes a copy of a part.
    kwargs["fit_params"] = copied(kwargs["fit_params"])
    with InterruptWatch():
        if model is not None:
            result = _rescore(fit_and_score, model, estimator, X, y, kwargs)
            if result is not None:
                return position, Outcome(result, rescored=True)
        snapshotter = snapshotting() if snapshotting is not None else None
        fitting = _Fitting(
            estimator, captures=captures, snapshotter=snapshotter, steps=steps
        )
        watch = FitWatch()
        watching = watch() if watched else nullcontext()
        with watching, nullcontext() if steps is None else steps:
            result = fit_and_score(fitting, X, y, **kwargs)
        result["fit_time"] -= fitting.seconds
        if not captures or result["fit_error"] is not None:
            return position, watch.seen(Outcome(result))
        fitted = fitting.estimator
        rows = functools.partial(
            some_rows, fitted, X, y, kwargs["train"], kwargs["test"]
        )
        captured, drew = fitting.what_it_learned(), fitting.drawn_from()
        outcome = proved(captured, fitted, rows)._replace(result=result)
        if outcome.exact and drew and answers_vary(drew, fitted, rows):
            outcome = outcome._replace(exact=False)
    # Of a fit that was interrupted, the snapshots stay where they are.
    if snapshotter is not None:
        outcome = snapshotter.finish(outcome)
    return position, watch.seen(outcome)


def _rescore(
    fit_and_score: Any,
    model: StoredModel,
    estimator: Any,
    X: Any,
    y: Any,
    kwargs: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Score a stored model; None if it must be fitted after all."""
    params = clone(dict(kwargs["parameters"]), safe=False)
    again = rebuild_model(model, clone(estimator).set_params(**params))
    if again is None:
        return None
    fitting = _Fitting(estimator, captures=False, fitted=again)
    with preserved_randomness():
        result: dict[str, Any] = fit_and_score(fitting, X, y, **kwargs)
        drew = fitting.drawn_from()
    # What a scorer draws depends on what the fit has drawn.
    return {**result, "fit_time": model.fit_time} if drew <= {"torch"} else None


class _Fitting:
    """Placeholder for the estimator that captures it between fit and score.

    A scorer might change what the estimator has learned. With `fitted`, that model is
    scored and nothing is fitted. `steps` are shared with other candidates.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        captures: bool,
        fitted: Any = None,
        snapshotter: Snapshotter | None = None,
        steps: SharedSteps | None = None,
    ):
        self._snapshotter = snapshotter
        self._steps = steps
        self.estimator = estimator if fitted is None else fitted
        self.seconds = 0.0
        self._is_fitted = fitted is not None
        self._captures = captures
        self._captured: Outcome | None = None
        self._random: dict[str, Any] = {}

    def set_params(self, **params: Any) -> Any:
        if not self._is_fitted:
            self.estimator = self.estimator.set_params(**params)
        if self._is_fitted or self._captures or self._steps is not None:
            # Not by setattr, of which estimators have their own.
            vars(self.estimator)["fit"] = self._fit
        return self.estimator

    def _fit(self, *args: Any, **kwargs: Any) -> Any:
        estimator = self.estimator
        del vars(estimator)["fit"]
        if not self._is_fitted:
            following: AbstractContextManager[None] = nullcontext()
            if self._snapshotter is not None:
                following = self._snapshotter.following(estimator)
            sharing = self._steps.fitting(estimator) if self._steps else nullcontext()
            with following, sharing:
                estimator.fit(*args, **kwargs)
        start = time.time()
        if self._captures:
            self._captured = capture_unproved(estimator)
        self._random = randomness()
        if self._steps is not None:
            self._steps.scoring(args[0])
        self.seconds = time.time() - start
        if self._snapshotter is not None:
            self.seconds += self._snapshotter.seconds
        return estimator

    def what_it_learned(self) -> Outcome:
        """Return weights and state of the fitted model."""
        if self._captured is None:
            # Its class has another way to find its own fit.
            vars(self.estimator).pop("fit", None)
            return capture_unproved(self.estimator)
        return self._captured

    def drawn_from(self) -> set[str]:
        """Return the libraries whose global generators were used since the fit."""
        return {
            name
            for name, state in randomness().items()
            if state != self._random.get(name)
        }


class _RecordingParallel:
    """Replacement for ``Parallel`` in ``BaseSearchCV.fit``."""

    def __init__(
        self,
        recorder: SearchRecorder,
        cloning: BestClone,
        candidates: Sequence[Mapping[str, Any]],
        share_prefixes: bool | int,
        **kwargs: Any,
    ):
        self._recorder = recorder
        self._cloning = cloning
        self._candidates = candidates
        self._share_prefixes = share_prefixes
        self._parallel = make_parallel(**kwargs)
        self._n_candidates = 0

    def __enter__(self) -> _RecordingParallel:
        self._parallel.__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._parallel.__exit__(*exc_info)

    def __call__(self, tasks: Iterable[Any]) -> list[dict[str, Any]]:
        # The tasks are made as they are taken, each with a clone.
        self._cloning.fits_go_on = True
        try:
            return self._run(tasks)
        finally:
            self._cloning.fits_go_on = False

    def _run(self, tasks: Iterable[Any]) -> list[dict[str, Any]]:
        recorder = self._recorder
        tasks = iter(tasks)
        first = next(tasks, None)
        if first is None:  # scikit-learn says what is wrong
            return []
        call = _fit_call(*first[1:])
        recorder.begin(call)
        tasks = self._keep_splits(chain([first], tasks), call)
        recorder.plan(self._candidates)
        unheard = _without_callbacks(first[2], call.estimator)

        fits: list[PlannedFit] = []
        results: dict[int, dict[str, Any]] = {}
        recalls = recorder.may_recall
        pending = self._pending(tasks, unheard, recalls, fits, results)
        n_candidates = first[2]["candidate_progress"][1]
        # scikit-learn prints a line per fit when it is told to say so much.
        shares = self._share_prefixes and first[2]["verbose"] <= 1
        equal = EqualFits(call, self._candidates if shares else ())
        if recalls:
            # Known before the first fit starts, so that it can be said. Otherwise
            # tasks stay lazy, since each carries a clone of the estimator.
            todo = list(pending)
            n_rescored = sum("model" in kwargs for *_, kwargs in todo)
            n_equal = sum(map(equal.waits, todo))
            n_to_do = len(todo) - n_rescored - n_equal
            recorder.expect(n_candidates, len(results), n_rescored, n_equal, n_to_do)
            pending = map(_with_model, todo)
        else:
            n_equal = equal.n_candidates * call.n_splits
            recorder.expect(n_candidates, 0, 0, n_equal, None)
        sharing = Sharing(call, self._share_prefixes)

        def settle() -> None:
            for made, position in equal.settled():
                results[position] = dict(made.result)
                recorder.record_equal(fits[position], made)

        for tasks in (pending, equal.left()):
            stream = stream_shared(
                self._parallel, tasks, "position", sharing, equal.spare
            )
            for position, outcome in stream:
                fit, results[position] = fits[position], outcome.result
                made = recorder.record_split(fit, outcome)
                equal.landed(fit.candidate - self._n_candidates, fit.split, made)
                settle()
            settle()
        recorder.announce_spared(sharing.n_spared)
        recorder.announce_equal(equal.n_settled)
        if recalls:
            recorder.announce_not_rescored()
        if fits:
            self._n_candidates = fits[-1].candidate + 1
        return [results[position] for position in range(len(fits))]

    def _keep_splits(self, tasks: Iterator[Any], call: FitCall) -> Iterator[Any]:
        """Record the splits, from the tasks of the first candidate."""
        ahead = list(islice(tasks, call.n_splits))
        of_first = [kw for *_, kw in ahead if kw["candidate_progress"][0] == 0]
        pairs = [self._recorder.split(kw["train"], kw["test"]) for kw in of_first]
        count = of_first[0]["candidate_progress"][1]
        self._recorder.set_splits(
            self._n_candidates, count, _num_samples(call.X), pairs
        )
        return chain(ahead, tasks)

    def _pending(
        self,
        tasks: Iterable[Any],
        unheard: Mapping[str, Any],
        recalls: bool,
        fits: list[PlannedFit],
        results: dict[int, dict[str, Any]],
    ) -> Iterator[Any]:
        for position, (function, args, kwargs) in enumerate(tasks):
            train, test = self._recorder.split(kwargs["train"], kwargs["test"])
            kwargs.update(train=train, test=test)
            fit = PlannedFit(
                candidate=self._n_candidates + kwargs["candidate_progress"][0],
                split=kwargs["split_progress"][0],
                params=kwargs["parameters"],
                train=train,
                test=test,
            )
            fits.append(fit)
            recalled = self._recorder.recall(fit) if recalls else None
            if recalled is not None:
                results[position] = recalled
                show_as_done(kwargs)
                continue
            kwargs["position"] = position
            if self._recorder.captures_splits:
                kwargs["snapshotting"] = self._recorder.snapshotting(
                    fit.candidate, fit.split
                )
            if not any(hasattr(p, "_skl_callbacks") for p in fit.params.values()):
                kwargs.update(unheard)
            # Who listens to fits must get them.
            if recalls and kwargs.get("callback_ctx") is None:
                stored = self._recorder.find_model(fit)
                if stored is not None:
                    kwargs["model"] = stored
            yield function, args, kwargs


def _with_model(task: Any) -> Any:
    """Read the stored model of a task just before it is sent."""
    function, args, kwargs = task
    if "model" in kwargs:
        kwargs = {**kwargs, "model": load_model(kwargs["model"])}
    return function, args, kwargs


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
    """Return task arguments that are not needed without callbacks.

    scikit-learn 1.9 sends with each task a tree of all tasks: nothing to a small
    grid, but a time that grows with the square of a large one.
    """
    if "callback_ctx" not in kwargs or has_callbacks(kwargs["caller"], estimator):
        return {}
    return {"caller": None, "callback_ctx": None}

"""Fits that equal another one for certain: one is made, the others get its outcome."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from weightsearch._records import Outcome
from weightsearch.frameworks._capture import randomness
from weightsearch.frameworks._registry import registered_extractors
from weightsearch.search._fits import FitCall, MadeFit
from weightsearch.search._sklearn._known import Unknown, known_key, known_param
from weightsearch.search._sklearn._scoring import scoring_of
from weightsearch.search._sklearn._step_cache import counted_warnings

__all__ = ["EqualFits", "FitWatch"]

_Task = tuple[Any, tuple[Any, ...], dict[str, Any]]
_Place = tuple[int, int]

_BOXES = (np.float64, np.int64, np.bool_, np.str_)
_NARROW = ("float16", "float32")


class EqualFits:
    """Fits of a search that wait for an equal one of an earlier candidate.

    Parameters
    ----------
    call : FitCall
    candidates : sequence of mapping
        The params of the candidates that are evaluated together.

    Attributes
    ----------
    n_candidates : int
        How many equal an earlier one.
    n_settled : int
        How many fits need not be made, as is known by now.
    """

    def __init__(self, call: FitCall, candidates: Sequence[Mapping[str, Any]]):
        self._first_of = _firsts(call, candidates)
        self._awaited = frozenset(self._first_of.values())
        self._made: dict[_Place, MadeFit | None] = {}
        self._waiting: dict[_Place, list[_Task]] = {}
        self._settled: deque[tuple[MadeFit, int]] = deque()
        self.n_candidates = len(self._first_of)
        self.n_settled = 0

    def waits(self, task: _Task) -> bool:
        """Whether a task is of a candidate that equals an earlier one."""
        kwargs = task[2]
        return (
            kwargs["candidate_progress"][0] in self._first_of
            and "model" not in kwargs
            # Whoever listens to fits must get them.
            and kwargs.get("callback_ctx") is None
        )

    def spare(self, tasks: Iterator[_Task]) -> Iterator[_Task]:
        """Yield the tasks that are to be run, as far as that is known."""
        if not self._first_of:
            yield from tasks
            return
        for task in tasks:
            function, args, kwargs = task
            candidate, split = _place(kwargs)
            if candidate in self._awaited:
                kwargs = {**kwargs, "watched": True}
            elif self.waits(task):
                first = self._first_of[candidate], split
                made = self._made.get(first, first)
                if made is first:
                    self._waiting.setdefault(first, []).append(task)
                    continue
                if isinstance(made, MadeFit):
                    self._settled.append((made, kwargs["position"]))
                    continue
            yield function, args, kwargs

    def landed(self, candidate: int, split: int, made: MadeFit | None) -> None:
        """Note a fit; None where an equal one might come to something else."""
        place = candidate, split
        if candidate not in self._awaited:
            return
        self._made[place] = made
        if made is not None:
            for *_, kwargs in self._waiting.pop(place, ()):
                self._settled.append((made, kwargs["position"]))

    def settled(self) -> Iterator[tuple[MadeFit, int]]:
        """Yield the positions of tasks that need not be run, with what they equal."""
        while self._settled:
            self.n_settled += 1
            yield self._settled.popleft()

    def left(self) -> Iterator[_Task]:
        """Yield the tasks that have waited in vain."""
        waiting, self._waiting = self._waiting, {}
        for place, tasks in waiting.items():
            self._made.setdefault(place, None)
            yield from tasks


def _place(kwargs: Mapping[str, Any]) -> _Place:
    return kwargs["candidate_progress"][0], kwargs["split_progress"][0]


def _firsts(call: FitCall, candidates: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Return the number of the first equal candidate for each that has one."""
    try:
        text = repr((known_key(call.estimator), known_key(scoring_of(call.scorer))))
    except Unknown:
        return {}
    if registered_extractors():
        return {}
    # Of narrower numbers, numpy's scalars make wider ones, and Python's do not.
    unbox = (
        getattr(call.X, "dtype", None) == np.float64
        and str(getattr(call.y, "dtype", "")) not in _NARROW
        and not call.fit_params
        and not any(name in text for name in _NARROW)
    )
    given = call.estimator.get_params(deep=True)
    steps = {name.rpartition("__")[0] for name in given} - {""}
    seen: dict[Hashable, int] = {}
    found: dict[int, int] = {}
    for number, params in enumerate(candidates):
        parts = params.items()
        if unbox:
            parts = {name: _unboxed(value) for name, value in parts}.items()
        try:
            keys = {(name, known_param(name, value)) for name, value in parts}
            if steps.isdisjoint(params):
                # What the estimator has already need not be named.
                keys -= {(name, known_param(name, given[name])) for name in params}
        except (KeyError, Unknown):
            continue
        first = seen.setdefault(frozenset(keys), number)
        if first != number:
            found[number] = first
    return found


def _unboxed(value: Any) -> Any:
    return value.item() if type(value) in _BOXES else value


class FitWatch:
    """Whether equal fits would come to the same, and nobody would notice.

    Attributes
    ----------
    saw_nothing : bool
        Whether the watched block showed no warning and drew no random number.
    """

    saw_nothing = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Watch a block."""
        # Warnings are watched for the whole process.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = randomness()
        with counted_warnings() as warned:
            yield
        self.saw_nothing = not warned and randomness() == before

    def seen(self, outcome: Outcome) -> Outcome:
        """Add to an outcome whether an equal fit would come to the same."""
        silent = self.saw_nothing and outcome.result["fit_error"] is None
        return outcome._replace(repeats=silent)

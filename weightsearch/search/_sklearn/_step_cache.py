"""Fitted steps of pipelines, and what they make of the data, kept for other fits."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from weightsearch.frameworks._capture import randomness
from weightsearch.search._sklearn._twins import alias, has_twin, inside, nbytes_of, twin

__all__ = ["Entry", "Level", "StepCache", "counted_warnings"]

_GENERATORS = (np.random.RandomState, np.random.Generator, np.random.BitGenerator)


class Level(NamedTuple):
    """One step of a candidate's pipeline.

    Attributes
    ----------
    key : hashable
        Equal for fits that have this step and all before it in common.
    keep : bool
        Whether what comes out of it is kept for others.
    n_users : int
        How many fits begin so.
    parts : dict of str -> Level
        Parts of a ColumnTransformer or FeatureUnion, by name, that fits have which do
        not have all of it in common.
    """

    key: Any
    keep: bool
    n_users: int
    parts: Mapping[str, Level]


class Entry:
    """Fitted steps, and what the last of them makes of the data.

    Attributes
    ----------
    steps : tuple of estimator
    outputs : dict of str -> data
        ``"fit"``: what came out when the last step was fitted. ``"test"`` and
        ``"train"``: its ``transform`` of the rows that models are scored on.
    """

    def __init__(self, steps: Sequence[Any], n_left: int):
        self.steps = tuple(steps)
        self.outputs: dict[str, Any] = {}
        self.nbytes = 0
        self.n_left = n_left


class StepCache:
    """Fitted steps of one process, as long as other fits will ask for them.

    Parameters
    ----------
    limit : int
        Bytes of transformed data that are kept at most.
    copy_steps : bool
        Whether every candidate gets fitted steps of its own, since its scorer may
        look at them or change them.

    Attributes
    ----------
    n_spared : int
        How many fits of steps were not made.
    seconds : float
        Time spent on steps that can be shared.
    """

    def __init__(self, limit: int, *, copy_steps: bool):
        self.limit = limit
        self.copy_steps = copy_steps
        self.n_spared = 0
        self.seconds = 0.0
        self._entries: dict[Any, Entry] = {}
        self._nbytes = 0

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()
        self._nbytes = 0

    def find(self, level: Level) -> Entry | None:
        """Return what is kept of a step and those before it."""
        return self._entries.get(level.key)

    def keep(self, level: Level, steps: Sequence[Any], data: Any) -> None:
        """Keep fitted steps and a copy of `data`, if there is room for it."""
        entry = Entry(steps, level.n_users)
        if self.add(entry, "fit", data):
            if self.copy_steps:
                entry.steps = copy.deepcopy(entry.steps)
            self._entries[level.key] = entry

    def add(self, entry: Entry, rows: str, data: Any) -> bool:
        """Keep a copy of one output of an entry, if there is room for it."""
        nbytes = nbytes_of(data)
        if self._nbytes + nbytes > self.limit:
            return False
        entry.outputs[rows] = twin(data)
        entry.nbytes += nbytes
        self._nbytes += nbytes
        return True

    def used(self, levels: Sequence[Level]) -> None:
        """Count a fit that has ended, and drop what no other will ask for."""
        parts = [part for level in levels for part in level.parts.values()]
        for level in (*levels, *parts):
            entry = self._entries.get(level.key)
            if entry is None:
                continue
            entry.n_left -= 1
            if entry.n_left <= 0:
                self._nbytes -= self._entries.pop(level.key).nbytes

    def watched(
        self, make: Callable[[], tuple[Any, Any]], X: Any
    ) -> tuple[Any, Any, bool]:
        """Fit or apply a step.

        Parameters
        ----------
        make : callable
            Returns what comes out of the step, and the fitted step.
        X : object
            What goes into it.

        Returns
        -------
        made : object
        step : object
        is_certain : bool
            Whether nobody could tell if it had been done for another candidate.
        """
        start, inner = time.perf_counter(), self.seconds
        before = randomness()
        with counted_warnings() as warned:
            made, step = make()
        is_certain = (
            not warned
            and has_twin(made)
            and randomness() == before
            and not alias(made, (X, step))
            and not any(isinstance(one, _GENERATORS) for one in inside(step))
        )
        if is_certain:
            self.seconds = inner + time.perf_counter() - start
        return made, step, is_certain


@contextmanager
def counted_warnings() -> Iterator[list[Any]]:
    """List the warnings that are shown in this block, which passes them on.

    ``catch_warnings`` would make Python forget which ones it has shown.
    """
    shown: list[Any] = []
    show = warnings.showwarning

    def count(message: Any, *args: Any, **kwargs: Any) -> None:
        shown.append(message)
        show(message, *args, **kwargs)

    warnings.showwarning = count
    try:
        yield shown
    finally:
        warnings.showwarning = show

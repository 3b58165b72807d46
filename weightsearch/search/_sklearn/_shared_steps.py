"""Fitted steps of pipelines, handed to the candidates that begin alike."""

from __future__ import annotations

import copy
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from weightsearch._copies import copied
from weightsearch.frameworks._capture import randomness

__all__ = ["Level", "SharedSteps", "StepCache"]


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
    """

    key: Any
    keep: bool
    n_users: int


class _Entry:
    """Fitted steps, and what the last of them makes of the data."""

    def __init__(self, steps: Sequence[Any], data: Any, nbytes: int, n_left: int):
        self.steps = tuple(steps)
        self.data = data
        self.nbytes = nbytes
        self.n_left = n_left


class StepCache:
    """Fitted steps of one process, as long as somebody will ask for them.

    Parameters
    ----------
    limit : int
        Bytes of transformed data that are kept at most.
    copy_steps : bool
        Whether every candidate gets fitted steps of its own, since its scorer may
        change them.

    Attributes
    ----------
    n_spared : int
        How many fits of steps were not made.
    seconds : float
        What those took that were made and kept.
    """

    def __init__(self, limit: int, *, copy_steps: bool):
        self.limit = limit
        self.copy_steps = copy_steps
        self.n_spared = 0
        self.seconds = 0.0
        self._entries: dict[Any, _Entry] = {}
        self._nbytes = 0

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()
        self._nbytes = 0

    def find(self, key: Any) -> _Entry | None:
        return self._entries.get(key)

    def keep(self, level: Level, steps: Sequence[Any], data: Any) -> None:
        """Keep a copy of `data`, if there is room for it."""
        nbytes = _nbytes(data)
        if self._nbytes + nbytes > self.limit:
            return
        if self.copy_steps:
            steps = copy.deepcopy(steps)
        entry = _Entry(steps, _twin(data), nbytes, level.n_users)
        self._entries[level.key] = entry
        self._nbytes += nbytes

    def used(self, levels: Sequence[Level]) -> None:
        """Count a fit that has ended, and drop what no other will ask for."""
        for level in levels:
            entry = self._entries.get(level.key)
            if entry is None:
                continue
            entry.n_left -= 1
            if entry.n_left <= 0:
                self._nbytes -= self._entries.pop(level.key).nbytes


class SharedSteps:
    """The ``memory`` of one candidate's pipeline while it is fitted.

    Parameters
    ----------
    cache : StepCache
    levels : sequence of Level
        The first steps of the pipeline; those after them are fitted as always.
    """

    location = None  # so that the pipeline fits its own steps and not clones of them

    def __init__(self, cache: StepCache, levels: Sequence[Level]):
        self._cache = cache
        self._levels = levels
        self._fitted: list[Any] = []
        self._entry: _Entry | None = None
        self._depth = -1
        self._position = 0
        self._is_open = True

    @contextmanager
    def __call__(self, pipeline: Any) -> Iterator[None]:
        """Share steps in this block, in which the pipeline is fitted once."""
        # Warnings are watched for the whole process.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        for depth, level in enumerate(self._levels):
            entry = self._cache.find(level.key)
            if entry is not None:
                self._entry, self._depth = entry, depth
        pipeline.memory = self
        try:
            yield
        finally:
            pipeline.memory = None
            self._cache.used(self._levels)

    def cache(self, function: Callable[..., Any], ignore: Any = None) -> Any:
        """Return a replacement for the pipeline's function that fits one step."""

        def fit_transform(transformer: Any, X: Any, y: Any, **kwargs: Any) -> Any:
            position = self._position
            self._position += 1
            if self._entry is not None and position <= self._depth:
                return self._spared(self._entry, position)
            if not self._is_open or position >= len(self._levels):
                return function(transformer, X, y, **kwargs)
            return self._watched(function, transformer, X, y, kwargs)

        return fit_transform

    def __deepcopy__(self, memo: Any) -> SharedSteps:
        return self

    def _spared(self, entry: _Entry, position: int) -> tuple[Any, Any]:
        self._cache.n_spared += 1
        step = entry.steps[position]
        if self._cache.copy_steps:
            step = copy.deepcopy(step)
        self._fitted.append(step)
        # Nobody looks at what comes out of the steps before the last.
        last = position == self._depth
        return (_twin(entry.data) if last else None), step

    def _watched(
        self,
        function: Callable[..., Any],
        transformer: Any,
        X: Any,
        y: Any,
        kwargs: dict[str, Any],
    ) -> tuple[Any, Any]:
        """Fit a step, and keep it if nobody can tell whose fit it was."""
        params = kwargs.get("params") or {}
        if any(params.values()):
            self._is_open = False
            return function(transformer, X, y, **kwargs)  # type: ignore[no-any-return]
        start = time.perf_counter()
        before = randomness()
        with _counted_warnings() as warned:
            made, fitted = function(transformer, X, y, **kwargs)
        self._is_open = (
            not warned
            and _has_twin(made)
            and randomness() == before
            and not _alias(made, (X, fitted))
            and not any(isinstance(one, _GENERATORS) for one in _inside(fitted))
        )
        if self._is_open:
            self._cache.seconds += time.perf_counter() - start
            self._fitted.append(fitted)
            level = self._levels[self._position - 1]
            if level.keep:
                self._cache.keep(level, self._fitted, made)
        return made, fitted


@contextmanager
def _counted_warnings() -> Iterator[list[Any]]:
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


_COMPRESSED = frozenset(
    {sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.csc_array}
)
_GENERATORS = (np.random.RandomState, np.random.Generator, np.random.BitGenerator)


def _has_twin(data: Any) -> bool:
    """Whether a copy of the data is certain to act like the data themselves."""
    if type(data) is np.ndarray:
        return not data.dtype.hasobject and all(step > 0 for step in data.strides)
    if type(data) is pd.DataFrame:
        return bool(data.columns.is_unique)
    return type(data) in _COMPRESSED


def _twin(data: Any) -> Any:
    """Copy data with their layout in memory, on which sums depend."""
    if isinstance(data, np.ndarray):
        if data.flags.forc:
            return data.copy(order="K")
        steps = zip(data.shape, data.strides, strict=True)
        nbytes = data.itemsize + sum((n - 1) * step for n, step in steps)
        room = np.empty(nbytes, "u1")
        twin: Any = np.ndarray(data.shape, data.dtype, room, strides=data.strides)
        twin[...] = data
        return twin
    if isinstance(data, pd.DataFrame):
        return copied(data)
    # The matrix's own copy may have indices of another type.
    twin = copy.copy(data)
    twin.data, twin.indices, twin.indptr = map(_twin, _arrays(data))
    return twin


def _arrays(data: Any) -> list[Any]:
    """Return the arrays that data are made of."""
    if isinstance(data, np.ndarray):
        return [data]
    if isinstance(data, pd.Series):
        return [data.to_numpy()]
    if isinstance(data, pd.DataFrame):
        return [data.iloc[:, n].to_numpy() for n in range(data.shape[1])]
    if sparse.issparse(data):
        parts = ("data", "indices", "indptr")
        return [getattr(data, name) for name in parts if hasattr(data, name)]
    return []


def _nbytes(data: Any) -> int:
    if isinstance(data, pd.DataFrame):
        return int(data.memory_usage(deep=True).sum())
    return sum(array.nbytes for array in _arrays(data))


def _inside(value: Any) -> Iterator[Any]:
    """Yield what an object holds that may be large or may change."""
    if isinstance(value, dict):
        parts: Any = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    elif hasattr(value, "__dict__") and not isinstance(
        value, type | pd.DataFrame | pd.Series | np.ndarray
    ):
        yield value
        parts = vars(value).values()
    else:
        yield value
        return
    for part in parts:
        if part is not None and type(part) not in (int, float, str, bool):
            yield from _inside(part)


def _alias(made: Any, others: Any) -> bool:
    """Whether who writes into `made` may also write into the others."""
    own = _arrays(made)
    return any(
        np.may_share_memory(mine, array)
        for other in _inside(others)
        for array in _arrays(other)
        for mine in own
    )

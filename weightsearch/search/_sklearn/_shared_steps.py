"""Fitted steps of pipelines, handed to the candidates that begin alike."""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Self

from sklearn import get_config

from weightsearch.search._sklearn._parts import fitted_parts, fitting_parts
from weightsearch.search._sklearn._step_cache import Entry, Level, StepCache
from weightsearch.search._sklearn._twins import twin

__all__ = ["SharedSteps"]

_SPARED = object()
"""Between two steps of which only the last one's output is used."""


class SharedSteps:
    """Steps of one candidate's pipeline that others have too.

    They are shared within ``with`` blocks of it. It is the ``memory`` of the pipeline
    while that is fitted, and the ``transform`` of the steps while it is scored.

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
        self._entry: Entry | None = None
        self._depth = -1
        self._position = 0
        self._is_open = True
        self._scored: _Transforms | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._scored is not None:
            self._scored.unhook()
        self._cache.used(self._levels)

    @contextmanager
    def fitting(self, pipeline: Any) -> Iterator[None]:
        """Share steps in this block, in which the pipeline is fitted once."""
        # Warnings are watched for the whole process.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        for depth, level in enumerate(self._levels):
            entry = self._cache.find(level)
            if entry is not None:
                self._entry, self._depth = entry, depth
        pipeline.memory = self
        try:
            yield
        finally:
            pipeline.memory = None

    def scoring(self, X_train: Any) -> None:
        """Share what the fitted steps make of rows, from now to the end."""
        # Scorers may look at the steps; with routing, steps may get params.
        if self._cache.copy_steps or get_config()["enable_metadata_routing"]:
            return
        levels = self._levels[: len(self._fitted)]
        self._scored = _Transforms(self._cache, levels, self._fitted, X_train)

    def cache(self, function: Callable[..., Any], ignore: Any = None) -> Any:
        """Return a replacement for the pipeline's function that fits one step."""

        def fit_transform(transformer: Any, X: Any, y: Any, **kwargs: Any) -> Any:
            position = self._position
            self._position += 1
            if self._entry is not None and position <= self._depth:
                return self._spared(self._entry, position)
            params = kwargs.get("params") or {}
            if position >= len(self._levels) or any(params.values()):
                self._is_open = False
            if not self._is_open:
                return function(transformer, X, y, **kwargs)
            level = self._levels[position]
            make = functools.partial(function, transformer, X, y, **kwargs)
            with self._fitting_parts(transformer, level):
                made, fitted, self._is_open = self._cache.watched(make, X)
            if self._is_open:
                self._fitted.append(fitted)
                if level.keep:
                    self._cache.keep(level, self._fitted, made)
            return made, fitted

        return fit_transform

    def __deepcopy__(self, memo: Any) -> SharedSteps:
        return self

    def _spared(self, entry: Entry, position: int) -> tuple[Any, Any]:
        step = self._own(entry.steps[position])
        self._fitted.append(step)
        # Nobody looks at what comes out of the steps before the last.
        last = position == self._depth
        return (twin(entry.outputs["fit"]) if last else None), step

    def _own(self, step: Any) -> Any:
        """Return a fitted step for this candidate, which need not fit it."""
        self._cache.n_spared += 1
        return copy.deepcopy(step) if self._cache.copy_steps else step

    def _fitting_parts(self, step: Any, level: Level) -> AbstractContextManager[None]:
        if not level.parts:
            return nullcontext()
        return fitting_parts(step, functools.partial(self._fit_part, level.parts))

    def _fit_part(
        self,
        parts: Mapping[str, Level],
        name: str,
        function: Callable[..., Any],
        transformer: Any,
        X: Any,
        y: Any,
        weight: Any,
        **kwargs: Any,
    ) -> tuple[Any, Any]:
        """Fit a part of a step, or take it from where others have it too."""
        level = parts.get(name)
        entry = None if level is None else self._cache.find(level)
        if entry is not None:
            return twin(entry.outputs["fit"]), self._own(entry.steps[0])
        make = functools.partial(function, transformer, X, y, weight, **kwargs)
        made, fitted, is_certain = self._cache.watched(make, X)
        if is_certain and level is not None:
            self._cache.keep(level, [fitted], made)
        return made, fitted


class _Transforms:
    """The ``transform`` of one candidate's shared steps while it is scored.

    A scorer of scikit-learn passes the rows of the split on as they are. The first
    ones that are not those that the pipeline was fitted on are its test rows.
    """

    def __init__(
        self,
        cache: StepCache,
        levels: Sequence[Level],
        steps: Sequence[Any],
        X_train: Any,
    ):
        self._cache = cache
        self._entries = [cache.find(level) for level in levels]
        self._steps = steps
        self._rows = {"train": X_train}
        self._current = ""
        self._expected: Any = None
        self._depth = -1
        self._hooked: list[Any] = []
        for position, (step, level) in enumerate(zip(steps, levels, strict=True)):
            self._hook(step, self._transform, position)
            parts = fitted_parts(step) if level.parts else {}
            for name, part_level in level.parts.items():
                entry = cache.find(part_level)
                if entry is not None and entry.steps[0] is parts.get(name):
                    self._hook(parts[name], self._transform_part, entry)

    def _hook(self, step: Any, function: Callable[..., Any], which: Any) -> None:
        vars(step)["transform"] = functools.partial(function, which, step.transform)
        self._hooked.append(step)

    def unhook(self) -> None:
        """Give the steps their own ``transform`` back."""
        for step in self._hooked:
            vars(step).pop("transform", None)

    def _begin(self, X: Any) -> None:
        """Find the last step that has transformed these rows before."""
        if X is not self._rows["train"]:
            self._rows.setdefault("test", X)
        self._current = next((name for name, X_ in self._rows.items() if X_ is X), "")
        self._expected = X
        self._depth = -1
        for depth, entry in enumerate(self._entries):
            if entry is not None and self._current in entry.outputs:
                self._depth = depth

    def _transform(self, position: int, transform: Callable[..., Any], X: Any) -> Any:
        if position == 0:
            self._begin(X)
        if X is not self._expected:
            self._current = ""
        if not self._current:
            return transform(X)
        entry = self._entries[position]
        if position < self._depth:
            made = _SPARED
        elif position == self._depth and entry is not None:
            made = twin(entry.outputs[self._current])
        else:
            step = self._steps[position]
            made, _, is_certain = self._cache.watched(lambda: (transform(X), step), X)
            if not is_certain:
                self._current = ""
            elif entry is not None:
                self._cache.add(entry, self._current, made)
        self._expected = made
        return made

    def _transform_part(
        self, entry: Entry, transform: Callable[..., Any], X: Any
    ) -> Any:
        """Transform the columns of a part, while the step that it is of does so."""
        rows = self._current
        if rows in entry.outputs:
            return twin(entry.outputs[rows])
        if not rows:
            return transform(X)
        step = entry.steps[0]
        made, _, is_certain = self._cache.watched(lambda: (transform(X), step), X)
        if is_certain:
            self._cache.add(entry, rows, made)
        return made

"""Which fits of a search begin with equal steps, and the order in which that pays."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Self

import numpy as np
from joblib.parallel import LokyBackend, MultiprocessingBackend, Parallel
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import delayed

from weightsearch._records import Outcome
from weightsearch.frameworks._registry import registered_extractors
from weightsearch.search._fits import FitCall
from weightsearch.search._sklearn._known import Unknown, known_key, known_param
from weightsearch.search._sklearn._parallel import stream
from weightsearch.search._sklearn._parts import part_names
from weightsearch.search._sklearn._scoring import asks_only
from weightsearch.search._sklearn._shared_steps import SharedSteps
from weightsearch.search._sklearn._step_cache import Level, StepCache

__all__ = ["Sharing", "stream_shared"]

_Task = tuple[Any, tuple[Any, ...], dict[str, Any]]
_Path = tuple[int, ...]

_DEFAULT_BYTES = 512 << 20
"""Transformed data that each process keeps."""

_AHEAD = 1024
"""Tasks that are compared with each other; each has a clone of the estimator."""

_CHUNK = 32
"""Fits that are sent to a worker together at most."""

_CHUNK_SECONDS = 10.0
"""After so long a worker reports what it has, unless shared steps took half of it."""

_CHUNK_BYTES = 16 << 20
"""Weights that a worker gathers before it reports them."""


class Sharing:
    """Beginnings of the pipelines of a search.

    Parameters
    ----------
    call : FitCall
        With the estimator that all candidates are made of.
    share_prefixes : bool or int
        The param of the search: bytes per process, or whether at all.

    Attributes
    ----------
    n_spared : int
        Fits of steps that were not made.
    parts : dict of int -> dict of str -> int
        For numbers of a path, those of the parts of that step, by name.
    """

    def __init__(self, call: FitCall, share_prefixes: bool | int):
        self.n_spared = 0
        self.limit = int(share_prefixes)
        if isinstance(share_prefixes, bool | np.bool_):
            self.limit *= _DEFAULT_BYTES
        self.copy_steps = bool(registered_extractors()) or not asks_only(call.scorer)
        self._steps: dict[str, Any] = {}
        self._are_known: dict[str, bool] = {}
        self._nodes: dict[Hashable, int] = {}
        self.parts: dict[int, dict[str, int]] = {}
        pipeline = call.estimator
        if not self.limit or type(pipeline) is not Pipeline:
            return
        plain = pipeline.memory is None and not pipeline.verbose
        if plain and getattr(pipeline, "transform_input", None) is None:
            self._steps = dict(pipeline.steps)
            self._are_known = {
                name: _is_known(step) for name, step in self._steps.items()
            }

    @property
    def is_possible(self) -> bool:
        """Whether the first step of the estimator could be shared."""
        return len(self._steps) > 1

    def path(self, kwargs: Mapping[str, Any]) -> _Path:
        """Return a number per step of a task: equal for all that begin so."""
        params = kwargs["parameters" if "parameters" in kwargs else "params"]
        if "model" in kwargs or kwargs.get("callback_ctx", kwargs.get("context")):
            return ()
        of_step: dict[str, dict[str, Any]] = {}
        for name, value in params.items():
            step = name.partition("__")[0]
            if step not in self._steps:
                return ()
            of_step.setdefault(step, {})[name] = value
        path: list[int] = []
        for step in list(self._steps)[:-1]:
            given = of_step.get(step, {})
            used = given.get(step, self._steps[step])
            if used is None or (isinstance(used, str) and used == "passthrough"):
                continue
            try:
                key = tuple((name, known_param(name, given[name])) for name in given)
            except Unknown:
                break
            if not (step in given or self._are_known[step]):
                break
            before = path[-1] if path else 0
            node = self._number(before, step, key)
            if node not in self.parts and step not in given:
                self.parts[node] = self._parts(before, step, key)
            path.append(node)
        return tuple(path)

    def _number(self, *key: Hashable) -> int:
        return self._nodes.setdefault(key, len(self._nodes) + 1)

    def _parts(
        self, before: int, step: str, key: Sequence[tuple[str, Hashable]]
    ) -> dict[str, int]:
        """Number the parts of a step: equal for equal params of part and step."""
        names = part_names(self._steps[step])
        own: dict[str, list[Hashable]] = {name: [] for name in names}
        common: list[Hashable] = []
        for pair in key:
            own.get(pair[0].split("__")[1], common).append(pair)
        return {
            name: self._number(before, step, name, tuple(own[name]), tuple(common))
            for name in names
        }

    def n_common(self, path: _Path, other: _Path) -> int:
        """Return how alike two paths begin; parts of a step count less than steps."""
        equal = sum(a == b for a, b in zip(path, other, strict=False))
        nodes = [*path[equal : equal + 1], *other[equal : equal + 1]]
        parts = [set(self.parts.get(node, {}).values()) for node in nodes]
        return 2 * equal + (len(parts) == 2 and not parts[0].isdisjoint(parts[1]))


def _is_known(step: Any) -> bool:
    try:
        known_key(step)
    except Unknown:
        return False
    return True


def stream_shared(
    parallel: Parallel,
    tasks: Iterator[_Task],
    key: str,
    sharing: Sharing,
    spare: Callable[[Iterator[_Task]], Iterator[_Task]] = iter,
) -> Iterator[tuple[int, Any]]:
    """Yield results as :func:`stream` does, equal beginnings fitted once.

    In one process the fits keep their order, and with it what they draw. Workers get
    those that begin alike together.

    Parameters
    ----------
    parallel : Parallel
    tasks : iterator of (function, args, kwargs)
        The function takes ``steps``, a :class:`SharedSteps`, or None.
    key : str
        The keyword argument that is a task's number.
    sharing : Sharing
    spare : callable
        Takes out tasks that need not be run, when they are about to be sent.
    """
    backend = getattr(parallel, "_backend", None)
    if sharing.is_possible and parallel._effective_n_jobs() == 1:
        cache = StepCache(sharing.limit, copy_steps=sharing.copy_steps)
        yield from stream(parallel, spare(_in_order(tasks, sharing, cache)), key)
        sharing.n_spared += cache.n_spared
    elif sharing.is_possible and isinstance(
        backend, LokyBackend | MultiprocessingBackend
    ):
        n_workers = parallel._effective_n_jobs()
        chunks = _Chunks(spare(tasks), key, sharing, n_workers)
        for number, done in stream(parallel, chunks, "chunk"):
            yield from chunks.landed(number, done)
    else:
        yield from stream(parallel, spare(tasks), key)


def _levels(
    paths: Sequence[_Path],
    scopes: Sequence[int],
    parts: Mapping[int, Mapping[str, int]],
) -> list[list[Level]]:
    """Return for each task the steps that others, of the same scope, have too."""
    counts = Counter(
        (scope, number)
        for path, scope in zip(paths, scopes, strict=True)
        for node in path
        for number in (node, *parts.get(node, {}).values())
    )
    found = []
    for path, scope in zip(paths, scopes, strict=True):
        levels: list[Level] = []
        for node, next_node in zip(path, (*path[1:], 0), strict=False):
            n_users = counts[scope, node]
            others = {
                name: Level((scope, part), True, counts[scope, part], {})
                for name, part in parts.get(node, {}).items()
                if counts[scope, part] > n_users
            }
            if n_users < 2 and not others:
                break
            keep = n_users > 1 and counts[scope, next_node] < n_users
            levels.append(Level((scope, node), keep, n_users, others))
        found.append(levels)
    return found


def _split(kwargs: Mapping[str, Any]) -> int:
    return int(kwargs.get("split_progress", (0,))[0])


def _in_order(
    tasks: Iterator[_Task], sharing: Sharing, cache: StepCache
) -> Iterator[_Task]:
    while ahead := list(islice(tasks, _AHEAD)):
        paths = [sharing.path(kwargs) for *_, kwargs in ahead]
        scopes = [_split(kwargs) for *_, kwargs in ahead]
        cache.clear()
        levels_of = _levels(paths, scopes, sharing.parts)
        for task, levels in zip(ahead, levels_of, strict=True):
            function, args, kwargs = task
            if levels:
                kwargs = {**kwargs, "steps": SharedSteps(cache, levels)}
            yield function, args, kwargs


class _Done(NamedTuple):
    """What a worker made of a chunk."""

    results: list[tuple[int, Outcome]]
    is_slow: bool
    n_spared: int

    @property
    def nbytes(self) -> int:
        return sum(outcome.nbytes for _, outcome in self.results)


class _Chunks:
    """Tasks in groups that begin alike, larger ones first.

    A worker returns early from a group that takes long; the rest is sent again.
    """

    def __init__(
        self, tasks: Iterator[_Task], key: str, sharing: Sharing, n_workers: int
    ):
        self._key = key
        self._sharing = sharing
        self._n_workers = n_workers
        self._sent: dict[int, list[tuple[_Path, _Task]]] = {}
        self._again: deque[list[tuple[_Path, _Task]]] = deque()
        self._groups = self._grouped(tasks)
        self._n_chunks = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _Task:
        group = self._again.popleft() if self._again else next(self._groups)
        number = self._n_chunks
        self._n_chunks += 1
        self._sent[number] = group
        function, (_, *data), _ = group[0][1]
        paths = [path for path, _ in group]
        levels = _levels(paths, [0] * len(group), self._sharing.parts)
        task: _Task = delayed(_run_chunk)(
            None,
            *data,
            chunk=number,
            function=function.function,
            tasks=[(args[0], kwargs) for _, (_, args, kwargs) in group],
            levels=levels,
            limit=self._sharing.limit,
            copy_steps=self._sharing.copy_steps,
        )
        return task

    def landed(self, number: int, done: _Done) -> Iterator[tuple[int, Outcome]]:
        """Yield the results of a chunk, and send again what it has not done."""
        rest = self._sent.pop(number)[len(done.results) :]
        if rest:
            self._again.extend([one] for one in rest) if done.is_slow else (
                self._again.append(rest)
            )
        self._sharing.n_spared += done.n_spared
        yield from done.results

    def _grouped(self, tasks: Iterable[_Task]) -> Iterator[list[tuple[_Path, _Task]]]:
        tasks = iter(tasks)
        while ahead := list(islice(tasks, _AHEAD)):
            found = [(self._sharing.path(task[2]), task) for task in ahead]
            # Stable: of equal paths, in scikit-learn's order.
            found.sort(key=lambda one: (_split(one[1][2]), one[0]))
            start = 0
            while start < len(found):
                size = math.ceil((len(found) - start) / (2 * self._n_workers))
                stop = self._end(found, start, min(size, _CHUNK))
                yield found[start:stop]
                start = stop

    def _end(self, found: Sequence[tuple[_Path, _Task]], start: int, size: int) -> int:
        """Return where a chunk from `start` on ends: where fewer begin alike."""

        def common(position: int) -> int:
            (path, one), (next_path, other) = found[position - 1 : position + 1]
            if _split(one[2]) != _split(other[2]):
                return 0
            return self._sharing.n_common(path, next_path)

        stop = start + 1
        while stop < min(start + size, len(found)) and common(stop):
            stop += 1
        if stop == len(found) or not common(stop):
            return stop
        # Of the places where it may end, the one that separates the least.
        places = range(start + max(1, (stop - start) // 2), stop + 1)
        return min(reversed(places), key=common)


def _run_chunk(
    _: None,
    X: Any,
    y: Any,
    *,
    chunk: int,
    function: Any,
    tasks: Sequence[tuple[Any, dict[str, Any]]],
    levels: Sequence[Sequence[Level]],
    limit: int,
    copy_steps: bool,
) -> tuple[int, _Done]:
    """Run tasks one after another in a worker."""
    cache = StepCache(limit, copy_steps=copy_steps)
    results: list[tuple[int, Outcome]] = []
    start = time.perf_counter()
    nbytes = 0
    is_slow = False
    for (estimator, kwargs), shared in zip(tasks, levels, strict=True):
        steps = SharedSteps(cache, shared) if shared else None
        result = function(estimator, X, y, **kwargs, steps=steps)
        results.append(result)
        nbytes += result[1].nbytes
        seconds = time.perf_counter() - start
        is_slow = seconds > max(_CHUNK_SECONDS, 2 * cache.seconds)
        if is_slow or nbytes > _CHUNK_BYTES:
            break
    return chunk, _Done(results, is_slow, cache.n_spared)

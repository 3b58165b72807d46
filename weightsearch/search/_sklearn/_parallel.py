"""Stream results from joblib's workers as they finish."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any, Self

import joblib
from sklearn.utils.parallel import Parallel, delayed

from weightsearch.search._sklearn._cluster import (
    check_workers,
    losses,
    mend_backend,
    sharing,
)

__all__ = ["make_parallel", "stream"]

_Task = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

_BATCH = 4
"""Tasks per worker in a batch, where joblib cannot stream."""

_LOSSES = 3
"""Consecutive losses without a result between them that are tolerated."""

_LARGE = 1 << 18
"""Results of this size and larger are sent back one at a time."""

_WAITING_BYTES = 64 << 20
"""Bytes of results that may wait to be stored."""

_PAUSE = 0.05
"""Seconds that a worker pauses while more bytes are waiting."""


def make_parallel(**kwargs: Any) -> Parallel:
    """Make a ``Parallel`` that streams where the backend can."""
    mend_backend()
    try:
        return Parallel(return_as="generator_unordered", **kwargs)
    except ValueError:
        # Backends such as Ray's cannot stream; they get bounded batches.
        return Parallel(**kwargs)


def stream(
    parallel: Parallel, tasks: Iterator[_Task], key: str
) -> Iterator[tuple[int, Any]]:
    """Yield results as they finish, never holding more than a few.

    A task that is lost with its worker is sent once more.

    Parameters
    ----------
    parallel : Parallel
        From :func:`make_parallel`.
    tasks : iterator of (function, args, kwargs)
        Each returns its number and a result that has ``nbytes``.
    key : str
        The keyword argument that is a task's number.

    Yields
    ------
    number : int
    something : object
    """
    sent = _RetryableTasks(tasks, key)
    n_lost = 0
    checked = False
    # joblib refuses an empty iterator on some backends.
    while (first := sent.peek()) is not None:
        if not checked:
            check_workers(first)
            checked = True
        try:
            for number, result in _results(parallel, sent):
                if number is None:
                    continue
                sent.landed(number, result.nbytes)
                if result.nbytes >= _LARGE:
                    parallel.batch_size = 1
                n_lost = 0
                yield number, result
        except losses() as error:
            n_lost += 1
            if n_lost > _LOSSES:
                error.add_note(
                    f"Workers were lost {n_lost} times with no fit finished between: "
                    "perhaps a fit needs more memory than a worker has."
                )
                raise
            warnings.warn(
                f"A worker was lost; {sent.n_flying} fits that were under way are "
                f"sent to the workers again ({type(error).__name__})",
                RuntimeWarning,
                stacklevel=2,
            )
        sent.again()


def _results(parallel: Parallel, tasks: Iterator[_Task]) -> Iterator[tuple[int, Any]]:
    if parallel.return_generator:
        results = parallel(tasks)
        try:
            for result in results:  # noqa: UP028 (yield from would close it itself)
                yield result
        except GeneratorExit:
            with warnings.catch_warnings():
                # joblib would name results that an interrupted search leaves behind.
                warnings.simplefilter("ignore")
                results.close()
            raise
        return
    size = _BATCH * joblib.effective_n_jobs(parallel.n_jobs)
    share = sharing()
    while batch := list(map(share, islice(tasks, size))):
        yield from parallel(batch)


def _pause(seconds: float) -> tuple[None, None]:
    """Pause a worker: a task that does nothing."""
    time.sleep(seconds)
    return None, None


class _RetryableTasks:
    """Tasks that can be sent again if their workers are lost.

    joblib takes them in threads of its own; one of an aborted call may still do so
    when the next call has begun. It takes one for each that has finished, whether or
    not somebody has taken the result. Where fits are quicker than the disk, results
    would gather in memory without end: then it gets pauses for tasks. (To let it wait
    for a task is no way out, since it holds a lock that whoever takes results needs.)
    """

    def __init__(self, tasks: Iterator[_Task], key: str):
        self._tasks = tasks
        self._key = key
        self._flying: dict[int, _Task] = {}
        self._lock = threading.RLock()
        self._caller = threading.get_ident()
        self._n_first = 0
        self._most_waiting: float = float("inf")

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _Task:
        with self._lock:
            if len(self._flying) >= self._n_first + self._most_waiting:
                pause: _Task = delayed(_pause)(_PAUSE)
                return pause
            task = next(self._tasks)
            self._flying[task[2][self._key]] = task
            # What is sent at once is taken in the thread that called joblib.
            self._n_first += threading.get_ident() == self._caller
            return task

    @property
    def n_flying(self) -> int:
        """Number of tasks that were sent and have not finished."""
        return len(self._flying)

    def peek(self) -> _Task | None:
        """Return the next task without taking it."""
        with self._lock:
            first = next(self._tasks, None)
            if first is not None:
                self._tasks = chain([first], self._tasks)
            return first

    def landed(self, number: int, nbytes: int) -> None:
        """Forget a finished task, whose result has so many bytes."""
        with self._lock:
            self._flying.pop(number, None)
            if nbytes:
                self._most_waiting = max(1, _WAITING_BYTES // nbytes)

    def again(self) -> None:
        """Send every unfinished task again."""
        with self._lock:
            flying, self._flying = self._flying, {}
            self._tasks = chain(flying.values(), self._tasks)

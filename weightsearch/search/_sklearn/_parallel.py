"""joblib's workers, whose results are taken one by one as they finish."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import chain, islice
from typing import Any

import joblib
from sklearn.utils.parallel import Parallel

__all__ = ["make_parallel", "stream"]


def make_parallel(**kwargs: Any) -> Parallel:
    try:
        return Parallel(return_as="generator_unordered", **kwargs)
    except ValueError:
        # Backends such as Ray's cannot stream; they get bounded batches.
        return Parallel(**kwargs)


def stream(parallel: Parallel, tasks: Iterator[Any]) -> Iterator[Any]:
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

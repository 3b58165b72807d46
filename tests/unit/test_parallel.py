"""Workers whose results come one by one, or in bounded batches."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError

import joblib
import numpy as np
import pytest
from sklearn.utils.parallel import delayed

from weightsearch.search._sklearn import _parallel
from weightsearch.search._sklearn._parallel import make_parallel, stream


def double(value, *, number):
    return number, np.int64(2 * value)


def lose_once(value, *, number, mark):
    """Stand for a worker that is lost with its task, the first time."""
    if value == 3 and not mark.exists():
        mark.touch()
        raise CancelledError("lost")
    return number, np.int64(2 * value)


def follow_the_first(*, number, mark):
    """Wait until the first result has been taken: its size is the others' limit."""
    while number and not mark.exists():
        time.sleep(0.001)
    return number, np.int64(number)


def always_lost(*, number):
    raise CancelledError("lost")


def counted(n, taken):
    for number in range(n):
        taken.append(number)
        yield delayed(double)(number, number=number)


@pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing"])
def test_every_task_gives_one_result(backend):
    """Whether a backend streams or not, each task's result comes once."""
    with (
        joblib.parallel_config(backend=backend, n_jobs=2),
        make_parallel() as parallel,
    ):
        found = dict(stream(parallel, counted(37, []), "number"))

    assert found == {number: 2 * number for number in range(37)}


def test_backend_that_cannot_stream_gets_bounded_batches():
    """Four tasks a worker at a time are taken, and no more before their results."""
    taken = []
    with (
        joblib.parallel_config(backend="multiprocessing", n_jobs=2),
        make_parallel() as parallel,
    ):
        results = stream(parallel, counted(100, taken), "number")
        for n_seen, _ in enumerate(results, start=1):
            assert len(taken) <= n_seen + 8

    assert not parallel.return_generator
    assert len(taken) == 100


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_results_do_not_gather_where_storing_is_slow(backend, monkeypatch, tmp_path):
    """Workers pause while more results wait than may be in memory."""
    monkeypatch.setattr(_parallel, "_WAITING_BYTES", 2 * np.int64().nbytes)
    taken = []
    waiting = []
    mark = tmp_path / "mark"

    def tasks():
        for number in range(40):
            taken.append(number)
            yield delayed(follow_the_first)(number=number, mark=mark)

    with (
        joblib.parallel_config(backend=backend, n_jobs=2),
        make_parallel(batch_size=1) as parallel,
    ):
        for n_seen, _ in enumerate(stream(parallel, tasks(), "number"), 1):
            mark.touch()
            time.sleep(0.03)
            waiting.append(len(taken) - n_seen)

    assert len(taken) == 40
    # Four are sent at once, and two may wait.
    assert max(waiting) <= 4 + 2


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_lost_tasks_are_sent_again(backend, tmp_path):
    """A task that was lost with its worker, and those beside it, run once more."""
    tasks = (
        delayed(lose_once)(number, number=number, mark=tmp_path / "mark")
        for number in range(12)
    )
    with (
        joblib.parallel_config(backend=backend, n_jobs=2),
        make_parallel() as parallel,
        pytest.warns(RuntimeWarning, match="A worker was lost"),
    ):
        found = dict(stream(parallel, tasks, "number"))

    assert found == {number: 2 * number for number in range(12)}


@pytest.mark.filterwarnings("ignore:A worker was lost:RuntimeWarning")
def test_losses_without_end_end_the_search():
    """Losses with no result between them are the fits' own doing."""
    tasks = (delayed(always_lost)(number=number) for number in range(4))
    with (
        joblib.parallel_config(backend="threading", n_jobs=2),
        make_parallel() as parallel,
        pytest.raises(CancelledError) as caught,
    ):
        list(stream(parallel, tasks, "number"))

    assert "more memory" in caught.value.__notes__[0]


def test_no_tasks_give_no_results():
    """Nothing to do is no error."""
    assert list(stream(make_parallel(n_jobs=2), iter(()), "number")) == []

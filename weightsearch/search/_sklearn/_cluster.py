"""Workarounds for joblib's Dask and Ray backends.

On Dask, a worker dies and takes with it the data that only it had, or it cannot load a
task at all; joblib's backend (joblib 1.4 to 1.6) would wait for such tasks without end.
On Ray (2.60 with joblib 1.6), the data would travel with every task.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

from joblib.parallel import get_active_backend
from sklearn.utils.parallel import delayed

__all__ = ["check_workers", "losses", "mend_backend", "sharing"]

_Task = tuple[Any, tuple[Any, ...], dict[str, Any]]

_NEEDS = (
    "Each Dask worker, and the scheduler, needs weightsearch, the libraries of the "
    "estimator and the modules that define it, in the client's versions; and a worker "
    "as much memory as a fit takes."
)


def losses() -> tuple[type[Exception], ...]:
    """Return the errors that mean a lost worker rather than a failed fit."""
    found: list[type[Exception]] = [CancelledError]  # Dask's, when data is lost
    ray = sys.modules.get("ray")
    if ray is not None:
        found.append(ray.exceptions.RayActorError)
    return tuple(found)


def mend_backend() -> None:
    """Patch the active backend, if it is joblib's Dask backend."""
    backend, _ = get_active_backend()
    if not _is_dask(backend):
        return
    name = "submit" if hasattr(backend, "submit") else "apply_async"
    if name in vars(backend):
        return
    plain_submit = getattr(backend, name)
    plain_n_jobs = backend.effective_n_jobs
    plain_scatter = backend._to_func_args
    callbacks: dict[int, Callable[[Any], None]] = {}

    def submit(batch: Any, callback: Callable[[Any], None]) -> Any:
        def tell(job: Future[Any]) -> None:
            # joblib calls back with results only.
            error = job.exception()
            if error is not None:
                error.add_note(_NEEDS)
                callback(error)

        callbacks[id(batch)] = callback
        job = plain_submit(batch, callback)
        job.add_done_callback(tell)
        return job

    async def scatter(batch: Any) -> Any:
        try:
            return await plain_scatter(batch)
        except Exception as error:
            # A batch whose data could not be sent is never submitted.
            lost = CancelledError(f"data could not be sent to a worker: {error}")
            lost.__cause__ = error
            callbacks[id(batch)](lost)
            raise
        finally:
            callbacks.pop(id(batch), None)

    def effective_n_jobs(n_jobs: int) -> int:
        # With a single one joblib would run the fits in the client.
        return max(2, int(plain_n_jobs(n_jobs)))

    setattr(backend, name, submit)
    backend._to_func_args = scatter
    backend.effective_n_jobs = effective_n_jobs


def check_workers(task: _Task) -> None:
    """Check that every Dask worker can load a task.

    A worker that cannot load a task loses its connection over it, is restarted and
    loses it again, and its error is to be found in its log only.
    """
    backend, _ = get_active_backend()
    if not _is_dask(backend):
        return
    from distributed.protocol import pickle

    function, (estimator, *_), kwargs = task
    code = [kwargs.get(name) for name in ("parameters", "params", "scorer")]
    blob = pickle.dumps((function, estimator, code))
    # The worker lacks perhaps our own modules, so that only builtins will do.
    answers = backend.client.run(
        exec, "import pickle; pickle.loads(blob)", {"blob": blob}, on_error="return"
    )
    for worker, error in answers.items():
        if isinstance(error, Exception):
            error.add_note(f"The Dask worker {worker} cannot load the fits. {_NEEDS}")
            raise error


def sharing() -> Callable[[_Task], _Task]:
    """Return a function that puts a task's data into Ray's object store.

    What is passed by position but the estimator, and what has a name in ``_SHARED``, is
    put there once for all tasks. On other backends tasks stay as they are.
    """
    backend, _ = get_active_backend()
    if type(backend).__name__ != "RayBackend":
        return lambda task: task
    import ray

    # With the object itself, so that no other can get its id.
    known: dict[int, tuple[Any, Any]] = {}

    def put(value: Any) -> Any:
        if value is None:
            return None
        if id(value) not in known:
            known[id(value)] = value, ray.put(value)
        return known[id(value)][1]

    def share(task: _Task) -> _Task:
        function, (estimator, *data), kwargs = task
        named = {name: put(kwargs[name]) for name in _SHARED & kwargs.keys()}
        return delayed(_with_shared)(  # type: ignore[no-any-return]
            function.function,
            [estimator, *map(put, data)],
            {**kwargs, **named},
        )

    return share


_SHARED = {"train", "test", "fit_params", "score_params"}


def _with_shared(function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call a function in a Ray worker, its data taken from the object store."""
    import ray

    def get(value: Any) -> Any:
        return ray.get(value) if isinstance(value, ray.ObjectRef) else value

    return function(*map(get, args), **{name: get(kwargs[name]) for name in kwargs})


def _is_dask(backend: Any) -> bool:
    return type(backend).__name__ == "DaskDistributedBackend"

"""Callbacks of scikit-learn 1.9 and later: refits are tasks too."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from sklearn.model_selection._search import BaseSearchCV

try:  # scikit-learn >= 1.9
    from sklearn.callback._callback_context import CallbackContext
except ImportError:
    CallbackContext = None

__all__ = [
    "CallbackSearch",
    "Caller",
    "has_callbacks",
    "refit_contexts",
    "show_as_done",
]


if CallbackContext is not None:

    class _SearchContext(CallbackContext):  # type: ignore[misc]
        """The root task, whose end waits for the refits of the other candidates."""

        _end: dict[str, Any] | None = None

        def __getstate__(self) -> dict[str, Any]:
            # It goes to the workers with each refit; the search and its data, which
            # the end will be told of, must not go with it.
            return {**vars(self), "_end": None}

        def call_on_fit_task_end(self, **kwargs: Any) -> Any:
            self._end = kwargs
            return False

        def release(self) -> None:
            """Pass the end of scikit-learn's ``fit`` on to the callbacks."""
            if self._end is not None:
                super().call_on_fit_task_end(**self._end)


class CallbackSearch(BaseSearchCV):  # type: ignore[misc]
    """A search with one more task for callbacks (scikit-learn >= 1.9): the refits."""

    @property
    def _has_more_tasks(self) -> bool:
        return False

    def _init_callback_context(self, *args: Any, **kwargs: Any) -> Any:
        # Called by scikit-learn's ``fit`` at its start.
        if self._has_more_tasks:
            kwargs["max_subtasks"] = kwargs.get("max_subtasks", 0) + 1
        context = super()._init_callback_context(*args, **kwargs)
        # Contexts are made by a classmethod that names its class.
        context.__class__ = _SearchContext
        return context

    def _end_callbacks(self) -> None:
        """Tell the callbacks that the search has ended."""
        context = vars(self).get("_callback_fit_ctx")
        if context is not None:
            context.release()


class Caller:
    """The search without its fitted attributes, to be sent to other processes.

    Its best estimator may be large, or one that cannot be pickled.
    """

    def __init__(self, search: Any):
        self.search = search

    def __getstate__(self) -> dict[str, Any]:
        bare = copy.copy(self.search)
        for name in [name for name in vars(bare) if name.endswith("_")]:
            del bare.__dict__[name]
        return {"search": bare}


def refit_contexts(
    search: Any, estimator: Any, n_candidates: int
) -> tuple[Any, list[Any]]:
    """Return callback contexts (scikit-learn >= 1.9): the parent, and one per refit."""
    root = getattr(search, "_callback_fit_ctx", None)
    if root is None or not has_callbacks(search, estimator):
        return None, [None] * n_candidates
    parent = root.subcontext(
        task_name="refit-of-candidates",
        max_subtasks=n_candidates,
        sequential_subtasks=False,
    )
    # All before the first is sent: they hang on objects that get pickled.
    return parent, [
        parent.subcontext(task_name="candidate-refit", task_id=position)
        for position in range(n_candidates)
    ]


def has_callbacks(search: Any, estimator: Any) -> bool:
    parts = [search, estimator]
    if hasattr(estimator, "get_params"):
        parts += estimator.get_params(deep=True).values()
    return any(getattr(part, "_skl_callbacks", None) for part in parts)


def show_as_done(kwargs: Mapping[str, Any]) -> None:
    """Report a reused fit to callbacks, so that progress bars reach their end."""
    context = kwargs.get("callback_ctx")
    if context is not None:
        context.call_on_fit_task_begin(estimator=kwargs["caller"])
        context.call_on_fit_task_end(estimator=kwargs["caller"])

"""Repeat the draws of an unfinished search that has no seed.

A search with ``random_state=None`` draws from numpy's global generator. Its state
at the start is stored with the run, so that the same search can resume it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import indexable

from weightsearch._identity import SearchIdentity, Unidentifiable, digest
from weightsearch._records import RunHeader
from weightsearch.exceptions import CorruptStoreError

__all__ = ["drawing"]

_SETTING = "drawn_from"

_UNDECIDING = frozenset(
    {"store", "capture", "keep", "resume", "compression", "refit", "refit_iterations"}
    | {"n_iter", "n_jobs", "pre_dispatch", "verbose"}
)
"""Params of a search without a say in what it draws; `n_iter` says how much."""


@contextmanager
def drawing(
    search: Any,
    X: Any,
    y: Any,
    params: Mapping[str, Any],
    headers: Sequence[RunHeader],
    settings: dict[str, Any],
) -> Iterator[None]:
    """Let a search without a seed draw, while the block runs, as its unfinished run.

    Parameters
    ----------
    search : search
        Any that draws has a ``random_state``.
    X, y : array-like
        The data, as ``fit`` got them.
    params : mapping of str -> object
        The other arguments of ``fit``.
    headers : sequence of RunHeader
        The store's runs, oldest first.
    settings : dict
        Of the new run; the state that it draws from is added.
    """
    if getattr(search, "random_state", 0) is not None:
        yield
        return
    of_search = _digest(search, params)
    state = _unfinished_state(headers, of_search, X, y)
    drawn = state or _global_state()
    settings[_SETTING] = None if drawn is None else {**drawn, "search": of_search}
    search.random_state = None if state is None else _generator(state)
    try:
        yield
    finally:
        search.random_state = None


def _global_state() -> dict[str, Any] | None:
    """State of numpy's global generator, JSON-able; None if it is another kind."""
    state = np.random.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        return None
    inner = state["state"]
    return {
        "key": base64.b64encode(inner["key"].astype("<u4").tobytes()).decode(),
        "pos": int(inner["pos"]),
        "has_gauss": int(state["has_gauss"]),
        "gauss": float(state["gauss"]),
    }


def _digest(search: Any, params: Mapping[str, Any]) -> str:
    """Digest of what decides the draws but the data; empty where it has none."""
    chosen = search.get_params(deep=False)
    estimator = clone(chosen.pop("estimator"))
    for name in _UNDECIDING:
        chosen.pop(name, None)
    try:
        return digest((type(search), estimator, chosen, dict(params)))
    except Unidentifiable:
        return ""


def _unfinished_state(
    headers: Sequence[RunHeader], of_search: str, X: Any, y: Any
) -> dict[str, Any] | None:
    """State from which the newest unfinished run of this search has drawn.

    None where there is none, or where it was resumed and has ended.
    """
    drawn = [
        header
        for header in headers
        if (header.settings.get(_SETTING) or {}).get("search") == of_search
    ]
    ended = [h.settings[_SETTING] for h in drawn if h.status == "complete"]
    candidates = [
        header for header in reversed(drawn) if header.settings[_SETTING] not in ended
    ]
    if not (of_search and candidates):
        return None
    data = SearchIdentity.data_digest(*indexable(X, y))
    for header in candidates:
        if data and header.identity.get("data") == data:
            state: dict[str, Any] = header.settings[_SETTING]
            return state
    return None


def _generator(state: Mapping[str, Any]) -> np.random.RandomState:
    generator = np.random.RandomState()
    try:
        key = np.frombuffer(base64.b64decode(state["key"]), dtype="<u4")
        inner = {"key": key.astype(np.uint32), "pos": int(state["pos"])}
        generator.set_state(
            {
                "bit_generator": "MT19937",
                "state": inner,
                "has_gauss": int(state["has_gauss"]),
                "gauss": float(state["gauss"]),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptStoreError(
            "The random state of an unfinished run cannot be read. With resume=False "
            f"the search starts from scratch: {error!r}",
            place=f"settings, {_SETTING}",
        ) from error
    return generator

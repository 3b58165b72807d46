"""Candidates and subsamples drawn without a seed, drawn again by who goes on.

A search with ``random_state=None`` draws from numpy's global generator. Its state
at the start is noted with the run, so that an unfinished run can be gone on with.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils import indexable

from weightsearch._identity import SearchIdentity
from weightsearch._records import RunHeader
from weightsearch.exceptions import CorruptStoreError

__all__ = ["drawing"]

_SETTING = "drawn_from"


@contextmanager
def drawing(
    search: Any,
    X: Any,
    y: Any,
    headers: Sequence[RunHeader],
    settings: dict[str, Any],
) -> Iterator[None]:
    """Let a search that has no seed draw, while the block runs, as one before it.

    Parameters
    ----------
    search : search
        Any that draws has a ``random_state``.
    X, y : array-like
        The data, as ``fit`` got them.
    headers : sequence of RunHeader
        The store's runs, oldest first.
    settings : dict
        Of the new run; from where it draws is added.
    """
    if getattr(search, "random_state", 0) is not None:
        yield
        return
    state = _unfinished_state(headers, settings["search"], X, y)
    settings[_SETTING] = state or _global_state()
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


def _unfinished_state(
    headers: Sequence[RunHeader], search: str, X: Any, y: Any
) -> dict[str, Any] | None:
    """State from which the newest unfinished run of this kind has drawn.

    None where there is none, or where it has been gone on with to the end.
    """
    drawn = [h for h in headers if h.settings.get(_SETTING) is not None]
    ended = [h.settings[_SETTING] for h in drawn if h.status == "complete"]
    candidates = [
        header
        for header in reversed(drawn)
        if header.settings[_SETTING] not in ended
        and header.settings.get("search") == search
    ]
    if not candidates:
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
            f"the search starts anew: {error!r}",
            place=f"settings, {_SETTING}",
        ) from error
    return generator

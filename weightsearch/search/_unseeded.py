"""Repeat what an unfinished search without a seed has drawn: candidates and splits.

A search with ``random_state=None`` draws from numpy's global generator. Its state at
the start is stored with the run, so that the same search can resume it. Splits drawn
without a seed are stored with every run.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import indexable

from weightsearch._identity import (
    SearchIdentity,
    Unidentifiable,
    digest,
    digest_splitter,
)
from weightsearch._records import RunHeader
from weightsearch.exceptions import CorruptStoreError

__all__ = ["RecordedSplitter", "drawing", "is_unrepeatable"]

Pairs = list[tuple[Any, Any]]

_SETTING = "drawn_from"

_UNDECIDING = frozenset(
    {
        "store",
        "capture",
        "keep",
        "resume",
        "compression",
        "snapshots",
        "share_prefixes",
        "refit",
        "refit_iterations",
    }
    | {"n_iter", "n_jobs", "pre_dispatch", "verbose"}
)
"""Params of a search that do not affect what it draws; `n_iter` decides how much."""


@contextmanager
def drawing(
    search: Any,
    X: Any,
    y: Any,
    params: Mapping[str, Any],
    headers: Sequence[RunHeader],
    settings: dict[str, Any],
) -> Iterator[None]:
    """Make an unseeded search draw what its unfinished run has drawn, in this block.

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
    """Return the state of numpy's global generator as JSON-able values, or None."""
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
    """Digest what decides the draws besides the data; empty if impossible."""
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
    """Return the state from which the newest unfinished run of this search has drawn.

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


def is_unrepeatable(cv: Any) -> bool:
    """Whether a splitter draws from numpy's global random state.

    Parameters
    ----------
    cv : splitter
        As ``sklearn.model_selection.check_cv`` returns it.
    """
    state = vars(cv) if hasattr(cv, "__dict__") else {}
    if "random_state" not in state or state["random_state"] is not None:
        return False
    return bool(state.get("shuffle", True))


class RecordedSplitter:
    """A splitter that records the splits it drew first.

    An unfinished run of the same search may have others to use in their place. Which
    run that is can only be told after the draw, from the first fit; so these are drawn
    in any case, and a search that finds no such run gets what scikit-learn would.

    Parameters
    ----------
    cv : splitter
        The user's own.

    Attributes
    ----------
    splits : list of (train, test) or None
        None before the first draw.
    params_digest : str
        Digest of the splitter's arguments besides the data, such as ``groups``;
        empty where there is none.
    """

    def __init__(self, cv: Any):
        self._cv = cv
        self._drawn: Pairs = []
        self.splits: Pairs | None = None
        self.params_digest = ""

    def __reduce__(self) -> tuple[Any, ...]:
        # scikit-learn 1.9 sends the search, and its splitter, to the workers.
        return _same_splitter, (self._cv,)

    def __repr__(self) -> str:
        return repr(self._cv)

    def __getattr__(self, name: str) -> Any:
        # A halving search reads shuffle and random_state.
        return getattr(self._cv, name)

    def get_n_splits(self, *args: Any, **kwargs: Any) -> int:
        """Return the number of splits of the user's splitter."""
        return int(self._cv.get_n_splits(*args, **kwargs))

    def split(self, X: Any, y: Any = None, **params: Any) -> Iterator[tuple[Any, Any]]:
        """Yield (train, test) indices."""
        # A search in several rounds draws again for each; the first ones are kept.
        splits = list(self._cv.split(X, y, **params))
        if self.splits is None:
            self.splits = self._drawn = splits
            self.params_digest = digest_splitter(params)
        yield from splits

    def replace(self, splits: Pairs) -> None:
        """Use other splits instead of those that were drawn first."""
        self.splits = splits

    def in_place_of(self, train: Any, test: Any) -> tuple[Any, Any]:
        """Return the pair to use instead of a drawn one."""
        for drawn, used in zip(self._drawn, self.splits or (), strict=True):
            if drawn[0] is train:
                return used
        return train, test

    def has_kept(self, train: Any) -> bool:
        """Whether these indices belong to the recorded splits."""
        return any(train is kept for kept, _ in self.splits or ())


def _same_splitter(cv: Any) -> Any:
    return cv

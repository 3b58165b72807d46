"""Splits that would not come out the same again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["RecordedSplitter", "is_unrepeatable"]

Splits = list[tuple[Any, Any]]


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
    """A splitter that keeps the splits that it gives, or gives known ones.

    Parameters
    ----------
    cv : splitter
        The user's own.
    known : callable of (X, y) -> list of (train, test) or None
        The splits to go on with, where an unfinished run has some.
    """

    def __init__(self, cv: Any, known: Callable[[Any, Any], Splits | None]):
        self._cv = cv
        self._known: Callable[[Any, Any], Splits | None] | None = known
        self.splits: Splits | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # scikit-learn 1.9 sends the search, and its splitter, to the workers.
        return _same_splitter, (self._cv,)

    def __repr__(self) -> str:
        return repr(self._cv)

    def __getattr__(self, name: str) -> Any:
        # A halving search asks for shuffle and random_state.
        return getattr(self._cv, name)

    def get_n_splits(self, *args: Any, **kwargs: Any) -> int:
        """Return the number of splits, as the user's splitter has it."""
        return int(self._cv.get_n_splits(*args, **kwargs))

    def split(self, X: Any, y: Any = None, **params: Any) -> Iterator[tuple[Any, Any]]:
        """Yield (train, test) indices."""
        # A search in several rounds draws anew for each; the first ones are kept.
        first = self.splits is None
        splits = self._known(X, y) if first and self._known is not None else None
        if splits is None:
            splits = list(self._cv.split(X, y, **params))
        if first:
            self.splits = splits
        yield from splits

    def release(self) -> None:
        """Forget the store."""
        self._known = None


def _same_splitter(cv: Any) -> Any:
    return cv

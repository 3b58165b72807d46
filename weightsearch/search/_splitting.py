"""Splits that would not come out the same again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from weightsearch._identity import digest_splitter

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
    """A splitter that keeps the splits that it drew first.

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
        Digest of what the splitter was told besides the data, such as ``groups``;
        empty where there is none.
    """

    def __init__(self, cv: Any):
        self._cv = cv
        self._drawn: Splits = []
        self.splits: Splits | None = None
        self.params_digest = ""

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
        # A search in several rounds draws again for each; the first ones are kept.
        splits = list(self._cv.split(X, y, **params))
        if self.splits is None:
            self.splits = self._drawn = splits
            self.params_digest = digest_splitter(params)
        yield from splits

    def replace(self, splits: Splits) -> None:
        """Use other splits in the place of those that were drawn first."""
        self.splits = splits

    def in_place_of(self, train: Any, test: Any) -> tuple[Any, Any]:
        """Return what to use for a pair that was drawn."""
        for drawn, used in zip(self._drawn, self.splits or (), strict=True):
            if drawn[0] is train:
                return used
        return train, test

    def has_kept(self, train: Any) -> bool:
        """Whether these indices are of the splits that are kept."""
        return any(train is kept for kept, _ in self.splits or ())


def _same_splitter(cv: Any) -> Any:
    return cv

"""Errors and warnings of weightsearch.

Every error is a subclass of :class:`WeightSearchError` and of the builtin that a
caller would expect in its place, such as ``ValueError`` or ``KeyError``.
"""

from __future__ import annotations

from sklearn.exceptions import FitFailedWarning

__all__ = [
    "AlignmentError",
    "CorruptStoreError",
    "DiskSpaceWarning",
    "EvaluationError",
    "IdentityWarning",
    "InvalidGridError",
    "NoWeightsWarning",
    "NotAStoreError",
    "NotRebuildableWarning",
    "QueryError",
    "RebuildError",
    "RefitFailedWarning",
    "SnapshotError",
    "SnapshotWarning",
    "StoreError",
    "StoreLockedError",
    "StoreVersionError",
    "StoreWriteError",
    "UnequalWeightsError",
    "UnstorableWeightsWarning",
    "UntrustedTypeError",
    "WeightSearchError",
    "WeightsNotFoundError",
]


class WeightSearchError(Exception):
    """Base class of all errors of weightsearch."""


class InvalidGridError(WeightSearchError, ValueError):
    """A candidate names a parameter that the estimator does not have.

    Attributes
    ----------
    key : str
        The parameter's name in the grid.
    suggestions : tuple of str
        Similar valid names, the nearest first.
    """

    def __init__(self, message: str, key: str = "", suggestions: tuple[str, ...] = ()):
        super().__init__(message)
        self.key = key
        self.suggestions = suggestions

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.key, self.suggestions)


class SnapshotError(WeightSearchError, ValueError):
    """Snapshots are wanted of epochs that there cannot be, or are not there."""


class QueryError(WeightSearchError, ValueError):
    """A query is not valid, or is more than a comparison of columns."""


class EvaluationError(WeightSearchError, ValueError):
    """Stored models cannot answer a question: other data, no such method, no splits."""


class AlignmentError(WeightSearchError, ValueError):
    """The hidden units of two sets of weights cannot be matched."""


class UnequalWeightsError(WeightSearchError, ValueError):
    """Weights of different shapes or types cannot be combined."""


class WeightsNotFoundError(WeightSearchError, KeyError):
    """No such run, candidate, split, params or weight in the store."""

    def __str__(self) -> str:
        # KeyError would show the repr of the message.
        return str(self.args[0]) if self.args else ""


class RebuildError(WeightSearchError, ValueError):
    """A stored estimator cannot be rebuilt; the message says what is missing."""


class UntrustedTypeError(RebuildError, TypeError):
    """A stored estimator needs types that are not trusted.

    Attributes
    ----------
    types : tuple of str
        Their qualified names.
    """

    def __init__(self, message: str, types: tuple[str, ...] = ()):
        super().__init__(message)
        self.types = types

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.types)


class StoreError(WeightSearchError, OSError):
    """A store cannot be used; base class of the errors about stores.

    Attributes
    ----------
    path : str
        The store's path; empty if there is none.
    """

    def __init__(self, message: str, path: str = ""):
        super().__init__(message)
        self.path = path

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.path)


class NotAStoreError(StoreError):
    """The file is not an HDF5 file, or was not written by weightsearch."""


class StoreVersionError(StoreError):
    """The store has a newer ``format_version`` than this package reads."""


class StoreWriteError(StoreError):
    """The store cannot be written: no such folder, read-only, disk full."""


class StoreLockedError(StoreError):
    """Another fit is writing to this store.

    Attributes
    ----------
    holder : str
        The other process, as far as known (host, process, start).
    """

    def __init__(self, message: str, path: str = "", holder: str = ""):
        super().__init__(message, path)
        self.holder = holder

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.path, self.holder)


class CorruptStoreError(StoreError):
    """The store is damaged, or contains what a store must not contain.

    Attributes
    ----------
    place : str
        Place in the file: an HDF5 path, or a place in the log.
    """

    def __init__(self, message: str, path: str = "", place: str = ""):
        super().__init__(message, path)
        self.place = place

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.path, self.place)


class NoWeightsWarning(UserWarning):
    """A fitted estimator has no weights, or a search will keep none."""


class UnstorableWeightsWarning(UserWarning):
    """A fitted attribute cannot be stored safely, and is left out."""


class NotRebuildableWarning(UserWarning):
    """Models of a search cannot be rebuilt; only their weights are kept."""


class SnapshotWarning(UserWarning):
    """Some snapshots that a search was to take are not there."""


class DiskSpaceWarning(UserWarning):
    """The disk has less free space than the search will probably need."""


class IdentityWarning(UserWarning):
    """Whether fits are the same cannot be determined, so none is reused."""


class RefitFailedWarning(FitFailedWarning):  # type: ignore[misc]
    """The refit of a candidate that is not the best one failed."""

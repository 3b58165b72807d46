"""A stored model made of its parts, with errors that name the candidate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from weightsearch._records import Weights
from weightsearch.exceptions import RebuildError, UntrustedTypeError
from weightsearch.frameworks._state import rebuild

__all__ = ["make_model"]


def make_model(
    text: str,
    weights: Weights,
    blobs: Mapping[str, bytes],
    template: Any,
    trusted: Iterable[str | type],
    what: str,
) -> Any:
    """Make a fitted estimator of a state, weights and contents.

    Parameters
    ----------
    template : estimator or None
        Unfitted, with the candidate's params.
    what : str
        The beginning of an error's sentence.

    Raises
    ------
    UntrustedTypeError, RebuildError
        As of :func:`weightsearch.frameworks._state.rebuild`, the candidate named.
    """
    try:
        return rebuild(
            text,
            lambda name: weights[weights.ties.get(name, name)],
            blobs.__getitem__,
            template=template,
            trusted=trusted,
        )
    except UntrustedTypeError as error:
        raise UntrustedTypeError(f"{what}: {error}.", error.types) from error
    except RebuildError as error:
        raise RebuildError(f"{what}: {error}.") from error

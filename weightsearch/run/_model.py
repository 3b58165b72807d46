"""A stored model made of its parts, with errors that name the candidate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from weightsearch._records import Weights
from weightsearch.exceptions import RebuildError, UntrustedTypeError
from weightsearch.frameworks._state import ModelMaker

__all__ = ["made_by", "make_model"]


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
        As of :class:`weightsearch.frameworks._state.ModelMaker`, the candidate named.
    """
    maker = ModelMaker(template, trusted)
    return made_by(maker, text, weights, blobs.__getitem__, what)


def made_by(
    maker: ModelMaker,
    text: str,
    weights: Weights,
    blob: Callable[[str], bytes],
    what: str,
) -> Any:
    """Make a fitted estimator, as :func:`make_model`, with a maker of many."""
    ties = weights.ties
    try:
        return maker.make(text, lambda name: weights[ties.get(name, name)], blob)
    except UntrustedTypeError as error:
        raise UntrustedTypeError(f"{what}: {error}.", error.types) from error
    except RebuildError as error:
        raise RebuildError(f"{what}: {error}.") from error

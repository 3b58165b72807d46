"""Rebuild fitted estimators from stored states and weights."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightsearch._records import RunSource, Weights, WeightSpecs
from weightsearch.exceptions import (
    RebuildError,
    UntrustedTypeError,
    WeightsNotFoundError,
)
from weightsearch.frameworks._state import ModelMaker
from weightsearch.run._trajectories import cut_model, weights_at

__all__ = ["StoredModel", "Trusted", "iter_models", "read_model"]

Trusted = Iterable[str | type]
"""Types that may be constructed, and functions that may be imported."""

_BLOCK_ROWS = 64
_BLOCK_NUMBERS = 4 << 20
"""Numbers that are read at once; 32 MB of them are float64."""


@dataclass(frozen=True)
class StoredModel:
    """Everything that a fitted estimator is rebuilt from, read and checked.

    Attributes
    ----------
    state : str
        What besides weights makes it predict again, as JSON.
    weights : Weights
    contents : dict of str -> bytes
        Bytes that the state refers to, by their digests.
    what : str
        The beginning of an error message; names the candidate.
    """

    state: str
    weights: Weights
    contents: Mapping[str, bytes]
    what: str

    def rebuild(
        self,
        template: Any = None,
        trusted: Trusted = (),
        *,
        weights: Weights | None = None,
    ) -> Any:
        """Rebuild the fitted estimator.

        Parameters
        ----------
        template : object, default=None
            Contains the functions, classes and objects that no store can hold.
        trusted : iterable of str or type, default=()
            Further types that may be constructed.
        weights : Weights, default=None
            Used instead of the stored ones.

        Raises
        ------
        UntrustedTypeError, RebuildError
            As from :class:`weightsearch.frameworks._state.ModelMaker`; names the
            candidate.
        """
        maker = ModelMaker(template, trusted)
        arrays = self.weights if weights is None else weights
        return _make(maker, self.state, arrays, self.contents.__getitem__, self.what)


def read_model(source: RunSource, row: int, weights: Weights, what: str) -> StoredModel:
    """Read the state and the contents that belong to a fit's weights.

    Raises
    ------
    RebuildError
        If only weights were stored.
    """
    text, names = _state(source, row, what)
    return StoredModel(text, weights, {name: source.blob(name) for name in names}, what)


def iter_models(
    source: RunSource,
    fits: Iterable[tuple[int | None, str]],
    template: Any = None,
    trusted: Trusted = (),
    epoch: int | None = None,
) -> Iterator[Any]:
    """Rebuild many models, one after the other; see ``Run._iter_models``.

    Parameters
    ----------
    source : RunSource
    fits : iterable of (int or None, str)
        Row, and the beginning of an error message, which names the candidate. Without
        a row, the whole message of the error that is raised when its turn comes.
    template, trusted
        As for :meth:`StoredModel.rebuild`, of all models.
    epoch : int, default=None
        The epoch after which the models are meant; None: the last one.

    Yields
    ------
    estimator : object
        Fitted; one per row.
    """
    maker = ModelMaker(template, trusted)
    waiting = iter(fits)
    while block := list(itertools.islice(waiting, _BLOCK_ROWS)):
        stacked = _read_block(source, [row for row, _ in block if row is not None])
        for row, what in block:
            if row is None:
                raise WeightsNotFoundError(what)
            text, _ = _state(source, row, what)
            weights = stacked.pop(row, None) or source.read_all(row)
            early = weights
            if epoch is not None:
                early = weights_at(source, row, weights, epoch, what) or weights
            model = _make(maker, text, early, source.blob, what)
            if epoch is not None and early is weights:
                model = cut_model(model, epoch, what)
            yield model


def _state(source: RunSource, row: int, what: str) -> tuple[str, tuple[str, ...]]:
    """Return the state of a model, and the names of its contents."""
    state = source.state(row)
    if state is None:
        raise RebuildError(
            f"{what}: only its weights were kept, because some of its state cannot be "
            "stored. Load the weights into an estimator of your own, or run the search "
            "again."
        )
    return state


def _make(
    maker: ModelMaker,
    state: str,
    weights: Weights,
    content: Callable[[str], bytes],
    what: str,
) -> Any:
    ties = weights.ties
    try:
        return maker.make(state, lambda name: weights[ties.get(name, name)], content)
    except UntrustedTypeError as error:
        raise UntrustedTypeError(f"{what}: {error}.", error.types) from error
    except RebuildError as error:
        raise RebuildError(f"{what}: {error}.") from error


def _read_block(source: RunSource, rows: list[int]) -> dict[int, Weights]:
    """Read the weights of rows that have equal names and shapes, stacked.

    Other rows are left out, and all are where they would take too much memory.
    """
    rows = list(dict.fromkeys(rows))
    groups = [
        (specs, [rows[place] for place in places])
        for specs, places in source.alike(np.array(rows, np.int64))
        if len(places) > 1
    ]
    if sum(_size(specs) * len(alike) for specs, alike in groups) > _BLOCK_NUMBERS:
        return {}
    found: dict[int, Weights] = {}
    for specs, alike in groups:
        stacks = [source.stack(spec.name, alike) for spec in specs.arrays]
        for place, row in enumerate(alike):
            # Copies, so that a model does not keep the others' weights alive.
            arrays = {
                spec.name: np.array(
                    stack[place], order="F" if spec.order == "F" else "C"
                )
                for spec, stack in zip(specs.arrays, stacks, strict=True)
            }
            found[row] = Weights(arrays, ties=specs.ties, encodings=specs.encodings)
    return found


def _size(specs: WeightSpecs) -> int:
    return sum(math.prod(spec.shape) for spec in specs.arrays)

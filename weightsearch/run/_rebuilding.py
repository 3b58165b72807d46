"""Rebuilding stored candidates as fitted estimators."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weightsearch._records import REFIT, RunSource, Weights, WeightSpecs
from weightsearch.exceptions import RebuildError, WeightsNotFoundError
from weightsearch.frameworks._state import ModelMaker
from weightsearch.run._export import export_weights
from weightsearch.run._model import made_by, make_model
from weightsearch.run._sharing import SharedRun

__all__ = ["Candidate", "RebuiltRun", "Trusted", "iter_models"]

Candidate = int | Mapping[str, Any]
Trusted = Iterable[str | type]


class RebuiltRun(SharedRun):
    """A run whose candidates can become estimators again."""

    def load_estimator(
        self,
        candidate: Candidate,
        estimator: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        split: int | None = None,
        trusted: Trusted = (),
    ) -> Any:
        """Make a candidate a fitted estimator again, without training it.

        It predicts bit for bit what the original did, where the same versions of the
        libraries are installed. Nothing is unpickled: of what the store names, only
        types that scikit-learn and numpy are made of are constructed, and those that
        the caller brings.

        Functions, classes and objects that no store holds are taken from `estimator`
        and `params`, wherever they are in them, if their content is what the candidate
        had; another content is an error.

        Parameters
        ----------
        candidate : int or dict
            The candidate's number, or its params.
        estimator : estimator object, default=None
            The estimator as it was searched, fitted or not. Needed where the candidate
            contains what a store cannot hold: functions, classes, PyTorch modules.
        params : dict, default=None
            Values of the candidate's own params that a store cannot hold, such as
            ``{"module__activation": torch.tanh}``.
        split : int, default=None
            The cross-validation split whose model is meant; None: the refit.
        trusted : iterable of str or type, default=()
            Further types that may be constructed, and functions that may be imported,
            by qualified name. Name only what you would import yourself.

        Returns
        -------
        estimator : object
            Fitted. What only going on with its training needs, such as an optimizer's
            moments, is there for the best candidate alone.

        Raises
        ------
        WeightsNotFoundError
            If no such candidate, or no model of it, was kept.
        UntrustedTypeError
            If the candidate needs types that nobody trusts; names them.
        RebuildError
            If it cannot be rebuilt; says what is missing.
        CorruptStoreError
            If what is stored does not match its checksum.

        Examples
        --------
        >>> run.load_estimator(12).predict(X_test)  # doctest: +SKIP
        """
        number = self._number(candidate)
        template = (estimator, *(params or {}).values())
        return self._rebuilt(number, template, split=split, trusted=trusted)

    def export(
        self,
        candidate: Candidate,
        path: str | os.PathLike[str],
        *,
        split: int | None = None,
        estimator: Any = None,
    ) -> Path:
        """Write a candidate's weights into a file that other programs read.

        Parameters
        ----------
        candidate : int or dict
            The candidate's number, or its params.
        path : path-like
            The suffix tells the format: ``.npz`` (:func:`numpy.load`),
            ``.safetensors``, ``.pt`` or ``.pth`` (a PyTorch ``state_dict`` that
            ``torch.load(weights_only=True)`` reads), ``.weights.h5`` (for
            ``keras.Model.load_weights``), ``.skops`` (the whole estimator, for
            :func:`skops.io.load`). A file that is there is replaced.
        split : int, default=None
            The split whose model is meant; None: the refit.
        estimator : estimator object, default=None
            For ``.weights.h5`` and ``.skops``, as in :meth:`load_estimator`.

        Returns
        -------
        path : Path

        Raises
        ------
        ValueError
            If the suffix is none of these.
        WeightsNotFoundError
            If no such candidate, or no weights of it, were kept.
        ImportError
            If the format's package is not installed.
        """
        weights = self.weights(candidate, split).to_dict()
        return export_weights(
            weights,
            Path(path).expanduser(),
            lambda: self.load_estimator(candidate, estimator, split=split),
        )

    # -- inside -----------------------------------------------------------------

    def _rebuilt(
        self,
        number: int,
        template: Any,
        *,
        split: int | None = None,
        trusted: Trusted = (),
        weights: Weights | None = None,
    ) -> Any:
        """Rebuild a candidate; ``template`` holds what no store can."""
        text, arrays, blobs = self._parts_of(number, split)
        if weights is not None:
            arrays = weights
        return make_model(text, arrays, blobs, template, trusted, self._what(number))

    def _parts_of(
        self, number: int, split: int | None
    ) -> tuple[str, Weights, dict[str, bytes]]:
        """Give all of which a candidate's model is made, read and checked."""
        arrays = self.weights(number, split).stored()
        text, names = self._state_of(number, self._row_of_model(number, split))
        return text, arrays, {name: self._source.blob(name) for name in names}

    def _row_of_model(self, number: int, split: int | None) -> int:
        """Row of the fit that holds a model; raise if its weights were not kept."""
        row = self._row(number, REFIT if split is None else split)
        if row is None or not self._table.has_weights[row]:
            raise WeightsNotFoundError(self._why_missing(number, split))
        return row

    def _state_of(self, number: int, row: int) -> tuple[str, tuple[str, ...]]:
        """State of a model, and the names of its contents."""
        state = self._source.state(row)
        if state is None:
            raise RebuildError(
                f"{self._what(number)}: only its weights were kept, because some of "
                "them cannot be stored. Set them in an estimator of your own, or run "
                "the search again."
            )
        return state

    def _what(self, number: int) -> str:
        return f"Candidate {number} of run {self.name} cannot be loaded"


_BLOCK_ROWS = 64
_BLOCK_NUMBERS = 4 << 20
"""Numbers that are read at once; 32 MB of them are float64."""


def iter_models(
    run: RebuiltRun,
    rows: Iterable[tuple[int, int | None]],
    *,
    estimator: Any = None,
    params: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
    trusted: Trusted = (),
) -> Iterator[Any]:
    """Rebuild many models, one after the other.

    What models of one kind share is looked up and checked once, and weights of equal
    shapes are read in blocks of up to 32 MB. No model is held by the iterator after it
    was yielded.

    Parameters
    ----------
    run : Run
    rows : iterable of (candidate, split)
        Numbers of the candidate and of the split whose model is meant; None instead of
        a split: the refit. Consumed in blocks.
    estimator : estimator object, default=None
        As in :meth:`weightsearch.Run.load_estimator`.
    params : dict or sequence of dict, default=()
        Values of candidates' params that a store cannot hold, such as functions. One
        dict for all models, or any number of them, in any order: each model gets what
        has the content that its own params had.
    trusted : iterable of str or type, default=()
        As in :meth:`weightsearch.Run.load_estimator`.

    Yields
    ------
    estimator : object
        Fitted; one for each row, in the order of `rows`.

    Raises
    ------
    WeightsNotFoundError, UntrustedTypeError, RebuildError, CorruptStoreError
        As :meth:`weightsearch.Run.load_estimator`, when the row's turn comes.

    Examples
    --------
    >>> models = iter_models(run, [(0, 0), (0, 1), (1, None)])  # doctest: +SKIP
    >>> answers = [model.predict(X) for model in models]  # doctest: +SKIP
    """
    given = [params] if isinstance(params, Mapping) else params
    values = [value for one in given for value in one.values()]
    maker = ModelMaker((estimator, *values), trusted)
    source = run._source
    waiting = iter(rows)
    while block := list(itertools.islice(waiting, _BLOCK_ROWS)):
        numbers = [run._number(candidate) for candidate, _ in block]
        found = [
            run._row(number, REFIT if split is None else split)
            for number, (_, split) in zip(numbers, block, strict=True)
        ]
        stacked = _read_block(source, [row for row in found if row is not None])
        for number, (_, split) in zip(numbers, block, strict=True):
            row = run._row_of_model(number, split)
            text, _ = run._state_of(number, row)
            weights = stacked.pop(row, None) or source.read_all(row)
            yield made_by(maker, text, weights, source.blob, run._what(number))


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
    if sum(_size(specs) * len(of_it) for specs, of_it in groups) > _BLOCK_NUMBERS:
        return {}
    found: dict[int, Weights] = {}
    for specs, of_it in groups:
        stacks = [source.stack(spec.name, of_it) for spec in specs.arrays]
        for place, row in enumerate(of_it):
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

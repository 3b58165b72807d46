"""Making stored candidates fitted estimators again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from weightsearch._records import REFIT, Weights
from weightsearch.exceptions import RebuildError
from weightsearch.run._export import export_weights
from weightsearch.run._model import make_model
from weightsearch.run._sharing import SharedRun

__all__ = ["Candidate", "RebuiltRun", "Trusted"]

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
        row = self._row(number, REFIT if split is None else split)
        assert row is not None
        state = self._source.state(row)
        if state is None:
            raise RebuildError(
                f"{self._what(number)}: only its weights were kept, by an earlier "
                "version of weightsearch or because some of them cannot be stored. "
                "Set them in an estimator of your own, or run the search again."
            )
        text, names = state
        return text, arrays, {name: self._source.blob(name) for name in names}

    def _what(self, number: int) -> str:
        return f"Candidate {number} of run {self.name} cannot be loaded"

"""Making stored candidates fitted estimators again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.base import clone

from weightsearch._params import OpaqueParam
from weightsearch._records import REFIT, Array, Weights
from weightsearch.exceptions import RebuildError, UntrustedTypeError
from weightsearch.frameworks._state import rebuild
from weightsearch.run._candidates import main_column, param_columns
from weightsearch.run._export import export_weights
from weightsearch.run._scoring import score_table
from weightsearch.run._sharing import SharedRun
from weightsearch.run._soup import mean_of, voting_ensemble

__all__ = ["RebuiltRun"]

Candidate = int | Mapping[str, Any]
Trusted = Iterable[str | type]


class RebuiltRun(SharedRun):
    """A run whose candidates can become estimators again."""

    def load_estimator(
        self,
        candidate: Candidate,
        estimator: Any = None,
        *,
        split: int | None = None,
        trusted: Trusted = (),
    ) -> Any:
        """Make a candidate a fitted estimator again, without training it.

        It predicts bit for bit what the original did, where the same versions of the
        libraries are installed. Nothing is unpickled: of what the store names, only
        types that scikit-learn and numpy are made of are constructed, and those that
        the caller brings.

        Parameters
        ----------
        candidate : int or dict
            The candidate's number, or its params.
        estimator : estimator object, default=None
            The estimator as it was searched, fitted or not. Needed where the candidate
            contains what a store cannot hold: functions, classes, PyTorch modules. It
            is cloned.
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
        template = None if estimator is None else self._prepared(estimator, number)
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
            ``keras.Model.load_weights``). A file that is there is replaced.
        split : int, default=None
            The split whose model is meant; None: the refit.
        estimator : estimator object, default=None
            For ``.weights.h5``, as in :meth:`load_estimator`.

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

    def average(
        self,
        candidates: Sequence[Candidate],
        estimator: Any = None,
        *,
        align: bool = False,
        split: int | None = None,
        trusted: Trusted = (),
    ) -> Any:
        r"""Make one estimator of the mean of candidates' weights: a model soup [1]_.

        :math:`\bar\theta = \frac{1}{n} \sum_i \theta_i`. It makes sense for models
        that started from the same weights, or whose loss is convex; networks that
        started from different ones need ``align=True`` at least, and even then
        predict worse than each, often. Score it before you use it.

        Parameters
        ----------
        candidates : sequence of int or dict
            At least one; their weights have the same names, shapes and types. Params
            and all that is no weight come from the first one.
        estimator, trusted
            As in :meth:`load_estimator`.
        align : bool, default=False
            Bring the hidden units of every other candidate into the order of the
            first one's before, by :func:`weightsearch.align`.
        split : int, default=None
            The split whose models are meant; None: the refits.

        Returns
        -------
        estimator : object
            Fitted.

        Raises
        ------
        UnequalWeightsError
            If the weights differ in name, shape or type, or integers that say how a
            model is built, as in trees, differ.

        References
        ----------
        .. [1] M. Wortsman et al., Model soups: averaging weights of multiple
           fine-tuned models improves accuracy without increasing inference time,
           ICML 2022.
        """
        numbers = [self._number(candidate) for candidate in candidates]
        if not numbers:
            raise ValueError("candidates must name at least one candidate.")
        mean = mean_of(
            (self.weights(number, split).to_dict() for number in numbers), align=align
        )
        template = None if estimator is None else self._prepared(estimator, numbers[0])
        return self._rebuilt(
            numbers[0], template, split=split, trusted=trusted, weights=mean
        )

    def ensemble(
        self,
        candidates: Sequence[Candidate] | None = None,
        estimator: Any = None,
        *,
        top: int = 5,
        split: int | None = None,
        trusted: Trusted = (),
    ) -> Any:
        """Make one estimator that asks many candidates.

        A fitted :class:`sklearn.ensemble.VotingClassifier` with soft voting (the mean
        of the probabilities), or :class:`sklearn.ensemble.VotingRegressor` (the mean
        of the predictions), over the stored models. It costs as many predictions as
        there are members. Candidates that were chosen by their score on some data
        look better on those data than on new ones.

        Parameters
        ----------
        candidates : sequence of int or dict, default=None
            The members; None: the `top` best-ranked that have a model.
        estimator, trusted
            As in :meth:`load_estimator`.
        top : int, default=5
            Number of members where `candidates` is None.
        split : int, default=None
            The split whose models are meant; None: the refits.

        Returns
        -------
        ensemble : VotingClassifier or VotingRegressor

        Raises
        ------
        TypeError
            If the candidates are neither classifiers with ``predict_proba`` nor
            regressors.
        """
        if candidates is None:
            numbers = self._best_ranked(split)[:top]
        else:
            numbers = [self._number(candidate) for candidate in candidates]
        if not numbers:
            raise ValueError(f"Run {self.name} has no candidates to ask.")
        load = self.load_estimator
        return voting_ensemble(
            [
                (f"candidate_{n}", load(n, estimator, split=split, trusted=trusted))
                for n in numbers
            ]
        )

    def score_candidates(
        self,
        X: Any,
        y: Any = None,
        *,
        scoring: Any = None,
        estimator: Any = None,
        split: int | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        trusted: Trusted = (),
    ) -> pd.DataFrame:
        """Score every candidate's model on given data; nothing is fitted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data that the search has not seen, such as a test set.
        y : array-like of shape (n_samples,), default=None
            Their target.
        scoring : str, callable or None, default=None
            As in :func:`sklearn.metrics.check_scoring`; None: the estimator's own
            ``score``.
        estimator : estimator object, default=None
            As in :meth:`load_estimator`.
        split : int, default=None
            The split whose models are meant; None: the refits.
        n_jobs : int, default=None
            Workers; a few models are in memory for each.
        verbose : int, default=0
            Progress, as :class:`joblib.Parallel` shows it.
        trusted : iterable of str or type, default=()
            As in :meth:`load_estimator`.

        Returns
        -------
        scores : DataFrame
            A row a candidate: its params, ``mean_test_score`` and ``rank_test_score``
            of cross-validation, and ``score`` and ``rank`` on these data (1 is the
            best); NaN where no model was kept. ``scores.attrs["spearman"]`` is
            Spearman's rank correlation of both scores: how well cross-validation
            foresaw the order.
        """

        def prepared(number: int) -> Any:
            return None if estimator is None else self._prepared(estimator, number)

        return self._scored(
            X, y, prepared, scoring, split, n_jobs, verbose, tuple(trusted)
        )

    # -- inside -----------------------------------------------------------------

    def _scored(
        self,
        X: Any,
        y: Any,
        prepared: Callable[[int], Any],
        scoring: Any,
        split: int | None,
        n_jobs: int | None,
        verbose: int,
        trusted: tuple[str | type, ...] = (),
    ) -> pd.DataFrame:
        models = (
            (number, *self._parts_of(number, split), prepared(number))
            for number in self._with_weights(split)
        )
        frame = self.candidates
        mean, rank = (
            main_column(prefix, frame.columns, self.settings)
            for prefix in ("mean_test_", "rank_test_")
        )
        scores = [name for name in (mean, rank) if name is not None]
        beside = pd.DataFrame(param_columns(self._keys, [*scores, "score", "rank"]))
        beside.index = frame.index
        return score_table(
            beside.join(frame[scores]),
            mean,
            models,
            X,
            y,
            scoring=scoring,
            n_jobs=n_jobs,
            verbose=verbose,
            trusted=trusted,
            what=self._what,
        )

    def _rebuilt(
        self,
        number: int,
        template: Any,
        *,
        split: int | None = None,
        trusted: Trusted = (),
        weights: Weights | None = None,
    ) -> Any:
        """Rebuild a candidate; ``template`` has its params already."""
        text, arrays, blobs = self._parts_of(number, split)
        if weights is not None:
            arrays = weights
        try:
            return rebuild(
                text,
                lambda name: arrays[arrays.ties.get(name, name)],
                blobs.__getitem__,
                template=template,
                trusted=trusted,
            )
        except UntrustedTypeError as error:
            raise UntrustedTypeError(
                f"{self._what(number)}: {error}.", error.types
            ) from error
        except RebuildError as error:
            raise RebuildError(f"{self._what(number)}: {error}.") from error

    def _parts_of(
        self, number: int, split: int | None
    ) -> tuple[str, Weights, dict[str, bytes]]:
        """Give all of which a candidate's model is made, read and checked."""
        arrays = self.weights(number, split).to_dict()
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

    def _prepared(self, estimator: Any, number: int) -> Any:
        """Clone an estimator and give it a candidate's params."""
        params = dict(self.params(number))
        prepared = clone(estimator)
        known = prepared.get_params(deep=True)
        prepared.set_params(
            **{
                name: value
                for name, value in params.items()
                # What is no plain value is as the caller has set it.
                if not isinstance(value, OpaqueParam) or name not in known
            }
        )
        return prepared

    def _with_weights(self, split: int | None) -> list[int]:
        wanted = REFIT if split is None else split
        return [
            number
            for number in range(len(self))
            if (row := self._row(number, wanted)) is not None
            and self._table.has_weights[row]
        ]

    def _best_ranked(self, split: int | None) -> list[int]:
        frame = self.candidates
        rank = main_column("rank_test_", frame.columns, self.settings)
        numbers = self._with_weights(split)
        if rank is None:
            return numbers
        order: Array = frame[rank].to_numpy()
        return sorted(numbers, key=lambda number: order[number])

    def _what(self, number: int) -> str:
        return f"Candidate {number} of run {self.name} cannot be loaded"

"""Several stored candidates at once: their mean, their vote, their scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from weightsearch._records import Array
from weightsearch.run._candidates import main_column, param_columns
from weightsearch.run._rebuilding import Candidate, RebuiltRun, Trusted
from weightsearch.run._scoring import score_table
from weightsearch.run._soup import mean_of, voting_ensemble

__all__ = ["JoinedRun"]


class JoinedRun(RebuiltRun):
    """A run whose candidates can be put to use together."""

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
            first one's before, by :func:`weightsearch.compare.align`.
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
            (self.weights(number, split).stored() for number in numbers), align=align
        )
        return self._rebuilt(
            numbers[0], estimator, split=split, trusted=trusted, weights=mean
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
            return estimator

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

    def _best_ranked(self, split: int | None) -> list[int]:
        frame = self.candidates
        rank = main_column("rank_test_", frame.columns, self.settings)
        numbers = self._with_weights(split)
        if rank is None:
            return numbers
        order: Array = frame[rank].to_numpy()
        return sorted(numbers, key=lambda number: order[number])

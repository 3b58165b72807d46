"""What a fitted search gives back as models, and where its store lies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from sklearn.base import clone

from weightsearch._params import ParamsMapping
from weightsearch._records import Array
from weightsearch.evaluate._choosing import chosen, n_weights
from weightsearch.exceptions import StoreWriteError, WeightsNotFoundError
from weightsearch.run import Run, StoredWeights, WeightStore
from weightsearch.search._reference import StoreReference

__all__ = ["StoredModels"]


class StoredModels:
    """The part of a search that has to do with what its fit has left in the store."""

    if TYPE_CHECKING:
        _reference: StoreReference
        estimator: Any
        refit: Any
        scorer_: Any
        cv_results_: dict[str, Any]
        best_params_: dict[str, Any]
        n_jobs: int | None

    def _stored(self, name: str) -> StoreReference:
        try:
            return self._reference
        except AttributeError:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}. "
                "It is there after a call of fit that has ended without an error."
            ) from None

    @property
    def store_(self) -> WeightStore:
        """The store of the last fit, open for reading."""
        return self._stored("store_").store

    @property
    def run_(self) -> Run:
        """The run of the last fit in the store."""
        return self._stored("run_").run

    @property
    def best_weights_(self) -> dict[str, Array]:
        """Weights of ``best_estimator_``, name -> ndarray, bit for bit."""
        run = self._stored("best_weights_").run
        if not self.refit:
            raise AttributeError(
                "best_weights_ is not available: with refit=False no best estimator "
                "was fitted."
            )
        number = run._number(self.best_params_)
        if run.best_index is not None and number != run._number(run.best_index):
            return run.weights(number).to_dict()
        return run.best_weights().to_dict()

    @property
    def weights_by_params_(self) -> ParamsMapping[StoredWeights]:
        """The weights of every candidate's refit, found by its params.

        A read-only mapping from params to a lazy mapping of name to ndarray; see
        :meth:`weightsearch.Run.weights_by_params`.
        """
        reference = self._stored("weights_by_params_")
        return reference.weights_by_params(self.cv_results_["params"])

    def save_store(self, path: str | os.PathLike[str]) -> Path:
        """Keep the store of this search in a file of its own.

        Parameters
        ----------
        path : path-like
            Where to put it. A file that is there already is not overwritten.

        Returns
        -------
        path : Path
            The new store.

        Raises
        ------
        StoreWriteError
            If there is a file already, or none can be written.
        """
        source = self._stored("save_store").path
        target = Path(path).expanduser()
        made = False
        try:
            # Mode "x", so that nothing that is there can be lost.
            with source.open("rb") as old, target.open("xb") as new:
                made = True
                shutil.copyfileobj(old, new, 1 << 20)
                new.flush()
                os.fsync(new.fileno())
        except FileExistsError as error:
            raise StoreWriteError(
                f"{target} is there already; choose another path, or remove it first.",
                str(target),
            ) from error
        except OSError as error:
            if made:
                target.unlink(missing_ok=True)
            raise StoreWriteError(
                f"The store could not be saved to {target}: {error}", str(target)
            ) from error
        return target

    def estimator_for(
        self, params: Mapping[str, Any] | int, split: int | None = None
    ) -> Any:
        """Make a candidate a fitted estimator again, without training it.

        Parameters
        ----------
        params : dict or int
            The candidate's params, or its row in ``cv_results_``.
        split : int, default=None
            The cross-validation split whose model is meant; None: the refit.

        Returns
        -------
        estimator : object
            Predicts bit for bit as the original did. See
            :meth:`weightsearch.Run.load_estimator` for its limits.

        Raises
        ------
        WeightsNotFoundError
            If no such candidate, or no model of it, was kept.
        RebuildError
            If it holds what cannot be stored without pickle.
        """
        run = self._stored("estimator_for").run
        number = run._number(params)
        return run._stored_model(number, split).rebuild(self._with_params(number))

    def choose(self, rule: Any) -> Any:
        """Choose another best candidate; nothing is fitted.

        Afterwards the search predicts as one with ``refit=rule`` would: the attributes
        ``best_index_``, ``best_params_``, ``best_score_``, ``best_estimator_``,
        ``best_weights_`` and ``refit_time_`` are those of the chosen candidate, whose
        refit comes from the store. The param `refit`, ``cv_results_`` and the store
        stay as they are.

        Parameters
        ----------
        rule : callable
            Takes ``cv_results_`` and returns the index of a candidate, like the rules
            of :mod:`weightsearch.choose`. Here ``cv_results_`` has a further column
            ``n_weights``, the number of stored weights.

        Returns
        -------
        self : object
            The search.

        Raises
        ------
        WeightsNotFoundError
            If the candidate's refit was not kept. ``capture="refit"`` and
            ``capture="both"`` keep those of the candidates that `keep` says, all by
            default. The search has not changed then.
        RebuildError
            If it holds what cannot be stored without pickle.

        Notes
        -----
        ``best_score_`` is the chosen candidate's mean score by the metric that the
        search refits by. It is there if it was there before: scikit-learn has none
        where `refit` is a callable. What
        only continued training needs, such as an optimizer's moments, is stored for the
        candidate alone that ``fit`` has found best.

        Examples
        --------
        >>> from weightsearch.choose import OneStandardError
        >>> search.choose(OneStandardError(simplest="C"))  # doctest: +SKIP
        >>> search.best_params_  # doctest: +SKIP
        {'C': 0.1}
        """
        run = self._stored("choose").run
        results = {**self.cv_results_, "n_weights": n_weights(run)}
        index = chosen(rule, results)
        number = run._number(self.cv_results_["params"][index])
        try:
            estimator = run._stored_model(number, None).rebuild(
                self._with_params(index)
            )
        except WeightsNotFoundError as error:
            raise WeightsNotFoundError(
                f"{error} Refits of all candidates are kept by capture='refit' and "
                "capture='both' with keep='all'."
            ) from error
        row = run._row(number, None)
        self.best_index_ = index
        self.best_params_ = self.cv_results_["params"][index]
        if hasattr(self, "best_score_"):
            metric = self.refit if isinstance(self.refit, str) else "score"
            column = f"mean_test_{metric}"
            if column not in self.cv_results_:
                column = "mean_test_score"
            self.best_score_ = self.cv_results_[column][index]
        self.best_estimator_ = estimator
        if row is not None:
            self.refit_time_ = float(run._source.result(row).get("fit_time") or 0.0)
        if hasattr(estimator, "feature_names_in_"):
            self.feature_names_in_ = estimator.feature_names_in_
        return self

    def score_candidates(
        self,
        X: Any,
        y: Any = None,
        *,
        scoring: Any = None,
        split: int | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> pd.DataFrame:
        """Score every candidate's model on given data; nothing is fitted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data that the search has not seen, such as a test set.
        y : array-like of shape (n_samples,), default=None
            Their target.
        scoring : str, callable or None, default=None
            None: the search's own; of several metrics the one it refits by.
        split : int, default=None
            The split whose models are meant; None: the refits.
        n_jobs : int, default=None
            Workers; None: as many as the search has.
        verbose : int, default=0
            Progress, as :class:`joblib.Parallel` shows it.

        Returns
        -------
        scores : DataFrame
            A row a candidate, as of :meth:`weightsearch.Run.score_candidates`:
            cross-validated score and rank beside those on these data;
            ``scores.attrs["spearman"]`` is their rank correlation.
        """
        run = self._stored("score_candidates").run
        if scoring is None:
            scorer = self.scorer_
            if isinstance(scorer, Mapping):
                scorer = scorer.get(self.refit) if isinstance(self.refit, str) else None
            scoring = scorer
        jobs = self.n_jobs if n_jobs is None else n_jobs
        return run._scored(X, y, self._with_params, scoring, split, jobs, verbose)

    def attach_store(self, path: str | os.PathLike[str]) -> Any:
        """Say where this search's store lies now.

        For a search that was pickled, and whose store was moved or copied.

        Parameters
        ----------
        path : path-like
            A store that holds this search's run.

        Returns
        -------
        self : object

        Raises
        ------
        StoreError
            If there is no store.
        WeightsNotFoundError
            If it does not hold the run of this search; nothing has changed then.
        """
        self._stored("attach_store").attach(Path(path).expanduser())
        return self

    def _with_params(self, number: int) -> Any:
        params = self.cv_results_["params"][number]
        return clone(self.estimator).set_params(**clone(dict(params), safe=False))

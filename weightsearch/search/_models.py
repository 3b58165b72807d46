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
from weightsearch.exceptions import StoreWriteError
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

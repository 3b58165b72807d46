"""Randomized search that keeps the weights of every candidate."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.model_selection import RandomizedSearchCV

from weightsearch.search._grid_check import one_of_each
from weightsearch.search._tracked import TrackedSearch

__all__ = ["WeightTrackingRandomizedSearchCV"]


class WeightTrackingRandomizedSearchCV(
    RandomizedSearchCV,  # type: ignore[misc]
    TrackedSearch,
):
    """Randomized search that keeps the weights of every candidate.

    Does and returns everything that :class:`sklearn.model_selection.RandomizedSearchCV`
    does, with a store as in :class:`WeightTrackingGridSearchCV`.

    Parameters
    ----------
    estimator : estimator object
        As in :class:`~sklearn.model_selection.RandomizedSearchCV`, like all
        parameters up to `return_train_score`.
    param_distributions : dict or list of dicts
        Names of parameters with lists of values or distributions to draw from. Every
        name is checked on the estimator before the first fit.
    n_iter : int, default=10
        Number of candidates that are drawn.
    scoring : str, callable, list, tuple or dict, default=None
        How predictions on the test set are evaluated.
    n_jobs : int, default=None
        Number of fits that run in parallel, refits included.
    refit : bool, str, or callable, default=True
        Whether, and by which score, the best candidate is refit on all the data.
    cv : int, cross-validation generator or an iterable, default=None
        The cross-validation splitting strategy.
    verbose : int, default=0
        From 1 on, also says how many fits were reused.
    pre_dispatch : int, or str, default='2*n_jobs'
        Number of fits that are sent to the workers ahead.
    random_state : int, RandomState instance or None, default=None
        Seed of the candidates. With None, an unfinished run in `store` is resumed
        with its own draws.
    error_score : 'raise' or numeric, default=np.nan
        The score of a fit that fails.
    return_train_score : bool, default=False
        Whether ``cv_results_`` has training scores.
    store : path-like or None, default=None
        The HDF5 file; this and the following as in
        :class:`WeightTrackingGridSearchCV`.
    capture : {"refit", "splits", "both"}, default="refit"
        Models whose weights are kept. Candidates that were drawn twice are refit
        once.
    keep : int or "all", default="all"
        Number of candidates to refit and keep, the best-ranked ones.
    resume : bool, default=True
        Whether fits in `store` are reused. With a seed and at least one distribution,
        a larger `n_iter` continues where a smaller one ended; lists alone are
        sampled without replacement, so a larger `n_iter` draws from scratch.
    compression : {"gzip", "lzf"}, dict or None, default=None
        How the store's arrays are compressed.
    snapshots : None, "all", int, list of int, callable or SnapshotPlan, default=None
        Epochs after which the weights are kept too, in the fits that `capture` keeps:
        all, every n-th, those of a list, or those for which ``snapshots(epoch)`` is
        True. Epoch 0 is the state before training. For Keras and skorch models,
        :class:`~sklearn.neural_network.MLPClassifier` and ``MLPRegressor``, alone or
        as the last step of a pipeline. Gradient boosting has all its stages in the
        final model. Results are the same with and without.
        :class:`~weightsearch.SnapshotPlan` also keeps the state of the optimizer.
    share_prefixes : bool or int, default=True
        Whether equal first steps of candidates' pipelines are fitted once per split;
        an int is the bytes of transformed data that each process keeps for it at most
        (True: 512 MiB). Results are the same either way. ``mean_fit_time`` is what was
        really spent.

    Attributes
    ----------
    best_weights_, weights_by_params_, store_, run_
        As in :class:`WeightTrackingGridSearchCV`.
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, ...
        As in :class:`~sklearn.model_selection.RandomizedSearchCV`.

    See Also
    --------
    WeightTrackingGridSearchCV : Tries all combinations.
    WeightTrackingHalvingRandomSearchCV : Gives more data to the better candidates.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from weightsearch import WeightTrackingRandomizedSearchCV
    >>> search = WeightTrackingRandomizedSearchCV(
    ...     LogisticRegression(max_iter=1000),
    ...     {"C": loguniform(0.01, 10)},
    ...     n_iter=4,
    ...     cv=3,
    ...     random_state=0,
    ... ).fit(*load_iris(return_X_y=True))
    >>> search.weights_by_params_[search.best_params_]["coef_"].shape
    (3, 4)
    """

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: Any = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        store: str | os.PathLike[str] | None = None,
        capture: str = "refit",
        keep: int | str = "all",
        resume: bool = True,
        compression: str | Mapping[str, Any] | None = None,
        snapshots: Any = None,
        share_prefixes: bool | int = True,
    ):
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self._track(
            store, capture, keep, resume, compression, snapshots, share_prefixes
        )

    def _known_candidates(self) -> Iterable[Mapping[str, Any]]:
        return one_of_each(self.param_distributions)

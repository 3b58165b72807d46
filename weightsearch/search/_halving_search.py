"""Successive halving searches that keep the weights of every candidate."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection import ParameterGrid

from weightsearch._records import Array
from weightsearch.search._grid_check import one_of_each
from weightsearch.search._sklearn import (
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    StrOptions,
)
from weightsearch.search._tracked import TrackedSearch

__all__ = [
    "WeightTrackingHalvingGridSearchCV",
    "WeightTrackingHalvingRandomSearchCV",
]


class _TrackedHalving(TrackedSearch):
    """Base class of searches whose candidates come in iterations."""

    # Constructors set it: only halving searches have it.
    refit_iterations: str

    _tracking_constraints: ClassVar[dict[str, list[Any]]] = {
        **TrackedSearch._tracking_constraints,
        "refit_iterations": [StrOptions({"last", "all"})],
    }

    def _refit_order(self, ranked: Array) -> Array:
        iterations = np.asarray(self.cv_results_["iter"])[ranked]
        # Scores compare within an iteration; candidates of later ones are better.
        order = ranked[np.argsort(-iterations, kind="stable")]
        if self.refit_iterations == "all":
            return order
        return order[: np.count_nonzero(iterations == iterations.max())]


class WeightTrackingHalvingGridSearchCV(
    HalvingGridSearchCV,  # type: ignore[misc]
    _TrackedHalving,
):
    """Grid search by successive halving that keeps the weights of its candidates.

    Does and returns everything that
    :class:`sklearn.model_selection.HalvingGridSearchCV` does, with a store as in
    :class:`WeightTrackingGridSearchCV`. Does not need ``enable_halving_search_cv``.

    Parameters
    ----------
    estimator : estimator object
        As in :class:`~sklearn.model_selection.HalvingGridSearchCV`, like all
        parameters up to `verbose`.
    param_grid : dict or list of dictionaries
        Names of parameters with the values to try. Every name is checked on the
        estimator before the first fit.
    factor : int or float, default=3
        One candidate out of `factor` survives each iteration.
    resource : ``'n_samples'`` or str, default='n_samples'
        The resource that grows with each iteration: the samples, or a param.
    max_resources : int, default='auto'
        The most resources that a candidate may use in an iteration.
    min_resources : {'exhaust', 'smallest'} or int, default='exhaust'
        Resources of each candidate in the first iteration.
    aggressive_elimination : bool, default=False
        Whether the first iteration is repeated until few enough candidates remain.
    cv : int, cross-validation generator or iterable, default=5
        The splitting strategy; must give the same splits each time.
    scoring : str or callable, default=None
        The metric on the test set; a single one.
    refit : bool or callable, default=True
        Whether the best candidate of the last iteration is refit on all the data.
    error_score : 'raise' or numeric, default=np.nan
        The score of a fit that fails.
    return_train_score : bool, default=True
        Whether ``cv_results_`` has training scores.
    random_state : int, RandomState instance or None, default=None
        Seed of the subsamples. With None, an unfinished run in `store` is resumed
        with its own draws; of a complete run only refits are reused.
    n_jobs : int or None, default=None
        Number of fits that run in parallel, refits included.
    verbose : int, default=0
        From 1 on, also says how many fits were reused.
    store : path-like or None, default=None
        The HDF5 file; this and the following as in
        :class:`WeightTrackingGridSearchCV`.
    capture : {"refit", "splits", "both"}, default="refit"
        Which models' weights are kept.
    keep : int or "all", default="all"
        Number of candidates to refit and keep: the best of `refit_iterations`, the
        last iteration's first.
    resume : bool, default=True
        Whether fits in `store` are reused. With a larger grid, iterations have other
        resources, so fits on splits are reused only if `min_resources` is a number;
        refits always are.
    compression : {"gzip", "lzf"}, dict or None, default=None
        How the store's arrays are compressed.
    share_prefixes : bool or int, default=True
        Whether equal first steps of candidates' pipelines are fitted once per split;
        an int is the bytes of transformed data that each process keeps for it at most
        (True: 512 MiB). Results are the same either way. ``mean_fit_time`` is what was
        really spent.
    refit_iterations : {"last", "all"}, default="last"
        Iterations whose candidates are refit on all the data; ``"all"`` includes
        eliminated ones. Params that occur in several iterations are refit once, as
        the candidate of the last one; if `resource` is a param, they differ in it
        and each is refit.
    snapshots : None, "all", int, list of int, callable or SnapshotPlan, default=None
        Epochs after which the weights are kept too, in the fits that `capture` keeps:
        all, every n-th, those of a list, or those for which ``snapshots(epoch)`` is
        True. Epoch 0 is the state before training. For Keras and skorch models,
        :class:`~sklearn.neural_network.MLPClassifier` and ``MLPRegressor``, alone or
        as the last step of a pipeline. Gradient boosting has all its stages in the
        final model. Results are the same with and without.

    Attributes
    ----------
    best_weights_, weights_by_params_, store_, run_
        As in :class:`WeightTrackingGridSearchCV`. Params that occur in several
        iterations refer to the candidate of the last one.
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, ...
        As in :class:`~sklearn.model_selection.HalvingGridSearchCV`.

    See Also
    --------
    WeightTrackingGridSearchCV : Gives all the data to all candidates.
    WeightTrackingHalvingRandomSearchCV : Draws the candidates.

    Notes
    -----
    A candidate is a row of ``cv_results_``: params that reach the third iteration
    are three candidates, distinguished by ``iter`` and ``n_resources``, which are
    also columns of ``run_.candidates``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from weightsearch import WeightTrackingHalvingGridSearchCV
    >>> search = WeightTrackingHalvingGridSearchCV(
    ...     LogisticRegression(max_iter=1000),
    ...     {"C": [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]},
    ...     cv=3,
    ...     random_state=0,
    ... ).fit(*load_iris(return_X_y=True))
    >>> search.run_.candidates["iter"].value_counts(sort=False).to_list()
    [6, 2]
    >>> len(search.weights_by_params_)
    2
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        factor: float = 3,
        resource: str = "n_samples",
        max_resources: Any = "auto",
        min_resources: Any = "exhaust",
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: Any = True,
        error_score: Any = np.nan,
        return_train_score: bool = True,
        random_state: Any = None,
        n_jobs: Any = None,
        verbose: int = 0,
        store: str | os.PathLike[str] | None = None,
        capture: str = "refit",
        keep: int | str = "all",
        resume: bool = True,
        compression: str | Mapping[str, Any] | None = None,
        snapshots: Any = None,
        share_prefixes: bool | int = True,
        refit_iterations: str = "last",
    ):
        super().__init__(
            estimator,
            param_grid,
            factor=factor,
            resource=resource,
            max_resources=max_resources,
            min_resources=min_resources,
            aggressive_elimination=aggressive_elimination,
            cv=cv,
            scoring=scoring,
            refit=refit,
            error_score=error_score,
            return_train_score=return_train_score,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self._track(
            store, capture, keep, resume, compression, snapshots, share_prefixes
        )
        self.refit_iterations = refit_iterations

    def _known_candidates(self) -> Iterable[Mapping[str, Any]]:
        grid: Iterable[Mapping[str, Any]] = ParameterGrid(self.param_grid)
        return grid


class WeightTrackingHalvingRandomSearchCV(
    HalvingRandomSearchCV,  # type: ignore[misc]
    _TrackedHalving,
):
    """Randomized search by successive halving that keeps its candidates' weights.

    Does and returns everything that
    :class:`sklearn.model_selection.HalvingRandomSearchCV` does, with a store as in
    :class:`WeightTrackingGridSearchCV`. Does not need ``enable_halving_search_cv``.

    Parameters
    ----------
    estimator : estimator object
        As in :class:`~sklearn.model_selection.HalvingRandomSearchCV`, like all
        parameters up to `verbose`.
    param_distributions : dict or list of dicts
        Names of parameters with lists of values or distributions to draw from. Every
        name is checked on the estimator before the first fit.
    n_candidates : "exhaust" or int, default="exhaust"
        Number of candidates in the first iteration.
    factor, resource, max_resources, aggressive_elimination, cv, scoring, refit, \
error_score, return_train_score, n_jobs, verbose
        As in :class:`WeightTrackingHalvingGridSearchCV`.
    min_resources : {'exhaust', 'smallest'} or int, default='smallest'
        Resources of each candidate in the first iteration.
    random_state : int, RandomState instance or None, default=None
        Seed of candidates and subsamples. With None, an unfinished run in `store` is
        resumed with its own draws.
    store, capture, keep, resume, compression, share_prefixes, refit_iterations
        As in :class:`WeightTrackingHalvingGridSearchCV`.

    Attributes
    ----------
    best_weights_, weights_by_params_, store_, run_
        As in :class:`WeightTrackingHalvingGridSearchCV`.
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, ...
        As in :class:`~sklearn.model_selection.HalvingRandomSearchCV`.

    See Also
    --------
    WeightTrackingHalvingGridSearchCV : Starts with all combinations.
    WeightTrackingRandomizedSearchCV : Gives all the data to all candidates.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from weightsearch import WeightTrackingHalvingRandomSearchCV
    >>> search = WeightTrackingHalvingRandomSearchCV(
    ...     LogisticRegression(max_iter=1000),
    ...     {"C": loguniform(0.001, 100)},
    ...     n_candidates=6,
    ...     cv=3,
    ...     random_state=0,
    ... ).fit(*load_iris(return_X_y=True))
    >>> search.n_candidates_
    [6, 2]
    >>> len(search.weights_by_params_)
    2
    """

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_candidates: Any = "exhaust",
        factor: float = 3,
        resource: str = "n_samples",
        max_resources: Any = "auto",
        min_resources: Any = "smallest",
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: Any = True,
        error_score: Any = np.nan,
        return_train_score: bool = True,
        random_state: Any = None,
        n_jobs: Any = None,
        verbose: int = 0,
        store: str | os.PathLike[str] | None = None,
        capture: str = "refit",
        keep: int | str = "all",
        resume: bool = True,
        compression: str | Mapping[str, Any] | None = None,
        snapshots: Any = None,
        share_prefixes: bool | int = True,
        refit_iterations: str = "last",
    ):
        super().__init__(
            estimator,
            param_distributions,
            n_candidates=n_candidates,
            factor=factor,
            resource=resource,
            max_resources=max_resources,
            min_resources=min_resources,
            aggressive_elimination=aggressive_elimination,
            cv=cv,
            scoring=scoring,
            refit=refit,
            error_score=error_score,
            return_train_score=return_train_score,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self._track(
            store, capture, keep, resume, compression, snapshots, share_prefixes
        )
        self.refit_iterations = refit_iterations

    def _known_candidates(self) -> Iterable[Mapping[str, Any]]:
        return one_of_each(self.param_distributions)

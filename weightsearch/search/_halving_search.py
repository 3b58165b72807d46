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

    # Constructors add it: it belongs to halving searches alone.
    refit_iterations: str

    _tracking_constraints: ClassVar[dict[str, list[Any]]] = {
        **TrackedSearch._tracking_constraints,
        "refit_iterations": [StrOptions({"last", "all"})],
    }

    def _refit_order(self, ranked: Array) -> Array:
        iterations = np.asarray(self.cv_results_["iter"])[ranked]
        # Scores compare within an iteration; who got further is better than others.
        order = ranked[np.argsort(-iterations, kind="stable")]
        if self.refit_iterations == "all":
            return order
        return order[: np.count_nonzero(iterations == iterations.max())]


class WeightTrackingHalvingGridSearchCV(
    HalvingGridSearchCV,  # type: ignore[misc]
    _TrackedHalving,
):
    """Grid search by successive halving that keeps the weights of its candidates.

    A :class:`sklearn.model_selection.HalvingGridSearchCV` in everything that it does
    and returns, with a store as :class:`WeightTrackingGridSearchCV` has it. It needs
    no ``enable_halving_search_cv``.

    Parameters
    ----------
    estimator : estimator object
        As in :class:`~sklearn.model_selection.HalvingGridSearchCV`, like all
        parameters up to `verbose`.
    param_grid : dict or list of dictionaries
        Names of parameters with the values to try. Every name is checked on the
        estimator before the first fit.
    factor : int or float, default=3
        One candidate of so many gets into the next iteration.
    resource : ``'n_samples'`` or str, default='n_samples'
        What grows with each iteration: the samples, or a param of the estimator.
    max_resources : int, default='auto'
        The most that a candidate may use in an iteration.
    min_resources : {'exhaust', 'smallest'} or int, default='exhaust'
        What each candidate uses in the first iteration.
    aggressive_elimination : bool, default=False
        Whether the first iteration is repeated until few enough candidates remain.
    cv : int, cross-validation generator or iterable, default=5
        How the data is split; each time the same.
    scoring : str or callable, default=None
        How predictions on the test set are evaluated; one metric.
    refit : bool or callable, default=True
        Whether the best candidate of the last iteration is refit on all the data.
    error_score : 'raise' or numeric, default=np.nan
        The score of a fit that fails.
    return_train_score : bool, default=True
        Whether ``cv_results_`` has training scores.
    random_state : int, RandomState instance or None, default=None
        From where subsamples are drawn. With None an unfinished run in `store` is
        gone on with by its own draws; fits of a complete one are not reused, but
        for refits.
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
        How many candidates are refit and kept: of those of `refit_iterations` the
        best, the last iteration's first.
    resume : bool, default=True
        Whether fits that `store` holds are reused. In a grown grid an iteration has
        other resources, so fits of its splits are reused only where
        `min_resources` is a number; refits are in any case.
    compression : {"gzip", "lzf"}, dict or None, default=None
        How the store's arrays are compressed.
    refit_iterations : {"last", "all"}, default="last"
        Of which iterations candidates are refit on all the data. With ``"all"``
        those that were eliminated are too. Params that come in several iterations
        are refit once, as the candidate of the last one of these; where `resource`
        is a param, they differ in it and each is refit.

    Attributes
    ----------
    best_weights_, weights_by_params_, store_, run_
        As in :class:`WeightTrackingGridSearchCV`. Params that come in several
        iterations stand for the candidate of the last one.
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, ...
        As in :class:`~sklearn.model_selection.HalvingGridSearchCV`.

    See Also
    --------
    WeightTrackingGridSearchCV : Gives all the data to all candidates.
    WeightTrackingHalvingRandomSearchCV : Draws the candidates.

    Notes
    -----
    A candidate is a row of ``cv_results_``: params that reach the third iteration
    are three candidates, told apart by ``iter`` and ``n_resources``, which are
    columns of ``run_.candidates`` too.

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
        self._track(store, capture, keep, resume, compression)
        self.refit_iterations = refit_iterations

    def _known_candidates(self) -> Iterable[Mapping[str, Any]]:
        grid: Iterable[Mapping[str, Any]] = ParameterGrid(self.param_grid)
        return grid


class WeightTrackingHalvingRandomSearchCV(
    HalvingRandomSearchCV,  # type: ignore[misc]
    _TrackedHalving,
):
    """Randomized search by successive halving that keeps its candidates' weights.

    A :class:`sklearn.model_selection.HalvingRandomSearchCV` in everything that it
    does and returns, with a store as :class:`WeightTrackingGridSearchCV` has it. It
    needs no ``enable_halving_search_cv``.

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
        What each candidate uses in the first iteration.
    random_state : int, RandomState instance or None, default=None
        From where candidates and subsamples are drawn. With None an unfinished run
        in `store` is gone on with by its own draws.
    store, capture, keep, resume, compression, refit_iterations
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
        self._track(store, capture, keep, resume, compression)
        self.refit_iterations = refit_iterations

    def _known_candidates(self) -> Iterable[Mapping[str, Any]]:
        return one_of_each(self.param_distributions)

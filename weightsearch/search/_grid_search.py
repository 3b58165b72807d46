"""Grid search that keeps the weights of every candidate."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV, ParameterGrid

from weightsearch.search._tracked import TrackedSearch

__all__ = ["WeightTrackingGridSearchCV"]


class WeightTrackingGridSearchCV(GridSearchCV, TrackedSearch):  # type: ignore[misc]
    """Grid search that keeps the weights of every candidate.

    Does and returns everything that :class:`sklearn.model_selection.GridSearchCV`
    does. In addition, the weights of every candidate are kept in an HDF5 store,
    under its params.

    Parameters
    ----------
    estimator : estimator object
        As in :class:`~sklearn.model_selection.GridSearchCV`, like all parameters up
        to `return_train_score`.
    param_grid : dict or list of dictionaries
        Names of parameters with the values to try. Every name is checked on the
        estimator before the first fit.
    scoring : str, callable, list, tuple or dict, default=None
        How predictions on the test set are evaluated.
    n_jobs : int, default=None
        Number of fits that run in parallel, refits included.
    refit : bool, str, or callable, default=True
        Whether, and by which score, the best candidate is refit on all the data.
        With ``refit=False`` there are no refits, so ``capture="refit"`` keeps
        nothing but scores.
    cv : int, cross-validation generator or an iterable, default=None
        The cross-validation splitting strategy.
    verbose : int, default=0
        From 1 on, also prints how many fits were reused or rescored.
    pre_dispatch : int, or str, default='2*n_jobs'
        Number of fits that are sent to the workers ahead.
    error_score : 'raise' or numeric, default=np.nan
        The score of a fit that fails. With ``'raise'`` a refit that fails raises
        too; otherwise it is recorded, with a `RefitFailedWarning`.
    return_train_score : bool, default=False
        Whether ``cv_results_`` has training scores.
    store : path-like or None, default=None
        The HDF5 file, created if it does not exist; earlier runs in it are kept.
        None: a private temporary file that exists as long as the search, see
        :meth:`save_store`.
    capture : {"refit", "splits", "both"}, default="refit"
        Models whose weights are kept. ``"refit"``: every candidate is refit on all
        the data, as scikit-learn does it with the best one. ``"splits"``: the models
        that cross-validation fits anyway, without any extra fit. ``"both"``: both.
        The best estimator's weights are kept in any case.
    keep : int or "all", default="all"
        Number of candidates to refit and keep, the best-ranked ones.
    resume : bool, default=True
        Whether equal fits in `store` are reused: of an unfinished run, a smaller
        grid, or an earlier run of the same script. Stored models of splits are
        scored by another `scoring` without a fit. Fit times are the stored ones.
        Failed fits run again.
    compression : {"gzip", "lzf"}, dict or None, default=None
        How the store's arrays are compressed; a dict goes to
        :meth:`h5py.Group.create_dataset` as it is.
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
    best_weights_ : dict of str -> ndarray
        Weights of ``best_estimator_``, bit for bit.
    weights_by_params_ : Mapping
        From a candidate's params to its weights, read on access.
    store_ : WeightStore
        The store, open for reading.
    run_ : Run
        This search's run in it.
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, ...
        As in :class:`~sklearn.model_selection.GridSearchCV`.

    See Also
    --------
    WeightStore : Reads a store without the search.
    extract_weights : The weights of any fitted estimator.

    Notes
    -----
    With ``capture="refit"`` there are ``n_candidates * n_splits + n_candidates``
    fits, with ``"splits"`` exactly those of `GridSearchCV`. The refits of the
    other candidates run after everything that scikit-learn does, so draws from a
    global random state are the same as without them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from weightsearch import WeightTrackingGridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> search = WeightTrackingGridSearchCV(
    ...     LogisticRegression(max_iter=1000), {"C": [0.1, 1.0, 10.0]}, cv=3
    ... ).fit(X, y)
    >>> search.best_weights_["coef_"].shape
    (3, 4)
    >>> search.weights_by_params_[{"C": 0.1}]["intercept_"].shape
    (3,)
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: Any = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
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
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self._track(
            store, capture, keep, resume, compression, snapshots, share_prefixes
        )

    def _known_candidates(self) -> Iterable[Mapping[str, Any]]:
        grid: Iterable[Mapping[str, Any]] = ParameterGrid(self.param_grid)
        return grid

"""Take the best candidate's refit from the store, if it is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weightsearch._copies import copied, is_unchanged
from weightsearch._records import REFIT
from weightsearch.search._recorder import SearchRecorder
from weightsearch.search._sklearn._callbacks import has_callbacks
from weightsearch.search._snapshots import follow_fit

__all__ = ["BestClone", "forget_fit"]


class BestClone:
    """Replacement for ``clone`` in ``BaseSearchCV.fit``.

    There scikit-learn clones the estimator once before the fits, in each of them, and
    once more for the refit, which is the only one that can be had from the store.

    Parameters
    ----------
    clone : callable
        scikit-learn's own.
    search : BaseSearchCV
    recorder : SearchRecorder
    """

    def __init__(
        self, clone: Callable[..., Any], search: Any, recorder: SearchRecorder
    ):
        self._clone = clone
        self._search = search
        self._recorder = recorder
        self.fits_go_on = False
        self._n_calls = 0
        self._given: tuple[Any, Any, Any] | None = None

    def __call__(self, estimator: Any, *, safe: bool = True) -> Any:
        cloned = self._clone(estimator, safe=safe)
        if self.fits_go_on or not safe:
            return cloned
        self._n_calls += 1
        if self._n_calls == 1:
            return cloned
        if has_callbacks(self._search, cloned):
            # Who listens to the refit must get it.
            self._keep_data()
            self._take_snapshots(cloned)
            return cloned
        return _Refit(cloned, self._search, self._recorder, self._begin)

    def _begin(self, estimator: Any) -> None:
        self._keep_data()
        self._take_snapshots(estimator)

    def _take_snapshots(self, estimator: Any) -> None:
        """Let the refit of the best candidate take snapshots."""
        best = int(self._search.best_index_)
        snapshotting = self._recorder.snapshotting(best, REFIT)
        if snapshotting is not None:
            self._recorder.best_snapshotter = snapshotting()
            follow_fit(estimator, self._recorder.best_snapshotter)

    def _keep_data(self) -> None:
        """Copy the data for the other refits; this one uses the caller's."""
        if self._search._has_more_tasks:
            call = self._recorder.call
            self._given = copied((call.X, call.y, dict(call.fit_params)))

    def give_data_back(self) -> None:
        """Restore the data for the other refits, if the best one changed them.

        The caller's own stay changed, as scikit-learn leaves them.
        """
        given, self._given = self._given, None
        call = self._recorder.call
        if given is not None and not is_unchanged(
            (call.X, call.y, dict(call.fit_params)), given
        ):
            self._recorder.use_data(*given)


class _Refit:
    """Placeholder for the estimator from its clone until it gets the best params."""

    def __init__(
        self,
        estimator: Any,
        search: Any,
        recorder: SearchRecorder,
        before_fit: Callable[[Any], None],
    ):
        self._estimator = estimator
        self._search = search
        self._recorder = recorder
        self._before_fit = before_fit

    def set_params(self, **params: Any) -> Any:
        # Of the params that come here scikit-learn has made copies.
        stored = self._recorder.recall_best(self._search.best_params_)
        if stored is None:
            estimator = self._estimator.set_params(**params)
            self._before_fit(estimator)
            return estimator
        # scikit-learn calls fit next, which is done already.
        stored.fit = lambda *args, **kwargs: stored
        return stored


def forget_fit(search: Any, refit_time: float | None) -> None:
    """Restore the own ``fit`` of an estimator from the store.

    Parameters
    ----------
    search : BaseSearchCV
    refit_time : float or None
        Seconds that the stored fit took; None if it was not from the store.
    """
    if refit_time is not None:
        del search.best_estimator_.fit
        search.refit_time_ = refit_time

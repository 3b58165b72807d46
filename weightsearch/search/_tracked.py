"""The base class of all searches that keep weights."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

from weightsearch._records import Array
from weightsearch.exceptions import NoWeightsWarning, StoreError
from weightsearch.frameworks.keras import ensure_tags
from weightsearch.search._constructor import take_tracking_params
from weightsearch.search._grid_check import check_candidates
from weightsearch.search._models import StoredModels
from weightsearch.search._recorder import SearchRecorder
from weightsearch.search._reference import PrivateFolder, StoreReference
from weightsearch.search._repr import DiagramWithStore
from weightsearch.search._sklearn import (
    CallbackSearch,
    Interval,
    StrOptions,
    fit_context,
    fit_search,
    refit_candidates,
)
from weightsearch.store import WriteSession

__all__ = ["TrackedSearch"]

_TOLD = ("capture", "keep", "refit", "scoring", "cv", "return_train_score")
"""What every search has, also one whose constructor decides on it."""

_NOT_TOLD = {"estimator", "store", "resume", "compression", "n_jobs", "verbose"} | {
    "pre_dispatch",
    "search_spaces",
}
"""Params that change nothing in what is stored, or that are stored elsewhere."""

_Place = tuple[Path, PrivateFolder | None]


class TrackedSearch(DiagramWithStore, StoredModels, CallbackSearch):
    """Base class of searches that keep the weights of every candidate.

    It makes any search that comes from scikit-learn's ``BaseSearchCV`` one that keeps
    weights, also one with a ``_run_search`` of its own. In the list of bases it comes
    last, so that it runs ``BaseSearchCV.fit`` for the search before it, and every
    finished fit goes to the store.

    A class that derives from it takes `store`, `capture`, `keep`, `resume` and
    `compression` in its constructor, without naming them, and has all attributes of
    :class:`WeightTrackingGridSearchCV`.

    Raises
    ------
    TypeError
        When a class is defined, if a search follows this one in its bases.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from weightsearch import TrackedSearch
    >>> class DoublingSearch(TrackedSearch):
    ...     '''Doubles C as long as it helps.'''
    ...
    ...     def _run_search(self, evaluate_candidates):
    ...         C, scores = 0.01, []
    ...         while len(scores) < 2 or scores[-1] > scores[-2]:
    ...             results = evaluate_candidates([{"C": C}])
    ...             scores, C = results["mean_test_score"], 2 * C
    >>> search = DoublingSearch(LogisticRegression(max_iter=1000), cv=3, capture="both")
    >>> search = search.fit(*load_iris(return_X_y=True))
    >>> search.weights_by_params_[{"C": 0.02}]["coef_"].shape
    (3, 4)
    """

    _tracking_constraints: ClassVar[dict[str, list[Any]]] = {
        "store": [str, os.PathLike, None],
        "capture": [StrOptions({"refit", "splits", "both"})],
        "keep": [StrOptions({"all"}), Interval(Integral, 1, None, closed="left")],
        "resume": ["boolean"],
        "compression": [StrOptions({"gzip", "lzf"}), Mapping, None],
    }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        take_tracking_params(cls, TrackedSearch)

    def _track(
        self,
        store: str | os.PathLike[str] | None,
        capture: str,
        keep: int | str,
        resume: bool,
        compression: str | Mapping[str, Any] | None,
    ) -> None:
        """Take the params of a constructor that names them."""
        self.store = store
        self.capture = capture
        self.keep = keep
        self.resume = resume
        self.compression = compression

    @fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Run the search, keeping the weights of its fits.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_samples)
            Training vectors, or whatever the estimator takes.
        y : array-like of shape (n_samples,) or (n_samples, n_output), default=None
            Target relative to X; None for unsupervised learning.
        **params : dict of str -> object
            Parameters for the ``fit`` of the estimator, the scorer and the splitter.

        Returns
        -------
        self : object
            The fitted search.

        Raises
        ------
        InvalidGridError
            If a candidate has a parameter that the estimator does not know.
        StoreError
            If `store` cannot be used: before the first fit where that can be known.
        """
        ensure_tags()
        check_candidates(self.estimator, self._known_candidates())
        if not self.refit and self.capture == "refit":
            warnings.warn(
                "No weights will be kept: refit=False makes no refits, and "
                "capture='refit' keeps only those. Pass capture='splits' to keep the "
                "models of cross-validation.",
                NoWeightsWarning,
                # The caller of fit, whose decorator is a frame of its own.
                stacklevel=3,
            )
        # During the fit the search itself may travel to the workers, so that it
        # must hold neither an open file nor an earlier fit's store.
        self.__dict__.pop("_reference", None)
        with self._recording(X, y, params) as (recorder, place):
            fit_search(self, X, y, params, recorder)
            if self.refit:
                recorder.record_best(self)
            if self._has_more_tasks:
                to_do = recorder.refits_to_do(self, self.keep)
                for candidate, outcome in refit_candidates(self, recorder.call, to_do):
                    params_ = self.cv_results_["params"][candidate]
                    recorder.record_refit(candidate, params_, outcome)
                recorder.warn_of_failed_refits()
            uid = recorder.commit(self)
        self._end_callbacks()
        self._reference = StoreReference(*place, uid)
        return self

    @property
    def _has_more_tasks(self) -> bool:
        # The refits of the other candidates.
        return bool(self.refit) and self.capture != "splits"

    def _known_candidates(self) -> Iterable[Mapping[str, Any]]:
        """Candidates that can be named before the search starts."""
        return ()

    def _refit_order(self, ranked: Array) -> Array:
        """Candidates that may be refit, the first to be kept first.

        Parameters
        ----------
        ranked : ndarray of shape (n_candidates,), int
            All candidates, best-ranked first.
        """
        return ranked

    @contextmanager
    def _recording(
        self, X: Any, y: Any, params: Mapping[str, Any]
    ) -> Iterator[tuple[SearchRecorder, _Place]]:
        folder = None
        if self.store is None:
            folder = PrivateFolder()
            path = folder.store
        else:
            path = _absolute(self.store)
        private = folder is not None
        recorder = None
        try:
            session = WriteSession.open(
                path, durable=not private, compression=self.compression
            )
            recorder = SearchRecorder(
                session,
                capture=self.capture,
                resume=self.resume,
                identify=not private,
                verbose=self.verbose,
                settings=self._settings(),
            )
            with recorder.drawing(self, X, y, params):
                yield recorder, (path, folder)
        except BaseException as error:
            if recorder is not None:
                recorder.close()
            if folder is not None:
                folder.remove()
            elif recorder is not None and recorder.n_reusable:
                n_fits = recorder.n_reusable
                fits = "1 fit is" if n_fits == 1 else f"{n_fits} fits are"
                error.add_note(
                    f"{fits} safe in {path}. Call fit again with the same arguments "
                    "to resume from there."
                )
            raise
        recorder.close()

    def _settings(self) -> dict[str, Any]:
        """What the store tells of this search, as text where it is no plain value."""
        own = [name for name in self.get_params(deep=False) if name[:6] != "param_"]
        names = dict.fromkeys(name for name in (*_TOLD, *own) if name not in _NOT_TOLD)
        return {
            "search": type(self).__name__,
            **{name: _plain(getattr(self, name)) for name in names},
            "error_score": repr(self.error_score),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # The best estimator is asked for its type when it scores.
        ensure_tags()


def _absolute(store: str | os.PathLike[str]) -> Path:
    """Return the store's path, which a change of the working folder cannot move."""
    try:
        return Path(store).expanduser().resolve()
    except (OSError, RuntimeError) as error:
        # A loop of links, or a ~ of nobody.
        raise StoreError(
            f"The store's path {os.fspath(store)!r} cannot be resolved: {error}. "
            "Give another path.",
            os.fspath(store),
        ) from error


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    # Addresses differ from process to process.
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value))[:500]

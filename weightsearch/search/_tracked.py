"""The base class of all searches that keep weights."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

from weightsearch._params import ParamsMapping
from weightsearch._records import Array
from weightsearch.exceptions import StoreWriteError
from weightsearch.frameworks._scikeras_tags import ensure_tags
from weightsearch.run import Run, StoredWeights, WeightStore
from weightsearch.search._grid_check import check_candidates
from weightsearch.search._recorder import SearchRecorder
from weightsearch.search._reference import PrivateFolder, StoreReference
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


_Place = tuple[Path, PrivateFolder | None]


class TrackedSearch(CallbackSearch):
    """What any search needs to keep weights.

    In the method resolution order this class stands below the search that decides
    on the candidates (``GridSearchCV``) and above ``BaseSearchCV``, whose ``fit`` it
    runs with every finished fit going to the store.
    """

    _tracking_constraints: ClassVar[dict[str, list[Any]]] = {
        "store": [str, os.PathLike, None],
        "capture": [StrOptions({"refit", "splits", "both"})],
        "keep": [StrOptions({"all"}), Interval(Integral, 1, None, closed="left")],
        "resume": ["boolean"],
        "compression": [StrOptions({"gzip", "lzf"}), Mapping, None],
    }

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
        # During the fit the search itself may travel to the workers, so that it
        # must hold neither an open file nor an earlier fit's store.
        self.__dict__.pop("_reference", None)
        with self._recording() as (recorder, place):
            fit_search(self, X, y, params, recorder)
            best = recorder.record_best(self) if self.refit else None
            if self._has_more_tasks:
                to_do = recorder.refits_to_do(self, self.keep)
                for candidate, outcome in refit_candidates(self, recorder.call, to_do):
                    params_ = self.cv_results_["params"][candidate]
                    recorder.record_refit(candidate, params_, outcome)
            uid = recorder.commit(self, best)
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

    @contextmanager
    def _recording(self) -> Iterator[tuple[SearchRecorder, _Place]]:
        private = self.store is None
        folder = PrivateFolder() if private else None
        path = folder.store if folder is not None else Path(self.store).expanduser()
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
            yield recorder, (path, folder)
        except BaseException as error:
            if recorder is not None:
                recorder.close()
            if folder is not None:
                folder.remove()
            elif recorder is not None and recorder.n_new:
                error.add_note(
                    f"The {recorder.n_new} fits that had finished are safe in {path}; "
                    "the same call goes on from there."
                )
            raise
        recorder.close()

    def _settings(self) -> dict[str, Any]:
        """What the store tells of this search, as text where it is no plain value."""
        return {
            "search": type(self).__name__,
            "capture": self.capture,
            "keep": self.keep if isinstance(self.keep, str) else int(self.keep),
            "refit": self.refit
            if isinstance(self.refit, bool | str)
            else repr(self.refit),
            "scoring": None if self.scoring is None else repr(self.scoring)[:500],
            "cv": None if self.cv is None else repr(self.cv)[:500],
            "error_score": repr(self.error_score),
            "return_train_score": bool(self.return_train_score),
        }

    # -- what the fit has left --------------------------------------------------

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
        try:
            # Mode "x", so that nothing that is there can be lost.
            with source.open("rb") as old, target.open("xb") as new:
                shutil.copyfileobj(old, new, 1 << 20)
                new.flush()
                os.fsync(new.fileno())
        except FileExistsError as error:
            raise StoreWriteError(
                f"{target} is there already; choose another path, or remove it first.",
                str(target),
            ) from error
        except OSError as error:
            target.unlink(missing_ok=True)
            raise StoreWriteError(
                f"The store could not be saved to {target}: {error}", str(target)
            ) from error
        return target

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # The best estimator is asked for its type when it scores.
        ensure_tags()

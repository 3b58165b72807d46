"""Base class of all searches that keep weights."""

from __future__ import annotations

import html
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from sklearn.base import clone

from weightsearch._display import escape, pairs_table, size_text, view
from weightsearch._params import ParamsMapping
from weightsearch._params._describe import describe
from weightsearch._records import Array
from weightsearch.evaluate._choosing import chosen, n_weights
from weightsearch.exceptions import (
    NoWeightsWarning,
    StoreError,
    StoreWriteError,
    WeightSearchError,
    WeightsNotFoundError,
)
from weightsearch.frameworks.keras import ensure_tags
from weightsearch.run import Run, StoredWeights, WeightStore
from weightsearch.search._constructor import take_tracking_params
from weightsearch.search._grid_check import check_candidates
from weightsearch.search._recorder import SearchRecorder
from weightsearch.search._reference import PrivateFolder, StoreReference
from weightsearch.search._sklearn import (
    CallbackSearch,
    Interval,
    StrOptions,
    fit_context,
    has_callbacks,
)
from weightsearch.search._sklearn._fit import fit_search
from weightsearch.search._sklearn._prefixes import Sharing
from weightsearch.search._sklearn._refit import refit_candidates
from weightsearch.search._snapshots import WantedSnapshots, check_epochs, make_plan
from weightsearch.store import WriteSession

__all__ = ["TrackedSearch"]

_RECORDED_SETTINGS = ("capture", "keep", "refit", "scoring", "cv", "return_train_score")
"""Settings that are recorded for every search."""

_UNRECORDED_SETTINGS = {
    *("estimator", "store", "resume", "compression", "share_prefixes"),
    *("n_jobs", "pre_dispatch", "verbose", "search_spaces"),
}
"""Params that do not affect what is stored, or that are stored elsewhere."""

_Place = tuple[Path, PrivateFolder | None]


class TrackedSearch(CallbackSearch):
    """Base class of searches that keep the weights of every candidate.

    It makes any search derived from scikit-learn's ``BaseSearchCV`` keep weights, also
    one with its own ``_run_search``. It must be the last base: it runs
    ``BaseSearchCV.fit`` for the search before it and stores every finished fit.

    A derived class accepts `store`, `capture`, `keep`, `resume`, `compression`,
    `snapshots` and `share_prefixes` in its constructor, without naming them, and has
    all attributes of :class:`WeightTrackingGridSearchCV`.

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
    ...     '''Double C as long as it helps.'''
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

    _tracking_constraints: ClassVar[dict[str, Any]] = {
        "store": [str, os.PathLike, None],
        "capture": [StrOptions({"refit", "splits", "both"})],
        "keep": [StrOptions({"all"}), Interval(Integral, 1, None, closed="left")],
        "resume": ["boolean"],
        "compression": [StrOptions({"gzip", "lzf"}), Mapping, None],
        # Checked by make_plan, whose errors say what is wrong.
        "snapshots": "no_validation",
        "share_prefixes": ["boolean", Interval(Integral, 0, None, closed="left")],
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
        snapshots: Any,
        share_prefixes: bool | int,
    ) -> None:
        """Set the tracking params, for constructors that name them."""
        self.store = store
        self.capture = capture
        self.keep = keep
        self.resume = resume
        self.compression = compression
        self.snapshots = snapshots
        self.share_prefixes = share_prefixes

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
        SnapshotError
            If `snapshots` is nothing that says which epochs are wanted, or a candidate
            has no epochs that can be followed.
        StoreError
            If `store` cannot be used: before the first fit where that can be known.
        """
        ensure_tags()
        check_candidates(self.estimator, self._known_candidates())
        plan = make_plan(self.snapshots)
        if plan is not None:
            check_epochs(self.estimator, self._known_candidates())
        if not self.refit and self.capture == "refit":
            warnings.warn(
                "No weights will be kept: refit=False makes no refits, and "
                "capture='refit' keeps only those. Pass capture='splits' to keep the "
                "models of cross-validation.",
                NoWeightsWarning,
                # The caller of fit; its decorator adds a frame.
                stacklevel=3,
            )
        # The search may be sent to workers, so it must not hold an open file or an
        # earlier fit's store.
        self.__dict__.pop("_reference", None)
        with self._recording(X, y, params, plan) as (recorder, place):
            fit_search(self, X, y, params, recorder)
            if self.refit:
                recorder.record_best(self)
            if self._has_more_tasks:
                to_do = recorder.refits_to_do(self, self.keep)
                sharing = Sharing(recorder.call, self.share_prefixes)
                refits = refit_candidates(
                    self, recorder.call, to_do, sharing, recorder.snapshotting
                )
                for candidate, outcome in refits:
                    params_ = self.cv_results_["params"][candidate]
                    recorder.record_refit(candidate, params_, outcome)
                recorder.announce_spared(sharing.n_spared)
                recorder.warn_of_failed_refits()
            recorder.warn_of_short_fits()
            uid = recorder.commit(self)
        self._end_callbacks()
        self._reference = StoreReference(*place, uid)
        return self

    @property
    def _has_more_tasks(self) -> bool:
        # The refits of the other candidates.
        return bool(self.refit) and self.capture != "splits"

    def _known_candidates(self) -> Iterable[Mapping[str, Any]]:
        """Return the candidates that are known before the search starts."""
        return ()

    def _refit_order(self, ranked: Array) -> Array:
        """Return the candidates that may be refit, in order of preference.

        Parameters
        ----------
        ranked : ndarray of shape (n_candidates,), int
            All candidates, best-ranked first.
        """
        return ranked

    @contextmanager
    def _recording(
        self, X: Any, y: Any, params: Mapping[str, Any], plan: WantedSnapshots | None
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
                n_jobs=self.n_jobs,
                refit=self.refit,
                # A progress bar among the callbacks updates lines itself.
                in_place=not has_callbacks(self, self.estimator),
                snapshots=None if plan is None else replace(plan, store=path),
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
        """Return the search's settings for the store, as JSON-able values."""
        own = [name for name in self.get_params(deep=False) if name[:6] != "param_"]
        names = dict.fromkeys(
            name
            for name in (*_RECORDED_SETTINGS, *own)
            if name not in _UNRECORDED_SETTINGS
        )
        return {
            "search": type(self).__name__,
            **{name: _plain(getattr(self, name)) for name in names},
            "error_score": repr(self.error_score),
            **_distributions(getattr(self, "param_distributions", {})),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # The best estimator is asked for its type when it scores.
        ensure_tags()

    # -- the store after the fit --------------------------------------------------

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
        """Copy the store of this search to a file.

        Parameters
        ----------
        path : path-like
            Path of the copy. An existing file is not overwritten.

        Returns
        -------
        path : Path
            The new store.

        Raises
        ------
        StoreWriteError
            If the file exists, or cannot be written.
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
                f"{target} exists already; choose another path, or remove it first.",
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
        """Rebuild a candidate's fitted estimator, without training.

        Parameters
        ----------
        params : dict or int
            The candidate's params, or its row in ``cv_results_``.
        split : int, default=None
            The cross-validation split of the model; None: the refit.

        Returns
        -------
        estimator : object
            Predicts bit for bit as the original did. See
            :meth:`weightsearch.Run.load_estimator` for its limits.

        Raises
        ------
        WeightsNotFoundError
            If there is no such candidate, or its model was not kept.
        RebuildError
            If it contains something that cannot be stored without pickle.
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
            The split of the models; None: the refits.
        n_jobs : int, default=None
            Workers; None: as many as the search has.
        verbose : int, default=0
            Progress, as :class:`joblib.Parallel` shows it.

        Returns
        -------
        scores : DataFrame
            One row per candidate, as in :meth:`weightsearch.Run.score_candidates`:
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
        """Set the path of this search's store.

        For a pickled search whose store was moved or copied.

        Parameters
        ----------
        path : path-like
            A store that has this search's run.

        Returns
        -------
        self : object

        Raises
        ------
        StoreError
            If there is no store.
        WeightsNotFoundError
            If it does not have the run of this search; nothing is changed.
        """
        self._stored("attach_store").attach(Path(path).expanduser())
        return self

    def _with_params(self, number: int) -> Any:
        params = self.cv_results_["params"][number]
        return clone(self.estimator).set_params(**clone(dict(params), safe=False))

    # -- what a notebook shows ----------------------------------------------------

    @property
    def _repr_html_(self) -> Callable[[], str]:
        # Raises AttributeError where scikit-learn is set to show no diagram.
        diagram = super()._repr_html_
        return lambda: self._with_store(diagram)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle: dict[str, str] = {"text/plain": repr(self)}
        if hasattr(self, "_repr_html_"):
            bundle["text/html"] = self._repr_html_()
        return bundle

    def _with_store(self, diagram: Callable[[], str]) -> str:
        try:
            shown = diagram()
        except WeightSearchError:
            # From 1.9 on the diagram lists fitted attributes; ours need the store.
            # The line below says what is wrong with it.
            shown = f"<pre>{html.escape(repr(self))}</pre>"
        reference: StoreReference | None = self.__dict__.get("_reference")
        if reference is None:
            return shown
        try:
            return f"{shown}{_store_view(reference)}"
        except (WeightSearchError, OSError) as error:
            return f"{shown}<p>{escape(error, 500)}</p>"


def _absolute(store: str | os.PathLike[str]) -> Path:
    """Return the store's absolute path."""
    try:
        return Path(store).expanduser().resolve()
    except (OSError, RuntimeError) as error:
        # A loop of links, or a ~ of an unknown user.
        raise StoreError(
            f"The store's path {os.fspath(store)!r} cannot be resolved: {error}. "
            "Use another path.",
            os.fspath(store),
        ) from error


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    # Addresses differ from process to process.
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value))[:500]


def _distributions(given: Any) -> dict[str, dict[str, str]]:
    """Return what params are drawn from as text, for people."""
    texts: dict[str, list[str]] = {}
    for part in [given] if isinstance(given, Mapping) else given:
        # What is not a dict is refused by the search itself.
        if not isinstance(part, Mapping):
            continue
        for name, value in part.items():
            frozen = getattr(getattr(value, "dist", None), "name", None)
            if frozen is None:
                text = describe(value)
            else:
                named = [f"{k}={v!r}" for k, v in value.kwds.items()]
                text = f"{frozen}({', '.join([*map(repr, value.args), *named])})"
            texts.setdefault(name, []).append(text)
    found = {name: " or ".join(each) for name, each in texts.items()}
    return {"param_distributions": found} if found else {}


def _store_view(reference: StoreReference) -> str:
    """Return HTML: candidates with weights, run, store and size, and how to go on."""
    run = reference.run
    facts = {
        "run": run.name,
        "store": _place(reference),
        "size": size_text(reference.path.stat().st_size),
        "weights": "weights_by_params_[params], best_weights_",
        "models": "estimator_for(params)",
        "table": "run_.candidates",
    }
    counts = f"Weights of {run.n_with_weights} of {len(run)} candidates"
    return view(counts, pairs_table(facts), is_open=False)


def _place(reference: StoreReference) -> str:
    if reference.private:
        return "a private store that goes with this object (save_store keeps it)"
    return str(reference.path)

"""Record the fits of a search in a store: what is planned, reused and kept."""

from __future__ import annotations

import ctypes
import datetime
import uuid
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import joblib
import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.pipeline import Pipeline

from weightsearch._identity import (
    SearchIdentity,
    Unidentifiable,
    digest,
    digest_splitter,
    environment,
    identify_data,
    identify_search,
)
from weightsearch._params import encode_params
from weightsearch._records import (
    FAILED,
    OK,
    REFIT,
    Array,
    FitRecord,
    FitSnapshots,
    Outcome,
    RunHeader,
    RunResults,
    Snapshots,
    Splits,
    Weights,
)
from weightsearch.exceptions import (
    RefitFailedWarning,
    SnapshotWarning,
    UnstorableWeightsWarning,
)
from weightsearch.search._earlier import (
    same_run,
    superseded,
    unfinished_splits,
    what_differs,
)
from weightsearch.search._fits import FitCall, MadeFit, PlannedFit
from weightsearch.search._progress import Progress
from weightsearch.search._rebuilding import (
    capture_best,
    holds_all_of,
    is_whole,
    rebuild_best,
)
from weightsearch.search._sklearn import asks_only, scoring_of
from weightsearch.search._snapshots import Snapshotter, WantedSnapshots, all_in_model
from weightsearch.search._unseeded import RecordedSplitter, drawing, is_unrepeatable
from weightsearch.store import StoredFit, WriteSession, check_storable

__all__ = ["SearchRecorder"]


class SearchRecorder:
    """Record the fits of one ``fit`` call in the store.

    Parameters
    ----------
    session : WriteSession
        Where the fits go. Left by :meth:`commit`, or as it is by :meth:`close`.
    capture : {"refit", "splits", "both"}
    resume : bool
        Whether stored fits of the same identity are reused.
    identify : bool
        Whether fits get an identity at all; a private store has nothing to reuse.
    verbose : int
    settings : dict
        Settings of the search for the run's header.
    n_jobs, refit
        The search's own.
    in_place : bool
        Whether progress may be updated in place on a terminal.
    snapshots : WantedSnapshots, default=None
        Which snapshots the fits that are kept take.
    """

    def __init__(
        self,
        session: WriteSession,
        *,
        capture: str,
        resume: bool,
        identify: bool,
        verbose: int,
        settings: Mapping[str, Any],
        n_jobs: int | None = None,
        refit: Any = True,
        in_place: bool = True,
        snapshots: WantedSnapshots | None = None,
    ):
        self.snapshots = snapshots
        self.best_snapshotter: Snapshotter | None = None
        self._n_without_snapshots = 0
        self._too_short: dict[tuple[int, int], int] = {}
        self.captures_splits = capture in ("splits", "both")
        self._call: FitCall | None = None
        self._session = session
        self._resume = resume and identify
        self._identify = identify
        self._settings = dict(settings)
        self._identity: SearchIdentity | None = None
        self._splitter: RecordedSplitter | None = None
        self._cv_digest = ""
        self._params: list[str] = []
        self._stored_refits: dict[str, StoredFit | None] = {}
        self._n_new = 0
        self._n_reusable = 0
        self._n_not_rescored = 0
        self._n_stored_refits = 0
        self._fitted: set[int] = set()
        self._failed_refits: list[tuple[int, str]] = []
        self._kept_keys: dict[str, bool] = {}
        self._warned: set[tuple[type, str]] = set()
        self._best: StoredFit | None = None
        self._refits: dict[int, StoredFit | MadeFit] = {}
        self._equal: Mapping[int, Sequence[int]] = {}
        self._models: dict[tuple[int, int], StoredFit] = {}
        self._asks_only = False
        self._trimmer = _Trimmer()
        self._progress = Progress(
            session.path,
            capture=capture,
            keep=settings["keep"],
            refit=refit,
            verbose=verbose,
            n_jobs=n_jobs,
            in_place=in_place,
            # Halving searches choose among the candidates of their last iteration.
            last_only="refit_iterations" in settings,
        )

    # -- evaluation -----------------------------------------------------------

    @property
    def may_recall(self) -> bool:
        """Whether any stored fit could be reused."""
        return (
            self._resume and self._identity is not None and bool(self._session.lookup)
        )

    def splitter(self, cv: Any) -> Any:
        """Record the splits of a splitter that would not repeat them."""
        if not self._identify:
            return cv
        self._cv_digest = digest_splitter(cv)
        if is_unrepeatable(cv):
            self._splitter = cv = RecordedSplitter(cv)
        return cv

    def split(self, train: Any, test: Any) -> tuple[Any, Any]:
        """Return the indices to use instead of those that were drawn."""
        if self._splitter is None:
            return train, test
        return self._splitter.in_place_of(train, test)

    def drawing(
        self, search: Any, X: Any, y: Any, params: Mapping[str, Any]
    ) -> AbstractContextManager[None]:
        """Make an unseeded search repeat the draws of its unfinished run."""
        if not self._identify:
            return nullcontext()
        seeded = getattr(search, "random_state", 0) is not None
        headers = [] if seeded or not self._resume else self._session.lookup.headers
        return drawing(search, X, y, params, headers, self._settings)

    def begin(self, call: FitCall) -> None:
        """Begin the run at the first fit; later calls change nothing."""
        if self._call is not None:
            return
        self._call = call
        scoring = scoring_of(call.scorer)
        self._asks_only = asks_only(call.scorer)
        versions = environment(
            call.estimator, call.fit_params, call.score_params, scoring
        )
        if self._identify:
            self._identity = identify_search(
                call.estimator,
                call.X,
                call.y,
                fit_params=call.fit_params,
                score_params=call.score_params,
                scorer=scoring,
                settings={
                    "return_train_score": call.return_train_score,
                    "error_score": call.error_score,
                },
            )
        splitter = self._splitter
        splitting = {"cv": self._cv_digest}
        if splitter is not None:
            splitting["split_params"] = splitter.params_digest
        if self._identity is None and self.captures_splits:
            # So that models of splits are asked about the same data alone.
            splitting |= identify_data(call.X, call.y, known={})
        self._header = _new_header(
            call, versions, self._identity, splitting, self._settings
        )
        if splitter is not None and self._resume:
            earlier = unfinished_splits(self._session, self._header)
            if earlier is not None:
                splitter.replace(earlier)
        self._header = self._session.begin(self._header)

    def set_splits(
        self, first: int, count: int, n_rows: int, pairs: Sequence[tuple[Any, Any]]
    ) -> None:
        """Store the splits that the next candidates are evaluated on."""
        self._progress.begin(self.call.n_splits)
        try:
            rows = [_row_numbers(pair, n_rows) for pair in pairs]
        except (IndexError, TypeError, ValueError):
            # scikit-learn says what is wrong with them, if it cannot use them either.
            return
        self._session.set_splits(Splits(first, count, n_rows, rows))

    def plan(self, candidates: Sequence[Mapping[str, Any]]) -> None:
        """Note the params of the candidates that are evaluated next."""
        start = len(self._params)
        self._params += map(encode_params, candidates)
        self._session.set_params(start, self._params[start:])
        if self.may_recall:
            found = map(self._stored_refit, candidates)
            self._n_stored_refits = sum(stored is not None for stored in found)

    def recall(self, fit: PlannedFit) -> dict[str, Any] | None:
        """Return the result of the same fit from the store, if it is there."""
        key = self._split_key(fit)
        stored = self._find(key, fit.params, need_weights=self.captures_splits)
        if stored is None:
            if self.snapshots is not None and key is not None:
                found = self._session.lookup.find(
                    key, need_weights=self.captures_splits
                )
                self._n_without_snapshots += found is not None
            return None
        self._fitted.add(fit.candidate)
        self._reuse(fit.candidate, fit.split, key, stored)
        self._progress.add_scores(fit.candidate, stored.result)
        return dict(stored.result)

    def find_model(self, fit: PlannedFit) -> StoredFit | None:
        """Return the stored model of the same fit, if this scorer may score it."""
        if self._identity is None:
            return None
        key = self._identity.model_key(fit.params, (fit.train, fit.test))
        stored = self._find(key, fit.params, need_weights=True)
        if stored is None or not (self._asks_only or is_whole(stored)):
            return None
        self._models[fit.candidate, fit.split] = stored
        return stored

    def record_split(self, fit: PlannedFit, outcome: Outcome) -> MadeFit | None:
        """Make a finished fit durable; return it if equal ones may refer to it."""
        key = self._split_key(fit)
        self._progress.add_scores(fit.candidate, outcome.result)
        stored = self._models.pop((fit.candidate, fit.split), None)
        scores = outcome.result.get("test_scores")
        is_scored = _all_computed(scores, self.call.error_score)
        if not is_scored:
            # A score that could not be computed is tried again next time.
            key = None
        if outcome.result["fit_error"] is None:
            self._fitted.add(fit.candidate)
        made = None
        if outcome.rescored and stored is not None:
            self._reuse(fit.candidate, fit.split, key, stored, outcome)
        else:
            self._n_not_rescored += stored is not None
            outcome = self._storable(outcome)
            model_key = None
            if outcome.exact and outcome.state is not None and self._identity:
                model_key = self._identity.model_key(fit.params, (fit.train, fit.test))
            made = self._append(fit.candidate, fit.split, key, outcome, model_key)
        if (
            key is not None
            and outcome.result["fit_error"] is None
            and not (
                self.captures_splits
                and outcome.weights is None
                and not outcome.rescored
            )
            and self._splits_come_again(fit)
        ):
            self._n_reusable += self._resume
        return made if outcome.repeats and is_scored else None

    def record_equal(self, fit: PlannedFit, made: MadeFit) -> None:
        """Note a fit that need not be made, since an equal one was."""
        self._fitted.add(fit.candidate)
        key = self._split_key(fit)
        self._reuse(fit.candidate, fit.split, key, made)
        self._progress.add_scores(fit.candidate, made.result)
        may_serve = made.has_weights or not self.captures_splits
        if key is not None and may_serve and self._splits_come_again(fit):
            self._n_reusable += self._resume

    def expect(
        self,
        n_candidates: int,
        n_reused: int,
        n_rescored: int,
        n_equal: int,
        n_to_do: int | None,
    ) -> None:
        """Tell the progress what to expect, and print what is reused, or why nothing.

        Parameters
        ----------
        n_candidates, n_reused, n_rescored : int
        n_equal : int
            Fits that wait for an equal one.
        n_to_do : int or None
            Fits; None: all, since there is nothing to reuse.
        """
        progress = self._progress
        n_splits = self.call.n_splits
        if n_to_do is not None:
            n_fits = n_reused + n_rescored + n_equal + n_to_do
            said = f"{n_reused} of {n_fits} fits reused from {self._session.path}"
            if n_rescored:
                said += f", {n_rescored} of {n_fits} fits rescored"
            progress.say(f"{said}, {n_to_do} to do")
            if progress.speaks and n_reused + n_rescored == 0:
                reasons = what_differs(
                    self._session.lookup.newest_headers, self._header
                )
                if reasons:
                    progress.say(reasons)
            if self._n_without_snapshots:
                progress.say(
                    f"{self._n_without_snapshots} stored fits lack some of the "
                    "snapshots that are wanted, and are made again"
                )
        n_spared = n_reused + n_equal
        progress.expect_fits(n_candidates, n_splits, n_spared, self._n_stored_refits)

    def announce_not_rescored(self) -> None:
        """Print how many stored models were fitted again instead of scored."""
        if self._n_not_rescored:
            self._progress.say(
                f"{self._n_not_rescored} of the fits to rescore were made again: their "
                "models cannot be rebuilt with this estimator, or draw random numbers"
            )

    def announce_spared(self, n_spared: int) -> None:
        """Print how many fits of steps were not made, since candidates shared them."""
        if n_spared:
            fits = "1 fit" if n_spared == 1 else f"{n_spared} fits"
            self._progress.say(
                f"{fits} of pipeline steps spared: other candidates begin with equal "
                "ones"
            )

    def announce_equal(self, n_equal: int) -> None:
        """Print how many fits were not made, since those of other candidates equal."""
        if n_equal:
            fits = "1 fit" if n_equal == 1 else f"{n_equal} fits"
            self._progress.say(f"{fits} spared: their candidates equal other ones")

    @property
    def call(self) -> FitCall:
        """What all fits have in common; set by the first one."""
        assert self._call is not None
        return self._call

    def snapshotting(
        self, candidate: int, split: int
    ) -> Callable[[], Snapshotter] | None:
        """Return what makes the snapshotter of a fit; None where none are wanted."""
        if self.snapshots is None:
            return None
        return partial(Snapshotter, self.snapshots, self._header.uid, candidate, split)

    def use_data(self, X: Any, y: Any, fit_params: Mapping[str, Any]) -> None:
        """Use copies of the data from now on, where a fit has changed the caller's."""
        self._call = replace(self.call, X=X, y=y, fit_params=fit_params)

    @property
    def n_reusable(self) -> int:
        """Number of new fits that the same call would reuse."""
        return min(self._n_reusable, self._session.n_safe)

    # -- refits ---------------------------------------------------------------

    def record_best(self, search: Any) -> None:
        """Store the best estimator, which scikit-learn has refit."""
        index = int(search.best_index_)
        params = search.cv_results_["params"][index]
        key = self._refit_key(params)
        if self._best is not None:
            self._reuse(index, REFIT, key, self._best)
            self._refits[index] = self._best
            return
        outcome = capture_best(search, self.call)
        if self.best_snapshotter is not None:
            outcome = self.best_snapshotter.finish(outcome)
        outcome = self._storable(outcome)
        stored = self._stored_refit(params)
        if stored is not None and holds_all_of(stored, outcome):
            self._reuse(index, REFIT, key, stored)
            self._refits[index] = stored
            if self.best_snapshotter is not None:
                self.best_snapshotter.abandon()
        else:
            self._refits[index] = self._append(index, REFIT, key, outcome)
            if key is not None and outcome.weights is not None:
                self._n_reusable += self._resume

    def recall_best(self, params: Mapping[str, Any]) -> Any:
        """Return the best estimator from the store, if nothing of it is lost."""
        stored = self._stored_refit(params)
        estimator = None
        if stored is not None:
            estimator = rebuild_best(self.call, params, stored)
        self._best = None if estimator is None else stored
        return estimator

    @property
    def stored_refit_time(self) -> float | None:
        """Seconds that the best estimator's refit took; None if it was made now."""
        if self._best is None:
            return None
        return float(self._best.result.get("fit_time") or 0.0)

    def refits_to_do(
        self, search: Any, keep: int | str
    ) -> list[tuple[int, Mapping[str, Any]]]:
        """Return the other candidates still to be refit, best-ranked first.

        Several workers get the longest first, so that none waits long at the end.
        """
        to_do = []
        reused = 0
        self._equal = _ranked(search, keep, self._fitted, self._refit_key)
        for index in self._equal:
            params = search.cv_results_["params"][index]
            stored: StoredFit | MadeFit | None = self._refits.get(index)
            if stored is None:
                stored = self._stored_refit(params)
                if stored is None:
                    to_do.append((index, params))
                    continue
                self._reuse(index, REFIT, self._refit_key(params), stored)
                reused += 1
            self._repeat_refit(index, params, stored)
        if joblib.effective_n_jobs(search.n_jobs) > 1:
            seconds = search.cv_results_["mean_fit_time"]
            to_do.sort(key=lambda one: -seconds[one[0]])
        self._progress.expect_refits(len(to_do))
        if reused:
            self._progress.say(
                f"{reused} of {reused + len(to_do)} refits of other candidates "
                f"reused, {len(to_do)} to do"
            )
        return to_do

    def record_refit(
        self, candidate: int, params: Mapping[str, Any], outcome: Outcome
    ) -> None:
        """Make a refit durable, or note that it failed."""
        error = outcome.result["fit_error"]
        if error is not None:
            self._failed_refits.append((candidate, error.strip().splitlines()[-1]))
        key = self._refit_key(params)
        made = self._append(candidate, REFIT, key, outcome)
        if key is not None and error is None and outcome.weights is not None:
            self._n_reusable += self._resume
        if error is None:
            self._repeat_refit(candidate, params, made)

    def _repeat_refit(
        self, candidate: int, params: Mapping[str, Any], stored: StoredFit | MadeFit
    ) -> None:
        """Refer to a refit for the candidates with equal params."""
        for other in self._equal[candidate]:
            self._reuse(other, REFIT, self._refit_key(params), stored)

    def warn_of_failed_refits(self) -> None:
        """Warn once of all refits that failed, with the reasons."""
        if not self._failed_refits:
            return
        candidates: dict[str, list[int]] = {}
        for candidate, reason in sorted(self._failed_refits):
            candidates.setdefault(reason, []).append(candidate)
        self._warn(
            RefitFailedWarning(
                f"{len(self._failed_refits)} refits failed, so these candidates have "
                "no weights in the store:\n"
                + "\n".join(
                    f"candidate{'s' if len(of_it) > 1 else ''} "
                    f"{', '.join(map(str, of_it))}: {reason}"
                    for reason, of_it in candidates.items()
                )
            )
        )

    def warn_of_short_fits(self) -> None:
        """Warn once of all fits that ended before epochs that are named."""
        if not self._too_short or self.snapshots is None:
            return
        (candidate, split), n_epochs = min(self._too_short.items())
        where = "the refit" if split == REFIT else f"split {split}"
        last = max(self.snapshots.beyond(n_epochs))
        self._warn(
            SnapshotWarning(
                f"{len(self._too_short)} fits ended before the last epoch in "
                f"snapshots={list(self.snapshots.wanted)}: {where} of candidate "
                f"{candidate} after epoch {n_epochs}, so it has no epoch {last}. The "
                "snapshots up to there are kept."
            )
        )

    # -- the end --------------------------------------------------------------

    def commit(self, search: Any) -> str:
        """End the run and put it into the store.

        Returns
        -------
        uid : str
            Of the run that holds the results: this one, or an earlier one that
            had all of it already.
        """
        self._progress.end()
        index = getattr(search, "best_index_", None)
        results = RunResults(
            cv_results=_numeric_columns(search.cv_results_),
            best_index=None if index is None else int(index),
        )
        if not self._n_new:
            same = same_run(
                self._session,
                self._header,
                self._params,
                self._kept_keys,
                results.best_index,
                self.snapshots,
            )
            if same is not None:
                self._session.discard()
                return same
        self._session.commit(
            results, supersede=superseded(self._session, self._header, self._kept_keys)
        )
        return self._header.uid

    def close(self) -> None:
        """Leave what was recorded in the log."""
        self._progress.close()
        self._session.close()

    # -- inside ---------------------------------------------------------------

    def _split_key(self, fit: PlannedFit) -> str | None:
        if self._identity is None:
            return None
        return self._identity.fit_key(fit.params, (fit.train, fit.test))

    def _refit_key(self, params: Mapping[str, Any]) -> str | None:
        if self._identity is None:
            return None
        return self._identity.fit_key(params, None)

    def _splits_come_again(self, fit: PlannedFit) -> bool:
        """Whether a resumed search would get the same split."""
        if self._splitter is None:
            return True
        known = self._cv_digest and self._splitter.params_digest
        return bool(known) and self._splitter.has_kept(fit.train)

    def _stored_refit(self, params: Mapping[str, Any]) -> StoredFit | None:
        """Return the refit that the store has of a candidate; looked up once."""
        key = self._refit_key(params)
        if key is None:
            return None
        if key not in self._stored_refits:
            found = self._find(key, params, need_weights=True)
            self._stored_refits[key] = found
        return self._stored_refits[key]

    def _find(
        self, key: str | None, params: Mapping[str, Any], *, need_weights: bool
    ) -> StoredFit | None:
        if key is None or not self._resume:
            return None
        plan, accept = self.snapshots, None
        if plan is not None and need_weights:
            if not all_in_model(self.call.estimator, params):
                accept = plan.accepts
        return self._session.lookup.find(key, need_weights=need_weights, accept=accept)

    def _reuse(
        self,
        candidate: int,
        split: int,
        key: str | None,
        stored: StoredFit | MadeFit,
        outcome: Outcome | None = None,
    ) -> None:
        """Refer to a stored fit; with an outcome, to its model alone."""
        if isinstance(stored, MadeFit):
            has_weights = stored.has_weights
            self._session.repeat(candidate, split, key, stored.number, has_weights)
        else:
            result = None if outcome is None else outcome.result
            self._session.reuse(candidate, split, key, stored, result=result)
            self._note_short(candidate, split, lambda: stored.snapshots)
        if key is not None:
            self._kept_keys[key] = stored.has_weights
        if outcome is not None:
            self._n_new += 1
            self._progress.count("fits", outcome)

    def _append(
        self,
        candidate: int,
        split: int,
        key: str | None,
        outcome: Outcome,
        model_key: str | None = None,
    ) -> MadeFit:
        outcome = self._storable(outcome)
        for note in outcome.notes:
            self._warn(note)
        failed = outcome.result["fit_error"] is not None
        number = self._session.append(
            FitRecord(
                candidate=candidate,
                split=split,
                status=FAILED if failed else OK,
                key=key,
                result=outcome.result,
                weights=outcome.weights,
                state=outcome.state,
                model_key=model_key,
                snapshots=outcome.snapshots,
            )
        )
        self._note_short(candidate, split, lambda: outcome.snapshots)
        self._n_new += 1
        self._trimmer.count(outcome.nbytes)
        self._progress.count("refits" if split == REFIT else "fits", outcome)
        if key is not None and not failed:
            self._kept_keys[key] = outcome.weights is not None
        return MadeFit(outcome.result, number, outcome.weights is not None)

    def _note_short(
        self,
        candidate: int,
        split: int,
        ask: Callable[[], Snapshots | FitSnapshots | None],
    ) -> None:
        """Note a fit that ended before an epoch that is named."""
        if self.snapshots is not None and self.snapshots.named:
            found = ask()
            if found is not None and self.snapshots.beyond(found.n_epochs):
                self._too_short[candidate, split] = found.n_epochs

    @staticmethod
    def _storable(outcome: Outcome) -> Outcome:
        """Drop what a store cannot hold."""
        weights, notes = _storable(outcome.weights, outcome.notes)
        if weights is outcome.weights:
            return outcome
        # A state without all its weights makes no model.
        return outcome._replace(
            weights=weights,
            notes=tuple(notes),
            state=None,
            exact=False,
            snapshots=None,
        )

    def _warn(self, note: Warning) -> None:
        """Issue a warning once, however many candidates cause it."""
        mark = (type(note), str(note))
        if mark not in self._warned:
            self._warned.add(mark)
            warnings.warn(note, stacklevel=2)


def _row_numbers(pair: tuple[Any, Any], n_rows: int) -> tuple[Array, Array]:
    """Return (train, test) as row numbers: from indices, masks or slices."""
    train, test = (
        np.arange(n_rows)[rows if isinstance(rows, slice) else np.asarray(rows)]
        for rows in pair
    )
    return train, test


def _new_header(
    call: FitCall,
    versions: Mapping[str, str],
    identity: SearchIdentity | None,
    splitting: Mapping[str, str],
    settings: Mapping[str, Any],
) -> RunHeader:
    """Return the header of a run that is about to start.

    Parameters
    ----------
    call : FitCall
    versions : dict of str -> str
        Of the libraries that fit.
    identity : SearchIdentity or None
    splitting : dict of str -> str
        Digests of what decides the splits, ``cv`` among them.
    settings : dict
        The search's own params, JSON-able.
    """
    now = datetime.datetime.now(datetime.UTC)
    parts = dict(identity.parts) if identity is not None else {}
    return RunHeader(
        uid=uuid.uuid4().hex,
        # Sorts in order of time, and holds nothing that a file's path would mind.
        name=now.strftime("%Y-%m-%dT%H-%M-%S.%fZ"),
        status="running",
        started=now.isoformat(),
        environment=versions,
        estimator=_describe(call.estimator),
        settings={**settings, "n_splits": call.n_splits},
        fingerprint=identity.fingerprint if identity is not None else None,
        identity={**parts, **splitting},
    )


def _describe(estimator: Any) -> dict[str, Any]:
    """Return class, params, final step and own score of an estimator as text."""
    cls = type(estimator)
    params = estimator.get_params(deep=False) if hasattr(cls, "get_params") else {}
    final, steps = estimator, []
    while isinstance(final, Pipeline):
        name, final = final.steps[-1]
        steps.append(name)
    return {
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "params": {name: _short(repr(value)) for name, value in params.items()},
        "final": type(final).__name__,
        "steps": steps,
        "score": _score_name(type(final)),
    }


def _score_name(cls: type) -> str:
    """Return the name of what a class's own ``score`` computes."""
    score = getattr(cls, "score", None)
    if score is ClassifierMixin.score:
        return "accuracy"
    return "r2" if score is RegressorMixin.score else f"{cls.__name__}.score"


def _short(text: str, limit: int = 500) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _ranked(
    search: Any,
    keep: int | str,
    fitted: Collection[int],
    refit_key: Callable[[Mapping[str, Any]], str | None],
) -> dict[int, list[int]]:
    """Return the candidates to refit, the best one first.

    Of candidates with equal params, such as those of several iterations, one is
    refit; it comes with the others of its iteration.

    Parameters
    ----------
    search : search
        With its ``cv_results_``.
    keep : int or "all"
    fitted : collection of int
        Candidates of which at least one split could be fitted; others are not refit.
    refit_key : callable
        Key of the refit with some params; None where it has no identity.
    """
    results = search.cv_results_
    metric = search.refit if search.multimetric_ else "score"
    ranks = results.get(f"rank_test_{metric}") if isinstance(metric, str) else None
    if ranks is None:
        # A callable refit over several metrics has no ranking of its own.
        ranks = next(
            (column for name, column in results.items() if name[:10] == "rank_test_"),
            np.zeros(len(results["params"])),
        )
    order = search._refit_order(np.argsort(ranks, kind="stable"))
    once: dict[Any, list[int]] = {}
    for index in dict.fromkeys(map(int, (search.best_index_, *order))):
        params = results["params"][index]
        content = refit_key(params) or _content(params)
        once.setdefault(content, []).append(index)
    best, *others = once.values()
    others = [equal for equal in others if equal[0] in fitted]
    if not isinstance(keep, str):
        others = others[: keep - 1]
    rounds = results.get("iter", np.zeros(len(results["params"])))
    return {
        first: [index for index in equal if rounds[index] == rounds[first]]
        for first, *equal in (best, *others)
    }


def _content(params: Mapping[str, Any]) -> Any:
    """Return a value that is equal for params that make equal fits."""
    try:
        return digest(sorted(params.items()), boxes=(np.generic,))
    except Unidentifiable:
        return frozenset((name, id(value)) for name, value in params.items())


def _storable(
    weights: Weights | None, notes: Sequence[Warning]
) -> tuple[Weights | None, list[Warning]]:
    """Drop arrays whose types a store cannot hold, with a warning for each."""
    if weights is None:
        return None, list(notes)
    refused: dict[str, Warning] = {}
    for name, array in weights.items():
        try:
            check_storable(array.dtype, array.ndim, name)
        except TypeError as error:
            refused[name] = UnstorableWeightsWarning(f"{error} It is left out.")
    if not refused:
        return weights, list(notes)
    kept = {name: array for name, array in weights.items() if name not in refused}
    ties = {alias: name for alias, name in weights.ties.items() if name in kept}
    rest = Weights(kept, ties=ties, encodings=weights.encodings)
    return rest, [*notes, *refused.values()]


def _all_computed(scores: Any, error_score: Any) -> bool:
    """Whether every score of a fit was computed, judging by the values.

    Parameters
    ----------
    scores : float or dict of str -> float
        Infinite ones count: so does the log-likelihood of what is impossible.
    error_score : float or "raise"
        What stands for a score that could not be computed.
    """
    if isinstance(scores, float):  # Most are, and np.any takes long for one number.
        return scores == scores and scores != error_score
    values = scores.values() if isinstance(scores, Mapping) else [scores]
    return not any(
        isinstance(value, str) or np.any(np.isnan(value)) or value == error_score
        for value in values
    )


def _numeric_columns(cv_results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of ``cv_results_`` without the params."""
    columns: Iterable[tuple[str, Any]] = (
        (name, np.asarray(column))
        for name, column in cv_results.items()
        if name != "params" and not name.startswith("param_")
    )
    return {name: column for name, column in columns if column.dtype.kind in "biufc"}


_TRIM_BYTES = 32 << 20


class _Trimmer:
    """Count freed bytes, and return memory to the system after every 32 MB.

    glibc puts blocks of up to 32 MB between small ones once some were freed; there they
    cannot be returned, and a search whose models are large grows with every one.
    """

    def __init__(self) -> None:
        self._since = 0

    def count(self, nbytes: int) -> None:
        """Count bytes of weights that are no longer needed."""
        self._since += nbytes
        if self._since >= _TRIM_BYTES:
            self._since = 0
            trim = _malloc_trim()
            if trim is not None:
                trim(0)


@lru_cache(maxsize=1)
def _malloc_trim() -> Callable[[int], Any] | None:
    """Return glibc's ``malloc_trim``; None with another C library."""
    try:
        trim: Callable[[int], Any] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    return trim

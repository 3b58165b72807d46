"""The split models of a run beside the data on which its splits were made."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import get_tags, indexable
from sklearn.utils.parallel import Parallel, delayed

from weightsearch._copies import copied
from weightsearch._identity import differences, identify_data
from weightsearch._records import Array, Splits
from weightsearch.exceptions import (
    EvaluationError,
    IdentityWarning,
    WeightsNotFoundError,
)
from weightsearch.frameworks.keras import ensure_tags

__all__ = ["Candidate", "SplitModels", "n_rows", "rows_of", "take", "tested_rows"]

Answer = TypeVar("Answer")
Candidate = int | Mapping[str, Any]

_SHOWN = 5


class SplitModels:
    """Models of a run's splits, and the data of which each split tests a part.

    Everything is checked when it is made: that the data are those of the run, that the
    candidates are there, and that each has a model of every split.

    Parameters
    ----------
    run : Run
    X, y : array-like
        The data that the search was fitted on. With `y` None only `X` is checked.
    candidates : iterable of int or dict, default=None
        None: all.
    needs_y : bool, default=False
        Whether y may only be None where the search was fitted without one.
    **brought : object
        `estimator`, `params` and `trusted`: what the store does not hold, as of
        :meth:`weightsearch.Run.predictions`.

    Attributes
    ----------
    X, y : indexable
    candidates : list of int
    n_samples : int
    n_splits : int

    Raises
    ------
    EvaluationError
        If the data are not the run's, or its splits are not known.
    WeightsNotFoundError
        If there is no such candidate, or no model of one of its splits was kept.

    Warns
    -----
    FitFailedWarning
        If fits of these candidates failed, so that they have no model.
    IdentityWarning
        If it cannot be told whether the data are the run's.
    """

    def __init__(
        self,
        run: Any,
        X: Any,
        y: Any = None,
        candidates: Iterable[Candidate] | None = None,
        *,
        needs_y: bool = False,
        **brought: Any,
    ):
        self._run = run
        self._brought = brought
        self.candidates = _numbers(run, candidates)
        self.n_splits = int(run.settings["n_splits"])
        failed = self._check_kept()
        self.X, self.y = indexable(X, y)
        _check_data(run, self.X, self.y, needs_y=needs_y)
        self.n_samples = n_rows(self.X)
        self._groups = _splits(run, self.candidates, self.n_samples)
        self._check_sizes()
        if failed:
            self._tell_of_failed(failed)

    def splits(self, candidate: int) -> Sequence[tuple[Array, Array]]:
        """Return the (train, test) row numbers of a candidate's splits."""
        return next(group.pairs for group in self._groups if group.hold_for(candidate))

    @property
    def tests_rows_once(self) -> bool:
        """Whether no row is in the test sets of two splits of a candidate."""
        return all(
            tested_rows(group.pairs, self.n_samples).max(initial=0) <= 1
            for group in self._groups
        )

    def has_model(self, candidate: int, split: int) -> bool:
        """Whether the fit of a candidate on a split succeeded."""
        row = self._run._row(candidate, split)
        return row is not None and not self._run._table.failed[row]

    def has_refit(self, candidate: int) -> bool:
        """Whether the model of a candidate's refit was kept."""
        row = self._run._row(candidate, None)
        return row is not None and bool(self._run._table.has_weights[row])

    def why_no_refit(self, candidate: int) -> str:
        """Say why it was not."""
        reason: str = self._run._why_missing(candidate, None)
        return reason

    def ask(
        self,
        question: Callable[..., Answer],
        *args: Any,
        n_jobs: int | None = None,
        verbose: int = 0,
        candidates: Sequence[int] | None = None,
    ) -> Iterator[tuple[int, int, Answer | None]]:
        """Ask every model about its split; a few models are in memory at a time.

        Parameters
        ----------
        question : callable
            Called in a worker with the model, X, y, the split's train and test
            indices, and `args`.
        *args : object
        n_jobs : int, default=None
            Workers.
        verbose : int, default=0
            Progress, as :class:`joblib.Parallel` shows it.
        candidates : sequence of int, default=None
            Some of :attr:`candidates`; None: all of them.

        Yields
        ------
        candidate, split, answer
            In order of candidates, then splits; the answer is None where the fit
            failed.
        """
        if candidates is None:
            candidates = self.candidates
        numbers = range(self.n_splits)
        there = [
            (candidate, split)
            for candidate in candidates
            for split in numbers
            if self.has_model(candidate, split)
        ]
        parallel = Parallel(
            n_jobs=n_jobs,
            verbose=verbose,
            pre_dispatch="2*n_jobs",
            return_as="generator",
        )
        tasks = (
            delayed(_answer)(
                question, model, self.X, self.y, self.splits(candidate)[split], args
            )
            for (candidate, split), model in zip(there, self.models(there), strict=True)
        )
        answers = parallel(tasks)
        for candidate in candidates:
            for split in numbers:
                has_model = self.has_model(candidate, split)
                yield candidate, split, next(answers) if has_model else None

    def _check_kept(self) -> list[tuple[int, int]]:
        """Find a model for every split of every candidate; return the failed fits."""
        run, failed = self._run, []
        for candidate in dict.fromkeys(self.candidates):
            for split in range(self.n_splits):
                row = run._row(candidate, split)
                if row is not None and run._table.failed[row]:
                    failed.append((candidate, split))
                elif row is None or not run._table.has_weights[row]:
                    raise WeightsNotFoundError(
                        f"{run._why_missing(candidate, split)} Models of splits are "
                        "kept by capture='splits' and capture='both'."
                    )
        return failed

    def _check_sizes(self) -> None:
        """Compare the splits with what each fit tells of its own."""
        source = self._run._source
        for candidate in dict.fromkeys(self.candidates):
            for split, (_, test) in enumerate(self.splits(candidate)):
                row = self._run._row(candidate, split)
                tested = source.result(row).get("n_test_samples", len(test))
                if tested != len(test):
                    raise EvaluationError(
                        f"Candidate {candidate} was tested on {tested} rows in split "
                        f"{split}, which has {len(test)}: which rows is not known."
                    )

    def _tell_of_failed(self, failed: Sequence[tuple[int, int]]) -> None:
        run = self._run
        if len(failed) == len(set(self.candidates)) * self.n_splits:
            row = run._row(*failed[0])
            assert row is not None
            raise EvaluationError(
                "All fits of these candidates failed, the first one with "
                f"{run._fit_error(row)!r}."
            )
        shown = ", ".join(f"{c} (split {s})" for c, s in failed[:_SHOWN])
        more = f" and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        fits = "1 fit" if len(failed) == 1 else f"{len(failed)} fits"
        warnings.warn(
            f"{fits} failed and cannot be asked: candidate {shown}{more}.",
            FitFailedWarning,
            stacklevel=5,
        )

    def models(self, pairs: Iterable[tuple[int, int | None]]) -> Iterator[Any]:
        """Return the fitted estimators of (candidate, split), one after the other."""
        found: Iterator[Any] = self._run._iter_models(pairs, **self._brought)
        return found


def _answer(
    question: Callable[..., Answer],
    model: Any,
    X: Any,
    y: Any,
    split: tuple[Array, Array],
    args: tuple[Any, ...],
) -> Answer:
    ensure_tags()
    return question(model, X, y, *split, *args)


def rows_of(model: Any, X: Any, test: Array, train: Array) -> Any:
    """Rows of X as a model of a split is asked about them.

    Parameters
    ----------
    model : estimator
        One that takes a kernel matrix gets the columns of its training rows.
    X : indexable
    test, train : ndarray of int
    """
    if get_tags(model).input_tags.pairwise:
        return X[np.ix_(test, train)]
    return take(X, test)


def take(data: Any, rows: Array) -> Any:
    """Copy rows of an array, sparse matrix, table or list."""
    if hasattr(data, "iloc") or type(data).__module__.startswith("pyarrow"):
        return data.take(rows)
    if hasattr(data, "shape"):
        return data[rows]
    return copied([data[row] for row in rows.tolist()])


def n_rows(data: Any) -> int:
    """Number of rows of an array, sparse matrix, table or list."""
    shape = getattr(data, "shape", None)
    return int(shape[0]) if shape else len(data)


def tested_rows(splits: Sequence[tuple[Array, Array]], n_samples: int) -> Array:
    """Count in how many test sets each row is."""
    tests = [test for _, test in splits]
    return np.bincount(np.concatenate(tests), minlength=n_samples)


def _numbers(run: Any, candidates: Iterable[Candidate] | None) -> list[int]:
    if candidates is None:
        numbers = list(range(len(run)))
    elif isinstance(candidates, int | str | Mapping):
        raise EvaluationError(
            f"candidates must be a list of numbers or params, got {candidates!r}. "
            f"Pass [{candidates!r}] for one candidate."
        )
    else:
        numbers = [run._number(candidate) for candidate in candidates]
    if not numbers:
        raise EvaluationError(f"Run {run.name}: no candidates were given.")
    return numbers


def _check_data(run: Any, X: Any, y: Any, *, needs_y: bool) -> None:
    """Compare the data with the digests of those that the run was fitted on."""
    identity = run._source.header.identity
    if needs_y and y is None and not identity.get("y", "NoneType").endswith("NoneType"):
        raise EvaluationError(
            f"y is missing: pass the target that run {run.name} was fitted on."
        )
    given = identify_data(X, y, known=identity)
    known = {name: identity.get(name, "") for name in given}
    unknown = [name for name in given if not (known[name] and given[name])]
    if unknown:
        warnings.warn(
            f"Cannot tell whether {' and '.join(unknown)} are the data that run "
            f"{run.name} was fitted on, since their content has no digest. Make sure "
            "that they are.",
            IdentityWarning,
            stacklevel=4,
        )
    changed = differences(
        *({n: s[n] for n in given if n not in unknown} for s in (known, given))
    )
    if changed:
        raise EvaluationError(
            f"These are not the data that run {run.name} was fitted on: "
            f"{' and '.join(changed)}. Its split models have a test set in those data "
            "alone: pass the X and y that were passed to fit. For other data, use "
            "run.score_candidates or run.load_estimator."
        )


def _splits(run: Any, candidates: Sequence[int], n_samples: int) -> list[Splits]:
    """Return the splits of candidates; more than one where they had different ones."""
    groups = [
        group for group in run._source.splits() if any(map(group.hold_for, candidates))
    ]
    known = {
        number
        for group in groups
        for number in candidates
        if group.hold_for(number) and group.n_rows == n_samples
    }
    unknown = sorted(set(candidates) - known)
    if unknown or {len(group.pairs) for group in groups} != {run.settings["n_splits"]}:
        raise EvaluationError(
            f"Run {run.name} does not have the splits of candidate "
            f"{(unknown or candidates)[0]}, so the rows that its models were tested on "
            "are not known. Run the search again."
        )
    return groups

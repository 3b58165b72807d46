"""Progress, remaining time and a disk-space check."""

from __future__ import annotations

import shutil
import sys
import time
import warnings
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import joblib

from weightsearch._display import duration_text, size_text
from weightsearch._records import Outcome
from weightsearch.exceptions import DiskSpaceWarning

__all__ = ["Progress"]

_SECONDS = 10.0
"""Seconds between two progress lines at first; a shorter search prints none."""
_ERASE = "\x1b[2K"
"""Erases the line that the cursor is in, on a terminal."""
_REDRAW_SECONDS = 0.2
"""Seconds between two updates of the line on a terminal."""
_LOOKED_AT = 3
"""Number of models from whose sizes the total is estimated."""


class Progress:
    """Count fits, show how far the search is and check the disk space.

    On a terminal one line is updated in place. It begins with an erasure and leaves
    the cursor at its start, so that warnings of estimators overwrite it and it is
    drawn again below them. Elsewhere a line is printed every ten seconds.

    Parameters
    ----------
    path : Path
        The store's file.
    capture : {"refit", "splits", "both"}
    keep : int or "all"
    refit : bool, str or callable
        Of several metrics the best score is shown of the one that it names.
    verbose : int
        From 1 on, lines are printed.
    n_jobs : int, default=None
        Of the search.
    in_place : bool, default=True
        Whether a line may be updated in place.
    last_only : bool, default=False
        Whether the best candidate is one of the last ones that were evaluated
        together, as in halving searches.
    """

    def __init__(
        self,
        path: Path,
        *,
        capture: str,
        keep: int | str,
        refit: Any,
        verbose: int,
        n_jobs: int | None = None,
        in_place: bool = True,
        last_only: bool = False,
    ):
        self._path = path
        self._captures_splits = capture != "refit"
        self._keep = keep
        self._refits = refit is not False and capture != "splits"
        self._refit = refit
        self._verbose = verbose
        self._n_jobs = n_jobs
        # From 2 on, scikit-learn prints lines of its own.
        isatty = getattr(sys.stdout, "isatty", None)
        self._in_place = in_place and verbose == 1 and isatty is not None and isatty()
        self._last_only = last_only
        self._drawn = ""
        self._planned = {"fits": 0, "refits": 0}
        self._done = {"fits": 0, "refits": 0}
        self._weight = {"fits": 1.0, "refits": 1.0}
        self._began = self._said = time.monotonic()
        self._first: tuple[float, float] | None = None
        self._cost = 0.0
        self._n_candidates = self._n_splits = 0
        self._scores: dict[int, list[float]] = {}
        self._best: tuple[float, int] | None = None
        self._sizes: list[int] = []

    def begin(self, n_splits: int) -> None:
        """Begin to evaluate candidates, each on so many splits."""
        self._n_splits = n_splits
        if self._last_only:
            self._best = None

    def expect_fits(
        self, n_candidates: int, n_splits: int, n_reused: int, n_stored_refits: int = 0
    ) -> None:
        """Add candidates that are about to be evaluated, and say what there is to do.

        Parameters
        ----------
        n_candidates, n_splits : int
        n_reused : int
            Fits among them that the store has.
        n_stored_refits : int, default=0
            Of these candidates that the store has, at least.
        """
        self._n_candidates += n_candidates
        self._planned["fits"] += n_candidates * n_splits - n_reused
        if n_splits > 1:
            # A refit sees all the data, a fit all but one part of it.
            self._weight["refits"] = n_splits / (n_splits - 1)
        if self._refits:
            kept = n_candidates
            if isinstance(self._keep, str):
                kept -= n_stored_refits
            else:
                kept = min(self._keep, n_candidates)
            # As long as nothing better is known.
            self._planned["refits"] = kept
        elif self._refit is not False:
            self._planned["refits"] = 1
        left = [planned - self._done[kind] for kind, planned in self._planned.items()]
        if any(left):
            self.say(f"To do: {_counts(*left)}")
        self._show()

    def expect_refits(self, n_refits: int) -> None:
        """Set the number of refits that follow."""
        self._planned["refits"] = self._done["refits"] + n_refits

    def add_scores(self, candidate: int, result: Mapping[str, Any]) -> None:
        """Add the test scores of one of a candidate's splits."""
        score = result.get("test_scores")
        if isinstance(score, Mapping):
            score = score.get(self._refit) if isinstance(self._refit, str) else None
        if self._verbose < 1 or not isinstance(score, Real):
            return
        scores = self._scores.setdefault(candidate, [])
        scores.append(float(score))
        if len(scores) == self._n_splits:
            mean = sum(self._scores.pop(candidate)) / self._n_splits
            # The first of equally good ones, as in cv_results_; never NaN.
            if mean == mean:
                found = (mean, -candidate)
                self._best = found if self._best is None else max(self._best, found)

    def count(self, kind: str, outcome: Outcome) -> None:
        """Count one finished fit of a kind, ``"fits"`` or ``"refits"``."""
        now = time.monotonic()
        self._done[kind] += 1
        seconds = [outcome.result.get("score_time")]
        if not outcome.rescored:
            seconds.append(outcome.result.get("fit_time"))
        self._cost += sum(filter(None, seconds))
        if self._first is None:
            self._first = now, self._weight[kind]
        if outcome.weights is not None and len(self._sizes) < _LOOKED_AT:
            self._sizes.append(_nbytes(outcome))
            if len(self._sizes) == _LOOKED_AT or self._n_to_store() == 0:
                self._look_at_disk()
        self._show(now)

    @property
    def speaks(self) -> bool:
        """Whether anything that is said is printed."""
        return self._verbose >= 1

    def say(self, text: str) -> None:
        """Print a line, if any are wanted."""
        if self._verbose >= 1:
            print(f"{_ERASE if self._drawn else ''}{text}", flush=True)
            self._drawn = ""

    def end(self) -> None:
        """Print what was done and which candidate is the best so far."""
        best = "" if self._best is None else f", {self._best_text()}"
        self.say(
            f"Done: {_counts(*self._done.values())} in "
            f"{duration_text(time.monotonic() - self._began)}, "
            f"{self._n_candidates} candidates{best}"
        )

    def close(self) -> None:
        """Leave the line on the terminal, when the search ends by an error."""
        if self._drawn:
            self.say(self._drawn)

    def _show(self, now: float | None = None) -> None:
        if self._verbose < 1:
            return
        now = time.monotonic() if now is None else now
        if self._in_place:
            # At once when there is none.
            if not self._drawn or now - self._said >= _REDRAW_SECONDS:
                self._said = now
                width = shutil.get_terminal_size().columns - 1
                self._drawn = self._line(now)[:width]
                print(f"{_ERASE}{self._drawn}", end="\r", flush=True)
        # Less and less often, so that a night has no thousands of lines.
        elif now - self._said >= _SECONDS * (1 + (now - self._began) / 200):
            self._said = now
            print(self._line(now), flush=True)

    def _line(self, now: float) -> str:
        parts = [
            f"{self._done[kind]}/{max(planned, self._done[kind])} {kind}"
            for kind, planned in self._planned.items()
            if planned
        ]
        if self._best is not None:
            parts.append(self._best_text())
        left = self._seconds_left(now)
        if left is not None:
            parts.append(f"~{duration_text(left)} left")
        return ", ".join(parts)

    def _best_text(self) -> str:
        assert self._best is not None
        score, candidate = self._best
        return f"best {score:.4g} (candidate {-candidate})"

    def _seconds_left(self, now: float) -> float | None:
        """Return the seconds that the search still takes; None where unknown.

        That is the time of fits divided among the workers, or what passed since the
        first fit had finished if that is more. Neither has the start of the workers.
        """
        if self._first is None:
            return None
        begin, first = self._first
        done = sum(n * self._weight[kind] for kind, n in self._done.items())
        planned = sum(n * self._weight[kind] for kind, n in self._planned.items())
        workers: int = joblib.effective_n_jobs(self._n_jobs)
        each = self._cost / done / workers
        if done > first:
            each = max(each, (now - begin) / (done - first))
        return each * max(planned - done, 0.0)

    def _n_to_store(self) -> int:
        left = max(self._planned["refits"] - self._done["refits"], 0)
        if self._captures_splits:
            left += max(self._planned["fits"] - self._done["fits"], 0)
        return left

    def _look_at_disk(self) -> None:
        """Warn if the disk has no room for the weights still to come."""
        each = sum(self._sizes) / len(self._sizes)
        left = self._n_to_store()
        stored = sum(self._done.values()) if self._captures_splits else len(self._sizes)
        try:
            free = shutil.disk_usage(self._path.parent).free
        except OSError:
            # Not every file system reports its free space.
            return
        whole = each * (left + stored)
        # Once in the log, then in the file too, until the log is removed.
        needed = each * left + whole
        if left:
            self.say(f"the weights will take about {size_text(whole)} in {self._path}")
        if needed > free:
            warnings.warn(
                f"The weights of {left} more fits, some {size_text(each)} each, need "
                f"about {size_text(needed)} in {self._path.parent} until they are in "
                f"the store, and {size_text(free)} are free there. What has finished "
                "stays safe when the disk is full, and the same call resumes. To need "
                "less, keep fewer (keep=10), or put the store on another disk.",
                DiskSpaceWarning,
                stacklevel=2,
            )


def _nbytes(outcome: Outcome) -> int:
    weights: Any = outcome.weights
    state = outcome.state
    snapshots = 0 if outcome.snapshots is None else outcome.snapshots.nbytes
    return int(weights.nbytes) + snapshots + (0 if state is None else len(state.text))


def _counts(n_fits: int, n_refits: int) -> str:
    counts = {"fit": n_fits, "refit": n_refits}
    found = [f"{n} {what}{'s' * (n > 1)}" for what, n in counts.items() if n > 0]
    return " and ".join(found) or "no fits"

"""Progress, remaining time and a disk-space check."""

from __future__ import annotations

import shutil
import time
import warnings
from pathlib import Path
from typing import Any

from weightsearch._display import size_text
from weightsearch._records import Outcome
from weightsearch.exceptions import DiskSpaceWarning

__all__ = ["Progress"]

_SECONDS = 10.0
"""Seconds between two progress lines; a shorter search prints none."""
_LOOKED_AT = 3
"""Number of models from whose sizes the total is estimated."""


class Progress:
    """Count fits, print the remaining time and check the disk space.

    Parameters
    ----------
    path : Path
        The store's file.
    capture : {"refit", "splits", "both"}
    keep : int or "all"
    refit : bool
        Whether there are refits at all.
    verbose : int
        From 1 on, lines are printed.
    """

    def __init__(
        self, path: Path, *, capture: str, keep: int | str, refit: bool, verbose: int
    ):
        self._path = path
        self._captures_splits = capture != "refit"
        self._keep = keep
        self._refits = refit and capture != "splits"
        self._best = refit
        self._verbose = verbose
        self._planned = {"fits": 0, "refits": 0}
        self._done = {"fits": 0, "refits": 0}
        self._weight = {"fits": 1.0, "refits": 1.0}
        self._began = self._said = time.monotonic()
        self._sizes: list[int] = []

    def expect_fits(self, n_candidates: int, n_splits: int, n_reused: int) -> None:
        """Add candidates that are about to be evaluated.

        Parameters
        ----------
        n_candidates, n_splits : int
        n_reused : int
            Fits among them that the store has.
        """
        self._planned["fits"] += n_candidates * n_splits - n_reused
        if n_splits > 1:
            # A refit sees all the data, a fit all but one part of it.
            self._weight["refits"] = n_splits / (n_splits - 1)
        if self._refits:
            kept = n_candidates
            if not isinstance(self._keep, str):
                kept = min(self._keep, n_candidates)
            # As long as nothing better is known.
            self._planned["refits"] = kept
        elif self._best:
            self._planned["refits"] = 1

    def expect_refits(self, n_refits: int) -> None:
        """Set the number of refits that follow."""
        self._planned["refits"] = self._done["refits"] + n_refits

    def count(self, kind: str, outcome: Outcome) -> None:
        """Count one finished fit of a kind, ``"fits"`` or ``"refits"``."""
        self._done[kind] += 1
        if outcome.weights is not None and len(self._sizes) < _LOOKED_AT:
            self._sizes.append(_nbytes(outcome))
            if len(self._sizes) == _LOOKED_AT or self._n_to_store() == 0:
                self._look_at_disk()
        now = time.monotonic()
        if self._verbose >= 1 and now - self._said >= _SECONDS:
            self._said = now
            print(self._line(now - self._began), flush=True)

    def _line(self, elapsed: float) -> str:
        work = {
            kind: (self._done[kind] * weight, self._planned[kind] * weight)
            for kind, weight in self._weight.items()
        }
        done = sum(part for part, _ in work.values())
        left = max(sum(whole for _, whole in work.values()) - done, 0.0)
        counts = " and ".join(
            f"{self._done[kind]} of {max(self._planned[kind], self._done[kind])} {kind}"
            for kind in work
            if self._planned[kind]
        )
        return (
            f"{counts} done in {_duration(elapsed)}, "
            f"about {_duration(elapsed / done * left)} left"
        )

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
        if self._verbose >= 1 and left:
            print(f"the weights will take about {size_text(whole)} in {self._path}")
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
    return int(weights.nbytes) + (0 if state is None else len(state.text))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

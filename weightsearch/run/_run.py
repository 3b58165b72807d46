"""One run: all that can be asked of it."""

from __future__ import annotations

from weightsearch.run._joining import JoinedRun

__all__ = ["Run"]


class Run(JoinedRun):
    """What one ``fit`` of a search has stored.

    Not made by hand: see :attr:`WeightStore.runs` and ``search.run_``.
    """

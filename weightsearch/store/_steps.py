"""Names of the steps of the commit protocol.

A process may die between any two; tests replace :func:`reached` to die at each.
"""

from __future__ import annotations

__all__ = [
    "APPEND_WRITTEN",
    "CONSOLIDATION_BEGUN",
    "FILE_RENAMED",
    "FILE_WRITTEN",
    "FIT_WRITTEN",
    "LOG_REMOVED",
    "PAGES_WRITTEN",
    "REDO_REMOVED",
    "REDO_WRITTEN",
    "RUN_FINISHED",
    "STEPS",
    "reached",
]

FIT_WRITTEN = "fit written"
RUN_FINISHED = "run finished"
CONSOLIDATION_BEGUN = "consolidation begun"
LOG_REMOVED = "log removed"

APPEND_WRITTEN = "append written"
REDO_WRITTEN = "redo written"
PAGES_WRITTEN = "pages written"
REDO_REMOVED = "redo removed"

FILE_WRITTEN = "file written"
FILE_RENAMED = "file renamed"

STEPS = (
    FIT_WRITTEN,
    RUN_FINISHED,
    CONSOLIDATION_BEGUN,
    APPEND_WRITTEN,
    REDO_WRITTEN,
    PAGES_WRITTEN,
    REDO_REMOVED,
    FILE_WRITTEN,
    FILE_RENAMED,
    LOG_REMOVED,
)


def reached(step: str) -> None:
    """Do nothing; called after each step."""

"""The steps of the commit protocol, by name.

A process may die between any two of them; tests replace :func:`reached` in a child
process to die at each.
"""

from __future__ import annotations

__all__ = [
    "BYTES_WRITTEN",
    "CONSOLIDATION_BEGUN",
    "FILE_RENAMED",
    "FILE_WRITTEN",
    "JOURNAL_REMOVED",
    "ROW_WRITTEN",
    "RUN_FINISHED",
    "STEPS",
    "reached",
]

BYTES_WRITTEN = "bytes written"
ROW_WRITTEN = "row written"
RUN_FINISHED = "run finished"
CONSOLIDATION_BEGUN = "consolidation begun"
FILE_WRITTEN = "file written"
FILE_RENAMED = "file renamed"
JOURNAL_REMOVED = "journal removed"

STEPS = (
    BYTES_WRITTEN,
    ROW_WRITTEN,
    RUN_FINISHED,
    CONSOLIDATION_BEGUN,
    FILE_WRITTEN,
    FILE_RENAMED,
    JOURNAL_REMOVED,
)


def reached(step: str) -> None:
    """Note that a step has been done."""

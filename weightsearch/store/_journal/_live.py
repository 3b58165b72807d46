"""Opening a journal that its writer may close, remove or begin at the same moment."""

from __future__ import annotations

import time
from pathlib import Path

from weightsearch.exceptions import StoreError, StoreVersionError
from weightsearch.store._journal import _format as fmt
from weightsearch.store._journal._content import JournalContent

__all__ = ["open_content", "refreshed"]

_TRIES = 4
_PAUSE_SECONDS = 0.005


def open_content(folder: Path) -> JournalContent:
    """Open a journal.

    Between opening one of its files and the next, a journal may be closed by its
    writer, or removed and followed by that of another run. What looks like damage is
    looked at again; real damage is still there then.

    Raises
    ------
    FileNotFoundError
        If there is no journal, or none any more.
    StoreError
        If it is damaged, too new, or cannot be read.
    """
    for attempt in range(_TRIES):
        try:
            return JournalContent(folder)
        except StoreVersionError:
            raise
        except (StoreError, FileNotFoundError) as error:
            if not (folder / fmt.DATABASE).exists():
                raise FileNotFoundError(f"There is no journal in {folder}.") from error
            if attempt + 1 == _TRIES:
                raise
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError("the loop above returns or raises")


def refreshed(content: JournalContent) -> JournalContent:
    """See what was committed until now; returns the content to go on with."""
    if not content.database.stale:
        try:
            content.refresh()
            return content
        except StoreError:
            # Looked at again below, with files opened anew.
            pass
    try:
        fresh = open_content(content.folder)
    except FileNotFoundError:
        # The run has gone into the store: what was seen of it can still be read.
        return content
    if fresh.header.uid != content.header.uid:
        fresh.close()
        return content
    content.close()
    return fresh

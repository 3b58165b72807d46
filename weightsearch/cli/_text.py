"""Text of a store or of an error, with control characters escaped."""

from __future__ import annotations

import sys

__all__ = ["clean", "note"]


def clean(text: object) -> str:
    r"""Return a text in which every character that is not printable is escaped.

    Names and values in a stranger's store may contain escape sequences, which move the
    cursor or set a window's title, and characters that reverse the direction of
    writing. They are shown as ``\x1b``, line ends too.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def note(text: object) -> None:
    """Write one line to stderr."""
    print(clean(" ".join(str(text).split())), file=sys.stderr)

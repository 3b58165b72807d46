"""Text of a store or of an error, made harmless for a terminal."""

from __future__ import annotations

import sys

__all__ = ["clean", "note"]


def clean(text: object) -> str:
    r"""Return a text with all that does not print as it is escaped.

    A stranger's store may have escape sequences in its names and values, which would
    move the cursor, or set a window's title, and characters that turn the direction
    of writing. All of them become as ``\x1b``, ends of lines too.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def note(text: object) -> None:
    """Say something beside the output: one line on stderr."""
    print(clean(" ".join(str(text).split())), file=sys.stderr)

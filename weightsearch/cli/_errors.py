"""Turn errors into one-line messages and exit codes."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from weightsearch.cli._text import note

__all__ = ["PROBLEMS", "USER_ERROR", "UserError", "as_user_error", "in_one_line"]

PROBLEMS = 1
USER_ERROR = 2
# As a shell reports a program that SIGPIPE has ended.
_CLOSED_PIPE = 141


class UserError(Exception):
    """An error of the user's; the message says what to do."""


@contextmanager
def in_one_line() -> Iterator[None]:
    """Write errors and warnings to stderr, one line each, and exit with a status."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            yield
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as head, is done. The rest must go somewhere, or Python
        # complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(_CLOSED_PIPE) from None
    except Exception as error:
        # Not imported for this: the help must not wait for scikit-learn.
        ours = sys.modules.get("weightsearch.exceptions")
        known = (UserError, OSError, *([ours.WeightSearchError] if ours else []))
        if not isinstance(error, known):
            raise
        note(f"Error: {error}")
        raise typer.Exit(USER_ERROR) from None


def _show_warning(message: Warning | str, *args: Any, **kwargs: Any) -> None:
    note(f"Warning: {message}")


@contextmanager
def as_user_error(*causes: type[Exception]) -> Iterator[None]:
    """Turn further errors, such as a missing package, into a :class:`UserError`."""
    try:
        yield
    except causes as error:
        raise UserError(str(error)) from error

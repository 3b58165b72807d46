"""What goes wrong, told in one line."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec

import typer

from weightsearch.cli._text import note

__all__ = ["PROBLEMS", "USER_ERROR", "UserError", "guarded", "told_as_user_error"]

PROBLEMS = 1
USER_ERROR = 2
# As a shell sees a program that SIGPIPE has ended.
_CLOSED_PIPE = 141

P = ParamSpec("P")


class UserError(Exception):
    """What was asked for cannot be; the message says why."""


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Let a command end with a line on stderr and an exit status, not a traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                command(*args, **kwargs)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader, as head, has had enough. What is left must go somewhere, or
            # Python complains when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(_CLOSED_PIPE) from None
        except (UserError, OSError) as error:
            raise _told(error) from None
        except Exception as error:
            # Imported here alone: the help must not wait for scikit-learn.
            from weightsearch.exceptions import WeightSearchError

            if not isinstance(error, WeightSearchError):
                raise
            raise _told(error) from None

    return run


def _told(error: Exception) -> typer.Exit:
    note(f"Error: {error}")
    return typer.Exit(USER_ERROR)


def _show_warning(message: Warning | str, *args: Any, **kwargs: Any) -> None:
    note(f"Warning: {message}")


@contextmanager
def told_as_user_error(*causes: type[Exception]) -> Iterator[None]:
    """Tell of more errors in a line, such as a package that is not installed."""
    try:
        yield
    except causes as error:
        raise UserError(str(error)) from error

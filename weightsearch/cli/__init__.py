"""The command line: one module a command, and what they share."""

from __future__ import annotations

import sys
from io import TextIOWrapper

__all__ = ["main"]


def main() -> None:
    """Run the command that the process was started with."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ModuleNotFoundError as error:
        print(
            f"The weightsearch command needs {error.name}, which is not installed: "
            'pip install "weightsearch[cli]"',
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # What the terminal's encoding lacks is shown by its number.
            stream.reconfigure(errors="backslashreplace")
    from weightsearch.cli._app import app

    app(prog_name="weightsearch")

"""The command line."""

from __future__ import annotations

import sys
from io import TextIOWrapper

__all__ = ["main"]


def main() -> None:
    """Run the command in ``sys.argv``."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ModuleNotFoundError as error:
        print(
            f"The weightsearch command needs {error.name}, which is not installed: "
            "pip install typer rich",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Characters that the terminal's encoding lacks are shown escaped.
            stream.reconfigure(errors="backslashreplace")
    from weightsearch.cli._app import app

    app(prog_name="weightsearch")

"""All commands under one name."""

from __future__ import annotations

from types import ModuleType
from typing import Annotated

import typer

from weightsearch.cli import (
    compare,
    demo,
    export,
    ls,
    merge,
    query,
    recover,
    repack,
    report,
    rm,
    runs,
    show,
    stats,
    verify,
)
from weightsearch.cli._guard import guarded

__all__ = ["app"]

_COMMANDS: tuple[ModuleType, ...] = (
    ls,
    runs,
    show,
    query,
    compare,
    stats,
    export,
    report,
    verify,
    recover,
    merge,
    rm,
    repack,
    demo,
)

app = typer.Typer(
    no_args_is_help=True,
    # Typer's own tracebacks show local variables, which may hold a store's content.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        try:
            version = metadata.version("weightsearch")
        except metadata.PackageNotFoundError:
            version = "(not installed)"
        typer.echo(f"weightsearch {version}")
        raise typer.Exit


def _examples(module: ModuleType) -> str:
    # A paragraph each: other ends of lines are lost in the help.
    return "\n\n".join(("Examples:", *module.EXAMPLES))


@app.callback(
    epilog="\n\n".join(
        (
            "Exit status: 0: done; 1: verify has found problems; 2: the command "
            "cannot be done as asked.",
            "Try: weightsearch demo",
        )
    )
)
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Look into stores of what every candidate of a grid search has learned.

    All commands but recover, merge, rm, repack and demo only read, and do so while a
    search still writes.
    """


for _module in _COMMANDS:
    _name = _module.__name__.rpartition(".")[2]
    app.command(_name, epilog=_examples(_module))(guarded(_module.command))

"""The page on the command line and the command line say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

typer = pytest.importorskip("typer")
pytest.importorskip("rich")

from weightsearch.cli._app import app  # noqa: E402

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text("utf-8")
ROOT = typer.main.get_command(app)
COMMANDS = ROOT.commands


def options(command):
    """Long names of a command's options, without the help that all have."""
    names = {name for param in command.params for name in param.opts}
    return {name for name in names if name.startswith("--")} - {"--help"}


def arguments(command):
    """Names of a command's arguments, in order."""
    return [p.metavar for p in command.params if p.param_type_name == "argument"]


def usages():
    """What the page says of each command: its arguments and its options."""
    sections = re.findall(r"^### (\w+)$(.*?)(?=^##)", PAGE, re.DOTALL | re.MULTILINE)
    found = {}
    for name, text in sections:
        usage = re.search(rf"^weightsearch {name}\b(.*)$", text, re.MULTILINE)
        assert usage is not None, f"no usage of {name}"
        words = re.sub(r"--\w+( [A-Z]+)?", "", usage[1])
        found[name] = (
            re.findall(r"[A-Z]+", words),
            set(re.findall(r"--\w+", usage[1])),
        )
    return found


def test_every_command_is_on_the_page():
    """No command without a section, and no section without a command."""
    assert list(usages()) == [
        *("ls", "watch", "runs", "show", "query", "choose", "rescore", "ensemble"),
        *("compare", "stats", "export", "report"),
        *("verify", "recover", "merge", "rm", "repack", "demo"),
    ]
    assert set(usages()) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_arguments_and_options_are_those_of_the_page(name):
    """A section's usage names every argument and option, and no other."""
    command = COMMANDS[name]

    assert usages()[name] == (arguments(command), options(command))


def test_every_option_is_explained():
    """The page's table of options has each of any command, and no other."""
    table = PAGE[PAGE.index("## Options") : PAGE.index("## Output")]
    explained = set(re.findall(r"^\| `(--[\w-]+)", table, re.MULTILINE))
    every = {name for command in COMMANDS.values() for name in options(command)}

    assert explained == every | options(ROOT) | {"--help"}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_has_help(name):
    """The help says in a sentence what each is for, and gives an example."""
    command = COMMANDS[name]

    assert command.help.strip()
    assert f"weightsearch {name}" in command.epilog
    assert [param.name for param in command.params if not param.help] == []

"""A stranger's store does nothing to the terminal that shows it."""

from __future__ import annotations

import json

import h5py
import pytest
from cli_stores import NASTY, hostile_store

pytest.importorskip("rich")
typer_testing = pytest.importorskip("typer.testing")

from weightsearch.cli._app import app  # noqa: E402
from weightsearch.cli._text import clean  # noqa: E402


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with an attack in every text that it has."""
    return hostile_store(tmp_path_factory.mktemp("hostile") / "hostile.h5")


def run(*words):
    """Run a command; return its exit status, its stdout and its stderr."""
    result = typer_testing.CliRunner().invoke(app, list(map(str, words)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def harmless(text):
    """Whether nothing but ends of lines is no printing character."""
    return text.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "words",
    [
        (command, *more, *form)
        for command, *more in (
            ("ls",),
            ("ls", "--columns", "all"),
            ("query", "n < 3"),
            ("runs",),
            ("show", "best"),
            ("compare", "0", "1"),
            ("stats",),
        )
        for form in ((), ("--json",), ("--csv",))
        if (command, form) != ("show", ("--csv",))
    ],
    ids=" ".join,
)
def test_texts_of_a_store_are_escaped(store, words):
    """Names and values are shown as text, whatever the format."""
    status, output, error = run(words[0], store, *words[1:])

    assert status == 0, error
    assert harmless(output)
    assert harmless(error)
    assert "[bold red]x[/bold red]" in output + error
    if "--json" not in words:
        assert r"\x1b" in output + error
    if words[0] != "show" and "--json" not in words and "--csv" not in words:
        n_rows = {"query": 3, "runs": 1, "compare": 2, "stats": 8}.get(words[0], 4)
        assert output.count("\n") == 1 + n_rows


def test_json_keeps_the_texts(store):
    """What is escaped in JSON is read back as it was."""
    rows = json.loads(run("ls", store, "--json")[1])

    assert {row[f"p{NASTY}"] for row in rows} == {NASTY}


@pytest.mark.parametrize(
    "words",
    [
        ("show", "77"),
        ("show", "best", "--weight", NASTY.replace("\ud800", "")),
        ("ls", "--columns", "q"),
        ("ls", "--columns", "x*"),
        ("ls", "--run", "none"),
        ("query", "no_such == 1"),
    ],
    ids=("candidate", "weight", "column", "pattern", "run", "query"),
)
def test_errors_are_escaped(store, words):
    """An error that names what the store has is one harmless line."""
    status, output, error = run(words[0], store, *words[1:])

    assert status == 2
    assert output == ""
    assert error.count("\n") == 1
    assert harmless(error)


def test_problems_are_escaped(store, tmp_path):
    """The place of a damaged array is shown as text."""
    path = tmp_path / "damaged.h5"
    path.write_bytes(store.read_bytes())
    with h5py.File(path, "r+") as file:
        weights = next(iter(file["runs"].values()))["architectures/0/weights"]
        found = []
        weights.visititems(lambda _, item: found.append(item))
        array = next(item for item in found if getattr(item, "ndim", 0) == 3)
        array[0, 0, 0] += 1

    status, output, error = run("verify", path)

    assert status == 1
    assert "checksum" in output
    assert harmless(output + error)


def test_clean_leaves_what_prints():
    """Letters of any language and spaces stay; all else has its number."""
    assert clean("alpha é 層") == "alpha é 層"
    assert clean("a\x1b[0m\n\u202e\ud800\xa0") == r"a\x1b[0m\n\u202e\ud800\xa0"

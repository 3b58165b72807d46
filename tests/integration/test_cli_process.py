"""The command in a process of its own: terminals, pipes, what is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli_stores import hostile_store
from store_memory import mlp_run, write

pytest.importorskip("rich")
pytest.importorskip("typer")

SGR_COLOUR = re.compile(r"\x1b\[[\d;]*3\d[\d;]*m")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store whose table is longer than what a pipe holds."""
    return write(tmp_path_factory.mktemp("cli") / "search.h5", mlp_run(3000))


def environment(**more):
    """Variables for a command, without those that change colours and widths."""
    drop = {"NO_COLOR", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "COLUMNS", "TERM"}
    kept = {name: value for name, value in os.environ.items() if name not in drop}
    return {**kept, "PYTHONUTF8": "1", **more}


def start(*words, **options):
    """Start ``python -m weightsearch``."""
    command = [sys.executable, "-m", "weightsearch", *map(str, words)]
    options.setdefault("env", environment())
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


def in_terminal(*words, **variables):
    """Run a command on a terminal; return the status and what it shows there."""
    pty = pytest.importorskip("pty")
    theirs, ours = pty.openpty()
    process = start(*words, stdout=ours, env=environment(TERM="xterm", **variables))
    os.close(ours)
    shown = b""
    # A terminal that nobody writes to any more ends with an error on Linux, and with
    # nothing on macOS.
    try:
        while part := os.read(theirs, 4096):
            shown += part
    except OSError:
        pass
    finally:
        os.close(theirs)
    process.communicate()
    return process.returncode, shown.decode().replace("\r\n", "\n")


def test_reader_that_stops_early(store):
    """No traceback when head has seen enough."""
    with start("ls", store, "--limit", 3000, stdout=subprocess.PIPE) as process:
        first = process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read()

    assert first.startswith("candidate")
    assert process.returncode == 141
    assert "Traceback" not in error
    assert "BrokenPipe" not in error


def test_table_on_a_terminal(store):
    """A table where there is room, and a block of lines a row where not."""
    words = ("query", store, "alpha < 0.2", "--columns", "alpha,status,candidate")
    status, wide = in_terminal(*words, COLUMNS="80")
    _, narrow = in_terminal(*words, COLUMNS="12")

    assert status == 0
    plain = re.sub(r"\x1b\[[\d;]*m", "", wide)
    assert plain.split("\n")[0].split() == ["alpha", "status", "candidate"]
    assert "\x1b[1m" in wide
    assert max(map(len, plain.splitlines())) <= 80
    blocks = re.sub(r"\x1b\[[\d;]*m", "", narrow).split("\n\n")
    assert [line.split()[0] for line in blocks[0].splitlines()[:1]] == ["alpha"]
    assert len(blocks) > 2


def test_hostile_store_on_a_terminal(tmp_path):
    """Of a stranger's text neither escapes nor markup are read."""
    path = hostile_store(tmp_path / "hostile.h5")
    _, shown = in_terminal("ls", path, "--columns", "n,p*", COLUMNS="1000")

    assert "[bold red]x[/bold red]" in shown
    assert r"\x1b]0;owned\x07" in shown
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown
    assert "\x1b[31m" not in shown


def test_no_color_is_respected():
    """Help is in colour on a terminal, unless NO_COLOR is set."""
    assert SGR_COLOUR.search(in_terminal("--help")[1])
    assert not SGR_COLOUR.search(in_terminal("--help", NO_COLOR="1")[1])


def test_text_that_the_encoding_lacks(tmp_path):
    """Where the output is ASCII, other letters have their numbers."""
    run = mlp_run(1, params=['{"name":"é層"}'])
    path = write(tmp_path / "letters.h5", run)
    variables = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    process = start("ls", path, stdout=subprocess.PIPE, env=environment(**variables))
    output, error = process.communicate()

    assert process.returncode == 0, error
    assert r"\xe9\u5c64" in output


def test_version_and_usage():
    """--version says one line; no such command, or option, ends with status 2."""
    version, _ = start("--version", stdout=subprocess.PIPE).communicate()
    unknown = start("compre", stdout=subprocess.PIPE)
    _, error = unknown.communicate()

    assert re.fullmatch(r"weightsearch \S.*\n", version)
    assert unknown.returncode == 2
    assert "Did you mean 'compare'?" in error


@pytest.mark.parametrize(
    "on", ["pipe", pytest.param("terminal", marks=pytest.mark.slow)]
)
def test_watch_follows_a_search(tmp_path, on):
    """A search of another process is shown while it runs, and to its end."""
    pty = pytest.importorskip("pty")
    path, go = tmp_path / "search.h5", tmp_path / "go"
    script = Path(__file__).with_name("waiting_search.py")
    command = [sys.executable, str(script), str(path), str(go)]
    theirs, ours = os.pipe() if on == "pipe" else pty.openpty()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as search:
        while "To do: " not in (line := search.stdout.readline()):
            assert line, "the search has ended"
        watching = start(
            *("watch", path, "--every", 0.1), stdout=ours, env=environment(TERM="xterm")
        )
        os.close(ours)
        shown = ""
        try:
            while part := os.read(theirs, 4096):
                shown += part.decode()
                if "running: 3/6 fits, 0 refits, best " in shown:
                    go.touch()
        except OSError:  # how a terminal ends on Linux
            pass
        finally:
            go.touch()
            os.close(theirs)
        _, error = watching.communicate()
    *_, last = re.sub(r"\x1b\[[\d;?]*\w", "", shown).strip().splitlines()

    assert watching.returncode == 0, error
    assert "running: 3/6 fits, 0 refits, best " in shown
    assert re.fullmatch(
        r"complete: 6 fits, 2 refits, best [\d.]+ \(candidate 1\)", last
    )
    # The table is there on a terminal alone.
    assert ("mean_test_score" in shown) == (on == "terminal")


def test_shell_completion():
    """The shell is told the commands that begin with what was typed."""
    variables = {
        "_WEIGHTSEARCH_COMPLETE": "complete_bash",
        "COMP_WORDS": "weightsearch re",
        "COMP_CWORD": "1",
    }
    process = start(stdout=subprocess.PIPE, env=environment(**variables))

    found = sorted(process.communicate()[0].split())
    assert found == ["recover", "repack", "report", "rescore"]


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_missing_packages_are_named(missing):
    """Without typer or rich one line says what to install."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from weightsearch.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "pip install typer rich" in done.stderr
    assert missing in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_waits_for_no_framework():
    """The help loads neither scikit-learn nor a framework nor plotting."""
    code = (
        "import sys; sys.argv = ['weightsearch', '--help']\n"
        "from weightsearch.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "typer" in loaded
    assert (
        loaded & {"sklearn", "pandas", "torch", "keras", "matplotlib", "plotly"}
        == set()
    )

"""Measuring in a process of its own: with a time limit, and with its memory.

The child is a script that prints what it has measured as one line of JSON, at the end.
A line ``phase NAME`` before says what it is about to do.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from _harness import Figure

__all__ = ["ChildError", "Measured", "finish", "missing", "phase", "run", "unmeasured"]

_STEP = 0.02
"""Seconds between two samples of memory."""
_LOOK_AGAIN = 0.2
"""Seconds between two looks for new processes of the tree."""
_SETTLE = 0.15
"""Seconds that a child waits, so that its memory before a phase is sampled."""
_PHASE = "phase "
_ERROR = re.compile(r"[\w.]+(Error|Exception|Warning)\b")


class ChildError(Exception):
    """A child took too long, or ended with an error."""


@dataclass
class Measured:
    """What a child has said, and the memory of its process tree, in MB, by phase.

    Attributes
    ----------
    values : dict of str -> float
    first, peak : dict of str -> float
        Resident set when the phase began, and its most. Empty without psutil.
    """

    values: dict[str, float] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)

    def growth(self, phase: str) -> float:
        """Return the most that a phase has added, in MB."""
        return self.peak[phase] - self.first[phase]


def phase(name: str) -> None:
    """Say, in a child, what comes now."""
    print(_PHASE + name, flush=True)
    time.sleep(_SETTLE)


def finish(**values: float) -> None:
    """Say, in a child, what was measured."""
    print(json.dumps(values), flush=True)


def missing(*names: str) -> str:
    """Say which distributions are not installed; empty where all are."""
    found = []
    for name in names:
        try:
            version(name)
        except PackageNotFoundError:
            found.append(name)
    return f"{', '.join(found)} not installed" if found else ""


def unmeasured(key: str, what: str, note: str) -> Figure:
    """Make a row that says why there is no figure."""
    return Figure(key, what, "x", [], {}, "x", note=note)


def run(script: str, *arguments: object, limit: float) -> Measured:
    """Run a script of this folder and sample its memory.

    Parameters
    ----------
    script : str
    *arguments : object
    limit : float
        Seconds.

    Raises
    ------
    ChildError
        If it takes longer, or fails.
    """
    path = Path(__file__).with_name(script)
    command = [sys.executable, str(path), *map(str, arguments)]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        _started(command, errors) as child,
    ):
        assert child.stdout is not None
        said = _Listener(child.stdout)
        measured = _watched(child, said, limit)
        errors.seek(0)
        lines = errors.read().strip().splitlines() or [""]
    if child.returncode != 0:
        # Notes may come after the error itself.
        named = [line for line in lines if _ERROR.match(line)] or lines
        raise ChildError(f"failed: {named[-1][:120]}".replace("|", "/"))
    if said.result is None:
        raise ChildError("said nothing")
    measured.values = said.result
    return measured


@contextmanager
def _started(command: list[str], errors: IO[str]) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=os.name == "posix",
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            _kill(child)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def _kill(child: subprocess.Popen[str]) -> None:
    """End a child and all that it has started."""
    for process in reversed(_tree(child.pid)):
        with suppress(Exception):
            process.kill()
    child.kill()


class _Listener(threading.Thread):
    """Reads what a child says."""

    def __init__(self, stream: IO[str]):
        super().__init__(daemon=True)
        self.phase = ""
        self.result: dict[str, float] | None = None
        self._stream = stream
        self.start()

    def run(self) -> None:
        for line in self._stream:
            if line.startswith(_PHASE):
                self.phase = line[len(_PHASE) :].strip()
            elif line.startswith("{"):
                with suppress(ValueError):
                    self.result = json.loads(line)


def _watched(child: subprocess.Popen[str], said: _Listener, limit: float) -> Measured:
    measured = Measured()
    start = looked = time.monotonic()
    processes = _tree(child.pid)
    while child.poll() is None:
        now = time.monotonic()
        if now - start > limit:
            raise ChildError(f"took more than {limit:.0f} s")
        if now - looked > _LOOK_AGAIN:
            processes, looked = _tree(child.pid), now
        name = said.phase
        size = _resident(processes)
        if size:
            measured.first.setdefault(name, size)
            measured.peak[name] = max(measured.peak.get(name, 0.0), size)
        time.sleep(_STEP)
    said.join(timeout=10)
    return measured


def _tree(pid: int) -> list[Any]:
    """Return a process and all below it; none without psutil."""
    try:
        import psutil
    except ImportError:
        return []
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _resident(processes: list[Any]) -> float:
    """Sum the resident sets, in MB."""
    total = 0
    for process in processes:
        # It may have ended since.
        with suppress(Exception):
            total += process.memory_info().rss
    return total / 1e6

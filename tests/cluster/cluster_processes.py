"""Clusters of separate processes, and what the tests ask of them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TIMEOUT = 120


def wait_for(condition, what, timeout=TIMEOUT):
    """Wait until a condition holds, and return what it returned."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError(what)


def environment(**more):
    """Return the environment of a worker, which has our modules on its path."""
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **more}


@contextlib.contextmanager
def process(args, cwd, log, env=None):
    """Run a command in a process group of its own, which ends with the block."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            [str(arg) for arg in args],
            cwd=cwd,
            env=environment() if env is None else env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


class DaskCluster:
    """A scheduler and its workers, each started by its own command line."""

    def __init__(self, folder, stack):
        self.folder = folder
        self._stack = stack
        self._dask = Path(sys.executable).with_name("dask")
        self.file = folder / "scheduler.json"
        self.start(
            *("scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard"),
            *("--scheduler-file", self.file),
            cwd=folder,
        )
        wait_for(self.file.exists, "no scheduler")

    def start(self, *args, cwd, env=None):
        log = self.folder / f"{args[0]}.log"
        return self._stack.enter_context(
            process([self._dask, *args], cwd=cwd, log=log, env=env)
        )

    def worker(self, name, env=None):
        """Start a worker of one thread in a folder of its own."""
        home = self.folder / name
        home.mkdir()
        return self.start(
            *("worker", "--scheduler-file", self.file, "--name", name),
            *("--nworkers", 1, "--nthreads", 1, "--no-dashboard"),
            *("--host", "127.0.0.1", "--local-directory", home),
            *("--preload", HERE / "watched.py"),
            cwd=home,
            env=env or environment(HOME=str(home)),
        )


@contextlib.contextmanager
def dask_cluster(folder, n_workers):
    """Yield a cluster whose workers have all reported to the scheduler."""
    with contextlib.ExitStack() as stack:
        cluster = DaskCluster(folder, stack)
        for number in range(n_workers):
            cluster.worker(f"worker{number}")
        yield cluster


@contextlib.contextmanager
def ray_environment():
    """Let Ray keep its files in a folder of ours, and tell nobody of its use."""
    # The paths of its sockets must be short.
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_TMPDIR", folder)
            patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
            patch.setenv("RAY_AUTH_MODE", "disabled")
            for name, value in environment().items():
                patch.setenv(name, value)
            yield patch


class CountingProxy:
    """A TCP relay on this machine that counts the bytes of both directions."""

    def __init__(self, address):
        host, port = address.removeprefix("tcp://").rsplit(":", 1)
        self._target = host, int(port)
        self.sent = 0
        self.received = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(
                    target=self._relay, args=(client,), daemon=True
                ).start()

    def _relay(self, client):
        with client, socket.create_connection(self._target) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for source in ready:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if source is client:
                        self.sent += len(data)
                        server.sendall(data)
                    else:
                        self.received += len(data)
                        client.sendall(data)

    def close(self):
        self._server.close()


def lines(log):
    """Return the fits that a log tells of: process, C, sum of X."""
    return [tuple(line.split()) for line in log.read_text().splitlines()]


def n_lines(log):
    return len(lines(log)) if log.exists() else 0

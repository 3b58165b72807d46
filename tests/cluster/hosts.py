"""A search on two hosts with addresses of their own, one of them cut off on the way.

Runs in namespaces of its own (``unshare``), so that nothing of it is left behind: two
network namespaces are the hosts, a bridge is the network between them. The folder of
the store is empty in what the hosts see. Prints what went over the wires, as JSON.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import joblib
from cluster_client import GRID, search
from cluster_comparing import assert_fitted_once, assert_same, stored
from cluster_processes import environment, lines, n_lines, process, wait_for
from distributed import Client
from sklearn.datasets import load_iris

DASK = Path(sys.executable).with_name("dask")
# Noticed within 12 s, the least that Dask takes, not after half a minute.
QUICK = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "8s",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "10s",
}
HOST = """
mount -t tmpfs none "$1"
echo namespace is made
read cable
ip link set lo up
ip addr add 10.83.0.$2/24 dev eth0
ip link set eth0 up
exec "$3" worker tcp://10.83.0.1:8786 --host 10.83.0.$2 --name host$2 \\
    --nworkers 1 --nthreads 1 --no-dashboard --local-directory "$4"
"""


def ip(*args):
    found = subprocess.run(
        ["ip", *map(str, args)], check=True, capture_output=True, text=True
    )
    return found.stdout


@contextlib.contextmanager
def host(number, private, folder):
    """Start a host with a worker, connected by the link ``cable<number>``."""
    home = folder / f"host{number}"
    home.mkdir()
    arguments = [str(private), str(number), str(DASK), str(home)]
    with (home / "worker.log").open("wb") as log:
        child = subprocess.Popen(
            ["unshare", "-n", "-m", "sh", "-c", HOST, "sh", *arguments],
            cwd=home,
            env=environment(HOME=str(home), **QUICK),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    with child:
        assert child.stdout.readline() == "namespace is made\n"
        ip("link", "add", f"cable{number}", "type", "veth", "peer", "name", "eth0")
        ip("link", "set", "eth0", "netns", child.pid)
        ip("link", "set", f"cable{number}", "master", "network", "up")
        child.stdin.write("cable\n")
        child.stdin.flush()
        try:
            yield
        finally:
            child.kill()


def traffic(number):
    """Return the bytes that a host has received and sent."""
    (link,) = json.loads(ip("-s", "-j", "link", "show", f"cable{number}"))
    # Seen from the network's end of the cable.
    return link["stats64"]["tx"]["bytes"], link["stats64"]["rx"]["bytes"]


def run(folder):
    private = folder / "private"
    private.mkdir()
    ip("link", "set", "lo", "up")
    ip("link", "add", "network", "type", "bridge")
    ip("addr", "add", "10.83.0.1/24", "dev", "network")
    ip("link", "set", "network", "up")
    scheduler = [DASK, "scheduler", "--host", "10.83.0.1", "--port", 8786]
    with (
        process(
            [*scheduler, "--no-dashboard"],
            cwd=folder,
            log=folder / "scheduler.log",
            env=environment(**QUICK),
        ),
        host(2, private, folder),
        host(3, private, folder),
        Client("tcp://10.83.0.1:8786", timeout=60) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        cut_off(client, folder, private)


def cut_off(client, folder, private):
    """Search, and take one host's cable away in the middle."""
    X, y = load_iris(return_X_y=True)
    log = folder / "fits.log"
    grid = search(folder).set_params(store=private / "s.h5")
    before = {number: traffic(number) for number in (2, 3)}
    errors = []

    def fit():
        try:
            with joblib.parallel_config(backend="dask"):
                grid.fit(X, y)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=fit)
    thread.start()
    wait_for(lambda: n_lines(log) > 10 and len(stored(grid.store)) >= 6, "no fits")
    done = stored(grid.store)
    ip("link", "set", "cable2", "down")
    (folder / "gate").touch()
    thread.join(timeout=100)
    assert not thread.is_alive(), "the search hangs"
    if errors:
        raise errors[0]
    alone = folder / "alone"
    alone.mkdir()
    (alone / "gate").touch()
    assert_same(grid, search(alone).fit(X, y))
    assert_fitted_once(done, log, X, y, GRID, 3)
    assert len(client.ncores()) == 1
    found = {"done": len(done), "fits": len(lines(log))}
    for number, (received, sent) in before.items():
        now = traffic(number)
        found[f"host{number}"] = [now[0] - received, now[1] - sent]
    print(json.dumps(found))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    run(Path(sys.argv[1]))

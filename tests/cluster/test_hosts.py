"""Two hosts with addresses of their own, one of which is cut off."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_processes import environment

pytest.importorskip("distributed")

# A user namespace, so that no rights are needed; the end of the first process in the
# process namespace is the end of all the others.
OWN = ("unshare", "-r", "-n", "-m", "-p", "-f", "--mount-proc", "--kill-child")


def namespaces_work():
    """Whether this system lets us have namespaces and links between them."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    tried = subprocess.run(
        [*OWN, "ip", "link", "add", "cable0", "type", "veth", "peer", "name", "cable1"],
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


@pytest.mark.skipif(not namespaces_work(), reason="no network namespaces here")
def test_search_goes_on_without_a_host_that_was_cut_off(tmp_path):
    """The network of one of two hosts fails: the same store, and nothing redone."""
    script = Path(__file__).with_name("hosts.py")

    done = subprocess.run(
        [*OWN, sys.executable, script, tmp_path],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)
    assert json.loads(done.stdout.splitlines()[-1])["done"] >= 6

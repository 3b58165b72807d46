"""The code of the page on clusters runs as it stands, but for the address."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest
from cluster_processes import dask_cluster, ray_environment

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"
BLOCKS = [
    block
    for block in re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.S | re.M
    )
    if not block.startswith("# part.py")  # which test_merge runs
]


def test_page_runs(tmp_path):
    """The page's blocks run, each one after those before it."""
    pytest.importorskip("distributed")
    pytest.importorskip("ray")
    dask, on_ray, rest = BLOCKS
    names = {"__name__": "__main__"}
    (tmp_path / "dask").mkdir()
    (tmp_path / "ray").mkdir()

    with contextlib.chdir(tmp_path / "dask"), dask_cluster(tmp_path, 2) as cluster:
        address = json.loads(cluster.file.read_text())["address"]
        exec(dask.replace("tcp://10.0.0.1:8786", address), names)
        names["client"].close()
    with ray_environment() as patch, contextlib.chdir(tmp_path / "ray"):
        patch.setenv("RAY_ADDRESS", "local")
        try:
            exec(on_ray, names)
            exec(rest, names)
        finally:
            names["ray"].shutdown()

    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*.h5")}
    assert made == {"dask/search.h5", "ray/digits.h5", "ray/search.h5"}

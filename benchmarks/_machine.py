"""What the numbers were measured on: machine, versions, threads."""

from __future__ import annotations

import os
import platform
import sqlite3
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from threadpoolctl import threadpool_info

import weightsearch

__all__ = ["load_average", "machine", "threads", "versions"]

_DISTRIBUTIONS = (
    "scikit-learn",
    "numpy",
    "scipy",
    "pandas",
    "h5py",
    "joblib",
)
_OPTIONAL = (
    "skops",
    "torch",
    "skorch",
    "tensorflow",
    "keras",
    "scikeras",
    "keras-tuner",
    "mlflow-skinny",
    "hyperphoenixcv",
)
_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def machine(scratch: str) -> dict[str, Any]:
    """Describe the machine and the disk that files were written to.

    Parameters
    ----------
    scratch : str
        The folder that files were written to.
    """
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": _cores(),
        "memory_gb": _memory(),
        "file_system": _file_system(scratch),
    }


def load_average() -> float | None:
    """Processes that want a processor, over the last minute; None on Windows."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def versions() -> dict[str, str]:
    """Versions of what takes part."""
    found = {
        "python": platform.python_version(),
        # Not the metadata's: the checkout that is measured need not be installed.
        "weightsearch": weightsearch.__version__,
    }
    for name in _DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    for name in _OPTIONAL:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    found["hdf5"] = h5py.version.hdf5_version
    found["sqlite"] = sqlite3.sqlite_version
    return found


def threads() -> dict[str, Any]:
    """Threads that numerical libraries may use."""
    # The libraries are only seen once something has loaded them.
    np.ones((2, 2)) @ np.ones((2, 2))
    return {
        "variables": {name: os.environ.get(name) for name in _VARIABLES},
        "pools": {
            f"{pool['user_api']} ({pool['internal_api']})": pool["num_threads"]
            for pool in threadpool_info()
        },
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    for line in text.splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> float | None:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return round(total / 1e9, 1)


def _file_system(folder: str) -> str | None:
    """Type of the file system that a folder lies on, where the system tells."""
    try:
        text = Path("/proc/self/mounts").read_text(encoding="utf-8")
    except OSError:
        return None
    place = os.path.realpath(folder)
    best, kind = "", None
    for line in text.splitlines():
        _, point, found, *_ = line.split(" ")
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind

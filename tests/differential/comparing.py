"""Running rows of the table in processes of their own, and comparing what they say."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from answers import difference
from rows import Row

import weightsearch

__all__ = ["differences", "run_rows"]

HERE = Path(__file__).parent

# Two at a time: the second needs the store of the first pair.
STAGES = (("plain", "first"), ("again", "rebuild"))


def run_rows(rows: Iterable[Row], folder: Path) -> dict[str, dict[str, Any]]:
    """Run rows in every role, those of one framework one after another.

    Returns
    -------
    results : dict
        Name of the row -> role -> what it said.
    """
    rows = list(rows)
    results: dict[str, dict[str, Any]] = {row.name: {} for row in rows}
    for framework in dict.fromkeys(row.framework for row in rows):
        names = [row.name for row in rows if row.framework == framework]
        for roles in STAGES:
            running = [(role, _start(role, folder, names)) for role in roles]
            for role, process in running:
                _, errors = process.communicate()
                for name in names:
                    results[name][role] = _said(folder / role / f"{name}.pickle") or {
                        "error": f"exit code {process.returncode}\n{errors[-1000:]}"
                    }
    return results


def _start(role: str, folder: Path, names: list[str]) -> subprocess.Popen[str]:
    package = Path(weightsearch.__file__).parents[1]
    given = os.environ.get("PYTHONPATH")
    path = os.pathsep.join(filter(None, [str(HERE), str(package), given]))
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", str(HERE / "driver.py"), role, folder, *names],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _said(path: Path) -> dict[str, Any] | None:
    # Only numpy, scipy and pandas objects, which a process of ours has just written.
    return pickle.loads(path.read_bytes()) if path.exists() else None


def differences(row: Row, said: dict[str, dict[str, Any]]) -> list[str]:
    """Say where a row's roles disagree."""
    errors = [
        f"{role}: {part['error']}" for role, part in said.items() if "error" in part
    ]
    if errors:
        return errors
    return [text for text in _differences(row, said) if text]


def _differences(row: Row, said: dict[str, dict[str, Any]]) -> Iterator[str]:
    plain = said["plain"]
    for role in ("first", "again"):
        if text := difference(said[role]["scores"], plain["scores"]):
            yield f"{role}: scores: {text}"
        if text := difference(said[role]["best"], plain["best"], row.tolerance):
            yield f"{role}: best estimator: {text}"
    if row.second:
        if text := difference(said["again"]["second"], plain["second"]):
            yield f"scored again: {text}"
        if said["again"]["second_fits"] > row.fits_rescored:
            yield f"scored again: {said['again']['second_fits']} fits"
    if plain["counted"] == 0:
        yield "the fits of this estimator are not counted"
    if said["again"]["fits"] > row.fits_again:
        yield f"again: {said['again']['fits']} fits"
    routes = {
        "estimator_for": (said["again"]["candidates"], row.refused),
        "load_estimator": (said["rebuild"]["alone"], "needs the caller's estimator"),
        "load_estimator, estimator as searched": (
            said["rebuild"]["file"],
            row.refused_by_file or row.refused,
        ),
        "load_estimator, estimator with the candidate's params": (
            said["rebuild"].get("template"),
            row.refused,
        ),
    }
    for route, (models, refused) in routes.items():
        if models is not None:
            yield from _wrong_models(row, route, models, refused, plain["candidates"])


def _wrong_models(
    row: Row,
    route: str,
    models: dict[Any, Any],
    refused: str,
    expected: dict[Any, Any],
) -> Iterator[str]:
    if models.keys() != expected.keys():
        yield f"{route}: asked for {list(models)}, fitted by hand {list(expected)}"
        return
    for key, model in models.items():
        right = expected[key]
        if isinstance(model, str):
            if not _may_be_missing(row, key, model, refused, right):
                yield f"{route}: candidate {key}: {model}"
        elif isinstance(right, str):
            yield f"{route}: candidate {key}: a model, although {right}"
        elif not row.unseeded and (text := difference(model, right, row.tolerance)):
            yield f"{route}: candidate {key}: {text}"


def _may_be_missing(row: Row, key: Any, said: str, refused: str, right: Any) -> bool:
    if said.startswith("WeightsNotFoundError"):
        return (
            isinstance(right, str)
            or not (row.keeps_all_refits if isinstance(key, int) else row.capture)
            or (isinstance(key, int) is False and row.capture not in ("splits", "both"))
        )
    return bool(refused) and said.startswith(("RebuildError", "UntrustedTypeError"))

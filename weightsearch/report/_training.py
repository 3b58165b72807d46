"""The part of a report about training: curves of metrics, and paths of weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.linalg

from weightsearch._records import Array
from weightsearch.compare._trajectories import path_matrix
from weightsearch.report._contents import WeightGroup
from weightsearch.report._payload import cut, packed
from weightsearch.report._weights import architectures, label_of

__all__ = ["curves_payload", "paths_payload"]

_CURVE_BYTES = 1_000_000
_CURVE_POINTS = 10, 200
_METRICS = 12
_NOT_METRICS = "step", "time"

_PATHS = 32
_PATH_POINTS = 24
_PATH_POINTS_OF_ALL = 1200
_PATH_BYTES = 512 * 2**20
_VARIANCE = 0.99


def curves_payload(training: Mapping[int, Any]) -> dict[str, Any] | None:
    """Return the metrics that frameworks recorded in training; None without any.

    Long curves are thinned to evenly spaced epochs, so that all fit.

    Parameters
    ----------
    training : dict of int -> Trajectory
        Of candidates.

    Returns
    -------
    curves : dict
        ``candidates``; ``counts``, how many points each has; ``epochs``, packed, the
        points of one candidate after those of another; ``metrics``, the first loss
        first, each a ``name`` and ``values``, packed as the epochs are.
    """
    names = list(
        dict.fromkeys(
            str(name)
            for one in training.values()
            for name in one.metrics
            if name not in _NOT_METRICS
        )
    )
    names = sorted(names, key=lambda name: "loss" not in name)[:_METRICS]
    if not names:
        return None
    least, most = _CURVE_POINTS
    room = _CURVE_BYTES // (4 * len(names) * len(training))
    frames = [
        one.thinned(min(max(room, least), most)).metrics for one in training.values()
    ]
    epochs = np.concatenate([frame.index.to_numpy() for frame in frames])
    values = np.concatenate(
        [frame.reindex(columns=names).to_numpy(float) for frame in frames]
    )
    return {
        "candidates": list(training),
        "counts": [len(frame) for frame in frames],
        "epochs": packed(epochs, "f4"),
        "metrics": [
            {"name": cut(name), "values": packed(column, "f4")}
            for name, column in zip(names, values.T, strict=True)
        ],
    }


def paths_payload(
    groups: Sequence[WeightGroup],
    training: Mapping[int, Any],
    diverged: Collection[int] = (),
) -> list[dict[str, Any]]:
    """Return the paths of weights in training, in few dimensions.

    Of each architecture the first candidates in `training` are taken, with evenly
    spaced snapshots. Their coordinates are those along the principal components of all
    snapshots, as many as leave out at most a hundredth of the variance along each path:
    so the page can find the components of any of these candidates.

    Returns
    -------
    paths : list of dict
        Of each architecture ``label``; ``candidates``; ``of``, how many candidates
        there are; ``counts``, how many snapshots each has; ``epochs``, packed;
        ``dimensions``; ``coordinates``, packed, of shape ``(n_snapshots,
        dimensions)``.
    """
    found = []
    snapshots, room = _PATH_POINTS_OF_ALL, _PATH_BYTES
    place = {candidate: i for i, candidate in enumerate(training)}
    parts = []
    for part in architectures(groups):
        own = [c for c in part.candidates if c in place and c not in diverged]
        if own:
            parts.append((sorted(own, key=place.__getitem__), part))
    # The architecture of the best candidate first.
    for own, part in sorted(parts, key=lambda item: place[item[0][0]]):
        size = 8 * (1 + sum(groups[i].count for i in part.groups)) * _PATH_POINTS
        n = min(_PATHS, room // size, snapshots // _PATH_POINTS)
        paths = _read({c: training[c] for c in own[:n]})
        matrices = [theta for _, theta in paths.values()]
        if (
            sum(map(len, matrices)) < 4
            or (coordinates := _coordinates(matrices)) is None
        ):
            continue
        snapshots -= len(coordinates)
        room -= len(coordinates) * size // _PATH_POINTS
        found.append(
            {
                "label": label_of(part, groups, len(paths)),
                "candidates": list(paths),
                "of": len(own),
                "counts": [len(theta) for theta in matrices],
                "epochs": packed(np.concatenate([e for e, _ in paths.values()]), "f4"),
                "dimensions": coordinates.shape[1],
                "coordinates": packed(coordinates, "f4"),
            }
        )
    return found


def _read(training: Mapping[int, Any]) -> dict[int, tuple[Array, Array]]:
    """Return epochs and weights of candidates whose trained weights are alike."""
    found: dict[int, tuple[Array, Array]] = {}
    names = None
    for candidate, whole in training.items():
        one = whole.thinned(_PATH_POINTS)
        try:
            theta = path_matrix(one)
        except ValueError:  # no floating point numbers
            continue
        names = names or list(one)
        if list(one) == names and np.isfinite(theta).all():
            found[candidate] = one.epochs, theta
    return found


def _coordinates(paths: Sequence[Array]) -> Array | None:
    """Return coordinates of all snapshots that preserve each path; None: no path."""
    rows = np.concatenate(paths)
    rows -= rows.mean(axis=0)
    # There are far more weights than snapshots.
    values, vectors = scipy.linalg.eigh(rows @ rows.T)
    coordinates: Array = (vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1]
    needed = 0
    for path in np.split(coordinates, np.cumsum([len(path) for path in paths])[:-1]):
        variance = path.var(axis=0).sum()
        if variance > 0:
            left_out = np.cumsum((path**2).mean(axis=0)[::-1])
            n_left_out = np.searchsorted(left_out, (1 - _VARIANCE) * variance)
            needed = max(needed, path.shape[1] - int(n_left_out))
    return coordinates[:, :needed] if needed else None

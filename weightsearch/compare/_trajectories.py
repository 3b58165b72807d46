"""Weights over time: how far, in which direction, and when they settle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy.linalg

from weightsearch._records import Array
from weightsearch.compare._numeric import as_numbers, norm
from weightsearch.compare._similarity import linear_cka

__all__ = [
    "PathComponents",
    "path_components",
    "path_matrix",
    "path_stats",
    "settling",
]

_COLUMNS = ("norm", "from_start", "to_end", "step", "turn")


def path_stats(
    trajectory: Mapping[str, Any], names: Iterable[str] | None = None
) -> pd.DataFrame:
    r"""Distances and directions along the path that weights took in training.

    With :math:`\theta_t` the vector of all weights in snapshot t and
    :math:`\Delta_t = \theta_t - \theta_{t-1}`.

    Parameters
    ----------
    trajectory : mapping of str to array-like of shape (n_snapshots, ...)
        As :meth:`weightsearch.Run.trajectory` returns. Weights that are not floating
        point numbers, such as counters, are left out.
    names : iterable of str, default=None
        The weights that are meant, such as those of one layer; None: all. Moving
        statistics of batch normalization count unless they are left out here.

    Returns
    -------
    DataFrame
        One row per snapshot; the index is that of ``trajectory.epochs`` where it has
        them, else 0, 1, 2, ...

        - ``norm`` :math:`\|\theta_t\|`;
        - ``from_start`` :math:`\|\theta_t - \theta_0\|`: for networks, how far they
          moved from their initialization [1]_;
        - ``to_end`` :math:`\|\theta_T - \theta_t\|`;
        - ``step`` :math:`\|\Delta_t\|`; NaN for the first;
        - ``turn`` :math:`\langle \Delta_t, \Delta_{t-1} \rangle / (\|\Delta_t\|
          \|\Delta_{t-1}\|)`: 1 straight on, -1 straight back [2]_; NaN for the first
          two, and where a step has length 0.

    Raises
    ------
    ValueError
        If there are no such weights, or their numbers of snapshots differ.

    Notes
    -----
    A step spans what lies between two snapshots, be it one epoch or many. All snapshots
    of the chosen weights are in memory at once, in float64.

    References
    ----------
    .. [1] B. Neyshabur, Z. Li, S. Bhojanapalli, Y. LeCun and N. Srebro, Towards
       understanding the role of over-parametrization in generalization of neural
       networks, ICLR 2019, arXiv:1805.12076.
    .. [2] C. Xing, D. Arpit, C. Tsirigotis and Y. Bengio, A walk with SGD, 2018,
       arXiv:1802.08770.

    Examples
    --------
    >>> import numpy as np
    >>> from weightsearch.compare import path_stats
    >>> path = {"coef_": np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])}
    >>> path_stats(path)
       norm  from_start  to_end  step  turn
    0   0.0         0.0     5.0   NaN   NaN
    1   3.0         3.0     4.0   3.0   NaN
    2   5.0         5.0     0.0   4.0   0.0
    """
    theta = path_matrix(trajectory, names)
    n = len(theta)
    out = np.full((n, len(_COLUMNS)), np.nan)
    before: Array | None = None
    for t in range(n):
        length = turn = np.nan
        if t:
            step = theta[t] - theta[t - 1]
            length = norm(step)
            if before is not None:
                with np.errstate(all="ignore"):
                    turn = _cosine(step, before)
            before = step
        from_start, to_end = norm(theta[t] - theta[0]), norm(theta[-1] - theta[t])
        out[t] = norm(theta[t]), from_start, to_end, length, turn
    return pd.DataFrame(out, _index(trajectory, n), list(_COLUMNS))


def settling(
    trajectory: Mapping[str, Any], measure: Literal["cosine", "cka"] = "cosine"
) -> pd.DataFrame:
    """Similarity of each weight, or layer, to what it is in the end.

    Layers of a network settle from the input on [1]_: a column that is near 1 early
    belongs to one that training hardly changed afterwards.

    Parameters
    ----------
    trajectory : mapping of str to array-like of shape (n_snapshots, ...)
        Weights, as :meth:`weightsearch.Run.trajectory` returns; for ``"cka"``
        activations of shape (n_snapshots, n_samples, ...) on the same samples, as
        :func:`mlp_activations` gives them for one snapshot.
    measure : {"cosine", "cka"}, default="cosine"
        ``"cosine"`` of the weights as vectors. ``"cka"``: :func:`linear_cka` of
        activations, which does not see rotations and the scale of a layer.

    Returns
    -------
    DataFrame of shape (n_snapshots, n_weights)
        Between -1 and 1 (``"cka"``: 0 and 1), and 1 in the last row. NaN where it is
        not defined: a vector of zeros, a constant activation, values that are not
        finite.

    Raises
    ------
    ValueError
        If `measure` is unknown, there are no floating point numbers, or the numbers of
        snapshots differ.

    References
    ----------
    .. [1] M. Raghu, J. Gilmer, J. Yosinski and J. Sohl-Dickstein, SVCCA: singular
       vector canonical correlation analysis for deep learning dynamics and
       interpretability, NeurIPS 2017, arXiv:1706.05806.

    Examples
    --------
    >>> import numpy as np
    >>> from weightsearch.compare import settling
    >>> settling({"coef_": np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 2.0]])})
       coef_
    0    0.0
    1    0.8
    2    1.0
    """
    if measure not in ("cosine", "cka"):
        raise ValueError(f"measure must be 'cosine' or 'cka', got {measure!r}.")
    columns = {}
    for name, values in _numbers(trajectory, None):
        with np.errstate(all="ignore"):
            columns[name] = [
                _cosine(values[t], values[-1])
                if measure == "cosine"
                else _cka(values[t], values[-1])
                for t in range(len(values))
            ]
    _check_lengths({name: len(column) for name, column in columns.items()})
    n = len(next(iter(columns.values())))
    return pd.DataFrame(columns, _index(trajectory, n))


@dataclass(frozen=True)
class PathComponents:
    """Trajectories in the plane in which they vary the most.

    Attributes
    ----------
    coordinates : list of ndarray of shape (n_snapshots, n_components)
        One per trajectory; the origin is the end of the first one.
    explained_variance_ratio : ndarray of shape (n_components,)
        Share of the variance of all snapshots along each axis, descending.
    axes : ndarray of shape (n_components, n_weights)
        Orthonormal directions in the space of weights.
    """

    coordinates: list[Array]
    explained_variance_ratio: Array
    axes: Array


def path_components(
    trajectories: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    n_components: int = 2,
    names: Iterable[str] | None = None,
) -> PathComponents:
    r"""Principal components of one or more trajectories.

    Of one trajectory, those of Li et al. [1]_: PCA of the differences
    :math:`\theta_t - \theta_T` of all snapshots before the last. Of several, those of
    all snapshots to the end of the first trajectory.

    Parameters
    ----------
    trajectories : mapping of str to array-like, or sequence of them
        Each as for :func:`path_stats`; of several, with the same names and shapes.
    n_components : int, default=2
        Axes; at most the number of snapshots less 2.
    names : iterable of str, default=None
        As for :func:`path_stats`.

    Returns
    -------
    PathComponents

    Raises
    ------
    ValueError
        If architectures differ, there are too few snapshots, values are not finite, or
        nothing moves.

    Notes
    -----
    All snapshots are in memory at once, in float64. Two axes explain most of almost any
    smooth path, and of a random walk in many dimensions too (60 % and 15 % in the limit
    [2]_): high shares alone do not mean that training took place in a plane.

    References
    ----------
    .. [1] H. Li, Z. Xu, G. Taylor, C. Studer and T. Goldstein, Visualizing the loss
       landscape of neural nets, NeurIPS 2018, arXiv:1712.09913, section 7.
    .. [2] J. Antognini and J. Sohl-Dickstein, PCA of high dimensional random walks with
       comparison to neural network training, NeurIPS 2018, arXiv:1806.08805.

    Examples
    --------
    >>> import numpy as np
    >>> from weightsearch.compare import path_components
    >>> path = {"coef_": np.array([[3.0, 3.0], [2.0, 2.0], [1.0, 1.0], [0.0, 0.0]])}
    >>> found = path_components(path, n_components=1)
    >>> found.coordinates[0].round(3).tolist()
    [[4.243], [2.828], [1.414], [0.0]]
    """
    given = [trajectories] if isinstance(trajectories, Mapping) else list(trajectories)
    if not given:
        raise ValueError("trajectories must name at least one trajectory.")
    chosen = None if names is None else list(names)
    stacks = [dict(_numbers(one, chosen)) for one in given]
    shapes = [{name: v.shape[1:] for name, v in one.items()} for one in stacks]
    for number, other in enumerate(shapes):
        if list(other.items()) != list(shapes[0].items()):
            differing = sorted(
                name
                for name in shapes[0].keys() | other.keys()
                if shapes[0].get(name) != other.get(name)
            ) or ["their order"]
            raise ValueError(
                f"Trajectory {number} differs from the first one in "
                f"{', '.join(differing[:5])}: pass trajectories of one architecture, "
                "or names=... of the weights that all have."
            )
    every = [_joined(one) for one in stacks]
    if not all(np.isfinite(theta).all() for theta in every):
        raise ValueError(
            "Some weights are not finite (training diverged): leave those out."
        )
    end = every[0][-1].copy()
    rows = np.concatenate([every[0][:-1], *every[1:]]) - end
    limit = min(len(rows) - 1, rows.shape[1])
    if not 1 <= n_components <= limit:
        raise ValueError(
            f"n_components must be between 1 and {limit} for {len(rows) + 1} snapshots "
            f"of {rows.shape[1]} weights, got {n_components}."
        )
    _, singular, axes = scipy.linalg.svd(
        rows - rows.mean(axis=0), full_matrices=False, overwrite_a=True
    )
    variance = singular**2
    if not variance.sum():
        raise ValueError("The weights do not move: there is no direction to show.")
    axes = axes[:n_components]
    # The sign of an axis is arbitrary: training ends to the left of where it began.
    starts = np.array([axis @ (every[0][0] - end) for axis in axes])
    axes = np.where(starts[:, None] < 0, -axes, axes)
    return PathComponents(
        [(theta - end) @ axes.T for theta in every],
        (variance / variance.sum())[:n_components],
        axes,
    )


def path_matrix(
    trajectory: Mapping[str, Any], names: Iterable[str] | None = None
) -> Array:
    """Return all weights as an array of shape (n_snapshots, n_weights), in float64."""
    return _joined(dict(_numbers(trajectory, names)))


def _numbers(
    trajectory: Mapping[str, Any], names: Iterable[str] | None
) -> Iterator[tuple[str, Array]]:
    """Yield the weights that are real floating point numbers, in float64."""
    names = None if names is None else list(names)
    if names is not None and (unknown := [n for n in names if n not in trajectory]):
        raise ValueError(
            f"There is no weight {unknown[0]!r}; there are {', '.join(trajectory)}."
        )
    found = False
    for name in trajectory if names is None else names:
        raw = np.asarray(trajectory[name])
        if raw.dtype.kind not in "fV" or (values := as_numbers(raw)) is None:
            continue
        if values.ndim == 0 or len(values) == 0:
            raise ValueError(f"{name!r} has no snapshots: its shape is {raw.shape}.")
        found = True
        yield name, values
    if not found:
        raise ValueError("The trajectory has no floating point weights.")


def _joined(stacks: Mapping[str, Array]) -> Array:
    """Return all weights as an array of shape (n_snapshots, n_weights)."""
    _check_lengths({name: len(values) for name, values in stacks.items()})
    return np.concatenate([v.reshape(len(v), -1) for v in stacks.values()], axis=1)


def _check_lengths(lengths: Mapping[str, int]) -> None:
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"The weights have different numbers of snapshots: {dict(lengths)}."
        )


def _index(trajectory: Mapping[str, Any], n: int) -> pd.Index:
    epochs = getattr(trajectory, "epochs", None)
    return pd.RangeIndex(n) if epochs is None else pd.Index(epochs, name="epoch")


def _cosine(a: Array, b: Array) -> float:
    lengths = norm(a), norm(b)
    if not all(lengths):
        return float("nan")
    # Scaled first, so that products do not overflow.
    cosine = float(np.vdot(a / lengths[0], b / lengths[1]))
    return cosine if np.isnan(cosine) else min(max(cosine, -1.0), 1.0)


def _cka(a: Array, b: Array) -> float:
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("nan")
    return linear_cka(a, b)

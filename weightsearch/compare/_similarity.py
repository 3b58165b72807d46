"""Similarity of two models' representations of the same data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import scipy.special
from numpy.typing import ArrayLike

from weightsearch._records import Array
from weightsearch.compare._numeric import norm

__all__ = ["cka_matrix", "layer_similarity", "linear_cka", "mlp_activations"]

_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda z: z,
    "logistic": scipy.special.expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
}
_IN_TEXT = re.compile(r"\bactivation='(\w+)'")
_COEFS = re.compile(r"(?P<prefix>(?:.*/)?)coefs_/(?P<i>\d+)")


def linear_cka(x: ArrayLike, y: ArrayLike) -> float:
    r"""Linear centred kernel alignment of two representations of the same samples.

    With columns centred [1]_,

    .. math:: \frac{\|Y^T X\|_F^2}{\|X^T X\|_F \, \|Y^T Y\|_F}

    It is 1 for representations that are equal up to rotation (a permutation of units
    is one), reflection, scale and shift, and may be 0 for unrelated ones. Widths may
    differ.

    Parameters
    ----------
    x : array-like of shape (n_samples, ...)
        Activations of one layer. Axes after the first are flattened.
    y : array-like of shape (n_samples, ...)
        Activations of another layer for the same samples, in the same order.

    Returns
    -------
    float
        Between 0 and 1. NaN where a representation is constant over all samples.

    Raises
    ------
    ValueError
        If the numbers of samples differ or are below 2, or values are not finite real
        numbers.

    Notes
    -----
    Computed over units or over samples, whichever is cheaper; the result is the same.
    With fewer samples than units it is biased towards 1, also for unrelated
    representations: use many samples.

    References
    ----------
    .. [1] S. Kornblith, M. Norouzi, H. Lee and G. Hinton, Similarity of neural
       network representations revisited, ICML 2019, arXiv:1905.00414, equations 3
       and 4 and table 1.

    Examples
    --------
    >>> import numpy as np
    >>> from weightsearch.compare import linear_cka
    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(linear_cka(x, 5 * x[:, [2, 0, 1]] + 1), 12)
    1.0
    """
    left, right = _centred(x, "x"), _centred(y, "y")
    n_samples = len(left)
    if len(right) != n_samples:
        raise ValueError(
            f"x has {n_samples} samples and y has {len(right)}: pass the activations "
            "of both layers for the same samples."
        )
    return _aligned(left, right, _self_similarity(left) * _self_similarity(right))


def cka_matrix(representations: Sequence[ArrayLike]) -> Array:
    """Linear CKA of all pairs of representations of the same samples.

    Parameters
    ----------
    representations : sequence of array-like of shape (n_samples, ...)
        Of any widths. All are in memory at once, in float64.

    Returns
    -------
    ndarray of shape (n, n), float64
        Symmetric; see :func:`linear_cka`. NaN, also on the diagonal, where a
        representation is constant over all samples.

    Raises
    ------
    ValueError
        As for :func:`linear_cka`.
    """
    centred = [
        _centred(one, f"representation {i}") for i, one in enumerate(representations)
    ]
    if len({len(one) for one in centred}) > 1:
        raise ValueError("The representations have different numbers of samples.")
    own = [_self_similarity(one) for one in centred]
    out = np.empty((len(centred), len(centred)))
    for i, left in enumerate(centred):
        for j in range(i, len(centred)):
            out[i, j] = out[j, i] = _aligned(left, centred[j], own[i] * own[j])
    return out


def _aligned(left: Array, right: Array, scale: float) -> float:
    n_samples = len(left)
    if not scale:
        return float("nan")
    p, q = left.shape[1], right.shape[1]
    if p * q <= n_samples * (p + q):
        shared = norm(right.T @ left) ** 2
    else:
        shared = float(np.vdot(left @ left.T, right @ right.T))
    return min(max(shared / scale, 0.0), 1.0)


def _centred(representation: ArrayLike, name: str) -> Array:
    values = np.asarray(representation)
    if values.dtype.kind == "c" or values.ndim == 0:
        raise ValueError(
            f"{name} must be an array of real numbers, one row per sample."
        )
    values = values.astype(np.float64)
    if len(values) < 2:
        raise ValueError(f"{name} has {len(values)} samples; at least 2 are needed.")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has values that are not finite.")
    values = values.reshape(len(values), -1)
    centred: Array = values - values.mean(axis=0)
    # What remains of a constant column is rounding error.
    size = np.abs(values).max(axis=0, initial=0.0)
    centred[:, np.abs(centred).max(axis=0) <= 4e-16 * len(values) * size] = 0.0
    # The measure does not depend on scale, so squares need not overflow.
    centred /= norm(centred) or 1.0
    return centred


def _self_similarity(centred: Array) -> float:
    n, p = centred.shape
    return norm(centred.T @ centred if p <= n else centred @ centred.T)


def mlp_activations(
    weights: Mapping[str, Any],
    X: ArrayLike,
    activation: Literal["identity", "logistic", "tanh", "relu"] = "relu",
) -> dict[str, Array]:
    """Compute the hidden activations of a scikit-learn MLP.

    For networks of Keras and torch, use the framework: their weights alone do not
    determine what is computed.

    Parameters
    ----------
    weights : mapping of str to ndarray
        Weights of one ``MLPClassifier`` or ``MLPRegressor``: ``coefs_/i`` and
        ``intercepts_/i``, under any prefix.
    X : array-like of shape (n_samples, n_features)
        Data as the MLP itself receives it: after the steps of a pipeline before it.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        The MLP's parameter of this name.

    Returns
    -------
    dict of str to ndarray of shape (n_samples, n_units)
        One per hidden layer, named like its incoming weights, such as ``coefs_/0``.

    Raises
    ------
    ValueError
        If the weights are not those of exactly one MLP, the activation is unknown, or X
        has another number of features.
    """
    if activation not in _ACTIVATIONS:
        raise ValueError(
            f"activation must be one of {sorted(_ACTIVATIONS)}, got {activation!r}."
        )
    found = [match for name in weights if (match := _COEFS.fullmatch(name))]
    prefixes = {match["prefix"] for match in found}
    if len(prefixes) != 1:
        where = f"{len(prefixes)} MLPs" if prefixes else "no MLP (coefs_/0, ...)"
        raise ValueError(f"The weights must be those of one MLP, found {where}.")
    (prefix,) = prefixes
    values = np.asarray(X)
    first = weights[f"{prefix}coefs_/0"]
    if values.ndim != 2 or values.shape[1] != len(first):
        raise ValueError(
            f"X must have shape (n_samples, {len(first)}), got {values.shape}."
        )
    activations = {}
    for i in range(len(found) - 1):
        name = f"{prefix}coefs_/{i}"
        z = values @ weights[name] + weights[f"{prefix}intercepts_/{i}"]
        activations[name] = values = _ACTIVATIONS[activation](z)
    return activations


def layer_similarity(
    weights: Sequence[Mapping[str, Array]],
    params: Sequence[Mapping[str, Any]],
    estimator: Mapping[str, Any],
    X: ArrayLike,
    layer: int | str,
    activation: str | None,
) -> Array:
    """Linear CKA of one hidden layer of each candidate, NaN without such a layer.

    Parameters
    ----------
    weights, params : sequence of dict
        One of each per candidate.
    estimator : dict
        Class and params of the search's estimator, as text.
    X : array-like of shape (n_samples, n_features)
    layer : int or str
    activation : str or None
        None: the candidate's own.

    Returns
    -------
    ndarray of shape (n, n), float64
    """
    found: dict[int, Array] = {}
    names: dict[str, None] = {}
    for i, (own, key) in enumerate(zip(weights, params, strict=True)):
        function: Any = activation or _activation(key, estimator)
        layers = mlp_activations(own, X, function)
        names |= dict.fromkeys(layers)
        if isinstance(layer, str):
            chosen = layers.get(layer)
        elif -len(layers) <= layer < len(layers):
            chosen = list(layers.values())[layer]
        else:
            chosen = None
        if chosen is not None:
            found[i] = chosen
    if not found:
        raise ValueError(
            f"No candidate has a hidden layer {layer!r}; there are "
            f"{', '.join(names) or 'none'}."
        )
    out = np.full((len(weights), len(weights)), np.nan)
    places = list(found)
    out[np.ix_(places, places)] = cka_matrix(list(found.values()))
    return out


def _activation(params: Mapping[str, Any], estimator: Mapping[str, Any]) -> str:
    """Return the MLP's activation, as stored of the candidate or the estimator."""
    for name, value in params.items():
        if name.rpartition("__")[2] == "activation":
            return str(value)
    texts: Mapping[str, str] = estimator.get("params", {})
    if "activation" in texts:
        return texts["activation"].strip("'")
    found = {text for value in texts.values() for text in _IN_TEXT.findall(value)}
    if len(found) > 1 or any(value.endswith("…") for value in texts.values()):
        raise ValueError(
            "The MLP's activation is not clear from what is stored of the estimator: "
            "pass activation=..."
        )
    # An estimator's repr leaves out scikit-learn's defaults.
    return found.pop() if found else "relu"

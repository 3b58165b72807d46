"""Align the hidden units of one network with those of another."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from weightsearch._records import Array
from weightsearch.compare._chains import Chain, find_chains
from weightsearch.compare._numeric import as_numbers
from weightsearch.exceptions import AlignmentError

__all__ = ["align"]

_MAX_SWEEPS = 100
_TOLERANCE = 1e-12


def align(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    *,
    layers: Sequence[str] | None = None,
) -> dict[str, Array]:
    r"""Put the hidden units of ``b`` into the order of those of ``a``.

    The order of hidden units is arbitrary: a network whose units are permuted, with
    their incoming and outgoing weights, computes the same function. So two networks
    can be compared weight by weight only after their units are matched. This is the
    weight matching of Git Re-Basin [1]_, section 3.2: find permutations :math:`P_l` of
    the units of every hidden layer that minimise

    .. math:: \sum_l \| W_l^a - P_l W_l^b P_{l-1}^T \|_F^2

    together with the like terms of biases and learned normalisation weights,
    one layer after the other with the others held fixed, each time as a linear
    assignment problem [2]_, until no layer improves.

    The descent is run from three starts, and the best result is returned: from the
    order of ``b`` itself (so the result is never farther from ``a`` than ``b``), and
    from the layers matched one by one, forwards from the input and backwards from the
    output. Units whose weights are equal bit for bit are matched first, so a network
    whose units were shuffled is restored exactly. The result is deterministic: layers
    are visited in order, where [1]_ visits them at random.

    Chains are found from the names and shapes: ``coefs_/i`` and ``intercepts_/i``
    of scikit-learn's MLPs; ``kernel`` and ``bias`` of Keras' Dense and Conv layers;
    ``weight`` and ``bias`` of torch's Linear and Conv modules; normalisation layers
    between them; all under any common prefix. Where a convolution is flattened
    into a dense layer, torch's order ``(channel, pixel)`` and Keras'
    ``channels_last`` order ``(pixel, channel)`` are assumed.

    Names and shapes do not show everything. The result is meaningless unless the
    layers are applied one after the other, in the mapping's order, with elementwise
    activations between them: for residual connections of equal width, or layers that
    are used twice.

    Parameters
    ----------
    a, b : mapping of str to array-like
        Weights of two networks of the same architecture.
    layers : sequence of str, default=None
        Names of the layers that form the chain, first to last, normalisation layers
        too: the weights' names without their last part (``"fc1"``, ``"dense_1"``),
        or ``"coefs_/0"`` for scikit-learn. The inputs of the first and the outputs
        of the last keep their order. Other layers are not changed. None: all layers.

    Returns
    -------
    dict of str to ndarray
        The weights of ``b``, in the order of ``b``. Values are moved, never recomputed.
        Arrays without hidden units are the same objects as in ``b``.

    Raises
    ------
    AlignmentError
        If the weights are not those of a plain chain (recurrent layers, attention,
        trees, linear models), if ``a`` and ``b`` differ in names or widths, or if
        weights of the chain are not finite or are shared between layers.

    References
    ----------
    .. [1] S. K. Ainsworth, J. Hayase and S. Srinivasa, Git Re-Basin: merging models
       modulo permutation symmetries, ICLR 2023, arXiv:2209.04836.
    .. [2] D. F. Crouse, On implementing 2D rectangular assignment algorithms, IEEE
       Transactions on Aerospace and Electronic Systems 52(4), 2016, as in
       :func:`scipy.optimize.linear_sum_assignment`.

    Examples
    --------
    >>> import numpy as np
    >>> from weightsearch.compare import align
    >>> rng = np.random.default_rng(0)
    >>> a = {"coefs_/0": rng.normal(size=(4, 3)), "coefs_/1": rng.normal(size=(3, 2))}
    >>> order = [2, 0, 1]
    >>> b = {"coefs_/0": a["coefs_/0"][:, order], "coefs_/1": a["coefs_/1"][order]}
    >>> aligned = align(a, b)
    >>> all(np.array_equal(aligned[name], a[name]) for name in a)
    True
    """
    reference = {name: np.asarray(weight) for name, weight in a.items()}
    aligned = {name: np.asarray(weight) for name, weight in b.items()}
    shapes = {name: weight.shape for name, weight in reference.items()}
    chains = find_chains(shapes, layers)
    for side, weights in (("a", a), ("b", b)):
        _refuse_ties(chains, getattr(weights, "ties", {}), side)
    for chain in chains:
        _check_same(chain, reference, aligned)
        orders = _Matching(chain, reference, aligned).best()
        for i, layer in enumerate(chain):
            kernel = aligned[layer.kernel]
            if i > 0:
                places = layer.inputs.positions(orders[i - 1])
                kernel = kernel.take(places, axis=layer.inputs.axis)
            if i < len(chain) - 1:
                kernel = kernel.take(orders[i], axis=layer.outputs.axis)
                for name, axis in layer.vectors.items():
                    aligned[name] = aligned[name].take(axis.positions(orders[i]))
            aligned[layer.kernel] = kernel
    return aligned


def _weights_of(chain: Chain) -> list[str]:
    return [name for layer in chain for name in (layer.kernel, *layer.vectors)]


def _refuse_ties(chains: list[Chain], ties: Mapping[str, str], side: str) -> None:
    used = {name for chain in chains for name in _weights_of(chain)}
    for alias, name in ties.items():
        if name in used:
            raise AlignmentError(
                f"{name!r} of {side} is shared with {alias!r}, so its units cannot be "
                "moved in one place only."
            )


def _check_same(chain: Chain, a: Mapping[str, Array], b: Mapping[str, Array]) -> None:
    for name in _weights_of(chain):
        if name not in b:
            raise AlignmentError(
                f"The architectures differ: {name!r} is in a but not in b."
            )
        if a[name].shape != b[name].shape:
            raise AlignmentError(
                f"The architectures differ: {name!r} is {a[name].shape} in a and "
                f"{b[name].shape} in b. Only units of equally wide layers match."
            )


class _Matching:
    """Matches one chain's hidden units; ``order[j]`` is the unit of b at j."""

    def __init__(self, chain: Chain, a: Mapping[str, Array], b: Mapping[str, Array]):
        self.widths = [layer.outputs.units for layer in chain[:-1]]
        self.kernels_a = _kernels(chain, a, "a")
        self.kernels_b = _kernels(chain, b, "b")
        self.vectors_a = _vectors(chain, a, "a")
        self.vectors_b = _vectors(chain, b, "b")
        self._scale()
        self.n_in = self.kernels_a[0].shape[1]
        self.n_out = self.kernels_a[-1].shape[0]

    def best(self) -> list[Array]:
        """Return the best orders of all hidden layers, from three starts."""
        unchanged = [np.arange(width) for width in self.widths]
        hidden = range(len(self.widths))
        if not hidden:
            return unchanged
        best = unchanged
        least = np.inf
        for start in ("input", "output", "unchanged"):
            orders = list(unchanged)
            if start == "input":
                for i in hidden:
                    orders[i] = self._match(i, orders, outgoing=False)
            elif start == "output":
                for i in reversed(hidden):
                    orders[i] = self._match(i, orders, incoming=False)
            self._descend(orders)
            distance = self._distance(orders)
            if distance < least:
                best, least = orders, distance
            if least == 0:
                break
        return best

    def _scale(self) -> None:
        """Keep squares of very large or very small weights in range.

        The factor is a power of two, which changes no digit.
        """
        parts = [*self.kernels_a, *self.kernels_b, *self.vectors_a, *self.vectors_b]
        largest = max(np.abs(part).max(initial=0.0) for part in parts)
        factor = 2.0 ** -min(max(int(np.frexp(largest)[1]), -1000), 1000)
        for group in (
            self.kernels_a,
            self.kernels_b,
            self.vectors_a,
            self.vectors_b,
        ):
            group[:] = [part * factor for part in group]

    def _descend(self, orders: list[Array]) -> None:
        for _ in range(_MAX_SWEEPS):
            changed = False
            for i in range(len(orders)):
                order = self._match(i, orders, current=orders[i])
                changed |= not np.array_equal(order, orders[i])
                orders[i] = order
            if not changed:
                return

    def _match(
        self,
        i: int,
        orders: list[Array],
        *,
        incoming: bool = True,
        outgoing: bool = True,
        current: Array | None = None,
    ) -> Array:
        """Match the units of one layer, all other layers held fixed.

        Returns the current order, unless another one is better by more than rounding.
        """
        rows_a = [self.vectors_a[i]]
        rows_b = [self.vectors_b[i]]
        if incoming:
            rows_a.append(_rows(self.kernels_a[i]))
            rows_b.append(_rows(self.kernels_b[i][:, self._order(i - 1, orders)]))
        if outgoing:
            after = self.kernels_b[i + 1][self._order(i + 1, orders)]
            rows_a.append(_rows(self.kernels_a[i + 1].swapaxes(0, 1)))
            rows_b.append(_rows(after.swapaxes(0, 1)))
        # Adding zero turns -0.0 into 0.0.
        units_a = np.hstack(rows_a) + 0.0
        units_b = np.hstack(rows_b) + 0.0
        if current is not None and np.array_equal(units_b[current], units_a):
            return current
        exact = _equal_rows(units_a, units_b)
        if exact is not None:
            return exact
        gains = (units_a @ units_b.conj().T).real
        places, order = linear_sum_assignment(gains, maximize=True)
        if current is not None:
            gain = gains[places, order].sum() - gains[places, current].sum()
            if gain <= _TOLERANCE * np.abs(gains).max() * len(order):
                return current
        return np.asarray(order)

    def _order(self, i: int, orders: list[Array]) -> Array:
        if i < 0:
            return np.arange(self.n_in)
        return orders[i] if i < len(orders) else np.arange(self.n_out)

    def _distance(self, orders: list[Array]) -> float:
        """Return the squared distance of all learned weights.

        From differences, so that it is exactly zero for equal weights.
        """
        total = 0.0
        for i, (kernel_a, kernel_b) in enumerate(
            zip(self.kernels_a, self.kernels_b, strict=True)
        ):
            rows, columns = self._order(i, orders), self._order(i - 1, orders)
            difference = kernel_a - kernel_b[rows][:, columns]
            total += float(np.vdot(difference, difference).real)
            if i < len(orders):
                difference = self.vectors_a[i] - self.vectors_b[i][rows]
                total += float(np.vdot(difference, difference).real)
        return total


def _kernels(chain: Chain, weights: Mapping[str, Array], side: str) -> list[Array]:
    """Return each kernel as ``(units, units of the layer before, other axes)``."""
    kernels = []
    for layer in chain:
        kernel = _finite(weights, layer.kernel, side)
        inputs, outputs = layer.inputs, layer.outputs
        if inputs.block > 1:
            kernel = inputs.split(kernel).reshape(inputs.units, inputs.block, -1)
            kernel = kernel.transpose(2, 0, 1)
        else:
            kernel = np.moveaxis(kernel, (outputs.axis, inputs.axis), (0, 1))
        kernels.append(kernel.reshape(outputs.units, inputs.units, -1))
    return kernels


def _vectors(chain: Chain, weights: Mapping[str, Array], side: str) -> list[Array]:
    """Return each hidden layer's learned vectors as columns, one row per unit."""
    vectors = []
    for layer in chain[:-1]:
        columns = [np.empty((layer.outputs.units, 0))]
        for name, axis in layer.vectors.items():
            if name not in layer.counted:
                columns.append(axis.split(_finite(weights, name, side)))
        vectors.append(np.hstack(columns))
    return vectors


def _finite(weights: Mapping[str, Array], name: str, side: str) -> Array:
    values = as_numbers(weights[name])
    if values is None or not np.isfinite(values).all():
        raise AlignmentError(
            f"{name!r} of {side} has values that are not finite numbers."
        )
    return values


def _rows(array: Array) -> Array:
    return array.reshape(len(array), -1)


def _equal_rows(rows_a: Array, rows_b: Array) -> Array | None:
    """Return the order in which ``rows_b`` equals ``rows_a`` bit for bit, or None."""
    places: defaultdict[bytes, deque[int]] = defaultdict(deque)
    for place, row in enumerate(rows_b):
        places[row.tobytes()].append(place)
    order = np.empty(len(rows_a), dtype=np.intp)
    for place, row in enumerate(rows_a):
        equal = places.get(row.tobytes())
        if not equal:
            return None
        order[place] = equal.popleft()
    return order

"""Find chains of layers by the names and shapes of their weights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from weightsearch._display import did_you_mean
from weightsearch._records import Array
from weightsearch.exceptions import AlignmentError

__all__ = ["AlignmentError", "Chain", "Layer", "UnitAxis", "find_chains"]

Shape = tuple[int, ...]

_SKLEARN = re.compile(r"(?P<prefix>(?:.*/)?)(?P<kind>coefs_|intercepts_)/(?P<i>\d+)")
_MEMBER = re.compile(r".*_/\d+/")
_TORCH = {"weight", "running_mean", "running_var", "num_batches_tracked"}
_KERAS = {"kernel", "gamma", "beta", "moving_mean", "moving_variance", "alpha"}
_KERAS |= {"mean", "variance", "count"}
_COUNTED = {"running_mean", "running_var", "moving_mean", "moving_variance"}
_COUNTED |= {"mean", "variance", "count", "num_batches_tracked"}
# Layers whose weights look like those of a dense or convolution layer, but whose units
# cannot be permuted freely, or whose axes are reversed.
_OTHER_KINDS: tuple[str, ...]
_OTHER_KINDS = ("attn", "attention", "lstm", "gru", "rnn", "embed", "transpose")
_OTHER_KINDS += ("depthwise", "separable", "einsum", "group_norm", "groupnorm")
_BRANCHES = ("downsample", "shortcut", "residual", "skip")


@dataclass(frozen=True, slots=True)
class UnitAxis:
    """The axis of an array that counts the units of a layer.

    Attributes
    ----------
    axis : int
    units : int
        Number of units.
    block : int
        Elements per unit: 1, or the number of pixels after flattening.
    channels_last : bool
        Whether the channels of a flattened pixel are adjacent (Keras), or the pixels
        of a channel (torch).
    """

    axis: int
    units: int
    block: int = 1
    channels_last: bool = False

    def positions(self, order: Array) -> Array:
        """Return the positions along the axis that put the units into this order."""
        if self.block == 1:
            return order
        within = np.arange(self.block)
        if self.channels_last:
            return (within[:, None] * self.units + order).ravel()
        return (order[:, None] * self.block + within).ravel()

    def split(self, array: Array) -> Array:
        """Reshape the array to ``(units, other axes)``."""
        moved = np.moveaxis(array, self.axis, 0)
        if self.channels_last and self.block > 1:
            moved = moved.reshape(self.block, self.units, -1).swapaxes(0, 1)
        return moved.reshape(self.units, -1)


@dataclass(frozen=True, slots=True)
class Layer:
    """A dense or convolution layer, with the vectors that belong to its units.

    Attributes
    ----------
    name : str
    kernel : str
        Name of the array that links the units of two layers.
    inputs, outputs : UnitAxis
        The kernel's axes.
    vectors : dict of str to UnitAxis
        Names of bias and normalisation weights: one element (or block) per unit.
    counted : frozenset of str
        Names among ``vectors`` of statistics of the data, which are not learned.
    """

    name: str
    kernel: str
    inputs: UnitAxis
    outputs: UnitAxis
    vectors: Mapping[str, UnitAxis]
    counted: frozenset[str]


Chain = tuple[Layer, ...]


@dataclass
class _Group:
    """The weights of one layer, by the last part of their names."""

    path: str
    style: str
    scope: str
    arrays: dict[str, str] = field(default_factory=dict)


def find_chains(
    shapes: Mapping[str, Shape], layers: Sequence[str] | None = None
) -> list[Chain]:
    """Find chains of layers among weights.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Names and shapes, in the model's order.
    layers : sequence of str, default=None
        Names of the layers that form the chain, first to last.

    Returns
    -------
    list of tuple of Layer
        Never empty.

    Raises
    ------
    AlignmentError
        If the weights are not, or not only, those of plain chains.
    """
    groups = _groups(shapes, layers)
    scopes: dict[tuple[str, str], list[_Group]] = {}
    for group in groups:
        scopes.setdefault((group.style, group.scope), []).append(group)
    if layers is not None and len(scopes) > 1:
        raise AlignmentError(f"The layers {list(layers)} do not belong to one network.")
    chains = []
    for members in scopes.values():
        if layers is None:
            members = _in_order(members)
        chain = _chain(members, shapes, chosen=layers is not None)
        if chain:
            chains.append(chain)
    if not chains:
        raise AlignmentError(
            "There is no chain of dense or convolution layers among the weights "
            f"{_some(list(shapes))}. Units can be matched for scikit-learn's MLPs "
            "and for chains of Keras or torch layers."
        )
    return chains


def _groups(shapes: Mapping[str, Shape], layers: Sequence[str] | None) -> list[_Group]:
    groups: dict[str, _Group] = {}
    strange: list[str] = []
    for name in shapes:
        found = _place(name)
        if found is None:
            strange.append(name)
            continue
        group, leaf = found
        groups.setdefault(group.path, group).arrays[leaf] = name
    if layers is None:
        if unknown := [name for name in strange if not _is_fitted_attribute(name)]:
            raise AlignmentError(
                f"{_some(unknown)}: not a weight of a dense, convolution or "
                "normalisation layer, so its units cannot be matched. To match only "
                "some layers, name those that form a chain with layers=[...]."
            )
        chosen = [g for g in groups.values() if not _is_criterion(g.path)]
    else:
        for path in layers:
            if path not in groups:
                hint = did_you_mean(path, groups)
                raise AlignmentError(f"There is no layer {path!r}. {hint}".rstrip())
        if len(set(layers)) < len(layers):
            raise AlignmentError("layers names a layer twice.")
        chosen = [groups[path] for path in layers]
    for group in chosen:
        _set_style(group)
        refused = _OTHER_KINDS if layers is not None else _OTHER_KINDS + _BRANCHES
        if word := next((w for w in refused if w in group.path.lower()), None):
            raise AlignmentError(
                f"Layer {group.path!r} is not part of a plain chain, by its name "
                f"({word!r}). To match only some layers, name those that form a chain "
                "with layers=[...]."
            )
    return chosen


def _place(name: str) -> tuple[_Group, str] | None:
    """Split a name into layer and last part; None for an unknown layer."""
    if match := _SKLEARN.fullmatch(name):
        path = f"{match['prefix']}coefs_/{match['i']}"
        leaf = "kernel" if match["kind"] == "coefs_" else "bias"
        return _Group(path, "sklearn", match["prefix"]), leaf
    cut = max(name.rfind("/"), name.rfind("."))
    path, leaf = name[: max(cut, 0)], name[cut + 1 :]
    if leaf not in _TORCH | _KERAS | {"bias"}:
        return None
    return _Group(path, "", ""), leaf


def _set_style(group: _Group) -> None:
    if group.style:
        return
    leaves = set(group.arrays) - {"bias"}
    if leaves and leaves <= _TORCH:
        group.style = "torch"
        # Modules are separated by dots, a pipeline's step by a slash.
        group.scope = group.path[: group.path.rfind("/") + 1]
    elif leaves and leaves <= _KERAS:
        group.style = "keras"
        member = _MEMBER.match(group.path)
        group.scope = member[0] if member else ""
    else:
        raise AlignmentError(
            f"{_some(list(group.arrays.values()))}: not the weights of a Keras or "
            "torch layer that can be matched."
        )


def _is_fitted_attribute(name: str) -> bool:
    """Return whether a weight belongs to another step of a pipeline."""
    if name.endswith("seed_generator_state"):
        return True
    return any(part.endswith("_") for part in name.split("/"))


def _is_criterion(path: str) -> bool:
    return bool({"criterion", "criterion_"} & set(re.split(r"[/.]", path)))


def _in_order(groups: list[_Group]) -> list[_Group]:
    """Sort layers by their numbers; without numbers, keep the model's order."""
    parts = [re.fullmatch(r"(.*?)(\d+)", group.path) for group in groups]
    if all(p and (p[1] == "" or p[1][-1] in "/.") for p in parts) and (
        len({p[1] for p in parts if p}) == 1
    ):
        numbers = [int(p[2]) for p in parts if p]
        return [groups[i] for i in np.argsort(numbers, kind="stable")]
    return groups


def _chain(groups: list[_Group], shapes: Mapping[str, Shape], *, chosen: bool) -> Chain:
    chain: list[Layer] = []
    for group in groups:
        kernel = group.arrays.get("kernel") or group.arrays.get("weight")
        if kernel is not None and len(shapes[kernel]) >= 2:
            chain.append(_layer(group, kernel, shapes, chain[-1] if chain else None))
        elif chain:
            if not chosen:
                _refuse_group_norm(chain[-1], group, shapes)
            chain[-1] = _with_vectors(chain[-1], group, shapes)
    return tuple(chain)


def _layer(
    group: _Group, kernel: str, shapes: Mapping[str, Shape], before: Layer | None
) -> Layer:
    shape = shapes[kernel]
    torch = group.style == "torch"
    in_axis, out_axis = (1, 0) if torch else (len(shape) - 2, len(shape) - 1)
    units = shape[in_axis] if before is None else before.outputs.units
    block, left = divmod(shape[in_axis], max(units, 1))
    flattened = (
        before is not None and len(shape) == 2 and len(shapes[before.kernel]) > 2
    )
    if before is not None and (left or block < 1 or (block > 1 and not flattened)):
        raise AlignmentError(
            f"The weights do not form one chain: {before.kernel!r} "
            f"{shapes[before.kernel]} has {units} units, and {kernel!r} {shape}, "
            f"which comes next, takes {shape[in_axis]} inputs. Name the layers "
            "in the order in which they are applied with layers=[...]."
        )
    layer = Layer(
        name=group.path,
        kernel=kernel,
        inputs=UnitAxis(in_axis, units, block, channels_last=not torch),
        outputs=UnitAxis(out_axis, shape[out_axis]),
        vectors={},
        counted=frozenset(),
    )
    rest = {k: v for k, v in group.arrays.items() if v != kernel}
    return _with_vectors(
        layer, _Group(group.path, group.style, group.scope, rest), shapes
    )


def _refuse_group_norm(
    before: Layer, group: _Group, shapes: Mapping[str, Shape]
) -> None:
    """Refuse what may be torch's GroupNorm; a BatchNorm has statistics."""
    if len(shapes[before.kernel]) > 2 and set(group.arrays) == {"weight", "bias"}:
        raise AlignmentError(
            f"Layer {group.path!r} after the convolution {before.name!r} may be a "
            "group normalisation, whose channels cannot be permuted freely; its "
            "weights "
            "do not show it. If it is not, name all layers of the chain with "
            "layers=[...]."
        )


def _with_vectors(layer: Layer, group: _Group, shapes: Mapping[str, Shape]) -> Layer:
    units = layer.outputs.units
    convolution = len(shapes[layer.kernel]) > 2
    vectors = dict(layer.vectors)
    counted = set(layer.counted)
    for leaf, name in group.arrays.items():
        shape = shapes[name]
        if shape == () or (shape == (1,) and units > 1):
            continue
        block, left = divmod(shape[0], max(units, 1))
        if len(shape) > 1 or left or block < 1 or (block > 1 and not convolution):
            raise AlignmentError(
                f"{name!r} {shape} does not have one element per unit of layer "
                f"{layer.name!r}, which it seems to follow and which has {units}."
            )
        last = group.style != "torch"
        vectors[name] = UnitAxis(0, units, block, channels_last=last)
        if leaf in _COUNTED:
            counted.add(name)
    return Layer(
        layer.name,
        layer.kernel,
        layer.inputs,
        layer.outputs,
        vectors,
        frozenset(counted),
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:4]))
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown or "(none)"

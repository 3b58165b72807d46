"""PyTorch modules and skorch nets: their weights, and nets rebuilt from them.

Names are torch's own: the keys of ``state_dict()``, parameters and buffers alike.
Where torch allows it, an array shares the memory of its tensor, so further training
changes the array too. Copy what must outlive that.

A net is made of classes: the module, the criterion, the optimizer. They are the
caller's, so a net is only rebuilt with the caller's own estimator; the store adds the
weights, which are loaded strictly, and what the fit has found out. A bare module that
another estimator holds is rebuilt from the attributes of its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from weightsearch._records import Array, Weights
from weightsearch.exceptions import RebuildError, UnstorableWeightsWarning
from weightsearch.frameworks._epochs import Epochs, TakeSnapshot
from weightsearch.frameworks._registry import collect_weights
from weightsearch.frameworks._session import leave_out, note
from weightsearch.frameworks._state._parts import Rebuilder, not_stored

__all__ = [
    "CONTENTS",
    "EPOCHS",
    "EXTRACTORS",
    "REBUILDERS",
    "extract_module",
    "extract_skorch",
]

_COMPILED = "_orig_mod."

_LEFT_OUT = {
    "callbacks_",
    "cuda_dependent_attributes_",
    "history_",
    "init_context_",
    "initialized_",
    "prefixes_",
    "virtual_params_",
    "_criteria",
    "_modules",
    "_optimizers",
    "_params_to_validate",
}
_PLAIN = (bool, int, float, str, type(None))


# -- weights -----------------------------------------------------------------------


def extract_module(module: Any) -> Weights:
    """Weights of a bare ``torch.nn.Module``.

    Parameters
    ----------
    module : torch.nn.Module
        Compiled, data-parallel and parametrised modules too.

    Returns
    -------
    Weights
        Every tensor of ``module.state_dict()`` under its key there, in order, without
        the prefixes of ``torch.compile`` and of the data-parallel wrappers. A tensor
        with several names is kept once, under the first; the others are in ``ties``.

    Warns
    -----
    UnstorableWeightsWarning
        For entries that cannot be arrays: parameters of lazy modules that have seen
        no batch, quantised and sparse tensors, extra state.
    """
    return _collect(_named_entries(module))


def extract_skorch(net: Any) -> Weights:
    """Weights of a fitted skorch net: its modules and its criteria.

    Parameters
    ----------
    net : skorch.NeuralNet

    Returns
    -------
    Weights
        Those of ``module_`` under torch's own names. Those of every other module
        and criterion follow, with the attribute's name in front:
        ``criterion_/weight``, ``generator_/fc.weight``.

    Raises
    ------
    NotFittedError
        Where the net is not initialized.

    Warns
    -----
    UnstorableWeightsWarning
        As :func:`extract_module`.
    """
    if not getattr(net, "initialized_", False):
        raise NotFittedError(
            f"This {type(net).__name__} instance is not fitted yet. Call 'fit' first."
        )

    return _collect(
        (prefix + key, entry)
        for prefix, part in _trained_parts(net)
        for key, entry in _named_entries(part)
    )


def _collect(entries: Iterator[tuple[str, Any]]) -> Weights:
    weights = Weights()
    first: dict[tuple[Any, ...], str] = {}
    for name, entry in entries:
        memory = _memory(entry)
        if memory is not None and memory in first:
            weights.ties[name] = first[memory]
            continue
        array = _to_array(name, entry)
        if array is None:
            continue
        weights[name] = array
        if memory is not None:
            first[memory] = name
    return weights


def _memory(entry: Any) -> tuple[Any, ...] | None:
    """Identity of a tensor's memory; None for a tensor without plain memory.

    Two tensors are tied if all of it is equal. Parts of one block, such as the weights
    of an LSTM in cuDNN, differ in their offset.
    """
    import torch

    if (
        not isinstance(entry, torch.Tensor)
        or torch.nn.parameter.is_lazy(entry)
        or entry.layout != torch.strided
    ):
        return None
    try:
        block = entry.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # subclasses that wrap other tensors
        return None
    if block == 0 or entry.numel() == 0:  # nothing allocated
        return None
    return (
        entry.device,
        block,
        entry.storage_offset(),
        entry.dtype,
        tuple(entry.shape),
        entry.stride(),
        entry.is_conj(),
        entry.is_neg(),
    )


def _to_array(name: str, entry: Any) -> Array | None:
    """Return the tensor as an array in host memory; None if that is impossible."""
    import torch

    if not isinstance(entry, torch.Tensor):
        leave_out(name, f"it is a {type(entry).__name__}, not a tensor")
        return None
    if torch.nn.parameter.is_lazy(entry):
        leave_out(name, "its lazy module has not seen a batch yet")
        return None
    try:
        # resolve_*: torch may only note a conjugation or a sign, and compute it later.
        tensor = entry.detach().cpu().resolve_conj().resolve_neg()
        if _is_low_precision(tensor.dtype):
            return _low_precision(name, tensor)
        array: Array = tensor.numpy()
    except (TypeError, RuntimeError) as error:
        # numpy has no type for it: sparse, quantised, nested, meta and wrapped tensors.
        leave_out(name, str(error).split("\n", 1)[0].rstrip("."))
        return None
    return array


@cache
def _is_low_precision(dtype: Any) -> bool:
    name = str(dtype).removeprefix("torch.")
    return name == "bfloat16" or name.startswith(("float8_", "float4_"))


def _low_precision(name: str, tensor: Any) -> Array:
    """Return the bits of a bfloat16 or float8 tensor as the type of that name."""
    import torch

    bits = torch.int16 if tensor.element_size() == 2 else torch.uint8
    raw: Array = tensor.view(bits).numpy()
    wanted = str(tensor.dtype).removeprefix("torch.")
    try:
        import ml_dtypes
    except ImportError:
        hint = "install ml_dtypes to keep the type"
    else:
        # torch packs two float4 into a byte, ml_dtypes does not: no type of that name.
        dtype = getattr(ml_dtypes, wanted, None)
        if dtype is not None:
            return raw.view(dtype)
        hint = "ml_dtypes has no such type"
    raw = raw.view(f"uint{8 * raw.itemsize}")
    note(
        UnstorableWeightsWarning(
            f"The weight {name!r} is of type {wanted}; its bits are stored as "
            f"{raw.dtype}: {hint}."
        )
    )
    return raw


def _trained_parts(net: Any) -> Iterator[tuple[str, Any]]:
    """Yield the modules and criteria of a net, each with the prefix of its names."""
    import torch

    # skorch's own lists of what it trains.
    for name in [*net._modules, *net._criteria]:
        part = getattr(net, f"{name}_", None)
        if not isinstance(part, torch.nn.Module):
            continue  # a criterion may be a plain function
        yield "" if name == "module" else f"{name}_/", part


def _named_entries(module: Any) -> Iterator[tuple[str, Any]]:
    """Entries of the state dict, under their names in the plain module."""
    import torch

    parallel = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    while True:
        if isinstance(module, parallel):
            module = module.module
        elif _is_compiled(module):
            module = module._orig_mod
        else:
            break
    # Submodules can be compiled on their own.
    compiled = [name for name, part in module.named_modules() if _is_compiled(part)]
    # Innermost first: the outer prefixes must still match.
    compiled.sort(key=len, reverse=True)
    for key, entry in module.state_dict().items():
        name = key
        for prefix in compiled:
            if name.startswith(f"{prefix}.{_COMPILED}"):
                inner = name.removeprefix(f"{prefix}.{_COMPILED}")
                name = f"{prefix}.{inner}"
        yield name, entry


def _is_compiled(module: Any) -> bool:
    # The class itself is private to torch._dynamo, and importing that is slow.
    return type(module).__name__ == "OptimizedModule" and hasattr(module, "_orig_mod")


# -- rebuilding --------------------------------------------------------------------


def _describe(net: Any, complete: bool) -> tuple[dict[str, Any], bool]:
    if not getattr(net, "initialized_", False):
        raise NotFittedError
    params = net.get_params(deep=False)
    parts = tuple(net.cuda_dependent_attributes_)
    # A callback's own state is not a param; what it has set in the net, such as a
    # learning rate, is.
    fresh = clone(net).get_params(deep=False)
    fresh |= {name: v for name, v in params.items() if isinstance(v, _PLAIN)}
    attributes: dict[str, Any] = {
        "params": fresh,
        "own": {
            name: value
            for name, value in vars(net).items()
            if name not in params
            and name not in _LEFT_OUT
            and not name.startswith(parts)
        },
        "history": [_epoch(row, complete) for row in net.history],
    }
    if not complete:
        return attributes, False
    attributes["optimizers"] = {
        name: _optimizer_state(getattr(net, f"{name}_")) for name in net._optimizers
    }
    # The state of the user's own callbacks is not stored.
    return attributes, not net.callbacks


def _rebuild(
    cls: Any, attributes: Mapping[str, Any], weights: Mapping[str, Array]
) -> Any:
    from skorch.history import History

    params = attributes["params"]
    missing = not_stored(params)
    if missing:
        raise RebuildError(
            f"its {missing[0].place} was {missing[0].name}, which cannot be stored: "
            "pass estimator=, the estimator as it was searched"
        )
    net = cls(**params)
    net.initialize()
    _load_weights(net, weights)
    for name, value in attributes["own"].items():
        setattr(net, name, value)
    net.history_ = History(attributes["history"])
    for name, state in attributes.get("optimizers", {}).items():
        _restore_optimizer(getattr(net, f"{name}_"), state)
    return net


def _module_content(module: Any) -> Any:
    """How a module is built: what distinguishes it from others before training."""
    found: list[Any] = []
    for name, part in module.named_modules():
        entries = [*part._parameters.items(), *part._buffers.items()]
        found += [
            name,
            type(part),
            {key: v for key, v in vars(part).items() if key not in _OF_MODULES},
            [
                (key, None if value is None else (tuple(value.shape), str(value.dtype)))
                for key, value in entries
            ],
        ]
    return found


_OF_MODULES = frozenset(
    "_parameters _buffers _modules _non_persistent_buffers_set training "
    "_is_full_backward_hook _backward_hooks _backward_pre_hooks _forward_hooks "
    "_forward_hooks_always_called _forward_hooks_with_kwargs _forward_pre_hooks "
    "_forward_pre_hooks_with_kwargs _load_state_dict_post_hooks "
    "_load_state_dict_pre_hooks _state_dict_hooks _state_dict_pre_hooks "
    "call_super_init dump_patches _compiled_call_impl _version "
    "_flat_weights _flat_weight_refs".split()
)
"""Attributes that every module has, and that training and use change."""


def _describe_module(module: Any, complete: bool) -> tuple[dict[str, Any], bool]:
    parts = list(module.modules())
    number = {id(part): n for n, part in enumerate(parts)}
    tensors: dict[int, int] = {}
    stored: list[dict[str, Any]] = []

    def kept(entries: Mapping[str, Any]) -> dict[str, Any]:
        """Numbers of tensors, each stored once."""
        for tensor in entries.values():
            if tensor is not None and id(tensor) not in tensors:
                tensors[id(tensor)] = len(stored)
                stored.append(_described(tensor))
        return {name: tensors.get(id(tensor)) for name, tensor in entries.items()}

    described = []
    for part in parts:
        hooks = [
            name for name, value in vars(part).items() if "_hooks" in name and value
        ]
        if hooks or _is_compiled(part):
            raise TypeError(f"{type(part).__name__} has hooks, or was compiled")
        described.append(
            {
                "class": type(part),
                "training": part.training,
                "parameters": kept(part._parameters),
                "buffers": kept(part._buffers),
                "unsaved": sorted(part._non_persistent_buffers_set),
                "modules": {
                    name: None if child is None else number[id(child)]
                    for name, child in part._modules.items()
                },
                "own": {
                    name: value
                    for name, value in vars(part).items()
                    if name not in _OF_MODULES
                },
            }
        )
    return {"parts": described, "tensors": stored}, True


def _described(tensor: Any) -> dict[str, Any]:
    import torch

    array = _to_array("", tensor)
    if array is None or tensor.layout != torch.strided:
        raise TypeError(f"a {type(tensor).__name__} cannot be an array")
    return {
        "array": array,
        "dtype": _text_of(tensor.dtype),
        "device": str(tensor.device),
        "is_parameter": isinstance(tensor, torch.nn.Parameter),
        "requires_grad": tensor.requires_grad,
    }


def _text_of(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _rebuild_module(
    cls: Any, attributes: Mapping[str, Any], weights: Mapping[str, Array]
) -> Any:
    from torch import nn

    parts = []
    for described in attributes["parts"]:
        made_of = described["class"]
        missing = not_stored([made_of, described["own"]])
        if missing:
            raise RebuildError(
                f"its module needs {missing[0].name}, which is not stored: pass "
                "estimator=, the estimator as it was searched"
            )
        if not (isinstance(made_of, type) and issubclass(made_of, nn.Module)):
            raise ValueError(f"{made_of!r} is not a module")
        part = made_of.__new__(made_of)
        nn.Module.__init__(part)
        parts.append(part)
    if type(parts[0]) is not cls:
        raise ValueError("the first part of a module is not the module")
    tensors = [_made(described) for described in attributes["tensors"]]
    for part, described in zip(parts, attributes["parts"], strict=True):
        if not _OF_MODULES.isdisjoint(described["own"]):
            raise ValueError("attributes of every module are given as a module's own")
        vars(part).update(described["own"])
        part.training = bool(described["training"])
        for name, number in described["parameters"].items():
            part.register_parameter(name, _of(tensors, number))
        for name, number in described["buffers"].items():
            keep = name not in described["unsaved"]
            part.register_buffer(name, _of(tensors, number), persistent=keep)
        for name, number in described["modules"].items():
            part.add_module(name, _of(parts, number))
    for part in parts:
        if isinstance(part, nn.RNNBase):
            part._init_flat_weights()  # the list of tensors that its kernels read
    return parts[0]


def _of(things: list[Any], number: int | None) -> Any:
    return None if number is None else things[number]


def _made(described: Mapping[str, Any]) -> Any:
    import torch

    dtype = _dtype(described["dtype"])
    tensor = _tensor(described["array"], torch.empty(0, dtype=dtype))
    if tensor.dtype != dtype:
        raise ValueError(f"a tensor is not of type {dtype}")
    tensor = tensor.to(_device(described["device"]))
    requires_grad = bool(described["requires_grad"])
    if described["is_parameter"]:
        return torch.nn.Parameter(tensor, requires_grad)
    return tensor.requires_grad_(requires_grad)


def _dtype(text: str) -> Any:
    import torch

    dtype = getattr(torch, text, None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{text!r} is not a type of torch's")
    return dtype


def _device(text: str) -> Any:
    """The device, or the processor where this machine lacks it."""
    import torch

    try:
        return torch.empty(0, device=text).device
    except (RuntimeError, AssertionError):
        return torch.device("cpu")


def _value(
    name: str, take: Callable[[Any], Any], make: Callable[[Any], Any]
) -> Rebuilder:
    """Rebuilder of a type of values, such as devices."""
    return Rebuilder(
        lambda value, complete: ({"value": take(value)}, True),
        lambda cls, attributes, weights: make(attributes["value"]),
        frozenset({name}),
        has_weights=False,
    )


def _load_weights(net: Any, weights: Mapping[str, Array]) -> None:
    left = dict(weights)
    for prefix, part in _trained_parts(net):
        state = part.state_dict()
        names = [prefix + name for name, _ in _named_entries(part)]
        loaded = {}
        for key, name in zip(state, names, strict=True):
            if name in weights:
                left.pop(name, None)
                loaded[key] = _tensor(weights[name], state[key])
            else:
                # Tied: loading the other name sets this one too.
                loaded[key] = state[key]
        try:
            part.load_state_dict(loaded, strict=True)
        except RuntimeError as error:
            raise RebuildError(
                f"the module that estimator= makes cannot load the weights: {error}"
            ) from error
    if left:
        raise RebuildError(
            "the module that estimator= makes lacks the weights "
            + ", ".join(sorted(left)[:5])
        )


def _tensor(array: Array, like: Any) -> Any:
    import torch

    if like.dtype == torch.bfloat16 or str(like.dtype).startswith("torch.float8"):
        # torch cannot read arrays of these types, only their bits.
        bits = torch.int16 if array.dtype.itemsize == 2 else torch.uint8
        raw = np.ascontiguousarray(array).view(f"i{array.dtype.itemsize}")
        return torch.from_numpy(raw.copy()).view(bits).view(like.dtype)
    return torch.from_numpy(array.copy())


def _epoch(row: Mapping[str, Any], complete: bool) -> dict[str, Any]:
    """One epoch of a history; without its batches unless `complete`."""
    kept = {}
    for name, value in row.items():
        if name == "batches":
            kept[name] = [_epoch(one, complete) for one in value] if complete else []
        else:
            kept[name] = value.item() if isinstance(value, np.generic) else value
    return kept


def _optimizer_state(optimizer: Any) -> dict[str, Any]:
    state = optimizer.state_dict()
    return {
        "state": {
            str(number): dict(_arrays(entry))
            for number, entry in state["state"].items()
        },
        "param_groups": state["param_groups"],
    }


def _arrays(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in entry.items():
        yield name, value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _restore_optimizer(optimizer: Any, state: Mapping[str, Any]) -> None:
    import torch

    optimizer.load_state_dict(
        {
            "state": {
                int(number): {
                    name: torch.from_numpy(value.copy())
                    if isinstance(value, np.ndarray)
                    else value
                    for name, value in entry.items()
                }
                for number, entry in state["state"].items()
            },
            "param_groups": state["param_groups"],
        }
    )


# -- epochs ------------------------------------------------------------------------


@contextmanager
def _watch(net: Any, take: TakeSnapshot) -> Iterator[None]:
    from weightsearch.frameworks._skorch_callback import SnapshotCallback

    callback = SnapshotCallback(take, _weights_now, _optimizers_now)

    def initialize_callbacks() -> None:
        vars(net).pop("_initialize_callbacks", None)
        net._initialize_callbacks()
        # The last one, so that it sees what the others change.
        net.callbacks_.append(("weightsearch", callback))

    # Called in fit, before the net has anything that a callback could pickle.
    vars(net)["_initialize_callbacks"] = initialize_callbacks
    try:
        yield
    finally:
        vars(net).pop("_initialize_callbacks", None)
        if "callbacks_" in vars(net):
            net.callbacks_ = [one for one in net.callbacks_ if one[1] is not callback]


def _weights_now(net: Any) -> Weights:
    # What is left out is named at the end of the fit.
    weights, _ = collect_weights(net)
    return Weights() if weights is None else weights


def _optimizers_now(net: Any) -> dict[str, Array]:
    """State of a net's optimizers; numbers that are not tensors are so named."""
    found: dict[str, Array] = {}

    def keep(name: str, value: Any) -> None:
        if hasattr(value, "detach"):
            found[name] = value.detach().cpu().numpy()
        elif isinstance(value, int | float):
            found[f"{name}/{_NUMBER}"] = np.array(value)
        elif isinstance(value, tuple) and all(
            isinstance(v, int | float) for v in value
        ):
            found[f"{name}/{_NUMBER}"] = np.array(value)
        else:
            raise TypeError(f"{name} is a {type(value).__name__}, and not an array")

    for name in net._optimizers:
        state = getattr(net, f"{name}_").state_dict()
        for number, entry in state["state"].items():
            for key, value in entry.items():
                keep(f"{name}/{number}/{key}", value)
        for number, group in enumerate(state["param_groups"]):
            for key, value in group.items():
                # Names and what was left out do not change in training.
                if key != "params" and not isinstance(value, str | type(None)):
                    keep(f"{name}/{_GROUP}{number}/{key}", value)
    return found


_GROUP, _NUMBER = "group ", "number"


def _restore_optimizers(net: Any, found: Mapping[str, Array]) -> None:
    import torch

    for name in net._optimizers:
        optimizer = getattr(net, f"{name}_")
        state = optimizer.state_dict()
        for path, array in found.items():
            of, number, key, *kind = path.split("/")
            if of != name:
                continue
            if kind:
                value = tuple(array.tolist()) if array.ndim else array.item()
            else:
                value = torch.from_numpy(array.copy())
            if number.startswith(_GROUP):
                groups = state["param_groups"]
                groups[int(number.removeprefix(_GROUP))][key] = value
            else:
                state["state"].setdefault(int(number), {})[key] = value
        optimizer.load_state_dict(state)


def _resume(net: Any) -> None:
    net.set_params(warm_start=True)
    net.history_.clear()
    # Of the best candidate, the moments at the end of training were restored.
    net.initialize_optimizer()


EXTRACTORS: dict[str, Callable[[Any], Weights]] = {
    "skorch.net.NeuralNet": extract_skorch,
    "torch.nn.modules.module.Module": extract_module,
    "torch.Tensor": lambda tensor: _collect(iter([("", tensor)])),
    "torch.device": lambda device: Weights(),
    "torch.dtype": lambda dtype: Weights(),
}
"""Qualified class name -> function; subclasses included."""

REBUILDERS = {
    "skorch.net.NeuralNet": Rebuilder(_describe, _rebuild),
    "torch.nn.modules.module.Module": Rebuilder(_describe_module, _rebuild_module),
    **{
        name: _value(name, take, make)
        for name, take, make in (
            ("torch.nn.parameter.Parameter", _described, _made),
            ("torch.Tensor", _described, _made),
            ("torch.device", str, _device),
            ("torch.dtype", _text_of, _dtype),
        )
    },
}
"""Qualified class name -> how it is rebuilt; subclasses included."""

CONTENTS = {"torch.nn.modules.module.Module": _module_content}
"""Qualified class name -> what distinguishes its objects from one another."""

EPOCHS = {
    "skorch.net.NeuralNet": Epochs(
        watch=_watch, resume=_resume, restore=_restore_optimizers
    )
}
"""Qualified class name -> how its epochs are followed; subclasses included."""

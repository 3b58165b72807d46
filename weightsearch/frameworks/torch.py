"""Weights of PyTorch modules and skorch nets.

Names are torch's own: the keys of ``state_dict()``, parameters and buffers alike.
Arrays are no copies where torch allows it: a tensor in host memory and its array
share their bytes, so training that goes on changes the array too. Copy what must
outlive that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sklearn.exceptions import NotFittedError

from weightsearch._records import Array, Weights
from weightsearch.exceptions import UnstorableWeightsWarning
from weightsearch.frameworks._session import leave_out, note
from weightsearch.frameworks._torch_entries import named_entries, trained_parts
from weightsearch.frameworks._torch_rebuild import CONTENTS, REBUILDERS

__all__ = [
    "CONTENTS",
    "EXTRACTORS",
    "REBUILDERS",
    "extract_module",
    "extract_skorch",
]


def extract_module(module: Any) -> Weights:
    """Weights of a bare ``torch.nn.Module``.

    Parameters
    ----------
    module : torch.nn.Module
        Compiled, data-parallel and parametrised modules too.

    Returns
    -------
    Weights
        Every tensor of ``module.state_dict()`` under its key there, in order; the
        prefixes of ``torch.compile`` and of the data-parallel wrappers taken off.
        Tensors that are one and the same are kept once, under the first name;
        the others are in ``ties``.

    Warns
    -----
    UnstorableWeightsWarning
        For entries that have no array: parameters of lazy modules that no batch
        has reached, quantised and sparse tensors, extra state.
    """
    return _collect(named_entries(module))


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
        for prefix, part in trained_parts(net)
        for key, entry in named_entries(part)
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
    """Where and how a tensor's numbers lie; None where it has no plain memory.

    Two tensors are tied where all of it agrees. Parts of one block, as cuDNN lays
    out the weights of an LSTM, differ in their offset.
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
    """Return the tensor as an array in host memory; None where that cannot be."""
    import torch

    if not isinstance(entry, torch.Tensor):
        leave_out(name, f"it is no tensor but of type {type(entry).__name__}")
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
        # torch's answer for what numpy has no type or layout for: sparse, quantised,
        # nested, meta and wrapped tensors.
        leave_out(name, str(error).split("\n", 1)[0].rstrip("."))
        return None
    return array


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
            f"The weight {name!r} is of type {wanted}; its bits are kept as "
            f"{raw.dtype}: {hint}."
        )
    )
    return raw


EXTRACTORS: dict[str, Callable[[Any], Weights]] = {
    "skorch.net.NeuralNet": extract_skorch,
    "torch.nn.modules.module.Module": extract_module,
}
"""Qualified class name -> function; also right for every subclass."""

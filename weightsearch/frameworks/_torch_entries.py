"""What of a PyTorch module or a skorch net is trained, under which name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["named_entries", "trained_parts"]

_COMPILED = "_orig_mod."


def trained_parts(net: Any) -> Iterator[tuple[str, Any]]:
    """Yield the modules and criteria of a skorch net, each with its names' prefix."""
    import torch

    # skorch itself keeps these two lists of what it trains.
    for name in [*net._modules, *net._criteria]:
        part = getattr(net, f"{name}_", None)
        if not isinstance(part, torch.nn.Module):
            continue  # a criterion may be a plain function
        yield "" if name == "module" else f"{name}_/", part


def named_entries(module: Any) -> Iterator[tuple[str, Any]]:
    """Entries of the state dict, under the names they have in the plain module."""
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
    # The innermost first, so that the prefixes outside are still as they were.
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

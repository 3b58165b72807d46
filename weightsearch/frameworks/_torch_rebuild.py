"""skorch's nets, taken apart and put together again.

A net is made of classes: the module, the criterion, the optimizer. They are the
caller's, so a net is only rebuilt with the caller's own estimator; the store adds
weights, which are loaded strictly, and what the fit has found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from weightsearch._records import Array
from weightsearch.exceptions import RebuildError
from weightsearch.frameworks._state._parts import Rebuilder
from weightsearch.frameworks._torch_entries import named_entries, trained_parts

__all__ = ["REBUILDERS"]

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


def _describe(net: Any, complete: bool) -> tuple[dict[str, Any], bool]:
    params = net.get_params(deep=False)
    parts = tuple(net.cuda_dependent_attributes_)
    attributes: dict[str, Any] = {
        "own": {
            name: value
            for name, value in vars(net).items()
            if name not in params
            and name not in _LEFT_OUT
            and not name.startswith(parts)
        },
        # Callbacks may have set some of them from the data.
        "params": {
            name: value for name, value in params.items() if isinstance(value, _PLAIN)
        },
        "history": [_epoch(row, complete) for row in net.history],
    }
    if not complete:
        return attributes, False
    attributes["optimizers"] = {
        name: _optimizer_state(getattr(net, f"{name}_")) for name in net._optimizers
    }
    # What the user's own callbacks know is not kept.
    return attributes, not net.callbacks


def _rebuild(
    net: Any, attributes: Mapping[str, Any], weights: Mapping[str, Array]
) -> Any:
    from skorch.history import History

    known = net.get_params(deep=False)
    net.set_params(
        **{
            name: value
            for name, value in attributes["params"].items()
            if name not in known or isinstance(known[name], _PLAIN)
        }
    )
    net.initialize()
    _load_weights(net, weights)
    for name, value in attributes["own"].items():
        setattr(net, name, value)
    net.history_ = History(attributes["history"])
    for name, state in attributes.get("optimizers", {}).items():
        _restore_optimizer(getattr(net, f"{name}_"), state)
    return net


def _load_weights(net: Any, weights: Mapping[str, Array]) -> None:
    left = dict(weights)
    for prefix, part in trained_parts(net):
        state = part.state_dict()
        names = [prefix + name for name, _ in named_entries(part)]
        loaded = {}
        first: dict[str, str] = {}
        for key, name in zip(state, names, strict=True):
            if name in weights:
                left.pop(name, None)
                loaded[key] = _tensor(weights[name], state[key])
                first[name] = key
            else:
                # Tied: loading the other one sets this one, too.
                loaded[key] = state[key]
        try:
            part.load_state_dict(loaded, strict=True)
        except RuntimeError as error:
            raise RebuildError(
                f"the module that estimator= makes does not take the weights: {error}"
            ) from error
    if left:
        raise RebuildError(
            "the module that estimator= makes does not have the weights "
            + ", ".join(sorted(left)[:5])
        )


def _tensor(array: Array, like: Any) -> Any:
    import torch

    if like.dtype == torch.bfloat16 or str(like.dtype).startswith("torch.float8"):
        # torch takes no array of these types, but their bits.
        bits = torch.int16 if array.dtype.itemsize == 2 else torch.uint8
        raw = np.ascontiguousarray(array).view(f"i{array.dtype.itemsize}")
        return torch.from_numpy(raw.copy()).view(bits).view(like.dtype)
    return torch.from_numpy(array.copy())


def _epoch(row: Mapping[str, Any], complete: bool) -> dict[str, Any]:
    """Take down one epoch; without its batches unless all is wanted."""
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


REBUILDERS = {"skorch.net.NeuralNet": Rebuilder(_describe, _rebuild)}
"""Qualified class name -> who rebuilds it; also right for every subclass."""

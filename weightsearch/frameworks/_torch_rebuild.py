"""skorch's nets, taken apart and put together again.

A net is made of classes: the module, the criterion, the optimizer. They are the
caller's, so a net is only rebuilt with the caller's own estimator; the store adds
weights, which are loaded strictly, and what the fit has found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from weightsearch._records import Array
from weightsearch.exceptions import RebuildError
from weightsearch.frameworks._state._parts import Rebuilder, not_stored
from weightsearch.frameworks._torch_entries import named_entries, trained_parts

__all__ = ["CONTENTS", "REBUILDERS"]

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
    if not getattr(net, "initialized_", False):
        raise NotFittedError
    params = net.get_params(deep=False)
    parts = tuple(net.cuda_dependent_attributes_)
    # What a fit has changed in callbacks is not a param; what they have set in the net,
    # such as a learning rate, is.
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
    # What the user's own callbacks know is not kept.
    return attributes, not net.callbacks


def _rebuild(
    cls: Any, attributes: Mapping[str, Any], weights: Mapping[str, Array]
) -> Any:
    from skorch.history import History

    params = attributes["params"]
    missing = not_stored(params)
    if missing:
        raise RebuildError(
            f"its {missing[0].place} was {missing[0].name}, which no store can hold: "
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
    """What tells one module from another before it is trained: how it is built."""
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
"""Attributes of every module, which training and use change."""


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
"""Qualified class name -> how it is rebuilt; also right for every subclass."""

CONTENTS = {"torch.nn.modules.module.Module": _module_content}
"""Qualified class name -> what tells objects of it from others."""

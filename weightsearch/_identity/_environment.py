"""Versions and global settings of the libraries that take part in a fit.

Only settings that decide what a fit computes, or whether it fails: not how it is
shown, and not how many threads it uses. No library is imported to read them.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from typing import Any

# What takes part in a fit without a class or function of it being named anywhere.
_HIDDEN = {
    "scikit-learn": ("numpy", "scipy"),
    "skorch": ("torch",),
    "scikeras": ("keras", "tensorflow"),
}
_BACKENDS = {"tensorflow": "tensorflow", "torch": "torch", "jax": "jax"}
# By the first word of a distribution's name: where each setting is read, as
# module:attribute. What can be called is called; a dict is a setting per key.
_SOURCES: Mapping[str, tuple[str, ...]] = {
    "numpy": ("numpy:geterr",),
    "scikit": ("sklearn:get_config",),
    "pandas": (
        "pandas:options.future.infer_string",
        "pandas:options.mode.copy_on_write",
        "pandas:options.mode.string_storage",
    ),
    "torch": (
        "torch:get_default_dtype",
        "torch:get_default_device",
        "torch:are_deterministic_algorithms_enabled",
        "torch:get_float32_matmul_precision",
        "torch:is_autocast_enabled",
        "torch:is_grad_enabled",
        "torch:backends.fp32_precision",
        "torch:backends.cuda.matmul.allow_tf32",
        "torch:backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
        "torch:backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
        "torch:backends.cudnn.allow_tf32",
        "torch:backends.cudnn.benchmark",
        "torch:backends.cudnn.deterministic",
        "torch:backends.cudnn.enabled",
        "torch:backends.mkldnn.deterministic",
        "torch:backends.mkldnn.enabled",
        "torch:backends.mkldnn.matmul.fp32_precision",
    ),
    "keras": (
        "keras:config.dtype_policy",
        "keras:config.epsilon",
        "keras:config.floatx",
        "keras:config.image_data_format",
        "keras:config.is_flash_attention_enabled",
        "keras:config.is_nnx_enabled",
        "keras:config.max_epochs",
        "keras:config.max_steps_per_epoch",
    ),
    "tensorflow": (
        "tensorflow:config.experimental.tensor_float_32_execution_enabled",
        "tensorflow:config.functions_run_eagerly",
        "tensorflow:config.optimizer.get_experimental_options",
        "tensorflow:config.optimizer.get_jit",
        "tensorflow:executing_eagerly",
        "tensorflow.python.framework.config:is_op_determinism_enabled",
    ),
    "jax": ("jax:config.values",),
    "xgboost": ("xgboost:get_config",),
}
_IRRELEVANT = frozenset(
    "display print_changed_only working_memory pairwise_dist_chunk_size "
    "verbosity nthread".split()
)
_OF_JAX = frozenset(
    "jax_debug_infs jax_debug_nans jax_default_dtype_bits jax_default_matmul_precision "
    "jax_default_prng_impl jax_disable_jit jax_enable_x64 jax_numpy_dtype_promotion "
    "jax_numpy_rank_promotion jax_threefry_partitionable".split()
)
_PREFIXES = ("get_", "is_", "are_", "config.", "options.", "backends.")


def settings_of(distributions: Iterable[str]) -> dict[str, str]:
    """Return the settings of distributions that decide what a fit computes.

    By name, sorted, such as ``{"torch default_dtype": "torch.float32"}``.
    """
    roots = {name.lower().replace("_", "-").partition("-")[0] for name in distributions}
    found: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for source in (s for root in roots for s in _SOURCES.get(root, ())):
            module, _, dotted = source.partition(":")
            root = module.partition(".")[0]
            for name, value in _values(module, dotted):
                found[f"{root} {name}"] = str(getattr(value, "name", value))
    return dict(sorted(found.items()))


def _values(module: str, dotted: str) -> Iterable[tuple[str, Any]]:
    value: Any = sys.modules.get(module)
    try:
        for part in dotted.split("."):
            value = getattr(value, part)
        if callable(value):
            value = value()
    except Exception:
        return ()  # a setting that this version of the library does not have
    if dotted == "geterr":
        # A warning decides nothing; an exception ends a fit.
        raising = sorted(kind for kind, action in value.items() if action == "raise")
        return [("errors raised", ", ".join(raising) or "none")]
    if module == "jax":
        return [(name, value[name]) for name in sorted(_OF_JAX & set(value))]
    if isinstance(value, dict):
        return [(k, v) for k, v in value.items() if k not in _IRRELEVANT]
    for prefix in _PREFIXES:
        dotted = dotted.removeprefix(prefix)
    return [(dotted, value)]


def versions_of(distributions: Iterable[str]) -> dict[str, str]:
    """Return the versions of distributions and of those they imply, by name, sorted.

    ``"unknown"`` where an installation has lost its metadata. With Keras, also
    ``"keras backend"``.
    """
    found: dict[str, str] = {}
    todo = set(distributions)
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found[name] = _version(name)
        todo.update(_HIDDEN.get(name, ()))
        if name == "keras":
            backend = _keras_backend()
            if backend:
                found["keras backend"] = backend
                todo.add(_BACKENDS.get(backend, "keras"))
    return dict(sorted(found.items()))


@cache
def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"


def _keras_backend() -> str | None:
    config = getattr(sys.modules.get("keras"), "config", None)
    return str(config.backend()) if config is not None else None

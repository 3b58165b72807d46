"""Export weights to file formats of other programs."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from weightsearch._records import Array, Weights

__all__ = ["export_weights"]

_KERAS = ".weights.h5"
_SKOPS = ".skops"


def export_weights(weights: Weights, path: Path, load: Callable[[], Any]) -> Path:
    """Write weights into a file, in the format of its suffix.

    Parameters
    ----------
    weights : Weights
    path : Path
    load : callable
        Returns the fitted estimator, for formats that contain a model.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        If the suffix is unknown.
    FileNotFoundError
        If the folder does not exist.
    ImportError
        If the format's package is not installed.
    """
    suffix = _KERAS if path.name.endswith(_KERAS) else path.suffix
    models = {_KERAS: _keras, _SKOPS: _skops}
    if suffix not in models and suffix not in _WRITERS:
        known = ", ".join([*_WRITERS, *models])
        raise ValueError(f"{path.name!r} must end with one of {known}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent}.")
    # Written aside first, so that an existing file is replaced atomically.
    aside = path.with_name(f".{path.stem}-{secrets.token_hex(8)}{suffix}")
    try:
        if suffix in models:
            models[suffix](load(), aside)
        else:
            _WRITERS[suffix](_complete(weights), aside)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return path


def _complete(weights: Weights) -> dict[str, Array]:
    """Return an array for every name, also for tied ones, which readers do not know."""
    tied = {alias: weights[name] for alias, name in weights.ties.items()}
    return {**weights, **tied}


def _npz(arrays: dict[str, Array], path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _torch(arrays: dict[str, Array], path: Path) -> None:
    import torch

    torch.save({name: _tensor(array) for name, array in arrays.items()}, path)


def _safetensors(arrays: dict[str, Array], path: Path) -> None:
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise ImportError(
            "Writing .safetensors needs safetensors: pip install safetensors"
        ) from error
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    if all(array.dtype.isbuiltin == 1 for array in plain.values()):
        save_file(plain, path)
        return
    from safetensors.torch import save_file as save_tensors

    save_tensors({name: _tensor(array) for name, array in plain.items()}, path)


def _tensor(array: Array) -> Any:
    import torch

    array = np.ascontiguousarray(array)
    if array.dtype.isbuiltin == 1:
        return torch.from_numpy(array.copy())
    # Types of ml_dtypes have the names of torch's; only their bits can be passed.
    bits = {1: np.uint8, 2: np.int16}[array.dtype.itemsize]
    return torch.from_numpy(array.view(bits).copy()).view(
        getattr(torch, array.dtype.name)
    )


def _keras(estimator: Any, path: Path) -> None:
    # The model of a pipeline is its last step.
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    model = getattr(last, "model_", None)
    if model is None or not hasattr(model, "save_weights"):
        raise ValueError(
            f"{_KERAS} files contain the weights of a Keras model, but this candidate "
            f"is a {type(last).__name__}: use .npz."
        )
    model.save_weights(path)


def _skops(estimator: Any, path: Path) -> None:
    try:
        import skops.io
    except ImportError as error:
        raise ImportError("Writing .skops needs skops: pip install skops") from error
    skops.io.dump(estimator, path)


_WRITERS: dict[str, Callable[[dict[str, Array], Path], None]] = {
    ".npz": _npz,
    ".pt": _torch,
    ".pth": _torch,
    ".safetensors": _safetensors,
}

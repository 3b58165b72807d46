"""Reading the specs that a store holds, and doubting them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weightsearch._records import WeightSpec, WeightSpecs
from weightsearch.store import _json
from weightsearch.store._hdf5 import _layout as names
from weightsearch.store._hdf5._codec import Stored, parse_dtype, stored_as
from weightsearch.store._hdf5._columns import read_text
from weightsearch.store._hdf5._guard import corrupt
from weightsearch.store._hdf5._names import to_paths
from weightsearch.store._hdf5._safe import SafeGroup
from weightsearch.store._hdf5._safe_dataset import SafeDataset

__all__ = ["Spec", "open_array", "read_json", "read_spec"]


@dataclass(frozen=True)
class Spec:
    """The spec of a layout, or of the best estimator's weights.

    Attributes
    ----------
    kind : {"stacked", "ragged"}
    weights : WeightSpecs
        In a ragged layout each axis has the length -1.
    paths : list of str
        Of each array, relative to the group of the weights.
    """

    kind: str
    weights: WeightSpecs
    paths: list[str]


def read_json(group: SafeGroup, name: str, kind: type) -> Any:
    """Read a JSON text that must hold a value of this kind."""
    value = _json.loads(read_text(group, name), path=group.path, place=group.at(name))
    if not isinstance(value, kind):
        raise corrupt(
            f"holds no JSON of kind {kind.__name__}", group.path, group.at(name)
        )
    return value


def read_spec(group: SafeGroup, name: str) -> Spec:
    """Read a spec.

    Raises
    ------
    CorruptStoreError
        It says what cannot be: an unknown kind, impossible shapes, two arrays in
        one place.
    """
    value = read_json(group, name, dict)
    place = group.at(name)
    kind = value.get(names.J_KIND)
    listed = value.get(names.J_ARRAYS)
    if kind not in (names.STACKED, names.RAGGED):
        raise corrupt(f"unknown kind of layout {kind!r}", group.path, place)
    if not isinstance(listed, list) or len(listed) > names.MAX_ARRAYS:
        raise corrupt("no list of arrays, or a far too long one", group.path, place)
    arrays, paths = [], []
    for item in listed:
        if not isinstance(item, dict):
            raise corrupt("an array's entry is no object", group.path, place)
        arrays.append(_weight(item, kind, group.path, place))
        paths.append(str(item.get(names.J_PATH)))
    try:
        fits = paths == to_paths(spec.name for spec in arrays)
    except ValueError as exc:
        raise corrupt(str(exc), group.path, place) from exc
    if not fits:
        raise corrupt("paths that do not follow from names", group.path, place)
    ties, encodings = (
        _texts(value.get(key, {}), group.path, place)
        for key in (names.J_TIES, names.J_ENCODINGS)
    )
    return Spec(kind, WeightSpecs(tuple(arrays), ties, encodings), paths)


def open_array(
    group: SafeGroup, path: str, spec: WeightSpec, shape: tuple[int, ...] | None
) -> tuple[SafeDataset, Stored]:
    """Open the dataset of an array and hold it to type and shape.

    Parameters
    ----------
    shape : tuple of int or None
        Of the dataset, without the axis of a stand-in; None for a ragged one, which
        has one axis of any length.
    """
    true = parse_dtype(spec.dtype)
    if true is None:
        dataset = group.dataset(path)
        if dataset.dtype.kind != "u":
            raise corrupt(
                f"{spec.dtype} must be kept as unsigned integers",
                group.path,
                dataset.place,
            )
        stored = Stored(None, dataset.dtype)
    else:
        stored = stored_as(true)
        dataset = group.dataset(path, stored.storage)
    found = dataset.shape
    expected = (found[:1] if shape is None else shape) + stored.extra
    if found != expected or (not found and shape is None):
        raise corrupt(
            f"has shape {found} instead of {expected}", group.path, dataset.place
        )
    return dataset, stored


def _weight(item: dict[str, Any], kind: str, path: str, place: str) -> WeightSpec:
    name, order = item.get(names.J_NAME), item.get(names.J_ORDER)
    dtype = item.get(names.J_DTYPE)
    if kind == names.STACKED:
        shape: Any = item.get(names.J_SHAPE)
        good = isinstance(shape, list) and all(
            type(length) is int and 0 <= length < 2**62 for length in shape
        )
    else:
        ndim: Any = item.get(names.J_NDIM)
        good = type(ndim) is int and 0 <= ndim <= names.MAX_NDIM
        shape = [-1] * ndim if good else None
    if not good or len(shape) > names.MAX_NDIM:
        raise corrupt(f"{name!r} has no possible shape", path, place)
    if not isinstance(name, str) or order not in ("C", "F"):
        raise corrupt(f"{name!r} has no name or no memory order", path, place)
    text = json.dumps(dtype) if isinstance(dtype, dict) else dtype
    try:
        if not isinstance(text, str):
            raise ValueError("no type")
        parse_dtype(text)
    except (ValueError, TypeError, KeyError) as exc:
        raise corrupt(f"{name!r} has no possible type: {exc}", path, place) from exc
    return WeightSpec(name, tuple(shape), text, order)


def _texts(value: Any, path: str, place: str) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(
        isinstance(item, str) for item in value.values()
    ):
        raise corrupt("ties or encodings are not names of names", path, place)
    return value

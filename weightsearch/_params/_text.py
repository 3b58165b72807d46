"""The text of params: one way to write it, limits to read it, what makes it equal."""

from __future__ import annotations

import json
import re
from typing import Any

from weightsearch.exceptions import CorruptStoreError

MAX_TEXT = 1 << 24  # characters of a candidate's params that are read
MAX_VALUE = 1 << 16  # characters of one value; what is longer is known by digest
MAX_INLINE = 64  # elements of an array that are written out
LONG = 1100  # bits; beyond any float, below what Python refuses to print
DTYPE = re.compile(r"[<>|=]?[A-Za-z]\d{0,9}(\[\w+\])?")


def dump(tree: Any) -> str:
    """Write a tree of JSON values in the one way that is used here."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)


def load(text: str) -> dict[str, Any]:
    """Read a candidate's params as a tree of JSON values, checked for its shape."""
    if len(text) > MAX_TEXT:
        raise CorruptStoreError(
            f"A candidate's params have {len(text)} characters, more than {MAX_TEXT}."
        )
    try:
        tree = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise CorruptStoreError(
            f"A candidate's params are no valid JSON: {error}"
        ) from error
    if not isinstance(tree, dict):
        raise CorruptStoreError("A candidate's params are no JSON object.")
    return tree


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def exact_text(text: str) -> str:
    """Text that is equal for exactly equal params: without the words of a repr."""
    if '"$object"' not in text:
        return text
    try:
        return dump(_without_words(json.loads(text)))
    except (TypeError, AttributeError) as error:
        raise _malformed(error) from error


def loose_text(text: str) -> str:
    """Text that is equal where Python's ``==`` is: ``1 == 1.0 == True``."""
    try:
        return dump(_loosened(_without_words(json.loads(text))))
    except (TypeError, AttributeError, LookupError) as error:
        raise _malformed(error) from error


def _malformed(error: Exception) -> CorruptStoreError:
    return CorruptStoreError(f"Params are not written as params are: {error!r}")


def _without_words(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_without_words(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {"$object"} and tree["$object"].get("digest"):
        return {"$object": {k: v for k, v in tree["$object"].items() if k != "repr"}}
    return {name: _without_words(item) for name, item in tree.items()}


def _loosened(tree: Any) -> Any:
    if isinstance(tree, bool):
        return int(tree)
    if isinstance(tree, float):
        return int(tree) if tree.is_integer() else tree
    if isinstance(tree, list):
        return [_loosened(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {"$complex"} and tree["$complex"][1] == 0:
        return _loosened(tree["$complex"][0])
    if tree.keys() == {"$array"} and "values" in tree["$array"]:
        array = tree["$array"]
        return {"$array": [array["shape"], _loosened(array["values"])]}
    if tree.keys() & {"$set", "$frozenset"} and len(tree) == 1:
        (items,) = tree.values()
        return {"$set": sorted(map(_loosened, items), key=dump)}
    if tree.keys() == {"$dict"}:
        return {"$dict": sorted(map(_loosened, tree["$dict"]), key=dump)}
    return {name: _loosened(item) for name, item in tree.items()}

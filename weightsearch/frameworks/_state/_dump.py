"""From a fitted estimator to what makes it again."""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from weightsearch._records import Array, ModelState
from weightsearch.frameworks._state._files import FileKeeper
from weightsearch.frameworks._state._parts import stand_ins
from weightsearch.frameworks._state._schema import split
from weightsearch.frameworks._state._skops import SCHEMA, take_down

__all__ = ["FORMAT", "SCHEMA", "capture_state"]

FORMAT = 1
_LONG_TEXT = 2000
"""Characters of a state's text from which on it is a content, too."""
_LONG = 400
"""Longer values are kept as contents of their own: candidates may share them."""
_SHORT = 1 << 16
"""Characters up to which a text is remembered with what it is compressed to."""


def capture_state(
    estimator: Any, weights: Mapping[str, Array], *, complete: bool = False
) -> ModelState:
    """Take down what makes a fitted estimator of its weights again.

    Parameters
    ----------
    estimator : object
        Fitted. It is not changed.
    weights : mapping of str -> ndarray
        All its weights; arrays among them are not kept once more.
    complete : bool, default=False
        Whether it must be able to go on training as well: the moments of an
        optimizer, say, which take more room than the weights.

    Returns
    -------
    ModelState
        Where the estimator holds what cannot be kept, its text says so: a model
        without a state must not end a search.
    """
    try:
        return _capture(estimator, weights, complete)
    except Exception as error:
        # Whatever a class does when it is asked for its state.
        reason = f"{type(error).__name__}: {error}" if str(error) else repr(error)
        return ModelState(json.dumps({"format": FORMAT, "error": reason[:1000]}))


def _capture(
    estimator: Any, weights: Mapping[str, Array], complete: bool
) -> ModelState:
    memo, is_complete = stand_ins(estimator, complete)
    # What is put in another's place is put there by its identity.
    plain = copy.deepcopy(estimator, memo) if memo else estimator
    schema, contents = take_down(plain)
    skeleton, values, files = split(schema)
    blobs: dict[str, bytes] = {}
    keeper = FileKeeper(weights, blobs)
    text: dict[str, Any] = {
        "format": FORMAT,
        "complete": is_complete,
        "skeleton": _pack(keeper, json.dumps(skeleton, separators=(",", ":"))),
        "values": [
            value if len(value) <= _LONG else _pack(keeper, value) for value in values
        ],
        "files": [keeper.keep(contents[name]) for name in files],
    }
    encoded = json.dumps(text, separators=(",", ":"))
    if len(encoded) > _LONG_TEXT:
        # The texts of all candidates are in memory at times, contents never are.
        text = {key: text[key] for key in ("format", "complete")}
        text["state"] = _pack(keeper, encoded)
        encoded = json.dumps(text, separators=(",", ":"))
    return ModelState(encoded, blobs)


def _pack(keeper: FileKeeper, text: str) -> dict[str, Any]:
    compress = _once if len(text) <= _SHORT else _compressed
    return keeper.keep_blob(compress(text))


def _compressed(text: str) -> bytes:
    return zlib.compress(text.encode())


# All models of a search have much the same skeleton.
_once = lru_cache(maxsize=16)(_compressed)

"""Params as keys: hashable, like a dict to read, and the same after the store."""

from __future__ import annotations

from weightsearch._params._describe import show
from weightsearch._params._encoding import OpaqueParam, decode_params, encode_params
from weightsearch._params._key import ParamsKey, number_alike
from weightsearch._params._mapping import ParamsMapping

__all__ = [
    "OpaqueParam",
    "ParamsKey",
    "ParamsMapping",
    "decode_params",
    "encode_params",
    "number_alike",
    "show",
]

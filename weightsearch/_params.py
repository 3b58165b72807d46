"""Params as keys: hashable, like a dict to read, and the same after the store."""

from __future__ import annotations

from weightsearch._params_decode import OpaqueParam, decode_params
from weightsearch._params_encode import encode_params
from weightsearch._params_key import ParamsKey
from weightsearch._params_mapping import ParamsMapping

__all__ = [
    "OpaqueParam",
    "ParamsKey",
    "ParamsMapping",
    "decode_params",
    "encode_params",
]

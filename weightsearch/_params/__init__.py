"""Params of candidates: their encoding, their text, and keys made of them."""

from __future__ import annotations

from weightsearch._params._describe import show
from weightsearch._params._encoding import OpaqueParam, decode_params, encode_params
from weightsearch._params._keys import ParamsKey, ParamsMapping, number_alike

__all__ = [
    "OpaqueParam",
    "ParamsKey",
    "ParamsMapping",
    "decode_params",
    "encode_params",
    "number_alike",
    "show",
]

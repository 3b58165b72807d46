"""Everything besides weights that makes a fitted estimator of them.

``docs/format.md`` describes the form of a state. Nothing in it is ever executed or
unpickled: it names types, which are constructed if they are trusted.
"""

from weightsearch.frameworks._state._decode import (
    ModelMaker,
    is_complete,
    kind_of_model,
    rebuild,
    why_not,
)
from weightsearch.frameworks._state._encode import capture_state, failed_state

__all__ = [
    "ModelMaker",
    "capture_state",
    "failed_state",
    "is_complete",
    "kind_of_model",
    "rebuild",
    "why_not",
]

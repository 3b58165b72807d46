"""States of models: what besides weights makes a fitted estimator predict again.

``docs/format.md`` specifies their form. Nothing in a state is executed or unpickled: it
names types, which are constructed if they are trusted. ``_encode`` makes a state,
``_decode`` an estimator; ``_special_types`` has the types that are more than their
attributes, ``_compiled`` those whose content must be checked, ``_trust`` decides what
may be constructed, and ``_parts`` asks the frameworks for their own estimators.
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

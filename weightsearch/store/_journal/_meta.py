"""The table ``meta`` of a journal: what it must hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from weightsearch._records import RunHeader
from weightsearch.store._journal import _format as fmt

__all__ = ["check_meta", "parse_header"]

_MAPPINGS = {"environment", "estimator", "settings", "identity"}


def parse_header(value: Any) -> RunHeader:
    """Make a run's header of its JSON value.

    Raises
    ------
    KeyError, TypeError
        If something is missing or of the wrong type.
    """
    known = {field.name: value[field.name] for field in fields(RunHeader)}
    for name, item in known.items():
        kind: Any = Mapping if name in _MAPPINGS else str
        missing = name == "fingerprint" and item is None
        if not (missing or isinstance(item, kind)):
            raise TypeError(f"the header's {name} is {item!r:.100}")
    return RunHeader(**known)


def check_meta(meta: Mapping[str, Any]) -> None:
    """Check all values but the header's.

    Raises
    ------
    ValueError
        If one is not what it must be.
    """
    if meta.get(fmt.M_FORMAT) != fmt.FORMAT:
        raise ValueError("it is no journal of weightsearch")
    if meta.get(fmt.M_VERSION) != fmt.JOURNAL_VERSION:
        raise ValueError("journal_version contradicts the database's user_version")
    counts = [meta.get(fmt.M_SYNCED), meta.get(fmt.M_SPLITS) or 0]
    finish = meta.get(fmt.M_FINISH)
    if finish is not None:
        good = (
            isinstance(finish, dict)
            and isinstance(finish.get("finished"), str)
            and isinstance(finish.get("parts"), list)
            and type(finish.get("best_index")) in (int, type(None))
        )
        if not good:
            raise ValueError("finish is not what it must be")
        counts.append(finish.get("n_fits"))
    if any(type(count) is not int or not 0 <= count < 2**62 for count in counts):
        raise ValueError("a count is no count")

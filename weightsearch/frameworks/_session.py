"""State shared by the parts of one extraction: their path, and what was left out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from weightsearch._records import Weights
from weightsearch._views import encode_rows, rows_of
from weightsearch.exceptions import UnstorableWeightsWarning

__all__ = ["join", "leave_out", "merge", "note", "session"]

SEPARATOR = "/"


@dataclass
class Session:
    """State of one extraction, with all its parts."""

    path: list[str] = field(default_factory=list)
    """Names of the parts, from the whole to the current one."""
    active: set[int] = field(default_factory=set)
    """``id`` of the estimators on that path: meeting one again is a cycle."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Full names of what cannot be stored, each with the reason."""
    notes: list[Warning] = field(default_factory=list)
    """Further warnings."""

    @contextmanager
    def within(self, name: str, part: object) -> Iterator[None]:
        """Descend into a part."""
        self.path.append(name)
        self.active.add(id(part))
        try:
            yield
        finally:
            self.active.discard(id(part))
            self.path.pop()


# A context variable, since fits may end in several threads at a time.
_current: ContextVar[Session | None] = ContextVar("_current", default=None)


@contextmanager
def session() -> Iterator[tuple[Session, bool]]:
    """Join the current extraction, or begin one.

    Yields
    ------
    session : Session
    outermost : bool
        Whether this call began it.
    """
    outer = _current.get()
    inner = outer or Session()
    token = _current.set(inner)
    try:
        yield inner, outer is None
    finally:
        _current.reset(token)


def leave_out(name: str, reason: str) -> None:
    """Record that the weight `name` of the current part cannot be stored.

    Parameters
    ----------
    name : str
        Its name within the part.
    reason : str
        Why, as half a sentence without a full stop.

    Warns
    -----
    UnstorableWeightsWarning
        At once outside an extraction, else with the warning about the whole.
    """
    current = _current.get()
    if current is None:
        warnings.warn(
            f"{name} is left out: {reason}.", UnstorableWeightsWarning, stacklevel=3
        )
    else:
        path = SEPARATOR.join(part for part in (*current.path, name) if part)
        current.left_out.append((path, reason))


def note(warning: Warning) -> None:
    """Warn about the current part: at once, or when the whole is done."""
    current = _current.get()
    if current is None:
        warnings.warn(warning, stacklevel=3)
    else:
        current.notes.append(warning)


def merge(into: Weights, weights: Weights, prefix: str = "") -> None:
    """Add `weights` to `into`, names prefixed; leave out a name that is taken."""
    for name, array in weights.items():
        full = join(prefix, name)
        if full in into:
            leave_out(name, "its name is taken")
        else:
            into[full] = array
    for alias, name in weights.ties.items():
        into.ties.setdefault(join(prefix, alias), join(prefix, name))
    for name, encoding in weights.encodings.items():
        rows = rows_of(encoding)
        if rows is not None:
            encoding = encode_rows(join(prefix, rows))
        into.encodings.setdefault(join(prefix, name), encoding)


def join(prefix: str, name: str) -> str:
    """Join two parts of a weight's name, either of which may be empty."""
    return f"{prefix}{SEPARATOR}{name}" if prefix and name else prefix or name

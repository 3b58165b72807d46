"""A candidate's params as one hashable key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from weightsearch._display import cut
from weightsearch._params._decode import decode_params
from weightsearch._params._encode import encode_params
from weightsearch._params._text import dump, exact_text, load, loose_text

_LONG = 1000  # characters of a value that are shown


class ParamsKey(Mapping[str, Any]):
    """A candidate's params: a read-only dict that can be a dict's key.

    Two keys are equal only if they are exactly equal, types of numbers included, so
    that ``max_features=1`` (one feature) and ``max_features=1.0`` (all of them) are
    two keys; numpy scalars count as Python's numbers. A plain dict is equal to a key
    as Python has it, ``1 == 1.0``. Arrays, estimators, functions and classes are
    compared by content.

    Parameters
    ----------
    params : mapping of str to object
        Must not be changed afterwards. Its values are shown as they are; a key from
        :meth:`from_json` shows ``OpaqueParam`` for what is no plain value.

    Examples
    --------
    >>> key = ParamsKey({"alpha": 0.1, "solver": "adam"})
    >>> key["alpha"]
    0.1
    >>> key == {"solver": "adam", "alpha": 0.1}
    True
    """

    __slots__ = ("_exact", "_loose", "_text", "_values")

    _text: str
    _values: dict[str, Any] | None
    _exact: str | None
    _loose: str | None

    def __init__(self, params: Mapping[str, Any]):
        self._set(encode_params(params), dict(params))

    def _set(self, text: str, values: dict[str, Any] | None) -> None:
        self._text = text
        self._values = values
        self._exact = None
        self._loose = None

    @classmethod
    def from_json(cls, text: str) -> ParamsKey:
        """Make a key of stored text; it is read when it is first needed.

        Parameters
        ----------
        text : str
            From :meth:`to_json` or ``encode_params``.
        """
        key = cls.__new__(cls)
        key._set(text, None)
        return key

    def to_json(self) -> str:
        """Return the params as canonical JSON."""
        return self._text

    @property
    def exact(self) -> str:
        """Text that is equal for equal keys."""
        if self._exact is None:
            self._read()  # what is damaged must not become a key
            # Read and written once more, for text that another program may have made.
            self._exact = exact_text(dump(load(self._text)))
        return self._exact

    @property
    def loose(self) -> str:
        """Text that is equal for keys that one plain dict is equal to."""
        if self._loose is None:
            self._loose = loose_text(self.exact)
        return self._loose

    def texts(self) -> dict[str, tuple[str, str]]:
        """Exact and loose text of each value, by name."""
        exact, loose = load(self.exact), load(self.loose)
        return {name: (dump(exact[name]), dump(loose[name])) for name in exact}

    def _read(self) -> dict[str, Any]:
        if self._values is None:
            self._values = decode_params(self._text)
        return self._values

    def __getitem__(self, name: str) -> Any:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __hash__(self) -> int:
        return hash(self.exact)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ParamsKey):
            return self.exact == other.exact
        if not isinstance(other, Mapping):
            return NotImplemented
        if not all(isinstance(name, str) for name in other):
            return False
        return self.loose == ParamsKey(other).loose

    def __repr__(self) -> str:
        values = decode_params(self._text).items()
        shown = (f"{name!r}: {cut(show(value), _LONG)}" for name, value in values)
        return f"{{{', '.join(shown)}}}"

    def __reduce__(self) -> tuple[Any, ...]:
        # By text alone: live values, such as a lambda, may not be picklable.
        return _from_json, (self._text,)


def show(value: Any) -> str:
    """Return a value's repr, also where Python refuses to print a long integer."""
    try:
        return repr(value)
    except ValueError:
        return f"<{type(value).__name__} of very long integers>"


def _from_json(text: str) -> ParamsKey:
    return ParamsKey.from_json(text)

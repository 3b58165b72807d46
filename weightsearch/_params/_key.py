"""A candidate's params as one hashable key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from weightsearch._display import cut, numbered
from weightsearch._params._describe import show
from weightsearch._params._encoding import (
    OpaqueParam,
    decode_params,
    dump,
    encode_params,
    exact_text,
    load,
    loose_text,
)

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

    __slots__ = ("_exact", "_loose", "_shown", "_text", "_values")

    _text: str
    _values: dict[str, Any] | None
    _shown: dict[str, Any] | None
    _exact: str | None
    _loose: str | None

    def __init__(self, params: Mapping[str, Any]):
        self._set(encode_params(params), dict(params))

    def _set(self, text: str, values: dict[str, Any] | None) -> None:
        self._text = text
        self._values = values
        self._shown = None
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

    def shown(self) -> Mapping[str, Any]:
        """Return the values as the store has them, whose repr is short."""
        if self._shown is None:
            self._shown = decode_params(self._text)
        return self._shown

    def _read(self) -> Mapping[str, Any]:
        return self.shown() if self._values is None else self._values

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
        values = self.shown().items()
        shown = (f"{name!r}: {cut(show(value), _LONG)}" for name, value in values)
        return f"{{{', '.join(shown)}}}"

    def __reduce__(self) -> tuple[Any, ...]:
        # By text alone: live values, such as a lambda, may not be picklable.
        return _from_json, (self._text,)


def number_alike(keys: Iterable[ParamsKey]) -> None:
    """Give objects that differ but have the same text a number in what keys show.

    Parameters
    ----------
    keys : iterable of ParamsKey
        Of all candidates of a run; changed in place.
    """
    having: dict[str, list[dict[str, Any]]] = {}
    for key in keys:
        if _HAS_OBJECTS.search(key.to_json()):
            key._shown = dict(key.shown())
            for name in key._shown:
                having.setdefault(name, []).append(key._shown)
    for name, shown in having.items():
        objects = list(_objects([values[name] for values in shown]))
        texts = list(map(repr, objects))
        new = numbered(objects, texts, lambda i, o=objects: _longer(o[i]))  # type: ignore[misc]
        changed = {
            one: replace(one, label=text)
            for one, old, text in zip(objects, texts, new, strict=True)
            if text != old
        }
        if changed:
            for values in shown:
                values[name] = _replaced(values[name], changed)


_HAS_OBJECTS = re.compile(r'"\$(function|class|estimator|object|array)":')


def _objects(value: Any) -> Iterator[OpaqueParam]:
    if isinstance(value, OpaqueParam):
        yield value
    elif isinstance(value, dict):
        for pair in value.items():
            yield from _objects(pair)
    elif type(value) in (list, tuple, set, frozenset):
        for item in value:
            yield from _objects(item)


def _replaced(value: Any, changed: Mapping[OpaqueParam, OpaqueParam]) -> Any:
    if isinstance(value, OpaqueParam):
        return changed.get(value, value)
    if isinstance(value, dict):
        return {
            _replaced(key, changed): _replaced(item, changed)
            for key, item in value.items()
        }
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_replaced(item, changed) for item in value)
    return value


def _longer(value: OpaqueParam) -> str:
    """Text of an object with its module, where that is a library's."""
    known = value.kind in ("function", "class")
    return value.name if known and value.label is None else repr(value)


def _from_json(text: str) -> ParamsKey:
    return ParamsKey.from_json(text)

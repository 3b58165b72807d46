"""Params as hashable keys, and a mapping that looks candidates up by them."""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Generic, TypeVar

from weightsearch._display import (
    MAX_COLUMNS,
    MAX_ROWS,
    cut,
    did_you_mean,
    distinct,
    numbered,
    table,
    view,
)
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
from weightsearch.exceptions import WeightsNotFoundError

__all__ = ["ParamsKey", "ParamsMapping", "number_alike"]

V = TypeVar("V")

_NEAREST = 3
_HAS_OBJECTS = re.compile(r'"\$(function|class|estimator|object|array)":')
_LONG = 1000  # characters of a value that are shown


class ParamsKey(Mapping[str, Any]):
    """A candidate's params: a read-only dict that can be a dict's key.

    Two keys are equal only if all values are equal, with the types of numbers:
    ``max_features=1`` (one feature) and ``max_features=1.0`` (all of them) are two
    keys. Numpy scalars count as Python's numbers. A plain dict is compared with a key
    as Python compares dicts, ``1 == 1.0``. Arrays, estimators, functions and classes
    are compared by content.

    Parameters
    ----------
    params : mapping of str to object
        Must not be changed afterwards. A key made of them has these values; a key from
        :meth:`from_json` has ``OpaqueParam`` for what is not a plain value.

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
        """Make a key of the text of :meth:`to_json`, decoded when first needed."""
        key = cls.__new__(cls)
        key._set(text, None)
        return key

    def to_json(self) -> str:
        """Return the params as canonical JSON."""
        return self._text

    @property
    def exact(self) -> str:
        """Text that is equal for equal keys, and only for these."""
        if self._exact is None:
            self._read()  # damaged text must not become a key
            # Normalized, since another program may have written the text.
            self._exact = exact_text(dump(load(self._text)))
        return self._exact

    @property
    def loose(self) -> str:
        """Text that is equal for keys that are equal to the same plain dicts."""
        if self._loose is None:
            self._loose = loose_text(self.exact)
        return self._loose

    def texts(self) -> dict[str, tuple[str, str]]:
        """Exact and loose text of each value, by name."""
        exact, loose = load(self.exact), load(self.loose)
        return {name: (dump(exact[name]), dump(loose[name])) for name in exact}

    def shown(self) -> Mapping[str, Any]:
        """Return the values as they are stored, whose repr is short."""
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
        # As text: the values, such as a lambda, may not be picklable.
        return _from_json, (self._text,)


def number_alike(keys: Iterable[ParamsKey]) -> None:
    """Number different objects of one text in what the keys of a run show, in place."""
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
    """Return the text of an object, with its module where that is a library's."""
    known = value.kind in ("function", "class")
    return value.name if known and value.label is None else repr(value)


def _from_json(text: str) -> ParamsKey:
    return ParamsKey.from_json(text)


class ParamsMapping(Mapping[ParamsKey, V], Generic[V]):
    """Read-only, lazy mapping from the params of candidates to what belongs to them.

    Look up with plain dicts, in any order, with estimators, functions, classes and
    arrays as values. Where no candidate has exactly these params, one is found whose
    values are equal in Python (``1 == 1.0``). Of candidates with equal params, the
    first one is used.

    Parameters
    ----------
    keys : sequence of ParamsKey
    load : callable
        Position in ``keys`` -> value.
    missing : mapping of ParamsKey to str, optional
        Params of candidates without a value, each with a sentence that says why.
    """

    def __init__(
        self,
        keys: Sequence[ParamsKey],
        load: Callable[[int], V],
        *,
        missing: Mapping[ParamsKey, str] | None = None,
    ):
        self._keys = list(keys)
        self._load = load
        self._missing = dict(missing or {})

    @cached_property
    def _exact(self) -> dict[str, int]:
        return _first_positions(key.exact for key in self._keys)

    @cached_property
    def _loose(self) -> dict[str, int]:
        return _first_positions(key.loose for key in self._keys)

    @cached_property
    def _texts(self) -> list[dict[str, tuple[str, str]]]:
        return [key.texts() for key in self._keys]

    @cached_property
    def _names(self) -> list[str]:
        return list(dict.fromkeys(name for key in self._keys for name in key))

    def __len__(self) -> int:
        return len(self._exact)

    def __iter__(self) -> Iterator[ParamsKey]:
        return (self._keys[position] for position in self._exact.values())

    def __contains__(self, params: object) -> bool:
        key = _as_key(params)
        return key is not None and self._position(key) is not None

    def __getitem__(self, params: Mapping[str, Any]) -> V:
        key = _as_key(params)
        if key is None:
            raise WeightsNotFoundError(
                "Candidates are looked up by a dict of their params, such as "
                f"{self._example()}, not by {params!r}."
            )
        position = self._position(key)
        if position is None:
            raise WeightsNotFoundError(self._explain(key))
        return self._load(position)

    def _position(self, key: ParamsKey) -> int | None:
        position = self._exact.get(key.exact)
        return self._loose.get(key.loose) if position is None else position

    def where(
        self, params: Mapping[str, Any] | None = None, /, **more: Any
    ) -> ParamsMapping[V]:
        """Return the candidates whose params match.

        Parameters
        ----------
        params : mapping of str to object, optional
            For names that are not Python identifiers.
        **more : object
            Params by name.

        Returns
        -------
        ParamsMapping
            Empty if no candidate matches.

        Raises
        ------
        WeightsNotFoundError
            If no candidate has a param of that name.
        """
        wanted = ParamsKey({**(params or {}), **more}).texts()
        unknown = [name for name in wanted if name not in self._names]
        if unknown and self._keys:
            raise WeightsNotFoundError(self._explain_names(unknown))
        chosen = range(len(self._keys))
        positions: list[int] = list(chosen)
        for name, (exact, loose) in wanted.items():
            having = [p for p in chosen if name in self._texts[p]]
            agree = {p for p in having if self._texts[p][name][0] == exact}
            if not agree:
                agree = {p for p in having if self._texts[p][name][1] == loose}
            positions = [p for p in positions if p in agree]
        return ParamsMapping(
            [self._keys[p] for p in positions],
            lambda position: self._load(positions[position]),
            missing=self._missing,
        )

    # -- errors --

    def _explain(self, key: ParamsKey) -> str:
        for known, why in self._missing.items():
            if known == key or known.loose == key.loose:
                return why
        if not self._keys:
            return f"No candidate has the params {key!r}: there are no candidates."
        asked = key.texts()
        unknown = [name for name in asked if name not in self._names]
        if unknown:
            return self._explain_names(unknown)
        nearest = heapq.nsmallest(
            _NEAREST,
            self._exact.values(),
            key=lambda position: (*self._distance(asked, key, position), position),
        )
        lacking = [name for name in self._keys[nearest[0]] if name not in asked]
        text = f"No candidate has the params {key!r}."
        if lacking:
            text += (
                f" Missing: {', '.join(map(repr, lacking))}; where() finds the "
                "candidates that match in some params."
            )
        return text + " Nearest: " + "; ".join(repr(self._keys[p]) for p in nearest)

    def _explain_names(self, unknown: Sequence[str]) -> str:
        sentences = []
        for name in unknown:
            # model__alpha may mean alpha, and the other way round.
            last = name.rpartition("__")[2]
            hint = did_you_mean(name, self._names) or did_you_mean(last, self._names)
            hint = hint or f"Params are {', '.join(map(repr, self._names))}."
            sentences.append(f"No candidate has a param {name!r}. {hint}")
        return " ".join(sentences)

    def _distance(
        self, asked: Mapping[str, tuple[str, str]], key: ParamsKey, position: int
    ) -> tuple[int, float]:
        """Count the params that disagree, then how far numbers are apart."""
        texts = self._texts[position]
        apart = [n for n in {*asked, *texts} if asked.get(n) != texts.get(n)]
        found = self._keys[position]
        return len(apart), sum(_gap(key.get(n), found.get(n)) for n in apart)

    def _example(self) -> str:
        return repr(self._keys[0]) if self._keys else "{'alpha': 0.1}"

    # -- display --

    def __repr__(self) -> str:
        count = f"{len(self)} candidate{'' if len(self) == 1 else 's'}"
        shown: list[str] = []
        room = 78 - len(f"<ParamsMapping: {count} by , ...>")
        for name in self._names:
            values = {distinct(key[name]) for key in self._keys if name in key}
            # Without the steps that it is a param of; names end with what tells them.
            text = f"{cut(name.rpartition('__')[2])} ({len(values)})"
            room -= len(text) + 2
            if shown and room < 0:
                shown.append("...")
                break
            shown.append(text)
        return f"<ParamsMapping: {count}{' by ' * bool(shown)}{', '.join(shown)}>"

    def _repr_html_(self) -> str:
        names = self._names[:MAX_COLUMNS]
        rows = (
            [show(key.shown()[name]) if name in key else "" for name in names]
            for key in itertools.islice(self, MAX_ROWS)
        )
        shown = table(self._names, rows, len(self))
        return view(repr(self)[1:-1], shown)


def _first_positions(texts: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for position, text in enumerate(texts):
        found.setdefault(text, position)
    return found


def _as_key(params: object) -> ParamsKey | None:
    if isinstance(params, ParamsKey):
        return params
    if not isinstance(params, Mapping):
        return None
    if not all(isinstance(name, str) for name in params):
        return None
    return ParamsKey(params)


def _gap(asked: Any, found: Any) -> float:
    """Return the distance of two values: 0 to 1 for numbers, else 2."""
    try:
        span = max(abs(asked), abs(found))
        gap = float(abs(asked - found) / span) if span else 0.0
    except (TypeError, ValueError, OverflowError):
        return 2.0
    return min(gap, 1.0) if gap == gap else 2.0

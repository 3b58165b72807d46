"""What belongs to each candidate, found by its params."""

from __future__ import annotations

import difflib
import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from weightsearch._display import MAX_COLUMNS, MAX_ROWS, cut, escape, table
from weightsearch._params._describe import show
from weightsearch._params._key import ParamsKey
from weightsearch.exceptions import WeightsNotFoundError

V = TypeVar("V")

_NEAREST = 3


class ParamsMapping(Mapping[ParamsKey, V], Generic[V]):
    """Read-only mapping from params to what belongs to a candidate, read when asked.

    Look up with plain dicts in any order, with live estimators, functions, classes
    and arrays as values. Where no candidate has exactly these params, one counts
    whose values are equal as Python has it (``1 == 1.0``). Of candidates with equal
    params, the first one wins.

    Parameters
    ----------
    keys : sequence of ParamsKey
    load : callable
        Position in ``keys`` -> value.
    missing : mapping of ParamsKey to str, optional
        Params of candidates that have no value, each with a sentence that says why.
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
        found: dict[str, int] = {}
        for position, key in enumerate(self._keys):
            found.setdefault(key.exact, position)
        return found

    @cached_property
    def _loose(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for position, key in enumerate(self._keys):
            found.setdefault(key.loose, position)
        return found

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
        """Choose the candidates whose params agree.

        Parameters
        ----------
        params : mapping of str to object, optional
            For names that are no Python identifiers.
        **more : object
            Params by name.

        Returns
        -------
        ParamsMapping
            Empty where no candidate agrees.

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

    # Errors ---------------------------------------------------------------------

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
                f" Not given: {', '.join(map(repr, lacking))}; where() finds the "
                "candidates that agree in some params."
            )
        return text + " Nearest: " + "; ".join(repr(self._keys[p]) for p in nearest)

    def _explain_names(self, unknown: Sequence[str]) -> str:
        sentences = []
        for name in unknown:
            close = difflib.get_close_matches(name, self._names, n=2, cutoff=0.5)
            # model__alpha is meant where alpha is said, and the other way round.
            close += [
                n
                for n in self._names
                if n not in close and n.rpartition("__")[2] == name.rpartition("__")[2]
            ]
            words = " or ".join(map(repr, close[:_NEAREST]))
            sentences.append(
                f"No candidate has a param {name!r}"
                + (f"; did you mean {words}?" if words else ".")
            )
        if not all("did you mean" in sentence for sentence in sentences):
            sentences.append(f"Params are {', '.join(map(repr, self._names))}.")
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

    # To be seen -----------------------------------------------------------------

    def __repr__(self) -> str:
        names = ", ".join(map(cut, self._names[:8]))
        names += ", ..." if len(self._names) > 8 else ""
        count = f"{len(self)} candidate{'' if len(self) == 1 else 's'}"
        return f"<ParamsMapping: {count}{f' by {names}' if names else ''}>"

    def _repr_html_(self) -> str:
        names = self._names[:MAX_COLUMNS]
        rows = (
            [show(key.shown()[name]) if name in key else "" for name in names]
            for key in itertools.islice(self, MAX_ROWS)
        )
        shown = table(self._names, rows, len(self))
        return f"<p>{escape(repr(self), 800)}</p>{shown}"


def _as_key(params: object) -> ParamsKey | None:
    if isinstance(params, ParamsKey):
        return params
    if not isinstance(params, Mapping):
        return None
    if not all(isinstance(name, str) for name in params):
        return None
    return ParamsKey(params)


def _gap(asked: Any, found: Any) -> float:
    """How far two values are apart: 0 to 1 for numbers, 2 for anything else."""
    try:
        span = max(abs(asked), abs(found))
        gap = float(abs(asked - found) / span) if span else 0.0
    except (TypeError, ValueError, OverflowError):
        return 2.0
    return min(gap, 1.0) if gap == gap else 2.0

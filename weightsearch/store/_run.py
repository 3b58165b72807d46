"""What runs in the log and runs in the file have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np

from weightsearch._records import (
    REFIT,
    Array,
    FitSnapshots,
    FitTable,
    RunHeader,
    RunSource,
    Weights,
    WeightSpecs,
)
from weightsearch.exceptions import StoreError, WeightsNotFoundError
from weightsearch.store import _json
from weightsearch.store._checked import corrupt
from weightsearch.store._specs import StoredArray


class ArraySource(Protocol):
    """A log or an architecture: sets of arrays, each at a place in it."""

    def specs_of(self, place: Any, /) -> WeightSpecs: ...

    def stored(self, place: Any, /) -> Iterator[StoredArray]: ...

    def read(self, place: Any, name: str, /) -> Array: ...

    def read_all(self, place: Any, /) -> Weights: ...


class Run(RunSource):
    """A run of which some fits may be held by other runs.

    What is asked of a row is answered by the run that holds its fit, with the methods
    that begin with ``own_``.
    """

    path: str
    """The file, for errors."""
    uid: str

    @abstractmethod
    def held(self, row: int) -> tuple[Run, int]:
        """Return the run that holds a row's fit, and its row there."""

    @abstractmethod
    def place(self, row: int) -> str:
        """Where a row of this run is, for errors."""

    @abstractmethod
    def others(self) -> Iterator[Run]:
        """Yield the runs that hold some of the fits."""

    @abstractmethod
    def own_text(self, row: int) -> str:
        """The result as JSON text; empty where it is that of another row."""

    @abstractmethod
    def own_arrays(self, row: int) -> tuple[ArraySource, Any] | None:
        """Where the weights are; None where there are none."""

    @abstractmethod
    def own_state(self, row: int) -> tuple[str, tuple[str, ...]] | None:
        """The text of the model's state, and the names of its contents."""

    @abstractmethod
    def own_snapshots(self, row: int) -> FitSnapshots | None:
        """Weights of a row while it trained; None where none were wanted."""

    @abstractmethod
    def own_blob_size(self, name: str) -> int | None:
        """Bytes of one content; None if another run has it."""

    @abstractmethod
    def own_blob(self, name: str) -> bytes:
        """One content that this run has, compared with its checksum."""

    def holder(self, row: int) -> tuple[str, int]:
        """The uid of the run that holds a row's fit, and its row there."""
        run, at = self.held(row)
        return run.uid, at

    # -- rows -----------------------------------------------------------------

    def result(self, row: int) -> dict[str, Any]:
        text, place = self.result_text(row), self.place(row)
        value = _json.loads(text, path=self.path, place=place)
        if not isinstance(value, dict):
            raise corrupt("the result is not a JSON object", self.path, place)
        return value

    def result_text(self, row: int) -> str:
        run, at = self.held(row)
        return self.own_text(row) or run.own_text(at)

    def own_result_text(self, row: int) -> str:
        return "" if self.held(row) == (self, row) else self.own_text(row)

    def specs(self, row: int) -> WeightSpecs | None:
        run, at = self.held(row)
        found = run.own_arrays(at)
        return None if found is None else found[0].specs_of(found[1])

    def alike(self, rows: Array) -> list[tuple[WeightSpecs, Array]]:
        found: dict[int, tuple[WeightSpecs, list[int]]] = {}
        for place, row in enumerate(rows.tolist()):
            specs = self.specs(row)
            if specs is not None:
                found.setdefault(id(specs), (specs, []))[1].append(place)
        return [(specs, np.array(places)) for specs, places in found.values()]

    def stored(self, row: int) -> Iterator[StoredArray]:
        source, place = self._arrays(row)
        return source.stored(place)

    def read(self, row: int, name: str) -> Array:
        source, place = self._arrays(row)
        return source.read(place, name)

    def read_all(self, row: int) -> Weights:
        source, place = self._arrays(row)
        return source.read_all(place)

    def stack(self, name: str, rows: Sequence[int]) -> Array:
        # C-contiguous, whatever the order of each array was.
        parts = [(self.read(int(row), name)[None], [n]) for n, row in enumerate(rows)]
        return stack_of(name, parts)

    def _arrays(self, row: int) -> tuple[ArraySource, Any]:
        run, at = self.held(row)
        found = run.own_arrays(at)
        if found is None:
            raise WeightsNotFoundError(f"Fit {row} has no weights.")
        return found

    def state(self, row: int) -> tuple[str, tuple[str, ...]] | None:
        run, at = self.held(row)
        return run.own_state(at)

    def snapshots(self, row: int) -> FitSnapshots | None:
        run, at = self.held(row)
        return run.own_snapshots(at)

    # -- contents of states ---------------------------------------------------

    def blob(self, name: str) -> bytes:
        return self._with_blob(name)[0].own_blob(name)

    def blob_size(self, name: str) -> int:
        return self._with_blob(name)[1]

    def _with_blob(self, name: str) -> tuple[Run, int]:
        for run in chain((self,), self.others()):
            size = run.own_blob_size(name)
            if size is not None:
                return run, size
        raise corrupt(f"their content {name} is missing", self.path, "states")

    # -- the best estimator ---------------------------------------------------

    def _best_row(self) -> int | None:
        best, fits = self.best_index(), self.fits()
        if best is None:
            return None
        refits = (fits.candidate == best) & (fits.split == REFIT) & fits.has_weights
        return max(np.flatnonzero(refits).tolist(), default=None)

    def best_specs(self) -> WeightSpecs | None:
        row = self._best_row()
        return None if row is None else self.specs(row)

    def read_best(self, name: str) -> Array:
        row = self._best_row()
        if row is None:
            raise WeightsNotFoundError("The run has no weights of a best estimator.")
        return self.read(row, name)

    def is_readable(self) -> bool:
        """Whether the run's fits can be listed."""
        try:
            self.header, self.fits()
        except StoreError:
            return False
        return True


Resolve = Callable[[str], Run | None]
"""Returns the run of a uid, or None."""


_HEADER: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("uid", "name", "status", "started", "finished"), str),
    **dict.fromkeys(("environment", "estimator", "settings", "identity"), dict),
    "fingerprint": (str, type(None)),
}


def parse_header(value: Any) -> RunHeader:
    """Return a run's header, given its JSON value; refuse others by a ValueError."""
    wrong = [
        key
        for key, kind in _HEADER.items()
        if not isinstance(value, dict) or not isinstance(value.get(key, 0), kind)
    ]
    if wrong:
        raise ValueError(f"the header lacks {wrong}, or has them wrong")
    return RunHeader(**{key: value[key] for key in _HEADER})


class Referring:
    """A run with another table of its fits; all else is the run's own."""

    def __init__(self, run: RunSource, fits: FitTable):
        self._run = run
        self._fits = fits

    def fits(self) -> FitTable:
        return self._fits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)


def stack_of(name: str, parts: Sequence[tuple[Array, Any]]) -> Array:
    """Join the stacks of some rows, each with its places in the whole."""
    if not parts:
        raise ValueError("rows must have at least one row")
    first = parts[0][0]
    if len(parts) == 1:
        return np.ascontiguousarray(first)
    for other, _ in parts:
        if (other.dtype, other.shape[1:]) != (first.dtype, first.shape[1:]):
            shapes = f"{first.shape[1:]} and {other.shape[1:]}"
            raise unlike(name, f"{shapes} of {first.dtype} and {other.dtype}")
    count = sum(len(part) for part, _ in parts)
    out = np.empty((count, *first.shape[1:]), first.dtype)
    for part, places in parts:
        out[places] = part
    return out


def unlike(name: str, kinds: str) -> ValueError:
    """Return the error for rows that cannot be stacked."""
    return ValueError(
        f"{name!r} is not alike in all rows: {kinds}; select rows of one shape"
    )

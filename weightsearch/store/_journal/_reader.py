"""A run as its journal has it: read as a stored run is, also while it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from weightsearch._records import (
    Array,
    FitTable,
    RunHeader,
    RunSource,
    Weights,
    WeightSpec,
    WeightSpecs,
)
from weightsearch.exceptions import CorruptStoreError, WeightsNotFoundError
from weightsearch.store import _json
from weightsearch.store._journal import _format as fmt
from weightsearch.store._journal._bulk import Rows, open_rows
from weightsearch.store._journal._content import Block, JournalContent
from weightsearch.store._journal._database import Row
from weightsearch.store._journal._live import open_content, refreshed
from weightsearch.store._journal._states import JournalStates

__all__ = ["JournalRun", "Resolve"]

Resolve = Callable[[str], RunSource | None]
"""Finds a run of the store by its uid."""


class JournalRun:
    """The run in a journal; see :class:`~weightsearch._records.RunSource`.

    Nothing is written or created. :meth:`fits` sees what was committed until it is
    called; all other methods, what the last call has seen. Closed when nobody holds
    it any more.

    Parameters
    ----------
    folder : Path
        The journal's folder.
    resolve : callable, default=None
        Takes a run's uid and returns the store's run of that uid, or None; asked for
        fits that this run took over from another one.
    status : {"running", "interrupted"}, default="running"
        What to say of a run that has not ended.
    salvage : bool, default=False
        Leave damaged rows out, and count them in :attr:`n_lost`, instead of raising
        an error.
    on_close : callable, default=None
        Called when the run is closed.

    Raises
    ------
    FileNotFoundError
        If there is no journal.
    CorruptStoreError, StoreVersionError
        If it is damaged, or of a newer version.
    """

    def __init__(
        self,
        folder: Path,
        resolve: Resolve | None = None,
        *,
        status: str = "running",
        salvage: bool = False,
        on_close: Callable[[], None] | None = None,
    ):
        self._resolve = resolve
        self._status = status
        self._on_close = on_close
        self._dropped = False
        self._states_seen: JournalStates | None = None
        self._sources: dict[str, RunSource] = {}
        self.folder = folder
        self._salvage = salvage
        if salvage:
            self.content = JournalContent(folder, salvage=True)
        else:
            self.content = open_content(folder)

    def __enter__(self) -> JournalRun:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        # Where __init__ has failed there is no content.
        content = getattr(self, "content", None)
        if content is not None:
            content.close()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    # -- RunSource ------------------------------------------------------------

    @property
    def header(self) -> RunHeader:
        """Return what is known of the run."""
        header = self.content.header
        finish = self.content.finish
        if finish is not None:
            return replace(header, status="complete", finished=finish["finished"])
        if self._status == "interrupted":
            ended = self.content.columns.last_ended()
            return replace(header, status="interrupted", finished=ended)
        return replace(header, status=self._status)

    @property
    def complete(self) -> bool:
        """Whether the run was finished."""
        return self.content.finish is not None

    def params(self) -> Sequence[str]:
        """Return params of every candidate, encoded as JSON."""
        return list(self.content.params)

    def fits(self) -> FitTable:
        """Return all fits that are there now."""
        if not self._salvage and not self._dropped:
            self.content = refreshed(self.content)
        return self.content.columns.table()

    def result(self, row: int) -> dict[str, Any]:
        """Return ``FitRecord.result`` of a row."""
        record = self.content.row(row)
        other = self._reference(record)
        if other is not None:
            return other[0].result(other[1])
        value = self.content.json(record[10], f"fit {record[0]}")
        if not isinstance(value, dict):
            raise self.content.corrupt(f"fit {record[0]}", "its result is no mapping")
        return value

    def result_text(self, row: int) -> str:
        """Return ``FitRecord.result`` of a row as the JSON text that it is kept as."""
        record = self.content.row(row)
        if record[11] is not None or record[10] is None:
            return _json.dumps(self.result(row))
        return str(record[10], "utf-8")

    def specs(self, row: int) -> WeightSpecs | None:
        """Return names, shapes and types of a row's weights; None where it has none."""
        columns = self.content.columns
        if 0 <= row < len(columns) and not columns.references[row]:
            layout = columns.layouts[row]
            return None if layout < 0 else self.content.layout(layout).specs
        record = self.content.row(row)
        other = self._reference(record)
        if other is not None:
            return other[0].specs(other[1])
        return None if record[8] is None else self.content.layout(record[8]).specs

    def alike(self, rows: Array) -> list[tuple[WeightSpecs, Array]]:
        """Return what rows have, each with its place in `rows`."""
        return [
            (specs, np.array([place]))
            for place, row in enumerate(rows.tolist())
            if (specs := self.specs(row)) is not None
        ]

    def read(self, row: int, name: str) -> Array:
        """Return one array of a row."""
        record = self.content.row(row)
        other = self._reference(record)
        if other is not None:
            return other[0].read(other[1], name)
        if record[8] is None:
            raise WeightsNotFoundError(f"Fit {row} has no weights.")
        return self.content.read(Block.of_fit(record), name)

    def read_all(self, row: int) -> Weights:
        """Return all arrays of a row."""
        record = self.content.row(row)
        other = self._reference(record)
        if other is not None:
            return other[0].read_all(other[1])
        if record[8] is None:
            raise WeightsNotFoundError(f"Fit {row} has no weights.")
        return self.content.read_all(Block.of_fit(record))

    def open_rows(
        self, rows: Sequence[int], arrays: Sequence[WeightSpec], max_bytes: int
    ) -> Rows | None:
        """Open rows of equal arrays to be moved as bytes; see :func:`open_rows`."""
        return open_rows(self.content, rows, arrays, max_bytes)

    def stack(self, name: str, rows: Sequence[int]) -> Array:
        """Return the arrays of one name in many rows, of equal shape, stacked."""
        out: Array | None = None
        for number, row in enumerate(rows):
            one = self.read(int(row), name)
            if out is None:
                out = np.empty((len(rows), *one.shape), one.dtype)
            elif out.shape[1:] != one.shape or out.dtype != one.dtype:
                raise ValueError(
                    f"{name!r} has not one shape and type in these rows: "
                    f"{out.shape[1:]} of {out.dtype}, and {one.shape} of {one.dtype}."
                )
            out[number] = one
        if out is None:
            raise ValueError("There is nothing to stack: no rows were given.")
        return out

    def cv_results(self) -> dict[str, Array]:
        """Return the columns of ``cv_results_``; empty while the run goes on."""
        if self.content.finish is None:
            return {}
        return dict(self.content.read_all(self.content.part(fmt.P_CV_RESULTS)))

    def best_index(self) -> int | None:
        """Return row of the best candidate."""
        finish = self.content.finish
        return None if finish is None else finish["best_index"]

    def best_specs(self) -> WeightSpecs | None:
        """Return names, shapes and types of the best estimator's weights."""
        finish = self.content.finish
        if finish is None or fmt.P_BEST not in finish["parts"]:
            return None
        return self.content.layout(self.content.part(fmt.P_BEST).layout).specs

    def read_best(self, name: str) -> Array:
        """Return one array of the best estimator's weights."""
        if self.best_specs() is None:
            raise WeightsNotFoundError("This run has no weights of a best estimator.")
        return self.content.read(self.content.part(fmt.P_BEST), name)

    def splits(self) -> list[tuple[Array, Array]] | None:
        """Return (train, test) indices, where the run had to keep them."""
        count = self.content.n_splits
        if count is None:
            return None
        arrays = self.content.read_all(self.content.part(fmt.P_SPLITS))
        try:
            return [(arrays[f"{n}/train"], arrays[f"{n}/test"]) for n in range(count)]
        except (KeyError, TypeError) as error:
            raise self.content.corrupt("the splits", f"{error} is missing") from error

    # -- states -----------------------------------------------------------------

    def state(self, row: int) -> tuple[str, tuple[str, ...]] | None:
        """Return what besides weights a row has of its model."""
        number = self.content.id_of(row)
        if self.content.columns.references[row]:
            other = self._reference(self.content.row(row))
            if other is not None:
                return other[0].state(other[1])
        return self._states.state(number)

    def blob(self, name: str) -> bytes:
        """Return one content of the run's states."""
        source = self._source_of(name)
        return self._states.blob(name) if source is None else source.blob(name)

    def blob_size(self, name: str) -> int:
        """Return the bytes of one content."""
        source = self._source_of(name)
        return self._states.nbytes(name) if source is None else source.blob_size(name)

    @property
    def _states(self) -> JournalStates:
        # The content is another one when the journal was opened anew.
        if self._states_seen is None or self._states_seen.content is not self.content:
            self._states_seen = JournalStates(self.content)
        return self._states_seen

    def _source_of(self, name: str) -> RunSource | None:
        """Give the run of the store that has a content; None: it is here."""
        if name in self._states:
            return None
        for source in self._sources.values():
            if source.has_blob(name):
                return source
        return None

    def has_blob(self, name: str) -> bool:
        """Whether the run's states have a content of that name."""
        source = self._source_of(name)
        return source is not None or name in self._states

    # -- damage ---------------------------------------------------------------

    def damaged(self, first: int = 0) -> list[tuple[int, str]]:
        """Return rows that cannot be read in full, each with what is wrong.

        Parameters
        ----------
        first : int
            The first row to look at.
        """
        found: list[tuple[int, str]] = []
        good: set[str] = set()
        for row in range(first, len(self.content.columns)):
            try:
                self.result(row)
                record = self.content.row(row)
                if record[11] is not None:
                    continue
                if record[8] is not None:
                    self.content.check_bytes(Block.of_fit(record))
                _, names = self.state(row) or ("", ())
                for name in set(names).difference(good):
                    self._states.blob(name)
                    good.add(name)
            except CorruptStoreError as error:
                found.append((row, str(error)))
        return found

    def drop(self, rows: Sequence[int]) -> None:
        """Leave rows out from now on, and see no new ones."""
        self._dropped = True
        self.content.n_lost += len(rows)
        self.content.columns.drop(rows)

    @property
    def n_lost(self) -> int:
        """Fits that were left out."""
        return self.content.n_lost

    @property
    def n_synced(self) -> int:
        """Rows whose bytes were on the disk; a power cut may have torn later ones."""
        return self.content.columns.count_below(self.content.synced)

    def _reference(self, record: Row) -> tuple[RunSource, int] | None:
        if record[11] is None:
            return None
        uid = record[11].decode("utf-8", "replace")
        source = self._resolve(uid) if self._resolve is not None else None
        if source is None:
            raise self.content.corrupt(
                f"fit {record[0]}", f"it refers to run {uid}, which the store lacks"
            )
        self._sources[uid] = source
        return source, int(record[12])

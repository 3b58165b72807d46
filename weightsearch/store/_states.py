"""States of models in the file: texts, and the contents that they share."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate

import numpy as np
from h5py import h5g, h5t

from weightsearch._records import Array, RunSource
from weightsearch.exceptions import CorruptStoreError, StoreError
from weightsearch.store import _json
from weightsearch.store import _schema as names
from weightsearch.store._checked import CheckedDataset, CheckedGroup
from weightsearch.store._columns import (
    append_block,
    create_dataset,
    read_column,
    read_texts,
    write_attribute,
    write_column,
    write_texts,
)


def write_states(
    group: h5g.GroupID, table: h5g.GroupID, run: RunSource, own: Array
) -> None:
    """Write the states of a run's own fits; nothing where there are none."""
    state_of = np.full(len(own), -1, "<i8")
    texts: list[str] = []
    needs: list[str] = []
    numbers: dict[str, int] = {}
    for row in np.flatnonzero(own).tolist():
        state = run.state(row)
        if state is None:
            continue
        state_of[row] = len(texts)
        texts.append(state[0])
        wanted = [numbers.setdefault(name, len(numbers)) for name in state[1]]
        needs.append(_json.dumps(wanted))
    if not texts:
        return
    write_column(table, names.D_STATE, state_of)
    states = h5g.create(group, names.G_STATES.encode())
    write_attribute(states, names.A_N_STATES, len(texts))
    write_texts(states, names.D_MODEL, texts)
    write_texts(states, names.D_NEEDS, needs)
    if numbers:
        _write_contents(states, run, list(numbers))


def _write_contents(states: h5g.GroupID, run: RunSource, wanted: list[str]) -> None:
    """Write contents one after another, with no more than one in memory."""
    offset = np.array([0, *accumulate(map(run.blob_size, wanted))], "<i8")
    content = create_dataset(
        states, names.D_CONTENT, (int(offset[-1]),), h5t.STD_U8LE, None
    )
    crcs = np.zeros(len(wanted), "<u4")
    for number, name in enumerate(wanted):
        raw = np.frombuffer(run.blob(name), np.uint8)
        crcs[number] = zlib.crc32(raw.data)
        append_block(content, raw, int(offset[number]))
    write_column(states, names.D_NAMES, np.array([n.encode() for n in wanted], "S32"))
    write_column(states, names.D_OFFSET, offset)
    write_column(states, names.D_ROW_CRC32, crcs)


class StoredStates:
    """The states of a run's models, for reading."""

    def __init__(self, run: CheckedGroup, table: CheckedGroup, n_fits: int):
        self._run = run
        self._table = table
        self._n_fits = n_fits

    def state(self, row: int) -> tuple[str, tuple[str, ...]] | None:
        """A fit's text, and the names of its contents; None where it has none."""
        number = int(self._state_of[row]) if len(self._state_of) else -1
        if number < 0:
            return None
        if number >= len(self._models):
            raise self._table.refuse(
                "points at a state that is not there", names.D_STATE
            )
        place = f"{names.D_NEEDS}[{number}]"
        at = self._group.at(place)
        needs = _json.loads(self._needs[number], path=self._group.path, place=at)
        known = list(self._numbers)
        if not isinstance(needs, list) or not all(
            type(item) is int and 0 <= item < len(known) for item in needs
        ):
            raise self._group.refuse("names contents that are not there", place)
        return self._models[number], tuple(known[item] for item in needs)

    def blob_size(self, name: str) -> int | None:
        """Bytes of a content; None where it is not here."""
        number = self._numbers.get(name)
        if number is None:
            return None
        return int(self._offset[number + 1] - self._offset[number])

    def blob(self, name: str) -> bytes:
        """A content, compared with its checksum."""
        number = self._numbers[name]
        start, stop = self._offset[number : number + 2].tolist()
        raw = self._content.read(start, stop - start)
        if zlib.crc32(raw.data) != int(self._crcs[number]):
            raise self._group.refuse(
                f"content {number} does not match its checksum", names.D_CONTENT
            )
        return raw.tobytes()

    def problems(self) -> Iterator[StoreError]:
        """Read all of it, and yield what is wrong."""
        for row in range(self._n_fits):
            try:
                self.state(row)
            except CorruptStoreError as error:
                yield error
        for name in self._numbers:
            try:
                self.blob(name)
            except CorruptStoreError as error:
                yield error

    @cached_property
    def _group(self) -> CheckedGroup:
        return self._run.group(names.G_STATES)

    @cached_property
    def _state_of(self) -> Array:
        if names.D_STATE not in self._table:
            return np.empty(0, np.int64)
        return read_column(self._table, names.D_STATE, "<i8", (self._n_fits,))

    @cached_property
    def _n_states(self) -> int:
        count = self._group.integer(names.A_N_STATES)
        if not 0 <= count <= self._n_fits:
            raise self._group.refuse(f"n_states is {count}")
        return count

    @cached_property
    def _models(self) -> list[str]:
        return read_texts(self._group, names.D_MODEL, self._n_states)

    @cached_property
    def _needs(self) -> list[str]:
        return read_texts(self._group, names.D_NEEDS, self._n_states)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Number of each content by its name."""
        if names.G_STATES not in self._run or names.D_NAMES not in self._group:
            return {}
        column = read_column(self._group, names.D_NAMES, "S32")
        if column.ndim != 1:
            raise self._group.refuse("is not a column", names.D_NAMES)
        numbers = {raw.decode("ascii", "replace"): n for n, raw in enumerate(column)}
        if len(numbers) != len(column):
            raise self._group.refuse("has a name twice", names.D_NAMES)
        return numbers

    @cached_property
    def _offset(self) -> Array:
        shape = (len(self._numbers) + 1,)
        offset = read_column(self._group, names.D_OFFSET, "<i8", shape)
        (size,) = self._content.shape
        if offset[0] != 0 or offset[-1] != size or (np.diff(offset) < 0).any():
            raise self._group.refuse("does not fit the content", names.D_OFFSET)
        return offset

    @cached_property
    def _crcs(self) -> Array:
        return read_column(self._group, names.D_ROW_CRC32, "<u4", (len(self._numbers),))

    @cached_property
    def _content(self) -> CheckedDataset:
        dataset = self._group.dataset(names.D_CONTENT, np.dtype("u1"))
        if len(dataset.shape) != 1:
            raise self._group.refuse("is not a column", names.D_CONTENT)
        return dataset

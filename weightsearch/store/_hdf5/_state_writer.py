"""Writing what besides weights makes models: texts, and contents that they share."""

from __future__ import annotations

import zlib
from itertools import accumulate
from typing import Any

import numpy as np
from h5py import h5g, h5s, h5t

from weightsearch._records import RunSource
from weightsearch.store import _json
from weightsearch.store._hdf5 import _layout as names
from weightsearch.store._hdf5._columns import (
    create_dataset,
    write_attribute,
    write_column,
    write_texts,
)

__all__ = ["write_states"]

_NAME = "S32"


def write_states(
    group: h5g.GroupID, table: h5g.GroupID, run: RunSource, n_fits: int
) -> None:
    """Write the states of a run's fits; nothing where there are none.

    Parameters
    ----------
    group, table : h5py.h5g.GroupID
        The run's group, and that of its table of fits.
    run : RunSource
    n_fits : int
    """
    state_of = np.full(n_fits, -1, "<i8")
    texts: list[str] = []
    needs: list[str] = []
    numbers: dict[str, int] = {}
    for row in range(n_fits):
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
    """Write contents one behind the other, with no more than one in memory."""
    sizes = [run.blob_size(name) for name in wanted]
    offset = np.array([0, *accumulate(sizes)], "<i8")
    content = create_dataset(
        states, names.D_CONTENT, (int(offset[-1]),), h5t.STD_U8LE, None
    )
    crcs = np.zeros(len(wanted), "<u4")
    for number, name in enumerate(wanted):
        raw = np.frombuffer(run.blob(name), np.uint8)
        crcs[number] = zlib.crc32(raw.data)
        _append(content, raw, int(offset[number]))
    write_column(states, names.D_NAMES, np.array([n.encode() for n in wanted], _NAME))
    write_column(states, names.D_OFFSET, offset)
    write_column(states, names.D_ROW_CRC32, crcs)


def _append(dataset: Any, raw: np.ndarray[Any, Any], start: int) -> None:
    if raw.size:
        space = dataset.get_space()
        space.select_hyperslab((start,), raw.shape)
        dataset.write(h5s.create_simple(raw.shape), space, raw, h5t.STD_U8LE)

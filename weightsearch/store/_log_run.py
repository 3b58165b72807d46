"""Reading a log, also while it is written: its runs, and what of it is damaged."""

from __future__ import annotations

import datetime
import errno
import json
import os
import threading
import time
import zlib
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from weightsearch._records import (
    REFIT,
    Array,
    FitTable,
    RunHeader,
    RunSource,
    Weights,
    WeightSpecs,
)
from weightsearch.exceptions import (
    CorruptStoreError,
    StoreError,
    StoreVersionError,
    WeightsNotFoundError,
)
from weightsearch.store import _json
from weightsearch.store import _log as fmt
from weightsearch.store._arrays import Layout
from weightsearch.store._beside import open_ours
from weightsearch.store._checked import corrupt

__all__ = ["LogFile", "LogRun", "Resolve"]

Resolve = Callable[[str], RunSource | None]
"""Returns the run of a uid, or None."""

_READ_AHEAD: Final = 4096
"""Enough for most heads with their lines, in one call."""
_TRIES: Final = 4
_PAUSE_SECONDS: Final = 0.005
_SEARCH_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a frame is: its lines and its arrays."""

    at: int
    n_header: int
    n_payload: int

    @property
    def payload(self) -> int:
        return self.at + fmt.HEAD.size + self.n_header

    @property
    def end(self) -> int:
        return self.payload + self.n_payload


@dataclass(frozen=True, slots=True)
class _Arrays:
    """Arrays of a frame: where they begin, how they lie, and their checksums."""

    at: int
    layout: Layout
    crcs: tuple[int, ...]
    place: str


@dataclass
class _Content:
    """What the log has of one run."""

    uid: str
    header: RunHeader | None = None
    splits: _Arrays | None = None
    n_splits: int | None = None
    params: dict[int, str] = field(default_factory=dict)
    end: dict[str, Any] | None = None
    cv_results: _Arrays | None = None
    ended: int = 0
    # A column each, one entry per fit.
    number: array[int] = field(default_factory=lambda: array("q"))
    candidate: array[int] = field(default_factory=lambda: array("q"))
    split: array[int] = field(default_factory=lambda: array("q"))
    failed: array[int] = field(default_factory=lambda: array("b"))
    weights: array[int] = field(default_factory=lambda: array("b"))
    key: list[bytes] = field(default_factory=list)
    frame: list[_Frame] = field(default_factory=list)
    arrays: list[_Arrays | None] = field(default_factory=list)
    blobs: list[tuple[str, ...] | None] = field(default_factory=list)
    origin: dict[int, tuple[str, int]] = field(default_factory=dict)


class LogFile:
    """The frames of a log, as far as they were whole at the last refresh.

    Nothing is written, created or removed.

    Parameters
    ----------
    path : Path
        The log.

    Raises
    ------
    FileNotFoundError
        If there is none.
    StoreVersionError
        If a newer version of this package wrote it.
    StoreError
        If it is not a plain file, or cannot be read.

    Attributes
    ----------
    path : Path
    end : int
        Where the last whole frame ends.
    skipped : list of (int, int)
        First byte and end of what is damaged, with whole frames after it.
    torn : bool
        Whether more than an unfinished frame is after the last whole one.
    """

    def __init__(self, path: Path):
        self.path = path
        self._mutex = threading.RLock()
        self._handle = -1
        try:
            self._handle = open_ours(path, write=False)
        except FileNotFoundError:
            raise
        except StoreError:
            raise
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error}", str(path)) from error
        self._restart()
        self.refresh()

    def _restart(self) -> None:
        self.end = 0
        self.skipped: list[tuple[int, int]] = []
        self._size = 0
        self.torn = False
        self._runs: dict[str, _Content] = {}
        self._blobs: dict[str, tuple[int, int, int]] = {}
        self._good_blobs: dict[str, bool] = {}
        self._layouts: dict[tuple[bytes, tuple[int, ...]], Layout] = {}
        self._cached: tuple[_Frame, list[bytes]] | None = None

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def status(self) -> os.stat_result:
        """The open file's status."""
        return os.fstat(self._handle)

    @property
    def begins_well(self) -> bool:
        """Whether the file is empty or begins as a log does."""
        return fmt.MAGIC.startswith(self._pread(len(fmt.MAGIC), 0))

    @property
    def damaged(self) -> bool:
        """Whether there is more damage than an unfinished frame at the end."""
        return bool(self.skipped) or self.torn

    @property
    def contents(self) -> list[_Content]:
        """The runs, in the order in which they began."""
        return list(self._runs.values())

    def content(self, uid: str) -> _Content:
        """What the log has of a run."""
        return self._runs[uid]

    def refresh(self) -> None:
        """See the frames that have come since."""
        with self._mutex:
            size = os.fstat(self._handle).st_size
            if size < self.end or (self.skipped and size > self._size):
                # Its writer has taken frames back; or what looked damaged may have
                # been on its way, over a network.
                self._restart()
            self._size = size
            at = self.end
            while True:
                frame = self._take(at, size)
                if frame is not None:
                    at = self.end = frame.end
                    continue
                after = self._next_whole(at + 1, size) if at < size else None
                if after is None:
                    break
                self.skipped.append((at, after))
                at = after
            self.torn = self.end < size and not self._unfinished(self.end, size)

    # -- frames ---------------------------------------------------------------

    def _take(self, at: int, size: int) -> _Frame | None:
        """Note what a whole frame says; None if there is no whole frame."""
        raw = self._pread(_READ_AHEAD, at)
        frame = self._frame(raw, at, size)
        if frame is None:
            return None
        lines = self._split(raw, frame)
        if lines is None:
            return None
        try:
            meta = json.loads(lines[0])
            self._note(frame, meta, lines)
        except (ArithmeticError, AttributeError, LookupError, RecursionError):
            return None
        except (TypeError, ValueError, StoreError):
            return None
        return frame

    def _frame(self, raw: bytes, at: int, size: int) -> _Frame | None:
        head = fmt.unpack_head(raw, at)
        if head is None:
            if at == 0 and raw[:3] == fmt.MAGIC[:3] and raw[3:4] > fmt.MAGIC[3:]:
                raise StoreVersionError(
                    f"{self.path} was written by a newer version of weightsearch; "
                    "install that version.",
                    str(self.path),
                )
            return None
        frame = _Frame(at, head[0], head[1])
        return frame if frame.end <= size else None

    def _split(self, raw: bytes, frame: _Frame) -> list[bytes] | None:
        first = fmt.HEAD.size
        header = raw[first : first + frame.n_header]
        if len(header) < frame.n_header:
            header += self._pread(
                frame.n_header - len(header), frame.at + first + len(header)
            )
        if zlib.crc32(header) != fmt.HEAD.unpack_from(raw)[4]:
            return None
        lines = header.split(b"\n", 4)
        return lines if len(lines) >= 4 else None

    def _next_whole(self, at: int, size: int) -> int | None:
        """Return where the next whole frame begins."""
        # A hostile file may hold many heads with long lines: read it a few times.
        budget = 4 * size
        while at < size:
            at = self._data_from(at)
            block = self._pread(_SEARCH_BYTES, at)
            found = block.find(fmt.MAGIC)
            if found < 0:
                at += max(len(block) - len(fmt.MAGIC) + 1, 1)
                continue
            at += found
            raw = self._pread(_READ_AHEAD, at)
            frame = self._frame(raw, at, size)
            if frame is not None:
                budget -= frame.n_header
                if budget < 0:
                    return None
                if self._split(raw, frame) is not None:
                    return at
            at += 1
        return None

    def _data_from(self, at: int) -> int:
        """Return where the next bytes are that take room, in a file with holes."""
        if not hasattr(os, "SEEK_DATA"):
            return at
        try:
            return os.lseek(self._handle, at, os.SEEK_DATA)
        except OSError as error:
            # There are none, or the file system cannot tell.
            return self._size if error.errno == errno.ENXIO else at

    def _unfinished(self, at: int, size: int) -> bool:
        """Whether what is at the end is the beginning of a frame."""
        raw = self._pread(fmt.HEAD.size, at)
        head = fmt.unpack_head(raw, at)
        if head is None:
            return len(raw) < fmt.HEAD.size and raw[:4] == fmt.MAGIC[: len(raw)]
        return at + fmt.HEAD.size + head[0] + head[1] > size

    def _pread(self, n: int, at: int) -> bytes:
        n = min(n, max(self._size - at, 0))
        if not hasattr(os, "pread"):
            with self._mutex:
                os.lseek(self._handle, at, os.SEEK_SET)
                return os.read(self._handle, n)
        return os.pread(self._handle, n, at)

    def _note(self, frame: _Frame, meta: Any, lines: list[bytes]) -> None:
        event, uid = meta["event"], meta["run"]
        if event == fmt.BLOB:
            (size,), (crc,) = meta["sizes"], meta["crcs"]
            if size != frame.n_payload:
                raise ValueError("a blob of another size")
            self._blobs[str(meta["name"])] = frame.payload, size, crc
            self._good_blobs.pop(str(meta["name"]), None)
            return
        if not (isinstance(event, str) and isinstance(uid, str) and len(uid) == 32):
            raise ValueError("a frame of no run")
        arrays = self._arrays(frame, meta, lines[1]) if lines[1] else None
        run = self._runs.get(uid)
        if run is None:
            run = _Content(uid)
        if event in (fmt.FIT, fmt.REUSE):
            self._note_fit(run, frame, meta, lines, arrays)
        elif event == fmt.PARAMS:
            for number, text in enumerate(meta["params"], _count(meta["start"])):
                run.params[number] = str(text)
        elif event == fmt.BEGIN:
            meta = _json.loads(lines[0])
            n_splits = meta["n_splits"]
            run.header = _header(meta["header"], uid)
            run.n_splits = None if n_splits is None else _count(n_splits)
            run.splits = arrays
        elif event == fmt.END:
            meta = _json.loads(lines[0])
            best = meta["best_index"]
            if best is not None:
                _count(best)
            if not isinstance(meta["finished"], str) or arrays is None:
                raise ValueError("an end that is not what it must be")
            meta["supersede"] = frozenset(map(str, meta["supersede"]))
            run.end, run.cv_results = meta, arrays
        else:
            # A later version of the same format may have more events.
            return
        self._runs[uid] = run

    def _note_fit(
        self,
        run: _Content,
        frame: _Frame,
        meta: Any,
        lines: list[bytes],
        arrays: _Arrays | None,
    ) -> None:
        candidate, split, number = meta["candidate"], meta["split"], meta["number"]
        key = (meta["key"] or "").encode("ascii")
        if type(split) is not int or split < REFIT or len(key) > 32:
            raise ValueError("a fit that is not what it must be")
        _count(candidate), _count(number), _count(meta["ended"])
        reused = meta["event"] == fmt.REUSE
        blobs = meta.get("blobs")
        names = None if blobs is None else tuple(map(str, blobs))
        if reused:
            run.origin[len(run.frame)] = str(meta["origin"]), _count(meta["row"])
        if lines[2]:
            run.params.setdefault(candidate, lines[2].decode())
        run.number.append(number)
        run.candidate.append(candidate)
        run.split.append(split)
        run.failed.append(0 if reused else bool(meta["failed"]))
        run.weights.append(bool(meta["weights"]) if reused else arrays is not None)
        run.key.append(key)
        run.frame.append(frame)
        run.arrays.append(arrays)
        run.blobs.append(names)
        run.ended = max(run.ended, meta["ended"])

    def _arrays(self, frame: _Frame, meta: Any, spec: bytes) -> _Arrays:
        sizes, crcs = tuple(meta["sizes"]), tuple(meta["crcs"])
        place = f"{meta['event']} at byte {frame.at}"
        known = self._layouts.get((spec, sizes))
        if known is None:
            known = Layout.parse(spec, sizes, path=str(self.path), place=place)
            if len(self._layouts) < 10_000:
                self._layouts[spec, sizes] = known
        if known.offsets[-1] != frame.n_payload or len(crcs) != len(sizes):
            raise ValueError("arrays that are not all there")
        return _Arrays(frame.payload, known, crcs, place)

    # -- what they hold -------------------------------------------------------

    def lines(self, frame: _Frame) -> list[bytes]:
        """Return a frame's header lines: its own, spec, params, result and state."""
        cached = self._cached
        if cached is not None and cached[0] is frame:
            return cached[1]
        raw = self._pread(fmt.HEAD.size + frame.n_header, frame.at)
        lines = self._split(raw, frame) if len(raw) >= fmt.HEAD.size else None
        if lines is None:
            raise self.corrupt(f"frame at byte {frame.at}", "its checksum is wrong")
        self._cached = frame, lines
        return lines

    def raw(self, arrays: _Arrays, position: int, out: Array | None = None) -> Array:
        """Return the bytes of one array, compared with their checksum."""
        offsets = arrays.layout.offsets
        start, size = offsets[position], offsets[position + 1] - offsets[position]
        if out is None:
            out = np.empty(size, np.uint8)
        for attempt in range(_TRIES):
            done = self._read_into(out, arrays.at + start)
            if done == size and zlib.crc32(out.data) == arrays.crcs[position]:
                return out
            if attempt + 1 < _TRIES:
                # Over a network, bytes may come after the length of their file.
                time.sleep(_PAUSE_SECONDS)
        name = arrays.layout.specs.arrays[position].name
        raise self.corrupt(arrays.place, f"the checksum of {name!r} is wrong")

    def _read_into(self, out: Array, at: int) -> int:
        view = out.data
        done = 0
        while done < len(view):
            if hasattr(os, "preadv"):
                n = os.preadv(self._handle, [view[done:]], at + done)
            else:
                raw = self._pread(len(view) - done, at + done)
                n = len(raw)
                view[done : done + n] = raw
            if n == 0:
                break
            done += n
        return done

    def read(self, arrays: _Arrays, name: str) -> Array:
        """Return one array."""
        specs = arrays.layout.specs
        position = arrays.layout.index.get(specs.ties.get(name, name))
        if position is None:
            known = ", ".join(arrays.layout.index)
            raise WeightsNotFoundError(
                f"There is no weight {name!r} in this fit; it has {known}."
            )
        return arrays.layout.array(position, self.raw(arrays, position))

    def read_all(self, arrays: _Arrays) -> Weights:
        """Return all arrays."""
        layout = arrays.layout
        return Weights(
            (
                (spec.name, layout.array(number, self.raw(arrays, number)))
                for number, spec in enumerate(layout.specs.arrays)
            ),
            ties=layout.specs.ties,
            encodings=layout.specs.encodings,
        )

    def blob_size(self, name: str) -> int | None:
        """Return the bytes of a content of states, None if it is not here."""
        found = self._blobs.get(name)
        return None if found is None else found[1]

    def blob(self, name: str) -> bytes:
        """Return a content of states."""
        at, size, crc = self._blobs[name]
        raw = self._pread(size, at)
        if len(raw) != size or zlib.crc32(raw) != crc:
            raise self.corrupt(f"blob at byte {at}", "its checksum is wrong")
        return raw

    def has_whole_blob(self, name: str) -> bool:
        """Whether a content of states is there, and agrees with its checksum."""
        if name not in self._good_blobs:
            try:
                self.blob(name)
                self._good_blobs[name] = True
            except (KeyError, CorruptStoreError):
                self._good_blobs[name] = False
        return self._good_blobs[name]

    def corrupt(self, place: str, what: str) -> CorruptStoreError:
        """Return the error for damage at a place."""
        return corrupt(what, str(self.path), place)


class LogRun:
    """One run of a log; see :class:`~weightsearch._records.RunSource`.

    :meth:`fits` sees what was written until it is called; all other methods, what the
    last call has seen.

    Parameters
    ----------
    file : LogFile
    uid : str
        Of the run.
    resolve : callable
        Returns the run of a uid, or None; asked for fits that this run reuses.
    status : {"running", "interrupted"}, default="interrupted"
        Of a run that has not ended.
    superseded : collection of str, default=()
        Uids of runs in the log that will not be stored, so that their fits are this
        run's own.

    Attributes
    ----------
    file : LogFile
    uid : str
    on_close : callable or None
        Called when the run is closed.
    """

    def __init__(
        self,
        file: LogFile,
        uid: str,
        resolve: Resolve,
        *,
        status: str = "interrupted",
        superseded: Collection[str] = (),
    ):
        self.file = file
        self.uid = uid
        self._resolve = resolve
        self._status = status
        self._superseded = frozenset(superseded)
        self.on_close: Callable[[], None] | None = None
        self._dropped: set[int] = set()
        self._rows = np.empty(0, np.int64)
        self._seen = (-1, -1)
        self._by_number: dict[int, int] | None = None
        self._see()

    def __enter__(self) -> LogRun:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files, unless another run of the log is open."""
        on_close, self.on_close = self.on_close, None
        if on_close is not None:
            on_close()

    @property
    def _content(self) -> _Content:
        return self.file.content(self.uid)

    # -- RunSource ------------------------------------------------------------

    @property
    def header(self) -> RunHeader:
        """What is known of the run."""
        content = self._content
        # Damage may have hit the frame that begins the run.
        header = content.header or RunHeader(
            uid=self.uid,
            name=f"recovered-{self.uid}",
            status="running",
            started=_iso(content.ended),
        )
        if content.end is not None:
            return replace(header, status="complete", finished=content.end["finished"])
        ended = _iso(content.ended) if self._status == "interrupted" else ""
        return replace(header, status=self._status, finished=ended)

    @property
    def complete(self) -> bool:
        """Whether the run has come to its end."""
        return self._content.end is not None

    def params(self) -> Sequence[str]:
        """Params of every candidate, encoded as JSON."""
        known = self._content.params
        # Only damage leaves a gap: a candidate without fits.
        return [known.get(number, "{}") for number in range(max(known, default=-1) + 1)]

    def fits(self) -> FitTable:
        """All fits that are there now."""
        self.file.refresh()
        self._see()
        content, rows = self._content, self._rows
        origin = np.zeros(len(rows), "S32")
        origin_row = np.full(len(rows), -1, np.int64)
        if content.origin:
            for row, physical in enumerate(rows.tolist()):
                if physical in content.origin:
                    uid, _ = content.origin[physical]
                    found = self._source(physical)
                    if found is not None and uid not in self._superseded:
                        origin[row], origin_row[row] = uid.encode(), found[1]
        return FitTable(
            candidate=np.array(content.candidate, np.int64)[rows],
            split=np.array(content.split, np.int64)[rows],
            failed=np.array(content.failed, bool)[rows],
            has_weights=np.array(content.weights, bool)[rows],
            key=np.array(content.key, "S32")[rows],
            origin=origin,
            origin_row=origin_row,
        )

    def result(self, row: int) -> dict[str, Any]:
        """``FitRecord.result`` of a row."""
        source, at = self._at(row)
        if source is not None:
            return source.result(at)
        place = f"fit at byte {self._content.frame[at].at}"
        value = _json.loads(
            self.result_text(row), path=str(self.file.path), place=place
        )
        if not isinstance(value, dict):
            raise self.file.corrupt(place, "its result is not a mapping")
        return value

    def result_text(self, row: int) -> str:
        """The same as JSON text."""
        source, at = self._at(row)
        if source is not None:
            return source.result_text(at)
        return self.file.lines(self._content.frame[at])[3].decode("utf-8", "replace")

    def specs(self, row: int) -> WeightSpecs | None:
        """Names, shapes and types of a row's weights; None where it has none."""
        source, at = self._at(row)
        if source is not None:
            return source.specs(at)
        arrays = self._content.arrays[at]
        return None if arrays is None else arrays.layout.specs

    def alike(self, rows: Array) -> list[tuple[WeightSpecs, Array]]:
        """What rows have, each with the places in `rows` of some that have it."""
        found: dict[int, tuple[WeightSpecs, list[int]]] = {}
        for place, row in enumerate(rows.tolist()):
            specs = self.specs(row)
            if specs is not None:
                found.setdefault(id(specs), (specs, []))[1].append(place)
        return [(specs, np.array(places)) for specs, places in found.values()]

    def read(self, row: int, name: str) -> Array:
        """One array of a row."""
        source, at = self._at(row)
        if source is not None:
            return source.read(at, name)
        return self.file.read(self._own_arrays(row, at), name)

    def read_all(self, row: int) -> Weights:
        """All arrays of a row."""
        source, at = self._at(row)
        if source is not None:
            return source.read_all(at)
        return self.file.read_all(self._own_arrays(row, at))

    def stack(self, name: str, rows: Sequence[int]) -> Array:
        """The arrays of one name in many rows, of equal shape and type, stacked."""
        if not len(rows):
            raise ValueError("There is nothing to stack: no rows were given.")
        quick = self._stack_quickly(name, rows)
        if quick is not None:
            return quick
        first = self.read(int(rows[0]), name)
        out = np.empty((len(rows), *first.shape), first.dtype)
        for number, row in enumerate(rows):
            one = self.read(int(row), name) if number else first
            if one.shape != first.shape or one.dtype != first.dtype:
                raise ValueError(
                    f"{name!r} does not have one shape and type in these rows: "
                    f"{first.shape} of {first.dtype}, and {one.shape} of {one.dtype}."
                )
            out[number] = one
        return out

    def _stack_quickly(self, name: str, rows: Sequence[int]) -> Array | None:
        """Read rows of one layout straight into their stack, if they are that."""
        content = self._content
        try:
            physical = self._rows[np.asarray(rows, np.int64)].tolist()
        except IndexError:
            return None
        arrays = [content.arrays[one] for one in physical]
        first = arrays[0]
        if first is None:
            return None
        layout = first.layout
        position = layout.index.get(layout.specs.ties.get(name, name))
        if position is None:
            return None
        spec, stored = layout.specs.arrays[position], layout.stored[position]
        if spec.order != "C" or stored.true is None:
            return None
        size = layout.offsets[position + 1] - layout.offsets[position]
        out = np.empty((len(arrays), size), np.uint8)
        for number, one in enumerate(arrays):
            if one is None or one.layout is not layout:
                return None
            self.file.raw(one, position, out[number])
        if not size:
            return np.empty((len(arrays), *spec.shape), stored.true)
        stacked: Array = layout.stack(position, out)
        return stacked

    def state(self, row: int) -> tuple[str, tuple[str, ...]] | None:
        """What besides weights a row has of its model: text, and names of blobs."""
        source, at = self._at(row)
        if source is not None:
            return source.state(at)
        names = self._content.blobs[at]
        if names is None:
            return None
        lines = self.file.lines(self._content.frame[at])
        return (lines[4].decode("utf-8", "replace") if len(lines) > 4 else ""), names

    def has_blob(self, name: str) -> bool:
        """Whether the run's states have a content of that name."""
        return self.file.blob_size(name) is not None or any(
            source.has_blob(name) for source in self._sources()
        )

    def blob(self, name: str) -> bytes:
        """One content of the run's states."""
        if self.file.blob_size(name) is not None:
            return self.file.blob(name)
        return self._source_of(name).blob(name)

    def blob_size(self, name: str) -> int:
        """Bytes of one content."""
        size = self.file.blob_size(name)
        return self._source_of(name).blob_size(name) if size is None else size

    def cv_results(self) -> dict[str, Array]:
        """The columns of ``cv_results_``; empty while the run goes on."""
        arrays = self._content.cv_results
        return {} if arrays is None else dict(self.file.read_all(arrays))

    def best_index(self) -> int | None:
        """Row of the best candidate."""
        end = self._content.end
        return None if end is None else end["best_index"]

    def best_specs(self) -> WeightSpecs | None:
        """Names, shapes and types of the best estimator's weights."""
        row = self._best_row()
        return None if row is None else self.specs(row)

    def read_best(self, name: str) -> Array:
        """One array of the best estimator's weights."""
        row = self._best_row()
        if row is None:
            raise WeightsNotFoundError("This run has no weights of a best estimator.")
        return self.read(row, name)

    def _best_row(self) -> int | None:
        best = self.best_index()
        if best is None:
            return None
        content, rows = self._content, self._rows
        found = np.flatnonzero(
            (np.array(content.candidate, np.int64)[rows] == best)
            & (np.array(content.split, np.int64)[rows] == REFIT)
            & np.array(content.weights, bool)[rows]
        )
        return int(found[-1]) if len(found) else None

    def splits(self) -> list[tuple[Array, Array]] | None:
        """(train, test) indices, where the run had to keep them."""
        content = self._content
        if content.n_splits is None or content.splits is None:
            return None
        arrays = self.file.read_all(content.splits)
        try:
            return [
                (arrays[f"{n}/train"], arrays[f"{n}/test"])
                for n in range(content.n_splits)
            ]
        except KeyError as error:
            raise self.file.corrupt(
                content.splits.place, f"{error} is missing"
            ) from error

    # -- damage ---------------------------------------------------------------

    def number(self, row: int) -> int:
        """Return the number that other runs of the log call a row by."""
        return self._content.number[int(self._rows[row])]

    def row_of(self, number: int) -> int | None:
        """Return the row of a number; None if it is lost."""
        self._see()
        if self._by_number is None:
            numbers = self._content.number
            self._by_number = {
                numbers[at]: row for row, at in enumerate(self._rows.tolist())
            }
        return self._by_number.get(number)

    def holder(self, row: int) -> tuple[str, int] | None:
        """The run and row or number that a row refers to; None if it is its own."""
        return self._content.origin.get(int(self._rows[row]))

    def problem(self, row: int) -> str | None:
        """What is wrong with a row; None if it can be read in full."""
        at = int(self._rows[row])
        try:
            if at in self._content.origin:
                source = self._source(at)
                if source is None:
                    uid = self._content.origin[at][0]
                    return f"it refers to run {uid}, which the store lacks"
                return None
            self.result(row)
            arrays = self._content.arrays[at]
            if arrays is not None:
                for position in range(len(arrays.crcs)):
                    self.file.raw(arrays, position)
            for name in self._content.blobs[at] or ():
                if not self.file.has_whole_blob(name):
                    return f"the content {name} of its state is damaged or missing"
        except StoreError as error:
            return str(error)
        return None

    def damaged(self) -> Iterator[tuple[int, str]]:
        """Rows that cannot be read in full, each with what is wrong."""
        for row in range(len(self._rows)):
            problem = self.problem(row)
            if problem is not None:
                yield row, problem

    def drop(self, rows: Sequence[int]) -> None:
        """Leave rows out from now on."""
        self._dropped.update(self._rows[list(rows)].tolist())
        self._seen = (-1, -1)
        self._see()

    @property
    def n_lost(self) -> int:
        """Fits that were written and are not among the rows, as far as is known."""
        content = self._content
        written = max(content.number, default=-1) + 1
        if content.end is not None:
            written = max(written, content.end["n_fits"])
        return max(written - len(self._rows), 0)

    # -- inside ---------------------------------------------------------------

    def _see(self) -> None:
        """Choose the rows that count."""
        content = self._content
        count = len(content.frame)
        seen = count, len(content.params)
        if seen == self._seen:
            return
        self._seen = seen
        self._by_number = None
        lost = set(self._dropped)
        if any(one not in content.params for one in set(content.candidate)):
            lost.update(
                row
                for row, one in enumerate(content.candidate)
                if one not in content.params
            )
        rows = np.arange(count)
        self._rows = rows if not lost else np.delete(rows, sorted(lost))

    def _at(self, row: int) -> tuple[RunSource | None, int]:
        """Return who holds a row (None: this run), and where."""
        if not 0 <= row < len(self._rows):
            raise WeightsNotFoundError(
                f"There is no fit {row} in this run; it has {len(self._rows)}."
            )
        at = int(self._rows[row])
        if at not in self._content.origin:
            return None, at
        source = self._source(at)
        if source is None:
            uid = self._content.origin[at][0]
            raise self.file.corrupt(
                f"fit at byte {self._content.frame[at].at}",
                f"it refers to run {uid}, which the store lacks",
            )
        return source

    def _source(self, physical: int) -> tuple[RunSource, int] | None:
        uid, number = self._content.origin[physical]
        source = self._resolve(uid)
        if source is None:
            return None
        if isinstance(source, LogRun):
            row = source.row_of(number)
            return None if row is None else (source, row)
        return source, number

    def _sources(self) -> Iterator[RunSource]:
        for uid in {uid for uid, _ in self._content.origin.values()}:
            source = self._resolve(uid)
            if source is not None:
                yield source

    def _source_of(self, name: str) -> RunSource:
        for source in self._sources():
            if source.has_blob(name):
                return source
        raise self.file.corrupt("states", f"their content {name} is missing")

    def _own_arrays(self, row: int, at: int) -> _Arrays:
        arrays = self._content.arrays[at]
        if arrays is None:
            raise WeightsNotFoundError(f"Fit {row} has no weights.")
        return arrays


_MAPPINGS = {"environment", "estimator", "settings", "identity"}


def _header(value: Any, uid: str) -> RunHeader:
    """Make a run's header of its JSON value."""
    known = {one.name: value[one.name] for one in fields(RunHeader)}
    for name, item in known.items():
        missing = name == "fingerprint" and item is None
        if not (missing or isinstance(item, dict if name in _MAPPINGS else str)):
            raise TypeError(f"the header's {name} is {item!r:.100}")
    if known["uid"] != uid:
        raise ValueError("the header of another run")
    return RunHeader(**known)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise ValueError(f"{value!r:.100} is not a non-negative integer")
    return value


def _iso(milliseconds: int) -> str:
    try:
        moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return ""
    return moment.isoformat()

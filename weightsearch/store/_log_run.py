"""Reading a log, also while it is written: its runs, and what of it is damaged."""

from __future__ import annotations

import datetime
import errno
import json
import os
import threading
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from weightsearch._records import (
    REFIT,
    Array,
    FitTable,
    RunHeader,
    RunSource,
    Splits,
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
from weightsearch.store._splits import unpack_splits

__all__ = ["LogFile", "LogRun", "Resolve"]

Resolve = Callable[[str], RunSource | None]
"""Returns the run of a uid, or None."""

_READ_AHEAD: Final = 4096
"""Enough for most heads with their lines, in one call."""
_TRIES: Final = 4
_PAUSE_SECONDS: Final = 0.005
_SEARCH_BYTES: Final = 1 << 20


class _Frame(NamedTuple):
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


class _Arrays(NamedTuple):
    """Arrays of a frame: where they begin, how they lie, and their checksums."""

    at: int
    layout: Layout
    crcs: tuple[int, ...]
    place: str

    def position(self, name: str) -> int:
        """Return the position of an array, by its name or one that it is tied to."""
        specs = self.layout.specs
        position = self.layout.index.get(specs.ties.get(name, name))
        if position is None:
            raise WeightsNotFoundError(
                f"There is no weight {name!r} in this fit; it has "
                f"{', '.join(self.layout.index)}."
            )
        return position


class _Fit(NamedTuple):
    """A finished fit, as its frame has it."""

    number: int
    candidate: int
    split: int
    failed: bool
    has_weights: bool
    key: bytes
    frame: _Frame
    arrays: _Arrays | None
    blobs: tuple[str, ...] | None
    origin: tuple[str, int] | None
    model_key: bytes
    has_result: bool


@dataclass(frozen=True)
class _Splits:
    """The splits of some candidates; without arrays those of the candidates before."""

    first: int
    count: int
    n_rows: int
    n_splits: int
    arrays: _Arrays | None


@dataclass
class _Content:
    """What the log has of one run."""

    uid: str
    header: RunHeader | None = None
    splits: list[_Splits] = field(default_factory=list)
    params: dict[int, str] = field(default_factory=dict)
    fits: list[_Fit] = field(default_factory=list)
    ended: int = 0
    end: dict[str, Any] | None = None
    cv_results: _Arrays | None = None


class LogFile:
    """The frames of a log, as far as they were whole at the last refresh.

    Nothing is written, created or removed.

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
        self._good_blobs: set[str] = set()
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

    def content(self, uid: str) -> _Content | None:
        """What the log has of a run; None once its writer has taken it back."""
        return self._runs.get(uid)

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
            self._good_blobs.discard(str(meta["name"]))
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
            run.header = _header(meta["header"], uid)
        elif event == fmt.SPLITS:
            numbers = (meta[n] for n in ("first", "count", "n_rows", "n_splits"))
            first, count, n_rows, n_splits = map(_count, numbers)
            run.splits.append(_Splits(first, count, n_rows, n_splits, arrays))
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
        candidate, split, ended = meta["candidate"], meta["split"], meta["ended"]
        key = (meta["key"] or "").encode("ascii")
        model_key = (meta.get("model_key") or "").encode("ascii")
        longest = max(len(key), len(model_key))
        if type(split) is not int or split < REFIT or longest > 32:
            raise ValueError("a fit that is not what it must be")
        number = _count(meta["number"])
        _count(candidate)
        run.ended = max(run.ended, _count(ended))
        if meta["event"] == fmt.REUSE:
            origin = str(meta["origin"]), _count(meta["row"])
            failed, has_weights, names = False, bool(meta["weights"]), None
        else:
            origin, failed, has_weights = None, bool(meta["failed"]), arrays is not None
            blobs = meta.get("blobs")
            names = None if blobs is None else tuple(map(str, blobs))
        if lines[2]:
            run.params.setdefault(candidate, lines[2].decode())
        run.fits.append(
            _Fit(
                *(number, candidate, split, failed, has_weights),
                *(key, frame, arrays, names, origin),
                *(model_key, bool(lines[3])),
            )
        )

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
        position = arrays.position(name)
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

    def check_blob(self, name: str) -> None:
        """Compare a content of states with its checksum, once."""
        if name not in self._blobs:
            raise self.corrupt("states", f"their content {name} is missing")
        if name not in self._good_blobs:
            self.blob(name)
            self._good_blobs.add(name)

    def corrupt(self, place: str, what: str) -> CorruptStoreError:
        """Return the error for damage at a place."""
        return corrupt(what, str(self.path), place)


class LogRun:
    """One run of a log; see :class:`~weightsearch._records.RunSource`.

    :meth:`fits` sees what was written until it is called; all other methods, what the
    last call has seen.

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
        self._known = _Content(uid)
        self._dropped: set[int] = set()
        self._rows: list[_Fit] = []
        self._by_number: dict[int, int] = {}
        self._table: FitTable | None = None
        self._seen: tuple[int, ...] = ()
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
        self._known = self.file.content(self.uid) or self._known
        return self._known

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
        if self._table is None:
            rows = self._rows
            origin = np.zeros(len(rows), "S32")
            origin_row = np.full(len(rows), -1, np.int64)
            for row, fit in enumerate(rows):
                if fit.origin is not None and fit.origin[0] not in self._superseded:
                    found = self._source(fit)
                    if found is not None:
                        origin[row], origin_row[row] = fit.origin[0].encode(), found[1]
            columns: list[Any] = list(zip(*rows, strict=True)) or [()] * 11
            self._table = FitTable(
                candidate=np.array(columns[1], np.int64),
                split=np.array(columns[2], np.int64),
                failed=np.array(columns[3], bool),
                has_weights=np.array(columns[4], bool),
                key=np.array(columns[5], "S32"),
                origin=origin,
                origin_row=origin_row,
                model_key=np.array(columns[10], "S32"),
            )
        return self._table

    def result(self, row: int) -> dict[str, Any]:
        """``FitRecord.result`` of a row."""
        text = self.result_text(row)
        place = f"fit at byte {self._fit(row).frame.at}"
        value = _json.loads(text, path=str(self.file.path), place=place)
        if not isinstance(value, dict):
            raise self.file.corrupt(place, "its result is not a mapping")
        return value

    def result_text(self, row: int) -> str:
        """The same as JSON text."""
        source, at = self._held(row)
        if source is not self and not self._fit(row).has_result:
            return source.result_text(at)
        return self.file.lines(self._fit(row).frame)[3].decode("utf-8", "replace")

    def own_result_text(self, row: int) -> str:
        """The same for a row whose model another run holds, if it has its own."""
        fit = self._fit(row)
        return self.result_text(row) if fit.origin and fit.has_result else ""

    def specs(self, row: int) -> WeightSpecs | None:
        """Names, shapes and types of a row's weights; None where it has none."""
        source, at = self._held(row)
        if source is not self:
            return source.specs(at)
        arrays = self._fit(row).arrays
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
        source, at = self._held(row)
        if source is not self:
            return source.read(at, name)
        return self.file.read(self._own_arrays(row), name)

    def read_all(self, row: int) -> Weights:
        """All arrays of a row."""
        source, at = self._held(row)
        if source is not self:
            return source.read_all(at)
        return self.file.read_all(self._own_arrays(row))

    def stack(self, name: str, rows: Sequence[int]) -> Array:
        """The arrays of one name in many rows, of equal shape and type, stacked."""
        if not len(rows):
            raise ValueError("There is nothing to stack: no rows were given.")
        found = [self._fit(int(row)).arrays for row in rows]
        own = [one for one in found if one is not None]
        layout = own[0].layout if own else None
        if layout is None or any(one is None or one[1] is not layout for one in found):
            return _stacked(name, [self.read(int(row), name) for row in rows])
        # Rows of one layout are read straight into their stack.
        position = own[0].position(name)
        if layout.specs.arrays[position].order == "F":
            return _stacked(name, [self.file.read(one, name) for one in own])
        size = layout.offsets[position + 1] - layout.offsets[position]
        raw = np.empty((len(own), size), np.uint8)
        for number, one in enumerate(own):
            self.file.raw(one, position, raw[number])
        return layout.stack(position, raw)

    def state(self, row: int) -> tuple[str, tuple[str, ...]] | None:
        """What besides weights a row has of its model: text, and names of blobs."""
        source, at = self._held(row)
        if source is not self:
            return source.state(at)
        fit = self._fit(row)
        if fit.blobs is None:
            return None
        lines = self.file.lines(fit.frame)
        text = lines[4].decode("utf-8", "replace") if len(lines) > 4 else ""
        return text, fit.blobs

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
        rows = [
            row
            for row, fit in enumerate(self._rows)
            if fit.has_weights and (fit.candidate, fit.split) == (best, REFIT)
        ]
        return rows[-1] if rows else None

    def splits(self) -> list[Splits]:
        """The splits; several where candidates were evaluated on different ones."""
        found: list[Splits] = []
        for one in self._content.splits:
            last = found[-1] if found else None
            if one.arrays is not None:
                packed = self.file.read_all(one.arrays)
                try:
                    pairs = unpack_splits(packed, one.n_splits, one.n_rows)
                except (KeyError, ValueError) as error:
                    raise self.file.corrupt(one.arrays.place, str(error)) from error
                found.append(Splits(one.first, one.count, one.n_rows, pairs))
            elif last is not None and last.first + last.count == one.first:
                found[-1] = replace(last, count=last.count + one.count)
        return found

    # -- damage ---------------------------------------------------------------

    def holder(self, row: int) -> tuple[str, int]:
        """The run that holds a fit, and its row there, or its number in this log."""
        fit = self._fit(row)
        return fit.origin or (self.uid, fit.number)

    def row_of(self, number: int) -> int | None:
        """Return the row of a number; None if it is lost."""
        self._see()
        return self._by_number.get(number)

    def problem(self, row: int) -> str | None:
        """What is wrong with a row; None if it can be read in full."""
        fit = self._fit(row)
        try:
            source, _ = self._held(row)
            if source is not self:
                return None
            self.result(row)
            for position in range(len(fit.arrays.crcs) if fit.arrays else 0):
                self.file.raw(self._own_arrays(row), position)
            for name in fit.blobs or ():
                self.file.check_blob(name)
        except StoreError as error:
            return str(error)
        return None

    def damaged(self) -> dict[int, str]:
        """Rows that cannot be read in full, and what is wrong with each."""
        problems = {row: self.problem(row) for row in range(len(self._rows))}
        return {row: what for row, what in problems.items() if what is not None}

    def drop(self, rows: Iterable[int]) -> None:
        """Leave rows out from now on."""
        self._dropped.update(self._rows[row].frame.at for row in rows)
        self._see()

    @property
    def n_lost(self) -> int:
        """Fits that were written and are not among the rows, as far as is known."""
        content = self._content
        written = max((fit.number for fit in content.fits), default=-1) + 1
        if content.end is not None:
            written = max(written, content.end["n_fits"])
        return max(written - len(self._rows), 0)

    # -- inside ---------------------------------------------------------------

    def _see(self) -> None:
        """Choose the rows that count: those with params that are not dropped."""
        content = self._content
        seen = len(content.fits), len(content.params), len(self._dropped)
        if seen != self._seen:
            self._seen = seen
            self._table = None
            self._rows = [
                fit
                for fit in content.fits
                if fit.candidate in content.params and fit.frame.at not in self._dropped
            ]
            self._by_number = {fit.number: row for row, fit in enumerate(self._rows)}

    def _fit(self, row: int) -> _Fit:
        if not 0 <= row < len(self._rows):
            raise WeightsNotFoundError(
                f"There is no fit {row} in this run; it has {len(self._rows)}."
            )
        return self._rows[row]

    def _held(self, row: int) -> tuple[RunSource, int]:
        """Return the run that holds a fit, and its row there."""
        fit = self._fit(row)
        if fit.origin is None:
            return self, row
        found = self._source(fit)
        if found is None:
            raise self.file.corrupt(
                f"fit at byte {fit.frame.at}",
                f"it refers to run {fit.origin[0]}, which the store lacks",
            )
        return found

    def _source(self, fit: _Fit) -> tuple[RunSource, int] | None:
        assert fit.origin is not None
        uid, number = fit.origin
        source = self._resolve(uid)
        if isinstance(source, LogRun):
            row = source.row_of(number)
            return None if row is None else (source, row)
        return None if source is None else (source, number)

    def _sources(self) -> Iterator[RunSource]:
        for uid in {fit.origin[0] for fit in self._rows if fit.origin is not None}:
            source = self._resolve(uid)
            if source is not None:
                yield source

    def _source_of(self, name: str) -> RunSource:
        for source in self._sources():
            if source.has_blob(name):
                return source
        raise self.file.corrupt("states", f"their content {name} is missing")

    def _own_arrays(self, row: int) -> _Arrays:
        arrays = self._fit(row).arrays
        if arrays is None:
            raise WeightsNotFoundError(f"Fit {row} has no weights.")
        return arrays


def _stacked(name: str, arrays: Sequence[Array]) -> Array:
    first = arrays[0]
    for one in arrays:
        if one.shape != first.shape or one.dtype != first.dtype:
            raise ValueError(
                f"{name!r} does not have one shape and type in these rows: "
                f"{first.shape} of {first.dtype}, and {one.shape} of {one.dtype}."
            )
    return np.stack(arrays)


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

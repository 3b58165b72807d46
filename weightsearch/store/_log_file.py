"""Reading a log, also while it is written: its frames, and what of it is damaged."""

from __future__ import annotations

import errno
import itertools
import json
import os
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np

from weightsearch._records import (
    REFIT,
    Array,
    RunHeader,
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
from weightsearch.store._beside import is_at, open_ours
from weightsearch.store._checked import corrupt
from weightsearch.store._run import parse_header
from weightsearch.store._schema import BLOCK_BYTES
from weightsearch.store._specs import Packing, StoredArray, as_array

_HEAD_BYTES: Final = 4096
"""Enough for most heads with their lines."""
_WINDOW_BYTES: Final = 1 << 18
"""Read at once: frames are mostly asked for one after another."""
_SHORT_RESULT: Final = 512
"""Up to here a fit's result is kept in memory."""
_TRIES: Final = 4
_PAUSE_SECONDS: Final = 0.005
_SEARCH_BYTES: Final = 1 << 20
_parse_json: Final = json.JSONDecoder().decode


class _Frame(NamedTuple):
    """Where a frame is: its head, its header lines, and its payload."""

    at: int
    n_header: int
    n_payload: int

    @property
    def payload(self) -> int:
        return self.at + fmt.HEAD.size + self.n_header

    @property
    def end(self) -> int:
        return self.payload + self.n_payload

    @property
    def place(self) -> str:
        return f"frame at byte {self.at}"


class LogArrays(NamedTuple):
    """The arrays of a frame."""

    frame: _Frame
    packing: Packing
    crcs: list[int]

    @property
    def place(self) -> str:
        return self.frame.place


class Fit(NamedTuple):
    """A finished fit, as its frame has it."""

    number: int
    candidate: int
    split: int
    failed: bool
    has_weights: bool
    key: bytes
    model_key: bytes
    frame: _Frame
    arrays: LogArrays | None
    blobs: tuple[str, ...] | None
    origin: tuple[str, int] | None
    result: bytes | None
    """None where it is long."""
    n_epochs: int = -1
    """Epochs that it trained; -1 where no snapshots were wanted"""
    n_snapshots: int = 0


@dataclass
class LogContent:
    """What the log has of one run."""

    uid: str
    header: RunHeader | None = None
    splits: list[tuple[Splits, int, LogArrays | None]] = field(default_factory=list)
    """Splits yet without their rows, the number of splits, and the rows; no rows where
    they are those of the candidates before"""
    params: dict[int, str] = field(default_factory=dict)
    fits: list[Fit] = field(default_factory=list)
    snapshots: dict[int, list[LogArrays]] = field(default_factory=dict)
    """Blocks of snapshots of each fit, by its number; in a spool, by their own"""
    under_way: tuple[int, int] | None = None
    """Candidate and split of the fit that a spool belongs to"""
    n_epochs: int = 0
    """Epochs that this fit had trained"""
    ended: int = 0
    end: dict[str, Any] | None = None
    cv_results: LogArrays | None = None


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
        except (FileNotFoundError, StoreError):
            raise
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error}", str(path)) from error
        self._restart()
        self.refresh()

    @classmethod
    def beside(cls, store: Path) -> Self | None:
        """Open the log of a store; None if there is none."""
        try:
            return cls(fmt.log_path(store))
        except FileNotFoundError:
            return None

    def _restart(self) -> None:
        self.end = 0
        self.skipped: list[tuple[int, int]] = []
        self._size = 0
        self.torn = False
        self._runs: dict[str, LogContent] = {}
        self._blobs: dict[str, tuple[int, int, int]] = {}
        self._good_blobs: set[str] = set()
        self._packings: dict[tuple[bytes, tuple[int, ...]], Packing] = {}
        self._window = 0, b""

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    @property
    def in_place(self) -> bool:
        """Whether the file at :attr:`path` is still the one that is read."""
        return is_at(self._handle, self.path)

    @property
    def begins_well(self) -> bool:
        """Whether the file is empty or begins as a log does."""
        return fmt.MAGIC.startswith(self._pread(len(fmt.MAGIC), 0))

    @property
    def damaged(self) -> bool:
        """Whether there is more damage than an unfinished frame at the end."""
        return bool(self.skipped) or self.torn

    @property
    def contents(self) -> list[LogContent]:
        """The runs, in the order in which they began."""
        return list(self._runs.values())

    @property
    def superseded(self) -> set[str]:
        """Uids of the runs that complete runs of the log replace."""
        ends = [content.end for content in self.contents]
        return {uid for end in ends if end is not None for uid in end["supersede"]}

    def content(self, uid: str) -> LogContent | None:
        """What the log has of a run; None once its writer has taken it back."""
        return self._runs.get(uid)

    # -- frames ---------------------------------------------------------------

    def refresh(self) -> None:
        """See the frames that have come since."""
        with self._mutex:
            size = os.fstat(self._handle).st_size
            if size < self.end or (self.skipped and size > self._size):
                # Its writer has taken frames back; or what looked damaged may have
                # been on its way, over a network.
                self._restart()
            self._size = size
            self._window = 0, b""
            at = self.end
            while at < size:
                frame = self._take(at)
                if frame is not None:
                    at = self.end = frame.end
                    continue
                after = self._next_whole(at + 1)
                if after is None:
                    break
                self.skipped.append((at, after))
                at = after
            self.torn = self.end < size and not self._unfinished()

    def follow(
        self,
        at: int,
        n_header: int,
        n_payload: int,
        meta: Mapping[str, Any],
        lines: list[bytes],
    ) -> None:
        """Take over what a frame says from its writer, in this process."""
        with self._mutex:
            # Otherwise a refresh reads it.
            if at == self.end and not self.skipped:
                frame = _Frame(at, n_header, n_payload)
                self._note(frame, meta, lines)
                self.end = frame.end

    def _take(self, at: int) -> _Frame | None:
        """Note what a whole frame says; None if there is no whole frame."""
        found = self._read_frame(at)
        if found is None:
            return None
        frame, lines = found
        try:
            self._note(frame, _parse_json(lines[0].decode()), lines)
        except (ArithmeticError, AttributeError, LookupError, RecursionError):
            return None
        except (TypeError, ValueError, StoreError):
            return None
        return frame

    def _read_frame(self, at: int) -> tuple[_Frame, list[bytes]] | None:
        """Return a frame, if it is whole, with its header lines.

        These are its own, spec, params, result and state.
        """
        raw = self._read(_HEAD_BYTES, at)
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
        if frame.end > self._size:
            return None
        first = fmt.HEAD.size
        header = raw[first : first + frame.n_header]
        if len(header) < frame.n_header:
            header = self._read(frame.n_header, at + first)
        lines = header.split(b"\n", 4)
        if zlib.crc32(header) != head[2] or len(lines) < 4:
            return None
        return frame, lines

    def _next_whole(self, at: int) -> int | None:
        """Return where the next whole frame begins."""
        # A hostile file may hold many heads with long lines: read it a few times.
        budget = 4 * self._size
        while at < self._size and budget > 0:
            at = self._data_from(at)
            block = self._pread(_SEARCH_BYTES, at)
            found = block.find(fmt.MAGIC)
            if found < 0:
                at += max(len(block) - len(fmt.MAGIC) + 1, 1)
                continue
            at += found
            head = fmt.unpack_head(self._pread(fmt.HEAD.size, at), at)
            if head is not None:
                if self._read_frame(at) is not None:
                    return at
                budget -= head[0]
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

    def _unfinished(self) -> bool:
        """Whether what is at the end is the beginning of a frame."""
        raw = self._pread(fmt.HEAD.size, self.end)
        head = fmt.unpack_head(raw, self.end)
        if head is None:
            return len(raw) < fmt.HEAD.size and raw[:4] == fmt.MAGIC[: len(raw)]
        return _Frame(self.end, head[0], head[1]).end > self._size

    def _read(self, n: int, at: int) -> bytes:
        start, block = self._window
        if not start <= at <= at + n <= start + len(block):
            start, block = at, self._pread(max(n, _WINDOW_BYTES), at)
            if n < _WINDOW_BYTES:
                self._window = start, block
        return block[at - start : at - start + n]

    def _pread(self, n: int, at: int) -> bytes:
        n = min(n, max(self._size - at, 0))
        if hasattr(os, "pread"):
            return os.pread(self._handle, n, at)
        with self._mutex:
            os.lseek(self._handle, at, os.SEEK_SET)
            return os.read(self._handle, n)

    # -- events ---------------------------------------------------------------

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
        run = self._runs.get(uid) or LogContent(uid)
        if event in (fmt.FIT, fmt.REUSE):
            _note_fit(run, frame, meta, lines, arrays)
        elif event == fmt.SNAPSHOTS:
            if arrays is None:
                raise ValueError("snapshots without arrays")
            if "epochs" in meta:
                _note_under_way(run, meta)
            run.snapshots.setdefault(_count(meta["number"]), []).append(arrays)
        elif event == fmt.PARAMS:
            for number, text in enumerate(meta["params"], _count(meta["start"])):
                run.params[number] = str(text)
        elif event == fmt.BEGIN:
            header = parse_header(_json.loads(lines[0])["header"])
            if header.uid != uid:
                raise ValueError("the header of another run")
            run.header = header
        elif event == fmt.SPLITS:
            numbers = (meta[n] for n in ("first", "count", "n_rows", "n_splits"))
            first, count, n_rows, n_splits = map(_count, numbers)
            run.splits.append((Splits(first, count, n_rows, ()), n_splits, arrays))
        elif event == fmt.END:
            meta = _json.loads(lines[0])
            if meta["best_index"] is not None:
                _count(meta["best_index"])
            if not isinstance(meta["finished"], str) or arrays is None:
                raise ValueError("an end that is not what it must be")
            meta["supersede"] = frozenset(map(str, meta["supersede"]))
            run.end, run.cv_results = meta, arrays
        else:
            # A later version of the same format may have more events.
            return
        self._runs[uid] = run

    def _arrays(self, frame: _Frame, meta: Any, spec: bytes) -> LogArrays:
        sizes, crcs = tuple(meta["sizes"]), meta["crcs"]
        known = self._packings.get((spec, sizes))
        if known is None:
            known = Packing.parse(spec, sizes, path=str(self.path), place=frame.place)
            if len(self._packings) < 10_000:
                self._packings[spec, sizes] = known
        if known.offsets[-1] != frame.n_payload or len(crcs) != len(sizes):
            raise ValueError("arrays that are not all there")
        return LogArrays(frame, known, crcs)

    # -- what they hold -------------------------------------------------------

    def lines(self, frame: _Frame) -> list[bytes]:
        """Return a frame's header lines."""
        found = self._read_frame(frame.at)
        if found is None:
            raise self.corrupt(frame.place, "its checksum is wrong")
        return found[1]

    def _raw(self, arrays: LogArrays, first: int, last: int) -> list[Array]:
        """Return the bytes of some arrays, compared with their checksums."""
        offsets = arrays.packing.offsets[first : last + 1]
        bad = first
        for attempt in range(_TRIES):
            if attempt:
                # Over a network, bytes may come after the length of their file.
                time.sleep(_PAUSE_SECONDS)
                self._window = 0, b""
            start, size = arrays.frame.payload + offsets[0], offsets[-1] - offsets[0]
            whole = np.frombuffer(self._read(size, start), np.uint8)
            parts = [
                whole[low - offsets[0] : high - offsets[0]]
                for low, high in itertools.pairwise(offsets)
            ]
            for bad, part in enumerate(parts, first):
                if zlib.crc32(part.data) != arrays.crcs[bad]:
                    break
            else:
                return parts
        name = arrays.packing.specs.arrays[bad].name
        raise self.corrupt(arrays.place, f"the checksum of {name!r} is wrong")

    def stored(self, arrays: LogArrays) -> Iterator[StoredArray]:
        """Yield the arrays as they are kept; small ones are read together."""
        specs, offsets = arrays.packing.specs.arrays, arrays.packing.offsets
        step = len(specs) if offsets[-1] <= BLOCK_BYTES else 1
        for first in range(0, len(specs), step or 1):
            last = first + step
            parts = self._raw(arrays, first, last)
            crcs = arrays.crcs[first:last]
            yield from zip(specs[first:last], parts, crcs, strict=True)

    def read(self, arrays: LogArrays, name: str) -> Array:
        """Return one array, by its name or one that it is tied to."""
        packing = arrays.packing
        number = packing.index.get(packing.specs.ties.get(name, name))
        if number is None:
            raise WeightsNotFoundError(
                f"There is no weight {name!r} in this fit; it has "
                f"{', '.join(packing.index)}."
            )
        (raw,) = self._raw(arrays, number, number + 1)
        return as_array(raw, packing.specs.arrays[number], packing.stored[number])

    def read_all(self, arrays: LogArrays) -> Weights:
        """Return all arrays."""
        specs = arrays.packing.specs
        read = zip(self.stored(arrays), arrays.packing.stored, strict=True)
        return Weights(
            ((spec.name, as_array(raw, spec, how)) for (spec, raw, _), how in read),
            ties=specs.ties,
            encodings=specs.encodings,
        )

    def specs_of(self, arrays: LogArrays) -> WeightSpecs:
        """Return names, shapes and types of the arrays."""
        return arrays.packing.specs

    def blob_size(self, name: str) -> int | None:
        """Return the bytes of a content of states; None if it is not here."""
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


def _note_under_way(run: LogContent, meta: Any) -> None:
    place = _count(meta["candidate"]), meta["split"]
    if type(place[1]) is not int or place[1] < REFIT:
        raise ValueError("snapshots of no fit")
    if run.under_way not in (None, place):
        raise ValueError("snapshots of two fits")
    n_epochs = _count(meta["epochs"])
    run.under_way, run.n_epochs = place, n_epochs


def _note_fit(
    run: LogContent,
    frame: _Frame,
    meta: Any,
    lines: list[bytes],
    arrays: LogArrays | None,
) -> None:
    candidate, split = _count(meta["candidate"]), meta["split"]
    key = (meta["key"] or "").encode("ascii")
    model_key = (meta.get("model_key") or "").encode("ascii")
    longest = max(len(key), len(model_key))
    if type(split) is not int or split < REFIT or longest > 32:
        raise ValueError("a fit that is not what it must be")
    run.ended = max(run.ended, _count(meta["ended"]))
    origin = blobs = None
    failed, has_weights = False, arrays is not None
    if meta["event"] == fmt.REUSE:
        origin = str(meta["origin"]), _count(meta["row"])
        has_weights = bool(meta["weights"])
    else:
        failed, blobs = bool(meta["failed"]), meta.get("blobs")
        blobs = None if blobs is None else tuple(map(str, blobs))
    if lines[2]:
        run.params.setdefault(candidate, lines[2].decode())
    number = _count(meta["number"])
    about = number, candidate, split, failed, has_weights, key, model_key
    result = lines[3] if len(lines[3]) <= _SHORT_RESULT else None
    trained = -1, 0
    if "epochs" in meta:
        trained = _count(meta["epochs"]), _count(meta["snapshots"])
    run.fits.append(Fit(*about, frame, arrays, blobs, origin, result, *trained))


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise ValueError(f"{value!r:.100} is not a non-negative integer")
    return value

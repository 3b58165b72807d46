"""The log beside a store: one append-only file, a frame per event.

A frame is a head, header lines and the bytes of its arrays. It counts if it is whole
and its checksums agree, and needs no other frame to be understood, so that damage
costs the frames that it hits and no others. ``docs/format.md`` is the normative page.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import struct
import threading
import time
import zlib
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import Future
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from weightsearch._records import (
    FAILED,
    FitRecord,
    RunHeader,
    RunResults,
    Splits,
)
from weightsearch.exceptions import StoreWriteError
from weightsearch.store import _beside, _json
from weightsearch.store import _schema as names
from weightsearch.store._beside import (
    create_beside,
    is_at,
    open_ours,
    protect,
    sync_data,
    sync_folder,
)
from weightsearch.store._specs import Packed, pack
from weightsearch.store._splits import pack_splits

MAGIC: Final = b"WSL1"
"""Begins every frame; the last byte is the format's version."""
HEAD: Final = struct.Struct("<4sIQII")
"""Magic, bytes of the header lines, bytes of the arrays, CRC-32 of the head, CRC-32
of the header lines."""
_CHECKED: Final = struct.Struct("<Q4sIQ")
"""The head's checksum covers the frame's place in the file too."""

BEGIN, SPLITS, PARAMS, BLOB, SNAPSHOTS, FIT, REUSE, END = (
    "begin",
    "splits",
    "params",
    "blob",
    "snapshots",
    "fit",
    "reuse",
    "end",
)

Follow = Callable[[int, int, int, Mapping[str, Any], list[bytes]], None]

_encode_plain: Final = json.JSONEncoder(separators=(",", ":")).encode
"""Of the fields of a fit, which have nothing that JSON lacks."""
_SYNC_SECONDS = 5.0
_UNSYNCED_BYTES = 256 << 20
"""Of a run that is about to be put into the file: this is done in a second."""
_MAX_PIECES = 1000
"""Buffers in one call; systems take 1024."""
_PARAMS_BYTES = 8 << 20
"""Of params in one frame."""
PARAMS_WITH_FIT = 4096
"""Up to here a fit's frame repeats its candidate's params."""


def log_path(store: Path) -> Path:
    """Return the path of a store's log."""
    return store.with_name(f"{store.name}.wslog")


def head_of(at: int, n_header: int, n_payload: int, crc: int) -> bytes:
    """Return the head of a frame that begins at byte `at` of the file."""
    checked = zlib.crc32(_CHECKED.pack(at, MAGIC, n_header, n_payload))
    return HEAD.pack(MAGIC, n_header, n_payload, checked, crc)


def unpack_head(raw: bytes, at: int) -> tuple[int, int, int] | None:
    """Return lengths of header and arrays and the header's CRC; None if no head."""
    if len(raw) < HEAD.size:
        return None
    magic, n_header, n_payload, checked, crc = HEAD.unpack_from(raw)
    if (
        magic != MAGIC
        or zlib.crc32(_CHECKED.pack(at, magic, n_header, n_payload)) != checked
    ):
        return None
    return n_header, n_payload, crc


class Frame(NamedTuple):
    """A frame that is ready to be written.

    Attributes
    ----------
    lines : list of bytes
        Of its header.
    pieces : list of buffers
        All of it.
    n_header, n_payload : int
        Bytes of the lines and of the arrays.
    """

    lines: list[bytes]
    pieces: list[Any]
    n_header: int
    n_payload: int

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return HEAD.size + self.n_header + self.n_payload


def frame_of(
    at: int, fields: str, arrays: Packed | None, lines: Sequence[bytes]
) -> Frame:
    """Return a frame, given its place in the file and the fields of its event."""
    spec, contents, n_payload = b"", [], 0
    if arrays is not None:
        spec, contents, n_payload = arrays.spec, arrays.pieces, sum(arrays.sizes)
        fields += f',"sizes":{arrays.sizes},"crcs":{arrays.crcs}'
    lines = [f"{{{fields}}}".encode(), spec, *lines]
    header = b"\n".join(lines)
    head = head_of(at, len(header), n_payload, zlib.crc32(header))
    return Frame(lines, [head, header, *contents], len(header), n_payload)


class Log:
    """The log of a store, for the one process that writes it.

    It holds any number of runs, one after another. Methods may be called from any
    thread; they run one at a time.

    Attributes
    ----------
    path : Path
    run : RunHeader or None
        The run that is being written.
    follow : callable or None
        Called after each frame is written, so that its reader need not read it again:
        with its place, the bytes of its header lines and arrays, the fields of the
        first line, and the lines.
    """

    def __init__(self, store: Path, end: int | None = None, *, durable: bool = True):
        self.path = log_path(store)
        self.run: RunHeader | None = None
        self.follow: Follow | None = None
        self._durable = durable
        self._mutex = threading.RLock()
        self._end = self._start = end or 0
        self._n_rows = 0
        self._n_safe = 0
        self._params: dict[int, str] = {}
        self._splits: tuple[Any, ...] = ()
        self._blobs: set[str] = set()
        self._synced_at = time.monotonic()
        self._synced_end = self._end
        self._syncing: Future[None] | None = None
        self._handle = -1
        with self._explaining():
            if end is None:
                self._handle = create_beside(self.path, store)
                if durable:
                    sync_folder(store.parent)
            else:
                self._handle = open_ours(self.path)
                # The store may have become private since the log was begun.
                protect(self._handle, store)
                os.ftruncate(self._handle, end)

    @property
    def in_place(self) -> bool:
        """Whether the file at :attr:`path` is still the one that is written."""
        return is_at(self._handle, self.path)

    @property
    def n_rows(self) -> int:
        """Fits of the run in the log, those that failed and that it reuses too."""
        return self._n_rows

    @property
    def n_safe(self) -> int:
        """Fits of the run that need not be made again; 0 if the log is not in place."""
        return self._n_safe if self.in_place else 0

    @property
    def is_empty(self) -> bool:
        """Whether the log is empty."""
        return self._end == 0

    # -- one run --------------------------------------------------------------

    def begin(self, header: RunHeader) -> None:
        """Begin a run."""
        with self._mutex:
            self.run = header
            self._start = self._end
            self._n_rows = self._n_safe = 0
            self._params.clear()
            self._splits = ()
            self._write(BEGIN, {"header": asdict(header)})

    def set_splits(self, splits: Splits) -> None:
        """Add the splits that the next candidates are evaluated on."""
        with self._mutex:
            meta = {
                "first": splits.first,
                "count": splits.count,
                "n_rows": splits.n_rows,
                "n_splits": len(splits.pairs),
            }
            arrays = pack(pack_splits(splits.pairs, splits.n_rows))
            about = splits.n_rows, len(splits.pairs), arrays.spec, arrays.pieces
            # A search that evaluates candidates in turns mostly has the same again.
            again = self._splits == (splits.first, *about)
            self._write(SPLITS, meta, None if again else arrays)
            self._splits = splits.first + splits.count, *about

    def set_params(self, start: int, encoded: Sequence[str]) -> None:
        """Add candidates' params, from candidate ``start`` on, each as JSON text."""
        with self._mutex:
            for first, block in _blocks(encoded):
                self._write(PARAMS, {"start": start + first, "params": list(block)})
            self._params.update(enumerate(encoded, start))

    def append(
        self, record: FitRecord, spooled: Iterable[tuple[int, Packed]] = ()
    ) -> int:
        """Append a finished fit; return its number.

        `spooled` are blocks of its snapshots that come before those of the record:
        number of snapshots and arrays of each.
        """
        weights, state = record.weights, record.state
        arrays = None
        if weights is not None:
            arrays = pack(weights, weights.ties, weights.encodings)
        result = _json.dumps(record.result).encode()
        failed = record.status == FAILED
        with self._mutex:
            for name, content in ({} if state is None else state.blobs).items():
                if name not in self._blobs:
                    self._write(BLOB, {"name": name}, _raw(content))
                    self._blobs.add(name)
            meta = self._place(
                record.candidate, record.split, record.key, record.model_key
            )
            meta["failed"] = failed
            if state is not None:
                meta["blobs"] = list(state.blobs)
            if record.snapshots is not None:
                meta["epochs"] = record.snapshots.n_epochs
                meta["snapshots"] = 0
                own = (
                    (len(block[names.D_EPOCH]), pack(block))
                    for block in record.snapshots.blocks
                )
                for count, block in chain(spooled, own):
                    self._write(SNAPSHOTS, {"number": self._n_rows}, block)
                    meta["snapshots"] += count
            text = None if state is None else state.text.encode()
            self._write(FIT, meta, arrays, self._known(record.candidate), result, text)
            number = self._n_rows
            self._n_rows += 1
            self._n_safe += not failed
            _beside.reached("fit written")
            self._sync_sometimes()
            return number

    def append_reference(
        self,
        candidate: int,
        split: int,
        key: str | None,
        source_uid: str,
        source_row: int,
        *,
        has_weights: bool = True,
        model_key: str | None = None,
        result: str = "",
    ) -> None:
        """Note a fit that is stored already, or only its model.

        The result is JSON text, empty where it is that of the row that is referred to.
        """
        with self._mutex:
            meta = self._place(candidate, split, key, model_key)
            meta |= {"origin": source_uid, "row": source_row, "weights": has_weights}
            params = self._known(candidate)
            self._write(REUSE, meta, None, params, result.encode())
            self._n_rows += 1
            self._n_safe += 1

    def finish(self, results: RunResults, supersede: Collection[str] = ()) -> None:
        """Add what is known at the end and mark the run as complete."""
        meta = {
            "best_index": results.best_index,
            "finished": datetime.datetime.now(datetime.UTC).isoformat(),
            "n_fits": self._n_rows,
            "supersede": sorted(supersede),
        }
        with self._mutex:
            self._write(END, meta, pack(results.cv_results))
        _beside.reached("run finished")

    def take_back(self) -> None:
        """Remove the run that is being written."""
        with self._mutex, self._explaining():
            os.ftruncate(self._handle, self._start)
            self._end = self._start
            self.run = None

    # -- the file -------------------------------------------------------------

    def sync(self) -> None:
        """Wait until all is on the disk, if the log is durable."""
        if self._durable:
            with self._mutex, self._explaining():
                self._end_syncing()
                sync_data(self._handle)
                self._synced_at, self._synced_end = time.monotonic(), self._end

    def sync_many(self) -> None:
        """Wait for the disk if there is more than will be in the file in a second."""
        if self._end - self._synced_end > _UNSYNCED_BYTES:
            self.sync()

    def close(self) -> None:
        """Close the file; what was appended stays."""
        with self._mutex:
            with contextlib.suppress(OSError):
                self._end_syncing()
            handle, self._handle = self._handle, -1
            if handle >= 0:
                os.close(handle)

    def _place(
        self, candidate: int, split: int, key: str | None, model_key: str | None
    ) -> dict[str, Any]:
        of_model = {} if model_key is None else {"model_key": model_key}
        return {
            "number": self._n_rows,
            "candidate": int(candidate),
            "split": int(split),
            "key": key,
            **of_model,
            "ended": int(time.time() * 1000),
        }

    def _known(self, candidate: int) -> bytes:
        text = self._params.get(candidate, "")
        return text.encode() if len(text) <= PARAMS_WITH_FIT else b""

    def _sync_sometimes(self) -> None:
        """Begin to wait for the disk, beside the next fits."""
        due = self._durable and time.monotonic() - self._synced_at >= _SYNC_SECONDS
        if not due or (self._syncing is not None and not self._syncing.done()):
            return
        with self._explaining():
            self._end_syncing()
        # A thread of its own: a fork could not use a pool's.
        self._syncing = syncing = Future[None]()
        self._synced_at, self._synced_end = time.monotonic(), self._end
        threading.Thread(target=_sync, args=(self._handle, syncing)).start()

    def _end_syncing(self) -> None:
        """Wait for the sync under way, and raise what went wrong."""
        syncing, self._syncing = self._syncing, None
        if syncing is not None:
            syncing.result()

    def _write(
        self,
        event: str,
        meta: Mapping[str, Any],
        arrays: Packed | None = None,
        params: bytes = b"",
        result: bytes = b"",
        state: bytes | None = None,
    ) -> None:
        """Write one frame, whole or not at all."""
        if self.run is None:
            raise RuntimeError("No run has begun in this log.")
        meta = {"event": event, "run": self.run.uid, **meta}
        encode = _encode_plain if event in (FIT, REUSE) else _json.dumps
        fields = encode(meta)[1:-1]
        lines = [params, result]
        if state is not None:
            # Last, since it may have lines of its own.
            lines.append(state)
        frame = frame_of(self._end, fields, arrays, lines)
        if arrays is not None:
            meta |= {"sizes": arrays.sizes, "crcs": arrays.crcs}
        with self._explaining():
            if os.fstat(self._handle).st_nlink == 0:
                raise StoreWriteError(
                    f"The log {self.path} was removed while the search ran, and with "
                    "it every fit of this run. Call fit again.",
                    str(self.path),
                )
            try:
                write_at(self._handle, frame.pieces, self._end, frame.size)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._handle, self._end)
                raise
        at, self._end = self._end, self._end + frame.size
        if self.follow is not None:
            self.follow(at, frame.n_header, frame.n_payload, meta, frame.lines)

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn errors of the system into errors that say what to do."""
        try:
            yield
        except StoreWriteError:
            raise
        except FileExistsError as error:
            raise StoreWriteError(
                f"{self.path} is in the way: the store needs a log of that name. Move "
                "it, or choose another store.",
                str(self.path),
            ) from error
        except OSError as error:
            safe = self.n_safe
            kept = (
                f"{safe} finished fit{'' if safe == 1 else 's'} of this run are safe "
                f"in {self.path}"
                if safe
                else "No fit of this run had been kept yet"
            )
            raise StoreWriteError(
                f"The log {self.path} cannot be written: {error}. {kept}, and what was "
                "in the store before is untouched. Make room on that disk, or see that "
                "it can be written to, and call fit again: it resumes where it "
                "stopped.",
                str(self.path),
            ) from error


def _raw(content: bytes) -> Packed:
    view = memoryview(content)
    return Packed(b"", [view], [view.nbytes], [zlib.crc32(view)])


def _sync(handle: int, done: Future[None]) -> None:
    try:
        sync_data(handle)
    except OSError as error:
        done.set_exception(error)
    else:
        done.set_result(None)


def _blocks(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Cut texts into blocks of limited size; yields position and texts."""
    first = size = 0
    for number, text in enumerate(texts):
        if size and size + len(text) > _PARAMS_BYTES:
            yield first, texts[first:number]
            first, size = number, 0
        size += len(text)
    if first < len(texts):
        yield first, texts[first:]


def write_at(handle: int, pieces: list[Any], at: int, total: int) -> None:
    """Write buffers one after another from a place in the file on."""
    if hasattr(os, "pwritev") and len(pieces) <= _MAX_PIECES:
        done = os.pwritev(handle, pieces, at)
        if done == total:
            return
        # A disk that is just full takes a part, and says why at the next call.
        pieces = [b"".join(pieces)[done:]]
        at += done
    for piece in pieces:
        view = memoryview(piece)
        view = view.cast("B") if view.nbytes else view
        while view.nbytes:
            os.lseek(handle, at, os.SEEK_SET)
            done = os.write(handle, view)
            at += done
            view = view[done:]

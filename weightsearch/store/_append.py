"""Adding to a store's file so that a crash at any instant loses nothing.

HDF5 writes through a file object. What is beyond the old end of the file goes
straight through: nothing refers to it yet. What would overwrite older bytes (a few KB
of superblock and group index) is kept as pages. At the end

1. the file is synced;
2. the pages go, with checksums, into a *redo file* beside it, which is synced and
   gets its name: the commit point;
3. the pages are written in place, the file is synced, the redo file is removed.

A crash before 2 leaves the old file with unused bytes behind its end. After it, the
next writer finishes the job, and readers lay the pages over what they read.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from weightsearch.exceptions import StoreError
from weightsearch.store import _beside
from weightsearch.store._beside import (
    create_beside,
    in_the_way,
    open_ours,
    place_new,
    random_beside,
    remove_leftovers,
    sync_data,
    sync_folder,
    write_error,
)

PAGE = 512
_MAGIC = b"WSREDO1\n"
# Magic, old and new end of the file, first byte of its last new ones and their CRC-32,
# bytes and CRC-32 of the pages; the CRC-32 of all this follows.
_HEAD = struct.Struct("<8sQQQIQI")
_CRC = struct.Struct("<I")
_PAGE_HEAD = struct.Struct("<QI")
_TAIL = 2**16
"""Bytes of what was appended by which a redo file knows its file again."""
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_READ_WRITE = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)

Pages = Mapping[int, bytes | bytearray]


class PagedFile(io.RawIOBase):
    """The first `size` bytes of a file, some pages of which are in memory."""

    def __init__(self, file: io.FileIO, size: int, pages: Pages):
        self._file = file
        self._size = size
        self._at = 0
        self.pages: dict[int, bytearray] = {n: bytearray(p) for n, p in pages.items()}

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a place in the file."""
        base = (0, self._at, self._size)[whence]
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer as far as the file goes."""
        at, view = self._at, memoryview(buffer).cast("B")
        if at + len(view) > self._size:
            view = view[: max(0, self._size - at)]
        self._file.seek(at)
        done = self._file.readinto(view) or 0
        while 0 < done < len(view):
            more = self._file.readinto(view[done:])
            if not more:
                break
            done += more
        if self.pages:
            self._lay_over(at, view[:done])
        self._at += done
        return done

    def _lay_over(self, at: int, view: memoryview) -> None:
        end = at + len(view)
        for number in range(at // PAGE, -(-end // PAGE)):
            page = self.pages.get(number)
            if page is not None:
                start = number * PAGE
                low, high = max(at, start), min(end, start + len(page))
                view[low - at : high - at] = page[low - start : high - start]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def fileno(self) -> int:
        """Return the descriptor of the file."""
        return self._file.fileno()


class AppendFile(PagedFile):
    """The file that HDF5 writes to, which never lets HDF5 see an error.

    An HDF5 file that cannot be closed, since what it has in memory cannot be
    written, stays open until the process ends, and may take it down then. So the
    first error is kept in :attr:`error`, all later writes are dropped, and the caller
    looks at the error after closing. The first `old` bytes of the file do not change
    before :meth:`commit`.
    """

    def __init__(self, handle: int, old: int):
        super().__init__(io.FileIO(handle, "r+"), old, {})
        self._old = old
        self.error: BaseException | None = None
        self.committed = False

    @property
    def size(self) -> int:
        """Bytes of the file, as HDF5 sees it."""
        return self._size

    def write(self, data: Any, /) -> int:
        """Write all of the data, or keep the error."""
        view = memoryview(data).cast("B")
        at, low = self._at, max(0, min(len(view), self._old - self._at))
        if low and self.error is None:
            self._keep(at, view[:low])
        self._through(at + low, view[low:])
        self._at += len(view)
        self._size = max(self._size, self._at)
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the file's size; old bytes stay until the commit."""
        self._size = self._at if size is None else size
        return self._size

    def _through(self, at: int, view: memoryview) -> None:
        try:
            self._file.seek(at)
            while self.error is None and len(view):
                view = view[self._file.write(view) :]
        except OSError as exc:
            self.error = exc

    def _keep(self, at: int, view: memoryview) -> None:
        for number in range(at // PAGE, -(-(at + len(view)) // PAGE)):
            start = number * PAGE
            page = self.pages.get(number)
            if page is None:
                page = bytearray(min(PAGE, self._old - start))
                self._file.seek(start)
                self._file.readinto(page)
                self.pages[number] = page
            low, high = max(at, start), min(at + len(view), start + len(page))
            page[low - start : high - start] = view[low - at : high - at]

    def commit(self, path: Path, *, durable: bool) -> None:
        """Commit what HDF5 has written."""
        handle = self.fileno()
        if os.fstat(handle).st_size < self._size:
            os.ftruncate(handle, self._size)
        if durable:
            sync_data(handle)
        _beside.reached("append written")
        changed = list(self._changed())
        if changed:
            _write_redo(path, self._redo(changed), durable=durable)
            self.committed = True
            _beside.reached("redo written")
            pages = {number: page for number, _, page in changed}
            _write_pages(handle, pages, durable=durable)
            _beside.reached("pages written")
            redo_path(path).unlink()
            _beside.reached("redo removed")

    def undo(self) -> None:
        """Free the space of what was appended, as far as possible."""
        with contextlib.suppress(OSError):
            os.ftruncate(self.fileno(), self._old)

    def _changed(self) -> Iterator[tuple[int, bytes, bytearray]]:
        """Yield the pages that differ from the file's, as they were and are."""
        for number, page in sorted(self.pages.items()):
            self._file.seek(number * PAGE)
            before = self._file.read(len(page))
            if before != page:
                yield number, before, page

    def _redo(self, changed: Iterable[tuple[int, bytes, bytearray]]) -> bytes:
        tail = max(self._old, self._size - _TAIL)
        self._file.seek(tail)
        tail_crc = zlib.crc32(self._file.read(max(0, self._size - tail)))
        body = b"".join(
            _PAGE_HEAD.pack(number * PAGE, len(page)) + before + page
            for number, before, page in changed
        )
        sizes = (self._old, self._size, tail, tail_crc, len(body), zlib.crc32(body))
        head = _HEAD.pack(_MAGIC, *sizes)
        return head + _CRC.pack(zlib.crc32(head)) + body


def redo_path(path: Path) -> Path:
    """Return the path of a store's redo file."""
    return path.with_name(f"{path.name}.redo")


def _committed_size(handle: int) -> int:
    """Return the end of the file as its superblock has it, or its size.

    After it are only bytes of a writer that crashed before its commit.
    """
    size = os.fstat(handle).st_size
    with io.FileIO(handle, "r", closefd=False) as file:
        file.seek(0)
        head = file.read(36)
    if len(head) == 36 and head[:8] == _SIGNATURE and head[8] in (2, 3):
        end = int.from_bytes(head[28:36], "little")
        if head[9] == 8 and 48 <= end <= size:
            return end
    return size


def open_paged(path: Path) -> PagedFile:
    """Open a store's file for reading, with the pages of an interrupted commit."""
    file = io.FileIO(path, "r")
    try:
        pages: Pages = {}
        size = os.fstat(file.fileno()).st_size
        with contextlib.suppress(OSError, StoreError):
            pages = _read_redo(redo_path(path), file)
        return PagedFile(file, size, pages)
    except BaseException:
        file.close()
        raise


@contextlib.contextmanager
def opened_for_append(path: Path, *, durable: bool) -> Iterator[AppendFile]:
    """Open a store's file, and commit what was written unless an error occurs.

    Where a StoreWriteError is raised, the file is as it was, or is finished by the
    next writer.
    """
    recover(path)
    file: AppendFile | None = None
    try:
        handle = os.open(path, _READ_WRITE)
        file = AppendFile(handle, _committed_size(handle))
        yield file
        if file.error is not None:
            raise file.error
        file.commit(path, durable=durable)
    except BaseException as exc:
        safe = ""
        if os.path.lexists(redo_path(path)) or (file is not None and file.committed):
            safe = "What was to be added is safe, and is there at the next opening."
        elif file is not None:
            file.undo()
        # What HDF5 or the caller made of an error of the disk is only a consequence.
        cause = exc if file is None or file.error is None else file.error
        if isinstance(cause, OSError) and not isinstance(cause, StoreError):
            raise write_error(cause, path, safe) from cause
        raise
    finally:
        if file is not None:
            file.close()


@contextlib.contextmanager
def new_file(path: Path, *, durable: bool, replace: bool) -> Iterator[AppendFile]:
    """Create a new file beside `path` and, on success, move it into place.

    With `replace` it takes the place of the file that is there; else there must be
    none. Where a StoreWriteError is raised, what was at `path` is untouched.
    """
    aside = random_beside(path, ".tmp")
    file: AppendFile | None = None
    try:
        remove_leftovers(path)
        file = AppendFile(create_beside(aside, path), 0)
        yield file
        if file.error is not None:
            raise file.error
        os.ftruncate(file.fileno(), file.size)
        if durable:
            sync_data(file.fileno())
        file.close()
        _beside.reached("file written")
        if replace:
            aside.replace(path)
        else:
            place_new(aside, path)
        if durable:
            sync_folder(path.parent)
        _beside.reached("file renamed")
    except BaseException as exc:
        cause = exc if file is None or file.error is None else file.error
        if isinstance(cause, OSError) and not isinstance(cause, StoreError):
            raise write_error(cause, path) from cause
        raise
    finally:
        if file is not None:
            file.close()
            aside.unlink(missing_ok=True)


def recover(path: Path) -> bool:
    """Finish a crashed writer's commit, or drop it if its redo file is torn.

    The store's lock must be held. Return whether there was one to finish. A
    StoreWriteError where something else has the redo file's name.
    """
    redo = redo_path(path)
    try:
        remove_leftovers(path)
        if not os.path.lexists(redo):
            return False
        # Of a store that was removed, nothing can be finished.
        handle = os.open(path if path.exists() else os.devnull, _READ_WRITE)
        with io.FileIO(handle, "r+") as file:
            pages = _read_redo(redo, file)
            if pages:
                _write_pages(handle, pages, durable=True)
                _beside.reached("pages written")
        redo.unlink()
        _beside.reached("redo removed")
        return bool(pages)
    except OSError as exc:
        if isinstance(exc, StoreError):
            raise
        raise write_error(exc, path) from exc


def _write_redo(path: Path, content: bytes, *, durable: bool) -> None:
    aside = random_beside(path, ".tmp")
    handle = create_beside(aside, path)
    try:
        with io.FileIO(handle, "r+") as file:
            view = memoryview(content)
            while len(view):
                view = view[file.write(view) :]
            if durable:
                sync_data(file.fileno())
        place_new(aside, redo_path(path))
        if durable:
            sync_folder(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def _write_pages(handle: int, pages: Pages, *, durable: bool) -> None:
    with io.FileIO(handle, "r+", closefd=False) as file:
        for number, page in pages.items():
            file.seek(number * PAGE)
            if file.write(page) != len(page):
                raise OSError("a page was written in part")
    if durable:
        sync_data(handle)


def _read_redo(redo: Path, file: io.FileIO) -> dict[int, bytes]:
    """Read a redo file's pages; none if it is torn or belongs to another file.

    Where something else has its name, a StoreWriteError is raised.
    """
    size = os.fstat(file.fileno()).st_size
    # Its writer may have died before it removed the name that it was written under.
    with io.FileIO(open_ours(redo, write=False, names=2)) as source:
        total = os.fstat(source.fileno()).st_size
        head = source.read(_HEAD.size + _CRC.size)
        if head[: len(_MAGIC)] != _MAGIC[: len(head)]:
            raise in_the_way(redo)
        if len(head) < _HEAD.size + _CRC.size:
            return {}
        if zlib.crc32(head[: _HEAD.size]) != _CRC.unpack(head[_HEAD.size :])[0]:
            return {}
        _, old, new, tail, tail_crc, n_body, crc = _HEAD.unpack(head[: _HEAD.size])
        # No more is read than the store's own size allows.
        if n_body != total - len(head) or n_body > 3 * size or new > size:
            return {}
        body = source.readall()
    if len(body) != n_body or zlib.crc32(body) != crc:
        return {}
    file.seek(tail)
    if not tail <= max(old, new) or new - tail > _TAIL:
        return {}
    if zlib.crc32(file.read(max(0, new - tail))) != tail_crc:
        return {}
    pages: dict[int, bytes] = {}
    at = 0
    while at < n_body:
        offset, length = _PAGE_HEAD.unpack_from(body, at)
        at += _PAGE_HEAD.size
        before, after = body[at : at + length], body[at + length : at + 2 * length]
        at += 2 * length
        file.seek(offset)
        found = file.read(length)
        # A cut may have left any of the bytes old and the others new.
        triples = zip(found, before, after, strict=False)
        if len(found) != length or any(x not in (y, z) for x, y, z in triples):
            return {}
        pages[offset // PAGE] = after
    return pages

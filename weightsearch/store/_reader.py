"""Lazy, read-only access to a store, safe on untrusted files."""

from __future__ import annotations

import atexit
import io
import os
import stat
import time
import warnings
import weakref
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Self

import h5py
from h5py import h5g

from weightsearch.exceptions import (
    CorruptStoreError,
    NotAStoreError,
    StoreError,
    StoreVersionError,
    StoreWriteError,
    WeightSearchError,
)
from weightsearch.store import _schema as names
from weightsearch.store._append import open_paged, redo_path
from weightsearch.store._catalog import Catalog, CatalogEntry
from weightsearch.store._checked import (
    TROUBLE,
    CheckedGroup,
    attribute,
    guarded,
    translate,
)
from weightsearch.store._stored_run import Hdf5Run

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_TRIES = 5
_open_stores: weakref.WeakSet[Hdf5Store] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Close what is still open: HDF5 would call file objects after Python's end."""
    for store in list(_open_stores):
        store.close()


class StoreView:
    """The content of an open store.

    Attributes
    ----------
    uid : str
        Unique to this store; the same however often the file is rewritten.
    entries : list of CatalogEntry
        What the index has of each run that was not deleted, oldest first.
    """

    def __init__(self, root: CheckedGroup):
        self.root = root
        _check_root(root)
        self.uid = root.text(names.A_STORE_UID)
        self.catalog = Catalog(root)
        every = self.catalog.entries
        self.entries = [entry for entry in every if entry.status != "kept"]
        if len({entry.name for entry in self.entries}) < len(self.entries):
            raise root.refuse("two runs have the same name")
        self._by_uid = {entry.uid: entry for entry in every}
        self._opened: dict[str, Hdf5Run] = {}

    def by_uid(self, uid: str) -> Hdf5Run | None:
        """Return the run of a uid, or None; one that was deleted and is kept too."""
        return self._run(self._by_uid[uid]) if uid and uid in self._by_uid else None

    def _run(self, entry: CatalogEntry) -> Hdf5Run:
        run = self._opened.get(entry.place)
        if run is None:
            run = Hdf5Run(entry, self.open_group, self.by_uid)
            self._opened[entry.place] = run
        return run

    @cached_property
    def runs(self) -> dict[str, Hdf5Run]:
        """The same runs by name. Nothing of them has been read."""
        return {entry.name: self._run(entry) for entry in self.entries}

    @property
    def every_run(self) -> list[Hdf5Run]:
        """All runs, with those that were deleted and are kept."""
        return [self._run(entry) for entry in self.catalog.entries]

    def open_group(self, place: str) -> CheckedGroup:
        """Open the group of a run."""
        return self.root.group(place)


class Hdf5Store(StoreView):
    """A store's file, open for reading.

    Opening reads the index; everything else is read on first use, and compared with
    its checksum. No lock of HDF5 is taken or needed: what is in the
    file stays where it is while runs are added.

    Parameters
    ----------
    source : path or binary file
        A path, or an open file that can be read and sought, of any origin.

    Raises
    ------
    StoreError
        Its children say why: not a store, of a newer version, or damaged.
    """

    def __init__(self, source: Path | str | BinaryIO):
        self._is_path = isinstance(source, (str, os.PathLike))
        self.path = str(source) if self._is_path else name_of(source)
        self._files: list[tuple[Any, h5py.File]] = []
        _open_stores.add(self)
        self._status: tuple[int, ...] = ()
        for attempt in range(_TRIES):
            before = self._at_path()
            try:
                super().__init__(self._open_root(source))
                return
            except BaseException as exc:
                self.close()
                # A writer may have been in the middle of its commit.
                retry = (
                    isinstance(exc, CorruptStoreError)
                    and before
                    and (
                        self._at_path() != before
                        or os.path.lexists(redo_path(Path(self.path)))
                    )
                )
                if attempt == _TRIES - 1 or not retry:
                    raise
                time.sleep(0.01 * 4**attempt)

    def open_group(self, place: str) -> CheckedGroup:
        """Open the group of a run."""
        try:
            return super().open_group(place)
        except CorruptStoreError:
            # The index of groups may have changed since it was read in part.
            if not self._changed():
                raise
            self.root = self._open_root(self.path)
            return super().open_group(place)

    def close(self) -> None:
        """Close the file; its runs cannot be read any more."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            while self._files:
                file, opened = self._files.pop()
                opened.close()
                file.close()

    @property
    def closed(self) -> bool:
        """Whether the file has been closed."""
        return not self._files

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _open_root(self, source: Path | str | BinaryIO) -> CheckedGroup:
        self._status = self._at_path()
        file, opened = _open(source, self.path)
        self._files.append((file, opened))
        with guarded(self.path, "/"):
            return CheckedGroup(h5g.open(opened.id, b"/"), self.path, "/")

    def _at_path(self) -> tuple[int, ...]:
        """Identify the state of the file at the path."""
        try:
            status = Path(self.path).stat() if self._is_path else None
        except OSError:
            status = None
        if status is None:
            return ()
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _changed(self) -> bool:
        """Return whether the open file was written to, and is still at its path."""
        before, now = self._status, self._at_path()
        return bool(before and now and self._files) and (
            now[0] == before[0] and now != before
        )


def check_store_file(path: Path) -> None:
    """Check that a file, if there is one, is a store and may be written.

    A NotAStoreError for a folder, a file that is not HDF5 (an empty one too) or one of
    another program. Whether its folder takes files, the lock finds out.
    """
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as exc:
        raise StoreWriteError(f"{path}: cannot be used as a store: {exc}") from exc
    if stat.S_ISDIR(kind):
        raise NotAStoreError(
            f"{path} is a folder; a store is a file: name one in it", str(path)
        )
    file, opened = _open(path, str(path))
    try:
        with guarded(str(path), "/"):
            _check_root(CheckedGroup(h5g.open(opened.id, b"/"), str(path), "/"))
    finally:
        opened.close()
        file.close()
    if not os.access(path, os.W_OK):
        raise StoreWriteError(
            f"{path} is read-only; make it writable or choose another", str(path)
        )


def _open(source: Path | str | BinaryIO, path: str) -> tuple[Any, h5py.File]:
    file: Any
    try:
        if isinstance(source, (str, os.PathLike)):
            found = Path(source)
            if not stat.S_ISREG(found.stat().st_mode):
                # Opening a pipe would block.
                raise NotAStoreError(f"{path} is not a file", path)
            file = open_paged(found)
        else:
            file = FileObject(source)
    except WeightSearchError:
        raise
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise StoreError(f"{path}: cannot be opened: {reason}", path) from exc
    try:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            raise NotAStoreError(
                f"{path or 'It'} is not an HDF5 file, so it is not a store of "
                "weightsearch; choose another name",
                path,
            )
        try:
            return file, h5py.File(file, "r")
        except StoreError:
            raise
        except TROUBLE as exc:
            if "already open for write" not in str(exc):
                raise translate(exc, path, "/") from exc
            raise StoreError(
                f"{path}: another program has the file open for writing with HDF5, or "
                "was killed while it had. Close it there; if it was killed, replace "
                "the file by a copy from before",
                path,
            ) from exc
    except BaseException:
        file.close()
        raise


def _check_root(root: CheckedGroup) -> None:
    path = root.path
    found = attribute(root.gid, names.A_FORMAT, path, "/")
    if found != names.FORMAT.encode():
        raise NotAStoreError(
            f"{path} is an HDF5 file that another program wrote, so it is not a store "
            "of weightsearch; choose another name",
            path,
        )
    version = root.integer(names.A_FORMAT_VERSION)
    if version > names.FORMAT_VERSION:
        raise StoreVersionError(
            f"{path} has format_version {version}; this version of weightsearch reads "
            f"up to {names.FORMAT_VERSION}: upgrade it (pip install -U weightsearch)",
            path,
        )
    if version < 1:
        raise root.refuse(f"format_version is {version}")


def name_of(source: Any) -> str:
    """Name of a file object, for messages; empty where it has none."""
    found = (getattr(source, attribute, "") for attribute in ("name", "path"))
    # The name of a file that was opened by its descriptor is a number.
    return next((name for name in found if name and isinstance(name, str)), "")


class FileObject(io.RawIOBase):
    """A file object of any kind, whose errors become StoreError.

    Otherwise an error of a network library in the middle of a read would look like a
    damaged store.
    """

    def __init__(self, source: Any):
        self._source = source
        self._name = name_of(source)
        kind = type(source).__name__
        missing = [each for each in ("seek", "tell") if not hasattr(source, each)]
        if missing or not (hasattr(source, "read") or hasattr(source, "readinto")):
            hint = ""
            if hasattr(source, "open") or hasattr(source, "__enter__"):
                hint = ". Open it first: with it as file: WeightStore(file)"
            raise StoreError(
                f"store must be a path or an open binary file, got {kind}{hint}"
            )
        if isinstance(source, io.TextIOBase):
            self._fail(f"this {kind} reads text: open it in mode 'rb'")
        self.seek(0)

    def close(self) -> None:
        """Do nothing: the file is the caller's."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            self._source.seek(offset, whence)
            return int(self._source.tell())
        except Exception as error:
            self._fail(f"cannot be sought: {_text(error)}", error)

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer as far as there is something; fewer bytes mean the end."""
        view = memoryview(buffer).cast("B")
        done = 0
        try:
            while done < len(view):
                # Raw files and sockets may return less than is asked for.
                count = self._read(view[done:])
                if not count:
                    break
                done += count
        except Exception as error:
            self._fail(f"cannot be read: {_text(error)}", error)
        return done

    def _read(self, view: memoryview) -> int:
        if hasattr(self._source, "readinto"):
            return self._source.readinto(view) or 0
        content = self._source.read(len(view))
        view[: len(content)] = content
        return len(content)

    def _fail(self, reason: str, error: Exception | None = None) -> NoReturn:
        # Whatever a foreign file raises, the store cannot be used.
        where = self._name or f"The {type(self._source).__name__}"
        raise StoreError(f"{where}: {reason}", self._name) from error


def _text(error: Exception) -> str:
    if isinstance(error, io.UnsupportedOperation) and str(error).isidentifier():
        return f"{error} is not supported"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

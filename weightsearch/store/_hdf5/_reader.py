"""Reading a store: lazy, read only, and safe on a stranger's file."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import warnings
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import h5py
from h5py import h5g

from weightsearch.exceptions import (
    NotAStoreError,
    StoreError,
    StoreVersionError,
    StoreWriteError,
    WeightSearchError,
)
from weightsearch.store._hdf5 import _layout as names
from weightsearch.store._hdf5._fileobj import FileObject, name_of
from weightsearch.store._hdf5._guard import (
    TROUBLE,
    attribute,
    corrupt,
    guarded,
    translate,
)
from weightsearch.store._hdf5._safe import SafeGroup
from weightsearch.store._hdf5._stored_run import Hdf5Run

__all__ = ["Hdf5Run", "Hdf5Store", "check_store_file"]


class Hdf5Store:
    """A store's file, open for reading.

    Opening looks at the root and at the names of the runs; everything else is read
    when it is asked for, and compared with its checksum. Where HDF5 cannot lock the
    file (many network file systems have no locks), it is opened without a lock: a
    store is never changed, only replaced as a whole.

    Parameters
    ----------
    source : path or binary file
        A path, or an open file that can be read and sought, of any origin.

    Attributes
    ----------
    path : str
        Empty for a file that has no name.
    uid : str
        Unique for ever; the same after each rewriting.
    runs : dict of str -> Hdf5Run
        Oldest first.
    root : SafeGroup
        The file's root.

    Raises
    ------
    NotAStoreError
        Not an HDF5 file, or one that another program wrote.
    StoreVersionError
        A newer version of the package wrote it.
    CorruptStoreError
        It is damaged, or holds what a store must not hold.
    StoreError
        It cannot be opened at all.
    """

    def __init__(self, source: Path | str | BinaryIO):
        is_path = isinstance(source, (str, os.PathLike))
        self.path = str(source) if is_path else name_of(source)
        self._file = _open(source, self.path)
        try:
            with guarded(self.path, "/"):
                gid = h5g.open(self._file.id, b"/")
            self.root = SafeGroup(gid, self.path, "/")
            _check_root(self.root)
            self.uid = self.root.text(names.A_STORE_UID)
            runs = self.root.group(names.G_RUNS)
            found = [Hdf5Run(runs.group(name)) for name in runs.names(names.MAX_RUNS)]
            found.sort(key=lambda run: (run.started, run.name))
            self.runs: dict[str, Hdf5Run] = {run.name: run for run in found}
            if len(self.runs) < len(found):
                raise corrupt("two runs have the same name", self.path, runs.place)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; its runs cannot be read any more."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._file.close()

    @property
    def closed(self) -> bool:
        """Whether the file has been closed."""
        return not self._file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def check_store_file(path: Path | str) -> None:
    """Tell whether a path may be used as a store; nothing there is changed.

    Raises
    ------
    StoreWriteError
        The folder does not exist or cannot be written to, or the file is read-only.
    NotAStoreError
        A folder, a file that is not HDF5 (an empty one too), or one that another
        program wrote.
    StoreVersionError
        A store of a newer version.
    CorruptStoreError
        A store that is damaged.
    """
    path = Path(path)
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        kind = None
    except OSError as exc:
        raise StoreWriteError(f"{path}: cannot be used as a store: {exc}") from exc
    if kind is not None:
        if stat.S_ISDIR(kind):
            raise NotAStoreError(
                f"{path} is a folder; a store is a file: name one in it", str(path)
            )
        with Hdf5Store(path):
            pass
        if not os.access(path, os.W_OK):
            raise StoreWriteError(
                f"{path} is read-only; make it writable or choose another", str(path)
            )
    _check_folder(path)


def _check_folder(path: Path) -> None:
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise StoreWriteError(
            f"{path}: the folder {folder} does not exist; make it first", str(path)
        )
    try:
        # Asking for permissions does not see read-only disks on every system.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        raise StoreWriteError(
            f"{path}: no file can be written in {folder}: {exc.strerror or exc}",
            str(path),
        ) from exc


def _open(source: Path | str | BinaryIO, path: str) -> h5py.File:
    file: Path | str | FileObject
    try:
        if isinstance(source, (str, os.PathLike)):
            file = source
            found = Path(source)
            if not stat.S_ISREG(found.stat().st_mode):
                # Opening a pipe would wait for ever.
                raise NotAStoreError(f"{path} is not a file", path)
            with found.open("rb") as opened:
                signature = opened.read(len(_SIGNATURE))
        else:
            file = FileObject(source)
            signature = file.read(len(_SIGNATURE))
    except WeightSearchError:
        raise
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise StoreError(f"{path}: cannot be opened: {reason}", path) from exc
    if signature != _SIGNATURE:
        raise NotAStoreError(
            f"{path or 'It'} is not an HDF5 file, so it is no store of weightsearch; "
            "choose another name",
            path,
        )
    try:
        return h5py.File(file, "r")
    except TROUBLE as exc:
        # Another flag would clash with the same file opened elsewhere in this
        # process, so the lock is given up only where it cannot be had.
        if not _LOCK.search(str(exc)) or isinstance(file, FileObject):
            raise _refused(exc, path) from exc
    try:
        return h5py.File(file, "r", locking=False)
    except TROUBLE as exc:
        if not _LOCK.search(str(exc)):
            raise _refused(exc, path) from exc
        raise StoreError(
            f"{path}: HDF5 cannot lock the file: {exc}. Close it where it is open for "
            "writing. If it is not, stores need no lock: unset the environment "
            "variable HDF5_USE_FILE_LOCKING, or set it to FALSE",
            path,
        ) from exc


def _refused(exc: Exception, path: str) -> StoreError:
    if "already open for write" not in str(exc):
        return translate(exc, path, "/")
    return StoreError(
        f"{path}: another program has the file open for writing, or was killed while "
        "it had. Close it there; weightsearch never writes into a store, so that one "
        "that was written into is best replaced by a copy from before",
        path,
    )


_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LOCK = re.compile(r"\block(ing)?\b")


def _check_root(root: SafeGroup) -> None:
    path = root.path
    found = attribute(root.gid, names.A_FORMAT, path, "/")
    if found != names.FORMAT.encode():
        raise NotAStoreError(
            f"{path} is an HDF5 file that another program wrote, so it is no store of "
            "weightsearch; choose another name",
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
        raise corrupt(f"format_version is {version}", path, "/")

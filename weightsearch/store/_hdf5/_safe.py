"""Reading HDF5 that a stranger wrote: look first, allocate afterwards.

Only hard links are followed. A dataset is refused if its bytes lie in another file
or another dataset, if it goes through filters that are not HDF5's own, if it
declares more than the file can hold, or if it is not of the type that it should be.
What h5py raises becomes a :class:`~weightsearch.exceptions.CorruptStoreError` that
names the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from h5py import h5d, h5g, h5l, h5o

from weightsearch.exceptions import CorruptStoreError
from weightsearch.store._hdf5._guard import attribute, corrupt, guarded
from weightsearch.store._hdf5._safe_dataset import SafeDataset

__all__ = ["SafeGroup", "dangers"]

_LINKS = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "a link to another file"}


class SafeGroup:
    """A group whose members are reached by hard links alone.

    Parameters
    ----------
    gid : h5py.h5g.GroupID
    path : str
        The file, for errors.
    place : str
        The group's path in the file.
    """

    def __init__(self, gid: h5g.GroupID, path: str, place: str):
        self.gid = gid
        self.path = path
        self.place = place

    def at(self, name: str) -> str:
        """Give the place of a member."""
        return f"{self.place.rstrip('/')}/{name}"

    def __contains__(self, name: str) -> bool:
        with guarded(self.path, self.at(name)):
            return bool(self.gid.links.exists(name.encode()))

    def names(self, limit: int) -> list[str]:
        """List the members' names, sorted as HDF5 sorts them.

        Raises
        ------
        CorruptStoreError
            More members than `limit`.
        """
        with guarded(self.path, self.place):
            found = self.gid.get_num_objs()
            if found > limit:
                raise corrupt(
                    f"{found} members; the limit is {limit}", self.path, self.place
                )
            return [name.decode() for name in self.gid]

    def group(self, name: str) -> SafeGroup:
        """Open a group by a relative path."""
        oid, place = self._open(name)
        if not isinstance(oid, h5g.GroupID):
            raise corrupt("should be a group", self.path, place)
        return SafeGroup(oid, self.path, place)

    def dataset(
        self,
        name: str,
        dtype: np.dtype[Any] | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> SafeDataset:
        """Open a dataset by a relative path, and hold it to type and shape."""
        oid, place = self._open(name)
        if not isinstance(oid, h5d.DatasetID):
            raise corrupt("should be a dataset", self.path, place)
        with guarded(self.path, place):
            dataset = SafeDataset(oid, self.path, place, dtype)
        if shape is not None and dataset.shape != shape:
            raise corrupt(
                f"has shape {dataset.shape} instead of {shape}", self.path, place
            )
        return dataset

    def member(self, name: str) -> SafeGroup | SafeDataset:
        """Open a group or a dataset, whichever is there."""
        oid, place = self._open(name)
        if isinstance(oid, h5g.GroupID):
            return SafeGroup(oid, self.path, place)
        return self.dataset(name)

    def text(self, name: str) -> str:
        """Read an attribute that is one fixed-length text."""
        value = attribute(self.gid, name, self.path, self.place)
        if not isinstance(value, bytes):
            raise corrupt(f"attribute {name!r} is no text", self.path, self.place)
        with guarded(self.path, self.place):
            return value.decode()

    def integer(self, name: str) -> int:
        """Read an attribute that is one integer."""
        value = attribute(self.gid, name, self.path, self.place)
        if not isinstance(value, int):
            raise corrupt(f"attribute {name!r} is no integer", self.path, self.place)
        return value

    def _open(self, name: str) -> tuple[Any, str]:
        gid = self.gid
        parts = name.split("/")
        for index, part in enumerate(parts):
            place = self.at("/".join(parts[: index + 1]))
            with guarded(self.path, place):
                if not isinstance(gid, h5g.GroupID):
                    raise corrupt("should be a group", self.path, place)
                raw = part.encode()
                if not raw or not gid.links.exists(raw):
                    raise corrupt("is missing", self.path, place)
                kind = gid.links.get_info(raw).type
                if kind != h5l.TYPE_HARD:
                    what = _LINKS.get(kind, "a user-defined link")
                    raise corrupt(
                        f"is {what}, which a store never has", self.path, place
                    )
                gid = h5o.open(gid, raw)
        return gid, place


def dangers(root: h5g.GroupID, path: str, place: str) -> Iterator[CorruptStoreError]:
    """Walk all that a group holds, and give an error for each refused link or dataset.

    Raises
    ------
    CorruptStoreError
        The walk itself cannot go on.
    """
    todo: list[tuple[Any, str]] = [(root, place)]
    seen = {_address(root)}
    while todo:
        gid, here = todo.pop()
        group = SafeGroup(gid, path, here)
        for name in group.names(2**31):
            try:
                oid, where = group._open(name)
                with guarded(path, where):
                    if isinstance(oid, h5d.DatasetID):
                        SafeDataset(oid, path, where, oid.dtype)
                        continue
                    if not isinstance(oid, h5g.GroupID):
                        continue
                    # A group under two names could be walked for ever.
                    if _address(oid) in seen:
                        raise corrupt("is there under another name too", path, where)
                    seen.add(_address(oid))
                    todo.append((oid, where))
            except CorruptStoreError as exc:
                yield exc


def _address(oid: Any) -> int:
    return int(h5o.get_info(oid).addr)

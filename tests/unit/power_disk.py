"""A disk that notes what is written to it, and can lose power or be full."""

from __future__ import annotations

import errno
import io
import os
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from weightsearch.store import _append, _beside, _log


class Disk:
    """What is written to a store and beside it, in order, and what was synced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path):
        self.path = path
        self.content = path.read_bytes()
        self.inode = path.stat().st_ino
        self.events: list[tuple[Any, ...]] = []
        self.fail_at = -1
        disk = self

        class Traced(io.FileIO):
            def write(self, data: Any) -> int:
                disk.attempt()
                at, count = self.tell(), super().write(data)
                disk.note("write", self.fileno(), at, bytes(data[:count]))
                return count

        modules = {"io": SimpleNamespace(**vars(io) | {"FileIO": Traced})}
        traced = {"ftruncate": self.truncate, "pwritev": self.pwritev}
        monkeypatch.setattr(_append, "io", modules["io"])
        monkeypatch.setattr(_append, "place_new", self.place_new)
        monkeypatch.setattr(_log, "create_beside", self.create)
        for module in (_append, _log):
            monkeypatch.setattr(module, "os", SimpleNamespace(**vars(os) | traced))
            monkeypatch.setattr(module, "sync_data", lambda fd: self.note("sync", fd))
            monkeypatch.setattr(module, "sync_folder", lambda _: self.note("names"))
        unlink = Path.unlink

        def unlinked(path: Path, missing_ok: bool = False) -> None:
            unlink(path, missing_ok)
            self.note("unlink", path.name)

        monkeypatch.setattr(Path, "unlink", unlinked)

    def attempt(self) -> None:
        self.fail_at -= 1
        if self.fail_at == 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    def note(self, kind: str, *values: Any) -> None:
        if values and isinstance(values[0], int):
            key = os.fstat(values[0]).st_ino
            values = (key, *values[1:])
        self.events.append((kind, *values))

    def truncate(self, handle: int, size: int) -> None:
        self.attempt()
        os.ftruncate(handle, size)
        self.note("truncate", handle, size)

    def pwritev(self, handle: int, pieces: list[Any], at: int) -> int:
        self.attempt()
        done = os.pwritev(handle, pieces, at)
        self.note("write", handle, at, b"".join(pieces)[:done])
        return done

    def create(self, path: Path, store: Path) -> int:
        self.attempt()
        handle = _beside.create_beside(path, store)
        self.note("name", path.name, os.fstat(handle).st_ino)
        return handle

    def place_new(self, aside: Path, path: Path) -> None:
        self.attempt()
        key = aside.stat().st_ino
        _beside.place_new(aside, path)
        self.note("name", path.name, key)

    def after_cut(self, rng: random.Random, at: int) -> dict[str, bytes]:
        """Return files as a cut after so many events may leave them."""
        done = self.events[:at]
        contents: dict[int, bytearray] = {self.inode: bytearray(self.content)}
        keys = {e[1] for e in done if e[0] in ("write", "truncate", "sync")}
        for key in keys:
            own = [e for e in done if len(e) > 1 and e[1] == key]
            synced = max(
                (i + 1 for i, e in enumerate(own) if e[0] == "sync"), default=0
            )
            for event in own[: rng.randint(synced, len(own))]:
                data = contents.setdefault(key, bytearray())
                if event[0] == "truncate":
                    size = event[2]
                    data[:] = data[:size].ljust(size, b"\0")
                elif event[0] == "write":
                    start = event[2]
                    part = event[3]
                    if own.index(event) >= synced and rng.random() < 0.3:
                        part = part[: rng.randint(0, len(part))]
                    data[:] = data.ljust(start, b"\0")
                    data[start : start + len(part)] = part
        renamed = [e for e in done if e[0] in ("name", "unlink", "names")]
        sure = max((i + 1 for i, e in enumerate(renamed) if e[0] == "names"), default=0)
        files = {self.path.name: self.inode}
        for event in renamed[: rng.randint(sure, len(renamed))]:
            if event[0] == "name":
                files[event[1]] = event[2]
            elif event[0] == "unlink":
                files.pop(event[1], None)
        return {name: bytes(contents.get(key, b"")) for name, key in files.items()}

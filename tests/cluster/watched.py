"""Loaded into a Dask worker: notes each look into a folder that is not its own."""

from __future__ import annotations

import sys

looks = []


def _note(event, args):
    if args and "private-store" in str(args[0]) and event.split(".")[0] in _EVENTS:
        looks.append((event, str(args[0])))


_EVENTS = {"open", "os", "sqlite3", "shutil", "tempfile"}


def dask_setup(worker):
    sys.modules["watched"] = sys.modules[__name__]
    sys.addaudithook(_note)


def seen():
    return list(looks)

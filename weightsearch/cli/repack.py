"""``weightsearch repack``."""

from __future__ import annotations

from weightsearch.cli._options import StorePath

EXAMPLES = ("weightsearch repack search.h5",)


def command(store: StorePath) -> None:
    """Write a store's file again, without the room that removed runs took."""
    from weightsearch.cli._text import clean
    from weightsearch.exceptions import StoreError
    from weightsearch.run import WeightStore

    path = store.expanduser()
    if not path.exists():
        raise StoreError(f"There is no store at {path}.", str(path))
    before = path.stat().st_size
    WeightStore.repack(path)
    after = path.stat().st_size
    print(f"{clean(path)}: {before} bytes before, {after} bytes now")

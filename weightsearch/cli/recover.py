"""``weightsearch recover``."""

from __future__ import annotations

from weightsearch.cli._options import StorePath

EXAMPLES = ("weightsearch recover search.h5",)


def command(store: StorePath) -> None:
    """Put into a store what a search that died has left in the log beside it.

    Only needed to make one file of the two: reading finds both, and the next fit
    does it by itself.
    """
    from weightsearch.cli._text import clean
    from weightsearch.exceptions import StoreError
    from weightsearch.run import WeightStore

    path = store.expanduser()
    if WeightStore.recover(path):
        print(f"{clean(path)}: what was in its log is in the store now")
    elif path.exists():
        print(f"{clean(path)}: there was nothing to recover")
    else:
        raise StoreError(f"There is no store at {path}.", str(path))

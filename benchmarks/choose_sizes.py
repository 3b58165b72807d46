"""How the sizes of blocks and chunks were chosen: tables for docs/benchmarks.md.

python benchmarks/choose_sizes.py [--quick]

Times are of the processor, the least of the rounds, in alternation: they are what
the choice costs, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from _samples import header, params, records, results

from weightsearch._records import Weights
from weightsearch.store import Hdf5Store, WriteSession
from weightsearch.store._hdf5 import _layout as names
from weightsearch.store._hdf5._reader import Hdf5Run
from weightsearch.store._hdf5._writer import write_store
from weightsearch.store._journal._reader import JournalRun

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- sizes: begin -->", "<!-- sizes: end -->"
SIZES = (100, 10_000, 1_000_000, 100_000_000)
BLOCKS = tuple(2**power for power in (20, 22, 23, 25, 27))
CHUNKS = tuple(2**power for power in (14, 16, 18, 20, 22))
SMALL_DATASETS = (100, 1_000, 10_000, 50_000)
Row = Sequence[object]


def main() -> int:
    """Measure, print the tables and put them into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="up to 1 MB an array")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--scratch", metavar="FOLDER", help="where files are written")
    given = parser.parse_args()
    sizes = SIZES[:3] if given.quick else SIZES
    with tempfile.TemporaryDirectory(dir=given.scratch) as folder:
        tables = [
            _blocks(Path(folder), sizes, given.repeats),
            _chunks(Path(folder), sizes, given.repeats),
            _layouts(Path(folder), given.repeats),
        ]
    text = "\n".join(tables)
    print(text)
    page = PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not given.quick and begin and end:
        PAGE.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")
    return 0


# -- blocks in memory -------------------------------------------------------------


def _blocks(folder: Path, sizes: Sequence[int], repeats: int) -> str:
    """From journal to file, by the bytes that are moved at once."""
    lines = []
    for size in sizes:
        total = _total(size, 100_000_000)
        least = dict.fromkeys(BLOCKS, np.inf)
        write = partial(_write, path=folder / "a.h5", compression=None)
        with _journal(folder, size, total) as run:
            for _ in range(repeats):
                for block in BLOCKS:
                    with _constant("BLOCK_BYTES", block):
                        seconds = _processor(partial(write, run))
                    least[block] = min(least[block], seconds)
        values = [f"{1e3 * least[block] / total * 1e8:.0f}" for block in BLOCKS]
        lines.append((_bytes(size), *values))
    heads = ("One array has", *(f"{block >> 20} MiB" for block in BLOCKS))
    return _table("Consolidation, ms for 100 MB, by the block in memory", heads, lines)


# -- chunks of compressed weights -------------------------------------------------


def _chunks(folder: Path, sizes: Sequence[int], repeats: int) -> str:
    """Compressed weights, by the bytes of a chunk: writing, size and reading."""
    lines = []
    for size in sizes:
        total = _total(size, 16_000_000)
        path = folder / "a.h5"
        write = partial(_write, path=path, compression="gzip")
        with _journal(folder, size, total) as run:
            for chunk in CHUNKS:
                with _constant("CHUNK_BYTES", chunk):
                    taken = min(
                        _processor(partial(write, run)) for _ in range(min(repeats, 2))
                    )
                one, whole = _reading(path, total // size, repeats)
                stored = path.stat().st_size / total
                lines.append(
                    (
                        _bytes(size),
                        f"{chunk >> 10} KiB",
                        f"{1e3 * taken / total * 1e8:.0f}",
                        f"{stored:.3f}",
                        f"{1e3 * one:.2f}",
                        f"{1e3 * whole / total * 1e8:.0f}",
                    )
                )
    heads = (
        "One array has",
        "Chunk",
        "Write, ms for 100 MB",
        "Size",
        "One array, ms",
        "All stacked, ms for 100 MB",
    )
    return _table("gzip, by the size of a chunk", heads, lines)


def _reading(path: Path, count: int, repeats: int) -> tuple[float, float]:
    with Hdf5Store(path) as store:
        (run,) = store.runs.values()
        assert isinstance(run, Hdf5Run)
        run.read(0, "w")
        rows = np.random.default_rng(0).integers(count, size=min(count, 50)).tolist()
        one = min(
            _processor(lambda: [run.read(row, "w") for row in rows]) / len(rows)
            for _ in range(repeats)
        )
        whole = min(
            _processor(lambda: run.stack("w", range(count))) for _ in range(repeats)
        )
    return one, whole


# -- compact, contiguous, chunked -------------------------------------------------


def _layouts(folder: Path, repeats: int, count: int = 200) -> str:
    """Small datasets by HDF5's own layouts: bytes beside the content, and reading."""
    lines = []
    for size in SMALL_DATASETS:
        for layout in ("compact", "contiguous", "gzip"):
            path = folder / f"{layout}.h5"
            with h5py.File(path, "w", libver=("v110", "v110")) as file:
                for number in range(count):
                    _create(file, str(number), size, layout)
            extra = path.stat().st_size / count - size
            read = min(_processor(partial(_read_each, path)) for _ in range(repeats))
            lines.append(
                (_bytes(size), layout, f"{extra:.0f}", f"{1e6 * read / count:.0f}")
            )
    heads = ("A dataset has", "Layout", "Bytes beside", "Open and read, µs")
    return _table("Small datasets of random bytes", heads, lines)


def _create(file: h5py.File, name: str, size: int, layout: str) -> None:
    data = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    dcpl.set_obj_track_times(False)
    if layout == "compact":
        dcpl.set_layout(h5py.h5d.COMPACT)
    elif layout == "gzip":
        dcpl.set_chunk((size,))
        dcpl.set_deflate(4)
    space = h5py.h5s.create_simple((size,))
    kind = h5py.h5t.STD_U8LE
    dataset = h5py.h5d.create(file.id, name.encode(), kind, space, dcpl)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data)


def _read_each(path: Path) -> None:
    with h5py.File(path, "r") as file:
        for dataset in file.values():
            dataset[...]


# -- common -----------------------------------------------------------------------


def _total(size: int, most: int) -> int:
    """Bytes of all arrays: as many as make a measurable time, at most 50,000."""
    return size * max(1, min(50_000, most // size))


@contextmanager
def _journal(folder: Path, size: int, total: int) -> Iterator[JournalRun]:
    """Make a journal of models of one array of float32."""
    count = total // size
    rng = np.random.default_rng(0)
    arrays = [
        rng.normal(scale=0.1, size=(size // 4,)).astype(np.float32)
        for _ in range(min(count, max(1, 20_000_000 // size)))
    ]
    weights = [Weights({"w": arrays[number % len(arrays)]}) for number in range(count)]
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        path = Path(inner).resolve() / "search.h5"
        with WriteSession.open(path, durable=False) as session:
            session.begin(header())
            session.set_params(0, params(count))
            for record in records(weights):
                session.append(record)
            with JournalRun(path.with_name("search.h5.journal")) as run:
                yield run
            session.discard()


def _write(run: JournalRun, path: Path, compression: str | None) -> None:
    count = len(run.params())
    ending = results([Weights()] * count)
    write_store(
        path,
        store_uid="0" * 32,
        keep=[],
        add=[run],
        results={run.header.uid: ending},
        durable=False,
        compression=compression,
    )


@contextmanager
def _constant(name: str, value: int) -> Iterator[None]:
    """Set a constant of the writer for a while."""
    before = getattr(names, name)
    if name == "CHUNK_BYTES":
        # Imported by name where it is used.
        from weightsearch.store._hdf5 import _columns

        _columns.CHUNK_BYTES = value
    setattr(names, name, value)
    try:
        yield
    finally:
        setattr(names, name, before)
        if name == "CHUNK_BYTES":
            _columns.CHUNK_BYTES = before


def _processor(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def _bytes(size: int) -> str:
    for unit, factor in (("MB", 10**6), ("KB", 10**3)):
        if size >= factor:
            return f"{size // factor} {unit}"
    return f"{size} B"


def _table(title: str, heads: Row, lines: Sequence[Row]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    body = "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
    return f"{title}:\n\n{body}\n"


if __name__ == "__main__":
    sys.exit(main())

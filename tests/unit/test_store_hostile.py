"""Files that a stranger made: refused by name, before anything is allocated."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t
from store_memory import everything, good_store

from weightsearch.exceptions import CorruptStoreError, NotAStoreError, StoreError
from weightsearch.store import _checked, _stored_run
from weightsearch.store._columns import write_column, write_text
from weightsearch.store._reader import Hdf5Store
from weightsearch.store._verify import verify_file
from weightsearch.store._writer import rewrite

RUN = "/runs/20250101T000000Z-aaaa"
WEIGHT = f"{RUN}/architectures/0/weights/coefs_/0"
Change = Callable[[h5py.File, Path], Any]


def hostile(tmp_path: Path, change: Change) -> Path:
    """Make a good store a bad one."""
    path = good_store(tmp_path / "a.h5")
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        change(file, tmp_path)
    return path


def create(
    file: h5py.File,
    name: str,
    shape: tuple[int, ...],
    dtype: Any = "<f8",
    *,
    crc: int | None = 0,
    **options: Any,
) -> h5py.Dataset:
    """Put a dataset in the place of what is there."""
    del file[name]
    dataset = file.create_dataset(name, shape, dtype, **options)
    if crc is not None:
        dataset.attrs["crc32"] = np.uint32(crc)
    return dataset


def soft_link(file: h5py.File, tmp_path: Path) -> None:
    del file[WEIGHT]
    file[WEIGHT] = h5py.SoftLink("/runs")


def soft_link_group(file: h5py.File, tmp_path: Path) -> None:
    file.move(f"{RUN}/architectures/0/weights", "/elsewhere")
    file[f"{RUN}/architectures/0/weights"] = h5py.SoftLink("/elsewhere")


def external_link(file: h5py.File, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.zeros((4, 4, 3))
    del file[WEIGHT]
    file[WEIGHT] = h5py.ExternalLink("other.h5", "/secret")


def external_storage(file: h5py.File, tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(range(96)) * 4)
    create(file, WEIGHT, (4, 4, 3), external=[(str(secret), 0, 384)])


def virtual(file: h5py.File, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.zeros((4, 4, 3))
    layout = h5py.VirtualLayout((4, 4, 3), "<f8")
    layout[...] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", (4, 4, 3))
    del file[WEIGHT]
    file.create_virtual_dataset(WEIGHT, layout)


def huge_contiguous(file: h5py.File, tmp_path: Path) -> None:
    # Nothing is written, so that the file stays small.
    create(file, f"{RUN}/fits/candidate", (2**40,), "<i8")


def huge_chunked(file: h5py.File, tmp_path: Path) -> None:
    data = create(
        file,
        f"{RUN}/fits/candidate",
        (2**40,),
        "<i8",
        chunks=(2**12,),
        maxshape=(None,),
        compression=9,
    )
    data[:8] = 1


def huge_zeros(file: h5py.File, tmp_path: Path) -> None:
    # Few enough chunks, of which one is there.
    data = create(
        file, f"{RUN}/fits/candidate", (2**32,), "<i8", chunks=(2**22,), compression=9
    )
    data[:8] = 1


def huge_chunk(file: h5py.File, tmp_path: Path) -> None:
    create(
        file,
        f"{RUN}/fits/candidate",
        (8,),
        "<i8",
        chunks=(2**24,),
        maxshape=(None,),
        compression=9,
    )


def huge_text(file: h5py.File, tmp_path: Path) -> None:
    create(file, f"{RUN}/header", (), "S2000000000")


def huge_stack(file: h5py.File, tmp_path: Path) -> None:
    spec = json.loads(file[f"{RUN}/architectures/0/spec"][()])
    spec["arrays"][0]["shape"] = [2**20, 2**20]
    del file[f"{RUN}/architectures/0/spec"]
    write_text(file[f"{RUN}/architectures/0"].id, "spec", json.dumps(spec))
    create(file, WEIGHT, (4, 2**20, 2**20))


def deflated_twice(file: h5py.File, tmp_path: Path) -> None:
    del file[f"{RUN}/fits/candidate"]
    dcpl = h5p.create(h5p.DATASET_CREATE)
    dcpl.set_chunk((8,))
    dcpl.set_deflate(9)
    dcpl.set_deflate(9)
    group = file[f"{RUN}/fits"].id
    space = h5s.create_simple((8,))
    data = h5d.create(group, b"candidate", h5t.STD_I64LE, space, dcpl)
    data.write(h5s.ALL, h5s.ALL, np.zeros(8, "<i8"))


def scale_offset(file: h5py.File, tmp_path: Path) -> None:
    data = create(file, f"{RUN}/fits/candidate", (8,), "<i8", scaleoffset=3)
    data[...] = 1


def variable_text(file: h5py.File, tmp_path: Path) -> None:
    data = create(file, f"{RUN}/header", (), h5py.string_dtype())
    data[()] = "{}"


def variable_params(file: h5py.File, tmp_path: Path) -> None:
    data = create(file, f"{RUN}/params", (8,), h5py.string_dtype())
    data[...] = "{}"


def references(file: h5py.File, tmp_path: Path) -> None:
    create(file, f"{RUN}/fits/candidate", (8,), h5py.ref_dtype)


def group_for_dataset(file: h5py.File, tmp_path: Path) -> None:
    del file[WEIGHT]
    file.create_group(WEIGHT)


def dataset_for_group(file: h5py.File, tmp_path: Path) -> None:
    del file[f"{RUN}/fits"]
    file[f"{RUN}/fits"] = 1


def datatype_for_dataset(file: h5py.File, tmp_path: Path) -> None:
    del file[WEIGHT]
    file[WEIGHT] = np.dtype("f8")


def null_space(file: h5py.File, tmp_path: Path) -> None:
    del file[f"{RUN}/fits/candidate"]
    file[f"{RUN}/fits/candidate"] = h5py.Empty("<i8")


def bad_boolean(file: h5py.File, tmp_path: Path) -> None:
    raw = np.full(8, 2, np.uint8)
    data = create(file, f"{RUN}/fits/failed", (8,), bool, crc=zlib.crc32(raw))
    data.id.write(h5s.ALL, h5s.ALL, raw.view(bool), data.id.get_type())


def text(name: str, value: str) -> Change:
    def change(file: h5py.File, tmp_path: Path) -> None:
        del file[RUN][name]
        group, _, last = name.rpartition("/")
        write_text(file[RUN][group or "."].id, last, value)

    change.__name__ = f"{name}={value[:40]}"
    return change


def spec(**changes: Any) -> Change:
    def change(file: h5py.File, tmp_path: Path) -> None:
        value = json.loads(file[f"{RUN}/architectures/0/spec"][()])
        for key, item in changes.items():
            target = value if key in value else value["arrays"][0]
            target[key] = item
        text("architectures/0/spec", json.dumps(value))(file, tmp_path)

    change.__name__ = str(changes)
    return change


def attribute(name: str, value: Any) -> Change:
    def change(file: h5py.File, tmp_path: Path) -> None:
        del file[RUN].attrs[name]
        file[RUN].attrs[name] = value

    change.__name__ = f"{name}={str(value)[:20]}"
    return change


def odd_packed(file: h5py.File, tmp_path: Path) -> None:
    del file[f"{RUN}/params"]
    group = file.create_group(f"{RUN}/params")
    write_column(group.id, "text", np.zeros(8, np.uint8))
    write_column(group.id, "offset", np.array([0, 5, 2, 3, 4, 5, 6, 7, 8]))


REFUSED = [
    (soft_link, WEIGHT, "soft link"),
    (soft_link_group, f"{RUN}/architectures/0/weights", "soft link"),
    (external_link, WEIGHT, "link to another file"),
    (external_storage, WEIGHT, "another file"),
    (virtual, WEIGHT, "virtual"),
    (huge_contiguous, f"{RUN}/fits/candidate", "declares 8796093022208 bytes"),
    (huge_chunked, f"{RUN}/fits/candidate", "declares 8796093022208 bytes"),
    (huge_zeros, f"{RUN}/fits/candidate", "declares 34359738368 bytes"),
    (huge_chunk, f"{RUN}/fits/candidate", "chunks of 134217728 bytes"),
    (huge_text, f"{RUN}/header", "declares 2000000000 bytes"),
    (huge_stack, WEIGHT, "declares"),
    (deflated_twice, f"{RUN}/fits/candidate", "twice"),
    (scale_offset, f"{RUN}/fits/candidate", "filter 'scaleoffset'"),
    (variable_text, f"{RUN}/header", "type"),
    (variable_params, f"{RUN}/params", "type"),
    (references, f"{RUN}/fits/candidate", "type"),
    (group_for_dataset, WEIGHT, "should be a dataset"),
    (dataset_for_group, f"{RUN}/fits", "should be a group"),
    (datatype_for_dataset, WEIGHT, "should be a dataset"),
    (null_space, f"{RUN}/fits/candidate", "holds nothing"),
    (bad_boolean, f"{RUN}/fits/failed", "booleans"),
    (odd_packed, f"{RUN}/params", "offsets"),
    (text("header", "[" * 10**6), f"{RUN}/header", "JSON"),
    (text("header", "[]"), f"{RUN}/header", "not a JSON dict"),
    (text("header", '{"uid": 3}'), f"{RUN}/header", "lacks"),
    (text("cv_columns", "[1]"), f"{RUN}/cv_columns", "names and paths"),
    (text("cv_columns", '[{"name":"a","path":"../header"}]'), "", "missing"),
    (spec(kind="pickle"), f"{RUN}/architectures/0/spec", "unknown kind"),
    (spec(dtype="|O"), f"{RUN}/architectures/0/spec", "no possible type"),
    (spec(dtype={"names": 1}), f"{RUN}/architectures/0/spec", "no possible type"),
    (spec(dtype="<f4"), WEIGHT, "is of type float64"),
    (spec(dtype="not_a_type_here"), WEIGHT, "unsigned"),
    (spec(shape=[-1, 3]), f"{RUN}/architectures/0/spec", "no possible shape"),
    (spec(shape=[1] * 40), f"{RUN}/architectures/0/spec", "no possible shape"),
    (spec(shape=[12]), WEIGHT, "has shape"),
    (spec(order="A"), f"{RUN}/architectures/0/spec", "memory order"),
    (spec(name=3), f"{RUN}/architectures/0/spec", "no name"),
    (spec(path="/runs"), f"{RUN}/architectures/0/spec", "paths"),
    (spec(path="../../../header"), f"{RUN}/architectures/0/spec", "paths"),
    (spec(arrays={}), f"{RUN}/architectures/0/spec", "no list"),
    (spec(arrays=[3]), f"{RUN}/architectures/0/spec", "not an object"),
    (spec(ties=[]), f"{RUN}/architectures/0/spec", "ties"),
    (attribute("uid", "variable-length"), RUN, "'uid' is not a text"),
    (attribute("n_candidates", 1.5), RUN, "'n_candidates' is not an integer"),
    (attribute("n_candidates", 2**40), f"{RUN}/params", "is not a column"),
    (attribute("n_candidates", np.arange(3)), RUN, "'n_candidates' is not an integer"),
]


@pytest.mark.parametrize(("change", "place", "match"), REFUSED)
def test_each_refusal_names_its_place(
    tmp_path: Path, change: Change, place: str, match: str
):
    """What a store must not hold ends with an error that says what and where."""
    path = hostile(tmp_path, change)

    with (
        pytest.raises(CorruptStoreError, match=match) as caught,
        Hdf5Store(path) as store,
    ):
        everything(store)

    assert not place or caught.value.place == place
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("change", "place", "match"), REFUSED)
def test_each_refusal_is_a_problem(
    tmp_path: Path, change: Change, place: str, match: str
):
    """Verifying lists the same thing at the same place."""
    problems = verify_file(hostile(tmp_path, change))

    assert any(
        (not place or problem.place == place) and match in problem.message
        for problem in problems
    ), problems


@pytest.mark.parametrize(
    "change",
    [huge_contiguous, huge_chunked, huge_zeros, huge_chunk, huge_text, huge_stack],
)
def test_what_is_declared_is_not_allocated(tmp_path: Path, change: Change):
    """A small file that declares a terabyte makes no one reserve it."""
    path = hostile(tmp_path, change)
    assert path.stat().st_size < 200_000

    tracemalloc.start()
    try:
        verify_file(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 20e6


@pytest.mark.parametrize(
    "change", [soft_link, external_link, external_storage, virtual, scale_offset]
)
def test_kept_runs_carry_nothing_dangerous_on(tmp_path: Path, change: Change):
    """A store with a refused object is not copied into a new one."""
    path = hostile(tmp_path, change)
    before = path.read_bytes()

    with pytest.raises(CorruptStoreError):
        rewrite(path)

    assert path.read_bytes() == before


def unknown_soft_link(file: h5py.File, tmp_path: Path) -> None:
    file[f"{RUN}/extra"] = h5py.SoftLink("/runs")


def unknown_external_link(file: h5py.File, tmp_path: Path) -> None:
    file["extra"] = h5py.ExternalLink("/etc/passwd", "/")


def group_loop(file: h5py.File, tmp_path: Path) -> None:
    file[f"{RUN}/extra"] = file["/"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (unknown_soft_link, f"{RUN}/extra"),
        (unknown_external_link, "/extra"),
        (group_loop, f"{RUN}/extra"),
    ],
)
def test_what_no_one_reads_is_looked_at_too(tmp_path: Path, change: Change, place: str):
    """Links that reading would never follow are listed by verification."""
    problems = verify_file(hostile(tmp_path, change))

    assert [problem.place for problem in problems] == [place]


def test_soft_linked_runs_are_refused(tmp_path: Path):
    """A run that is a link is refused when it is read."""
    path = hostile(
        tmp_path, lambda file, _: file.__setitem__("runs/b", h5py.SoftLink(RUN))
    )

    with Hdf5Store(path) as store:
        with pytest.raises(CorruptStoreError, match="soft link"):
            _ = store.runs["b"].header


@pytest.mark.parametrize("name", ["format", "format_version", "store_uid"])
def test_roots_without_their_attributes(tmp_path: Path, name: str):
    """A root that lacks an attribute is no store, or a damaged one."""
    path = hostile(tmp_path, lambda file, _: file.attrs.__delitem__(name))

    error = NotAStoreError if name == "format" else CorruptStoreError
    with pytest.raises(error):
        Hdf5Store(path)


@pytest.mark.parametrize("value", [0, -1, 1.0, "1"])
def test_odd_versions_are_refused(tmp_path: Path, value: Any):
    """A format_version that never was is not taken for one that is."""
    path = hostile(
        tmp_path, lambda file, _: file.attrs.__setitem__("format_version", value)
    )

    with pytest.raises(CorruptStoreError, match="format_version"):
        Hdf5Store(path)


def test_numbers_of_members_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A group with more members than any store has is not listed."""
    path = good_store(tmp_path / "a.h5")
    monkeypatch.setattr(_stored_run.names, "MAX_ARCHITECTURES", 1)

    with (
        Hdf5Store(path) as store,
        pytest.raises(CorruptStoreError, match="2 members; the limit is 1"),
    ):
        everything(store)


class Payload:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("owned",)


@pytest.mark.parametrize(
    "name", ["header", "params", "fits/result", "architectures/0/spec"]
)
def test_pickles_are_never_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    """A pickle in the place of a text, or in an opaque type, is not executed."""
    monkeypatch.chdir(tmp_path)
    raw = pickle.dumps(Payload())

    def change(file: h5py.File, _: Path) -> None:
        shape = file[RUN][name].shape
        data = create(file, f"{RUN}/{name}", shape, f"V{len(raw)}")
        data[...] = np.full(shape, np.void(raw))

    path = hostile(tmp_path, change)
    with pytest.raises(StoreError), Hdf5Store(path) as store:
        everything(store)

    assert not (tmp_path / "owned").exists()


READ_ALL = """
import sys
from store_memory import everything
from weightsearch.exceptions import CorruptStoreError
from weightsearch.store._reader import Hdf5Store
from weightsearch.store._verify import verify_file
for path in sys.argv[1:]:
    assert verify_file(path)
    try:
        with Hdf5Store(path) as store:
            everything(store)
    except CorruptStoreError:
        print("refused")
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_reading_opens_no_other_file(tmp_path: Path):
    """What lies outside the store is not even opened: a pipe there keeps no one."""
    paths = []
    for change in (external_link, external_storage, virtual):
        folder = tmp_path / change.__name__
        folder.mkdir()
        paths.append(hostile(folder, change))
        for target in set(folder.iterdir()) - set(paths):
            target.unlink()
            os.mkfifo(target)
    here = Path(__file__).resolve().parent
    path = os.pathsep.join([str(here), str(here.parents[1])])

    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, *paths],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": path},
    )

    assert done.stdout.split() == ["refused"] * 3


def test_every_kind_of_link_has_its_words():
    """A link that is neither hard nor soft is refused with words for it."""
    assert set(_checked._LINKS) == {h5py.h5l.TYPE_SOFT, h5py.h5l.TYPE_EXTERNAL}

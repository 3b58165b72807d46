"""Types and names: what HDF5 holds for them, and that they come back."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
from store_memory import same

from weightsearch.exceptions import UnstorableWeightsWarning
from weightsearch.store._dtypes import (
    Stored,
    check_storable,
    dtype_text,
    from_stored,
    parse_dtype,
    stored_as,
    to_stored,
)
from weightsearch.store._names import from_path, to_flat, to_paths

PADDED = np.dtype(
    {"names": ["a", "b"], "formats": ["u1", "<f8"], "offsets": [0, 8], "itemsize": 24}
)
NESTED = np.dtype([("x", "<f4", (2, 3)), ("y", [("z", "S3"), ("w", "?")])])
TITLED = np.dtype([(("a title", "x"), "<f4")])
WITH_TEXT = np.dtype([("x", "<U3"), ("y", "<M8[s]")])
DTYPES = [
    *map(np.dtype, ["?", "i1", "<i2", ">i4", "<i8", "u1", ">u2", "<u4", "<u8"]),
    *map(np.dtype, ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<c8", ">c16"]),
    *map(np.dtype, ["S5", "<U3", ">U2", "<M8[ns]", ">m8[s]", "<M8", "V7"]),
    PADDED,
    NESTED,
    WITH_TEXT,
    TITLED,
]
ML_DTYPES = ["bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4"]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_names_of_types_come_back(dtype: np.dtype):
    """A type's name gives back the type, byte order and offsets included."""
    back = parse_dtype(dtype_text(dtype))

    assert back == dtype
    assert back.itemsize == dtype.itemsize


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_hdf5_has_the_stored_type(dtype: np.dtype):
    """HDF5 holds each stored type with nothing lost."""
    storage = stored_as(dtype).storage

    assert h5py.h5t.py_create(storage, logical=True).dtype == storage


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_arrays_come_back_from_their_stand_in(dtype: np.dtype, shape: tuple[int, ...]):
    """The stored form gives back type, shape and bytes."""
    size = int(np.prod(shape)) * dtype.itemsize
    array = np.frombuffer(bytes(index % 2 for index in range(size)), "u1")
    array = array.view(dtype).reshape(shape) if size else np.empty(shape, dtype)
    stored = stored_as(dtype)

    raw = to_stored(array, stored)
    back = from_stored(raw, stored)

    assert raw.shape == shape + stored.extra
    assert raw.dtype == stored.storage
    assert same(back, array)


def test_padding_is_cleared():
    """Bytes between fields, which may hold anything, do not reach the file."""
    array = np.frombuffer(b"\xff" * PADDED.itemsize, PADDED)

    raw = to_stored(array, stored_as(PADDED)).tobytes()

    assert raw == b"\xff" + b"\0" * 7 + b"\xff" * 8 + b"\0" * 8


@pytest.mark.parametrize("name", ML_DTYPES)
def test_ml_dtypes_are_unsigned_integers(name: str):
    """Types of ml_dtypes are kept as integers of their size, and come back."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    dtype = np.dtype(getattr(ml_dtypes, name))
    array = np.arange(6).astype(dtype).reshape(2, 3)
    stored = stored_as(dtype)

    raw = to_stored(array, stored)

    assert dtype_text(dtype) == name
    assert raw.dtype == np.dtype(f"<u{dtype.itemsize}")
    assert from_stored(raw, stored).dtype == dtype
    assert from_stored(raw, stored).tobytes() == array.tobytes()


def test_missing_ml_dtypes_gives_raw_integers(monkeypatch: pytest.MonkeyPatch):
    """Without ml_dtypes the bits come back, with a warning that says so."""
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    raw = np.arange(3, dtype="<u2")
    # A name that nothing has asked for yet, so that no answer is remembered.
    assert parse_dtype("float12_not_there") is None

    with pytest.warns(UnstorableWeightsWarning, match="ml_dtypes"):
        back = from_stored(raw, Stored(None, raw.dtype), "w")

    assert back is raw


def test_tree_nodes_are_a_compound():
    """The node array of a tree is a compound of HDF5, not opaque bytes."""
    tree = DecisionTreeClassifier(random_state=0).fit(*load_iris(return_X_y=True))
    nodes = tree.tree_.__getstate__()["nodes"]

    assert stored_as(nodes.dtype).storage == nodes.dtype
    assert parse_dtype(dtype_text(nodes.dtype)) == nodes.dtype


@pytest.mark.parametrize(
    ("dtype", "match"),
    [
        (np.dtype(object), "objects"),
        (np.dtype([("a", "f4"), ("b", "O")]), "objects"),
        (np.dtype("V0"), "no size"),
        (np.dtype([]), "no size"),
    ],
)
def test_what_cannot_be_stored_is_refused(dtype: np.dtype, match: str):
    """Objects and types without size are refused by name."""
    with pytest.raises(TypeError, match=f"'w'.*{match}"):
        check_storable(dtype, 1, "w")


@pytest.mark.skipif(np.dtype("g").itemsize == 8, reason="long double is a double here")
@pytest.mark.parametrize("dtype", ["g", "G", [("a", "g", (2,))]])
def test_long_doubles_are_refused(dtype: object):
    """Long doubles mean something else on another machine."""
    with pytest.raises(TypeError, match="float64"):
        check_storable(np.dtype(dtype), 0, "w")


def test_too_many_axes_are_refused():
    """HDF5 has 32 axes at most."""
    with pytest.raises(TypeError, match="axes"):
        check_storable(np.dtype("f4"), 31, "w")


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            "O",
            "|O",
            "f4,f4",
            "<f3",
            "(2,)f4",
            "<f8 ",
            "__import__",
            "{",
            "{}",
            "[]",
        ],
        '{"names":1,"formats":2,"offsets":3,"itemsize":4}',
        '{"names":["a"],"formats":["|O"],"offsets":[0],"itemsize":8}',
        '{"names":["a"],"formats":["<f8"],"offsets":[-8],"itemsize":8}',
        '{"names":["a"],"formats":["<f8"],"offsets":[8],"itemsize":8}',
        '{"names":' * 200,
    ],
)
def test_unknown_names_of_types_are_refused(text: str):
    """A stranger's type name is never handed to numpy unseen."""
    with pytest.raises(ValueError, match=r".+"):
        parse_dtype(text)


NAMES = st.lists(
    st.text(st.sampled_from("ab/.%\x00 é\ud800"), max_size=6), unique=True, max_size=8
)


@given(NAMES)
def test_names_come_back_from_their_paths(names: list[str]):
    """Decoding a path gives the name, whatever it holds."""
    assert [from_path(path) for path in to_paths(names)] == names
    assert [from_path(to_flat(name)) for name in names] == names


@given(NAMES)
def test_hdf5_holds_all_paths_together(names: list[str]):
    """No path clashes with another, as a dataset or as a group on its way."""
    with h5py.File("names", "w", driver="core", backing_store=False) as file:
        for index, path in enumerate(to_paths(names)):
            file.create_dataset(path, data=index)

        assert [file[path][()] for path in to_paths(names)] == list(range(len(names)))


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        (["coefs_/0", "fc1.weight"], ["coefs_/0", "fc1.weight"]),
        (["a", "a/b"], ["a", "a%2Fb"]),
        (["", ".", "..", "a/../b"], ["%", "%2E", "%2E%2E", "a/%2E%2E/b"]),
        (["a//b", "/c", "d/"], ["a%2F%2Fb", "%2Fc", "d%2F"]),
        (["50%", "a\x00"], ["50%25", "a%00"]),
    ],
)
def test_paths_are_as_the_format_says(names: list[str], paths: list[str]):
    """Plain names are their own paths; odd ones are escaped as documented."""
    assert to_paths(names) == paths


def test_equal_names_are_refused():
    """Two weights of one name would lie in one place."""
    with pytest.raises(ValueError, match="duplicated"):
        to_paths(["a", "a"])

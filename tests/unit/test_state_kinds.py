"""Values of many types in a state come back as they were."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import enum
import functools
import json
import logging
import zoneinfo
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import scipy.stats
from sklearn.base import BaseEstimator
from sklearn.cluster import HDBSCAN
from sklearn.datasets import load_iris
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.utils import Bunch

from weightsearch import RebuildError
from weightsearch.frameworks._registry import collect_weights
from weightsearch.frameworks._state import capture_state, kind_of_model, rebuild


class Level(enum.Enum):
    """An enumeration of the caller's."""

    LOW = 1
    HIGH = 2


class Option(enum.Flag):
    """Flags of the caller's."""

    A = enum.auto()
    B = enum.auto()


Pair = collections.namedtuple("Pair", "left right")


class Plain:
    """An object with attributes and nothing else."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return type(other) is type(self) and self.value == other.value

    __hash__ = None

    def __repr__(self):
        return f"Plain({self.value!r})"


class Slotted:
    """An object whose attributes are in slots."""

    __slots__ = ("left", "right")

    def __init__(self, left, right):
        self.left = left
        self.right = right

    def __eq__(self, other):
        return (self.left, self.right) == (other.left, other.right)

    __hash__ = None

    def __repr__(self):
        return f"Slotted({self.left!r}, {self.right!r})"


class Holder(BaseEstimator):
    """An estimator that has learned whatever it is given."""

    def __init__(self, kinds=(Level, Option, Pair, Plain, Slotted)):
        self.kinds = kinds

    def fit(self, value):
        self.value_ = value
        return self


def again(value):
    """The value, from the state of an estimator that has learned it."""
    holder = Holder().fit(value)
    state = capture_state(holder, {})
    assert "error" not in json.loads(state.text), state.text
    rebuilt = rebuild(
        state.text, {}.__getitem__, state.blobs.__getitem__, template=holder
    )
    return rebuilt.value_


LONG = "a text with ünïcode and \udc80 half a surrogate " * 30

VALUES = {
    "none": None,
    "numbers": [0, -1, 2**70, 1.5, -0.0, float("inf"), 1e-300, True, 3 - 2j],
    "huge_integer": 7**5000,
    "texts": ["", "ü", "\udc80", LONG],
    "bytes": [b"", b"\x00\xff" * 100, bytearray(b"abc")],
    "containers": {"a": [1, (2, [3, ()])], "b": {1: {2.5: "x"}, (1, 2): None}},
    "sets": [{3, 1, 2}, frozenset({"b", "a"}), set()],
    "many_integers": list(range(-5, 300)),
    "many_large_integers": [2**62 + n for n in range(40)],
    "many_too_large_integers": [2**64 + n for n in range(40)],
    "many_floats": [n / 7 for n in range(40)],
    "many_floats_with_nan": [float("inf"), *[n / 7 for n in range(40)]],
    "many_booleans": [n % 3 == 0 for n in range(40)],
    "many_texts": [f"word {n} ü" for n in range(400)],
    "vocabulary": {f"term {n}": n for n in range(500)},
    "mixed": [1, 1.0, True, "1", None] * 10,
    "lists_of_lists": [[n] * (n % 4) for n in range(50)],
    "rows": [(n, f"{n}", n / 2) for n in range(50)],
    "numpy_scalars": [np.float32(1.5), np.int8(-3), np.float64("inf"), np.bool_(True)],
    "many_numpy_scalars": [np.float32(n) for n in range(50)],
    "dates": [
        datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.UTC),
        datetime.date(2026, 1, 2),
        datetime.time(3, 4, 5),
        datetime.timedelta(1, 2, 3),
    ],
    "exact": [decimal.Decimal("1.10"), slice(1, None, 2), range(1, 9, 2), ...],
    "mappings": [
        collections.OrderedDict([("b", 1), ("a", 2)]),
        collections.Counter("hello"),
        collections.deque([1, 2], 5),
        Bunch(data=[1], target="y"),
    ],
    "path": Path("some") / "place",
    "types": [int, np.float32, np.log1p, len, str.split, np.dtype("<f4")],
    "enumeration": [Level.HIGH, Option.A, Option.A | Option.B, Option(0)],
    "named_tuple": Pair(1, [2]),
    "plain_object": Plain({"a": Plain(1)}),
    "slots": Slotted(1, "x"),
    "many_objects": [Plain(n) for n in range(60)],
    "many_objects_in_lists": [[Plain(n), Plain(-n)] for n in range(30)],
    "partial": functools.partial(np.full, 3, fill_value=2.0),
    "kernel": RBF(0.5) + 2.0 * WhiteKernel(0.1),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    """A value that was learned is equal to the original, types and order included."""
    value = VALUES[name]
    found = again(value)

    if name == "partial":
        parts = ("func", "args", "keywords")
        assert [getattr(found, p) for p in parts] == [getattr(value, p) for p in parts]
        return
    assert found == value
    if name != "sets":  # which have no order
        assert repr(found) == repr(value)


ARRAYS = {
    "fortran": np.asfortranarray(np.arange(60.0).reshape(6, 10)),
    "small": np.array([1, 2], np.int16),
    "scalar": np.array(2.5),
    "empty": np.empty((0, 3), np.float32),
    "texts": np.array(["a", "bcd"] * 20),
    "bytes": np.array([b"a", b"bcd"]),
    "dates": np.array(["2026-01-01", "NaT"], "M8[D]"),
    "nan": np.array([np.nan, -np.nan, np.inf] * 9),
    "fortran_with_gaps": np.asfortranarray(np.arange(60.0).reshape(6, 10))[:4],
    "big_endian": np.arange(20, dtype=">i4"),
    "structured": np.array([(1, 2.5)] * 9, [("a", "i1"), ("b", "<f8")]),
    "booleans": np.eye(9, dtype=bool),
    "strided": np.arange(100.0).reshape(10, 10)[:, ::3],
    "complex": np.arange(9) * 1j,
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name):
    """Arrays come back bit for bit, in their type and order, and can be written."""
    array = ARRAYS[name]
    found = again(array)

    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.tobytes() == array.tobytes()
    assert found.flags.writeable
    assert found.flags.f_contiguous == np.array(array, order="K").flags.f_contiguous


def test_structured_array_of_which_a_field_is_a_weight():
    """An array whose fields are all weights is not stored as one of them."""
    model = HDBSCAN(copy=True).fit(load_iris().data)
    weights, _ = collect_weights(model)
    state = capture_state(model, weights)
    rebuilt = rebuild(
        state.text, weights.__getitem__, state.blobs.__getitem__, template=model
    )
    tree = rebuilt._single_linkage_tree_
    np.testing.assert_array_equal(tree, model._single_linkage_tree_)
    np.testing.assert_array_equal(
        rebuilt.dbscan_clustering(0.5), model.dbscan_clustering(0.5)
    )


def test_arrays_of_objects():
    """An array of objects keeps its shape and what is in it."""
    array = np.array([[Plain(1), None], ["x", Plain(2)]], dtype=object)
    found = again(array)

    assert found.shape == (2, 2)
    assert found.tolist() == array.tolist()


def test_many_arrays_become_one():
    """Arrays of different lengths are one content, and each comes back alone."""
    arrays = [np.arange(n, dtype=np.int32) for n in range(40)]
    holder = Holder().fit(arrays)
    state = capture_state(holder, {})
    found = again(arrays)

    assert len(state.blobs) <= 4
    for one, other in zip(found, arrays, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


def test_equal_arrays_are_not_one():
    """Equal arrays of many objects are stored once, and come back as many."""
    found = again([Plain(np.arange(3)) for _ in range(5)])
    found[0].value[0] = 7

    assert [one.value[0] for one in found] == [7, 0, 0, 0, 0]


def test_masked_arrays():
    """A masked array keeps its mask and its fill value."""
    array = np.ma.MaskedArray([1.0, 2.0, 3.0], [False, True, False], fill_value=-1.0)
    found = again(array)

    np.testing.assert_array_equal(found.mask, array.mask)
    np.testing.assert_array_equal(found.filled(), array.filled())


@pytest.mark.parametrize("form", ["csr_matrix", "csc_array", "csr_array", "coo_matrix"])
def test_sparse_matrices(form):
    """Sparse matrices come back in their form."""
    matrix = getattr(scipy.sparse, form)(np.eye(5) * 2)
    found = again(matrix)

    assert type(found) is type(matrix)
    assert (found != matrix).nnz == 0


FRAME = pd.DataFrame(
    {
        "number": [1.5, np.nan, 3.0],
        "text": ["a", None, "c"],
        "category": pd.Categorical(["x", "y", "x"], ["y", "x"], ordered=True),
        "nullable": pd.array([1, None, 3], dtype="Int64"),
        "date": pd.to_datetime(["2026-01-01", None, "2026-03-01"]),
        "zone": pd.to_datetime(["2026-01-01", "2026-02-01", None]).tz_localize("UTC"),
    },
    index=pd.Index(["r", "s", "t"], name="row"),
)


def test_frames():
    """Data frames, series and indexes come back, their types included."""
    pd.testing.assert_frame_equal(again(FRAME), FRAME)
    pd.testing.assert_series_equal(again(FRAME["category"]), FRAME["category"])
    pd.testing.assert_index_equal(again(FRAME.columns), FRAME.columns)
    pd.testing.assert_index_equal(again(pd.RangeIndex(3)), pd.RangeIndex(3))
    assert again(FRAME["zone"].iloc[0]) == FRAME["zone"].iloc[0]
    assert again(FRAME.dtypes.iloc[2]) == FRAME.dtypes.iloc[2]
    for name in ("category", "nullable", "zone"):
        found, array = again(FRAME[name].array), FRAME[name].array
        pd.testing.assert_extension_array_equal(found, array)


def test_random_generators():
    """Generators draw next what the original draws next."""
    for original in (np.random.RandomState(3), np.random.default_rng(3)):
        original.normal(size=3)
        found = again(original)

        np.testing.assert_array_equal(found.normal(size=5), original.normal(size=5))


def test_distributions():
    """A distribution of scipy with its arguments is the same distribution."""
    found = again(scipy.stats.norm(loc=2, scale=3))

    assert found.args == ()
    assert found.cdf(1.0) == scipy.stats.norm(2, 3).cdf(1.0)


def test_loggers():
    """A logger is found by its name."""
    assert again(logging.getLogger("some.name")) is logging.getLogger("some.name")


def test_objects_stay_one():
    """What was one object is one object again, also within a cycle."""
    shared = Plain([1])
    cycle = Plain(None)
    cycle.value = [cycle, shared]
    array = np.arange(3.0)
    numbers = {1, 2}
    learned = [shared, {"again": shared}, cycle, array, array, numbers, (numbers,)]
    first, second, loop, one, other, held, holder = again(learned)

    assert second["again"] is first
    assert loop.value[0] is loop
    assert loop.value[1] is first
    assert one is other
    assert holder[0] is held


def test_named_time_zones_are_not_stored():
    """A zone has rules that its offset of one day does not have: it says so."""
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    state = capture_state(Holder().fit(datetime.datetime(2026, 7, 1, tzinfo=zone)), {})

    assert "Europe/Berlin" in json.loads(state.text)["error"]


def test_what_only_the_fitted_model_has_is_told_at_once():
    """An object that cannot be stored must be among the params, which a caller has."""
    learned = array.array("d", [1.0, 2.0])
    state = capture_state(Holder().fit(learned), {})
    assert "value_ is a array.array" in json.loads(state.text)["error"]
    for made in (lambda: 1, type("Made", (), {})):
        made.__qualname__ = "fit.<locals>.made"
        error = json.loads(capture_state(Holder().fit(made), {}).text)["error"]
        assert "fit.<locals>.made, which is made inside a function" in error

    state = capture_state(Holder(kinds=(learned,)).fit(learned), {})
    template = Holder(kinds=(array.array("d", [1.0, 2.0]),))
    found = rebuild(state.text, {}.get, state.blobs.__getitem__, template=template)
    assert found.value_ == learned


def test_padding_is_not_allocated():
    """A structured type that is mostly padding is refused before it takes memory."""
    skeleton = b'["array",["fields",[["a","|i1"],["","|V1000000000"]],{"a":"a"}]]'
    name = sha256(skeleton).hexdigest()[:32]
    text = json.dumps({"format": 1, "skeleton": name, "values": [[9]]})

    with pytest.raises(RebuildError, match="padding"):
        rebuild(text, {"a": np.zeros(9, "i1")}.__getitem__, {name: skeleton}.get)


def test_methods_of_an_object():
    """A method that an object holds of itself is its own again."""
    plain = Plain(2)
    plain.method = plain.__eq__
    found = again(plain)

    assert found.method.__self__ is found


@pytest.mark.parametrize(
    "value",
    [(n for n in range(3)), Path(__file__).open("rb")],
    ids=["generator", "file"],
)
def test_what_only_a_process_has(value):
    """A generator or an open file gives a reason, with its place."""
    holder = Holder().fit({"inside": [value]})
    state = capture_state(holder, {})

    with pytest.raises(RebuildError, match=r"value_/inside"):
        rebuild(state.text, {}.__getitem__, state.blobs.__getitem__, template=holder)


def test_models_of_one_kind_share_their_skeleton():
    """Numbers, texts and lengths make no other kind; another attribute does."""
    states = [
        capture_state(Holder().fit(value), {})
        for value in ([1, 2.5, "x"], [7, 1.0, "y"], [7, 1.0, Plain(1)])
    ]
    kinds = [kind_of_model(state.text) for state in states]

    assert kinds[0] == kinds[1] != kinds[2]

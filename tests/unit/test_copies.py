"""Copies of data that several models share."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from weightsearch._copies import copied, is_unchanged

ARRAY = np.array([[1.0, np.nan, 3.0], [4.0, 5.0, -0.0]])
DATA = {
    "array": lambda: ARRAY.copy(),
    "fortran": lambda: np.asfortranarray(ARRAY),
    "view": lambda: np.tile(ARRAY, 2)[:, ::2],
    "complex": lambda: ARRAY * 1j,
    "text": lambda: np.array(["a", "b"]),
    "dates": lambda: np.array(["2020-01-01", "NaT"], "M8[D]"),
    "objects": lambda: np.array([[1, "a"], [None, [2.0]]], dtype=object),
    "masked": lambda: np.ma.masked_invalid(ARRAY),
    "frame": lambda: pd.DataFrame({"a": [1.0, np.nan], "b": ["x", "y"]}),
    "series": lambda: pd.Series([1, 2], index=["x", "y"]),
    "csr": lambda: sparse.csr_matrix(np.nan_to_num(ARRAY)),
    "coo": lambda: sparse.coo_array(np.nan_to_num(ARRAY)),
    "dok": lambda: sparse.dok_array(np.nan_to_num(ARRAY)),
    "list": lambda: [[1.0, 2.0], [3.0, 4.0]],
    "words": lambda: ["a word", "another"],
    "nested": lambda: {"eval_set": [(ARRAY.copy(), np.arange(2))]},
}
CHANGES = {
    "array": lambda data: data.__setitem__((0, 0), 2.0),
    "fortran": lambda data: data.__setitem__((0, 1), 2.0),
    "view": lambda data: data.__setitem__((1, 2), 2.0),
    "complex": lambda data: data.__setitem__((0, 0), 2.0),
    "text": lambda data: data.__setitem__(0, "c"),
    "dates": lambda data: data.__setitem__(1, np.datetime64("2020-01-02")),
    "objects": lambda data: data[1, 1].append(3.0),
    "masked": lambda data: data.__setitem__((0, 0), 2.0),
    "frame": lambda data: data.insert(0, "c", 1),
    "series": lambda data: data.__setitem__("x", 3),
    "csr": lambda data: data.data.__setitem__(0, 2.0),
    "coo": lambda data: data.data.__setitem__(0, 2.0),
    "dok": lambda data: data.__setitem__((0, 0), 2.0),
    "list": lambda data: data[1].__setitem__(0, 9.0),
    "words": lambda data: data.__setitem__(0, "a third"),
    "nested": lambda data: data["eval_set"][0][1].__setitem__(0, 7),
}


@pytest.mark.parametrize("kind", DATA)
def test_a_change_does_not_reach_the_copy(kind):
    """What is changed in place stays as it was in the copy, of the same type."""
    data = DATA[kind]()
    copy = copied(data)
    assert type(copy) is type(data)
    CHANGES[kind](data)
    assert repr(copy) == repr(DATA[kind]())
    assert not is_unchanged(data, copy)


@pytest.mark.parametrize(
    "kind", sorted(DATA.keys() - {"objects", "masked"}), ids=lambda kind: kind
)
def test_data_that_nobody_has_changed(kind):
    """Data are known to be unchanged, also where some of them are nan."""
    data = DATA[kind]()
    assert is_unchanged(data, copied(data))


def test_the_order_in_memory_is_kept():
    """A copy has the memory order of its array, so that sums come out the same."""
    assert copied(np.asfortranarray(ARRAY)).flags.f_contiguous
    assert copied(ARRAY).flags.c_contiguous
    wide = np.tile(ARRAY, 2)
    for view in (wide[:, ::2], wide[::-1, ::-1], wide.T[::2], wide[:, 1:]):
        copy = copied(view)
        np.testing.assert_array_equal(copy, view)
        assert not np.shares_memory(copy, wide)
        assert np.argsort(copy.strides).tolist() == np.argsort(view.strides).tolist()
        inner = np.array([copy.strides, view.strides]) == view.itemsize
        assert (inner[0] == inner[1]).all()
        assert not copy.flags.forc


def test_a_copy_of_a_column_is_no_larger_than_twice_the_column():
    """Gaps between elements are kept, but not their width."""
    column = np.zeros((10, 100))[:, 3]
    assert copied(column).strides == (16,)


def test_what_is_not_data_is_shared():
    """Callbacks and other objects among the params of fit stay the same objects."""
    callback = object()
    assert copied({"callbacks": [callback]})["callbacks"][0] is callback


def test_what_cannot_be_written_is_not_copied(tmp_path):
    """An array that is read only is shared; one mapped for writing comes to memory."""
    locked = ARRAY.copy()
    locked.flags.writeable = False
    assert copied(locked) is locked
    mapped = np.memmap(tmp_path / "data", dtype=float, mode="w+", shape=(3,))
    assert type(copied(mapped)) is np.ndarray

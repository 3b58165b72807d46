"""``run.candidates`` in polars and pyarrow, and stores through fsspec."""

from __future__ import annotations

import warnings
import zipfile

import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from weightsearch import WeightStore, WeightTrackingGridSearchCV

pytestmark = pytest.mark.ecosystem

GRID = [
    {"max_depth": [2, None], "criterion": ["gini", "entropy"]},
    {"min_samples_leaf": [1, 0.1], "monotonic_cst": [None]},
]
MIXED = {"max_features": ["sqrt", 0.5]}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A store with gaps and numbers of two types among the params."""
    path = tmp_path_factory.mktemp("store") / "s.h5"
    for grid in (MIXED, GRID):
        search = WeightTrackingGridSearchCV(
            DecisionTreeClassifier(random_state=0), grid, cv=3, store=path
        )
        search.fit(*load_iris(return_X_y=True))
    return path


@pytest.fixture
def candidates(path):
    """The newest run's candidates; the column without any value has no type."""
    with WeightStore(path) as store:
        return store.run().candidates.drop(columns="monotonic_cst")


def test_no_column_of_objects(candidates):
    """Plain values have plain types, also with gaps, unless None is a value too."""
    text = {"criterion", "status"}  # objects in pandas 2
    assert [
        c for c in candidates if candidates[c].dtype == object and c not in text
    ] == ["max_depth"]
    assert candidates["min_samples_leaf"].dtype == "Float64"


def test_polars(candidates):
    """Every column has a type of polars, and its values."""
    pl = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    frame = pl.from_pandas(candidates)
    assert pl.Object not in frame.schema.values()
    assert frame.schema["max_depth"] == pl.Int64
    assert frame["max_depth"].to_list() == [2, None, 2, None, None, None]
    assert frame["min_samples_leaf"].to_list() == [None] * 4 + [1.0, 0.1]
    best = frame.sort("mean_test_score", descending=True)["mean_test_score"][0]
    assert best == candidates["mean_test_score"].max()


def test_pyarrow(candidates):
    """The same in an Arrow table, there and back."""
    pa = pytest.importorskip("pyarrow")
    table = pa.Table.from_pandas(candidates)
    assert table.schema.field("max_depth").type == pa.int64()
    assert table.schema.field("min_samples_leaf").type == pa.float64()
    # Arrow has one kind of gap.
    assert table["max_depth"].to_pylist() == [2, None, 2, None, None, None]
    again = table.drop_columns("max_depth").to_pandas()
    pd.testing.assert_frame_equal(
        again, candidates.drop(columns="max_depth"), check_dtype=False
    )


def test_mixed_types_become_text_by_one_call(path):
    """Words among numbers stay objects in pandas; as text they go anywhere."""
    pl = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    with WeightStore(path) as store:
        frame = next(iter(store.runs.values())).candidates
    assert list(frame["max_features"]) == ["sqrt", 0.5]
    text = frame.astype({"max_features": str})
    assert pl.from_pandas(text)["max_features"].to_list() == ["sqrt", "0.5"]


def read(source):
    """A weight of the newest run's first candidate."""
    with WeightStore(source) as store:
        return store.run().weights(0)["tree_/threshold"].tobytes()


@pytest.mark.parametrize("cache", ["none", "readahead", "bytes", "blockcache", "all"])
def test_fsspec_memory(path, cache):
    """A store in fsspec's memory, whatever its way of reading ahead."""
    fsspec = pytest.importorskip("fsspec")
    from fsspec.spec import AbstractBufferedFile

    system = fsspec.filesystem("memory")
    system.pipe("/store/s.h5", path.read_bytes())
    with system.open("/store/s.h5", "rb") as file:
        assert read(file) == read(path)

    class Ranges(AbstractBufferedFile):
        """As a file on a server: it can be had in ranges of bytes."""

        def _fetch_range(self, start, end):
            return system.cat_file("/store/s.h5", start, end)

    with Ranges(system, "/store/s.h5", block_size=2048, cache_type=cache) as file:
        assert read(file) == read(path)


def test_fsspec_local_and_chained(path, tmp_path):
    """Local files, members of ZIP files, and files that are cached as a whole."""
    fsspec = pytest.importorskip("fsspec")
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.write(path, "s.h5")
    for url in (
        path.as_uri(),
        f"zip://s.h5::{(tmp_path / 's.zip').as_uri()}",
        f"simplecache::{path.as_uri()}",
    ):
        with fsspec.open(url, "rb") as file:
            assert read(file) == read(path)


def test_fsspec_file_that_was_not_opened(path):
    """What fsspec.open gives is opened by ``with``; the error says so."""
    fsspec = pytest.importorskip("fsspec")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with pytest.raises(OSError, match=r"got OpenFile. Open it first"):
            WeightStore(fsspec.open(path.as_uri(), "rb"))

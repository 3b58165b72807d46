"""Bad input is named before the first fit, and what was there stays."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from search_estimators import CountingClassifier, count_fits
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from weightsearch import (
    InvalidGridError,
    NotAStoreError,
    StoreError,
    StoreVersionError,
    StoreWriteError,
    WeightTrackingGridSearchCV,
)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture
def log(tmp_path):
    return str(tmp_path / "fits.log")


def search_into(path, log, **kwargs):
    return WeightTrackingGridSearchCV(
        CountingClassifier(log), {"C": [0.1, 1.0]}, cv=3, store=path, **kwargs
    )


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", NotAStoreError),
        (b"a,b\n1,2\n", NotAStoreError),
        (b"\x89HDF\r\n\x1a\n" + bytes(2000), StoreError),
    ],
    ids=["empty", "text", "broken-hdf5"],
)
def test_a_file_that_is_no_store_is_left_alone(iris, tmp_path, log, content, error):
    """What is no store is refused before any fit and keeps its bytes."""
    path = tmp_path / "file.h5"
    path.write_bytes(content)
    with pytest.raises(error, match=r"file\.h5"):
        search_into(path, log).fit(*iris)
    assert path.read_bytes() == content
    assert count_fits(log) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file.h5"]


def test_an_hdf5_file_of_another_program_is_left_alone(iris, tmp_path, log):
    """A foreign HDF5 file is refused and keeps its bytes."""
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(3)
    before = path.read_bytes()
    with pytest.raises(NotAStoreError):
        search_into(path, log).fit(*iris)
    assert path.read_bytes() == before
    assert count_fits(log) == 0


def test_a_newer_format_is_left_alone(iris, tmp_path, log):
    """A store of a later format_version is refused and keeps its bytes."""
    path = tmp_path / "new.h5"
    search_into(path, log).fit(*iris)
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 99
    before = path.read_bytes()
    n_fits = count_fits(log)
    with pytest.raises(StoreVersionError, match="99"):
        search_into(path, log).fit(*iris)
    assert path.read_bytes() == before
    assert count_fits(log) == n_fits


@pytest.mark.parametrize("where", ["folder", "missing/parent/s.h5"])
def test_places_where_no_store_can_be(iris, tmp_path, log, where):
    """A directory or a missing parent is named before any fit."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match=r"folder|parent"):
        search_into(tmp_path / where, log).fit(*iris)
    assert count_fits(log) == 0


def test_a_place_that_cannot_be_written(iris, log):
    """A place where no file can be made is named before any fit."""
    with pytest.raises(StoreWriteError):
        search_into("/proc/weightsearch.h5", log).fit(*iris)
    assert count_fits(log) == 0


@pytest.mark.parametrize(
    "kwargs",
    [
        {"capture": "both "},
        {"keep": 0},
        {"keep": 2.5},
        {"keep": "some"},
        {"compression": "zip"},
        {"resume": "yes"},
        {"store": 3},
    ],
    ids=str,
)
def test_bad_params_are_sklearns_errors(iris, log, kwargs):
    """Params out of range end with scikit-learn's InvalidParameterError."""
    search = WeightTrackingGridSearchCV(CountingClassifier(log), {"C": [1.0]}, **kwargs)
    with pytest.raises(InvalidParameterError, match=next(iter(kwargs))):
        search.fit(*iris)
    assert count_fits(log) == 0


@pytest.mark.parametrize("compression", [{"compression": "szip"}, {"level": 9}])
def test_bad_options_of_compression(iris, tmp_path, log, compression):
    """Options that cannot work are named before any fit, not at its end."""
    with pytest.raises(ValueError, match="compression"):
        search_into(tmp_path / "s.h5", log, compression=compression).fit(*iris)
    assert count_fits(log) == 0


def test_an_unknown_key_is_named_with_a_suggestion(iris, log):
    """A mistyped key ends before the first fit and says what was meant."""
    search = WeightTrackingGridSearchCV(
        CountingClassifier(log), [{"C": [1.0]}, {"pauze": [0.0]}]
    )
    with pytest.raises(InvalidGridError, match="'pause'") as caught:
        search.fit(*iris)
    assert caught.value.key == "pauze"
    assert isinstance(caught.value, ValueError)
    assert count_fits(log) == 0


def test_a_key_without_its_step_is_suggested(iris):
    """A parameter of a pipeline's step is suggested under its full name."""
    search = WeightTrackingGridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()), {"C": [1.0]}
    )
    with pytest.raises(InvalidGridError, match="logisticregression__C"):
        search.fit(*iris)


def test_a_key_that_only_a_candidate_makes_valid(iris):
    """Keys are checked on each candidate, since a candidate may bring the step."""
    search = WeightTrackingGridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()),
        [
            {
                "logisticregression": [LogisticRegression(max_iter=300)],
                "logisticregression__C": [1.0],
            },
            {"standardscaler": ["passthrough"]},
        ],
        cv=3,
    ).fit(*iris)
    assert len(search.weights_by_params_) == 2

"""Stores that are read from file objects, and what is said of those that are none."""

from __future__ import annotations

import io
import zipfile

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import RidgeClassifier

from weightsearch import WeightStore, WeightTrackingGridSearchCV
from weightsearch.exceptions import NotAStoreError, StoreError


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A small store."""
    path = tmp_path_factory.mktemp("store") / "s.h5"
    search = WeightTrackingGridSearchCV(
        RidgeClassifier(), {"alpha": [0.1, 1.0]}, cv=3, store=path
    )
    search.fit(*load_iris(return_X_y=True))
    return path


@pytest.fixture
def raw(path):
    """Its bytes."""
    return path.read_bytes()


class Stingy(io.BytesIO):
    """Gives a few bytes at a time, as sockets do."""

    def readinto(self, buffer):
        return super().readinto(memoryview(buffer)[:100])


class OnlyRead:
    """Knows nothing but the three methods that are needed."""

    def __init__(self, raw):
        self.seek = io.BytesIO(raw).seek
        self.read = self.seek.__self__.read
        self.tell = self.seek.__self__.tell


def test_any_file_object_gives_what_the_path_gives(path, raw, tmp_path):
    """Memory, a member of a ZIP file, slow and minimal files are all the same."""
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("s.h5", raw)
    with WeightStore(path) as store:
        expected = store.run().weights(1)["coef_"].tobytes()
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        for file in (io.BytesIO(raw), archive.open("s.h5"), Stingy(raw), OnlyRead(raw)):
            with WeightStore(file) as store:
                assert store.run().weights(1)["coef_"].tobytes() == expected


def test_the_file_stays_open(raw):
    """Who opened the file closes it; its position does not matter."""
    file = io.BytesIO(raw)
    file.seek(77)
    with WeightStore(file) as store:
        assert len(store.run()) == 2
    assert not file.closed


def test_a_file_closed_under_the_store_is_named(raw):
    """Reading on from a closed file is no damage of the store."""
    file = io.BytesIO(raw)
    with WeightStore(file) as store:
        weights = store.run().weights(0)
        file.close()
        with pytest.raises(StoreError, match=r"BytesIO.*closed file") as caught:
            weights["coef_"]
    assert type(caught.value) is StoreError


def test_what_a_network_raises_is_no_damage(raw):
    """An error of the file's own comes out with its cause."""

    class Cut(io.BytesIO):
        left = 5

        def readinto(self, buffer):
            self.left -= 1
            if not self.left:
                raise ConnectionError("the network is gone")
            return super().readinto(buffer)

    with pytest.raises(StoreError, match=r"Cut: .*the network is gone") as caught:
        WeightStore(Cut(raw))
    assert type(caught.value) is StoreError
    assert isinstance(caught.value.__cause__, ConnectionError)


class Opener:
    """Is opened by ``with``, as fsspec's OpenFile."""

    def __enter__(self):
        return io.BytesIO()


class Endless(io.RawIOBase):
    """A stream."""

    def readable(self):
        return True


def closed():
    """A file that has been closed."""
    file = io.BytesIO()
    file.close()
    return file


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, "got int$"),
        (b"bytes", "got bytes$"),
        (Opener(), "got Opener. Open it first"),
        (io.StringIO("text"), "open it in mode 'rb'"),
        (Endless(), "cannot be sought: seek is not supported"),
        (closed(), "cannot be sought: .*closed file"),
    ],
)
def test_what_is_no_file_is_named(source, message):
    """Neither a path nor a file that can be read and sought: the error says what."""
    with pytest.raises(StoreError, match=message):
        WeightStore(source)


def test_a_file_that_only_writes(tmp_path):
    """The file's name is in the message."""
    with (tmp_path / "new.h5").open("wb") as file:
        with pytest.raises(StoreError, match=r"new\.h5: cannot be read"):
            WeightStore(file)


@pytest.mark.parametrize("content", [b"", b"hello"])
def test_other_content_is_no_store(content):
    """What is not HDF5 is named as such."""
    with pytest.raises(NotAStoreError, match="not an HDF5 file"):
        WeightStore(io.BytesIO(content))

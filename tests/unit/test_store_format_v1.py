"""Stores of format 1, written once, are read for ever."""

from __future__ import annotations

import importlib.util
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from store_memory import order_of

from weightsearch.exceptions import UnstorableWeightsWarning
from weightsearch.store._hdf5._reader import Hdf5Store
from weightsearch.store._hdf5._verify import verify_file

FOLDER = Path(__file__).parents[1] / "data" / "format-v1"
FILES = ["store.h5", "compressed.h5"]
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FILES)
def test_every_array_is_as_it_was(name: str):
    """Each array has the bytes, type, shape and order that were written down."""
    has_ml_dtypes = importlib.util.find_spec("ml_dtypes") is not None
    with Hdf5Store(FOLDER / name) as store, np.load(FOLDER / "expected.npz") as raw:
        for item in EXPECTED:
            run = store.runs[item["run"]]
            if item["dtype"] == "bfloat16" and not has_ml_dtypes:
                with pytest.warns(UnstorableWeightsWarning, match="raw uint16"):
                    array = run.read(item["row"], item["name"])
            else:
                array = run.read(item["row"], item["name"])
                assert str(array.dtype) == item["dtype"]
            assert list(array.shape) == item["shape"]
            assert order_of(array) == item["order"]
            assert array.tobytes("C") == raw[item["key"]].tobytes()


@pytest.mark.parametrize("name", FILES)
def test_nothing_else_is_in_it(name: str):
    """Runs, fits and names are those that were written down."""
    with Hdf5Store(FOLDER / name) as store:
        found = Counter(
            (run.name, row, spec.name)
            for run in store.runs.values()
            for row in np.flatnonzero(run.fits().has_weights).tolist()
            for spec in run.specs(row).arrays
        )

    written = [(item["run"], item["row"], item["name"]) for item in EXPECTED]
    assert found == Counter(written)
    assert len(EXPECTED) == 8 * 4 + 20 * 2 + 11


@pytest.mark.parametrize("name", FILES)
def test_what_is_around_the_arrays(name: str):
    """Status, params, results, ties and splits are as they were written."""
    with Hdf5Store(FOLDER / name) as store:
        assert list(store.runs) == ["nets", "trees", "odd/names"]
        nets, trees, odd = store.runs.values()

        assert [run.header.status for run in (nets, trees, odd)] == [
            "complete",
            "complete",
            "interrupted",
        ]
        assert json.loads(nets.params()[7]) == {"alpha": 1.0}
        assert nets.best_index() == 7
        assert nets.cv_results()["rank_test_score"].tolist() == list(range(8, 0, -1))
        assert "mean_test_a/b" in nets.cv_results()
        assert nets.result(2) == {"fit_time": 0.5, "test_scores": {"score": 0.25}}
        assert math.isnan(nets.result(8)["test_scores"])
        assert nets.fits().failed.tolist() == [False] * 8 + [True]
        ((train, test),) = nets.splits()
        assert (train.tolist(), test.tolist()) == (list(range(9)), list(range(3)))
        assert trees.layout(0).ragged
        assert odd.specs(0).ties == {"tied": "a"}
        assert odd.specs(0).encodings == {"coef_": "csr"}
        for spec in nets.best_specs().arrays:
            np.testing.assert_array_equal(
                nets.read_best(spec.name), nets.read(7, spec.name)
            )


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_wrong_with_it(name: str):
    """Verification finds nothing in it."""
    assert verify_file(FOLDER / name) == []

"""Stores of parts become one store, in which the whole search finds every fit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from search_estimators import CountingClassifier, count_fits
from sklearn.datasets import load_iris
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

from weightsearch import WeightStore, WeightTrackingGridSearchCV
from weightsearch.exceptions import StoreError, StoreLockedError
from weightsearch.store import WriteSession

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"
X, y = load_iris(return_X_y=True)


def search(store, values, **options):
    """Search values of alpha into a store."""
    grid = {"alpha": list(values)}
    options = {"cv": 2, "capture": "both", **options}
    return WeightTrackingGridSearchCV(Ridge(), grid, store=store, **options).fit(X, y)


def runs_of(store):
    """Status and number of fits of each run of a store."""
    with WeightStore(store) as opened:
        assert opened.verify() == []
        return [(run.status, len(run._table)) for run in opened.runs.values()]


@pytest.mark.slow
def test_documented_array_job_trains_nothing_when_merged(tmp_path):
    """Three processes search a part each; merged, the whole script only reads."""
    pytest.importorskip("typer")
    (script,) = re.findall(r"```python\n(# part\.py.*?)```", PAGE.read_text(), re.S)
    path = tmp_path / "part.py"
    path.write_text(script)
    run = [sys.executable, "-W", "ignore", path.name]
    parts = [
        subprocess.Popen([*run, str(index), "3"], cwd=tmp_path, env=os.environ)
        for index in range(3)
    ]
    assert [part.wait() for part in parts] == [0, 0, 0]
    merged = subprocess.run(
        [sys.executable, "-m", "weightsearch", "merge", "search.h5"]
        + [f"part-{index}.h5" for index in range(3)],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "3 runs added" in merged.stdout
    whole = subprocess.run(
        run, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=True
    )

    assert "24 of 24 fits reused" in whole.stdout
    assert "7 of 7 refits of other candidates reused" in whole.stdout
    with WeightStore(tmp_path / "search.h5") as store:
        assert store.verify() == []
        run = store.run()
        assert len(run.candidates) == 8
        assert run.candidates["mean_test_score"].notna().all()
        assert run.n_with_weights == 8


def test_whole_search_on_merged_parts_is_what_gridsearchcv_finds(tmp_path):
    """Scores, ranks and the best model are those of a fresh GridSearchCV."""
    log = tmp_path / "fits"
    values = [0.1, 1.0, 10.0, 100.0, 1000.0]

    def counting(store, some):
        model = CountingClassifier(log)
        return WeightTrackingGridSearchCV(
            model, {"C": some}, cv=3, capture="both", store=tmp_path / store
        ).fit(X, y)

    for index in range(2):
        counting(f"{index}.h5", values[index::2])
    WeightStore.merge(tmp_path / "all.h5", [tmp_path / "0.h5", tmp_path / "1.h5"])
    before = count_fits(log)
    found = counting("all.h5", values)

    assert count_fits(log) == before
    fresh = GridSearchCV(CountingClassifier(log), {"C": values}, cv=3).fit(X, y)
    for name in ("mean_test_score", "split1_test_score", "rank_test_score"):
        np.testing.assert_array_equal(found.cv_results_[name], fresh.cv_results_[name])
    assert found.best_params_ == fresh.best_params_
    np.testing.assert_array_equal(found.predict(X), fresh.predict(X))
    assert found.store_.verify() == []


def test_each_fit_is_there_once(tmp_path):
    """A fit that several stores have is copied from one of them."""
    a, b, both = (tmp_path / name for name in ("a.h5", "b.h5", "both.h5"))
    search(a, [1.0, 2.0])
    search(b, [2.0, 3.0])
    assert WeightStore.merge(both, [a, b]) == 2

    assert runs_of(both) == [("complete", 6), ("complete", 6)]
    with WeightStore(both) as store:
        run = store.run()
        n_own = sum(not uid for uid in run._source.fits().origin)
        assert n_own == 3
        right = Ridge(alpha=2.0).fit(X, y).coef_
        np.testing.assert_array_equal(run.weights(0)["coef_"], right)
    with WeightStore(b) as store:
        assert len(store.runs) == 1


def test_merging_again_adds_nothing(tmp_path):
    """Runs that are there already are left as they are, and so is the file."""
    a, b = tmp_path / "a.h5", tmp_path / "b.h5"
    search(a, [1.0])
    search(b, [2.0])
    assert WeightStore.merge(a, [b]) == 1
    before = a.read_bytes()

    assert WeightStore.merge(a, [b, a, b]) == 0
    assert a.read_bytes() == before


def test_references_between_runs_are_kept(tmp_path):
    """A store whose runs share fits is merged with what they share."""
    a, b = tmp_path / "a.h5", tmp_path / "b.h5"
    search(a, [1.0, 2.0])
    search(a, [1.0, 2.0, 3.0])
    WeightStore.merge(b, [a])

    assert runs_of(b) == [("complete", 6), ("complete", 9)]
    with WeightStore(b) as store:
        right = Ridge(alpha=1.0).fit(X, y).coef_
        np.testing.assert_array_equal(store.run().weights(0)["coef_"], right)


def test_unfinished_part_is_merged_from_its_log(tmp_path):
    """What a part that died has left beside its store counts too."""

    class Dying(Ridge):
        def fit(self, X, y):
            if self.alpha == 3.0:
                raise KeyboardInterrupt
            return super().fit(X, y)

    part, whole = tmp_path / "part.h5", tmp_path / "whole.h5"
    with pytest.raises(KeyboardInterrupt):
        WeightTrackingGridSearchCV(
            Dying(), {"alpha": [1.0, 2.0, 3.0]}, cv=2, capture="both", store=part
        ).fit(X, y)

    assert WeightStore.merge(whole, [part]) == 1
    assert runs_of(whole) == [("interrupted", 4)]


def test_missing_and_busy_stores_are_named(tmp_path):
    """Nothing is added if one of the stores cannot be read."""
    a, b = tmp_path / "a.h5", tmp_path / "b.h5"
    search(a, [1.0])
    search(b, [2.0])
    with pytest.raises(StoreError, match="nowhere"):
        WeightStore.merge(a, [b, tmp_path / "nowhere.h5"])
    with WriteSession.open(b):
        with pytest.raises(StoreLockedError, match=r"b\.h5"):
            WeightStore.merge(a, [b])
        with pytest.raises(StoreLockedError, match=r"b\.h5"):
            WeightStore.merge(b, [a])

    assert len(runs_of(a)) == 1

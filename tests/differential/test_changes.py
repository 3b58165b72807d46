"""A second search makes the fits that a change makes other fits, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from changes import OTHER_SPLITS, SPLITS, TABLE, Setup
from fit_counter import counting
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from weightsearch import WeightTrackingGridSearchCV


def _searched(setup: Setup, search_class, **kwargs):
    """Run a search; return it and the number of its fits."""
    with setup.within():
        own = setup.loaded()
        estimator = setup.estimator(own)
        setup.used(own, estimator)
        options = {"cv": 2, **setup.options(own), **kwargs}
        search = search_class(estimator, setup.grid(own), **options)
        with counting(estimator) as counter:
            search.fit(setup.X, setup.y, **setup.fit_params)
        return search, counter.count, search.predict(setup.X)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Small arrays take longer on many threads than on one."""
    with threadpool_limits(1):
        yield


def _param(name):
    marks = [getattr(pytest.mark, mark) for mark in TABLE[name].marks]
    return pytest.param(TABLE[name], id=name, marks=marks)


@pytest.mark.parametrize("row", [_param(name) for name in TABLE])
def test_change(row, tmp_path, capsys):
    """The fits of a change are made again; what is found is scikit-learn's."""
    store = tmp_path / "search.h5"
    ours = WeightTrackingGridSearchCV
    first, _, _ = _searched(row.before, ours, store=store)
    capsys.readouterr()
    search, redone, predicted = _searched(row.after, ours, store=store, verbose=1)
    said = capsys.readouterr().out
    plain, _, expected = _searched(row.after, GridSearchCV)

    # Of the refits, the best one's alone come from the store as models.
    other_best = search.best_index_ != first.best_index_
    expected_fits = row.redone + (row.redone in (SPLITS, OTHER_SPLITS) and other_best)
    assert redone == expected_fits
    assert row.reason in said
    assert ("since run" in said) >= bool(row.reason)
    for name, column in plain.cv_results_.items():
        if "_time" not in name and name != "params" and not name.startswith("param_"):
            np.testing.assert_array_equal(search.cv_results_[name], column, name)
    np.testing.assert_array_equal(predicted, expected)
    assert predicted.dtype == expected.dtype

"""Stages of boosting libraries are in the final model, and read from there."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris

from weightsearch import SnapshotError, WeightTrackingGridSearchCV

X, y = load_iris(return_X_y=True)


def _xgboost(**params):
    XGBClassifier = pytest.importorskip("xgboost").XGBClassifier
    return XGBClassifier(n_estimators=4, max_depth=2, **params)


def _lightgbm(**params):
    LGBMClassifier = pytest.importorskip("lightgbm").LGBMClassifier
    return LGBMClassifier(n_estimators=4, num_leaves=4, verbose=-1, **params)


def _catboost(**params):
    CatBoostClassifier = pytest.importorskip("catboost").CatBoostClassifier
    return CatBoostClassifier(
        iterations=4, depth=2, verbose=False, allow_writing_files=False, **params
    )


STAGED = {
    "xgboost": (_xgboost, lambda model, k: {"iteration_range": (0, k)}),
    "lightgbm": (_lightgbm, lambda model, k: {"num_iteration": k}),
    "catboost": (_catboost, lambda model, k: {"ntree_end": k}),
}


@pytest.mark.parametrize("library", STAGED)
def test_epoch_is_a_stage_of_the_final_model(library, tmp_path):
    """After k stages a model predicts as its library does with the first k."""
    make, first = STAGED[library]
    grid = {"learning_rate": [0.1, 0.5]}
    search = WeightTrackingGridSearchCV(
        make(), grid, cv=2, store=tmp_path / "a.h5", snapshots="all"
    ).fit(X, y)
    final = search.run_.load_estimator(1, estimator=make())

    for epoch in (1, 3, 4):
        early = search.run_.load_estimator(1, estimator=make(), epoch=epoch)
        expected = final.predict_proba(X, **first(final, epoch))
        np.testing.assert_array_equal(early.predict_proba(X), expected)
    with pytest.raises(SnapshotError, match="it has 4 stages"):
        search.run_.load_estimator(1, estimator=make(), epoch=5)


@pytest.mark.parametrize(
    "make",
    [lambda: _xgboost(booster="dart"), lambda: _lightgbm(boosting_type="dart")],
    ids=["xgboost", "lightgbm"],
)
def test_stages_that_change_later_are_refused(make, tmp_path):
    """With dropout, no earlier stage can be had, and the error says so."""
    search = WeightTrackingGridSearchCV(
        make(), {"learning_rate": [0.1]}, cv=2, store=tmp_path / "a.h5"
    ).fit(X, y)

    with pytest.raises(SnapshotError, match="later stages change the earlier ones"):
        search.run_.load_estimator(0, estimator=make(), epoch=2)

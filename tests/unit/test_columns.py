"""Columns: the weights of many objects in one array, and views of them by name."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import WeightStore, WeightTrackingGridSearchCV, extract_weights
from weightsearch._views import expand, find_view, views
from weightsearch.exceptions import WeightsNotFoundError
from weightsearch.frameworks._registry import collect_weights

X, y = load_iris(return_X_y=True)

MODELS = {
    "forest": RandomForestClassifier(7, random_state=0),
    "ada": AdaBoostClassifier(n_estimators=4, random_state=0),
    "stages": GradientBoostingClassifier(n_estimators=5, random_state=0),
    "histograms": HistGradientBoostingClassifier(max_iter=4, random_state=0),
    "one_vs_rest": OneVsRestClassifier(Ridge()),
    "bagging": BaggingRegressor(Ridge(), 3, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), RandomForestClassifier(3)),
}


def by_hand(model):
    """Some weights of a model, taken out of its objects one by one."""
    if hasattr(model, "steps"):
        found = by_hand(model[-1])
        return {f"randomforestclassifier/{name}": found[name] for name in found}
    if hasattr(model, "_predictors"):
        return {
            f"_predictors/{i}/{j}/nodes/{field}": predictor.nodes[field]
            for i, stage in enumerate(model._predictors)
            for j, predictor in enumerate(stage)
            for field in ("left", "num_threshold")
        }
    found = {}
    estimators = np.asarray(model.estimators_, dtype=object)
    for index, estimator in np.ndenumerate(estimators):
        name = "/".join(["estimators_", *map(str, index)])
        if hasattr(estimator, "coef_"):
            found[f"{name}/coef_"] = estimator.coef_
        else:
            found[f"{name}/tree_/threshold"] = estimator.tree_.threshold
            found[f"{name}/tree_/value"] = estimator.tree_.value
            found[f"{name}/tree_/children_left"] = estimator.tree_.children_left
    return found


@pytest.mark.parametrize("name", MODELS)
def test_names_are_those_of_the_objects(name):
    """Each object's arrays are there under its own name, bit for bit."""
    model = MODELS[name].fit(X, y)
    weights = extract_weights(model)

    for key, array in by_hand(model).items():
        assert weights[key].tobytes() == array.tobytes(), key
        assert weights[key].dtype == array.dtype
        assert weights[key].shape == array.shape
    assert not any("*" in key or key.endswith("/rows") for key in weights)


@pytest.mark.parametrize("name", MODELS)
def test_columns_are_few(name):
    """What is stored has few arrays, however many objects there are."""
    model = MODELS[name].fit(X, y)
    stored, _ = collect_weights(model)

    assert len(stored) < 25
    assert any("*" in key for key in stored)
    assert list(expand(stored)) == list(extract_weights(model))


def test_views_of_a_store(tmp_path):
    """A stored candidate has views and columns, read when asked for."""
    forest = RandomForestClassifier(n_estimators=4, random_state=0)
    search = WeightTrackingGridSearchCV(
        forest, {"max_depth": [2, None]}, cv=2, store=tmp_path / "s.h5"
    ).fit(X, y)
    by_hand_ = forest.set_params(max_depth=None).fit(X, y)
    thresholds = [tree.tree_.threshold for tree in by_hand_.estimators_]
    with WeightStore(tmp_path / "s.h5") as store:
        weights = store.run().weights({"max_depth": None})

        assert list(weights) == list(extract_weights(by_hand_))
        assert len(weights) == 4 * 9
        np.testing.assert_array_equal(
            weights["estimators_/2/tree_/threshold"], thresholds[2]
        )
        column = "estimators_/*/tree_/threshold"
        assert column in weights.columns
        np.testing.assert_array_equal(weights[column], np.concatenate(thresholds))
        assert weights.shapes["estimators_/3/tree_/threshold"] == thresholds[3].shape
        assert weights.dtypes["estimators_/3/tree_/threshold"] == "float64"
        for name in ("estimators_/4/tree_/threshold", "estimators_/x/tree_/threshold"):
            assert name not in weights
            with pytest.raises(WeightsNotFoundError, match="no weight"):
                weights[name]
    assert "estimators_/0/tree_/value" in search.best_weights_


def test_grids_of_objects():
    """Objects in rows and columns have two numbers in their names."""
    shapes = {"a/*/*/w": (2, 3, 5), "b": (4,)}
    encodings = {"a/*/*/w": "stack"}
    names = [name for name, _ in views(shapes, encodings)]

    assert names == [f"a/{i}/{j}/w" for i in range(2) for j in range(3)] + ["b"]
    assert find_view("a/1/2/w", shapes, encodings).index == (1, 2)
    assert find_view("a/2/0/w", shapes, encodings) is None
    assert find_view("b", shapes, encodings) is None

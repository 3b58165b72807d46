"""XGBoost, LightGBM and CatBoost: their boosters' bytes, their trees, and back."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import WeightStore, WeightTrackingGridSearchCV, extract_weights
from weightsearch.exceptions import RebuildError
from weightsearch.frameworks.boosting import REBUILDERS

pytestmark = [
    pytest.mark.ecosystem,
    # LightGBM 4.6 says so of every array.
    pytest.mark.filterwarnings("ignore:X does not have valid feature names"),
]

LIBRARIES = ("xgboost", "lightgbm", "catboost")

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])


SIZES = {
    "xgboost": {"n_estimators": 6, "max_depth": 3, "n_jobs": 1},
    "lightgbm": {"n_estimators": 6, "num_leaves": 6, "n_jobs": 1, "verbose": -1},
    "catboost": {
        "iterations": 6,
        "depth": 3,
        "thread_count": 1,
        "verbose": 0,
        "allow_writing_files": False,
    },
}
PREFIXES = {"xgboost": "XGB", "lightgbm": "LGBM", "catboost": "CatBoost"}


def small(library, kind="Classifier", **params):
    """A small estimator of a library."""
    cls = getattr(pytest.importorskip(library), PREFIXES[library] + kind)
    return cls(**SIZES[library] | params)


def step(library):
    """Name of its classifier in a pipeline."""
    return type(small(library)).__name__.lower()


def rebuilt(estimator, fitted):
    """Make a fitted estimator once more, of its weights alone."""
    bases = [f"{c.__module__}.{c.__qualname__}" for c in type(estimator).__mro__]
    rebuilder = next(REBUILDERS[base] for base in bases if base in REBUILDERS)
    attributes, _ = rebuilder.describe(fitted, False)
    return rebuilder.rebuild(type(fitted), attributes, extract_weights(fitted))


def assert_equal(first, second):
    """Two sets of weights are the same, bit for bit."""
    assert list(first) == list(second)
    for name, array in first.items():
        other = second[name]
        assert (array.dtype, array.shape) == (other.dtype, other.shape)
        assert array.tobytes() == other.tobytes(), name


@pytest.mark.parametrize("library", LIBRARIES)
def test_two_fits_have_equal_weights(library):
    """Equal fits have the same bytes: no identifier, no time is in them."""
    model = small(library)
    first, second = (extract_weights(clone(model).fit(X, y)) for _ in range(2))
    assert_equal(first, second)
    assert first["booster"].dtype == np.uint8


@pytest.mark.parametrize("library", LIBRARIES)
def test_unfitted_is_an_error(library):
    """What was not fitted has no booster."""
    with pytest.raises(NotFittedError, match="not fitted"):
        extract_weights(small(library))


def test_xgboost_bytes_and_trees():
    """The bytes are those of save_raw, the trees those of trees_to_dataframe."""
    model = small("xgboost").fit(X, y)
    weights = extract_weights(model)
    booster = model.get_booster()
    assert weights["booster"].tobytes() == bytes(booster.save_raw("ubj"))
    frame = booster.trees_to_dataframe()
    leaf = weights["trees/left_children"] == -1
    np.testing.assert_array_equal(leaf, frame["Feature"] == "Leaf")
    np.testing.assert_array_equal(
        weights["trees/num_nodes"], frame.groupby("Tree").size()
    )
    # XGBoost's frame is made from a text of few digits.
    expected = np.where(leaf, frame["Gain"], frame["Split"])
    np.testing.assert_allclose(weights["trees/split_conditions"], expected, rtol=1e-6)
    assert_equal(weights, extract_weights(booster))


def test_xgboost_linear_booster():
    """A linear booster has coefficients, not trees, and the biases behind them."""
    model = pytest.importorskip("xgboost").XGBClassifier(
        n_estimators=6, booster="gblinear", updater="coord_descent", base_score=0.5
    )
    weights = extract_weights(model.fit(X, y))
    assert list(weights) == ["booster", "linear/weights"]
    coef, bias = np.split(weights["linear/weights"].reshape(5, 3), [4])
    margin = model.predict(X, output_margin=True)
    np.testing.assert_allclose(X @ coef + bias + 0.5, margin, atol=1e-5)


def test_xgboost_dart_has_trees():
    """DART keeps its trees elsewhere in the model."""
    model = small("xgboost", booster="dart").fit(X, y)
    assert len(extract_weights(model)["trees/num_nodes"]) == 18


def test_lightgbm_bytes_and_trees():
    """The bytes are those of model_to_string, the trees those of its frame."""
    model = small("lightgbm").fit(X, y)
    weights = extract_weights(model)
    booster = model.booster_
    text = booster.model_to_string(num_iteration=-1)
    assert weights["booster"].tobytes().decode() == text
    frame = booster.trees_to_dataframe()
    leaves = frame[frame["split_feature"].isna()]
    assert sorted(weights["trees/leaf_value"]) == sorted(leaves["value"])
    splits = frame[frame["split_feature"].notna()]
    assert sorted(weights["trees/threshold"]) == sorted(splits["threshold"])
    np.testing.assert_array_equal(
        weights["trees/num_leaves"], leaves.groupby("tree_index").size()
    )
    assert_equal(weights, extract_weights(booster))


def test_catboost_bytes_and_trees():
    """The bytes are a model in CatBoost's format; the user's own stays as it is."""
    model = small("catboost").fit(X, y)
    identifier = model.get_metadata()["model_guid"]
    weights = extract_weights(model)
    assert identifier
    assert model.get_metadata()["model_guid"] == identifier
    np.testing.assert_array_equal(weights["trees/leaf_values"], model.get_leaf_values())
    again = type(model)()
    again.load_model(blob=weights["booster"].tobytes())
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("library", LIBRARIES)
def test_search_in_a_pipeline(library, tmp_path):
    """Two processes keep what a fit in this one gives; a second search reuses it."""
    size = f"{step(library)}__learning_rate"
    model = make_pipeline(StandardScaler(), small(library))
    path = tmp_path / "s.h5"
    results = []
    for _ in range(2):
        search = WeightTrackingGridSearchCV(
            model, {size: [0.1, 0.3]}, cv=3, n_jobs=2, store=path
        ).fit(X, y)
        results.append(search.cv_results_)
    with WeightStore(path) as store:
        kept = store.run().weights({size: 0.3}).to_dict()
    assert f"{step(library)}/booster" in kept
    assert_equal(
        kept, extract_weights(clone(model).set_params(**{size: 0.3}).fit(X, y))
    )
    # Times are as good as random: equal ones were stored, not measured.
    np.testing.assert_array_equal(*(r["mean_fit_time"] for r in results))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", ["binary", "classes", "regression"])
def test_rebuilt_predicts_the_same(library, kind):
    """An estimator made of the stored bytes predicts as the fitted one, bit for bit."""
    model = small(library, "Regressor" if kind == "regression" else "Classifier")
    target = {"binary": (y == 1).astype(int), "classes": y, "regression": X[:, 0]}[kind]
    fitted = clone(model).fit(X, target)
    again = rebuilt(model, fitted)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    if kind != "regression":
        np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
        np.testing.assert_array_equal(again.classes_, fitted.classes_)
        assert again.score(X, target) == fitted.score(X, target)
    assert_equal(extract_weights(again), extract_weights(fitted))


@pytest.mark.parametrize("library", ["lightgbm", "catboost"])
@pytest.mark.parametrize("dtype", ["U", object])
def test_rebuilt_knows_its_labels(library, dtype):
    """Classes that are names come back as such."""
    labels = NAMES.astype(dtype)[y]
    fitted = small(library).fit(X, labels)
    again = rebuilt(small(library), fitted)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert again.score(X, labels) == fitted.score(X, labels)


def test_rebuilt_xgboost_keeps_its_params():
    """Loading a model must not change the params that were asked for."""
    model = small("xgboost", base_score=0.4, missing=-1.0)
    fitted = clone(model).fit(X, y)
    ours, theirs = rebuilt(model, fitted).get_params(), fitted.get_params()
    assert {k: repr(v) for k, v in ours.items()} == {
        k: repr(v) for k, v in theirs.items()
    }


@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")
def test_rebuilt_lightgbm_stops_where_it_stopped():
    """The iteration that early stopping chose is a weight of its own."""
    lightgbm = pytest.importorskip("lightgbm")
    model = small("lightgbm", n_estimators=60, learning_rate=0.5)
    fitted = clone(model).fit(
        X[::2],
        y[::2],
        eval_set=[(X[1::2], y[1::2])],
        callbacks=[lightgbm.early_stopping(3, verbose=False)],
    )
    assert 0 < extract_weights(fitted)["best_iteration"] < 60
    again = rebuilt(model, fitted)
    assert again.best_iteration_ == fitted.best_iteration_
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_rebuilt_xgboost_stops_where_it_stopped():
    """XGBoost's own bytes hold the iteration that early stopping chose."""
    model = small("xgboost", n_estimators=60, early_stopping_rounds=3)
    fitted = clone(model).fit(
        X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], verbose=False
    )
    again = rebuilt(model, fitted)
    assert again.best_iteration == fitted.best_iteration
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("library", LIBRARIES)
def test_other_bytes_are_no_booster(library):
    """What the library cannot read is an error of ours, with its words."""
    model = small(library)
    fitted = clone(model).fit(X, y)
    weights = extract_weights(fitted)
    weights["booster"] = np.frombuffer(b"this is no booster", np.uint8)
    bases = [f"{c.__module__}.{c.__qualname__}" for c in type(model).__mro__]
    rebuilder = next(REBUILDERS[base] for base in bases if base in REBUILDERS)
    attributes, _ = rebuilder.describe(fitted, False)
    with pytest.raises(RebuildError, match=f"cannot be read by {type(model).__name__}"):
        rebuilder.rebuild(type(model), attributes, weights)


@pytest.mark.parametrize("library", LIBRARIES)
def test_rebuilt_knows_the_names_of_columns(library):
    """What was fitted on a DataFrame knows its columns again."""
    frame = load_iris(as_frame=True).data
    model = small(library)
    fitted = clone(model).fit(frame, y)
    again = rebuilt(model, fitted)
    names = "feature_names_" if library == "catboost" else "feature_names_in_"
    assert list(getattr(again, names)) == list(getattr(fitted, names))
    np.testing.assert_array_equal(again.predict(frame), fitted.predict(frame))

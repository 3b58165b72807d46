"""The search on scikit-learn's own estimators: fits, captures, store, parity."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import joblib
import numpy as np
import pytest
from search_estimators import CountingClassifier, count_fits
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.utils import estimator_html_repr

from weightsearch import (
    NoWeightsWarning,
    RefitFailedWarning,
    StoreWriteError,
    UnequalWeightsError,
    UnstorableWeightsWarning,
    WeightsNotFoundError,
    WeightStore,
    WeightTrackingGridSearchCV,
    extract_weights,
    register_extractor,
)
from weightsearch.frameworks import _registry

GRID = {"C": [0.01, 0.1, 1.0, 10.0]}


@pytest.fixture(autouse=True)
def _own_registrations(monkeypatch):
    """Registrations of a test end with it."""
    monkeypatch.setattr(_registry, "_registered", {})


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture
def log(tmp_path):
    return str(tmp_path / "fits.log")


def equal_results(ours, theirs):
    """Whether two cv_results_ agree to the bit, times apart."""
    assert list(ours) == list(theirs)
    for name in theirs:
        if name.endswith("_time"):
            assert np.shape(ours[name]) == np.shape(theirs[name])
            continue
        np.testing.assert_equal(ours[name], theirs[name], err_msg=name)
        if isinstance(theirs[name], np.ndarray):
            assert ours[name].dtype == theirs[name].dtype, name


# -- number of fits -----------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize(
    ("capture", "keep", "expected"),
    [
        ("refit", "all", 4 * 3 + 4),
        ("splits", "all", 4 * 3 + 1),
        ("both", "all", 4 * 3 + 4),
        ("refit", 2, 4 * 3 + 2),
        ("refit", 1, 4 * 3 + 1),
        ("refit", 99, 4 * 3 + 4),
    ],
)
def test_number_of_fits(iris, log, n_jobs, backend, capture, keep, expected):
    """A search fits as often as its capture and keep promise, and no more."""
    with joblib.parallel_config(backend=backend):
        search = WeightTrackingGridSearchCV(
            CountingClassifier(log),
            GRID,
            cv=3,
            n_jobs=n_jobs,
            capture=capture,
            keep=keep,
        ).fit(*iris)
    assert count_fits(log) == expected
    n_refits = min(keep, 4) if keep != "all" else (1 if capture == "splits" else 4)
    assert len(search.weights_by_params_) == n_refits


def test_the_best_candidate_is_fitted_on_all_data_once(iris, log):
    """Each candidate, the best one too, sees all 150 rows once."""
    WeightTrackingGridSearchCV(CountingClassifier(log), GRID, cv=3).fit(*iris)
    lines = Path(log).read_text().splitlines()
    on_all = [line.split()[1] for line in lines if line.split()[2] == "150"]
    assert sorted(map(float, on_all)) == GRID["C"]


def test_no_refit_captures_no_refit(iris, log):
    """With refit=False only GridSearchCV's fits are made, and a warning comes first."""
    search = WeightTrackingGridSearchCV(
        CountingClassifier(log), GRID, cv=3, refit=False
    )
    # Warnings are errors here.
    with pytest.raises(NoWeightsWarning, match="capture='splits'"):
        search.fit(*iris)
    assert count_fits(log) == 0
    with pytest.warns(NoWeightsWarning) as caught:
        search.fit(*iris)
    assert [warning.filename for warning in caught] == [__file__]
    assert count_fits(log) == 12
    assert len(search.weights_by_params_) == 0
    with pytest.raises(AttributeError, match="refit=False"):
        search.best_weights_  # noqa: B018
    with pytest.raises(WeightsNotFoundError, match="refit=False"):
        search.run_.weights(0)


# -- what is kept ---------------------------------------------------------------


def test_refits_equal_fits_by_hand(iris):
    """Captured refits are bit for bit those of clone, set_params, fit."""
    X, y = iris
    estimator = make_pipeline(
        StandardScaler(), MLPClassifier(max_iter=20, random_state=3)
    )
    grid = {
        "mlpclassifier__hidden_layer_sizes": [(5,), (4, 3)],
        "mlpclassifier__alpha": [1e-4, 1.0],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = WeightTrackingGridSearchCV(estimator, grid, cv=3, n_jobs=2).fit(X, y)
        assert len(search.weights_by_params_) == 4
        for params, weights in search.weights_by_params_.items():
            by_hand = clone(estimator).set_params(**params).fit(X, y)
            expected = extract_weights(by_hand)
            assert list(weights) == list(expected)
            for name, array in expected.items():
                assert weights[name].dtype == array.dtype
                assert weights[name].flags.c_contiguous == array.flags.c_contiguous
                np.testing.assert_array_equal(weights[name], array, strict=True)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_candidates_do_not_leak_into_each_other(iris, n_jobs):
    """A param that only another candidate sets has its default in the refit."""
    search = WeightTrackingGridSearchCV(
        Ridge(), [{"fit_intercept": [False]}, {"alpha": [2.0]}], cv=3, n_jobs=n_jobs
    ).fit(*iris)
    for params, weights in search.weights_by_params_.items():
        by_hand = Ridge(**params).fit(*iris)
        np.testing.assert_array_equal(weights["coef_"], by_hand.coef_)


def test_best_weights_are_those_of_the_best_estimator(iris):
    """best_weights_ equals what a person takes out of best_estimator_ by hand."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = WeightTrackingGridSearchCV(
            MLPClassifier(random_state=0, max_iter=30),
            {"hidden_layer_sizes": [(6,), (3, 3)]},
            cv=3,
        ).fit(*iris)
    best = search.best_estimator_
    for i, coefs in enumerate(best.coefs_):
        np.testing.assert_array_equal(search.best_weights_[f"coefs_/{i}"], coefs)
    for i, intercepts in enumerate(best.intercepts_):
        np.testing.assert_array_equal(
            search.best_weights_[f"intercepts_/{i}"], intercepts
        )


def test_split_weights_equal_fits_on_the_training_part(iris):
    """With capture="splits" each split's model is kept as it was fitted."""
    X, y = iris
    search = WeightTrackingGridSearchCV(
        Ridge(), {"alpha": [0.1, 1.0]}, cv=4, capture="splits"
    ).fit(X, y)
    train = np.arange(len(X)) >= 38  # KFold's first test part has 38 rows
    expected = Ridge(alpha=0.1).fit(X[train], y[train]).coef_
    np.testing.assert_array_equal(
        search.run_.weights({"alpha": 0.1}, split=0)["coef_"], expected
    )
    assert len(search.run_.weights_by_params(split=3)) == 2
    other = 1 - int(search.best_index_)
    with pytest.raises(WeightsNotFoundError, match="capture='splits'"):
        search.run_.weights(other)


def test_a_failing_candidate_is_recorded(iris, tmp_path):
    """A candidate that no split could fit has a status, an error and no refit."""
    log = tmp_path / "fits.log"
    search = WeightTrackingGridSearchCV(
        CountingClassifier(str(log), fail_on=0.1), GRID, cv=3, n_jobs=2
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(*iris)
    told = [(type(w.message), str(w.message)) for w in caught]
    assert [kind for kind, _ in told] == [FitFailedWarning, UserWarning]
    assert "3 fits failed out of a total of 12" in told[0][1]
    assert count_fits(log) == 4 * 3 + 3
    assert list(search.run_.candidates["status"]) == ["ok", "failed", "ok", "ok"]
    with pytest.raises(WeightsNotFoundError, match=r"cannot fit with C=0\.1"):
        search.weights_by_params_[{"C": 0.1}]
    assert len(search.weights_by_params_) == 3


def test_refits_go_to_the_workers_of_the_fits(iris, tmp_path):
    """No worker is started for refits, the next search or scikit-learn in between."""
    log = tmp_path / "log"
    estimator = CountingClassifier(str(log), pause=0.01)
    for _ in range(2):
        WeightTrackingGridSearchCV(estimator, GRID, cv=3, n_jobs=2).fit(*iris)
        cross_val_score(estimator, *iris, cv=8, n_jobs=2)
    workers = {int(line.split()[0]) for line in log.read_text().splitlines()}
    assert len(workers - {os.getpid()}) <= 2


class CountingScaler(TransformerMixin, BaseEstimator):
    """Counts what it transforms, which changes what it returns, and says so."""

    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        self.count_ = 0
        return self

    def transform(self, X):
        warnings.warn("transforms", UserWarning, stacklevel=2)
        self.count_ += 1
        return X - self.count_ * self.mean_


def test_the_best_estimator_is_as_it_was_fitted(iris):
    """Its predictions for a few rows, when it is stored, leave nothing behind."""
    pipeline = make_pipeline(CountingScaler(), LogisticRegression())
    found = []
    for search in (GridSearchCV, WeightTrackingGridSearchCV):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            grid = {"logisticregression__C": [1.0]}
            best = search(pipeline, grid, cv=3).fit(*iris).best_estimator_
        assert best[0].count_ == 1
        found.append([str(warning.message) for warning in caught])
    assert found[0] == found[1]


def test_refits_in_workers_may_write_into_large_data():
    """Refits get copies of large arrays, which workers have as read-only files."""
    X = np.random.default_rng(0).normal(3, 2, (20_000, 8))
    y = X[:, 0].copy()
    model = make_pipeline(StandardScaler(copy=False), Ridge())
    grid = {"ridge__alpha": [0.1, 1.0, 10.0]}
    search = WeightTrackingGridSearchCV(model, grid, cv=2, n_jobs=2)
    search.fit(X.copy(), y)
    assert list(search.run_.candidates["status"]) == ["ok"] * 3
    alone = WeightTrackingGridSearchCV(model, grid, cv=2).fit(X.copy(), y)
    for params, weights in search.weights_by_params_.items():
        for name, array in weights.items():
            np.testing.assert_array_equal(array, alone.weights_by_params_[params][name])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_failing_refits_are_told_in_one_warning(iris, n_jobs):
    """One warning names all candidates whose refit failed, by reason."""
    search = WeightTrackingGridSearchCV(
        CountingClassifier(),
        [{"C": [1.0]}, {"C": [1e-5, 1e-4, 1e-3], "fail_refit": [True]}],
        cv=3,
        n_jobs=n_jobs,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(*iris)
    (warning,) = caught
    assert warning.category is RefitFailedWarning
    assert str(warning.message).startswith("3 refits failed")
    assert "candidates 1, 2, 3: ValueError: cannot fit on all" in str(warning.message)


def test_a_candidate_that_one_split_could_fit_is_refit(iris):
    """Only candidates that failed in every split are left out of the refits."""
    search = WeightTrackingGridSearchCV(
        SVC(),
        {"kernel": ["linear", "rbf"]},
        cv=[(np.arange(50), [0]), (np.arange(150), [1])],
    )
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        search.fit(*iris)
    assert len(search.weights_by_params_) == 2


def test_a_failing_refit_raises_with_error_score_raise(iris, tmp_path):
    """error_score="raise" holds for refits too, and what was finished is kept."""
    path = tmp_path / "s.h5"
    search = WeightTrackingGridSearchCV(
        CountingClassifier(),
        {"fail_refit": [True, False], "C": [1e-5, 1.0]},
        cv=3,
        error_score="raise",
        store=path,
    )
    # The best candidate comes first and refits well only without fail_refit.
    search.param_grid = [
        {"C": [1.0]},
        {"C": [1e-5], "fail_refit": [True]},
    ]
    with pytest.raises(ValueError, match="cannot fit on all the data"):
        search.fit(*iris)
    with WeightStore(path) as store:
        run = store.run()
        assert run.status != "complete"
        assert run.weights({"C": 1.0})["coef_"].shape == (3, 4)


def test_what_learns_nothing_warns_once(iris):
    """A KNN stores training data, not weights: one warning, no crash."""
    search = WeightTrackingGridSearchCV(
        KNeighborsClassifier(), {"n_neighbors": [1, 3, 5]}, cv=3, n_jobs=2
    )
    with pytest.warns(NoWeightsWarning) as caught:
        search.fit(*iris)
    assert len([w for w in caught if w.category is NoWeightsWarning]) == 1
    assert search.best_weights_ == {}


class Opaque(CountingClassifier):
    """A classifier whose extractor fails."""


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_registered_extractors_work_in_workers(iris, n_jobs):
    """What a user registers holds in every process, and its failure ends no search."""
    register_extractor(Opaque, lambda model: {"twice": 2 * model.coef_})
    search = WeightTrackingGridSearchCV(
        Opaque(), GRID, cv=3, n_jobs=n_jobs, capture="both"
    ).fit(*iris)
    twice = search.run_.weights({"C": 0.1})["twice"]
    np.testing.assert_array_equal(twice, 2 * Opaque(C=0.1).fit(*iris).coef_)

    register_extractor(Opaque, lambda model: {"none": model.nothing_})
    broken = WeightTrackingGridSearchCV(Opaque(), GRID, cv=3, n_jobs=n_jobs)
    with pytest.warns(UnstorableWeightsWarning, match="nothing_") as caught:
        broken.fit(*iris)
    assert len(caught) == 1
    assert broken.best_score_ == search.best_score_


class Odd(CountingClassifier):
    """A classifier that learns what no store holds."""


def test_what_cannot_be_stored_is_left_out(iris, tmp_path):
    """Arrays of types that HDF5 lacks cost a warning, not the search."""
    register_extractor(
        Odd,
        lambda model: {
            "coef": model.coef_.tolist(),
            "long": model.coef_.astype(np.longdouble),
            "objects": np.array([model, None]),
        },
    )
    search = WeightTrackingGridSearchCV(Odd(), GRID, cv=3, store=tmp_path / "s.h5")
    with pytest.warns(UnstorableWeightsWarning) as caught:
        search.fit(*iris)
    told = " ".join(str(w.message) for w in caught)
    assert "'objects'" in told
    assert next(iter(search.best_weights_)) == "coef"
    assert "objects" not in search.best_weights_
    np.testing.assert_array_equal(
        search.weights_by_params_[{"C": 1.0}]["coef"], Odd().fit(*iris).coef_
    )


# -- as GridSearchCV does ---------------------------------------------------------


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"return_train_score": True},
        {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro"},
        {"scoring": ["accuracy", "f1_macro"], "refit": False},
        {"scoring": "neg_log_loss"},
        {"refit": lambda results: int(np.argmin(results["mean_test_score"]))},
        {"scoring": lambda est, X, y: {"a": est.score(X, y), "b": 1.0}, "refit": "a"},
        {"n_jobs": 2},
    ],
    ids=lambda kwargs: "-".join(kwargs) or "plain",
)
def test_results_are_those_of_grid_search(iris, kwargs):
    """cv_results_, best_* and predictions are GridSearchCV's to the bit."""
    estimator = SVC(probability=True, random_state=0) if "scoring" in kwargs else SVC()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", NoWeightsWarning)
        theirs = GridSearchCV(estimator, GRID, cv=3, **kwargs).fit(*iris)
        ours = WeightTrackingGridSearchCV(estimator, GRID, cv=3, **kwargs).fit(*iris)
    equal_results(ours.cv_results_, theirs.cv_results_)
    for name in ("best_index_", "best_score_", "best_params_", "n_splits_"):
        assert getattr(ours, name, None) == getattr(theirs, name, None)
    if theirs.refit:
        np.testing.assert_array_equal(ours.predict(iris[0]), theirs.predict(iris[0]))


def test_global_random_state_is_left_as_sklearn_leaves_it_until_the_best(iris):
    """The extra refits come last, so scores do not depend on them."""
    estimator = MLPClassifier(hidden_layer_sizes=(3,), max_iter=5)
    grid = {"alpha": [0.1, 1.0, 10.0]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.random.seed(7)
        theirs = GridSearchCV(estimator, grid, cv=3).fit(*iris)
        np.random.seed(7)
        ours = WeightTrackingGridSearchCV(estimator, grid, cv=3).fit(*iris)
    equal_results(ours.cv_results_, theirs.cv_results_)
    for a, b in zip(
        ours.best_estimator_.coefs_, theirs.best_estimator_.coefs_, strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_pandas_groups_and_sample_weight(iris):
    """DataFrames, groups and sample_weight go where GridSearchCV takes them."""
    frame = load_iris(as_frame=True)
    groups = np.arange(150) % 5
    weight = np.linspace(0.5, 2.0, 150)
    searches = [
        cls(LogisticRegression(max_iter=200), GRID, cv=GroupKFold(3)).fit(
            frame.data, frame.target, groups=groups, sample_weight=weight
        )
        for cls in (GridSearchCV, WeightTrackingGridSearchCV)
    ]
    equal_results(searches[1].cv_results_, searches[0].cv_results_)
    assert list(searches[1].feature_names_in_) == list(frame.data.columns)
    by_hand = LogisticRegression(max_iter=200, C=0.01).fit(
        frame.data, frame.target, sample_weight=weight
    )
    np.testing.assert_array_equal(
        searches[1].weights_by_params_[{"C": 0.01}]["coef_"], by_hand.coef_
    )


def test_sparse_and_unsupervised():
    """Sparse X and estimators without y work."""
    from scipy.sparse import csr_matrix

    X, y = load_breast_cancer(return_X_y=True)
    sparse = csr_matrix(MinMaxScaler().fit_transform(X))
    search = WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=500), {"C": [0.1, 1.0]}, cv=3
    ).fit(sparse, y)
    assert search.best_weights_["coef_"].shape == (1, 30)
    clusters = WeightTrackingGridSearchCV(
        KMeans(n_init=1, random_state=0), {"n_clusters": [2, 3]}, cv=3
    ).fit(X)
    centers = clusters.weights_by_params_[{"n_clusters": 2}]["cluster_centers_"]
    np.testing.assert_array_equal(
        centers, KMeans(2, n_init=1, random_state=0).fit(X).cluster_centers_
    )


def test_params_that_are_estimators(iris):
    """A grid over a pipeline's steps finds weights by the estimator itself."""
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    scalers = [StandardScaler(), MinMaxScaler(), "passthrough"]
    search = WeightTrackingGridSearchCV(
        pipeline, {"standardscaler": scalers, "logisticregression__C": [1.0]}, cv=3
    ).fit(*iris)
    weights = search.weights_by_params_[
        {"standardscaler": MinMaxScaler(), "logisticregression__C": 1.0}
    ]
    assert "standardscaler/scale_" in weights
    assert len(search.weights_by_params_.where(standardscaler="passthrough")) == 1


def test_a_search_inside_others(iris):
    """Nested searches work, and an inner search's weights can be extracted."""
    inner = WeightTrackingGridSearchCV(LogisticRegression(max_iter=300), GRID, cv=3)
    scores = cross_validate(inner, *iris, cv=3, n_jobs=2, return_estimator=True)
    assert all(len(s.weights_by_params_) == 4 for s in scores["estimator"])
    outer = WeightTrackingGridSearchCV(inner, {"scoring": ["accuracy"]}, cv=3)
    outer.fit(*iris)
    assert outer.best_weights_["best_estimator_/coef_"].shape == (3, 4)


def test_clone_and_params(iris):
    """clone, get_params and set_params see the new params."""
    search = WeightTrackingGridSearchCV(
        LogisticRegression(), GRID, store="x.h5", capture="both", keep=3
    )
    copy = clone(search)
    assert copy.get_params(deep=False)["store"] == "x.h5"
    assert copy.set_params(keep="all", estimator__C=2.0).keep == "all"
    assert copy.estimator.C == 2.0
    assert "capture='both'" in repr(search)


def test_html_repr(iris):
    """The HTML repr shows the search as scikit-learn shows one."""
    search = WeightTrackingGridSearchCV(LogisticRegression(), GRID)
    assert "WeightTrackingGridSearchCV" in estimator_html_repr(search)


# -- the store --------------------------------------------------------------------


def test_private_store_goes_with_the_search(iris):
    """Without a path the store is a temporary file that goes with the object."""
    search = WeightTrackingGridSearchCV(LogisticRegression(max_iter=300), GRID, cv=3)
    search.fit(*iris)
    path = search.store_.path
    assert path.exists()
    del search
    gc.collect()
    assert not path.parent.exists()


def test_save_store_keeps_a_private_store(iris, tmp_path):
    """save_store writes a store that opens without the search, overwriting none."""
    search = WeightTrackingGridSearchCV(LogisticRegression(max_iter=300), GRID, cv=3)
    search.fit(*iris)
    path = search.save_store(tmp_path / "kept.h5")
    with pytest.raises(StoreWriteError, match="already"):
        search.save_store(path)
    coef = search.best_weights_["coef_"]
    del search
    with WeightStore(path) as store:
        np.testing.assert_array_equal(store.run().best_weights()["coef_"], coef)


def test_save_store_of_a_lost_store_harms_no_file(iris, tmp_path):
    """Where the search's own store is gone, what is at the target stays as it is."""
    search = WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=300), GRID, cv=3, store=tmp_path / "lost.h5"
    )
    search.fit(*iris)
    (tmp_path / "lost.h5").unlink()
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")

    with pytest.raises(StoreWriteError, match="could not be saved"):
        search.save_store(tmp_path / "mine.txt")

    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("private", [True, False])
def test_pickle_and_read_in_another_process(iris, tmp_path, private):
    """Joblib takes a search to another process, weights included."""
    search = WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=300),
        GRID,
        cv=3,
        store=None if private else tmp_path / "s.h5",
    ).fit(*iris)
    joblib.dump(search, tmp_path / "search.joblib")
    np.save(tmp_path / "coef.npy", search.weights_by_params_[{"C": 0.1}]["coef_"])
    del search
    code = (
        "import sys, joblib, numpy as np\n"
        "search = joblib.load(sys.argv[1])\n"
        "coef = search.weights_by_params_[{'C': 0.1}]['coef_']\n"
        "assert np.array_equal(coef, np.load(sys.argv[2]))\n"
        "print(search.run_.status, len(search.run_))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "search.joblib", tmp_path / "coef.npy"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "complete 4\n", done.stderr


def test_pickled_search_is_small_with_a_path(iris, tmp_path):
    """A search with a store of its own does not carry the weights in its pickle."""
    search = WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=300), GRID, cv=3, store=tmp_path / "s.h5"
    ).fit(*iris)
    assert search.store_.runs
    assert len(pickle.dumps(search)) < 20_000


def test_two_fits_make_two_runs(iris, tmp_path):
    """A fit of another kind is a new run; the earlier one stays as it was."""
    path = tmp_path / "s.h5"
    WeightTrackingGridSearchCV(Ridge(), {"alpha": [1.0]}, cv=3, store=path).fit(*iris)
    WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=300), GRID, cv=3, store=path
    ).fit(*iris)
    with WeightStore(path) as store:
        first, second = store.runs.values()
        assert first.estimator["class"].endswith("Ridge")
        np.testing.assert_array_equal(
            first.weights(0)["coef_"], Ridge().fit(*iris).coef_
        )
        assert len(second) == 4


def test_layout_is_stacked(iris, tmp_path):
    """Many candidates of one architecture share few datasets."""
    path = tmp_path / "s.h5"
    WeightTrackingGridSearchCV(
        Ridge(), {"alpha": np.linspace(0.1, 5, 200)}, cv=2, store=path
    ).fit(*iris)
    with h5py.File(path) as file:
        datasets = []
        file.visititems(
            lambda name, obj: (
                datasets.append(name) if isinstance(obj, h5py.Dataset) else None
            )
        )
    assert len(datasets) < 60


@pytest.mark.slow
def test_ten_thousand_candidates(tmp_path):
    """A store of 10,000 candidates has few datasets and finds each by its params."""
    X, y = load_diabetes(return_X_y=True)
    alphas = np.linspace(0.1, 5, 10_000)
    search = WeightTrackingGridSearchCV(
        Ridge(), {"alpha": alphas}, cv=2, store=tmp_path / "s.h5", n_jobs=2
    ).fit(X, y)
    with h5py.File(tmp_path / "s.h5") as file:
        datasets = []
        file.visit(
            lambda name: (
                datasets.append(name) if isinstance(file[name], h5py.Dataset) else None
            )
        )
    assert len(datasets) < 60
    for number in (0, 7, 9_999):
        weights = search.weights_by_params_[{"alpha": alphas[number]}]
        by_hand = Ridge(alpha=alphas[number]).fit(X, y)
        np.testing.assert_array_equal(weights["coef_"], by_hand.coef_)
    stacked, candidates = search.run_.stack("coef_")
    assert stacked.shape == (10_000, 10)
    assert list(candidates) == list(range(10_000))


def test_no_file_is_left_beside_the_store(iris, tmp_path):
    """After fit there is the store and nothing else."""
    path = tmp_path / "s.h5"
    WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=300), GRID, cv=3, store=path
    ).fit(*iris)
    assert [p.name for p in tmp_path.iterdir()] == ["s.h5"]


def test_stacks_need_equal_shapes(iris):
    """Layers of different widths are no stack; the error says which differ."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = WeightTrackingGridSearchCV(
            MLPClassifier(max_iter=2, random_state=0),
            {"hidden_layer_sizes": [(2,), (3,), (2, 2)]},
            cv=2,
        ).fit(*iris)
    with pytest.raises(UnequalWeightsError, match=r"\(4, 2\).*\(4, 3\)"):
        search.run_.stack("coefs_/0")
    third, candidates = search.run_.stack("coefs_/2")
    assert third.shape == (1, 2, 3)
    assert list(candidates) == [2]
    with pytest.raises(WeightsNotFoundError, match="coefs_/7"):
        search.run_.stack("coefs_/7")

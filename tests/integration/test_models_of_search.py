"""What a finished search gives back as models: scores, files, soups, ensembles."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import joblib
import numpy as np
import pytest
from search_estimators import CountingClassifier, CountingNetwork, count_fits
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from weightsearch import (
    CorruptStoreError,
    StoreError,
    UnequalWeightsError,
    UntrustedTypeError,
    WeightsNotFoundError,
    WeightStore,
    WeightTrackingGridSearchCV,
)

X, y = load_iris(return_X_y=True)


@pytest.fixture
def search(tmp_path):
    """Three candidates on iris."""
    return WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=500),
        {"C": [0.01, 1.0, 100.0]},
        cv=3,
        store=tmp_path / "search.h5",
    ).fit(X, y)


def doubled(values):
    """A param that no store holds."""
    return 2 * values


def halved(values):
    """Another one."""
    return values / 2


@pytest.mark.parametrize("finished", [True, False])
def test_many_models_in_order(tmp_path, finished):
    """Models come in the order of the rows, each as `load_estimator` makes it."""
    search = WeightTrackingGridSearchCV(
        RandomForestClassifier(n_estimators=3, random_state=0),
        {"max_depth": [1, 2, None], "criterion": ["gini", "entropy"]},
        cv=3,
        capture="both",
        store=tmp_path / "search.h5" if finished else None,
    ).fit(X, y)
    rows = [(c, split) for split in (2, None, 0) for c in (5, 0, 3)] + [(5, 2)]
    models = list(search.run_._iter_models(iter(rows)))

    assert len(models) == len(rows)
    for (candidate, split), model in zip(rows, models, strict=True):
        expected = search.estimator_for(candidate, split)
        assert model.get_params() == expected.get_params()
        assert np.array_equal(model.predict_proba(X), expected.predict_proba(X))


def test_many_models_of_functions(tmp_path):
    """Each model gets the function that its own params had."""
    search = WeightTrackingGridSearchCV(
        make_pipeline(FunctionTransformer(), Ridge()),
        {"functiontransformer__func": [doubled, halved], "ridge__alpha": [0.1, 10.0]},
        cv=2,
        store=tmp_path / "search.h5",
    ).fit(X, y)
    rows = [(candidate, None) for candidate in (3, 0, 2, 1)]
    params = search.cv_results_["params"]
    models = list(search.run_._iter_models(rows, params=params))

    functions = [model[0].func for model in models]
    assert functions == [params[c]["functiontransformer__func"] for c, _ in rows]
    with pytest.raises(UntrustedTypeError, match=r"Candidate 0 .*doubled"):
        next(search.run_._iter_models([(0, None)]))
    with pytest.raises(WeightsNotFoundError, match="split 1"):
        next(search.run_._iter_models([(0, 1)], params=params))


def test_scores_of_24_candidates_without_a_fit(tmp_path):
    """CV ranks beside test ranks, as scikit-learn issue 16765 asks for them."""
    digits, numbers = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(digits, numbers, random_state=0)
    log = tmp_path / "fits"
    search = WeightTrackingGridSearchCV(
        CountingNetwork(log=str(log), max_iter=8, random_state=0),
        {
            "hidden_layer_sizes": [(4,), (8,), (16,), (32,)],
            "alpha": [1e-4, 1e-1, 10.0],
            "activation": ["relu", "tanh"],
        },
        cv=2,
        store=tmp_path / "search.h5",
    ).fit(train, y_train)
    n_fits = count_fits(log)
    scores = search.score_candidates(test, y_test)
    other = search.run_.score_candidates(
        test, y_test, estimator=search.estimator, n_jobs=2
    )

    assert n_fits == 24 * 2 + 24
    assert count_fits(log) == n_fits
    assert len(scores) == 24
    assert scores["score"].equals(other["score"])
    assert scores["score"][search.best_index_] == search.score(test, y_test)
    assert list(scores["mean_test_score"]) == list(
        search.cv_results_["mean_test_score"]
    )
    assert scores["rank"].min() == 1
    assert scores.attrs["spearman"] > 0.5
    # One that is not the best, fitted by hand.
    params = search.cv_results_["params"][3]
    by_hand = clone(search.estimator).set_params(**params).fit(train, y_train)
    assert scores["score"][3] == by_hand.score(test, y_test)


def test_scoring_is_the_searchs_own(tmp_path):
    """Scores are those that the search was made with, unless others are asked for."""
    search = WeightTrackingGridSearchCV(
        Ridge(),
        {"alpha": [0.1, 10.0]},
        scoring={"error": "neg_mean_absolute_error", "r2": "r2"},
        refit="error",
        store=tmp_path / "s.h5",
    ).fit(*load_diabetes(return_X_y=True))
    X_r, y_r = load_diabetes(return_X_y=True)

    assert (search.score_candidates(X_r, y_r)["score"] < 0).all()
    assert (search.score_candidates(X_r, y_r, scoring="r2")["score"] > 0).all()
    assert "mean_test_error" in search.score_candidates(X_r, y_r)


def test_candidates_without_a_model_have_no_score(tmp_path):
    """With ``keep=1`` the table still has a row for every candidate."""
    search = WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=500),
        {"C": [0.01, 1.0]},
        keep=1,
        store=tmp_path / "s.h5",
    ).fit(X, y)
    scores = search.score_candidates(X, y)

    assert scores["score"].notna().sum() == 1
    assert len(scores) == 2


def test_estimator_for_params(search):
    """Any candidate predicts as a fit by hand does."""
    loaded = search.estimator_for({"C": 0.01})
    by_hand = LogisticRegression(C=0.01, max_iter=500).fit(X, y)

    np.testing.assert_array_equal(loaded.predict_proba(X), by_hand.predict_proba(X))
    assert loaded.get_params() == by_hand.get_params()
    with pytest.raises(WeightsNotFoundError):
        search.estimator_for({"C": 3.0})
    with pytest.raises(WeightsNotFoundError, match="capture"):
        search.estimator_for(0, split=0)


def test_same_script_again_trains_nothing(tmp_path):
    """The best estimator comes from the store too, whole."""
    log = tmp_path / "fits"

    def run():
        return WeightTrackingGridSearchCV(
            CountingNetwork(log=str(log), max_iter=5),
            {"alpha": [1e-4, 1.0]},
            cv=3,
            store=tmp_path / "s.h5",
        ).fit(X, y)

    first = run()
    n_fits = count_fits(log)
    again = run()

    assert count_fits(log) == n_fits
    assert len(again.store_.runs) == 1
    assert again.refit_time_ == first.refit_time_
    assert vars(again.best_estimator_).keys() == vars(first.best_estimator_).keys()
    assert again.best_estimator_.loss_curve_ == first.best_estimator_.loss_curve_
    np.testing.assert_array_equal(again.predict_proba(X), first.predict_proba(X))
    # It can be fitted and trained further, like any other.
    again.best_estimator_.partial_fit(X, y)
    first.best_estimator_.partial_fit(X, y)
    # Training sums in an order that depends on where arrays lie in memory.
    np.testing.assert_allclose(
        again.predict_proba(X), first.predict_proba(X), rtol=1e-9
    )
    again.best_estimator_.fit(X, y)
    assert count_fits(log) == n_fits + 1


def test_grown_grid_refits_a_new_best(tmp_path):
    """A candidate that was not the best has no optimizer, and is refit when it is."""
    log = tmp_path / "fits"

    def run(alphas):
        return WeightTrackingGridSearchCV(
            CountingNetwork(log=str(log), max_iter=5, random_state=0),
            {"alpha": alphas},
            cv=3,
            store=tmp_path / "s.h5",
        ).fit(X, y)

    run([1e-4, 50.0])
    before = count_fits(log)
    smaller = run([50.0])

    assert smaller.best_params_ == {"alpha": 50.0}
    assert count_fits(log) == before + 1
    assert smaller.best_estimator_._optimizer is not None


def test_npz(search, tmp_path):
    """``numpy.load`` reads it back, names and all."""
    path = search.run_.export(0, tmp_path / "weights.npz")
    weights = search.run_.weights(0)

    with np.load(path, allow_pickle=False) as file:
        assert list(file) == list(weights)
        for name in file:
            np.testing.assert_array_equal(file[name], weights[name])


@pytest.mark.parametrize("suffix", [".txt", "", ".h5"])
def test_unknown_suffix_is_named(search, tmp_path, suffix):
    """An error says which suffixes there are, and nothing is written."""
    with pytest.raises(ValueError, match=r"\.npz.*\.weights\.h5"):
        search.run_.export(0, tmp_path / f"file{suffix}")
    assert [p.name for p in tmp_path.iterdir()] == ["search.h5"]


def test_export_replaces_a_file_or_leaves_it(search, tmp_path):
    """What is there is replaced as a whole, or left where nothing can be written."""
    target = tmp_path / "weights.weights.h5"
    target.write_bytes(b"old")

    with pytest.raises(ValueError, match="LogisticRegression"):
        search.run_.export(0, target)
    assert target.read_bytes() == b"old"
    target = target.rename(tmp_path / "weights.npz")
    search.run_.export(0, target)
    assert target.read_bytes() != b"old"
    assert len(list(tmp_path.iterdir())) == 2


def test_average_is_the_mean(search):
    """A soup has the mean of the weights, and predicts with it."""
    run = search.run_
    soup = run.average([0, 1, 2])
    mean = np.mean([run.weights(n)["coef_"] for n in range(3)], axis=0)

    np.testing.assert_allclose(soup.coef_, mean, rtol=1e-12)
    assert soup.score(X, y) > 0.8
    assert soup.get_params()["C"] == 0.01


def test_average_of_shuffled_networks(tmp_path):
    """Aligned first, networks that differ in the order of their units have a mean."""
    search = WeightTrackingGridSearchCV(
        MLPClassifier((6,), max_iter=20, random_state=0),
        {"alpha": [1e-4, 1e-3]},
        cv=2,
        store=tmp_path / "s.h5",
    ).fit(X, y)
    soup = search.run_.average([0, 1], align=True)

    assert soup.predict(X).shape == y.shape


def test_average_is_that_of_all_layers(tmp_path):
    """Short arrays in a list, such as a network's intercepts, are averaged too."""
    search = WeightTrackingGridSearchCV(
        MLPClassifier((6,), max_iter=20, random_state=0),
        {"learning_rate_init": [1e-3, 1e-2]},
        cv=2,
        store=tmp_path / "s.h5",
    ).fit(X, y)
    run = search.run_
    soup = run.average([0, 1])

    for layer in (0, 1):
        both = [run.weights(number)[f"intercepts_/{layer}"] for number in (0, 1)]
        np.testing.assert_allclose(soup.intercepts_[layer], np.mean(both, axis=0))


def test_trees_have_no_mean(tmp_path):
    """Integers that say how a model is built are not averaged."""
    search = WeightTrackingGridSearchCV(
        RandomForestClassifier(2, max_depth=1),
        {"random_state": [0, 1]},
        cv=2,
        store=tmp_path / "s.h5",
    ).fit(X, y)

    with pytest.raises(UnequalWeightsError):
        search.run_.average([0, 1])


def test_ensemble_is_the_mean_of_probabilities(search):
    """Soft voting over stored candidates, without a fit."""
    run = search.run_
    ensemble = run.ensemble(candidates=[0, 2])
    mean = np.mean([run.load_estimator(n).predict_proba(X) for n in (0, 2)], axis=0)

    np.testing.assert_allclose(ensemble.predict_proba(X), mean)
    np.testing.assert_array_equal(ensemble.predict(X), mean.argmax(axis=1))
    assert len(run.ensemble(size=2).estimators_) == 2
    assert run.ensemble(size=1).score(X, y) == search.score(X, y)


def test_ensemble_of_words_and_of_numbers(tmp_path):
    """Classes may be words; regressors give the mean of what they predict."""
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    of_words = WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=500), {"C": [0.1, 1.0]}, store=tmp_path / "a.h5"
    ).fit(X, words)
    assert of_words.run_.ensemble().score(X, words) > 0.9

    X_r, y_r = load_diabetes(return_X_y=True)
    of_numbers = WeightTrackingGridSearchCV(
        Ridge(), {"alpha": [0.1, 1.0]}, store=tmp_path / "b.h5"
    ).fit(X_r, y_r)
    run = of_numbers.run_
    np.testing.assert_allclose(
        run.ensemble().predict(X_r),
        np.mean([run.load_estimator(n).predict(X_r) for n in (0, 1)], axis=0),
    )


def test_ensemble_needs_probabilities(tmp_path):
    """Classifiers without probabilities vote for a class, and not softly."""
    search = WeightTrackingGridSearchCV(
        LinearSVC(), {"C": [0.1, 1.0]}, store=tmp_path / "s.h5"
    ).fit(X, y)

    with pytest.raises(TypeError, match="LinearSVC"):
        search.run_.ensemble(voting="soft")
    assert search.run_.ensemble().voting == "hard"
    assert search.run_.ensemble(size=1).score(X, y) == search.score(X, y)


def test_moved_store_is_attached_again(search, tmp_path):
    """A pickled search says what it misses, and takes only the store that has it."""
    joblib.dump(search, tmp_path / "search.joblib")
    expected = search.estimator_for(0).predict(X)
    search.store_.close()
    moved = tmp_path / "elsewhere" / "moved.h5"
    moved.parent.mkdir()
    shutil.move(tmp_path / "search.h5", moved)
    other = tmp_path / "other.h5"
    WeightTrackingGridSearchCV(Ridge(), {"alpha": [1.0]}, store=other).fit(X, y)
    loaded = joblib.load(tmp_path / "search.joblib")

    with pytest.raises(StoreError, match=r"search\.h5.*attach_store"):
        loaded.estimator_for(0)
    with pytest.raises(WeightsNotFoundError, match="uid"):
        loaded.attach_store(other)
    with pytest.raises(StoreError, match="no store"):
        loaded.attach_store(tmp_path / "nothing.h5")
    assert loaded.attach_store(moved) is loaded
    np.testing.assert_array_equal(loaded.estimator_for(0).predict(X), expected)
    assert len(loaded.score_candidates(X, y)) == 3


def flip(path: Path, dataset: str) -> None:
    """Change one bit in the middle of a dataset's bytes."""
    with h5py.File(path) as file:
        (name,) = file["runs"]
        stored = file[f"runs/{name}/{dataset}"].id
        place = stored.get_offset() + stored.get_storage_size() // 2
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("dataset", ["architectures/0/weights/coef_", "states/content"])
def test_one_flipped_bit_is_refused(search, dataset):
    """Tampered weights or contents make no model; the place is named."""
    search.store_.close()
    path = search.store
    flip(path, dataset)

    with WeightStore(path) as store:
        with pytest.raises(CorruptStoreError, match=dataset.rpartition("/")[0]):
            store.run().score_candidates(X, y)
        assert store.verify()


def test_counting_estimators_are_models_too(tmp_path):
    """A user's own estimator comes back with the class that the search has."""
    search = WeightTrackingGridSearchCV(
        CountingClassifier(), {"C": [0.1, 1.0]}, store=tmp_path / "s.h5"
    ).fit(X, y)
    loaded = search.estimator_for({"C": 0.1})

    assert type(loaded) is CountingClassifier
    np.testing.assert_array_equal(
        loaded.predict(X), CountingClassifier(C=0.1).fit(X, y).predict(X)
    )


def test_grids_over_estimators(tmp_path):
    """Candidates that are other estimators come back with any template."""
    search = WeightTrackingGridSearchCV(
        Pipeline([("model", LogisticRegression(max_iter=500))]),
        [
            {"model": [LogisticRegression(max_iter=500)], "model__C": [0.1]},
            {"model": [RandomForestClassifier(3, random_state=0)]},
            {"model": [LinearSVC()], "model__loss": ["hinge", "squared_hinge"]},
        ],
        store=tmp_path / "s.h5",
    ).fit(X, y)
    run = search.run_

    for number in range(4):
        loaded = search.estimator_for(number)
        for other in (
            run.load_estimator(number),
            run.load_estimator(number, search.estimator),
        ):
            assert type(other["model"]) is type(loaded["model"])
            np.testing.assert_array_equal(other.predict(X), loaded.predict(X))


SCRIPT_OF_MAIN = """
import sys
import joblib
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from weightsearch import WeightTrackingGridSearchCV


class Shift(TransformerMixin, BaseEstimator):
    def __init__(self, by=None):
        self.by = by

    def fit(self, X, y=None):
        self.by_ = self.by(X)
        return self

    def transform(self, X):
        return X - self.by_


def smallest(X):
    return X.min(axis=0)


def score(y, predicted):
    return accuracy_score(y, predicted) / 2


X, y = load_iris(return_X_y=True)
model = make_pipeline(
    Shift(), FunctionTransformer(lambda X: X**2), LogisticRegression(max_iter=50)
)
grid = {
    "shift__by": [smallest, lambda X: X.mean(axis=0), lambda X: 3 + X.std(axis=0)],
    "functiontransformer__func": [np.abs, lambda X: np.exp(-X)],
}
search = WeightTrackingGridSearchCV(model, grid, scoring=make_scorer(score), cv=2)
search.fit(X, y)
expected = [
    score(y, clone(model).set_params(**params).fit(X, y).predict(X))
    for params in search.cv_results_["params"]
]
assert len(set(expected)) > 3
with joblib.parallel_config(sys.argv[1]):
    found = search.score_candidates(X, y, n_jobs=2)["score"].tolist()
assert found == expected, (found, expected)
"""


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_classes_and_functions_of_main_go_to_workers(tmp_path, backend):
    """score_candidates in workers takes classes, functions and lambdas of a script."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT_OF_MAIN)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, backend],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr

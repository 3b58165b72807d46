"""Out-of-fold predictions of a finished search, against cross_val_predict."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import (
    KFold,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_predict,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from weightsearch import WeightTrackingGridSearchCV
from weightsearch.exceptions import EvaluationError, WeightsNotFoundError

IRIS = load_iris(return_X_y=True)
FOLDS = StratifiedKFold(3, shuffle=True, random_state=0)


def searched(
    tmp_path: Any, estimator: Any, grid: Any, data: Any = IRIS, **settings: Any
) -> Any:
    """Run a search that keeps the models of its splits."""
    settings = {"cv": FOLDS, "capture": "splits", "refit": False, **settings}
    search = WeightTrackingGridSearchCV(
        estimator, grid, store=tmp_path / "store.h5", **settings
    )
    return search.fit(*data)


def expected(search: Any, data: Any, method: str) -> list[Any]:
    """Refit each candidate on each split, as everybody does today."""
    X, y = data
    return [
        cross_val_predict(
            clone(search.estimator).set_params(**params),
            X,
            y,
            cv=search.cv,
            method=method,
        )
        for params in search.cv_results_["params"]
    ]


def assert_same_bits(found: Any, wanted: Any) -> None:
    """Arrays are of one type and shape, and equal to the bit."""
    assert found.dtype == wanted.dtype
    assert np.array_equal(found, wanted, equal_nan=wanted.dtype.kind == "f")


@pytest.mark.parametrize(
    ("estimator", "grid", "methods"),
    [
        (
            MLPClassifier((8,), max_iter=15, random_state=0),
            {"alpha": [1e-4, 1.0]},
            ("predict", "predict_proba", "predict_log_proba"),
        ),
        (
            make_pipeline(StandardScaler(copy=False), PCA(), LogisticRegression()),
            {"logisticregression__C": [0.1, 10]},
            ("predict", "predict_proba", "decision_function"),
        ),
        (
            RandomForestClassifier(5, random_state=0),
            {"max_depth": [2, None]},
            ("predict", "predict_proba"),
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_equal_to_cross_val_predict(
    tmp_path: Any, estimator: Any, grid: Any, methods: tuple[str, ...]
) -> None:
    """Each candidate's predictions are those of cross_val_predict, to the bit."""
    search = searched(tmp_path, estimator, grid)

    for method in methods:
        found = search.run_.predictions(*IRIS, method)

        assert_same_bits(found, np.array(expected(search, IRIS, method)))


def test_transform(tmp_path: Any) -> None:
    """Transformers give what each model makes of the rows that it was not fitted on."""
    X, y = IRIS
    run = searched(tmp_path, PCA(2), {"whiten": [True, False]}).run_
    wanted = np.empty((2, 150, 2))
    for number, whiten in enumerate([True, False]):
        for train, test in FOLDS.split(X, y):
            wanted[number, test] = (
                PCA(2, whiten=whiten).fit(X[train]).transform(X[test])
            )

    assert_same_bits(run.predictions(X, y), wanted)


def test_auto_takes_what_tells_most(tmp_path: Any) -> None:
    """Without a method classifiers give probabilities, else decision values."""
    forest = searched(tmp_path, DecisionTreeClassifier(), {"max_depth": [1]}).run_
    hinge = searched(tmp_path, SGDClassifier(random_state=0), {"alpha": [1e-3]}).run_
    ridge = searched(tmp_path, Ridge(), {"alpha": [1.0]}, cv=KFold(3)).run_

    assert_same_bits(
        forest.predictions(*IRIS), forest.predictions(*IRIS, "predict_proba")
    )
    assert_same_bits(
        hinge.predictions(*IRIS), hinge.predictions(*IRIS, "decision_function")
    )
    assert_same_bits(ridge.predictions(*IRIS), ridge.predictions(*IRIS, "predict"))


def test_candidates_come_in_the_order_asked(tmp_path: Any) -> None:
    """Candidates are chosen by number or params, and come in that order."""
    search = searched(tmp_path, Ridge(), {"alpha": [0.1, 1.0, 10.0]}, cv=KFold(3))
    run = search.run_
    every = run.predictions(*IRIS)

    some = run.predictions(*IRIS, candidates=[2, {"alpha": 0.1}])

    assert_same_bits(some, every[[2, 0]])


@pytest.mark.parametrize(
    "backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)]
)
def test_workers(tmp_path: Any, backend: str) -> None:
    """Two workers give what one gives."""
    run = searched(tmp_path, Ridge(), {"alpha": [0.1, 1.0]}, cv=KFold(3)).run_

    with parallel_config(backend):
        found = run.predictions(*IRIS, n_jobs=2)

    assert_same_bits(found, run.predictions(*IRIS))


@pytest.mark.parametrize(
    "cv",
    [
        RepeatedKFold(n_splits=2, n_repeats=2, random_state=0),
        ShuffleSplit(3, test_size=0.3, random_state=0),
    ],
)
def test_overlapping_test_sets(tmp_path: Any, cv: Any) -> None:
    """Where rows are tested twice there is a row per split, NaN where not tested."""
    X, y = load_diabetes(return_X_y=True)
    search = searched(
        tmp_path, DecisionTreeRegressor(random_state=0), {}, (X, y), cv=cv
    )
    wanted = np.full((1, cv.get_n_splits(), len(X)), np.nan)
    for split, (train, test) in enumerate(cv.split(X)):
        model = DecisionTreeRegressor(random_state=0).fit(X[train], y[train])
        wanted[0, split, test] = model.predict(X[test])

    assert_same_bits(search.run_.predictions(X, y), wanted)


def test_rows_never_tested(tmp_path: Any) -> None:
    """Rows that no split tests are NaN, or masked among whole numbers."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:200], y[:200]
    cv = TimeSeriesSplit(3)
    tree = DecisionTreeClassifier(random_state=0)
    run = searched(tmp_path, tree, {}, (X, y), cv=cv).run_
    untested = np.arange(200) < next(cv.split(X))[1][0]

    labels = run.predictions(X, y, "predict")
    chances = run.predictions(X, y, "predict_proba")

    assert isinstance(labels, np.ma.MaskedArray)
    assert labels.shape == (1, 200)
    assert np.array_equal(labels.mask[0], untested)
    assert chances.shape == (1, 200, 10)
    assert np.array_equal(np.isnan(chances[0]).all(axis=1), untested)


@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
def test_class_that_a_fold_lacks(tmp_path: Any, method: str) -> None:
    """Columns are aligned as scikit-learn does where a training fold lacks a class."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], np.array([f"digit {label}" for label in y[:300]])
    order = np.argsort(y, kind="stable")
    data = X[order], y[order]
    model = LogisticRegression(max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = searched(tmp_path, model, {"C": [0.1]}, data, cv=KFold(4))
        wanted = expected(search, data, method)[0]

    with pytest.warns(RuntimeWarning, match="training fold"):
        found = search.run_.predictions(*data, method)
    with pytest.warns(RuntimeWarning, match="training fold"):
        without_y = search.run_.predictions(data[0], None, method)

    assert_same_bits(found[0], wanted)
    assert_same_bits(without_y, found)


def first_output_accuracy(model: Any, X: Any, y: Any) -> float:
    """Score by one output, since scikit-learn has no score for several."""
    return float(np.mean(model.predict(X)[:, 0] == y[:, 0]))


def test_outputs_that_are_lists(tmp_path: Any) -> None:
    """Probabilities of several outputs are a list with an array per output."""
    X, y = IRIS
    data = X, np.column_stack([y, y % 2])
    tree = RandomForestClassifier(3, random_state=0)
    search = searched(
        tmp_path,
        tree,
        {"max_depth": [1, 2]},
        data,
        cv=KFold(3, shuffle=True, random_state=0),
        scoring=first_output_accuracy,
    )
    wanted = expected(search, data, "predict_proba")

    found = search.run_.predictions(*data, "predict_proba")

    assert isinstance(found, list)
    for output, array in enumerate(found):
        assert_same_bits(array, np.array([one[output] for one in wanted]))


TEXTS = [f"{'good' if n % 3 else 'bad'} film number {n % 7}" for n in range(60)]


@pytest.mark.parametrize(
    ("estimator", "grid", "data"),
    [
        (
            make_pipeline(TfidfVectorizer(), LogisticRegression()),
            {"logisticregression__C": [1, 5]},
            (TEXTS, [n % 3 > 0 for n in range(60)]),
        ),
        (
            LogisticRegression(max_iter=200),
            {"C": [1, 5]},
            (pd.DataFrame(IRIS[0], columns=list("abcd")), pd.Series(IRIS[1])),
        ),
        (
            LogisticRegression(max_iter=200),
            {"C": [1, 5]},
            (sparse.csr_array(IRIS[0]), IRIS[1].tolist()),
        ),
        (
            SVC(kernel="precomputed"),
            {"C": [1, 5]},
            (IRIS[0] @ IRIS[0].T, IRIS[1]),
        ),
    ],
    ids=["texts", "table", "sparse", "kernel"],
)
def test_kinds_of_data(tmp_path: Any, estimator: Any, grid: Any, data: Any) -> None:
    """Lists of texts, tables, sparse matrices and kernels are asked about by row."""
    search = searched(tmp_path, estimator, grid, data)

    found = search.run_.predictions(*data, "decision_function")

    assert_same_bits(found, np.array(expected(search, data, "decision_function")))


# -- what is refused ---------------------------------------------------------------


def test_other_data_are_refused(tmp_path: Any) -> None:
    """Data that differ in shape, in one value, or in the target are named."""
    X, y = IRIS
    run = searched(tmp_path, Ridge(), {"alpha": [1.0]}, cv=KFold(3)).run_
    changed = X.copy()
    changed[7, 2] += 1e-9

    with pytest.raises(EvaluationError, match=r"X: ndarray float64 \(150, 4\) ->"):
        run.predictions(X[:100], y[:100])
    with pytest.raises(EvaluationError, match="values of X"):
        run.predictions(changed, y)
    with pytest.raises(EvaluationError, match="values of y"):
        run.predictions(X, y[::-1])


def test_search_without_a_store() -> None:
    """A search that keeps its models for itself alone knows its data too."""
    X, y = IRIS
    search = WeightTrackingGridSearchCV(Ridge(), {"alpha": [1.0]}, capture="splits")
    run = search.fit(X, y).run_

    assert_same_bits(run.predictions(X, y)[0], cross_val_predict(Ridge(), X, y))
    with pytest.raises(EvaluationError, match="values of y"):
        run.predictions(X, y[::-1])


def test_missing_models_are_refused(tmp_path: Any) -> None:
    """A run that kept no split models says which capture keeps them."""
    search = searched(tmp_path, Ridge(), {"alpha": [1.0]}, capture="refit", refit=True)

    with pytest.raises(WeightsNotFoundError, match="capture='splits'"):
        search.run_.predictions(*IRIS)


def test_method_that_is_not_there(tmp_path: Any) -> None:
    """A method that an estimator lacks is refused with those that it has."""
    hinge = searched(tmp_path, SGDClassifier(random_state=0), {"alpha": [1e-3]}).run_

    with pytest.raises(EvaluationError, match=r"no predict_proba.* decision_function"):
        hinge.predictions(*IRIS, "predict_proba")
    with pytest.raises(EvaluationError, match="method must be"):
        hinge.predictions(*IRIS, "score")


def test_candidates_that_are_not_there(tmp_path: Any) -> None:
    """Unknown candidates, one that is no list, and none at all are refused."""
    run = searched(tmp_path, Ridge(), {"alpha": [1.0]}, cv=KFold(3)).run_

    with pytest.raises(WeightsNotFoundError, match="numbered from 0 to 0"):
        run.predictions(*IRIS, candidates=[1])
    with pytest.raises(EvaluationError, match=r"Pass \[0\]"):
        run.predictions(*IRIS, candidates=0)
    with pytest.raises(EvaluationError, match="no candidates"):
        run.predictions(*IRIS, candidates=[])


def test_answers_of_different_shape(tmp_path: Any) -> None:
    """Candidates whose answers do not fit into one array are named."""
    run = searched(tmp_path, PCA(), {"n_components": [1, 2]}).run_

    with pytest.raises(EvaluationError, match="Candidate 1 answers with"):
        run.predictions(*IRIS)
    assert run.predictions(*IRIS, candidates=[1]).shape == (1, 150, 2)


class FailingOnce(ClassifierMixin, BaseEstimator):
    """A classifier that cannot be fitted on one split."""

    def __init__(self, total: float = 0.0):
        self.total = total

    def fit(self, X: Any, y: Any) -> FailingOnce:
        if X.sum() == self.total:
            raise ValueError("not on these rows")
        self.model_ = DummyClassifier().fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X: Any) -> Any:
        return self.model_.predict_proba(X)

    def predict(self, X: Any) -> Any:
        return self.model_.predict(X)


def test_failed_fits(tmp_path: Any) -> None:
    """Rows of a fit that failed are missing, and a warning names the candidate."""
    X, y = IRIS
    cv = FOLDS
    total = X[next(cv.split(X, y))[0]].sum()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = searched(tmp_path, FailingOnce(), {"total": [0.0, total]}, cv=cv)

    with pytest.warns(FitFailedWarning, match=r"1 fit failed.* 1 \(split 0\)"):
        found = search.run_.predictions(X, y, trusted=[FailingOnce])

    missing = np.isnan(found).all(axis=2)
    assert not missing[0].any()
    assert np.array_equal(np.flatnonzero(missing[1]), next(cv.split(X, y))[1])

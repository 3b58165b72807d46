"""Other scores of a finished search, against a search with that scoring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score, make_scorer, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RepeatedKFold,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import (
    WeightTrackingGridSearchCV,
    WeightTrackingHalvingGridSearchCV,
)
from weightsearch.exceptions import EvaluationError, WeightsNotFoundError

CANCER = load_breast_cancer(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
FOLDS = StratifiedKFold(4, shuffle=True, random_state=0)
LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression())
GRID = {"logisticregression__C": [1e-3, 0.1, 10.0, 10.0]}


def in_f1_and_size(model: Any, X: Any, y: Any) -> dict[str, float]:
    """Score by two numbers at once."""
    return {"f1": float(f1_score(y, model.predict(X))), "size": float(len(y))}


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A search by accuracy whose split models are kept."""
    store = tmp_path_factory.mktemp("rescore") / "store.h5"
    return WeightTrackingGridSearchCV(
        LOGISTIC, GRID, cv=FOLDS, store=store, capture="splits", refit=False
    ).fit(*CANCER)


def assert_like_a_fresh_search(
    found: pd.DataFrame, search: Any, data: Any, scoring: Any
) -> None:
    """Every score column of a new search is there, equal to the bit."""
    fresh = GridSearchCV(
        clone(search.estimator),
        search.param_grid,
        cv=search.cv,
        scoring=scoring,
        refit=False,
    ).fit(*data)
    scores = [name for name in fresh.cv_results_ if "_test_" in name]
    assert [name for name in found.columns if "_test_" in name] == scores
    for name in scores:
        assert found[name].dtype == fresh.cv_results_[name].dtype
        assert np.array_equal(found[name], fresh.cv_results_[name], equal_nan=True)


@pytest.mark.parametrize(
    "scoring",
    [
        None,
        "roc_auc",
        ["accuracy", "neg_log_loss", "average_precision"],
        {"f1": "f1", "half": make_scorer(f1_score, average="micro")},
        in_f1_and_size,
    ],
)
def test_equal_to_a_fresh_search(search: Any, scoring: Any) -> None:
    """Scores, means, deviations and ranks are those of a new search, to the bit."""
    found = search.run_.rescore(*CANCER, scoring)

    assert_like_a_fresh_search(found, search, CANCER, scoring)
    assert found["logisticregression__C"].tolist() == GRID["logisticregression__C"]
    assert found.index.name == "candidate"


def test_some_candidates_by_two_workers(search: Any) -> None:
    """Chosen candidates come in their order, ranked among themselves."""
    every = search.run_.rescore(*CANCER, "roc_auc")

    with parallel_config("threading", n_jobs=2):
        some = search.run_.rescore(*CANCER, "roc_auc", candidates=[2, 0])

    assert some.index.tolist() == [2, 0]
    assert some["mean_test_score"].tolist() == every["mean_test_score"][[2, 0]].tolist()
    assert sorted(some["rank_test_score"]) == [1, 2]


def test_overlapping_splits_and_regression(tmp_path: Path) -> None:
    """Splits that repeat are scored each for itself."""
    search = WeightTrackingGridSearchCV(
        Ridge(),
        {"alpha": [0.1, 100.0]},
        cv=RepeatedKFold(n_splits=2, n_repeats=2, random_state=0),
        store=tmp_path / "store.h5",
        capture="splits",
        refit=False,
    ).fit(*DIABETES)

    found = search.run_.rescore(*DIABETES, "neg_mean_absolute_error")

    assert_like_a_fresh_search(found, search, DIABETES, "neg_mean_absolute_error")


def test_halving_search(tmp_path: Path) -> None:
    """Candidates of each round are scored on the rows of their round."""
    search = WeightTrackingHalvingGridSearchCV(
        LOGISTIC,
        {"logisticregression__C": [1e-3, 0.1, 10.0]},
        cv=StratifiedKFold(3),
        min_resources=60,
        random_state=0,
        store=tmp_path / "store.h5",
        capture="splits",
    ).fit(*CANCER)

    found = search.run_.rescore(*CANCER)

    assert len(set(search.cv_results_["n_resources"])) > 1
    for name in found.filter(regex=r"^(split\d|mean|std)_test"):
        assert np.array_equal(found[name], search.cv_results_[name])
    missing = np.isnan(search.run_.predictions(*CANCER)).all(axis=2)
    tested = search.cv_results_["n_resources"]
    assert (missing.sum(axis=1) >= len(CANCER[1]) - tested).all()


def test_search_without_a_target(tmp_path: Path) -> None:
    """Models that were fitted without y are scored without it."""
    X = DIABETES[0]
    search = WeightTrackingGridSearchCV(
        KMeans(n_init=1, random_state=0),
        {"n_clusters": [2, 3]},
        cv=KFold(3),
        store=tmp_path / "store.h5",
        capture="splits",
    ).fit(X)

    found = search.run_.rescore(X)

    assert np.array_equal(
        found["mean_test_score"], search.cv_results_["mean_test_score"]
    )


def test_slices(search: Any) -> None:
    """Each group has scores of its own, of its rows alone."""
    X, y = CANCER
    site = pd.Series(np.where(X[:, 0] > 14, "large", "small"), name="site")
    every = [
        search.run_.load_estimator(1, split=split) for split in range(FOLDS.n_splits)
    ]
    wanted = [
        float(np.mean(model.predict(X[rows]) == y[rows]))
        for model, (_, test) in zip(every, FOLDS.split(X, y), strict=True)
        for rows in [test[(site == "large").to_numpy()[test]]]
    ]

    found = search.run_.rescore(X, y, groups=site)

    assert found.index.names == ["candidate", "site"]
    large = found.xs("large", level="site")
    names = [f"split{split}_test_score" for split in range(4)]
    assert large.loc[1, names].tolist() == wanted
    assert large["n_test_samples"].tolist() == [int((site == "large").sum())] * 4
    assert large["rank_test_score"].min() == 1


def test_slices_by_a_column_that_not_all_splits_test(tmp_path: Path) -> None:
    """A group that a split does not test is NaN there and does not count."""
    X = pd.DataFrame(CANCER[0][:300], columns=[f"x{n}" for n in range(30)])
    X["block"] = np.arange(300) // 100
    y = CANCER[1][:300]
    search = WeightTrackingGridSearchCV(
        RandomForestClassifier(3, random_state=0),
        {"max_depth": [1, 4]},
        cv=KFold(3),
        store=tmp_path / "store.h5",
        capture="splits",
    ).fit(X, y)
    plain = search.run_.rescore(X, y)

    found = search.run_.rescore(X, y, groups="block").xs(1, level="block")

    assert found["split1_test_score"].tolist() == plain["split1_test_score"].tolist()
    assert found["split0_test_score"].isna().all()
    assert found["mean_test_score"].tolist() == plain["split1_test_score"].tolist()
    assert found["n_test_samples"].tolist() == [100, 100]


def test_pooled(search: Any) -> None:
    """Pooled scores are those of all out-of-fold answers at once."""
    X, y = CANCER
    scoring = ["accuracy", "roc_auc"]
    values = [
        cross_val_predict(
            clone(LOGISTIC).set_params(**params),
            X,
            y,
            cv=FOLDS,
            method="decision_function",
        )
        for params in search.cv_results_["params"]
    ]

    found = search.run_.rescore(X, y, scoring, pooled=True)

    wanted = [roc_auc_score(y, one) for one in values]
    assert found["pooled_test_roc_auc"].tolist() == pytest.approx(wanted, abs=1e-12)
    assert (found["pooled_test_roc_auc"] != found["mean_test_roc_auc"]).all()
    correct = [float(np.mean((one > 0) == y)) for one in values]
    assert found["pooled_test_accuracy"].tolist() == pytest.approx(correct, abs=1e-12)
    assert found["rank_pooled_test_accuracy"].min() == 1


@pytest.mark.filterwarnings("ignore")
def test_pooled_slices_of_one_class(search: Any) -> None:
    """Pooling scores groups that are too small in each split."""
    X, y = CANCER
    rare = np.zeros(len(y), int)
    rare[[np.flatnonzero(y == 0)[0], np.flatnonzero(y == 1)[0]]] = 1
    scorer = make_scorer(roc_auc_score, response_method="decision_function")

    found = search.run_.rescore(
        X, y, scorer, groups=rare, pooled=True, candidates=[1]
    ).xs(1, level="group")

    assert found["pooled_test_score"].tolist() == [1.0]
    assert np.isnan(found["mean_test_score"]).all()


def test_scorer_parameters(search: Any) -> None:
    """Weights of rows go to the scorer, each split its own."""
    X, y = CANCER
    weight = X[:, 1]
    model = search.run_.load_estimator(2, split=3)
    test = list(FOLDS.split(X, y))[3][1]
    wanted = model.score(X[test], y[test], weight[test])

    found = search.run_.rescore(X, y, score_params={"sample_weight": weight})

    assert found["split3_test_score"][2] == wanted


def failing(model: Any, X: Any, y: Any) -> float:
    """Fail on each test set but the largest."""
    if len(y) < 143:
        raise ValueError("too few rows")
    return 1.0


def test_scores_that_fail(search: Any) -> None:
    """A score that fails is error_score, and a warning has its error."""
    with pytest.warns(UserWarning, match=r"12 scores could not(.|\n)*too few rows"):
        found = search.run_.rescore(*CANCER, failing, error_score=-1)

    assert sorted(found.filter(like="split").iloc[0]) == [-1, -1, -1, 1]
    with pytest.raises(EvaluationError, match="too few rows"):
        search.run_.rescore(*CANCER, failing, error_score="raise")


def test_what_is_refused(search: Any, tmp_path: Path) -> None:
    """Wrong metrics, groups, targets and runs are refused before anything is asked."""
    X, y = CANCER
    run = search.run_
    with pytest.raises(ValueError, match="nonsense"):
        run.rescore(X, y, "nonsense")
    with pytest.raises(EvaluationError, match="y is missing"):
        run.rescore(X)
    with pytest.raises(EvaluationError, match="values of X"):
        run.rescore(X + 1, y)
    with pytest.raises(EvaluationError, match="no column 'site'"):
        run.rescore(X, y, groups="site")
    with pytest.raises(EvaluationError, match=r"569 rows, got shape \(10,\)"):
        run.rescore(X, y, groups=np.arange(10))
    with pytest.raises(EvaluationError, match="error_score"):
        run.rescore(X, y, error_score="nan")
    plain = WeightTrackingGridSearchCV(LOGISTIC, GRID, store=tmp_path / "store.h5")
    with pytest.raises(WeightsNotFoundError, match="capture='splits'"):
        plain.fit(X, y).run_.rescore(X, y)

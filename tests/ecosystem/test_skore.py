"""skore's reports over stored models, against those that fit the models again."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from fit_counter import counting
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import WeightTrackingGridSearchCV
from weightsearch.exceptions import EvaluationError, WeightsNotFoundError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    skore = pytest.importorskip("skore")

pytestmark = [pytest.mark.ecosystem, pytest.mark.filterwarnings("ignore")]

CANCER = load_breast_cancer(return_X_y=True)
FOLDS = StratifiedKFold(3, shuffle=True, random_state=0)
LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression())


@pytest.fixture(scope="module")
def search():
    """A search whose split models are kept."""
    return WeightTrackingGridSearchCV(
        LOGISTIC,
        {"logisticregression__C": [0.01, 1.0]},
        cv=FOLDS,
        capture="splits",
        refit=False,
    ).fit(*CANCER)


def numbers_of(report):
    """The report's metrics, without times."""
    frame = report.metrics.summarize().frame()
    return frame[~frame.index.str.contains("time")].to_numpy(float)


def test_report_of_one_candidate(search):
    """Skore computes the same numbers as from models that it fits itself."""
    best = clone(LOGISTIC).set_params(logisticregression__C=1.0)
    wanted = skore.CrossValidationReport(best, *CANCER, splitter=FOLDS)

    with counting(LogisticRegression(), StandardScaler()) as fits:
        found = search.run_.to_skore(*CANCER, candidates=[1])

    assert fits.count == 0
    assert type(found) is skore.CrossValidationReport
    assert found.ml_task == wanted.ml_task == "binary-classification"
    assert numbers_of(found).size > 10
    assert np.array_equal(numbers_of(found), numbers_of(wanted))
    assert found.reports_[2].estimator_[-1].C == 1.0
    times = search.run_._source.result(search.run_._row(1, 2))["fit_time"]
    assert found.reports_[2].metrics.timings()["fit_time"] == times


def test_training_rows_and_copies(search):
    """Training rows are there too, and the state can be written and read again."""
    best = clone(LOGISTIC).set_params(logisticregression__C=1.0)
    wanted = skore.CrossValidationReport(best, *CANCER, splitter=FOLDS)

    found = search.run_.to_skore(*CANCER, candidates=[1], pos_label=1)

    of_train = found.metrics.accuracy(data_source="train")
    assert of_train.equals(wanted.metrics.accuracy(data_source="train"))
    again = skore.CrossValidationReport.from_dict(found.to_dict())
    assert np.array_equal(numbers_of(again), numbers_of(found))
    assert again.id == found.id


def test_comparison_of_candidates(search):
    """Several candidates make a comparison, named by their params."""
    found = search.run_.to_skore(*CANCER)

    assert type(found) is skore.ComparisonReport
    assert list(found.reports_) == [
        "0: logisticregression__C=0.01",
        "1: logisticregression__C=1.0",
    ]
    assert len({report.id for report in found.reports_.values()}) == 2
    assert found.metrics.summarize().frame().shape[1] == 4


def test_regression():
    """Regressors are reported as regressors."""
    X, y = load_diabetes(return_X_y=True)
    run = (
        WeightTrackingGridSearchCV(
            Ridge(), {"alpha": [0.1]}, cv=KFold(3), capture="both"
        )
        .fit(X, y)
        .run_
    )
    wanted = skore.CrossValidationReport(Ridge(alpha=0.1), X, y, splitter=KFold(3))

    found = run.to_skore(X, y)

    assert found.ml_task == "regression"
    assert np.array_equal(numbers_of(found), numbers_of(wanted))


def test_what_is_refused(search):
    """Other data and runs without split models are refused, as everywhere."""
    X, y = CANCER
    with pytest.raises(EvaluationError, match="values of X"):
        search.run_.to_skore(X + 1, y)
    refits = WeightTrackingGridSearchCV(LOGISTIC, {}, cv=2).fit(X, y)
    with pytest.raises(WeightsNotFoundError, match="capture='splits'"):
        refits.run_.to_skore(X, y)

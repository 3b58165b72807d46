"""Rows of the table of searches: XGBoost, LightGBM and CatBoost.

They run where these are installed, by ``make test-ecosystem``.
"""

from __future__ import annotations

import data_sets as data
import numpy as np
from rows import Table
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# Scores of evaluation sets are not in a booster's bytes, so that the best is refit.
common = {"framework": "boosting", "cv": 2, "fits_again": 1}
XGBOOST = Table(needs=("xgboost",), **common)
LIGHTGBM = Table(needs=("lightgbm",), **common)
CATBOOST = Table(needs=("catboost",), **common)

OBJECTS = "a file holds no functions, classes or objects"


def xgb(kind="Classifier", **params):
    import xgboost

    return getattr(xgboost, f"XGB{kind}")(
        n_estimators=4, max_depth=2, n_jobs=1, **params
    )


def lgbm(kind="Classifier", **params):
    import lightgbm

    small = {"n_estimators": 4, "num_leaves": 4, "n_jobs": 1, "verbose": -1}
    return getattr(lightgbm, f"LGBM{kind}")(**small | params)


def cat(kind="Classifier", **params):
    import catboost

    small = {"iterations": 4, "depth": 2, "thread_count": 1, "verbose": 0}
    return getattr(catboost, f"CatBoost{kind}")(
        allow_writing_files=False, **small | params
    )


def absolute(y, said):
    """Gradient and second derivative of a loss of the user."""
    return np.tanh(said - y), np.ones_like(y, float)


# -- XGBoost ---------------------------------------------------------------------------


@XGBOOST.row(data.iris, quick=True, capture="both", fits_rescored=1)
def xgboost_classifier():
    return xgb(), {"learning_rate": [0.1, 0.5], "booster": ["gbtree", "dart"]}


@XGBOOST.row(data.diabetes, refused_by_file=OBJECTS)
def xgboost_objectives():
    return xgb("Regressor"), {"objective": ["reg:squarederror", absolute]}


@XGBOOST.row(data.iris_missing)
def xgboost_missing():
    return xgb(), {"missing": [np.nan, -1.0], "tree_method": ["hist", "exact"]}


@XGBOOST.row(data.iris, scoring="r2")
def xgboost_random_forest():
    return xgb("RFRegressor"), {"subsample": [0.5, 0.8]}


@XGBOOST.row(data.iris_words)
def xgboost_one_vs_rest():
    return OneVsRestClassifier(make_pipeline(StandardScaler(), xgb())), {
        "estimator__xgbclassifier__learning_rate": [0.1, 0.5]
    }


@XGBOOST.row(data.physique)
def xgboost_multi_output():
    return MultiOutputRegressor(xgb("Regressor")), {
        "estimator__learning_rate": [0.1, 0.5]
    }


@XGBOOST.row(data.cancer)
def xgboost_selects_features():
    return make_pipeline(SelectFromModel(xgb()), RFE(xgb(), step=0.5), GaussianNB()), {
        "selectfrommodel__threshold": ["mean", 0.01]
    }


@XGBOOST.row(data.two_species)
def xgboost_threshold():
    return TunedThresholdClassifierCV(xgb(), cv=2, thresholds=5), {
        "estimator__learning_rate": [0.1, 0.5]
    }


@XGBOOST.row(data.diabetes)
def xgboost_transformed_target():
    return TransformedTargetRegressor(
        xgb("Regressor"), func=np.log, inverse_func=np.exp
    ), {"regressor__learning_rate": [0.1, 0.5]}


@XGBOOST.row(data.iris_weighted)
def xgboost_weighted():
    return xgb(), {"learning_rate": [0.1, 0.5]}


# -- LightGBM --------------------------------------------------------------------------


@LIGHTGBM.row(data.iris_words, quick=True, capture="both", fits_rescored=1)
def lightgbm_classifier():
    return lgbm(), {
        "boosting_type": ["gbdt", "dart"],
        "class_weight": [None, "balanced"],
    }


@LIGHTGBM.row(data.diabetes, refused_by_file=OBJECTS)
def lightgbm_objectives():
    return lgbm("Regressor"), {"objective": ["regression", absolute]}


@LIGHTGBM.row(data.people)
def lightgbm_categories():
    columns = make_column_transformer(
        ("passthrough", ["age", "bmi", "pressure"]), verbose_feature_names_out=False
    ).set_output(transform="pandas")
    return make_pipeline(columns, lgbm(min_child_samples=5)), {
        "lgbmclassifier__learning_rate": [0.1, 0.5]
    }


@LIGHTGBM.row(data.iris_words)
def lightgbm_calibrated():
    return CalibratedClassifierCV(lgbm(), cv=2), {"estimator__num_leaves": [2, 4]}


@LIGHTGBM.row(data.iris_words)
def lightgbm_bagging():
    return BaggingClassifier(lgbm(), n_estimators=2, random_state=0), {
        "estimator__learning_rate": [0.1, 0.5]
    }


@LIGHTGBM.row(data.iris_labels)
def lightgbm_chain():
    return ClassifierChain(lgbm()), {"estimator__num_leaves": [2, 4]}


# -- CatBoost --------------------------------------------------------------------------


@CATBOOST.row(data.iris_words, quick=True, capture="both", fits_rescored=1)
def catboost_classifier():
    return cat(), {"learning_rate": [0.1, 0.5]}


@CATBOOST.row(data.iris)
def catboost_lists_and_dicts():
    return cat(), {
        "class_weights": [[1.0, 2.0, 3.0], {0: 3.0, 1: 1.0, 2: 1.0}],
        "custom_metric": [["Accuracy"]],
    }


@CATBOOST.row(data.diabetes)
def catboost_regressor():
    return make_pipeline(StandardScaler(), cat("Regressor")), {
        "catboostregressor__loss_function": ["RMSE", "MAE"]
    }


@CATBOOST.row(data.iris_words)
def catboost_voting_and_stacking():
    return StackingClassifier(
        [
            (
                "vote",
                VotingClassifier([("cat", cat()), ("b", GaussianNB())], voting="soft"),
            ),
            ("cat", cat()),
        ],
        LogisticRegression(),
        cv=2,
    ), {"vote__cat__learning_rate": [0.1, 0.5]}


TABLE = {**XGBOOST, **LIGHTGBM, **CATBOOST}

"""Rows of the table of searches: functions, classes and estimators of users."""

from __future__ import annotations

import functools
import operator
import sys

import data_sets as data
import numpy as np
import own_code as own
from rows import Table
from scipy import stats
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_transformer,
)
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
)
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

TABLE = Table()
row = TABLE.row

FUNCTIONS = "a file holds no functions"
OBJECTS = "a file holds no objects of users' classes"
CLASSES = "a file holds no classes"
OWN_STATE = "what a class's own __setstate__ does with a state is not known"


def script(name):
    """Return what the user's script has defined."""
    return getattr(sys.modules["__main__"], name)


# -- functions of the estimator --------------------------------------------------------


@row(data.positive, quick=True)
def two_lambdas():
    log = FunctionTransformer(lambda column: np.log(column))
    square = FunctionTransformer(lambda column: column**2)
    return make_pipeline(make_column_transformer((log, [0]), (square, [1])), Ridge()), {
        "ridge__alpha": [1e-3, 10.0]
    }


@row(data.positive, capture="both")
def two_lambdas_in_a_union():
    return make_pipeline(
        make_union(
            FunctionTransformer(lambda X: X[:, :1] * 3),
            FunctionTransformer(lambda X: X[:, 1:] - 3),
            FunctionTransformer(lambda X: X**2),
        ),
        LinearRegression(),
    ), {"linearregression__fit_intercept": [True, False]}


@row(data.positive)
def functions_that_differ_by_what_they_enclose():
    return make_pipeline(
        make_union(
            FunctionTransformer(own.by_factory(0.5)),
            FunctionTransformer(own.by_factory(2)),
        ),
        Ridge(),
    ), {"ridge__alpha": [1e-3, 10.0]}


@row(data.positive)
def functions_in_a_loop():
    steps = [
        (f"power{n}", FunctionTransformer(lambda X, n=n: X[:, :1] ** n))
        for n in (1, 2, 3)
    ]
    return make_pipeline(FeatureUnion(steps), Ridge()), {"ridge__alpha": [1e-3, 10.0]}


@row(data.positive)
def decorated_functions():
    return make_pipeline(
        make_column_transformer(
            (FunctionTransformer(own.doubled), [0]),
            (FunctionTransformer(own.tripled), [1]),
        ),
        Ridge(),
    ), {"ridge__alpha": [1.0, 1000.0]}


@row(data.positive, quick=True)
def partials():
    return make_pipeline(
        make_column_transformer(
            (FunctionTransformer(functools.partial(own.shifted, by=3)), [0]),
            (FunctionTransformer(functools.partial(own.shifted, by=-5)), [1]),
        ),
        StandardScaler(),
        Ridge(),
    ), {"ridge__alpha": [1.0, 1000.0]}


@row(data.positive)
def arguments_of_functions():
    return make_pipeline(
        FunctionTransformer(own.shifted, kw_args={"by": 2.0}), Ridge()
    ), {"functiontransformer__kw_args": [None, {"by": 2.0}, {"by": -1.0}]}


@row(data.positive)
def methods_and_callables():
    class Power:
        def __init__(self, n):
            self.n = n

        def __call__(self, X):
            return X**self.n

    return make_pipeline(
        make_column_transformer(
            (FunctionTransformer(Power(2)), [0]), (FunctionTransformer(Power(3)), [1])
        ),
        Ridge(),
    ), {"ridge__alpha": [1.0, 1000.0]}


@row(data.positive)
def functions_of_operator():
    return make_pipeline(
        make_union(
            FunctionTransformer(operator.itemgetter((slice(None), [0]))),
            FunctionTransformer(operator.neg),
        ),
        Ridge(),
    ), {"ridge__alpha": [1.0, 1000.0]}


@row(data.positive)
def function_with_dispatch():
    return make_pipeline(FunctionTransformer(own.rounded), Ridge()), {
        "ridge__alpha": [1.0, 1000.0]
    }


@row(data.reviews)
def vectorizers_with_lambdas_of_one_name():
    return make_pipeline(
        make_union(
            CountVectorizer(analyzer=lambda text: text.split()),
            TfidfVectorizer(analyzer=lambda text: list(text)),
        ),
        LogisticRegression(),
    ), {"logisticregression__C": [0.1, 10.0]}


@row(data.positive)
def target_by_two_lambdas():
    return TransformedTargetRegressor(
        Ridge(), func=lambda y: np.log1p(y), inverse_func=lambda y: np.expm1(y)
    ), {"regressor__alpha": [1e-3, 10.0]}


# -- functions, classes and objects of the grid ----------------------------------------


@row(data.positive, refused_by_file=FUNCTIONS, quick=True)
def lambdas_in_the_grid():
    return make_pipeline(FunctionTransformer(), Ridge()), {
        "functiontransformer__func": [lambda X: X**2, lambda X: np.log(X), None],
        "ridge__alpha": [1e-3, 10.0],
    }


@row(data.positive, refused_by_file=FUNCTIONS)
def lambdas_in_the_estimator_and_the_grid():
    return make_pipeline(FunctionTransformer(lambda X: X**3), Ridge()), {
        "functiontransformer__func": [lambda X: X**2, lambda X: 1 / X],
    }


@row(data.positive, refused_by_file=FUNCTIONS)
def transformers_with_lambdas_in_the_grid():
    return Pipeline([("change", "passthrough"), ("model", Ridge())]), {
        "change": [
            FunctionTransformer(lambda X: X**2),
            FunctionTransformer(lambda X: np.log(X)),
            make_column_transformer(
                (FunctionTransformer(lambda c: c + 1), [0]),
                (FunctionTransformer(lambda c: c * c), [1]),
            ),
            "passthrough",
        ]
    }


@row(data.positive, refused_by_file=FUNCTIONS)
def functions_of_a_factory_in_the_grid():
    return make_pipeline(FunctionTransformer(), Ridge()), {
        "functiontransformer__func": [own.by_factory(n) for n in (0.5, 1, 2)]
    }


@row(data.positive, refused_by_file=FUNCTIONS)
def functions_in_a_dict_param():
    def apply(X, functions=()):
        for function in functions:
            X = function(X)
        return X

    return make_pipeline(FunctionTransformer(apply), Ridge()), {
        "functiontransformer__kw_args": [
            {"functions": [np.log, lambda X: X + 1]},
            {"functions": (lambda X: X**2,)},
            {"functions": []},
        ]
    }


@row(data.iris, refused_by_file=CLASSES, quick=True)
def classes_in_the_grid():
    return own.Chooser(), {
        "cls": [LogisticRegression, RidgeClassifier, GaussianNB],
        "options": [None, {}],
    }


@row(data.iris, refused_by_file=CLASSES)
def classes_of_the_user_in_the_grid():
    class First(GaussianNB):
        pass

    class Second(GaussianNB):
        def predict(self, X):
            return super().predict(X[:, ::-1])

    return own.Chooser(First), {"cls": [First, Second]}


@row(data.iris, refused_by_file=OBJECTS, quick=True)
def objects_in_the_grid():
    return own.ByStrength(), {
        "strength": [own.PlainStrength(10.0), own.PlainStrength(0.01)],
        "tol": [1e-4, 1e-2],
    }


@row(data.iris, refused_by_file=OBJECTS)
def data_classes_in_the_grid():
    return own.ByStrength(own.Strength(1.0)), {
        "strength": [own.Strength(10.0, ["a"]), own.Strength(0.01)]
    }


@row(data.diabetes, refused_by_file="a file holds no enums", quick=True)
def enums_in_the_grid():
    return own.Typical(), {"kind": list(own.Kind)}


@row(data.diabetes)
def enum_of_the_estimator():
    return TransformedTargetRegressor(own.Typical(own.Kind.MEDIAN)), {
        "transformer": [None, StandardScaler()]
    }


@row(data.iris, refused_by_file="a file holds no enums")
def flags_in_the_grid():
    return make_pipeline(own.PartOfFeatures(), GaussianNB()), {
        "partoffeatures__parts": [
            own.Parts.FIRST,
            own.Parts.LAST,
            own.Parts.FIRST | own.Parts.LAST,
        ]
    }


@row(data.iris, refused_by_file="a file holds no distributions")
def frozen_distributions_in_the_grid():
    class Prior(own.Chooser):
        def __init__(self, prior=None):
            self.prior = prior

        def fit(self, X, y):
            C = self.prior.mean()
            self.model_ = LogisticRegression(C=C, max_iter=200).fit(X, y)
            self.classes_ = self.model_.classes_
            return self

    return Prior(), {
        "prior": [stats.uniform(0.1, 0.2), stats.uniform(5, 1), stats.expon(scale=0.01)]
    }


@row(data.wine)
def dicts_that_differ_by_order():
    return own.NamedLayers(), {
        "layers": [{"narrow": 4, "wide": 16}, {"wide": 16, "narrow": 4}]
    }


@row(data.series, quick=True)
def own_params_with_names_of_neutral_ones():
    return own.RecentMean(), {
        "memory": ["long", "short"],
        "verbose": [0, 1],
        "n_jobs": [1, 2],
    }


@row(data.iris)
def frozen_estimators():
    X, y, _ = data.iris()
    fitted = LogisticRegression(max_iter=300).fit(X, y)
    other = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, y)
    return VotingClassifier(
        [("old", FrozenEstimator(fitted)), ("new", GaussianNB())], voting="soft"
    ), {"old": [FrozenEstimator(fitted), FrozenEstimator(other)]}


# -- estimators of the user ------------------------------------------------------------


@row(data.iris_words, quick=True, capture="both")
def own_transformer():
    return make_pipeline(own.Centre(), LogisticRegression()), {
        "centre__scale": [0.01, 1.0]
    }


@row(data.iris_words, refused_by_file=CLASSES)
def own_estimators_by_turns():
    return Pipeline([("change", own.Centre()), ("model", LogisticRegression())]), [
        {"change": [own.Centre(2.0), own.PartOfFeatures(), "passthrough"]},
        {"model": [own.WithParts(), own.Chooser(GaussianNB)]},
    ]


@row(data.iris_words)
def own_estimator_of_many_parts():
    return own.WithParts(), {
        "base": [
            RidgeClassifier(),
            SVC(),
            make_pipeline(StandardScaler(), GaussianNB()),
        ]
    }


@row(data.iris_words, refused_by_file=FUNCTIONS)
def own_estimator_that_keeps_functions():
    return own.WithParts(), {
        "function": [lambda a: a * 0, lambda a: abs(a) + 9, np.abs]
    }


@row(
    data.iris_words,
    refused="the learned functions are none of the params",
    fits_again=1,
)
def own_estimator_that_learns_functions():
    return own.WithParts(), {"helper": ["shifted", "doubled"]}


@row(data.diabetes)
def estimator_without_base_classes():
    return own.WithoutMixins(), {"constant": [0.0, 5.0]}


@row(data.iris, refused=OWN_STATE, fits_again=1)
def private_state_and_a_lock():
    return own.Remembering(), {"k": [1, 7]}


@row(data.iris, refused=OWN_STATE, fits_again=1)
def learned_things_in_slots():
    return make_pipeline(own.Slotted(), MultinomialNB()), {
        "slotted__factor": [0.5, 1.0]
    }


@row(data.diabetes, quick=True)
def learned_things_of_many_types():
    return own.Counter(), {"base": [5, 8]}


@row(data.iris_weighted, quick=True)
def estimator_that_changes_its_data():
    return own.ChangesData(), {"shift": [0.5, 1.0, 2.0]}


@row(data.iris)
def own_estimators_in_meta_estimators():
    base = make_pipeline(own.Centre(), own.WithParts())
    return VotingClassifier(
        [
            ("bag", BaggingClassifier(base, n_estimators=2, random_state=0)),
            ("one", base),
        ]
    ), {"bag__estimator__centre__scale": [0.1, 1.0]}


@row(data.iris)
def own_estimator_one_vs_rest():
    return OneVsRestClassifier(own.ByStrength(own.Strength(1.0))), {
        "estimator__tol": [1e-4, 1e-1]
    }


@row(data.iris_words)
def own_estimator_calibrated_and_stacked():
    return StackingClassifier(
        [
            ("a", CalibratedClassifierCV(make_pipeline(own.Centre(), SVC()), cv=2)),
            ("b", own.Chooser(GaussianNB)),
        ],
        LogisticRegression(),
        cv=2,
    ), {"a__estimator__centre__scale": [0.1, 1.0]}


@row(data.iris)
def local_class():
    class Local(GaussianNB):
        def predict(self, X):
            return super().predict(np.asarray(X)[:, ::-1])

    return Local(), {"var_smoothing": [1e-9, 1e-2]}


@row(data.iris)
def two_local_classes_of_one_name():
    def make(sign):
        class Shift(own.Centre):
            def transform(self, X):
                return super().transform(X) * sign + 1

        return Shift

    return make_pipeline(
        FeatureUnion([("plus", make(1)()), ("minus", make(-3)())]), LogisticRegression()
    ), {"featureunion__plus__scale": [0.5, 2.0]}


@row(data.people, refused_by_file=CLASSES)
def own_code_in_columns():
    return make_pipeline(
        ColumnTransformer(
            [
                ("age", make_pipeline(FunctionTransformer(lambda c: c - 50)), ["age"]),
                ("bmi", FunctionTransformer(lambda c: c.fillna(20.0)), ["bmi"]),
                ("sex", FunctionTransformer(lambda c: (c == "a").astype(int)), ["sex"]),
                ("day", FunctionTransformer(lambda c: c.dt.year.to_frame()), "day"),
            ]
        ),
        DecisionTreeClassifier(random_state=0),
    ), {
        "decisiontreeclassifier__max_depth": [1, 3],
        "columntransformer__age": ["drop", "passthrough", own.Centre()],
    }


# -- scripts ---------------------------------------------------------------------------


@row(data.iris, script="own_script.py", n_jobs=2, quick=True)
def classes_of_a_script_with_two_workers():
    return make_pipeline(
        script("ScriptCentre")(), script("ScriptClassifier")(script("city"))
    ), {"scriptcentre__scale": [0.5, 2.0]}


@row(data.iris, script="own_script.py", refused_by_file=FUNCTIONS)
def functions_of_a_script_in_the_grid():
    return make_pipeline(
        FunctionTransformer(script("script_root")), script("ScriptClassifier")()
    ), {"scriptclassifier__distance": [script("city"), script("longest")]}


@row(
    data.iris,
    script="own_script.py",
    n_jobs=2,
    capture="both",
    refused_by_file=CLASSES,
)
def classes_of_a_script_in_the_grid_with_two_workers():
    return Pipeline([("centre", "passthrough"), ("model", GaussianNB())]), {
        "centre": [script("ScriptCentre")(), script("ScriptCentre")(3.0), "passthrough"]
    }


# -- scorers of the user ---------------------------------------------------------------


@row(data.diabetes, scoring=make_scorer(mean_absolute_error, greater_is_better=False))
def scorer_made_of_a_function():
    return Ridge(), {"alpha": [0.1, 10.0]}


@row(
    data.iris,
    scoring=make_scorer(
        lambda y, said, power=1: -(float((y != said).sum()) ** power), power=3
    ),
)
def scorer_made_of_a_lambda():
    return SVC(), {"C": [0.1, 10.0]}

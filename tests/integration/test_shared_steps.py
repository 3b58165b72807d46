"""Equal first steps of pipelines are fitted once, and nobody can tell from results."""

from __future__ import annotations

import copy
import cProfile
import re
import threading
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.manifold import Isomap
from sklearn.metrics import get_scorer, make_scorer
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, KFold
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    QuantileTransformer,
    StandardScaler,
)

from weightsearch import (
    WeightTrackingGridSearchCV,
    WeightTrackingHalvingGridSearchCV,
)

X, Y = load_iris(return_X_y=True)
FRAME = load_iris(as_frame=True).data
FRAME["kind"] = np.where(FRAME.iloc[:, 0] > 5.5, "long", "short")
TEXTS = [" ".join(f"w{int(10 * value)}" for value in row) for row in X]
ALPHAS = {"ridge__alpha": [0.1, 1.0, 10.0]}
CS = {"logisticregression__C": [0.1, 1.0, 10.0]}


class Counting(TransformerMixin, BaseEstimator):
    """Adds how often anything of its class has been fitted."""

    n_fits = 0

    def fit(self, X, y=None):
        type(self).n_fits += 1
        self.number_ = self.n_fits
        return self

    def transform(self, X):
        return X + self.number_ % 7


class Spoiling(Ridge):
    """Overwrites what it is fitted on, and what it predicts."""

    def fit(self, X, y, sample_weight=None):
        super().fit(X.copy(), y)
        X[:] = 0.0
        return self

    def predict(self, X):
        predicted = super().predict(X.copy())
        X[:] = 0.0
        return predicted


def logistic(**params):
    return LogisticRegression(max_iter=50, **params)


def own_metric(y_true, y_pred):
    """A metric that scikit-learn does not know."""
    return float(np.cos(y_true - y_pred).sum())


def scorer_that_spoils(estimator, X, y):
    """A scorer that changes the model it has scored."""
    score = estimator.score(X, y)
    estimator[0].mean_ += 1.0
    return score


COLUMNS = make_column_transformer(
    (make_pipeline(SimpleImputer(), StandardScaler()), FRAME.columns[:4].tolist()),
    (OneHotEncoder(), ["kind"]),
)

PARTS = make_column_transformer(
    (make_pipeline(SimpleImputer(), StandardScaler()), FRAME.columns[:3].tolist()),
    (OneHotEncoder(), ["kind"]),
    (KBinsDiscretizer(2, strategy="uniform"), [3]),
)
RARE = FRAME.assign(kind=[*FRAME["kind"][:-1], "rare"])
SCALERS = [StandardScaler(), MinMaxScaler()]

# estimator, grid, (X, y), options, fits of steps spared in the three splits
CASES = {
    "chain": (
        Pipeline(
            [
                ("scale", StandardScaler()),
                ("select", SelectKBest(f_classif)),
                ("pca", PCA(random_state=0)),
                ("model", logistic()),
            ]
        ),
        {"select__k": [2, 3], "pca__n_components": [1, 2], "model__C": [0.1, 1.0]},
        (X, Y),
        {"return_train_score": True},
        3 * (7 + 6 + 4),
    ),
    "text": (
        make_pipeline(TfidfVectorizer(), logistic()),
        {"tfidfvectorizer__ngram_range": [(1, 1), (1, 2)], **CS},
        (TEXTS, Y),
        {"scoring": ["accuracy", "neg_log_loss"], "refit": "accuracy"},
        3 * 4,
    ),
    "columns": (
        make_pipeline(COLUMNS, logistic()),
        CS,
        (FRAME, Y),
        {"return_train_score": True, "scoring": ["f1_macro", "neg_log_loss"]}
        | {"refit": "f1_macro"},
        3 * 2,
    ),
    "union": (
        make_pipeline(
            FeatureUnion([("pca", PCA(2)), ("scale", StandardScaler())]), logistic()
        ),
        CS,
        (X, Y),
        {"return_train_score": True, "scoring": make_scorer(own_metric)},
        3 * 2,
    ),
    "parts of columns": (
        make_pipeline(PARTS, logistic()),
        {
            "columntransformer__pipeline__simpleimputer__strategy": ["mean", "median"],
            "columntransformer__onehotencoder": [OneHotEncoder(), "drop"],
            "logisticregression__C": [0.1, 1.0],
        },
        (FRAME, Y),
        {"return_train_score": True, "scoring": ["accuracy", "f1_macro"]}
        | {"refit": "accuracy"},
        # Eight candidates of four kinds of columns, whose parts are two imputers with
        # scalers, an encoder or none, and a discretizer.
        3 * (4 + 2 + 1 + 3),
    ),
    "parts of texts": (
        make_pipeline(
            FeatureUnion(
                [("words", TfidfVectorizer()), ("pairs", TfidfVectorizer())],
                transformer_weights={"pairs": 0.5},
            ),
            logistic(),
        ),
        {
            "featureunion__pairs__ngram_range": [(2, 2), (1, 2)],
            "featureunion__words__min_df": [1, 2],
        },
        (TEXTS, Y),
        {"return_train_score": True},
        3 * 4,
    ),
    "parts after a step": (
        make_pipeline(
            StandardScaler(),
            FeatureUnion([("pca", PCA(2)), ("all", "passthrough"), ("more", "drop")]),
            logistic(),
        ),
        {
            "featureunion__more": ["drop", MinMaxScaler()],
            "featureunion__pca__n_components": [1, 2],
        },
        (X, Y),
        {},
        3 * (3 + 2 + 1),
    ),
    "params of the whole": (
        make_pipeline(PARTS, logistic()),
        {"columntransformer__sparse_threshold": [0.0, 1.0]},
        (FRAME, Y),
        {},
        0,
    ),
    "failing parts": (
        make_pipeline(
            FeatureUnion([("scale", StandardScaler()), ("pca", PCA())]), logistic()
        ),
        {"featureunion__pca__n_components": [1, 2, 99]},
        (X, Y),
        {},
        3 * 2,
    ),
    "transformer as last step": (
        make_pipeline(StandardScaler(), PCA()),
        {"pca__n_components": [1, 2]},
        (X, Y),
        {"return_train_score": True},
        3,
    ),
    "rows that cannot be transformed": (
        make_pipeline(COLUMNS, logistic()),
        CS,
        (RARE, Y),
        {"return_train_score": True, "cv": KFold(3)},
        3 * 2,
    ),
    "one object in two steps": (
        make_pipeline("passthrough", "passthrough", logistic()),
        {"passthrough-1": SCALERS, "passthrough-2": SCALERS},
        (X, Y),
        {},
        3 * 2,
    ),
    "output in frames": (
        make_pipeline(StandardScaler(), PCA(2), logistic()).set_output(
            transform="pandas"
        ),
        CS,
        (FRAME.iloc[:, :4], Y),
        {},
        3 * 4,
    ),
    "passthrough": (
        make_pipeline(StandardScaler(), "passthrough", logistic()),
        {"passthrough": ["passthrough", PCA(2), MinMaxScaler()], **CS},
        (X, Y),
        {},
        3 * (8 + 2 + 2),
    ),
    # What comes out of the first step is changed in place by those after it.
    "later steps in place": (
        make_pipeline(StandardScaler(), MinMaxScaler(copy=False), Ridge(copy_X=False)),
        ALPHAS,
        (X, Y),
        {"return_train_score": True},
        3 * 2,
    ),
    "spoiling model": (
        make_pipeline(StandardScaler(), Spoiling()),
        {"spoiling__alpha": [0.1, 1.0, 10.0]},
        (X, Y),
        {"return_train_score": True},
        3 * 2,
    ),
    "scorer that spoils": (
        make_pipeline(StandardScaler(), logistic()),
        CS,
        (X, Y),
        {"scoring": scorer_that_spoils},
        3 * 2,
    ),
    "failing candidates": (
        make_pipeline(StandardScaler(), SelectKBest(), logistic()),
        {"selectkbest__score_func": [f_classif, None], "logisticregression__C": [1, 2]},
        (X, Y),
        {},
        3 * (3 + 1),
    ),
    # These are fitted for every candidate.
    "first step in place": (
        make_pipeline(StandardScaler(copy=False), logistic()),
        CS,
        (X, Y),
        {"return_train_score": True},
        0,
    ),
    "nothing done": (
        make_pipeline(FunctionTransformer(), MinMaxScaler(copy=False), logistic()),
        CS,
        (X, Y),
        {"return_train_score": True},
        0,
    ),
    "its own array handed out": (
        make_pipeline(Isomap(n_components=2), Ridge(copy_X=False)),
        ALPHAS,
        (X, Y),
        {},
        0,
    ),
    "user's code": (
        make_pipeline(FunctionTransformer(np.sin), Counting(), Ridge()),
        ALPHAS,
        (X, Y),
        {},
        3 * 2,
    ),
    "memory": (
        make_pipeline(StandardScaler(), logistic(), memory="{tmp_path}"),
        CS,
        (X, Y),
        {},
        0,
    ),
}
IN_WORKERS = ["chain", "text", "passthrough", "spoiling model", "parts of texts"]


def run(search, data, **params):
    """Fit a search whose data, users' code and random numbers are those of others."""
    Counting.n_fits = 0
    np.random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return search.fit(*copy.deepcopy(data), **params)


def assert_same_results(search, plain):
    """All but times are equal, to the bit."""
    assert list(search.cv_results_) == list(plain.cv_results_)
    for name, column in plain.cv_results_.items():
        if "time" not in name:
            np.testing.assert_array_equal(search.cv_results_[name], column, name)


def spared(capsys):
    """Numbers of fits that were spared, as they were printed."""
    return [int(n) for n in re.findall(r"(\d+) fits? of pipe", capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("name", "n_jobs"),
    [
        *((name, None) for name in CASES),
        ("columns", 2),
        *(pytest.param(name, 2, marks=pytest.mark.slow) for name in IN_WORKERS),
    ],
)
def test_results_are_those_of_grid_search(name, n_jobs, capsys, tmp_path):
    """Scores and all stored weights are equal; steps are spared where they can be."""
    estimator, grid, data, options, n_spared = CASES[name]
    if name == "memory":
        estimator = clone(estimator).set_params(memory=str(tmp_path / "cache"))
    options = {"cv": 3, **options}
    plain = run(GridSearchCV(estimator, grid, **options), data)
    own = {"capture": "splits", "n_jobs": n_jobs, "verbose": 1, **options}
    search = run(WeightTrackingGridSearchCV(estimator, grid, **own), data)
    assert_same_results(search, plain)
    printed = spared(capsys)
    if n_jobs is None:
        assert printed == ([n_spared] if n_spared else [])
    elif name != "chain":
        assert 0 < printed[0] <= n_spared
    assert (
        search.best_estimator_.get_params().keys()
        == plain.best_estimator_.get_params().keys()
    )
    assert search.best_estimator_.memory == estimator.memory
    own |= {"share_prefixes": False}
    alone = run(WeightTrackingGridSearchCV(estimator, grid, **own), data)
    assert spared(capsys) == []
    for number in range(len(search.run_)):
        if np.isnan(
            plain.cv_results_[next(k for k in plain.cv_results_ if "0_t" in k)][number]
        ):
            continue
        for split in range(3):
            ours, theirs = (
                one.run_.weights(number, split=split).to_dict()
                for one in (search, alone)
            )
            assert list(ours) == list(theirs)
            for weight, array in theirs.items():
                np.testing.assert_array_equal(ours[weight], array, weight)


@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_refits_share_steps_too(n_jobs, capsys):
    """Refits are those of estimators fitted by hand."""
    estimator, grid, data, *_ = CASES["chain"]
    search = WeightTrackingGridSearchCV(
        estimator, grid, cv=3, n_jobs=n_jobs, verbose=1
    ).fit(*data)
    assert len(spared(capsys)) == 2
    for params in search.cv_results_["params"]:
        model = clone(estimator).set_params(**params).fit(*data)
        weights = search.weights_by_params_[params]
        np.testing.assert_array_equal(weights["model/coef_"], model["model"].coef_)
        np.testing.assert_array_equal(weights["pca/mean_"], model["pca"].mean_)


def test_what_draws_is_fitted_for_each_candidate(capsys):
    """A step without a seed draws as often as in scikit-learn; one with a seed once."""
    steps = [
        ("q", QuantileTransformer(n_quantiles=10, subsample=40)),
        ("scale", StandardScaler()),
    ]
    forest = RandomForestClassifier(3)
    pipeline = Pipeline([*steps, ("forest", forest)])
    grid = {"forest__max_depth": [1, 2, 3]}
    plain = run(GridSearchCV(pipeline, grid, cv=3), (X, Y))
    search = WeightTrackingGridSearchCV(
        pipeline, grid, cv=3, capture="splits", verbose=1
    )
    assert_same_results(run(search, (X, Y)), plain)
    assert spared(capsys) == []
    seeded = clone(search).set_params(estimator__q__random_state=0)
    run(seeded, (X, Y))
    assert spared(capsys) == [3 * 4]


@pytest.mark.parametrize("action", ["always", "default", "error"])
def test_warnings_of_steps_come_as_often(action):
    """A step that warns is not shared while its warnings are heard."""
    data = X.copy()
    data[:, 1] = 0.0
    pipeline = make_pipeline(SelectKBest(f_classif, k=2), logistic())

    def heard(search):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            search.fit(data, Y)
        return sorted(str(one.message)[:60] for one in caught)

    plain = GridSearchCV(pipeline, CS, cv=3)
    ours = WeightTrackingGridSearchCV(pipeline, CS, cv=3, capture="splits")
    try:
        expected = heard(plain)
    except (UserWarning, ValueError) as error:
        with pytest.raises(type(error)):
            heard(ours)
    else:
        assert heard(ours) == expected
        assert any("constant" in message for message in expected)


def test_warnings_of_transforms_come_as_often():
    """Rows that a step warns about are transformed for each candidate."""
    encoder = OneHotEncoder(drop="first", handle_unknown="ignore")
    pipeline = make_pipeline(make_column_transformer((encoder, ["kind"])), logistic())
    heard = []
    for cls, own in (
        (GridSearchCV, {}),
        (WeightTrackingGridSearchCV, {"capture": "splits"}),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            cls(pipeline, CS, cv=KFold(3), **own).fit(RARE, Y)
        messages = [str(one.message) for one in caught]
        heard.append([text for text in messages if "unknown categories" in text])
    assert heard[0] == heard[1] != []


def test_rows_to_score_are_transformed_once():
    """For all candidates and metrics, where scorers do not look at the steps."""
    pipeline = make_pipeline(TfidfVectorizer(), logistic())

    def n_calls(pipeline=pipeline, grid=CS, **params):
        search = WeightTrackingGridSearchCV(pipeline, grid, cv=3, refit=False, **params)
        profile = cProfile.Profile()
        profile.runcall(run, search, (TEXTS, Y))
        calls = {entry.code: entry.callcount for entry in profile.getstats()}
        return calls[TfidfVectorizer.transform.__code__]

    metrics = ["accuracy", "neg_log_loss"]
    assert n_calls() == 3
    assert n_calls(scoring=metrics, return_train_score=True) == 3 * 2
    assert n_calls(share_prefixes=False) == 3 * 3
    assert n_calls(scoring=lambda model, X, y: model.score(X, y)) == 3 * 3
    # Two vectorizers, each with two values: four candidates.
    assert n_calls(*CASES["parts of texts"][:2]) == 3 * 4
    assert n_calls(*CASES["parts of texts"][:2], share_prefixes=False) == 3 * 4 * 2


def test_halving_rounds_have_data_of_their_own():
    """Steps that were fitted on a subsample are not used for a larger one."""
    estimator, grid, data, *_ = CASES["chain"]
    options = {"cv": 3, "random_state": 0, "factor": 2, "min_resources": 30}
    plain = run(HalvingGridSearchCV(estimator, grid, **options), data)
    search = WeightTrackingHalvingGridSearchCV(estimator, grid, **options)
    assert_same_results(run(search, data), plain)


def test_params_of_fit_that_a_step_gets_are_respected():
    """A step that gets weights of rows is fitted for each candidate."""
    pipeline = make_pipeline(StandardScaler(), logistic())
    weights = np.arange(len(Y)) % 3 + 1.0
    params = {"standardscaler__sample_weight": weights}
    plain = run(GridSearchCV(pipeline, CS, cv=3), (X, Y), **params)
    search = WeightTrackingGridSearchCV(pipeline, CS, cv=3)
    assert_same_results(run(search, (X, Y), **params), plain)


def test_requests_for_params_of_fit_are_respected():
    """A step that asks for weights gets them. Requests hold their owner."""
    weights = np.linspace(0.1, 2.0, len(Y))
    scores = []
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        model = logistic().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, model)
        scorer = get_scorer("accuracy").set_score_request(sample_weight=False)
        for search in (GridSearchCV, WeightTrackingGridSearchCV):
            fitted = search(pipeline, CS, scoring=scorer)
            fitted.fit(X, Y, sample_weight=weights)
            scores.append(fitted.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(*scores)


def test_too_small_a_limit_shares_nothing(capsys):
    """Data that do not fit into the bytes that are allowed are not kept."""
    estimator, grid, data, *_ = CASES["chain"]
    search = WeightTrackingGridSearchCV(
        estimator, grid, cv=3, capture="splits", verbose=1, share_prefixes=100
    )
    search.fit(*data)
    assert spared(capsys) == []


def test_fits_are_reused_with_and_without_sharing(tmp_path, capsys):
    """Whether steps were shared does not matter to the identity of a fit."""
    estimator, grid, data, *_ = CASES["chain"]
    options = {"cv": 3, "store": tmp_path / "search.h5", "verbose": 1}
    WeightTrackingGridSearchCV(estimator, grid, **options).fit(*data)
    again = WeightTrackingGridSearchCV(estimator, grid, share_prefixes=False, **options)
    again.fit(*data)
    assert "24 of 24 fits reused" in capsys.readouterr().out


def test_outside_of_the_main_thread_nothing_is_shared(capsys):
    """Warnings are heard by all threads at once, so steps stay unshared in them."""
    estimator, grid, data, *_ = CASES["chain"]
    search = WeightTrackingGridSearchCV(
        estimator, grid, cv=3, capture="splits", verbose=1
    )
    thread = threading.Thread(target=search.fit, args=data)
    thread.start()
    thread.join()
    assert spared(capsys) == []
    assert_same_results(search, GridSearchCV(estimator, grid, cv=3).fit(*data))

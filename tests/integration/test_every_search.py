"""Randomized and halving searches: what the grid search does, they do too."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from scipy.stats import loguniform, randint
from search_estimators import CountingClassifier, Interrupting, count_fits
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    RandomizedSearchCV,
)
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import (
    InvalidGridError,
    NoWeightsWarning,
    WeightsNotFoundError,
    WeightStore,
)
from weightsearch.search import (
    WeightTrackingHalvingGridSearchCV,
    WeightTrackingHalvingRandomSearchCV,
    WeightTrackingRandomizedSearchCV,
)

GRID = {"C": [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]}
DRAWN = {"C": loguniform(0.001, 100)}
SEARCHES = {
    "random": (WeightTrackingRandomizedSearchCV, DRAWN, {"n_iter": 6}),
    "halving": (WeightTrackingHalvingGridSearchCV, GRID, {}),
    "halving-random": (
        WeightTrackingHalvingRandomSearchCV,
        DRAWN,
        {"n_candidates": 6, "min_resources": 50},
    ),
}
THEIRS = {
    "random": RandomizedSearchCV,
    "halving": HalvingGridSearchCV,
    "halving-random": HalvingRandomSearchCV,
}
N_ROWS = {"random": 6, "halving": 8, "halving-random": 8}
N_REFITS = {"random": 6, "halving": 2, "halving-random": 2}

every_search = pytest.mark.parametrize("kind", SEARCHES)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture
def log(tmp_path):
    return str(tmp_path / "fits.log")


def make(kind, estimator, *, theirs=False, **kwargs):
    """Make a search of six candidates, which halving leaves two of."""
    cls, space, settings = SEARCHES[kind]
    kwargs = {"cv": 3, "random_state": 0, **settings, **kwargs}
    return (THEIRS[kind] if theirs else cls)(estimator, space, **kwargs)


def equal_results(ours, theirs):
    """Compare two cv_results_ to the bit, times apart."""
    assert list(ours) == list(theirs)
    for name in theirs:
        if not name.endswith("_time"):
            np.testing.assert_equal(ours[name], theirs[name], err_msg=name)


# -- as scikit-learn does -----------------------------------------------------------


@every_search
@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_results_are_those_of_scikit_learn(iris, kind, n_jobs):
    """cv_results_, best_* and predictions are those of the original, to the bit."""
    estimator = LogisticRegression(max_iter=200)
    theirs = make(kind, estimator, theirs=True, n_jobs=n_jobs).fit(*iris)
    ours = make(kind, estimator, n_jobs=n_jobs).fit(*iris)
    equal_results(ours.cv_results_, theirs.cv_results_)
    for name in ("best_index_", "best_score_", "best_params_", "n_splits_"):
        assert getattr(ours, name) == getattr(theirs, name)
    np.testing.assert_array_equal(ours.predict(iris[0]), theirs.predict(iris[0]))


@every_search
def test_global_random_state_is_used_as_scikit_learn_uses_it(iris, kind, tmp_path):
    """Without a seed of its own a search draws what the original draws."""
    searches = [
        make(kind, LogisticRegression(max_iter=200), random_state=None, **kwargs)
        for kwargs in ({"theirs": True}, {}, {"store": tmp_path / "s.h5"})
    ]
    for search in searches:
        np.random.seed(5)
        search.fit(*iris)
        search.drawn = np.random.random()
    for ours in searches[1:]:
        equal_results(ours.cv_results_, searches[0].cv_results_)
        assert ours.drawn == searches[0].drawn


def test_several_metrics(iris):
    """A randomized search takes several metrics, and keep counts by the chosen one."""
    kwargs = {"scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss"}
    estimator = LogisticRegression(max_iter=200)
    theirs = make("random", estimator, theirs=True, **kwargs).fit(*iris)
    ours = make("random", estimator, keep=2, **kwargs).fit(*iris)
    equal_results(ours.cv_results_, theirs.cv_results_)
    kept = {
        number
        for number, status in ours.run_.candidates["status"].items()
        if status == "ok"
    }
    ranks = ours.cv_results_["rank_test_neg_log_loss"]
    assert sorted(ranks[list(kept)]) == [1, 2]


# -- fits and weights ---------------------------------------------------------------


@every_search
@pytest.mark.parametrize(
    ("capture", "keep", "n_jobs"),
    [
        ("refit", "all", 1),
        ("splits", "all", 1),
        pytest.param("both", 2, 2, marks=pytest.mark.slow),
        ("refit", 1, 1),
    ],
)
def test_number_of_fits(iris, log, kind, capture, keep, n_jobs):
    """A search fits as often as its capture and keep promise, and no more."""
    search = make(
        kind, CountingClassifier(log), capture=capture, keep=keep, n_jobs=n_jobs
    ).fit(*iris)
    refits = 1 if capture == "splits" else N_REFITS[kind] if keep == "all" else keep
    assert count_fits(log) == 3 * N_ROWS[kind] + refits
    assert len(search.weights_by_params_) == refits
    if capture != "refit":
        assert search.run_.stack("coef_", split=2)[0].shape == (N_ROWS[kind], 3, 4)


@every_search
def test_no_refit(iris, log, kind):
    """With refit=False there is no fit more than the original makes."""
    with pytest.warns(NoWeightsWarning, match="refit=False"):
        search = make(kind, CountingClassifier(log), refit=False).fit(*iris)
    assert count_fits(log) == 3 * N_ROWS[kind]
    with pytest.raises(WeightsNotFoundError, match="refit=False"):
        search.run_.weights(0)


@every_search
def test_refits_equal_fits_by_hand(kind):
    """Captured refits are bit for bit those of clone, set_params, fit."""
    X, y = load_diabetes(return_X_y=True)
    estimator = make_pipeline(
        StandardScaler(),
        MLPRegressor(hidden_layer_sizes=(4,), max_iter=10, random_state=0),
    )
    cls, _, settings = SEARCHES[kind]
    space = {"mlpregressor__alpha": [1e-4, 1e-2, 1.0, 10.0, 50.0, 100.0]}
    search = cls(estimator, space, cv=3, random_state=0, n_jobs=2, **settings)
    search.fit(X, y)
    assert len(search.weights_by_params_) == N_REFITS[kind]
    for params, weights in search.weights_by_params_.items():
        fitted = clone(estimator).set_params(**params).fit(X, y)[-1]
        for i, coefs in enumerate(fitted.coefs_):
            name = next(name for name in weights if name.endswith(f"coefs_/{i}"))
            np.testing.assert_array_equal(weights[name], coefs, strict=True)


# -- reuse --------------------------------------------------------------------------


@every_search
@pytest.mark.parametrize("capture", ["refit", "splits"])
def test_the_same_search_again_fits_nothing(iris, tmp_path, log, kind, capture):
    """A complete store leaves nothing to do."""
    path = tmp_path / "s.h5"
    first = make(kind, CountingClassifier(log), store=path, capture=capture).fit(*iris)
    n_fits = count_fits(log)
    again = make(kind, CountingClassifier(log), store=path, capture=capture).fit(*iris)
    assert count_fits(log) == n_fits
    equal_results(again.cv_results_, first.cv_results_)
    assert again.run_.uid == first.run_.uid


@every_search
def test_resume_false_fits_all_anew(iris, tmp_path, log, kind):
    """With resume=False nothing is reused."""
    for _ in range(2):
        make(kind, CountingClassifier(log), store=tmp_path / "s.h5", resume=False).fit(
            *iris
        )
    assert count_fits(log) == 2 * (3 * N_ROWS[kind] + N_REFITS[kind])


@every_search
@pytest.mark.parametrize(("seed", "later"), [(0, False), (None, False), (None, True)])
def test_an_interrupted_search_goes_on(iris, tmp_path, kind, seed, later):
    """What was finished is not fitted again, with or without a seed."""
    path, log = tmp_path / "s.h5", tmp_path / "fits.log"
    after = 3 * N_ROWS[kind] - 2 if later else 7
    kwargs = {"store": path, "random_state": seed, "capture": "splits"}
    with pytest.raises(KeyboardInterrupt):
        make(kind, Interrupting(str(log), pause=after), **kwargs).fit(*iris)
    with WeightStore(path) as store:
        begun = [store.run().params(number) for number in range(2)]
    log.write_text("x\n" * (after + 1))

    resumed = make(kind, Interrupting(str(log), pause=after), **kwargs).fit(*iris)

    assert count_fits(log) == (after + 1) + (3 * N_ROWS[kind] + 1 - after)
    assert [resumed.run_.params(number) for number in range(2)] == begun
    assert resumed.random_state is seed
    with WeightStore(path) as store:
        assert [run.status for run in store.runs.values()] == ["complete"]
        assert store.verify() == []


@pytest.mark.parametrize("kind", ["random", "halving-random"])
def test_a_complete_search_without_a_seed_draws_anew(iris, tmp_path, kind):
    """Who draws without a seed wants other candidates next time."""
    first, second = (
        make(kind, CountingClassifier(), store=tmp_path / "s.h5", random_state=None)
        .fit(*iris)
        .cv_results_["params"]
        for _ in range(2)
    )
    assert not any(params in first for params in second)


def test_an_unfinished_search_is_resumed_once(iris, tmp_path):
    """Its draws are not forced on every search that comes after it."""
    path, log = tmp_path / "s.h5", tmp_path / "fits.log"
    kwargs = {"store": path, "random_state": None, "capture": "splits"}
    interrupting = Interrupting(str(log), pause=5)
    with pytest.raises(KeyboardInterrupt):
        make("random", interrupting, **kwargs).fit(*iris)
    with WeightStore(path) as store:
        begun = store.run().params(0)
    log.write_text("x\n" * 6)
    first = make("random", interrupting, **kwargs).fit(*iris)
    second = make("random", interrupting, **kwargs).fit(*iris)
    assert first.cv_results_["params"][0] == begun
    assert second.cv_results_["params"][0] != begun


@pytest.mark.parametrize(
    "change", ["estimator", "data", "sample_weight", "distribution", "cv", "n_iter"]
)
def test_draws_are_those_of_the_same_search(iris, tmp_path, change):
    """Only a search that differs in its number of draws takes over unfinished ones."""
    X, y = iris
    log = tmp_path / "fits.log"
    kwargs = {"store": tmp_path / "s.h5", "random_state": None, "n_iter": 6, "cv": 3}
    space = {"C": loguniform(0.01, 100)}
    weight = np.ones(150)
    with pytest.raises(KeyboardInterrupt):
        WeightTrackingRandomizedSearchCV(
            Interrupting(str(log), pause=5), space, **kwargs
        ).fit(X, y, sample_weight=weight)
    with WeightStore(tmp_path / "s.h5") as store:
        begun = store.run().params(0)
    log.write_text("x\n" * 6)
    estimator = Interrupting(str(log), pause=5)
    if change == "estimator":
        estimator = CountingClassifier()
    elif change == "data":
        X = X + 1e-9
    elif change == "sample_weight":
        weight = weight + 1e-9
    elif change == "distribution":
        space = {"C": loguniform(0.01, 101)}
    else:
        kwargs[change] = {"cv": 4, "n_iter": 7}[change]
    resumed = WeightTrackingRandomizedSearchCV(estimator, space, **kwargs)
    resumed.fit(X, y, sample_weight=weight)
    assert (resumed.cv_results_["params"][0] == begun) is (change == "n_iter")


def test_a_larger_random_search_goes_on_where_a_smaller_one_ended(iris, tmp_path, log):
    """With a seed and a distribution the first candidates stay the same."""
    path = tmp_path / "s.h5"
    make("random", CountingClassifier(log), store=path).fit(*iris)
    n_fits = count_fits(log)
    make("random", CountingClassifier(log), store=path, n_iter=9).fit(*iris)
    assert count_fits(log) == n_fits + 3 * 3 + 3


def test_candidates_drawn_twice_are_refit_once(iris, log):
    """Equal params make one refit, found by them whichever candidate it was."""
    search = WeightTrackingRandomizedSearchCV(
        CountingClassifier(log),
        {"C": randint(1, 4), "fail_refit": [False]},
        n_iter=10,
        cv=3,
        random_state=0,
    ).fit(*iris)
    different = {params["C"] for params in search.cv_results_["params"]}
    assert len(different) < 10
    assert count_fits(log) == 30 + len(different)
    for params in search.cv_results_["params"]:
        np.testing.assert_array_equal(
            search.run_.weights(params)["coef_"],
            search.weights_by_params_[params]["coef_"],
        )


# -- params -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["random", "halving-random"])
def test_names_are_checked_before_the_first_fit(iris, log, kind):
    """A name that cannot be set ends the search before any fit, with a suggestion."""
    cls = SEARCHES[kind][0]
    space = [{"C": loguniform(0.1, 1)}, {"c": loguniform(0.1, 1), "pause": [0.0]}]
    with pytest.raises(InvalidGridError, match="'C'"):
        cls(CountingClassifier(log), space, random_state=0).fit(*iris)
    assert count_fits(log) == 0


def test_names_that_depend_on_a_drawn_estimator(iris):
    """Params of an estimator that is itself drawn are checked on that estimator."""
    pipeline = make_pipeline(StandardScaler(), CountingClassifier())
    steps = [CountingClassifier(), LogisticRegression(max_iter=300)]
    space = {"countingclassifier": steps, "countingclassifier__C": loguniform(0.1, 1)}
    search = WeightTrackingRandomizedSearchCV(
        pipeline, space, n_iter=3, random_state=0, cv=3
    ).fit(*iris)
    assert len(search.weights_by_params_) == 3
    space["countingclassifier__max_iter"] = [100]
    with pytest.raises(InvalidGridError, match="max_iter"):
        search.set_params(param_distributions=space).fit(*iris)


@every_search
def test_cloning_and_params(kind):
    """get_params, set_params and clone know every param, and invalid ones are told."""
    search = make(kind, CountingClassifier(), keep=3, capture="both", store="s.h5")
    params = clone(search).get_params()
    assert (params["keep"], params["capture"], params["store"]) == (3, "both", "s.h5")
    assert list(params["estimator"].get_params()) == [
        name.removeprefix("estimator__") for name in params if "estimator__" in name
    ]
    with pytest.raises(ValueError, match="'keep' parameter"):
        search.set_params(keep=0).fit([[0], [1]], [0, 1])


@every_search
def test_pickling(iris, kind):
    """A pickled search takes its private store along."""
    search = make(kind, LogisticRegression(max_iter=200)).fit(*iris)
    expected = search.weights_by_params_[search.best_params_]["coef_"]
    copy = pickle.loads(pickle.dumps(search))
    del search
    found = copy.weights_by_params_[copy.best_params_]["coef_"]
    np.testing.assert_array_equal(found, expected)


# -- halving ------------------------------------------------------------------------


def test_iterations_are_columns_of_the_candidates(iris, tmp_path):
    """Each row of cv_results_ is a candidate, with its iteration and resources."""
    path = tmp_path / "s.h5"
    make("halving", CountingClassifier(), store=path).fit(*iris)
    with WeightStore(path) as store:
        frame = store.run().candidates
    assert frame["iter"].tolist() == [0] * 6 + [1] * 2
    assert frame["n_resources"].tolist() == [50] * 6 + [150] * 2
    assert frame["status"].tolist() == ["no refit"] * 6 + ["ok"] * 2


@pytest.mark.parametrize("keep", ["all", 4, 2])
def test_refits_of_all_iterations(iris, log, keep):
    """refit_iterations="all" refits each params once, the best of the last first."""
    search = make(
        "halving", CountingClassifier(log), refit_iterations="all", keep=keep
    ).fit(*iris)
    n_refits = 6 if keep == "all" else keep
    assert count_fits(log) == 3 * 8 + n_refits
    refit = search.run_.candidates.query("status == 'ok'")
    assert list(refit.query("iter == 1").index) == [6, 7]
    assert len(refit) == refit["C"].nunique() == n_refits
    eliminated = search.cv_results_["rank_test_score"][:6].argsort(kind="stable")
    beaten = [
        i for i in eliminated if search.run_.params(i)["C"] not in survivors(search)
    ]
    assert set(refit.query("iter == 0").index) == set(beaten[: n_refits - 2])


def survivors(search):
    return [params["C"] for params in search.cv_results_["params"][6:]]


@pytest.mark.parametrize("capture", ["refit", "both"])
def test_params_stand_for_the_last_iteration(iris, capture):
    """Weights found by params are those of the candidate that got furthest."""
    search = make(
        "halving", CountingClassifier(), capture=capture, refit_iterations="all"
    ).fit(*iris)
    run = search.run_
    first = {search.run_.params(number)["C"]: number for number in range(6)}
    for last in (6, 7):
        params = run.params(last)
        early = first[params["C"]]
        np.testing.assert_array_equal(
            run.weights(params)["coef_"], run.weights(last)["coef_"]
        )
        with pytest.raises(WeightsNotFoundError, match=f"as candidate {last}"):
            run.weights(early)
        if capture == "both":
            by_split = run.weights(params, split=1)["coef_"]
            np.testing.assert_array_equal(by_split, run.weights(last, split=1)["coef_"])
            assert (by_split != run.weights(early, split=1)["coef_"]).any()
            np.testing.assert_array_equal(
                run.weights_by_params(split=1)[params]["coef_"], by_split
            )


def test_why_an_eliminated_candidate_has_no_refit(iris):
    """The error names the setting that left it out."""
    search = make("halving", CountingClassifier()).fit(*iris)
    gone = next(
        n for n in range(6) if search.run_.params(n)["C"] not in survivors(search)
    )
    with pytest.raises(WeightsNotFoundError, match="refit_iterations='last'"):
        search.run_.weights(gone)


def test_a_param_as_the_resource():
    """Where the resource is a param, candidates of two iterations differ in it."""
    X, y = load_diabetes(return_X_y=True)
    search = WeightTrackingHalvingGridSearchCV(
        MLPRegressor(hidden_layer_sizes=(3,), random_state=0),
        {"alpha": [1e-4, 1e-2, 1.0]},
        resource="max_iter",
        max_resources=9,
        cv=3,
        random_state=0,
        refit_iterations="all",
    ).fit(X, y)
    assert search.n_resources_ == [3, 9]
    assert len(search.weights_by_params_) == len(search.run_) == 4
    best = search.best_params_
    for max_iter in search.n_resources_:
        params = {**best, "max_iter": max_iter}
        by_hand = clone(search.estimator).set_params(**params).fit(X, y)
        np.testing.assert_array_equal(
            search.weights_by_params_[params]["coefs_/0"], by_hand.coefs_[0]
        )


def test_a_grown_halving_grid_reuses_what_has_the_same_resources(iris, tmp_path, log):
    """With min_resources as a number the first iteration's fits are reused."""
    kwargs = {"store": tmp_path / "s.h5", "min_resources": 50, "capture": "splits"}
    small = make("halving", CountingClassifier(log), **kwargs)
    small.set_params(param_grid={"C": GRID["C"][:4]}).fit(*iris)
    before = count_fits(log)
    grown = make("halving", CountingClassifier(log), **kwargs).fit(*iris)
    in_both = [
        params["C"]
        for params in grown.cv_results_["params"][6:]
        if params["C"] in [p["C"] for p in small.cv_results_["params"][4:]]
    ]
    new_best = grown.best_params_ != small.best_params_
    assert count_fits(log) - before == 2 * 3 + 3 * (2 - len(in_both)) + new_best


def test_repeated_first_iterations(iris, tmp_path, log):
    """aggressive_elimination fits the same twice, as scikit-learn does, and resumes."""
    kwargs = {
        "store": tmp_path / "s.h5",
        "max_resources": 40,
        "min_resources": 20,
        "factor": 2,
        "aggressive_elimination": True,
    }
    theirs = make(
        "halving",
        CountingClassifier(),
        theirs=True,
        **{name: value for name, value in kwargs.items() if name != "store"},
    ).fit(*iris)
    first = make("halving", CountingClassifier(log), **kwargs).fit(*iris)
    equal_results(first.cv_results_, theirs.cv_results_)
    assert first.n_resources_[:2] == [20, 20]
    before = count_fits(log)
    again = make("halving", CountingClassifier(log), **kwargs).fit(*iris)
    assert count_fits(log) == before
    assert again.run_.uid == first.run_.uid
    equal_results(again.cv_results_, theirs.cv_results_)


def test_splits_that_change_are_refused_as_scikit_learn_does(iris, tmp_path):
    """A splitter without a seed gets scikit-learn's own error, also with a store."""
    search = make("halving", CountingClassifier(), cv=KFold(3, shuffle=True))
    for store in (None, tmp_path / "s.h5"):
        with pytest.raises(ValueError, match="must yield consistent folds"):
            search.set_params(store=store).fit(*iris)


def test_failing_candidates_of_a_halving_search(iris, log):
    """A candidate that cannot be fitted is eliminated, and recorded as failed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = make("halving", CountingClassifier(log, fail_on=0.1)).fit(*iris)
    assert search.run_.candidates["status"][2] == "failed"
    assert 0.1 not in survivors(search)
    assert len(search.weights_by_params_) == 2

"""Searches of other people, that decide on candidates as they go, keep weights too."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest
from search_estimators import CountingClassifier, Interrupting, count_fits
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_random_state

from weightsearch import WeightStore
from weightsearch.search import TrackedSearch, WeightTrackingGridSearchCV


class ClimbingSearchCV(BaseSearchCV):
    """Draws values of C near the best one so far, in rounds."""

    def __init__(
        self,
        estimator,
        start=1.0,
        *,
        n_rounds=3,
        cv=None,
        refit=True,
        random_state=None,
    ):
        super().__init__(estimator, cv=cv, refit=refit)
        self.start = start
        self.n_rounds = n_rounds
        self.random_state = random_state

    def _run_search(self, evaluate_candidates):
        rng = check_random_state(self.random_state)
        best = self.start
        for number in range(self.n_rounds):
            near = [best * 10 ** rng.uniform(-1, 1) for _ in range(2)]
            results = evaluate_candidates(
                [{"C": C} for C in near], more_results={"round": [number] * 2}
            )
            best = results["params"][np.argmax(results["mean_test_score"])]["C"]


class TrackedClimbing(ClimbingSearchCV, TrackedSearch):
    """The same, with weights."""


class FromScratch(TrackedSearch):
    """A search with no other base class."""

    def _run_search(self, evaluate_candidates):
        evaluate_candidates([{"C": 0.1}, {"C": 1.0}])


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture
def log(tmp_path):
    return str(tmp_path / "fits.log")


def test_results_are_those_of_the_original(iris):
    """Tracking changes no candidate and no score."""
    theirs, ours = (
        cls(CountingClassifier(), cv=3, random_state=0).fit(*iris)
        for cls in (ClimbingSearchCV, TrackedClimbing)
    )
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    np.testing.assert_array_equal(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )
    assert ours.best_params_ == theirs.best_params_


@pytest.mark.parametrize("capture", ["refit", "both"])
def test_candidates_of_all_rounds_are_kept(iris, log, capture):
    """Each round's candidates are numbered on, and all have weights."""
    search = TrackedClimbing(
        CountingClassifier(log), cv=3, random_state=0, capture=capture
    ).fit(*iris)
    assert count_fits(log) == 6 * 3 + 6
    assert search.run_.candidates["round"].tolist() == [0, 0, 1, 1, 2, 2]
    for params, weights in search.weights_by_params_.items():
        by_hand = CountingClassifier(**params).fit(*iris)
        np.testing.assert_array_equal(weights["coef_"], by_hand.coef_)
    if capture == "both":
        assert len(search.run_.weights_by_params(split=2)) == 6


def test_another_round_reuses_those_before(iris, tmp_path, log):
    """A search that goes on for longer fits only what is new."""
    kwargs = {"cv": 3, "random_state": 0, "store": tmp_path / "s.h5", "keep": 1}
    TrackedClimbing(CountingClassifier(log), **kwargs).fit(*iris)
    before = count_fits(log)
    search = TrackedClimbing(CountingClassifier(log), n_rounds=4, **kwargs).fit(*iris)
    new_best = search.best_index_ >= 6
    assert count_fits(log) - before == 2 * 3 + new_best


@pytest.mark.parametrize("seed", [0, None])
def test_an_interrupted_search_goes_on(iris, tmp_path, seed):
    """What was finished is not fitted again, later rounds included."""
    path, log = tmp_path / "s.h5", tmp_path / "fits.log"
    kwargs = {"cv": 3, "random_state": seed, "store": path, "keep": 1}
    with pytest.raises(KeyboardInterrupt):
        TrackedClimbing(Interrupting(str(log), pause=14), **kwargs).fit(*iris)
    log.write_text("x\n" * 15)
    TrackedClimbing(Interrupting(str(log), pause=14), **kwargs).fit(*iris)
    assert count_fits(log) == 15 + 6 * 3 + 1 - 14
    with WeightStore(path) as store:
        assert [run.status for run in store.runs.values()] == ["complete"]


def test_random_splits_of_an_unfinished_search_in_rounds(iris, tmp_path):
    """Its first round is reused; each later one draws its own splits, as ever."""
    path, log = tmp_path / "s.h5", tmp_path / "fits.log"
    kwargs = {"random_state": 0, "store": path, "keep": 1}
    kwargs["cv"] = KFold(3, shuffle=True)
    with pytest.raises(KeyboardInterrupt):
        TrackedClimbing(Interrupting(str(log), pause=8), **kwargs).fit(*iris)
    log.write_text("x\n" * 9)
    TrackedClimbing(Interrupting(str(log), pause=8), **kwargs).fit(*iris)
    assert count_fits(log) == 9 + 6 * 3 + 1 - 6


# -- the class itself ---------------------------------------------------------------


def test_the_constructor_takes_both_kinds_of_params():
    """Tracking adds its params to the signature, get_params and clone."""
    names = [
        *inspect.signature(ClimbingSearchCV).parameters,
        *("store", "capture", "keep", "resume", "compression"),
        *("snapshots", "share_prefixes"),
    ]
    assert list(inspect.signature(TrackedClimbing).parameters) == names
    search = TrackedClimbing(CountingClassifier(), 2.0, keep=3, capture="both")
    copy = clone(search)
    assert sorted(names) == sorted(copy.get_params(deep=False))
    assert (copy.start, copy.keep, copy.capture, copy.store) == (2.0, 3, "both", None)
    with pytest.raises(TypeError, match="nonsense"):
        TrackedClimbing(CountingClassifier(), nonsense=1)


def test_the_params_of_tracking_are_checked(iris):
    """A value that cannot be is told at fit, by scikit-learn's own message."""
    with pytest.raises(ValueError, match="'capture' parameter"):
        TrackedClimbing(CountingClassifier(), capture="all").fit(*iris)


def test_a_search_without_another_base(iris):
    """Deriving from TrackedSearch alone is enough; pickles keep the weights."""
    search = FromScratch(CountingClassifier(), cv=3, n_jobs=2).fit(*iris)
    assert len(search.weights_by_params_) == 2
    copy = pickle.loads(pickle.dumps(search))
    assert copy.weights_by_params_[{"C": 0.1}]["coef_"].shape == (3, 4)


def test_the_wrong_order_of_bases_is_told():
    """A search after TrackedSearch would lose its own fit, so no class is made."""
    with pytest.raises(TypeError, match="GridSearchCV has to come before"):
        type("Wrong", (TrackedSearch, GridSearchCV), {})
    assert not issubclass(GridSearchCV, TrackedSearch)
    assert not issubclass(TrackedSearch, GridSearchCV)


def test_subclasses_of_ours_keep_their_own_constructor(iris, tmp_path):
    """Who derives from a search that tracks decides on the params, as in Python."""

    class Fixed(WeightTrackingGridSearchCV):
        def __init__(self, estimator, store=None):
            super().__init__(estimator, {"C": [0.1, 1.0]}, cv=3, store=store)

    search = Fixed(CountingClassifier(), tmp_path / "s.h5").fit(*iris)
    assert sorted(search.get_params(deep=False)) == ["estimator", "store"]
    assert search.store_.path == tmp_path / "s.h5"


def test_a_mixin_between_is_no_search():
    """A class without a search of its own may stand between, as for all ours."""

    class Mixin(TrackedSearch):
        def _refit_order(self, ranked):
            return ranked[:1]

    class Search(ClimbingSearchCV, Mixin):
        pass

    search = Search(CountingClassifier(), cv=3, keep=2, random_state=0)
    search.fit(*load_iris(return_X_y=True))
    assert len(search.weights_by_params_) == 1


def test_constructors_with_keyword_arguments():
    """**kwargs stay last in the signature, and get what they got."""

    class Open(TrackedSearch):
        def __init__(self, estimator, **kwargs):
            super().__init__(estimator)
            self.told = kwargs

        def _run_search(self, evaluate_candidates):
            evaluate_candidates([{}])

    assert list(inspect.signature(Open).parameters)[-2:] == ["share_prefixes", "kwargs"]
    search = Open(CountingClassifier(), keep=2, more=1)
    assert (search.keep, search.told) == (2, {"more": 1})

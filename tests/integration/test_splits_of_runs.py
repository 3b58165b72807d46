"""The splits that a run was evaluated on, as anybody can read them afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
)

from weightsearch import (
    TrackedSearch,
    WeightStore,
    WeightTrackingGridSearchCV,
    WeightTrackingHalvingGridSearchCV,
)
from weightsearch.exceptions import WeightsNotFoundError

X, y = load_iris(return_X_y=True)
GROUPS = np.arange(150) % 7
GRID = {"alpha": [0.1, 1.0, 10.0]}


def searched(cv):
    """A grid search of three candidates whose split models are kept."""
    return WeightTrackingGridSearchCV(
        RidgeClassifier(), GRID, cv=cv, capture="splits"
    ).fit(X, y, groups=GROUPS if isinstance(cv, GroupKFold) else None)


@pytest.mark.parametrize(
    "cv",
    [
        StratifiedKFold(3),
        GroupKFold(3),
        ShuffleSplit(3, random_state=0),
        [(list(range(0, 150, 2)), list(range(1, 150, 2)))],
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_run_has_its_splits(cv):
    """Splits are those of the splitter, whatever it is."""
    groups = GROUPS if isinstance(cv, GroupKFold) else None
    expected = cv if isinstance(cv, list) else list(cv.split(X, y, groups))

    np.testing.assert_equal(
        searched(cv).run_.splits(), [tuple(map(np.asarray, pair)) for pair in expected]
    )


def test_what_chooses_rows_is_kept_as_their_numbers():
    """Masks and negative numbers come back as the rows that they choose."""
    mask = np.arange(150) % 3 == 0
    cv = [(~mask, mask), (np.arange(100), np.arange(-50, 0))]

    splits = searched(cv).run_.splits()

    np.testing.assert_equal(splits[0], (np.flatnonzero(~mask), np.flatnonzero(mask)))
    np.testing.assert_equal(splits[1], (np.arange(100), np.arange(100, 150)))


def test_splits_drawn_without_a_seed_are_those_that_were_fitted():
    """The stored splits give the stored scores again."""
    search = searched(KFold(3, shuffle=True))
    again = searched(search.run_.splits())

    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], again.cv_results_["mean_test_score"]
    )


def test_iterations_of_a_halving_search_have_splits_of_their_own():
    """A candidate's splits are those of its iteration, and one has to be named."""
    search = WeightTrackingHalvingGridSearchCV(
        LogisticRegression(max_iter=1000),
        {"C": [0.01, 0.1, 1.0, 10.0]},
        cv=3,
        factor=2,
        random_state=0,
    ).fit(X, y)
    run = search.run_

    for candidate, n_rows in enumerate(search.cv_results_["n_resources"]):
        train, test = run.splits(candidate)[0]
        assert abs(len(train) + len(test) - n_rows) <= 3
    with pytest.raises(ValueError, match="different sets of splits"):
        run.splits()


def test_candidates_in_turns_share_equal_splits():
    """A search that asks for one candidate at a time has one set of splits."""

    class InTurns(TrackedSearch):
        def _run_search(self, evaluate_candidates):
            for alpha in GRID["alpha"]:
                evaluate_candidates([{"alpha": alpha}])

    search = InTurns(RidgeClassifier(), cv=3, capture="splits").fit(X, y)

    expected = list(StratifiedKFold(3).split(X, y))
    np.testing.assert_equal(search.run_.splits(), expected)
    np.testing.assert_equal(search.run_.splits({"alpha": 10.0}), expected)


def test_a_candidate_that_is_not_there_has_no_splits():
    """A number beyond the candidates is an error, not the splits of another one."""
    search = searched(StratifiedShuffleSplit(2, random_state=0))

    with pytest.raises(WeightsNotFoundError, match="has no candidate 3"):
        search.run_.splits(3)


def test_an_interrupted_run_has_its_splits(tmp_path):
    """Splits are in the log before the first fit."""

    class Stopping(RidgeClassifier):
        def fit(self, X, y, sample_weight=None):
            if self.alpha == 10.0:
                raise KeyboardInterrupt
            return super().fit(X, y, sample_weight)

    search = WeightTrackingGridSearchCV(
        Stopping(), GRID, cv=3, store=tmp_path / "a.h5", capture="splits"
    )
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)

    with WeightStore(tmp_path / "a.h5") as store:
        np.testing.assert_equal(
            store.run().splits(), list(StratifiedKFold(3).split(X, y))
        )

"""Another scorer asks stored split models, and nothing is fitted."""

from __future__ import annotations

import warnings

import h5py
import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    ShuffleSplit,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from weightsearch import (
    WeightStore,
    WeightTrackingGridSearchCV,
    WeightTrackingHalvingGridSearchCV,
    WeightTrackingRandomizedSearchCV,
)

X, y = (part[::4] for part in load_breast_cancer(return_X_y=True))
TREE = DecisionTreeClassifier(random_state=0)
GRID = {"max_depth": [1, 3]}


def search(store, estimator=TREE, grid=GRID, **options):
    """Search with split models kept, and say what is reused."""
    options = {"cv": 3, "capture": "splits", "verbose": 1, **options}
    return WeightTrackingGridSearchCV(estimator, grid, store=store, **options)


def plain(estimator=TREE, grid=GRID, **options):
    """The same search by scikit-learn."""
    return GridSearchCV(estimator, grid, **{"cv": 3, **options})


def assert_equal(ours, theirs):
    """Compare all of two searches' results but times."""
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    for name, column in theirs.cv_results_.items():
        if not name.endswith("_time") and not name.startswith("param"):
            np.testing.assert_array_equal(ours.cv_results_[name], column, name)


def rescored(capsys):
    """How many fits were rescored, by what was printed."""
    said = capsys.readouterr().out
    line = next(line for line in said.splitlines() if "reused from" in line)
    return int(line.partition(" reused from ")[2].split(", ")[1].split()[0])


def reads_attributes(estimator, X, y):
    """A scorer that looks at what a model has learned."""
    return float(estimator.tree_.node_count) + np.mean(estimator.predict(X) == y)


@pytest.mark.parametrize(
    "options",
    [
        {"scoring": "roc_auc"},
        {"return_train_score": True},
        {"scoring": ["f1", "neg_log_loss"], "refit": "f1", "return_train_score": True},
        {"scoring": reads_attributes},
        {"scoring": make_scorer(f1_score, average="macro"), "n_jobs": 2},
        {"error_score": 0.0, "scoring": "precision"},
    ],
    ids=lambda options: "-".join(options),
)
def test_another_scorer_fits_nothing(tmp_path, capsys, options):
    """Scores are those of a fresh search to the bit; fit times are the stored ones."""
    first = search(tmp_path / "a.h5").fit(X, y)
    capsys.readouterr()
    size = (tmp_path / "a.h5").stat().st_size

    second = search(tmp_path / "a.h5", **options).fit(X, y)

    assert "6 of 6 fits rescored, 0 to do" in capsys.readouterr().out
    assert_equal(second, plain(**options).fit(X, y))
    np.testing.assert_array_equal(
        second.cv_results_["mean_fit_time"], first.cv_results_["mean_fit_time"]
    )
    assert search(tmp_path / "a.h5", **options).fit(X, y).run_.uid == second.run_.uid
    assert "6 of 6 fits reused" in capsys.readouterr().out
    for split in range(3):
        one, other = (run.weights(1, split) for run in (first.run_, second.run_))
        np.testing.assert_array_equal(one["tree_/value"], other["tree_/value"])
    with WeightStore(tmp_path / "a.h5") as store:
        assert store.verify() == []
    # The models are there once; the best one may be refit.
    assert (tmp_path / "a.h5").stat().st_size < 2 * size


def test_a_changed_metric_is_scored_again(tmp_path, capsys):
    """The code of a user's function counts for the scores and not for the models."""

    def metric_of(code):
        names = {}
        exec(f"def metric(y, p): return float({code})", names)
        return make_scorer(names["metric"])

    search(tmp_path / "a.h5", scoring=metric_of("(y == p).mean()")).fit(X, y)
    capsys.readouterr()
    changed = metric_of("(y == p).sum()")
    second = search(tmp_path / "a.h5", scoring=changed).fit(X, y)

    assert rescored(capsys) == 6
    assert_equal(second, plain(scoring=changed).fit(X, y))


def test_only_what_the_store_has_is_rescored(tmp_path, capsys):
    """New candidates and other splits are fitted, and refits come from the store."""
    search(tmp_path / "a.h5", capture="both").fit(X, y)
    capsys.readouterr()
    grid = {"max_depth": [1, 2, 3]}
    second = search(tmp_path / "a.h5", grid=grid, scoring="f1", capture="both")
    second.fit(X, y)
    said = capsys.readouterr().out
    assert "0 of 9 fits reused" in said
    assert "6 of 9 fits rescored, 3 to do" in said
    assert_equal(second, plain(grid=grid, scoring="f1").fit(X, y))

    search(tmp_path / "a.h5", scoring="f1", cv=ShuffleSplit(2, random_state=0)).fit(
        X, y
    )
    assert "4 to do" in capsys.readouterr().out


def test_a_search_that_keeps_no_split_models_asks_stored_ones(tmp_path, capsys):
    """What is kept of the new search does not decide whether models can be asked."""
    search(tmp_path / "a.h5").fit(X, y)
    capsys.readouterr()
    second = search(tmp_path / "a.h5", capture="refit", scoring="f1").fit(X, y)

    assert rescored(capsys) == 6
    assert_equal(second, plain(scoring="f1").fit(X, y))


def test_models_outlive_the_run_that_fitted_them(tmp_path, capsys):
    """A rescored run goes on without the first one, and can be rescored again."""
    first = search(tmp_path / "a.h5").fit(X, y)
    second = search(tmp_path / "a.h5", scoring="f1").fit(X, y)
    scores = second.cv_results_["mean_test_score"]
    with WeightStore(tmp_path / "a.h5") as store:
        store.delete(first.run_.name)
    WeightStore.repack(tmp_path / "a.h5")
    capsys.readouterr()

    third = search(tmp_path / "a.h5", scoring="recall").fit(X, y)

    assert rescored(capsys) == 6
    assert_equal(third, plain(scoring="recall").fit(X, y))
    with WeightStore(tmp_path / "a.h5") as store:
        run = next(run for run in store.runs.values() if run.uid == second.run_.uid)
        np.testing.assert_array_equal(run.candidates["mean_test_score"], scores)


class Remembering(ClassifierMixin, BaseEstimator):
    """A classifier whose answers depend on how often it was asked before."""

    def __init__(self, shift=0):
        self.shift = shift

    def fit(self, X, y):
        """Learn the classes, and start to count."""
        self.classes_ = np.unique(y)
        self.asked_ = self.shift
        return self

    def predict(self, X):
        """Answer by turns."""
        self.asked_ += 1
        return self.classes_[(np.arange(len(X)) + self.asked_) % 3 // 2]


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    ("estimator", "grid", "fits_again"),
    [
        (make_pipeline(StandardScaler(), GaussianNB()), {}, 0),
        (
            MLPClassifier((3,), random_state=0, max_iter=2),
            {"alpha": [0.1, 1.0]},
            0,
        ),
        # The seed makes a generator of the fit's own.
        (DummyClassifier(strategy="stratified", random_state=3), {}, 0),
        # What draws when it is asked is fitted again.
        (DummyClassifier(strategy="stratified"), {}, 3),
    ],
    ids=["pipeline", "mlp", "seeded", "draws"],
)
def test_models_give_what_a_fresh_search_gives(
    tmp_path, capsys, estimator, grid, fits_again, n_jobs
):
    """Models of all kinds; only those whose answers are certain are asked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search(tmp_path / "a.h5", estimator, grid, n_jobs=n_jobs).fit(X, y)
        capsys.readouterr()
        np.random.seed(0)
        second = search(tmp_path / "a.h5", estimator, grid, scoring="f1", n_jobs=n_jobs)
        second.fit(X, y)
        said = capsys.readouterr().out
        np.random.seed(0)
        fresh = plain(estimator, grid, scoring="f1").fit(X, y)

    assert f"{fits_again} to do" in said
    if not fits_again or n_jobs == 1:
        assert_equal(second, fresh)


def test_an_estimator_that_remembers_questions_starts_as_fitted(tmp_path):
    """What the first scorer has done to a model is not part of it."""
    grid = {"shift": [0, 1]}
    search(tmp_path / "a.h5", Remembering(), grid).fit(X, y)
    options = {"scoring": ["accuracy", "f1"], "refit": False}
    second = search(tmp_path / "a.h5", Remembering(), grid, **options).fit(X, y)

    assert_equal(second, plain(Remembering(), grid, **options).fit(X, y))


def test_a_scorer_that_draws_finds_what_a_fit_leaves(tmp_path):
    """Numbers that a scorer draws depend on the fit before, so that is made."""

    def draws(estimator, X, y):
        return float(np.random.random())

    forest = DecisionTreeClassifier(splitter="random")
    search(tmp_path / "a.h5", forest).fit(X, y)
    np.random.seed(1)
    second = search(tmp_path / "a.h5", forest, scoring=draws, refit=False).fit(X, y)
    np.random.seed(1)

    assert_equal(second, plain(forest, scoring=draws, refit=False).fit(X, y))


def test_models_that_cannot_be_scored_after_all_are_counted(tmp_path, capsys):
    """Whether a scorer draws is known when it was asked; the fits are then made."""

    def draws(estimator, X, y):
        return float(np.random.random())

    search(tmp_path / "a.h5").fit(X, y)
    np.random.seed(1)
    second = search(tmp_path / "a.h5", scoring=draws).fit(X, y)
    said = capsys.readouterr().out
    np.random.seed(1)

    assert_equal(second, plain(scoring=draws).fit(X, y))
    assert "6 of the fits to rescore were made again" in said


def test_a_scorer_of_networks_that_reads_more_than_answers(tmp_path, capsys):
    """A split's network lacks its optimizer, which a user's function may look at."""

    def reads(estimator, X, y):
        return float(len(estimator._optimizer.ms))

    network = MLPClassifier((3,), random_state=0, max_iter=2)
    options = {"scoring": reads, "refit": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search(tmp_path / "a.h5", network, {"alpha": [0.1]}).fit(X, y)
        capsys.readouterr()
        second = search(tmp_path / "a.h5", network, {"alpha": [0.1]}, **options)
        second.fit(X, y)

    assert "3 to do" in capsys.readouterr().out
    np.testing.assert_array_equal(second.cv_results_["mean_test_score"], 4)


class FailsOnTest:
    """A scorer that fails on some splits."""

    def __call__(self, estimator, X, y):
        """Score the splits whose first row has a small radius."""
        if X[0, 0] > 17:
            raise ValueError("no score for this split")
        return float(estimator.score(X, y))


@pytest.mark.filterwarnings("ignore:Scoring failed")
@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_failing_scorers_warn_and_fail_as_in_a_fresh_search(tmp_path, capsys):
    """The same warnings, scores and errors; what has no score is scored again."""
    search(tmp_path / "a.h5").fit(X, y)
    options = {"scoring": FailsOnTest(), "refit": False}
    found = []
    for cls in (search, plain):
        one = cls(tmp_path / "a.h5", **options) if cls is search else cls(**options)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found.append(one.fit(X, y))
        found.append(sorted(str(w.message)[:60] for w in caught))
    assert found[1] == found[3]
    assert found[1]
    assert_equal(found[0], found[2])
    capsys.readouterr()
    search(tmp_path / "a.h5", **options).fit(X, y)
    assert 0 < rescored(capsys) < 6

    with pytest.raises(ValueError, match="no score for this split"):
        search(tmp_path / "a.h5", **options, error_score="raise").fit(X, y)


@pytest.mark.filterwarnings("ignore", category=UndefinedMetricWarning)
def test_params_of_scores_and_fits(tmp_path, capsys):
    """Routed weights of samples: those of the fit are of the model, others are not."""
    weight = np.linspace(0.1, 1.0, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = LogisticRegression(max_iter=500)
        estimator.set_fit_request(sample_weight=True)
        estimator.set_score_request(sample_weight=False)
        weighted = make_scorer(f1_score).set_score_request(sample_weight=True)
        grid = {"C": [0.1, 1.0]}
        fit = {"X": X, "y": y, "sample_weight": weight}
        search(tmp_path / "a.h5", estimator, grid).fit(**fit)
        capsys.readouterr()
        second = search(tmp_path / "a.h5", estimator, grid, scoring=weighted).fit(**fit)
        assert rescored(capsys) == 6
        assert_equal(second, plain(estimator, grid, scoring=weighted).fit(**fit))
        fit["sample_weight"] = weight[::-1]
        search(tmp_path / "a.h5", estimator, grid, scoring=weighted).fit(**fit)
    assert "6 to do" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["random", "halving"])
def test_other_searches(tmp_path, capsys, kind):
    """Randomized and halving searches ask the models of their own iterations."""
    classes = {
        "random": WeightTrackingRandomizedSearchCV,
        "halving": WeightTrackingHalvingGridSearchCV,
    }
    options = {"cv": 3, "random_state": 0, "capture": "splits", "verbose": 1}
    if kind == "random":
        options["n_iter"] = 2
    else:
        # Both scorers choose the deeper tree.
        options |= {"factor": 2, "min_resources": 60}
    found = [
        classes[kind](TREE, GRID, store=store, scoring=scoring, **options).fit(X, y)
        for store, scoring in (
            (tmp_path / "a.h5", "accuracy"),
            (tmp_path / "a.h5", "balanced_accuracy"),
            (None, "balanced_accuracy"),
        )
    ]

    assert_equal(found[1], found[2])
    assert "fits rescored, 0 to do" in capsys.readouterr().out


def test_a_damaged_model_is_fitted_again(tmp_path, capsys):
    """Damage costs the fits that it hits."""
    search(tmp_path / "a.h5").fit(X, y)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        for group in next(iter(file["runs"].values()))["architectures"].values():
            group["crc32"][0] ^= 1
    second = search(tmp_path / "a.h5", scoring="f1").fit(X, y)

    assert_equal(second, plain(scoring="f1").fit(X, y))


def test_an_interrupted_rescoring_is_resumed(tmp_path, capsys):
    """Scores of stored models are safe as soon as they are there."""

    class Stopping:
        def __init__(self):
            self.count = 0

        def __getstate__(self):
            return {}

        def __call__(self, estimator, X, y):
            self.count += 1
            if self.count == 4:
                raise KeyboardInterrupt
            return float(estimator.score(X, y))

    search(tmp_path / "a.h5").fit(X, y)
    stopping = Stopping()
    with pytest.raises(KeyboardInterrupt) as caught:
        search(tmp_path / "a.h5", scoring=stopping).fit(X, y)
    assert "3 fits are safe" in "".join(caught.value.__notes__)
    capsys.readouterr()
    search(tmp_path / "a.h5", scoring=stopping).fit(X, y)
    said = capsys.readouterr().out
    assert "3 of 6 fits reused" in said
    assert "3 of 6 fits rescored, 0 to do" in said

"""Fits that a store holds already are not made again."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from search_estimators import CountingClassifier, Interrupting, count_fits
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import (
    GridSearchCV,
    GroupShuffleSplit,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
)
from sklearn.preprocessing import scale

from weightsearch import (
    StoreError,
    StoreLockedError,
    WeightStore,
    WeightTrackingGridSearchCV,
)

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture
def log(tmp_path):
    return str(tmp_path / "fits.log")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "search.h5"


def search(path, log, grid=(0.1, 1.0, 10.0), **kwargs):
    kwargs = {"cv": 3, **kwargs}
    return WeightTrackingGridSearchCV(
        CountingClassifier(log), {"C": list(grid)}, store=path, **kwargs
    )


def interrupted(path, log, after, grid=(0.1, 1.0, 10.0), **kwargs):
    """Run a search that ends in its fit number `after`."""
    inner = search(path, log, grid, **kwargs)
    inner.estimator = Interrupting(log, pause=after)
    return inner


def equal(a, b):
    for name, column in a.cv_results_.items():
        np.testing.assert_equal(column, b.cv_results_[name], err_msg=name)
    assert a.best_params_ == b.best_params_
    assert a.best_weights_.keys() == b.best_weights_.keys()
    for name, array in a.best_weights_.items():
        np.testing.assert_array_equal(array, b.best_weights_[name])


# -- the same script again --------------------------------------------------------


@pytest.mark.parametrize("capture", ["refit", "splits", "both"])
def test_the_same_search_again_fits_nothing(iris, path, log, capture):
    """A complete store leaves nothing to do, the best estimator included."""
    first = search(path, log, capture=capture).fit(*iris)
    n_fits = count_fits(log)
    before = path.read_bytes()
    second = search(path, log, capture=capture).fit(*iris)
    assert count_fits(log) == n_fits
    equal(first, second)
    assert path.read_bytes() == before
    assert second.run_.uid == first.run_.uid


def test_fewer_splits_of_the_same_fits_are_another_run(iris, path, log):
    """A search over two of three splits reuses them, with results of its own."""
    splits = list(KFold(3, shuffle=True, random_state=0).split(*iris))
    search(path, log, cv=splits).fit(*iris)
    fewer = search(path, log, cv=splits[:2]).fit(*iris)
    assert count_fits(log) == 12
    assert "split2_test_score" not in fewer.run_.candidates
    np.testing.assert_array_equal(
        fewer.run_.candidates["mean_test_score"], fewer.cv_results_["mean_test_score"]
    )


def test_resume_false_fits_all_anew(iris, path, log):
    """With resume=False nothing is reused, and the earlier run stays."""
    search(path, log).fit(*iris)
    search(path, log, resume=False).fit(*iris)
    assert count_fits(log) == 2 * 12
    with WeightStore(path) as store:
        assert len(store.runs) == 2


def test_a_change_of_scoring_keeps_the_refits(iris, path, log):
    """Another scorer makes the splits anew; refits do not depend on it."""
    search(path, log).fit(*iris)
    search(path, log, scoring="f1_macro").fit(*iris)
    assert count_fits(log) == 12 + 9


# -- unfinished runs --------------------------------------------------------------


@pytest.mark.parametrize(
    ("capture", "after"),
    [
        ("refit", 1),
        ("refit", 9),
        ("refit", 11),
        ("splits", 5),
        ("splits", 9),
        ("both", 5),
        ("both", 10),
        ("both", 11),
    ],
)
def test_an_interrupted_search_goes_on(iris, tmp_path, log, capture, after):
    """After an interruption only what is missing is fitted, with equal results."""
    path = tmp_path / "s.h5"
    total = 9 + (1 if capture == "splits" else 3)
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted(path, log, after, capture=capture).fit(*iris)
    assert count_fits(log) == after
    safe = "1 fit is safe" if after == 1 else f"{after} fits are safe"
    assert caught.value.__notes__[0].startswith(safe)
    # The same estimator, without the interruption: pause is one of its params.
    resumed = interrupted(path, log, after, capture=capture)
    (tmp_path / "fits.log").write_text("x\n" * (after + 1))
    resumed.fit(*iris)
    assert count_fits(log) == (after + 1) + total - after
    plain = search(tmp_path / "other.h5", None, capture=capture).fit(*iris)
    for name, column in plain.cv_results_.items():
        if not name.endswith("_time"):
            np.testing.assert_equal(column, resumed.cv_results_[name])
    for params, weights in plain.weights_by_params_.items():
        np.testing.assert_array_equal(
            weights["coef_"], resumed.weights_by_params_[params]["coef_"]
        )
    with WeightStore(path) as store:
        assert [run.status for run in store.runs.values()] == ["complete"]
        assert store.verify() == []


def test_verbose_says_how_much_is_reused(iris, path, log, capsys):
    """verbose=1 tells reused fits and fits to do."""
    search(path, log).fit(*iris)
    search(path, log, grid=(0.1, 1.0, 10.0, 100.0), verbose=1).fit(*iris)
    out = capsys.readouterr().out
    assert "9 of 12 fits reused" in out
    assert "3 to do" in out


def test_failed_fits_run_again(iris, path, log):
    """A fit that failed is not reused."""
    estimator = CountingClassifier(log, fail_on=1.0)
    grid = {"C": [0.1, 1.0]}
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            WeightTrackingGridSearchCV(estimator, grid, cv=3, store=path).fit(*iris)
    # First six fits of splits and one refit; then the three that failed.
    assert count_fits(log) == 7 + 3


def test_keep_grows(iris, path, log):
    """Asking for more refits later makes just those."""
    search(path, log, keep=1).fit(*iris)
    search(path, log, keep=3).fit(*iris)
    assert count_fits(log) == 10 + 2


@pytest.mark.parametrize(
    "cv",
    [
        KFold(3, shuffle=True),
        StratifiedKFold(3, shuffle=True),
        ShuffleSplit(3),
    ],
    ids=repr,
)
def test_shuffled_splits_without_a_seed_go_on(iris, tmp_path, log, cv):
    """An unfinished run goes on with its own splits, drawn at random as they were."""
    path = tmp_path / "s.h5"
    with pytest.raises(KeyboardInterrupt):
        interrupted(path, log, 5, cv=cv).fit(*iris)
    (tmp_path / "fits.log").write_text("x\n" * 6)
    interrupted(path, log, 5, cv=cv).fit(*iris)
    assert count_fits(log) == 6 + 12 - 5


def test_shuffled_splits_without_a_seed_are_new_after_the_end(iris, path, log):
    """A complete run's random splits are not forced on the next one."""
    first, second = (
        search(path, log, cv=KFold(3, shuffle=True)).fit(*iris) for _ in range(2)
    )
    # Refits do not depend on the splits; only the best one's answers are stored, so
    # that one which has become the best is refit.
    is_new_best = first.best_index_ != second.best_index_
    assert count_fits(log) == 12 + 9 + is_new_best


def test_shuffled_splits_with_a_seed_are_reused(iris, path, log):
    """A fixed random state gives the same splits, so their fits are reused."""
    for _ in range(2):
        search(path, log, cv=KFold(3, shuffle=True, random_state=4)).fit(*iris)
    assert count_fits(log) == 12


@pytest.mark.parametrize(
    "change",
    [
        "nothing",
        "groups",
        "estimator",
        "data",
        "sample_weight",
        "cv",
        "scoring",
        "grid",
    ],
)
def test_splits_are_taken_over_by_the_same_search(iris, tmp_path, change):
    """Splits of an unfinished run serve its own search alone, also for another grid."""
    path, log = tmp_path / "s.h5", tmp_path / "fits.log"
    X, y = iris
    groups, weight = np.arange(150) % 15, np.ones(150)
    estimator = Interrupting(str(log), pause=4)
    grid = {"C": [0.1, 1.0, 10.0]}
    kwargs = {"cv": GroupShuffleSplit(3), "store": path, "capture": "splits"}
    with pytest.raises(KeyboardInterrupt):
        WeightTrackingGridSearchCV(estimator, grid, **kwargs).fit(
            X, y, groups=groups, sample_weight=weight
        )
    with WeightStore(path) as store:
        begun = store.run().splits()
    log.write_text("x\n" * 5)
    if change == "groups":
        groups = np.repeat(np.arange(15), 10)
    elif change == "estimator":
        estimator = RidgeClassifier()
        grid = {"alpha": [0.1, 1.0, 10.0]}
    elif change == "data":
        X = X + 1e-9
    elif change == "sample_weight":
        weight = weight + 1e-9
    elif change == "cv":
        kwargs["cv"] = GroupShuffleSplit(3, test_size=0.21)
    elif change == "scoring":
        kwargs["scoring"] = "f1_macro"
    elif change == "grid":
        grid = {"C": [100.0, 10.0]}

    np.random.seed(11)
    search = WeightTrackingGridSearchCV(estimator, grid, **kwargs)
    search.fit(X, y, groups=groups, sample_weight=weight)
    used = search.run_.splits()
    np.random.seed(11)
    drawn = list(kwargs["cv"].split(X, y, groups))

    expected = begun if change in ("nothing", "grid") else drawn
    for one, other in zip(used, expected, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    if change != "estimator":
        rest = {name: value for name, value in kwargs.items() if name != "cv"}
        by_hand = WeightTrackingGridSearchCV(
            CountingClassifier(), grid, **{**rest, "store": None}, cv=expected
        ).fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(
            search.cv_results_["mean_test_score"],
            by_hand.cv_results_["mean_test_score"],
        )


# -- what is said to be safe -----------------------------------------------------------


class Opaque:
    """A param value whose content cannot be told."""

    def __init__(self):
        self.rows = (row for row in ())

    def __deepcopy__(self, memo):
        return self


@pytest.mark.filterwarnings("ignore")
def test_only_fits_that_will_be_reused_are_said_to_be_safe(iris, tmp_path, log):
    """No fit is promised that failed, has no identity or is not looked for."""
    stopping = Interrupting(log, pause=4)
    failing = Interrupting(log, pause=5, fail_on=0.1)
    cases = {
        "4 fits are safe": (stopping, {}),
        "2 fits are safe": (failing, {"error_score": 0.0}),
        "no identity": (Interrupting(log, pause=4, gate=Opaque()), {}),
        "not looked for": (stopping, {"resume": False}),
        "private": (stopping, {"store": None}),
    }
    for number, (expected, (estimator, kwargs)) in enumerate(cases.items()):
        Path(log).unlink(missing_ok=True)
        kwargs = {"cv": 3, "store": tmp_path / f"{number}.h5", **kwargs}
        search = WeightTrackingGridSearchCV(estimator, {"C": [0.1, 1.0]}, **kwargs)
        with pytest.raises(KeyboardInterrupt) as caught:
            search.fit(*iris)
        said = " ".join(getattr(caught.value, "__notes__", []))
        assert said.startswith(expected) if "safe" in expected else said == ""


@pytest.mark.filterwarnings("ignore")
def test_splits_that_cannot_be_told_again_are_not_said_to_be_safe(iris, tmp_path, log):
    """Fits on random splits count as safe only where these can be taken over."""

    class Unknown(KFold):
        def __init__(self):
            super().__init__(3, shuffle=True)
            self.rows = (row for row in ())

    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted(tmp_path / "s.h5", log, 4, cv=Unknown()).fit(*iris)
    assert not getattr(caught.value, "__notes__", [])


# -- another choice of the best --------------------------------------------------------


def recall_best(results):
    return int(np.argmax(results["mean_test_recall"]))


@pytest.mark.parametrize("capture", ["refit", "splits", "both"])
@pytest.mark.parametrize("second", ["recall", recall_best])
def test_the_stored_best_follows_refit(tmp_path, capture, second):
    """With another refit= the run, its weights and the estimator are the new best's."""
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    kwargs = {"cv": 3, "scoring": ["precision", "recall"]}
    grid = {"C": [1e-4, 1e-2, 1.0]}
    for metric in ("precision", second, second):
        search = WeightTrackingGridSearchCV(
            LogisticRegression(),
            grid,
            **kwargs,
            capture=capture,
            refit=metric,
            store=tmp_path / "s.h5",
        ).fit(X, y)
    plain = GridSearchCV(LogisticRegression(), grid, **kwargs, refit=second).fit(X, y)
    coef = plain.best_estimator_.coef_
    assert search.run_.best_index == plain.best_index_ == search.best_index_
    np.testing.assert_array_equal(search.best_weights_["coef_"], coef)
    np.testing.assert_array_equal(search.best_estimator_.coef_, coef)
    assert search.best_params_ == plain.best_params_
    with WeightStore(tmp_path / "s.h5") as store:
        # The third search found the second one's run.
        assert [run.best_index for run in store.runs.values()] == [2, 0]


def test_a_search_that_refits_is_not_one_that_does_not(iris, path, log):
    """After refit=False the same search with a refit has a best estimator stored."""
    search(path, log, capture="splits", refit=False).fit(*iris)
    refitting = search(path, log, capture="splits").fit(*iris)
    np.testing.assert_array_equal(
        refitting.best_weights_["coef_"], refitting.best_estimator_.coef_
    )


# -- where the store is ----------------------------------------------------------------


class Moving(Ridge):
    """Changes the working folder while it is fitted."""

    def __init__(self, alpha=1.0, folder=None):
        super().__init__(alpha)
        self.folder = folder

    def fit(self, X, y):
        os.chdir(self.folder)
        return super().fit(X, y)


@pytest.mark.parametrize("store", ["s.h5", "~/s.h5", "link/s.h5", Path("s.h5")])
def test_the_store_stays_where_it_was_at_the_start(tmp_path, monkeypatch, store):
    """Neither chdir nor another home nor another link moves a store during a fit."""
    start, other = tmp_path / "start", tmp_path / "other"
    start.mkdir()
    other.mkdir()
    (start / "link").symlink_to(start)
    monkeypatch.chdir(start)
    monkeypatch.setenv("HOME", str(start))
    moving = Moving(folder=str(other))
    search = WeightTrackingGridSearchCV(moving, {"alpha": [1.0, 2.0]}, store=store)
    search.fit(*load_diabetes(return_X_y=True))
    monkeypatch.setenv("HOME", str(other))
    (start / "link").unlink()
    assert len(search.weights_by_params_) == 2
    assert (start / "s.h5").exists()


def test_a_path_that_cannot_be_resolved_is_named(iris, tmp_path):
    """A ~ of nobody is a StoreError before the first fit."""
    with pytest.raises(StoreError, match="nobody-of-that-name"):
        search("~nobody-of-that-name/s.h5", None).fit(*iris)


# -- growing grids ------------------------------------------------------------------


def test_a_grown_grid_fits_what_is_new(iris, path, log):
    """Another grid reuses what both have and equals a search made anew."""
    search(path, log, grid=(0.1, 1.0)).fit(*iris)
    n_fits = count_fits(log)
    grown = search(path, log, grid=(100.0, 1.0, 10.0, 0.1)).fit(*iris)
    new = count_fits(log) - n_fits
    assert new == 2 * 3 + 2
    anew = search(path.with_name("anew.h5"), None, (100.0, 1.0, 10.0, 0.1)).fit(*iris)
    np.testing.assert_array_equal(
        grown.cv_results_["mean_test_score"], anew.cv_results_["mean_test_score"]
    )
    for params, weights in anew.weights_by_params_.items():
        np.testing.assert_array_equal(
            weights["coef_"], grown.weights_by_params_[params]["coef_"]
        )
    with WeightStore(path) as store:
        assert [len(run) for run in store.runs.values()] == [2, 4]
        assert store.verify() == []


def test_order_and_number_type_do_not_matter(iris, path, log):
    """The grid's order and numpy's numbers change no fit."""
    search(path, log, grid=(0.1, 1.0)).fit(*iris)
    search(path, log, grid=(np.float64(1.0), np.float64(0.1)), n_jobs=2).fit(*iris)
    assert count_fits(log) == 8


@pytest.mark.parametrize("change", ["X", "y", "sample_weight", "estimator", "cv"])
def test_any_change_is_noticed(iris, path, log, change, capsys):
    """One value changed in the data or elsewhere, and nothing is reused."""
    X, y = (a.copy() for a in iris)
    weight = np.ones(150)
    search(path, log).fit(X, y, sample_weight=weight)
    n_fits = count_fits(log)
    again = search(path, log, verbose=1)
    if change == "X":
        X[77, 2] += 1e-9
    elif change == "y":
        y[3] = 1
    elif change == "sample_weight":
        weight[5] = 1.5
    elif change == "estimator":
        again.estimator.set_params(fail_on=55)
    else:
        again.cv = 4
    again.fit(X, y, sample_weight=weight)
    # With another cv the refits are the same ones.
    expected = 4 * 3 if change == "cv" else 12
    assert count_fits(log) == n_fits + expected
    words = {
        "X": "data",
        "y": "data",
        "sample_weight": "sample_weight",
        "estimator": "estimator",
        "cv": "splitter",
    }
    assert words[change] in capsys.readouterr().out


# -- builders whose code changes ------------------------------------------------------

BUILDER = """
from sklearn.linear_model import Ridge
FACTOR = 1.0
def build(scale=1.0):
    return Ridge(alpha=scale * FACTOR)
"""

SCRIPT = """
import sys
from search_estimators import count_fits
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import load_diabetes
from builder import build
from weightsearch import WeightTrackingGridSearchCV
import os

class Built(RegressorMixin, BaseEstimator):
    def __init__(self, builder=build, scale=1.0):
        self.builder = builder
        self.scale = scale
    def fit(self, X, y):
        with open(sys.argv[2], "a") as log:
            log.write("fit\\n")
        self.model_ = self.builder(scale=self.scale).fit(X, y)
        return self
    def predict(self, X):
        return self.model_.predict(X)

search = WeightTrackingGridSearchCV(
    Built(), {"scale": [1.0, 2.0]}, cv=3, store=sys.argv[1], verbose=1
).fit(*load_diabetes(return_X_y=True))
"""


@pytest.mark.parametrize(
    ("old", "new", "reused"),
    [
        ("", "", True),
        ("def build", "# a comment changes nothing\n\ndef build", True),
        ("alpha=scale", "alpha=2 * scale", False),
        ("scale=1.0", "scale=3.0", False),
        ("FACTOR = 1.0", "FACTOR = 7.0", False),
    ],
    ids=["same", "comment", "body", "default", "global"],
)
def test_an_edited_builder_is_another_fit(tmp_path, old, new, reused):
    """A builder's body, defaults and constants count, wherever it is imported from."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    builder = tmp_path / "builder.py"
    outputs = []
    for text in (BUILDER, BUILDER.replace(old, new) if old else BUILDER):
        builder.write_text(text)
        done = subprocess.run(
            [sys.executable, "-B", script, tmp_path / "s.h5", tmp_path / "fits.log"],
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                "PYTHONPATH": f"{HERE}:{tmp_path}:{HERE.parent.parent}",
            },
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert count_fits(tmp_path / "fits.log") == (8 if reused else 16)
    if not reused:
        assert "code" in outputs[1]


# -- one writer, many readers -------------------------------------------------------


def test_a_second_fit_into_one_store_ends_at_once(iris, path, log):
    """While one thread fits into a store, another gets an error naming the holder."""
    slow = search(path, log)
    slow.estimator.pause = 0.2
    thread = threading.Thread(target=slow.fit, args=iris)
    thread.start()
    try:
        while not count_fits(log):
            assert thread.is_alive()
            time.sleep(0.01)
        with pytest.raises(StoreLockedError, match=r"search\.h5") as caught:
            search(path, log).fit(*iris)
        assert str(os.getpid()) in caught.value.holder
    finally:
        thread.join()
    assert len(slow.weights_by_params_) == 3


def test_a_second_process_is_told_who_holds_the_store(iris, path, log, tmp_path):
    """A search in another process holds the store, and goes on undisturbed."""
    gate = tmp_path / "gate"
    code = textwrap.dedent(
        """
        import sys
        from search_estimators import CountingClassifier
        from sklearn.datasets import load_iris
        from weightsearch import WeightTrackingGridSearchCV
        path, log, gate = sys.argv[1:]
        WeightTrackingGridSearchCV(
            CountingClassifier(log, gate=gate), {"C": [0.1, 1.0]}, cv=3, store=path
        ).fit(*load_iris(return_X_y=True))
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, path, log, gate]
    with subprocess.Popen(command, env=environment) as holder:
        try:
            while count_fits(log) < 6:
                time.sleep(0.01)
                assert holder.poll() is None
            with pytest.raises(StoreLockedError) as caught:
                search(path, log).fit(*iris)
        finally:
            gate.touch()
    assert holder.returncode == 0
    assert str(holder.pid) in str(caught.value)
    with WeightStore(path) as store:
        assert store.run().status == "complete"


def test_a_reader_in_another_process_sees_finished_candidates(iris, path, log):
    """A store opened while the search runs lists what is finished."""
    slow = search(path, log, capture="splits")
    gate = path.with_name("gate")
    slow.estimator.gate = str(gate)
    thread = threading.Thread(target=slow.fit, args=iris)
    thread.start()
    try:
        while count_fits(log) < 6:
            assert thread.is_alive()
            time.sleep(0.01)
        code = textwrap.dedent(
            """
            import sys
            from weightsearch import WeightStore
            with WeightStore(sys.argv[1]) as store:
                run = store.run()
                frame = run.candidates
                print(run.status, run.weights(0, split=0)["coef_"].shape)
                print(frame["split0_test_score"].notna().sum())
            """
        )
        done = subprocess.run(
            [sys.executable, "-c", code, path],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        gate.touch()
        thread.join()
    assert done.stdout == "running (3, 4)\n2\n", done.stderr
    with WeightStore(path) as store:
        assert store.run().status == "complete"

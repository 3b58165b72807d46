"""Weights of scikit-learn's networks and boosting over time: taken, stored, read."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import (
    RebuildError,
    SnapshotError,
    SnapshotPlan,
    SnapshotWarning,
    TrackedSearch,
    WeightStore,
    WeightTrackingGridSearchCV,
)
from weightsearch._records import Outcome, Weights
from weightsearch.search import _snapshots

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_iris(return_X_y=True)
MLP = MLPClassifier((5,), max_iter=6, random_state=0)
CV = KFold(3, shuffle=True, random_state=0)
SOLVERS = {"solver": ["adam", "sgd", "lbfgs"]}


def search(store=None, grid=None, estimator=MLP, **options):
    """Search a grid of networks, keeping all models and snapshots of all epochs."""
    options = {"cv": CV, "capture": "both", "snapshots": "all", **options}
    grid = SOLVERS if grid is None else grid
    return WeightTrackingGridSearchCV(estimator, grid, store=store, **options).fit(X, y)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A search over all solvers, in a pipeline."""
    path = tmp_path_factory.mktemp("snapshots") / "a.h5"
    grid = {f"mlp__{name}": values for name, values in SOLVERS.items()}
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", MLP)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return search(path, grid, pipeline)


@pytest.fixture
def copy(found, tmp_path):
    """A copy of its store."""
    return shutil.copy(found.store, tmp_path / "copy.h5")


def trajectories(run):
    """All trajectories of a run, with what is known of each snapshot."""
    found = {}
    for candidate in range(len(run)):
        for split in (0, 1, 2, None):
            one = run.trajectory(candidate, split)
            arrays = {name: array.tobytes() for name, array in one.items()}
            known = one.metrics.drop(columns="time").to_csv()
            found[candidate, split] = arrays, known, one.epochs.tolist()
    return found


# -- taking ----------------------------------------------------------------------------


def test_results_are_those_without_snapshots(found):
    """Scores and final weights equal those of a search without, bit for bit."""
    plain = search(None, found.param_grid, found.estimator, snapshots=None)

    for name, column in plain.cv_results_.items():
        if "score" in name and "time" not in name:
            np.testing.assert_array_equal(found.cv_results_[name], column)
    for candidate in range(3):
        for split in (0, 2, None):
            mine = found.run_.weights(candidate, split)
            theirs = plain.run_.weights(candidate, split)
            assert list(mine) == list(theirs)
            assert all(mine[n].tobytes() == theirs[n].tobytes() for n in mine)


def test_last_snapshot_is_the_final_model(found):
    """The snapshot of the last epoch has the final weights, for every solver."""
    for candidate in range(3):
        for split in (0, 1, 2, None):
            one = found.run_.trajectory(candidate, split)
            final = found.run_.weights(candidate, split)
            assert list(one.epochs) == list(range(7))
            assert list(one) == [name for name in final if name.startswith("mlp/")]
            for name, array in one.items():
                assert array.shape == (7, *final[name].shape)
                assert array[-1].tobytes() == final[name].tobytes()
                assert array[0].tobytes() != array[1].tobytes()


@pytest.mark.parametrize("solver", SOLVERS["solver"])
def test_each_epoch_is_a_shorter_fit(found, solver):
    """After k epochs the model predicts what one with ``max_iter=k`` does."""
    for epoch in (1, 4):
        params = {"mlp__solver": solver, "mlp__max_iter": epoch}
        shorter = clone(found.estimator).set_params(**params).fit(X, y)
        early = found.run_.load_estimator({"mlp__solver": solver}, epoch=epoch)
        np.testing.assert_array_equal(early.predict_proba(X), shorter.predict_proba(X))


def test_metrics_are_those_of_the_fit(found):
    """Loss, step, learning rate and time stand beside each snapshot."""
    adam = found.run_.trajectory(0).metrics
    losses = found.run_.load_estimator(0)[-1].loss_curve_

    assert adam["train_loss"][1:].tolist() == losses
    assert adam["step"].tolist() == list(range(7))  # 150 rows are one batch
    assert adam["learning_rate"][1:].tolist() == [0.001] * 6
    assert np.isnan(adam.loc[0, "train_loss"])
    assert adam["time"].is_monotonic_increasing
    assert found.run_.trajectory(2).metrics["train_loss"][1:].is_monotonic_decreasing


def test_workers_and_files_make_no_difference(found, monkeypatch, tmp_path):
    """Snapshots that worker processes write to files are the same, and leave none."""
    monkeypatch.setattr(_snapshots, "_BLOCK_BYTES", 1000)
    again = search(tmp_path / "b.h5", found.param_grid, found.estimator)
    shared = search(tmp_path / "c.h5", found.param_grid, found.estimator, n_jobs=2)

    expected = trajectories(found.run_)
    assert trajectories(again.run_) == expected
    assert trajectories(shared.run_) == expected
    assert {path.suffix for path in tmp_path.iterdir()} <= {".h5", ".wslock"}


@pytest.mark.parametrize(
    ("snapshots", "expected"),
    [
        (2, [0, 2, 4, 6]),
        ([5, 0], [0, 5]),
        (np.array([3]), [3]),
        (lambda epoch: epoch in (1, 2), [1, 2]),
    ],
    ids=["int", "list", "array", "function"],
)
def test_epochs_are_those_wanted(snapshots, expected):
    """An int takes every n-th epoch, a list its own, a function what it says."""
    one = search(None, {"alpha": [1.0]}, snapshots=snapshots).run_.trajectory(0)

    assert one.epochs.tolist() == expected
    assert one["coefs_/0"].shape == (len(expected), 4, 5)
    assert one.n_epochs == 6


@pytest.mark.parametrize(
    ("snapshots", "message"),
    [
        (0, "not a positive number"),
        (True, "does not say which epochs"),
        ("every", "does not say which epochs"),
        ([], "is empty"),
        ([1, -2], "has -2 among its epochs"),
        ([1, 2.0], "has 2.0 among its epochs"),
        ([3, 1, 3], "epoch 3 twice"),
        (SnapshotPlan(-1), "not a positive number"),
        (SnapshotPlan(None), "does not say which epochs"),
    ],
)
def test_what_names_no_epochs_is_refused(snapshots, message):
    """What cannot say which epochs are wanted is an error before the first fit."""
    with pytest.raises(SnapshotError, match=message):
        search(None, {"alpha": [1.0]}, snapshots=snapshots)


@pytest.mark.parametrize(
    ("estimator", "grid"),
    [
        (LogisticRegression(), {"C": [1.0]}),
        (make_pipeline(StandardScaler(), LogisticRegression()), {}),
        (Pipeline([("last", MLP)]), {"last": [MLP, LogisticRegression()]}),
    ],
    ids=["alone", "pipeline", "grid"],
)
def test_estimators_without_epochs_are_refused(estimator, grid):
    """Where any candidate has no epochs, the error names the estimator."""
    with pytest.raises(SnapshotError, match="LogisticRegression has no epochs"):
        search(None, grid, estimator)


def test_candidates_of_ones_own_are_refused_too():
    """A candidate that a search makes itself fails with the same message."""

    class OwnSearch(TrackedSearch):
        def __init__(self, estimator, *, cv=None, error_score=np.nan):
            super().__init__(estimator=estimator, cv=cv, error_score=error_score)

        def _run_search(self, evaluate_candidates):
            evaluate_candidates([{"last": LogisticRegression()}])

    own = OwnSearch(
        Pipeline([("last", MLP)]), cv=2, error_score="raise", capture="both"
    ).set_params(snapshots="all")
    with pytest.raises(SnapshotError, match="LogisticRegression has no epochs"):
        own.fit(X, y)


class OwnLoop(MLPClassifier):
    """A network with a training loop of its own."""

    def _fit(self, X, y, sample_weight=None, incremental=False):
        network = MLPClassifier(**self.get_params()).fit(X, y)
        self.__dict__.update(network.__dict__)
        return self


def test_fit_that_reports_no_epochs_is_told():
    """A class that trains in another way has no snapshots, with a warning."""
    with pytest.warns(SnapshotWarning, match="fit reports no epochs"):
        one = search(None, {"alpha": [1.0]}, OwnLoop((5,), max_iter=3))

    with pytest.raises(SnapshotError):
        one.run_.trajectory(0)


def test_early_stopping_before_a_named_epoch_is_told():
    """A fit that ends before a named epoch keeps what there is, with a warning."""
    stopping = clone(MLP).set_params(
        early_stopping=True, n_iter_no_change=2, tol=1.0, max_iter=50
    )
    with pytest.warns(SnapshotWarning, match=r"4 fits ended .* no epoch 40"):
        one = search(None, {"alpha": [1.0]}, stopping, snapshots=[0, 2, 40])

    assert one.run_.trajectory(0).epochs.tolist() == [0, 2]
    assert "valid_score" in one.run_.trajectory(0).metrics


def test_reused_fits_that_ended_before_a_named_epoch_are_told(tmp_path):
    """The warning comes again where all fits are taken from the store."""
    for _ in range(2):
        with pytest.warns(SnapshotWarning, match=r"4 fits ended .* no epoch 40"):
            one = search(tmp_path / "a.h5", {"alpha": [1.0]}, snapshots=[0, 2, 40])
    assert len(one.store_.runs) == 1


class ReadingMLP(MLPClassifier):
    """A network that reads its own snapshots in its fourth epoch."""

    def _update_no_improvement_count(self, *args):
        super()._update_no_improvement_count(*args)
        if len(self.loss_curve_) == 4:
            with WeightStore(SEEN["store"]) as store:
                run = store.run()
                for place in run.unfinished_fits:
                    one = run.trajectory(*place)
                    SEEN.setdefault("found", []).append(
                        (run.status, place, one.is_finished, dict(one), repr(one))
                    )


SEEN: dict = {}


@pytest.mark.parametrize("block_bytes", [400, 1 << 20], ids=["in file", "in memory"])
def test_fit_under_way_can_be_read(monkeypatch, tmp_path, block_bytes):
    """Its snapshots are there before it has ended, and are those that it ends with."""
    monkeypatch.setattr(_snapshots, "_SPOOL_SECONDS", -1)
    monkeypatch.setattr(_snapshots, "_BLOCK_BYTES", block_bytes)
    SEEN.clear()
    SEEN["store"] = tmp_path / "a.h5"
    estimator = ReadingMLP((5,), max_iter=6, random_state=0)
    run = search(tmp_path / "a.h5", {"alpha": [0.1]}, estimator).run_

    assert [place for _, place, *_ in SEEN["found"]] == [
        (0, 0),
        (0, 1),
        (0, 2),
        (0, None),
    ]
    for status, place, is_finished, arrays, text in SEEN["found"]:
        assert (status, is_finished) == ("running", False)
        assert "epochs 0 to 3, unfinished" in text
        whole = run.trajectory(*place)
        assert whole.is_finished
        assert len(whole.epochs) == 7
        for name, array in arrays.items():
            assert array.tobytes() == whole[name][:4].tobytes()
    assert run.unfinished_fits == []
    assert not list(tmp_path.glob("*.wsspool"))


class InterruptedMLP(MLPClassifier):
    """A network that is interrupted in its fourth epoch, and does not tell."""

    def _update_no_improvement_count(self, *args):
        super()._update_no_improvement_count(*args)
        if len(self.loss_curve_) == 4 and os.environ.pop("INTERRUPT", ""):
            signal.raise_signal(signal.SIGINT)


def test_interrupted_fit_keeps_its_snapshots(monkeypatch, tmp_path):
    """What the first fit had is there until the resumed search has ended."""
    monkeypatch.setattr(_snapshots, "_SPOOL_SECONDS", -1)
    path, grid = tmp_path / "a.h5", {"alpha": [0.1]}
    estimator = InterruptedMLP((5,), max_iter=6, random_state=0)
    monkeypatch.setenv("INTERRUPT", "yes")
    with pytest.raises(KeyboardInterrupt), pytest.warns(UserWarning, match="interrupt"):
        search(path, grid, estimator)

    def check():
        with WeightStore(path) as store:
            run = store.run()
            assert run.status == "interrupted"
            assert run.unfinished_fits == [(0, 0)]
            one = run.trajectory(0, 0)
            assert dict(run.params(0)) == {"alpha": 0.1}
            return {name: array[:4].tobytes() for name, array in one.items()}

    found = check()
    assert WeightStore.recover(path)
    assert check() == found
    run = search(path, grid, estimator).run_
    assert {n: a[:4].tobytes() for n, a in run.trajectory(0, 0).items()} == found
    with WeightStore(path) as store:
        assert len(store.runs) == 1
        assert store.verify() == []
    assert not list(tmp_path.glob("*.wsspool"))


def test_elsewhere_memory_suffices(monkeypatch, tmp_path):
    """A worker that cannot write beside the store keeps a short trajectory itself."""
    monkeypatch.setattr(_snapshots, "_SPOOL_SECONDS", -1)
    plan = _snapshots.WantedSnapshots("all", tmp_path / "missing" / "a.h5")
    snapshotter = _snapshots.Snapshotter(plan, "a" * 32, 0, 0)
    network = clone(MLP)
    with snapshotter.following(network):
        network.fit(X, y)

    outcome = snapshotter.finish(Outcome({}, Weights()))
    assert outcome.snapshots.spooled is None
    epochs = [n for block in outcome.snapshots.blocks for n in block["epoch"].tolist()]
    assert epochs == list(range(7))


def test_disk_estimate_counts_snapshots(tmp_path, capsys):
    """What is said to be needed before the search grows with the snapshots."""
    search(tmp_path / "a.h5", {"alpha": [1.0]}, verbose=1, snapshots=None)
    without = capsys.readouterr().out
    search(tmp_path / "b.h5", {"alpha": [1.0]}, verbose=1)
    with_them = capsys.readouterr().out

    sizes = [
        float(text.split("about ")[1].split(" kB")[0]) for text in (without, with_them)
    ]
    assert sizes[1] > 2 * sizes[0]


def test_param_is_cloned_and_pickled(found):
    """The param is one like the others, and its search can be pickled."""
    assert clone(found).get_params()["snapshots"] == "all"
    again = pickle.loads(pickle.dumps(found))
    assert again.run_.trajectory(0).epochs.tolist() == list(range(7))


# -- reusing ---------------------------------------------------------------------------


def test_stored_snapshots_serve_a_search_that_wants_fewer(found, copy, capsys):
    """Some of the epochs, or none, are taken from a store that has all."""
    for snapshots in ([1, 3], 3, None):
        again = search(
            copy, found.param_grid, found.estimator, snapshots=snapshots, verbose=1
        )
        assert "9 of 9 fits reused" in capsys.readouterr().out
        assert again.run_.trajectory(1, 2).epochs.tolist() == list(range(7))


def test_fits_without_the_wanted_snapshots_are_made_again(tmp_path, capsys):
    """A stored fit that lacks snapshots is fitted once more, and said to be."""
    path, grid = tmp_path / "a.h5", {"alpha": [0.1, 1.0]}
    search(path, grid, snapshots=None)
    search(path, grid, snapshots=[1], verbose=1)
    first = capsys.readouterr().out
    last = search(path, grid, snapshots=[1, 2], verbose=1)
    second = capsys.readouterr().out
    search(path, grid, snapshots=[2], verbose=1)

    for told in (first, second):
        assert "6 stored fits lack some of the snapshots" in told
    assert last.run_.trajectory(0).epochs.tolist() == [1, 2]
    assert "6 of 6 fits reused" in capsys.readouterr().out
    with WeightStore(path) as store:
        epochs = [
            run.trajectory(0).epochs.tolist() for run in list(store.runs.values())[1:]
        ]
    assert epochs == [[1], [1, 2], [1, 2]]


# -- the store -------------------------------------------------------------------------


def test_trajectories_survive_what_a_store_goes_through(found, copy, tmp_path):
    """Merging, deleting and repacking keep all snapshots, also of reused fits."""
    expected = trajectories(found.run_)
    again = search(copy, {"mlp__solver": ["adam", "lbfgs"]}, found.estimator)
    part = {key: expected[key] for key in expected if key[0] == 0}
    merged = tmp_path / "merged.h5"
    WeightStore.merge(merged, [copy])
    with WeightStore(merged) as store:
        names = list(store.runs)
        assert trajectories(store.runs[names[0]]) == expected
        store.delete(names[0])
    WeightStore.repack(merged)

    with WeightStore(merged) as store:
        assert store.verify() == []
        (run,) = store.runs.values()
        assert trajectories(run).items() >= part.items()
    assert again.run_.trajectory(1).epochs.tolist() == list(range(7))


def test_damaged_snapshots_are_found(found, copy):
    """A flipped bit in a snapshot is reported, and never returned."""
    wanted = found.run_.trajectory(0, 1)["mlp/coefs_/0"][3].tobytes()
    with Path(copy).open("r+b") as file:
        content = file.read()
        assert content.count(wanted) == 1
        file.seek(content.index(wanted))
        file.write(bytes([wanted[0] ^ 1]))

    with WeightStore(copy) as store:
        assert len(store.verify()) == 1
        (run,) = store.runs.values()
        with pytest.raises(Exception, match="does not match its checksum"):
            run.trajectory(0, 1)["mlp/coefs_/0"]
        assert run.trajectory(0, 1)["mlp/coefs_/1"].shape == (7, 5, 3)


# -- reading ---------------------------------------------------------------------------


def test_predictions_after_an_epoch_are_those_of_shorter_fits(found):
    """Out-of-fold predictions at an epoch need no training."""
    early = found.run_.predictions(X, y, "predict_proba", epoch=2)

    for candidate, solver in enumerate(SOLVERS["solver"]):
        params = {"mlp__solver": solver, "mlp__max_iter": 2}
        shorter = clone(found.estimator).set_params(**params)
        expected = cross_val_predict(shorter, X, y, cv=CV, method="predict_proba")
        np.testing.assert_array_equal(early[candidate], expected)


def test_one_weight_of_all_candidates_after_an_epoch(found):
    """A stack takes an epoch, and equals the trajectories there."""
    stack, candidates = found.run_.stack("mlp/coefs_/1", epoch=3)

    assert candidates.tolist() == [0, 1, 2]
    for candidate in range(3):
        one = found.run_.trajectory(candidate)
        np.testing.assert_array_equal(stack[candidate], one["mlp/coefs_/1"][3])
        np.testing.assert_array_equal(stack[candidate], one.at(3)["mlp/coefs_/1"])


def test_epochs_that_are_not_there_are_named(found):
    """An epoch without a snapshot is an error that says which there are."""
    run = found.run_
    for ask in (
        lambda: run.load_estimator(0, epoch=7),
        lambda: run.trajectory(0).at(7),
        lambda: run.predictions(X, y, epoch=7),
        lambda: run.rewind(0, 7),
    ):
        with pytest.raises(SnapshotError, match=r"epoch 7; .* 6 epochs, .* 0, 1, 2, 3"):
            ask()
    with pytest.raises(SnapshotError, match=r"No candidate .* after epoch 7"):
        run.stack("mlp/coefs_/1", epoch=7)
    plain = search(None, {"alpha": [1.0]}, snapshots=None).run_
    with pytest.raises(SnapshotError, match="snapshots='all'"):
        plain.trajectory(0)
    with pytest.raises(SnapshotError, match="snapshots='all'"):
        plain.load_estimator(0, epoch=1)


@pytest.mark.parametrize("solver", SOLVERS["solver"])
def test_rewound_network_trains_on_from_its_epoch(found, solver):
    """After rewinding, the first losses are near those that followed the epoch."""
    run, key = found.run_, {"mlp__solver": solver}
    rewound = run.rewind(key, 3)
    np.testing.assert_array_equal(
        rewound.predict_proba(X), run.load_estimator(key, epoch=3).predict_proba(X)
    )
    before = run.trajectory(key).metrics["train_loss"]

    network = rewound.fit(X, y)[-1]

    first = network.loss_curve_[0] if solver != "lbfgs" else network.loss_
    assert first < before[3]
    assert network.n_iter_ == 6


WITH_OPTIMIZER = SnapshotPlan("all", optimizer=True)


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "adam"},
        {"solver": "sgd", "learning_rate": "invscaling"},
        {
            "solver": "sgd",
            "learning_rate": "adaptive",
            "tol": 10,
            "n_iter_no_change": 1,
        },
        {
            "solver": "sgd",
            "nesterovs_momentum": False,
            "tol": 10,
            "n_iter_no_change": 9,
        },
    ],
    ids=["adam", "invscaling", "adaptive", "momentum"],
)
def test_with_its_optimizer_a_network_trains_on_as_it_did(params, tmp_path):
    """From any epoch, the same batches lead to the same end, bit for bit."""
    mlp = MLPClassifier((5,), max_iter=8, batch_size=40, shuffle=False, random_state=0)
    estimator = Pipeline(
        [("scale", StandardScaler()), ("mlp", mlp.set_params(**params))]
    )
    grid = {"mlp__alpha": [0.1]}
    run = search(tmp_path / "a.h5", grid, estimator, snapshots=WITH_OPTIMIZER).run_
    end = run.weights(0)
    assert list(run.trajectory(0)) == [name for name in end if name.startswith("mlp/")]

    for epoch in (0, 3, 6):
        rewound = pickle.loads(pickle.dumps(run.rewind(0, epoch)))
        network = rewound.set_params(mlp__max_iter=8 - epoch).fit(X, y)[-1]
        for number, array in enumerate(network.coefs_):
            assert array.tobytes() == end[f"mlp/coefs_/{number}"].tobytes()
        assert "_fit_stochastic" not in vars(network)


def test_stored_fits_with_optimizer_serve_those_without(tmp_path, capsys):
    """A fit lacks the optimizer's state only where that is wanted."""
    path, grid = tmp_path / "a.h5", {"alpha": [0.1]}
    search(path, grid)
    search(path, grid, snapshots=WITH_OPTIMIZER, verbose=1)
    assert "3 stored fits lack some of the snapshots" in capsys.readouterr().out
    for snapshots in ("all", WITH_OPTIMIZER, SnapshotPlan([1], optimizer=True)):
        search(path, grid, snapshots=snapshots, verbose=1)
        assert "3 of 3 fits reused" in capsys.readouterr().out
    with WeightStore(path) as store:
        assert store.verify() == []
    search(tmp_path / "b.h5", grid)
    WeightStore.merge(tmp_path / "b.h5", [path])
    with WeightStore(tmp_path / "b.h5") as store:
        found = []
        for run in store.runs.values():
            rewound = run.rewind(0, 1)
            found.append("_fit_stochastic" in vars(rewound))
    assert found.count(True) == 2  # the run that kept it, and the one that reused it


def test_optimizer_whose_state_is_hidden_is_told(tmp_path, capsys):
    """That of lbfgs cannot be kept: a warning, an error, and no fit is made twice."""
    path, grid = tmp_path / "a.h5", {"solver": ["lbfgs"]}
    with pytest.warns(SnapshotWarning, match="could not be kept: scipy") as told:
        run = search(path, grid, snapshots=WITH_OPTIMIZER).run_
    assert [one.category for one in told].count(SnapshotWarning) == 1
    with pytest.raises(SnapshotError, match=r"could not be kept.* warm_start=True"):
        run.rewind(0, 3)
    assert run.trajectory(0).epochs.tolist() == list(range(7))
    search(path, grid, snapshots=WITH_OPTIMIZER, verbose=1)
    assert "3 of 3 fits reused" in capsys.readouterr().out


def test_network_with_its_own_loop_is_not_trained_on(tmp_path):
    """Where the training loop is another one, the error says so."""
    estimator = ReadingLoop((5,), max_iter=3, random_state=0)
    run = search(None, {"alpha": [0.1]}, estimator, snapshots=WITH_OPTIMIZER).run_
    with pytest.raises(RebuildError, match="ReadingLoop has a training loop"):
        run.rewind(0, 2, estimator=estimator)


class ReadingLoop(MLPClassifier):
    """A network with a step before its training loop."""

    def _fit_stochastic(self, *args):
        return super()._fit_stochastic(*args)


# -- boosting --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator",
    [
        GradientBoostingClassifier(n_estimators=5, max_depth=2, random_state=0),
        HistGradientBoostingClassifier(max_iter=5, random_state=0),
    ],
    ids=["trees", "histograms"],
)
def test_stages_of_boosting_are_in_the_final_model(estimator, tmp_path):
    """Each stage predicts as in ``staged_predict_proba``, and takes no room."""
    grid = {"learning_rate": [0.1, 0.5]}
    run = search(tmp_path / "a.h5", grid, estimator).run_
    final = run.load_estimator(1)

    for epoch, expected in enumerate(final.staged_predict_proba(X), 1):
        early = run.load_estimator(1, epoch=epoch)
        np.testing.assert_array_equal(early.predict_proba(X), expected)
    with pytest.raises(SnapshotError, match="it has 5 stages"):
        run.load_estimator(1, epoch=6)
    with pytest.raises(SnapshotError, match="stages of gradient boosting"):
        run.trajectory(1)
    with pytest.raises(RebuildError, match="cannot be trained on"):
        run.rewind(1, 3)
    again = search(tmp_path / "a.h5", grid, estimator)
    assert again.run_.uid == run.uid  # reused, since nothing is missing

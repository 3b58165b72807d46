"""Weights of skorch nets over time."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from skorch.callbacks import Checkpoint, LRScheduler  # noqa: E402

from weightsearch import (  # noqa: E402
    SnapshotError,
    SnapshotPlan,
    SnapshotWarning,
    WeightTrackingGridSearchCV,
)

X, y = load_iris(return_X_y=True)
X, y = X.astype(np.float32), y.astype(np.int64)


class Net(torch.nn.Module):
    """A network with batch normalization, and a layer that is not trained."""

    def __init__(self, hidden=4, lazy=False):
        super().__init__()
        first = torch.nn.LazyLinear(hidden) if lazy else torch.nn.Linear(4, hidden)
        self.layers = torch.nn.Sequential(
            first, torch.nn.BatchNorm1d(hidden), torch.nn.Linear(hidden, 3)
        )
        self.register_buffer("frozen", torch.arange(3000.0))

    def forward(self, X):
        return self.layers(X).softmax(-1)


def net(**params):
    """Make a net that trains three epochs."""
    params = {"max_epochs": 3, "lr": 0.1, "verbose": 0, "batch_size": 16, **params}
    return skorch.NeuralNetClassifier(Net, **params)


def search(store=None, estimator=None, **options):
    """Search two sizes with one seed."""
    torch.manual_seed(0)
    name = "module__hidden"
    if not isinstance(estimator, skorch.NeuralNet) and estimator is not None:
        name = f"neuralnetclassifier__{name}"
    options = {"cv": 2, "capture": "both", "snapshots": "all", **options}
    return WeightTrackingGridSearchCV(
        estimator or net(), {name: [3, 4]}, store=store, **options
    ).fit(X, y)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A search with all snapshots."""
    return search(tmp_path_factory.mktemp("snapshots") / "a.h5")


def test_results_and_last_snapshot_are_those_of_the_fit(found):
    """Scores equal those without snapshots; the last one is the final model."""
    plain = search(snapshots=None)

    column = "split1_test_score"
    np.testing.assert_array_equal(found.cv_results_[column], plain.cv_results_[column])
    for candidate in (0, 1):
        for split in (0, 1, None):
            one = found.run_.trajectory(candidate, split)
            final = found.run_.weights(candidate, split)
            theirs = plain.run_.weights(candidate, split)
            assert list(one) == list(final)
            assert one.epochs.tolist() == [0, 1, 2, 3]
            for name in one:
                assert one[name][-1].tobytes() == final[name].tobytes()
                assert final[name].tobytes() == theirs[name].tobytes()


def test_statistics_of_batches_belong_to_an_epoch(found):
    """Moving statistics differ from epoch to epoch, and early models predict."""
    one = found.run_.trajectory(1)
    assert one["layers.1.num_batches_tracked"].tolist() == [0, 8, 16, 24]
    assert len(np.unique(one["layers.1.running_mean"], axis=0)) == 4
    early = found.run_.load_estimator(1, estimator=net(), epoch=2)

    state = early.module_.state_dict()
    for name in one:
        np.testing.assert_array_equal(state[name].numpy(), one[name][2])
    assert early.predict_proba(X).shape == (150, 3)


def test_what_does_not_change_is_stored_once(found):
    """A frozen buffer of 12 kB is in the store once per fit, not per epoch."""
    assert found.run_.trajectory(0)["frozen"].shape == (4, 3000)
    content = found.store.read_bytes()
    # Once as a final weight and once as a snapshot, of three fits of two candidates.
    assert content.count(np.arange(3000, dtype=np.float32).tobytes()) == 12


def test_losses_and_rates_stand_beside_snapshots(found):
    """The metrics are those of the net's history."""
    metrics = found.run_.trajectory(0).metrics
    history = found.run_.load_estimator(0, estimator=net()).history

    for name in ("train_loss", "valid_loss", "valid_acc"):
        assert metrics[name][1:].tolist() == history[:, name]
    assert metrics["step"].tolist() == [0, 8, 16, 24]


def test_callbacks_of_the_user_stay_as_they_are(tmp_path):
    """Checkpoints and schedulers work, and the fitted net has no further callback."""
    checkpoint = Checkpoint(
        dirname=str(tmp_path / "checkpoint"), f_pickle="net.pkl", monitor=None
    )
    policy = LRScheduler(policy="StepLR", step_size=1, gamma=0.5)
    with_both = make_pipeline(
        StandardScaler(), net(callbacks=[checkpoint, ("policy", policy)])
    )
    one = search(tmp_path / "a.h5", with_both, cv=[(range(100), range(100, 150))])

    rates = one.run_.trajectory(0, 0).metrics["learning_rate"]
    assert rates[1:].tolist() == [0.1, 0.05, 0.025]
    fitted = one.best_estimator_[-1]
    names = [name for name, _ in fitted.callbacks_]
    assert "policy" in names
    assert "weightsearch" not in names
    assert "_initialize_callbacks" not in vars(fitted)
    assert list(one.run_.trajectory(0)) == [
        name for name in one.run_.weights(0) if "/" in name and "standard" not in name
    ]


def test_lazy_modules_have_no_initial_weights():
    """What has no weights before its first batch is told, and the rest is kept."""
    with pytest.warns(SnapshotWarning, match="no snapshot of epoch 0"):
        one = search(estimator=net(module__lazy=True, callbacks="disable"))

    assert one.run_.trajectory(0).epochs.tolist() == [1, 2, 3]


def test_rewound_net_trains_on(found):
    """A rewound net begins with the weights of its epoch."""
    rewound = found.run_.rewind(0, 2, estimator=net())
    before = found.run_.trajectory(0).at(2)
    for name, tensor in rewound.module_.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])

    losses = rewound.fit(X, y).history[:, "train_loss"]

    assert len(losses) == 3
    assert losses[0] < found.run_.trajectory(0).metrics["train_loss"][2]


def test_rewound_net_has_a_new_optimizer():
    """Moments of the end of training, which the best candidate has, are not used."""
    momentum = net(optimizer__momentum=0.9)
    run = search(estimator=momentum).run_
    best = run.best_index

    assert len(run.load_estimator(best, momentum).optimizer_.state) > 0
    rewound = run.rewind(best, 1, momentum)
    assert len(rewound.optimizer_.state) == 0
    weights = [list(group["params"]) for group in rewound.optimizer_.param_groups]
    assert weights[0][0] is next(rewound.module_.parameters())


@pytest.mark.parametrize("momentum", [0.0, 0.9], ids=["adam", "sgd"])
def test_with_its_optimizer_a_net_trains_on_as_it_did(momentum, tmp_path):
    """From any epoch, the same batches lead to the same end, bit for bit."""
    optimizer = torch.optim.SGD if momentum else torch.optim.Adam
    options = {"optimizer__momentum": momentum} if momentum else {}
    estimator = net(max_epochs=5, optimizer=optimizer, **options)
    plan = SnapshotPlan("all", optimizer=True)
    run = search(tmp_path / "a.h5", estimator, snapshots=plan).run_
    for candidate in (0, 1):  # the best one has its last optimizer in its state
        end = run.weights(candidate)
        for epoch in (0, 2):
            rewound = run.rewind(candidate, epoch, estimator=estimator)
            rewound.set_params(max_epochs=5 - epoch).fit(X, y)
            for name, tensor in rewound.module_.state_dict().items():
                assert tensor.numpy().tobytes() == end[name].tobytes()


def test_without_its_state_an_optimizer_is_new(tmp_path):
    """Also that of the best candidate, of which the last state is kept."""
    run = search(estimator=net(optimizer=torch.optim.Adam)).run_
    for candidate in (0, 1):
        rewound = run.rewind(candidate, 1, estimator=net(optimizer=torch.optim.Adam))
        assert rewound.optimizer_.state_dict()["state"] == {}


def test_optimizer_with_other_states_is_told(tmp_path):
    """Lists of tensors, as LBFGS has them, are not kept, with a warning."""
    estimator = net(max_epochs=1, optimizer=torch.optim.LBFGS, callbacks="disable")
    with pytest.warns(SnapshotWarning, match="could not be kept: .* is a list"):
        run = search(
            estimator=estimator, snapshots=SnapshotPlan("all", optimizer=True)
        ).run_
    with pytest.raises(SnapshotError, match="could not be kept"):
        run.rewind(0, 1, estimator=estimator)

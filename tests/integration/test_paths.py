"""What can be asked of weights over time: scores along lines, files for research."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from weightsearch import (
    QueryError,
    SnapshotError,
    UnequalWeightsError,
    WeightTrackingGridSearchCV,
)
from weightsearch.compare import path_components
from weightsearch.plot import (
    ScorePathDisplay,
    TrainingCurveDisplay,
    TrajectoryDisplay,
)

X, y = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def run():
    """Two networks from different starts, snapshots of every fifth epoch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = WeightTrackingGridSearchCV(
            MLPClassifier((6,), max_iter=40, learning_rate_init=0.02),
            {"random_state": [0, 1]},
            cv=2,
            snapshots=5,
        ).fit(X, y)
    return search.run_


def test_lines_begin_and_end_at_the_models(run):
    """The ends have the scores of the candidates, the middle that of their mean."""
    found = run.score_path(0, 1, X, y, n_points=3, align=True)

    ends = [run.load_estimator(number).score(X, y) for number in (0, 1)]
    assert found["score"].iloc[[0, 2]].tolist() == ends
    assert found["aligned"].iloc[[0, 2]].tolist() == ends
    assert found["score"][0.5] == run.average([0, 1]).score(X, y)
    assert found["aligned"][0.5] == run.average([0, 1], align=True).score(X, y)
    for column, barrier in found.attrs["barrier"].items():
        assert barrier == pytest.approx(max(0, np.mean(ends) - found[column][0.5]))


def test_lines_between_epochs(run):
    """A (candidate, epoch) is the model as it was then."""
    found = run.score_path((1, 0), (1, 10), X, y, n_points=2, scoring="neg_log_loss")

    early = [run.load_estimator(1, epoch=epoch) for epoch in (0, 10)]
    logs = [np.log(model.predict_proba(X)) for model in early]
    expected = [log[range(len(y)), y].mean() for log in logs]
    np.testing.assert_allclose(found["score"], expected)


def test_what_has_no_line_is_refused(run):
    """Epochs without a snapshot, and weights that have no mean, are named."""
    with pytest.raises(SnapshotError, match="no snapshot of epoch 3"):
        run.score_path((0, 3), 1, X, y)
    with pytest.raises(ValueError, match="n_points must be at least 2, got 1"):
        run.score_path(0, 1, X, y, n_points=1)
    forests = WeightTrackingGridSearchCV(
        RandomForestClassifier(2, max_depth=1), {"random_state": [0, 1]}, cv=2
    ).fit(X, y)
    with pytest.raises(UnequalWeightsError):
        forests.run_.score_path(0, 1, X, y)
    with pytest.raises(SnapshotError, match="No snapshots"):
        forests.run_.score_path((0, 1), 1, X, y)


def test_thinned_trajectories(run):
    """The first, the last and snapshots between them; short ones are as they were."""
    whole = run.trajectory(1)
    some = whole.thinned(3)

    assert (
        some.epochs.tolist() == whole.epochs[[0, len(whole.epochs) // 2, -1]].tolist()
    )
    pd.testing.assert_frame_equal(some.metrics, whole.metrics.loc[some.epochs])
    for name in whole:
        expected = whole[name][np.isin(whole.epochs, some.epochs)]
        np.testing.assert_array_equal(some[name], expected)
    assert whole.thinned(100) is whole
    with pytest.raises(ValueError, match="n must be at least 2, got 1"):
        whole.thinned(1)


# -- displays ------------------------------------------------------------------------


def test_trajectories_are_drawn_in_their_plane(run):
    """One line per candidate through its coordinates, of all or of some weights."""
    pytest.importorskip("matplotlib")
    display = TrajectoryDisplay.from_run(run)

    both = path_components([run.trajectory(0), run.trajectory(1)])
    for line, path in zip(display.lines_, both.coordinates, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), path)
    assert "circle" in display.ax_.get_title()
    (one,) = TrajectoryDisplay.from_run(run, candidates=[1], ax=display.ax_).lines_
    assert len(one.get_xdata()) == len(run.trajectory(1).epochs)


def test_recorded_metrics_are_drawn_over_epochs(run):
    """The first loss by default, without the epochs of which it is not known."""
    pytest.importorskip("matplotlib")
    display = TrainingCurveDisplay.from_run(run)

    loss = run.trajectory(0).metrics["train_loss"].dropna()
    line = display.lines_[0]
    np.testing.assert_array_equal(line.get_xdata(), loss.index)
    np.testing.assert_array_equal(line.get_ydata(), loss)
    assert display.ax_.get_ylabel() == "train_loss"
    with pytest.raises(QueryError, match=r"'loss'; there are .*Did you mean 'train_l"):
        TrainingCurveDisplay.from_run(run, "loss")


def test_lines_between_models_are_drawn(run):
    """Scores with and without alignment, the ends named."""
    pytest.importorskip("matplotlib")
    display = ScorePathDisplay.from_run(run, 0, (1, 5), X, y, align=True, n_points=3)

    scores = run.score_path(0, (1, 5), X, y, align=True, n_points=3)
    for column, line in display.lines_.items():
        np.testing.assert_array_equal(line.get_ydata(), scores[column])
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["candidate 0", "½", "candidate 1, epoch 5"]


def test_no_display_without_snapshots():
    """A run without snapshots says so."""
    pytest.importorskip("matplotlib")
    forest = RandomForestClassifier(1, max_depth=1)
    plain = WeightTrackingGridSearchCV(forest, {"random_state": [0]}, cv=2).fit(X, y)

    with pytest.raises(SnapshotError, match="No snapshots"):
        TrajectoryDisplay.from_search(plain)


# -- model zoos ----------------------------------------------------------------------


def test_zoo_has_every_snapshot(run, tmp_path):
    """Rows are the flattened weights, and the tables say what is in them."""
    folder = run.export_zoo(tmp_path / "zoo", shares=(0.5, 0, 0.5))

    weights = np.load(folder / "weights.npy")
    layout = pd.read_csv(folder / "layout.csv")
    table = pd.read_csv(folder / "metrics.csv.gz")
    assert len(weights) == len(table)
    for row, (candidate, epoch) in enumerate(
        zip(table["candidate"], table["epoch"], strict=True)
    ):
        expected = run.trajectory(candidate).at(epoch)
        for weight in layout.itertuples():
            part = weights[row, weight.start_idx : weight.end_idx]
            np.testing.assert_array_equal(part, expected[weight.varname].ravel())
            assert weight.shape == str(expected[weight.varname].shape)
    loss = run.trajectory(1).metrics["train_loss"]
    ours = table[table["candidate"] == 1]
    np.testing.assert_allclose(ours["train_loss"], loss, rtol=1e-12)
    assert set(ours["config.random_state"]) == {1}
    subsets = table.groupby("candidate")["subset"].unique().str.join("")
    assert sorted(subsets) == ["test", "train"]


def test_zoo_of_final_weights(tmp_path):
    """Without snapshots there is one row per model; other architectures are refused."""
    search = WeightTrackingGridSearchCV(
        make_pipeline(PCA(), LogisticRegression()),
        {"pca__n_components": [2, 3], "logisticregression__C": [0.1, 1.0]},
        cv=2,
    ).fit(X, y)
    run = search.run_
    with pytest.raises(UnequalWeightsError, match="candidate 1 differ"):
        run.export_zoo(tmp_path / "zoo")
    assert list(tmp_path.iterdir()) == []

    folder = run.export_zoo(tmp_path / "zoo", [0, 2])
    table = pd.read_csv(folder / "metrics.csv.gz")
    assert table["candidate"].tolist() == [0, 2]
    scores = search.cv_results_["mean_test_score"][[0, 2]]
    np.testing.assert_allclose(table["cv.mean_test_score"], scores)
    with pytest.raises(FileExistsError):
        run.export_zoo(folder, [0])
    with pytest.raises(ValueError, match="shares"):
        run.export_zoo(tmp_path / "other", [0], shares=(0.5, 0.1, 0.1))


@pytest.mark.torch
def test_zoo_is_a_dataset(run, tmp_path):
    """A loader of torch gets vectors and targets of a subset, of a folder or a run."""
    loader_of = pytest.importorskip("torch.utils.data").DataLoader
    from weightsearch.frameworks.zoo import ZooDataset

    folder = run.export_zoo(tmp_path / "zoo", shares=(0.5, 0, 0.5))
    dataset = ZooDataset(folder, "test", target="epoch")
    vectors, targets = next(iter(loader_of(dataset, batch_size=len(dataset))))

    rows = dataset.table.index
    expected = np.load(folder / "weights.npy")[rows].astype("float32")
    np.testing.assert_array_equal(vectors.numpy(), expected)
    assert targets.tolist() == dataset.table["epoch"].tolist()
    assert set(dataset.table["subset"]) == {"test"}
    of_run = ZooDataset(run.zoo(shares=(0.5, 0, 0.5)), "test")
    for one, other in zip(of_run, ZooDataset(folder, "test"), strict=True):
        np.testing.assert_array_equal(one[0].numpy(), other[0].numpy())
        assert one[1] == other[1]
    pd.testing.assert_frame_equal(of_run.layout, dataset.layout)
    with pytest.raises(ValueError, match="no column 'accuracy'"):
        ZooDataset(folder, target="accuracy")

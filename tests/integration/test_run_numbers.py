"""What a run tells of its candidates' weights, on real searches."""

from __future__ import annotations

import traceback
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shuffled_models import ShuffledMLP, shuffle_dense
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import weightsearch
from weightsearch import WeightStore, WeightTrackingGridSearchCV
from weightsearch.compare import (
    STATISTICS,
    linear_cka,
    param_importance,
    weight_stats,
)
from weightsearch.exceptions import (
    AlignmentError,
    QueryError,
    StoreError,
    WeightSearchError,
    WeightsNotFoundError,
)


def _digits(n=400):
    X, y = load_digits(return_X_y=True)
    return (X[:n] / 16), y[:n]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A store with 12 MLPs on digits: two architectures, two activations, 3 alphas."""
    path = tmp_path_factory.mktemp("numbers") / "digits.h5"
    WeightTrackingGridSearchCV(
        make_pipeline(StandardScaler(), MLPClassifier(max_iter=8, random_state=0)),
        {
            "mlpclassifier__activation": ["relu", "tanh"],
            "mlpclassifier__alpha": [1e-4, 1.0, 30.0],
            "mlpclassifier__hidden_layer_sizes": [(8,), (12, 6)],
        },
        cv=2,
        capture="both",
        store=path,
    ).fit(*_digits())
    return path


@pytest.fixture
def run(path):
    with WeightStore(path) as store:
        yield store.run()


def test_best_candidate_is_described_and_loaded(run):
    """``run.best`` agrees with the table of candidates, and loads that model."""
    best = run.best
    assert best.number == run.candidates["rank_test_score"].idxmin()
    assert best.params == run.params(best.number)
    assert best.score == run.candidates["mean_test_score"].max()
    X, _ = _digits(20)
    expected = run.load_estimator(best.number).predict_proba(X)
    assert np.array_equal(best.load().predict_proba(X), expected)


def test_a_run_without_a_refit_has_no_best_candidate():
    """The error names the setting that decides it."""
    search = WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=500),
        {"C": [0.1, 1.0]},
        cv=2,
        scoring=["accuracy", "f1_macro"],
        refit=False,
        capture="splits",
    ).fit(*load_iris(return_X_y=True))
    with pytest.raises(WeightsNotFoundError, match="refit was False"):
        _ = search.run_.best


ONE_LAYER = [0, 2, 4, 6, 8, 10]


def _vector(weights):
    return np.concatenate([weights[name].ravel() for name in sorted(weights)])


# -- stats ----------------------------------------------------------------------------


def test_stats_have_a_row_a_candidate_and_weight(run):
    """Every row is that of weight_stats, under the candidate's number and params."""
    stats = run.stats()
    assert len(stats) == 6 * 7 + 6 * 9
    assert list(stats.columns) == [
        "candidate",
        *run.params(0),
        "name",
        "shape",
        "count",
        *STATISTICS,
    ]
    for number in (0, 7):
        own = stats[stats["candidate"] == number]
        expected = weight_stats(run.weights(number).to_dict())
        pd.testing.assert_frame_equal(
            own.set_index("name")[[*expected.columns]],
            expected,
            check_names=False,
            check_index_type=False,
        )
        for name, value in run.params(number).items():
            assert all(found == value for found in own[name])


def test_stats_of_a_split(run):
    """A split's models have statistics of their own."""
    stats = run.stats(split=1)
    expected = weight_stats(run.weights(3, split=1).to_dict())
    found = stats[stats["candidate"] == 3].set_index("name")["l2"]
    assert found.to_dict() == expected["l2"].to_dict()
    assert (run.stats()["l2"] != stats["l2"]).any()


def test_stats_are_ready_for_groupby(run):
    """Strong regularisation shows in the mean norm by alpha."""
    stats = run.stats()
    kernel = stats[stats["name"] == "mlpclassifier/coefs_/0"]
    means = kernel.groupby("mlpclassifier__alpha")["l2"].mean()
    assert means[30.0] < means[1e-4]


def test_params_that_are_called_like_a_statistic():
    """Such a param keeps its values under ``param_<name>``, and effects its name."""
    run = _named_like_a_statistic().run_
    stats = run.stats()
    assert sorted(set(stats["param_mean"])) == [0.0, 0.5]
    explained = run.variance_explained("l2")
    assert set(explained["param"]) == {"mean"}
    assert not explained["note"].str.contains("param_mean").any()


class _Shifted(LogisticRegression):
    def __init__(self, mean=0.0):
        super().__init__()
        self.mean = mean

    def fit(self, X, y):
        return super().fit(X - self.mean, y)


def _named_like_a_statistic():
    X, y = load_iris(return_X_y=True)
    return WeightTrackingGridSearchCV(_Shifted(), {"mean": [0.0, 0.5]}, cv=2).fit(X, y)


# -- distances ------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["l2", "relative", "cosine"])
def test_distances_are_those_of_all_weights(run, metric):
    """Each number is the distance of two candidates' weights put end to end."""
    found = run.distances(metric)
    assert list(found.index) == list(found.columns) == list(range(12))
    assert found.index.name == "candidate"
    vectors = {i: _vector(run.weights(i).to_dict()) for i in ONE_LAYER}
    for i in ONE_LAYER:
        for j in ONE_LAYER:
            a, b = vectors[i], vectors[j]
            expected = np.linalg.norm(a - b)
            if metric == "relative":
                expected /= max(np.linalg.norm(a), np.linalg.norm(b))
            elif metric == "cosine":
                expected = 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            assert found.loc[i, j] == pytest.approx(expected, rel=1e-7, abs=1e-12)


def test_other_architectures_have_no_distance(run):
    """It is NaN exactly between candidates whose layers differ."""
    found = run.distances()
    sizes = [run.params(i)["mlpclassifier__hidden_layer_sizes"] for i in range(12)]
    same = np.array([[a == b for b in sizes] for a in sizes])
    assert np.array_equal(np.isfinite(found.to_numpy()), same)


def test_distances_of_some_candidates_and_weights(run):
    """``candidates`` and ``names`` choose rows and weights."""
    chosen = run.query("mlpclassifier__activation == 'tanh'").index
    found = run.distances(candidates=chosen, names="mlpclassifier/intercepts_/0")
    assert list(found.index) == list(chosen)
    a, b = (run.weights(i)["mlpclassifier/intercepts_/0"] for i in (6, 10))
    assert found.loc[6, 10] == pytest.approx(np.linalg.norm(a - b))
    last = run.distances(names=["mlpclassifier/intercepts_/1", "standardscaler/mean_"])
    assert last.loc[0, 2] > 0


def test_distances_of_a_split(run):
    """A split's models are compared, not the refits."""
    found = run.distances(split=0)
    a, b = (_vector(run.weights(i, split=0).to_dict()) for i in (0, 4))
    assert found.loc[0, 4] == pytest.approx(np.linalg.norm(a - b))


def test_what_has_no_weights_is_named(run):
    """Wrong names, splits and candidates end in errors that say what there is."""
    with pytest.raises(WeightsNotFoundError, match=r"coefs_/9.*there are"):
        run.distances(names="coefs_/9")
    with pytest.raises(WeightsNotFoundError, match="split 7"):
        run.distances(split=7)
    with pytest.raises(WeightsNotFoundError, match="no candidate 99"):
        run.distances(candidates=[0, 99])
    with pytest.raises(ValueError, match="'l3'"):
        run.distances("l3")


def test_labels_and_counts_do_not_count():
    """Of a tree only what is measured counts: thresholds, not node numbers."""
    X, y = load_iris(return_X_y=True)
    search = WeightTrackingGridSearchCV(
        DecisionTreeClassifier(max_depth=1), {"random_state": [0, 1, 2]}, cv=2
    ).fit(X, y)
    weights = search.run_.weights(0)
    integers = [name for name in weights if weights[name].dtype.kind in "iu"]
    assert integers
    assert search.run_.distances(names=integers[0]).shape == (3, 3)
    found = search.run_.distances()
    assert np.isfinite(found.to_numpy()).all()
    floats = {n: w for n, w in weights.items() if w.dtype.kind == "f"}
    other = search.run_.weights(1).to_dict()
    expected = np.linalg.norm(_vector(floats) - _vector({n: other[n] for n in floats}))
    assert found.loc[0, 1] == pytest.approx(expected)


def test_distances_of_a_run_that_goes_on(tmp_path):
    """An interrupted run in the log is compared as a stored one."""
    X, y = _digits(200)
    path = tmp_path / "search.h5"

    class _StopError(Exception):
        pass

    class Stopping(MLPClassifier):
        def fit(self, X, y):
            if self.alpha == 3:
                raise _StopError
            return super().fit(X, y)

    search = WeightTrackingGridSearchCV(
        Stopping((5,), max_iter=3, random_state=0),
        {"alpha": [1, 2, 3]},
        cv=2,
        capture="splits",
        store=path,
        error_score="raise",
    )
    with pytest.raises(_StopError):
        search.fit(X, y)
    with WeightStore(path) as store:
        found = store.run().distances(split=0)
        a, b = (_vector(store.run().weights(i, split=0).to_dict()) for i in (0, 1))
    assert list(found.index) == [0, 1]
    assert found.loc[0, 1] == pytest.approx(np.linalg.norm(a - b))


# -- shuffled units -------------------------------------------------------------------


def _check_shuffled(run, n):
    """Candidates 0 and 1 are one network shuffled; candidate 2 is another one."""
    apart = run.distances()
    assert (apart.to_numpy() + 1e9 * np.eye(n) > 0.5).all()
    aligned = run.distances(align=True)
    assert aligned.loc[0, 1] == 0
    assert (aligned <= apart * (1 + 1e-9)).all(axis=None)
    assert 0 < aligned.loc[0, 2] < apart.loc[0, 2]
    assert (run.compare(0, 1)["l2_distance"].max()) > 0.5
    assert (run.compare(0, 1, align=True)["l2_distance"] == 0).all()
    whole = np.linalg.norm(run.compare(0, 2, align=True)["l2_distance"])
    assert aligned.loc[0, 2] == pytest.approx(whole)
    scores = run.candidates["mean_test_score"]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("hidden", [(10,), (12, 9, 7)])
def test_shuffled_mlps_are_at_distance_zero_when_aligned(hidden):
    """On digits: one network twice, its units shuffled, and another one."""
    search = WeightTrackingGridSearchCV(
        ShuffledMLP(hidden),
        [{"shuffle_units": [None, 1]}, {"shuffle_units": [2], "random_state": [1]}],
        cv=2,
    ).fit(*_digits())
    _check_shuffled(search.run_, 3)
    X, _ = _digits()
    first, second = (
        clone(search.estimator).set_params(**search.run_.params(i)).fit(*_digits())
        for i in (0, 1)
    )
    np.testing.assert_allclose(
        first.predict_proba(X), second.predict_proba(X), rtol=1e-9, atol=1e-12
    )


@pytest.mark.torch
def test_shuffled_torch_networks_are_at_distance_zero_when_aligned():
    """The same with a chain of torch's Linear layers in a skorch classifier."""
    skorch = pytest.importorskip("skorch")
    import torch
    from torch import nn

    class Chain(nn.Sequential):
        def __init__(self, seed=0):
            torch.manual_seed(seed)
            super().__init__(
                nn.Linear(64, 12),
                nn.Tanh(),
                nn.Linear(12, 9),
                nn.ReLU(),
                nn.Linear(9, 10),
            )

    class Shuffled(skorch.NeuralNetClassifier):
        def __init__(self, *args, shuffle_units=None, **kwargs):
            super().__init__(*args, **kwargs)
            self.shuffle_units = shuffle_units

        def fit(self, X, y, **fit_params):
            super().fit(X, y, **fit_params)
            state = self.module_.state_dict()
            arrays = [w.numpy().T for w in state.values()]
            moved = shuffle_dense(arrays, self.shuffle_units)
            self.module_.load_state_dict(
                {
                    name: torch.from_numpy(np.ascontiguousarray(w.T))
                    for name, w in zip(state, moved, strict=True)
                }
            )
            return self

    X, y = _digits()
    search = WeightTrackingGridSearchCV(
        Shuffled(
            Chain,
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=0.02,
            max_epochs=5,
            train_split=None,
            iterator_train__shuffle=False,
            verbose=0,
        ),
        [{"shuffle_units": [None, 1]}, {"shuffle_units": [2], "module__seed": [1]}],
        cv=2,
    ).fit(X.astype(np.float32), y)
    assert "0.weight" in search.run_.weights(0)
    _check_shuffled(search.run_, 3)


@pytest.mark.slow
@pytest.mark.keras
def test_shuffled_keras_networks_are_at_distance_zero_when_aligned():
    """The same with a Sequential of Dense layers in a scikeras classifier."""
    keras = pytest.importorskip("keras")
    from scikeras.wrappers import KerasClassifier

    def build(shuffle_units):
        return keras.Sequential(
            [
                keras.layers.Input((64,)),
                keras.layers.Dense(12, activation="tanh"),
                keras.layers.Dense(9, activation="relu"),
                keras.layers.Dense(10, activation="softmax"),
            ]
        )

    class Shuffled(KerasClassifier):
        def fit(self, X, y, **kwargs):
            super().fit(X, y, **kwargs)
            moved = shuffle_dense(self.model_.get_weights(), self.shuffle_units)
            self.model_.set_weights(moved)
            return self

    search = WeightTrackingGridSearchCV(
        Shuffled(
            build,
            loss="sparse_categorical_crossentropy",
            optimizer="adam",
            epochs=3,
            verbose=0,
            random_state=0,
            shuffle_units=None,
        ),
        [{"shuffle_units": [None, 1]}, {"shuffle_units": [2], "random_state": [1]}],
        cv=2,
    ).fit(*_digits())
    assert "dense/kernel" in search.run_.weights(0)
    _check_shuffled(search.run_, 3)


def test_what_has_no_units_is_not_aligned():
    """Linear models raise an error that says what can be aligned."""
    X, y = load_iris(return_X_y=True)
    search = WeightTrackingGridSearchCV(LogisticRegression(), {"C": [1, 2]}, cv=2)
    run = search.fit(X, y).run_
    assert run.distances().loc[0, 1] > 0
    with pytest.raises(AlignmentError, match="MLPs"):
        run.distances(align=True)


# -- clusters -------------------------------------------------------------------------


def test_shuffled_networks_cluster_by_what_they_compute():
    """Copies of two networks fall into two clusters when aligned, and only then."""
    search = WeightTrackingGridSearchCV(
        ShuffledMLP((10,)),
        {"random_state": [0, 1], "shuffle_units": [1, 2, 3]},
        cv=2,
    ).fit(*_digits())
    found = search.run_.cluster(align=True)
    assert found.linkage.shape == (5, 4)
    assert list(found.candidates) == list(range(6))
    assert found.labels(2).tolist() == [0, 0, 0, 1, 1, 1]
    assert (found.linkage[:4, 2] == 0).all()
    assert search.run_.cluster().linkage[:4, 2].min() > 0.5


def test_architectures_are_clustered_each_by_itself(run):
    """Two clusters of the grid are its two architectures."""
    found = run.cluster("cosine", method="complete")
    assert found.labels(2).tolist() == [0, 1] * 6
    chosen = run.cluster(candidates=ONE_LAYER, method="ward")
    assert list(chosen.labels(3).index) == ONE_LAYER


@pytest.mark.parametrize("kwargs", [{"metric": "cosine"}, {"align": True}])
def test_ward_is_for_euclidean_distances(run, kwargs):
    """Ward's linkage is refused where its heights would mean nothing."""
    with pytest.raises(ValueError, match="average"):
        run.cluster(method="ward", **kwargs)


# -- similarity -----------------------------------------------------------------------


def test_similarity_is_cka_of_the_layers(run):
    """Each number is linear CKA of what two networks compute, whatever their widths."""
    X, _ = _digits()
    Z = StandardScaler().fit_transform(X)
    found = run.similarity(Z, layer=0)
    hidden = {}
    for number, function in ((0, lambda z: np.maximum(z, 0)), (7, np.tanh)):
        weights = run.weights(number)
        z = Z @ weights["mlpclassifier/coefs_/0"]
        hidden[number] = function(z + weights["mlpclassifier/intercepts_/0"])
    assert hidden[0].shape[1] != hidden[7].shape[1]
    assert found.loc[0, 7] == pytest.approx(linear_cka(hidden[0], hidden[7]))
    np.testing.assert_allclose(np.diag(found), 1)


def test_similarity_of_a_layer_that_some_have(run):
    """Candidates with one hidden layer are NaN where the second one is meant."""
    Z = StandardScaler().fit_transform(_digits()[0])
    by_name = run.similarity(Z, layer="mlpclassifier/coefs_/1")
    assert np.isnan(by_name.loc[0, 1])
    assert 0 < by_name.loc[1, 3] <= 1
    pd.testing.assert_frame_equal(by_name, run.similarity(Z, layer=1))
    deep = [1, 3, 5]
    last = run.similarity(Z, candidates=deep)
    np.testing.assert_allclose(last, by_name.loc[deep, deep])
    with pytest.raises(ValueError, match="hidden layer 'coefs_/5'"):
        run.similarity(Z, layer="coefs_/5")


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_similarity_takes_the_activation_of_the_estimator(activation):
    """Where the grid does not name it, the search's own estimator does."""
    X, y = _digits(200)
    mlp = MLPClassifier((6,), activation=activation, max_iter=3, random_state=0)
    for estimator, key in (
        (mlp, "alpha"),
        (make_pipeline(StandardScaler(), mlp), "mlpclassifier__alpha"),
    ):
        search = WeightTrackingGridSearchCV(estimator, {key: [1e-4, 10.0]}, cv=2)
        run = search.fit(X, y).run_
        found = run.similarity(X)
        other = "relu" if activation == "tanh" else "tanh"
        pd.testing.assert_frame_equal(found, run.similarity(X, activation=activation))
        assert found.loc[0, 1] != run.similarity(X, activation=other).loc[0, 1]


def test_shuffled_units_do_not_change_similarity():
    """CKA of a network and itself shuffled is 1."""
    search = WeightTrackingGridSearchCV(
        ShuffledMLP((10,)), {"shuffle_units": [None, 1]}, cv=2
    ).fit(*_digits())
    assert search.run_.similarity(_digits()[0]).loc[0, 1] == pytest.approx(1)


# -- effects --------------------------------------------------------------------------


def test_variance_explained_finds_the_param_that_moves_the_norm(run):
    """The share of a norm's variance that alpha explains is that of its definition."""
    found = run.variance_explained(["l2", "std"])
    assert set(found["stat"]) == {"l2", "std"}
    name = "mlpclassifier/intercepts_/0"
    one = found[(found["name"] == name) & (found["stat"] == "l2")].set_index("param")
    assert set(one.index) == set(run.params(0))
    stats = run.stats()
    values = stats[stats["name"] == name]
    groups = values.groupby("mlpclassifier__alpha")["l2"]
    between = (groups.size() * (groups.mean() - values["l2"].mean()) ** 2).sum()
    total = ((values["l2"] - values["l2"].mean()) ** 2).sum()
    assert one.loc["mlpclassifier__alpha", "eta_squared"] == pytest.approx(
        between / total
    )


def test_variance_explained_of_some_params(run):
    """One statistic and one param by their names; others suggest the nearest."""
    found = run.variance_explained("l1", "mlpclassifier__alpha")
    assert set(found["param"]) == {"mlpclassifier__alpha"}
    with pytest.raises(QueryError, match="mlpclassifier__alpha"):
        run.variance_explained(params="mlpclassifier__alhpa")
    with pytest.raises(QueryError, match="spectral_norm"):
        run.variance_explained("spectral_nrom")


def test_a_small_grid_says_so():
    """With as many values as candidates every number has a note instead."""
    X, y = load_iris(return_X_y=True)
    run = (
        WeightTrackingGridSearchCV(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, cv=2)
        .fit(X, y)
        .run_
    )
    explained = run.variance_explained("l2")
    assert explained["note"].str.contains("too few candidates").all()
    assert explained["eta_squared"].isna().all()
    correlation = run.score_correlation("l2")
    assert correlation["note"].str.contains("chance|does not vary").all()
    assert correlation["p_value"].isna().all()


def test_one_candidate_explains_nothing():
    """A grid without variation is an error that says why."""
    X, y = load_iris(return_X_y=True)
    search = WeightTrackingGridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2)
    with pytest.raises(QueryError, match="No param varies"):
        search.fit(X, y).run_.variance_explained()


def test_param_importance_of_a_run(run):
    """A run's importance is the pure function's on its params and its metric."""
    keys = [run.params(number) for number in range(len(run))]
    params = pd.DataFrame(keys)
    scores = run.candidates["mean_test_score"]
    expected = param_importance(params.loc[:, params.nunique() > 1], scores)
    pd.testing.assert_frame_equal(run.param_importance(), expected)
    pd.testing.assert_frame_equal(run.param_importance("score"), expected)
    times = run.param_importance("mean_fit_time")["importance"]
    assert not np.array_equal(times, expected["importance"])
    with pytest.raises(QueryError, match="No param varies among the 1 candidates"):
        run.param_importance(candidates=[0])
    with pytest.raises(QueryError, match="mean_test_score"):
        run.param_importance("test_score")


def test_score_correlation_is_that_of_the_ranks(run):
    """Spearman's correlation over the candidates, as pandas has it."""
    found = run.score_correlation("l2")
    name = "mlpclassifier/coefs_/0"
    one = found.set_index("name").loc[name]
    stats = run.stats()
    values = stats[stats["name"] == name].set_index("candidate")["l2"]
    expected = values.corr(run.candidates["mean_test_score"], method="spearman")
    assert one["spearman"] == pytest.approx(expected)
    assert one["n"] == 12
    first = run.score_correlation("l2", "split0_test_score").set_index("name")
    assert first.loc[name, "spearman"] != one["spearman"]
    with pytest.raises(QueryError, match="mean_test_score"):
        run.score_correlation(score="mean_tst_score")


def test_score_correlation_takes_the_metric_of_the_refit():
    """With several metrics the score is that which chose the best candidate."""
    X, y = load_iris(return_X_y=True)
    run = (
        WeightTrackingGridSearchCV(
            LogisticRegression(),
            {"C": np.logspace(-4, 2, 7).tolist()},
            scoring={"acc": "accuracy", "loss": "neg_log_loss"},
            refit="loss",
            cv=2,
        )
        .fit(X, y)
        .run_
    )
    found = run.score_correlation("l2")
    pd.testing.assert_frame_equal(found, run.score_correlation("l2", "mean_test_loss"))
    assert (found["spearman"] > 0.9).any()


# -- errors ---------------------------------------------------------------------------

CLOSED = {
    "len": len,
    "candidates": lambda run: run.candidates,
    "best": lambda run: run.best,
    "query": lambda run: run.query("rank == 1"),
    "weights": lambda run: run.weights(0),
    "by params": lambda run: run.weights_by_params(),
    "stack": lambda run: run.stack("mlpclassifier/coefs_/0"),
    "compare": lambda run: run.compare(0, 2),
    "cluster": lambda run: run.cluster(),
    "stats": lambda run: run.stats(),
    "variance": lambda run: run.variance_explained(),
    "importance": lambda run: run.param_importance(),
    "correlation": lambda run: run.score_correlation(),
    "estimator": lambda run: run.load_estimator(0),
    "average": lambda run: run.average([0, 2]),
    "ensemble": lambda run: run.ensemble(),
    "scores": lambda run: run.score_candidates(*_digits(20)),
    "report": lambda run: run.report("unwritten.html"),
    "splits": lambda run: run.splits(),
}


def _frames_of_ours(error):
    folder = str(Path(weightsearch.__file__).parent)
    frames = traceback.extract_tb(error.__traceback__)
    return [frame.name for frame in frames if frame.filename.startswith(folder)]


@pytest.mark.parametrize("use", CLOSED.values(), ids=CLOSED)
def test_a_closed_store_is_named_in_a_short_traceback(path, use):
    """Whatever is asked of a run of a closed store, at most four frames are ours."""
    with WeightStore(path) as store:
        run = store.run()
    with pytest.raises(StoreError, match="has been closed: open it again") as caught:
        use(run)
    assert len(_frames_of_ours(caught.value)) <= 4


def test_arrays_of_a_closed_store_are_refused(path):
    """Weights that were not read before the store was closed say so."""
    with WeightStore(path) as store:
        weights = store.run().weights(0)
    with pytest.raises(StoreError, match="has been closed") as caught:
        weights["mlpclassifier/coefs_/0"]
    assert len(_frames_of_ours(caught.value)) <= 4
    with pytest.raises(StoreError, match="has been closed"):
        _ = store.runs
    assert "closed" in repr(store)


USES = {
    "int": lambda run: WeightStore(3),
    "no store": lambda run: WeightStore(__file__),
    "candidate": lambda run: run.compare(0, 99),
    "text": lambda run: run.load_estimator("best"),
    "params": lambda run: run.weights({"alpha": 1}),
    "weight": lambda run: run.weights(0)["coefs_/0"],
    "query": lambda run: run.query("alpha => 1"),
    "attribute": lambda run: run.query("rank.real == 1"),
    "metric": lambda run: run.cluster("l3"),
    "statistic": lambda run: run.variance_explained("l3"),
    "suffix": lambda run: run.export(0, "weights.docx"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_errors_of_the_user_have_short_tracebacks(run, use):
    """At most four frames of the package are above the message."""
    with pytest.raises((WeightSearchError, ValueError)) as caught:
        use(run)
    assert len(_frames_of_ours(caught.value)) <= 4

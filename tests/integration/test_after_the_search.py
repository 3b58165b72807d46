"""Scores, ensembles and agreement of stored candidates, against refitting them."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import StackingClassifier, StackingRegressor, VotingClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, get_scorer, make_scorer
from sklearn.model_selection import (
    KFold,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_predict,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from weightsearch import WeightsNotFoundError, WeightStore, WeightTrackingGridSearchCV
from weightsearch.exceptions import EvaluationError
from weightsearch.frameworks._capture import capture
from weightsearch.frameworks._state import rebuild

X, _ = load_iris(return_X_y=True)
y = np.array(["setosa", "versicolor", "virginica"])[_]
FOLDS = StratifiedKFold(4, shuffle=True, random_state=0)
# Few features, so that candidates make mistakes and differ in them.
X = X[:, :2]


def trees(**params):
    return WeightTrackingGridSearchCV(
        DecisionTreeClassifier(random_state=0),
        {"max_depth": [1, 2, 4, 8], "min_samples_leaf": [1, 6]},
        **{"cv": FOLDS, "capture": "both", **params},
    )


@pytest.fixture(scope="module")
def search():
    """Eight trees on iris, with the models of four splits."""
    return trees().fit(X, y)


@pytest.fixture(scope="module")
def regression():
    """Three ridge regressions in a pipeline, on diabetes."""
    data = load_diabetes(return_X_y=True)
    model = Pipeline([("scale", StandardScaler()), ("ridge", Ridge())])
    grid = {"ridge__alpha": [0.1, 100.0, 10_000.0]}
    search = WeightTrackingGridSearchCV(model, grid, cv=KFold(3), capture="both")
    return search.fit(*data), data


def refitted(search, number):
    return clone(search.estimator).set_params(**search.cv_results_["params"][number])


def test_stacking_is_that_of_scikit_learn(search):
    """Predictions equal those of a fresh stacking with the same splits, bit for bit."""
    final = LogisticRegression(max_iter=50)
    fresh = StackingClassifier(
        [(f"candidate_{n}", refitted(search, n)) for n in (1, 3, 6)],
        final_estimator=final,
        cv=list(FOLDS.split(X, y)),
        passthrough=True,
    ).fit(X, y)

    found = search.run_.stacking(X, y, final, candidates=[1, 3, 6], passthrough=True)

    assert np.array_equal(found.predict_proba(X), fresh.predict_proba(X))
    assert np.array_equal(found.predict(X), fresh.predict(X))
    assert np.array_equal(found.transform(X), fresh.transform(X))
    assert found.stack_method_ == fresh.stack_method_
    assert list(found.named_estimators_) == [
        "candidate_1",
        "candidate_3",
        "candidate_6",
    ]
    # A clone is a plain stacking, which fits all its members.
    again = clone(found).fit(X, y)
    assert np.array_equal(again.predict_proba(X), fresh.predict_proba(X))


def test_stacking_of_candidates_with_different_methods():
    """Each candidate is stacked by the best method it has, as in scikit-learn."""
    model = Pipeline([("scale", StandardScaler()), ("model", LinearSVC())])
    models = [LinearSVC(), DecisionTreeClassifier(max_depth=2, random_state=0), SVC()]
    search = WeightTrackingGridSearchCV(
        model, {"model": models}, cv=FOLDS, capture="both"
    ).fit(X, y)
    fresh = StackingClassifier(
        [(f"candidate_{n}", refitted(search, n)) for n in range(3)],
        cv=list(FOLDS.split(X, y)),
    ).fit(X, y)

    found = search.run_.stacking(X, y)
    voted = search.run_.ensemble(X, y)

    assert np.array_equal(found.predict_proba(X), fresh.predict_proba(X))
    assert voted.voting == "hard"
    chosen = [int(name.rpartition("_")[2]) for name, _ in voted.estimators]
    by_hand = VotingClassifier(
        [(str(n), refitted(search, n)) for n in chosen], weights=voted.weights
    ).fit(X, y)
    assert np.array_equal(voted.predict(X), by_hand.predict(X))


def test_regressors_are_stacked_and_combined(regression):
    """The mean of predictions, and a stacking equal to scikit-learn's."""
    search, (X_r, y_r) = regression
    fresh = StackingRegressor(
        [(f"candidate_{n}", refitted(search, n)) for n in range(3)],
        cv=list(KFold(3).split(X_r)),
    ).fit(X_r, y_r)
    assert np.array_equal(
        search.run_.stacking(X_r, y_r).predict(X_r), fresh.predict(X_r)
    )

    selection = search.run_.select_ensemble(X_r, y_r, size=20)
    ensemble = search.run_.ensemble(X_r, y_r, size=20)

    out_of_fold = [
        cross_val_predict(refitted(search, n), X_r, y_r, cv=KFold(3))
        for n in selection.candidates
    ]
    mean = np.average(out_of_fold, axis=0, weights=selection.votes)
    r2 = 1 - ((mean - y_r) ** 2).sum() / ((y_r - y_r.mean()) ** 2).sum()
    assert selection.score == pytest.approx(r2)
    assert ensemble.weights == selection.votes.tolist()
    expected = np.average(
        [refitted(search, n).fit(X_r, y_r).predict(X_r) for n in selection.candidates],
        axis=0,
        weights=selection.votes,
    )
    np.testing.assert_allclose(ensemble.predict(X_r), expected)


def test_regressors_that_answer_with_columns():
    """A target of one column is one output; two outputs are refused."""
    X_r, y_r = load_diabetes(return_X_y=True)
    for name, target in (("one", y_r[:, None]), ("two", np.column_stack([y_r, y_r]))):
        search = WeightTrackingGridSearchCV(
            PLSRegression(1), {"n_components": [1, 2]}, cv=KFold(3), capture="both"
        ).fit(X_r, target)
        run = search.run_
        if name == "one":
            members = [refitted(search, n).fit(X_r, target) for n in (0, 1)]
            mean = np.mean([m.predict(X_r).ravel() for m in members], axis=0)
            np.testing.assert_allclose(run.ensemble().predict(X_r), mean)
            assert run.select_ensemble(X_r, target).score > 0.4
        else:
            with pytest.raises(TypeError, match="one output"):
                run.ensemble().predict(X_r)
            with pytest.raises(EvaluationError, match="one output"):
                run.ensemble(X_r, target)


def test_greedy_ensemble_is_a_voting_of_refits(search):
    """The selected candidates vote by their probabilities, as often as selected."""
    selection = search.run_.select_ensemble(X, y, scoring="neg_log_loss", size=12)
    ensemble = search.run_.ensemble(X, y, scoring="neg_log_loss", size=12)

    assert len(selection.candidates) > 1
    expected = VotingClassifier(
        [(str(n), refitted(search, n)) for n in selection.candidates],
        voting="soft",
        weights=selection.votes.tolist(),
    ).fit(X, y)
    assert np.array_equal(ensemble.predict_proba(X), expected.predict_proba(X))
    assert np.array_equal(ensemble.predict(X), expected.predict(X))
    best = search.run_.select_ensemble(X, y, scoring="neg_log_loss", size=1)
    assert selection.score > best.score
    # Members of a clone are fitted, so that it can be cross-validated.
    assert not hasattr(clone(ensemble).estimators[0][1], "tree_")


@pytest.mark.parametrize("kind", ["ensemble", "stacking"])
def test_combined_models_can_be_stored(search, kind):
    """From a pickle, or from what a store keeps, they predict the same."""
    model = getattr(search.run_, kind)(X, y)
    expected = model.predict_proba(X)

    copy = pickle.loads(pickle.dumps(model))
    kept = capture(model, rows=lambda: X[:5])
    again = rebuild(
        kept.state.text,
        lambda name: kept.weights[kept.weights.ties.get(name, name)],
        kept.state.blobs.__getitem__,
    )

    assert kept.notes == ()
    assert np.array_equal(copy.predict_proba(X), expected)
    assert np.array_equal(again.predict_proba(X), expected)
    assert np.array_equal(again.predict(X), model.predict(X))


def test_bias_corrected_score_of_a_run(search):
    """Best score and samples are those of the search's own predictions."""
    run = search.run_
    found = run.bias_corrected_score(X, y, n_bootstraps=200, random_state=0)

    assert found.best_score == pytest.approx(search.best_score_, abs=1e-12)
    assert found.score < found.best_score
    assert found.interval[0] < found.score < found.interval[1]
    assert f"{found.score:.4g}" in str(found)
    # A scorer without a name is called for each sample, and gives the same.
    named = run.bias_corrected_score(X, y, n_bootstraps=15, random_state=3)
    called = run.bias_corrected_score(
        X, y, scoring=make_scorer(accuracy_score), n_bootstraps=15, random_state=3
    )
    assert called.samples == pytest.approx(named.samples)
    assert called.picked.tolist() == named.picked.tolist()
    # Whole groups are drawn: of three there are nine samples that leave one out.
    thirds = run.bias_corrected_score(
        X, y, groups=np.arange(len(y)) % 3, n_bootstraps=100, random_state=0
    )
    assert len(np.unique(thirds.samples.round(9))) <= 9


def test_bias_corrected_score_of_repeated_and_partial_splits():
    """Rows that several splits test are drawn together, rows that none tests never."""
    repeated = trees(
        cv=RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
    )
    repeated.fit(X, y)
    found = repeated.run_.bias_corrected_score(X, y, n_bootstraps=100, random_state=0)
    assert found.best_score == pytest.approx(repeated.best_score_, abs=1e-12)
    assert repeated.run_.agreement(X, y, 0.02).n_samples == len(y)
    with pytest.raises(EvaluationError, match="exactly once"):
        repeated.run_.stacking(X, y)

    order = np.random.default_rng(0).permutation(len(y))
    timed = trees(cv=TimeSeriesSplit(3)).fit(X[order], y[order])
    found = timed.run_.bias_corrected_score(
        X[order], y[order], block_length=10, n_bootstraps=100, random_state=0
    )
    assert found.best_score == pytest.approx(timed.best_score_, abs=1e-12)


def test_scores_by_area_and_by_a_search_of_several_metrics():
    """The metric of the refit is the one that counts, pooled as scikit-learn does."""
    X_b, y_b = load_breast_cancer(return_X_y=True)
    search = WeightTrackingGridSearchCV(
        DecisionTreeClassifier(random_state=0),
        {"max_depth": [1, 2, 3]},
        scoring=["accuracy", "roc_auc"],
        refit="roc_auc",
        cv=3,
        capture="splits",
    ).fit(X_b, y_b)

    found = search.run_.bias_corrected_score(X_b, y_b, n_bootstraps=50, random_state=1)

    assert found.best_score == pytest.approx(search.best_score_, abs=1e-12)
    selection = search.run_.select_ensemble(X_b, y_b, size=1)
    areas = [
        get_scorer("roc_auc")._score_func(y_b, of_one[:, 1])
        for of_one in search.run_.predictions(X_b, y_b, "predict_proba")
    ]
    assert selection.score == pytest.approx(max(areas))
    assert selection.candidates[0] == np.argmax(areas)


def test_workers_call_a_scorer(search):
    """A scorer without a name is called in workers, and sees the rows of X."""

    def on_short_rows(model, X, y):
        return accuracy_score(y[X[:, 0] < 6], model.predict(X)[X[:, 0] < 6])

    options = {"scoring": on_short_rows, "candidates": [1, 4], "random_state": 0}
    one, two = (
        search.run_.bias_corrected_score(X, y, n_bootstraps=8, n_jobs=n_jobs, **options)
        for n_jobs in (None, 2)
    )

    assert one.samples.tolist() == two.samples.tolist()
    best = search.run_.predictions(X, y, "predict", [1, 4])
    short = X[:, 0] < 6
    splits = [
        np.mean(
            [(of_it == y)[test][short[test]].mean() for _, test in FOLDS.split(X, y)]
        )
        for of_it in best
    ]
    assert one.best_score == pytest.approx(max(splits))


def test_candidates_that_failed_are_left_out():
    """A candidate without models neither votes nor is picked, and a warning says so."""
    search = WeightTrackingGridSearchCV(
        DecisionTreeClassifier(random_state=0),
        {"max_depth": [1, 3], "min_samples_leaf": [2, 200_000.5]},
        cv=FOLDS,
        capture="both",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)

    with pytest.warns(FitFailedWarning):
        found = search.run_.bias_corrected_score(X, y, n_bootstraps=20)
    with pytest.warns(FitFailedWarning):
        selection = search.run_.select_ensemble(X, y)

    assert set(found.picked) | set(selection.candidates) <= {0, 2}
    assert len(search.run_.stacking(X, y).estimators_) == 2


def test_agreement_of_near_best_candidates(search):
    """Rows that another candidate answers otherwise are counted as by hand."""
    run, means = search.run_, search.cv_results_["mean_test_score"]
    near = [
        n for n in np.argsort(-means, kind="stable") if means[n] >= means.max() - 0.1
    ]
    predicted = {
        n: cross_val_predict(refitted(search, n), X, y, cv=FOLDS) for n in near
    }

    found = run.agreement(X, y, epsilon=0.1)

    assert found.candidates.tolist() == near
    assert len(near) > 2
    differs = np.array([predicted[n] != predicted[near[0]] for n in near])
    assert found.ambiguity == differs.any(axis=0).mean()
    assert found.discrepancy == differs.mean(axis=1).max()
    assert found.ambiguous.tolist() == differs.any(axis=0).tolist()
    a, b = near[1:3]
    assert found.pairwise.loc[a, b] == (predicted[a] == predicted[b]).mean()
    assert run.agreement(X, y, 0.1, candidates=near[:1]).ambiguity == 0


def test_agreement_of_numbers_needs_a_tolerance(regression):
    """Predictions of regressors always differ, unless a tolerance says how much."""
    search, data = regression
    with pytest.raises(EvaluationError, match="tolerance"):
        search.run_.agreement(*data)
    assert search.run_.agreement(*data, epsilon=0.2, tolerance=1e9).ambiguity == 0


def test_compare_scores_of_a_run(search):
    """The test uses the sizes of the stored splits, and a table has every candidate."""
    run = search.run_
    results = search.cv_results_
    scores = np.array([results[f"split{n}_test_score"] for n in range(4)]).T
    differences = scores[2] - scores[0]
    train, test = next(iter(FOLDS.split(X, y)))
    scale = differences.std(ddof=1) * np.sqrt(1 / 4 + len(test) / len(train))

    pair = run.compare_scores(2, 0)
    table = run.compare_scores(results["params"][2])

    assert pair.statistic == pytest.approx(differences.mean() / scale, rel=1e-2)
    assert table.loc[0, "p_value"] == pair.p_value
    assert sorted(table.index) == [0, 1, 3, 4, 5, 6, 7]
    ordered = table.sort_values("p_value")
    steps = np.maximum.accumulate(ordered["p_value"] * np.arange(7, 0, -1)).clip(
        upper=1
    )
    assert ordered["p_adjusted"].to_numpy() == pytest.approx(steps.to_numpy())


def test_what_is_missing_is_named(search, tmp_path):
    """Other data, models that were not kept, and unknown metrics are clear errors."""
    refits = trees(capture="refit", store=tmp_path / "refits.h5").fit(X, y)
    splits = trees(capture="splits", store=tmp_path / "splits.h5").fit(X, y)
    stored = WeightStore(tmp_path / "splits.h5").run()

    with pytest.raises(WeightsNotFoundError, match="capture='splits'"):
        refits.run_.bias_corrected_score(X, y)
    with pytest.raises(WeightsNotFoundError, match="capture='both'"):
        splits.run_.stacking(X, y, candidates=[0, 1])
    assert stored.select_ensemble(X, y, size=3).votes.sum() <= 3
    with pytest.raises(EvaluationError, match="not the data"):
        search.run_.agreement(X[::-1], y)
    with pytest.raises(EvaluationError, match="metric must be one of 'score'"):
        search.run_.compare_scores(0, 1, metric="f1")
    with pytest.raises(EvaluationError, match=r"run\.ensemble\(X, y\)"):
        search.run_.ensemble(select="greedy")
    with pytest.raises(EvaluationError, match="'greedy' or 'best'"):
        search.run_.ensemble(select="worst")
    with pytest.raises(EvaluationError, match="named twice"):
        search.run_.ensemble(candidates=[1, 1])
    with pytest.raises(EvaluationError, match="stack_method"):
        search.run_.stacking(X, y, stack_method="transform")
    with pytest.raises(EvaluationError, match="epsilon"):
        search.run_.agreement(X, y, -1)
    by_function = trees(scoring=make_scorer(accuracy_score)).fit(X, y)
    with pytest.raises(EvaluationError, match="Pass scoring"):
        by_function.run_.bias_corrected_score(X, y)

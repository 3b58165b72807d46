"""Formulas of the tools after a search, against plain loops and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student_t
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import get_scorer, make_scorer, roc_auc_score
from sklearn.model_selection import KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from weightsearch.evaluate._agreement import agreement_of
from weightsearch.evaluate._bootstrap import bias_corrected, blocks_of_rows
from weightsearch.evaluate._greedy import (
    greedy_selection,
    score_of_sums,
    vote_shares,
)
from weightsearch.evaluate._metrics import Observations, metric_for, stand_in
from weightsearch.evaluate._score_tests import compare_split_scores

CV = KFold(3, shuffle=True, random_state=0)


def observed(models, X, y, methods):
    """Out-of-fold answers of models, as the tools have them from a store."""
    answers = {
        method: np.array(
            [cross_val_predict(m, X, y, cv=CV, method=method) for m in models]
        )
        for method in methods
    }
    classes = None if "predict_proba" not in methods else np.unique(y)
    return Observations(y, answers, classes)


@pytest.fixture(scope="module")
def three_classes():
    """Answers of four classifiers to 178 wines."""
    X, y = load_wine(return_X_y=True)
    models = [
        DecisionTreeClassifier(max_depth=1, random_state=0),
        DecisionTreeClassifier(max_depth=3, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression(C=0.001)),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ]
    return observed(models, X, y, ["predict", "predict_proba"])


@pytest.fixture(scope="module")
def two_classes():
    """Answers of three classifiers to 300 tumours, with many ties among the trees'."""
    X, y = load_breast_cancer(return_X_y=True)
    models = [DecisionTreeClassifier(max_depth=d, random_state=0) for d in (1, 3, 9)]
    named = np.where(y[:300] == 1, "benign", "malign")
    return observed(models, X[:300], named, ["predict", "predict_proba"])


@pytest.fixture(scope="module")
def zero_and_one(two_classes):
    """The same answers, with numbers for classes."""
    answers = {
        "predict": (two_classes.answers("predict") == "malign").astype(int),
        "predict_proba": two_classes.answers("predict_proba"),
    }
    y = (two_classes.y == "malign").astype(int)
    return Observations(y, answers, np.array([0, 1]))


@pytest.fixture(scope="module")
def numbers():
    """Predictions of three regressors for 200 patients."""
    X, y = load_diabetes(return_X_y=True)
    models = [Ridge(), Ridge(1e3), DecisionTreeRegressor(max_depth=3, random_state=0)]
    return observed(models, X[:200], y[:200], ["predict"])


def some_counts(observations, count=6):
    rows = len(observations)
    drawn = np.random.default_rng(1).integers(rows, size=(count, rows))
    return np.array([np.bincount(one, minlength=rows) for one in drawn], dtype=float)


@pytest.mark.parametrize(
    ("kind", "scoring"),
    [
        ("three_classes", "accuracy"),
        ("three_classes", "balanced_accuracy"),
        ("three_classes", "neg_log_loss"),
        ("three_classes", "f1_macro"),
        ("three_classes", "roc_auc_ovr"),
        ("two_classes", "roc_auc"),
        ("two_classes", "accuracy"),
        ("zero_and_one", "neg_brier_score"),
        ("numbers", "r2"),
        ("numbers", "neg_mean_squared_error"),
        ("numbers", "neg_mean_absolute_error"),
        ("numbers", "neg_root_mean_squared_error"),
        ("numbers", "neg_median_absolute_error"),
    ],
)
def test_metrics_of_samples_are_those_of_scikit_learn(kind, scoring, request):
    """Scores of all candidates on weighted rows are those of repeated rows."""
    observations = request.getfixturevalue(kind)
    counts = some_counts(observations)
    scorer = get_scorer(scoring)

    scores, chosen_scores = metric_for(scoring, observations)
    found = scores(counts)
    picked = chosen_scores(counts, np.zeros(len(counts), int))

    for sample, count in enumerate(counts):
        rows = np.repeat(np.arange(len(observations)), count.astype(int))
        y = observations.y[rows]
        for candidate in range(found.shape[1]):
            model = stand_in(observations, candidate, rows)
            expected = scorer(model, rows, y)
            assert found[sample, candidate] == pytest.approx(expected, rel=1e-12)
    assert picked == pytest.approx(found[:, 0], abs=0)


def test_undefined_scores_are_nan(two_classes, numbers):
    """A sample of one class or without rows has no area, however it is computed."""
    one_class = (two_classes.y == "benign").astype(float)[None]

    for scoring in ("roc_auc", make_scorer(_area, response_method="predict_proba")):
        scores, _ = metric_for(scoring, two_classes)
        assert np.isnan(scores(one_class)).all()
    with pytest.raises(ValueError, match="pos_label"):
        metric_for("neg_brier_score", two_classes)[0](one_class)
    scores, _ = metric_for("r2", numbers)
    assert np.isnan(scores(np.zeros((1, len(numbers))))).all()


def _area(y, of_second):
    if len(np.unique(y)) < 2:
        raise ValueError("one class")
    return roc_auc_score(y == "malign", of_second)


@pytest.mark.parametrize("scoring", ["accuracy", "f1_macro"])
def test_bias_correction_is_its_definition(three_classes, scoring):
    """The estimate equals the algorithm of the paper, written as a plain loop."""
    n = len(three_classes)
    splits = np.zeros(n, int)
    for number, (_, test) in enumerate(CV.split(np.zeros((n, 1)))):
        splits[test] = number
    groups = np.arange(n) // 4
    metric = metric_for(scoring, three_classes)
    found = bias_corrected(
        *metric, groups, splits, np.arange(4), n_bootstraps=30, random_state=7
    )

    def score(candidate, rows):
        model = stand_in(three_classes, candidate, rows)
        return get_scorer(scoring)(model, rows, three_classes.y[rows])

    random = np.random.RandomState(7)
    n_groups = groups.max() + 1
    samples, picked = [], []
    for drawn in random.randint(n_groups, size=(30, n_groups)):
        inside = np.concatenate([np.flatnonzero(groups == one) for one in drawn])
        outside = np.flatnonzero(~np.isin(groups, drawn))
        picked.append(int(np.argmax([score(c, inside) for c in range(4)])))
        samples.append(score(picked[-1], outside))
    assert found.picked.tolist() == picked
    assert found.samples == pytest.approx(samples)
    assert found.score == pytest.approx(np.mean(samples))
    assert found.interval == pytest.approx(np.percentile(samples, [2.5, 97.5]))
    per_split = [
        np.mean([score(c, np.flatnonzero(splits == s)) for s in range(3)])
        for c in range(4)
    ]
    assert found.best_score == pytest.approx(max(per_split))
    assert found.optimism == pytest.approx(found.best_score - found.score)


def test_best_score_is_that_of_a_search():
    """Without weights it is the mean over splits that a search shows."""
    X, y = load_wine(return_X_y=True)
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    observations = observed([tree], X, y, ["predict"])
    observations.classes = np.unique(y)
    splits = np.empty(len(y), int)
    for number, (_, test) in enumerate(CV.split(X)):
        splits[test] = number

    found = bias_corrected(
        *metric_for("accuracy", observations),
        np.arange(len(y)),
        splits,
        np.arange(1),
        n_bootstraps=20,
        random_state=0,
    )

    expected = cross_val_score(tree, X, y, cv=CV).mean()
    assert found.best_score == pytest.approx(expected, abs=1e-12)


def test_blocks_of_rows():
    """Groups, stretches of time or single rows are drawn; both at once are refused."""
    assert blocks_of_rows(4).tolist() == [0, 1, 2, 3]
    assert blocks_of_rows(4, ["b", "a", "b", "c"]).tolist() == [1, 0, 1, 2]
    assert blocks_of_rows(5, block_length=2).tolist() == [0, 0, 1, 1, 2]
    with pytest.raises(ValueError, match="not both"):
        blocks_of_rows(4, [1, 1, 2, 2], 2)
    with pytest.raises(ValueError, match="one value per row"):
        blocks_of_rows(4, [1, 2])
    with pytest.raises(ValueError, match="block_length"):
        blocks_of_rows(4, block_length=4)


def plain_greedy(answers, score, size):
    """Caruana's algorithm as one would write it down."""
    chosen, path = [], []
    for _ in range(size):
        values = [score([*chosen, c]) for c in range(len(answers))]
        alone = [score([c]) for c in range(len(answers))]
        best = max(range(len(answers)), key=lambda c: (values[c], alone[c], -c))
        chosen.append(best)
        path.append(values[best])
    return chosen, path


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss", "f1_macro"])
def test_greedy_selection_is_its_definition(three_classes, scoring):
    """Members and scores at each step are those of a loop over all candidates."""
    probabilities = three_classes.answers("predict_proba")
    y, classes = three_classes.y, three_classes.classes
    rows = np.arange(len(y))

    def score(members):
        mean = sum(probabilities[m] for m in members) / len(members)
        answers = {"predict": classes[mean.argmax(axis=1)], "predict_proba": mean}
        answers = {name: array[None] for name, array in answers.items()}
        model = stand_in(Observations(y, answers, classes), 0, rows)
        return get_scorer(scoring)(model, rows, y)

    chosen, path = plain_greedy(probabilities, score, 8)
    sums = score_of_sums(scoring, y, classes, None, soft=True)
    found = greedy_selection(probabilities, sums, np.arange(10, 14), size=8)

    assert (found.order - 10).tolist() == chosen
    assert found.scores == pytest.approx(path)
    best = int(np.argmax(np.array(path) >= max(path) - 1e-12)) + 1
    assert found.votes.sum() == best
    assert found.score == pytest.approx(max(found.scores))
    votes = dict(zip(found.candidates - 10, found.votes, strict=True))
    assert votes == {c: chosen[:best].count(c) for c in set(chosen[:best])}


def test_greedy_selection_of_regressors_and_votes(numbers, three_classes):
    """A mean of predictions beats each alone; votes for a class are counted."""
    predicted = numbers.answers("predict")
    sums = score_of_sums("neg_mean_squared_error", numbers.y, None, None, soft=False)
    found = greedy_selection(predicted, sums, np.arange(3), size=20, n_init=2)
    alone = sums(predicted, 1)
    assert found.order[:2].tolist() == np.argsort(-alone)[:2].tolist()
    assert found.score > alone.max()
    mean = np.average(predicted[found.candidates], axis=0, weights=found.votes)
    assert found.score == pytest.approx(-np.mean((mean - numbers.y) ** 2))

    votes = vote_shares(three_classes.answers("predict"), three_classes.classes)
    sums = score_of_sums(
        "accuracy", three_classes.y, three_classes.classes, None, soft=False
    )
    of_votes = greedy_selection(votes, sums, np.arange(4), size=5)
    assert of_votes.score >= sums(votes, 1).max()
    with pytest.raises(ValueError, match="n_init"):
        greedy_selection(votes, sums, np.arange(4), n_init=5)


def test_corrected_test_in_closed_form():
    """The statistic, its p-value and the posterior are those of the papers."""
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.9, 0.02, 10), rng.normal(0.89, 0.02, 10)
    differences = first - second
    scale = np.sqrt(differences.var(ddof=1) * (1 / 10 + 1 / 9))

    found = compare_split_scores(first, second, 1 / 9, rope=0.005)

    assert found.difference == pytest.approx(differences.mean())
    assert found.statistic == pytest.approx(differences.mean() / scale)
    assert found.p_value == pytest.approx(2 * student_t.sf(abs(found.statistic), 9))
    # Probabilities by counting draws from the posterior.
    drawn = differences.mean() + scale * rng.standard_t(9, 200_000)
    assert found.p_first_better == pytest.approx(np.mean(drawn > 0.005), abs=0.01)
    assert found.p_second_better == pytest.approx(np.mean(drawn < -0.005), abs=0.01)
    total = found.p_first_better + found.p_equivalent + found.p_second_better
    assert total == pytest.approx(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.interval == pytest.approx((low, high), abs=1e-3)


def test_corrected_test_without_spread():
    """Scores that never differ are equal for sure, a constant lead is one for sure."""
    same = compare_split_scores(np.ones(5), np.ones(5), 0.25)
    lead = compare_split_scores(np.full(5, 0.75), np.full(5, 0.5), 0.25, rope=0.1)

    assert (same.p_value, same.p_equivalent, same.difference) == (1, 1, 0)
    assert (lead.p_value, lead.p_first_better, lead.difference) == (0, 1, 0.25)
    with pytest.raises(ValueError, match="at least 2"):
        compare_split_scores(np.array([1.0, np.nan]), np.ones(2), 0.25)


def test_agreement_counts_rows():
    """Ambiguity counts rows that any candidate answers otherwise, discrepancy one's."""
    answers = np.array([[0, 0, 1, 1, 2], [0, 1, 1, 1, 2], [1, 0, 1, 0, 9]])
    rows, candidates = np.arange(4), np.array([7, 3, 5])

    found = agreement_of(answers[:, :4], rows, 5, candidates)

    assert found.ambiguity == 3 / 4
    assert found.discrepancy == 2 / 4
    assert found.ambiguous.tolist() == [True, True, False, True, False]
    assert found.n_samples == 4
    assert found.pairwise.loc[3, 5] == 1 / 4
    assert found.pairwise.loc[7, 7] == 1
    near = agreement_of(answers[:, :4], rows, 5, candidates, tolerance=1)
    assert near.ambiguity == 0

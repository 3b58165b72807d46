"""Queries: what a person types, and what a stranger may not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier

from weightsearch import QueryError, WeightTrackingGridSearchCV


@pytest.fixture(scope="module")
def run():
    search = WeightTrackingGridSearchCV(
        MLPClassifier(max_iter=15, random_state=0),
        [
            {"activation": ["relu", "tanh"], "hidden_layer_sizes": [(3,), (4, 2)]},
            {"alpha": [0.1, 1.0]},
        ],
        cv=3,
    ).fit(*load_iris(return_X_y=True))
    # Its private store lives as long as the search.
    yield search.run_
    del search


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        ("activation == 'relu'", [0, 1]),
        ("'relu' == activation", [0, 1]),
        ("activation != 'relu'", [2, 3, 4, 5]),
        ("param_activation == 'tanh' and hidden_layer_sizes == (4, 2)", [3]),
        ("hidden_layer_sizes == [3]", [0, 2]),
        ("hidden_layer_sizes in [(3,), (9,)]", [0, 2]),
        ("activation in ('relu', 'tanh')", [0, 1, 2, 3]),
        ("activation not in ('relu', 'tanh')", [4, 5]),
        ("alpha < 0.5", [4]),
        ("(alpha >= 0.1) & ~(alpha == 1)", [4]),
        ("alpha == 0.1 or activation == 'tanh'", [2, 3, 4]),
        ("not status == 'ok'", []),
        ("0 <= mean_test_score <= 1", [0, 1, 2, 3, 4, 5]),
        ("mean_test_score > -1", [0, 1, 2, 3, 4, 5]),
        ("mean_test_score >= split0_test_score and rank == 99", []),
    ],
)
def test_what_a_person_types(run, expression, numbers):
    """Params, results, rank, comparison, in, and, or, not."""
    assert list(run.query(expression).index) == numbers


def test_rank_is_the_rank_of_the_main_score(run):
    """``rank`` finds the best candidate."""
    best = run.query("rank == 1")
    assert run.best_index in best.index
    assert best["mean_test_score"].max() == run.candidates["mean_test_score"].max()


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "alpha.__class__ == 1",
        "alpha[0] == 1",
        "@run",
        "(lambda: 1)() == alpha",
        "[x for x in alpha] == 1",
        "alpha == f'{alpha}'",
        "(alpha := 1) == 1",
        "alpha + 1 == 2",
        "print",
        "1 == 1",
        "alpha is None",
        "alpha <",
        "alpha < 'a'",
        "alpha in 3",
        "status",
        "",
        "(" * 5000 + "alpha" + ")" * 5000,
        "a" * 20_000,
    ],
    ids=lambda expression: expression[:20],
)
def test_nothing_but_comparisons_exists(run, expression):
    """Calls, attributes, subscripts and all else end in an error of our own."""
    with pytest.raises(QueryError):
        run.query(expression)


def test_a_wrong_name_suggests_the_nearest(run):
    """A misspelt column is named with those that are close."""
    with pytest.raises(QueryError, match="activation"):
        run.query("activaton == 'relu'")


def test_columns_have_plain_types(run):
    """Columns whose values are plain are no object columns, missing values or not."""
    frame = run.candidates
    assert frame["alpha"].dtype.kind == "f"
    assert frame["activation"].dtype != object
    assert np.isnan(frame["alpha"].to_numpy(float, na_value=np.nan)[0])
    assert frame.index.name == "candidate"

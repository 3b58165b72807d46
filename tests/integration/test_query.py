"""Queries: what a person types, and what a stranger may not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

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
        "alpha is 1",
        "alpha is rank",
        "None is alpha",
        "alpha is None is missing",
        "alpha == missing",
        "alpha <",
        "alpha < 'a'",
        "alpha in 3",
        "status",
        "",
        "(" * 5000 + "alpha" + ")" * 5000,
        "a" * 20_000,
        "not " * 2400 + "alpha == 1",
        "~" * 9000 + "alpha",
        "-" * 9000 + "1 == alpha",
        "alpha == 10 ** 10 ** 10",
        "alpha == 'a' * 10 ** 9",
        "alpha == " + "9" * 9000,
        "alpha in [[x] for x in ().__class__.__base__.__subclasses__()]",
        "alpha == `__import__('os')`",
        "`alpha`.__class__ == 1",
        "alpha == ...",
        "alpha == (yield)",
        "*alpha == 1",
        "alpha\x00 == 1",
        "activation in (relu, tanh)",
        "0.1 < alpha & rank == 1",
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


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("score > 0.9", "mean_test_score"),
        ("hidden_layers == (3,)", "hidden_layer_sizes"),
        ("alpha = 0.1", "did you mean =="),
        ("alpha > 0.1 & rank == 1", "parentheses"),
        ("status", "compare it with a value"),
        ("activation == relu", "no column 'relu'"),
        ("alpha is 1", "use == and !="),
        ("alpha == missing", "column is missing"),
    ],
)
def test_errors_say_what_to_type(run, expression, message):
    """Common slips are answered with what was meant."""
    with pytest.raises(QueryError, match=message):
        run.query(expression)


def test_the_result_is_the_readers_own(run):
    """Changing what a query gave changes nothing of the run."""
    found = run.query("alpha == 0.1")
    found["alpha"] = 7.0
    assert list(run.query("alpha == 0.1").index) == [4]


@pytest.fixture(scope="module")
def odd():
    """A run whose params hold whatever a grid may hold."""
    values = [
        {"max_depth": None, "criterion": "gini"},
        {"max_depth": 2, "criterion": "entropy", "max_features": None},
        {"max_depth": 3, "max_features": "sqrt"},
        {"max_depth": 3, "max_features": 0.5},
        {"max_features": 2},
        {"class_weight": {0: 1.0, 1: 2.0, 2: 1.0}},
        {"class_weight": "balanced"},
    ]
    grid = [
        {f"my tree__{name}": [value] for name, value in candidate.items()}
        for candidate in values
    ]
    grid += [{"note's__kw_args": [{"how": 'it\'s "so"'}]}]
    grid += [{"note's__kw_args": [{"how": "x"}], "note's__validate": [True]}]
    grid += [{"note's__inv_kw_args": [{"a": (1, [2, "b"])}]}]
    pipeline = Pipeline(
        [
            ("note's", FunctionTransformer(_as_it_is)),
            ("my tree", DecisionTreeClassifier(random_state=0)),
        ]
    )
    search = WeightTrackingGridSearchCV(
        pipeline,
        grid,
        cv=2,
        refit="balanced",
        scoring={"acc": "accuracy", "balanced": "balanced_accuracy"},
    ).fit(*load_iris(return_X_y=True))
    yield search.run_
    del search


def _as_it_is(X, how="", **_):
    return X


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        ("`my tree__max_depth` == None", [0]),
        ("`my tree__max_depth` is None", [0]),
        ("`my tree__max_depth` is missing", [4, 5, 6, 7, 8, 9]),
        ("`my tree__max_depth` is not missing", [0, 1, 2, 3]),
        (
            "`my tree__max_depth` is not missing and `my tree__max_depth` != None",
            [1, 2, 3],
        ),
        ("`my tree__max_depth` != None", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("`my tree__max_features` is None", [1]),
        ("`my tree__max_features` in (None, 2)", [1, 4]),
        ("`my tree__criterion` is missing", [2, 3, 4, 5, 6, 7, 8, 9]),
        ("`my tree__max_depth` > 2", [2, 3]),
        ("not `my tree__max_depth` > 2", [0, 1, 4, 5, 6, 7, 8, 9]),
        ("`my tree__max_depth` in (2, None) and rank > 0", [0, 1]),
        ("`param_my tree__criterion` == 'entropy'", [1]),
        ("`my tree__max_features` == 'sqrt'", [2]),
        ("`my tree__max_features` == 0.5", [3]),
        ("`my tree__max_features` in ['sqrt', 2]", [2, 4]),
        ("`my tree__max_features` > 1", [4]),
        ("`my tree__max_features` < 1", [3]),
        ("`my tree__class_weight` == 'balanced'", [6]),
        ("`my tree__class_weight` in ('balanced', 'x')", [6]),
        ("`note's__validate` == True", [8]),
        ("`note's__validate`", [8]),
        ("mean_test_acc > 2 or 'a `tick`' == `my tree__criterion`", []),
    ],
)
def test_params_of_any_kind(odd, expression, numbers):
    """None, gaps, mixed types, dicts, quotes, and names that are none in Python."""
    assert list(odd.query(expression).index) == numbers


def test_rank_is_that_of_the_metric_the_search_refits_by(odd):
    """With several metrics ``rank`` means the one that chose the best."""
    frame = odd.candidates
    best = odd.query("rank == 1")
    assert odd.best_index in best.index
    assert list(best.index) == list(frame.index[frame["rank_test_balanced"] == 1])


def test_every_column_of_the_results_can_be_asked_for(odd):
    """A query on each number of cv_results_ finds what pandas finds."""
    frame = odd.candidates
    columns = [c for c in frame.columns if "_test_" in c or c.endswith("_time")]
    assert len(columns) > 10
    for column in columns:
        middle = float(frame[column].median())
        expected = frame.index[frame[column] <= middle]
        found = odd.query(f"`{column}` <= {middle!r}")
        assert list(found.index) == list(expected)
        assert list(odd.query(f"{column} <= {middle!r}").index) == list(expected)


def test_nested_params_by_their_own_names():
    """``step__param`` is a name like any other, and a part of it suggests it."""
    search = WeightTrackingGridSearchCV(
        Pipeline([("model", DecisionTreeClassifier(random_state=0))]),
        {"model__max_depth": [1, 2], "model__criterion": ["gini", "entropy"]},
        cv=2,
    ).fit(*load_iris(return_X_y=True))
    run = search.run_
    found = run.query("model__max_depth == 2 and model__criterion in ('gini',)")
    expected = {"model__max_depth": 2, "model__criterion": "gini"}
    assert [dict(run.params(number)) for number in found.index] == [expected]
    with pytest.raises(QueryError, match="model__max_depth"):
        run.query("max_depth == 2")


def test_arrays_as_params_are_compared_by_their_elements():
    """An array equals the list that a person types."""
    search = WeightTrackingGridSearchCV(
        GaussianNB(), {"priors": [np.full(3, 1 / 4) * [1, 1, 2], None]}, cv=2
    ).fit(*load_iris(return_X_y=True))
    run = search.run_
    assert list(run.query("priors == [0.25, 0.25, 0.5]").index) == [0]
    assert list(run.query("priors == [0.25, 0.75]").index) == []
    assert list(run.query("priors in [(0.25, 0.25, 0.5), None]").index) == [0, 1]


def test_columns_have_plain_types(run):
    """Columns whose values are plain are no object columns, missing values or not."""
    frame = run.candidates
    assert frame["alpha"].dtype.kind == "f"
    assert frame["activation"].dtype != object
    assert np.isnan(frame["alpha"].to_numpy(float, na_value=np.nan)[0])
    assert frame.index.name == "candidate"

"""Objects, None and what is missing among the params of a search, wherever shown."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from report_samples import payload_of
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from weightsearch import WeightStore, WeightTrackingGridSearchCV
from weightsearch.plot._reading import candidate_labels, color_values


class Strength:
    """An object whose class gives it no text."""

    def __init__(self, C):
        self.C = C


class Shaped(ClassifierMixin, BaseEstimator):
    """Logistic regression that takes a strength, a function and a limit."""

    def __init__(self, strength=None, shape=None, limit=5):
        self.strength = strength
        self.shape = shape
        self.limit = limit

    def fit(self, X, y):
        C = 1.0 if self.strength is None else self.strength.C
        X = X if self.shape is None else self.shape(X)
        model = LogisticRegression(C=C, max_iter=self.limit or 50).fit(X, y)
        self.coef_, self.intercept_ = model.coef_, model.intercept_
        self.classes_ = model.classes_
        return self

    def predict(self, X):
        X = X if self.shape is None else self.shape(X)
        return self.classes_[(X @ self.coef_.T + self.intercept_).argmax(axis=1)]


GRID = [
    {"strength": [Strength(0.01), Strength(10.0)], "limit": [3, None]},
    {"shape": [lambda X: X, lambda X: X / 2, np.log1p, None]},
]
STRENGTHS = ["Strength(C=0.01)", "Strength(C=10.0)"]
SHAPES = ["<lambda>", "<lambda> (2)", "log1p", None]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A store with candidates 0 to 3 by strength and limit, and 4 to 7 by shape."""
    path = tmp_path_factory.mktemp("objects") / "search.h5"
    search = WeightTrackingGridSearchCV(Shaped(), GRID, cv=2, store=path)
    search.fit(*load_iris(return_X_y=True))
    for shape, number in zip(GRID[1]["shape"], range(4, 8), strict=True):
        found = search.weights_by_params_[{"shape": shape}]
        np.testing.assert_array_equal(
            found["coef_"], search.run_.weights(number)["coef_"]
        )
    assert "<lambda> (2)" in search.weights_by_params_._repr_html_().replace(
        "&lt;", "<"
    ).replace("&gt;", ">")
    return path


@pytest.fixture(scope="module")
def run(path):
    """Its run, read from the file."""
    with WeightStore(path) as store:
        yield store.run()


def test_table_of_candidates(run):
    """Objects have a text, None is None, and what is missing is NA."""
    frame = run.candidates
    limits = list(frame["limit"])
    assert limits[:4] == [3, 3, None, None] or limits[:4] == [3, None, 3, None]
    assert all(value is pd.NA for value in limits[4:])
    assert set(map(str, frame["strength"][:4])) == set(STRENGTHS)
    assert all(value is pd.NA for value in frame["strength"][4:])
    assert [v if v is None else str(v) for v in frame["shape"][4:]] == SHAPES
    params = frame[["limit", "strength", "shape"]]
    for text in (repr(params), params.to_html(escape=False)):
        assert "Strength(C=0.01)" in text
        assert "<lambda> (2)" in text
    html = run._repr_html_()
    assert "&lt;lambda&gt; (2)</td>" in html
    assert "<td>None</td>" in html
    assert "<td></td>" in html


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("limit == None", 2),
        ("limit is None", 2),
        ("limit is missing", 4),
        ("limit is not missing and limit != None", 2),
        ("limit in (None, 3)", 4),
        ("limit > 1", 2),
        ("shape == None", 1),
        ("shape is missing", 4),
        ("shape == '<lambda> (2)'", 1),
        ("shape in ('<lambda>', 'log1p', None)", 3),
        ("strength == 'Strength(C=10.0)'", 2),
        ("strength != 'Strength(C=10.0)' and strength is not missing", 2),
    ],
)
def test_queries(run, expression, count):
    """None and what is missing are two things; objects go by their text."""
    assert len(run.query(expression)) == count


def test_statistics_group_by_objects(run):
    """Objects with equal text in their class are levels of their own."""
    stats = run.stats()
    groups = stats[stats["name"] == "coef_"].groupby("strength")["l2"].size()
    assert dict(zip(map(str, groups.index), groups, strict=True)) == dict.fromkeys(
        STRENGTHS, 2
    )
    table = run.variance_explained("l2").set_index(["name", "param"])
    # Two strengths or three functions and None, and that there is none.
    assert table.loc[("coef_", "strength"), "levels"] == 3
    assert table.loc[("coef_", "shape"), "levels"] == 5
    assert table.loc[("coef_", "limit"), "levels"] == 3


def test_labels_and_colours_of_plots(run):
    """A label names the params that a candidate has; each value has a colour."""
    labels = candidate_labels(run, range(8))
    assert sum("strength=Strength(C=10.0)" in label for label in labels) == 2
    assert sum("limit=None" in label for label in labels) == 2
    assert labels[4:] == [f"{4 + i}: shape={shape}" for i, shape in enumerate(SHAPES)]
    values, _, _ = color_values(run, range(8), "shape")
    assert [str(value) for value in values[4:]] == ["<lambda>", *map(str, SHAPES[1:])]


def command(*words):
    """What a command writes to stdout."""
    testing = pytest.importorskip("typer.testing")
    from weightsearch.cli._app import app

    result = testing.CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_command_line(path):
    """A table has no text for what is missing, CSV neither; JSON leaves it out."""

    def output(*words):
        return command(*words, "--sort", "candidate")

    table = output("ls", str(path), "--columns", "candidate,limit,shape")
    lines = [line.split(None, 1) for line in table.splitlines()[1:9]]
    assert [line[1].strip() for line in lines[4:]] == list(map(str, SHAPES))
    assert sum(line[1].strip() == "None" for line in lines[:4]) == 2
    rows = json.loads(output("ls", str(path), "--json"))
    assert [row.get("limit", "missing") for row in rows].count(None) == 2
    assert ["limit" in row for row in rows] == [True] * 4 + [False] * 4
    assert [row["shape"] for row in rows[4:]] == SHAPES
    cells = list(csv.DictReader(io.StringIO(output("ls", str(path), "--csv"))))
    assert [cell["limit"] for cell in cells].count("None") == 2
    assert [cell["limit"] for cell in cells[4:]] == [""] * 4
    found = output("query", str(path), "limit is missing", "--json")
    assert [row["candidate"] for row in json.loads(found)] == [4, 5, 6, 7]


def test_one_candidate_on_the_command_line(path):
    """``show --json`` has the params that the candidate has, and no others."""
    shown = json.loads(command("show", str(path), "7", "--json"))
    assert shown["params"] == {"shape": None}
    assert not {"limit", "strength", "shape"} & shown["results"].keys()


def test_report(run, tmp_path):
    """The page has the same texts, and null for what is missing alone."""
    payload = payload_of(run.report(tmp_path / "report.html"))
    order = payload["candidates"]
    columns = {column["name"]: column["values"] for column in payload["columns"]}
    values = dict(zip(order, columns["shape"], strict=True))
    assert [values[number] for number in range(8)] == [None] * 4 + list(
        map(str, SHAPES)
    )
    assert sorted(map(str, columns["limit"])) == ["3", "3"] + ["None"] * 6
    assert columns["limit"].count("None") == 2

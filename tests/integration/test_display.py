"""What consoles and notebooks show of a search, a store, a run and its weights."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import sklearn
from cli_stores import hostile_store, large_run
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import Run, Weights, WeightStore, WeightTrackingGridSearchCV

MAX = 60_000
"""Characters that anything shows at most: far below a megabyte."""


def make_search(**options):
    """A search over two candidates."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    grid = {"logisticregression__C": [0.1, 1.0]}
    return WeightTrackingGridSearchCV(model, grid, cv=3, **options)


def fit(search):
    """Fit a search on the irises."""
    return search.fit(*load_iris(return_X_y=True))


def without_ids(text):
    """HTML without the numbers and addresses that differ from one call to the next."""
    return re.sub(r"sk-(container|estimator)-id-\d+", "", text)


def test_unfitted_search_is_shown_as_scikit_learn_shows_it():
    """The diagram alone, the same but for the name of the class."""
    search = make_search()
    model = GridSearchCV(search.estimator, search.param_grid, cv=3)

    ours, theirs = search._repr_html_(), model._repr_html_()

    assert '<label for="sk-' in ours
    for text in ("StandardScaler", "LogisticRegression"):
        assert ours.count(f"<div>{text}</div>") == theirs.count(f"<div>{text}</div>")
    assert "Weights of" not in ours


def test_fitted_search_has_a_part_on_its_store(tmp_path):
    """Folded below the diagram: of how many candidates, which run, where, how large."""
    path = tmp_path / "a<b>&.h5"
    search = fit(make_search(store=path))

    shown = search._repr_html_()

    diagram, part = shown.split('<div class="weightsearch-view">')
    assert "sk-top-container" in diagram
    assert "<details><summary>Weights of 2 of 2 candidates</summary>" in part
    for fact in (search.run_.name, "a&lt;b&gt;&amp;.h5", "estimator_for(params)"):
        assert fact in part
    assert f"{path.stat().st_size / 1000:.1f} kB" in part
    bundle = search._repr_mimebundle_()
    assert without_ids(bundle["text/html"]) == without_ids(shown)
    assert bundle["text/plain"] == repr(search)


def test_private_store_is_named_so():
    """Without a store of one's own the line says how to keep it."""
    assert "save_store" in fit(make_search())._repr_html_()


def test_diagrams_can_be_switched_off():
    """scikit-learn's setting counts: text alone, and no HTML."""
    search = make_search()
    with sklearn.config_context(display="text"):
        assert not hasattr(search, "_repr_html_")
        assert set(search._repr_mimebundle_()) == {"text/plain"}


def test_search_whose_store_is_gone_is_shown(tmp_path):
    """A notebook shows what is missing where, and no traceback."""
    path = tmp_path / "gone.h5"
    search = fit(make_search(store=path))
    search.store_.close()
    again = pickle.loads(pickle.dumps(search))
    path.unlink()

    shown = again._repr_html_()

    assert "gone.h5" in shown.rsplit("<p>", 1)[1]
    assert "LogisticRegression" in shown


def test_weights_are_a_dict_that_shows_shapes():
    """A dict in all respects; its text has no numbers."""
    weights = fit(make_search()).best_weights_

    assert isinstance(weights, dict)
    assert re.findall(r"[\w/]+_(?=:)", repr(weights)) == list(weights)
    assert "logisticregression/coef_: (3, 4)" in repr(weights)
    assert "float64" in weights._repr_html_()
    copy = pickle.loads(pickle.dumps(weights))
    assert list(copy) == list(weights)
    assert repr(Weights()) == "<Weights: none>"


def test_stored_weights_are_shown_unread():
    """Names, shapes and types; at most 20 of them."""
    run = Run(large_run(1))
    shown = run.weights(0)._repr_html_()

    assert "float64" in shown
    assert "280 more rows" in shown
    assert len(repr(run.weights(0))) < 2000


def test_nothing_prints_a_megabyte():
    """10,000 candidates with 30 params, of long names and values."""
    run = Run(large_run(10_000))
    weights = run.weights(3).to_dict()
    by_params = run.weights_by_params()

    for thing in (run, run.weights(3), weights, by_params, run.params(3)):
        assert len(repr(thing)) < MAX
    for thing in (run, run.weights(3), weights, by_params):
        assert 100 < len(thing._repr_html_()) < MAX


def test_printed_objects_fit_a_narrow_screen(capsys):
    """Scores and distances are in 80 columns, although names are long."""
    search = fit(make_search(capture="both"))
    run = search.run_
    for thing in (run, run.compare(0, 1), search.weights_by_params_):
        print(thing)
    shown = capsys.readouterr().out
    lines = shown.splitlines()

    assert max(map(len, lines)) <= 80
    assert lines[0] == str(repr(run))[1:-1]
    assert lines[1] == "6 fits, 2 refits"
    assert lines[3].split() == ["candidate", "mean_test_score", "C"]
    assert int(lines[4].split()[0]) == search.best_index_
    comparison = run.compare(0, 1)
    distance = comparison["relative_distance"]["logisticregression/coef_"]
    assert f"logisticregression/coef_  {distance:17.4g}  " in shown
    assert "<ParamsMapping: 2 candidates by C (2)>" in shown
    assert isinstance(comparison.head(1), pd.DataFrame)
    assert "logisticregression/coef_" in comparison._repr_html_()


def test_views_can_be_folded():
    """A run shows its candidates, and settings, params and versions when unfolded."""
    shown = fit(make_search()).run_._repr_html_()

    for title in ("Settings of the search", "Versions"):
        assert f"<details><summary>{title}</summary>" in shown
    assert "<details open><summary>Candidates, the best first</summary>" in shown
    assert "<th>capture</th><td>refit</td>" in shown


def test_run_shows_its_best_candidates_first():
    """Twenty rows at most, best first, with params and scores."""
    search = WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=20), {"C": list(np.logspace(-3, 2, 25))}, cv=2
    )
    shown = fit(search).run_._repr_html_()

    rows = re.findall(r"<tr><td>(\d+)</td>", shown)
    assert len(rows) == 20
    assert int(rows[0]) == search.best_index_
    assert "5 more rows" in shown
    assert "<th>C</th>" in shown
    assert "<th>mean_test_score</th>" in shown
    assert "split0" not in shown


@pytest.fixture
def hostile(tmp_path):
    """The newest run of a stranger's store."""
    with WeightStore(hostile_store(tmp_path / "<script>.h5")) as store:
        yield store


def test_texts_of_a_store_are_no_markup(hostile):
    """Names and values of a stranger are text, and can be sent as UTF-8."""
    run = hostile.run()
    things = (
        hostile,
        run,
        run.weights(0),
        run.weights(0).to_dict(),
        run.weights_by_params(),
    )
    for thing in things:
        shown = thing._repr_html_()
        assert "<script" not in shown
        assert "&lt;script" in shown
        assert shown.encode("utf-8")

"""Displays of params and scores: of any fitted search, and of a run."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    validation_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from weightsearch import QueryError, WeightTrackingGridSearchCV
from weightsearch.compare import param_importance
from weightsearch.plot import (
    ParallelCoordinatesDisplay,
    ParamImportanceDisplay,
    ScoreHeatmapDisplay,
    SpectrumDisplay,
    ValidationCurveDisplay,
)

plt = pytest.importorskip("matplotlib.pyplot")

from weightsearch.plot._colors import colors_of  # noqa: E402
from weightsearch.plot._results import param_scale, short_names  # noqa: E402

GRID = {"C": [0.01, 1.0, 100.0], "gamma": [0.01, 1.0], "kernel": ["rbf", "poly"]}
DISPLAYS = (
    ParallelCoordinatesDisplay,
    ParamImportanceDisplay,
    ScoreHeatmapDisplay,
    ValidationCurveDisplay,
)


@pytest.fixture(scope="module")
def search():
    """A search of scikit-learn's own."""
    X, y = load_iris(return_X_y=True)
    return GridSearchCV(SVC(), GRID, cv=3, return_train_score=True).fit(X, y)


@pytest.fixture(scope="module")
def randomized():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), SVC())
    space = {"svc__C": loguniform(1e-3, 1e3), "svc__kernel": ["rbf", "wrong", "poly"]}
    search = RandomizedSearchCV(model, space, n_iter=40, cv=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that fits fail is the point
        return search.fit(X, y)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_search_and_run_give_the_same(tmp_path):
    """The pictures of a run are those of the search that made it."""
    X, y = load_iris(return_X_y=True)
    grid = {"C": [0.01, 1.0, 100.0], "fit_intercept": [True, False]}
    search = WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=300), grid, cv=2, store=tmp_path / "s.h5"
    ).fit(X, y)
    ours, theirs = (
        [cls.from_run(search.run_) for cls in DISPLAYS],
        [cls.from_search(search) for cls in DISPLAYS],
    )
    for a, b in zip(ours, theirs, strict=True):
        assert a.ax_.get_title() == b.ax_.get_title()
    pd.testing.assert_frame_equal(ours[1].importance, theirs[1].importance)
    np.testing.assert_array_equal(ours[2].scores, theirs[2].scores)


@pytest.mark.parametrize("display_class", DISPLAYS)
def test_failed_and_random_candidates(randomized, display_class):
    """Numbers drawn at random and candidates without a score are drawn, and counted."""
    display = display_class.from_search(randomized)
    display.figure_.canvas.draw()
    failed = int(np.isnan(randomized.cv_results_["mean_test_score"]).sum())
    assert failed > 0
    if display_class in (ParallelCoordinatesDisplay, ValidationCurveDisplay):
        assert f"{failed} without a score" in display.ax_.get_title()


@pytest.mark.parametrize("display_class", DISPLAYS)
def test_unknown_metric_and_single_candidate(search, display_class):
    """A metric that does not exist, or no param that varies, is an error."""
    with pytest.raises(QueryError, match="mean_test_score"):
        display_class.from_search(search, metric="test_scor")
    with pytest.raises(QueryError, match="No param varies"):
        display_class.from_search(search, candidates=[0])
    assert plt.get_fignums() == []


def test_importance_bars(search):
    """Bars are the importances, params before pairs."""
    results = search.cv_results_
    found = param_importance(
        pd.DataFrame(results["params"]), results["mean_test_score"]
    )
    display = ParamImportanceDisplay.from_search(search)
    params = found[found["other"] == ""]
    assert [t.get_text() for t in display.ax_.get_yticklabels()][:3] == list(
        params["param"]
    )
    widths = [bar.get_width() for bar in display.bars_]
    np.testing.assert_allclose(widths[:3], params["importance"])
    assert "Exact" in display.ax_.get_title()


def test_importance_without_numbers():
    """Where the score is constant, bars are unknown and the title says why."""
    found = param_importance(pd.DataFrame({"a": [1, 2, 3, 4]}), [1.0] * 4)
    display = ParamImportanceDisplay(found).plot()
    assert "does not vary" in display.ax_.get_title()
    assert "unknown" in {text.get_text() for text in display.ax_.texts}


def test_parallel_coordinates(search):
    """A line per candidate, the best one last and highest at the score's axis."""
    display = ParallelCoordinatesDisplay.from_search(search)
    lines = display.lines_.get_segments()
    assert len(lines) == 12
    heights = [line[-1, 1] for line in lines]
    assert heights == sorted(heights)
    assert heights[-1] == pytest.approx(1.0)
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert set(labels) == {*GRID, "mean_test_score"}
    chosen = ParallelCoordinatesDisplay.from_search(search, ["kernel", "C"])
    assert [t.get_text() for t in chosen.ax_.get_xticklabels()][:2] == ["kernel", "C"]


def test_heat_map_is_the_mean_of_its_cells(search):
    """A cell is the mean, highest or lowest score of the candidates of two values."""
    frame = pd.DataFrame(search.cv_results_["params"])
    frame["score"] = search.cv_results_["mean_test_score"]
    for how in ("mean", "max", "min"):
        display = ScoreHeatmapDisplay.from_search(
            search, "gamma", "kernel", aggregate=how
        )
        expected = frame.pivot_table("score", "kernel", "gamma", aggfunc=how)
        np.testing.assert_allclose(display.scores, expected.loc[["rbf", "poly"]])
    assert display.x_labels == ["0.01", "1"]
    assert display.y_labels == ["rbf", "poly"]
    assert len(display.texts_) == 4
    with pytest.raises(ValueError, match="aggregate must be"):
        ScoreHeatmapDisplay.from_search(search, aggregate="sum")


def test_heat_map_groups_numbers(randomized):
    """Many numbers are ten groups; a value without any score stays grey."""
    display = ScoreHeatmapDisplay.from_search(randomized, "svc__C", "svc__kernel")
    assert display.scores.shape == (3, 10)
    wrong = display.y_labels.index("wrong")
    assert np.isnan(display.scores[wrong]).all()
    assert np.isfinite(np.delete(display.scores, wrong, axis=0)).any()


def test_validation_curve_is_that_of_scikit_learn(search):
    """The line equals validation_curve with the best candidate's other params."""
    X, y = load_iris(return_X_y=True)
    train, test = validation_curve(
        search.best_estimator_, X, y, param_name="C", param_range=GRID["C"], cv=3
    )
    display = ValidationCurveDisplay.from_search(search, "C")
    drawn_test, drawn_train = (line.get_ydata() for line in display.lines_)
    np.testing.assert_allclose(drawn_test, test.mean(axis=1))
    np.testing.assert_allclose(drawn_train, train.mean(axis=1))
    assert len(display.bands_) == 2
    everything = ValidationCurveDisplay.from_search(search, "C", others="all")
    frame = pd.DataFrame(search.cv_results_)
    means = frame.groupby("param_C")["mean_test_score"].mean()
    np.testing.assert_allclose(everything.lines_[0].get_ydata(), means)
    with pytest.raises(ValueError, match="others must be"):
        ValidationCurveDisplay.from_search(search, others="none")


def test_halving_shows_its_first_iteration():
    """Scores with other resources are not mixed: the first iteration is drawn."""
    X, y = load_iris(return_X_y=True)
    search = HalvingGridSearchCV(SVC(), GRID, cv=2, random_state=0).fit(X, y)
    assert search.n_iterations_ > 1
    display = ParamImportanceDisplay.from_search(search)
    assert display.importance["n"].eq(12).all()
    assert len(ParallelCoordinatesDisplay.from_search(search).scores) == 12


def test_scale_of_levels():
    """Numbers are in their order, other values in that of appearance, gaps last."""
    scale = param_scale(["b", pd.NA, "a", None, 3, 1, "b"])
    assert scale.labels == ["1", "3", "b", "a", "None", "absent"]
    assert scale.positions.tolist() == [2, 5, 3, 4, 1, 0, 2]


def test_scale_of_numbers():
    """Many numbers lie at their values or logarithms, what is no number below."""
    linear = param_scale(list(range(30)))
    assert not linear.is_levels
    assert not linear.is_log
    assert linear.positions.tolist() == list(range(30))
    log = param_scale([*np.logspace(-4, 2, 31), None])
    assert log.is_log
    np.testing.assert_allclose(log.positions[:-1], np.linspace(-4, 2, 31))
    assert log.positions[-1] < -4
    assert log.labels[-1] == "None"


def test_names_are_shortened_at_the_front():
    """A pipeline's steps are left out and the beginnings of long names."""
    names = ["a__x", "b__x", "c__y", "z" * 30 + "_end"]
    short = short_names(names, 10)
    assert list(short.values())[:3] == ["a__x", "b__x", "y"]
    assert short[names[3]] == "…zzzzz_end"


@pytest.mark.parametrize(
    "levels", [["a", "b", "c"], [1, 2, 3], list(range(20)), [None, 1, 2]]
)
def test_a_value_has_one_colour(levels):
    """The colour of a value does not depend on which others are shown."""
    everything = colors_of(levels, "p", levels=levels).rgba
    for position, value in enumerate(levels):
        alone = colors_of([value], "p", levels=levels)
        np.testing.assert_array_equal(alone.rgba[0], everything[position])
        assert len(alone.entries) <= 1


def test_diverged_spectrum_is_counted():
    """One huge spectrum does not flatten the others; one that is NaN is counted."""
    spectra = [np.array([3.0, 2.0]) * k for k in np.linspace(1, 2, 10)]
    display = SpectrumDisplay([*spectra, np.array([1e30, 1.0]), np.full(2, np.nan)])
    display.plot()
    assert display.ax_.get_ylim()[1] < 100
    assert "1 beyond the axis" in display.ax_.get_title()
    assert "1 not finite" in display.ax_.get_title()

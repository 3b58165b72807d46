"""Displays: the right data, labels and axes, from a search and from a store."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import (
    QueryError,
    WeightsNotFoundError,
    WeightStore,
    WeightTrackingGridSearchCV,
)
from weightsearch.plot import (
    DistanceMatrixDisplay,
    ParallelCoordinatesDisplay,
    ParamImportanceDisplay,
    ScoreHeatmapDisplay,
    ScoreStatisticDisplay,
    SpectrumDisplay,
    ValidationCurveDisplay,
    WeightDistributionDisplay,
    WeightHeatmapDisplay,
    WeightImageDisplay,
)

plt = pytest.importorskip("matplotlib.pyplot")

from matplotlib.colors import to_rgba  # noqa: E402

from weightsearch.plot._colors import OKABE_ITO, colors_of  # noqa: E402

DISPLAYS = (
    DistanceMatrixDisplay,
    ParallelCoordinatesDisplay,
    ParamImportanceDisplay,
    ScoreHeatmapDisplay,
    ScoreStatisticDisplay,
    SpectrumDisplay,
    ValidationCurveDisplay,
    WeightDistributionDisplay,
    WeightHeatmapDisplay,
    WeightImageDisplay,
)
GRID = {
    "activation": ["relu", "tanh"],
    "alpha": [1e-4, 1e-2, 1.0],
    "learning_rate_init": [1e-3, 3e-3, 1e-2, 3e-2, 1e-1],
}


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    X, y = load_digits(return_X_y=True)
    mlp = MLPClassifier((5,), max_iter=2, random_state=0)
    store = tmp_path_factory.mktemp("plot") / "digits.h5"
    return WeightTrackingGridSearchCV(mlp, GRID, cv=2, store=store).fit(
        X[:200] / 16, y[:200]
    )


@pytest.fixture
def run(search):
    return search.run_


@pytest.fixture(autouse=True)
def _close_figures():
    plt.close("all")  # those of other files' tests
    yield
    plt.close("all")


def _texts(figure):
    """All text that is seen, drawn once so that layout and ticks are final."""
    figure.canvas.draw()
    found = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return {artist.get_text() for artist in found if artist.get_visible()}


# -- what holds for all ----------------------------------------------------------


@pytest.mark.parametrize("display_class", DISPLAYS)
def test_draws_a_search_of_many_candidates(search, display_class):
    """Every display draws a whole search, into one new figure."""
    display = display_class.from_search(search)

    assert isinstance(display, display_class)
    assert plt.get_fignums() == [display.figure_.number]
    assert display.ax_.figure is display.figure_
    display.figure_.canvas.draw()


@pytest.mark.parametrize("display_class", DISPLAYS)
def test_user_axes(search, display_class):
    """Axes that the user gives are drawn on, and pyplot's state stays as it was."""
    from matplotlib.figure import Figure

    mine = Figure()
    ax = mine.subplots()
    other = plt.figure()

    display = display_class.from_search(search, ax=ax)

    assert display.ax_ is ax
    assert display.figure_ is mine
    assert plt.get_fignums() == [other.number]
    mine.canvas.draw()


@pytest.mark.parametrize("display_class", DISPLAYS)
def test_draws_again(run, display_class):
    """A display can be drawn a second time, on other axes."""
    display = display_class.from_run(run)
    first = display.ax_

    display.plot()

    assert display.ax_ is not first


@pytest.mark.parametrize("display_class", DISPLAYS)
def test_nothing_is_cut_off(search, display_class):
    """Titles, labels, legends and dendrograms lie inside of a new figure."""
    figure = display_class.from_search(search).figure_

    figure.canvas.draw()

    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.01


def test_error_in_drawing_leaves_no_figure(run):
    """A figure that cannot be drawn is closed."""
    with pytest.raises(ValueError, match="no_such_map"):
        WeightHeatmapDisplay.from_run(run, cmap="no_such_map")

    assert plt.get_fignums() == []


CODE = """
import sys
from weightsearch import WeightStore
from weightsearch import plot

run = WeightStore(sys.argv[1]).run()
for name in sys.argv[3:]:
    getattr(plot, name).from_run(run).figure_.savefig(f"{sys.argv[2]}/{name}.png")
"""


def test_store_in_another_process(search, tmp_path):
    """A store alone is enough to draw everything, anywhere."""
    names = sorted(display_class.__name__ for display_class in DISPLAYS)
    command = [sys.executable, "-c", CODE, search.store, tmp_path, *names]
    subprocess.run(command, check=True)

    files = sorted(tmp_path.iterdir())
    assert [path.stem for path in files] == names
    assert all(path.stat().st_size > 5000 for path in files)


@pytest.fixture(scope="module")
def odd_search():
    """Names that are long, or that matplotlib would take for mathematics or hidden."""
    X, y = load_diabetes(return_X_y=True)
    name = "_$regression$_of_" + "x" * 80
    model = Pipeline([("scale", StandardScaler()), (name, Ridge())])
    search = WeightTrackingGridSearchCV(model, {f"{name}__alpha": [0.1, 1.0, 9.0]})
    return search.set_params(cv=2, scoring="r2").fit(X, y), name


@pytest.mark.parametrize(
    "display_class",
    [DistanceMatrixDisplay, ScoreStatisticDisplay, WeightDistributionDisplay],
)
def test_odd_names(odd_search, display_class):
    """Names are shown as they are, shortened, coloured by them too."""
    search, name = odd_search

    display = display_class.from_search(search, color_by=f"param_{name}__alpha")

    texts = _texts(display.figure_)
    box = display.figure_.get_tightbbox()
    assert box.x0 > -0.01
    assert box.x1 < display.figure_.get_size_inches()[0] + 0.01
    assert {"0.1", "1", "9"} <= texts
    assert "alpha" in texts
    assert max(len(line) for text in texts for line in text.splitlines()) < 80


def test_odd_names_of_one_weight(odd_search):
    """A regressor's vector is a heat map of one row, with its name in the title."""
    search, name = odd_search

    display = WeightHeatmapDisplay.from_search(search, f"{name}/coef_")

    np.testing.assert_array_equal(
        display.matrix, search.best_weights_[f"{name}/coef_"].reshape(1, -1)
    )
    assert "_$regression$_of_" in display.ax_.get_title()
    display.figure_.canvas.draw()


# -- choosing and naming ---------------------------------------------------------


def test_few_candidates_are_named_by_their_params(run):
    """Up to eight candidates have a legend with what varies among them."""
    display = SpectrumDisplay.from_run(run, candidates=[3, 7])

    labels = [text.get_text() for text in display.key_.get_texts()]
    assert [label.replace("\n", " ") for label in labels] == [
        "3: activation=relu, alpha=0.0001, learning_rate_init=0.03",
        "7: activation=relu, alpha=0.01, learning_rate_init=0.01",
    ]


def test_many_candidates_have_a_colour_bar(run):
    """More candidates are coloured by their score, without a legend."""
    display = SpectrumDisplay.from_run(run)

    assert len(display.lines_) == 30
    assert display.ax_.get_legend() is None
    assert display.key_.ax.get_ylabel() == "mean_test_score"


def test_colour_by_a_param(run):
    """A param of few values has a legend, in colour-blind safe colours."""
    display = SpectrumDisplay.from_run(run, color_by="activation")

    assert [text.get_text() for text in display.key_.get_texts()] == ["relu", "tanh"]
    colors = {tuple(line.get_color()) for line in display.lines_}
    assert colors == {to_rgba(color) for color in OKABE_ITO[:2]}


def test_unknown_column(run):
    """A column that is not there is an error that suggests one."""
    with pytest.raises(QueryError, match=r"'activaton'.*'activation'"):
        SpectrumDisplay.from_run(run, color_by="activaton")


def test_unknown_weight(run):
    """A weight that no candidate has is an error that names those there are."""
    for options in ({}, {"candidates": [1]}):
        with pytest.raises(WeightsNotFoundError, match=r"'coef_'.*coefs_/0"):
            SpectrumDisplay.from_run(run, "coef_", **options)


def test_unknown_params(run):
    """Params that no candidate has are named."""
    with pytest.raises(WeightsNotFoundError, match="No candidate has the params"):
        WeightHeatmapDisplay.from_run(run, candidate={"alpha": 5.0})


def test_failed_candidates_are_left_out():
    """Candidates without weights are not drawn; asked for, they are an error."""
    X, y = load_digits(return_X_y=True)
    search = WeightTrackingGridSearchCV(
        MLPClassifier((3,), max_iter=2), {"alpha": [0.1, 1.0, 2.0]}, cv=2, keep=1
    ).fit(X[:60], y[:60])

    display = SpectrumDisplay.from_search(search)

    assert len(display.spectra) == 1
    missing = next(n for n in range(3) if n != search.best_index_)
    with pytest.raises(WeightsNotFoundError, match="keep=1"):
        SpectrumDisplay.from_search(search, candidates=[missing])


def test_model_of_a_split():
    """``split`` draws a model of cross-validation, where no refit is kept."""
    X, y = load_digits(return_X_y=True)
    search = WeightTrackingGridSearchCV(
        MLPClassifier((3,), max_iter=2), {"alpha": [0.1, 1.0]}, cv=2, capture="splits"
    ).fit(X[:60], y[:60])

    display = WeightHeatmapDisplay.from_search(search, candidate=1, split=0)

    np.testing.assert_array_equal(
        display.matrix, search.run_.weights(1, split=0)["coefs_/0"]
    )


# -- one by one ------------------------------------------------------------------


def test_heat_map(run):
    """The best candidate's weight, on a scale centred at 0, with axes named."""
    display = WeightHeatmapDisplay.from_run(run, "coefs_/1")

    weight = run.best_weights()["coefs_/1"]
    np.testing.assert_array_equal(display.im_.get_array(), weight)
    assert display.im_.get_clim() == (-np.abs(weight).max(), np.abs(weight).max())
    assert display.ax_.get_xlabel() == "Unit (axis 1)"
    assert display.ax_.get_ylabel() == "Input (axis 0)"
    title = display.ax_.get_title().replace("\n", " ")
    assert f"coefs_/1 of candidate {run.best_index}, mean_test_score" in title
    assert "learning_rate_init=" in title


def test_heat_map_of_params(run):
    """A candidate can be named by its params."""
    params = dict(run.params(11))

    display = WeightHeatmapDisplay.from_run(run, candidate=params)

    np.testing.assert_array_equal(display.matrix, run.weights(11)["coefs_/0"])


def test_heat_map_of_what_is_not_finite():
    """NaN is grey and counted, and does not spoil the scale."""
    matrix = np.array([[1.0, np.nan], [-2.0, np.inf]])

    display = WeightHeatmapDisplay(matrix, title="w").plot()

    assert display.im_.get_clim() == (-2.0, 2.0)
    assert display.ax_.get_title() == "w; 2 not finite (grey)"


def test_images(run):
    """The mosaic holds each unit's incoming weights as an 8 x 8 image."""
    display = WeightImageDisplay.from_run(run, shape=(8, 8), columns=3)

    weight = run.best_weights()["coefs_/0"]
    np.testing.assert_array_equal(
        display.mosaic_[9:17, 9:17], weight[:, 4].reshape(8, 8)
    )
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels == ["0 to 2", "3 to 4"]


def test_images_of_chosen_units(run):
    """Chosen units are drawn in that order, and the title says how many there are."""
    display = WeightImageDisplay.from_run(run, units=[4, 1], columns=2)

    weight = run.best_weights()["coefs_/0"]
    np.testing.assert_array_equal(display.images[0], weight[:, 4].reshape(8, 8))
    assert display.ax_.get_yticklabels()[0].get_text() == "4, 1"
    assert display.ax_.get_title().startswith("2 of 5 units of coefs_/0")


def test_distance_matrix(run):
    """The matrix is that of ``run.distances``, in the order of the dendrogram."""
    display = DistanceMatrixDisplay.from_run(run, "relative", method="complete")

    distances = run.distances("relative")
    order = list(display.order_)
    assert sorted(order) == list(range(30))
    np.testing.assert_array_equal(
        display.im_.get_array(), distances.loc[order, order].to_numpy()
    )
    heights = np.concatenate(
        [
            path.vertices[:, 1]
            for path in display.dendrogram_ax_.collections[0].get_paths()
        ]
    )
    assert heights.max() == run.cluster("relative", method="complete").linkage[-1, 2]
    assert display.colorbar_.ax.get_ylabel() == "Relative distance"
    assert len(display.ax_.get_xticks()) <= 20


def test_distance_matrix_strip(run):
    """The strip shows each candidate's param above its column."""
    display = DistanceMatrixDisplay.from_run(run, color_by="activation")

    strip = display.strip_ax_.images[0].get_array()[0]
    relu = run.candidates["activation"].loc[display.order_].to_numpy() == "relu"
    assert (strip == to_rgba(OKABE_ITO[0])).all(axis=1).tolist() == relu.tolist()


def test_distance_matrix_of_few_candidates(run):
    """Few rows are named by params; one candidate has no dendrogram."""
    display = DistanceMatrixDisplay.from_run(run, candidates=[0, 1])
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert all(label.startswith(("0: acti", "1: acti")) for label in labels)

    assert DistanceMatrixDisplay.from_run(run, candidates=[0]).dendrogram_ax_ is None


def test_distance_matrix_of_unequal_widths():
    """Candidates of other architectures have no distance, and are drawn grey."""
    X, y = load_digits(return_X_y=True)
    search = WeightTrackingGridSearchCV(
        MLPClassifier(max_iter=2), {"hidden_layer_sizes": [(3,), (4,), (3, 2)]}, cv=2
    ).fit(X[:60], y[:60])

    display = DistanceMatrixDisplay.from_search(search, color_by="hidden_layer_sizes")

    assert np.ma.getmaskarray(display.im_.get_array()).sum() == 6
    display.figure_.canvas.draw()


def test_score_against_statistic(run):
    """Points are statistic and score; the title has Spearman's correlation."""
    display = ScoreStatisticDisplay.from_run(run, "coefs_/1", "stable_rank")

    weights = [run.weights(n)["coefs_/1"] for n in range(30)]
    spectral = [np.linalg.norm(w, 2) for w in weights]
    x = np.array([np.linalg.norm(w) for w in weights]) ** 2 / np.square(spectral)
    y = run.candidates["mean_test_score"]
    np.testing.assert_allclose(display.scatter_.get_offsets(), np.c_[x, y])
    rho = spearmanr(x, y).statistic
    assert display.spearman_ == pytest.approx(rho)
    assert f"correlation {rho:.2f}, n=30" in display.ax_.get_title()
    assert display.ax_.get_xlabel() == "Stable rank of coefs_/1"
    assert display.ax_.get_ylabel() == "mean_test_score"


def test_score_against_statistic_of_few(run):
    """With fewer than five candidates the picture says that it says nothing."""
    display = ScoreStatisticDisplay.from_run(run, candidates=range(3))

    assert np.isnan(display.p_value_)
    title = display.ax_.get_title().replace("\n", " ")
    assert "a correlation of 3 values may be chance" in title


def test_score_that_is_missing():
    """Candidates without both numbers are left out and counted."""
    display = ScoreStatisticDisplay(
        np.array([1.0, 1e4, 3.0, np.inf, 5.0]),
        np.array([0.1, 0.2, 0.3, 0.4, np.nan]),
        colors=["a", "b", "a", "b", "a"],
    ).plot()

    assert len(display.scatter_.get_offsets()) == 3
    assert "n=3 of 5" in display.ax_.get_title()
    assert display.ax_.get_xscale() == "log"


def test_unknown_statistic(run):
    """A statistic that is not there is an error that names those there are."""
    with pytest.raises(ValueError, match=r"'norm'.*spectral_norm"):
        ScoreStatisticDisplay.from_run(run, statistic="norm")


def test_scoring_and_units_are_in_the_labels(odd_search):
    """An axis names the scoring of a score, and the unit of a time."""
    search, name = odd_search

    display = ScoreStatisticDisplay.from_search(
        search, f"{name}/coef_", color_by="mean_fit_time"
    )

    assert display.ax_.get_ylabel() == "mean_test_score (r2)"
    assert display.color_label == "mean_fit_time (s)"


def test_spectra(run):
    """A line is a candidate's singular values, largest first, on a logarithmic axis."""
    display = SpectrumDisplay.from_run(run, "coefs_/1")
    expected = np.linalg.svd(run.weights(9)["coefs_/1"], compute_uv=False)

    x, y = display.lines_[9].get_data()
    np.testing.assert_array_equal(x, [1, 2, 3, 4, 5])
    np.testing.assert_allclose(y, expected)
    assert display.ax_.get_yscale() == "log"


def test_relative_spectra(run):
    """Relative spectra start at 1; values that are zero are left out."""
    display = SpectrumDisplay([np.array([4.0, 2.0, 0.0]), np.zeros(2)])

    display.plot(relative=True)

    np.testing.assert_array_equal(display.lines_[0].get_ydata(), [1.0, 0.5, np.nan])
    assert np.isnan(display.lines_[1].get_ydata()).all()
    display.figure_.canvas.draw()


def test_distributions(run):
    """A panel a weight, a box from quartile to quartile, candidates by score."""
    display = WeightDistributionDisplay.from_run(run)

    assert [panel.get_title() for panel in display.axes_] == [
        "coefs_/0",
        "coefs_/1",
        "intercepts_/0",
        "intercepts_/1",
    ]
    scores = run.candidates["mean_test_score"]
    best = scores.sort_values(kind="stable").index[-1]
    box = display.boxes_[1].get_paths()[-1].vertices
    quartiles = np.quantile(run.weights(int(best))["coefs_/1"], [0.25, 0.75])
    np.testing.assert_allclose([box[:, 1].min(), box[:, 1].max()], quartiles)
    assert (
        display.axes_[-1].get_xlabel() == "Candidate, from low to high mean_test_score"
    )


def test_distributions_in_order_of_a_param(run):
    """Candidates can be ordered by any column, or stay in their own order."""
    by_param = WeightDistributionDisplay.from_run(run, order_by="activation")
    by_number = WeightDistributionDisplay.from_run(run, order_by=None)

    drawn = by_param.quantiles["candidate"].drop_duplicates()
    assert run.candidates["activation"].loc[drawn].is_monotonic_increasing
    assert by_number.quantiles["candidate"].is_monotonic_increasing


def test_distributions_of_many_weights():
    """Of more than eight weights the matrices come first, and the title says so."""
    X, y = load_digits(return_X_y=True)
    mlp = MLPClassifier((3, 3, 3, 3), max_iter=2)
    search = WeightTrackingGridSearchCV(mlp, {"alpha": [0.1, 1.0]}, cv=2)
    search.fit(X[:60], y[:60])

    display = WeightDistributionDisplay.from_search(search)

    names = display.quantiles["name"].unique().tolist()
    assert [name for name in names if "coefs" in name] == [
        f"coefs_/{layer}" for layer in range(5)
    ]
    assert len(names) == 8
    assert "(8 of 10 weights)" in display.ax_.get_title().replace("\n", " ")


def test_diverged_candidate_does_not_hide_the_others():
    """A panel's limits leave out what is far away, and its title counts it."""
    table = pd.DataFrame(
        [(n, "w", -1.0 - n / 20, -0.5, 0.0, 0.5, 1.0 + n / 20) for n in range(19)]
        + [(19, "w", -1e9, -1e8, 0.0, 1e8, 1e9)],
        columns=["candidate", "name", "q05", "q25", "q50", "q75", "q95"],
    )

    display = WeightDistributionDisplay(table).plot()

    (panel,) = display.axes_
    assert panel.get_ylim()[1] < 10
    assert panel.get_title() == "w (1 candidate reaches beyond)"


# -- colours ---------------------------------------------------------------------


def test_colours_of_many_levels():
    """The most common levels have a colour, the others share one."""
    values = [f"v{i}" for i in range(12)] + ["v3"] * 5

    colors = colors_of(values, "param")

    assert len(colors.entries) == 8
    assert colors.entries[0][0] == "v3"
    assert colors.entries[-1][0] == "others (5)"
    assert len(np.unique(colors.rgba, axis=0)) == 8


def test_colours_of_decades_are_logarithmic():
    """Numbers over many decades, such as an alpha, have a logarithmic colour bar."""
    colors = colors_of(list(np.logspace(-6, 1, 8)), "alpha")

    steps = np.diff([colors.mappable.norm(v) for v in np.logspace(-6, 1, 8)])
    np.testing.assert_allclose(steps, 1 / 7)


def test_colours_of_missing_values():
    """What is missing is grey, with an entry of its own; None is a value."""
    colors = colors_of([pd.NA, "a", float("nan"), None], "param")

    assert [label for label, _ in colors.entries] == ["a", "None", "missing"]
    assert (colors.rgba[0] == colors.rgba[2]).all()
    assert len(np.unique(colors.rgba, axis=0)) == 3


@pytest.mark.parametrize("count", [3, 20])
def test_colours_of_numbers_and_none(count):
    """Among few numbers or many, None has a colour and an entry of its own."""
    colors = colors_of([*range(count), None, pd.NA], "max_depth")

    assert [label for label, _ in colors.entries][-2:] == ["None", "missing"]
    assert (colors.mappable is None) == (count == 3)
    assert len(np.unique(colors.rgba, axis=0)) == count + 2


def test_diverged_score_does_not_flatten_the_colours():
    """One score far away is at the end of the colour bar, marked by its arrow."""
    scores = [*np.linspace(0.5, 0.9, 20), -1e6]

    colors = colors_of(scores, "score")

    assert colors.extend == "min"
    assert colors.mappable.norm.vmin > -2


def test_store_reads_as_the_search(search):
    """The same run, read from the file, gives the same picture."""
    with WeightStore(search.store) as store:
        display = SpectrumDisplay.from_run(store.run())

    np.testing.assert_array_equal(
        display.spectra, SpectrumDisplay.from_search(search).spectra
    )

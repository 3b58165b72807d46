"""Reports in a real browser: what they show is right, and they do nothing else."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from report_samples import HOSTILE, contents, hostile_contents
from scipy.stats import loguniform
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import weightsearch
from weightsearch import (
    WeightStore,
    WeightTrackingGridSearchCV,
    WeightTrackingHalvingGridSearchCV,
    WeightTrackingRandomizedSearchCV,
)
from weightsearch.compare import path_components
from weightsearch.report import write_report

COLUMNS = ("l2_a", "l2_b", "l2_distance", "relative_distance")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A report of networks in a pipeline on digits, and the run that it shows."""
    X, y = load_digits(return_X_y=True)
    folder = tmp_path_factory.mktemp("digits")
    grid = {
        "mlpclassifier__alpha": [1e-4, 1e-2, 1.0],
        "mlpclassifier__activation": ["relu", "tanh"],
        "mlpclassifier__hidden_layer_sizes": [(12,), (8,)],
    }
    WeightTrackingGridSearchCV(
        make_pipeline(StandardScaler(), MLPClassifier(max_iter=15, random_state=0)),
        grid,
        cv=2,
        store=folder / "search.h5",
    ).fit(X[:400], y[:400])
    with WeightStore(folder / "search.h5") as store:
        run = store.run()
        yield run.report(folder / "report.html"), run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A report of networks from two starts with snapshots of 12 epochs, and the run."""
    X, y = load_digits(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = (
            WeightTrackingGridSearchCV(
                MLPClassifier((12,), max_iter=12),
                {"random_state": [0, 1], "learning_rate_init": [0.002, 0.02]},
                cv=2,
                snapshots="all",
            )
            .fit(X[:300] / 16, y[:300])
            .run_
        )
    return run.report(tmp_path_factory.mktemp("trained") / "report.html"), run


@pytest.fixture
def page(browser, digits):
    """The report of the search on digits, opened; quiet and alone to the end."""
    browser.open(digits[0])
    browser.choose("#size", "25")
    yield browser
    assert_quiet(browser)


def assert_quiet(browser):
    """Nothing was said in the console, and nothing was fetched but the file."""
    assert browser.log() == []
    foreign = [
        url[:200]
        for url in browser.requests()
        if not url.startswith(("file:", "data:"))
    ]
    assert foreign == []
    assert browser.js("return performance.getEntriesByType('resource').length") == 0


def column(browser, name: str) -> list[str]:
    """Cells of a column of the table, those of the page of it that is shown."""
    code = """
        const heads = [...document.querySelectorAll("#table thead th")];
        const at = heads.findIndex((head) => head.textContent === arguments[0]);
        return [...document.querySelectorAll("#table tbody tr")]
          .map((row) => row.children[at].textContent);
    """
    return browser.js(code, name)


def head(browser, name: str):
    """The button in the head of a column."""
    code = """
        return [...document.querySelectorAll("#table thead th button")]
          .find((head) => head.textContent === arguments[0]);
    """
    return browser.js(code, name)


def kept(browser) -> str:
    browser.settle()
    return browser.texts("#count")[0]


def number(text: str) -> float:
    text = text.removeprefix("≈ ")
    return math.nan if text == "\u2013" else float(text)


def compared(browser) -> pd.DataFrame:
    """The comparison of two candidates that the page shows, by the weights' names."""
    names, rows = browser.js("""
        const table = document.getElementById("compare-weights");
        const lines = [...table.querySelectorAll("tbody tr")];
        return [
          [...table.querySelectorAll("thead th")].map((cell) => cell.textContent),
          lines.map((line) => [line.children[0].title || line.children[0].textContent,
            ...[...line.children].slice(1).map((cell) => cell.textContent)]),
        ];
    """)
    known = {
        "norm of A": "l2_a",
        "norm of B": "l2_b",
        "distance": "l2_distance",
        "relative": "relative_distance",
        "largest difference": "max_abs_difference",
    }
    frame = pd.DataFrame([row for row in rows if len(row) == len(names)])
    frame.columns = [known.get(name, name) for name in names]
    frame = frame.set_index("weight").drop(columns="shape")
    return frame.map(number)


# -- the first screen -----------------------------------------------------------------


def test_first_screen_tells_the_best_candidate(page, digits, monkeypatch):
    """Score, spread, params and what was searched; the line to copy loads the model."""
    run = digits[1]
    best = run.candidates.loc[run.best_index]
    text = page.texts("#best")[0]
    tiles = dict(zip(page.texts("#tiles dt"), page.texts("#tiles dd"), strict=True))

    assert "accuracy" in text
    assert f"{best['mean_test_score']:.4g} ± {best['std_test_score']:.2g}" in text
    assert "best of 12; " in text
    assert page.texts("#best dt") == ["alpha", "activation", "hidden_layer_sizes"] or (
        sorted(page.texts("#best dt")) == ["activation", "alpha", "hidden_layer_sizes"]
    )
    assert tiles["Estimator"] == "MLPClassifier in a Pipeline"
    assert tiles["Data"] == "400 rows \u00d7 64 columns"
    assert tiles["Score"] == "accuracy"

    monkeypatch.chdir(digits[0].parent)
    found: dict[str, object] = {"weightsearch": weightsearch}
    exec(page.texts("#best code")[0], found)
    data = load_digits().data[:50]
    np.testing.assert_array_equal(
        found["model"].predict(data), run.best.load().predict(data)
    )


def test_warnings_name_candidates_that_can_be_selected(browser, tmp_path):
    """Diverged and failed candidates are named, marked, and do not empty the plots."""
    model = SGDRegressor(max_iter=30, tol=None, random_state=0)
    grid = {"eta0": [1e-3, 1e-2, 10.0, 100.0], "alpha": [1e-4, 1e-2], "penalty": ["l1"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        WeightTrackingGridSearchCV(model, grid, cv=2, store=tmp_path / "s.h5").fit(
            *load_diabetes(return_X_y=True)
        )
    with WeightStore(tmp_path / "s.h5") as store:
        browser.open(store.run().report(tmp_path / "report.html"), dark=True)

    (warned,) = [t for t in browser.texts("#warnings li") if "diverged" in t]
    assert warned.startswith("4 candidates diverged.")
    browser.click("#warnings button.link", 0)
    assert browser.js("return document.getElementById('choose-a').value") != ""
    places = np.array(browser.marks("Score against a statistic of a weight"))
    good = places[np.argsort(places[:, 0])][:4]
    assert np.ptp(good[:, 1]) > 100, "diverged candidates pushed all into a corner"
    assert np.ptp(good[:, 2]) > 50
    assert_quiet(browser)


# -- table and filters ----------------------------------------------------------------


def test_table_shows_all_candidates_best_first(page, digits):
    """Every candidate is there with its params, in the order of the ranks."""
    run = digits[1]
    ranks = [int(text) for text in column(page, "rank")]
    numbers = [int(text) for text in column(page, "candidate")]

    assert ranks == sorted(run.candidates["rank_test_score"])
    assert sorted(numbers) == list(range(len(run)))
    assert column(page, "activation") == [
        run.params(candidate)["mlpclassifier__activation"] for candidate in numbers
    ]


def test_table_sorts_by_mouse_and_keyboard(page):
    """A click on a head sorts up, the Enter key on it down; tuples by their numbers."""
    head(page, "alpha").click()
    up = [float(text) for text in column(page, "alpha")]
    head(page, "alpha").send_keys("\ue007")
    down = [float(text) for text in column(page, "alpha")]
    head(page, "hidden_layer_sizes").click()
    sizes = column(page, "hidden_layer_sizes")

    assert len(set(up)) == 3
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)
    assert sizes == ["(8,)"] * 6 + ["(12,)"] * 6


def test_text_and_ranges_filter_table_and_plots(page):
    """What is typed, and a range chosen by keyboard, leave the same everywhere."""
    page.all("#words")[0].send_keys("tanh")
    assert kept(page) == "6 of 12 candidates kept"
    assert set(column(page, "activation")) == {"tanh"}

    page.choose("#filter select", "alpha")
    page.choose("#filter select[aria-label=From]", "0.01")
    page.click("#filter button")
    assert kept(page) == "4 of 12 candidates kept"
    assert set(column(page, "alpha")) == {"0.01", "1"}
    lines = page.marks("Candidates as lines")
    assert len({row for row, _, _ in lines}) == 4

    page.click("#chips button")
    assert kept(page) == "6 of 12 candidates kept"
    page.click("#all")
    assert kept(page) == "12 candidates"


def test_dragging_along_an_axis_keeps_a_range(page, digits):
    """A range on the last axis of the parallel coordinates keeps the best scores."""
    plot = page.plot("Candidates as lines")
    marks = np.array(page.marks("Candidates as lines"))
    x = marks[:, 1].max()
    levels = sorted(set(marks[marks[:, 1] == x][:, 2].tolist()))
    middle = (levels[2] + levels[3]) / 2

    page.mouse(plot, (x, levels[0] - 3), (x, (levels[0] + middle) / 2), (x, middle))

    scores = digits[1].candidates["mean_test_score"]
    expected = int((scores >= sorted(set(scores), reverse=True)[2]).sum())
    assert kept(page) == f"{expected} of 12 candidates kept"
    assert len(column(page, "candidate")) == expected


def test_hidden_columns_can_be_shown(page):
    """Scores of single splits are there when asked for."""
    page.click("#candidates .menu summary")
    page.js("""
        [...document.querySelectorAll("#columns label")]
          .find((label) => label.textContent === "split 0 accuracy")
          .querySelector("input").click()
    """)

    assert len(column(page, "split 0 accuracy")) == 12


# -- selecting and comparing ----------------------------------------------------------


def test_every_pair_is_compared_right(page, digits):
    """Pairs of equal and of other architectures agree with run.compare, aligned too."""
    run = digits[1]

    for a, b in [(0, 1), (0, 2), (3, 5), (4, 11), (7, 8), (6, 10), (2, 9)]:
        page.choose("#choose-a", row_of(page, a))
        page.choose("#choose-b", row_of(page, b))
        expected, found = run.compare(a, b), compared(page)
        expected = expected[expected["l2_distance"].notna()]
        own = found.loc[expected.index]
        for name in (*COLUMNS, "cosine", "max_abs_difference"):
            np.testing.assert_allclose(
                own[name], expected[name], rtol=1e-4, atol=1e-5, err_msg=name
            )
        if len(own) == 7:
            aligned = run.compare(a, b, align=True)["l2_distance"]
            np.testing.assert_allclose(own["aligned"], aligned, rtol=1e-4, atol=1e-5)


def row_of(page, candidate: int) -> str:
    """The value of an option of the choosers of candidates."""
    return page.js(
        "return [...document.querySelectorAll('#choose-a option')].find((option) =>"
        "  option.textContent.split(' ')[0] === arguments[0]).value",
        str(candidate),
    )


def test_ticks_clicks_and_keys_select_the_same(page):
    """A tick, a click on a point, and Enter on a focused plot select a candidate."""
    page.click("input.pick", 0)
    assert page.js("return document.getElementById('comparison').hidden")

    label = "Score against another column"
    row, x, y = page.marks(label)[4]
    page.mouse(page.plot(label), (x, y))
    chosen = (
        "return ['a', 'b'].map((s) => document.getElementById('choose-' + s).value)"
    )
    assert page.js(chosen) == ["0", str(row)]
    assert not page.js("return document.getElementById('comparison').hidden")
    assert len(page.all("tr.picked")) == 2

    # A third one replaces the one that was selected first.
    plot = page.plot(label)
    picked = {node.get_attribute("data-candidate") for node in page.all("tr.picked")}
    third = picked
    while third <= picked:
        plot.send_keys("\ue014")
        said = page.js("return document.getElementById('live').textContent")
        third = {said.removeprefix("candidate ").split(" ")[0].rstrip(",")}
    plot.send_keys("\ue007")
    selected = {node.get_attribute("data-candidate") for node in page.all("tr.picked")}
    assert page.js(chosen)[0] == str(row)
    assert third < selected


def test_matrix_selects_the_pair_that_is_clicked(page, digits):
    """A cell stands for two candidates, whose distance is that of run.distances."""
    label = "Distances between candidates"
    plot = page.plot(label)
    marks = page.marks(label)
    (_, x, _), (_, _, y) = marks[1], marks[4]
    page.mouse(plot, (x, y))

    distance = page.js(
        "const {values, n} = arguments[0].marks; return values[4 * n + 1]", plot
    )
    a, b = page.js(
        "return ['a', 'b'].map((side) => Number(document.getElementById("
        "'choose-' + side).selectedOptions[0].textContent.split(' ')[0]))"
    )
    expected = digits[1].distances().loc[a, b]
    assert distance == pytest.approx(expected, rel=1e-3)


def test_importance_is_that_of_the_run(page, digits):
    """The shares beside the bars are run.param_importance, the largest first."""
    expected = digits[1].param_importance()
    alone = expected[expected["other"] == ""]

    names = page.js(
        "return [...document.querySelectorAll('.bargroup b')].map((b) => b.title)"
    )
    shares = [float(text.split()[0]) for text in page.texts(".bargroup .value")]

    assert names[: len(alone)] == list(alone["param"])
    np.testing.assert_allclose(shares[: len(alone)], 100 * alone["importance"], atol=1)


def test_what_was_selected_elsewhere_is_marked(browser, digits):
    """A plot that was out of the window has the rings when it is scrolled to."""
    label = "Map of the candidates"
    drawn = """
        const top = arguments[0].querySelectorAll("canvas")[1];
        const {data} = top.getContext("2d").getImageData(0, 0, top.width, top.height);
        return data.some((value) => value > 0);
    """
    browser.open(digits[0])
    assert not browser.js(drawn, browser.plot(label))
    browser.click("input.pick", 0)
    browser.settle()
    browser.wait(drawn, browser.plot(label))


# -- training -------------------------------------------------------------------------


def ordered(run) -> list[int]:
    """Numbers of the candidates, in the order of the page's rows."""
    return run.candidates.sort_values("rank_test_score", kind="stable").index.tolist()


def test_training_has_no_section_without_snapshots(page):
    """A run without snapshots has neither the section nor the link to it."""
    hidden = "return document.querySelector(arguments[0]).hidden"
    assert page.js(hidden, "#part-training")
    assert page.js(hidden, "nav a[href='#part-training']")
    assert not page.js(hidden, "#part-learned")


def test_learning_curves_are_the_recorded_metrics(browser, trained):
    """A point per candidate and epoch, at its loss; what is clicked is selected."""
    report, run = trained
    browser.open(report)
    label = "How did training go?"
    marks = np.array(browser.marks(label))
    for row, candidate in enumerate(ordered(run)):
        own = marks[marks[:, 0] == row]
        loss = run.trajectory(candidate).metrics["train_loss"].dropna()
        assert len(own) == len(loss)
        steps = np.diff(own[:, 1])
        np.testing.assert_allclose(steps, steps[0], rtol=1e-3)
        # The axis may be logarithmic, but not upside down.
        assert np.argsort(-own[:, 2], kind="stable").tolist() == (
            np.argsort(loss, kind="stable").tolist()
        )

    row, x, y = marks[40]
    browser.mouse(browser.plot(label), (x, y))
    chosen = browser.js("return document.getElementById('choose-a').value")
    assert chosen == str(int(row))
    assert "epoch 5: " in browser.texts("#tip")[0]
    browser.choose("#training select", "learning_rate")
    assert len(browser.marks(label)) == len(marks)
    assert_quiet(browser)


@pytest.mark.parametrize("plane", ["all", "pair"])
def test_paths_are_in_the_plane_of_their_components(browser, trained, plane):
    """Of all candidates, or of the two selected, as path_components has them."""
    report, run = trained
    browser.open(report)
    drawn = ordered(run)
    label = "Paths of the weights in training"
    browser.plot(label)
    if plane == "pair":
        drawn = [drawn[0], drawn[2]]
        browser.click("input.pick", 0)
        browser.click("input.pick", 2)
        browser.choose("#training .card:nth-child(2) select", "pair")
        browser.plot(label)
    marks = np.array(browser.marks(label))

    expected = path_components([run.trajectory(candidate) for candidate in drawn])
    places = np.concatenate(expected.coordinates)
    found = marks[:, 1:] * [1, -1]
    # Up to the unit and the origin of pixels, and the direction of an axis.
    unit = np.ptp(places, axis=0).max() / np.ptp(found, axis=0).max()
    for axis in (0, 1):
        ours = (found[:, axis] - found[0, axis]) * unit
        theirs = places[:, axis] - places[0, axis]
        sign = np.sign(ours @ theirs)
        np.testing.assert_allclose(sign * ours, theirs, atol=0.01 * np.ptp(places))
    first = f"{100 * expected.explained_variance_ratio[0]:.0f} %"
    assert first in browser.texts("#training .card:nth-child(2) .hint")[0]
    assert_quiet(browser)


# -- every control, every width, every kind of search ---------------------------------


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """Reports of halving, of a randomized search of several metrics, without scores."""
    folder = tmp_path_factory.mktemp("kinds")
    X, y = load_iris(return_X_y=True)
    searches = {
        "halving": WeightTrackingHalvingGridSearchCV(
            LogisticRegression(max_iter=200),
            {"C": [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]},
            cv=2,
            random_state=0,
            store=folder / "halving.h5",
        ),
        "randomized": WeightTrackingRandomizedSearchCV(
            SGDClassifier(max_iter=5, tol=None, random_state=0),
            {"alpha": loguniform(1e-5, 1), "penalty": ["l1", "l2"]},
            n_iter=20,
            cv=2,
            scoring=["accuracy", "f1_macro"],
            refit="f1_macro",
            random_state=0,
            store=folder / "randomized.h5",
        ),
    }
    reports = {}
    for name, search in searches.items():
        search.fit(X, y)
        reports[name] = search.run_.report(folder / f"{name}.html")
    return reports


CLICK_ALL = """
    const fire = (node, type) => node.dispatchEvent(new Event(type, {bubbles: true}));
    for (const node of document.querySelectorAll("details")) node.open = true;
    const selects = document.querySelectorAll("select").length;
    for (let k = 0; k < selects; k++) {
      const count = document.querySelectorAll("select")[k]?.options.length ?? 0;
      for (let i = 0; i < count; i++) {
        const select = document.querySelectorAll("select")[k];
        select.selectedIndex = i;
        fire(select, "change");
      }
    }
    for (const kind of ["input[type=checkbox]", "button:not([disabled])"]) {
      const nodes = document.querySelectorAll(kind).length;
      for (let k = 0; k < nodes; k++) document.querySelectorAll(kind)[k]?.click();
    }
    return selects;
"""


@pytest.mark.parametrize("name", ["digits", "halving", "randomized", "trained"])
def test_every_control_works(browser, digits, kinds, trained, name):
    """Each option, button and tick of a page leaves it drawn, quiet and alone."""
    reports = {**kinds, "digits": digits[0], "trained": trained[0]}
    browser.open(reports[name], dark=name == "halving")
    assert browser.draw_all() >= 8

    assert browser.js(CLICK_ALL) >= 10
    browser.settle()
    browser.draw_all()
    for plot in browser.all(".plot"):
        browser.js("arguments[0].focus({preventScroll: true})", plot)
        plot.send_keys("\ue014\ue015\ue00d\ue00c")

    assert_quiet(browser)


def test_kinds_of_searches_show_what_they_are(browser, kinds):
    """Halving has its iterations, a randomized search distributions and metrics."""
    browser.open(kinds["halving"])
    assert "Who survived the iterations?" in browser.texts("h3")
    assert "halving" in " ".join(browser.texts("#tiles dd"))

    browser.open(kinds["randomized"])
    assert "loguniform(1e-05, 1)" in browser.texts("#facts dd")
    assert "alpha: loguniform(1e-05, 1)" in " ".join(browser.texts("#tiles dd"))
    assert browser.texts("#best .quiet") == ["f1_macro"]
    browser.choose("#choices select", "accuracy")
    marks = browser.marks("Score against alpha")
    assert len(marks) == 20
    assert_quiet(browser)


@pytest.mark.parametrize("width", [390, 1400, 3840])
def test_page_is_no_wider_than_its_window(browser, trained, width):
    """Only tables and lines over many axes scroll sideways, each in its frame."""
    browser.open(trained[0], width=width)
    browser.draw_all()
    browser.choose("#choose-a", "0")
    browser.choose("#choose-b", "1")

    assert browser.js("return document.documentElement.scrollWidth") <= width


def test_printed_page_has_every_plot(browser, digits):
    """Plots that were never near the window are drawn when the page is printed."""
    browser.open(digits[0])
    browser.js("dispatchEvent(new Event('beforeprint'))")

    drawn = browser.js(
        "return [...document.querySelectorAll('.plot')].map((node) => !!node.marks)"
    )

    assert len(drawn) >= 8
    assert all(drawn)


def test_controls_have_names(page):
    """What can be operated has a name for those who do not see it."""
    page.draw_all()
    nameless = page.js("""
        const named = (node) => node.ariaLabel || node.textContent.trim() ||
          node.title || node.labels?.length;
        const all = "button, input, select, a, [tabindex]";
        return [...document.querySelectorAll(all)].filter((node) => !named(node))
          .map((node) => node.outerHTML.slice(0, 200));
    """)

    assert nameless == []


# -- hostile --------------------------------------------------------------------------


def assert_harmless(browser):
    assert browser.js("return globalThis.hurt === undefined")
    assert (
        browser.js(
            "return document.querySelectorAll('img, [onerror], [onload], "
            "a[href^=javascript]').length"
        )
        == 0
    )
    assert_quiet(browser)


def test_hostile_text_does_nothing(browser, tmp_path):
    """Markup in titles, names, values and notes is shown as text, wherever it is."""
    browser.open(write_report(tmp_path / "report.html", hostile_contents()))
    browser.draw_all()
    browser.js(CLICK_ALL)
    browser.choose("#choose-a", "0")
    browser.choose("#choose-b", "1")
    plot = browser.plot("Candidates as lines")
    plot.send_keys("\ue014")

    assert_harmless(browser)
    assert browser.texts("#notes li")[:6] == list(HOSTILE[:6])
    assert set(HOSTILE[:6]) <= set(browser.texts("#facts summary"))
    assert any(HOSTILE[0] in text for text in browser.texts("#tip div"))


def test_hostile_run_does_nothing(browser, tmp_path):
    """The same for a store: a step's name becomes part of params and weights."""
    X, y = load_digits(return_X_y=True)
    step = HOSTILE[1]
    model = Pipeline([(step, MLPClassifier((4,), max_iter=2, random_state=0))])
    path = tmp_path / "search.h5"
    WeightTrackingGridSearchCV(
        model, {f"{step}__alpha": [0.1, 1.0, 2.0]}, cv=2, store=path
    ).fit(X[:100], y[:100])
    with WeightStore(path) as store:
        report = store.run().report(tmp_path / "report.html", title=HOSTILE[0])

    browser.open(report)
    browser.draw_all()
    browser.js(CLICK_ALL)

    assert_harmless(browser)
    assert browser.texts("h1") == [HOSTILE[0]]


# -- many -----------------------------------------------------------------------------


@pytest.mark.slow
def test_ten_thousand_candidates_can_be_used(browser, tmp_path):
    """Sorting, filtering, selecting and plotting work for 10,000 candidates."""
    rng = np.random.default_rng(0)
    sample = contents({"coef_": rng.normal(size=(10_000, 4))}, n=10_000)
    path = write_report(tmp_path / "report.html", sample)
    assert path.stat().st_size < 6_000_000
    browser.open(path)

    head(browser, "mean_test_score").click()
    assert column(browser, "candidate")[0] == "9999"
    assert browser.draw_all() >= 5
    browser.all("#words")[0].send_keys("relu")
    browser.wait(
        "return document.getElementById('count').textContent.startsWith('5,000 of')"
    )
    label = "Score against alpha"
    _, x, y = browser.marks(label)[123]
    browser.mouse(browser.plot(label), (x, y))
    browser.wait("return document.getElementById('choose-a').value !== ''")
    assert_quiet(browser)

"""Reports in a real browser: they sort, filter, compare, and do nothing else."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from report_samples import HOSTILE, contents, group, hostile_contents
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline

from weightsearch import WeightStore, WeightTrackingGridSearchCV
from weightsearch.compare import compare
from weightsearch.report import write_report

pytestmark = pytest.mark.skipif(
    any(find_spec(package) is None for package in ("plotly", "itables", "selenium")),
    reason="needs plotly, itables, selenium",
)

SORTED = (
    "return document.querySelector(`#table th[aria-sort=${arguments[0]}]`)"
    "?.textContent.startsWith('alpha')"
)
COLUMNS = ("l2_a", "l2_b", "l2_distance", "relative_distance", "cosine")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A report of a search on digits, and the run that it shows."""
    X, y = load_digits(return_X_y=True)
    folder = tmp_path_factory.mktemp("digits")
    grid = {
        "alpha": [1e-4, 1e-2, 1.0],
        "activation": ["relu", "tanh"],
        "hidden_layer_sizes": [(12,), (8,)],
    }
    WeightTrackingGridSearchCV(
        MLPClassifier(max_iter=15, random_state=0),
        grid,
        cv=2,
        store=folder / "search.h5",
    ).fit(X[:400] / 16, y[:400])
    with WeightStore(folder / "search.h5") as store:
        run = store.run()
        yield run.report(folder / "report.html"), run


@pytest.fixture
def page(browser, digits):
    """The report of the search on digits, opened; quiet and alone to the end."""
    browser.open(digits[0])
    yield browser
    assert_quiet(browser)


def assert_quiet(browser):
    """Nothing was said in the console, and nothing was fetched but the file."""
    assert browser.log() == []
    foreign = [
        url[:200]
        for url in browser.requests()
        if not url.startswith(("file:", "data:", "blob:"))
    ]
    assert foreign == []
    assert browser.js("return performance.getEntriesByType('resource').length") == 0


def column(browser, name: str) -> list[str]:
    """Cells of a column of the table, those of the page of it that is shown."""
    code = """
        const heads = [...document.querySelectorAll("#table thead th")];
        const at = heads.findIndex((head) =>
          head.querySelector(".dt-column-title").textContent === arguments[0]);
        return [...document.querySelectorAll("#table tbody tr")]
          .map((row) => row.children[at].textContent);
    """
    return browser.js(code, name)


def head(browser, name: str, part: str):
    """Part of the head of a column."""
    code = """
        return [...document.querySelectorAll("#table thead th")].find((head) =>
          head.querySelector(".dt-column-title").textContent === arguments[0])
          .querySelector(arguments[1]);
    """
    return browser.js(code, name, part)


def number(text: str) -> float:
    text = text.removeprefix("≈ ")
    return math.nan if text == "\u2013" else float(text)


def compared(browser) -> pd.DataFrame:
    """The comparison of two candidates that the page shows."""
    rows = browser.js(
        "return [...document.querySelectorAll('#compare-weights tbody tr')]"
        ".map((row) => [...row.children].map((cell) => cell.textContent))"
    )
    frame = pd.DataFrame(
        [[row[0], *map(number, row[2:9])] for row in rows if len(row) == 9],
        columns=["name", *COLUMNS, "max_abs_difference", "sign_difference"],
    )
    return frame.set_index("name")


def assert_compared(found: pd.DataFrame, expected: pd.DataFrame):
    """The page's numbers are those of run.compare, in single precision."""
    expected = expected[expected["l2_distance"].notna()]
    found = found.loc[expected.index]
    rounding = 1e-6 * expected["l2_a"].max()
    for name in COLUMNS:
        np.testing.assert_allclose(
            found[name], expected[name], rtol=1e-4, atol=rounding, err_msg=name
        )


# -- table ----------------------------------------------------------------------------


def test_table_shows_all_candidates_best_first(page, digits):
    """Every candidate is there with its params, in the order of the ranks."""
    run = digits[1]
    ranks = [int(text) for text in column(page, "rank_test_score")]
    numbers = [int(text) for text in column(page, "candidate")]

    assert ranks == sorted(run.candidates["rank_test_score"])
    assert sorted(numbers) == list(range(len(run)))
    assert column(page, "activation") == [
        run.params(candidate)["activation"] for candidate in numbers
    ]


def test_table_sorts_by_mouse_and_keyboard(page):
    """A click on a head sorts up, the Enter key on it sorts down."""
    order = head(page, "alpha", ".dt-column-order")

    order.click()
    page.wait(SORTED, "ascending")
    up = [float(text) for text in column(page, "alpha")]
    order.send_keys("\ue007")
    page.wait(SORTED, "descending")
    down = [float(text) for text in column(page, "alpha")]

    assert len(set(up)) == 3
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)


def test_table_filters_by_any_text(page):
    """What is typed into the search field is looked for in all columns."""
    page.all(".dt-search input")[0].send_keys("tanh")

    page.wait(
        "return document.querySelector('.dt-info').textContent.includes('6 of')"
        " || document.querySelector('.dt-info').textContent.includes('of 6')"
    )
    assert set(column(page, "activation")) == {"tanh"}


def test_table_filters_one_column(page, digits):
    """The magnifier of a column takes a number and a comparison."""
    scores = digits[1].candidates["mean_test_score"]
    limit = float(scores.median())

    head(page, "mean_test_score", ".dtcc-button_dropdown").click()
    page.wait("return document.querySelector('.dtcc-dropdown select')")
    page.choose(".dtcc-dropdown select", "greater")
    page.all(".dtcc-dropdown input")[0].send_keys(str(limit))

    expected = int((scores > limit).sum())
    page.wait(
        "return document.querySelectorAll('#table tbody tr').length === arguments[0]",
        expected,
    )
    assert all(float(text) > limit - 1e-4 for text in column(page, "mean_test_score"))


def test_hidden_columns_can_be_shown(page):
    """Scores of single splits are there when asked for."""
    page.click(".buttons-colvis")
    items = page.wait(
        "return document.querySelectorAll('.dt-button-collection button')"
        ".length && [...document.querySelectorAll("
        "'.dt-button-collection button')]"
    )
    next(item for item in items if item.text == "split0_test_score").click()

    page.wait(
        "return document.querySelector('#table thead')"
        ".textContent.includes('split0_test_score')"
    )


# -- comparing ------------------------------------------------------------------------


def test_two_ticks_compare(page, digits):
    """Ticking two candidates shows what run.compare says of them."""
    page.click("input.pick", 0)
    assert page.js("return document.getElementById('comparison').hidden")
    page.click("input.pick", 1)

    a, b = (int(text) for text in column(page, "candidate")[:2])
    expected = digits[1].compare(a, b)
    found = compared(page)

    assert_compared(found, expected)
    assert page.texts("#compare-hint") == [
        f"Candidate {a} compared with candidate {b}."
    ]
    assert len(page.all("tr.picked")) == 2


def test_every_pair_is_compared_right(page, digits):
    """All pairs, of equal and of other architectures, agree with run.compare."""
    run = digits[1]

    for a, b in [(0, 1), (0, 2), (5, 3), (11, 4), (7, 8), (6, 6 + 4), (2, 9)]:
        page.choose("#choose-a", str(a))
        page.choose("#choose-b", str(b))
        expected, found = run.compare(a, b), compared(page)
        assert_compared(found, expected)
        both = expected["l2_distance"].notna()
        for name in ("max_abs_difference", "sign_difference"):
            np.testing.assert_allclose(
                found.loc[expected.index[both], name],
                expected.loc[both, name],
                rtol=2e-3,
                atol=1e-6,
            )
        shown = page.texts("#compare-weights tbody th")
        assert shown[: len(expected)] == list(expected.index)


def test_a_third_tick_replaces_the_first(page):
    """At most two candidates are compared; the one ticked first gives way."""
    for i in range(3):
        page.click("input.pick", i)

    ticked = [box.is_selected() for box in page.all("input.pick")]
    assert ticked[:4] == [False, True, True, False]


def test_a_click_on_a_point_ticks_it(page):
    """A point of a plot stands for its candidate."""
    page.draw_all()
    page.js("document.querySelector('.plot').scrollIntoView({block: 'center'})")
    candidate = page.js(
        "const plot = document.querySelector('.plot');return plot.data[0].customdata[0]"
    )
    code = """
        const point = document.querySelector(".plot .point").getBoundingClientRect();
        return [point.x + point.width / 2, point.y + point.height / 2];
    """
    x, y = page.js(code)
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        page.driver.execute_cdp_cmd(
            "Input.dispatchMouseEvent",
            {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1},
        )

    page.wait("return document.querySelector('#choose-a').value !== ''")
    chosen = int(page.js("return document.querySelector('#choose-a').value"))
    same = page.js(
        """
        const trace = document.querySelector(".plot").data[0];
        const at = trace.customdata.indexOf(arguments[0]);
        return trace.x[at] === trace.x[0];
    """,
        chosen,
    )
    assert chosen == candidate or same


# -- plots ----------------------------------------------------------------------------


def test_plots_are_drawn_and_follow_the_choices(page, digits):
    """Each plot draws, and draws again what is chosen."""
    assert page.draw_all() == 5

    page.choose("select[name=statistic]", "spectral_norm")
    found = page.js(
        "const plot = document.querySelectorAll('.plot')[1];"
        "return [plot.layout.xaxis.title.text, plot.data[0].customdata, "
        "[...plot.data[0].x]]"
    )
    stats = digits[1].stats().set_index(["candidate", "name"])["spectral_norm"]

    assert found[0] == "spectral_norm of coefs_/0"
    np.testing.assert_allclose(
        found[2], [stats[candidate, "coefs_/0"] for candidate in found[1]], rtol=1e-5
    )


def test_matrix_shows_the_distances_of_the_run(page, digits):
    """The matrix of an architecture is run.distances, in the order that is chosen."""
    page.draw_all()
    page.choose("select[name=order]", "number")
    names, z = page.js(
        "const plot = document.querySelectorAll('.plot')[3];"
        "return [plot.data[0].x, plot.data[0].z.map((row) => [...row])]"
    )
    numbers = [int(name) for name in names]
    expected = digits[1].distances().loc[numbers, numbers].to_numpy()

    assert numbers == sorted(numbers)
    np.testing.assert_allclose(z, expected, atol=1e-4 * expected.max())


def test_no_plot_offers_to_upload_itself(page):
    """The plotting library's button that sends a plot to a service is not there."""
    page.draw_all()
    titles = page.js(
        "return [...document.querySelectorAll('.modebar-btn')]"
        ".map((button) => button.dataset.title)"
    )

    assert titles
    assert not [t for t in titles if "hare" in t or "loud" in t or "dit" in t]


@pytest.mark.parametrize("width", [390, 800, 1400])
def test_page_is_no_wider_than_its_window(browser, digits, width):
    """Only tables scroll sideways, on a narrow window too."""
    browser.open(digits[0], width=width)
    browser.draw_all()
    browser.choose("#choose-a", "0")
    browser.choose("#choose-b", "1")

    assert browser.js("return document.documentElement.scrollWidth") <= width
    widths = browser.js(
        "return [...document.querySelectorAll('.plot .main-svg')]"
        ".map((svg) => svg.getBoundingClientRect().right)"
    )
    assert max(widths) <= width


def test_controls_have_names(page):
    """What can be operated has a name for those who do not see it."""
    page.draw_all()
    nameless = page.js("""
        const named = (node) => node.ariaLabel || node.textContent.trim() ||
          node.title || node.labels?.length || node.placeholder;
        const all = "button, input, select, [role=button], a";
        return [...document.querySelectorAll(all)]
          .filter((node) => !node.closest(".modebar") && !named(node))
          .map((node) => node.outerHTML.slice(0, 200));
    """)

    assert nameless == []


# -- hostile --------------------------------------------------------------------------


def assert_harmless(browser):
    assert browser.js("return globalThis.hurt === undefined")
    assert (
        browser.js(
            "return document.querySelectorAll('img[src=x], [onerror], [onload], "
            "a[href^=javascript]').length"
        )
        == 0
    )
    assert_quiet(browser)


def test_hostile_text_does_nothing(browser, tmp_path):
    """Markup in titles, names, values and notes is shown as text, wherever it is."""
    browser.open(write_report(tmp_path / "report.html", hostile_contents()))

    browser.click("#candidates input.pick", 0)
    browser.click("#candidates input.pick", 1)
    browser.draw_all()
    for name in ("param", "colour", "weight", "map"):
        for select in browser.all(f"select[name={name}]"):
            for option in range(len(select.find_elements("css selector", "option"))):
                browser.js(
                    "const [select, i] = arguments; select.selectedIndex = i;"
                    "select.dispatchEvent(new Event('change'))",
                    select,
                    option,
                )
    browser.click(".buttons-colvis")
    browser.wait("return document.querySelector('.dt-button-collection')")
    browser.js("document.body.click()")
    for button in range(3):
        browser.js(
            "document.querySelectorAll('.dtcc-button_dropdown')[arguments[0]].click()",
            button,
        )
    browser.js(
        "for (const plot of [...document.querySelectorAll('.plot')].slice(0, 3))"
        "  Plotly.Fx.hover(plot, [{curveNumber: 0, pointNumber: 0}])"
    )

    assert_harmless(browser)
    heads = browser.texts("#table .dt-column-title")
    assert [text for text in heads if text.startswith("0")] == ["0" + HOSTILE[0]]
    assert browser.texts("#notes li")[:6] == list(HOSTILE[:6])
    assert browser.texts("#compare-weights th[scope=row]")[:6] == list(HOSTILE[:6])
    assert HOSTILE[0] in browser.texts("#table td.text")
    ticks = browser.texts(".plot .xtick text")
    assert any(text.startswith('"><img src=x on') for text in ticks)


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
    browser.click("input.pick", 0)
    browser.click("input.pick", 1)

    assert_harmless(browser)
    assert browser.texts("h1") == [HOSTILE[0]]
    assert browser.texts("#compare-weights th")[9].startswith(step)


# -- many -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A report of 1,000 candidates whose distances must be rounded to fit."""
    rng = np.random.default_rng(0)
    shapes = {
        "coefs_/0": (64, 50),
        "coefs_/1": (50, 40),
        "coefs_/2": (40, 10),
        "coefs_/3": (45, 12),
        "intercepts_/0": (50,),
    }
    weights = {name: rng.normal(size=(1000, *shape)) for name, shape in shapes.items()}
    path = tmp_path_factory.mktemp("many") / "report.html"
    return write_report(path, contents(weights, n=1000)), weights


def test_a_thousand_candidates_can_be_used(browser, many):
    """Sorting, filtering, comparing and plotting work for 1,000 candidates."""
    path, weights = many
    assert path.stat().st_size < 15_000_000
    browser.open(path)

    assert "1,000" in browser.texts(".dt-info")[0]
    head(browser, "mean_test_score", ".dt-column-order").click()
    browser.wait("return document.querySelector('#table th[aria-sort=ascending]')")
    assert column(browser, "candidate")[0] == "999"
    browser.all(".dt-search input")[0].send_keys("relu")
    browser.wait(
        "return document.querySelector('.dt-info').textContent.includes('of 500')"
    )
    assert browser.draw_all() == 5
    for a, b in ((0, 999), (17, 400), (998, 3)):
        browser.choose("#choose-a", str(a))
        browser.choose("#choose-b", str(b))
        expected = compare(
            {name: stack[a] for name, stack in weights.items()},
            {name: stack[b] for name, stack in weights.items()},
        )
        found = compared(browser)
        np.testing.assert_allclose(
            found.loc[expected.index, "l2_distance"], expected["l2_distance"], rtol=1e-3
        )
        np.testing.assert_allclose(
            found.loc[expected.index, "cosine"], expected["cosine"], atol=1e-3
        )
    assert any("≈" in text for text in browser.texts("#compare-weights td"))
    assert any("rounded" in text for text in browser.texts("#notes li"))
    assert_quiet(browser)


def test_report_without_weights_or_scores(browser, tmp_path):
    """A run of which nothing has finished yet makes a page, with a table only."""
    frame = pd.DataFrame({"alpha": [0.1, 1.0], "status": ["no refit"] * 2})
    sample = contents(candidates=frame, params=["alpha"], score=None, best=None)

    browser.open(write_report(tmp_path / "report.html", sample))
    browser.click("input.pick", 0)
    browser.click("input.pick", 1)

    assert browser.js("return document.getElementById('plots').hidden")
    assert column(browser, "alpha") == ["0.1", "1"]
    assert_quiet(browser)


def test_weights_of_one_candidate(browser, tmp_path):
    """One candidate with weights among others without is shown and compared."""
    stack = np.ones((1, 2, 2))
    sample = replace(contents(), weights=[group("coef_", stack, [2])])

    browser.open(write_report(tmp_path / "report.html", sample))
    browser.draw_all()
    browser.choose("#choose-a", "2")
    browser.choose("#choose-b", "0")

    assert "only in A" in browser.texts("#compare-weights td")
    assert_quiet(browser)

"""Reports without a browser: what is embedded, how, and how much of it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from report_samples import (
    contents,
    group,
    hostile_contents,
    path,
    payload_of,
    unpacked,
)
from scipy.spatial.distance import pdist, squareform
from sklearn.datasets import load_digits, load_iris

from weightsearch.compare import STATISTICS, weight_stats
from weightsearch.exceptions import StoreWriteError
from weightsearch.report import _page, _weights, write_report
from weightsearch.report._payload import packed, table_payload
from weightsearch.report._training import curves_payload, paths_payload
from weightsearch.report._weights import (
    choose_pairs,
    classical_mds,
    limited,
    pack_triangle,
    weights_payload,
)

# -- text -----------------------------------------------------------------------------


def test_hostile_text_leaves_the_page_as_it_is():
    """With hostile text a page has the same tags in the same order as with plain."""
    tags = re.compile(r"<[/!]?[a-zA-Z][a-zA-Z0-9]*|<!--")

    hostile, plain = _page.page(hostile_contents()), _page.page(contents())

    assert tags.findall(hostile) == tags.findall(plain)


def test_policy_allows_the_page_s_scripts_and_no_connection():
    """The policy names each script by its hash, and forbids all fetching."""
    page = _page.page(contents())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    scripts = re.findall(
        r"<script(?: type=\"module\")?>(.*?)</script>", page, re.DOTALL
    )

    hashes = {
        "'sha256-"
        + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        + "'"
        for script in scripts
    }
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))

    assert len(scripts) == 1
    assert set(rules["script-src"].split()) == hashes
    assert rules["default-src"] == rules["connect-src"] == "'none'"


def test_long_text_is_cut():
    """A cell of a megabyte does not make a page of a megabyte."""
    frame = pd.DataFrame({"kernel": ["x" * 1_000_000, "rbf"]})

    table, _ = table_payload(frame, ["kernel"], None, 10**6)

    assert len(table["columns"][0]["values"][0]) == 200
    assert table["columns"][0]["values"][0].endswith("…")


# -- table ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        [0.1, np.nan, np.inf],
        [None, 3, 0.5],
        pd.array([1, None, 3], dtype="Int64"),
    ],
)
def test_numbers_are_kept_exactly(values):
    """Numbers come back bit for bit, missing ones as NaN, infinite ones as such."""
    frame = pd.DataFrame({"a": pd.Series(values)})
    expected = frame["a"].to_numpy(dtype=float, na_value=np.nan)

    table, _ = table_payload(frame, [], None, 10**6)

    assert table["columns"][0]["kind"] == "number"
    np.testing.assert_array_equal(unpacked(table["columns"][0]["values"]), expected)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["auto", 0.1, pd.NA], ["auto", "0.1", None]),
        ([2, 3, None, pd.NA], ["2", "3", "None", None]),
        (
            ["x" * 300 + end for end in "aab"],
            ["x" * 199 + "…"] * 2 + ["x" * 199 + "… (2)"],
        ),
        ([True, False, True], ["True", "False", "True"]),
        ([(50,), (50, 20), (1,)], ["(50,)", "(50, 20)", "(1,)"]),
        ([2**60, 2**60 + 1, 0], [str(2**60), str(2**60 + 1), "0"]),
        ([np.float32(0.5), "x", [1, 2]], ["0.5", "x", "[1, 2]"]),
    ],
)
def test_other_values_are_kept_as_text(values, texts):
    """What is no plain number, or too large for one, is a text; None is one too."""
    frame = pd.DataFrame({"a": pd.Series(values, dtype=object)})

    table, _ = table_payload(frame, ["a"], None, 10**6)

    assert table["columns"][0]["values"] == texts


def test_table_keeps_the_first_candidates_that_fit():
    """A table that is too large loses its last rows, not its columns."""
    frame = pd.DataFrame({"a": np.arange(1000.0), "b": ["text"] * 1000})

    table, kept = table_payload(frame, [], None, 5000)

    assert kept == list(range(len(kept)))
    assert 100 < len(kept) < 1000
    assert [len(c["values"]) for c in table["columns"] if c["kind"] == "text"] == [
        len(kept)
    ]


# -- weights --------------------------------------------------------------------------


def test_statistics_are_those_of_weight_stats():
    """The page's statistics are weight_stats' own, in double precision."""
    stack = load_digits().images[:5]

    payload, _ = weights_payload([group("coef_", stack)], 10**6, 10**7)
    found = unpacked(payload["weights"][0]["statistics"]).reshape(5, -1)

    for row, array in zip(found, stack, strict=True):
        expected = weight_stats({"coef_": array}).loc["coef_", list(STATISTICS)]
        np.testing.assert_array_equal(row, expected.astype(float))


def test_pairs_take_the_form_that_costs_less():
    """Few large arrays are kept by their distances, small ones by their values."""
    rng = np.random.default_rng(0)
    groups = [
        group("large", rng.normal(size=(10, 500))),
        group("small", rng.normal(size=(10, 3))),
    ]

    tight = choose_pairs(groups, {0, 1}, 500)
    wide = choose_pairs(groups, {0, 1}, 10**6)

    assert [one.kind for one in tight] == ["distances", "values"]
    assert [one.kind for one in wide] == ["values", "values"]


def test_pairs_are_rounded_then_left_out():
    """With less room distances are rounded, with none they are left out."""
    groups = [group("coef_", np.random.default_rng(0).normal(size=(10, 500)))]

    kinds = [choose_pairs(groups, {0}, budget)[0].kind for budget in (240, 120, 10, 0)]

    assert kinds == ["distances", "distances16", "none", "none"]


@pytest.mark.parametrize("n_groups", [1, 7])
@pytest.mark.parametrize("budget", [0, 1000, 5000, 20_000, 10**6])
def test_pairs_fit(n_groups, budget):
    """Whatever is chosen takes no more than it may, base64 and all."""
    rng = np.random.default_rng(0)
    groups = [
        group(f"w{i}", rng.normal(size=(20, 10 ** (i % 4)))) for i in range(n_groups)
    ]
    kept = choose_pairs(groups, range(n_groups), budget)
    n, pairs = 20, 190
    sizes = {"distances": 4 * pairs, "distances16": 2 * pairs, "none": 0}

    total = sum(sizes.get(one.kind, 4 * n * one.group.count) * 4 / 3 for one in kept)

    assert total <= budget + 2


def test_what_is_no_number_has_no_distances():
    """Text among the weights is listed, and compared by nothing."""
    text = np.array([["a", "b"], ["c", "d"]])

    payload, notes = weights_payload([group("classes_", text)], 10**6, 10**7)

    assert payload["weights"][0]["pairs"] == {"kind": "none"}
    assert notes == []


def test_complex_weights_have_distances():
    """Complex arrays are not kept as values of half of them."""
    stack = np.array([[3 + 4j], [0j], [1 + 0j]])

    payload, _ = weights_payload([group("w", stack)], 10**6, 10**7)
    pairs = payload["weights"][0]["pairs"]

    assert pairs["kind"] == "distances"
    np.testing.assert_allclose(unpacked(pairs["data"]), [5, abs(2 + 4j), 1], rtol=1e-6)


@pytest.mark.parametrize("values", [[1e300, 2.0], [1e-300, 2.0], [np.nan, np.inf]])
def test_numbers_that_single_precision_lacks_are_double(values):
    """What single precision would turn into infinity or zero is kept in double."""
    found = packed(np.array(values), "f4")

    assert found[0] == ("f4" if np.isnan(values[0]) else "f8")
    np.testing.assert_array_equal(unpacked(found), values)


def test_large_weights_are_read_in_blocks(monkeypatch):
    """Distances do not depend on how many candidates are read at once."""
    stack = load_digits().data[:11]
    expected = pdist(stack).astype(np.float32)

    monkeypatch.setattr(_weights, "_BLOCK_BYTES", 64 * 8 * 3)
    payload, _ = weights_payload([group("w", stack)], 10**6, 5000)
    pairs = payload["weights"][0]["pairs"]

    assert pairs["kind"] == "distances"
    np.testing.assert_allclose(unpacked(pairs["data"]), expected, rtol=1e-5)


def test_rounded_distances_are_near():
    """Distances as 16-bit numbers are right to half a step; NaN stays NaN."""
    distances = squareform(pdist(load_iris().data[:30]))
    distances[3, 5] = distances[5, 3] = np.nan

    packed = pack_triangle(distances)
    levels = unpacked(packed["data"])
    exact = distances[np.triu_indices(30, 1)]
    missing = np.isnan(exact)

    assert (levels[missing] == 65535).all()
    np.testing.assert_allclose(
        levels[~missing] * packed["scale"],
        exact[~missing],
        atol=0.51 * packed["scale"],
    )


def test_best_candidates_are_kept_where_weights_are_too_many(monkeypatch):
    """Weights of the preferred candidates are read, the others are counted."""
    groups = [group("w", np.zeros((6, 4))), group("v", np.zeros((2, 4)), [4, 5])]
    monkeypatch.setattr(_weights, "MAX_CANDIDATES", 3)

    smaller, left_out = limited(groups, [5, 1, 0, 2, 3, 4])

    assert [one.candidates for one in smaller] == [(0, 1, 5), (5,)]
    assert left_out == 3


def test_weights_are_limited_by_their_bytes(monkeypatch):
    """Of huge models few candidates are read, but two at least."""
    groups = [group("w", np.zeros((6, 4)))]

    monkeypatch.setattr(_weights, "MAX_BYTES", 4 * 8 * 3)
    three, _ = limited(groups, range(6))
    monkeypatch.setattr(_weights, "MAX_BYTES", 1)
    two, _ = limited(groups, range(6))

    assert [len(one[0].candidates) for one in (three, two)] == [3, 2]


def test_statistics_of_the_smallest_weights_are_left_out():
    """Of very many weights the largest are shown, and the page says so."""
    rng = np.random.default_rng(0)
    groups = [group(f"w{i}", rng.normal(size=(3, i + 1))) for i in range(20)]

    payload, notes = weights_payload(groups, 12_000, 10**6)
    names = [weight["name"] for weight in payload["weights"]]

    assert 0 < len(names) < 20
    assert names == [f"w{i}" for i in range(20 - len(names), 20)]
    assert notes[0].startswith(f"{20 - len(names)} of 20 weights")


# -- maps -----------------------------------------------------------------------------


def test_mds_gives_back_points_of_a_plane():
    """Distances between points of a plane are kept exactly."""
    points = np.random.default_rng(0).normal(size=(20, 2))

    found, explained = classical_mds(squareform(pdist(points)))

    np.testing.assert_allclose(pdist(found), pdist(points), atol=1e-9)
    assert explained == pytest.approx(1)


def test_mds_of_equal_points():
    """Candidates that are all equal lie in one place."""
    found, explained = classical_mds(np.zeros((3, 3)))

    np.testing.assert_array_equal(found, 0)
    assert explained == 1


def test_map_is_of_all_weights_together():
    """A map's distances are those of all weights as one long vector."""
    data = load_iris().data[:12]
    groups = [group("a", data[:, :3]), group("b", data[:, 3:])]

    payload, _ = weights_payload(groups, 10**6, 10**7)
    (only,) = payload["maps"]
    found = unpacked(only["distances"]["data"]) * only["distances"]["scale"]

    np.testing.assert_allclose(found, pdist(data), atol=only["distances"]["scale"])
    assert sorted(only["order"]) == list(range(12))


def test_each_architecture_has_a_map():
    """Candidates of other shapes lie in another map; one alone lies in none."""
    rng = np.random.default_rng(0)
    groups = [
        group("w", rng.normal(size=(3, 4)), [0, 2, 4]),
        group("w", rng.normal(size=(2, 5)), [1, 3]),
        group("w", rng.normal(size=(1, 6)), [5]),
    ]

    payload, _ = weights_payload(groups, 10**6, 10**7)

    assert [one["candidates"] for one in payload["maps"]] == [[0, 2, 4], [1, 3]]


def test_weights_that_are_not_finite_have_no_place():
    """A candidate with NaN among its weights is left out of the map."""
    stack = load_iris().data[:5].copy()
    stack[2, 0] = np.nan

    payload, _ = weights_payload([group("w", stack)], 10**6, 10**7)

    assert payload["maps"][0]["candidates"] == [0, 1, 3, 4]


def test_counts_do_not_count_in_distances():
    """A counter that is no weight moves no candidate in the map."""
    rng = np.random.default_rng(0)
    weights = group("w", rng.normal(size=(4, 3)))
    counter = group("n_iter_", np.array([1.0, 100.0, 1000.0, 5.0]))
    counter = replace(counter, is_measured=False)

    alone, _ = weights_payload([weights], 10**6, 10**7)
    both, _ = weights_payload([weights, counter], 10**6, 10**7)

    assert alone["maps"] == both["maps"]


# -- training -------------------------------------------------------------------------


def test_curves_are_thinned_so_that_they_fit():
    """A thousand candidates keep some points each, with the first and the last."""
    long = path(np.zeros((500, 1)), "val_accuracy", "train_loss", "time")

    few, many = (curves_payload(dict.fromkeys(range(n), long)) for n in (3, 1000))

    assert [one["name"] for one in few["metrics"]] == ["train_loss", "val_accuracy"]
    assert few["counts"] == [200] * 3
    assert 10 <= many["counts"][0] < 200
    size = sum(len(one["values"][1]) for one in many["metrics"])
    assert size < 1_500_000
    epochs = unpacked(many["epochs"])[: many["counts"][0]]
    assert epochs[[0, -1]].tolist() == [0, 499]


def test_paths_keep_their_distances():
    """The coordinates of a path have its distances, in fewer dimensions."""
    rng = np.random.default_rng(0)
    ways = np.linspace(0, 1, 20)[:, None] * rng.normal(size=(3, 1, 200))
    starts = rng.normal(size=(3, 1, 200))
    training = {i: path(starts[i] + ways[i]) for i in range(3)}
    groups = [group("coef_", starts[:, 0])]

    (found,) = paths_payload(groups, training)

    assert found["dimensions"] < 6
    kept = unpacked(found["coordinates"]).reshape(60, -1)
    theta = np.concatenate([one["coef_"] for one in training.values()])
    np.testing.assert_allclose(pdist(kept), pdist(theta), rtol=1e-3, atol=1e-3)


def test_paths_are_bounded():
    """Of many candidates the first ones are there; those that diverged are not."""
    rng = np.random.default_rng(0)
    stack = np.cumsum(rng.normal(size=(60, 100, 8)), axis=1)
    stack[1, -1, 0] = np.inf
    training = {i: path(one) for i, one in enumerate(stack)}

    (found,) = paths_payload([group("coef_", stack[:, -1])], training, diverged=[0])

    assert found["candidates"] == list(range(2, 33))
    assert found["of"] == 59
    assert set(found["counts"]) == {24}
    still = {0: path(np.ones((9, 8))), 1: path(np.ones((9, 8)))}
    assert paths_payload([group("coef_", stack[:2, -1])], still) == []


# -- file -----------------------------------------------------------------------------


def test_page_stays_small(tmp_path):
    """A thousand candidates with 3 large weights and 40 columns stay under 14.5 MB."""
    rng = np.random.default_rng(0)
    sample = contents(
        {f"coefs_/{i}": rng.normal(size=(1000, 30, 40)) for i in range(3)}, n=1000
    )
    scores = pd.DataFrame(
        rng.random((1000, 40)), columns=[f"split{i}_test_score" for i in range(40)]
    )
    wide = pd.concat([sample.candidates, scores], axis=1)

    path = write_report(tmp_path / "report.html", replace(sample, candidates=wide))

    assert path.stat().st_size < 14_500_000
    payload = payload_of(path.read_text(encoding="utf-8"))
    assert len(payload["candidates"]) == 1000
    assert all(weight["pairs"]["kind"] != "none" for weight in payload["weights"])


def test_report_replaces_a_file_whole(tmp_path):
    """A file that is there is replaced, and nothing else is left in the folder."""
    path = tmp_path / "report.html"
    path.write_text("old")

    assert write_report(path, contents()) == path
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert list(tmp_path.iterdir()) == [path]


def test_report_that_cannot_be_written_leaves_nothing(tmp_path):
    """A folder in the file's place is an error that names it, and stays alone."""
    path = tmp_path / "report.html"
    path.mkdir()

    with pytest.raises(StoreWriteError, match=re.escape(str(path))):
        write_report(path, contents())

    assert list(tmp_path.iterdir()) == [path]


def test_missing_folder_is_named(tmp_path):
    """A folder that is not there is named."""
    with pytest.raises(StoreWriteError, match="nowhere"):
        write_report(tmp_path / "nowhere" / "report.html", contents())

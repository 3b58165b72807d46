"""The command line on stores of real searches."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from weightsearch import WeightStore, WeightTrackingGridSearchCV
from weightsearch.choose import (
    NotSignificantlyWorse,
    OneStandardError,
    ParetoKnee,
    WithinPercent,
)

pytest.importorskip("rich")
typer_main = pytest.importorskip("typer.main")
typer_testing = pytest.importorskip("typer.testing")

from run_samples import fit, header, params  # noqa: E402

from weightsearch._params import encode_params  # noqa: E402
from weightsearch._records import RunResults, Splits  # noqa: E402
from weightsearch.cli._app import app  # noqa: E402
from weightsearch.store import WriteSession  # noqa: E402

IRIS = load_iris(return_X_y=True)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of two runs, the newer one of 16 networks with splits and refits."""
    path = tmp_path_factory.mktemp("cli") / "search.h5"
    X, y = IRIS
    WeightTrackingGridSearchCV(
        LogisticRegression(), {"C": [0.1, 1.0]}, cv=3, store=path
    ).fit(X, y)
    WeightTrackingGridSearchCV(
        MLPClassifier((8,), max_iter=60, random_state=0),
        {
            "alpha": [0.0001, 0.001, 0.01, 0.1],
            "activation": ["relu", "tanh"],
            "learning_rate_init": [0.01, 0.02],
        },
        cv=3,
        capture="both",
        store=path,
    ).fit(X, y)
    return path


@pytest.fixture
def run(store):
    """The newest run of the store, as the library reads it."""
    with WeightStore(store) as opened:
        yield opened.run()


def weightsearch(*words, status=0):
    """Run a command; return what it wrote to stdout and to stderr."""
    result = typer_testing.CliRunner().invoke(app, list(map(str, words)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.stderr
    return result.stdout, result.stderr


def lines(*words):
    """Run a command; return the lines of its output, split into words."""
    return [line.split() for line in weightsearch(*words)[0].splitlines()]


def read_csv(*words):
    """Run a command that writes CSV; return its rows."""
    return list(csv.DictReader(io.StringIO(weightsearch(*words)[0])))


def examples():
    """Commands that the help of each and the page give as examples."""
    commands = typer_main.get_command(app).commands.values()
    texts = [PAGE.read_text("utf-8"), *(command.epilog for command in commands)]
    shown = re.findall(r"^(?:\$ )?(weightsearch .*)$", "\n".join(texts), re.MULTILINE)
    shown = [line for line in shown if "STORE" not in line]
    return sorted({line for line in shown if not line.startswith("weightsearch demo")})


@pytest.mark.parametrize("example", examples())
def test_examples_run(store, run, example, tmp_path, monkeypatch):
    """Every example of the help and of the page does what it says."""
    monkeypatch.chdir(tmp_path)
    words = shlex.split(example)[1:]
    for name in ("search.h5", *(word for word in words if word.startswith("part-"))):
        Path(name).write_bytes(store.read_bytes())
    np.savez("data.npz", X=IRIS[0], y=IRIS[1])
    _as_table(*IRIS).to_csv("data.csv", index=False)
    words = [run.name if word.endswith("000000Z") else word for word in words]
    ends = [at for at, word in enumerate(words) if word in (">", "&&", "|")]

    output, _ = weightsearch(*words[: min(ends, default=len(words))])

    assert output or words[0] == "verify"


def _as_table(X, y, target="y"):
    columns = {f"x{number}": column for number, column in enumerate(X.T)}
    return pd.DataFrame({target: y, **columns})


def test_choose_is_what_the_library_chooses(store, run):
    """Each rule names the library's choice, and the best mean beside it."""
    split = run.splits()[0]
    share = len(split[1]) / 150
    rules = {
        ("one-standard-error",): OneStandardError(["-alpha"]),
        ("within-percent", "--percent", "5"): WithinPercent(5, ["-alpha"]),
        ("not-worse", "--level", "0.2"): NotSignificantlyWorse(share, 0.2, ["-alpha"]),
        ("pareto",): ParetoKnee("score", "-alpha"),
    }
    for words, rule in rules.items():
        rows = read_csv("choose", store, *words, "--simplest", "-alpha", "--csv")

        assert [row["choice"] for row in rows] == ["chosen", "best mean"]
        assert int(rows[0]["candidate"]) == run.choose(rule)
        assert int(rows[1]["candidate"]) == run.best_index


@pytest.mark.parametrize("form", ["npz", "csv", "parquet"])
def test_ensemble_is_what_the_library_selects(store, run, tmp_path, form):
    """A file with the search's data, of any form, gives members and votes."""
    path = tmp_path / f"data.{form}"
    if form == "npz":
        np.savez(path, X=IRIS[0], kind=IRIS[1])
    elif form == "csv":
        _as_table(*IRIS, "kind").to_csv(path, index=False)
    else:
        pytest.importorskip("pyarrow")
        _as_table(*IRIS, "kind").to_parquet(path)
    expected = run.select_ensemble(*IRIS, size=5, scoring="neg_log_loss")

    rows = read_csv(
        *("ensemble", store, path, "--target", "kind", "--size", 5),
        *("--scoring", "neg_log_loss", "--csv"),
    )

    assert [int(row["candidate"]) for row in rows] == expected.candidates.tolist()
    assert [int(row["votes"]) for row in rows] == expected.votes.tolist()


def test_rescore_is_what_the_library_computes(store, run, tmp_path):
    """Scores of every split are those of the library, the best candidates first."""
    path = tmp_path / "data.npz"
    np.savez(path, X=IRIS[0], y=IRIS[1], half=np.arange(150) % 2)
    scoring = ["f1_macro", "neg_log_loss"]
    expected = run.rescore(*IRIS, scoring).sort_values(
        "rank_test_f1_macro", kind="stable"
    )

    rows = read_csv("rescore", store, path, "--scoring", ",".join(scoring), "--csv")
    of_halves = read_csv("rescore", store, path, "--groups", "half", "--csv")
    pooled = lines("rescore", store, path, "--pooled", "--limit", 1)[0]

    assert [int(row["candidate"]) for row in rows] == expected.index.tolist()
    for name in expected.filter(like="_test_"):
        assert [float(row[name]) for row in rows] == expected[name].tolist()
    assert [row["half"] for row in of_halves] == ["0"] * 16 + ["1"] * 16
    assert {"mean_test_score", "pooled_test_score"} <= set(pooled)
    assert not any(name.startswith("split") for name in pooled)


def test_ensemble_refuses_other_data(store, tmp_path):
    """Other rows, another target and another kind of file are named in one line."""
    X, y = IRIS
    _as_table(X[::-1], y).to_csv(tmp_path / "other.csv", index=False)
    np.savez(tmp_path / "objects.npz", X=X, y=y.astype(object))
    for name, message in (
        ("other.csv", "not the data"),
        ("objects.npz", "allow_pickle"),
        ("data.txt", "must end with"),
    ):
        output, error = weightsearch("ensemble", store, tmp_path / name, status=2)
        assert message in error
        assert error.count("\n") == 1
        assert output == ""
    words = ("ensemble", store, tmp_path / "other.csv", "--target", "z")
    assert "--target" in weightsearch(*words, status=2)[1]


def test_ls_lists_the_best_first(store, run):
    """Candidates are sorted by rank; the newest run is meant."""
    head, *rows = lines("ls", store)

    assert head[0] == "candidate"
    assert {"alpha", "activation", "mean_test_score", "status"} <= set(head)
    assert not any(name.startswith(("split", "std_")) for name in head)
    assert len(rows) == len(run)
    assert int(rows[0][0]) in run.query("rank == 1").index


def test_ls_of_another_run(store):
    """A run is named, or how its name begins."""
    with WeightStore(store) as opened:
        first = next(iter(opened.runs))

    assert lines("ls", store, "--run", first)[0][-1] == "C"
    assert lines("ls", store, "--run", first[:-1])[0][-1] == "C"


def test_beginning_of_two_runs_is_refused(store):
    """What begins two names is no name."""
    output, error = weightsearch("ls", store, "--run", "20", status=2)

    assert output == ""
    assert "2 runs have a name that begins with '20'" in error


@pytest.mark.parametrize(
    "expression",
    ["mean_test_score > 0.95 and alpha < 0.01", "activation == 'tanh' and rank <= 9"],
)
def test_query_gives_what_the_library_gives(store, run, expression):
    """The candidates of run.query, as JSON with every column."""
    rows = json.loads(weightsearch("query", store, expression, "--json")[0])

    expected = run.query(expression)
    assert len(expected) > 0
    assert {row["candidate"] for row in rows} == set(expected.index)
    assert set(rows[0]) == {"candidate", *expected.columns}
    for row in rows:
        assert (
            row["mean_test_score"] == expected.at[row["candidate"], "mean_test_score"]
        )


def test_tables_have_twenty_rows(tmp_path):
    """A note says how many more there are; programs get all of them."""
    path = tmp_path / "many.h5"
    WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=20),
        {"C": np.logspace(-3, 1, 23).tolist()},
        cv=2,
        store=path,
    ).fit(*IRIS)
    output, error = weightsearch("ls", path)

    assert len(output.splitlines()) == 1 + 20
    assert error.splitlines()[-1] == "... and 3 more: --limit 23 shows all"
    assert len(lines("ls", path, "--limit", 23)) == 1 + 23
    assert len(json.loads(weightsearch("ls", path, "--json")[0])) == 23
    assert len(weightsearch("query", path, "C > 0")[0].splitlines()) == 1 + 20


def test_csv_has_no_formulas(tmp_path):
    """A spreadsheet takes texts for texts and numbers for numbers."""
    path = tmp_path / "formulas.h5"
    session = WriteSession.open(path, durable=False)
    session.begin(header(0))
    texts = ["=1+1", "+cmd", "-x", "@SUM(A1)", "-1.5", "plain"]
    values = [{"=p": text, "n": -number} for number, text in enumerate(texts)]
    session.set_params(0, [encode_params(value) for value in values])
    rows = read_csv("ls", path, "--csv", "--sort", "candidate")

    shown = ["'=1+1", "'+cmd", "'-x", "'@SUM(A1)", "-1.5", "plain"]
    assert [row["'=p"] for row in rows] == shown
    assert [row["n"] for row in rows] == ["0", "-1", "-2", "-3", "-4", "-5"]


def test_query_without_a_match_is_an_empty_table(store):
    """No candidates: the columns alone, and a word on stderr."""
    output, error = weightsearch("query", store, "alpha > 99")

    assert len(output.splitlines()) == 1
    assert "No candidates" in error
    assert json.loads(weightsearch("query", store, "alpha > 99", "--json")[0]) == []


def test_csv_has_every_digit(store, run):
    """What pandas reads back is the frame."""
    rows = read_csv("ls", store, "--csv", "--sort", "candidate")

    assert list(rows[0]) == ["candidate", *run.candidates.columns]
    for name in ("mean_test_score", "mean_fit_time", "alpha"):
        assert [float(row[name]) for row in rows] == run.candidates[name].tolist()


def test_columns_sort_and_limit(store):
    """Names, patterns and rank choose columns; a minus sorts downwards."""
    words = ("--columns", "candidate, rank", "--columns", "split*,alpha")
    head, *rows = lines("ls", store, *words, "--sort", "-alpha", "--limit", 5)

    splits = [f"split{n}_test_score" for n in range(3)]
    assert head == ["candidate", "rank_test_score", *splits, "alpha"]
    assert [row[-1] for row in rows] == ["0.1", "0.1", "0.1", "0.1", "0.01"]


def test_sort_of_values_without_an_order(tmp_path):
    """Texts and numbers in one param are sorted by type, then text."""
    path = tmp_path / "mixed.h5"
    WeightTrackingGridSearchCV(
        LogisticRegression(), {"class_weight": [None, "balanced", {0: 2.0}]}, store=path
    ).fit(*load_iris(return_X_y=True))

    words = ("--columns", "class_weight", "--sort", "class_weight", "--json")
    rows = json.loads(weightsearch("ls", path, *words)[0])
    assert [row["class_weight"] for row in rows] == [None, {"0": 2.0}, "balanced"]


def test_show_tells_params_results_and_weights(store, run):
    """A candidate's params, its scores, and its weights by name, shape and type."""
    output, _ = weightsearch("show", store, "best")
    shown = json.loads(weightsearch("show", store, "best", "--json")[0])

    assert re.search(rf"^candidate +{run.best_index}$", output, re.MULTILINE)
    assert re.search(r"^coefs_/1 +\(8, 3\) +float64$", output, re.MULTILINE)
    assert shown["params"] == dict(run.params(run.best_index))
    assert shown["results"]["rank_test_score"] == 1
    assert {row["name"]: tuple(row["shape"]) for row in shown["weights"]} == (
        run.weights(run.best_index).shapes
    )


def test_show_numbers_of_a_weight(store, run):
    """JSON has every number of an array, bit for bit."""
    words = ("show", store, 3, "--split", 1, "--weight", "coefs_/0")
    shown = json.loads(weightsearch(*words, "--json")[0])

    np.testing.assert_array_equal(shown, run.weights(3, 1)["coefs_/0"])
    assert weightsearch(*words)[0].startswith("float64 of shape (4, 8)\n[[")


def test_show_without_weights_says_why(tmp_path):
    """A candidate whose weights were not kept is shown all the same."""
    path = tmp_path / "few.h5"
    WeightTrackingGridSearchCV(
        LogisticRegression(), {"C": [0.001, 1.0]}, keep=1, store=path
    ).fit(*load_iris(return_X_y=True))

    output, error = weightsearch("show", path, 0)

    assert "mean_test_score" in output
    assert "keep=1" in error


def test_compare_gives_what_the_library_gives(store, run):
    """The table of run.compare, aligned or not."""
    for words, align in (((), False), (("--align",), True)):
        rows = read_csv("compare", store, 0, 4, *words, "--csv")
        expected = run.compare(0, 4, align=align)
        assert [row["name"] for row in rows] == list(expected.index)
        assert [float(row["l2_distance"]) for row in rows] == (
            expected["l2_distance"].tolist()
        )


def test_stats_are_those_of_the_library(store, run):
    """One row a candidate and weight, numbers with all digits."""
    rows = json.loads(weightsearch("stats", store, "--json")[0])

    expected = run.stats()
    assert len(rows) == len(expected) == 16 * 4
    assert [row["l2"] for row in rows] == expected["l2"].tolist()
    assert rows[0]["alpha"] == 0.0001


def test_export_writes_the_weights(store, run, tmp_path):
    """A file of the ending's format, with the candidate's arrays."""
    path = tmp_path / "two.npz"
    output, _ = weightsearch("export", store, 2, path)

    assert str(path) in output
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["coefs_/0"], run.weights(2)["coefs_/0"])


def test_report_writes_a_page(store, tmp_path):
    """One file of HTML, with the title that was asked for; an error without folder."""
    path = tmp_path / "report.html"
    weightsearch("report", store, path, "--title", "Irises & more")

    page = path.read_text("utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "Irises &amp; more" in page
    _, error = weightsearch("report", store, tmp_path / "none" / "a.html", status=2)
    assert str(tmp_path / "none" / "a.html") in error


def test_report_has_a_name_without_one(store, tmp_path, monkeypatch):
    """``-o`` names the page as PATH does, not both; else the store's name does."""
    monkeypatch.chdir(tmp_path)
    weightsearch("report", store)
    weightsearch("report", store, "-o", "other.html")
    _, error = weightsearch("report", store, "a.html", "-o", "b.html", status=2)

    assert "a.html" in error
    assert "b.html" in error
    assert {path.name for path in tmp_path.glob("*.html")} == {
        f"{store.stem}.html",
        "other.html",
    }


def test_runs_are_listed_oldest_first(store):
    """A row a run: what was searched, how many candidates, the best."""
    rows = json.loads(weightsearch("runs", store, "--json")[0])

    assert [row["estimator"] for row in rows] == ["LogisticRegression", "MLPClassifier"]
    assert [row["candidates"] for row in rows] == [2, 16]
    assert [row["with_weights"] for row in rows] == [2, 16]
    assert {row["status"] for row in rows} == {"complete"}


def test_verify_finds_damage(store, tmp_path):
    """Status 0 for a good store; 1, and the place, for a flipped number."""
    assert weightsearch("verify", store)[0] == ""
    assert json.loads(weightsearch("verify", store, "--json")[0]) == []

    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(store.read_bytes())
    with h5py.File(damaged, "r+") as file:
        name = list(file["runs"])[-1]
        place = f"/runs/{name}/architectures/0/weights/coefs_/0"
        file[place][0, 0, 0] += 1

    output, error = weightsearch("verify", damaged, status=1)
    assert place in output
    assert "problem" in error
    (problem, *_) = json.loads(weightsearch("verify", damaged, "--json", status=1)[0])
    assert set(problem) == {"place", "message"}


def test_store_that_is_being_written(tmp_path):
    """Finished fits are shown while the search holds the store."""
    path = tmp_path / "live.h5"
    session = WriteSession.open(path, durable=False)
    session.begin(header(0))
    session.set_params(0, params(3))
    session.append(fit(0))

    (row,) = json.loads(weightsearch("runs", path, "--json")[0])
    assert row["status"] == "running"
    assert row["with_weights"] == 1
    assert len(lines("ls", path)) == 4
    assert "0 fits, 1 refit\n" in weightsearch("ls", path)[1]
    assert weightsearch("verify", path)[0] == ""
    assert "running" in weightsearch("show", path, "best", status=2)[1]
    assert "Error: " in weightsearch("recover", path, status=2)[1]
    session.append(fit(1))
    assert json.loads(weightsearch("runs", path, "--json")[0])[0]["with_weights"] == 2
    session.discard()


def test_ls_of_a_running_search_has_the_best_first(tmp_path):
    """Candidates with all splits by their mean, then those that lack some."""
    path = tmp_path / "live.h5"
    session = WriteSession.open(path, durable=False)
    session.begin(header(0))
    session.set_splits(Splits(0, 3, 4, [(np.arange(2), np.arange(2, 4))] * 2))
    session.set_params(0, params(3))
    for candidate, split, score in (0, 0, 0.5), (0, 1, 0.6), (1, 0, 0.9), (2, 0, 0.7):
        result = {"test_scores": score, "fit_time": 1.0, "fit_error": None}
        session.append(replace(fit(candidate, split=split), result=result))
    session.append(replace(fit(2, split=1), result={**result, "test_scores": 0.8}))
    output, error = weightsearch("ls", path)

    assert [line.split()[0] for line in output.splitlines()[1:]] == ["2", "0", "1"]
    assert "5/6 fits, 0 refits" in error
    assert weightsearch("ls", path, "--limit", 1)[0].count("\n") == 2


def test_recover_puts_the_log_into_the_store(tmp_path):
    """After a search that died there is one file with all that had finished."""
    path = tmp_path / "died.h5"
    X, y = load_iris(return_X_y=True)
    search = WeightTrackingGridSearchCV(
        LogisticRegression(),
        {"solver": ["lbfgs", "no such solver"]},
        cv=3,
        error_score="raise",
        store=path,
        capture="splits",
    )
    with pytest.raises(ValueError, match="no such solver"):
        search.fit(X, y)

    assert json.loads(weightsearch("runs", path, "--json")[0])[0]["with_weights"] == 1
    assert "moved into the store" in weightsearch("recover", path)[0]
    assert [entry.name for entry in tmp_path.iterdir()] == ["died.h5"]
    assert "nothing to recover" in weightsearch("recover", path)[0]
    assert weightsearch("show", path, 0, "--split", 2)[0].count("coef_") == 1


def test_removed_runs_go_and_their_room_with_repack(tmp_path):
    """Rm removes the run that is named, and repack makes the file smaller."""
    path = tmp_path / "two.h5"
    for number in range(2):
        with WriteSession.open(path, durable=False) as session:
            session.begin(header(number))
            session.set_params(0, params(3))
            session.append(fit(0))
            session.commit(RunResults({}, None))
    first, second = (row["run"] for row in json.loads(runs_json(path)))
    before = path.stat().st_size

    assert "removed run" in weightsearch("rm", path, first)[0]
    assert [row["run"] for row in json.loads(runs_json(path))] == [second]
    assert f"{before} bytes before" in weightsearch("repack", path)[0]
    assert path.stat().st_size < before
    assert weightsearch("verify", path)[0] == ""


def runs_json(path):
    """The runs of a store as JSON."""
    return weightsearch("runs", path, "--json")[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ls", "{folder}/none.h5"), "There is no store at"),
        (("ls", "{folder}"), "{folder}"),
        (("ls", "{folder}/text.h5"), "text.h5"),
        (("runs", "{folder}/text.h5"), "text.h5"),
        (("recover", "{folder}/none.h5"), "There is no store at"),
        (("verify", "{folder}/none.h5"), "There is no store at"),
        (("repack", "{folder}/none.h5"), "There is no store at"),
        (("rm", "{store}", "none"), "does not have a run 'none'"),
        (("ls", "{store}", "--run", "last"), "does not have a run 'last'"),
        (("ls", "{store}", "--json", "--csv"), "--json and --csv exclude"),
        (("ls", "{store}", "--columns", "alfa"), "Did you mean 'alpha'"),
        (("ls", "{store}", "--columns", "x*"), "No column matches 'x*'"),
        (("ls", "{store}", "--sort", "-alfa"), "Did you mean 'alpha'"),
        (("query", "{store}", "alfa < 1"), "Did you mean 'alpha'"),
        (("query", "{store}", "alpha <"), "Invalid query"),
        (
            ("query", "{store}", "__import__('os').getcwd() == 1"),
            "is not allowed in a query",
        ),
        (("show", "{store}", "99"), "give its number (0 to 15)"),
        (("show", "{store}", "9" * 40), "not found: give its number"),
        (("show", "{store}", "first"), "(0 to 15), or best"),
        (("show", "{store}", "0", "--split", "7"), "split 7"),
        (("show", "{store}", "0", "--weight", "coefs_"), "There is no weight"),
        (("compare", "{store}", "0", "99"), "give its number (0 to 15)"),
        (("compare", "{store}", "0", "1", "--split", "7"), "split 7"),
        (("stats", "{store}", "--columns", "l3"), "There is no column 'l3'"),
        (("export", "{store}", "0", "{folder}/none/there.npz"), "no folder"),
        (("export", "{store}", "0", "{folder}/weights.docx"), "must end with one of"),
        (
            ("export", "{store}", "99", "{folder}/a.npz"),
            "give its number (0 to 15)",
        ),
        (("choose", "{store}", "simplest"), "There is no rule 'simplest'"),
        (("choose", "{store}", "paretto"), "Did you mean 'pareto'"),
        (
            ("choose", "{store}", "pareto", "--simplest", "alfa"),
            "Did you mean 'alpha'",
        ),
        (("show", "{store}", "0", "--weight", "coef_/0"), "Did you mean 'coefs_/0'"),
        (("choose", "{store}", "pareto", "--metric", "f1"), "metric must be one of"),
        (
            ("choose", "{store}", "within-percent", "--simplest", "activation"),
            "values that are not numbers",
        ),
        (("ensemble", "{store}", "{folder}/none.npz"), "No such file"),
        (
            ("rescore", "{store}", "{folder}/iris.npz", "--scoring", "nonsense"),
            "nonsense",
        ),
        (("rescore", "{store}", "{folder}/iris.npz", "--groups", "site"), "no array"),
        (("demo", "{folder}/full"), "already exists"),
    ],
)
def test_user_errors_are_one_line(store, tmp_path, words, message):
    """Status 2, nothing on stdout, and one line on stderr that says what is wrong."""
    (tmp_path / "text.h5").write_text("no HDF5 at all")
    np.savez(tmp_path / "iris.npz", X=IRIS[0], y=IRIS[1])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "demo.h5").touch()
    names = {"store": store, "folder": tmp_path}

    output, error = weightsearch(*(word.format(**names) for word in words), status=2)

    assert "Error: " in error
    assert message.format(**names) in error
    assert "Traceback" not in error
    assert error.count("\n") == 1
    assert output == ""


def test_table_has_params_with_all_digits(tmp_path):
    """What a table shows of a param finds the candidate in a query."""
    path = tmp_path / "digits.h5"
    C = 0.1 + 0.2
    WeightTrackingGridSearchCV(LogisticRegression(), {"C": [C]}, store=path).fit(
        *load_iris(return_X_y=True)
    )

    (shown,) = (row[0] for row in lines("ls", path, "--columns", "C")[1:])
    assert float(shown) == C
    assert len(lines("query", path, f"C == {shown}")) == 2


def test_tables_in_a_pipe_are_not_cut(tmp_path, monkeypatch):
    """A wide table keeps each row in one line, whatever COLUMNS says."""
    path = tmp_path / "wide.h5"
    sizes = (1,) * 100
    WeightTrackingGridSearchCV(
        MLPClassifier(max_iter=1), {"hidden_layer_sizes": [sizes]}, store=path
    ).fit(*load_iris(return_X_y=True))

    monkeypatch.setenv("COLUMNS", "40")
    head, row = weightsearch("ls", path, "--columns", "all")[0].splitlines()
    assert str(sizes) in row
    assert len(head.split()) == len(row.replace(str(sizes), "sizes").split())


def test_csv_and_json_agree(store):
    """Both have the same rows in the same order."""
    rows = read_csv("ls", store, "--csv")
    objects = json.loads(weightsearch("ls", store, "--json")[0])

    assert [int(row["candidate"]) for row in rows] == [o["candidate"] for o in objects]
    assert [float(row["alpha"]) for row in rows] == [o["alpha"] for o in objects]


def test_demo_runs_and_explains_itself(tmp_path):
    """A store with a complete run, and commands that were really run on it."""
    output, _ = weightsearch("demo", tmp_path / "new")

    path = tmp_path / "new" / "demo.h5"
    with WeightStore(path) as opened:
        assert opened.run().status == "complete"
        assert opened.run().n_with_weights == 6
    assert f'$ weightsearch query {path} "mean_test_score > 0.95' in output
    assert "l2_distance" in output

"""The page of the format and the code say the same."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from store_memory import MemoryRun, mlp_run, mlp_weights, refit, write

from weightsearch import WeightTrackingGridSearchCV
from weightsearch._records import FitTable
from weightsearch.store import _append, _catalog, _schema
from weightsearch.store._checked import FILTERS
from weightsearch.store._dtypes import dtype_text, stored_as
from weightsearch.store._names import to_paths

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
KINDS = {
    "G_": "group",
    "D_": "dataset",
    "A_": "attribute",
    "J_": "JSON key",
    "F_": "field",
}


def rows() -> list[list[str]]:
    """Cells of all tables of the page."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| `")]
    return [re.split(r"\s*(?<!\\)\|\s*", line)[1:-1] for line in lines]


def script(heading: str) -> str:
    """Code below a heading of the page."""
    section = PAGE.split(f"## {heading}")[1]
    return section.split("```python\n")[1].split("```")[0]


def test_every_name_is_on_the_page_and_in_the_code():
    """Each group, dataset, attribute and key has a row, and each row a constant."""
    in_code = {
        (KINDS[name[:2]], value)
        for name, value in vars(_schema).items()
        if name[:2] in KINDS
    }
    on_page = {
        (cells[1], cells[0].strip("`"))
        for cells in rows()
        if len(cells) == 4 and cells[1] in KINDS.values()
    }

    assert len(in_code) > 30
    assert on_page == in_code


def test_every_limit_is_on_the_page():
    """The page gives the limits that the code has."""
    in_code = {
        name: value
        for name, value in vars(_schema).items()
        if name.startswith("MAX_") and name != "MAX_STACKS"
    }
    on_page = {
        cells[0].strip("`"): int(cells[1])
        for cells in rows()
        if cells[0].startswith("`MAX_")
    }

    assert on_page == in_code


def test_numbers_in_the_prose_are_those_of_the_code():
    """The version, the words of the kinds, and the writer's limits are right."""
    assert f"# The store's format, version {_schema.FORMAT_VERSION}\n" in PAGE
    assert f"MUST be `{_schema.FORMAT}`" in PAGE
    assert f"`{_schema.STACKED}` or `{_schema.RAGGED}`" in PAGE
    assert f"more than {_schema.MAX_STACKS} stacked" in PAGE
    assert f"{_schema.MAX_INFLATION} times" in PAGE


def test_the_redo_file_is_as_on_the_page():
    """The head of a redo file has the parts that the page lists."""
    table = PAGE.split("A redo file is")[1].split("and then, for each part")[0]
    sizes = re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE)

    assert sum(int(size) for cell in sizes for size in cell.split(",")) == (
        _append._HEAD.size + _append._CRC.size
    )
    assert _append._MAGIC.decode().strip() in table
    assert f"at most {_append._TAIL}" in table


def test_the_records_of_the_index_are_as_on_the_page():
    """The fields of the index have the order and sizes of the page."""
    fields = [
        (cells[0].strip("`"), cells[2]) for cells in rows() if cells[1] == "field"
    ]
    kinds = {"uint8": "u1", "int64": "<i8", "uint32": "<u4"}
    on_page = [
        (name, f"|S{kind.split()[0]}" if "bytes" in kind else np.dtype(kinds[kind]).str)
        for name, kind in fields
    ]

    assert on_page == [*_catalog.RUN.descr, *_catalog.FIT.descr]


def test_every_filter_is_on_the_page():
    """The page lists the filters that readers let pass."""
    on_page = re.search(r"Filters MUST be of (.*?), each once", PAGE, re.DOTALL)

    assert set(re.findall(r"`(\w+)`", on_page[1])) == {
        "deflate" if name == "gzip" else name for name in FILTERS.values()
    }


@pytest.mark.parametrize(
    ("dtype", "storage"),
    [("<M8[ns]", "<i8"), (">m8[s]", ">i8"), ("<U5", "<u4"), ("|V7", "|u1")],
)
def test_types_are_as_on_the_page(dtype: str, storage: str):
    """The stand-ins that the page promises are those that are written."""
    assert dtype.replace("|", "\\|") in PAGE
    assert stored_as(np.dtype(dtype)).storage.str == storage


def test_the_example_of_a_clash_is_right():
    """The page's example of two names gives the path that it says."""
    assert to_paths(["a", "a/b"])[1] in PAGE


class Referring(MemoryRun):
    """A run all of whose fits another one holds."""

    def __init__(self, run: MemoryRun, uid: str):
        super().__init__(run.records, name="c", uid=uid, started="2026-02-01")
        self.of = run

    def fits(self) -> FitTable:
        count = len(self.records)
        origin = np.full(count, self.of.uid.encode(), "S32")
        return replace(super().fits(), origin=origin, origin_row=np.arange(count))


@pytest.mark.parametrize("referring", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
def test_the_script_finds_the_first_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ragged: bool, referring: bool
):
    """Following only the page, plain h5py finds candidate 7's first layer."""
    rng = np.random.default_rng(0)
    records = [refit(i, mlp_weights(rng, 3 + i * ragged)) for i in range(20)]
    # An earlier refit of the same candidate, which does not count.
    records.insert(0, refit(7, mlp_weights(rng, 2)))
    newest = MemoryRun(records, name="a", uid="b" * 32, started="2026-01-01")
    runs = [mlp_run(8), newest]
    if referring:
        runs.append(Referring(newest, "c" * 32))
    removed = [newest.uid] if referring else []
    write(tmp_path / "search.h5", *runs, remove=removed)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}

    exec(script("Read candidate 7's first layer with plain h5py"), found)

    expected = records[8].weights["coefs_/0"]
    assert found["first"]["name"] == "coefs_/0"
    assert found["array"].dtype == expected.dtype
    np.testing.assert_array_equal(found["array"], expected)


def test_the_script_finds_a_trajectory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Following only the page, plain h5py finds a layer at each snapshot of a fit."""
    monkeypatch.chdir(tmp_path)
    X, y = load_iris(return_X_y=True)
    network = MLPClassifier((3,), solver="lbfgs", max_iter=4, random_state=0)
    search = WeightTrackingGridSearchCV(
        network, {"alpha": [0.1, 1.0]}, cv=2, store="search.h5", snapshots=[0, 2, 3]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        trajectory = search.fit(X, y).run_.trajectory(1)
    found: dict[str, Any] = {}

    exec(script("Read a trajectory with plain h5py"), found)

    assert found["epochs"] == [0, 2, 3]
    np.testing.assert_array_equal(found["trajectory"], trajectory["coefs_/0"])


@pytest.mark.parametrize("long", [False, True])
def test_the_recipe_for_text_columns_works(tmp_path: Path, long: bool):
    """The page's recipe reads both forms of a text column."""
    params = [
        json.dumps({"é": "x" * (9000 if long and i == 3 else i)}) for i in range(600)
    ]
    run = MemoryRun([refit(599, None)], params=params)
    path = write(tmp_path / "a.h5", run)
    found: dict[str, Any] = {}

    with h5py.File(path, "r") as file:
        found["column"] = file["runs"][run.header.name]["params"]
        assert isinstance(found["column"], h5py.Group) == long
        exec(script("Text columns"), found)

    assert found["texts"] == params


def test_a_structured_type_has_the_keys_of_the_page():
    """The keys of a structured type are those that the page names."""
    dtype = np.dtype([(("title", "a"), "<f4", (2,))])

    assert all(f"`{key}`" in PAGE for key in json.loads(dtype_text(dtype)))

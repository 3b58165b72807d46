"""Searches over XGBoost, LightGBM and CatBoost give what scikit-learn's own give."""

from __future__ import annotations

import importlib.util

import pytest
from comparing import differences, run_rows
from searches import KNOWN_FAULTS, TABLE

pytestmark = pytest.mark.ecosystem


def _param(name):
    marks = []
    if name in KNOWN_FAULTS:
        marks.append(pytest.mark.xfail(reason=KNOWN_FAULTS[name], strict=True))
    missing = [p for p in TABLE[name].needs if importlib.util.find_spec(p) is None]
    if missing:
        marks.append(pytest.mark.skip(reason=f"needs {' and '.join(missing)}"))
    return pytest.param(name, id=name, marks=marks)


ROWS = [name for name, row in TABLE.items() if row.framework == "boosting"]


@pytest.fixture(scope="module")
def results(request, tmp_path_factory):
    """What all selected rows said, run once for all of them."""
    selected = {
        item.callspec.params["name"]
        for item in request.session.items
        if item.path == request.path and not item.get_closest_marker("skip")
    }
    rows = [row for name, row in TABLE.items() if name in selected]
    return run_rows(rows, tmp_path_factory.mktemp("searches"))


@pytest.mark.parametrize("name", [_param(name) for name in ROWS])
def test_search(results, name):
    """Scores, ranks and all models are scikit-learn's; run again, nothing is fitted."""
    assert differences(TABLE[name], results[name]) == []

"""Every search of the table gives what scikit-learn's own gives, stored and rebuilt."""

from __future__ import annotations

import functools

import pytest
from comparing import differences, run_rows
from searches import KNOWN_FAULTS, TABLE


def _param(name):
    row = TABLE[name]
    marks = [] if row.quick else [pytest.mark.slow]
    if row.framework in ("keras", "torch"):
        marks.append(getattr(pytest.mark, row.framework))
    if name in KNOWN_FAULTS:
        marks.append(pytest.mark.xfail(reason=KNOWN_FAULTS[name], strict=True))
    return pytest.param(name, id=f"{row.framework}-{name}", marks=marks)


ROWS = [name for name, row in TABLE.items() if row.framework != "boosting"]


@pytest.fixture(scope="module")
def results_of(request, tmp_path_factory):
    """What all selected rows of a framework said, run once for all of them."""
    selected = {
        item.callspec.params["name"]
        for item in request.session.items
        if item.path == request.path
    }

    @functools.cache
    def run(framework):
        rows = [
            row
            for name, row in TABLE.items()
            if name in selected and row.framework == framework
        ]
        return run_rows(rows, tmp_path_factory.mktemp(framework))

    return run


@pytest.mark.parametrize("name", [_param(name) for name in ROWS])
def test_search(results_of, name):
    """Scores, ranks and all models are scikit-learn's; run again, nothing is fitted."""
    row = TABLE[name]
    assert differences(row, results_of(row.framework)[name]) == []

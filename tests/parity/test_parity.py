"""The parity run covers what it claims to; run.py does the running."""

from __future__ import annotations

import re
from pathlib import Path

import parity_lists
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator

from weightsearch import WeightTrackingGridSearchCV

SKLEARN = Path(sklearn.__file__).resolve().parent


def _modules_that_name_the_class() -> set[str]:
    word = re.compile(r"\bGridSearchCV\b|\bHalvingGridSearchCV\b")
    return {
        ".".join(("sklearn", *path.relative_to(SKLEARN).with_suffix("").parts))
        for path in SKLEARN.rglob("tests/test_*.py")
        if word.search(path.read_text(encoding="utf-8"))
    }


def test_all_test_modules_are_listed():
    """Every test module of the wheel that names the class is accounted for."""
    listed = {*parity_lists.MODULES, *parity_lists.MODULES_THAT_ONLY_NAME_IT}

    assert _modules_that_name_the_class() <= listed


def test_listed_modules_exist():
    """No listed module is missing from the installed wheel."""
    listed = {*parity_lists.MODULES, *parity_lists.MODULES_THAT_ONLY_NAME_IT}
    missing = {
        name
        for name in listed
        if not (SKLEARN.parent / name.replace(".", "/")).with_suffix(".py").exists()
    }

    assert missing == set()


def _outcomes(search: GridSearchCV) -> dict[str, str]:
    results = check_estimator(search, on_fail=None, on_skip=None)
    return {
        f"{result['check_name']} #{number}": result["status"]
        for number, result in enumerate(results)
    }


@pytest.mark.filterwarnings("ignore")  # the checks provoke warnings on purpose
@pytest.mark.parametrize(
    ("estimator", "grid"),
    [(LogisticRegression(), {"C": [0.1, 1.0]}), (Ridge(), {"alpha": [0.1, 1.0]})],
    ids=["classifier", "regressor"],
)
def test_check_estimator_as_grid_search(estimator, grid):
    """scikit-learn's common checks end with ours as with GridSearchCV, one by one."""
    expected = _outcomes(GridSearchCV(estimator, grid, cv=2, error_score="raise"))
    outcomes = _outcomes(
        WeightTrackingGridSearchCV(estimator, grid, cv=2, error_score="raise")
    )

    assert "passed" in expected.values()
    assert outcomes == expected

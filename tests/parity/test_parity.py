"""The parity run covers what it claims to; run.py does the running."""

from __future__ import annotations

import re
from pathlib import Path

import parity_lists
import pytest
import sklearn.experimental.enable_halving_search_cv
from sklearn import model_selection
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.estimator_checks import check_estimator

from weightsearch import search

SKLEARN = Path(sklearn.__file__).resolve().parent


def _modules_that_name_a_search() -> set[str]:
    word = re.compile(rf"\b({'|'.join(parity_lists.SEARCHES)})\b")
    return {
        ".".join(("sklearn", *path.relative_to(SKLEARN).with_suffix("").parts))
        for path in SKLEARN.rglob("tests/test_*.py")
        if word.search(path.read_text(encoding="utf-8"))
    }


def test_all_test_modules_are_listed():
    """Every test module of the wheel that names a search is accounted for."""
    listed = {*parity_lists.MODULES, *parity_lists.MODULES_THAT_ONLY_NAME_IT}

    assert _modules_that_name_a_search() <= listed


def test_listed_modules_exist():
    """No listed module is missing from the installed wheel."""
    listed = {*parity_lists.MODULES, *parity_lists.MODULES_THAT_ONLY_NAME_IT}
    missing = {
        name
        for name in listed
        if not (SKLEARN.parent / name.replace(".", "/")).with_suffix(".py").exists()
    }

    assert missing == set()


def _outcomes(search: BaseEstimator) -> dict[str, str]:
    results = check_estimator(search, on_fail=None, on_skip=None)
    return {
        f"{result['check_name']} #{number}": result["status"]
        for number, result in enumerate(results)
    }


@pytest.mark.filterwarnings("ignore")  # the checks provoke warnings on purpose
@pytest.mark.parametrize(
    ("name", "estimator", "grid"),
    [
        ("GridSearchCV", Ridge(), {"alpha": [0.1, 1.0]}),
        *(
            (name, LogisticRegression(), {"C": [0.1, 1]})
            for name in parity_lists.SEARCHES
        ),
    ],
)
def test_check_estimator_as_their_search(name, estimator, grid):
    """scikit-learn's common checks end with ours as with its own, one by one."""
    theirs = getattr(model_selection, name)
    ours = getattr(search, f"WeightTracking{name}")
    settings = {"cv": 2, "error_score": "raise"}
    if "Halving" in name:
        settings |= {"random_state": 0, "min_resources": "smallest"}
    expected = _outcomes(theirs(estimator, grid, **settings))
    outcomes = _outcomes(ours(estimator, grid, **settings))

    assert "passed" in expected.values()
    assert outcomes == expected

"""Write the table of scikit-learn's estimators and their weights in docs/keeping.md.

Every estimator of ``sklearn.utils.all_estimators()`` is fitted on the iris data and its
weights are extracted.

    python tools/captured_weights.py            writes the page
    python tools/captured_weights.py --check    exits 1 if the page is out of date
"""

from __future__ import annotations

import argparse
import difflib
import functools
import re
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.datasets import load_digits, load_iris

# Imported for what they do: they make estimators visible to all_estimators().
from sklearn.experimental import (
    enable_halving_search_cv,  # noqa: F401
    enable_iterative_imputer,  # noqa: F401
)
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import minmax_scale
from sklearn.utils import all_estimators
from sklearn.utils._test_common.instance_generator import _construct_instances
from sklearn.utils.estimator_checks import (
    _enforce_estimator_tags_X,
    _enforce_estimator_tags_y,
)

from weightsearch._records import Weights
from weightsearch.exceptions import NoWeightsWarning, UnstorableWeightsWarning
from weightsearch.frameworks import extract_weights
from weightsearch.frameworks._sklearn_rules import TRAINING_DATA, why_no_weights

PAGE = Path(__file__).parents[1] / "docs" / "keeping.md"
BEGIN, END = "<!-- estimators: begin -->\n", "<!-- estimators: end -->\n"

TEXTS = [
    "a small flower with narrow petals",
    "a large flower with wide petals",
    "a wide sepal",
    "narrow sepals and small petals",
]


def _iris() -> tuple[Any, Any]:
    X, y = load_iris(return_X_y=True)
    # Between 0 and 1: some estimators refuse what is negative.
    return minmax_scale(X)[::2], y[::2]


def _records() -> list[dict[str, float]]:
    X, _ = _iris()
    return [{"sepal length": row[0], "petal length": row[2]} for row in X[:20]]


SPECIAL: dict[str, Callable[[type], Any]] = {
    "CountVectorizer": lambda cls: cls().fit(TEXTS),
    "DictVectorizer": lambda cls: cls().fit(_records()),
    "FeatureHasher": lambda cls: cls().fit(_records()),
    "FrozenEstimator": lambda cls: cls(LogisticRegression().fit(*_iris())),
    "HashingVectorizer": lambda cls: cls().fit(TEXTS),
    "LabelBinarizer": lambda cls: cls().fit(_iris()[1]),
    "LabelEncoder": lambda cls: cls().fit(_iris()[1]),
    "MultiLabelBinarizer": lambda cls: cls().fit([{1}, {1, 2}, {3}]),
    "PatchExtractor": lambda cls: cls(patch_size=(4, 4)).fit(load_digits().images[:5]),
    "SparseCoder": lambda cls: cls(np.eye(4)).fit(_iris()[0]),
    "TfidfVectorizer": lambda cls: cls().fit(TEXTS),
}
"""Estimators that are not fitted on a table and a target."""

PREDICT_WITH = TRAINING_DATA - {"affinity_matrix_", "dissimilarity_matrix_"} | {
    "_fit_X"
}
VERBS = ("predict", "transform", "score_samples")
PARTS = {"GaussianProcessClassifier", "KernelDensity"}
"""Estimators that predict with data that a part or a tree holds."""


@functools.cache
def fit_estimator(name: str) -> Any:
    """Fit the scikit-learn estimator of that name on small real data.

    Parameters
    ----------
    name : str
        A name that :func:`estimator_names` gives.

    Returns
    -------
    object
        The fitted estimator.
    """
    cls = dict(all_estimators())[name]
    with warnings.catch_warnings():
        # Few iterations are wanted here, so that nothing converges.
        warnings.simplefilter("ignore")
        if name in SPECIAL:
            return SPECIAL[name](cls)
        estimator = next(iter(_construct_instances(cls)))
        X, y = _iris()
        if "random_state" in estimator.get_params(deep=False):
            estimator.set_params(random_state=0)
        X = _enforce_estimator_tags_X(estimator, X)
        return estimator.fit(X, _enforce_estimator_tags_y(estimator, y))


def estimator_names() -> list[str]:
    """Names of all public scikit-learn estimators, in alphabetical order."""
    return [name for name, _ in all_estimators()]


def capture(estimator: Any) -> tuple[Weights, list[str]]:
    """Weights of a fitted estimator, and what the warnings about them said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weights = extract_weights(estimator)
    ours = (NoWeightsWarning, UnstorableWeightsWarning)
    return weights, [str(w.message) for w in caught if issubclass(w.category, ours)]


def _patterns(weights: Weights) -> tuple[str, ...]:
    """Names of the weights, with ``*`` for the indices of a list."""
    patterns = []
    for name in weights:
        pattern = re.sub(r"(?<=/)\d+(?=/|$)", "*", name)
        patterns.append(re.sub(r"(?<=\btree_/)\w+$|(?<=/nodes/)\w+$", "...", pattern))
    return tuple(dict.fromkeys(patterns))


def _needs_data(estimator: Any) -> bool:
    """Whether an estimator predicts with training data, which are not weights."""
    held = PREDICT_WITH & set(vars(estimator)) or type(estimator).__name__ in PARTS
    return bool(held) and any(hasattr(estimator, verb) for verb in VERBS)


def _table() -> str:
    names_of = defaultdict(list)
    without = defaultdict(list)
    with_data = []
    for name in estimator_names():
        estimator = fit_estimator(name)
        weights, _ = capture(estimator)
        if not weights:
            without[re.sub(r" \(.*\)", "", why_no_weights(estimator))].append(name)
            continue
        names_of[_patterns(weights)].append(name)
        if _needs_data(estimator):
            with_data.append(name)
    groups = sorted(names_of.items(), key=lambda group: (-len(group[1]), group[1]))
    rows = [
        f"| {', '.join(names)} | {', '.join(f'`{name}`' for name in patterns)} |"
        for patterns, names in groups
    ]
    n_with, n_without = (sum(map(len, part.values())) for part in (names_of, without))
    minor = ".".join(sklearn.__version__.split(".")[:2])
    return "\n".join(
        [
            f"Made by `python tools/captured_weights.py` with scikit-learn {minor}, "
            f"from fits on the iris data: {n_with} estimators",
            f"have weights, {n_without} have none.",
            "",
            "| Estimators | Weights |",
            "|---|---|",
            *rows,
            "",
            "Without weights:",
            "",
            *(f"- {reason}: {', '.join(without[reason])}." for reason in without),
            "",
            "These predict with training data too, which are not weights: "
            f"{', '.join(with_data)}.",
            "",
        ]
    )


def make_page() -> str:
    """Text of the page, with a table from fitting every estimator."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{_table()}{END}{after}"


def _comparable(page: str) -> list[str]:
    """Lines of a page without the numbers that may differ between machines."""
    return [re.sub(r"\b\d+\b", "0", line) for line in page.splitlines()]


def main() -> int:
    """Write or check the page; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="do not write; compare")
    arguments = parser.parse_args()
    if not arguments.check:
        PAGE.write_text(make_page(), encoding="utf-8")
        return 0
    page = PAGE.read_text(encoding="utf-8")
    made_with = re.search(r"with scikit-learn (\d+\.\d+)", page)
    minor = ".".join(sklearn.__version__.split(".")[:2])
    if made_with is not None and made_with[1] != minor:
        print(f"Not compared: made with scikit-learn {made_with[1]}, this is {minor}.")
        return 0
    old, new = _comparable(page), _comparable(make_page())
    if old == new:
        return 0
    print("\n".join(difflib.unified_diff(old, new, "page", "now", lineterm="", n=0)))
    print(f"{PAGE.name} is out of date: run {Path(__file__).name} and commit it.")
    return 1


if __name__ == "__main__":
    sys.exit(main())

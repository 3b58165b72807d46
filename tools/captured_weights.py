"""Write docs/captured_weights.md: what is captured of every scikit-learn estimator.

Every estimator of ``sklearn.utils.all_estimators()`` is fitted on iris flowers and its
weights are extracted; the page is what came out.

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
from collections.abc import Callable, Iterator
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
from weightsearch.frameworks._sklearn_rules import (
    LABELS,
    REPORTS,
    ROWS,
    SETTINGS,
    TRAINING_DATA,
    why_no_weights,
)

PAGE = Path(__file__).parents[1] / "docs" / "captured_weights.md"

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
PARTS = {
    "GaussianProcessClassifier": {"X_train_", "y_train_"},
    "KernelDensity": {"tree_"},
}
"""Estimators that predict with data that a part holds, or that a tree holds."""


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


def _collapse(weights: Weights) -> Iterator[str]:
    """Names with their shapes, a line for all indices of a list."""
    shapes = defaultdict(list)
    for name, array in weights.items():
        pattern = re.sub(r"(?<=/)\d+(?=/|$)", "*", name)
        pattern = re.sub(r"(?<=\btree_/)\w+$|(?<=/nodes/)\w+$", "...", pattern)
        shapes[pattern].append(array.shape)
    for pattern, found in shapes.items():
        if pattern.endswith("..."):
            yield f"`{pattern}`"
        elif len({len(shape) for shape in found}) > 1:
            yield f"`{pattern}` (various)"
        else:
            # A dimension that differs from item to item is written n.
            sizes = [
                str(size.pop()) if len(size) == 1 else "n"
                for size in map(set, zip(*found, strict=True))
            ]
            yield f"`{pattern}` ({', '.join(sizes)})"


def _note(estimator: Any, weights: Weights, messages: list[str]) -> str:
    if not weights:
        return f"none: {why_no_weights(estimator)}"
    notes = [
        f"`{name}` is a {encoding} matrix"
        for name, encoding in weights.encodings.items()
    ]
    held = PREDICT_WITH & set(vars(estimator)) or PARTS.get(
        type(estimator).__name__, ()
    )
    data = ", ".join(f"`{name}`" for name in sorted(held))
    if data and any(hasattr(estimator, verb) for verb in VERBS):
        notes.append(f"predicts with the training data too ({data}), not captured")
    return "; ".join(notes + messages)


def _bullets(title: str, names: frozenset[str]) -> str:
    return f"- {title}: {', '.join(f'`{name}`' for name in sorted(names))}."


def make_page() -> str:
    """Text of the page, from fitting every estimator."""
    rows = []
    n_with = 0
    for name in estimator_names():
        estimator = fit_estimator(name)
        weights, messages = capture(estimator)
        n_with += bool(weights)
        lines = "<br>".join(_collapse(weights))
        note = _note(estimator, weights, messages).replace("|", r"\|")
        rows.append(f"| {name} | {lines} | {len(weights)} | {note} |")
    minor = ".".join(sklearn.__version__.split(".")[:2])
    return f"""# Weights captured of every scikit-learn estimator

Made by `python tools/captured_weights.py` with scikit-learn {minor}, by fitting each
estimator on every second row of the iris data (75 samples, 4 features, 3 classes; text
for what takes text). Do not edit.

Of {len(rows)} estimators, {n_with} have weights and {len(rows) - n_with} have none; \
the latter give an empty
`Weights` and a `NoWeightsWarning`.

## What counts as weights

What fitting learned and prediction or transformation depends on. Every public fitted
attribute that holds numbers counts, whatever the estimator, but for these:

{_bullets("counts and resolved settings: every `n_*_`, booleans, and", SETTINGS)}
{_bullets("names of classes, features and columns", LABELS)}
{_bullets("reports about the fit", REPORTS)}
{_bullets("results for the training rows", ROWS)}
{_bullets("the training data", TRAINING_DATA)}
- some names that mean one of these in certain scikit-learn classes only; they stand in
  `weightsearch/frameworks/_sklearn_rules.py`.

Training data are no weights: neighbours-based estimators, which learn nothing else,
have none, and of kernel methods the coefficients are captured but not the data that
they belong to. Support vectors, core samples and the like, which fitting chose, are
weights. So is an embedding, where its coordinates are what was optimised.

Private attributes are captured only where scikit-learn predicts from them. Properties
are never asked, since they may compute.

## How names are made

- A list's index stands behind a slash: `coefs_/0`. `*` in the table is any index, and
  `n` a size that differs from item to item. A list of plain numbers is one vector.
- A number is a 0-d array.
- Parts of a composite come first: `mlpclassifier/coefs_/0` for a step of a pipeline,
  and so for transformers of a ColumnTransformer or FeatureUnion and for the estimators
  of a vote or stack, by their given names. "drop" and "passthrough" have no weights. Of
  a search only the refitted `best_estimator_` counts.
- `tree_/...` are the arrays of a tree, a row for each node: `children_left`,
  `children_right`, `feature`, `threshold`, `missing_go_to_left`, `value`, `impurity`,
  `n_node_samples`, `weighted_n_node_samples`. `nodes/...` are the fields of a
  histogram gradient boosting tree.
- A sparse matrix is four arrays, `coef_/data`, `coef_/indices`, `coef_/indptr` and
  `coef_/shape`, and its format stands in `Weights.encodings`. csr and csc are kept as
  they are, any other format becomes csr.
- `kernel_/theta` are the logarithms of a Gaussian process kernel's free
  hyperparameters.

Arrays of text or of other Python objects, such as the categories of an encoder that was
fitted on text, cannot be stored: they are left out, and an `UnstorableWeightsWarning`
names them.

## The table

| Estimator | Weights (shape) | Arrays | Note |
|---|---|---|---|
""" + "\n".join([*rows, ""])


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
    if not PAGE.exists():
        print(f"{PAGE} is missing: run {Path(__file__).name} to write it.")
        return 1
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

"""What scikit-learn's own tests may expect of our classes, and what they may not.

Every entry carries its reason. An entry that matches no test of the installed
scikit-learn makes the run fail, so that the lists cannot go stale.
"""

from __future__ import annotations

from dataclasses import dataclass

from sklearn import __version__ as sklearn_version
from sklearn.utils.fixes import parse_version

SKLEARN = parse_version(sklearn_version)

SEARCHES = (
    "GridSearchCV",
    "RandomizedSearchCV",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
)
"""The classes of scikit-learn that ours stand for."""

MODULES = (
    "sklearn.decomposition.tests.test_kernel_pca",
    "sklearn.ensemble.tests.test_bagging",
    "sklearn.ensemble.tests.test_forest",
    "sklearn.ensemble.tests.test_voting",
    "sklearn.ensemble.tests.test_weight_boosting",
    "sklearn.feature_extraction.tests.test_text",
    "sklearn.impute.tests.test_impute",
    "sklearn.linear_model.tests.test_coordinate_descent",
    "sklearn.linear_model.tests.test_logistic",
    "sklearn.linear_model.tests.test_ridge",
    "sklearn.linear_model.tests.test_sgd",
    "sklearn.metrics.tests.test_regression",
    "sklearn.metrics.tests.test_score_objects",
    "sklearn.model_selection.tests.test_search",
    "sklearn.model_selection.tests.test_split",
    "sklearn.model_selection.tests.test_successive_halving",
    "sklearn.model_selection.tests.test_validation",
    "sklearn.neighbors.tests.test_kde",
    "sklearn.tests.test_base",
    "sklearn.tests.test_common",
    "sklearn.tests.test_metaestimators",
    "sklearn.tests.test_metaestimators_metadata_routing",
    "sklearn.tests.test_multiclass",
    "sklearn.tests.test_multioutput",
    "sklearn.utils.tests.test_parallel",
    "sklearn.utils._repr_html.tests.test_estimator"
    if SKLEARN >= parse_version("1.7")
    else "sklearn.utils.tests.test_estimator_html_repr",
)
"""Test modules of scikit-learn's wheel that use one of the searches.

``test_common`` does not name them: it finds them with ``all_estimators``.
"""

MODULES_THAT_ONLY_NAME_IT = {
    "sklearn.experimental.tests.test_enable_successive_halving": (
        "imports the names in processes of its own"
    ),
    "sklearn.tests.test_docstring_parameters": (
        "has the names in a list of estimators that it skips"
    ),
    "sklearn.utils.tests.test_pprint": "prints a class of that name of its own",
}
"""Test modules that contain a name but no class."""


@dataclass(frozen=True)
class Entry:
    """A test that cannot run, or not as it is.

    Attributes
    ----------
    test : str
        ``module::function``; parameters are not part of it.
    reason : str
        Why the test cannot hold as it stands.
    since : str
        First scikit-learn version that has the test.
    """

    test: str
    reason: str
    since: str = "1.6"

    @property
    def applies(self) -> bool:
        """Whether the installed scikit-learn has the test."""
        return SKLEARN >= parse_version(self.since)


DESELECTED = (
    Entry(
        "sklearn.model_selection.tests.test_search::test_custom_run_search",
        "compares the fitted attributes of a class of its own with ours, one by one; "
        "no subclass that has more fitted attributes can pass it",
    ),
    Entry(
        "sklearn.model_selection.tests.test_successive_halving::test_base_estimator_inputs",
        "notes each call of set_params; ours checks names by one before the first fit",
    ),
)
"""Tests that cannot apply to a subclass."""

SPLITS_ONLY = (
    Entry(
        "sklearn.model_selection.tests.test_search::test_search_callbacks_no_propagation",
        "counts the tasks that callbacks hear of; refits are tasks of their own",
        since="1.9",
    ),
    Entry(
        "sklearn.model_selection.tests.test_search::test_search_callbacks_propagation",
        "counts the tasks that callbacks hear of; refits are tasks of their own",
        since="1.9",
    ),
)
"""Tests that count fits: run with ``capture="splits"``, which adds none."""

FLOORS = {"1.6": 1100, "1.7": 1105, "1.8": 1110, "1.9": 1140}
"""Fewest tests that must have reached our classes, by scikit-learn's version.

The substitution could break without a sound; a count cannot.
"""

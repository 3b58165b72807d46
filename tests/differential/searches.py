"""The table of searches that must give what scikit-learn's own give.

A row is a function that returns an estimator and a grid; its decorator names the data,
and what else the search is told.
"""

from __future__ import annotations

import searches_boosting
import searches_keras
import searches_own_code
import searches_sklearn
import searches_torch
from rows import Row

__all__ = ["KNOWN_FAULTS", "TABLE"]

TABLE: dict[str, Row] = {
    **searches_sklearn.TABLE,
    **searches_own_code.TABLE,
    **searches_torch.TABLE,
    **searches_keras.TABLE,
    **searches_boosting.TABLE,
}

KNOWN_FAULTS: dict[str, str] = {
    **dict.fromkeys(
        (
            "scaler_that_changes_data",
            "scaler_that_changes_data_in_columns",
            "regression_that_changes_data",
            "centres_that_are_views_of_data",
            "estimator_that_changes_its_data",
        ),
        "data changed in place by a fit spoil later ones",
    ),
    **dict.fromkeys(
        (
            "transformed_target_by_lambdas",
            "words_by_functions",
            "two_lambdas",
            "two_lambdas_in_a_union",
            "functions_that_differ_by_what_they_enclose",
            "functions_in_a_loop",
            "vectorizers_with_lambdas_of_one_name",
            "target_by_two_lambdas",
            "lambdas_in_the_estimator_and_the_grid",
            "transformers_with_lambdas_in_the_grid",
            "own_code_in_columns",
        ),
        "functions are matched by name, not by place",
    ),
    **dict.fromkeys(
        (
            "tokenizers_in_the_grid",
            "methods_and_callables",
            "functions_in_a_dict_param",
            "classes_of_the_user_in_the_grid",
            "own_estimators_by_turns",
            "private_state_and_a_lock",
            "learned_things_in_slots",
            "local_class",
            "two_local_classes_of_one_name",
        ),
        "functions, classes and objects of the caller are not found in its estimator",
    ),
    **dict.fromkeys(
        (
            "neighbours_with_metric_params",
            "boosting_of_categories",
            "boosting_of_categories_by_name",
            "search_within_a_search",
            "birch",
            "routed_weights",
            "routed_weights_and_groups_in_a_pipeline",
            "routed_weights_in_meta_estimators",
            "enums_in_the_grid",
            "enum_of_the_estimator",
            "flags_in_the_grid",
            "frozen_distributions_in_the_grid",
            "learned_things_of_many_types",
        ),
        "the state cannot hold it",
    ),
    **dict.fromkeys(
        (
            "function_with_dispatch",
            "dicts_that_differ_by_order",
            "own_params_with_names_of_neutral_ones",
        ),
        "identity",
    ),
    **dict.fromkeys(
        ("density",),
        "infinite scores run again",
    ),
    **dict.fromkeys(
        ("candidates_without_scores",),
        "candidates that failed everywhere are refit",
    ),
}
"""Rows that fail today, each with the reason."""

"""Weights of imbalanced-learn: none for samplers, the trees for forests.

Its pipelines are scikit-learn's, and its other ensembles follow the general rule.
"""

from __future__ import annotations

from typing import Any

from sklearn.exceptions import NotFittedError

from weightsearch._records import Weights
from weightsearch.frameworks._registry import extract_parts

__all__ = ["EXTRACTORS", "extract_forest", "extract_sampler", "why_no_weights"]


def extract_sampler(sampler: Any) -> Weights:
    """No weights: a sampler only chooses the rows to train on.

    Parameters
    ----------
    sampler : imblearn.base.SamplerMixin

    Returns
    -------
    Weights
        Empty. A pipeline does not use its samplers to predict.

    Raises
    ------
    NotFittedError
        Where the sampler has not seen any data.
    """
    if not any(name.endswith("_") and name[0] != "_" for name in vars(sampler)):
        raise _not_fitted(sampler)
    return Weights()


def extract_forest(forest: Any) -> Weights:
    """Weights of a balanced random forest: its trees, once.

    Parameters
    ----------
    forest : imblearn.ensemble.BalancedRandomForestClassifier
        Its ``pipelines_`` hold the trees of ``estimators_`` a second time.

    Returns
    -------
    Weights
        As of scikit-learn's random forest: ``estimators_/0/tree_/threshold``.

    Raises
    ------
    NotFittedError
        Where the forest is not fitted.
    """
    if not hasattr(forest, "estimators_"):
        raise _not_fitted(forest)
    return extract_parts(
        (f"estimators_/{index}", tree) for index, tree in enumerate(forest.estimators_)
    )


def why_no_weights(estimator: Any) -> str:
    """Why a sampler has no weights, as half a sentence."""
    return "it only chooses the rows to train on, and is not used to predict"


def _not_fitted(estimator: Any) -> NotFittedError:
    return NotFittedError(
        f"This {type(estimator).__name__} instance is not fitted yet. Call 'fit' "
        "before extracting its weights."
    )


EXTRACTORS = {
    "imblearn.base.SamplerMixin": extract_sampler,
    "imblearn.ensemble._forest.BalancedRandomForestClassifier": extract_forest,
}
"""Qualified class name -> function; subclasses included."""

"""Tables of which fitted attributes are weights.

Weights are what was learned and is used to predict or transform. So a public fitted
attribute (``coef_``) counts, unless it is named below: counts and settings, names of
classes and features, reports about the fit, results for the training rows, and the
training data themselves. A private attribute counts only if scikit-learn predicts from
it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from weightsearch.frameworks._registry import qualified_name

__all__ = ["attributes", "is_weight", "why_no_weights"]

LABELS = frozenset(
    {
        "classes_",
        "drop_idx_",
        "feature_names_",
        "feature_names_in_",
        "outlier_label_",
        "output_indices_",
        "target_type_",
        "vocabulary_",
    }
)
"""Names of classes, features and columns."""

SETTINGS = frozenset(
    {
        "batch_size_",
        "best_params_",
        "chain_method_",
        "class_weight_",
        "effective_metric_",
        "effective_metric_params_",
        "fit_status_",
        "learning_rate_",
        "max_features_",
        "max_resources_",
        "max_samples_",
        "min_resources_",
        "out_activation_",
        "random_state_",
        "scorer_",
        "shape_fit_",
        "solver_",
        "stack_method_",
    }
)
"""Parameters as fit resolved them. All ``n_*_`` counts belong here too."""

REPORTS = frozenset(
    {
        "best_index_",
        "best_loss_",
        "best_score_",
        "best_validation_score_",
        "coef_path_",
        "coefs_paths_",
        "cv_alphas_",
        "cv_results_",
        "cv_values_",
        "dual_gap_",
        "estimator_errors_",
        "feature_importances_",
        "inertia_",
        "kl_divergence_",
        "log_marginal_likelihood_value_",
        "loglike_",
        "loss_",
        "loss_curve_",
        "lower_bound_",
        "lower_bounds_",
        "mse_path_",
        "oob_decision_function_",
        "oob_improvement_",
        "oob_prediction_",
        "oob_score_",
        "oob_scores_",
        "reconstruction_err_",
        "reconstruction_error_",
        "refit_time_",
        "stress_",
        "train_score_",
        "validation_score_",
        "validation_scores_",
    }
)
"""Reports about the fit: losses, scores, paths, times."""

ROWS = frozenset(
    {
        "column_labels_",
        "estimators_samples_",
        "inlier_mask_",
        "labeled_iter_",
        "labels_",
        "negative_outlier_factor_",
        "outliers_",
        "probabilities_",
        "row_labels_",
        "transduction_",
    }
)
"""Results with one value per row of the training data."""

TRAINING_DATA = frozenset(
    {
        "X_",
        "X_fit_",
        "X_train_",
        "affinity_matrix_",
        "dissimilarity_matrix_",
        "nbrs_",
        "y_",
        "y_train_",
    }
)
"""The training data, or their distances to each other."""

_KEEP: dict[str, frozenset[str]] = {
    name: frozenset(attributes.split())
    for name, attributes in {
        "sklearn.calibration._CalibratedClassifier": "estimator calibrators",
        "sklearn.cluster._bisect_k_means.BisectingKMeans": "_X_mean _bisecting_tree",
        "sklearn.cluster._bisect_k_means._BisectingTree": "center label left right",
        # Its labels are those of the features, and transform pools by them.
        "sklearn.cluster._feature_agglomeration.AgglomerationTransform": "labels_",
        "sklearn.cluster._hdbscan.hdbscan.HDBSCAN": "_single_linkage_tree_",
        "sklearn.cross_decomposition._pls._PLS": "_x_mean _x_std _y_mean _y_std",
        "sklearn.cross_decomposition._pls.PLSSVD": "_x_mean _x_std _y_mean _y_std",
        "sklearn.decomposition._kernel_pca.KernelPCA": "_centerer",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"
        ".BaseHistGradientBoosting": (
            "_baseline_prediction _predictors _bin_mapper _preprocessor"
        ),
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": (
            "nodes binned_left_cat_bitsets raw_left_cat_bitsets"
        ),
        "sklearn.frozen._frozen.FrozenEstimator": "estimator",
        "sklearn.gaussian_process._gpr.GaussianProcessRegressor": (
            "_y_train_mean _y_train_std"
        ),
        "sklearn.impute._iterative.IterativeImputer": "_min_value _max_value",
        # The one constant that it predicts.
        "sklearn.multiclass._ConstantPredictor": "y_",
        "sklearn.neighbors._lof.LocalOutlierFactor": "_distances_fit_X_ _lrd",
        "sklearn.preprocessing._data.PowerTransformer": "_scaler",
        "sklearn.svm._base.BaseLibSVM": "_gamma _n_support _probA _probB",
    }.items()
}
"""Attributes that count against the rule, by class."""

_DROP: dict[str, frozenset[str]] = {
    name: frozenset(attributes.split())
    for name, attributes in {
        "sklearn.cluster._bicluster.BaseSpectral": "rows_ columns_",
        # A linked structure over what subcluster_centers_ holds.
        "sklearn.cluster._birch.Birch": "root_ dummy_leaf_",
        "sklearn.compose._column_transformer.ColumnTransformer": "transformers_",
        "sklearn.covariance._graph_lasso.BaseGraphicalLasso": "costs_",
        "sklearn.covariance._robust_covariance.MinCovDet": (
            "support_ raw_support_ dist_"
        ),
        "sklearn.cross_decomposition._pls._PLS": "x_scores_ y_scores_",
        "sklearn.decomposition._dict_learning.DictionaryLearning": "error_",
        "sklearn.decomposition._lda.LatentDirichletAllocation": "bound_",
        "sklearn.decomposition._sparse_pca._BaseSparsePCA": "error_",
        "sklearn.mixture._bayesian_mixture.BayesianGaussianMixture": (
            "weight_concentration_prior_ mean_precision_prior_ mean_prior_ "
            "degrees_of_freedom_prior_ covariance_prior_"
        ),
        # The template of estimators_, fitted only if it is a frozen one.
        "sklearn.ensemble._base.BaseEnsemble": "estimator_",
        "sklearn.ensemble._stacking._BaseStacking": "estimators_ named_estimators_",
        "sklearn.ensemble._voting._BaseVoting": "estimators_ named_estimators_",
        # scipy's interpolation of X_thresholds_ and y_thresholds_.
        "sklearn.isotonic.IsotonicRegression": "f_",
        "sklearn.linear_model._base.LinearRegression": "rank_ singular_",
        "sklearn.linear_model._bayes.ARDRegression": "scores_",
        "sklearn.linear_model._bayes.BayesianRidge": "scores_",
        "sklearn.linear_model._coordinate_descent.LinearModelCV": "alphas_",
        "sklearn.linear_model._coordinate_descent.MultiTaskElasticNet": "eps_",
        "sklearn.linear_model._least_angle.Lars": "active_ alphas_",
        "sklearn.linear_model._least_angle.LassoLarsIC": "criterion_",
        "sklearn.linear_model._logistic.LogisticRegressionCV": (
            "Cs_ l1_ratios_ scores_"
        ),
        "sklearn.linear_model._stochastic_gradient.BaseSGD": "t_",
        "sklearn.linear_model._theil_sen.TheilSenRegressor": "breakdown_",
        # Derived from kernel_pca_, which transform uses.
        "sklearn.manifold._isomap.Isomap": "embedding_",
        "sklearn.neighbors._kde.KernelDensity": "tree_",
        "sklearn.neural_network._multilayer_perceptron.BaseMultilayerPerceptron": "t_",
        # The persistent chains, which only partial_fit continues.
        "sklearn.neural_network._rbm.BernoulliRBM": "h_samples_",
        "sklearn.preprocessing._polynomial.SplineTransformer": "bsplines_",
    }.items()
}
"""Attributes that do not count, by class: names too common to drop everywhere."""

_NEVER = LABELS | SETTINGS | REPORTS | ROWS | TRAINING_DATA


@lru_cache(maxsize=1024)
def _rules(cls: type) -> tuple[frozenset[str], frozenset[str]]:
    """Attributes to keep and to drop, of a class and all its bases."""
    names = [qualified_name(base) for base in cls.__mro__]
    empty: frozenset[str] = frozenset()
    keep = empty.union(*(_KEEP.get(name, empty) for name in names))
    return keep, empty.union(*(_DROP.get(name, empty) for name in names))


@lru_cache(maxsize=16384)
def is_weight(cls: Any, attribute: str) -> bool:
    """Whether an attribute of an instance of `cls` counts as weights."""
    keep, drop = _rules(cls)
    if attribute in keep:
        return True
    if attribute in drop or attribute in _NEVER:
        return False
    if attribute.startswith("_") or not attribute.endswith("_"):
        return False
    return not attribute.startswith("n_")


def attributes(estimator: Any) -> dict[str, Any]:
    """Attributes of an instance; not its properties, which may compute."""
    found: dict[str, Any] = getattr(estimator, "__dict__", {})
    return found


def why_no_weights(estimator: Any) -> str:
    """Why a fitted estimator has no weights, as half a sentence."""
    held = attributes(estimator)
    fitted = {name for name in held if name.endswith("_") and not name.startswith("__")}
    if "cv_results_" in held and "best_estimator_" not in held:
        return "it was not refit (refit=False), so it holds no fitted estimator"
    if rows := sorted(fitted & (ROWS | {"rows_", "columns_"})):
        return (
            f"what it learned are results for the training rows ({', '.join(rows)}), "
            "not weights that predict"
        )
    if "_fit_X" in held or fitted & TRAINING_DATA:
        return "it stores its training data, which do not count as weights"
    if labels := sorted(fitted & (LABELS - {"feature_names_in_"})):
        return f"it only learned names of classes or features ({', '.join(labels)})"
    if any(
        not name.startswith("n_") and name != "feature_names_in_" for name in fitted
    ):
        return "none of its fitted attributes holds numbers that count as weights"
    return "its fit does not learn from the data"

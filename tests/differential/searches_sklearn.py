"""Rows of the table of searches: scikit-learn's own estimators."""

from __future__ import annotations

import data_sets as data
import numpy as np
from rows import Table
from scipy.stats import loguniform, randint
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import AgglomerativeClustering, Birch, KMeans, MiniBatchKMeans
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import (
    NMF,
    PCA,
    IncrementalPCA,
    LatentDirichletAllocation,
    TruncatedSVD,
)
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomTreesEmbedding,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import (
    RFE,
    RFECV,
    SelectFromModel,
    SelectKBest,
    SequentialFeatureSelector,
    chi2,
    f_classif,
    mutual_info_classif,
)
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel
from sklearn.impute import IterativeImputer, KNNImputer, MissingIndicator, SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import (
    ElasticNetCV,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    MultiTaskLasso,
    Perceptron,
    PoissonRegressor,
    RANSACRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.manifold import Isomap
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    TimeSeriesSplit,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
    OutputCodeClassifier,
)
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.naive_bayes import CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import (
    KernelDensity,
    KNeighborsClassifier,
    KNeighborsRegressor,
    LocalOutlierFactor,
    NearestCentroid,
    NeighborhoodComponentsAnalysis,
    RadiusNeighborsClassifier,
)
from sklearn.neural_network import BernoulliRBM, MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC, SVR, LinearSVC, NuSVC, OneClassSVM
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
)

TABLE = Table()
row = TABLE.row

FUNCTIONS = "a file holds no functions"


def small_mlp(**params):
    """Return a network that learns in a moment."""
    return MLPClassifier((4,), max_iter=15, random_state=0, **params)


# -- linear models, trees, neighbours: each with a detail of its own -------------------


@row(data.iris, quick=True, capture="both")
def logistic_regression():
    return LogisticRegression(max_iter=300), {"C": [0.01, 1.0]}


@row(data.iris, quick=True, capture="both")
def repeated_values():
    return LogisticRegression(max_iter=300), {"C": [0.1, np.float64(0.1), 1.0, 0.1]}


@row(data.iris_words, quick=True)
def string_labels():
    return LogisticRegression(max_iter=300), {
        "C": [0.01, 1.0],
        "fit_intercept": [True, False],
    }


@row(data.iris_objects)
def object_labels():
    return RidgeClassifier(), {"alpha": [0.1, 10.0]}


@row(data.iris_list)
def lists_as_data():
    return DecisionTreeClassifier(random_state=0), {"max_depth": [1, 3]}


@row(data.iris_frame, capture="both", return_train_score=True)
def equal_first_steps():
    return make_pipeline(StandardScaler(), PCA(2), LogisticRegression()), {
        "pca__whiten": [False, True],
        "logisticregression__C": [0.1, 1.0, 10.0],
    }


@row(data.iris_series_category)
def categorical_target():
    return DecisionTreeClassifier(random_state=0), {"min_samples_leaf": [1, 20]}


@row(data.iris_frame)
def frame_and_series():
    return make_pipeline(StandardScaler(), LogisticRegression()), {
        "logisticregression__C": [0.1, 1.0]
    }


@row(data.diabetes)
def ridge_solvers():
    return Ridge(random_state=0), {"solver": ["svd", "cholesky", "lsqr", "sag"]}


@row(data.physique)
def ridge_of_many_targets():
    return Ridge(), {"alpha": [0.1, 10.0]}


@row(data.physique_frame)
def frame_of_targets():
    return MultiTaskLasso(), {"alpha": [0.1, 1.0]}


@row(data.diabetes)
def lasso_and_array_param():
    return Lasso(), {"alpha": np.logspace(-2, 0, 3), "positive": [False, True]}


@row(data.diabetes)
def elastic_net_cv():
    return ElasticNetCV(cv=3), {"l1_ratio": [0.5, [0.1, 0.9]]}


@row(data.diabetes)
def huber_poisson_and_linear_by_turns():
    return Pipeline([("model", LinearRegression())]), [
        {"model": [HuberRegressor()], "model__epsilon": [1.1, 1.5]},
        {"model": [PoissonRegressor(), LinearRegression()]},
    ]


@row(data.diabetes)
def ransac():
    return RANSACRegressor(random_state=0, min_samples=20), {
        "estimator": [Ridge(), Lasso()]
    }


@row(data.iris)
def sgd_losses():
    return SGDClassifier(random_state=0, max_iter=50), {
        "loss": ["hinge", "log_loss", "modified_huber"]
    }


@row(data.iris)
def sgd_averaged():
    return SGDRegressor(random_state=0), {
        "average": [False, 10],
        "penalty": ["l1", None],
    }


@row(data.iris)
def perceptron():
    return Perceptron(random_state=0), {"penalty": [None, "l2"]}


@row(data.iris)
def logistic_regression_cv():
    return LogisticRegressionCV(cv=3, max_iter=300), {"Cs": [2, [0.1, 1.0]]}


@row(data.wine)
def discriminants():
    return LinearDiscriminantAnalysis(), [
        {"solver": ["svd", "lsqr"]},
        {"solver": ["eigen"], "shrinkage": ["auto", 0.5]},
    ]


@row(data.wine)
def quadratic_discriminant():
    return QuadraticDiscriminantAnalysis(), {"reg_param": [0.1, 0.5]}


@row(data.wine)
def naive_bayes_with_priors():
    return GaussianNB(), {
        "priors": [None, [0.2, 0.3, 0.5], np.array([0.5, 0.25, 0.25])]
    }


@row(data.digits)
def naive_bayes_of_counts():
    return MultinomialNB(), {"alpha": [0.1, 1.0], "fit_prior": [True, False]}


@row(data.digits)
def naive_bayes_of_categories():
    return CategoricalNB(min_categories=17), {"alpha": [0.5, 1.0]}


@row(data.iris, quick=True)
def neighbours_of_all_algorithms():
    return KNeighborsClassifier(), {
        "algorithm": ["brute", "kd_tree", "ball_tree"],
        "metric": ["manhattan", "chebyshev"],
    }


@row(data.iris)
def neighbours_with_functions():
    def nearer(distances):
        return 1 / (1 + distances**2)

    return KNeighborsClassifier(weights=nearer), {"n_neighbors": [3, 9]}


@row(data.iris, refused_by_file=FUNCTIONS)
def neighbours_with_functions_in_the_grid():
    return KNeighborsClassifier(), {
        "weights": ["uniform", lambda d: 1 / (1 + d), lambda d: np.exp(-d)]
    }


@row(data.iris)
def neighbours_with_metric_params():
    return KNeighborsClassifier(metric="minkowski"), {
        "metric_params": [
            {"w": np.array([1.0, 1, 1, 1])},
            {"w": np.array([0.0, 0, 1, 5])},
        ]
    }


@row(data.iris_distances)
def neighbours_of_given_distances():
    return KNeighborsClassifier(metric="precomputed"), {"n_neighbors": [1, 9]}


@row(data.iris)
def radius_neighbours():
    return RadiusNeighborsClassifier(outlier_label="most_frequent"), {
        "radius": [0.8, 2.0]
    }


@row(data.physique)
def neighbours_of_many_targets():
    return KNeighborsRegressor(n_neighbors=2), {"weights": ["uniform", "distance"]}


@row(data.iris)
def nearest_centroid():
    return NearestCentroid(), {"shrink_threshold": [None, 0.3]}


@row(data.iris)
def learned_distances():
    return make_pipeline(
        NeighborhoodComponentsAnalysis(max_iter=5, random_state=0),
        KNeighborsClassifier(),
    ), {"neighborhoodcomponentsanalysis__n_components": [1, 2]}


@row(data.iris_words, quick=True)
def svm_kernels():
    return SVC(), {"kernel": ["linear", "rbf", "poly", "sigmoid"]}


@row(data.iris)
def svm_with_kernel_function():
    def cubic(A, B):
        return (1 + A @ B.T) ** 3

    return SVC(kernel=cubic), {"C": [0.01, 1.0]}


@row(data.iris, refused_by_file=FUNCTIONS)
def svm_with_kernel_functions_in_the_grid():
    return SVC(), {"kernel": [lambda A, B: A @ B.T, lambda A, B: (A @ B.T) ** 2, "rbf"]}


@row(data.iris_kernel)
def svm_of_given_kernel():
    return SVC(kernel="precomputed"), {"C": [0.01, 1.0]}


@row(data.iris_sparse)
def svm_on_sparse_rows():
    return NuSVC(), {"nu": [0.2, 0.4], "class_weight": [None, "balanced"]}


@row(data.iris)
def svm_with_weights_of_classes():
    return LinearSVC(random_state=0), {
        "class_weight": [None, "balanced", {0: 1, 1: 5, 2: 1}, {0: 5, 1: 1, 2: 1}]
    }


@row(data.diabetes)
def support_vector_regression():
    return make_pipeline(StandardScaler(), SVR()), {"svr__C": [1.0, 100.0]}


@row(data.diabetes)
def kernel_ridge_with_function():
    def product(a, b):
        return float(a @ b)

    return KernelRidge(kernel=product), {"alpha": [0.1, 1.0]}


@row(data.iris)
def kernel_approximations_by_turns():
    return make_pipeline(
        Nystroem(random_state=0, n_components=10), SGDClassifier(random_state=0)
    ), {
        "nystroem": [
            Nystroem(random_state=0, n_components=10),
            RBFSampler(random_state=0, n_components=10),
            "passthrough",
        ]
    }


@row(data.diabetes_column)
def isotonic():
    return IsotonicRegression(out_of_bounds="clip"), {"increasing": [True, "auto"]}


@row(data.diabetes)
def splines():
    return make_pipeline(SplineTransformer(), Ridge()), {
        "splinetransformer__n_knots": [3, 5],
        "splinetransformer__extrapolation": ["constant", "linear"],
    }


@row(data.diabetes)
def partial_least_squares():
    return PLSRegression(), {"n_components": [1, 3]}


@row(data.diabetes, quick=True)
def gaussian_process_kernels():
    return GaussianProcessRegressor(random_state=0, optimizer=None), {
        "kernel": [
            RBF(1.0),
            RBF(2.0) + WhiteKernel(0.1),
            ConstantKernel(2.0) * Matern(nu=1.5),
        ]
    }


@row(data.diabetes)
def gaussian_process_params_of_kernel():
    return GaussianProcessRegressor(RBF(1.0) + WhiteKernel(), alpha=1e-3), {
        "kernel__k1__length_scale": [0.5, 2.0]
    }


@row(data.two_species)
def gaussian_process_classifier():
    return GaussianProcessClassifier(1.0 * RBF(1.0), random_state=0), {
        "max_iter_predict": [5, 50]
    }


@row(data.iris)
def gaussian_process_of_many_classes():
    return GaussianProcessClassifier(optimizer=None), {
        "multi_class": ["one_vs_rest", "one_vs_one"]
    }


# -- trees and ensembles ---------------------------------------------------------------


@row(
    data.iris_words,
    quick=True,
    capture="both",
    rescored={"scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss"},
)
def random_forest():
    return RandomForestClassifier(5, random_state=0), {"max_depth": [2, None]}


@row(data.diabetes)
def forest_with_samples_out_of_bag():
    return ExtraTreesRegressor(6, bootstrap=True, oob_score=True, random_state=0), {
        "max_features": [1, 1.0, "sqrt"]
    }


@row(data.iris_missing)
def forest_on_missing_values():
    return RandomForestClassifier(4, random_state=0), {"max_depth": [2, 4]}


@row(data.iris_two_classes, scoring=lambda e, X, y: float((e.predict(X) == y).mean()))
def forest_of_two_outputs():
    return RandomForestClassifier(4, random_state=0), {"max_depth": [2, 4]}


@row(data.iris)
def forest_with_warm_start():
    return RandomForestClassifier(4, random_state=0, warm_start=True), {
        "max_depth": [2, 4]
    }


@row(data.diabetes)
def tree_criteria():
    return DecisionTreeRegressor(random_state=0, max_depth=3), {
        "criterion": ["squared_error", "absolute_error"],
        "ccp_alpha": [0.0, 10.0],
    }


@row(data.diabetes)
def tree_of_constraints():
    return DecisionTreeRegressor(random_state=0, max_depth=3), {
        "monotonic_cst": [None, [0] * 9 + [1], np.array([0] * 8 + [1, 1])]
    }


@row(data.iris)
def gradient_boosting():
    return GradientBoostingClassifier(n_estimators=5, random_state=0), {
        "max_depth": [1, 2],
        "subsample": [0.5, 1.0],
    }


@row(data.two_species)
def gradient_boosting_from_another_model():
    return GradientBoostingClassifier(n_estimators=4, random_state=0), {
        "init": [None, "zero", LogisticRegression(), GaussianNB()]
    }


@row(data.people, quick=True)
def boosting_of_categories():
    return make_pipeline(
        make_column_transformer(
            ("passthrough", ["age", "bmi", "pressure"]), verbose_feature_names_out=False
        ).set_output(transform="pandas"),
        HistGradientBoostingClassifier(
            max_iter=5, categorical_features="from_dtype", random_state=0
        ),
    ), {"histgradientboostingclassifier__max_depth": [2, None]}


@row(data.people_numbers)
def boosting_of_categories_by_name():
    return ColumnTransformerThenBoosting(), {
        "histgradientboostingregressor__loss": ["squared_error", "poisson"]
    }


def ColumnTransformerThenBoosting():
    """Return a pipeline whose second step has categories by name."""
    return make_pipeline(
        make_column_transformer(
            (OrdinalEncoder(), ["sex"]),
            ("passthrough", ["age", "bmi"]),
            verbose_feature_names_out=False,
        ).set_output(transform="pandas"),
        HistGradientBoostingRegressor(
            max_iter=5, categorical_features=["sex"], monotonic_cst={"age": 1}
        ),
    )


@row(data.iris, capture="splits", rescored={"scoring": "neg_log_loss"})
def boosting_that_stops_early():
    return HistGradientBoostingClassifier(random_state=0, max_iter=8), {
        "early_stopping": [False, True],
        "interaction_cst": ["pairwise", None],
    }


@row(data.iris_words)
def adaboost_over_estimators():
    return AdaBoostClassifier(n_estimators=4, random_state=0), {
        "estimator": [DecisionTreeClassifier(max_depth=1), GaussianNB()]
    }


@row(
    data.iris_alone,
    scoring=lambda estimator, X, y=None: float(estimator.score_samples(X).mean()),
)
def isolation_forest():
    return IsolationForest(n_estimators=6, random_state=0), {
        "contamination": [0.1, 0.2]
    }


@row(data.iris)
def bagging_of_trees():
    return BaggingClassifier(n_estimators=3, random_state=0, oob_score=True), {
        "max_features": [0.5, 1.0],
        "estimator": [None, DecisionTreeClassifier(max_depth=2)],
    }


@row(data.iris_words)
def bagging_of_networks():
    return BaggingClassifier(small_mlp(), n_estimators=2, random_state=0), {
        "estimator__alpha": [1e-4, 10.0]
    }


@row(data.diabetes)
def bagging_of_pipelines():
    return BaggingRegressor(
        make_pipeline(StandardScaler(), Ridge()), n_estimators=2, random_state=0
    ), {"estimator__ridge__alpha": [0.1, 100.0]}


@row(data.iris_words, quick=True)
def voting():
    return VotingClassifier(
        [("net", make_pipeline(StandardScaler(), small_mlp())), ("bayes", GaussianNB())]
    ), {"voting": ["hard", "soft"], "bayes": [GaussianNB(), "drop"]}


@row(data.diabetes)
def voting_of_regressors():
    return VotingRegressor(
        [("a", Ridge()), ("b", DecisionTreeRegressor(random_state=0))]
    ), {"weights": [None, [1, 3]], "b__max_depth": [1, 2]}


@row(data.iris_words, quick=True)
def stacking():
    return StackingClassifier(
        [("svc", SVC()), ("net", small_mlp())], LogisticRegression(), cv=2
    ), {
        "final_estimator": [LogisticRegression(), small_mlp()],
        "passthrough": [True, False],
    }


@row(data.diabetes)
def stacking_of_regressors():
    return StackingRegressor([("a", Ridge()), ("b", Lasso())], cv=2), {
        "a": ["drop", Ridge(10.0)],
        "final_estimator": [None, Ridge()],
    }


@row(data.iris)
def self_training():
    return SelfTrainingClassifier(GaussianNB()), {"threshold": [0.6, 0.9]}


@row(data.iris)
def label_spreading():
    return LabelSpreading(), {"kernel": ["knn", "rbf"]}


# -- meta-estimators -------------------------------------------------------------------


@row(data.iris_words, quick=True)
def one_vs_rest():
    return OneVsRestClassifier(small_mlp()), {"estimator__alpha": [1e-4, 10.0]}


@row(data.iris_words)
def one_vs_rest_over_pipeline():
    return OneVsRestClassifier(make_pipeline(StandardScaler(), SVC())), {
        "estimator__svc__C": [0.1, 10.0]
    }


@row(data.iris_labels)
def one_vs_rest_of_many_labels():
    return OneVsRestClassifier(LogisticRegression()), {"estimator__C": [0.1, 10.0]}


@row(data.iris_words)
def one_vs_one():
    return OneVsOneClassifier(small_mlp()), {"estimator__alpha": [1e-4, 10.0]}


@row(data.iris_words)
def output_code():
    return OutputCodeClassifier(small_mlp(), random_state=0), {"code_size": [1, 2]}


@row(data.iris_two_classes)
def multi_output_classifier():
    return MultiOutputClassifier(small_mlp()), {"estimator__alpha": [1e-4, 10.0]}


@row(data.physique, cv=2)
def multi_output_regressor():
    return MultiOutputRegressor(make_pipeline(StandardScaler(), SVR())), {
        "estimator__svr__C": [0.1, 10.0]
    }


@row(data.iris_labels)
def classifier_chain():
    return ClassifierChain(LogisticRegression(), random_state=0), {
        "order": [None, [2, 1, 0], "random"]
    }


@row(data.physique, cv=2)
def regressor_chain():
    return RegressorChain(Ridge()), {"order": [[0, 1, 2], (2, 0, 1)], "cv": [None, 2]}


@row(data.iris_words)
def calibrated():
    return CalibratedClassifierCV(make_pipeline(StandardScaler(), SVC()), cv=2), {
        "method": ["sigmoid", "isotonic"],
        "ensemble": [True, False],
    }


@row(data.two_species_words)
def tuned_threshold():
    return TunedThresholdClassifierCV(
        make_pipeline(StandardScaler(), LogisticRegression()), cv=2, thresholds=10
    ), {"scoring": ["balanced_accuracy", "accuracy"]}


@row(data.two_species)
def fixed_threshold():
    return FixedThresholdClassifier(small_mlp()), {"threshold": ["auto", 0.2, 0.8]}


@row(data.diabetes, quick=True)
def transformed_target():
    return TransformedTargetRegressor(
        make_pipeline(StandardScaler(), Ridge()), func=np.log, inverse_func=np.exp
    ), {"regressor__ridge__alpha": [0.1, 100.0]}


@row(data.diabetes, refused_by_file=FUNCTIONS)
def transformed_target_by_lambdas():
    return TransformedTargetRegressor(Ridge(), check_inverse=False), [
        {"func": [lambda y: y / 2], "inverse_func": [lambda y: y * 2]},
        {"func": [lambda y: y**2], "inverse_func": [lambda y: abs(y) ** 0.5]},
        {"transformer": [StandardScaler(), QuantileTransformer(n_quantiles=10)]},
    ]


@row(data.cancer)
def recursive_elimination():
    return RFE(LogisticRegression(solver="liblinear"), step=10), {
        "n_features_to_select": [2, 0.5]
    }


@row(data.iris)
def recursive_elimination_cv_in_pipeline():
    return make_pipeline(RFECV(SVC(kernel="linear"), cv=2), KNeighborsClassifier()), {
        "kneighborsclassifier__n_neighbors": [1, 9]
    }


@row(data.cancer)
def select_from_model():
    return make_pipeline(
        SelectFromModel(RandomForestClassifier(4, random_state=0)), LogisticRegression()
    ), {"selectfrommodel__threshold": ["mean", "median", 0.01]}


@row(data.wine)
def select_from_model_by_function():
    return make_pipeline(
        SelectFromModel(
            LinearDiscriminantAnalysis(), max_features=lambda X: X.shape[1] // 3
        ),
        GaussianNB(),
    ), {"gaussiannb__var_smoothing": [1e-9, 1e-2]}


@row(data.iris)
def sequential_selection():
    return make_pipeline(
        SequentialFeatureSelector(GaussianNB(), n_features_to_select=2, cv=2),
        GaussianNB(),
    ), {"sequentialfeatureselector__direction": ["forward", "backward"]}


@row(data.digits, refused_by_file=FUNCTIONS, quick=True)
def scores_of_features_as_params():
    return make_pipeline(SelectKBest(chi2, k=10), GaussianNB()), {
        "selectkbest__score_func": [chi2, f_classif]
    }


# The search itself is a call of the same function.
@row(data.iris, fits_again=1)
def search_within_a_search():
    return GridSearchCV(SVC(), {"C": [0.1, 10.0]}, cv=2), {
        "estimator__gamma": [0.1, 1.0]
    }


@row(data.iris)
def meta_estimators_of_meta_estimators():
    return OneVsRestClassifier(
        BaggingClassifier(
            CalibratedClassifierCV(make_pipeline(StandardScaler(), LinearSVC()), cv=2),
            n_estimators=2,
            random_state=0,
        )
    ), {"estimator__estimator__estimator__linearsvc__C": [0.01, 1.0]}


# -- pipelines, columns, steps as params -----------------------------------------------


@row(data.iris, quick=True)
def steps_as_params():
    return Pipeline(
        [("scale", StandardScaler()), ("reduce", PCA(2)), ("model", SVC())]
    ), [
        {
            "scale": [StandardScaler(), MinMaxScaler(), None],
            "model": [SVC(), GaussianNB()],
        },
        {"reduce": ["passthrough", PCA(1), SelectKBest(k=2)]},
    ]


@row(data.iris)
def union_of_features():
    return make_pipeline(
        FeatureUnion([("pca", PCA(2)), ("scaled", StandardScaler())]),
        LogisticRegression(),
    ), {
        "featureunion__pca": ["drop", "passthrough", PCA(1)],
        "featureunion__transformer_weights": [None, {"scaled": 10.0}],
    }


@row(data.iris, quick=True, capture="both")
def union_whose_parts_differ_one_by_one():
    return make_pipeline(
        StandardScaler(), make_union(PCA(2), SelectKBest(k=1)), LogisticRegression()
    ), {
        "featureunion__pca__n_components": [1, 2],
        "featureunion__selectkbest__k": [1, 2],
    }


@row(data.people, quick=True, capture="both", rescored={"scoring": "recall_macro"})
def columns_of_mixed_types():
    return make_pipeline(
        ColumnTransformer(
            [
                (
                    "numbers",
                    make_pipeline(SimpleImputer(), StandardScaler()),
                    ["age", "bmi"],
                ),
                ("words", OneHotEncoder(handle_unknown="ignore"), ["sex", "pressure"]),
            ],
            remainder="drop",
        ),
        LogisticRegression(),
    ), {
        "columntransformer__numbers__simpleimputer__strategy": ["mean", "median"],
        "columntransformer__words": ["drop", OrdinalEncoder(), OneHotEncoder()],
    }


@row(data.people)
def columns_by_type():
    return make_pipeline(
        make_column_transformer(
            (SimpleImputer(), make_column_selector(dtype_include="number")),
            (
                OneHotEncoder(),
                make_column_selector(dtype_include=["category", "object", "str"]),
            ),
        ),
        DecisionTreeClassifier(random_state=0),
    ), {"decisiontreeclassifier__max_depth": [1, 3]}


@row(data.people)
def columns_by_function():
    return make_pipeline(
        make_column_transformer(
            (SimpleImputer(), lambda frame: [c for c in frame if c in ("age", "bmi")]),
            (OrdinalEncoder(), lambda frame: ["sex"]),
        ),
        DecisionTreeClassifier(random_state=0),
    ), {"decisiontreeclassifier__max_depth": [1, 3]}


@row(data.people)
def columns_by_mask_slice_and_place():
    return make_pipeline(
        make_column_transformer(
            (SimpleImputer(), [True, True, False, False, False, False]),
            (OrdinalEncoder(), slice("sex", "pressure")),
            ("passthrough", [-1]),
        ),
        DecisionTreeClassifier(random_state=0),
    ), {"columntransformer__sparse_threshold": [0.0, 1.0]}


@row(data.people)
def date_columns():
    def year(frame):
        return np.column_stack([frame["day"].dt.year, frame["day"].dt.dayofweek])

    return make_pipeline(
        make_column_transformer(
            (FunctionTransformer(year), ["day"]), ("passthrough", ["age"])
        ),
        DecisionTreeClassifier(random_state=0),
    ), {"decisiontreeclassifier__max_depth": [1, 3]}


@row(data.people)
def target_encoder():
    return make_pipeline(
        make_column_transformer(
            (TargetEncoder(cv=2, random_state=0), ["sex", "pressure"])
        ),
        LogisticRegression(),
    ), {"columntransformer__targetencoder__smooth": ["auto", 10.0]}


@row(data.people)
def encoders_with_categories():
    return make_pipeline(
        make_column_transformer((OneHotEncoder(), ["sex", "pressure"])),
        LogisticRegression(),
    ), {
        "columntransformer__onehotencoder__categories": [
            "auto",
            [["a", "b"], ["low", "mid", "high"]],
            [np.array(["b", "a"], object), np.array(["high", "low", "mid"], object)],
        ],
        "columntransformer__onehotencoder__drop": [None, "first"],
    }


@row(data.iris_frame)
def output_of_pandas():
    return make_pipeline(StandardScaler(), PCA(2), LogisticRegression()).set_output(
        transform="pandas"
    ), {"pca__n_components": [1, 3]}


@row(data.iris_frame, config={"transform_output": "pandas"})
def output_of_pandas_by_config():
    return make_pipeline(
        StandardScaler(),
        FunctionTransformer(
            lambda X: X[["petal length (cm)"]] if hasattr(X, "columns") else X
        ),
        LogisticRegression(),
    ), {"logisticregression__C": [0.1, 1.0]}


@row(data.iris_missing)
def imputers_by_turns():
    return make_pipeline(SimpleImputer(), LogisticRegression()), {
        "simpleimputer": [
            SimpleImputer(strategy="most_frequent", add_indicator=True),
            KNNImputer(n_neighbors=2),
            IterativeImputer(max_iter=2, random_state=0),
        ]
    }


@row(data.iris_missing)
def indicator_of_missing_values():
    return make_pipeline(
        make_union(
            SimpleImputer(fill_value=-1, strategy="constant"), MissingIndicator()
        ),
        DecisionTreeClassifier(random_state=0),
    ), {"decisiontreeclassifier__max_depth": [2, 3]}


@row(data.iris)
def imputer_with_estimator():
    return make_pipeline(
        IterativeImputer(Ridge(), max_iter=2, random_state=0), LogisticRegression()
    ), {"iterativeimputer__estimator": [Ridge(), KNeighborsRegressor(2)]}


@row(data.diabetes)
def scalers_by_turns():
    return Pipeline([("scale", StandardScaler()), ("model", Ridge())]), {
        "scale": [
            RobustScaler(quantile_range=(10, 90)),
            PowerTransformer(),
            QuantileTransformer(n_quantiles=20, random_state=0),
            KBinsDiscretizer(
                3, encode="onehot-dense", quantile_method="averaged_inverted_cdf"
            ),
            PolynomialFeatures(2, interaction_only=True),
        ]
    }


@row(data.iris_far, quick=True)
def scaler_that_changes_data():
    return make_pipeline(
        StandardScaler(copy=False), LogisticRegression(max_iter=500)
    ), {"logisticregression__C": [0.01, 1.0, 10.0]}


@row(data.iris_far)
def scaler_that_changes_data_in_columns():
    return make_pipeline(
        make_union(RobustScaler(copy=False), MinMaxScaler(copy=False)), GaussianNB()
    ), {"gaussiannb__var_smoothing": [1e-9, 1e-2, 1.0]}


@row(data.diabetes)
def regression_that_changes_data():
    return LinearRegression(copy_X=False), {
        "fit_intercept": [True, False],
        "positive": [False],
    }


@row(data.iris)
def pipeline_with_cache(tmp=None):
    return Pipeline([("pca", PCA(2)), ("svc", SVC())], memory=None), {
        "pca__whiten": [True, False]
    }


# -- text and sparse data --------------------------------------------------------------


@row(data.reviews, quick=True)
def tfidf():
    return make_pipeline(TfidfVectorizer(), LogisticRegression()), {
        "tfidfvectorizer__ngram_range": [(1, 1), (1, 2)],
        "tfidfvectorizer__use_idf": [True, False],
    }


@row(data.reviews_array)
def counts_with_stop_words():
    return make_pipeline(CountVectorizer(), ComplementNB()), {
        "countvectorizer__stop_words": ["english", None, ["and", "the"]],
        "countvectorizer__analyzer": ["word", "char_wb"],
    }


@row(data.reviews)
def hashed_words():
    return make_pipeline(
        HashingVectorizer(n_features=64),
        TfidfTransformer(),
        SGDClassifier(random_state=0),
    ), {"hashingvectorizer__norm": ["l1", "l2"]}


@row(data.reviews)
def words_by_functions():
    return make_pipeline(
        TfidfVectorizer(
            tokenizer=lambda text: text.split(),
            preprocessor=lambda text: text.upper(),
            token_pattern=None,
            lowercase=False,
        ),
        LogisticRegression(),
    ), {"logisticregression__C": [0.1, 10.0]}


@row(data.reviews, refused_by_file=FUNCTIONS)
def tokenizers_in_the_grid():
    return make_pipeline(
        CountVectorizer(token_pattern=None, tokenizer=str.split), MultinomialNB()
    ), {
        "countvectorizer__tokenizer": [
            str.split,
            lambda text: list(text),
            lambda text: text.split("o"),
        ]
    }


@row(data.reviews)
def given_vocabulary():
    return make_pipeline(CountVectorizer(), MultinomialNB()), {
        "countvectorizer__vocabulary": [
            ["good", "bad"],
            {"warm": 1, "cold": 0},
            {"cold": 1, "warm": 0},
        ]
    }


@row(data.reviews)
def topics_of_texts():
    return make_pipeline(
        CountVectorizer(dtype=np.float32),
        LatentDirichletAllocation(2, max_iter=2, random_state=0),
        LogisticRegression(),
    ), {"latentdirichletallocation__learning_method": ["batch", "online"]}


@row(data.reviews)
def types_of_numbers_as_params():
    return make_pipeline(
        TfidfVectorizer(), TruncatedSVD(2, random_state=0), LogisticRegression()
    ), {"tfidfvectorizer__dtype": [np.float32, np.float64]}


@row(data.records)
def dicts_of_features():
    return make_pipeline(DictVectorizer(), DecisionTreeClassifier(random_state=0)), {
        "dictvectorizer__sparse": [True, False],
        "decisiontreeclassifier__max_depth": [1, 3],
    }


@row(data.records)
def hashed_features():
    return make_pipeline(FeatureHasher(16), LogisticRegression()), {
        "featurehasher__alternate_sign": [True, False]
    }


@row(data.iris_sparse)
def sparse_matrix():
    return make_pipeline(StandardScaler(with_mean=False), LogisticRegression()), {
        "logisticregression__C": [0.1, 1.0]
    }


@row(data.iris_sparse_array)
def sparse_array():
    return KNeighborsClassifier(), {"n_neighbors": [1, 9]}


@row(data.iris_sparse)
def sparse_coefficients():
    return SparseLogistic(), {"sgdclassifier__alpha": [1e-4, 1e-1]}


def SparseLogistic():
    """Return a linear model whose coefficients become sparse."""
    return make_pipeline(
        PolynomialFeatures(2), SGDClassifier(penalty="l1", random_state=0)
    )


# -- without y -------------------------------------------------------------------------


@row(data.iris_alone, quick=True)
def principal_components():
    return PCA(random_state=0), {"n_components": [1, 2, 0.9], "whiten": [True, False]}


@row(data.digits, scoring=lambda estimator, X, y: 0.0, capture="both", quick=True)
def components_that_are_the_first_rows_of_a_matrix():
    return TruncatedSVD(5), {"random_state": [0], "n_oversamples": [5, 10]}


@row(data.digits, capture="both")
def principal_components_by_random_projection():
    return PCA(svd_solver="randomized", random_state=0), {"n_components": [5, 7]}


@row(data.digits, scoring=lambda estimator, X, y: 0.0, capture="both")
def principal_components_by_batches():
    return IncrementalPCA(), {"n_components": [5, 7], "batch_size": [100]}


@row(data.iris_alone)
def k_means():
    return KMeans(n_init=2, random_state=0), {
        "n_clusters": [2, 3],
        "init": ["random", "k-means++"],
    }


@row(data.iris_alone, refused_by_file=FUNCTIONS)
def centres_that_are_views_of_data():
    return MiniBatchKMeans(2, n_init=1, random_state=0), {
        "init": [lambda X, k, random_state: X[:k], lambda X, k, random_state: X[-k:]]
    }


@row(data.iris_alone, refused_by_file=FUNCTIONS)
def centres_from_functions():
    return KMeans(2, n_init=1, random_state=0), {
        "init": [
            lambda X, k, random_state: X[:k] + 0,
            lambda X, k, random_state: X[-k:] + 0,
        ]
    }


@row(
    data.iris_alone,
    scoring=lambda e, X, y=None: -float(len(np.unique(e.fit_predict(X)))),
)
def clusters_that_do_not_predict():
    return AgglomerativeClustering(), {
        "n_clusters": [2, 3],
        "linkage": ["ward", "single"],
    }


@row(data.iris_alone, scoring=lambda e, X, y=None: float(len(np.unique(e.predict(X)))))
def birch():
    return Birch(), {"n_clusters": [None, 3, AgglomerativeClustering(2)]}


@row(data.iris_alone)
def mixtures():
    return GaussianMixture(2, random_state=0), {
        "covariance_type": ["full", "tied", "diag", "spherical"]
    }


@row(data.iris_alone)
def bayesian_mixture():
    return BayesianGaussianMixture(n_components=2, random_state=0), {
        "weight_concentration_prior": [0.01, 10.0]
    }


@row(data.iris_alone)
def density():
    return KernelDensity(), {
        "kernel": ["gaussian", "tophat"],
        "bandwidth": [0.5, "scott"],
    }


@row(data.iris_alone, scoring=lambda e, X, y=None: float((e.predict(X) == 1).mean()))
def novelty():
    return LocalOutlierFactor(novelty=True), {"n_neighbors": [5, 20]}


@row(data.iris_alone, scoring=lambda e, X, y=None: float((e.predict(X) == 1).mean()))
def one_class():
    return OneClassSVM(), {"nu": [0.1, 0.5]}


@row(data.iris_alone, scoring=lambda e, X, y=None: -e.reconstruction_err_)
def factors():
    return NMF(2, random_state=0, max_iter=50), {
        "solver": ["cd", "mu"],
        "init": ["nndsvda", "random"],
    }


@row(data.iris_alone, scoring=lambda e, X, y=None: -float(e.reconstruction_error()))
def isomap():
    return Isomap(n_components=2), {"n_neighbors": [40, 60]}


@row(data.digits)
def restricted_boltzmann_machine():
    return make_pipeline(
        MinMaxScaler(), BernoulliRBM(4, n_iter=2, random_state=0), LogisticRegression()
    ), {"bernoullirbm__learning_rate": [0.01, 0.1]}


@row(data.iris)
def embedding_by_trees():
    return make_pipeline(
        RandomTreesEmbedding(3, random_state=0), LogisticRegression()
    ), {"randomtreesembedding__max_depth": [1, 2]}


# -- networks of scikit-learn ----------------------------------------------------------


@row(data.iris_words, quick=True, capture="both", rescored={"scoring": "neg_log_loss"})
def mlp():
    return make_pipeline(StandardScaler(), small_mlp()), {
        "mlpclassifier__hidden_layer_sizes": [(3,), [3], (3, 2)],
        "mlpclassifier__activation": ["relu", "tanh"],
    }


@row(data.diabetes)
def mlp_solvers():
    return MLPRegressor(hidden_layer_sizes=(3,), max_iter=10, random_state=0), {
        "solver": ["lbfgs", "adam", "sgd"],
        "early_stopping": [True, False],
    }


# -- what searches are told ------------------------------------------------------------


@row(
    data.iris,
    scoring=["accuracy", "f1_macro"],
    refit="f1_macro",
    return_train_score=True,
    quick=True,
)
def several_metrics():
    return SVC(), {"C": [0.01, 1.0]}


@row(data.iris, refit=lambda results: int(np.argmin(results["mean_test_score"])))
def refit_by_function():
    return SVC(), {"C": [0.01, 1.0]}


@row(data.iris, scoring={"a": "accuracy", "b": lambda e, X, y: float(e.C)}, refit="b")
def metrics_by_name():
    return SVC(), {"C": [0.01, 1.0]}


@row(data.iris, scoring=lambda e, X, y: {"acc": e.score(X, y), "C": -e.C}, refit="C")
def metrics_by_one_function():
    return SVC(), {"C": [0.01, 1.0]}


@row(data.iris, refit=False)
def no_refit():
    return SVC(), {"C": [0.01, 1.0]}


@row(
    data.iris,
    refit=False,
    capture="splits",
    quick=True,
    rescored={"scoring": lambda e, X, y: float(e.decision_function(X).sum())},
)
def no_refit_but_splits():
    return SVC(), {"C": [0.01, 1.0]}


@row(data.iris, capture="splits", return_train_score=True)
def splits_alone():
    return LogisticRegression(max_iter=300), {"C": [0.01, 1.0]}


@row(data.iris, keep=1)
def keep_the_best():
    return SVC(), {"C": [0.01, 1.0, 10.0]}


@row(data.iris, n_jobs=2, capture="both", quick=True)
def two_workers():
    return make_pipeline(
        FunctionTransformer(lambda X: X**2), LogisticRegression(max_iter=200)
    ), {"logisticregression__C": [0.01, 1.0]}


@row(data.iris, search="random", n_iter=4, random_state=0, quick=True)
def randomized():
    return LogisticRegression(max_iter=200), {
        "C": loguniform(1e-3, 10),
        "fit_intercept": [True, False],
    }


@row(data.iris, search="random", n_iter=4, random_state=np.random.RandomState(3))
def randomized_by_generator():
    return RandomForestClassifier(random_state=0), {"n_estimators": randint(1, 5)}


@row(data.iris, search="halving_grid", random_state=0, min_resources=30, factor=2)
def halving():
    return SVC(), {"C": [0.01, 0.1, 1.0, 10.0]}


@row(
    data.iris,
    search="halving_grid",
    resource="n_estimators",
    max_resources=4,
    min_resources=1,
    factor=2,
    random_state=0,
)
def halving_of_trees():
    return RandomForestClassifier(random_state=0), {"max_depth": [1, 2, 3]}


@row(
    data.iris, search="halving_random", random_state=0, min_resources=30, n_candidates=4
)
def halving_at_random():
    return LogisticRegression(max_iter=200), {"C": loguniform(1e-3, 10)}


@row(data.iris, cv=ShuffleSplit(2, random_state=0))
def splits_at_random():
    return SVC(), {"C": [0.01, 1.0]}


@row(
    data.iris,
    cv=RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=1),
    capture="both",
)
def repeated_splits():
    return SVC(), {"C": [0.01, 1.0]}


@row(
    data.iris,
    cv=[(np.arange(100), np.arange(100, 150)), (np.arange(50, 150), np.arange(50))],
)
def splits_as_a_list():
    return DecisionTreeClassifier(random_state=0), {"max_depth": [1, 3]}


@row(data.iris, cv=PredefinedSplit(np.arange(150) % 3))
def splits_given():
    return DecisionTreeClassifier(random_state=0), {"max_depth": [1, 3]}


@row(data.series, cv=TimeSeriesSplit(3), capture="both")
def splits_in_time():
    return Ridge(), {"alpha": [0.1, 10.0]}


@row(data.iris_grouped, cv=GroupKFold(3))
def groups():
    return SVC(), {"C": [0.01, 1.0]}


@row(data.iris_grouped, cv=LeaveOneGroupOut(), capture="both")
def one_group_out():
    return GaussianNB(), {"var_smoothing": [1e-9, 1e-1]}


@row(
    data.iris_grouped,
    cv=StratifiedGroupKFold(3, shuffle=True, random_state=0),
    n_jobs=2,
)
def shuffled_groups():
    return SVC(), {"C": [0.01, 1.0]}


@row(data.iris_weighted, quick=True)
def weights_of_samples():
    return LogisticRegression(max_iter=300), {"C": [0.01, 1.0]}


@row(data.iris_weighted, capture="both")
def weights_of_samples_of_splits():
    return DecisionTreeClassifier(random_state=0), {"max_depth": [1, 3]}


@row(data.iris_weighted, config={"enable_metadata_routing": True}, quick=True)
def routed_weights():
    model = LogisticRegression(max_iter=300).set_fit_request(sample_weight=True)
    return model.set_score_request(sample_weight=True), {"C": [0.01, 1.0]}


@row(
    data.iris_weighted_grouped,
    cv=GroupKFold(3),
    config={"enable_metadata_routing": True},
)
def routed_weights_and_groups_in_a_pipeline():
    return make_pipeline(
        StandardScaler().set_fit_request(sample_weight=False),
        LogisticRegression()
        .set_fit_request(sample_weight=True)
        .set_score_request(sample_weight=True),
    ), {"logisticregression__C": [0.01, 1.0]}


@row(data.iris_weighted, config={"enable_metadata_routing": True})
def routed_weights_in_meta_estimators():
    return BaggingClassifier(
        LogisticRegression()
        .set_fit_request(sample_weight=True)
        .set_score_request(sample_weight=False),
        n_estimators=2,
        random_state=0,
    ), {"estimator__C": [0.01, 1.0]}


@row(data.iris, error_score=-1.0)
def candidates_that_fail():
    return LogisticRegression(max_iter=200), {"C": [-1.0, 0.01, 1.0, -2.0]}


@row(data.iris, error_score=np.nan, fits_again=3)
def candidates_without_scores():
    return LogisticRegression(max_iter=200), {
        "solver": ["liblinear", "lbfgs"],
        "l1_ratio": [0.0],
        "C": [1.0, -1.0],
    }


@row(data.iris, unseeded="numpy's global generator decides")
def no_seed():
    return RandomForestClassifier(3), {"max_depth": [1, 3]}


@row(data.iris)
def generator_as_seed():
    return RandomForestClassifier(3, random_state=np.random.RandomState(7)), {
        "max_depth": [1, 3]
    }


@row(data.iris)
def generators_in_the_grid():
    return DecisionTreeClassifier(max_features=1), {
        "random_state": [np.random.RandomState(1), np.random.RandomState(2), 3]
    }


@row(data.iris)
def numpy_numbers_as_params():
    return SVC(), {
        "C": [np.float64(0.1), np.float32(1.0), np.int64(10)],
        "shrinking": [np.True_, False],
    }


@row(data.iris_float32, capture="both", snapshots=True)
def floats_of_32_bits():
    return MLPClassifier((3,), max_iter=10, random_state=0), {"alpha": [1e-4, 1.0]}


@row(data.iris)
def equal_candidates():
    return SVC(), [{"C": [0.1, 1.0]}, {"C": [1.0], "kernel": ["rbf", "linear"]}]


@row(data.iris, refused_by_file="numpy's and scipy's functions are functions")
def functions_of_libraries():
    return make_pipeline(FunctionTransformer(np.sqrt), LogisticRegression()), {
        "functiontransformer__func": [np.sqrt, np.log1p, None],
        "functiontransformer__inverse_func": [np.square],
    }


@row(data.digits, refused_by_file=FUNCTIONS)
def partial_and_stateful_functions():
    from functools import partial

    return make_pipeline(SelectKBest(k=8), GaussianNB()), {
        "selectkbest__score_func": [
            partial(mutual_info_classif, random_state=0, n_neighbors=2),
            partial(mutual_info_classif, random_state=0, n_neighbors=5),
        ]
    }


@row(data.iris)
def trees_that_are_no_trees():
    return ExtraTreeClassifier(random_state=0), {"splitter": ["random", "best"]}


@row(data.iris, cv=KFold(2, shuffle=True, random_state=5))
def linear_discriminant_with_covariance():
    from sklearn.covariance import OAS, LedoitWolf

    return LinearDiscriminantAnalysis(solver="lsqr"), {
        "covariance_estimator": [OAS(), LedoitWolf(), None]
    }

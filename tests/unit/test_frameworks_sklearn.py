"""Weights of scikit-learn's estimators, by name, shape and bit."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Ridge,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    Normalizer,
    OneHotEncoder,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from weightsearch.exceptions import NoWeightsWarning, UnstorableWeightsWarning
from weightsearch.frameworks import extract_weights

_TOOL = Path(__file__).parents[2] / "tools" / "captured_weights.py"
_spec = importlib.util.spec_from_file_location("captured_weights", _TOOL)
assert _spec is not None
assert _spec.loader is not None
captured_weights = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(captured_weights)

# Older scikit-learn passes newer scipy options that it no longer wants.
pytestmark = pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning")

X, y = load_iris(return_X_y=True)

TREE = {
    "children_left",
    "children_right",
    "feature",
    "threshold",
    "missing_go_to_left",
    "value",
    "impurity",
    "n_node_samples",
    "weighted_n_node_samples",
}


def mlp(**params):
    """A small network, fitted only as far as a test needs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MLPClassifier(max_iter=3, random_state=0, **params).fit(X, y)


@pytest.mark.parametrize("name", captured_weights.estimator_names())
def test_every_estimator_gives_weights_or_says_why_not(name):
    """No public estimator crashes; each has numeric arrays or a warning, not both."""
    estimator = captured_weights.fit_estimator(name)
    weights, messages = captured_weights.capture(estimator)
    assert bool(weights) != bool(messages)
    for array in weights.values():
        assert type(array) is np.ndarray
        assert array.dtype.kind in "biufc"


@pytest.mark.parametrize("name", captured_weights.estimator_names())
def test_names_are_equal_for_a_second_fit(name):
    """The same architecture, fitted again on the same data, has the same names."""
    fit = captured_weights.fit_estimator
    first, _ = captured_weights.capture(fit(name))
    second, _ = captured_weights.capture(fit.__wrapped__(name))
    assert list(first) == list(second)


def test_page_is_what_the_estimators_give():
    """The committed page is not out of date (on the version that it names)."""
    page = captured_weights.PAGE.read_text(encoding="utf-8")
    minor = ".".join(captured_weights.sklearn.__version__.split(".")[:2])
    if f"with scikit-learn {minor}," not in page:
        pytest.skip(f"the page was made with another version than {minor}")
    comparable = captured_weights._comparable
    assert comparable(page) == comparable(captured_weights.make_page())


def test_lists_of_layers_have_their_index_behind_a_slash():
    """A network's layers are named as the design says, and are the model's own."""
    model = mlp(hidden_layer_sizes=(8, 5))
    weights = extract_weights(model)
    assert list(weights) == [
        *("coefs_/0", "coefs_/1", "coefs_/2"),
        *("intercepts_/0", "intercepts_/1", "intercepts_/2"),
    ]
    assert weights["coefs_/1"] is model.coefs_[1]


def test_dtype_is_kept():
    """float32 weights stay float32."""
    model = MLPClassifier(max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X.astype(np.float32), y)
    assert extract_weights(model)["coefs_/0"].dtype == np.float32


def test_memory_order_is_kept():
    """A Fortran-ordered coefficient is not copied into C order."""
    model = LinearRegression().fit(X, np.column_stack([y, -y, 2 * y]))
    model.coef_ = np.asfortranarray(model.coef_)
    coef = extract_weights(model)["coef_"]
    assert coef.flags.f_contiguous
    assert not coef.flags.c_contiguous


def test_memory_mapped_weights_are_plain_views(tmp_path):
    """A memmap, as joblib hands out, becomes an ndarray over the same bytes."""
    model = LinearRegression().fit(X, y)
    mapped = np.memmap(tmp_path / "coef", dtype=float, mode="w+", shape=(4,))
    mapped[:] = model.coef_
    model.coef_ = mapped
    coef = extract_weights(model)["coef_"]
    assert type(coef) is np.ndarray
    assert np.shares_memory(coef, mapped)


def test_scalar_attribute_is_a_0d_array_of_its_dtype():
    """A float that was learned is an array without dimensions."""
    model = LinearRegression().fit(*load_diabetes(return_X_y=True))
    intercept = extract_weights(model)["intercept_"]
    assert (intercept.shape, intercept.dtype) == ((), np.float64)
    assert intercept == model.intercept_


def test_sparse_coefficients_are_component_arrays():
    """A csr matrix is its own arrays, its shape, and an encoding."""
    model = SGDClassifier(random_state=0, penalty="l1").fit(X, y).sparsify()
    weights = extract_weights(model)
    assert weights.encodings == {"coef_": "csr"}
    assert weights["coef_/data"] is model.coef_.data
    again = scipy.sparse.csr_matrix(
        tuple(weights[f"coef_/{part}"] for part in ("data", "indices", "indptr")),
        shape=tuple(weights["coef_/shape"]),
    )
    assert (again != model.coef_).nnz == 0


@pytest.mark.parametrize(("given", "kept"), [("csc", "csc"), ("coo", "csr")])
def test_other_sparse_formats(given, kept):
    """The csc format stays; what is neither csr nor csc becomes csr."""
    model = LinearRegression().fit(X, y)
    model.coef_ = scipy.sparse.coo_array(np.eye(3, 4)).asformat(given)
    weights = extract_weights(model)
    assert weights.encodings == {"coef_": kept}
    assert weights["coef_/shape"].tolist() == [3, 4]


def test_sparse_part_has_its_encoding_under_the_prefix():
    """Inside a pipeline the encoding is named as the arrays are."""
    model = make_pipeline(StandardScaler(), SGDClassifier(random_state=0)).fit(X, y)
    model[-1].sparsify()
    assert extract_weights(model).encodings == {"sgdclassifier/coef_": "csr"}


def test_tree_is_its_node_arrays():
    """A tree gives each node array bit for bit."""
    model = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y)
    weights = extract_weights(model)
    assert set(weights) == {f"tree_/{name}" for name in TREE}
    for name in TREE:
        np.testing.assert_array_equal(
            weights[f"tree_/{name}"], getattr(model.tree_, name)
        )


def test_forest_is_its_trees():
    """Every tree of a forest is there under its index, and the template is not."""
    model = RandomForestClassifier(n_estimators=3, random_state=0).fit(X, y)
    assert set(extract_weights(model)) == {
        f"estimators_/{i}/tree_/{name}" for i in range(3) for name in TREE
    }


def test_boosting_has_a_tree_for_each_stage_and_class():
    """The grid of trees is indexed by stage and class."""
    model = GradientBoostingClassifier(n_estimators=2, random_state=0).fit(X, y)
    weights = extract_weights(model)
    assert "estimators_/1/2/tree_/threshold" in weights
    np.testing.assert_array_equal(
        weights["estimators_/1/2/tree_/value"], model.estimators_[1, 2].tree_.value
    )


def test_histogram_boosting_splits_its_structured_nodes():
    """Fields of the nodes are arrays of their own."""
    model = HistGradientBoostingClassifier(max_iter=2, random_state=0).fit(X, y)
    value = extract_weights(model)["_predictors/1/2/nodes/value"]
    np.testing.assert_array_equal(value, model._predictors[1][2].nodes["value"])


def test_pipeline_names_its_steps_first():
    """The step's name is the prefix; "passthrough" has no weights."""
    model = make_pipeline(StandardScaler(), "passthrough", LogisticRegression())
    assert list(extract_weights(model.fit(X, y))) == [
        "standardscaler/mean_",
        "standardscaler/var_",
        "standardscaler/scale_",
        "logisticregression/coef_",
        "logisticregression/intercept_",
    ]


def test_pipeline_in_a_pipeline_nests_its_names():
    """Names go down as deep as the pipelines do."""
    inner = make_pipeline(StandardScaler(), mlp())
    model = make_pipeline(Normalizer(), inner).fit(X, y)
    assert "pipeline/mlpclassifier/coefs_/0" in extract_weights(model)


def test_subclass_of_pipeline_is_a_pipeline():
    """A user's subclass of a composite goes through the composite's function."""
    base = type(make_pipeline())
    sub = type("MyPipeline", (base,), {"__module__": __name__})
    model = sub([("scale", StandardScaler()), ("model", Ridge())]).fit(X, y)
    assert "model/coef_" in extract_weights(model)


def test_column_transformer_by_name_of_transformer():
    """Dropped columns have no weights, the remainder has its own name."""
    model = ColumnTransformer(
        [("num", StandardScaler(), [0, 1]), ("gone", "drop", [2])],
        remainder=StandardScaler(),
    ).fit(X)
    assert set(extract_weights(model)) == {
        f"{part}/{name}"
        for part in ("num", "remainder")
        for name in ("mean_", "var_", "scale_")
    }


def test_feature_union_by_name_of_transformer():
    """The parts of a union have their given names."""
    model = FeatureUnion([("a", StandardScaler()), ("b", "drop")]).fit(X)
    assert list(extract_weights(model)) == ["a/mean_", "a/var_", "a/scale_"]


def test_vote_by_name_keeps_names_when_one_is_dropped():
    """Dropping one estimator does not rename the others."""
    model = VotingClassifier(
        [("one", LogisticRegression()), ("two", LogisticRegression(C=2.0))]
    )
    both = extract_weights(clone(model).fit(X, y))
    less = extract_weights(clone(model).set_params(one="drop").fit(X, y))
    assert list(both) == [
        *("one/coef_", "one/intercept_", "two/coef_", "two/intercept_")
    ]
    assert list(less) == ["two/coef_", "two/intercept_"]


def test_stack_has_its_final_estimator():
    """A stack is its estimators by name and the one on top."""
    model = StackingClassifier([("tree", DecisionTreeClassifier(max_depth=2))], cv=3)
    weights = extract_weights(model.fit(X, y))
    assert "tree/tree_/value" in weights
    assert "final_estimator_/coef_" in weights


def test_bagging_has_the_features_of_each_estimator():
    """Which features each estimator sees is needed to predict."""
    model = BaggingClassifier(
        LogisticRegression(), n_estimators=2, max_features=2, random_state=0
    ).fit(X, y)
    weights = extract_weights(model)
    assert weights["estimators_/1/coef_"].shape == (3, 2)
    np.testing.assert_array_equal(
        weights["estimators_features_/1"], model.estimators_features_[1]
    )


def test_frozen_template_of_an_ensemble_is_not_a_part():
    """A fitted template beside the fitted estimators is not captured twice."""
    frozen = FrozenEstimator(LogisticRegression().fit(X, y))
    model = BaggingClassifier(frozen, n_estimators=1).fit(X, y)
    names = {name.split("/")[0] for name in extract_weights(model)}
    assert names == {"estimators_", "estimators_features_"}


def test_one_vs_rest_by_index():
    """Estimators without names of their own have an index."""
    model = OneVsRestClassifier(LogisticRegression()).fit(X, y)
    weights = extract_weights(model)
    np.testing.assert_array_equal(
        weights["estimators_/2/coef_"], model.estimators_[2].coef_
    )
    assert len(weights) == 6


def test_calibration_has_classifier_and_calibrators():
    """Both what predicts and what calibrates are captured."""
    model = CalibratedClassifierCV(LogisticRegression(), cv=2).fit(X, y)
    weights = extract_weights(model)
    part = model.calibrated_classifiers_[1]
    assert weights["calibrated_classifiers_/1/estimator/coef_"] is part.estimator.coef_
    assert weights["calibrated_classifiers_/1/calibrators/2/a_"] == float(
        part.calibrators[2].a_
    )


def test_transformed_target_has_both_parts():
    """The target's transformer counts as well as the regressor."""
    model = TransformedTargetRegressor(Ridge(), transformer=StandardScaler())
    weights = extract_weights(model.fit(X, y))
    assert {"regressor_/coef_", "transformer_/mean_"} <= set(weights)


def test_search_inside_is_its_best_estimator():
    """Of a search only the refitted estimator counts, not its results."""
    model = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2).fit(X, y)
    assert list(extract_weights(model)) == [
        "best_estimator_/coef_",
        "best_estimator_/intercept_",
    ]


def test_search_without_refit_says_so():
    """The warning says that nothing was refitted."""
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2, refit=False)
    with pytest.warns(NoWeightsWarning, match="refit=False"):
        assert extract_weights(search.fit(X, y)) == {}


def test_support_vectors_and_what_predicts_with_them():
    """An SVC has its vectors and the scaled gamma, not the derived coef_."""
    model = SVC(kernel="linear").fit(X, y)
    weights = extract_weights(model)
    assert weights["support_vectors_"] is model.support_vectors_
    assert weights["_gamma"] == model._gamma
    assert "coef_" not in weights


def test_gaussian_process_has_kernel_and_factors_but_not_the_data():
    """The kernel's free hyperparameters are captured, the training data are not."""
    model = GaussianProcessRegressor(RBF() + WhiteKernel()).fit(X[:30], X[:30, 0])
    weights = extract_weights(model)
    np.testing.assert_array_equal(weights["kernel_/theta"], model.kernel_.theta)
    assert {"L_", "alpha_"} <= set(weights)
    assert "X_train_" not in weights


def test_ragged_object_array_is_its_arrays():
    """An object array of arrays is taken apart by index."""
    model = KBinsDiscretizer(n_bins=3, encode="ordinal", strategy="uniform").fit(X)
    assert extract_weights(model)["bin_edges_/2"] is model.bin_edges_[2]


def test_splines_have_knots_and_coefficients():
    """Scipy's spline objects are taken apart."""
    model = SplineTransformer(n_knots=4).fit(X)
    weights = extract_weights(model)
    np.testing.assert_array_equal(weights["bsplines_/3/t"], model.bsplines_[3].t)
    assert len(weights) == 8


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        KNeighborsClassifier(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        VotingClassifier([("a", LogisticRegression())]),
        ColumnTransformer([("a", StandardScaler(), [0])]),
        GridSearchCV(Ridge(), {"alpha": [1.0]}),
        FrozenEstimator(LogisticRegression()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_unfitted_estimator_is_an_error(estimator):
    """What was not fitted has no weights to give."""
    with pytest.raises(NotFittedError):
        extract_weights(estimator)


def test_neighbours_keep_their_data_and_the_warning_says_so():
    """Training data are no weights."""
    model = KNeighborsClassifier().fit(X, y)
    with pytest.warns(NoWeightsWarning, match="which do not count") as caught:
        assert extract_weights(model) == {}
    assert "KNeighborsClassifier" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_stateless_estimator_says_that_it_learns_nothing():
    """An estimator that never learns is no error."""
    with pytest.warns(NoWeightsWarning, match="does not learn"):
        assert extract_weights(Normalizer().fit(X)) == {}


def test_text_is_left_out_by_name():
    """Categories of text are named by a warning, numbers beside them are kept."""
    frame = pd.DataFrame({"colour": ["red", "white", "red"], "year": [1, 2, 3]})
    model = ColumnTransformer(
        [("cat", OneHotEncoder(), ["colour"]), ("num", StandardScaler(), ["year"])]
    ).fit(frame)
    with pytest.warns(UnstorableWeightsWarning, match="cat/categories_/0"):
        weights = extract_weights(model)
    assert "num/mean_" in weights


class Odd(BaseEstimator):
    """A third-party estimator with fitted attributes of every kind."""

    def fit(self, X, y=None):
        self.numbers_ = [0.5, 1.5]
        self.table_ = pd.DataFrame({"a": [1.0, 2.0]})
        self.by_name_ = {"first": np.arange(3), "second": {"deep": np.float32(2)}}
        self.nested_ = [Ridge().fit(X, X[:, 0]), "word", None, lambda: 0]
        self.counted_ = 3
        self.flag_ = True
        self.masked_ = np.ma.masked_array([1.0, 2.0], [True, False])
        self.when_ = np.array(["2020-01-01"], dtype="datetime64[D]")
        self.anything_ = object()
        self.template_ = Ridge()
        self.classes_ = np.arange(2)
        return self

    @property
    def expensive_(self):
        """Must not be asked for."""
        raise RuntimeError("asked for a property")


def test_attributes_of_every_kind():
    """Numbers in any container are found by name, and what is none is passed over."""
    with pytest.warns(UnstorableWeightsWarning) as caught:
        weights = extract_weights(Odd().fit(X))
    assert list(weights) == [
        *("numbers_", "table_", "by_name_/first", "by_name_/second/deep"),
        *("nested_/0/coef_", "nested_/0/intercept_", "counted_"),
    ]
    assert weights["numbers_"].tolist() == [0.5, 1.5]
    assert weights["by_name_/second/deep"].dtype == np.float32
    message = str(caught[0].message)
    assert all(name in message for name in ("masked_", "when_", "anything_"))
    assert len(caught) == 1


class Duck:
    """An estimator that knows nothing of scikit-learn."""

    def fit(self, X):
        self.mean_ = X.mean(axis=0)
        return self


def test_estimator_without_base_class():
    """A duck-typed estimator goes through the same rule."""
    model = Duck().fit(X)
    assert extract_weights(model)["mean_"] is model.mean_


def test_unfitted_estimator_without_base_class():
    """A duck-typed estimator without fitted attributes is not fitted."""
    with pytest.raises(NotFittedError, match="Duck"):
        extract_weights(Duck())

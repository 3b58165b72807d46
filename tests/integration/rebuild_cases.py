"""Models for the tests of rebuilding: fitted in one process, loaded in another.

    python rebuild_cases.py FOLDER pipelines|networks|every

fits them, stores them in FOLDER, and keeps what the originals predict.
``every`` instead fits all of scikit-learn's estimators and stores them as one run.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

TEXTS = ["good warm day", "bad cold day", "warm and good", "cold and bad"] * 10
METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "score_samples",
    "transform",
)


def root(X):
    """Square root of pixels: a function that no store can hold."""
    return np.sqrt(X)


def outputs(estimator: Any, X: Any) -> dict[str, Any]:
    """All that a fitted estimator says of data."""
    found = {}
    for method in METHODS:
        if hasattr(estimator, method):
            try:
                with warnings.catch_warnings():
                    # The logarithm of a probability of zero is one of the answers.
                    warnings.simplefilter("ignore")
                    found[method] = getattr(estimator, method)(X)
            except (ValueError, TypeError, AttributeError):
                # Some estimators have a method that their params forbid.
                continue
    return found


def same(a: Any, b: Any) -> bool:
    """Whether two outputs are equal bit for bit."""
    if scipy.sparse.issparse(a):
        return type(a) is type(b) and (a != b).nnz == 0
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype == object:
        return a.tolist() == b.tolist()
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def pipelines() -> dict[str, tuple[Any, dict[str, list[Any]], Any, Any]]:
    """Name -> (estimator, grid, X, y)."""
    X, y = load_iris(return_X_y=True)
    frame = load_iris(as_frame=True).data
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    digits, numbers = load_digits(return_X_y=True)
    X_r, y_r = load_diabetes(return_X_y=True)
    return {
        "scaled_mlp": (
            make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=20)),
            {"mlpclassifier__alpha": [1e-4, 1.0]},
            digits,
            numbers,
        ),
        "function_step": (
            make_pipeline(FunctionTransformer(root), MLPClassifier(max_iter=5)),
            {"mlpclassifier__hidden_layer_sizes": [(4,), (8,)]},
            digits,
            numbers,
        ),
        "column_transformer": (
            make_pipeline(
                make_column_transformer(
                    (StandardScaler(), ["sepal length (cm)"]),
                    (OneHotEncoder(handle_unknown="ignore"), ["petal width (cm)"]),
                    remainder="passthrough",
                ),
                SVC(probability=False),
            ),
            {"svc__C": [0.1, 10.0]},
            frame,
            words,
        ),
        "union_of_forests": (
            make_pipeline(
                make_union(PCA(2), StandardScaler()), RandomForestClassifier(5)
            ),
            {"randomforestclassifier__max_depth": [2, None]},
            X,
            words,
        ),
        "text": (
            make_pipeline(TfidfVectorizer(), LogisticRegression()),
            {"tfidfvectorizer__ngram_range": [(1, 1), (1, 2)]},
            TEXTS,
            np.array(["+", "-"] * 20),
        ),
        "stacking": (
            StackingClassifier(
                [("knn", KNeighborsClassifier()), ("svc", SVC())],
                LogisticRegression(),
                cv=2,
            ),
            {"knn__n_neighbors": [1, 5]},
            X,
            words,
        ),
        "early_stopping": (
            MLPRegressor(hidden_layer_sizes=(6,), early_stopping=True, max_iter=30),
            {"alpha": [1e-4, 1.0]},
            X_r,
            y_r,
        ),
    }


def networks() -> dict[str, tuple[Any, dict[str, list[Any]], Any, Any]]:
    """Name -> (estimator, grid, X, y), of Keras and PyTorch."""
    import keras_builders
    import torch
    from keras.wrappers import SKLearnClassifier
    from own_networks import OwnKerasClassifier, TorchClassifier
    from scikeras.wrappers import KerasClassifier, KerasRegressor
    from skorch import NeuralNetClassifier, NeuralNetRegressor
    from skorch.callbacks import LRScheduler
    from torch_modules import HalfNet, SimpleNet

    X, y = load_iris(return_X_y=True)
    X = X.astype(np.float32)
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    X_r, y_r = load_diabetes(return_X_y=True)
    X_r = X_r.astype(np.float32)
    y_r = ((y_r - y_r.mean()) / y_r.std()).astype(np.float32)
    few = {"epochs": 2, "verbose": 0, "random_state": 0}
    net = {"max_epochs": 2, "verbose": 0, "module__n_features": 4}
    two = (y > 0).astype(np.int64)
    return {
        "scikeras": (
            KerasClassifier(keras_builders.build_iris, **few, hidden_units=4),
            {"hidden_units": [3, 5]},
            X,
            words,
        ),
        "scikeras_in_pipeline": (
            make_pipeline(
                StandardScaler(),
                KerasClassifier(keras_builders.build_iris, **few, hidden_units=4),
            ),
            {"kerasclassifier__hidden_units": [3, 5]},
            X,
            words,
        ),
        "scikeras_regressor": (
            KerasRegressor(keras_builders.build_diabetes, **few, hidden_units=4),
            {"hidden_units": [3, 5]},
            X_r,
            y_r,
        ),
        "keras_wrappers": (
            SKLearnClassifier(
                keras_builders.build_from_data, fit_kwargs={"verbose": 0}
            ),
            {"model_kwargs": [{"hidden": 3}, {"hidden": 5}]},
            X,
            y,
        ),
        "skorch": (
            NeuralNetClassifier(SimpleNet, criterion=torch.nn.CrossEntropyLoss, **net),
            {"module__hidden_units": [3, 5]},
            X,
            two,
        ),
        "skorch_in_pipeline": (
            make_pipeline(
                StandardScaler(),
                NeuralNetClassifier(
                    SimpleNet,
                    criterion=torch.nn.CrossEntropyLoss,
                    optimizer=torch.optim.Adam,
                    callbacks=[LRScheduler()],
                    **net,
                ),
            ),
            {"neuralnetclassifier__module__activation": ["relu", "tanh"]},
            X,
            two,
        ),
        "skorch_bfloat16": (
            NeuralNetRegressor(HalfNet, max_epochs=2, verbose=0),
            {"module__hidden_units": [3, 5]},
            X_r,
            y_r[:, None],
        ),
        "own_torch": (TorchClassifier(), {"hidden": [3, 4]}, X, words),
        "own_torch_layers": (TorchClassifier(own=False), {"hidden": [3, 4]}, X, words),
        "own_keras": (OwnKerasClassifier(), {"hidden": [3, 4]}, X, words),
    }


CASES = {"pipelines": pipelines, "networks": networks}


def main(folder: Path, kind: str) -> None:
    """Search in every case, and keep what the best estimators say."""
    from weightsearch import WeightTrackingGridSearchCV

    for name, (estimator, grid, X, y) in CASES[kind]().items():
        search = WeightTrackingGridSearchCV(
            estimator, grid, cv=2, store=folder / f"{name}.h5", capture="both"
        ).fit(X, y)
        said = outputs(search.best_estimator_, X)
        np.savez(
            folder / f"{name}.npz",
            best=search.best_index_,
            score=search.score(X, y),
            **said,
        )


def fitted_estimators() -> dict[str, Any]:
    """All of scikit-learn's estimators that can be fitted here, by name."""
    sys.path.append(str(Path(__file__).parents[2] / "tools"))
    from captured_weights import estimator_names, fit_estimator

    found = {}
    for name in estimator_names():
        try:
            found[name] = fit_estimator(name)
        except (ValueError, TypeError, ImportError):
            # Not every version of scikit-learn fits every estimator on such data.
            continue
    return found


def data_for(name: str, estimator: Any) -> Any:
    """What an estimator of that name is asked about."""
    import captured_weights

    X, y = captured_weights._iris()
    special = {
        "CountVectorizer": captured_weights.TEXTS,
        "DictVectorizer": captured_weights._records(),
        "FeatureHasher": captured_weights._records(),
        "HashingVectorizer": captured_weights.TEXTS,
        "LabelBinarizer": y,
        "LabelEncoder": y,
        "MultiLabelBinarizer": [{1}, {1, 2}, {3}],
        "PatchExtractor": load_digits().images[:5],
        "TfidfVectorizer": captured_weights.TEXTS,
    }
    if name in special:
        return special[name]
    return captured_weights._enforce_estimator_tags_X(estimator, X)


def store_every(folder: Path) -> None:
    """Store scikit-learn's estimators as the candidates of one run."""
    import pickle

    from weightsearch._records import OK, REFIT, FitRecord, RunHeader, RunResults
    from weightsearch.frameworks._capture import capture
    from weightsearch.store import WriteSession

    said = {}
    header = RunHeader("a" * 32, "every", "running", "2026-01-01T00:00:00+00:00")
    with WriteSession.open(folder / "every.h5") as session:
        session.begin(header)
        for number, (name, estimator) in enumerate(fitted_estimators().items()):
            kept = capture(estimator)
            session.set_params(number, [f'{{"name":"{name}"}}'])
            session.append(
                FitRecord(
                    number, REFIT, OK, None, {}, weights=kept.weights, state=kept.state
                )
            )
            said[name] = outputs(estimator, data_for(name, estimator))
        session.commit(RunResults({}, None))
    # Only the test reads it, which has made it.
    (folder / "every.pickle").write_bytes(pickle.dumps(said))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    target = Path(sys.argv[1])
    if sys.argv[2] == "every":
        store_every(target)
    else:
        main(target, sys.argv[2])

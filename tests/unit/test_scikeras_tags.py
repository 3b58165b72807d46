"""What ``ensure_tags`` makes of scikeras on today's scikit-learn."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import is_classifier, is_regressor
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

keras = pytest.importorskip("keras")
wrappers = pytest.importorskip("scikeras.wrappers")

from weightsearch.frameworks.keras import ensure_tags  # noqa: E402

METHOD = "__sklearn_tags__"


@pytest.fixture(autouse=True)
def as_installed(monkeypatch):
    """Undo what an earlier search in this process did; it comes back afterwards."""
    if METHOD in vars(wrappers.BaseWrapper):
        monkeypatch.delattr(wrappers.BaseWrapper, METHOD)
    yield
    # Not monkeypatch's business: what the test itself had ensured.
    if METHOD in vars(wrappers.BaseWrapper):
        delattr(wrappers.BaseWrapper, METHOD)


def build(meta):
    multiclass = meta["n_classes_"] > 2
    out = keras.layers.Dense(
        meta["n_classes_"] if multiclass else 1,
        activation="softmax" if multiclass else "sigmoid",
    )
    hidden = keras.layers.Dense(16, activation="relu")
    return keras.Sequential(
        [keras.layers.Input((meta["n_features_in_"],)), hidden, out]
    )


def classifier(loss, epochs):
    return wrappers.KerasClassifier(
        build,
        loss=loss,
        optimizer="adam",
        optimizer__learning_rate=0.02,
        epochs=epochs,
        batch_size=32,
        verbose=0,
        random_state=0,
    )


def mended():
    return getattr(wrappers.KerasClassifier(), METHOD)().estimator_type is not None


def test_this_scikeras_still_needs_it():
    """Should this fail, scikeras is mended and ``ensure_tags`` can go."""
    assert not mended()
    assert ensure_tags()


def test_classifier_and_regressor_are_recognised():
    """Each is what it is called, bare and at the end of a pipeline."""
    ensure_tags()
    classifier, regressor = wrappers.KerasClassifier(), wrappers.KerasRegressor()
    for wrap in (lambda part: part, lambda part: make_pipeline(StandardScaler(), part)):
        assert is_classifier(wrap(classifier))
        assert not is_regressor(wrap(classifier))
        assert is_regressor(wrap(regressor))
        assert not is_classifier(wrap(regressor))
    assert is_classifier(BaggingClassifier(classifier))


def test_tags_say_what_scikeras_said_before():
    """The old tags of scikeras come along."""
    ensure_tags()
    tags = get_tags(wrappers.KerasClassifier())
    assert tags.classifier_tags.multi_label
    assert tags.classifier_tags.poor_score
    assert tags.target_tags.required
    assert tags.target_tags.multi_output
    assert tags.regressor_tags is None
    tags = get_tags(wrappers.KerasRegressor())
    assert tags.regressor_tags.poor_score
    assert tags.classifier_tags is None


def test_second_call_changes_nothing():
    """Only the first call changes the class."""
    assert ensure_tags()
    method = vars(wrappers.BaseWrapper)[METHOD]
    assert not ensure_tags()
    assert vars(wrappers.BaseWrapper)[METHOD] is method


def test_subclasses():
    """A subclass gets the tags, and one with tags of its own builds on them."""

    class Plain(wrappers.KerasClassifier):
        pass

    class Own(wrappers.KerasClassifier):
        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.classifier_tags.multi_class = False
            return tags

    own = vars(Own)[METHOD]
    ensure_tags()
    assert is_classifier(Plain())
    assert is_classifier(Own())
    assert not get_tags(Own()).classifier_tags.multi_class
    assert vars(Own)[METHOD] is own


def test_bare_wrapper_stays_neither():
    """A wrapper that is no classifier and no regressor is not made one."""
    ensure_tags()
    assert get_tags(wrappers.BaseWrapper()).estimator_type is None


def test_steps_aside_for_a_mended_scikeras(monkeypatch):
    """Classes that say by themselves what they are stay as they are."""

    def say(kind):
        def tags(self):
            tags = super(wrappers.BaseWrapper, self).__sklearn_tags__()
            tags.estimator_type = kind
            return tags

        return tags

    monkeypatch.setattr(
        wrappers.KerasClassifier, METHOD, say("classifier"), raising=False
    )
    monkeypatch.setattr(
        wrappers.KerasRegressor, METHOD, say("regressor"), raising=False
    )
    assert not ensure_tags()
    assert METHOD not in vars(wrappers.BaseWrapper)


def test_imports_nothing():
    """Without scikeras in the process nothing is imported and nothing happens."""
    script = (
        "import sys\n"
        "from weightsearch.frameworks.keras import ensure_tags\n"
        "assert ensure_tags() is False\n"
        "assert not {'scikeras', 'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)


def test_estimator_pickled_before_is_recognised_after():
    """The tags belong to the class, so that no estimator carries them."""
    data = pickle.dumps(wrappers.KerasClassifier())
    ensure_tags()
    assert is_classifier(pickle.loads(data))


@pytest.mark.slow
def test_iris_is_stratified():
    """With ``cv=3`` on sorted classes, every fold has all of them."""
    ensure_tags()
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    estimator = classifier("sparse_categorical_crossentropy", epochs=15)
    search = GridSearchCV(estimator, {"batch_size": [16]}, cv=3, error_score="raise")
    search.fit(X, y)
    assert search.best_score_ > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("where", ["bare", "pipeline"])
def test_roc_auc(where):
    """A scorer that needs probabilities finds them."""
    ensure_tags()
    X, y = load_breast_cancer(return_X_y=True)
    estimator = classifier("binary_crossentropy", epochs=3)
    name = "batch_size"
    if where == "bare":
        X = StandardScaler().fit_transform(X)
    else:
        estimator = make_pipeline(StandardScaler(), estimator)
        name = "kerasclassifier__batch_size"
    search = GridSearchCV(
        estimator, {name: [16]}, cv=2, scoring="roc_auc", error_score="raise"
    )
    search.fit(X.astype(np.float32), y)
    assert search.best_score_ > 0.9

"""Who is asked for the weights of which class, and what the registry makes of it."""

from __future__ import annotations

import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from weightsearch._records import Weights
from weightsearch.exceptions import NoWeightsWarning, UnstorableWeightsWarning
from weightsearch.frameworks import _registry, extract_weights, register_extractor
from weightsearch.frameworks._registry import extract_parts, leave_out, merge

# Older scikit-learn passes newer scipy options that it no longer wants.
pytestmark = pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning")

X, y = load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def _own_registrations(monkeypatch):
    """Registrations of a test end with it."""
    monkeypatch.setattr(_registry, "_registered", {})


class Prototypes(ClassifierMixin, BaseEstimator):
    """Keeps what it learns where no rule finds it."""

    def fit(self, X, y):
        self.hidden = np.array([X[y == label].mean(axis=0) for label in np.unique(y)])
        self.learned_ = True
        return self


def prototypes(estimator):
    """Weights of Prototypes."""
    return Weights({"hidden": estimator.hidden})


class SubPrototypes(Prototypes):
    """A user's subclass."""


def test_registered_class_is_extracted_by_its_function():
    """A class that was registered goes through the registered function."""
    model = Prototypes().fit(X, y)
    register_extractor(Prototypes, prototypes)
    assert extract_weights(model)["hidden"] is model.hidden


def test_registration_by_name_needs_no_import():
    """A qualified name does as well as the class."""
    register_extractor(f"{__name__}.Prototypes", prototypes)
    assert list(extract_weights(Prototypes().fit(X, y))) == ["hidden"]


def test_subclass_of_registered_class_is_known():
    """The method resolution order leads from a subclass to the registration."""
    register_extractor(Prototypes, prototypes)
    assert list(extract_weights(SubPrototypes().fit(X, y))) == ["hidden"]


def test_most_specific_registration_wins():
    """A registration for the subclass goes before the one for its base."""
    register_extractor(Prototypes, prototypes)
    register_extractor(SubPrototypes, lambda model: Weights({"sub": model.hidden}))
    assert list(extract_weights(SubPrototypes().fit(X, y))) == ["sub"]


def test_registration_goes_before_built_in():
    """A user may replace what is built in for a class."""
    register_extractor(Pipeline, lambda pipeline: {"n": np.array(len(pipeline.steps))})
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    assert extract_weights(model) == {"n": 2}


def test_built_in_subclass_goes_before_registered_base():
    """A registration for a far base does not hide a nearer built-in class."""
    register_extractor(BaseEstimator, lambda model: Weights({"base": np.zeros(1)}))
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    assert "standardscaler/base" in extract_weights(model)


def test_registered_part_of_pipeline_has_its_step_as_prefix():
    """Registrations hold inside composites too."""
    register_extractor(Prototypes, prototypes)
    model = make_pipeline(StandardScaler(), Prototypes()).fit(X, y)
    assert "prototypes/hidden" in extract_weights(model)


def test_plain_dict_from_extractor_becomes_weights():
    """A short extractor may return a dict."""
    register_extractor(Prototypes, lambda model: {"hidden": model.hidden})
    assert isinstance(extract_weights(Prototypes().fit(X, y)), Weights)


@pytest.mark.parametrize(
    ("key", "extractor", "error"),
    [
        (3, prototypes, TypeError),
        ("Prototypes", prototypes, ValueError),
        (Prototypes, "no function", TypeError),
    ],
)
def test_bad_registration_is_refused(key, extractor, error):
    """What can never match or never run is refused at once."""
    with pytest.raises(error):
        register_extractor(key, extractor)


def test_registrations_travel_to_another_process():
    """What one process hands out, another takes over."""
    register_extractor(Prototypes, prototypes)
    sent = _registry.registered_extractors()
    _registry._registered.clear()
    _registry.use_extractors(sent)
    assert list(extract_weights(Prototypes().fit(X, y))) == ["hidden"]


def test_class_instead_of_instance_is_a_type_error():
    """A class has learned nothing, and the error says what is wanted."""
    with pytest.raises(TypeError, match="takes a fitted instance"):
        extract_weights(LogisticRegression)


def test_thing_that_is_no_estimator_is_a_type_error():
    """The error for an unknown thing says how to make it known."""
    with pytest.raises(TypeError, match="register_extractor"):
        extract_weights(3.5)


def test_merged_parts_keep_ties_and_encodings_under_their_prefix():
    """Ties and encodings of a part are renamed as its arrays are."""
    part = Weights(
        {"coef_/data": np.ones(1), "a": np.ones(1)},
        ties={"b": "a"},
        encodings={"coef_": "csr"},
    )
    whole = Weights()
    merge(whole, part, "step")
    assert list(whole) == ["step/coef_/data", "step/a"]
    assert whole.ties == {"step/b": "step/a"}
    assert whole.encodings == {"step/coef_": "csr"}


def test_words_and_gaps_in_place_of_parts_are_skipped():
    """None, "drop" and "passthrough" are no parts."""
    assert extract_parts([("a", None), ("b", "drop"), ("c", "passthrough")]) == {}


def test_part_that_is_not_fitted_has_no_weights():
    """A template among the parts does not spoil the whole."""
    parts = [("template", LinearRegression()), ("model", LinearRegression().fit(X, y))]
    assert list(extract_parts(parts)) == ["model/coef_", "model/intercept_"]


def test_part_that_contains_the_whole_is_not_followed():
    """An estimator that refers to itself ends."""
    model = LinearRegression().fit(X, y)
    model.parent_ = model
    model.family_ = [model, {"self": model}]
    assert list(extract_weights(model)) == ["coef_", "intercept_"]


def test_container_that_contains_itself_is_not_followed():
    """A list that holds itself ends."""
    model = LinearRegression().fit(X, y)
    model.loop_ = [np.ones(2)]
    model.loop_.append(model.loop_)
    assert list(extract_weights(model)) == ["coef_", "intercept_", "loop_/0"]


def test_second_array_of_a_name_is_left_out_with_a_warning():
    """Two arrays can never stand under one name without a word."""
    model = LinearRegression().fit(X, y)
    model.parts_ = {"1": np.ones(1), 1: np.zeros(1)}
    with pytest.warns(UnstorableWeightsWarning, match="parts_/1: its name is taken"):
        weights = extract_weights(model)
    assert weights["parts_/1"] == 1.0


def test_only_the_whole_warns_and_names_the_way_to_the_part():
    """What a part leaves out is named once, by the warning of the whole."""
    words = np.array([["red"], ["dry"], ["red"]], dtype=object)
    model = make_pipeline(OneHotEncoder(), LinearRegression()).fit(words, [1, 2, 3])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        extract_weights(model)
    assert [w.category for w in caught] == [UnstorableWeightsWarning]
    assert "onehotencoder/categories_/0" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_extraction_inside_an_extractor_does_not_warn():
    """Inside an extractor, extract_weights leaves all warning to the whole."""
    register_extractor(
        Prototypes, lambda model: extract_weights(OneHotEncoder().fit([["a"], ["b"]]))
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        extract_weights(Prototypes().fit(X, y))
    assert [w.category for w in caught] == [UnstorableWeightsWarning, NoWeightsWarning]
    assert "Prototypes" in str(caught[0].message)


def test_collecting_gives_the_warnings_instead_of_warning():
    """A worker gets what there is to warn of as values."""
    words = OneHotEncoder().fit([["a"], ["b"]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weights, notes = _registry.collect_weights(words)
    assert weights == {}
    assert [type(note) for note in notes] == [
        UnstorableWeightsWarning,
        NoWeightsWarning,
    ]


class Trackless(BaseEstimator):
    """Fits without leaving a trace, and does not say so in its tags."""

    def fit(self, X, y):
        return self


def test_collecting_from_what_shows_no_trace_of_its_fit():
    """What was just fitted is never called unfitted; it has no weights."""
    weights, notes = _registry.collect_weights(Trackless().fit(X, y))
    assert weights == {}
    assert [type(note) for note in notes] == [NoWeightsWarning]


def test_step_that_shows_no_trace_of_its_fit_spoils_nothing():
    """The other steps of its pipeline are captured."""
    model = make_pipeline(StandardScaler(), Trackless()).fit(X, y)
    weights, notes = _registry.collect_weights(model)
    assert next(iter(weights)) == "standardscaler/mean_"
    assert notes == []


def test_note_outside_an_extraction_warns_at_once():
    """An extractor that is called by hand loses no note."""
    with pytest.warns(UnstorableWeightsWarning, match="coef_ is left out: too odd"):
        leave_out("coef_", "too odd")


def test_error_in_an_extractor_leaves_no_trace():
    """After an error the next extraction starts anew."""

    def broken(model):
        leave_out("hidden", "never said")
        raise NotFittedError("not yet")

    register_extractor(Prototypes, broken)
    with pytest.raises(NotFittedError, match="not yet"):
        extract_weights(Prototypes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extract_weights(LinearRegression().fit(X, y))


def test_threads_extract_without_mixing_their_parts():
    """Extractions in several threads at a time give what each would alone."""
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(C=c)).fit(X, y)
        for c in (0.1, 1.0, 10.0)
    ]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(extract_weights, models * 20))
    for weights, model in zip(found, models * 20, strict=True):
        assert weights["logisticregression/coef_"] is model[-1].coef_
        assert len(weights) == 5


def test_frameworks_are_not_imported_for_scikit_learn():
    """Extracting from scikit-learn loads neither torch nor keras."""
    code = (
        "import sys\n"
        "from sklearn.linear_model import LinearRegression\n"
        "from weightsearch.frameworks import extract_weights\n"
        "extract_weights(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]))\n"
        "heavy = {'torch', 'keras', 'tensorflow', 'skorch', 'scikeras'}\n"
        "print(*sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""

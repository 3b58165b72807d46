"""Changes between two runs of one search, and how many fits each one costs.

A row says what is searched first and what then, with the same store, and how many
fits the second search must make: those that the change makes other fits, no more.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn import config_context
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from weightsearch._identity import _environment, _origin

__all__ = ["OTHER_SPLITS", "SPLITS", "TABLE", "Change", "Setup"]

X, Y = (array[::3] for array in load_iris(return_X_y=True))
FRAME = pd.DataFrame(X, columns=["a", "b", "c", "d"])
FOLDER = tempfile.TemporaryDirectory()
NUMBERS = itertools.count()


@dataclass(frozen=True)
class Setup:
    """One search; what depends on the user's module is a function of it."""

    estimator: Callable[[Any], Any] = lambda own: LogisticRegression(max_iter=20)
    grid: Callable[[Any], Any] = lambda own: {"C": [0.1, 1.0]}
    options: Callable[[Any], Mapping[str, Any]] = lambda own: {}
    X: Any = field(default_factory=lambda: X)
    y: Any = field(default_factory=lambda: Y)
    fit_params: Mapping[str, Any] = field(default_factory=dict)
    # Modules by name, the last one of which is the user's own.
    modules: Mapping[str, str] = field(default_factory=dict)
    within: Callable[[], AbstractContextManager[Any]] = nullcontext
    # What happens to the user's module and the estimator before the search.
    used: Callable[[Any, Any], Any] = lambda own, estimator: None

    def loaded(self) -> Any:
        """Import the modules, of this text whatever was imported before."""
        own: Any = SimpleNamespace()
        for name, text in self.modules.items():
            own = _import(name, text)
        return own


@dataclass(frozen=True)
class Change:
    """A row: two searches, and the fits of the second one.

    ``ALL`` fits are those of two candidates on two splits, and their refits.
    """

    before: Setup
    after: Setup
    redone: int
    # What the second search says it differs in, where it makes all fits again.
    reason: str = ""
    marks: tuple[str, ...] = ()


ALL, SPLITS, OTHER_SPLITS, NONE = 6, 4, 8, 0
"""Other splits are four instead of two."""
BASE = Setup()


def change(redone: int, reason: str = "", **after: Any) -> Change:
    """Change something of the usual search."""
    return Change(BASE, replace(BASE, **after), redone, reason)


def between(
    redone: int,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    reason: str = "",
    marks: tuple[str, ...] = (),
    **both: Any,
) -> Change:
    """Change one search into another, both of which differ from the usual one."""
    base = replace(BASE, **both)
    first, second = replace(base, **before), replace(base, **after)
    return Change(first, second, redone, reason, marks)


def _import(name: str, text: str) -> ModuleType:
    folder = Path(FOLDER.name, str(next(NUMBERS)))
    folder.mkdir()
    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def installed(version: str, text: str) -> Iterator[None]:
    """Have a library installed for a while, as a package manager does."""
    folder = Path(FOLDER.name, str(next(NUMBERS)), "site-packages")
    info = folder / f"somelib-{version}.dist-info"
    info.mkdir(parents=True)
    lines = f"Metadata-Version: 2.1\nName: somelib\nVersion: {version}\n"
    (info / "METADATA").write_text(lines)
    (info / "top_level.txt").write_text("somelib\n")
    (folder / "somelib.py").write_text(textwrap.dedent(text))
    sys.path.insert(0, str(folder))
    _forget_what_is_installed()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("somelib", None)
        _forget_what_is_installed()


def _forget_what_is_installed() -> None:
    importlib.invalidate_caches()
    # All packages are looked through once for a process, which takes a second.
    _origin._distributions()["somelib"] = ["somelib"]
    _environment._version.cache_clear()


@contextmanager
def patched(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Put something else in the place of an attribute."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def torch_dtype(name: str) -> Iterator[None]:
    """Let torch make numbers of this type unless it is told another."""
    import torch

    torch.set_default_dtype(getattr(torch, name))
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def keras_floatx(name: str) -> Iterator[None]:
    """Let Keras make numbers of this type unless it is told another."""
    import keras

    keras.config.set_floatx(name)
    try:
        yield
    finally:
        keras.config.set_floatx("float32")


# Settings ---------------------------------------------------------------------

SETTINGS = {
    "transform_output": change(
        ALL,
        "settings: sklearn transform_output default -> pandas",
        within=lambda: config_context(transform_output="pandas"),
    ),
    "metadata_routing": change(
        ALL,
        "settings: sklearn enable_metadata_routing False -> True",
        within=lambda: config_context(enable_metadata_routing=True),
    ),
    "assume_finite": change(
        ALL,
        "settings: sklearn assume_finite False -> True",
        within=lambda: config_context(assume_finite=True),
    ),
    "display": change(NONE, within=lambda: config_context(display="text")),
    "working_memory": change(NONE, within=lambda: config_context(working_memory=64)),
    "errors_of_numpy": change(
        ALL,
        "settings: numpy errors raised none -> invalid",
        within=lambda: np.errstate(invalid="raise"),
    ),
    "printing_of_numpy": change(NONE, within=lambda: np.printoptions(precision=2)),
    "threads": change(NONE, within=lambda: threadpool_limits(2)),
    "torch_default_dtype": between(
        ALL,
        {},
        {"within": lambda: torch_dtype("float64")},
        "settings: torch default_dtype torch.float32 -> torch.float64",
        ("torch",),
        estimator=lambda own: make_pipeline(
            FunctionTransformer(own.through_torch), LogisticRegression()
        ),
        grid=lambda own: {"logisticregression__C": [0.1, 1.0]},
        modules={
            "own": """
            import torch

            def through_torch(X):
                return torch.tensor(X.tolist()).numpy()
            """
        },
    ),
    "torch_default_dtype_without_torch": replace(
        change(NONE, within=lambda: torch_dtype("float64")), marks=("torch",)
    ),
    "keras_floatx": between(
        ALL,
        {},
        {"within": lambda: keras_floatx("float64")},
        "keras floatx float32 -> float64",
        ("keras", "slow"),
        estimator=lambda own: make_pipeline(
            FunctionTransformer(own.through_keras), LogisticRegression()
        ),
        grid=lambda own: {"logisticregression__C": [0.1, 1.0]},
        modules={
            "own": """
            import keras

            def through_keras(X):
                return keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(X))
            """
        },
    ),
}

# Versions ---------------------------------------------------------------------

LIBRARY = """
import numpy as np
from sklearn.model_selection import KFold


def error(y, predicted):
    return float(np.{average}(np.abs(y - predicted)))


def scaled(X):
    return X * {factor}


class Splitter(KFold):
    def __init__(self):
        super().__init__({splits}, shuffle=True, random_state={factor})


class Weights(np.ndarray):
    pass
"""
OLD = functools.partial(
    installed, "1.0", LIBRARY.format(average="mean", factor=1, splits=2)
)
NEW = functools.partial(
    installed, "2.0", LIBRARY.format(average="median", factor=9, splits=2)
)


def _somelib() -> Any:
    return importlib.import_module("somelib")


VERSIONS = {
    "library_of_the_scorer": between(
        SPLITS,
        {"within": OLD},
        {"within": NEW},
        "versions: somelib 1.0 -> 2.0",
        options=lambda own: {"scoring": make_scorer(_somelib().error)},
    ),
    "library_of_a_param": between(
        ALL,
        {"within": OLD},
        {"within": NEW},
        "versions: somelib 1.0 -> 2.0",
        estimator=lambda own: make_pipeline(
            FunctionTransformer(_somelib().scaled), LogisticRegression()
        ),
        grid=lambda own: {"logisticregression__C": [0.1, 1.0]},
    ),
    "library_of_a_candidate": between(
        ALL,
        {"within": OLD},
        {"within": NEW},
        estimator=lambda own: make_pipeline(
            FunctionTransformer(), LogisticRegression()
        ),
        grid=lambda own: {
            "functiontransformer__func": [_somelib().scaled],
            "logisticregression__C": [0.1, 1.0],
        },
    ),
    "library_of_the_splitter": between(
        SPLITS,
        {"within": OLD},
        {"within": NEW},
        options=lambda own: {"cv": _somelib().Splitter()},
    ),
    "library_that_takes_no_part": between(NONE, {"within": OLD}, {"within": NEW}),
}

# Params and who owns them -----------------------------------------------------

OWN_NAMES = """
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LogisticRegression
from sklearn.ensemble import RandomForestClassifier


class RecentMean(RegressorMixin, BaseEstimator):
    def __init__(self, memory="short", q=0.5, n_jobs=1):
        self.memory = memory
        self.q = q
        self.n_jobs = n_jobs

    def fit(self, X, y, verbose=0):
        recent = y[-{"short": 5, "long": 20}[self.memory] :]
        self.mean_ = np.quantile(recent, self.q) * self.n_jobs + verbose
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


class Sizes(RecentMean):
    def __init__(self, sizes=None, q=0.5):
        super().__init__(q=q)
        self.sizes = sizes

    def fit(self, X, y):
        self.mean_ = self.q * next(iter(self.sizes))
        return self


class Careful(RandomForestClassifier):
    def fit(self, X, y):
        return super().fit(X[: len(X) - self.verbose], y[: len(X) - self.verbose])


class Plain(RandomForestClassifier):
    pass
"""
OWN: dict[str, Any] = {
    "modules": {"own": OWN_NAMES},
    "grid": lambda own: {"q": [0.4, 0.6]},
}
FOREST: dict[str, Any] = {"grid": lambda own: {"max_depth": [1, 2]}}


def forest(**params: Any) -> Any:
    """Return a small forest that is the same each time."""
    return RandomForestClassifier(5, random_state=0, **params)


def piped(**params: Any) -> Any:
    """Return a forest in a pipeline."""
    return make_pipeline(StandardScaler(), forest(**params))


PIPED: dict[str, Any] = {
    "grid": lambda own: {"randomforestclassifier__max_depth": [1, 2]}
}
PARAMS = {
    "random_state": between(
        ALL,
        {"estimator": lambda own: RandomForestClassifier(5, random_state=0)},
        {"estimator": lambda own: RandomForestClassifier(5, random_state=1)},
        "the estimator's params (random_state 0 -> 1)",
        **FOREST,
    ),
    "n_jobs": between(
        NONE,
        {"estimator": lambda own: forest()},
        {"estimator": lambda own: forest(n_jobs=2)},
        **FOREST,
    ),
    "n_jobs_of_the_search": change(NONE, options=lambda own: {"n_jobs": 1}),
    "n_jobs_of_a_candidate": between(
        NONE,
        {"grid": lambda own: {"max_depth": [1, 2], "n_jobs": [1]}},
        {"grid": lambda own: {"max_depth": [1, 2], "n_jobs": [2]}},
        estimator=lambda own: forest(),
    ),
    "verbose_in_a_pipeline": between(
        NONE,
        {"estimator": lambda own: piped()},
        {"estimator": lambda own: piped(verbose=0).set_params(verbose=False)},
        **PIPED,
    ),
    "memory_of_a_pipeline": between(
        NONE,
        {"estimator": lambda own: piped()},
        {"estimator": lambda own: piped().set_params(memory=FOLDER.name)},
        **PIPED,
    ),
    "memory_of_a_step_of_ones_own": between(
        3,  # of one candidate
        {"grid": lambda own: {"recentmean__memory": ["short"]}},
        {"grid": lambda own: {"recentmean__memory": ["long"]}},
        estimator=lambda own: make_pipeline(StandardScaler(), own.RecentMean()),
        modules=OWN["modules"],
    ),
    "memory_of_ones_own": between(
        ALL,
        {"estimator": lambda own: own.RecentMean("short")},
        {"estimator": lambda own: own.RecentMean("long")},
        "the estimator's params (memory 'short' -> 'long')",
        **OWN,
    ),
    "n_jobs_of_ones_own": between(
        ALL,
        {"estimator": lambda own: own.RecentMean()},
        {"estimator": lambda own: own.RecentMean(n_jobs=2)},
        **OWN,
    ),
    "verbose_of_ones_own_fit": between(
        ALL,
        {"fit_params": {"verbose": 0}},
        {"fit_params": {"verbose": 1}},
        "the params of fit, such as sample_weight",
        estimator=lambda own: own.RecentMean(),
        **OWN,
    ),
    "inherited_verbose_that_a_fit_uses": between(
        ALL,
        {"estimator": lambda own: own.Careful(5, random_state=0)},
        {"estimator": lambda own: own.Careful(5, random_state=0, verbose=1)},
        modules=OWN["modules"],
        **FOREST,
    ),
    "inherited_verbose": between(
        NONE,
        {"estimator": lambda own: own.Plain(5, random_state=0)},
        {"estimator": lambda own: own.Plain(5, random_state=0, n_jobs=2)},
        modules=OWN["modules"],
        **FOREST,
    ),
    "order_of_a_dict": between(
        ALL,
        {"estimator": lambda own: own.Sizes({1: "a", 2: "b"})},
        {"estimator": lambda own: own.Sizes({2: "b", 1: "a"})},
        **OWN,
    ),
    "order_of_the_grid": between(
        NONE,
        {"grid": lambda own: [{"C": [0.1], "tol": [1e-4]}, {"C": [1.0]}]},
        {"grid": lambda own: [{"C": [1.0]}, {"tol": [1e-4], "C": [0.1]}]},
    ),
    "box_of_a_number": change(
        NONE, grid=lambda own: {"C": [np.float64(0.1), np.float64(1.0)]}
    ),
    "box_of_a_number_with_narrow_data": between(
        ALL,
        {"grid": lambda own: {"gamma": [0.1, 1.0]}},
        {"grid": lambda own: {"gamma": [np.float64(0.1), np.float64(1.0)]}},
        estimator=lambda own: KernelRidge(kernel="rbf"),
        X=X.astype(np.float32),
        y=Y.astype(np.float32),
    ),
    "box_of_a_number_with_narrow_weights": between(
        ALL,
        {},
        {"grid": lambda own: {"C": [np.float64(0.1), np.float64(1.0)]}},
        fit_params={"sample_weight": np.ones(50, np.float32)},
    ),
    "box_of_the_estimator": between(
        ALL,
        {"estimator": lambda own: KernelRidge(kernel="rbf", gamma=0.1)},
        {"estimator": lambda own: KernelRidge(kernel="rbf", gamma=np.float64(0.1))},
        grid=lambda own: {"alpha": [0.1, 1.0]},
        X=X.astype(np.float32),
    ),
    "box_of_an_integer_of_ones_own": between(
        ALL,
        {"grid": lambda own: {"n_jobs": [1, 2]}},
        {"grid": lambda own: {"n_jobs": [np.int64(1), np.int64(2)]}},
        modules={"own": OWN_NAMES},
        estimator=lambda own: own.RecentMean(),
    ),
    "type_of_a_number": between(
        ALL,
        {"grid": lambda own: {"max_features": [1, 2]}},
        {"grid": lambda own: {"max_features": [1.0, 0.5]}},
        estimator=lambda own: forest(),
    ),
    "one_more_candidate": change(3, grid=lambda own: {"C": [0.1, 1.0, 10.0]}),
}

# Code, by every route ---------------------------------------------------------

HELPERS = "import numpy as np\n\n\ndef centre(y, q):\n    return np.quantile(y, q)\n"
MODEL = """
import contextvars
import dataclasses
import functools
import helpers
import operator
import types
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

{before}

class Model(RegressorMixin, BaseEstimator):
    def __init__(self, q=0.5):
        self.q = q

    def fit(self, X, y):
        self.constant_ = self.centre(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.constant_)

{centre}
"""
MANY = "\n".join(f"        A.a{i} = {i}.5" for i in range(300))
ROUTES = {
    "attribute": ("", "def centre(self, y):\n    return helpers.centre(y, self.q)"),
    "name": (
        "from helpers import centre as found",
        "def centre(self, y):\n    return found(y, self.q)",
    ),
    "alias": (
        "",
        "def centre(self, y):\n    own = helpers\n    return own.centre(y, self.q)",
    ),
    "alias_of_a_module": (
        "own = helpers",
        "def centre(self, y):\n    return own.centre(y, self.q)",
    ),
    "argument": (
        "def apply(module, y, q):\n    return module.centre(y, q)",
        "def centre(self, y):\n    return apply(helpers, y, self.q)",
    ),
    "default": (
        "",
        "def centre(self, y, own=helpers):\n    return own.centre(y, self.q)",
    ),
    "class_attribute": (
        "",
        "own = helpers\ndef centre(self, y):\n    return self.own.centre(y, self.q)",
    ),
    "container": (
        "OWN = {'all': [helpers]}",
        "def centre(self, y):\n    return OWN['all'][0].centre(y, self.q)",
    ),
    "namespace": (
        "OWN = types.SimpleNamespace(h=helpers)",
        "def centre(self, y):\n    return OWN.h.centre(y, self.q)",
    ),
    "context_variable": (
        "OWN = contextvars.ContextVar('own', default=helpers.centre)",
        "def centre(self, y):\n    return OWN.get()(y, self.q)",
    ),
    "closure": (
        "def make(own):\n    def centre(y, q):\n        chosen = own\n"
        "        return chosen.centre(y, q)\n    return centre\nmade = make(helpers)",
        "def centre(self, y):\n    return made(y, self.q)",
    ),
    "conditional": (
        "",
        "def centre(self, y):\n"
        "    return (helpers if self.q else None).centre(y, self.q)",
    ),
    "comprehension": (
        "",
        "def centre(self, y):\n"
        "    return [own.centre(y, self.q) for own in (helpers,)][0]",
    ),
    "inner_function": (
        "",
        "def centre(self, y):\n    def inner():\n"
        "        return helpers.centre(y, self.q)\n    return inner()",
    ),
    "getattr": (
        "",
        "def centre(self, y):\n    return getattr(helpers, 'centre')(y, self.q)",
    ),
    "method_caller": (
        "",
        "def centre(self, y):\n"
        "    return operator.methodcaller('centre', y, self.q)(helpers)",
    ),
    "name_in_globals": (
        "",
        "def centre(self, y):\n    return globals()['helpers'].centre(y, self.q)",
    ),
    "import_inside": (
        "",
        "def centre(self, y):\n    from helpers import centre\n"
        "    return centre(y, self.q)",
    ),
    "wrapped": (
        "@functools.wraps(helpers.centre)\ndef found(y, q):\n"
        "    return found.__wrapped__(y, q)",
        "def centre(self, y):\n    return found(y, self.q)",
    ),
    "partial": (
        "found = functools.partial(lambda own, y, q: own.centre(y, q), helpers)",
        "def centre(self, y):\n    return found(y, self.q)",
    ),
    "cached": (
        "@functools.lru_cache\ndef found():\n    return helpers.centre",
        "def centre(self, y):\n    return found()(y, self.q)",
    ),
    "dispatch": (
        "@functools.singledispatch\ndef found(q, y):\n    return 0\n"
        "@found.register\ndef _(q: float, y):\n    return helpers.centre(y, q)",
        "def centre(self, y):\n    return found(self.q, y)",
    ),
    "cached_property": (
        "",
        "@functools.cached_property\ndef found(self):\n    return helpers.centre\n"
        "def centre(self, y):\n    return self.found(y, self.q)",
    ),
    "default_factory": (
        "@dataclasses.dataclass\nclass Own:\n"
        "    made: object = dataclasses.field(default_factory=lambda: helpers.centre)",
        "def centre(self, y):\n    return Own().made(y, self.q)",
    ),
    "metaclass": (
        "class Meta(type):\n    def centre(cls, y, q):\n"
        "        return helpers.centre(y, q)\nclass Own(metaclass=Meta):\n    pass",
        "def centre(self, y):\n    return Own.centre(y, self.q)",
    ),
    "after_300_names": (
        "class A:\n    pass",
        f"def centre(self, y):\n{textwrap.dedent(MANY)}\n"
        "    return helpers.centre(y, self.q)".replace("\nA.", "\n    A."),
    ),
}


def coded(
    redone: int,
    before: str,
    centre: str,
    helpers: tuple[str, str] = (
        HELPERS,
        HELPERS.replace("(y, q)\n", "(y, q) + 1000\n"),
    ),
    model: tuple[str, str] = ("", ""),
) -> Change:
    """Change a helper's code, or the text of the model itself."""
    text = MODEL.format(before=before, centre=textwrap.indent(centre, "    "))
    first, second = (
        {"modules": {"helpers": helper, "own": text.replace(*edit)}}
        for helper, edit in zip(helpers, (("", ""), model), strict=True)
    )
    return between(
        redone,
        first,
        second,
        estimator=lambda own: own.Model(),
        grid=lambda own: {"q": [0.4, 0.6]},
    )


UNUSED = (HELPERS, f"{HELPERS}\n\ndef unused():\n    return 1\n")
SAME = (HELPERS, HELPERS)
CODE = {
    **{f"helper_by_{name}": coded(ALL, *route) for name, route in ROUTES.items()},
    "unused_helper": coded(NONE, *ROUTES["attribute"], UNUSED),
    "unused_helper_of_a_module_passed_on": coded(ALL, *ROUTES["alias"], UNUSED),
    "comment": coded(
        NONE, *ROUTES["attribute"], SAME, ("class Model", "# a model\n\n\nclass Model")
    ),
    "docstring": coded(
        NONE, *ROUTES["attribute"], SAME, ("def fit(self, X, y):\n",) * 2
    ),
    "annotation": coded(
        NONE, *ROUTES["attribute"], SAME, ("(self, X):", "(self, X: object):")
    ),
    "annotation_of_a_field": coded(
        ALL,
        "@dataclasses.dataclass\nclass Own:\n    q: int = 1",
        "def centre(self, y):\n"
        "    kinds = {'int': np.min, int: np.min, 'float': np.max, float: np.max}\n"
        "    return self.q * kinds[dataclasses.fields(Own)[0].type](y)",
        SAME,
        ("q: int", "q: float"),
    ),
    "annotation_that_is_read": coded(
        ALL,
        "def found(q: int):\n    return q",
        "def centre(self, y):\n    return self.q + found.__annotations__['q'](1.5)",
        SAME,
        ("q: int", "q: float"),
    ),
    "own_class_patched": between(
        ALL,
        {},
        {"used": lambda own, _: setattr(own.RecentMean, "predict", _zeros)},
        estimator=lambda own: own.RecentMean(),
        **OWN,
    ),
    "installed_class_patched": change(
        ALL,
        "the estimator's code",
        within=lambda: patched(LogisticRegression, "predict", _zeros),
    ),
    "lambda": between(
        ALL,
        {"estimator": lambda own: _squared(lambda X: X**2)},
        {"estimator": lambda own: _squared(lambda X: X**3)},
        grid=lambda own: {"logisticregression__C": [0.1, 1.0]},
    ),
}


def _zeros(self: Any, X: Any) -> Any:
    return np.zeros(len(X))


def _squared(function: Any) -> Any:
    return make_pipeline(FunctionTransformer(function), LogisticRegression())


# What has been learned, and traces of use -------------------------------------

STATE = """
import enum
import functools
import threading
from sklearn.linear_model import LogisticRegression


class Kind(enum.Flag):
    A = 1
    B = 2
    C = 4


@functools.singledispatch
def shown(value):
    return str(value)


class Box:
    lock = threading.RLock()

    def __init__(self):
        self.n = 1

    @functools.cached_property
    def more(self):
        return self.n + 1


BOX = Box()


class Model(LogisticRegression):
    LOCK = threading.Lock()

    def __init__(self, C=1.0, kind=Kind.A):
        super().__init__(C=C)
        self.kind = kind

    def fit(self, X, y):
        with self.LOCK:
            shown(self.kind)
            self.seen_ = BOX.more
        return super().fit(X, y)
"""


def _use(own: Any, estimator: Any) -> None:
    _ = own.BOX.more, own.Kind.B | own.Kind.C, own.shown(1), own.shown("one")


NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, activation=nn.ReLU()):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(4, 5), activation, nn.Linear(5, 3))

    def forward(self, X):
        return self.layers(X)
"""


def _net(own: Any) -> Any:
    import skorch
    import torch

    return skorch.NeuralNetClassifier(
        own.Net,
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=1,
        verbose=0,
        train_split=None,
    )


def _fit(own: Any, estimator: Any) -> None:
    estimator.fit(X, Y)


TORCH: dict[str, Any] = {
    "marks": ("torch",),
    "modules": {"own": NET},
    "estimator": _net,
    "grid": lambda own: {"lr": [0.1, 0.2]},
    "X": X.astype(np.float32),
    "y": Y.astype(np.int64),
}
LEARNED = {
    "fitted_before": change(NONE, used=_fit),
    "fitted_before_in_a_pipeline": between(
        NONE, {}, {"used": _fit}, estimator=lambda own: piped(), **PIPED
    ),
    "own_model_used_before": between(
        NONE,
        {},
        {"used": _use},
        modules={"own": STATE},
        estimator=lambda own: own.Model(),
    ),
    "default_instance_used_before": between(
        NONE,
        {},
        {"used": lambda own, _: own.Net().layers[1].eval()},
        **TORCH,
    ),
    "net_made_before": between(NONE, {}, {"used": lambda own, _: own.Net()}, **TORCH),
    "activation_of_a_net": between(
        ALL,
        {},
        {"modules": {"own": NET.replace("ReLU", "Tanh")}},
        **TORCH,
    ),
    "verbose_of_a_net": between(
        NONE,
        {},
        {"estimator": lambda own: _net(own).set_params(verbose=0, max_epochs=1)},
        **TORCH,
    ),
    "memory_of_a_net": between(
        3,  # of one candidate
        {"grid": lambda own: {"module__memory": [2]}},
        {"grid": lambda own: {"module__memory": [3]}},
        **{
            **TORCH,
            "modules": {
                "own": NET.replace("activation=nn", "memory=1, activation=nn").replace(
                    "manual_seed(0)", "manual_seed(memory)"
                )
            },
        },
    ),
}

# Scoring ----------------------------------------------------------------------

SCORING = {
    "scoring": change(
        SPLITS,
        "the scoring (scoring None -> f1_macro)",
        options=lambda own: {"scoring": "f1_macro"},
    ),
    "scoring_by_its_name": change(NONE, options=lambda own: {"scoring": "accuracy"}),
    "params_of_a_scorer": between(
        SPLITS,
        {"options": lambda own: {"scoring": make_scorer(_weighted, weight=1)}},
        {"options": lambda own: {"scoring": make_scorer(_weighted, weight=2)}},
    ),
    "order_of_scorers": between(
        NONE,
        {"options": lambda own: {"scoring": _two("a", "b"), "refit": "a"}},
        {"options": lambda own: {"scoring": _two("b", "a"), "refit": "a"}},
    ),
    "train_scores": change(
        SPLITS,
        "(return_train_score False -> True)",
        options=lambda own: {"return_train_score": True},
    ),
    "own_score_of_clusters": between(
        SPLITS,
        {},
        {"options": lambda own: {"scoring": "adjusted_rand_score"}},
        estimator=lambda own: KMeans(3, n_init=1, random_state=0),
        grid=lambda own: {"max_iter": [1, 2]},
    ),
}


def _weighted(y: Any, predicted: Any, weight: float = 1) -> float:
    return float(weight * np.mean(y == predicted))


def _two(*names: str) -> dict[str, str]:
    scorers = {"a": "accuracy", "b": "f1_macro"}
    return {name: scorers[name] for name in names}


# Data and splits --------------------------------------------------------------


def _edited(array: Any, value: Any) -> Any:
    copied = array.copy()
    copied[7] = value
    return copied


def _wide_indices(matrix: Any) -> Any:
    matrix.indices = matrix.indices.astype(np.int64)
    matrix.indptr = matrix.indptr.astype(np.int64)
    return matrix


def _with_attrs(frame: pd.DataFrame, **attrs: Any) -> pd.DataFrame:
    copied = frame.copy()
    copied.attrs.update(attrs)
    return copied


DATA = {
    "one_value": change(ALL, "the data (values of X)", X=_edited(X, 3.3)),
    "one_label": change(ALL, "the data (values of y)", y=_edited(Y, 2)),
    "order_in_memory": change(
        ALL, "the order of the data in memory", X=np.asfortranarray(X)
    ),
    "order_of_columns_in_memory": between(
        ALL,
        {"X": pd.DataFrame(np.ascontiguousarray(X), copy=False)},
        {"X": pd.DataFrame(np.asfortranarray(X), copy=False)},
        "the order of the data in memory",
    ),
    "order_of_bytes": change(
        ALL, "the order of the data in memory", y=Y.astype(Y.dtype.newbyteorder())
    ),
    "width_of_sparse_indices": between(
        ALL,
        {"X": sparse.csr_matrix(X)},
        {"X": _wide_indices(sparse.csr_matrix(X))},
        "the order of the data in memory",
    ),
    "numbers_in_lists": between(
        ALL,
        {"X": [[float(x) for x in row] for row in X.astype(np.float32)]},
        {"X": [list(row) for row in X.astype(np.float32)]},
        "the data (values of X)",
    ),
    "attributes_of_a_frame": between(
        ALL, {"X": FRAME}, {"X": _with_attrs(FRAME, unit="cm")}
    ),
    "precision": change(
        ALL,
        "the data (X: ndarray float64 (50, 4) -> ndarray float32 (50, 4))",
        X=X.astype(np.float32),
    ),
    "frame": change(
        ALL,
        "the data (X: ndarray float64 (50, 4) -> DataFrame (50, 4))",
        X=FRAME,
    ),
    "name_of_a_column": between(
        ALL, {"X": FRAME}, {"X": FRAME.rename(columns={"a": "A"})}
    ),
    "labels_in_a_list": between(NONE, {"y": Y.copy()}, {"y": Y.tolist()}),
    "labels_in_a_list_for_ones_own": between(
        ALL,
        {},
        {"y": Y.tolist()},
        "the data (y: ndarray int64 (50,) -> list (50,))",
        modules={"own": OWN_NAMES},
        estimator=lambda own: own.Plain(5, random_state=0),
        **FOREST,
    ),
    "type_of_labels": change(
        ALL,
        "the data (y: ndarray int64 (50,) -> ndarray int32 (50,))",
        y=Y.astype(np.int32),
    ),
    "weights_of_samples": change(
        ALL,
        "the params of fit, such as sample_weight",
        fit_params={"sample_weight": np.linspace(1, 2, 50)},
    ),
    "number_of_splits": change(OTHER_SPLITS, options=lambda own: {"cv": 4}),
    "splitter_by_its_name": change(
        NONE, options=lambda own: {"cv": StratifiedKFold(2)}
    ),
    "shuffled_splits": change(
        SPLITS, options=lambda own: {"cv": KFold(2, shuffle=True, random_state=0)}
    ),
}

TABLE: dict[str, Change] = {
    **SETTINGS,
    **VERSIONS,
    **PARAMS,
    **CODE,
    **LEARNED,
    **SCORING,
    **DATA,
}

"""What makes two fits the same fit, and what does not."""

from __future__ import annotations

import collections
import copy
import datetime
import decimal
import enum
import functools
import importlib.util
import itertools
import logging
import os
import pathlib
import pickle
import re
import subprocess
import sys
import textwrap
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn import config_context, get_config, linear_model
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import f1_score, get_scorer, make_scorer
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import GridSearchCV, KFold, check_cv
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from weightsearch._identity import (
    SearchIdentity,
    Unidentifiable,
    _environment,
    differences,
    digest,
    digest_splitter,
    environment,
    identify_search,
)
from weightsearch._identity._estimators import deciding_fit_params, deciding_params
from weightsearch.exceptions import IdentityWarning

ROOT = pathlib.Path(__file__).parents[2]
OPAQUE = (number for number in range(3))


@pytest.fixture
def load(tmp_path):
    """Import a module of a given text, under the same name each time."""
    numbers = itertools.count()

    def load_text(text: str, name: str = "builders") -> ModuleType:
        # A folder of its own, or the byte code of the last one might be taken.
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        path = folder / f"{name}.py"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    before = set(sys.modules)
    yield load_text
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", "") or "").startswith(str(tmp_path)):
            del sys.modules[name]


def run_python(code: str, folder: pathlib.Path, seed: int, *arguments: str) -> str:
    """Run code in a new process, with modules of a folder at hand."""
    paths = [str(ROOT), str(folder)]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONHASHSEED": str(seed),
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Values -----------------------------------------------------------------------


class Unit(np.ndarray[Any, Any]):
    """An array of a class of its own."""


DISTINCT = [
    None,
    False,
    0,
    0.0,
    -0.0,
    0j,
    "0",
    "",
    b"",
    b"0",
    True,
    1,
    1.0,
    float("nan"),
    float("inf"),
    10**5000,
    10**5000 + 1,
    (),
    [],
    {},
    set(),
    (1,),
    [1],
    [1.0],
    [True],
    [1, 2],
    [12],
    [[1], 2],
    [[1, 2]],
    ["1", "2"],
    ["1, 2"],
    {1},
    {1: 2},
    {1: 2.0},
    {"1": 2},
    {2: 1},
    {1: {2: 3}},
    slice(1),
    slice(0, 1),
    range(1),
    range(2),
    pathlib.PurePosixPath("a/b"),
    "a/b",
    datetime.date(2020, 1, 2),
    datetime.datetime(2020, 1, 2),
    datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC),
    datetime.timedelta(1),
    decimal.Decimal("0.1"),
    0.1,
    np.float32(0.1),
    np.datetime64("2020-01-02"),
    np.array(1),
    np.array([1]),
    np.array([1.0]),
    np.array([1], dtype=np.int32),
    np.array([[1]]),
    np.array([], dtype=np.int64),
    np.array(["a"]),
    np.array(["a"], dtype=object),
    np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
    np.array([(1, 2.0)], dtype=[("a", int), ("c", float)]),
    np.ma.array([1, 2], mask=[0, 1]),
    np.ma.array([1, 2], mask=[1, 0]),
    np.array([1, 2]),
    np.array([[1]]).view(Unit),
    np.dtype("f4"),
    np.dtype("f8"),
    np.float32,
    np.float64,
    sparse.csr_matrix([[0, 1]]),
    sparse.csr_array([[0, 1]]),
    sparse.csc_array([[0, 1]]),
    sparse.coo_array([[0, 1]]),
    sparse.coo_array([[1, 0]]),
    sparse.dia_array([[1, 0]]),
    sparse.lil_array([[1, 0]]),
    pd.Series([1, 2]),
    pd.Series([1, 2], name="a"),
    pd.Series([1, 2], index=[1, 0]),
    pd.Series([1.0, 2]),
    pd.Series([1, None], dtype="Int64"),
    pd.Series([None, 1], dtype="Int64"),
    pd.Series(["a", "b"], dtype="category"),
    pd.Series(["b", "a"], dtype="category"),
    pd.Series(["a", "b"], dtype=pd.CategoricalDtype(["b", "a"])),
    pd.Series(["a", "b"], dtype=pd.CategoricalDtype(["b", "a"], ordered=True)),
    pd.Series(["a", "b"]),
    pd.Series(["a", None]),
    pd.Series([["a"], ["b"]]),
    pd.Series(pd.to_datetime(["2020-01-02"])),
    pd.Series(pd.to_datetime(["2020-01-02"]).tz_localize("UTC")),
    pd.DataFrame({"a": [1, 2]}),
    pd.DataFrame({"b": [1, 2]}),
    pd.DataFrame({"a": [1, 3]}),
    pd.DataFrame({"a": [1, 2]}, index=[1, 2]),
    pd.DataFrame({"a": [1, 2], "b": [3, 4]}),
    pd.DataFrame({"b": [3, 4], "a": [1, 2]}),
    pd.Index([1, 2]),
    pd.MultiIndex.from_tuples([(1, 2)]),
    np.random.RandomState(0),
    np.random.RandomState(1),
    np.random.default_rng(0),
    np.random.default_rng(1),
    re.compile("a"),
    re.compile("a", re.IGNORECASE),
    len,
    max,
    np.tanh,
    np.exp,
    scipy.stats.uniform(0, 1),
    scipy.stats.uniform(0, 2),
    f1_score,
    LogisticRegression,
    LogisticRegression(),
    LogisticRegression(C=2),
    LogisticRegression(C=2.0),
    LogisticRegression(random_state=0),
    RandomForestClassifier(max_features=1),
    RandomForestClassifier(max_features=1.0),
    KFold(3),
    KFold(3, shuffle=True),
    functools.partial(max, 1),
    functools.partial(max, 2),
    functools.partial(max, key=1),
    collections.OrderedDict(a=1),
    {"a": 1},
    logging.getLogger("a"),
    itertools,
]


def test_different_values_have_different_digests():
    """No two of many values that are easily confused share a digest."""
    digests = {}
    for value in DISTINCT:
        digests.setdefault(digest(value), []).append(value)
    assert [values for values in digests.values() if len(values) > 1] == []


def test_copies_have_equal_digests():
    """A deep copy is as good as its original."""
    # A copy of scipy's distributions has a generator of its own, not the global one.
    frozen = type(scipy.stats.uniform())
    for value in DISTINCT:
        if not isinstance(value, ModuleType | frozen):
            assert digest(copy.deepcopy(value)) == digest(value), value


def test_digest_has_32_hexadecimal_digits():
    """A digest is text of 128 bits."""
    assert re.fullmatch("[0-9a-f]{32}", digest([1, "a"]))


def test_order_of_a_dict_matters_and_that_of_a_set_does_not():
    """A dict has an order that code may go by; a set has none."""
    assert digest({"a": 1, "b": [2]}) != digest({"b": [2], "a": 1})
    assert digest({"a", "b", (1, "c")}) == digest({(1, "c"), "b", "a"})


def test_type_of_number_does_not_matter():
    """A numpy scalar is the Python number that it holds, in containers too."""
    assert digest(np.float64(0.1)) == digest(0.1)
    assert digest([np.int64(3), 0.5]) == digest([3, 0.5])
    assert digest({"a": (np.bool_(True), np.str_("x"))}) == digest({"a": (True, "x")})
    assert digest([np.int32(1), object]) == digest([1, object])


def test_integers_count_as_integers_only():
    """1, 1.0 and True are three params: one feature, all features, a switch."""
    assert len({digest(1), digest(1.0), digest(True)}) == 3


def test_layout_in_memory_does_not_matter():
    """Order, strides, byte order and memory maps are no part of an array."""
    rng = np.random.default_rng(0)
    array = rng.normal(size=(300, 40))
    wide = np.repeat(array, 2, axis=1)
    assert digest(np.asfortranarray(array)) == digest(array)
    assert digest(wide[:, ::2]) == digest(array)
    assert digest(array.astype(">f8")) == digest(array)
    assert digest(array[::-1][::-1]) == digest(array)


class Measured(np.ndarray):
    """An array with a unit."""


def test_what_a_subclass_of_arrays_keeps_counts():
    """Two arrays of one class and equal values differ by what else they have."""
    one, other = (np.arange(3.0).view(Measured) for _ in range(2))
    one.unit, other.unit = "cm", "inch"
    assert digest(one) != digest(other)
    other.unit = "cm"
    assert digest(one) == digest(other)


class Table(pd.DataFrame):
    """A table with a unit, as pandas has its subclasses declare it."""

    _metadata = ("unit",)

    @property
    def _constructor(self):
        return Table


def test_what_a_subclass_of_tables_keeps_counts():
    """A table of a class of one's own differs from pandas' by class and by metadata."""
    one, other = (Table({"a": [1.0]}) for _ in range(2))
    one.unit, other.unit = "cm", "inch"
    assert len({digest(t) for t in (one, other, pd.DataFrame({"a": [1.0]}))}) == 3


def test_large_array_is_hashed_in_blocks(tmp_path):
    """A large array that is not contiguous has the digest of its copy."""
    rng = np.random.default_rng(0)
    array = rng.normal(size=(70_000, 40))
    known = digest(array)
    assert digest(np.asfortranarray(array)) == known
    np.save(tmp_path / "x.npy", array)
    assert digest(np.load(tmp_path / "x.npy", mmap_mode="r")) == known


def test_long_double_padding_does_not_matter():
    """Bytes between long doubles are random and do not count."""
    clean = np.zeros(4, dtype=np.longdouble)
    dirty = np.full(4, -1, dtype=np.int64).view(np.uint8)
    other = np.frombuffer(bytes(dirty) * 8, dtype=np.uint8)[: clean.nbytes].copy()
    other = other.view(np.longdouble)
    other[:] = 0
    assert digest(other) == digest(clean)


def test_frame_in_pieces_is_the_same_frame():
    """How pandas keeps its columns together is no part of a frame."""
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    pieces = pd.DataFrame({"a": frame["a"].copy()})
    pieces["b"] = frame["b"].copy()
    assert digest(pieces) == digest(frame)


def test_cycles_end():
    """Values that hold themselves have a digest."""
    ring: list[Any] = [1]
    ring.append(ring)
    other: list[Any] = [2]
    other.append(other)
    assert digest(ring) != digest(other)


def test_deep_nesting_is_unidentifiable():
    """What is nested beyond Python's depth is refused, not crashed on."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Unidentifiable, match="deep"):
        digest(deep)


def test_opaque_values_are_unidentifiable(tmp_path):
    """Open files and generators have state that cannot be seen."""
    with (tmp_path / "f").open("w") as file:
        for opaque in (OPAQUE, np.frompyfunc(abs, 1, 1), file):
            with pytest.raises(Unidentifiable, match=r"cannot be read|not to be found"):
                digest(opaque)


def test_unidentifiable_says_where():
    """The error names the way to the thing inside the object."""
    with pytest.raises(Unidentifiable) as caught:
        digest(FunctionTransformer(kw_args={"a": [1, OPAQUE]}))
    assert caught.value.path == ".kw_args['a'][1]"
    assert "generator" in caught.value.reason
    assert pickle.loads(pickle.dumps(caught.value)).path == caught.value.path


class Broken:
    """Something that fails when it is asked for its state."""

    def __getstate__(self) -> object:
        raise ZeroDivisionError("no state today")


def test_objects_that_fail_are_unidentifiable():
    """Whatever an object raises, a search is told and goes on."""
    with pytest.raises(Unidentifiable, match=r"Broken.*no state today"):
        digest([Broken()])


class WithHandle:
    """Something that keeps a generator, and says how to leave it out."""

    def __init__(self, size: int):
        self.size = size
        self.rows = (row for row in range(size))

    def __getstate__(self) -> dict[str, int]:
        return {"size": self.size}


def test_getstate_makes_an_opaque_object_identifiable():
    """An object that leaves its opaque part out of its state has a digest."""
    assert digest(WithHandle(1)) == digest(WithHandle(1))
    assert digest(WithHandle(1)) != digest(WithHandle(2))


class Slotted:
    """A class without a dict."""

    __slots__ = ("a",)

    def __init__(self, a: int):
        self.a = a


class Colour(enum.Enum):
    """Two members."""

    RED = 1
    BLUE = 2


Pair = collections.namedtuple("Pair", "a b")


def test_objects_of_own_classes_are_known_by_class_and_state():
    """Slots, enumerations and named tuples differ by value and by class."""
    values = [
        Slotted(1),
        Slotted(2),
        Colour.RED,
        Colour.BLUE,
        Pair(1, 2),
        Pair(2, 1),
        (1, 2),
    ]
    assert len({digest(value) for value in values}) == len(values)
    assert digest(Slotted(1)) == digest(Slotted(1))


def test_generators_of_random_numbers_are_known_by_their_state():
    """A generator that has moved on is another one."""
    for rng in (np.random.RandomState(0), np.random.default_rng(0)):
        before = digest(rng)
        rng.normal()
        assert digest(rng) != before


@pytest.mark.parametrize("drawing", [np.random.rand, scipy.stats.norm])
def test_state_of_the_global_generator_does_not_matter(drawing):
    """What draws from numpy's global generator is the same after a draw."""
    before = digest(drawing)
    np.random.rand()
    assert digest(drawing) == before


# Code -------------------------------------------------------------------------

BUILDER = """
import numpy as np
UNITS = 8

def helper(n):
    return n + 1

def build(units=4, *, rate=0.1):
    layers = [helper(units) for _ in range(UNITS)]
    return np.sum(layers) * rate
"""

CHANGES = {
    "body": ("* rate", "/ rate"),
    "constant": ("n + 1", "n + 2"),
    "default": ("units=4", "units=5"),
    "keyword default": ("rate=0.1", "rate=0.2"),
    "global constant": ("UNITS = 8", "UNITS = 9"),
    "helper": ("return n + 1", "return n - 1"),
    "called function": ("np.sum", "np.max"),
    "name of a param": ("(n):\n    return n", "(m):\n    return m"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_code_is_noticed(load, change):
    """Another body, default, constant or helper is another function."""
    before = digest(load(BUILDER).build)
    assert digest(load(BUILDER.replace(*CHANGES[change])).build) != before


NO_CHANGES = {
    "nothing": ("", ""),
    "comment": ("    layers", "    # a comment\n    layers"),
    "blank lines": ("def build", "\n\n\n\ndef build"),
    "another function": ("def build", "def unused():\n    pass\n\ndef build"),
    "another constant": ("UNITS = 8", "UNITS = 8\nOTHER = 3"),
    "annotation": ("(n)", "(n: int)"),
}


@pytest.mark.parametrize("change", NO_CHANGES)
def test_unchanged_code_is_the_same(load, change):
    """Comments, blank lines and code that is not used do not matter."""
    before = digest(load(BUILDER).build)
    assert digest(load(BUILDER.replace(*NO_CHANGES[change])).build) == before


def test_docstring_does_not_matter(load):
    """A docstring may be changed, added or taken away."""
    text = 'def build():\n    {}\n    class Net:\n        "{}"\n    return Net, None'
    texts = [text.format(*words) for words in (("'a'", "a"), ("'b'", "b"), ("", "a"))]
    assert len({digest(load(t).build) for t in texts}) == 1


def test_name_of_module_does_not_matter(load):
    """A function that moves from one module of the user's to another is the same."""
    one = load(BUILDER, "one").build
    assert digest(load(BUILDER, "other").build) == digest(one)


def test_closure_values_are_noticed():
    """Functions made by one function differ by what they were made with."""

    def make(n):
        return lambda x: x + n

    assert digest(make(1)) == digest(make(1))
    assert digest(make(1)) != digest(make(2))


def test_lambdas_are_known_by_their_code():
    """A lambda needs no source."""
    texts = ("lambda x: x + 1", "lambda x: x + 1", "lambda x: x + 2")
    one, same, other = (eval(text) for text in texts)
    assert digest(one) == digest(same) != digest(other)


def test_global_of_an_inner_function_is_noticed(load):
    """Functions inside a function read globals too."""
    text = "N = 1\ndef build():\n    def inner():\n        return N\n    return inner"
    before = digest(load(text).build)
    assert digest(load(text.replace("N = 1", "N = 2")).build) != before


def test_recursive_functions_end(load):
    """Functions that call each other have digests that notice both bodies."""
    text = """
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)
    """
    first = load(text)
    before = digest(first.even)
    assert before != digest(first.odd)
    assert digest(load(text).even) == before
    assert digest(load(text.replace("n != 0", "n > 0")).even) != before


def test_function_that_holds_itself_in_a_set_ends(load):
    """Even a set of functions that holds its reader has a digest."""
    text = "def build():\n    return len(ALL)\nALL = {build}"
    assert digest(load(text).build) == digest(load(text).build)


def test_function_of_another_module_is_noticed(load):
    """What is reached through an imported module of the user's counts."""
    helper = "def units():\n    return {}\n"
    text = "import helpers\ndef build():\n    return helpers.units()\n"
    load(helper.format(1), "helpers")
    before = digest(load(text).build)
    load(helper.format(1) + "def unused(): pass\n", "helpers")
    assert digest(load(text).build) == before
    load(helper.format(2), "helpers")
    assert digest(load(text).build) != before


@pytest.mark.parametrize(
    "statement", ["from helpers import units", "import helpers; units = helpers.units"]
)
def test_module_that_is_imported_inside_is_noticed(load, monkeypatch, statement):
    """An import in a function's body leads to the module, loaded or not."""
    text = f"def build():\n    {statement}\n    return units()\n"
    digests = []
    for n in (1, 1, 2):
        helpers = load(f"'About.'\n\ndef units():\n    return {n}\n", "helpers")
        folder = str(pathlib.Path(str(helpers.__file__)).parent)
        del sys.modules["helpers"]
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            digests.append(digest(load(text).build))
            assert "helpers" not in sys.modules
    assert digests[0] == digests[1] != digests[2]


NET = """
class Base:
    size = 3

    def forward(self, x):
        return x * self.size

class Net(Base):
    def __init__(self, n=1):
        super().__init__()
        self.n = n

    @property
    def twice(self):
        return 2 * self.n

    @staticmethod
    def plain(x):
        return x + 1
"""


@pytest.mark.parametrize(
    "change",
    [
        ("x * self.size", "x + self.size"),
        ("size = 3", "size = 4"),
        ("n=1", "n=2"),
        ("2 * self.n", "3 * self.n"),
        ("x + 1", "x + 2"),
        ("class Net(Base)", "class Net"),
        ("class Net", "class Other(Base): pass\nclass Net"),
    ],
)
def test_changed_class_is_noticed(load, change):
    """Methods, properties, attributes, bases and their bases are a class."""
    before = digest(load(NET).Net)
    same = change[1].startswith("class Other")
    assert (digest(load(NET.replace(*change)).Net) == before) is same


def test_instance_of_a_changed_class_is_noticed(load):
    """An object is known by the code of its class as well."""
    before = digest(load(NET).Net(5))
    assert digest(load(NET).Net(5)) == before
    assert digest(load(NET.replace("x + 1", "x - 1")).Net(5)) != before


def test_copying_an_instance_changes_no_class(load):
    """What Python notes in a class when an instance is copied is no part of it."""
    model = load("class Model:\n    def fit(self):\n        return 1").Model
    before = digest(model)
    copy.copy(model())
    assert "__slotnames__" in vars(model)
    assert digest(model) == before


def test_dataclass_is_identifiable(load):
    """A dataclass made twice of the same text is the same."""
    text = """
    from __future__ import annotations
    import dataclasses, abc, typing

    @dataclasses.dataclass(frozen=True)
    class Config(abc.ABC):
        a: int = 1
        b: list[int] = dataclasses.field(default_factory=list)
    """
    before = digest(load(text).Config)
    assert digest(load(text).Config) == before
    assert digest(load(text.replace("int = 1", "int = 2")).Config) != before


def test_wrapped_functions_lead_to_what_they_wrap(load):
    """Decorators do not hide code: wraps, partial, lru_cache, methods."""
    text = """
    import functools, contextlib

    def deco(f):
        @functools.wraps(f)
        def inner(*args):
            return f(*args)
        return inner

    def base(x):
        return x + 1

    class A:
        def method(self):
            return base(1)

    VALUES = {
        "wraps": deco(base),
        "partial": functools.partial(base, 1),
        "cache": functools.lru_cache(base),
        "method": A().method,
        "library": contextlib.contextmanager(base),
        "bare": contextlib.ContextDecorator()(base),
    }
    """
    before, same = load(text).VALUES, load(text).VALUES
    other = load(text.replace("x + 1", "x + 2")).VALUES
    for name, value in before.items():
        assert digest(same[name]) == digest(value), name
        assert digest(other[name]) != digest(value), name


def test_installed_code_is_known_by_name():
    """scikit-learn's classes and functions do not lead into scikit-learn's code."""
    copied = type("LogisticRegression", (LogisticRegression,), {})
    assert digest(copied) != digest(LogisticRegression)
    assert digest(LogisticRegression) == digest(getattr(linear_model, copied.__name__))


def test_compiled_transformer_of_the_user_is_identifiable(load):
    """scikit-learn's own wrapping of a user's methods leads to the user's code."""
    text = """
    from sklearn.base import BaseEstimator, TransformerMixin

    class Shift(TransformerMixin, BaseEstimator):
        def __init__(self, by=1):
            self.by = by

        def fit(self, X, y=None, sample_weight=None):
            return self

        def transform(self, X):
            return X + self.by
    """
    before = digest(load(text).Shift())
    assert digest(load(text).Shift()) == before
    assert digest(load(text.replace("X + self.by", "X - self.by")).Shift()) != before


TRAVELLING = """
import abc, collections, dataclasses, enum, functools, typing
import numpy as np

N = 3

def decorator(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args) + N
    return wrapper

@decorator
def decorated(x):
    return np.sum(x)

def outer(n):
    def inner(x):
        return x + n + N
    return inner

class Base(abc.ABC):
    K = 2
    size: int = 1

    @property
    def prop(self):
        return N

    @staticmethod
    def static():
        return Base.K

    @classmethod
    def made(cls):
        return cls.K

    @abc.abstractmethod
    def run(self):
        pass

class Child(Base):
    __slots__ = ("q",)

    def run(self):
        return super().run()

class Kind(enum.Flag):
    A = 1
    B = 2

@dataclasses.dataclass
class Config:
    a: int = 1
    b: list = dataclasses.field(default_factory=list)

class Row(typing.NamedTuple):
    a: int
    b: str = "x"

def even(n):
    return n == 0 or odd(n - 1)

def odd(n):
    return n != 0 and even(n - 1)

THINGS = [
    decorated, outer(2), lambda x: x + N, functools.partial(outer, 3), Base, Child,
    Child(), Kind, Kind.A | Kind.B, Config, Config(2), Row, Row(1), even, Base.made,
    Config(1).__eq__, np.vectorize(odd), [lambda: 1, lambda: 2], Base.prop.fget,
]
"""


def test_code_that_travels_to_a_worker_keeps_its_digest(tmp_path):
    """What is pickled by value is the same in the process that unpickles it."""
    pytest.importorskip("cloudpickle")
    sending = """
        import cloudpickle, sys
        from weightsearch._identity import digest
        with open(sys.argv[1], "wb") as file:
            cloudpickle.dump(THINGS, file)
        print([digest(thing) for thing in THINGS])
    """
    receiving = """
        import pickle, sys
        from weightsearch._identity import digest
        with open(sys.argv[1], "rb") as file:
            print([digest(thing) for thing in pickle.load(file)])
    """
    path = str(tmp_path / "things.pickle")
    sent = run_python(TRAVELLING + textwrap.dedent(sending), tmp_path, 1, path)
    assert run_python(receiving, tmp_path, 2, path) == sent
    assert len(set(sent.split())) == len(sent.split())


USED = """
import abc, contextvars, enum, functools, logging, random, threading, weakref

class Kind(enum.Flag):
    A = 1
    B = 2

@functools.singledispatch
def shown(value):
    return "any"

@shown.register
def _(value: int):
    return "int"

class Box:
    LOCK = threading.Lock()
    LOGGER = logging.getLogger("box")
    LOCAL = threading.local()
    SEEN = weakref.WeakKeyDictionary()
    DEPTH = contextvars.ContextVar("depth", default=1)

    @functools.cached_property
    def made(self):
        return self.LOCK, self.LOGGER, self.LOCAL, self.SEEN, self.DEPTH

class Shape(abc.ABC):
    pass

BOX = Box()

def build():
    return BOX.made, shown(1), Kind.A, Shape, random.random(), random.gauss(0, 1)
"""


def test_traces_of_use_do_not_matter(load):
    """Caches, locks and the like that are filled by use are no part of code."""
    module = load(USED)
    before = digest([module.build, module.BOX])
    module.build()
    module.shown("text")
    _ = module.Kind.A | module.Kind.B
    module.Box.SEEN[module.BOX] = module.Box.LOCAL.depth = 2
    isinstance(1, module.Shape)
    with module.Box.LOCK:
        assert digest([module.build, module.BOX]) == before
    module.Box.DEPTH.set(2)
    assert digest([module.build, module.BOX]) != before
    other = load(USED.replace('return "int"', "return int"))
    assert digest([other.build, other.BOX]) != before


ANNOTATED = """
from __future__ import annotations
import dataclasses, typing

class Config:
    size: int
    names: typing.Annotated[list[str] | None, "some"] = None

def helper(x: int):
    return x

def build():
    return helper(1)

def reading():
    return typing.get_type_hints(helper)
"""


def test_annotations_count_where_they_are_data(load):
    """Those of classes do, and those of functions where code reads them."""
    one, same = load(ANNOTATED), load(ANNOTATED)
    other = load(
        ANNOTATED.replace("size: int", "size: float").replace("(x: int)", "(x)")
    )
    assert digest(one.Config) == digest(same.Config) != digest(other.Config)
    assert digest(one.build) == digest(same.build) == digest(other.build)
    assert digest(one.reading) == digest(same.reading) != digest(other.reading)


def test_model_of_pydantic_is_identifiable(load):
    """What pydantic compiles has addresses in it; what it compiles from counts."""
    pydantic = pytest.importorskip("pydantic")
    text = """
    import pydantic

    class Config(pydantic.BaseModel):
        size: int = 1

        @pydantic.field_validator("size", mode="after")
        @classmethod
        def twice(cls, value):
            return value * 2
    """
    before = digest(load(text).Config)
    assert issubclass(load(text).Config, pydantic.BaseModel)
    assert digest(load(text).Config) == before
    for change in [(": int", ": float"), ("* 2", "* 3"), ('"after"', '"before"')]:
        assert digest(load(text.replace(*change)).Config) != before, change


def test_what_a_user_puts_into_installed_code_counts(monkeypatch):
    """A method, an inherited one, or a function of the module that is replaced."""
    from sklearn.linear_model import _logistic

    def reading(x):
        return np.quantile(x, 0.5)

    before = digest([LogisticRegression(), reading])
    base = next(c for c in LogisticRegression.__mro__ if "predict" in vars(c))
    patches = [
        (LogisticRegression, "fit", lambda self, X, y: self),
        (base, "predict", functools.wraps(base.predict)(lambda self, X: X)),
        (LogisticRegression, "score", property(lambda self: 1)),
        (_logistic, "_logistic_regression_path", lambda *args: None),
        (np, "quantile", lambda x, q: 0),
    ]
    for owner, name, value in patches:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            assert digest([LogisticRegression(), reading]) != before, name
    assert digest([LogisticRegression(), reading]) == before


def test_compiled_module_of_the_user_counts_by_its_bytes(tmp_path, monkeypatch):
    """Functions of a compiled module change with the file that holds them."""
    spec = importlib.util.find_spec("_bisect")
    if spec is None or not str(spec.origin).endswith(".so"):
        pytest.skip("This Python has _bisect built in.")
    digests = []
    for number, extra in enumerate((b"", b"", b"another build")):
        path = tmp_path / str(number) / pathlib.Path(str(spec.origin)).name
        path.parent.mkdir()
        path.write_bytes(pathlib.Path(str(spec.origin)).read_bytes() + extra)
        own = importlib.util.spec_from_file_location("_bisect", path)
        assert own is not None
        assert own.loader is not None
        module = importlib.util.module_from_spec(own)
        own.loader.exec_module(module)
        monkeypatch.setitem(sys.modules, "_bisect", module)
        digests.append((digest(module.insort_right), digest(module)))
    assert digests[0] == digests[1]
    assert all(a != b for a, b in zip(digests[0], digests[2], strict=True))


# Estimators -------------------------------------------------------------------


def test_what_an_estimator_has_learned_does_not_matter():
    """A search clones its estimator, so a fitted one is as good as a new one."""
    X, y = load_iris(return_X_y=True)
    pipe = make_pipeline(StandardScaler(), GaussianNB())
    before = digest(pipe)
    pipe.fit(X, y)
    assert digest(pipe) == before


def test_what_a_frozen_estimator_has_learned_matters():
    """A frozen estimator is used as it is, so what it has learned counts."""
    frozen = pytest.importorskip("sklearn.frozen").FrozenEstimator
    X, _ = load_iris(return_X_y=True)
    one = make_pipeline(frozen(StandardScaler().fit(X)), LogisticRegression())
    other = make_pipeline(frozen(StandardScaler().fit(X + 1)), LogisticRegression())
    assert digest(one) != digest(other)
    assert digest(one) == digest(copy.deepcopy(one))


def test_fitted_estimator_inside_a_function_matters(load):
    """A fitted estimator that a function reads as a global is used as it is."""
    X, _ = load_iris(return_X_y=True)
    module = load("def build(X):\n    return SCALER.transform(X)\n")
    module.SCALER = StandardScaler().fit(X)
    before = digest(module.build)
    module.SCALER = StandardScaler().fit(X + 1)
    assert digest(module.build) != before


def test_workers_and_words_do_not_matter():
    """n_jobs, verbose and a cache change no result, at any depth."""
    loud = GridSearchCV(
        make_pipeline(
            StandardScaler(),
            RandomForestClassifier(n_jobs=2, verbose=3),
            memory="cache",
            verbose=True,
        ),
        {"randomforestclassifier__max_depth": [1]},
        n_jobs=2,
        pre_dispatch=4,
    )
    still = GridSearchCV(
        make_pipeline(StandardScaler(), RandomForestClassifier()),
        {"randomforestclassifier__max_depth": [1]},
    )
    assert digest(loud) == digest(still)


class Forgetful(LogisticRegression):
    """A user's estimator with params whose names others give to other things."""

    def __init__(self, memory="short", verbose=0, C=1.0):
        super().__init__(C=C)
        self.memory = memory
        self.verbose = verbose


class Telling(LogisticRegression):
    """A user's estimator that inherits a param and learns by it."""

    def fit(self, X, y):
        """Fit on fewer rows the more it tells."""
        return super().fit(X[self.verbose :], y[self.verbose :])


class Quiet(LogisticRegression):
    """A user's estimator that adds nothing to a param that it inherits."""


FOREST = make_pipeline(RandomForestClassifier())
NEUTRAL_PARAMS = {
    "own": (RandomForestClassifier(), "n_jobs", 2, True),
    "nested": (FOREST, "randomforestclassifier__verbose", 2, True),
    "deeper": (GridSearchCV(FOREST, {}), "estimator__memory", "cache", True),
    "inherited": (Quiet(), "verbose", 1, True),
    "cache": (FOREST, "memory", pathlib.Path("cache"), True),
    "not a cache": (FOREST, "memory", 0.9, False),
    "user's": (Forgetful(), "memory", "long", False),
    "user's verbose": (Forgetful(), "verbose", 1, False),
    "user's nested": (make_pipeline(Forgetful()), "forgetful__memory", "long", False),
    "used by the user": (Telling(), "verbose", 1, False),
    "of nobody": (LogisticRegression(), "module__n_jobs", 1, False),
    "of a dict": (FunctionTransformer(), "kw_args", {"verbose": 1}, False),
}


@pytest.mark.parametrize("name", NEUTRAL_PARAMS)
def test_param_is_neutral_by_the_class_that_owns_it(name):
    """n_jobs, verbose and memory mean nothing to a fit where that is known."""
    owner, param, value, neutral = NEUTRAL_PARAMS[name]
    kept = {} if neutral else {param: value}
    assert deciding_params(owner, {param: value, "C": 1}) == {**kept, "C": 1}


def test_params_of_a_step_that_a_candidate_brings_are_its_own():
    """A candidate that replaces a step decides what the step's params mean."""
    params = {"forest": Forgetful(), "forest__verbose": 1}
    pipe = Pipeline([("forest", RandomForestClassifier())])
    assert deciding_params(pipe, params) == params
    params["forest"] = RandomForestClassifier()
    assert list(deciding_params(pipe, params)) == ["forest"]


def test_params_of_fit_count_where_nothing_else_is_known():
    """A param of fit called n_jobs or verbose counts for an estimator of the user."""
    params = {"verbose": 1, "n_jobs": 2, "logisticregression__verbose": 1}
    for estimator in (Forgetful(), make_pipeline(LogisticRegression())):
        assert deciding_fit_params(estimator, params) == params


def test_metadata_requests_matter():
    """Asking for sample_weight changes what a fit gets."""
    with config_context(enable_metadata_routing=True):
        asking = LogisticRegression().set_fit_request(sample_weight=True)
    assert digest(asking) != digest(LogisticRegression())


# Searches ---------------------------------------------------------------------


def identify(estimator=None, **changes: Any) -> SearchIdentity:
    """Identify a search on iris, but for what is given."""
    X, y = load_iris(return_X_y=True)
    estimator = LogisticRegression() if estimator is None else estimator
    arguments: dict[str, Any] = {
        "X": X,
        "y": y,
        "fit_params": {},
        "score_params": {},
        "scorer": get_scorer("accuracy"),
        "settings": {"return_train_score": False, "error_score": np.nan},
        **changes,
    }
    return identify_search(
        estimator, arguments.pop("X"), arguments.pop("y"), **arguments
    )


SPLIT = (np.arange(100), np.arange(100, 150))


def changed(array: np.ndarray[Any, Any], by: float = 1e-9) -> np.ndarray[Any, Any]:
    """Copy an array and change one value."""
    copied = array.copy()
    copied[77] = copied[77] + by
    return copied


IRIS_X, IRIS_Y = load_iris(return_X_y=True)
OF_EVERY_FIT = {
    "one value of X": {"X": changed(IRIS_X)},
    "one label": {"y": changed(IRIS_Y, 1)},
    "sample_weight": {"fit_params": {"sample_weight": np.ones(150)}},
    "estimator": {"estimator": SGDClassifier()},
    "random_state": {"estimator": LogisticRegression(random_state=1)},
}
OF_SPLITS = {
    "scorer": {"scorer": get_scorer("f1_macro")},
    "scorer's params": {"scorer": make_scorer(f1_score, average="micro")},
    "sign": {"scorer": make_scorer(f1_score, greater_is_better=False)},
    "many scorers": {"scorer": {"a": get_scorer("accuracy"), "b": get_scorer("r2")}},
    "scorers in one": {
        "scorer": _MultimetricScorer(scorers={"a": get_scorer("accuracy")})
    },
    "score params": {"score_params": {"sample_weight": np.ones(150)}},
    "train score": {"settings": {"return_train_score": True, "error_score": np.nan}},
}


@pytest.mark.parametrize("change", OF_EVERY_FIT)
def test_change_of_what_is_fitted_changes_every_key(change):
    """Data, fit params, estimator and versions decide on splits and refits."""
    before, after = identify(), identify(**OF_EVERY_FIT[change])
    assert after.fingerprint != before.fingerprint
    assert after.fit_key({"C": 1}) != before.fit_key({"C": 1})
    assert after.fit_key({"C": 1}, SPLIT) != before.fit_key({"C": 1}, SPLIT)


@pytest.mark.parametrize("change", OF_SPLITS)
def test_change_of_scoring_leaves_refits(change):
    """Scoring decides on what is kept of a split, not on a refit."""
    before, after = identify(), identify(**OF_SPLITS[change])
    assert after.fingerprint != before.fingerprint
    assert after.fit_key({"C": 1}) == before.fit_key({"C": 1})
    assert after.fit_key({"C": 1}, SPLIT) != before.fit_key({"C": 1}, SPLIT)


def test_keys_are_equal_for_equal_searches():
    """The same search identified anew has the same keys."""
    one = identify(LogisticRegression(n_jobs=1))
    same = identify(LogisticRegression(n_jobs=2, verbose=1))
    assert one.fingerprint == same.fingerprint
    params = {"C": np.float64(0.1), "penalty": "l2"}
    equal = {"penalty": "l2", "C": 0.1, "verbose": 3}
    copied = tuple(indices.astype(np.int32) for indices in SPLIT)
    assert one.fit_key(params, SPLIT) == same.fit_key(equal, copied)


def test_keys_differ_by_params_and_split():
    """Every candidate, split and refit has a key of its own."""
    identity = identify()
    splits = list(check_cv(3, IRIS_Y, classifier=True).split(IRIS_X, IRIS_Y))
    keys = {
        identity.fit_key({"C": C}, split)
        for C in (1, 1.0, True, "1", 2, (1,), [1], LogisticRegression(), f1_score)
        for split in (None, *splits)
    }
    assert len(keys) == 9 * 4
    assert all(re.fullmatch("[0-9a-f]{32}", str(key)) for key in keys)


def test_swapped_train_and_test_are_another_split():
    """A split is train and test, in this order."""
    identity = identify()
    assert identity.fit_key({}, SPLIT) != identity.fit_key({}, SPLIT[::-1])


def test_many_splits_do_not_share_keys():
    """Indices of splits that are gone are not taken for new ones."""
    identity = identify()
    keys = {
        identity.fit_key({}, (np.arange(n), np.arange(n, n + 2))) for n in range(600)
    }
    assert len(keys) == 600


@pytest.mark.parametrize("library", ["scikit-learn", "numpy"])
def test_versions_count_wherever_a_library_takes_part(library, monkeypatch):
    """Another version of a library makes other fits, scores and candidates."""
    params = {"base": LogisticRegression()}
    known = identify()
    before = [known.fit_key({}), known.fit_key({}, SPLIT), digest_splitter(KFold(3))]
    before.append(known.fit_key(params))
    real = _environment._version
    monkeypatch.setattr(
        _environment, "_version", lambda name: "1.0" if name == library else real(name)
    )
    now = identify()
    after = [now.fit_key({}), now.fit_key({}, SPLIT), digest_splitter(KFold(3))]
    after.append(now.fit_key(params))
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert differences(known.parts, now.parts) == [
        f"versions: {library} {real(library)} -> 1.0"
    ]


def test_version_behind_a_scorer_leaves_refits(monkeypatch):
    """The version of a library that only scores decides on splits alone."""
    scorer = make_scorer(pd.testing.assert_series_equal)
    keys = []
    for version in ("1", "2"):
        versions = {"pandas": version}
        monkeypatch.setattr(
            _environment, "_version", lambda n, v=versions: v.get(n, "0")
        )
        identity = identify(scorer=scorer)
        keys.append((identity.fit_key({}), identity.fit_key({}, SPLIT)))
    (refit, split), (same_refit, other_split) = keys
    assert refit == same_refit
    assert split != other_split


SETTINGS = {
    "transform_output": ({"transform_output": "pandas"}, True),
    "routing": ({"enable_metadata_routing": True}, True),
    "errors": ({"assume_finite": True}, True),
    "display": ({"display": "text"}, False),
    "memory": ({"working_memory": 8}, False),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_scikit_learn_count_where_they_decide(name):
    """A setting that decides what a fit does is named with its old and new value."""
    (setting, counts), before = SETTINGS[name], identify()
    with config_context(**setting):
        now = identify()
    assert (now.fingerprint != before.fingerprint) is counts
    words = differences(before.parts, now.parts)
    ((key, value),) = setting.items()
    known = [f"settings: sklearn {key} {get_config()[key]} -> {value}"]
    assert words == (known if counts else [])


def test_errors_that_numpy_raises_count():
    """Where numpy raises instead of warning, a fit may fail."""
    before = identify()
    with np.errstate(over="raise"):
        assert identify().fingerprint != before.fingerprint
    with np.errstate(over="ignore"):
        assert identify().fingerprint == before.fingerprint


@pytest.mark.torch
def test_settings_of_torch_count_where_torch_takes_part():
    """The default type of numbers decides on torch's models, and on no others."""
    import torch

    def digests(dtype: Any) -> tuple[Any, Any]:
        torch.set_default_dtype(dtype)
        try:
            torchy = identify(FunctionTransformer(torch.as_tensor))
            return torchy.parts["environment"], identify().fingerprint
        finally:
            torch.set_default_dtype(torch.float32)

    single, double = digests(torch.float32), digests(torch.float64)
    assert single[0] != double[0]
    assert single[1] == double[1]


def test_scoring_that_is_not_named_is_that_of_the_estimator():
    """Without a scorer, a classifier's own score is the accuracy."""
    assert identify(scorer=None).fingerprint == identify().fingerprint
    clusters = KMeans()
    assert (
        identify(clusters, scorer=None).parts["scoring"] != identify().parts["scoring"]
    )


def test_labels_in_a_list_are_those_in_an_array():
    """scikit-learn's estimators make an array of a list; others may not."""
    listed = identify(y=IRIS_Y.tolist())
    assert listed.fingerprint == identify().fingerprint
    assert listed.fit_key({"C": 1}, SPLIT) == identify().fit_key({"C": 1}, SPLIT)
    assert differences(listed.parts, identify().parts) == []
    own = {"C": Slotted(1)}
    assert listed.fit_key(own) != identify().fit_key(own)
    mine = identify(Quiet(), y=IRIS_Y.tolist())
    assert mine.fingerprint != identify(Quiet()).fingerprint
    assert differences(mine.parts, identify(Quiet()).parts) == [
        "the data (y: list (150,) -> ndarray int64 (150,))"
    ]


def test_another_type_of_labels_is_named():
    """Predictions have the type of the labels, so that it counts."""
    narrow = identify(y=IRIS_Y.astype(np.int32))
    assert narrow.fit_key({}) != identify().fit_key({})
    assert differences(identify().parts, narrow.parts) == [
        "the data (y: ndarray int64 (150,) -> ndarray int32 (150,))"
    ]


def test_unidentifiable_param_warns_once_and_has_no_key():
    """The warning names the param and says what to do; others keep their keys."""
    identity = identify()
    opaque = {"C": 1, "hook": OPAQUE}
    with pytest.warns(IdentityWarning, match=r"'hook'.*generator.*__getstate__"):
        assert identity.fit_key(opaque, SPLIT) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert identity.fit_key(dict(opaque), None) is None
        assert identity.fit_key({"C": 1}, SPLIT) is not None


def test_unidentifiable_estimator_has_no_fingerprint():
    """Without an identity of the estimator no fit has one."""
    estimator = FunctionTransformer(kw_args={"rows": OPAQUE})
    with pytest.warns(IdentityWarning, match=r"estimator.*kw_args\['rows'\]"):
        identity = identify(estimator)
    assert identity.fingerprint is None
    assert identity.fit_key({}, SPLIT) is None


def test_unidentifiable_estimator_of_ones_own_warns_once():
    """An estimator with code of one's own is looked at twice, and told once."""
    estimator = FunctionTransformer(own_transform, kw_args={"rows": OPAQUE})
    with pytest.warns(IdentityWarning, match="estimator") as warned:
        identify(estimator)
    assert len(warned) == 1


def test_data_that_cannot_be_shown_have_an_identity():
    """Data of a class whose repr fails are searched, as scikit-learn searches them."""

    class Unshown(dict):
        def __repr__(self):
            raise RuntimeError("no repr")

    assert identify(X=Unshown(a=IRIS_X)).fit_key({}) is not None


def own_transform(X, rows):
    return X


def test_unidentifiable_scorer_leaves_refits():
    """Without an identity of the scorer refits still have theirs."""
    with pytest.warns(IdentityWarning, match="scoring"):
        identity = identify(scorer=functools.partial(f1_score, labels=OPAQUE))
    assert identity.fit_key({}, SPLIT) is None
    assert identity.fit_key({}) == identify().fit_key({})


def test_identity_can_be_pickled():
    """An identity that was used keeps its keys in another process."""
    identity = identify()
    key = identity.fit_key({"f": lambda x: x}, SPLIT)
    again = pickle.loads(pickle.dumps(identity))
    assert again == identity
    assert again.fit_key({"f": lambda x: x}, SPLIT) == key


def test_data_digest_is_that_of_the_search():
    """The data alone can be compared with that of a stored run."""
    assert SearchIdentity.data_digest(IRIS_X, IRIS_Y) == identify().parts["data"]
    assert SearchIdentity.data_digest(OPAQUE, None) == ""


def test_splitters_have_digests():
    """Splitters differ by params and by explicit splits."""
    cvs = [KFold(3), KFold(4), KFold(3, shuffle=True, random_state=0)]
    cvs += [check_cv([SPLIT]), check_cv([SPLIT[::-1]])]
    assert len({digest_splitter(cv) for cv in cvs}) == len(cvs)
    assert digest_splitter(KFold(3)) == digest_splitter(KFold(3))
    assert digest_splitter(OPAQUE) == ""


def test_environment_names_what_takes_part():
    """Python, processor, and the libraries of the estimator; no others."""
    found = environment(LogisticRegression())
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["numpy"] == np.__version__
    assert {"machine", "scikit-learn", "scipy"} < set(found)
    assert "pandas" not in found
    assert "pandas" in environment(LogisticRegression(), pd.DataFrame)


def test_environment_of_an_unidentifiable_estimator():
    """What was met before the opaque part is still named."""
    opaque = FunctionTransformer(pd.get_dummies, kw_args={"a": OPAQUE})
    assert "scikit-learn" in environment(opaque)


def test_differences_are_plain_words():
    """Each part that differs is named; versions are told apart."""
    old, new = identify(), identify(X=changed(IRIS_X))
    assert differences(old.parts, old.parts) == []
    assert differences(old.parts, new.parts) == ["the data (values of X)"]
    assert differences({**old.parts, "cv": "a"}, {**old.parts, "cv": "b"}) == [
        "the splitter"
    ]


def test_differences_name_what_is_unidentifiable():
    """A part without identity is a difference, and is called so."""
    old = identify()
    without = {**old.parts, "estimator": ""}
    assert differences(without, without) == [
        "the estimator's class, params or code (not identifiable)"
    ]


# Other processes --------------------------------------------------------------


def test_identity_is_the_same_in_another_process(tmp_path):
    """Neither the seed of hashes nor the process is part of an identity."""
    (tmp_path / "builders.py").write_text(BUILDER + NET, encoding="utf-8")
    code = """
        import builders, numpy as np, pandas as pd
        from sklearn.ensemble import StackingClassifier, RandomForestClassifier
        from sklearn.svm import SVC
        from sklearn.metrics import get_scorer
        from weightsearch._identity import digest, environment, identify_search
        est = StackingClassifier([("a", SVC()), ("b", RandomForestClassifier())])
        rng = np.random.default_rng(0)
        X = pd.DataFrame({"a": rng.normal(size=9), "b": list("abcabcabc")})
        found = identify_search(est, X, X.b, fit_params={"w": {"x", "y", "z"}},
            score_params={}, scorer=get_scorer("roc_auc"), settings={})
        print(found.parts, found.fit_key({"f": builders.build, "c": builders.Net,
            "s": {"p", "q", 3}, "i": builders.Net(2), "l": lambda x: {"u", "v"}}))
    """
    one, other = (run_python(code, tmp_path, seed) for seed in (1, 2))
    assert one == other
    assert "None" not in one


def test_script_and_module_have_the_same_identity(tmp_path):
    """A class of a script is the same when it is imported, and when run again."""
    (tmp_path / "builders.py").write_text(BUILDER + NET, encoding="utf-8")
    show = "from weightsearch._identity import digest; print(digest([build, Net(1)]))"
    script = run_python(BUILDER + NET + show, tmp_path, 1)
    module = run_python(f"from builders import build, Net; {show}", tmp_path, 2)
    assert script == module


TORCH = """
import torch, skorch

class Net(torch.nn.Module):
    def __init__(self, units=4):
        super().__init__()
        self.fc = torch.nn.Linear(3, units)

    def forward(self, X):
        return torch.softmax(self.fc(X), dim=-1)

class Halve(skorch.callbacks.Callback):
    def on_epoch_end(self, net, **kwargs):
        net.lr /= 2

torch.manual_seed(0)
net = skorch.NeuralNetClassifier(
    Net, optimizer=torch.optim.Adam, callbacks=[("halve", Halve())], device="cpu"
)
instance = skorch.NeuralNetClassifier(Net())
"""


def in_two_processes(
    folder: pathlib.Path, text: str, changes: list[tuple[str, str]], code: str
) -> list[list[str]]:
    """Print digests of a module and of its variants; of the module itself twice."""
    for number, change in enumerate([("", ""), *changes]):
        changed_text = text.replace(*change) if change[0] else text
        (folder / f"variant{number}.py").write_text(changed_text, encoding="utf-8")
    show = f"""
import importlib.util, sys
def variant(number):
    path = f"{{sys.argv[1]}}/variant{{number}}.py"
    spec = importlib.util.spec_from_file_location("builders", path)
    module = sys.modules["builders"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
{textwrap.dedent(code)}
for number in map(int, sys.argv[2:]):
    print("digests", *digests(variant(number)))
"""
    numbers = [str(number) for number in range(len(changes) + 1)]
    found = run_python(show, folder, 1, str(folder), *numbers).splitlines()
    found += run_python(show, folder, 2, str(folder), "0").splitlines()
    return [line.split()[1:] for line in found if line.startswith("digests")]


@pytest.mark.torch
def test_torch_module_body_is_noticed_across_processes(tmp_path):
    """Another module body, callback or set of start weights is another net."""
    code = """
    from weightsearch._identity import digest, environment
    def digests(module):
        assert {"skorch", "torch", "numpy"} < set(environment(module.net))
        return digest(module.net), digest(module.instance)
    """
    changes = [
        ("softmax", "log_softmax"),
        ("lr /= 2", "lr /= 3"),
        ("manual_seed(0)", "manual_seed(1)"),
    ]
    first, body, callback, seed, again = in_two_processes(
        tmp_path, TORCH, changes, code
    )
    assert again == first
    assert body[0] != first[0] != callback[0]
    assert body[1] != first[1] != seed[1]
    assert seed[0] == first[0]


KERAS = """
import keras
from scikeras.wrappers import KerasClassifier

class Shift(keras.layers.Layer):
    def call(self, x):
        return x + 1

def build(units=4):
    return keras.Sequential([keras.layers.Dense(units), Shift()])

def made():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), Shift()])

wrapped = KerasClassifier(
    build, model__units=3, loss=keras.losses.Huber(), fit__verbose=0,
    optimizer=keras.optimizers.Adam(0.01), callbacks=keras.callbacks.EarlyStopping(),
)
"""


@pytest.mark.slow
@pytest.mark.keras
def test_keras_objects_have_identities_across_processes(tmp_path):
    """Builders, models, optimizers, losses and callbacks of Keras are known."""
    code = """
    import keras
    from weightsearch._identity import digest, environment
    adam = [digest(keras.optimizers.Adam(rate)) for rate in (0.1, 0.1, 0.2)]
    assert adam[0] == adam[1] != adam[2]

    def digests(module):
        first, second = module.made(), module.made()
        assert first.inputs[0].name != second.inputs[0].name
        assert digest(first) == digest(second)
        second.set_weights([w + 1 for w in second.get_weights()])
        assert digest(first) != digest(second)
        huber = []
        for delta in (1.0, 1.0, 2.0):
            model = module.made()
            model.compile("adam", keras.losses.Huber(delta))
            huber.append(digest(model))
        assert huber[0] == huber[1] != huber[2]
        names = {"keras", "keras backend", "scikeras", "tensorflow"}
        assert names < set(environment(module.wrapped))
        return digest(module.wrapped), digest(first)
    """
    changes = [
        ("fit__verbose=0", "fit__verbose=2"),
        ("x + 1", "x + 2"),
        ("Huber()", "Huber(2.0)"),
    ]
    first, quiet, layer, loss, again = in_two_processes(tmp_path, KERAS, changes, code)
    assert first == quiet == again
    assert layer[0] != first[0] != loss[0]
    assert layer[1] != first[1] == loss[1]


KERAS_PARTS = """
import keras
from keras import layers

def act(x):
    return x + 1

class Shift(layers.Layer):
    def call(self, x):
        return x * 2

class Cell(layers.Layer):
    state_size = output_size = 2

    def call(self, x, states):
        return x * 3, states

class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.04

    def get_config(self):
        return {}

class Start(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return keras.ops.zeros(shape) + 5

    def get_config(self):
        return {}

class Loss(keras.losses.Loss):
    def call(self, y, predicted):
        return y - predicted - 6

def metric(y, predicted):
    return y + 7

PARTS = {
    "x + 1": lambda: layers.Dense(2, activation=act),
    "x * 2": lambda: layers.TimeDistributed(Shift()),
    "x * 3": lambda: layers.RNN(Cell()),
    "0.04": lambda: keras.optimizers.Adam(Schedule()),
    "+ 5": lambda: layers.TimeDistributed(layers.Dense(2, kernel_initializer=Start())),
    "- 6": Loss,
    "+ 7": lambda: keras.metrics.MeanMetricWrapper(metric),
    "x + 8": lambda: layers.Lambda(lambda x: x + 8),
}

def model():
    keras.utils.set_random_seed(0)
    parts = [PARTS["x * 2"](), PARTS["x + 8"](), PARTS["x + 1"]()]
    model = keras.Sequential([keras.Input((3, 4)), *parts])
    model.compile(PARTS["0.04"](), loss=Loss(), metrics=[metric])
    return model
"""


@pytest.mark.keras
def test_own_code_anywhere_in_a_keras_object_counts(load):
    """Layers in wrappers, activations, schedules, losses and metrics are code."""
    one, same = load(KERAS_PARTS), load(f"# A comment.\n{KERAS_PARTS}")
    model = digest(one.model())
    assert digest(same.model()) == model
    for code, make in one.PARTS.items():
        before = digest(make())
        assert digest(same.PARTS[code]()) == before, code
        other = load(KERAS_PARTS.replace(code, f"{code}1"))
        assert digest(other.PARTS[f"{code}1"]()) != before, code
        if code not in ("x * 3", "+ 5"):
            assert digest(other.model()) != model, code


@pytest.mark.torch
def test_use_of_a_torch_module_does_not_matter(load):
    """The training flag is no part of a module; code of submodules and hooks are."""
    text = """
    import torch
    from torch import nn

    class Shift(nn.Module):
        def forward(self, x):
            return x + 1

    def model():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, 2), nn.ModuleDict({"a": Shift()}))
    """
    module = load(text)
    net = module.model()
    before = digest(net)
    assert digest(net.eval()) == before
    assert digest(load(text).model()) == before
    assert digest(load(text.replace("x + 1", "x + 2")).model()) != before
    net.register_forward_hook(lambda *inputs: None)
    assert digest(net) != before


@pytest.mark.torch
def test_torch_tensors_are_known_by_content():
    """Tensors differ by value, shape and type; bfloat16 too."""
    import torch

    tensors = [
        torch.zeros(2),
        torch.zeros(3),
        torch.ones(2),
        torch.zeros(2, dtype=torch.bfloat16),
        torch.ones(2, dtype=torch.bfloat16),
        torch.tensor(0.0),
        torch.float32,
        torch.device("cpu"),
        torch.nn.Parameter(torch.zeros(2)),
    ]
    assert len({digest(tensor) for tensor in tensors}) == len(tensors)
    one = torch.arange(6.0).reshape(2, 3)
    assert digest(one.T.contiguous().T) == digest(one)


def test_tables_of_other_libraries_are_known_by_content():
    """Frames and series of polars and pyarrow differ by value, name and type."""
    polars = pytest.importorskip("polars")
    arrow = pytest.importorskip("pyarrow")

    def tables(number: int) -> list[Any]:
        return [
            polars.DataFrame({"a": [1, number], "b": ["x", None]}),
            polars.Series("a", [1, number]),
            polars.Series("a", [1, number], dtype=polars.Int8),
            arrow.table({"a": [1, number], "b": ["x", None]}),
            arrow.chunked_array([[1], [number]]),
        ]

    digests = [digest(table) for number in (2, 3) for table in tables(number)]
    assert len(set(digests)) == len(digests)
    assert [digest(table) for table in tables(2)] == digests[:5]
    assert digest(arrow.array([1, 2])) == digests[4]


# Properties -------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.binary(max_size=5),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=4),
        st.frozensets(SCALARS, max_size=4),
    ),
    max_leaves=10,
)


def spelled(value: Any) -> str:
    """Write a value so that equal text means equal type and content."""
    if isinstance(value, dict):
        items = sorted((spelled(k), spelled(v)) for k, v in value.items())
        return f"dict{items}"
    if isinstance(value, frozenset):
        return f"frozenset{sorted(map(spelled, value))}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}{[spelled(item) for item in value]}"
    return f"{type(value).__name__} {value!r}"


@given(VALUES, VALUES)
@settings(max_examples=300, deadline=None)
def test_digests_are_equal_exactly_for_equal_values(one, other):
    """Two values share a digest if, and only if, they are spelled the same."""
    assert (digest(one) == digest(other)) is (spelled(one) == spelled(other))
    assert digest(copy.deepcopy(one)) == digest(one)


@given(
    hnp.arrays(
        st.sampled_from(["f8", "f4", "i8", "u1", "c16", "?", "U3", ">i4"]),
        hnp.array_shapes(min_dims=1, max_dims=3, max_side=5),
    ),
    st.data(),
)
@settings(max_examples=200, deadline=None)
def test_every_byte_of_an_array_counts(array, data):
    """An array with one element changed has another digest; a copy has not."""
    assert digest(np.asfortranarray(array)) == digest(array)
    at = data.draw(st.integers(0, array.size - 1))
    other = array.copy()
    number = other.flat[at]
    other.flat[at] = "new" if array.dtype.kind == "U" else not number
    if other.tobytes() != array.tobytes():
        assert digest(other) != digest(array)

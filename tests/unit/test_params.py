"""Params as keys: what they are equal to, and that they survive the store."""

from __future__ import annotations

import copy
import datetime
import decimal
import functools
import json
import math
import os
import pathlib
import pickle
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from weightsearch._params import (
    OpaqueParam,
    ParamsKey,
    ParamsMapping,
    decode_params,
    encode_params,
)
from weightsearch.exceptions import CorruptStoreError, WeightsNotFoundError

ROOT = pathlib.Path(__file__).parents[2]


def build_model(units=3):
    """Do what a builder does, as a param's value."""
    return units


def stored(params: dict[str, Any]) -> ParamsKey:
    """Send params through the store."""
    return ParamsKey.from_json(json.loads(json.dumps(encode_params(params))))


# Encoding ---------------------------------------------------------------------

PLAIN = [
    None,
    True,
    3,
    -(10**30),
    10**5000,
    0.1,
    -0.0,
    1e300,
    math.inf,
    -math.inf,
    "relu",
    "",
    "\ud800 é \x00",
    b"\x00\xff",
    1 - 2j,
    complex(math.inf, -0.0),
    [],
    [1, [2.0, "a"]],
    (),
    (50, (1,)),
    {"a": [1]},
    {},
    {1: "a", (1, 2): [3]},
    {"$tuple": [1]},
    {"$a": 1, "b": 2},
    set(),
    {1, "a", (2,)},
    frozenset({1}),
    range(1, 9, 2),
    slice(None, 3),
    datetime.datetime(2020, 1, 2, 3, 4, 5, 6),
    datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC),
    datetime.date(2020, 1, 2),
    datetime.time(1, 2),
    datetime.timedelta(days=-1, microseconds=3),
    pathlib.Path("a/b"),
    np.dtype("f4"),
    np.dtype("M8[ns]"),
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda v: str(type(v).__name__))
def test_plain_values_come_back_as_they_were(value):
    """A plain value is equal, and of the same type, after the store."""
    back = decode_params(encode_params({"a": value}))["a"]
    assert type(back) is type(value)
    assert back == value
    assert math.copysign(1, back) < 0 if value == 0 and type(value) is float else True


def test_nan_comes_back():
    """Nan is a value like another, and its key is equal to itself."""
    params = {"missing_values": math.nan}
    assert math.isnan(decode_params(encode_params(params))["missing_values"])
    assert stored(params) == params == stored(params)


def test_numpy_scalars_come_back_as_numbers():
    """The type of a numpy scalar is not kept."""
    text = encode_params({"a": np.float64(0.1), "b": np.int8(1), "c": np.bool_(True)})
    assert text == encode_params({"c": True, "b": 1, "a": 0.1})
    assert type(decode_params(text)["a"]) is float


def test_text_is_canonical():
    """Names of params are sorted, and sets written in one order."""
    one = {"b": {"x", "y", "z"}, "a": {"q": 1, "p": 2}}
    other = {"a": {"q": 1, "p": 2}, "b": {"z", "y", "x"}}
    assert encode_params(one) == encode_params(other)
    assert encode_params({"b": (1, 0.5), "a": None}) == (
        '{"a":null,"b":{"$tuple":[1,0.5]}}'
    )


def test_small_arrays_come_back():
    """An array of at most 64 numbers is written out, and comes back read-only."""
    for array in (
        np.arange(6.0).reshape(2, 3),
        np.array([True]),
        np.array(["a", "bc"]),
    ):
        back = decode_params(encode_params({"a": array}))["a"]
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)
        assert not back.flags.writeable


OPAQUE = {
    "function": (build_model, "build_model"),
    "lambda": (lambda x: x, "<lambda>"),
    "builtin": (len, "len"),
    "ufunc": (np.tanh, "tanh"),
    "class": (SVC, "SVC"),
    "estimator": (SVC(C=2), "SVC(C=2)"),
    "kernel": (
        RBF() + WhiteKernel(2.0),
        "RBF(length_scale=1) + WhiteKernel(noise_level=2)",
    ),
    "array": (np.zeros((100, 3)), "<array <f8 (100, 3)>"),
    "objects": (np.array([None]), "<array |O (1,)>"),
    "frame": (pd.DataFrame({"a": [1]}), "<DataFrame of shape (1, 1)>"),
    "sparse": (sparse.csr_array(np.eye(3)), "<csr_array of shape (3, 3)>"),
    "partial": (functools.partial(len), "partial(len)"),
    "object": (decimal.Decimal("0.1"), "Decimal('0.1')"),
}


@pytest.mark.parametrize("name", OPAQUE)
def test_what_only_its_program_knows_comes_back_by_name(name):
    """Code, estimators and large data come back as a name and a digest."""
    value, words = OPAQUE[name]
    back = decode_params(encode_params({"a": value}))["a"]
    assert isinstance(back, OpaqueParam)
    assert repr(back) == words
    assert encode_params({"a": back}) == encode_params({"a": value})
    assert back == decode_params(encode_params({"a": copy.deepcopy(value)}))["a"]
    assert hash(back) == hash(pickle.loads(pickle.dumps(back)))
    assert stored({"a": value}) == {"a": value}


def test_opaque_values_differ_by_content():
    """Two functions of one name, or two estimators of one class, are two params."""
    values = [
        lambda x: x,
        lambda x: x + 1,
        SVC(),
        SVC(C=2),
        SVC,
        np.zeros(100),
        np.ones(100),
        pd.Series([1]),
        pd.Series([2]),
        functools.partial(max, 1),
        functools.partial(max, 2),
    ]
    texts = [encode_params({"a": value}) for value in values]
    assert len(set(texts)) == len(values)
    assert len({decode_params(text)["a"] for text in texts}) == len(values)


def test_estimators_are_known_by_the_params_that_differ():
    """A new default, as another version may have, leaves a key as it is."""
    text = encode_params({"a": make_pipeline(RandomForestClassifier(max_depth=3))})
    assert "max_depth" in text
    assert "min_samples_leaf" not in text


def test_unidentifiable_values_have_no_digest():
    """A generator is written by its class and words, without an address."""
    back = decode_params(encode_params({"a": [(n for n in ())]}))["a"][0]
    assert back.digest is None
    assert "generator" in repr(back)
    assert "0x" not in back.text


def test_long_values_are_known_by_digest():
    """The text of a value is bounded; it still tells values apart."""
    one, other = (encode_params({"a": [n] * 100_000}) for n in (1, 2))
    assert max(len(one), len(other)) < 1000
    assert one != other
    assert stored({"a": "x" * 10**6}) == {"a": "x" * 10**6}


def test_values_that_hold_themselves_are_encoded():
    """A value without end is known by digest."""
    ring: list[Any] = []
    ring.append(ring)
    assert decode_params(encode_params({"a": ring}))["a"].kind == "object"


def test_names_must_be_text():
    """A param without a name is refused."""
    with pytest.raises(TypeError, match="3"):
        encode_params({3: 1})  # type: ignore[dict-item]


HOSTILE = [
    "",
    "[]",
    "{",
    '{"a": NaN}',
    '{"a": {"$tuple": 3}}',
    '{"a": {"$tuple": [], "b": 1}}',
    '{"a": {"$float": "1"}}',
    '{"a": {"$int": "zz"}}',
    '{"a": {"$bytes": "?"}}',
    '{"a": {"$complex": [1, 2, 3]}}',
    '{"a": {"$complex": []}}',
    '{"a": {"$set": [[1]]}}',
    '{"a": {"$dict": [[1]]}}',
    '{"a": {"$range": [1.5]}}',
    '{"a": {"$datetime": "yesterday"}}',
    '{"a": {"$timedelta": [1e300]}}',
    '{"a": {"$dtype": "f4,f4"}}',
    '{"a": {"$function": 3}}',
    '{"a": {"$function": {"name": "f", "digest": 3}}}',
    '{"a": {"$object": {"class": "a"}}}',
    '{"a": {"$object": [1]}}',
    '{"a": {"$estimator": {"class": "a"}}}',
    '{"a": {"$array": {"dtype": "<f8", "shape": [9], "digest": null, "values": [1]}}}',
    '{"a": {"$array": {"dtype": "|O", "shape": [1], "digest": null, "values": [1]}}}',
    '{"a": {"$array": {"dtype": "<U999999999", "shape": [1], "digest": null,'
    ' "values": ["a"]}}}',
    '{"a": ' + "9" * 5000 + "}",
    '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    '{"a": "' + "x" * (1 << 24) + '"}',
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:30])
def test_damaged_text_is_refused(text):
    """What is not written as params are ends with an error of our own."""
    with pytest.raises(CorruptStoreError):
        decode_params(text)
    with pytest.raises(CorruptStoreError):
        hash(ParamsKey.from_json(text))


def test_unknown_kinds_come_back_by_name():
    """What a later version may write is shown, not guessed."""
    back = decode_params('{"a": {"$tensor": {"name": "t", "digest": null}}}')["a"]
    assert (back.kind, back.name) == ("tensor", "t")
    assert repr(back) == "<tensor t>"


# Keys -------------------------------------------------------------------------


def test_key_reads_like_a_dict():
    """Values by name, iteration, length and repr are those of a dict."""
    params = {"alpha": 0.1, "hidden_layer_sizes": (50,)}
    for key in (ParamsKey(params), stored(params)):
        assert key["alpha"] == 0.1
        assert dict(key) == params
        assert len(key) == 2
        assert repr(key) == repr(params)
        assert {**key} == params
        with pytest.raises(KeyError):
            key["beta"]


def test_key_cannot_be_changed():
    """A key has no way to set an item or attribute."""
    key = ParamsKey({"alpha": 0.1})
    with pytest.raises(TypeError):
        key["alpha"] = 1  # type: ignore[index]
    with pytest.raises(AttributeError):
        key.alpha = 1  # type: ignore[attr-defined]


def test_live_key_shows_live_values():
    """A key of live params shows the objects themselves."""
    assert ParamsKey({"model": build_model})["model"] is build_model
    assert isinstance(stored({"model": build_model})["model"], OpaqueParam)


def test_key_is_equal_to_plain_dicts():
    """A dict on either side, in any order, with numpy scalars and live objects."""
    params = {"C": 0.1, "kernel": "rbf", "f": build_model, "e": SVC(C=2), "c": SVC}
    equal = {**dict(reversed(params.items())), "C": np.float64(0.1), "e": SVC(C=2)}
    for key in (ParamsKey(params), stored(params)):
        assert key == equal
        assert equal == key
        assert key != {**equal, "C": 0.2}
        assert key != {"C": 0.1}
        assert key != {**equal, 3: 1}
        assert key != "C"


def test_keys_tell_types_of_numbers_apart():
    """One feature, all features and a switch are three keys, equal to one dict."""
    keys = [ParamsKey({"max_features": value}) for value in (1, 1.0, True)]
    assert len(set(keys)) == 3
    assert all(key == {"max_features": 1} for key in keys)
    assert ParamsKey({"a": (50.0, [1])}) == {"a": (50, [True])}
    assert ParamsKey({"a": (50,)}) != {"a": [50]}
    assert ParamsKey({"a": np.array([1.0, 2.0])}) == {"a": np.array([1, 2])}


def test_key_survives_pickle_without_its_live_values():
    """A key with a lambda can be pickled, as it goes by its text."""
    key = ParamsKey({"f": lambda x: x, "C": 1})
    again = pickle.loads(pickle.dumps(key))
    assert again == key
    assert hash(again) == hash(key)
    assert {key: 1}[again] == 1


def test_text_of_another_writer_makes_the_same_key():
    """Spaces and order in stored text do not matter."""
    key = ParamsKey.from_json('{ "b": 1,\n "a": {"$tuple": [2]} }')
    assert key == ParamsKey({"a": (2,), "b": 1})
    assert hash(key) == hash(ParamsKey({"a": (2,), "b": 1}))


def test_words_of_an_object_do_not_matter():
    """Objects of one digest are one key, whatever their repr says."""
    text = encode_params({"a": functools.partial(len)})
    other = text.replace("partial(len", "other(len")
    assert text != other
    assert ParamsKey.from_json(text) == ParamsKey.from_json(other)


def test_keys_are_equal_in_another_process(tmp_path):
    """Text and digests of keys do not depend on the process."""
    code = """
        import builders, functools, numpy as np
        from sklearn.svm import SVC
        from weightsearch._params import encode_params
        print(encode_params({"s": {"a", "b", "c"}, "f": builders.build, "e": SVC(C=3),
            "c": builders.Net, "n": builders.Net(), "a": np.arange(99), "x": SVC,
            "p": functools.partial(builders.build, 1), "l": lambda x: {"u", "v"}}))
    """
    builders = "def build(n): return {'a', 'b', n}\nclass Net:\n    x = {'a', 'b'}\n"
    (tmp_path / "builders.py").write_text(builders, encoding="utf-8")
    texts = set()
    for seed in ("1", "2"):
        paths = os.pathsep.join([str(ROOT), str(tmp_path)])
        env = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": seed}
        code_text = textwrap.dedent(code)
        command = [sys.executable, "-c", code_text]
        texts.add(subprocess.check_output(command, env=env, text=True))
    assert len(texts) == 1


# Mappings ---------------------------------------------------------------------

GRID = list(
    ParameterGrid(
        [
            {"alpha": [0.1, 0.2, 0.4], "solver": ["adam", "sgd"]},
            {"model__units": [(50,), (100, 50)], "solver": ["adam"]},
        ]
    )
)


def mapping_of(grid: Any, **options: Any) -> ParamsMapping[int]:
    """Map stored params to their positions."""
    return ParamsMapping([stored(params) for params in grid], lambda n: n, **options)


def test_lookup_with_plain_dicts():
    """Every candidate is found by its params, in any order."""
    mapping = mapping_of(GRID)
    assert [mapping[params] for params in GRID] == list(range(len(GRID)))
    assert mapping[{"solver": "sgd", "alpha": np.float64(0.2)}] == 3
    assert {"solver": "sgd", "alpha": 0.2} in mapping
    assert {"solver": "sgd", "alpha": 0.3} not in mapping
    assert 3 not in mapping
    assert mapping.get({"alpha": 9}, "none") == "none"


def test_mapping_is_a_mapping():
    """Keys, values and items go together; keys are ParamsKey."""
    mapping = mapping_of(GRID)
    assert len(mapping) == len(GRID)
    assert dict(mapping) == {ParamsKey(p): n for n, p in enumerate(GRID)}
    assert list(mapping) == GRID
    assert [mapping[key] for key in mapping] == list(mapping.values())


def test_values_are_loaded_when_asked_for():
    """Iterating over keys and looking for one loads nothing."""
    loaded: list[int] = []
    mapping = ParamsMapping([ParamsKey(p) for p in GRID], loaded.append)
    assert GRID[1] in mapping
    assert list(mapping.where(alpha=0.1)) == GRID[:2]
    assert loaded == []
    mapping.where(alpha=0.2)[GRID[3]]
    assert loaded == [3]


def test_exact_candidate_is_preferred():
    """Where 1, 1.0 and True are candidates each is found; else any equal one is."""
    grid = [{"max_features": value} for value in (1.0, 1, True)]
    mapping = mapping_of(grid)
    assert [mapping[params] for params in grid] == [0, 1, 2]
    assert mapping_of(grid[:1])[{"max_features": 1}] == 0
    assert list(mapping.where(max_features=1).values()) == [1]
    assert list(mapping_of(grid[:1]).where(max_features=True).values()) == [0]


def test_first_of_equal_candidates_wins():
    """A grid that names a candidate twice has one key for both."""
    mapping = mapping_of([{"a": 1}, {"a": 1}, {"a": 2}])
    assert len(mapping) == 2
    assert list(mapping.items()) == [({"a": 1}, 0), ({"a": 2}, 2)]


def test_lookup_with_live_objects():
    """Estimators, functions, classes and arrays are found by their content."""
    values = [SVC(C=2), SVC(), LogisticRegression(), build_model, SVC, np.zeros(100)]
    values += [None, "passthrough", lambda x: x]
    mapping = mapping_of([{"clf": value} for value in values])
    for number, value in enumerate(values):
        assert mapping[{"clf": copy.deepcopy(value)}] == number
    assert list(mapping.where(clf=SVC()).values()) == [1]


def test_where_chooses_by_some_params():
    """Candidates without the param are left out; parts can be chosen from again."""
    mapping = mapping_of(GRID)
    assert list(mapping.where(alpha=0.4).values()) == [4, 5]
    assert list(mapping.where(solver="adam").values()) == [0, 2, 4, 6, 7]
    assert list(mapping.where({"model__units": (50,)}).values()) == [6]
    assert list(mapping.where(solver="adam").where(alpha=0.2).values()) == [2]
    assert len(mapping.where(alpha=3)) == 0
    assert len(mapping.where()) == len(mapping)


def test_where_names_unknown_params():
    """A name that no candidate has is an error with a suggestion."""
    with pytest.raises(WeightsNotFoundError, match=r"'alhpa'\. Did you mean 'alpha'"):
        mapping_of(GRID).where(alhpa=1)
    with pytest.raises(WeightsNotFoundError, match="Did you mean 'model__units'"):
        mapping_of(GRID).where(units=1)


def error_of(mapping: ParamsMapping[int], params: Any) -> str:
    """Look params up that are not there."""
    with pytest.raises(WeightsNotFoundError) as caught:
        mapping[params]
    assert isinstance(caught.value, KeyError)
    return str(caught.value)


def test_error_names_the_nearest_candidates():
    """Three at most: those that agree in most params, then in numbers."""
    text = error_of(mapping_of(GRID), {"alpha": 0.21, "solver": "sgd"})
    nearest = text.partition("Nearest: ")[2].split("; ")
    assert nearest == [repr(GRID[n]) for n in (3, 5, 1)]


def test_error_names_unknown_and_missing_params():
    """A wrong name has a suggestion; names that were not given are told."""
    mapping = mapping_of(GRID)
    assert "'alhpa'. Did you mean 'alpha'" in error_of(mapping, {"alhpa": 0.1})
    assert "Params are 'alpha', 'solver'" in error_of(mapping, {"zzz": 0.1})
    assert "Missing: 'solver'" in error_of(mapping, {"alpha": 0.1})
    assert "by a dict" in error_of(mapping, 3)
    assert "by a dict" in error_of(mapping, {3: 3})
    assert "no candidates" in error_of(mapping_of([]), {"alpha": 1})


def test_error_says_why_a_candidate_has_no_weights():
    """A candidate that failed is told from one that never was."""
    missing = {ParamsKey({"alpha": 1.0}): "Its refit failed."}
    mapping = mapping_of(GRID, missing=missing)
    assert error_of(mapping, {"alpha": 1}) == "Its refit failed."
    assert error_of(mapping.where(alpha=0.1), {"alpha": 1}) == "Its refit failed."
    assert {"alpha": 1} not in mapping


def test_error_prints_long_integers():
    """An integer that Python refuses to print does not hide the error."""
    assert "No candidate" in error_of(mapping_of(GRID), {"alpha": 10**5000})


def test_repr_is_short():
    """Number of candidates, names of params and how many values each has."""
    assert repr(mapping_of(GRID)) == (
        "<ParamsMapping: 8 candidates by alpha (3), solver (2), units (2)>"
    )
    assert repr(mapping_of([])) == "<ParamsMapping: 0 candidates>"
    many = mapping_of([{f"p{n}": 1 for n in range(100)}])
    assert len(repr(many)) < 100


def test_html_is_escaped_and_short():
    """At most 20 rows, and no text of a param as markup."""
    mapping = mapping_of([{"a<b": f"<script>{n}"} for n in range(30)])
    text = mapping._repr_html_()
    assert "<script>" not in text
    assert "a&lt;b" in text
    assert text.count("<tr>") == 21
    assert "10 more" in text


# Properties -------------------------------------------------------------------

AWKWARD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=6),
    st.sampled_from(["$tuple", "$array", "$", "\ud800", "\x00", "é"]),
    st.binary(max_size=6),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
    st.just(range(3)),
    st.sampled_from([np.float32(0.1), np.int64(7), np.bool_(True), np.str_("x")]),
    st.sampled_from([len, SVC, SVC(C=2), np.float32, np.dtype("f4"), build_model]),
)
KEYS = st.one_of(st.text(max_size=4), st.integers(), st.booleans(), st.none())
VALUES = st.recursive(
    AWKWARD,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEYS, inner, max_size=3),
        st.frozensets(KEYS, max_size=3),
        st.lists(st.floats(), max_size=4).map(np.array),
    ),
    max_leaves=8,
)
PARAMS = st.dictionaries(st.text(min_size=1, max_size=6), VALUES, max_size=4)


@given(PARAMS)
@settings(max_examples=300, deadline=None)
def test_any_params_are_a_key_after_the_store(params):
    """Live and stored key are equal, hash alike, and are written the same again."""
    live, back = ParamsKey(params), stored(params)
    assert back == live
    assert hash(back) == hash(live)
    assert back == params
    assert params == back
    assert encode_params(back) == back.to_json()
    assert isinstance(repr(back), str)


@given(st.lists(PARAMS, min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_grid_is_found_after_the_store(grid):
    """Each candidate's params lead to the first one that is equal to it."""
    mapping = mapping_of(grid)
    texts = [encode_params(params) for params in grid]
    for params in grid:
        assert mapping[params] == texts.index(encode_params(params))


@given(PARAMS, PARAMS)
@settings(max_examples=200, deadline=None)
def test_keys_are_equal_exactly_if_their_texts_are(one, other):
    """Equality of keys is equality of what is stored of them."""
    same = encode_params(one) == encode_params(other)
    assert (ParamsKey(one) == ParamsKey(other)) is same

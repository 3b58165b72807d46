"""Keys of fits: digests of everything that decides what a fit computes.

A fit is identified by the content of everything that decides what it learns: the
estimator's class and params, the code among them, the candidate's params, the
data, the split and the versions of the libraries. ``docs/identity.md`` says what
is noticed and what is not.
"""

from __future__ import annotations

import json
import platform
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer

from weightsearch._identity._data import layout, node
from weightsearch._identity._environment import settings_of, versions_of
from weightsearch._identity._estimators import (
    deciding_fit_params,
    deciding_params,
    params_of,
)
from weightsearch._identity._values import Digester, Unidentifiable
from weightsearch.exceptions import IdentityWarning

__all__ = [
    "SearchIdentity",
    "Unidentifiable",
    "differences",
    "digest",
    "digest_splitter",
    "environment",
    "identify_data",
    "identify_search",
]

_OF_EVERY_FIT = ("estimator", "X", "y", "layout", "fit_params", "environment")
_OF_SPLITS = ("scoring", "score_params", "settings", "scoring_environment")
_IN_WORDS = {
    "estimator": "the estimator's class, params or code",
    "X": "the data (X)",
    "y": "the data (y)",
    "layout": "the order of the data in memory",
    "fit_params": "the params of fit, such as sample_weight",
    "score_params": "the params of score",
    "scoring": "the scoring",
    "cv": "the splitter",
    "settings": "return_train_score or error_score",
}
_ENVIRONMENTS = ("environment", "scoring_environment")
_ONLY_VALUES_COUNT = {"scikit-learn", "numpy", "scipy", "joblib"}
_NARROW = ("float16", "float32")
# An array of such scalars, or of such objects, is another than one of Python's.
_BOXES_OF_DATA = (np.generic,)
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_ADVICE = (
    "Its fits are stored but not reused. Give it a __getstate__ that leaves the "
    "opaque part out, or pass a class, a function or plain values instead."
)


def digest(obj: Any, *, boxes: tuple[type, ...] = ()) -> str:
    """Digest of the content of any object, without versions: 32 hexadecimal digits.

    Types of numpy's scalars among `boxes` differ from Python's of the same value.

    Raises
    ------
    Unidentifiable
        If something in it has state that cannot be looked into.
    """
    return Digester(boxes=boxes).digest(obj).hex()


def digest_splitter(cv: Any) -> str:
    """Digest of a splitter, its library's version included; empty where it has none."""
    digester = Digester()
    try:
        found = digester.digest(cv)
    except Unidentifiable:
        return ""
    versions = versions_of(digester.distributions)
    return node("splitter", found, repr(versions).encode()).hex()


def environment(*objects: Any) -> dict[str, str]:
    """Return the versions of everything that takes part in a fit.

    Of Python, the kind of processor (``machine``), and every distribution whose classes
    and functions the objects bring in: estimator, scorer, splitter.
    """
    digester = Digester()
    for obj in objects:
        try:
            digester.digest(obj)
        except Unidentifiable:
            # What was met until then counts; identify_search() says the rest.
            continue
    return _versions_with({"scikit-learn", *digester.distributions})


def _versions_with(distributions: Iterable[str]) -> dict[str, str]:
    machine = platform.machine().lower()
    return {
        "python": platform.python_version(),
        "machine": _MACHINES.get(machine, machine),
        **versions_of(distributions),
    }


@dataclass
class SearchIdentity:
    """What all fits of one search have in common.

    Attributes
    ----------
    parts : dict of str -> str
        Digests by name: ``estimator``, ``data``, ``X``, ``y`` (each with what it is,
        in words), ``layout``, ``fit_params``, ``score_params``, ``scoring``,
        ``settings``; empty text where there is none. ``environment`` and
        ``scoring_environment`` are versions and global settings, as JSON;
        ``run_params`` are names of the estimator's params that decide nothing.
    fingerprint : str or None
        Digest of all that decides the search's fits; None where a part has none.
    """

    parts: Mapping[str, str]
    fingerprint: str | None
    _estimator: Any = field(repr=False, compare=False)
    _common: Mapping[bool, bytes | None] = field(repr=False, compare=False)
    # What y is, where it was taken for the array of the same values.
    _y_was: str = field(default="", repr=False, compare=False)
    _boxes: tuple[type, ...] = field(default=(np.generic,), repr=False, compare=False)

    def __post_init__(self) -> None:
        self._splits: dict[tuple[int, int], tuple[Any, bytes]] = {}
        # The params are kept too, or their ids could be given to others.
        self._candidates: dict[int, tuple[Any, bytes | None]] = {}
        self._environments: dict[frozenset[str], bytes] = {}
        self._warned: set[str] = set()
        # For all candidates: they remember the code that these share.
        self._digester = Digester(boxes=self._boxes)
        self._exact_digester = Digester(boxes=(np.generic,))

    def __reduce__(self) -> tuple[Any, ...]:
        # What was remembered for speed may hold functions that cannot be pickled.
        known = (dict(self.parts), self.fingerprint, self._estimator)
        return type(self), (*known, dict(self._common), self._y_was, self._boxes)

    @staticmethod
    def data_digest(X: Any, y: Any) -> str:
        """Digest of the data, as in ``parts["data"]``; empty where there is none."""
        try:
            return _joined_data(*(digest(d, boxes=_BOXES_OF_DATA) for d in (X, y)))
        except Unidentifiable:
            return ""

    def fit_key(
        self,
        params: Mapping[str, Any],
        split: tuple[Any, Any] | None = None,
    ) -> str | None:
        """Key of one fit, 32 hexadecimal digits; None where it has no identity.

        Parameters
        ----------
        params : mapping of str to object
            The candidate's. Must not be changed afterwards.
        split : (train, test), default=None
            Indices, each of shape (n,); None for the refit on all the data, whose key
            does not depend on scoring.

        Warns
        -----
        IdentityWarning
            If a param has no identity, once for each param's name.
        """
        return self._key("fit", self._common[split is None], params, split)

    def model_key(
        self, params: Mapping[str, Any], split: tuple[Any, Any]
    ) -> str | None:
        """Key of a fit's model, as :meth:`fit_key`, but whatever the scoring."""
        return self._key("model", self._common[True], params, split)

    def _key(
        self,
        kind: str,
        common: bytes | None,
        params: Mapping[str, Any],
        split: tuple[Any, Any] | None,
    ) -> str | None:
        known = self._params(params)
        if common is None or known is None:
            return None
        where = b"refit" if split is None else self._split(split)
        return node(kind, common, known, where).hex()

    def _params(self, params: Mapping[str, Any]) -> bytes | None:
        known = self._candidates.get(id(params))
        if known is None:
            known = params, self._params_digest(params)
            self._candidates[id(params)] = known
        return known[1]

    def _params_digest(self, params: Mapping[str, Any]) -> bytes | None:
        # Only numbers and texts bring no code that could tell a scalar's type.
        digester = self._digester if _are_wide(params) else self._exact_digester
        digester.distributions, digester.own_code = set(), False
        parts = []
        for name, value in sorted(deciding_params(self._estimator, params).items()):
            try:
                parts += [name.encode(), digester.digest(value)]
            except Unidentifiable as error:
                if name not in self._warned:
                    self._warned.add(name)
                    _warn(f"the candidates' param {name!r}", error)
                return None
        if digester.distributions:
            parts.append(self._environment(frozenset(digester.distributions)))
        if digester.own_code:
            parts.append(self._y_was.encode())
        return node("params", *parts)

    def _environment(self, distributions: frozenset[str]) -> bytes:
        known = self._environments.get(distributions)
        if known is None:
            known = _environment_text(distributions).encode()
            self._environments[distributions] = known
        return known

    def _split(self, split: tuple[Any, Any]) -> bytes:
        train, test = split
        key = (id(train), id(test))
        known = self._splits.get(key)
        if known is None:
            digester = Digester()
            found = node("split", *(digester.digest(_indices(i)) for i in split))
            if len(self._splits) >= 256:
                self._splits.clear()
            # The indices are kept too, or their ids could be given to others.
            known = self._splits[key] = ((train, test), found)
        return known[1]


def _indices(indices: Any) -> Any:
    array = np.asarray(indices)
    return array.astype(np.int64) if array.dtype.kind in "iu" else array


def identify_search(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    fit_params: Mapping[str, Any],
    score_params: Mapping[str, Any],
    scorer: Any,
    settings: Mapping[str, Any],
) -> SearchIdentity:
    """Identify what all fits of a search have in common.

    Parameters
    ----------
    estimator : estimator
        Not fitted, or to be cloned: what it has learned does not count.
    X, y : array-like of shape (n_samples, ...), or None
    fit_params, score_params : mapping of str to object
        Such as ``sample_weight``.
    scorer : callable, mapping or None
        As checked by scikit-learn; None for the estimator's own ``score``.
    settings : mapping of str to object
        ``return_train_score``, ``error_score``.

    Warns
    -----
    IdentityWarning
        If a part has no identity.
    """
    parts: dict[str, str] = {}
    data, scoring = Digester(boxes=_BOXES_OF_DATA), Digester()
    boxes: tuple[type, ...] = ()
    if any(map(_may_be_narrow, (X, y, *fit_params.values(), estimator))):
        boxes = (np.generic,)
    model = _identify_model(parts, estimator, fit_params, boxes=boxes)
    only_known = (
        not model.own_code
        and versions_of(model.distributions).keys() <= _ONLY_VALUES_COUNT
    )
    if not (only_known or boxes) and parts["estimator"] and parts["fit_params"]:
        # isinstance(param, int) and ``param is True`` can tell; a float64 is a float.
        boxes = (np.integer, np.bool_)
        model = _identify_model(parts, estimator, fit_params, boxes=boxes)
    # scikit-learn's estimators make an array of such a list before all else.
    as_array = type(y) is list and only_known
    given_y = _in_words(y)
    _identify(parts, "X", data, X)
    _identify(parts, "y", data, y)
    parts["data"] = _joined_data(parts["X"], parts["y"])
    parts["layout"] = digest([layout(X), layout(y)])
    if as_array:
        _identify(parts, "y", data, np.asarray(y))
    _identify(parts, "scoring", scoring, _as_named(estimator, scorer))
    _identify(parts, "score_params", scoring, dict(score_params))
    _identify(parts, "settings", Digester(), dict(settings))
    if as_array and scoring.own_code and parts["scoring"]:
        parts["scoring"] += f" of {given_y}"
    own = params_of(estimator) or {}
    parts["run_params"] = " ".join(
        sorted(own.keys() - deciding_params(estimator, own).keys())
    )
    shared = {"scikit-learn", *model.distributions, *data.distributions}
    parts["environment"] = _environment_text(shared, of_machine=True)
    parts["scoring_environment"] = _environment_text(scoring.distributions)
    of_refits = _joined(parts, _OF_EVERY_FIT)
    of_splits = _joined(parts, _OF_EVERY_FIT + _OF_SPLITS)
    for name, words in (("X", _in_words(X)), ("y", given_y)):
        parts[name] = parts[name] and f"{parts[name]} {words}"
    return SearchIdentity(
        parts=parts,
        fingerprint=of_splits.hex() if of_splits is not None else None,
        _estimator=estimator,
        _common={True: of_refits, False: of_splits},
        _y_was=given_y if as_array else "",
        _boxes=boxes,
    )


def _identify_model(
    parts: dict[str, str],
    estimator: Any,
    fit_params: Mapping[str, Any],
    *,
    boxes: tuple[type, ...],
) -> Digester:
    model = Digester(boxes=boxes)
    _identify(parts, "estimator", model, estimator)
    _identify(parts, "fit_params", model, deciding_fit_params(estimator, fit_params))
    return model


def _may_be_narrow(value: Any) -> bool:
    """Whether there may be numbers in it of fewer bits than Python's.

    An ``np.float64`` makes what is computed of them wider, and Python's float does not.
    """
    if isinstance(value, list | tuple):
        return not set(map(type, value)) <= {bool, int, float, str}
    if hasattr(value, "get_params"):
        types = value.get_params()
    else:
        # Of a table, a list or a column of them.
        types = getattr(value, "dtypes", getattr(value, "dtype", value))
        types = getattr(types, "tolist", lambda: types)()
    try:
        text = repr(types).lower()
    except Exception:  # of a class that is not ours
        return True
    return any(name in text for name in _NARROW)


def _are_wide(params: Mapping[str, Any]) -> bool:
    """Whether all params are numbers or texts, none of which names a narrow type."""
    return all(
        isinstance(value, bool | int | float | str | np.generic | None)
        and value not in _NARROW
        for value in params.values()
    )


def identify_data(X: Any, y: Any = None, *, known: Mapping[str, str]) -> dict[str, str]:
    """Return ``X`` and ``y`` as in ``SearchIdentity.parts``; without `y`, only ``X``.

    `known` are the parts of a search, in which a list may have counted as an array.
    """
    found = {}
    for name, data in (("X", X), ("y", y)):
        if name == "y" and data is None:
            continue
        ways = [data, np.asarray(data)] if type(data) is list else [data]
        digests = []
        for way in ways:
            try:
                digests.append(digest(way, boxes=_BOXES_OF_DATA))
            except Unidentifiable:
                continue
        before = known.get(name, "").partition(" ")[0]
        best = before if before in digests else next(iter(digests), "")
        found[name] = best and f"{best} {_in_words(data)}"
    return found


def _identify(parts: dict[str, str], name: str, digester: Digester, obj: Any) -> None:
    try:
        by_name = type(obj) is dict and name not in ("X", "y")
        known = digester.named(obj) if by_name else digester.digest(obj)
        parts[name] = known.hex()
    except Unidentifiable as error:
        parts[name] = ""
        _warn(_IN_WORDS[name], error)


def _as_named(estimator: Any, scorer: Any) -> Any:
    """Return the named scorer equal to the estimator's own ``score``, if any."""
    if scorer is not None:
        return scorer
    own = getattr(type(estimator), "score", None)
    if not get_config()["enable_metadata_routing"]:
        if own is ClassifierMixin.score:
            return get_scorer("accuracy")
        if own is RegressorMixin.score:
            return get_scorer("r2")
    return None


def _joined_data(X: str, y: str) -> str:
    return node("data", X.encode(), y.encode()).hex() if X and y else ""


def _environment_text(distributions: Iterable[str], *, of_machine: bool = False) -> str:
    versions = _versions_with if of_machine else versions_of
    known = versions(distributions)
    return json.dumps({"versions": known, "settings": settings_of(known)})


def _in_words(data: Any) -> str:
    """Describe data by type, dtype and shape."""
    shape = getattr(data, "shape", None)
    if shape is None and hasattr(data, "__len__"):
        shape = (len(data),)
    dtype = getattr(data, "dtype", None)
    words = type(data).__name__ if dtype is None else f"{type(data).__name__} {dtype}"
    return words if shape is None else f"{words} {tuple(shape)}"


def _joined(parts: Mapping[str, str], names: Sequence[str]) -> bytes | None:
    if not all(parts[name] for name in names):
        return None
    return node("search", *(f"{name} {parts[name]}".encode() for name in names))


def _warn(what: str, error: Unidentifiable) -> None:
    warnings.warn(
        f"Cannot tell whether {what} is the same as in another fit: {error}. {_ADVICE}",
        IdentityWarning,
        stacklevel=2,
    )


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Describe how the parts of two searches differ, with ``cv`` where it is known.

    Such as ``["the data (values of X)", "versions: torch 2.12 -> 2.13"]``.
    """
    found: list[str] = []
    for name, words in _IN_WORDS.items():
        before, _, was = old.get(name, "").partition(" ")
        after, _, now = new.get(name, "").partition(" ")
        if name not in {*old, *new} or (before and before == after):
            continue
        if name == "layout" and any(words.startswith("the data") for words in found):
            continue  # other data have an order of their own
        if not (before and after):
            words += " (not identifiable)"
        elif name in ("X", "y"):
            change = f"values of {name}" if was == now else f"{name}: {was} -> {now}"
            words = f"the data ({change})"
        found.append(words)
    for kind in ("versions", "settings"):
        known, current = _in_environment(old, kind), _in_environment(new, kind)
        changed = [n for n in known if known[n] != current.get(n, known[n])]
        if changed:
            changes = (f"{n} {known[n]} -> {current[n]}" for n in changed)
            found.append(f"{kind}: {', '.join(changes)}")
    return found


def _in_environment(parts: Mapping[str, str], kind: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _ENVIRONMENTS:
        found |= json.loads(parts.get(name) or "{}").get(kind, {})
    return dict(sorted(found.items()))

"""What makes two fits the same fit.

A fit is known by the content of everything that decides what it learns: the
estimator's class and params, the code among them, the candidate's params, the
data, the split and the versions of the libraries. ``docs/identity.md`` says what
is noticed and what is not.
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from weightsearch._identity._data import node
from weightsearch._identity._estimators import without_neutral
from weightsearch._identity._origin import versions_of
from weightsearch._identity._values import Digester, Unidentifiable
from weightsearch.exceptions import IdentityWarning

__all__ = [
    "SearchIdentity",
    "Unidentifiable",
    "differences",
    "digest",
    "digest_splitter",
    "environment",
    "identify_search",
]

_OF_EVERY_FIT = ("estimator", "data", "fit_params", "environment")
_OF_SPLITS = ("scoring", "score_params", "settings")
_IN_WORDS = {
    "estimator": "the estimator's class, params or code",
    "data": "the data (X or y)",
    "fit_params": "the params of fit, such as sample_weight",
    "score_params": "the params of score",
    "scoring": "the scoring",
    "cv": "the splitter",
    "settings": "return_train_score or error_score",
    "environment": "the versions of the libraries",
}
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_ADVICE = (
    "Its fits are stored but not reused. Give it a __getstate__ that leaves the "
    "opaque part out, or pass a class, a function or plain values instead."
)


def digest(obj: Any) -> str:
    """Digest of the content of any object.

    Parameters
    ----------
    obj : object

    Returns
    -------
    str of 32 hexadecimal digits
        Equal for equal content, in every process; versions are no part of it.

    Raises
    ------
    Unidentifiable
        If something in it has state that cannot be looked into.
    """
    return Digester().digest(obj).hex()


def digest_splitter(cv: Any) -> str:
    """Digest of a splitter; empty text where it has none.

    Parameters
    ----------
    cv : splitter
        As ``sklearn.model_selection.check_cv`` returns it.
    """
    return _digest_or_empty(cv)


def _digest_or_empty(obj: Any) -> str:
    try:
        return digest(obj)
    except Unidentifiable:
        return ""


def environment(*objects: Any) -> dict[str, str]:
    """Versions of all that takes part in a fit.

    Parameters
    ----------
    *objects : object
        Estimator, grid, scorer: whatever brings classes and functions in.

    Returns
    -------
    dict of str -> str
        ``python``, ``machine`` (the kind of processor), then distributions by
        name.
    """
    digester = Digester()
    for obj in objects:
        try:
            digester.digest(obj)
        except Unidentifiable:
            # What was met until then counts; identify_search() says the rest.
            continue
    machine = platform.machine().lower()
    return {
        "python": platform.python_version(),
        "machine": _MACHINES.get(machine, machine),
        **versions_of({"scikit-learn", *digester.distributions}),
    }


@dataclass(frozen=True)
class SearchIdentity:
    """What all fits of one search have in common.

    Attributes
    ----------
    parts : dict of str -> str
        Digests by name: ``estimator``, ``data``, ``fit_params``,
        ``score_params``, ``scoring``, ``settings``, ``environment``; empty text
        where there is none.
    fingerprint : str or None
        Digest of all parts; None where a part has none.
    """

    parts: Mapping[str, str]
    fingerprint: str | None
    _common: Mapping[bool, bytes | None] = field(repr=False, compare=False)
    _splits: dict[tuple[int, int], tuple[Any, bytes]] = field(
        default_factory=dict, repr=False, compare=False
    )
    _last: list[tuple[Any, bytes | None]] = field(
        default_factory=list, repr=False, compare=False
    )
    _warned: set[str] = field(default_factory=set, repr=False, compare=False)
    # One for all candidates: it remembers the code that they share.
    _digester: Digester = field(default_factory=Digester, repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # What was remembered for speed may hold functions that cannot be pickled.
        return type(self), (dict(self.parts), self.fingerprint, dict(self._common))

    @staticmethod
    def data_digest(X: Any, y: Any) -> str:
        """Digest of the data, as in ``parts["data"]``.

        Parameters
        ----------
        X, y : array-like of shape (n_samples, ...), or None

        Returns
        -------
        str
            Empty where there is none.
        """
        return _digest_or_empty((X, y))

    def fit_key(
        self,
        params: Mapping[str, Any],
        split: tuple[Any, Any] | None = None,
    ) -> str | None:
        """Key of one fit.

        Parameters
        ----------
        params : mapping of str to object
            The candidate's. Must not be changed afterwards.
        split : (train, test), default=None
            Indices, each of shape (n,); None for the refit on all the data. A
            refit's key does not depend on scoring.

        Returns
        -------
        str of 32 hexadecimal digits, or None
            None where the fit has no identity.

        Warns
        -----
        IdentityWarning
            If a param has none, once for each param's name.
        """
        common = self._common[split is None]
        known = self._params(params)
        if common is None or known is None:
            return None
        where = b"refit" if split is None else self._split(split)
        return node("fit", common, known, where).hex()

    def _params(self, params: Mapping[str, Any]) -> bytes | None:
        # A candidate's splits come one after the other: the last one is enough.
        last = self._last[-1] if self._last else None
        if last is not None and last[0] is params:
            return last[1]
        known = self._params_digest(params)
        self._last[:] = [(params, known)]
        return known

    def _params_digest(self, params: Mapping[str, Any]) -> bytes | None:
        digester = self._digester
        digester.distributions = set()
        parts = []
        for name, value in sorted(without_neutral(params).items()):
            try:
                parts += [name.encode(), digester.digest(value)]
            except Unidentifiable as error:
                if name not in self._warned:
                    self._warned.add(name)
                    _warn(f"the candidates' param {name!r}", error)
                return None
        if digester.distributions:
            versions = versions_of(digester.distributions)
            parts.append(repr(sorted(versions.items())).encode())
        return node("params", *parts)

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
    versions: Mapping[str, str],
) -> SearchIdentity:
    """Identify what all fits of a search have in common.

    Parameters
    ----------
    estimator : estimator
        Not fitted, or to be cloned: what it has learned is no part of it.
    X, y : array-like of shape (n_samples, ...), or None
    fit_params, score_params : mapping of str to object
        Such as ``sample_weight``.
    scorer : callable or mapping
        As checked by scikit-learn.
    settings : mapping of str to object
        ``return_train_score``, ``error_score``.
    versions : mapping of str to str
        From :func:`environment`.

    Returns
    -------
    SearchIdentity

    Warns
    -----
    IdentityWarning
        If a part has no identity.
    """
    sources = {
        "estimator": estimator,
        "data": (X, y),
        "fit_params": without_neutral(fit_params),
        "score_params": dict(score_params),
        "scoring": scorer,
        "settings": dict(settings),
        "environment": dict(versions),
    }
    parts: dict[str, str] = {}
    for name, source in sources.items():
        try:
            parts[name] = digest(source)
        except Unidentifiable as error:
            parts[name] = ""
            _warn(_IN_WORDS[name], error)
    of_refits = _joined(parts, _OF_EVERY_FIT)
    of_splits = _joined(parts, _OF_EVERY_FIT + _OF_SPLITS)
    return SearchIdentity(
        parts=parts,
        fingerprint=of_splits.hex() if of_splits is not None else None,
        _common={True: of_refits, False: of_splits},
    )


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


def differences(
    old: Mapping[str, str],
    new: Mapping[str, str],
    old_versions: Mapping[str, str] | None = None,
    new_versions: Mapping[str, str] | None = None,
) -> list[str]:
    """Say in plain words in what two searches differ.

    Parameters
    ----------
    old, new : mapping of str to str
        ``SearchIdentity.parts`` of each, with ``cv`` where it is known.
    old_versions, new_versions : mapping of str to str, optional
        From :func:`environment`, to name the libraries that changed.

    Returns
    -------
    list of str
        Such as ``["the data (X or y)", "versions: torch 2.12 -> 2.13"]``.
    """
    found = []
    for name, words in _IN_WORDS.items():
        before, after = old.get(name, ""), new.get(name, "")
        if name not in {*old, *new} or (before and before == after):
            continue
        if not (before and after):
            words += " (not identifiable)"
        elif name == "environment" and old_versions and new_versions:
            words = _changed_versions(old_versions, new_versions) or words
        found.append(words)
    return found


def _changed_versions(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    names = [n for n in sorted({*old, *new}) if old.get(n) != new.get(n)]
    changes = (f"{n} {old.get(n, 'none')} -> {new.get(n, 'none')}" for n in names)
    return "versions: " + ", ".join(changes) if names else ""

"""Capture of a fitted estimator, and the proof that it can be rebuilt."""

from __future__ import annotations

import copy
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from weightsearch._copies import memory_order, same_bits
from weightsearch._records import Array, ModelState, Outcome, Weights
from weightsearch.exceptions import NotRebuildableWarning
from weightsearch.frameworks._columns import remembering
from weightsearch.frameworks._registry import collect_weights
from weightsearch.frameworks._state import (
    capture_state,
    failed_state,
    kind_of_model,
    rebuild,
    why_not,
)
from weightsearch.frameworks._state._parts import rebuilder_of
from weightsearch.frameworks._state._trust import name_of, trusted_object

__all__ = [
    "ROWS_ASKED",
    "answers_digest",
    "answers_vary",
    "capture",
    "capture_unproved",
    "preserved_randomness",
    "proved",
    "randomness",
]

ROWS_ASKED = 5
"""Rows that a model and its rebuilt copy both predict."""

_METHODS = (
    *("predict_proba", "decision_function", "predict", "transform"),
    "score_samples",
)


class _Proof(NamedTuple):
    """Result of rebuilding a model: why it failed, and whether bits were equal."""

    reason: str | None
    exact: bool = False


_PLAIN = frozenset({bool, dict, float, int, list, str, tuple, type(None)})

_proofs: dict[str, _Proof] = {}
"""Proofs of the kinds of models that were rebuilt in this process."""


def capture(
    estimator: Any,
    *,
    complete: bool = False,
    rows: Callable[[], Any] | None = None,
) -> Outcome:
    """Capture weights and state of an estimator that has just been fitted; never fails.

    The first model of each kind is rebuilt at once and must predict what the estimator
    does. A failure is recorded in the state and in a warning, not found out too late.

    Parameters
    ----------
    estimator : object
        Fitted.
    complete : bool, default=False
        Whether it must be able to continue training, too.
    rows : callable, default=None
        Returns some rows to predict; None: nothing is rebuilt.
    """
    return proved(capture_unproved(estimator, complete=complete), estimator, rows)


def capture_unproved(estimator: Any, *, complete: bool = False) -> Outcome:
    """Capture weights and state of an estimator without a prediction."""
    with remembering():
        weights, notes = collect_weights(estimator)
        if weights is None:
            return Outcome({}, None, tuple(notes))
        state = capture_state(estimator, weights, complete=complete)
    for name, array in weights.items():
        # Gaps are lost on the way from a worker, and the order of the axes with them.
        if not array.flags.forc and memory_order(array) == "F":
            weights[name] = np.asfortranarray(array)
    return Outcome({}, weights, tuple(notes), state)


def proved(outcome: Outcome, estimator: Any, rows: Callable[[], Any] | None) -> Outcome:
    """Add the proof that the estimator can be rebuilt, or the reason why it cannot."""
    weights, state, notes = outcome.weights, outcome.state, outcome.notes
    if weights is None or state is None:
        return outcome
    proof = _Proof(why_not(state.text))
    if proof.reason is None and rows is not None:
        proof = _proof(estimator, weights, state, rows)
        if proof.reason is not None:
            state = failed_state(proof.reason)
    if proof.reason is not None:
        warning = NotRebuildableWarning(
            f"Models of {type(estimator).__name__} cannot be rebuilt from the store: "
            f"{proof.reason}. Their weights are stored."
        )
        notes = (*notes, warning)
    return outcome._replace(notes=notes, state=state, exact=proof.exact)


def _proof(
    estimator: Any, weights: Weights, state: ModelState, rows: Callable[[], Any]
) -> _Proof:
    kind = kind_of_model(state.text)
    if kind not in _proofs:
        with preserved_randomness():
            _proofs[kind] = _try(estimator, weights, state, rows)
    return _proofs[kind]


def _try(
    estimator: Any, weights: Weights, state: ModelState, rows: Callable[[], Any]
) -> _Proof:
    """Rebuild a model and compare predictions."""
    arrays = {name: array.copy("K") for name, array in weights.items()}
    try:
        again = rebuild(
            state.text,
            lambda name: arrays[weights.ties.get(name, name)],
            state.blobs.__getitem__,
            template=estimator,
            trust_template=True,
        )
    except Exception as error:
        # Whatever it is, it would be raised for a reader too.
        return _Proof(f"{error}")
    estimator = _to_ask(estimator)
    before = _answers(estimator, rows)
    after = _answers(again, rows)
    exact = bool(before)
    for method, expected in before.items():
        if method not in after:
            return _Proof(f"a rebuilt one has no {method}")
        exact = exact and _identical(expected, after[method])
        if _same(expected, after[method]):
            continue
        # A model that draws when it predicts does not even agree with itself.
        if _same(expected, _answers(estimator, rows).get(method)):
            return _Proof(
                f"a rebuilt one has a different {method} for rows of the training data"
            )
    return _Proof(None, exact)


def _to_ask(estimator: Any) -> Any:
    """Return a copy to predict with, if to predict may change the estimator.

    Code that is not a library's may count what it transforms, for instance. Networks
    are not copied, since that builds new ones.
    """
    params: dict[str, Any] = getattr(estimator, "get_params", dict)()
    classes: set[Any] = {type(part) for part in (estimator, *params.values())}
    if all(trusted_object(name_of(cls)) is cls or cls in _PLAIN for cls in classes):
        return estimator
    if any(rebuilder_of(cls) is not None for cls in classes):
        return estimator
    try:
        return copy.deepcopy(estimator)
    except Exception:
        return estimator


def _answers(estimator: Any, rows: Callable[[], Any]) -> dict[str, Any]:
    """Predictions for rows, by the most informative method."""
    # Filters of warnings belong to all threads.
    alone = threading.current_thread() is threading.main_thread()
    with warnings.catch_warnings() if alone else nullcontext():
        if alone:
            warnings.simplefilter("ignore")
        for method in _METHODS:
            function = getattr(estimator, method, None)
            if function is None:
                continue
            try:
                # Fresh rows each time, since some estimators change them.
                return {method: function(rows())}
            except Exception:
                # The params may forbid the method, or it may need more arguments.
                continue
    return {}


def _same(a: Any, b: Any) -> bool:
    if scipy.sparse.issparse(a) and scipy.sparse.issparse(b):
        return a.shape == b.shape and _same(a.toarray(), b.toarray())
    if isinstance(a, list | tuple) and type(a) is type(b):
        return len(a) == len(b) and all(map(_same, a, b))
    first, second = _as_array(a), _as_array(b)
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    if first.dtype.kind in "fc":
        # Threads may add in any order.
        return np.allclose(first, second, rtol=1e-5, atol=1e-8, equal_nan=True)
    if first.dtype.hasobject:
        pairs = zip(first.flat, second.flat, strict=True)
        return all(x is y or repr(x) == repr(y) for x, y in pairs)
    return bool(np.array_equal(first, second))


def _identical(a: Any, b: Any) -> bool:
    """Whether two equal answers are equal bit for bit."""
    if scipy.sparse.issparse(a) and scipy.sparse.issparse(b):
        return _identical(a.toarray(), b.toarray())
    if isinstance(a, list | tuple) and type(a) is type(b):
        return len(a) == len(b) and all(map(_identical, a, b))
    first, second = _as_array(a), _as_array(b)
    if first.dtype.hasobject or first.dtype != second.dtype:
        return first.dtype == second.dtype and _same(a, b)
    return same_bits(first, second)


def _as_array(answer: Any) -> Array:
    try:
        return np.asarray(answer)
    except (RuntimeError, TypeError, ValueError):
        # Rows of unequal length, or an array on another device.
        return np.asarray(repr(answer))


def answers_digest(estimator: Any, rows: Callable[[], Any]) -> str | None:
    """Digest of a fitted estimator's predictions for a few rows.

    Numbers count with some six digits, since threads may add in any order.

    Parameters
    ----------
    estimator : object
    rows : callable
        Returns the rows.

    Returns
    -------
    str or None
        None if there are no predictions.
    """
    with preserved_randomness():
        answers = _answers(_to_ask(estimator), rows)
    if not answers:
        return None
    ((method, answer),) = answers.items()
    content = sha256(method.encode())
    for part in answer if isinstance(answer, list | tuple) else [answer]:
        array = part.toarray() if scipy.sparse.issparse(part) else _as_array(part)
        if array.dtype.kind in "fc":
            parts = (array.real, array.imag) if array.dtype.kind == "c" else (array,)
            array = np.stack([_rounded(one) for one in parts])
        elif array.dtype.hasobject:
            array = np.array([repr(item) for item in array.flat])
        content.update(f"{array.dtype.kind}{array.shape}".encode())
        content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()[:32]


def _rounded(array: Array) -> Array:
    mantissa, exponent = np.frexp(array.astype(np.float64))
    return np.ldexp(np.round(mantissa * (1 << 20)), exponent) + 0.0


@contextmanager
def preserved_randomness() -> Iterator[None]:
    """Leave all global random generators as they were before the block.

    Building a network draws its first weights, and a search with a global seed must
    give the same results with and without it.
    """
    states: list[Any] = [random.getstate(), np.random.get_state(legacy=False)]
    torch = sys.modules.get("torch")
    torch_state = None if torch is None else torch.get_rng_state()
    cuda = torch is not None and torch.cuda.is_initialized()
    cuda_states = torch.cuda.get_rng_state_all() if torch is not None and cuda else None
    keras_seed = _keras_seed()
    keras_state = None if keras_seed is None else keras_seed.numpy().copy()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        if torch is not None:
            torch.set_rng_state(torch_state)
            if cuda_states is not None:
                torch.cuda.set_rng_state_all(cuda_states)
        if keras_seed is not None:
            keras_seed.assign(keras_state)


def randomness() -> dict[str, Any]:
    """Return the states of all global random generators, by the name of their library.

    Any draw changes them.
    """
    state = np.random.get_state(legacy=False)
    inner = state["state"]
    if state["bit_generator"] == "MT19937":
        numpy: Any = inner["pos"], state["gauss"], inner["key"].tobytes()
    else:
        numpy = repr(state)
    found: dict[str, Any] = {"random": random.getstate(), "numpy": numpy}
    torch = sys.modules.get("torch")
    if torch is not None:
        states = [torch.get_rng_state()]
        if torch.cuda.is_initialized():
            states += torch.cuda.get_rng_state_all()
        found["torch"] = [one.numpy().tobytes() for one in states]
    keras_seed = _keras_seed()
    if keras_seed is not None:
        found["keras"] = keras_seed.numpy().tobytes()
    return found


def answers_vary(drew: set[str], estimator: Any, rows: Callable[[], Any]) -> bool:
    """Whether an estimator's predictions depend on the numbers that are drawn.

    Parameters
    ----------
    drew : set of str
        Libraries from whose global generators it draws when it predicts.
    estimator : object
        Fitted.
    rows : callable
        Returns some rows to predict.
    """
    if drew != {"torch"}:
        return bool(drew)
    # Every walk over a DataLoader draws a seed, whether or not anything uses it.
    with preserved_randomness():
        first, second = _answers(estimator, rows), _answers(estimator, rows)
    return first.keys() != second.keys() or not all(
        _identical(answer, second[method]) for method, answer in first.items()
    )


def _keras_seed() -> Any:
    """State of Keras' global generator, if it has drawn already."""
    keras = sys.modules.get("keras")
    if keras is None or not hasattr(keras, "src"):
        return None
    state = sys.modules.get("keras.src.backend.common.global_state")
    get = getattr(state, "get_global_attribute", None)
    generator = None if get is None else get("global_seed_generator")
    return getattr(generator, "state", None)

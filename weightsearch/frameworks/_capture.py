"""All that is kept of a fitted estimator, and the proof that it is enough."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from weightsearch._records import Array, ModelState, Weights
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

__all__ = [
    "ROWS_ASKED",
    "Captured",
    "answers_digest",
    "capture",
    "preserved_randomness",
]

ROWS_ASKED = 5
"""Rows that a model and the one that is rebuilt of it are both asked about."""

_METHODS = ("predict_proba", "decision_function", "predict", "transform")


class Captured(NamedTuple):
    """What is kept of a fitted estimator.

    Attributes
    ----------
    weights : Weights or None
        None where they could not be taken.
    notes : tuple of Warning
        What the user is to hear of them.
    state : ModelState or None
        What makes the estimator of the weights again.
    """

    weights: Weights | None
    notes: tuple[Warning, ...]
    state: ModelState | None


_proved: dict[str, str | None] = {}
"""Kinds of models that were rebuilt in this process; why not, where that failed."""


def capture(
    estimator: Any,
    *,
    complete: bool = False,
    rows: Callable[[], Any] | None = None,
) -> Captured:
    """Take weights and state of an estimator that has just been fitted; never fails.

    The first model of each kind is rebuilt at once and must answer as the estimator
    does. What fails is noted in the state, so that nobody finds it out too late.

    Parameters
    ----------
    estimator : object
        Fitted.
    complete : bool, default=False
        Whether it must be able to continue training, too.
    rows : callable, default=None
        Returns some rows that it can be asked about; None: nothing is rebuilt.
    """
    with remembering():
        weights, notes = collect_weights(estimator)
        if weights is None:
            return Captured(None, tuple(notes), None)
        state = capture_state(estimator, weights, complete=complete)
    reason = why_not(state.text)
    if reason is None and rows is not None:
        reason = _why_not_proved(estimator, weights, state, rows)
        if reason is not None:
            state = failed_state(reason)
    if reason is not None:
        notes = [
            *notes,
            NotRebuildableWarning(
                f"Models of {type(estimator).__name__} cannot be rebuilt from the "
                f"store: {reason}. Their weights are kept."
            ),
        ]
    return Captured(weights, tuple(notes), state)


def _why_not_proved(
    estimator: Any, weights: Weights, state: ModelState, rows: Callable[[], Any]
) -> str | None:
    kind = kind_of_model(state.text)
    if kind not in _proved:
        with preserved_randomness():
            _proved[kind] = _try(estimator, weights, state, rows)
    return _proved[kind]


def _try(
    estimator: Any, weights: Weights, state: ModelState, rows: Callable[[], Any]
) -> str | None:
    """Rebuild a model and ask both; why that failed, or None."""
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
        # Whatever it is, a reader would meet it too.
        return f"{error}"
    before = _answers(estimator, rows)
    after = _answers(again, rows)
    for method, expected in before.items():
        if method not in after:
            return f"a rebuilt one has no {method}"
        if _same(expected, after[method]):
            continue
        # A model that draws when it is asked agrees with itself no more.
        if _same(expected, _answers(estimator, rows).get(method)):
            return f"a rebuilt one gives another {method} for rows of the training data"
    return None


def _answers(estimator: Any, rows: Callable[[], Any]) -> dict[str, Any]:
    """What an estimator says of rows, by the method that says most."""
    for method in _METHODS:
        function = getattr(estimator, method, None)
        if function is None:
            continue
        try:
            # Anew each time, since some change them.
            return {method: function(rows())}
        except Exception:
            # Some have a method that their params forbid, or that asks for more.
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


def _as_array(answer: Any) -> Array:
    try:
        return np.asarray(answer)
    except (RuntimeError, TypeError, ValueError):
        # Rows of unequal length, or an array on another device: what it shows.
        return np.asarray(repr(answer))


def answers_digest(estimator: Any, rows: Callable[[], Any]) -> str | None:
    """Digest of what a fitted estimator says of a few rows.

    Numbers count with some six digits, since threads may add in any order.

    Parameters
    ----------
    estimator : object
    rows : callable
        Returns the rows.

    Returns
    -------
    str or None
        None where it says nothing that has a digest.
    """
    with preserved_randomness():
        answers = _answers(estimator, rows)
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

    Making a network draws its first weights, and a search with a global seed must find
    what it would find without us.
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


def _keras_seed() -> Any:
    """The state of Keras' global generator, where it has drawn already."""
    keras = sys.modules.get("keras")
    if keras is None or not hasattr(keras, "src"):
        return None
    state = sys.modules.get("keras.src.backend.common.global_state")
    get = getattr(state, "get_global_attribute", None)
    generator = None if get is None else get("global_seed_generator")
    return getattr(generator, "state", None)

"""Following a fit through its epochs: which estimators allow it, and where they are.

The modules of frameworks say how, in a table ``EPOCHS``. Of a pipeline the last step
has the epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sklearn.pipeline import Pipeline

from weightsearch._records import Array
from weightsearch.frameworks._state._parts import entry_of

__all__ = ["Epochs", "TakeSnapshot", "epochs_of", "final_estimator", "why_no_epochs"]


class TakeSnapshot(Protocol):
    """What a framework calls after each epoch, and before the first."""

    def __call__(
        self,
        epoch: int,
        weights: Callable[[], Mapping[str, Array]],
        info: Callable[[], Mapping[str, float]],
        optimizer: Callable[[], Mapping[str, Array]],
    ) -> None:
        """Note the end of an epoch.

        Parameters
        ----------
        epoch : int
            Epochs that are done; 0 before the first.
        weights : callable
            Returns the weights, by the names that they have after the fit. They may
            share the model's memory. Not called where they are not wanted.
        info : callable
            Returns what is known: ``step`` (updates of the weights so far),
            ``learning_rate``, losses and metrics, by the framework's own names.
        optimizer : callable
            Returns the state of the optimizer, for ``Epochs.restore``; raises TypeError
            where arrays cannot hold it. Not called where it is not wanted.
        """


@dataclass(frozen=True)
class Epochs:
    """How the epochs of a class of estimators can be followed.

    Attributes
    ----------
    watch : callable or None
        ``watch(estimator, take)``: a context in which ``estimator.fit`` calls `take`,
        a :class:`TakeSnapshot`, and learns the same as without. None where all epochs
        are in the final model.
    count : callable or None
        ``count(estimator)``: number of epochs in a fitted model, if all are in it.
    cut : callable or None
        ``cut(estimator, epoch)``: make a fitted model the one after `epoch` epochs, if
        all are in it.
    resume : callable or None
        ``resume(estimator)``: let ``fit`` of a rebuilt model train it on, with a new
        optimizer.
    restore : callable or None
        ``restore(estimator, state)``: give this optimizer the state that another one
        had. Raises TypeError or ValueError where that is impossible.
    why_not_resumed : str
        Why there is no `resume`, and what to do instead.
    """

    watch: Callable[[Any, TakeSnapshot], AbstractContextManager[None]] | None = None
    count: Callable[[Any], int] | None = None
    cut: Callable[[Any, int], None] | None = None
    resume: Callable[[Any], None] | None = None
    restore: Callable[[Any, Mapping[str, Array]], None] | None = None
    why_not_resumed: str = (
        "to add stages to it, pass the model that load_estimator(candidate, "
        "epoch=...) gives to its own library"
    )


def epochs_of(cls: type) -> Epochs | None:
    """Return how the epochs of a class can be followed; None: they cannot."""
    found: Epochs | None = entry_of(cls, "EPOCHS")
    return found


def final_estimator(estimator: Any) -> tuple[str, Any]:
    """Return the estimator whose epochs count, and the prefix of its weights' names."""
    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}/"
    return prefix, estimator


def why_no_epochs(estimator: Any) -> str | None:
    """Say why an estimator's epochs cannot be followed; None where they can."""
    _, final = final_estimator(estimator)
    if epochs_of(type(final)) is not None:
        return None
    name = final if isinstance(final, str) else type(final).__name__
    return (
        f"{name} has no epochs that can be followed. Those of Keras and skorch models, "
        "of scikit-learn's MLPClassifier and MLPRegressor and of gradient boosting "
        "can, also as the last step of a Pipeline"
    )

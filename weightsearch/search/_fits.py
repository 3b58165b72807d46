"""What passes between a running search and whoever keeps its fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from weightsearch._records import Array, ModelState, Weights

__all__ = ["FitCall", "Outcome", "PlannedFit", "Recorder"]


@dataclass(frozen=True, slots=True)
class PlannedFit:
    """One candidate on one split, as the search is about to evaluate it."""

    candidate: int
    split: int
    params: Mapping[str, Any]
    train: Array
    test: Array


class Outcome(NamedTuple):
    """What comes back from a worker: never the model, only what is to be kept.

    Attributes
    ----------
    result : dict
        Scores, times and the error.
    weights : Weights or None
    notes : tuple of Warning
        What the user is to hear of the weights.
    state : ModelState or None
    exact : bool
        Whether a rebuilt model answers as the fitted one, bit for bit.
    rescored : bool
        Whether a stored model was scored, and nothing fitted.
    """

    result: dict[str, Any]
    weights: Weights | None
    notes: tuple[Warning, ...]
    state: ModelState | None = None
    exact: bool = False
    rescored: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of the weights."""
        return 0 if self.weights is None else self.weights.nbytes


@dataclass(frozen=True)
class FitCall:
    """What all fits of a search have in common."""

    estimator: Any
    X: Any
    y: Any
    scorer: Any
    fit_params: Mapping[str, Any]
    score_params: Mapping[str, Any]
    error_score: Any
    return_train_score: bool
    n_splits: int


class Recorder(Protocol):
    """What the fitting needs of whoever keeps the results."""

    captures_splits: bool

    @property
    def may_recall(self) -> bool:
        """Whether any stored fit could be reused."""

    def begin(self, call: FitCall) -> None:
        """The first fit is about to start."""

    def set_splits(
        self, first: int, count: int, n_rows: int, pairs: Sequence[tuple[Any, Any]]
    ) -> None:
        """So many candidates, from one on, are evaluated on these splits."""

    def plan(self, fit: PlannedFit) -> None:
        """A fit will run or be recalled."""

    def recall(self, fit: PlannedFit) -> dict[str, Any] | None:
        """The result of the same fit from the store, if it is there."""

    def find_model(self, fit: PlannedFit) -> Any:
        """The same fit's model from the store, if it can be scored again."""

    def record_split(self, fit: PlannedFit, outcome: Outcome) -> None:
        """A fit has finished."""

    def expect(self, n_candidates: int, n_splits: int, n_reused: int) -> None:
        """So many candidates are about to be evaluated."""

    def announce(self, n_reused: int, n_rescored: int, n_to_do: int) -> None:
        """How much is reused has become known."""

    def recall_best(self, params: Mapping[str, Any]) -> Any:
        """The best estimator from the store, if it is there, whole."""

    @property
    def stored_refit_time(self) -> float | None:
        """Seconds that its refit took; None if the best estimator was not there."""

    def splitter(self, cv: Any) -> Any:
        """The splitter to use in the place of ``cv``."""

    def split(self, train: Any, test: Any) -> tuple[Any, Any]:
        """The indices to use in the place of those that were drawn."""

    @property
    def call(self) -> FitCall:
        """What all fits have in common."""

    def use_data(self, X: Any, y: Any, fit_params: Mapping[str, Any]) -> None:
        """The data for the fits to come, equal to those of the fits before."""
